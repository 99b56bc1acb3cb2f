//! What one instance has another one do: starts and stops, and the end of everything, which is passed to whoever leads.
//!
//! A command is answered at once with whether it is under way; what comes of it is seen in the reports.

use std::collections::BTreeMap;

use super::Fleet;
use crate::clock::Now;
use crate::daemon::{Daemon, Host};
use crate::id::PeerId;
use crate::model::fleet::phase::Wish;
use crate::model::fleet::view::TaskId;
use crate::state::SupervisorState;
use crate::wire::fleet::Kind;
use crate::wire::fleet::command::{self, Answer, Command};

/// Commands that may be unanswered. Each is answered within a moment, or its stream ends.
const UNANSWERED_MAX: usize = 100_000;

/// Commands that are not answered yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Commands {
    next: u64,
    /// Starts by their numbers: where, and which.
    starts: BTreeMap<u64, (PeerId, TaskId)>,
}

impl Commands {
    /// An instance is lost: it answers nothing any more.
    pub fn forget(&mut self, peer: PeerId) {
        self.starts.retain(|_, (at, _)| *at != peer);
    }
}

impl Fleet {
    fn command(&mut self, peer: PeerId, wish: command::Wish) -> Option<u64> {
        self.commands.next += 1;
        let command = Command { number: self.commands.next, wish };
        self.peers.send(peer, Kind::Command, &command.write()).ok().map(|()| command.number)
    }

    /// Has another instance start a process; false if it cannot be told.
    pub(super) fn command_start(&mut self, peer: PeerId, task: TaskId) -> bool {
        let Some((group, name)) = self.view.names(task) else { return false };
        let arguments = self.extra_args(task).to_string();
        let wish = command::Wish::Start { group: group.to_string(), name: name.to_string(), arguments };
        let Some(number) = self.command(peer, wish) else { return false };
        if self.commands.starts.len() < UNANSWERED_MAX {
            self.commands.starts.insert(number, (peer, task));
        }
        true
    }

    /// Has another instance stop a process.
    pub(super) fn command_stop(&mut self, peer: PeerId, task: TaskId) {
        let Some((group, name)) = self.view.names(task) else { return };
        let wish = command::Wish::Stop { group: group.to_string(), name: name.to_string() };
        // One that cannot be told is about to be lost, which is seen as that.
        self.command(peer, wish);
    }

    /// Passes a wish to whoever leads; false if it cannot be told.
    pub(super) fn pass_on(&mut self, master: PeerId, wish: Wish) -> bool {
        let wish = match wish {
            Wish::Shutdown => command::Wish::Shutdown,
            Wish::Restart => command::Wish::Restart,
        };
        self.command(master, wish).is_some()
    }

    /// The arguments that a process has beside its command line, by what was said of them last.
    pub fn extra_args(&self, task: TaskId) -> &str {
        let task = self.view.task(task);
        let known = task.and_then(|task| task.on(self.own).or(task.deciding()));
        known.map_or("", |known| &known.record.extra_args)
    }

    pub(super) fn hear_command(
        &mut self,
        peer: PeerId,
        body: &[u8],
        daemon: &mut Daemon,
        now: Now,
        host: &mut dyn Host,
    ) {
        let (number, problem) = match Command::read(body) {
            Ok(Ok(command)) => (command.number, self.obey(command.wish, daemon, now, host).err()),
            Ok(Err(number)) => (number, Some("not known here".to_string())),
            Err(_) => return self.peers.complain(peer, now.mono, "wants what makes no sense"),
        };
        let answer = Answer { number, problem };
        // Whoever cannot be told is lost, and nobody waits there.
        let _ = self.peers.send(peer, Kind::Answer, &answer.write());
    }

    /// Does what another instance wants.
    ///
    /// Errors: why it is not done.
    fn obey(&mut self, wish: command::Wish, daemon: &mut Daemon, now: Now, host: &mut dyn Host) -> Result<(), String> {
        if daemon.state() != SupervisorState::Running {
            return Err("it is ending".to_string());
        }
        let find = |fleet: &Fleet, group: &str, name: &str| {
            let task = fleet.view.task_named(group, name).filter(|task| fleet.local.contains_key(task));
            task.ok_or_else(|| format!("{group}:{name} is not known there"))
        };
        match wish {
            command::Wish::Start { group, name, arguments } => {
                let task = find(self, &group, &name)?;
                if self.extra_args(task) != arguments {
                    self.set_arguments(task, &arguments, daemon, now);
                }
                self.start_here(task, daemon, now, host)
            }
            command::Wish::Stop { group, name } => {
                let task = find(self, &group, &name)?;
                if let Some(id) = self.local(task) {
                    self.stop_here(&[id], daemon, now, host);
                    self.amend_own(daemon, task, now);
                }
                Ok(())
            }
            command::Wish::Shutdown | command::Wish::Restart if !self.leads() => {
                Err("another instance leads".to_string())
            }
            command::Wish::Shutdown => {
                self.ask(Wish::Shutdown, daemon);
                Ok(())
            }
            command::Wish::Restart => {
                self.ask(Wish::Restart, daemon);
                Ok(())
            }
        }
    }

    pub(super) fn hear_answer(&mut self, peer: PeerId, body: &[u8], now: Now) {
        let Ok(answer) = Answer::read(body) else { return };
        let Some((_, task)) = self.commands.starts.remove(&answer.number).filter(|(at, _)| *at == peer) else {
            return;
        };
        if let Some(problem) = answer.problem
            && self.targets.get(&task).is_some_and(|target| target.peer == peer)
        {
            self.refuse(task, &problem, now);
        }
    }
}
