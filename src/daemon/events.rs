//! Events: made here, queued in the pools that want them, dispatched to listeners, handed to HTTP streams.

use std::collections::VecDeque;
use std::rc::Rc;

use super::host::{Host, StdinProblem};
use super::{Daemon, Group};
use crate::clock::{Mono, Now};
use crate::config::GroupKind;
use crate::eventtype::{EventMask, EventType};
use crate::exit::ExitStatus;
use crate::id::{GroupId, Pid, ProcId};
use crate::model::event::{End, Entered, Event, Subject};
use crate::model::pool::{Effect, Pool};
use crate::model::process::{self, Change};
use crate::state::ProcessState;

/// Events kept for the HTTP streams within one turn; beyond it the oldest are dropped, and the streams say so.
pub const STREAMED_MAX: usize = 4096;

/// Events dispatched by one pool in one turn; the rest follows in the next, after clients had their say.
const DISPATCHED_PER_TURN: usize = 256;

/// An event for the HTTP streams.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// The daemon's serial.
    pub serial: u64,
    /// The event.
    pub event: Rc<Event>,
}

impl Daemon {
    /// Whether anybody wants events of this type.
    pub(super) fn wants(&self, kind: EventType) -> bool {
        self.wanted.wants(kind)
    }

    /// What the HTTP streams want from now on.
    pub fn set_stream_mask(&mut self, mask: EventMask) {
        if mask == EventMask::NONE {
            // The next stream is not to begin with what the last one did not live to hear.
            self.take_streamed();
        }
        self.stream_mask = mask;
        self.refresh_wanted();
    }

    /// The events for the HTTP streams since the last call, and how many before them were dropped.
    pub fn take_streamed(&mut self) -> (VecDeque<Streamed>, u64) {
        (std::mem::take(&mut self.streamed), std::mem::take(&mut self.streamed_lost))
    }

    /// Queues an event in every pool that wants it; one that nobody wants uses no serial (E-32).
    pub(super) fn emit(&mut self, event: Event) {
        let kind = event.kind();
        if !self.wanted.wants(kind) {
            return;
        }
        let serial = self.serial.take();
        let event = Rc::new(event);
        if self.stream_mask.wants(kind) {
            if self.streamed.len() == STREAMED_MAX {
                self.streamed.pop_front();
                self.streamed_lost += 1;
            }
            self.streamed.push_back(Streamed { serial, event: event.clone() });
        }
        let mut effects = Vec::new();
        for id in &self.pools {
            if let Some(pool) = self.groups.get_mut(id).and_then(|group| group.pool.as_mut())
                && pool.mask().wants(kind)
            {
                pool.offer(event.clone(), serial, &mut effects);
                mark(&mut self.busy_pools, *id);
            }
        }
        log_lines(&effects);
    }

    /// The event of a change of state, and all that hangs on a process's state.
    pub(super) fn changed(&mut self, id: ProcId, change: &Change) {
        self.touched.push(id);
        let Some(process) = self.processes.get(&id) else { return };
        let Some(group) = self.groups.get_mut(&process.group) else { return };
        match (change.from.is_stopped(), change.to.is_stopped()) {
            (true, false) => group.unstopped += 1,
            (false, true) => group.unstopped = group.unstopped.saturating_sub(1),
            _ => {}
        }
        if group.pool.is_some() && change.to == ProcessState::Running {
            mark(&mut self.busy_pools, process.group);
        }
        if !self.wanted.wants(EventType::entering(change.to)) {
            return;
        }
        let subject = Subject { id, name: &process.program.name, group: &group.config.name };
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
        self.emit(event);
    }

    pub(super) fn announce_running(&mut self) {
        self.emit(Event::supervisor_running());
    }

    pub(super) fn announce_group(&mut self, name: &str, added: bool) {
        self.emit(if added { Event::group_added(name) } else { Event::group_removed(name) });
    }

    /// `sendRemoteCommEvent` (E-9).
    pub fn remote_event(&mut self, kind: &str, data: &str) {
        self.emit(Event::remote(kind, data));
    }

    /// Gives a new group its pool, if it is one of listeners.
    pub(super) fn open_pool(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if let GroupKind::Listener(listener) = &group.config.kind {
            group.pool = Some(Pool::new(&group.config.name, listener));
            self.pools.push(id);
            self.refresh_wanted();
        }
    }

    pub(super) fn close_pool(&mut self, id: GroupId) {
        self.busy_pools.retain(|pool| *pool != id);
        self.pools.retain(|pool| *pool != id);
        self.refresh_wanted();
    }

    fn refresh_wanted(&mut self) {
        let pools = self.pools.iter().filter_map(|id| self.groups.get(id)?.pool.as_ref());
        self.wanted = pools.fold(self.stream_mask, |mask, pool| mask.union(pool.mask()));
    }

    /// What a listener wrote on its stdout.
    pub(super) fn listener_output(&mut self, id: ProcId, bytes: &[u8], now: Now, host: &mut dyn Host) {
        if self.config.supervisord.loglevel <= crate::level::Level::Debug
            && let Some(process) = self.processes.get(&id)
        {
            let name = crate::wire::pyrepr::text(&process.program.name);
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

    fn with_pool(&mut self, id: ProcId, now: Now, host: &mut dyn Host, work: impl FnOnce(&mut Pool, &mut Vec<Effect>)) {
        let Some(process) = self.processes.get(&id) else { return };
        let group = process.group;
        let Some(pool) = self.groups.get_mut(&group).and_then(|group| group.pool.as_mut()) else { return };
        let mut effects = std::mem::take(&mut self.pool_effects);
        work(pool, &mut effects);
        mark(&mut self.busy_pools, group);
        self.perform(group, effects, now, host);
    }

    /// Sends queued events to listeners that are ready, in every pool where something may have become possible.
    pub fn dispatch(&mut self, now: Now, host: &mut dyn Host) {
        let mut pools = std::mem::take(&mut self.busy_pools);
        pools.sort_unstable();
        for id in pools.drain(..) {
            self.dispatch_pool(id, now, host);
        }
        // A pool whose turn was cut short is marked again, and the next turn comes at once.
        pools.append(&mut self.busy_pools);
        self.busy_pools = pools;
    }

    /// Whether a pool was cut short by its bound, so that the next turn must not wait.
    pub fn has_busy_pools(&self) -> bool {
        !self.busy_pools.is_empty()
    }

    fn dispatch_pool(&mut self, id: GroupId, now: Now, host: &mut dyn Host) {
        let processes = &self.processes;
        let Some(pool) = self.groups.get_mut(&id).and_then(|group| group.pool.as_mut()) else { return };
        if pool.queued() == 0 {
            return;
        }
        let is_running =
            |id: ProcId| processes.get(&id).is_some_and(|process| process.machine.state() == ProcessState::Running);
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
                mark(&mut self.busy_pools, id);
                break;
            }
        }
        self.perform(id, effects, now, host);
    }

    fn perform(&mut self, group: GroupId, mut effects: Vec<Effect>, now: Now, host: &mut dyn Host) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Log(line) => log_line(&line),
                Effect::WriteStdin { process, bytes } => {
                    // The listener's answer is accepted whatever becomes of it (E-48).
                    let _ = host.write_stdin(process, &bytes);
                }
                Effect::Print(bytes) => host.print(&bytes),
                Effect::EnteredUnknown(id) => {
                    let restart = self.groups.get(&group).is_some_and(
                        |group| matches!(&group.config.kind, GroupKind::Listener(listener) if listener.restart_unknown),
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
        let _ = self.step(id, process::Event::Distrust, now, host);
    }

    /// TICK events that are due (E-20).
    pub(super) fn tick(&mut self, now: Now) {
        let mut due = Vec::new();
        self.ticks.turn(now.wall, self.wanted, &mut due);
        for event in due {
            self.emit(event);
        }
    }

    /// When the next TICK may be due; `None` while nobody subscribes.
    pub(super) fn tick_deadline(&self, now: Now) -> Option<Mono> {
        self.ticks.sleep(now.wall, self.wanted).map(|sleep| now.mono.after(sleep))
    }

    /// What an event about a process says of it: names and pid.
    pub(super) fn subject(&self, id: ProcId) -> Option<(Subject<'_>, Pid)> {
        let process = self.processes.get(&id)?;
        let group: &Group = self.groups.get(&process.group)?;
        let subject = Subject { id, name: &process.program.name, group: &group.config.name };
        Some((subject, process.machine.pid().unwrap_or(Pid(0))))
    }
}

/// Has a pool dispatched in this turn. There are few pools, and a set would allocate for each event.
fn mark(busy_pools: &mut Vec<GroupId>, id: GroupId) {
    if !busy_pools.contains(&id) {
        busy_pools.push(id);
    }
}

/// How the last run ended, for payloads that tell more (`extended_payload`).
fn end(change: &Change) -> End<'static> {
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

fn log_lines(effects: &[Effect]) {
    for effect in effects {
        if let Effect::Log(line) = effect {
            log_line(line);
        }
    }
}

fn log_line(line: &crate::model::pool::Line) {
    let level = line.level();
    log::log!(target: level.tag(), level.facade(), "{line}");
}
