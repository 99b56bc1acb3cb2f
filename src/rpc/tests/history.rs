//! What is remembered of the past.

use super::super::testing::World;
use crate::wire::value::Value;

const TEXT: &str =
    "[program:up]\ncommand=up\nstartsecs=0\n[program:down]\ncommand=down\nautostart=false\nstartsecs=0\n";

/// `name what cause by` of all moments from this one on, but those that are changes of configuration.
fn lines(answer: &Value, what: &str) -> Vec<String> {
    let Value::Array(items) = answer else { panic!("{answer:?}") };
    let member = |item: &Value, name: &str| item.member(name).and_then(Value::as_str).unwrap_or("").to_string();
    let line = |item: &Value| ["name", what, "cause", "by"].map(|name| member(item, name)).join(" ").trim().to_string();
    items.iter().map(line).collect()
}

#[test]
fn what_happened_is_told_with_its_cause_and_who_asked() {
    let mut world = World::new(TEXT);
    let before = world.daemon.activity.last();
    let _ = world.begin("supervisor.startProcess", &["down".into()]);
    world.daemon.attribute(before, "uid 7", "supervisor.startProcess");
    let _ = world.begin("supervisor.stopProcess", &["down".into()]);
    world.turn();
    let changes = world.ok("stheno.getHistory", &["down".into()]);
    let expected = ["STARTING  uid 7", "RUNNING  uid 7", "STOPPING", "STOPPED terminated by SIGTERM"];
    assert_eq!(lines(&changes, "statename"), expected);
    let all = lines(&world.ok("stheno.getActivity", &[]), "what");
    let begin = ["supervisord started", "up STARTING", "up RUNNING"];
    assert_eq!(all[..3], begin);
    assert_eq!(all[3..], expected.map(|line| format!("down {line}")));
    assert!(world.call("stheno.getHistory", &["none".into()]).is_err());
}

/// What is no state is remembered, too; a call that failed is not.
#[test]
fn calls_that_show_in_no_state_are_remembered() {
    let mut world = World::new(TEXT);
    world.ok("supervisor.signalProcess", &["up".into(), "HUP".into()]);
    world.ok("supervisor.clearProcessLogs", &["up".into()]);
    world.ok("supervisor.getState", &[]);
    assert!(world.call("supervisor.signalProcess", &["none".into(), "HUP".into()]).is_err());
    let all = lines(&world.ok("stheno.getActivity", &[]), "what");
    let expected = ["signalProcess up  uid 0", "up EXITED terminated by SIGTERM", "clearProcessLogs up  uid 0"];
    assert_eq!(all[3..], expected);
}

#[test]
fn processes_come_and_go_with_who_changed_what() {
    let mut world = World::new(TEXT);
    world.ok("supervisor.removeProcessGroup", &["down".into()]);
    let all = lines(&world.ok("stheno.getActivity", &[]), "what");
    assert_eq!(all[3..], ["remove group 'down'  uid 0", "down removed"]);
}
