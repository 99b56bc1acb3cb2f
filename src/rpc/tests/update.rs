//! Mutations that take their time.

use std::time::Duration;

use super::super::testing::{KEPT, World, options, params};
use super::super::{Deferred, Outcome};
use super::{fault, quiet};
use crate::wire::value::Value;

fn texts(value: &Value, member: &str) -> Vec<String> {
    let Some(Value::Array(items)) = value.member(member) else { panic!("{value:?}") };
    items.iter().filter_map(|item| item.as_str().map(str::to_string)).collect()
}

/// What an update says of processes: `g:a restarted 80`.
fn processes(value: &Value) -> Vec<String> {
    let Some(Value::Array(items)) = value.member("processes") else { panic!("{value:?}") };
    let text = |item: &Value, name: &str| item.member(name).and_then(Value::as_str).unwrap_or_default().to_string();
    let describe = |item: &Value| {
        let Some(Value::Int(status)) = item.member("status") else { panic!() };
        format!("{}:{} {} {status}", text(item, "group"), text(item, "name"), text(item, "action"))
    };
    items.iter().map(describe).collect()
}

/// O-1: what a group is to depend on from now on its members depend on, though nothing of them has changed.
#[test]
fn what_a_group_depends_on_is_taken_over() {
    let conf = |more: &str| {
        format!(
            "[group:g]\nprograms=a\n{more}[program:a]\ncommand=a\nautostart=false\n\
             [program:b]\ncommand=b\nautostart=false\n"
        )
    };
    let mut world = World::new(&conf(""));
    let a = world.daemon.roster.find_process("g:a").unwrap();
    for (more, waits) in [("", false), ("depends_on=b\n", true), ("", false)] {
        world.write(&conf(more));
        world.ok("stheno.update", &[]);
        assert_eq!(world.daemon.wait_to_start(a, world.now), waits, "{more}");
        world.daemon.give_up_wait(a, world.now);
    }
}

/// The last that depends on anything is removed while all is stopped in order: the end comes all the same.
#[test]
fn an_end_in_order_ends_without_what_it_went_by() {
    let mut world = World::new("[program:a]\ncommand=a\n[program:b]\ncommand=b\nautostart=false\ndepends_on=a\n");
    world.pass(Duration::from_secs(2));
    world.daemon.request_restart(&mut world.host).unwrap();
    world.daemon.shutdown_step(world.now, &mut world.host);
    world.ok("twiddler.removeProcessFromGroup", params!["b", "b"]);
    world.turn();
    world.daemon.shutdown_step(world.now, &mut world.host);
    assert!(world.host.children.is_empty() && world.daemon.finished());
}

/// V-460: nobody waits to start what is disabled.
#[cfg(feature = "fleet")]
#[test]
fn what_is_disabled_waits_for_nothing() {
    let mut world =
        World::new("[program:a]\ncommand=a\nautostart=false\n[program:b]\ncommand=b\nautostart=false\ndepends_on=a\n");
    let [a, b] = ["a", "b"].map(|name| world.daemon.roster.find_process(name).unwrap());
    assert!(world.daemon.wait_to_start(b, world.now));
    // It waits already when it is disabled.
    world.daemon.mark(b, |marks| marks.is_disabled = true);
    world.daemon.start_process(a, world.now, &mut world.host);
    world.pass(Duration::from_secs(2));
    assert!(!world.daemon.is_waiting(b));
    world.ok("supervisor.stopProcess", params!["a"]);
    assert!(!world.daemon.wait_to_start(b, world.now));
    world.ok("supervisor.startAllProcesses", &[]);
}

#[test]
fn update_touches_only_what_differs() {
    let conf = |a: &str, b: &str, more: &str| {
        format!(
            "[group:g]\nprograms=a,b\n[program:a]\ncommand={a}\n[program:b]\ncommand={b}\n[program:same]\ncommand=s\n\
             {more}"
        )
    };
    let mut world = World::new(&conf("a", "b", "[program:old]\ncommand=old\n"));
    world.pass(Duration::from_secs(2));
    let before = world.host.children.clone();
    world.write(&conf("a", "b2", "[program:new]\ncommand=new\n"));
    let Ok(Outcome::Deferred(mut deferred)) = world.begin("stheno.update", &[]) else { panic!() };
    assert!(world.poll(&mut deferred, "stheno.update").is_none());
    assert_eq!(world.groups(), ["g 999: a b", "old 999: old", "same 999: same"]);
    world.turn();
    let answer = world.poll(&mut deferred, "stheno.update").unwrap().unwrap();
    world.turn();
    assert_eq!((texts(&answer, "added"), texts(&answer, "changed")), (vec!["new".into()], vec!["g".into()]));
    assert_eq!(texts(&answer, "removed"), ["old"]);
    assert_eq!(processes(&answer), ["old:old removed 80", "g:b restarted 80", "new:new added 80"]);
    assert_eq!(world.groups(), ["g 999: a b", "new 999: new", "same 999: same"]);
    let kept: Vec<_> = before.iter().filter(|(pid, _)| world.host.children.contains_key(pid)).collect();
    assert_eq!(kept.iter().map(|(_, command)| command.as_str()).collect::<Vec<_>>(), ["a", "s"]);
    assert_eq!(world.host.children.len(), 4);

    // All or nothing.
    world.write(&conf("a3", "b3", "[program:new]\n"));
    assert!(fault(&mut world, "stheno.update", &[]).starts_with("CANT_REREAD: "));
    world.write(&conf("a3", "b3", ""));
    let names = |names: &[&'static str]| Value::Array(names.iter().map(|name| Value::from(*name)).collect());
    assert_eq!(fault(&mut world, "stheno.update", &[names(&["g", "nope"])]), "BAD_NAME: nope");
    let answer = world.ok("stheno.update", &[names(&["new"])]);
    assert_eq!(processes(&answer), ["new:new removed 80"]);
    assert_eq!(processes(&world.ok("stheno.update", &[names(&["all"])])), ["g:a restarted 80", "g:b restarted 80"]);
    assert_eq!(processes(&world.ok("stheno.update", &[])), Vec::<String>::new());
}

#[test]
fn update_waits_for_the_stubborn_and_ends_with_the_daemon() {
    let mut world = World::new("[program:a]\ncommand=a\n");
    world.pass(Duration::from_secs(2));
    world.host.is_deaf = true;
    world.write("[program:a]\ncommand=b\n");
    let Ok(Outcome::Deferred(mut deferred)) = world.begin("stheno.update", &[]) else { panic!() };
    for _ in 0..5 {
        world.pass(Duration::from_secs(30));
        assert!(world.poll(&mut deferred, "stheno.update").is_none());
    }
    assert!(matches!(deferred, Deferred::Update(_)));
    world.daemon.request_shutdown();
    assert_eq!(world.poll(&mut deferred, "stheno.update"), Some(Err("SHUTDOWN_STATE".to_string())));
}

const WORKERS: &str = "[group:g]\nprograms=w,other\n[program:w]\ncommand=w %(process_num)d\nnumprocs=3\n\
                       process_name=w%(process_num)d\n[program:other]\ncommand=other\n";

#[test]
fn a_program_gets_other_options() {
    for restart in ["never", "changed", "rolling"] {
        let mut world = World::new(&format!("{WORKERS}{KEPT}"));
        world.pass(Duration::from_secs(2));
        world.ok("supervisor.stopProcess", params!["g:w2"]);
        let before = world.host.children.clone();
        let change = options(&[("command", "w2 %(process_num)d"), ("stopwaitsecs", "3")]);
        let answer = world.ok("stheno.updateProgram", params!["g", "w", change, restart]);
        assert_eq!(texts(&answer, "changed"), ["g"]);
        let restarted = processes(&answer).iter().filter(|line| line.contains("restarted 80")).count();
        assert_eq!(restarted, if restart == "never" { 0 } else { 2 }, "{restart}: {answer:?}");
        let running: Vec<&str> = world.host.children.values().map(String::as_str).collect();
        match restart {
            "never" => assert_eq!(world.host.children, before),
            _ => assert_eq!(running, ["other", "w2 0", "w2 1"]),
        }
        world.assert_survives(restart);
        // The same again makes no difference, but those that still run by the old ones are restarted.
        let again = || options(&[("command", "w2 %(process_num)d")]);
        let late: &[&str] = if restart == "never" { &["g:w0 restarted 80", "g:w1 restarted 80"] } else { &[] };
        assert_eq!(processes(&world.ok("stheno.updateProgram", params!["g", "w", again()])), late);
        let nothing = Vec::<String>::new();
        assert_eq!(processes(&world.ok("stheno.updateProgram", params!["g", "w", again(), "rolling"])), nothing);
        assert_eq!(world.host.children.values().filter(|command| command.starts_with("w2 ")).count(), 2);
        world.restart();
        assert_eq!(world.host.children.values().filter(|command| command.starts_with("w2 ")).count(), 3);
    }
    let mut world = World::new(&format!("{WORKERS}{KEPT}"));
    let rows: &[(&[Value], &str)] = &[
        (params!["g", "nope", options(&[])], "BAD_NAME: nope"),
        (params!["nope", "w", options(&[])], "BAD_NAME: group: nope"),
        (params!["g", "w", options(&[]), "sometimes"], "INCORRECT_PARAMETERS: restart is never, changed or rolling"),
        (
            params!["g", "w", options(&[("Numprocs", "4")])],
            "INCORRECT_PARAMETERS: numprocs decides which processes there are; see setNumprocs",
        ),
        (
            params!["g", "w", options(&[("startsecs", "x")])],
            "INCORRECT_PARAMETERS: startsecs: expected a whole number, not 'x' in section 'program:w' (file: 'F')",
        ),
    ];
    for (params, expected) in rows {
        assert_eq!(fault(&mut world, "stheno.updateProgram", params), *expected, "{params:?}");
    }
    let there = world.daemon.roster.processes_of_program("g", "w").len();
    let wanted = (there + 1001) as i64;
    assert_eq!(
        fault(&mut world, "stheno.setNumprocs", params!["w", wanted]),
        format!(
            "INCORRECT_PARAMETERS: numprocs: {wanted} are more than 1000 beyond the {there} that there are; raise it in steps"
        )
    );
}

#[test]
fn rolling_ends_with_a_process_that_does_not_come_up() {
    let mut world = World::new(&format!("{WORKERS}[stheno]\nmutation=true\n"));
    world.pass(Duration::from_secs(2));
    let change = options(&[("command", "\"")]);
    let answer = world.ok("stheno.updateProgram", params!["g", "w", change, "rolling"]);
    let restarted: Vec<_> = processes(&answer).into_iter().filter(|line| line.contains("restarted")).collect();
    assert_eq!(restarted, ["g:w0 restarted 50", "g:w1 restarted 30", "g:w2 restarted 30"]);
    assert_eq!(world.host.children.len(), 3);
}

#[test]
fn numprocs_of_programs() {
    for kept in ["[stheno]\nmutation=1\n", KEPT] {
        let mut world = World::new(&format!("{WORKERS}{kept}"));
        world.ok("twiddler.addGroup", params!["dyn", 1]);
        let many = quiet(&[("numprocs", "2"), ("process_name", "%(program_name)s%(process_num)d")]);
        world.ok("twiddler.addProgramToGroup", params!["dyn", "d", many.clone()]);
        world.ok("twiddler.addProgramToGroup", params!["dyn", "w", many]);
        world.ok("stheno.setNumprocs", params!["d", 3]);
        assert_eq!(world.groups(), ["dyn 1: d0 d1 d2 w0 w1", "g 999: w0 w1 w2 other"]);
        world.ok("stheno.setNumprocs", params!["d", 0]);
        world.ok("stheno.removeProgram", params!["dyn", "w"]);
        world.pass(Duration::from_secs(2));
        let others = world.host.children.clone();
        let answer = world.ok("stheno.setNumprocs", params!["w", 5]);
        assert_eq!(processes(&answer), ["g:w3 added 80", "g:w4 added 80"]);
        world.ok("supervisor.stopProcess", params!["g:w4"]);
        world.ok("twiddler.removeProcessFromGroup", params!["g", "w4"]);
        if kept == KEPT {
            world.assert_survives("one of the new ones is removed");
        }
        world.ok("stheno.setNumprocs", params!["d", 1]);
        world.ok("supervisor.stopProcess", params!["g:w1"]);
        world.ok("twiddler.removeProcessFromGroup", params!["g", "w1"]);
        let answer = world.ok("stheno.setNumprocs", params!["w", 4]);
        assert_eq!(processes(&answer), ["g:w1 added 80"]);
        assert_eq!(world.groups(), ["dyn 1: d0", "g 999: w0 w1 w2 w3 other"]);
        assert_eq!(others.keys().filter(|pid| world.host.children.contains_key(pid)).count(), 3);
        if kept == KEPT {
            world.assert_survives("numprocs");
            world.restart();
            assert_eq!(world.groups(), ["dyn 1: d0", "g 999: w0 w1 w2 w3 other"]);
            world.ok("stheno.setNumprocs", params!["d", 2]);
            world.assert_survives("numprocs again");
        }
        assert_eq!(fault(&mut world, "stheno.setNumprocs", params!["nope", 1]), "BAD_NAME: nope");
        assert_eq!(fault(&mut world, "stheno.setNumprocs", params!["w", -1]), "BAD_ARGUMENTS");
        for number in [Value::Double(2.5), true.into(), "2".into()] {
            assert_eq!(fault(&mut world, "stheno.setNumprocs", &["w".into(), number.clone()]), "INCORRECT_PARAMETERS");
            assert_eq!(fault(&mut world, "stheno.addGroup", &["n".into(), number]), "INCORRECT_PARAMETERS");
        }
        let text = fault(&mut world, "stheno.setNumprocs", params!["other", 2]);
        assert!(text.starts_with("INCORRECT_PARAMETERS: %(process_num) must be present"), "{text}");
    }
}

#[test]
fn calls_that_come_while_another_waits_are_not_undone() {
    let mut world = World::new(&format!("{WORKERS}{KEPT}"));
    world.pass(Duration::from_secs(2));
    let method = "stheno.setNumprocs";
    let Ok(Outcome::Deferred(mut deferred)) = world.begin(method, params!["w", 2]) else { panic!() };
    world.ok("stheno.updateProgram", params!["g", "other", options(&[("startsecs", "7")]), "never"]);
    world.ok("twiddler.addProgramToGroup", params!["g", "new", quiet(&[])]);
    let answer = world.poll(&mut deferred, method).unwrap().unwrap();
    assert_eq!(processes(&answer), ["g:w2 removed 80"]);
    assert_eq!(world.groups(), ["g 999: w0 w1 other new"]);
    world.assert_survives(method);
}

#[test]
fn running_groups_are_removed_on_request() {
    let mut world = World::new(&format!("{WORKERS}{KEPT}"));
    world.pass(Duration::from_secs(2));
    assert_eq!(fault(&mut world, "stheno.removeGroup", params!["g"]), "STILL_RUNNING: g");
    assert_eq!(fault(&mut world, "stheno.removeGroup", params!["g", false]), "STILL_RUNNING: g");
    assert_eq!(fault(&mut world, "stheno.removeGroup", params!["x", true]), "BAD_NAME: x");
    world.ok("stheno.removeProgram", params!["g", "other"]);
    assert_eq!(world.groups(), ["g 999: w0 w1 w2"]);
    assert_eq!(world.ok("stheno.removeGroup", params!["g", true]), true.into());
    assert_eq!((world.groups(), world.host.children.len()), (vec![], 0));
    world.assert_survives("removed");
}

#[test]
fn nothing_is_stopped_for_a_change_that_cannot_be_kept() {
    let mut world = World::new(&format!("{WORKERS}{KEPT}"));
    world.pass(Duration::from_secs(2));
    let before = (world.groups(), world.host.children.len());
    world.host.is_full = true;
    let calls: &[(&str, &[Value])] = &[
        ("stheno.removeGroup", params!["g", true]),
        ("stheno.removeProgram", params!["g", "other"]),
        ("stheno.setNumprocs", params!["w", 1]),
        ("stheno.setNumprocs", params!["w", 5]),
        ("stheno.updateProgram", params!["g", "w", options(&[("command", "new")])]),
        ("stheno.updateProgram", params!["g", "w", options(&[("command", "new")]), "rolling"]),
        ("stheno.addGroup", params!["n"]),
    ];
    for (method, params) in calls {
        assert!(fault(&mut world, method, params).starts_with("FAILED: the change cannot be kept in"), "{method}");
        assert_eq!((world.groups(), world.host.children.len()), before, "{method}");
    }
    world.host.is_full = false;
    world.assert_survives("nothing was changed");
    world.ok("stheno.removeGroup", params!["g", true]);
    assert_eq!((world.groups(), world.host.children.len()), (vec![], 0));
}

#[test]
fn a_socket_without_a_directory_is_a_wrong_setting() {
    let plain = "[program:a]\ncommand=a\n";
    let pool = |directory: &str| format!("[fcgi-program:f]\ncommand=f\nsocket=unix://{directory}/f.sock\n");
    let mut world = World::new(plain);
    world.pass(Duration::from_secs(2));
    let children = world.host.children.clone();
    let broken = |program: &str| format!("[program:a]\ncommand={program}\n{}", pool("/nowhere"));
    world.write(&broken("a2"));
    let named = || Value::Array(vec!["a".into()]);
    for params in [&[][..], &[named()]] {
        let text = fault(&mut world, "stheno.update", params);
        assert_eq!(text, "CANT_REREAD: Could not create FastCGI socket unix:///nowhere/f.sock: no such directory");
        assert_eq!((world.groups(), &world.host.children), (vec!["a 999: a".to_string()], &children));
        // Not even what is configured.
        assert!(world.daemon.configured_group("f").is_none());
    }
    world.write(&format!("{plain}{}", pool("/tmp")));
    world.ok("stheno.update", &[]);
    assert_eq!(world.groups(), ["a 999: a", "f 999: f"]);
    // One that is active and the same is not asked for its directory: it may do without.
    world.host.env.dirs.remove("/tmp");
    world.write(&format!("[program:a]\ncommand=a3\n{}", pool("/tmp")));
    world.ok("stheno.update", &[]);
    assert!(world.host.children.values().any(|command| command == "a3"));
}

/// Who is being stopped for what it depends on comes back, also if it depends on nothing any more by then.
#[test]
fn who_was_stopped_for_another_comes_back_without_it() {
    let conf = |needs: &str| {
        format!(
            "[program:db]\ncommand=db\nautorestart=false\n[program:web]\ncommand=web\non_dependency_stop=stop\n{needs}"
        )
    };
    let mut world = World::new(&conf("depends_on=db\n"));
    (0..2).for_each(|_| world.pass(Duration::from_secs(2)));
    let pid_of = |world: &World, command: &str| {
        world.host.children.iter().find(|(_, running)| *running == command).map(|(pid, _)| *pid)
    };
    let (db, web) = (pid_of(&world, "db").unwrap(), pid_of(&world, "web").unwrap());
    // It takes its time to end.
    world.host.is_deaf = true;
    world.host.dying.push(db);
    world.turn();
    world.write(&conf(""));
    let answer = world.ok("stheno.update", &[]);
    assert_eq!((texts(&answer, "changed"), pid_of(&world, "web")), (vec!["web".into()], Some(web)));
    world.host.dying.push(web);
    world.turn();
    assert!(pid_of(&world, "web").is_some_and(|pid| pid != web), "{:?}", world.host.children);
}
