//! The text of the file of changes, and what is read from one.

use super::super::fake::Fake;
use super::super::reader::Scope;
use super::*;

fn document(text: &str) -> Document {
    let mut document = Document::default();
    document.read(text, "F").unwrap();
    document
}

fn pairs(options: &[(&str, &str)]) -> Options {
    options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn own(name: &str, options: &[(&str, &str)]) -> Rc<Own> {
    Rc::new(Own { name: name.to_string(), options: pairs(options), gone: BTreeSet::new() })
}

fn made(priority: i64, programs: &[Rc<Own>]) -> Rc<Note> {
    Rc::new(Note { is_made: true, priority, programs: programs.to_vec() })
}

fn added(programs: &[Rc<Own>]) -> Rc<Note> {
    Rc::new(Note { is_made: false, priority: 7, programs: programs.to_vec() })
}

fn names<const N: usize>(texts: [&str; N]) -> [String; N] {
    texts.map(str::to_string)
}

/// The journal's text after `base`, which must mean the same journal again; without its first and last lines.
fn body(journal: &Journal, base: &Document) -> String {
    let text = journal.text(base).unwrap();
    assert_eq!(Journal::parse(&text, "J", base).as_ref(), Ok(journal), "{text}");
    let body = text.strip_prefix("; Changes made at run time").unwrap().split_once("\n\n").unwrap().1;
    body.strip_suffix("\n; end of dynamic changes\n").unwrap().to_string()
}

#[test]
fn values_survive() {
    let rows = [
        "plain",
        "",
        ";x",
        "#x",
        "a ;b",
        "a #b ; c",
        "a;b",
        " a",
        "a ",
        " ",
        "\t",
        "\ta\u{a0}",
        "a\nb",
        "a\n\nb",
        "a\n",
        "\na",
        "\n",
        "a\n  b  \n\tc",
        "a\n;b\n# c\n ; d",
        "x=1",
        "a: b",
        "[x]",
        "a\n[x]\nb=1",
        "é ;ü",
        "a\u{3000};b",
        "a\u{1f}",
        "\u{1c};",
        "sh -c \"a ; b # c\"",
        "\"",
        "A=\"1\",\n B='2'",
    ];
    let base = Document::default();
    let scope = Scope { here: Some("/h"), ..Scope::default() };
    for value in rows {
        let program = own("x", &[("first", "1"), ("v", value), ("w", "2")]);
        let journal = Journal { groups: [("g".to_string(), made(1, &[program]))].into(), ..Journal::default() };
        let text = journal.text(&base).unwrap();
        let again = Journal::parse(&text, "J", &base).unwrap();
        for (key, expected) in [("v", value), ("w", "2")] {
            let options = &again.own("g", "x").unwrap().options;
            let read = &options.iter().find(|(name, _)| name == key).unwrap().1;
            assert_eq!(scope.expand(read, String::new).unwrap(), expected, "{text}");
        }
        // What was read is written again as it was.
        assert_eq!(again.text(&base).unwrap(), text, "{value:?}");
    }
    let program = own("x", &[("v", "a\rb")]);
    let journal = Journal { groups: [("g".to_string(), made(1, &[program]))].into(), ..Journal::default() };
    assert!(journal.text(&base).is_err());
}

fn sample() -> Journal {
    let pruned = Rc::new(Own { gone: names(["b_1", "b_2"]).into(), ..(*own("b", &[("command", "x 100%%")])).clone() });
    Journal {
        groups: [
            ("g".to_string(), made(-5, &[own("a", &[("command", "a")]), pruned])),
            ("empty".to_string(), made(1, &[])),
            ("files".to_string(), added(&[own("late", &[("command", "l")])])),
        ]
        .into(),
        amended: [("program:w".to_string(), Rc::new(pairs(&[("numprocs", "2")])))].into(),
        gone: Gone {
            groups: names(["h"]).into(),
            programs: [["k", "m"].map(str::to_string)].into(),
            processes: [names(["k", "w", "w 1"])].into(),
        },
    }
}

const FILES: &str = "[program:w]\n[program:m]\n[group:k]\nprograms=w,m\n[group:files]\nprograms=w\n[program:h]\n";

#[test]
fn text_and_meaning() {
    let text = body(&sample(), &document(FILES));
    assert_eq!(
        text,
        "[group:empty]\nprograms=\npriority=1\n[group:files]\nprograms=w,late\n[group:g]\nprograms=a,b\npriority=-5\n\
         [program:late]\ncommand=l\n[program:a]\ncommand=a\n[program:b]\ncommand=x 100%%\n[program:w]\nnumprocs=2\n\
         [program:h]\nnumprocs=0\n[program:m]\nnumprocs=0\n[stheno:dynamic]\nadded_to=files:7\namended=program:w\n\
         silenced=program:h,program:m\nremoved=g:b:b_1,g:b:b_2\ngone_groups=h\ngone_programs=k:m\n\
         gone_processes=k:w:w%201\n"
    );
    assert_eq!(body(&Journal::default(), &document(FILES)), "[stheno:dynamic]\n");
}

#[test]
fn every_torn_text_is_noticed() {
    let base = document(FILES);
    let text = sample().text(&base).unwrap();
    let parse = |text: &str| Journal::parse(text, "J", &base);
    for end in 0..text.len() - 1 {
        assert!(parse(&text[..end]).is_err(), "{end}");
    }
    let edited = text.replace("priority=1\n", "priority=x\n");
    assert_eq!(parse(&edited), Err("[group:empty] has no valid priority".to_string()));
    let edited = text.replace("[group:g]\n", "[supervisord]\nidentifier=x\n[group:g]\n");
    let foreign = "it has a section [supervisord], which no change at run time makes";
    assert_eq!(parse(&edited), Err(foreign.to_string()));
    let edited = text.replace("[group:g]\n", "[group:g]\njunk\n");
    assert!(parse(&edited).unwrap_err().contains("parsing errors"));
    let edited = text.replace("added_to=files:7", "added_to=files");
    assert_eq!(parse(&edited), Err("[stheno:dynamic] has files in added_to".to_string()));
}

#[test]
fn sections_are_called_so_that_no_two_are_the_same() {
    let program = |name: &str| own(name, &[("command", "x %(program_name)s")]);
    let journal = Journal {
        groups: [
            ("r".to_string(), made(1, &[program("p"), program("base"), program("a b")])),
            ("s".to_string(), made(1, &[program("p")])),
            ("t".to_string(), made(1, &[program("s_p")])),
        ]
        .into(),
        ..Journal::default()
    };
    let base = document("[program:base]\n");
    let text = journal.text(&base).unwrap();
    let read = Journal::parse(&text, "J", &base).unwrap();
    assert_eq!(read.text(&base).as_ref(), Ok(&text));
    for (group, program) in [("r", "p"), ("r", "base"), ("r", "a b"), ("s", "p"), ("t", "s_p")] {
        assert!(read.own(group, program).is_some(), "{group} {program}");
    }
    for expected in [
        "programs=p,r_base,r_a_b\n",
        "programs=s_p\n",
        "programs=t_s_p\n",
        "[program:r_base]\nprocess_name=base\ncommand=x base\n",
        "[program:s_p]\nprocess_name=p\ncommand=x p\n",
        "[program:t_s_p]\nprocess_name=s_p\ncommand=x s_p\n",
        "names=r_a_b:a%20b,r_base:base,s_p:p,t_s_p:s_p\n",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn files_may_change_under_the_journal() {
    let journal = sample();
    let text = journal.text(&document(FILES)).unwrap();
    let rows = [
        // All is gone; options wait for their section to come back.
        ("", "[stheno:program:w]\nnumprocs=2\n"),
        // The group has a section of another kind; a name is taken by now.
        ("[program:files]\npriority=5\n[program:late]\n[program:w]\n", "[group:files]\nprograms=files,files_late\n"),
        ("[program:a]\n[program:w]\n", "[group:g]\nprograms=g_a,b\npriority=-5\n"),
    ];
    for (files, expected) in rows {
        let base = document(files);
        let read = Journal::parse(&text, "J", &base).unwrap();
        assert_eq!(read, journal, "{files:?}");
        let again = read.text(&base).unwrap();
        assert!(again.contains(expected), "{files:?}: {again}");
        assert!(read.is_said_by(&again, &base) && !read.is_said_by(&Journal::default().text(&base).unwrap(), &base));
        let meaning = Journal::parse(&again, "J", &base).unwrap();
        let plain = |journal: &Journal| -> Vec<(String, Vec<String>)> {
            let programs = |note: &Note| note.programs.iter().map(|own| own.name.clone()).collect();
            journal.groups.iter().map(|(name, note)| (name.clone(), programs(note))).collect()
        };
        assert_eq!(plain(&meaning), plain(&journal), "{files:?}");
        assert_eq!((&meaning.amended, &meaning.gone), (&journal.amended, &journal.gone), "{files:?}");
    }
}

#[test]
fn a_text_that_says_less_is_noticed() {
    // The last group that had w has lost it in the files: its number of processes has no place beside the 0.
    let journal = Journal {
        amended: [("program:w".to_string(), Rc::new(pairs(&[("numprocs", "2")])))].into(),
        gone: Gone { programs: [["k", "w"].map(str::to_string)].into(), ..Gone::default() },
        ..Journal::default()
    };
    for (files, expected) in [
        ("[program:w]\n[group:k]\nprograms=w\n[group:j]\nprograms=w\n", true),
        ("[program:w]\n[group:k]\nprograms=w\n", false),
    ] {
        let base = document(files);
        assert_eq!(journal.is_said_by(&journal.text(&base).unwrap(), &base), expected, "{files:?}");
    }
}

#[test]
fn a_file_written_by_hand_is_read() {
    let base = document("[program:w]\ncommand=w\n[group:g]\nprograms=m\n[program:m]\n[program:z]\n");
    let parse = |text: &str| Journal::parse(text, "J", &base);
    let journal = parse(
        "[program:solo]\ncommand=s\npriority=3\n[program:w]\nnumprocs=2\n[group:g]\nprograms=m,n\n\
         [program:n]\ncommand=n\n[group:new]\nprograms=o\npriority=4\n[program:o]\ncommand=o\n[program:z]\ncommand=z2\n\
         [program:nowhere]\nstartsecs=1\n",
    )
    .unwrap();
    let expected = Journal {
        groups: [
            ("solo".to_string(), made(3, &[own("solo", &[("command", "s"), ("priority", "3")])])),
            (
                "g".to_string(),
                Rc::new(Note { is_made: false, priority: 999, programs: vec![own("n", &[("command", "n")])] }),
            ),
            ("new".to_string(), made(4, &[own("o", &[("command", "o")])])),
        ]
        .into(),
        amended: [
            ("program:w".to_string(), Rc::new(pairs(&[("numprocs", "2")]))),
            ("program:z".to_string(), Rc::new(pairs(&[("command", "z2")]))),
            ("program:nowhere".to_string(), Rc::new(pairs(&[("startsecs", "1")]))),
        ]
        .into(),
        gone: Gone::default(),
    };
    assert_eq!(journal, expected);
    let missing = "[group:q] names x, of which it has no section".to_string();
    assert_eq!(parse("[group:q]\nprograms=x\n"), Err(missing));
}

#[test]
fn one_part_that_cannot_hold_takes_no_other_along() {
    let files = "[supervisord]\n[stheno]\ndynamic_conf=/tmp/d\n[program:w]\ncommand=w\n[program:k]\ncommand=k\n";
    let journal = Journal {
        groups: [("g".to_string(), made(1, &[own("bad", &[]), own("good", &[("command", "x")])]))].into(),
        amended: [
            ("program:w".to_string(), Rc::new(pairs(&[("startsecs", "x")]))),
            ("program:k".to_string(), Rc::new(pairs(&[("startsecs", "5")]))),
            ("program:gone".to_string(), Rc::new(pairs(&[("startsecs", "5")]))),
        ]
        .into(),
        gone: Gone::default(),
    };
    let mut env = Fake::new();
    env.write("/tmp/d", journal.text(&document(files)).unwrap());
    let config = env.loader(files).load(&env).unwrap();
    let groups: Vec<_> = config.groups.iter().map(|group| (group.name.as_str(), group.processes.len())).collect();
    assert_eq!(groups, [("g", 1), ("k", 1), ("w", 1)]);
    assert_eq!(config.groups[1].processes[0].program.startsecs, 5);
    let expected = [
        "The options set at run time for [program:gone] are left out: no file has that section any more",
        "The options set at run time for [program:w] are left out: startsecs: expected a whole number, not 'x' in section \
         'program:w' (file: 'F')",
        "The program bad of group g, added at run time, is left out: program section program:bad does not specify a \
         command in section 'program:bad' (file: '/tmp/d')",
    ];
    assert_eq!(config.warnings, expected);
}

#[test]
fn groups_have_for_supervisor_what_is_left_of_them() {
    let base = document(
        "[group:g1]\nprograms=a,b\n[group:g2]\nprograms=a\npriority=4\n[program:a]\n[program:b]\n[program:c]\n",
    );
    let gone = |groups: &[&str], programs: &[[&str; 2]]| Gone {
        groups: groups.iter().map(|name| name.to_string()).collect(),
        programs: programs.iter().map(|program| program.map(str::to_string)).collect(),
        ..Gone::default()
    };
    let late = || own("late", &[("command", "l")]);
    let rows = [
        // Both have lost a: it has no processes, but must not be a group of its own.
        (gone(&[], &[["g1", "a"], ["g2", "a"]]), None, "[program:a]\nnumprocs=0\n"),
        (gone(&[], &[["g1", "a"]]), None, "[group:g1]\nprograms=b\n[stheno:dynamic]\npruned=g1\n"),
        (gone(&[], &[["g2", "a"]]), None, "[group:g2]\nprograms=\n[stheno:dynamic]\npruned=g2\n"),
        (gone(&[], &[["g1", "a"]]), Some(("g1", added(&[late()]))), "[group:g1]\nprograms=b,late\n[program:late]\n"),
        (gone(&["g1"], &[]), None, "[group:g1]\nprograms=b\n[program:b]\nnumprocs=0\n"),
        // Made anew it has only what was added since; b, which nobody has, does no harm.
        (gone(&["g1"], &[]), Some(("g1", made(3, &[late()]))), "[group:g1]\nprograms=b,late\npriority=3\n"),
        (gone(&["g2"], &[]), Some(("g2", made(3, &[late()]))), "[group:g2]\nprograms=late\npriority=3\n"),
        (gone(&["c"], &[]), Some(("c", made(3, &[late()]))), "[group:c]\nprograms=c,late\npriority=3\n"),
    ];
    for (gone, note, expected) in rows {
        let groups = note.into_iter().map(|(name, note)| (name.to_string(), note)).collect();
        let text = body(&Journal { groups, gone, ..Journal::default() }, &base);
        assert!(text.starts_with(expected), "{expected}: {text}");
    }
}

#[test]
fn a_program_that_somebody_edited_away_is_named() {
    let journal = Journal {
        groups: [
            ("d".to_string(), made(1, &[own("p", &[("command", "p")]), own("q", &[("command", "q")])])),
            ("files".to_string(), added(&[own("late", &[("command", "l")])])),
        ]
        .into(),
        gone: Gone { groups: names(["h"]).into(), ..Gone::default() },
        ..Journal::default()
    };
    let text = journal.text(&document(FILES)).unwrap();
    let edited = text.replace("[program:q]\ncommand=q\n", "");
    let said = |text: &str, files: &str| Journal::read(text, "J", &document(files)).unwrap().1;
    let expected = ["[group:d] of the changes made at run time names q, of which it has no section"];
    assert_eq!(said(&edited, FILES), expected);
    assert_eq!(said(&text, FILES), Vec::<String>::new());
    // What the files lose is another matter.
    assert_eq!(said(&text, ""), Vec::<String>::new());
    let mut env = Fake::new();
    env.write("/tmp/d", edited);
    let config = env.loader("[supervisord]\n[stheno]\ndynamic_conf=/tmp/d\n").load(&env).unwrap();
    assert_eq!(config.warnings[..1], expected);
}

#[test]
fn a_file_without_a_directory_is_told_at_once() {
    let warnings = |path: &str| {
        let mut env = Fake::new();
        let mut loader = env.loader(&format!("[supervisord]\n[stheno]\ndynamic_conf={path}\n"));
        loader.load(&env).unwrap().warnings
    };
    assert_eq!(warnings("/tmp/d"), Vec::<String>::new());
    let expected = "Changes made at run time cannot be kept in \"/nowhere/d\", and are refused: there is no directory \
                    for it";
    assert_eq!(warnings("/nowhere/d"), [expected]);
}

#[test]
fn plain_names() {
    for name in ["a", "a.b-c_1", "é", "a;b"] {
        assert!(is_plain(name), "{name:?}");
    }
    for name in ["", "a b", "a:b", "a]b", ";a", "#a", "a,b", "a\nb", "a%b"] {
        assert!(!is_plain(name), "{name:?}");
    }
}

#[test]
fn a_file_written_by_hand_means_the_same_when_the_others_get_its_program() {
    let hand = "[program:h]\ncommand=a\n[group:g]\nprograms=h\n[program:w]\ncommand=b\n";
    for base in ["[program:w]\ncommand=w\n", "[program:w]\ncommand=w\n[program:h]\ncommand=h\n"] {
        let journal = Journal::parse(hand, "J", &document(base)).unwrap();
        assert_eq!(journal.groups, [("g".to_string(), made(999, &[own("h", &[("command", "a")])]))].into(), "{base}");
        let amended = [("program:w".to_string(), Rc::new(pairs(&[("command", "b")])))];
        assert_eq!(journal.amended, amended.into(), "{base}");
    }
    // For a member of its group it goes on where the others end.
    let base = document("[group:g]\nprograms=h\n[program:h]\ncommand=h\n");
    let journal = Journal::parse("[program:h]\ncommand=a\n[group:g]\nprograms=h\n", "J", &base).unwrap();
    assert_eq!(journal.amended.keys().collect::<Vec<_>>(), ["program:h"]);
}
