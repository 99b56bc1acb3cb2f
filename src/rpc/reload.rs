//! The wait for a program that says when it has reloaded (O-6).

use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::config::Ready;
use crate::daemon::Daemon;
use crate::daemon::care::Reloading;
use crate::fault::Code;
use crate::id::ProcId;

/// In the place of a signal: the one that the program reloads by.
pub(super) const RELOAD: &str = "reloadsignal";

/// How long a program has to say RELOADING=1. Those that never say it are not to hold the answer up for longer, and
/// those that do say it first of all.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

/// A program that was told to reload.
pub struct Reload {
    pub(super) process: ProcId,
    /// Which of its runs.
    run: u64,
    told: Mono,
    /// When the answer comes at the latest, by `ready_timeout`.
    until: Option<Mono>,
    is_heard: bool,
}

impl Reload {
    /// The wait for what a signal brings about; `None` if there is nothing to wait for.
    pub(super) fn begin(signal: &str, process: ProcId, daemon: &Daemon, now: Now) -> Option<Reload> {
        let found = daemon.roster.process(process).filter(|_| signal == RELOAD)?;
        found.machine.pid().filter(|_| found.config.ready == Ready::Notify)?;
        let timeout = found.config.program.ready_timeout.0;
        Some(Reload {
            process,
            run: found.machine.runs().count(),
            told: now.mono,
            until: (!timeout.is_zero()).then(|| now.mono.after(timeout)),
            is_heard: false,
        })
    }

    /// Whether it has reloaded, or nobody waits for that any longer.
    ///
    /// Errors: it has ended, or its group is gone.
    pub(super) fn poll(&mut self, daemon: &Daemon, now: Now) -> Option<Result<(), Code>> {
        let runs = daemon.roster.process(self.process).filter(|process| {
            process.machine.pid().is_some() && process.machine.runs().count() == self.run && !process.machine.is_cut()
        });
        let Some(process) = runs else { return Some(Err(Code::AbnormalTermination)) };
        match daemon.reload_since(self.process, self.told) {
            Reloading::Done => return Some(Ok(())),
            Reloading::UnderWay => self.is_heard = true,
            Reloading::Unheard => {}
        }
        if self.until.is_some_and(|until| until <= now.mono) {
            if self.is_heard {
                let secs = process.config.program.ready_timeout.0.as_secs_f64();
                activity!(Warn, "{} has not reloaded within {secs} seconds", process.config.name);
            }
            return Some(Ok(()));
        }
        (!self.is_heard && now.mono >= self.told.after(HEARD_WITHIN)).then_some(Ok(()))
    }

    /// When to ask again although it says nothing.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let heard_by = (!self.is_heard).then(|| self.told.after(HEARD_WITHIN));
        crate::clock::earliest(&[heard_by, self.until])
    }
}
