//! What each change means for the file that keeps it.

use crate::daemon::change::{Addition, Change};
use crate::daemon::testing::{World, assert_survives};

/// A group of the files with two programs, and a program alone, none of which runs.
const TEXT: &str = "[program:a]\ncommand=a\nautostart=false\n[program:b]\ncommand=b\nautostart=false\nnumprocs=2\n\
    process_name=b%(process_num)d\n[group:g]\nprograms=a,b\n[program:solo]\ncommand=s\nautostart=false\n\
    [stheno]\nmutation=true\ndynamic_conf=/tmp/dyn.conf\n";

/// A change in a word or three: `new G`, `drop G`, `add G P`, `take G P` a process, `lose G P` a program.
fn change(world: &mut World, words: &str) -> Change {
    let words: Vec<String> = words.split(' ').map(str::to_string).collect();
    let one = |at: usize| words[at].clone();
    match words[0].as_str() {
        "new" => Change::NewGroup { name: one(1), priority: 5 },
        "drop" => Change::DropGroup(one(1)),
        "take" => Change::RemoveProcess { group: one(1), process: one(2) },
        "lose" => Change::RemoveProgram { group: one(1), program: one(2) },
        _ => {
            let options = vec![("command".to_string(), "c".to_string()), ("autostart".into(), "false".into())];
            let begun = world.daemon.begin_program(&words[1], &words[2], &options, &mut world.host);
            let mut drawn = begun.unwrap();
            while world.daemon.expand_program(&mut drawn, 9, &mut world.host).unwrap() {}
            let processes = drawn.into_processes();
            Change::AddProgram(Addition {
                group: one(1),
                create: None,
                program: one(2),
                instance: None,
                options,
                processes,
            })
        }
    }
}

#[test]
fn what_is_kept_of_each_change_and_that_it_comes_back() {
    // Changes one after another; lines that the file then has, without comments; `None` for no file's text at all.
    let rows: &[(&str, Option<&[&str]>)] = &[
        ("new n", Some(&["[group:n]", "priority = 5"])),
        ("new n, drop n", None),
        ("new n, add n p", Some(&["[group:n]", "[program:p]", "command = c", "programs = p"])),
        ("new n, add n p, take n p", Some(&["[group:n]"])),
        ("add g p", Some(&["[program:p]", "command = c"])),
        ("add g p, lose g p", None),
        ("take g b0", Some(&[])),
        ("take g b0, take g b1", Some(&[])),
        ("lose g a", Some(&[])),
        ("lose g a, add g a", Some(&["command = c"])),
        ("drop solo", Some(&[])),
        ("drop solo, new solo", Some(&["[group:solo]"])),
        ("drop g", Some(&[])),
    ];
    for (changes, expected) in rows {
        let mut world = World::new(TEXT);
        for words in changes.split(", ") {
            let change = change(&mut world, words);
            assert_eq!(world.change(&change), Ok(()), "{changes}: {words}");
            assert_survives(&world.daemon, &mut world.host, &format!("{changes}: {words}"));
        }
        let text = world.daemon.dynamic.text().unwrap();
        assert_eq!(text.is_empty(), expected.is_none(), "{changes}: {text}");
        for line in expected.iter().copied().flatten() {
            assert!(
                text.lines().any(|other| other.replace('=', " = ").replace("  ", " ") == *line),
                "{changes}: no {line} in\n{text}"
            );
        }
    }
}
