//! The extensions and `stheno.*`, call by call.

use std::time::Duration;

use super::testing::{KEPT, PATH, World, options, params};
use super::{Outcome, Pending};
use crate::wire::value::Value;

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
                "INCORRECT_PARAMETERS: expected a whole number, not 'maybe' in section 'program:n' (file: 'F')",
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
    let Ok(Outcome::Later(mut pending)) = world.begin("supervisor.startProcess", params!["g:a"]) else { panic!() };
    assert_eq!(fault(&mut world, "twiddler.removeProcessFromGroup", params!["g", "a"]), "STILL_RUNNING: a");
    world.ok("supervisor.stopProcess", params!["g:a"]);
    world.ok("twiddler.removeProcessFromGroup", params!["g", "a"]);
    world.ok("twiddler.addProgramToGroup", params!["g", "a", quiet(&[])]);
    let done = world.poll(&mut pending, "supervisor.startProcess");
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
    assert_eq!((world.daemon.process_count(), world.host.open_logs), (2, 0));
    assert!(world.daemon.next_deadline(world.now).is_none());
    let text = world.daemon.dynamic().text().unwrap();
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
        let id = world.daemon.find_process(name).unwrap();
        world.daemon.process(id).unwrap().stdout.path.clone().unwrap().to_string()
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
    assert_eq!(world.daemon.extensions.cache_weight, 0);
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
    let text = world.daemon.dynamic().text().unwrap();
    assert!(text.contains("[group:dyn]") && text.contains("[group:g]\nprograms=a,n\n"), "{text}");
    assert_eq!(fault(&mut world, "stheno.persist", &[]), "FAILED: no dynamic_conf is configured in [stheno]");
    world.ok("stheno.update", &[]);
    assert_eq!(world.groups(), ["b 999: b", "g 999: a"]);
    assert_eq!(world.daemon.dynamic().text(), Ok(String::new()));
    assert_eq!(world.host.replaced, 0);
}

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
    let Ok(Outcome::Later(mut pending)) = world.begin("stheno.update", &[]) else { panic!() };
    assert!(world.poll(&mut pending, "stheno.update").is_none());
    assert_eq!(world.groups(), ["g 999: a b", "old 999: old", "same 999: same"]);
    world.turn();
    let answer = world.poll(&mut pending, "stheno.update").unwrap().unwrap();
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
    let Ok(Outcome::Later(mut pending)) = world.begin("stheno.update", &[]) else { panic!() };
    for _ in 0..5 {
        world.pass(Duration::from_secs(30));
        assert!(world.poll(&mut pending, "stheno.update").is_none());
    }
    assert!(matches!(pending, Pending::Update(_)));
    world.daemon.request_shutdown();
    assert_eq!(world.poll(&mut pending, "stheno.update"), Some(Err("SHUTDOWN_STATE".to_string())));
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
            "INCORRECT_PARAMETERS: expected a whole number, not 'x' in section 'program:w' (file: 'F')",
        ),
    ];
    for (params, expected) in rows {
        assert_eq!(fault(&mut world, "stheno.updateProgram", params), *expected, "{params:?}");
    }
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
        let text = fault(&mut world, "stheno.setNumprocs", params!["other", 2]);
        assert!(text.starts_with("INCORRECT_PARAMETERS: %(process_num) must be present"), "{text}");
    }
}

#[test]
fn calls_that_come_while_another_waits_are_not_undone() {
    let mut world = World::new(&format!("{WORKERS}{KEPT}"));
    world.pass(Duration::from_secs(2));
    let method = "stheno.setNumprocs";
    let Ok(Outcome::Later(mut pending)) = world.begin(method, params!["w", 2]) else { panic!() };
    world.ok("stheno.updateProgram", params!["g", "other", options(&[("startsecs", "7")]), "never"]);
    world.ok("twiddler.addProgramToGroup", params!["g", "new", quiet(&[])]);
    let answer = world.poll(&mut pending, method).unwrap().unwrap();
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
    for (method, params) in [
        ("stheno.removeGroup", params!["g", true]),
        ("stheno.removeProgram", params!["g", "other"]),
        ("stheno.setNumprocs", params!["w", 1]),
    ] {
        assert!(fault(&mut world, method, params).starts_with("FAILED: the change cannot be kept in"), "{method}");
        assert_eq!((world.groups(), world.host.children.len()), before, "{method}");
    }
    world.host.is_full = false;
    world.ok("stheno.removeGroup", params!["g", true]);
    assert_eq!((world.groups(), world.host.children.len()), (vec![], 0));
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
    assert_eq!(world.ok("stheno.getAllProcessInfo", &[]), Value::Array(vec![info]));
    assert_eq!(fault(&mut world, "stheno.getProcessInfo", params!["b"]), "BAD_NAME: b");
}
