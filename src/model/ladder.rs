//! The ladder by which a run is ended: the signals of `stopsignal` one after another, each with its time to work, and
//! SIGKILL when there are no more, again and again, for as long as there is a child (P-21, O-6).

use std::time::Duration;

use crate::config::Program;

/// Least time between two SIGKILLs to one child. A child in a system call that cannot be interrupted does not die at
/// once; with `stopwaitsecs=0` it would get signals, and the log lines, without a pause. The original's loop has a
/// second.
pub const KILL_FLOOR: Duration = Duration::from_secs(1);

/// How far the end of a run has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ladder {
    /// The step of `stopsignal` that was taken last.
    step: u8,
    /// The stop signals that were sent, a bit for each.
    sent: u64,
}

/// A signal that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    pub(super) signal: i32,
    /// It goes to the whole process group.
    pub(super) group: bool,
    /// What it is given to work before the next one is due.
    pub(super) wait: Duration,
    /// It is the SIGKILL behind all steps.
    pub(super) is_last: bool,
}

impl Ladder {
    /// Begins with the first step.
    pub(super) fn first(&mut self, program: &Program) -> Rung {
        self.step = 0;
        self.rung(program)
    }

    /// Goes one step further.
    pub(super) fn next(&mut self, program: &Program) -> Rung {
        self.step = self.step.saturating_add(1);
        self.rung(program)
    }

    /// Begins with a command that stands for the first signal, and counts as it; answers what that is given to work.
    pub(super) fn first_by_command(&mut self, program: &Program) -> Duration {
        self.first(program).wait
    }

    /// Begins with a signal of another kind, behind which is only SIGKILL.
    pub(super) fn only(&mut self, signal: i32, program: &Program) -> Rung {
        self.step = u8::MAX;
        Rung { signal, group: false, wait: stop_wait(program), is_last: false }
    }

    /// Whether the first step is the last that was taken.
    pub(super) fn is_at_first(&self) -> bool {
        self.step == 0
    }

    /// Whether SIGKILL was sent, and has been again since.
    pub(super) fn is_of_no_use(&self, program: &Program) -> bool {
        self.step.checked_sub(1).is_some_and(|step| program.stopsignal.step(step.into()).is_none())
    }

    /// Whether this signal was sent as one of the steps.
    pub(super) fn has_sent(&self, signal: i32) -> bool {
        self.sent & signal_bit(signal) != 0
    }

    fn rung(&mut self, program: &Program) -> Rung {
        let Some(step) = program.stopsignal.step(self.step.into()) else {
            let wait = stop_wait(program).max(KILL_FLOOR);
            return Rung { signal: libc::SIGKILL, group: program.kills_group(), wait, is_last: true };
        };
        self.sent |= signal_bit(step.signal);
        let wait = step.wait.map_or(stop_wait(program), |secs| Duration::from_secs(secs.into()));
        Rung { signal: step.signal, group: program.stopasgroup, wait, is_last: false }
    }
}

/// What a signal is given to work where its step does not say.
fn stop_wait(program: &Program) -> Duration {
    Duration::from_secs(u64::try_from(program.stopwaitsecs).unwrap_or(0))
}

/// The bit that stands for a signal; none for what is no signal.
fn signal_bit(signal: i32) -> u64 {
    u32::try_from(signal - 1).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    fn program(lines: &str) -> Program {
        let config = Fake::new().load(&format!("[supervisord]\n[program:p]\ncommand=x\n{lines}\n")).unwrap();
        (*config.groups[0].processes[0].program).clone()
    }

    /// The options, and the signals with the seconds that each is given.
    #[test]
    fn each_signal_has_its_time_and_sigkill_is_the_last() {
        const TERM: i32 = libc::SIGTERM;
        const INT: i32 = libc::SIGINT;
        const KILL: i32 = libc::SIGKILL;
        let rows: &[(&str, &[(i32, u64)])] = &[
            ("", &[(TERM, 10), (KILL, 10), (KILL, 10)]),
            ("stopwaitsecs=0", &[(TERM, 0), (KILL, 1), (KILL, 1)]),
            ("stopwaitsecs=-3", &[(TERM, 0), (KILL, 1)]),
            ("stopsignal=TERM INT:30\nstopwaitsecs=4", &[(TERM, 4), (INT, 30), (KILL, 4), (KILL, 4)]),
        ];
        for (lines, expected) in rows {
            let (program, mut ladder) = (program(lines), Ladder::default());
            let mut rung = ladder.first(&program);
            for (number, (signal, secs)) in expected.iter().enumerate() {
                let at = format!("{lines:?}, rung {number}");
                let is_last = *signal == KILL;
                let wait = Duration::from_secs(*secs);
                assert_eq!(rung, Rung { signal: *signal, group: false, wait, is_last }, "{at}");
                assert_eq!(ladder.has_sent(*signal), !is_last, "{at}: SIGKILL is no step");
                let is_second_kill = is_last && number > 0 && expected[number - 1].0 == KILL;
                assert_eq!(ladder.is_of_no_use(&program), is_second_kill, "{at}");
                rung = ladder.next(&program);
            }
        }
    }

    #[test]
    fn groups_are_told_as_a_whole_where_that_is_asked_for() {
        let rows = [("", false, false), ("killasgroup=true", false, true), ("stopasgroup=true", true, true)];
        for (lines, told, killed) in rows {
            let (program, mut ladder) = (program(lines), Ladder::default());
            assert_eq!([ladder.first(&program).group, ladder.next(&program).group], [told, killed], "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_step_is_not_noted() {
        let (program, mut ladder) = (program("stopsignal=INT TERM"), Ladder::default());
        assert_eq!(ladder.only(libc::SIGABRT, &program).signal, libc::SIGABRT);
        assert!(!ladder.has_sent(libc::SIGABRT) && !ladder.is_at_first());
        assert!(ladder.next(&program).is_last, "behind it is only SIGKILL");
        assert_eq!(ladder.first_by_command(&program), Duration::from_secs(10));
        assert!(ladder.has_sent(libc::SIGINT) && !ladder.has_sent(libc::SIGTERM) && !ladder.has_sent(0));
    }
}
