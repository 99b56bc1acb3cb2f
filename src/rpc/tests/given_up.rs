//! Calls that are not asked any more: what they had taken for themselves is free again.

use std::time::Duration;

use super::super::testing::{World, options, params};
use super::super::{Deferred, Outcome};
use crate::exit::ExitStatus;
use crate::id::{Pid, ProcId};
use crate::wire::value::Value;

fn begin(world: &mut World, method: &str, params: &[Value]) -> Deferred {
    match world.begin(method, params) {
        Ok(Outcome::Deferred(deferred)) => deferred,
        other => panic!("{method} waits: {:?}", other.map(|_| "answered")),
    }
}

fn process(world: &World, name: &str) -> ProcId {
    world.daemon.roster.find_process(name).expect(name)
}

#[test]
fn a_group_may_be_changed_again() {
    let restart = "stheno.restartRolling";
    let names = || Value::Array(vec!["g:a".into()]);
    let call =
        Value::Struct(vec![("methodName".into(), restart.into()), ("params".into(), Value::Array(vec![names()]))]);
    // The method, and whether it claims the group: who has made its changes and only restarts does not.
    let rows: [(&str, &[Value], bool); 3] = [
        ("stheno.updateProgram", params!["g", "a", options(&[("command", "x")]), "rolling"], false),
        (restart, &[names()], true),
        ("system.multicall", &[Value::Array(vec![call])], true),
    ];
    for (method, params, claims) in rows {
        let mut world = World::new("[group:g]\nprograms=a\n[program:a]\ncommand=a\n[stheno]\nmutation=true\n");
        world.pass(Duration::from_secs(2));
        let deferred = begin(&mut world, method, params);
        let is_claimed = |world: &World| world.extensions.claims.check("g", None).is_err();
        assert_eq!(is_claimed(&world), claims, "{method}");
        assert!(world.daemon.is_expected_back(process(&world, "g:a")), "{method}");
        world.give_up(deferred, method);
        assert!(!world.daemon.is_expected_back(process(&world, "g:a")), "{method}");
        assert!(!is_claimed(&world), "{method}");
    }
}

#[test]
fn what_it_would_have_started_is_as_it_was() {
    let mut world = World::new(
        "[program:w]\ncommand=w\nnumprocs=50\nprocess_name=w%(process_num)d\nautostart=false\npriority=1\n\
         [program:a]\ncommand=a\nautorestart=false\nstartsecs=0\n\
         [program:b]\ncommand=b\nautostart=false\ndepends_on=a=completed\n",
    );
    let (a, b) = (process(&world, "a"), process(&world, "b"));
    let pid: Pid = world.daemon.roster.process(a).unwrap().machine.pid().expect("a runs");
    world.host.children.remove(&pid.0);
    world.daemon.exited(pid, ExitStatus::Code(0), world.now, &mut world.host);
    let method = "supervisor.startAllProcesses";
    let deferred = begin(&mut world, method, &[]);
    assert!(world.daemon.wait_to_start(b, world.now), "a is to run again");
    world.daemon.give_up_wait(b, world.now);
    world.give_up(deferred, method);
    assert!(!world.daemon.wait_to_start(b, world.now), "a has completed");
}
