//! What has happened and is handed over to the service: sorted by kind, in the order of a turn.

use std::collections::VecDeque;

use stheno::config::NotifyAccess;
use stheno::exit::ExitStatus;
use stheno::id::{Channel, ConnId, Pid, ProcId};
use stheno::serve::Input;

use super::World;
use crate::agenda::{Happening, Spoken};
use crate::files::MAIN_FILE;
use crate::host::Trouble;

/// What has happened, by kind.
#[derive(Default)]
pub(super) struct Inbox {
    /// What children wrote; what has to wait for listeners stays.
    pub(super) outputs: Vec<Happening>,
    /// What helpers wrote, what was answered, and what children told of themselves.
    pub(super) told: Vec<Happening>,
    /// Children, helpers and strangers that ended; those that were not reaped yet stay.
    pub(super) exits: VecDeque<(i32, ExitStatus)>,
    /// Whether a signal tells of an exit that came since the last turn.
    pub(super) is_told: bool,
    /// Children that may have come to their programs.
    pub(super) reports: Vec<i32>,
    pub(super) signals: Vec<i32>,
    pub(super) acting: Vec<Happening>,
    pub(super) changed: Vec<ConnId>,
}

impl Inbox {
    pub(super) fn len(&self) -> usize {
        self.outputs.len()
            + self.told.len()
            + self.exits.len()
            + self.reports.len()
            + self.signals.len()
            + self.acting.len()
            + self.changed.len()
    }
}

impl World {
    /// Sorts everything that has happened by kind.
    pub(super) fn collect(&mut self) {
        self.inbox.is_told = false;
        let has_rest = !self.inbox.exits.is_empty();
        while let Some(happening) = self.host.agenda.pop(self.now) {
            match happening {
                Happening::Output { pid, .. } | Happening::Ended { pid, .. } => {
                    if self.host.children.get(&pid).is_some_and(|child| !child.is_dead) {
                        self.inbox.outputs.push(happening);
                    }
                }
                Happening::Exit { pid, status } => {
                    let child = self.host.children.get_mut(&pid).map(|child| &mut child.is_dead);
                    let helper = self.host.helpers.get_mut(&pid).map(|helper| &mut helper.is_dead);
                    if let Some(is_dead) = child.or(helper)
                        && !std::mem::replace(is_dead, true)
                    {
                        self.inbox.is_told = !has_rest;
                        self.inbox.exits.push_back((pid, status));
                    }
                }
                Happening::HelperOutput { .. }
                | Happening::Probed { .. }
                | Happening::Notified { .. }
                | Happening::ReadyLine { .. } => self.inbox.told.push(happening),
                Happening::SetUp { pid } => self.inbox.reports.push(pid),
                Happening::Stranger { pid, status } => self.inbox.exits.push_back((pid, status)),
                Happening::Signal(number) => self.inbox.signals.push(number),
                Happening::Client(_) | Happening::Sends(_) | Happening::Reads(_) => self.inbox.acting.push(happening),
                Happening::FileChanged(conn) => self.inbox.changed.push(conn),
                Happening::Edit => {
                    self.say(|| "somebody edits the file".to_string());
                    self.is_edited = true;
                    self.is_changed = true;
                    self.host.file.edit(&mut self.random);
                    let text = self.host.file.text();
                    self.host.files.write(MAIN_FILE, text.as_bytes());
                }
                Happening::ClockSet(secs) => self.wall_secs += secs,
                Happening::Trouble => {
                    self.host.trouble = match self.random.one_in(2) {
                        true => Trouble::default(),
                        false => Trouble::random(&mut self.random),
                    };
                }
            }
        }
        self.inbox.changed.dedup();
    }

    /// Whether output has to wait for listeners, in its pipe.
    pub(super) fn is_paused(&self, output: &Happening) -> bool {
        let (Happening::Output { pid, channel, .. } | Happening::Ended { pid, channel }) = output else { return false };
        let child = self.host.children.get(pid).filter(|child| self.host.pipes.get(&child.process) == Some(pid));
        child.is_some_and(|child| self.service.is_paused((child.process, *channel)))
    }

    /// Hands over what a child that has ended left in its pipes, and waits for nobody.
    pub(super) fn deliver_last(&mut self, pid: i32) {
        let of_pid = |output: &Happening| match output {
            Happening::Output { pid: other, .. } | Happening::Ended { pid: other, .. } => *other == pid,
            _ => false,
        };
        let (last, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.inbox.outputs).into_iter().partition(of_pid);
        self.inbox.outputs = rest;
        for output in last {
            self.deliver_output(output);
        }
    }

    pub(super) fn deliver_output(&mut self, output: Happening) {
        match output {
            Happening::Output { pid, channel, bytes, spoken } => {
                let Some(child) = self.host.children.get_mut(&pid) else { return };
                let process = child.process;
                // Its pipes may be closed already, if it was removed in state UNKNOWN.
                if self.host.pipes.get(&process) != Some(&pid) || bytes.is_empty() {
                    return;
                }
                if child.hear(channel, &bytes) {
                    self.host.ready.insert(process);
                }
                let is_garbage = spoken.contains(&Spoken::Garbage);
                if is_garbage && child.listener.as_ref().is_some_and(|listener| listener.is_answering) {
                    return;
                }
                self.say(|| format!("{pid} writes {:?} {}", String::from_utf8_lossy(&bytes), channel.name()));
                let input = |bytes| Input::Output { process, channel, bytes };
                // A listener that sends garbage is not READY any more once it is heard.
                for what in spoken {
                    self.spoken(pid, process, what);
                }
                self.step(|service, now, host| service.handle(input(&bytes), now, host));
            }
            Happening::Ended { pid, channel } => {
                let Some(child) = self.host.children.get(&pid) else { return };
                let process = child.process;
                let input = Input::OutputEnded { process, channel, fd: 7 };
                self.step(|service, now, host| service.handle(input, now, host));
            }
            _ => {}
        }
    }

    /// Hands over what is told beside the output of children.
    pub(super) fn deliver_told(&mut self, told: Happening) {
        match told {
            Happening::HelperOutput { pid, bytes } if self.host.helpers.contains_key(&pid) => {
                let input = Input::HelperOutput { pid: Pid(pid), bytes: &bytes };
                self.step(|service, now, host| service.handle(input, now, host));
            }
            Happening::Probed { process, number, result } => {
                if self.host.probes.get(&process) != Some(&number) {
                    return;
                }
                self.say(|| format!("{process:?} is answered for: {result:?}"));
                if result.is_ok() {
                    self.host.ready.insert(process);
                }
                self.step(|service, now, host| service.handle(Input::Probed { process, result }, now, host));
            }
            Happening::Notified { pid, sender, text } => {
                let Some(process) = self.process_of_open(pid) else { return };
                self.say(|| format!("{} tells for {pid}: {text:?}", sender.0));
                let config = self.service.daemon.roster.process(process).map(|process| &process.config.program);
                let is_heard =
                    sender.0 == pid || config.is_some_and(|config| config.notify_access == NotifyAccess::All);
                if is_heard && text.contains("READY=1") {
                    self.host.ready.insert(process);
                }
                let input = Input::Notified { process, sender, bytes: text.as_bytes() };
                self.step(|service, now, host| service.handle(input, now, host));
            }
            Happening::ReadyLine { pid } => {
                let Some(process) = self.process_of_open(pid) else { return };
                self.say(|| format!("{pid} writes a line feed"));
                self.host.ready.insert(process);
                self.step(|service, now, host| service.handle(Input::ReadyLine { process }, now, host));
            }
            _ => {}
        }
    }

    /// The process of a child that was not reaped yet.
    fn process_of_open(&self, pid: i32) -> Option<ProcId> {
        let process = self.host.children.get(&pid)?.process;
        (self.host.pipes.get(&process) == Some(&pid)).then_some(process)
    }

    /// A listener has said something whole.
    pub(super) fn spoken(&mut self, pid: i32, process: ProcId, what: Spoken) {
        let Some(pool) = self.group_of.get(&process).copied() else { return };
        let Some(listener) = self.host.children.get_mut(&pid).and_then(|child| child.listener.as_mut()) else { return };
        if listener.is_broken {
            return;
        }
        match what {
            Spoken::Ready => listener.is_ready = true,
            Spoken::Accepted => self.pools.accepted(pool, process),
            Spoken::Rejected | Spoken::Broken | Spoken::Garbage => self.pools.returned(pool, process),
        }
        if what != Spoken::Ready {
            listener.is_answering = false;
            listener.holding = None;
        }
        if matches!(what, Spoken::Broken | Spoken::Garbage) {
            listener.is_ready = false;
            listener.is_broken = true;
        }
    }

    pub(super) fn deliver_exit(&mut self, pid: i32, status: ExitStatus) {
        self.say(|| format!("{pid} ends, {}", status.text()));
        if let Some(helper) = self.host.helpers.get(&pid) {
            if helper.is_probe() && status == ExitStatus::Code(0) {
                let name = format!("{}:{}", helper.names.0, helper.names.1);
                self.host.ready.extend(self.service.daemon.roster.find_process(&name));
            }
            assert!(self.service.daemon.is_helper(Pid(pid)), "a helper that the daemon does not know");
            self.step(|service, now, host| service.handle(Input::Exited { pid: Pid(pid), status }, now, host));
            self.host.helpers.remove(&pid);
            return;
        }
        self.deliver_last(pid);
        if let Some(child) = self.host.children.get(&pid) {
            let process = child.process;
            let owned = self.service.daemon.roster.process_of(Pid(pid)).is_some();
            if self.host.pipes.get(&process) == Some(&pid) {
                for channel in [Channel::Stdout, Channel::Stderr] {
                    let input = Input::OutputEnded { process, channel, fd: 7 };
                    self.step(|service, now, host| service.handle(input, now, host));
                }
                if let Some(pool) = self.group_of.get(&process).copied() {
                    self.pools.returned(pool, process);
                }
            }
            if !owned {
                self.reaped.push(pid);
            }
        } else {
            self.reaped.push(pid);
        }
        let roster = &self.service.daemon.roster;
        let process = roster.process_of(Pid(pid)).and_then(|id| roster.process(id));
        let is_minded = process.is_some_and(|process| process.config.program.killmode.minds_leftovers());
        self.host.orphans.ends(pid, is_minded);
        if self.service.daemon.minds_leftovers() {
            self.step(|service, now, host| service.daemon.before_reaping(Pid(pid), now, host));
        }
        // Reaped: from here on its number is nobody's, or what is left of its group's.
        self.host.children.get_mut(&pid).into_iter().for_each(|child| child.is_dead = true);
        self.host.reaped = Some(pid);
        self.step(|service, now, host| service.handle(Input::Exited { pid: Pid(pid), status }, now, host));
        self.host.reaped = None;
        self.host.children.remove(&pid);
    }
}
