//! Processes that are reaped and are not ours: orphans that we adopted as PID 1 or as subreaper. What the log says of them
//! (`log_reaped`, K-2).

use std::time::Duration;

use super::Daemon;
use crate::clock::{Mono, Now};
use crate::config::{Config, LogReaped};
use crate::exit::ExitStatus;
use crate::id::Pid;

/// Time between two lines that say how many there were.
const SUMMARY_EVERY: Duration = Duration::from_secs(10);

/// Strangers, as far as the log has not told of them.
pub(super) struct Strangers {
    /// As it was at start: `[supervisord]` is not reread.
    log: LogReaped,
    count: u64,
    /// When the log tells, from the first that it has not told of on.
    told_at: Option<Mono>,
}

impl Strangers {
    pub(super) fn new(config: &Config) -> Strangers {
        Strangers { log: config.supervisord.log_reaped, count: 0, told_at: None }
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.told_at
    }

    fn tell(&mut self) {
        self.told_at = None;
        match std::mem::take(&mut self.count) {
            0 => {}
            1 => activity!(Info, "reaped 1 process that is not ours"),
            count => activity!(Info, "reaped {count} processes that are not ours"),
        }
    }
}

impl Daemon {
    /// A child was reaped that is not ours.
    pub(super) fn stranger_exited(&mut self, pid: Pid, status: ExitStatus, now: Now) {
        match self.strangers.log {
            LogReaped::Each => activity!(Info, "reaped unknown pid {} ({})", pid.0, status.text()),
            LogReaped::Summary => {
                self.strangers.count += 1;
                self.strangers.told_at.get_or_insert(now.mono.after(SUMMARY_EVERY));
            }
            LogReaped::None => {}
        }
    }

    /// Says how many strangers were reaped, if that is due.
    pub(super) fn tell_strangers(&mut self, now: Now) {
        if self.strangers.told_at.is_some_and(|at| at <= now.mono) {
            self.strangers.tell();
        }
    }

    /// Says at the end of a run what has not been said.
    pub fn tell_last_strangers(&mut self) {
        self.strangers.tell();
    }
}
