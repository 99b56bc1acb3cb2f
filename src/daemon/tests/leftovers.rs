//! What is done about what a run has left behind.

use std::time::Duration;

use crate::daemon::change::Change;
use crate::daemon::host::Remnant;
use crate::daemon::testing::World;
use crate::exit::ExitStatus::Code;
use crate::id::Pid;

const TERM: (i32, i32) = (900, libc::SIGTERM);
const KILL: (i32, i32) = (900, libc::SIGKILL);

#[test]
fn it_is_told_then_killed_and_holds_the_next_run_up() {
    // Options; after how many tenths of a second it has ended; who was told what; tenths until the next run.
    type Row = (&'static str, u32, &'static [(i32, i32)], Option<u32>);
    let rows: &[Row] = &[
        ("", 99, &[], Some(0)),
        ("killmode=tree\nkillwaitsecs=1\n", 0, &[TERM], Some(1)),
        ("killmode=tree\nkillwaitsecs=1\n", 5, &[TERM], Some(6)),
        ("killmode=tree\nkillwaitsecs=1\n", 12, &[TERM, KILL], Some(13)),
        ("killmode=tree\nkillwaitsecs=0\n", 3, &[KILL], Some(4)),
        // What cannot be killed is waited for no longer than a second.
        ("killmode=tree\nkillwaitsecs=1\n", 99, &[TERM, KILL], Some(20)),
        ("killmode=tree\nkillwaitsecs=1\nstopsignal=INT\n", 0, &[(900, libc::SIGINT)], Some(1)),
        ("killmode=group\nkillwaitsecs=1\n", 5, &[TERM], Some(6)),
        ("killmode=tree\nautorestart=false\n", 0, &[TERM], None),
    ];
    for (options, ends, told, next) in rows {
        let mut world = World::new(&format!("[program:p]\ncommand=p\nstartsecs=0\nautorestart=true\n{options}"));
        // It is of another process group than the child.
        world.host.left = vec![Remnant { pid: Pid(900), group: Pid(900), started: 1 }];
        world.exit("p", Code(0));
        let mut began = None;
        for tenths in 0..40 {
            if !world.host.children.is_empty() {
                began.get_or_insert(tenths);
            }
            if tenths == *ends {
                world.host.left.clear();
            }
            world.pass(Duration::from_millis(100));
        }
        assert_eq!(world.host.told, *told, "{options} {ends}");
        assert_eq!(began, *next, "{options} {ends}");
    }
}

#[test]
fn one_that_is_removed_leaves_it_to_who_comes_in_its_place() {
    let text = "[program:p]\ncommand=p\nstartsecs=0\nkillmode=tree\nkillwaitsecs=9\n";
    let mut world = World::new(text);
    world.host.left = vec![Remnant { pid: Pid(900), group: Pid(900), started: 1 }];
    world.exit("p", Code(0));
    let group = world.daemon.config.groups[0].clone();
    world.change(&Change::RemoveGroup("p".to_string())).unwrap();
    assert_eq!(world.states(), "");
    world.change(&Change::AddGroup(group)).unwrap();
    world.pass(Duration::from_secs(1));
    assert_eq!((world.states().as_str(), world.daemon.leftovers_of(world.id("p"))), ("p STOPPED", 1));
    world.host.left.clear();
    world.pass(Duration::from_secs(1));
    assert_eq!((world.states().as_str(), world.daemon.leftovers_of(world.id("p"))), ("p RUNNING", 0));
}
