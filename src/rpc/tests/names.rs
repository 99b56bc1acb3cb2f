//! Names that meet: programs of one name in several groups, in the files and at run time.

use super::super::Outcome;
use super::super::testing::{KEPT, World, options, params};
use super::{GROUP, fault, quiet};
use crate::wire::value::Value;

fn command(world: &World, name: &str) -> String {
    let id = world.daemon.roster.find_process(name).unwrap_or_else(|| panic!("{name}: {:?}", world.groups()));
    world.daemon.roster.process(id).map(|process| process.config.command.clone()).unwrap_or_default()
}

fn runs(what: &str) -> Value {
    quiet(&[("command", what)])
}

#[test]
fn programs_of_one_name_in_two_groups_share_nothing() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    for group in ["R", "Q"] {
        world.ok("stheno.addGroup", params![group]);
        world.ok("stheno.addProgram", params![group, "p", runs(group)]);
    }
    world.ok("stheno.setNumprocs", params!["p", 0]);
    world.ok("stheno.removeProgram", params!["Q", "p"]);
    world.assert_survives("removed from Q");
    assert!(world.daemon.has_program("R", "p") && !world.daemon.has_program("Q", "p"));
    world.restart();
    world.ok("stheno.setNumprocs", params!["p", 1]);
    assert_eq!(command(&world, "R:p"), "R");
}

#[test]
fn a_removed_process_group_keeps_its_programs_in_the_file() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    for (group, what) in [("D0", "one"), ("D5", "two")] {
        world.ok("stheno.addGroup", params![group]);
        world.ok("stheno.addProgram", params![group, "p", runs(what)]);
        if group == "D0" {
            world.ok("supervisor.removeProcessGroup", params!["D0"]);
        }
    }
    world.ok("supervisor.addProcessGroup", params!["D0"]);
    world.assert_survives("added again");
    world.ok("stheno.removeGroup", params!["D5"]);
    world.assert_survives("the other one is removed");
    assert_eq!(command(&world, "D0:p"), "one");
    // Also where the files have a group of that name, which was removed before.
    for call in ["stheno.removeGroup", "stheno.addGroup"] {
        world.ok(call, params!["g"]);
    }
    world.ok("stheno.addProgram", params!["g", "a", runs("mine")]);
    for call in ["supervisor.removeProcessGroup", "supervisor.addProcessGroup"] {
        world.ok(call, params!["g"]);
    }
    world.assert_survives("one that the files have");
    assert_eq!(command(&world, "g:a"), "mine");
    // Inactive, it is configured all the same, as a group of the files would be.
    world.ok("supervisor.removeProcessGroup", params!["D0"]);
    world.restart();
    assert_eq!((command(&world, "D0:p").as_str(), command(&world, "g:a").as_str()), ("one", "mine"));
}

#[test]
fn a_program_called_like_one_of_the_files_keeps_its_name() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    world.ok("stheno.addGroup", params!["R"]);
    world.ok("stheno.addProgram", params!["R", "b", runs("x")]);
    for round in ["first", "second"] {
        world.restart();
        world.ok("stheno.updateProgram", params!["R", "b", options(&[("command", round)])]);
        assert_eq!((command(&world, "R:b").as_str(), command(&world, "b").as_str()), (round, "b"));
        world.assert_survives(round);
    }
    world.restart();
    world.ok("stheno.removeProgram", params!["R", "b"]);
    world.assert_survives("removed");
    assert_eq!(world.groups(), ["R 999:", "b 999: b", "g 999: a"]);
}

#[test]
fn a_group_has_each_program_once() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    let other = || quiet(&[("process_name", "other")]);
    for (group, program) in [("g", "a"), ("b", "b")] {
        for method in ["stheno.addProgram", "twiddler.addProgramToGroup", "grace.addProgramToGroup"] {
            let text = fault(&mut world, method, params![group, program, other()]);
            assert_eq!(text, format!("BAD_NAME: {program}"), "{method}");
        }
    }
    world.ok("stheno.addProgram", params!["g", "n", other()]);
    assert_eq!(fault(&mut world, "stheno.addProgram", params!["g", "n", quiet(&[])]), "BAD_NAME: n");
    // supervisor_loader counts on past it.
    let two = quiet(&[("numprocs", "2"), ("process_name", "%(program_name)s_%(process_num)d")]);
    world.ok("stheno.addProgram", params!["g", "w_1", two]);
    assert_eq!(world.ok("loader.addProgramToGroup", params!["g", "w", quiet(&[])]), "w_2".into());
    world.assert_survives("once");
    // Without [stheno] nothing is kept, and only processes have names to be taken.
    let mut world = World::new(GROUP);
    world.ok("twiddler.addProgramToGroup", params!["g", "a", other()]);
}

#[test]
fn a_program_without_processes_can_be_removed() {
    for kept in ["[stheno]\nmutation=true\n", KEPT] {
        let mut world = World::new(&format!("{GROUP}{kept}"));
        world.ok("stheno.addProgram", params!["g", "n", quiet(&[])]);
        for program in ["n", "a"] {
            world.ok("stheno.setNumprocs", params![program, 0]);
            world.ok("stheno.removeProgram", params!["g", program]);
            assert_eq!(
                fault(&mut world, "stheno.removeProgram", params!["g", program]),
                format!("BAD_NAME: {program}")
            );
        }
        assert_eq!(world.groups(), ["b 999: b", "g 999:"]);
        if kept == KEPT {
            world.assert_survives("removed");
        }
        world.ok("stheno.addProgram", params!["g", "a", runs("new")]);
        assert_eq!(command(&world, "g:a"), "new");
    }
}

#[test]
fn a_group_of_the_files_follows_their_priority() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    world.ok("stheno.addProgram", params!["g", "n", quiet(&[])]);
    world.ok("stheno.addProgram", params!["b", "n", quiet(&[])]);
    world.write(&format!("{}priority=7\n{KEPT}", GROUP.replace("programs=a\n", "programs=a\npriority=5\n")));
    world.ok("stheno.update", &[]);
    for _ in 0..2 {
        assert_eq!(world.groups(), ["b 7: b n", "g 5: a n"]);
        world.ok("stheno.addProgram", params!["g", "late", quiet(&[])]);
        world.ok("stheno.removeProgram", params!["g", "late"]);
        world.restart();
    }
    // Once they have it no more, it is as it was when something was last added.
    world.write(KEPT);
    world.restart();
    assert_eq!(world.groups(), ["b 999: n", "g 5: n"]);
}

#[test]
fn what_was_made_at_run_time_hides_what_the_files_get_later() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    world.ok("stheno.addGroup", params!["D", 3]);
    world.ok("stheno.addProgram", params!["D", "p", runs("mine")]);
    world.ok("stheno.addProgram", params!["g", "q", runs("mine")]);
    let more = "[group:D]\nprograms=x\n[program:x]\ncommand=x\n[program:q]\ncommand=theirs\nautostart=false\n";
    world.write(&format!("{}{more}{KEPT}", GROUP.replace("programs=a\n", "programs=a,q\n")));
    for _ in 0..2 {
        world.ok("stheno.update", &[]);
        assert_eq!(world.groups(), ["D 3: p", "b 999: b", "g 999: a q"]);
        assert_eq!((command(&world, "D:p").as_str(), command(&world, "g:q").as_str()), ("mine", "mine"));
        assert_eq!(
            world.daemon.config.warnings,
            [
                "The group D was made at run time, and what the files say of that name does not count before it is \
                 removed",
                "The process q of program q in group g is left out: a program that was added at run time has one of \
                 that name",
            ]
        );
        world.restart();
    }
    // Nobody has spoken of what the files say, so that it counts once what hides it is removed.
    world.ok("stheno.removeGroup", params!["D"]);
    world.ok("stheno.removeProgram", params!["g", "q"]);
    world.ok("stheno.update", &[]);
    for _ in 0..2 {
        assert_eq!(world.groups(), ["D 999: x", "b 999: b", "g 999: a q"]);
        assert_eq!(command(&world, "g:q"), "theirs");
        world.assert_survives("removed");
        world.restart();
    }
    // Then it is theirs that a removal means.
    world.ok("stheno.removeGroup", params!["D", true]);
    world.ok("stheno.update", &[]);
    assert_eq!(world.groups(), ["b 999: b", "g 999: a q"]);
}

#[test]
fn calls_about_what_another_call_still_changes_are_refused() {
    const PAIR: &str = "[group:r]\nprograms=r,s\n[program:r]\ncommand=r\nnumprocs=2\n\
                        process_name=%(program_name)s_%(process_num)d\n[program:s]\ncommand=s\n";
    let none: &[&str] = &[];
    let rows: &[(&str, &[Value], &str, &[&str])] = &[
        ("stheno.setNumprocs", params!["r", 1], "program r of group r", &["r 999: r_0 s n"]),
        ("stheno.removeProgram", params!["r", "r"], "program r of group r", &["r 999: s n"]),
        ("stheno.removeGroup", params!["r", true], "group r", none),
    ];
    for (method, params, what, groups) in rows {
        let mut world = World::new(&format!("{PAIR}{KEPT}"));
        world.pass(std::time::Duration::from_secs(2));
        let Ok(Outcome::Deferred(mut deferred)) = world.begin(method, params) else { panic!("{method}") };
        let refused = format!("FAILED: {what} is being changed by {method}, which is not done yet");
        let calls: &[(&str, &[Value])] = &[
            ("stheno.setNumprocs", params!["r", 3]),
            ("stheno.setNumprocs", params!["r", 2]),
            ("stheno.removeProgram", params!["r", "r"]),
            ("stheno.addProgram", params!["r", "r", quiet(&[("process_name", "new")])]),
            ("stheno.updateProgram", params!["r", "r", options(&[("startsecs", "3")])]),
            ("stheno.removeGroup", params!["r", true]),
            ("stheno.addGroup", params!["r"]),
            ("twiddler.removeProcessFromGroup", params!["r", "r_0"]),
        ];
        for (call, params) in calls {
            assert_eq!(fault(&mut world, call, params), refused, "{method}, {call}");
        }
        // What has nothing to do with it is possible, unless the whole group goes.
        let add = world.call("stheno.addProgram", params!["r", "n", quiet(&[])]);
        assert_eq!(add.is_ok(), !groups.is_empty(), "{method}: {add:?}");
        world.turn();
        let done = world.poll(&mut deferred, method).expect("it is done");
        assert_ne!(done.unwrap_or_else(|fault| panic!("{method}: {fault}")), Value::Bool(false), "{method}");
        assert_eq!(world.groups(), *groups, "{method}");
        world.assert_survives(method);
        // Afterwards nothing is in the way.
        let after = world.call("stheno.addGroup", params!["r"]);
        assert_eq!(after.is_ok(), groups.is_empty(), "{method}: {after:?}");
    }
}

#[test]
fn an_update_is_alone_in_the_groups_that_it_changes() {
    let conf = |a: &str| format!("[program:a]\ncommand={a}\n[program:c]\ncommand=c\n{KEPT}");
    let mut world = World::new(&conf("a"));
    world.pass(std::time::Duration::from_secs(2));
    world.write(&conf("a2"));
    let Ok(Outcome::Deferred(mut deferred)) = world.begin("stheno.update", &[]) else { panic!() };
    let refused = "FAILED: group a is being changed by stheno.update, which is not done yet";
    assert_eq!(fault(&mut world, "stheno.addProgram", params!["a", "n", quiet(&[])]), refused);
    assert_eq!(fault(&mut world, "stheno.update", &[]), refused);
    world.ok("stheno.addProgram", params!["c", "n", quiet(&[])]);
    let done = world.poll(&mut deferred, "stheno.update").expect("it is done");
    assert_ne!(done.unwrap_or_else(|fault| panic!("{fault}")), Value::Bool(false));
    world.ok("stheno.addProgram", params!["a", "n", quiet(&[])]);
    world.assert_survives("update");
}
