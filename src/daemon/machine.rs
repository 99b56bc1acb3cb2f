//! What comes after the end, where the daemon is PID 1 of a machine (K-2.8).
//!
//! `when_done` says it, and a request can say something else once. Here it is only decided; the end itself comes when the run
//! is over and nothing of the daemon is left.

use super::host::NotOurs;
use super::{Daemon, Host};
use crate::config::{Config, WhenDone};

/// What comes after the end.
pub(super) struct Machine {
    /// `when_done` as it was at start: `[supervisord]` is not reread.
    when_done: WhenDone,
    /// The machine is ours to end, and `when_done` is not to end it by an exit.
    is_ours: bool,
    /// What was asked for at run time.
    asked: Option<WhenDone>,
}

impl Machine {
    pub(super) fn new(config: &Config) -> Machine {
        Machine { when_done: config.supervisord.when_done, is_ours: false, asked: None }
    }
}

impl Daemon {
    /// Takes charge of the machine, if `when_done` says so and it is ours.
    pub(super) fn take_machine(&mut self, host: &mut dyn Host) {
        let when_done = self.machine.when_done;
        if when_done == WhenDone::Exit {
            return;
        }
        match host.claim_machine() {
            Ok(()) => self.machine.is_ours = true,
            // It is only looked at as PID 1.
            Err(NotOurs::NotInit) => {}
            Err(NotOurs::Refused(number)) => {
                let (word, reason) = (when_done.word(), crate::errno::text(number));
                activity!(Warn, "when_done={word}: the machine is not ours to end ({reason}), so the end is an exit");
            }
        }
    }

    /// What becomes of the machine at the end.
    pub fn when_done(&self) -> WhenDone {
        match self.machine.asked {
            Some(asked) => asked,
            None if self.machine.is_ours => self.machine.when_done,
            None => WhenDone::Exit,
        }
    }

    /// Asks for the end, and for another end of the machine than `when_done` says.
    ///
    /// Errors: why the machine is not ours to end; nothing has changed.
    pub fn request_machine_end(&mut self, how: WhenDone, host: &mut dyn Host) -> Result<(), String> {
        match host.claim_machine() {
            Ok(()) => {}
            Err(NotOurs::NotInit) => return Err("supervisord is not PID 1 here".to_string()),
            Err(NotOurs::Refused(number)) => return Err(crate::errno::text(number)),
        }
        self.machine.asked = Some(how);
        self.request_shutdown();
        Ok(())
    }

    /// Whether a signal asks for the end of a machine that is ours: Ctrl-Alt-Del arrives as INT, a failing power supply or a
    /// button as PWR.
    pub(super) fn is_machine_signal(&self, number: i32) -> bool {
        self.machine.is_ours && (number == libc::SIGINT || number == libc::SIGPWR)
    }

    /// Signals to be caught beside those that always are.
    pub fn machine_signals(&self) -> &'static [i32] {
        if self.machine.is_ours { &[libc::SIGPWR] } else { &[] }
    }

    /// Notes what such a signal asks for.
    pub fn note_machine_signal(&mut self, number: i32) {
        if self.is_machine_signal(number) {
            let how = if number == libc::SIGINT { WhenDone::Reboot } else { WhenDone::Poweroff };
            self.machine.asked = Some(how);
        }
    }
}
