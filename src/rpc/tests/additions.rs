//! Additions of many processes, which take more than one turn.

use std::time::Duration;

use super::super::testing::{World, options, params};
use super::super::{Deferred, Outcome};
use super::GROUP;
use crate::eventtype::{EventMask, EventType};
use crate::wire::value::Value;

/// Processes of an addition.
const MANY: usize = 1000;

/// Log files that one turn makes at most.
const FILES_PER_TURN: usize = 10;

fn many(name: &'static str) -> [Value; 3] {
    let numprocs = MANY.to_string();
    let all = [("command", "x"), ("numprocs", &*numprocs), ("process_name", "%(program_name)s%(process_num)d")];
    ["g".into(), name.into(), options(&all)]
}

fn begin(world: &mut World, method: &str, params: &[Value]) -> Deferred {
    match world.begin(method, params) {
        Ok(Outcome::Deferred(deferred)) => deferred,
        Ok(Outcome::Now(answer)) => panic!("{method}: {answer:?} at once"),
        Err(fault) => panic!("{method}: {fault}"),
    }
}

/// One turn of the loop, and no other that would come at once.
fn one_turn(world: &mut World) {
    let before = world.host.auto_logs;
    let World { host, daemon, now, .. } = world;
    daemon.deadlines(*now, host);
    assert!(world.host.auto_logs - before <= FILES_PER_TURN, "{}", world.host.auto_logs - before);
}

#[test]
fn they_come_in_over_turns_and_are_answered_for_when_all_are_there() {
    let mut world = World::new(GROUP);
    let method = "twiddler.addProgramToGroup";
    let mut first = begin(&mut world, method, &many("w"));
    let twice = world.begin(method, &many("w")).err();
    assert_eq!(
        twice.as_deref(),
        Some("FAILED: program w of group g is being changed by twiddler.addProgramToGroup, which is not done yet")
    );
    let mut second = begin(&mut world, method, &many("v"));
    // What is small waits for nobody.
    assert_eq!(
        world.call("twiddler.addProgramToGroup", params!["b", "small", options(&[("command", "y")])]),
        Ok(true.into())
    );
    let started = |world: &World| world.host.children.values().filter(|command| *command == "x").count();
    let (mut turns, mut refused) = (0, 0);
    let answer = loop {
        if let Some(answer) = world.poll(&mut first, method) {
            break answer;
        }
        if world.daemon.is_growing() {
            let fault = world.begin("twiddler.removeProcessFromGroup", params!["g", "a"]).err();
            assert_eq!(fault.as_deref(), Some("FAILED: processes are still being added to group g"));
            refused += 1;
        }
        assert_eq!(started(&world), 0, "none is started before the others are there");
        one_turn(&mut world);
        turns += 1;
    };
    assert_eq!((answer, world.daemon.roster.process_count()), (Ok(true.into()), MANY + 3));
    assert!(turns > MANY / FILES_PER_TURN && refused > 0, "{turns} {refused}");
    world.pass(Duration::from_secs(1));
    assert_eq!(started(&world), MANY);
    let answer = (0..10 * MANY).find_map(|_| {
        one_turn(&mut world);
        world.poll(&mut second, method)
    });
    assert_eq!((answer, world.daemon.roster.process_count()), (Some(Ok(true.into())), 2 * MANY + 3));
}

#[test]
fn a_group_is_announced_when_it_is_whole() {
    let mut world = World::new("");
    world.write(&format!("[program:p]\ncommand=x\nautostart=false\nprocess_name=%(process_num)d\nnumprocs={MANY}\n"));
    world.ok("supervisor.reloadConfig", &[]);
    world.daemon.bus.set_stream_mask(EventMask::of([EventType::ProcessGroupAdded]));
    let mut adding = begin(&mut world, "supervisor.addProcessGroup", params!["p"]);
    let announced = loop {
        let answer = world.poll(&mut adding, "supervisor.addProcessGroup");
        let announced = world.daemon.bus.take_streamed().0.len();
        assert_eq!(answer.is_some(), world.daemon.roster.process_count() == MANY);
        if let Some(answer) = answer {
            assert_eq!(answer, Ok(true.into()));
            break announced;
        }
        assert_eq!(announced, 0);
        one_turn(&mut world);
        if world.daemon.roster.process_count() == MANY {
            assert_eq!(world.daemon.bus.take_streamed().0.len(), 1);
        }
    };
    assert_eq!(announced, 0, "once");
    world.ok("supervisor.removeProcessGroup", params!["p"]);
    // The same by an update, which brings in what is configured.
    let mut update = begin(&mut world, "stheno.update", &[]);
    let answer = (0..10 * MANY).find_map(|_| {
        one_turn(&mut world);
        world.poll(&mut update, "stheno.update")
    });
    assert!(matches!(answer, Some(Ok(_))), "{answer:?}");
    assert_eq!((world.daemon.roster.process_count(), world.groups().len()), (MANY, 1));
}

#[test]
fn they_go_over_turns_and_are_answered_for_when_all_are_gone() {
    let mut world = World::new("");
    world.write(&format!("[program:p]\ncommand=x\nautostart=false\nprocess_name=%(process_num)d\nnumprocs={MANY}\n"));
    world.ok("supervisor.reloadConfig", &[]);
    world.ok("supervisor.addProcessGroup", params!["p"]);
    world.daemon.bus.set_stream_mask(EventMask::of([EventType::ProcessGroupRemoved]));
    let mut removing = begin(&mut world, "supervisor.removeProcessGroup", params!["p"]);
    let (mut turns, mut before) = (0, MANY);
    let answer = loop {
        if let Some(answer) = world.poll(&mut removing, "supervisor.removeProcessGroup") {
            break answer;
        }
        let left = world.daemon.roster.process_count();
        assert!(0 < left && left < before, "{left} of {before}");
        before = left;
        // What goes is not started any more, and its group is no other's to change.
        let last = format!("p:{}", MANY - 1);
        assert_eq!(world.call("supervisor.startProcess", params![last.clone()]), Err(format!("BAD_NAME: {last}")));
        let fault = world.begin("supervisor.removeProcessGroup", params!["p"]).err();
        assert_eq!(fault.as_deref(), Some("FAILED: processes are still being removed from group p"));
        assert_eq!(world.daemon.bus.take_streamed().0.len(), 0);
        one_turn(&mut world);
        turns += 1;
    };
    assert_eq!((answer, world.daemon.roster.process_count()), (Ok(true.into()), 0));
    assert!(turns > 1 && world.groups().is_empty(), "{turns}");
    assert_eq!(world.daemon.bus.take_streamed().0.len(), 1);
}

#[test]
fn what_is_not_there_at_the_end_comes_no_more() {
    let mut world = World::new(GROUP);
    let method = "twiddler.addProgramToGroup";
    let mut adding = begin(&mut world, method, &many("w"));
    while !world.daemon.is_growing() {
        assert_eq!(world.poll(&mut adding, method), None);
    }
    world.daemon.request_shutdown();
    one_turn(&mut world);
    let there = world.daemon.roster.process_count();
    assert!(there < MANY && !world.daemon.is_growing());
    assert!(world.poll(&mut adding, method).is_some(), "its client waits no longer than the daemon lives");
    one_turn(&mut world);
    assert_eq!(world.daemon.roster.process_count(), there);
}

#[test]
fn names_that_are_too_long_together_are_refused_at_once() {
    let mut world = World::new(GROUP);
    let all = [("command", "x"), ("numprocs", "99999"), ("process_name", "%(process_num)04000d")];
    let fault = world.begin("twiddler.addProgramToGroup", params!["g", "w", options(&all)]).err();
    let expected = "INCORRECT_PARAMETERS: process_name: the processes of one section take more than 16 MiB of text";
    assert!(fault.as_deref().is_some_and(|fault| fault.starts_with(expected)), "{fault:?}");
}
