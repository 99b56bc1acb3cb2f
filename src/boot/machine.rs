//! The end of a machine whose PID 1 we are, and what is done in place of an exit when the file does not load (K-2.8).
//!
//! An exit of PID 1 is a panic of the kernel. So what is left is told to end, then killed, the file systems are let go, and
//! the machine is switched off or begins anew; and where the daemon cannot even begin, somebody gets a shell, or nothing
//! happens at all, for ever.

use std::time::Duration;

use crate::config::{Rescue, WhenDone};
use crate::reactor::Watchdog;
use crate::sys::machine::{self, Finish, Reach};
use crate::sys::{init, process, time};

/// Time between TERM and KILL for what is left, without `shutdown_timeout`.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time that what was killed has to be gone. What a kernel does not let go by then, it will not soon.
const REAPING_TIME: Duration = Duration::from_secs(1);

/// Between two looks whether anybody is left.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Least time between two tries to begin, for a rescue command that ends at once.
const TRY_EVERY: Duration = Duration::from_secs(2);

/// How a machine is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    how: Finish,
    /// Time between TERM and KILL.
    patience: Duration,
}

impl End {
    /// The end that was asked for; `None` for an exit. `timeout` is `shutdown_timeout`, 0 for none.
    pub(super) fn new(when_done: WhenDone, timeout: Duration) -> Option<End> {
        let how = match when_done {
            WhenDone::Exit => return None,
            WhenDone::Poweroff => Finish::Poweroff,
            WhenDone::Reboot => Finish::Reboot,
            WhenDone::Halt => Finish::Halt,
        };
        Some(End { how, patience: if timeout.is_zero() { PATIENCE } else { timeout } })
    }
}

/// What ending a machine needs of it.
pub(super) trait World {
    /// Signals every process but us.
    fn signal_all(&mut self, signal: i32);
    /// Reaps what has ended; whether anybody is left.
    fn reap_all(&mut self) -> bool;
    /// Waits a little, and keeps the board's watchdog quiet.
    fn rest(&mut self, time: Duration);
    /// Whether the file systems are ours to let go: elsewhere than in the first PID name space they are the host's.
    fn owns_disks(&mut self) -> bool;
    /// Writes out and unmounts.
    fn release_disks(&mut self);
    /// Ends the machine; returns only if the system refuses.
    fn finish(&mut self, how: Finish);
}

/// Ends the machine. Returns only if the system refuses.
pub(super) fn end(end: End, world: &mut dyn World) {
    world.signal_all(libc::SIGTERM);
    // Who is stopped hears nothing before it goes on.
    world.signal_all(libc::SIGCONT);
    if is_anybody_left(end.patience, world) {
        world.signal_all(libc::SIGKILL);
        is_anybody_left(REAPING_TIME, world);
    }
    if world.owns_disks() {
        world.release_disks();
    }
    world.finish(end.how);
}

/// Waits until nobody is left, for so long at most; whether somebody still is.
fn is_anybody_left(patience: Duration, world: &mut dyn World) -> bool {
    let mut waited = Duration::ZERO;
    while world.reap_all() {
        if waited >= patience {
            return true;
        }
        world.rest(LOOK_EVERY);
        waited += LOOK_EVERY;
    }
    false
}

/// The machine that we run on.
pub(super) struct Real {
    /// Petted while something is waited for.
    pub(super) watchdog: Option<Watchdog>,
}

fn pet(watchdog: &mut Option<Watchdog>) {
    if let Some(watchdog) = watchdog {
        watchdog.look(None, time::now());
    }
}

impl World for Real {
    fn signal_all(&mut self, signal: i32) {
        machine::signal_all(signal);
    }

    fn reap_all(&mut self) -> bool {
        machine::reap_all()
    }

    fn rest(&mut self, time: Duration) {
        pet(&mut self.watchdog);
        std::thread::sleep(time);
    }

    fn owns_disks(&mut self) -> bool {
        machine::claim() == Ok(Reach::Machine)
    }

    fn release_disks(&mut self) {
        machine::release_disks(&mut || pet(&mut self.watchdog));
    }

    fn finish(&mut self, how: Finish) {
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.end();
        }
        let _ = machine::finish(how);
    }
}

/// After an error at the start of PID 1: runs the rescue command, or waits, until it is time to try again. INT and PWR end
/// the machine meanwhile as they would later, TERM as `when_done` says; HUP tries again at once, and so does the end of
/// the command, for then somebody has mended something.
///
/// Answers false if there is nothing for it: the exit takes its course.
pub(super) fn rescue(rescue: &Rescue, error: &str) -> bool {
    if machine::claim().is_err() {
        return false;
    }
    machine::tell_console(error);
    let Ok(signals) = init::Signals::block() else { return false };
    let began = std::time::Instant::now();
    let mut child = None;
    if !rescue.command.is_empty() {
        let words: Vec<_> = rescue.command.iter().map(Into::into).collect();
        match init::start(&words) {
            Ok(pid) => child = Some(pid),
            Err(error) => {
                let text = format!("Error: cannot run rescue_command {}: {error}\n", rescue.command[0]);
                let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
                machine::tell_console(&text);
            }
        }
    }
    loop {
        // Before the first wait, too: nobody was told of orphans that ended before signals were held.
        let mut has_ended = false;
        while let Ok(Some(reaped)) = process::reap() {
            has_ended |= Some(reaped.pid) == child;
        }
        if has_ended {
            break;
        }
        let asked = match signals.next() {
            libc::SIGINT => Some(WhenDone::Reboot),
            libc::SIGPWR => Some(WhenDone::Poweroff),
            libc::SIGTERM => Some(rescue.when_done.unwrap_or(WhenDone::Poweroff)),
            libc::SIGHUP => break,
            _ => None,
        };
        if let Some(end_) = asked.and_then(|asked| End::new(asked, Duration::ZERO)) {
            end(end_, &mut Real { watchdog: None });
        }
    }
    std::thread::sleep(TRY_EVERY.saturating_sub(began.elapsed()));
    init::let_signals_in();
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which nothing happens but what is noted.
    #[derive(Default)]
    struct Noted {
        said: Vec<String>,
        /// How many times somebody is still left.
        left: u32,
        /// Only KILL ends those who are left.
        are_deaf: bool,
        is_machine: bool,
        rested: Duration,
    }

    impl World for Noted {
        fn signal_all(&mut self, signal: i32) {
            self.said.push(format!("signal {signal}"));
            if signal == libc::SIGKILL && self.are_deaf {
                self.left = 1;
            }
        }
        fn reap_all(&mut self) -> bool {
            self.left = self.left.saturating_sub(1);
            self.left > 0
        }
        fn rest(&mut self, time: Duration) {
            self.rested += time;
        }
        fn owns_disks(&mut self) -> bool {
            self.is_machine
        }
        fn release_disks(&mut self) {
            self.said.push("release".to_string());
        }
        fn finish(&mut self, how: Finish) {
            self.said.push(format!("{how:?}"));
        }
    }

    #[test]
    fn k_2_8_in_which_order_a_machine_ends() {
        let seconds = Duration::from_secs;
        // Who is left, whether deaf, whether it is the machine; `when_done`, `shutdown_timeout`; what is done, and how long it takes.
        type Case<'a> = ((u32, bool, bool), (WhenDone, u64), &'a [&'a str], Duration);
        let rows: [Case; 5] = [
            ((0, false, true), (WhenDone::Poweroff, 0), &["signal 15", "signal 18", "release", "Poweroff"], seconds(0)),
            ((101, false, true), (WhenDone::Reboot, 0), &["signal 15", "signal 18", "release", "Reboot"], seconds(1)),
            (
                (u32::MAX, true, true),
                (WhenDone::Halt, 0),
                &["signal 15", "signal 18", "signal 9", "release", "Halt"],
                seconds(5),
            ),
            (
                (u32::MAX, true, false),
                (WhenDone::Poweroff, 2),
                &["signal 15", "signal 18", "signal 9", "Poweroff"],
                seconds(2),
            ),
            // Not even KILL ends them.
            (
                (u32::MAX, false, false),
                (WhenDone::Reboot, 2),
                &["signal 15", "signal 18", "signal 9", "Reboot"],
                seconds(3),
            ),
        ];
        for ((left, are_deaf, is_machine), (when_done, timeout), expected, rested) in rows {
            let mut world = Noted { left, are_deaf, is_machine, ..Noted::default() };
            end(End::new(when_done, seconds(timeout)).unwrap(), &mut world);
            assert_eq!(
                (world.said.iter().map(String::as_str).collect::<Vec<_>>(), world.rested),
                (expected.to_vec(), rested)
            );
        }
        assert_eq!(End::new(WhenDone::Exit, seconds(1)), None);
    }
}
