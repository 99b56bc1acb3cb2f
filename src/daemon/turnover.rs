//! Logs that are rotated by the wall clock (K-9).

use std::collections::BTreeMap;

use super::{Daemon, Host};
use crate::clock::{Mono, Now};
use crate::id::{Channel, ProcId};
use crate::model::logs::turnover::{Clocks, Turnover};

/// Logs rotated in one turn. With ten backups each takes some 0.05 ms; at midnight it may be those of ten thousand
/// processes.
const ROTATIONS_PER_TURN: usize = 16;

/// All logs that are rotated by the clock.
#[derive(Default)]
pub struct Turnovers {
    all: BTreeMap<(ProcId, Channel), Turnover>,
    clocks: Clocks,
    /// When to look again; `None` without such logs.
    due: Option<Mono>,
    /// Those that are due and were not reached in this turn.
    waiting: Vec<(ProcId, Channel)>,
}

impl Turnovers {
    /// When [`Daemon::turn_logs_over`] has something to do.
    pub(super) fn deadline(&self, now: Now) -> Option<Mono> {
        if self.waiting.is_empty() { self.due } else { Some(now.mono) }
    }
}

impl Daemon {
    /// A process has a configuration, perhaps another one, or is gone: notes whether its logs are rotated by the clock.
    pub(super) fn mind_turnover(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        for channel in [Channel::Stdout, Channel::Stderr] {
            let process = self.roster.process(id);
            match process.and_then(|process| process.config.program.output(channel).logfile_rotate) {
                Some(every) => {
                    let secs = now.wall.secs();
                    let turnover = Turnover::new(every, secs, host.utc_offset(secs));
                    self.turnovers.all.insert((id, channel), turnover);
                    self.turnovers.due = Some(now.mono);
                }
                None if self.turnovers.all.is_empty() => {}
                None => drop(self.turnovers.all.remove(&(id, channel))),
            }
        }
    }

    /// Rotates the logs whose time has come, as many as a turn has room for.
    pub(super) fn turn_logs_over(&mut self, now: Now, host: &mut dyn Host) {
        let turnovers = &mut self.turnovers;
        if turnovers.due.is_some_and(|at| at <= now.mono) {
            let secs = now.wall.secs();
            let offset = host.utc_offset(secs);
            let has_jumped = turnovers.clocks.jumped(now);
            let (mut due, roster) = (None, &self.roster);
            turnovers.all.retain(|(id, _), _| roster.process(*id).is_some());
            for (outlet, turnover) in &mut turnovers.all {
                if turnover.is_due(secs, offset, has_jumped) {
                    turnovers.waiting.push(*outlet);
                }
                let at = turnover.deadline(now, offset);
                due = Some(due.map_or(at, |due: Mono| due.min(at)));
            }
            turnovers.due = due;
        }
        for _ in 0..ROTATIONS_PER_TURN {
            let Some((id, channel)) = self.turnovers.waiting.pop() else { break };
            self.rotate_log(id, channel, host);
        }
    }
}
