//! Events of processes and listeners: made here, put on the [bus](super::bus), handed to listeners.

use super::host::{Host, StdinProblem};
use super::{Daemon, bus};
use crate::clock::Now;
use crate::config::{GroupKind, UnknownAction};
use crate::eventtype::EventType;
use crate::exit::ExitStatus;
use crate::id::{GroupId, Pid, ProcId};
use crate::model::event::{End, Entered, Event, Subject};
use crate::model::pool::{Pool, PoolEffect};
use crate::model::process::{self, Transition};
use crate::state::ProcessState;

/// Events dispatched by one pool in one turn; the rest follows in the next, after clients had their say.
const DISPATCHED_PER_TURN: usize = 256;

impl Daemon {
    /// The event of a change of state, and all that hangs on a process's state.
    pub(super) fn changed(&mut self, id: ProcId, change: &Transition) {
        self.just_changed.push(id);
        #[cfg(feature = "fleet")]
        self.note_change(id, change);
        self.roster.count(id, change);
        self.note_reached(id, change.to);
        let Some((group, process)) = self.roster.member(id) else { return };
        if matches!(group.config.kind, GroupKind::Listener(_)) && change.to == ProcessState::Running {
            self.bus.mark(process.group);
        }
        if !self.bus.wants(EventType::entering(change.to)) {
            return;
        }
        let subject = Subject { id, name: &process.config.name, group: &group.config.name };
        let pid = Pid(change.pid);
        let end = end(change);
        let entered = match change.to {
            ProcessState::Starting => Entered::Starting { tries: change.tries },
            ProcessState::Running => Entered::Running { pid },
            ProcessState::Backoff => Entered::Backoff { tries: change.tries, end },
            ProcessState::Stopping => Entered::Stopping { pid },
            ProcessState::Stopped => Entered::Stopped { pid: (change.pid != 0).then_some(pid), end },
            ProcessState::Exited => Entered::Exited { expected: change.expected, pid, end },
            ProcessState::Fatal => Entered::Fatal { end },
            ProcessState::Unknown => Entered::Unknown,
        };
        let event = Event::process_state(subject, change.from, entered);
        self.bus.emit(event);
    }

    pub(super) fn announce_running(&mut self) {
        self.bus.emit(Event::supervisor_running());
    }

    pub(super) fn announce_group(&mut self, name: &str, added: bool) {
        self.bus.emit(if added { Event::group_added(name) } else { Event::group_removed(name) });
    }

    /// A fleet has added, removed, enabled or disabled a process (V-500).
    #[cfg(feature = "fleet")]
    pub fn announce_process(&mut self, kind: EventType, name: &str, group: &str) {
        self.bus.emit(Event::of_fleet(kind, name, group));
    }

    /// A client's own event, `sendRemoteCommEvent` (E-9).
    pub fn remote_event(&mut self, kind: &str, data: &str) {
        self.bus.emit(Event::remote(kind, data));
    }

    /// Gives a new group its pool, if it is one of listeners.
    pub(super) fn open_pool(&mut self, id: GroupId) {
        let Some(group) = self.roster.group(id) else { return };
        if let GroupKind::Listener(listener) = &group.config.kind {
            self.bus.add_pool(id, Pool::new(&group.config.name, listener));
        }
    }

    /// What a listener wrote on its stdout.
    pub(super) fn listener_output(&mut self, id: ProcId, bytes: &[u8], now: Now, host: &mut dyn Host) {
        if self.config.supervisord.loglevel <= crate::level::Level::Debug
            && let Some(process) = self.roster.process(id)
        {
            let name = crate::wire::pyrepr::text(&process.config.name);
            activity!(Debug, "{name} stdout output:\n{}", crate::wire::pyrepr::bytes(bytes));
        }
        self.with_pool(id, now, host, |pool, effects| {
            pool.moved(now.mono);
            pool.output(id, bytes, effects);
        });
    }

    /// A listener was reaped: an event that it had goes back into the queue (E-49).
    pub(super) fn listener_exited(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        self.with_pool(id, now, host, |pool, effects| pool.exited(id, effects));
    }

    /// Takes a process out of its group's pool, if there is one.
    pub(super) fn leave_pool(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        self.with_pool(id, now, host, |pool, effects| pool.remove_member(id, effects));
    }

    fn with_pool(
        &mut self,
        id: ProcId,
        now: Now,
        host: &mut dyn Host,
        work: impl FnOnce(&mut Pool, &mut Vec<PoolEffect>),
    ) {
        let Some(process) = self.roster.process(id) else { return };
        let group = process.group;
        let Some(pool) = self.bus.pool_mut(group) else { return };
        let mut effects = std::mem::take(&mut self.pool_effects);
        work(pool, &mut effects);
        self.bus.note_wake(group);
        self.bus.mark(group);
        self.perform(group, effects, now, host);
    }

    /// Sends queued events to listeners that are ready, in every pool where something may have become possible.
    pub fn dispatch(&mut self, now: Now, host: &mut dyn Host) {
        // A pool whose turn is cut short is marked again, and the next turn comes at once.
        self.bus.wake(now.mono);
        let mut last = None;
        while let Some(id) = self.bus.next_marked(last) {
            self.dispatch_pool(id, now, host);
            last = Some(id);
        }
    }

    fn dispatch_pool(&mut self, id: GroupId, now: Now, host: &mut dyn Host) {
        let roster = &self.roster;
        let Some(pool) = self.bus.pool_mut(id) else { return };
        if pool.queued() == 0 || pool.rests_until().is_some() {
            return;
        }
        let is_running =
            |id: ProcId| roster.process(id).is_some_and(|process| process.machine.state() == ProcessState::Running);
        let server = &self.config.supervisord.identifier;
        let mut effects = std::mem::take(&mut self.pool_effects);
        let mut budget = DISPATCHED_PER_TURN;
        while let Some(listener) = pool.next(server, is_running, &mut effects) {
            match host.write_stdin(listener, pool.envelope()) {
                Ok(()) => {
                    pool.moved(now.mono);
                    pool.sent(&mut effects);
                }
                Err(StdinProblem::Closed | StdinProblem::Full) => pool.refused(&mut effects),
            }
            budget -= 1;
            if budget == 0 {
                break;
            }
        }
        self.bus.note_wake(id);
        if budget == 0 {
            self.bus.mark(id);
        }
        self.perform(id, effects, now, host);
    }

    fn perform(&mut self, group: GroupId, mut effects: Vec<PoolEffect>, now: Now, host: &mut dyn Host) {
        for effect in effects.drain(..) {
            match effect {
                PoolEffect::Log(line) => bus::log_line(&line),
                PoolEffect::WriteStdin { process, bytes } => {
                    // The listener's answer is accepted whatever becomes of it (E-48).
                    let _ = host.write_stdin(process, &bytes);
                }
                PoolEffect::Print(bytes) => host.print(&bytes),
                PoolEffect::EnteredUnknown(id) => {
                    let restart = self.roster.group(group).is_some_and(
                        |group| matches!(&group.config.kind, GroupKind::Listener(listener) if listener.options.unknown_action == UnknownAction::Restart),
                    );
                    if restart {
                        self.restart_listener(id, now, host);
                    }
                }
            }
        }
        self.pool_effects = effects;
    }

    /// `unknown_action=restart`: SIGKILL, for a listener that broke the protocol cannot be trusted to answer its stop
    /// signal; and a new start, whatever `autorestart` says, after the pauses of failed starts.
    fn restart_listener(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        // A failed signal has been logged and has made the process UNKNOWN.
        let _ = self.step(id, process::Trigger::Distrust, now, host);
    }

    /// What an event about a process says of it: names and pid.
    pub(super) fn subject(&self, id: ProcId) -> Option<(Subject<'_>, Pid)> {
        let (group, process) = self.roster.member(id)?;
        let subject = Subject { id, name: &process.config.name, group: &group.config.name };
        Some((subject, process.machine.pid().unwrap_or(Pid(0))))
    }
}

/// How the last run ended, for payloads that tell more (`extended_payload`).
fn end(change: &Transition) -> End<'static> {
    let (exitstatus, signal) = match change.exit {
        Some(ExitStatus::Code(code)) => (code, None),
        Some(ExitStatus::Signal { number, .. }) => (-1, Some(number)),
        None => (-1, None),
    };
    let reason = match (change.to, change.exit) {
        (ProcessState::Stopped, _) => "stop",
        (ProcessState::Fatal, _) => "retries",
        (_, None) => "spawn",
        (_, Some(ExitStatus::Code(_))) => "exit",
        (_, Some(ExitStatus::Signal { .. })) => "signal",
    };
    End { exitstatus, signal, reason }
}
