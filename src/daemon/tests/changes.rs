//! The changes of groups and processes, one by one: made whole, or refused without a trace.

use std::rc::Rc;

use crate::config::Group;
use crate::daemon::change::{Addition, Change};
use crate::daemon::testing::{World, groups};

/// `up` runs, `down` does not; neither `l` nor `f` do.
const TEXT: &str = "[program:up]\ncommand=up\n[program:down]\ncommand=down\nautostart=false\n\
                    [group:g]\nprograms=up,down\npriority=5\n\
                    [program:two]\ncommand=two\nautostart=false\nnumprocs=2\nprocess_name=two%(process_num)d\n\
                    [eventlistener:l]\ncommand=l\nautostart=false\nevents=TICK_5\n\
                    [fcgi-program:f]\ncommand=f\nautostart=false\nsocket=tcp://127.0.0.1:9\n";

const BEFORE: [&str; 4] = ["f 999: f", "g 5: up down", "l -1: l", "two 999: two0 two1"];

/// What is active and what is configured.
fn shown(world: &World) -> (Vec<String>, Vec<String>) {
    let configured = world.daemon.config.groups.iter();
    let mut configured: Vec<String> =
        configured.map(|group| format!("{} {}", group.name, group.processes.len())).collect();
    configured.sort();
    (groups(&world.daemon), configured)
}

/// A configured group with only these of its processes.
fn with_only(world: &World, name: &str, processes: &[&str]) -> Rc<Group> {
    let mut group = Group::clone(world.daemon.configured_group(name).unwrap());
    group.processes.retain(|process| processes.contains(&process.name.as_str()));
    Rc::new(group)
}

fn addition(world: &World, group: &str, create: Option<i64>, like: &str) -> Change {
    let like = world.daemon.configured_group(like).unwrap();
    Change::AddProgram(Addition {
        group: group.to_string(),
        create,
        program: like.name.clone(),
        instance: None,
        options: vec![("command".to_string(), "c".to_string())],
        processes: like.processes.clone(),
    })
}

type Row = (&'static str, fn(&World) -> Change, Result<&'static [&'static str], &'static str>);

const ROWS: &[Row] = &[
    (
        "a group twice",
        |world| Change::AddGroup(world.daemon.configured_group("two").unwrap().clone()),
        Err("ALREADY_ADDED: two"),
    ),
    ("a group", |_| Change::RemoveGroup("two".into()), Ok(&["f 999: f", "g 5: up down", "l -1: l"])),
    ("a pool", |_| Change::RemoveGroup("l".into()), Ok(&["f 999: f", "g 5: up down", "two 999: two0 two1"])),
    ("a group that runs", |_| Change::RemoveGroup("g".into()), Err("STILL_RUNNING: g")),
    ("no group", |_| Change::RemoveGroup("x".into()), Err("BAD_NAME: x")),
    ("a group for good", |_| Change::DropGroup("f".into()), Ok(&["g 5: up down", "l -1: l", "two 999: two0 two1"])),
    ("a group for good that runs", |_| Change::DropGroup("g".into()), Err("STILL_RUNNING: g")),
    (
        "a new group",
        |_| Change::NewGroup { name: "n".into(), priority: 3 },
        Ok(&["f 999: f", "g 5: up down", "l -1: l", "n 3:", "two 999: two0 two1"]),
    ),
    ("a new group of a taken name", |_| Change::NewGroup { name: "g".into(), priority: 3 }, Err("ALREADY_ADDED: g")),
    (
        "a new group of a bad name",
        |_| Change::NewGroup { name: "a b".into(), priority: 3 },
        Err("INCORRECT_PARAMETERS: invalid group name 'a b'"),
    ),
    (
        "a program",
        |world| addition(world, "g", None, "two"),
        Ok(&["f 999: f", "g 5: up down two0 two1", "l -1: l", "two 999: two0 two1"]),
    ),
    (
        "a program and its group",
        |world| addition(world, "n", Some(7), "two"),
        Ok(&["f 999: f", "g 5: up down", "l -1: l", "n 7: two0 two1", "two 999: two0 two1"]),
    ),
    ("a program without a group", |world| addition(world, "n", None, "two"), Err("BAD_NAME: group: n")),
    ("a program twice", |world| addition(world, "two", None, "two"), Err("BAD_NAME: two0")),
    (
        "a program for a pool",
        |world| addition(world, "l", None, "two"),
        Err("FAILED: group: l is an event listener pool, to which nothing can be added"),
    ),
    (
        "a program for a FastCGI group",
        |world| addition(world, "f", None, "two"),
        Err("FAILED: group: f is a FastCGI group, to which nothing can be added"),
    ),
    (
        "a process",
        |_| Change::RemoveProcess { group: "two".into(), process: "two0".into() },
        Ok(&["f 999: f", "g 5: up down", "l -1: l", "two 999: two1"]),
    ),
    (
        "a process that runs",
        |_| Change::RemoveProcess { group: "g".into(), process: "up".into() },
        Err("STILL_RUNNING: up"),
    ),
    ("no process", |_| Change::RemoveProcess { group: "g".into(), process: "x".into() }, Err("BAD_NAME: x")),
    (
        "all processes of a program",
        |_| Change::RemoveProgram { group: "two".into(), program: "two".into() },
        Ok(&["f 999: f", "g 5: up down", "l -1: l", "two 999:"]),
    ),
    (
        "a program that runs",
        |_| Change::RemoveProgram { group: "g".into(), program: "up".into() },
        Err("STILL_RUNNING: up"),
    ),
    (
        "a group that keeps who runs",
        |world| Change::ReplaceGroup(with_only(world, "g", &["up"])),
        Ok(&["f 999: f", "g 5: up", "l -1: l", "two 999: two0 two1"]),
    ),
    (
        "a group that loses who runs",
        |world| Change::ReplaceGroup(with_only(world, "g", &["down"])),
        Err("STILL_RUNNING: up"),
    ),
    (
        "a pool that loses its listener",
        |world| Change::ReplaceGroup(with_only(world, "l", &[])),
        Ok(&["f 999: f", "g 5: up down", "l -1:", "two 999: two0 two1"]),
    ),
];

#[test]
fn changes_are_made_whole_or_not_at_all() {
    for (name, change, expected) in ROWS {
        let mut world = World::new(TEXT);
        let before = shown(&world);
        assert_eq!(before.0, BEFORE, "{name}");
        let up = world.daemon.roster.find_process("g:up");
        let change = change(&world);
        let obstacles = world.daemon.obstacles(&change);
        let outcome = world.change(&change);
        match expected {
            Ok(after) => {
                assert_eq!(outcome, Ok(()), "{name}");
                assert_eq!(&groups(&world.daemon), after, "{name}");
            }
            Err(fault) => {
                assert_eq!(outcome, Err(fault.to_string()), "{name}");
                assert_eq!(shown(&world), before, "{name}");
            }
        }
        // Whoever asks beforehand what is in the way is told exactly that.
        let in_the_way = expected.is_err_and(|fault| fault.starts_with("STILL_RUNNING"));
        assert_eq!(obstacles, Vec::from_iter(up.filter(|_| in_the_way)), "{name}");
        // Who runs goes on with the same child.
        assert_eq!(world.daemon.roster.find_process("g:up"), up, "{name}");
        assert_eq!(world.host.children.len(), 1, "{name}");
    }
}
