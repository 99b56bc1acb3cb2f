//! The extensions and `stheno.*`, call by call.

use std::time::Duration;

use super::Outcome;
use super::testing::{KEPT, PATH, World, options, params};
use crate::wire::value::Value;

mod additions;
mod beside;
mod dynamic;
mod given_up;
mod history;
mod names;
mod order;
mod update;

const GROUP: &str = "[group:g]\nprograms=a\n[program:a]\ncommand=a\nautostart=false\n[program:b]\ncommand=b\n\
                     autostart=false\n";

/// Options of a program that is not started.
fn quiet(more: &[(&'static str, &str)]) -> Value {
    options(&[&[("command", "x"), ("autostart", "false")], more].concat())
}

fn fault(world: &mut World, method: &str, params: &[Value]) -> String {
    let before = (world.groups(), world.host.auto_logs, world.host.env.files.get(PATH).cloned());
    let text = world.call(method, params).expect_err(&format!("{method}{params:?}"));
    let after = (world.groups(), world.host.auto_logs, world.host.env.files.get(PATH).cloned());
    assert_eq!(before, after, "{method}{params:?}");
    text
}

#[test]
fn twiddler_adds_and_removes() {
    for kept in ["", KEPT] {
        let mut world = World::new(&format!("{GROUP}{kept}"));
        assert_eq!(world.ok("twiddler.getAPIVersion", &[]), "1.0".into());
        assert_eq!(world.ok("twiddler.getGroupNames", &[]), Value::Array(vec!["b".into(), "g".into()]));
        world.ok("twiddler.addGroup", params!["dyn", 7]);
        let many = quiet(&[("numprocs", "2"), ("process_name", "%(program_name)s_%(process_num)d")]);
        assert_eq!(world.ok("twiddler.addProgramToGroup", params!["dyn", "w", many]), true.into());
        world.ok("twiddler.addProcessToGroup", params!["g", "new", quiet(&[("priority", "1")])]);
        assert_eq!(world.groups(), ["b 999: b", "dyn 7: w_0 w_1", "g 999: a new"]);
        world.ok("supervisor.startProcess", params!["g:new"]);
        let still = fault(&mut world, "twiddler.removeProcessFromGroup", params!["g", "new"]);
        assert_eq!(still, "STILL_RUNNING: new");
        world.ok("supervisor.stopProcess", params!["g:new"]);
        world.ok("twiddler.removeProcessFromGroup", params!["g", "new"]);
        world.ok("twiddler.removeProcessFromGroup", params!["g", "a"]);
        world.ok("twiddler.removeProcessFromGroup", params!["dyn", "w_0"]);
        assert_eq!(world.groups(), ["b 999: b", "dyn 7: w_1", "g 999:"]);
        assert_eq!(world.host.open_logs, 0);
        if !kept.is_empty() {
            world.assert_survives("twiddler");
            let groups = world.groups();
            world.restart();
            assert_eq!(world.groups(), groups);
        }
    }
}

#[test]
fn what_twiddler_refuses() {
    let more = "[eventlistener:pool]\ncommand=l\nevents=TICK_5\nautostart=false\n[fcgi-program:f]\ncommand=f\n\
                socket=unix:///tmp/f\nautostart=false\n";
    for kept in ["", KEPT] {
        let mut world = World::new(&format!("{GROUP}{more}{kept}"));
        let rows: &[(&str, &[Value], &str)] = &[
            ("addGroup", params!["g", 1], "ALREADY_ADDED: g"),
            ("addGroup", params!["x y", 1], "INCORRECT_PARAMETERS: invalid group name 'x y'"),
            ("addGroup", params!["", 1], "INCORRECT_PARAMETERS: invalid group name ''"),
            ("addGroup", params!["x", "first"], "INCORRECT_PARAMETERS"),
            ("addProgramToGroup", params!["nope", "n", quiet(&[])], "BAD_NAME: group: nope"),
            ("addProgramToGroup", params!["g", "n", "text"], "INCORRECT_PARAMETERS"),
            ("addProgramToGroup", params!["g", "n"], "INCORRECT_PARAMETERS"),
            ("addProgramToGroup", params!["g", "a", quiet(&[])], "BAD_NAME: a"),
            (
                "addProgramToGroup",
                params!["g", "n", options(&[])],
                "INCORRECT_PARAMETERS: program section program:n does not specify a command in section 'program:n' \
                 (file: 'F')",
            ),
            (
                "addProgramToGroup",
                params!["g", "n", quiet(&[("startsecs", "maybe")])],
                "INCORRECT_PARAMETERS: startsecs: expected a whole number, not 'maybe' in section 'program:n' (file: 'F')",
            ),
            (
                "addProgramToGroup",
                params!["pool", "n", quiet(&[])],
                "FAILED: group: pool is an event listener pool, to which nothing can be added",
            ),
            (
                "addProgramToGroup",
                params!["f", "n", quiet(&[])],
                "FAILED: group: f is a FastCGI group, to which nothing can be added",
            ),
            (
                "addProgramToGroup",
                params!["g", "n\nn", quiet(&[])],
                "INCORRECT_PARAMETERS: invalid process name 'n\\nn'",
            ),
            ("addProgramToGroup", params!["g", "", quiet(&[])], "INCORRECT_PARAMETERS: invalid process name ''"),
            ("addProgramToGroup", params!["g", "*", quiet(&[])], "INCORRECT_PARAMETERS: invalid process name '*'"),
            ("removeProcessFromGroup", params!["nope", "a"], "BAD_NAME: group: nope"),
            ("removeProcessFromGroup", params!["g", "nope"], "BAD_NAME: nope"),
            ("log", params!["text", "error"], "INCORRECT_PARAMETERS"),
            ("log", params!["text", 21], "INCORRECT_PARAMETERS"),
        ];
        for (method, params, expected) in rows {
            assert_eq!(fault(&mut world, &format!("twiddler.{method}"), params), *expected, "{method}{params:?}");
        }
        for params in [&params!["text"][..], params!["text", "crit"], params!["text", 10]] {
            world.ok("twiddler.log", params);
        }
        // Members of a pool and of a FastCGI group can go.
        world.ok("twiddler.removeProcessFromGroup", params!["pool", "pool"]);
        world.ok("twiddler.removeProcessFromGroup", params!["f", "f"]);
        assert!(world.groups().contains(&"pool -1:".to_string()));
        if !kept.is_empty() {
            world.assert_survives("pool");
        }
    }
}

#[test]
fn a_process_that_is_waited_for_can_go() {
    let mut world = World::new(GROUP);
    let Ok(Outcome::Deferred(mut deferred)) = world.begin("supervisor.startProcess", params!["g:a"]) else { panic!() };
    assert_eq!(fault(&mut world, "twiddler.removeProcessFromGroup", params!["g", "a"]), "STILL_RUNNING: a");
    world.ok("supervisor.stopProcess", params!["g:a"]);
    world.ok("twiddler.removeProcessFromGroup", params!["g", "a"]);
    world.ok("twiddler.addProgramToGroup", params!["g", "a", quiet(&[])]);
    let done = world.poll(&mut deferred, "supervisor.startProcess");
    assert_eq!(done, Some(Err("ABNORMAL_TERMINATION: g:a".to_string())));
}

#[test]
fn duplicates_in_one_multicall() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    let call = |name: &'static str| {
        let add = Value::Array(vec!["g".into(), "n".into(), quiet(&[])]);
        Value::Struct(vec![("methodName".into(), name.into()), ("params".into(), add)])
    };
    let calls = Value::Array(vec![call("twiddler.addProgramToGroup"), call("twiddler.addProgramToGroup")]);
    world.ok("system.multicall", &[calls]);
    assert_eq!(world.groups(), ["b 999: b", "g 999: a n"]);
    world.assert_survives("multicall");
}

#[test]
fn ten_thousand_adds_and_removals_leave_nothing() {
    let mut world = World::new(&format!("{GROUP}[stheno]\n"));
    world.ok("twiddler.addGroup", params!["dyn", 1]);
    for number in 0..10_000 {
        let name = format!("p{number}");
        world.ok("twiddler.addProgramToGroup", params!["dyn", name.clone(), quiet(&[("stdout_logfile", "NONE")])]);
        world.ok("twiddler.removeProcessFromGroup", params!["dyn", name]);
    }
    assert_eq!(world.groups(), ["b 999: b", "dyn 1:", "g 999: a"]);
    assert_eq!((world.daemon.roster.process_count(), world.host.open_logs), (2, 0));
    assert!(world.daemon.next_deadline(world.now).is_none());
    let text = world.daemon.dynamic.text().unwrap();
    assert!(text.contains("[group:dyn]\nprograms=\n") && !text.contains("[program:"), "{text}");
}

#[test]
fn loader_numbers_its_instances() {
    let mut world = World::new(&format!("{GROUP}{KEPT}"));
    let log = "/tmp/%(program_name)s_%(process_num)d-%(process_num)02d-%(process_num)03d.log";
    let add = |world: &mut World, group: &'static str| {
        let options = quiet(&[("stdout_logfile", log), ("process_name", "ignored"), ("Priority", "1")]);
        world.ok("loader.addProgramToGroup", params![group, "fizz", options])
    };
    assert_eq!(world.ok("loader.hasProcessInGroup", params!["new", "fizz"]), false.into());
    assert_eq!(add(&mut world, "new"), "fizz_1".into());
    assert_eq!(add(&mut world, "new"), "fizz_2".into());
    assert_eq!(add(&mut world, "g"), "fizz_3".into());
    assert_eq!(world.groups(), ["b 999: b", "g 999: a fizz_3", "new 999: fizz_1 fizz_2"]);
    let log = |world: &World, name: &str| {
        let id = world.daemon.roster.find_process(name).unwrap();
        world.daemon.roster.process(id).unwrap().stdout.path.clone().unwrap().to_string()
    };
    assert_eq!(log(&world, "new:fizz_2"), "/tmp/fizz_2-2-002.log");
    world.assert_survives("loader");
    world.restart();
    assert_eq!(log(&world, "new:fizz_2"), "/tmp/fizz_2-2-002.log");
    for (group, name, expected) in [("new", "fizz", true), ("new", "fizz_1", true), ("g", "a", true), ("g", "b", false)]
    {
        let has = world.ok("loader.hasProcessInGroup", params![group, name]);
        assert_eq!(has, expected.into(), "{group} {name}");
    }
    // The count starts anew, and numbers in use are skipped.
    assert_eq!(add(&mut world, "new"), "fizz_3".into());
    world.ok("loader.removeProcessFromGroup", params!["g", "fizz_3"]);
    assert_eq!(world.ok("loader.hasProcessInGroup", params!["g", "fizz"]), false.into());
    world.assert_survives("loader again");
}

#[test]
fn grace_judges_the_new_configuration() {
    let conf =
        |lines: &str| format!("[program:w]\ncommand=w\nautostart=false\nprocess_name=w_%(process_num)d\n{lines}\n");
    let mut world = World::new(&conf("numprocs=9"));
    let nothing = r#"{"msg": "No need to update", "type": "error"}"#;
    let rows = [
        ("numprocs=9", nothing),
        ("numprocs=11", r#"{"processes_name": ["w:w_10", "w:w_9"], "type": "add"}"#),
        ("numprocs=11", nothing),
        ("numprocs=10", r#"{"processes_name": ["w:w_10"], "type": "reduce"}"#),
        (
            "numprocs=10\npriority=5",
            r#"{"msg": "Not only numprocs has changed: priority is difference", "type": "error"}"#,
        ),
        ("numprocs=10\nstartsecs=3", r#"{"msg": "Not only numprocs has changed", "type": "error"}"#),
        ("numprocs=11\nstartsecs=3", r#"{"msg": "Other settings has changed, please use update", "type": "error"}"#),
    ];
    for (lines, expected) in rows {
        world.write(&conf(lines));
        assert_eq!(world.ok("grace.UpdateNumprocs", params!["w"]), expected.into(), "{lines}");
        assert_eq!(world.groups()[0].split(' ').count(), if lines == "numprocs=9" { 11 } else { 13 }, "{lines}");
    }
    assert_eq!(fault(&mut world, "grace.UpdateNumprocs", params!["x"]), "BAD_NAME: group: x");
    world.write("");
    let gone = world.ok("grace.UpdateNumprocs", params!["w"]);
    assert_eq!(gone, r#"{"msg": "The group is no longer configured", "type": "error"}"#.into());
    world.write("[program:w]\n");
    assert!(fault(&mut world, "grace.UpdateNumprocs", params!["w"]).starts_with("CANT_REREAD: program section"));
}

#[test]
fn the_cache_keeps_values() {
    let mut world = World::new("");
    let value = Value::Array(vec![1.into(), Value::Struct(vec![("x".into(), true.into())])]);
    world.ok("cache.store", &["b".into(), value.clone()]);
    world.ok("cache.store", params!["a", "text"]);
    assert_eq!(world.ok("cache.getKeys", &[]), Value::Array(vec!["a".into(), "b".into()]));
    assert_eq!(world.ok("cache.fetch", params!["b"]), value);
    world.ok("cache.delete", params!["b"]);
    world.ok("cache.delete", params!["b"]);
    assert_eq!(world.ok("cache.getCount", &[]), 1.into());
    assert_eq!(fault(&mut world, "cache.fetch", params!["b"]), "BAD_NAME");
    for key in [Value::from(""), 5.into()] {
        let text = fault(&mut world, "cache.store", &[key, 1.into()]);
        assert_eq!(text, "BAD_NAME: Cache key must be a non-empty string");
    }
    let big = "x".repeat(60 << 20);
    world.ok("cache.store", &["a".into(), big.clone().into()]);
    assert!(
        fault(&mut world, "cache.store", &["b".into(), big.clone().into()]).starts_with("FAILED: the cache is full")
    );
    world.ok("cache.store", &["a".into(), big.into()]);
    world.ok("cache.clear", &[]);
    assert_eq!(world.ok("cache.getCount", &[]), 0.into());
}

#[test]
fn whitelists_and_names() {
    let twiddler = "[rpcinterface:my]\nwhitelist=getGroupNames, log\n\
                    supervisor.rpcinterface_factory=supervisor_grace.rpcinterface:make_grace_rpcinterface\n";
    let mut world = World::new(&format!("{GROUP}{twiddler}"));
    world.ok("my.getGroupNames", &[]);
    assert_eq!(fault(&mut world, "my.getAPIVersion", &[]), "UNKNOWN: getAPIVersion");
    assert_eq!(fault(&mut world, "my.removeProcessFromGroup", params!["x", "y"]), "BAD_NAME: group: x");
    assert_eq!(fault(&mut world, "stheno.addGroup", params!["x", 1]), "UNKNOWN_METHOD");
    let listed = |world: &mut World| {
        let Value::Array(names) = world.ok("system.listMethods", &[]) else { panic!() };
        names.iter().filter(|name| name.as_str().is_some_and(|name| name.starts_with("stheno."))).count()
    };
    assert_eq!(listed(&mut world), 0);
    world.ok("stheno.getVersion", &[]);
    assert!(listed(&mut World::new("[stheno]\n")) > 0);
    assert!(listed(&mut World::new(KEPT)) > listed(&mut World::new("[stheno]\n")));
}

#[test]
fn more_is_told_of_a_process() {
    let mut world = World::new("[program:a]\ncommand=a\nenvironment=SECRET=\"x\"\n");
    world.pass(Duration::from_secs(2));
    world.host.dying = world.host.children.keys().copied().collect();
    world.pass(Duration::from_secs(2));
    world.pass(Duration::from_secs(2));
    let info = world.ok("stheno.getProcessInfo", params!["a"]);
    let rows: &[(&str, Value)] = &[
        ("statename", "RUNNING".into()),
        ("exitsignal", 15.into()),
        ("exitexpected", false.into()),
        ("reason", "terminated by SIGTERM".into()),
        ("restarts", 1.into()),
        ("cpu_seconds", Value::Double(1.5)),
        ("rss_kib", 4.into()),
    ];
    for (name, expected) in rows {
        assert_eq!(info.member(name), Some(expected), "{name}");
    }
    assert_eq!(info.member("options").and_then(|options| options.member("command")), Some(&"a".into()));
    assert!(!format!("{info:?}").contains("SECRET"));
    // What pollers do not need: what other members say too, and what this program did not ask for.
    let Value::Struct(mut members) = info else { panic!("a struct") };
    let asked_for =
        ["waiting_for", "depends_on", "next_start", "leftovers", "readiness", "status_text", "probe_text", "health"];
    for name in ["options", "ready", "last_exit"].iter().chain(&asked_for) {
        let before = members.len();
        members.retain(|(member, _)| member != name);
        assert_eq!(members.len(), before - 1, "{name} is told of one");
    }
    assert_eq!(world.ok("stheno.getAllProcessInfo", &[]), Value::Array(vec![Value::Struct(members)]));
    assert_eq!(fault(&mut world, "stheno.getProcessInfo", params!["b"]), "BAD_NAME: b");
    // What a program asked for stands in the list, too.
    let mut world = World::new("[program:a]\ncommand=a\nready=notify\n[program:b]\ncommand=b\ndepends_on=a=ready\n");
    let Value::Array(all) = world.ok("stheno.getAllProcessInfo", &[]) else { panic!("an array") };
    assert_eq!(all[0].member("readiness"), Some(&"notify".into()));
    for name in ["depends_on", "waiting_for"] {
        assert!(matches!(all[1].member(name), Some(Value::Array(items)) if items.len() == 1), "{name}: {all:?}");
    }
}
