//! What the end of a process means for the daemon, and what the daemon's own end says of it (K-1).
//!
//! After each step of a machine [`Daemon::after_step`] looks at the state that was entered: whether it is a failure to be
//! remembered, and whether it ends the daemon. What asks for nothing of that costs a comparison.

use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::config::{Config, ExitCodeFrom, OnExit, OnFatal, RunType, Supervisord};
use crate::exit::ExitStatus;
use crate::id::ProcId;
use crate::model::process::{Process, Transition};
use crate::state::{ProcessState, SupervisorState};

use super::host::Errno;
use super::roster::Roster;
use super::{Daemon, Proc};

/// What is added to the number of a signal that ended a process, as shells do.
const SIGNAL_BASE: i32 = 128;

/// FATAL without a run: there is no such file, it cannot be executed, or another reason.
pub(super) const NO_SUCH_FILE: i32 = 127;
pub(super) const NOT_EXECUTABLE: i32 = 126;
pub(super) const OTHER_REASON: i32 = 1;

/// Who ended, as far as the exit status of the daemon hangs on it.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// `exit_code_from` as it was at start: `[supervisord]` is not reread.
    from: ExitCodeFrom,
    ends_when_idle: bool,
    /// Further signals that mean the end.
    signals: Vec<i32>,
    /// The status of the process whose policy has ended the daemon.
    by_policy: Option<i32>,
    /// Nothing was left to do.
    is_idle: bool,
    first_failure: Option<i32>,
    /// An essential program that was given up, where that does not end the daemon.
    lost: Option<String>,
    /// How the process that is named ended last.
    named: Option<i32>,
    /// One that keeps the daemon from being idle, when it was last looked for.
    busy: Option<ProcId>,
    /// A program was started in this run; it may have been removed since.
    has_started: bool,
    /// When it is looked whether nothing is left to do, after something else than an end: what was removed may come back.
    look_at: Option<Mono>,
    /// It is looked as soon as nobody waits for a start: those that wait may never be started, and then no end tells to.
    looks_after_waits: bool,
}

/// How long after a removal it is looked whether nothing is left to do. An update removes and adds again, in two calls.
const REMOVAL_TIME: Duration = Duration::from_secs(1);

impl Ending {
    pub(super) fn new(config: &Config) -> Ending {
        let Supervisord { exit_code_from, shutdown_when_idle, shutdown_signals, .. } = &config.supervisord;
        Ending {
            from: exit_code_from.clone(),
            ends_when_idle: *shutdown_when_idle,
            signals: shutdown_signals.0.clone(),
            ..Ending::default()
        }
    }

    /// The exit status of the daemon.
    pub(super) fn status(&self) -> i32 {
        let status = match &self.from {
            ExitCodeFrom::Policy if self.is_idle => self.first_failure,
            ExitCodeFrom::Policy => self.by_policy,
            ExitCodeFrom::Nobody => None,
            ExitCodeFrom::FirstFailure => self.first_failure,
            ExitCodeFrom::Process(_) => self.named,
        };
        status.unwrap_or(0)
    }

    /// Whether every program that was started has ended, with nothing pending. One that was stopped by request keeps the
    /// daemon alive; what was never started, and listeners, do not count.
    fn is_done(&mut self, roster: &Roster) -> bool {
        let is_busy =
            |process: &Proc| process.machine.runs().started().is_some() && !process.machine.is_over(&process.config);
        // The one that was busy last time most likely still is, and nobody has to look at all.
        if self.busy.and_then(|id| roster.process(id)).is_some_and(is_busy) {
            return false;
        }
        for (id, process) in roster.processes() {
            if roster.is_listener(id) {
                continue;
            }
            if is_busy(process) {
                self.busy = Some(id);
                return false;
            }
            self.has_started |= process.machine.runs().started().is_some();
        }
        self.has_started
    }
}

/// What a run's end is as a number: the code, or 128 and the signal.
fn status_of(exit: ExitStatus) -> i32 {
    match exit {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal { number, .. } => SIGNAL_BASE + number,
    }
}

/// The same of an end that was asked for: 0 if it is what a stop signal brings about that was sent.
fn status_of_stop(exit: ExitStatus, machine: &Process) -> i32 {
    let status = status_of(exit);
    if machine.was_told(status - SIGNAL_BASE) { 0 } else { status }
}

/// That of a child that did not come to its program: whoever made it says only that there was none.
pub(super) fn status_of_set_up(Errno(number): Errno) -> i32 {
    if matches!(number, libc::ENOEXEC | libc::EACCES) { NOT_EXECUTABLE } else { NO_SUCH_FILE }
}

/// The status of a process that was given up.
fn status_of_fatal(process: &Proc) -> i32 {
    match process.machine.runs().exit_since_asked().map(status_of) {
        Some(0) => OTHER_REASON,
        Some(NO_SUCH_FILE) if process.start_failure == NOT_EXECUTABLE => NOT_EXECUTABLE,
        Some(status) => status,
        None => process.start_failure,
    }
}

impl Daemon {
    /// The exit status that says how it went.
    pub fn exit_status(&self) -> i32 {
        self.ending.status()
    }

    /// An essential program that was given up without ending the daemon: the board's watchdog is what ends it then.
    pub fn lost_essential(&self) -> Option<&str> {
        self.ending.lost.as_deref()
    }

    /// Whether a signal means the end beside those that always do.
    pub fn is_shutdown_signal(&self, number: i32) -> bool {
        self.ending.signals.contains(&number) || self.is_machine_signal(number)
    }

    /// What follows for the daemon from the state that a process has entered.
    pub(super) fn after_step(&mut self, id: ProcId, entered: &Transition) {
        use ProcessState::*;
        let Some((group, process)) = self.roster.member(id) else { return };
        let program = &process.config.program;
        let status = match (entered.to, entered.exit) {
            (Fatal, _) => status_of_fatal(process),
            (Stopped, Some(exit)) => status_of_stop(exit, &process.machine),
            (_, Some(exit)) => status_of(exit),
            _ => return,
        };
        if self.ending.from.names(group.name(), &process.config.name) {
            self.ending.named = Some(status);
        }
        let ignores_fatal = program.on_fatal == Some(OnFatal::Ignore);
        if entered.to == Fatal && program.essential && ignores_fatal {
            self.ending.lost.get_or_insert_with(|| process.config.name.clone());
        }
        if self.state != SupervisorState::Running || !matches!(entered.to, Exited | Fatal) {
            return;
        }
        // Autorestart decides first.
        let is_last = process.machine.is_over(&process.config);
        let is_failure = entered.to == Fatal || (is_last && !entered.expected);
        if is_failure {
            self.ending.first_failure.get_or_insert(status);
        }
        let name = &process.config.name;
        let reason = match entered.to {
            Fatal if !ignores_fatal && (program.essential || program.on_fatal.is_some()) => {
                Some(format!("on_fatal: {name} gave up"))
            }
            // The success of a one-shot is not the end of anything; its failure ends in FATAL (O-5).
            Exited if is_last && program.essential && program.run_type == RunType::Simple => {
                Some(format!("essential: {name} exited (status {status})"))
            }
            Exited if is_last => match program.on_exit {
                Some(OnExit::Shutdown) => Some(format!("on_exit: {name} exited (status {status})")),
                Some(OnExit::ShutdownUnexpected) if !entered.expected => {
                    Some(format!("on_exit: {name} exited (status {status})"))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(reason) = reason {
            activity!(Warn, "{reason}, shutting down");
            self.ending.by_policy = Some(status);
            self.request_shutdown();
        } else if self.ending.ends_when_idle {
            self.end_if_idle();
        }
    }

    fn end_if_idle(&mut self) {
        if self.agenda.has_first_starts() || self.has_waits() {
            self.ending.looks_after_waits = true;
            return;
        }
        if self.ending.is_done(&self.roster) {
            activity!(Info, "every program that was started has ended, shutting down");
            self.ending.is_idle = true;
            self.request_shutdown();
        }
    }

    /// Something has changed by which nothing may be left to do.
    pub(super) fn look_whether_idle(&mut self, now: Now) {
        if self.ending.ends_when_idle && self.state == SupervisorState::Running {
            self.ending.look_at = Some(now.mono.after(REMOVAL_TIME));
        }
    }

    /// A process goes: that it was started counts.
    pub(super) fn forget_started(&mut self, id: ProcId, now: Now) {
        let was_started = self.roster.process(id).is_some_and(|process| process.machine.runs().started().is_some());
        self.ending.has_started |= was_started && !self.roster.is_listener(id);
        self.look_whether_idle(now);
    }

    /// When to look whether nothing is left to do; `None` is never.
    pub(super) fn idle_look(&self, now: Now) -> Option<Mono> {
        let is_due = self.ending.looks_after_waits && !self.agenda.has_first_starts() && !self.has_waits();
        if is_due { Some(now.mono) } else { self.ending.look_at }
    }

    /// Looks whether nothing is left to do, if that is due.
    pub(super) fn idle_deadline(&mut self, now: Now) {
        if self.idle_look(now).is_some_and(|at| at <= now.mono) {
            self.ending.look_at = None;
            self.ending.looks_after_waits = false;
            if self.state == SupervisorState::Running {
                self.end_if_idle();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_status_the_daemon_ends_with() {
        use ExitCodeFrom::*;
        // from, the policy's, idle, first failure, the named process's; what comes of it.
        let rows = [
            (Policy, None, false, Some(5), None, 0),
            (Policy, Some(3), false, Some(5), None, 3),
            (Policy, None, true, Some(5), None, 5),
            (Policy, None, true, None, None, 0),
            (Nobody, Some(3), false, Some(5), None, 0),
            (FirstFailure, Some(3), false, Some(5), None, 5),
            (FirstFailure, Some(3), false, None, None, 0),
            (Process("p".into()), Some(3), false, Some(5), Some(7), 7),
            (Process("p".into()), Some(3), false, Some(5), None, 0),
        ];
        for (from, by_policy, is_idle, first_failure, named, expected) in rows {
            let ending = Ending { from, by_policy, is_idle, first_failure, named, ..Ending::default() };
            assert_eq!(ending.status(), expected, "{ending:?}");
        }
    }
}
