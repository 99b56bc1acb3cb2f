//! What somebody asks of a process on one instance, on the pages of any (F-72): that instance does it, and logs who it was.

use super::Fleet;
use super::acts::{Begun, Means};
use super::commands::{Asked, LOST};
use super::sequence::NO_PLACE;
use crate::clock::Now;
use crate::config::fleet::StartingStrategy;
use crate::daemon::{Daemon, Host};
use crate::id::PeerId;
use crate::model::fleet::phase::Phase;
use crate::model::fleet::view::TaskId;
use crate::wire::fleet::command::{self, Verb};
use crate::wire::pyrepr;

/// Answers that are waited for. Each comes within a moment, or its stream ends; of more the oldest are not waited for.
const ANSWERS_MAX: usize = 256;

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
        let (group, name) = self.view.names(task).unwrap_or_default();
        let by = format!("{by}, of {}", self.own().map_or("", |own| &own.nick));
        let wish = command::Wish::Act { verb, group: group.to_string(), name: name.to_string(), by };
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
            asked.answer = Some(problem.map_or(Ok(()), Err));
        }
    }

    /// Does something with a process of this instance, and logs who asked.
    ///
    /// Errors: why it is not done.
    pub(super) fn act_here(&mut self, (verb, task): (Verb, TaskId), by: &str, means: Means<'_>) -> Result<(), String> {
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
        // What is not managed may run on each host; a second copy of the rest is a conflict.
        let elsewhere = self.view.task(task).and_then(|known| known.running().find(|at| *at != self.own));
        if let Some(member) = elsewhere.filter(|_| verb != Verb::Stop && is_managed).and_then(|at| self.member(at)) {
            return Err(format!("it runs on {}", member.who.nick));
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

    /// Starts what was stopped for that alone, unless somebody has stopped it meanwhile.
    pub(super) fn start_again_here(&mut self, daemon: &mut Daemon, now: Now, host: &mut dyn Host) {
        for task in std::mem::take(&mut self.commands.again) {
            let Some(id) = self.local(task).filter(|id| daemon.is_expected_back(*id)) else { continue };
            if daemon.roster.process(id).is_some_and(|process| process.machine.state().is_stopped()) {
                daemon.is_back(id);
                // What cannot be started is told of as that.
                let _ = self.start_here(task, daemon, now, host);
            } else {
                self.commands.again.push(task);
            }
        }
    }
}
