//! What somebody asks of a process on one instance, on the pages of any (F-72): that instance does it, and logs who it was.

use super::Fleet;
use super::acts::{Begun, Means};
use super::commands::{Asked, LOST};
use super::sequence::NO_PLACE;
use crate::clock::Now;
use crate::config::fleet::StartingStrategy;
use crate::daemon::{Daemon, Host};
use crate::id::PeerId;
use crate::model::fleet::instance::InstanceState;
use crate::model::fleet::phase::Phase;
use crate::model::fleet::view::TaskId;
use crate::state::SupervisorState;
use crate::wire::fleet::codec::beginning;
use crate::wire::fleet::command::{self, Verb};
use crate::wire::pyrepr;

/// Answers that are waited for. Each comes within a moment, or its stream ends; of more the oldest are not waited for.
const ANSWERS_MAX: usize = 256;

/// What another instance says of who asks, and of why it does not do something: a line each.
const USER_BYTES_MAX: usize = 256;
const PROBLEM_BYTES_MAX: usize = 1024;

/// What an action is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An application.
    Application(String),
    /// A process; on one instance, or wherever its rules say.
    Process {
        /// Its name, as `group:process`.
        name: String,
        /// The nick of that instance.
        host: Option<String>,
    },
}

impl Fleet {
    /// Asks for something of a process on an instance; the number of the answer if that is another one.
    ///
    /// Errors: why it is not done.
    pub fn act(
        &mut self,
        peer: PeerId,
        (verb, task): (Verb, TaskId),
        by: &str,
        means: Means<'_>,
    ) -> Result<Option<u64>, String> {
        if peer == self.own {
            return self.act_here((verb, task), by, means).map(|()| None);
        }
        let state = self.member(peer).map(|member| member.state);
        if let Some(state) = state.filter(|state| *state != InstanceState::Running) {
            return Err(format!("it is {}", state.name()));
        }
        let (group, name) = self.view.names(task).unwrap_or_default();
        let (group, name, by) = (group.to_string(), name.to_string(), by.to_string());
        let wish = command::Wish::Act { verb, group, name, by };
        let number = self.command(peer, wish).ok_or("it cannot be reached")?;
        let asked = &mut self.commands.asked;
        if asked.len() == ANSWERS_MAX {
            asked.remove(0);
        }
        asked.push(Asked { number, peer, answer: None });
        Ok(Some(number))
    }

    /// What came of that, once; `None` if there is no answer yet.
    pub fn take_answer(&mut self, number: u64) -> Option<Result<(), String>> {
        let asked = &mut self.commands.asked;
        let Some(at) = asked.iter().position(|one| one.number == number) else { return Some(Err(LOST.to_string())) };
        asked[at].answer.as_ref()?;
        asked.remove(at).answer
    }

    /// An instance answers.
    pub(super) fn hear_of_asked(&mut self, peer: PeerId, number: u64, problem: Option<String>) {
        if let Some(asked) = self.commands.asked.iter_mut().find(|one| one.number == number && one.peer == peer) {
            let problem = problem.map(|text| beginning(&text, PROBLEM_BYTES_MAX).to_string());
            asked.answer = Some(problem.map_or(Ok(()), Err));
        }
    }

    /// What another instance asks for, whose user that is; it is logged with the name by which we know that instance.
    pub(super) fn act_for(
        &mut self,
        peer: PeerId,
        what: (Verb, TaskId),
        user: &str,
        means: Means<'_>,
    ) -> Result<(), String> {
        let nick = self.member(peer).map_or("", |member| &member.who.nick);
        let by = format!("{}, of {nick}", beginning(user, USER_BYTES_MAX));
        self.act_here(what, &by, means)
    }

    /// Does something with a process of this instance, and logs who asked.
    ///
    /// Errors: why it is not done.
    pub(super) fn act_here(&mut self, (verb, task): (Verb, TaskId), by: &str, means: Means<'_>) -> Result<(), String> {
        // The end may have begun in this very turn: the fleet hears of it after all calls.
        if means.daemon.state() != SupervisorState::Running {
            return Err("it is ending".to_string());
        }
        self.take_in(means.daemon, means.now);
        let phase = self.phase;
        if phase != Phase::Operation && !(verb == Verb::Stop && phase == Phase::Conciliation) {
            return Err(format!("Supvisors is in state {}", phase.name()));
        }
        let Some(id) = self.local(task) else { return Err("it is not known there".to_string()) };
        let process = means.daemon.roster.process(id);
        let is_up = process.is_some_and(|process| !process.machine.state().is_stopped()) || means.daemon.is_waiting(id);
        let app = self.view.task(task).and_then(|known| self.applications.get(&known.app));
        let is_managed = app.is_some_and(|app| app.rules.managed);
        match verb {
            Verb::Stop if !is_up => return Err("it does not run there".to_string()),
            Verb::Start if is_up => return Err("it runs there".to_string()),
            Verb::Start | Verb::Restart if means.daemon.is_disabled(id) => {
                return Err("it is disabled there".to_string());
            }
            _ => {}
        }
        if let Some(nick) = self.runs_elsewhere(task).filter(|_| verb != Verb::Stop) {
            return Err(format!("it runs on {nick}"));
        }
        let name = self.view.namespec(task).unwrap_or_default();
        activity!(Info, "{} process {}, asked for by {}", verb.name(), pyrepr::text(&name), pyrepr::text(by));
        let Means { daemon, now, host } = means;
        let before = daemon.activity.last();
        let done = match verb {
            Verb::Stop => {
                self.stop_here(&[id], daemon, now, host);
                Ok(())
            }
            Verb::Restart if is_up => {
                self.stop_here(&[id], daemon, now, host);
                daemon.expect_back([id]);
                if !self.commands.again.contains(&task) {
                    self.commands.again.push(task);
                }
                Ok(())
            }
            _ if is_managed => {
                match self.start_processes(&[task], StartingStrategy::Local, Means { daemon: &mut *daemon, now, host })
                {
                    Begun::Something(_) => Ok(()),
                    Begun::TooMuch => Err("too much of that is under way already".to_string()),
                    Begun::Nothing => Err(NO_PLACE.to_string()),
                }
            }
            _ => {
                self.view.release(task);
                self.refused.remove(&task);
                self.start_here(task, daemon, now, host)
            }
        };
        daemon.attribute(before, by, "web");
        self.amend_own(daemon, task, now);
        done
    }

    /// The nick of another instance on which it runs, so that a second copy would be a conflict; what is not managed may run on
    /// each.
    fn runs_elsewhere(&self, task: TaskId) -> Option<&str> {
        let known = self.view.task(task)?;
        let is_managed = self.applications.get(&known.app).is_some_and(|app| app.rules.managed);
        let at = known.running().find(|at| *at != self.own).filter(|_| is_managed)?;
        self.member(at).map(|member| member.who.nick.as_str())
    }

    /// Starts what was stopped for that alone, unless somebody has stopped it meanwhile, it runs on another instance by now, or
    /// all is ending.
    pub(super) fn start_again_here(&mut self, daemon: &mut Daemon, now: Now, host: &mut dyn Host) {
        let is_ending =
            daemon.state() != SupervisorState::Running || self.wish.is_some() || self.phase > Phase::Conciliation;
        for task in std::mem::take(&mut self.commands.again) {
            let Some(id) = self.local(task).filter(|id| daemon.is_expected_back(*id)) else { continue };
            if is_ending || self.runs_elsewhere(task).is_some() {
                daemon.is_back(id);
            } else if daemon.roster.process(id).is_some_and(|process| process.machine.state().is_stopped()) {
                daemon.is_back(id);
                // What cannot be started is told of as that.
                let _ = self.start_here(task, daemon, now, host);
            } else {
                self.commands.again.push(task);
            }
        }
    }
}
