//! What people ask of one of several, on the pages of any.

use super::*;
use crate::fault::Fault;
use crate::fleet::asked::Target;
use crate::rpc::fleet::page;
use crate::wire::fleet::command::Verb;

impl Several {
    /// Somebody asks the first of them.
    fn ask(&mut self, verb: Verb, name: &str, host: Option<&str>) -> Result<Outcome, Fault> {
        let target = Target::Process { name: name.to_string(), host: host.map(str::to_string) };
        self.with_mesh(|all| all.worlds[0].in_context("web", |one| page::act(one, verb, &target)))
    }

    /// What has come of that by now, and what is still waited for.
    fn asked(&mut self, outcome: Result<Outcome, Fault>) -> Result<Option<Deferred>, String> {
        let why = |fault: Fault| fault.extra.unwrap_or_default();
        match outcome.map_err(why)? {
            Outcome::Now(_) => Ok(None),
            Outcome::Deferred(mut deferred) => {
                let polled = self.with_mesh(|all| all.worlds[0].in_context("web", |one| deferred.poll(one)));
                match polled {
                    Some(done) => done.map(|_| None).map_err(why),
                    None => Ok(Some(deferred)),
                }
            }
        }
    }

    /// What it is told, and where the process is in the end.
    fn act(&mut self, verb: Verb, name: &str, host: Option<&str>) -> (Result<(), String>, String) {
        let mut outcome = self.ask(verb, name, host);
        let done = loop {
            match self.asked(outcome) {
                Ok(None) => break Ok(()),
                Err(why) => break Err(why),
                Ok(Some(deferred)) => outcome = Ok(Outcome::Deferred(deferred)),
            }
            self.turn();
        };
        self.rest();
        (done, self.whereabouts(name))
    }
}

fn place(text: &str) -> (Result<(), String>, String) {
    (Ok(()), text.to_string())
}

fn refused(why: &str, text: &str) -> (Result<(), String>, String) {
    (Err(why.to_string()), text.to_string())
}

#[test]
fn what_people_ask_of_one_instance_is_done_there() {
    let mut all = Several::joined(PLAIN);
    assert_eq!(all.act(Verb::Start, "a", Some("n2")), place("RUNNING n2"));
    assert_eq!(all.act(Verb::Start, "a", Some("n2")), refused("it runs there", "RUNNING n2"));
    assert_eq!(all.act(Verb::Restart, "a", Some("n2")), place("RUNNING n2"));
    assert_eq!(all.act(Verb::Stop, "a", Some("n3")), refused("it does not run there", "RUNNING n2"));
    assert_eq!(all.act(Verb::Start, "a", Some("n1")), place("RUNNING n1 n2"), "it is not managed");
    assert_eq!(all.act(Verb::Restart, "a", Some("n2")), place("RUNNING n1 n2"));
    assert_eq!(all.act(Verb::Stop, "a", Some("n2")), place("RUNNING n1"));
    assert_eq!(all.act(Verb::Stop, "a", None), place("STOPPED"));
    assert_eq!(all.act(Verb::Start, "a", Some("n9")).0, Err("n9".to_string()));
}

#[test]
fn nobody_waits_for_an_answer_that_went_with_its_stream() {
    let mut all = Several::joined(PLAIN);
    let outcome = all.ask(Verb::Start, "a", Some("n2"));
    let waiting = all.asked(outcome).unwrap().expect("n2 has not heard of it yet");
    // Another stream to the same run, and nobody was taken for gone between them.
    all.mesh.join(0, 1, 1);
    all.turn();
    let told = all.asked(Ok(Outcome::Deferred(waiting)));
    assert_eq!(told.err().as_deref(), Some("the instance was lost"));
}

#[test]
fn one_that_is_kept_away_is_asked_for_nothing() {
    let more = |at: usize| format!("{}{PLAIN}", if at == 2 { "auto_fence=true\n" } else { "" });
    let mut all = Several::of((0..3).map(|at| World::new(&text(at, &more(at)))).collect());
    all.mesh.join_all(1);
    (0..520).for_each(|_| all.turn());
    assert_eq!(all.seen_by(0), ["RUNNING", "RUNNING", "ISOLATED"]);
    let fault = all.ask(Verb::Start, "a", Some("n3")).err().and_then(|fault| fault.extra);
    assert_eq!(fault.as_deref(), Some("it is ISOLATED"));
}

#[test]
fn what_is_stopped_to_be_started_again_stays_down_in_the_end() {
    let mut all = Several::joined(PLAIN);
    assert_eq!(all.act(Verb::Start, "a", Some("n1")), place("RUNNING n1"));
    assert!(all.ask(Verb::Restart, "a", Some("n1")).is_ok());
    all.worlds[0].daemon.request_shutdown();
    assert_eq!(
        all.ask(Verb::Start, "a", Some("n1")).err().and_then(|fault| fault.extra).as_deref(),
        Some("it is ending")
    );
    for _ in 0..20 {
        all.worlds[0].pass(STEP);
        all.turn();
    }
    assert!(all.worlds[0].host.children.is_empty());
}
