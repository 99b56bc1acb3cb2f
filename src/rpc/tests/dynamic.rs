//! Changes made at run time, and what becomes of them when the daemon or the files begin anew.

use super::super::testing::{KEPT, PATH, World, options, params};
use super::{GROUP, fault, quiet};
use crate::wire::value::Value;

#[test]
fn values_survive_a_restart() {
    let rows: &[(&'static str, &str)] = &[
        ("command", "sh -c \"echo a ; b # c 100%%\""),
        ("command", " ;x\n#y\n  z  "),
        ("command", "x %(here)s %(program_name)-5s| %(group_name)s %(host_node_name)s %(process_num)02d"),
        ("environment", "A=\"a ; b\",B='%%(x)s \"q\"',\n  C=\"1\n2\""),
        ("stdout_logfile", "/tmp/a%%%%b ;c.log"),
        ("Directory", "/tmp"),
        ("exitcodes", "0, 2"),
        ("stdout_logfile_maxbytes", "5 MB"),
        ("unknown key!", "\r"),
    ];
    for name in ["n", "a", "b"] {
        for (key, value) in rows {
            let mut world = World::new(&format!("[DEFAULT]\nstartsecs=9\n{GROUP}{KEPT}"));
            // Names of sections in the file are taken: they get others.
            world.ok("twiddler.addGroup", params!["dyn", 1]);
            let options = if *key == "command" { options(&[("command", value)]) } else { quiet(&[(key, value)]) };
            world.ok("twiddler.addProgramToGroup", params!["dyn", name, options]);
            world.assert_survives(&format!("{name} {key}={value:?}"));
        }
    }
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    let text = fault(&mut world, "twiddler.addProgramToGroup", params!["g", "n", quiet(&[("command", "a\rb")])]);
    assert!(text.starts_with("FAILED: the value of command holds a carriage return"), "{text}");
}

#[test]
fn groups_of_the_file_change_and_survive() {
    let more = "[program:shared]\ncommand=s\nautostart=false\n[group:one]\nprograms=shared\n[group:two]\n\
                programs=shared,w\npriority=5\n[program:w]\ncommand=w\nautostart=false\nnumprocs=3\n\
                process_name=w%(process_num)d\n[program:solo]\ncommand=solo\nautostart=false\npriority=3\n\
                [eventlistener:pool]\ncommand=l\nevents=TICK_5\nautostart=false\nnumprocs=2\n\
                process_name=%(program_name)s%(process_num)d\n";
    let remove = |group: &'static str, process: &'static str| ("twiddler.removeProcessFromGroup", vec![group, process]);
    let add = |group: &'static str, program: &'static str| ("twiddler.addProgramToGroup", vec![group, program]);
    let stories: &[&[(&str, Vec<&'static str>)]] = &[
        &[add("solo", "n"), add("solo", "solo2"), remove("solo", "solo")],
        &[add("two", "n"), remove("two", "w1"), remove("two", "w0"), remove("two", "w2"), add("two", "w1")],
        &[remove("two", "shared"), add("two", "shared"), remove("two", "shared"), remove("one", "shared")],
        &[("stheno.removeGroup", vec!["two"]), ("stheno.addGroup", vec!["two"]), add("two", "w"), add("two", "shared")],
        &[("stheno.removeGroup", vec!["solo"]), ("stheno.addGroup", vec!["solo"]), add("solo", "solo")],
        &[("stheno.removeGroup", vec!["one"]), ("stheno.removeGroup", vec!["two"]), ("stheno.addGroup", vec!["one"])],
        &[("stheno.removeGroup", vec!["two"]), ("stheno.addGroup", vec!["w"]), add("w", "w")],
        &[("stheno.removeProgram", vec!["two", "w"]), add("two", "w"), ("stheno.removeProgram", vec!["two", "w"])],
        &[remove("pool", "pool0"), ("stheno.removeGroup", vec!["pool"])],
        &[("stheno.addGroup", vec!["dyn"]), add("dyn", "w"), add("dyn", "n"), ("stheno.removeGroup", vec!["dyn"])],
        &[
            ("stheno.addGroup", vec!["dyn"]),
            add("dyn", "n"),
            remove("dyn", "n"),
            ("stheno.removeGroup", vec!["dyn"]),
            ("stheno.addGroup", vec!["dyn"]),
        ],
    ];
    for story in stories {
        let mut world = World::new(&format!("{GROUP}{more}{KEPT}"));
        for (index, (method, names)) in story.iter().enumerate() {
            let mut params: Vec<Value> = names.iter().map(|name| Value::from(*name)).collect();
            if *method == "twiddler.addProgramToGroup" {
                params.push(quiet(&[]));
            }
            world.ok(method, &params);
            let what = format!("{:?}", &story[..=index]);
            world.assert_survives(&what);
            let groups = world.groups();
            let mut other = World::new(&format!("{GROUP}{more}{KEPT}"));
            other.host.env = world.host.env.clone();
            other.restart();
            assert_eq!(other.groups(), groups, "{what}");
        }
        // What was changed once more after a restart is as what was changed without one.
        world.restart();
        world.ok("twiddler.addProgramToGroup", &["g".into(), "late".into(), quiet(&[])]);
        world.assert_survives("after a restart");
        world.ok("stheno.forget", &[]);
        world.restart();
        assert_eq!(world.groups(), World::new(&format!("{GROUP}{more}")).groups());
    }
}

#[test]
fn a_file_that_is_not_understood_is_left_alone() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    world.ok("twiddler.addGroup", params!["dyn", 1]);
    let good = world.host.env.files[PATH].clone();
    let add = |world: &mut World| fault(world, "twiddler.addGroup", params!["other", 1]);

    // Somebody edits it while we run.
    world.host.env.write(PATH, "[program:edited]\ncommand=x\n");
    assert!(add(&mut world).ends_with("was changed by somebody else; it is not overwritten before it is reread"));
    world.ok("supervisor.reloadConfig", &[]);
    world.ok("twiddler.addGroup", params!["other", 1]);
    let text = String::from_utf8(world.host.env.files[PATH].clone()).unwrap();
    assert!(text.contains("[program:edited]") && text.contains("[group:other]"), "{text}");

    // It is torn when we start.
    world.host.env.write(PATH, &good[..good.len() - 5]);
    world.restart();
    assert_eq!(world.groups(), ["b 999: b", "g 999: a"]);
    assert!(world.daemon.config.warnings[0].contains("are left out, and the file is not written to"));
    assert!(add(&mut world).contains("cannot be written before it is repaired or removed and read again"));
    for method in ["stheno.persist", "stheno.forget"] {
        assert!(fault(&mut world, method, &[]).starts_with("FAILED: /tmp/dyn.conf cannot be written"), "{method}");
    }
    // Calls that change nothing in it go on.
    world.ok("supervisor.startProcess", params!["b"]);
    world.ok("supervisor.stopProcess", params!["b"]);
    world.ok("supervisor.removeProcessGroup", params!["b"]);

    // Repaired, it holds again; the disk may be full.
    world.host.env.write(PATH, &good);
    world.ok("stheno.update", &[]);
    assert_eq!(world.groups(), ["b 999: b", "dyn 1:", "g 999: a"]);
    world.host.is_full = true;
    assert_eq!(add(&mut world), "FAILED: the change cannot be kept in /tmp/dyn.conf: ENOSPC");
    world.host.is_full = false;
    world.ok("twiddler.addGroup", params!["other", 1]);
    assert_eq!(world.ok("stheno.persist", &[]), PATH.into());

    // Removed, it is forgotten at the next reread.
    world.host.env.files.remove(PATH);
    world.ok("stheno.update", &[]);
    assert_eq!(world.groups(), ["b 999: b", "g 999: a"]);
    assert_eq!(world.ok("stheno.dynamic", &[]).member("text"), Some(&"".into()));
}

#[test]
fn without_a_file_changes_are_gone() {
    let mut world = World::new(&format!("{GROUP}[stheno]\n"));
    world.ok("twiddler.addGroup", params!["dyn", 1]);
    world.ok("twiddler.addProgramToGroup", params!["g", "n", quiet(&[])]);
    let text = world.daemon.dynamic.text().unwrap();
    assert!(text.contains("[group:dyn]") && text.contains("[group:g]\nprograms=a,n\n"), "{text}");
    assert_eq!(fault(&mut world, "stheno.persist", &[]), "FAILED: no dynamic_conf is configured in [stheno]");
    world.ok("stheno.update", &[]);
    assert_eq!(world.groups(), ["b 999: b", "g 999: a"]);
    assert_eq!(world.daemon.dynamic.text(), Ok(String::new()));
    assert_eq!(world.host.replaced, 0);
}

#[test]
fn changes_survive_an_edit_of_the_files() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    world.ok("stheno.addGroup", params!["dyn", 1]);
    world.ok("stheno.addProgram", &["dyn".into(), " p ".into(), quiet(&[("process_name", " q ")])]);
    world.ok("stheno.addProgram", &["b".into(), "extra".into(), quiet(&[])]);
    world.ok("stheno.setNumprocs", params!["b", 0]);
    // b has got another name, and the group g another member.
    world.write(&format!(
        "[program:c]\ncommand=c\n[group:g]\nprograms=a,d\n[program:a]\ncommand=a\n[program:d]\ncommand=d\n{KEPT}"
    ));
    for _ in 0..2 {
        world.restart();
        assert_eq!(world.groups(), ["b 999: extra", "c 999: c", "dyn 1: q", "g 999: a d"]);
    }
}

#[test]
fn a_file_torn_while_we_run_changes_nothing() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    world.ok("stheno.addGroup", params!["dyn", 1]);
    let good = world.host.env.files[PATH].clone();
    world.host.env.write(PATH, &good[..good.len() - 5]);
    world.ok("supervisor.reloadConfig", &[]);
    let groups = world.groups();
    world.ok("stheno.update", params![]);
    assert_eq!(world.groups(), groups);
    // It is repaired.
    world.host.env.write(PATH, &good[..]);
    world.ok("stheno.update", params![]);
    assert_eq!(world.groups(), groups);
    world.assert_survives("repaired");
}

#[test]
fn the_file_of_changes_may_be_included_as_well() {
    let mut world = World::new(&format!("[include]\nfiles=/tmp/*.conf\n{GROUP}{KEPT}"));
    world.ok("stheno.addGroup", params!["dyn", 1]);
    world.ok("stheno.addProgram", &["dyn".into(), "p".into(), quiet(&[])]);
    world.restart();
    assert_eq!(world.groups(), ["b 999: b", "dyn 1: p", "g 999: a"]);
    world.ok("stheno.removeGroup", params!["dyn", true]);
    world.restart();
    assert_eq!(world.groups(), ["b 999: b", "g 999: a"]);
}

#[test]
fn the_file_means_the_same_to_supervisor() {
    let mut world = World::new(&format!("[DEFAULT]\nstartsecs=9\n{KEPT}"));
    world.ok("twiddler.addGroup", params!["dyn", 1]);
    let rows =
        ["a", "%(here)s/x", "%%(here)s", "%%%(here)s %%%%(here)s", " ; # %(program_name)s %(group_name)s", "a\n  b"];
    for (index, value) in rows.iter().enumerate() {
        let command = format!("x {value}");
        let all = options(&[("command", &command), ("directory", "%(here)s"), ("autostart", "false")]);
        world.ok("twiddler.addProgramToGroup", &["dyn".into(), format!("p{index}").into(), all]);
    }
    // Without [stheno] the file is one that is included, as Supervisor reads it; it lies elsewhere than the main file.
    let mut env = world.host.env.clone();
    let included = env.loader("[supervisord]\n[include]\nfiles=/tmp/dyn.conf\n").load(&env).unwrap();
    let id = world.daemon.roster.group_named("dyn").unwrap();
    let active = world.daemon.roster.group(id).unwrap();
    assert!(active.config.same_as(&included.groups[0]), "{:#?}\n{:#?}", active.config, included.groups);
    assert_eq!(active.config.processes[1].command, "x /base/x");
    assert_eq!(active.config.processes[2].command, "x %(here)s");
}

#[test]
fn something_else_in_the_place_of_the_file_is_left_alone() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    world.host.env.dirs.insert(PATH.to_string());
    world.restart();
    assert!(world.daemon.config.warnings[0].ends_with("read again: it is no regular file"));
    let text = fault(&mut world, "stheno.addGroup", params!["dyn"]);
    assert!(text.ends_with("removed and read again: it is no regular file"), "{text}");
}

#[test]
fn the_file_of_changes_follows_the_other_files() {
    let text = |world: &World| String::from_utf8(world.host.env.files[PATH].clone()).unwrap();
    // What the file holds after the others were edited, and not before.
    let rows: &[(&str, &str)] = &[
        ("[program:k]\ncommand=k\n", "[stheno:program:b]\nnumprocs=0\n"),
        (
            "[group:g]\nprograms=a,x\n[program:a]\ncommand=a\n[program:x]\ncommand=x\n",
            "[group:g]\nprograms=a,x,extra\n",
        ),
        ("[program:p]\ncommand=file\n", "[group:dyn]\nprograms=dyn_p\n"),
    ];
    for by in ["supervisor.reloadConfig", "stheno.update", "restart"] {
        for (files, expected) in rows {
            let mut world = World::new(&format!("{GROUP}{KEPT}"));
            world.ok("stheno.setNumprocs", params!["b", 0]);
            world.ok("stheno.addProgram", &["g".into(), "extra".into(), quiet(&[])]);
            world.ok("stheno.addGroup", params!["dyn", 1]);
            world.ok("stheno.addProgram", &["dyn".into(), "p".into(), quiet(&[])]);
            assert!(!text(&world).contains(expected), "{expected}");
            world.write(&format!("{files}{KEPT}"));
            // Nothing but a warning if it cannot be written.
            world.host.is_full = true;
            let load = |world: &mut World| match by {
                "restart" => world.restart(),
                _ => drop(world.ok(by, &[])),
            };
            load(&mut world);
            assert!(!text(&world).contains(expected), "{expected}");
            world.host.is_full = false;
            load(&mut world);
            assert!(text(&world).contains(expected), "{by} {expected}: {}", text(&world));
            let said = world.ok("stheno.dynamic", &[]);
            assert_eq!(said.member("text"), Some(&Value::from(text(&world))));
            let replaced = world.host.replaced;
            load(&mut world);
            assert_eq!(world.host.replaced, replaced, "{by} {expected}");
        }
    }
    // So is one that somebody edited, but not if he has to mend it.
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    world.ok("stheno.addGroup", params!["dyn", 1]);
    for (edit, expected) in [("priority=2\nprograms=\n", "programs=\npriority=2\n"), ("programs=q\n", "programs=q\n")] {
        let edited = text(&world).split_once("programs=").map(|(head, _)| head.to_string()).unwrap();
        let rest = "[stheno:dynamic]\n; end of dynamic changes\n";
        world.host.env.write(PATH, format!("{edited}{edit}{rest}"));
        world.restart();
        assert!(text(&world).contains(expected), "{edit}: {}", text(&world));
    }
    // One that was written by hand stays as it is up to the next change.
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    let hand = "; by hand\n[program:w]\ncommand=w\n";
    world.host.env.write(PATH, hand);
    world.restart();
    assert_eq!(text(&world), hand);
    world.ok("stheno.addGroup", params!["dyn", 1]);
    assert!(text(&world).contains("[program:w]\ncommand=w\n"));
}

#[test]
fn a_program_that_was_left_out_can_have_no_processes() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    world.host.env.dirs.insert("/logs".to_string());
    world.ok("stheno.addGroup", params!["dyn", 1]);
    let more = quiet(&[("stdout_logfile", "/logs/p"), ("process_name", "%(program_name)s%(process_num)d")]);
    world.ok("stheno.addProgram", &["dyn".into(), "p".into(), more]);
    world.host.env.dirs.remove("/logs");
    world.restart();
    assert_eq!(world.daemon.config.warnings.len(), 1);
    for _ in 0..2 {
        world.ok("stheno.setNumprocs", params!["p", 0]);
        let own = world.daemon.dynamic.journal().own("dyn", "p").unwrap();
        assert!(own.options.contains(&("numprocs".to_string(), "0".to_string())), "{own:?}");
        world.assert_survives("no processes");
        world.restart();
    }
    assert_eq!(world.daemon.config.warnings, Vec::<String>::new());
}

#[test]
fn an_option_that_nobody_reads_is_named() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    let options = || quiet(&[("autostrat", "false")]);
    let rows =
        [("stheno.addProgram", params!["g", "n", options()]), ("stheno.updateProgram", params!["g", "a", options()])];
    for (method, params) in rows {
        let text = fault(&mut world, method, params);
        assert_eq!(text, "INCORRECT_PARAMETERS: unknown option autostrat, did you mean autostart?", "{method}");
    }
    // Options of plug-ins are none of ours; and who speaks twiddler's language is served as by it.
    world.ok("stheno.addProgram", params!["g", "n", quiet(&[("dependent_startup", "true")])]);
    world.ok("twiddler.addProgramToGroup", params!["g", "m", options()]);
}

#[test]
fn no_process_is_called_so_that_nobody_finds_it() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    for (name, what) in [("%(here)s", "'/base'"), ("x%(process_num)d%(here)s", "'x0/base'")] {
        let params = ["g".into(), "n".into(), quiet(&[("process_name", name)])];
        let text = fault(&mut world, "stheno.addProgram", &params);
        assert_eq!(
            text,
            format!("INCORRECT_PARAMETERS: process_name stands for {what}, which no process may be called")
        );
    }
    assert_eq!(world.groups(), ["b 999: b", "g 999: a"]);
}
