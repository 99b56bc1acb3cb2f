//! What each of several is told of the others, and what it publishes of that.

use super::*;
use crate::fleet::published::{Kind, Kinds};
use crate::wire::json;

impl Several {
    /// Somebody wants to be told by one of them.
    fn listen(&mut self, at: usize) {
        let world = &mut self.worlds[at];
        world.extensions.fleet.as_mut().unwrap().publish(Kinds::all(), world.now);
        self.published(at);
    }

    /// What one of them has published since the last look.
    fn published(&mut self, at: usize) -> Vec<(Kind, Value)> {
        let messages = self.with_mesh(|all| all.worlds[at].published());
        messages.into_iter().map(|message| (message.kind, json::read(&message.body).unwrap())).collect()
    }
}

/// Of all messages of a kind, two members of each.
fn told(messages: &[(Kind, Value)], kind: Kind, names: [&str; 2]) -> Vec<String> {
    let of_kind = messages.iter().filter(|(one, _)| *one == kind);
    let text = |value: Option<&Value>| match value {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Some(value) => value.as_str().unwrap_or_default().to_string(),
        None => String::new(),
    };
    of_kind.map(|(_, body)| names.map(|name| text(body.member(name))).join(" ")).collect()
}

#[test]
fn what_happens_in_one_turn_is_told_one_after_the_other() {
    let mut all = Several::joined(PLAIN);
    (0..3).for_each(|at| all.listen(at));
    all.ok(0, "start_process", params!["CONFIG".to_string(), "a".to_string()]);
    for at in 0..3 {
        let messages = all.published(at);
        let states = told(&messages, Kind::Process, ["statename", "identifiers"]);
        assert_eq!(states, ["STARTING box:61000", "RUNNING box:61000"], "{at}");
        let jobs = told(&messages, Kind::Supvisors, ["starting_jobs", "stopping_jobs"]);
        assert_eq!(jobs, ["box:61000 ", " "], "{at}");
    }
    all.ok(1, "stop_process", params!["a".to_string()]);
    for at in 0..3 {
        let messages = all.published(at);
        let jobs = told(&messages, Kind::Supvisors, ["starting_jobs", "stopping_jobs"]);
        assert_eq!(jobs, [" box:61002", " "], "{at}");
    }
    assert_eq!(all.whereabouts("a"), "STOPPED");
}

#[test]
fn what_another_does_is_told_by_it() {
    let mut all = Several::joined(PLAIN);
    all.listen(2);
    all.ok(0, "start_process", params!["MOST_LOADED".to_string(), "a".to_string()]);
    let messages = all.published(2);
    assert_eq!(
        told(&messages, Kind::Process, ["statename", "identifiers"]),
        ["STARTING box:61004", "RUNNING box:61004"]
    );
    assert_eq!(told(&messages, Kind::Supvisors, ["starting_jobs", "stopping_jobs"]), ["box:61000 ", " "]);
}

#[test]
fn a_storm_is_merged_and_ends_with_the_last_state() {
    const COUNT: usize = 40;
    let mut all = Several::joined(&format!(
        "[program:p]\ncommand=/bin/p\nautostart=false\nstartsecs=0\nnumprocs={COUNT}\nprocess_name=%(process_num)d\n"
    ));
    all.listen(1);
    all.ok(0, "start_process", params!["LOCAL".to_string(), "p:*".to_string()]);
    let messages = all.published(1);
    let events = messages.iter().filter(|(kind, _)| *kind == Kind::Event).count();
    assert!((COUNT..COUNT + 10).contains(&events), "{events}: the first are told singly");
    for number in 0..COUNT {
        assert_eq!(all.whereabouts(&format!("p:{number}")), "RUNNING n1");
    }
    let jobs = told(&messages, Kind::Supvisors, ["starting_jobs", "stopping_jobs"]);
    assert_eq!(jobs.last().map(String::as_str), Some(" "), "{jobs:?}");
}

#[test]
fn what_cannot_be_started_with_arguments_is_given_up_there() {
    let mut all = Several::joined("[program:bad]\ncommand=/nowhere/x\nautostart=false\n");
    let fault = all.call(1, "start_args", params!["bad".to_string(), "x".to_string()]).unwrap_err();
    assert_eq!(fault, "NO_FILE: can't find command '/nowhere/x'");
    all.rest();
    let info = all.worlds[1].ok("supervisor.getProcessInfo", params!["bad".to_string()]);
    let of = |name: &str| info.member(name).and_then(Value::as_str).unwrap_or_default();
    assert_eq!((of("statename"), of("spawnerr")), ("FATAL", fault.as_str()));
    assert_eq!(all.whereabouts("bad"), "FATAL");
}

#[test]
fn nothing_is_started_any_more_in_the_turn_in_which_the_end_begins() {
    let mut all = Several::joined("[program:a]\ncommand=/bin/a\nautostart=false\n");
    all.worlds[1].daemon.request_shutdown();
    let fault = all.call(1, "start_args", params!["a".to_string(), "x".to_string()]).unwrap_err();
    assert_eq!(fault, "SHUTDOWN_STATE");
    let fault = all.call(1, "start_process", params!["LOCAL".to_string(), "a".to_string()]).unwrap_err();
    assert!(fault.starts_with("BAD_SUPVISORS_STATE: invalid Supvisors state=SHUTTING_DOWN "), "{fault}");
}
