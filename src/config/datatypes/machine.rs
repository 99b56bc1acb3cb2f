//! Kinds of text for a daemon that is PID 1 of a machine: what comes after its end, and the board's watchdog (K-2.8, K-2.9).

use std::time::Duration;

use super::{Datatype, Show};
use crate::config::env::Env;
use crate::wire::pyrepr;
use crate::wire::value::Value;

words! {
    /// `when_done`: what becomes of the machine when everything is stopped.
    WhenDone, "exit, poweroff, reboot or halt" {
        /// The daemon ends, which is the end of a container and a panic of a machine.
        "exit" => Exit,
        /// It is switched off.
        "poweroff" => Poweroff,
        /// The machine is started anew.
        "reboot" => Reboot,
        /// It stops where it is.
        "halt" => Halt,
    }
}

impl WhenDone {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            WhenDone::Exit => "exit",
            WhenDone::Poweroff => "poweroff",
            WhenDone::Reboot => "reboot",
            WhenDone::Halt => "halt",
        }
    }

    /// What one of the words but `exit` means: they are what can be asked for at run time.
    pub fn asked(word: &str) -> Option<WhenDone> {
        [WhenDone::Poweroff, WhenDone::Reboot, WhenDone::Halt].into_iter().find(|one| one.word() == word)
    }
}

/// `hw_watchdog`: a device, which need not be there. What is wrong with it ends no daemon that a board depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePath(pub String);

impl Datatype for DevicePath {
    const KIND: &'static str = "path";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        Ok(DevicePath(env.expand_user(text)))
    }
}

impl Show for DevicePath {
    fn shown(&self) -> Value {
        Value::from(self.0.clone())
    }
}

/// `hw_watchdog_timeout`: seconds after which a board is reset that nobody pets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchdogTime(pub Duration);

/// It is petted every third of it, which is not to be less than a second.
const LEAST_SECONDS: f64 = 3.0;

/// The longest time that anybody could want; drivers know minutes.
const MOST_SECONDS: f64 = 86_400.0;

impl Datatype for WatchdogTime {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "seconds, 3 to 86400";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let seconds = text.trim().parse::<f64>().ok().filter(|number| (LEAST_SECONDS..=MOST_SECONDS).contains(number));
        let seconds = seconds.ok_or_else(|| format!("expected {}, not {}", Self::KIND, pyrepr::text(text)))?;
        Ok(WatchdogTime(Duration::from_secs_f64(seconds)))
    }
}

impl Show for WatchdogTime {
    fn shown(&self) -> Value {
        Value::Double(self.0.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::Fake;
    use super::*;

    #[test]
    fn k_2_8_and_k_2_9_words_and_seconds() {
        let env = Fake::new();
        for (text, expected) in [
            ("exit", Some(WhenDone::Exit)),
            ("PowerOff", Some(WhenDone::Poweroff)),
            ("reboot", Some(WhenDone::Reboot)),
            ("halt", Some(WhenDone::Halt)),
            ("", None),
            ("kexec", None),
        ] {
            assert_eq!(WhenDone::parse(text, &env).ok(), expected, "{text}");
        }
        assert_eq!((WhenDone::asked("exit"), WhenDone::asked("halt")), (None, Some(WhenDone::Halt)));
        for (text, expected) in [
            ("3", Some(3.0)),
            ("7.5", Some(7.5)),
            ("2.9", None),
            ("-1", None),
            ("86401", None),
            ("x", None),
            ("nan", None),
        ] {
            assert_eq!(WatchdogTime::parse(text, &env).ok().map(|time| time.0.as_secs_f64()), expected, "{text}");
        }
    }
}
