//! Kinds of text that say what the end of a program means, when it is tried again, and what becomes of what it leaves
//! behind (K-1 to K-4).

use std::time::Duration;

use super::{Datatype, Show, lowercase};
use crate::config::env::Env;
use crate::signal;
use crate::wire::pyrepr;
use crate::wire::value::Value;

words! {
    /// `length` of a listener: what the header of an event counts.
    Length, "characters or bytes" {
        /// As the original does.
        "characters" => Characters,
        /// As whatever is not written in Python reads.
        "bytes" => Bytes,
    }
}

words! {
    /// `killmode`: what is ended with a program (K-4).
    KillMode, "process, group, tree or cgroup" {
        /// Its main process alone.
        "process" => Process,
        /// And what is left of the process group.
        "group" => Group,
        /// And what left the group, as far as it can be found.
        "tree" => Tree,
        /// All of a cgroup of its own.
        "cgroup" => Cgroup,
    }
}

impl KillMode {
    /// Whether what a main process leaves behind is our affair.
    pub fn minds_leftovers(self) -> bool {
        self != KillMode::Process
    }
}

words! {
    /// `log_reaped`: what is logged of strangers that are reaped (K-2).
    LogReaped, "each, summary or none" {
        /// A line for each.
        "each" => Each,
        /// How many, at most once in ten seconds.
        "summary" => Summary,
        /// The daemon goes on, whoever ends.
        "none" => None,
    }
}

/// `cgroup_root`: a directory of the cgroup file system. Whether it can be used shows when a program needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupRoot(pub String);

impl Datatype for CgroupRoot {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "absolute path of a cgroup";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let path = text.trim_end_matches('/');
        match path.starts_with('/') {
            true => Ok(CgroupRoot(path.to_string())),
            false => Err(format!("expected an {}, not {}", Self::KIND, pyrepr::text(text))),
        }
    }
}

impl Show for CgroupRoot {
    fn shown(&self) -> Value {
        self.0.clone().into()
    }
}

/// `on_exit`: what an exit does to the daemon that no automatic restart follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExit {
    /// The daemon goes on as before.
    Ignore,
    /// The daemon ends, and everything with it.
    Shutdown,
    /// It ends if the exit was not expected.
    ShutdownUnexpected,
}

impl Datatype for OnExit {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "ignore, shutdown or shutdown_unexpected";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        match &*lowercase(text) {
            "ignore" => Ok(OnExit::Ignore),
            "shutdown" => Ok(OnExit::Shutdown),
            "shutdown_unexpected" => Ok(OnExit::ShutdownUnexpected),
            _ => Err(format!("expected {}, not {}", Self::KIND, pyrepr::text(text))),
        }
    }
}

impl Show for OnExit {
    fn shown(&self) -> Value {
        match self {
            OnExit::Ignore => "ignore".into(),
            OnExit::Shutdown => "shutdown".into(),
            OnExit::ShutdownUnexpected => "shutdown_unexpected".into(),
        }
    }
}

/// `on_fatal`: what it does to the daemon that a program is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFatal {
    /// The daemon goes on as before.
    Ignore,
    /// The daemon ends, and everything with it.
    Shutdown,
}

impl Datatype for OnFatal {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "ignore or shutdown";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        match &*lowercase(text) {
            "ignore" => Ok(OnFatal::Ignore),
            "shutdown" => Ok(OnFatal::Shutdown),
            _ => Err(format!("expected {}, not {}", Self::KIND, pyrepr::text(text))),
        }
    }
}

impl Show for OnFatal {
    fn shown(&self) -> Value {
        match self {
            OnFatal::Ignore => "ignore".into(),
            OnFatal::Shutdown => "shutdown".into(),
        }
    }
}

/// Whose end is the exit status of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum ExitCodeFrom {
    /// That of the process whose policy ended the daemon.
    #[default]
    Policy,
    /// No program's: the daemon always ends with 0.
    Nobody,
    /// That of the first process that failed.
    FirstFailure,
    /// That of this process: `PROCESS` or `GROUP:PROCESS`.
    Process(String),
}

impl ExitCodeFrom {
    /// Whether it names this process. Without its group a process is meant wherever it stands.
    pub fn names(&self, group: &str, process: &str) -> bool {
        let ExitCodeFrom::Process(name) = self else { return false };
        match name.split_once(':') {
            Some(pair) => pair == (group, process),
            None => name == process,
        }
    }
}

impl Datatype for ExitCodeFrom {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "none, first_failure or a process";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        Ok(match text.trim() {
            "" => ExitCodeFrom::Policy,
            "none" => ExitCodeFrom::Nobody,
            "first_failure" => ExitCodeFrom::FirstFailure,
            name => ExitCodeFrom::Process(name.to_string()),
        })
    }
}

impl Show for ExitCodeFrom {
    fn shown(&self) -> Value {
        match self {
            ExitCodeFrom::Policy => "".into(),
            ExitCodeFrom::Nobody => "none".into(),
            ExitCodeFrom::FirstFailure => "first_failure".into(),
            ExitCodeFrom::Process(name) => name.clone().into(),
        }
    }
}

/// A time of at most a day; fractions are allowed, and 0 stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownTime(pub Duration);

/// The longest time that [`ShutdownTime`] takes.
const SECONDS_MAX: f64 = 86_400.0;

impl Datatype for ShutdownTime {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "seconds, 0 to 86400";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let seconds = text.trim().parse::<f64>().ok().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
        let seconds = seconds.ok_or_else(|| format!("expected {}, not {}", Self::KIND, pyrepr::text(text)))?;
        Ok(ShutdownTime(Duration::from_secs_f64(seconds)))
    }
}

impl Show for ShutdownTime {
    fn shown(&self) -> Value {
        Value::Double(self.0.as_secs_f64())
    }
}

/// `shutdown_signals`: further signals that mean the end.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ShutdownSignals(pub Vec<i32>);

/// The numbers of the first and the last real-time signal, as service managers count them.
const REAL_TIME: (i32, i32) = (34, signal::LAST);

impl Datatype for ShutdownSignals {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "list of signals";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let mut all = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let number = real_time(word).map_or_else(|| signal::parse(word), Ok)?;
            let has_other_sense = [
                libc::SIGHUP,
                libc::SIGUSR2,
                libc::SIGCHLD,
                libc::SIGKILL,
                libc::SIGSTOP,
                libc::SIGPIPE,
                libc::SIGXFSZ,
            ];
            if number == 0 || has_other_sense.contains(&number) {
                return Err(format!("expected signals without another meaning, not {}", pyrepr::text(word)));
            }
            if !all.contains(&number) {
                all.push(number);
            }
        }
        Ok(ShutdownSignals(all))
    }
}

/// The number of a real-time signal: `RTMIN+3`, `RTMAX-3`, or as it is.
fn real_time(word: &str) -> Option<i32> {
    if let Some(number) = word.parse().ok().filter(|number| (REAL_TIME.0..=REAL_TIME.1).contains(number)) {
        return Some(number);
    }
    let upper = word.to_uppercase();
    let word = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = match (word.strip_prefix("RTMIN+"), word.strip_prefix("RTMAX-")) {
        (Some(above), _) => REAL_TIME.0 + above.parse::<u8>().ok().map(i32::from)?,
        (_, Some(below)) => REAL_TIME.1 - below.parse::<u8>().ok().map(i32::from)?,
        _ => return None,
    };
    (REAL_TIME.0..=REAL_TIME.1).contains(&number).then_some(number)
}

impl Show for ShutdownSignals {
    fn shown(&self) -> Value {
        self.0.iter().map(|number| signal::name(*number)).collect::<Vec<_>>().join(",").into()
    }
}

/// `startretries`: failed starts in a row before a program is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries(pub i64);

/// What stands for `inf`; the largest number that clients can be told.
const ENDLESS: i64 = i32::MAX as i64;

impl Datatype for Retries {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "whole number or inf";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("inf") { Ok(Retries(ENDLESS)) } else { i64::parse(text, env).map(Retries) }
    }
}

impl Retries {
    /// Whether so many failures in a row are too many.
    pub fn are_used_up(self, failures: i64) -> bool {
        self.0 != ENDLESS && failures > self.0
    }
}

impl Show for Retries {
    fn shown(&self) -> Value {
        self.0.into()
    }
}

/// `restart_limit`: so many automatic starts within so many seconds, and the next one is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartLimit {
    /// How many starts are allowed in that time, from 1 to [`RESTARTS_MAX`].
    pub starts: usize,
    /// At least a second.
    pub window: Duration,
}

/// The largest number of starts that are counted: each is remembered.
const RESTARTS_MAX: usize = 1000;

impl Datatype for RestartLimit {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "starts/seconds, such as 5/60";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let wrong = || format!("expected {}, not {}", Self::KIND, pyrepr::text(text));
        let (starts, seconds) = text.split_once('/').ok_or_else(wrong)?;
        let starts =
            starts.trim().parse().ok().filter(|starts| (1..=RESTARTS_MAX).contains(starts)).ok_or_else(wrong)?;
        let ShutdownTime(window) = ShutdownTime::parse(seconds, env).map_err(|_| wrong())?;
        if window.is_zero() {
            return Err(wrong());
        }
        Ok(RestartLimit { starts, window })
    }
}

impl Show for RestartLimit {
    fn shown(&self) -> Value {
        format!("{}/{}", self.starts, self.window.as_secs_f64()).into()
    }
}

/// `backoff_jitter`: percent, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(pub u32);

impl Datatype for Percent {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "percent, 0 to 100";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let number = text.trim().parse().ok().filter(|number| *number <= 100);
        number.map(Percent).ok_or_else(|| format!("expected {}, not {}", Self::KIND, pyrepr::text(text)))
    }
}

impl Show for Percent {
    fn shown(&self) -> Value {
        i64::from(self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    fn shown<T: Datatype + Show>(text: &str) -> Option<String> {
        let value = T::parse(text, &Fake::new()).ok()?.shown();
        Some(value.as_str().map_or_else(|| pyrepr::value(&value), str::to_string))
    }

    #[test]
    fn names_of_processes() {
        let rows = [
            ("p", "p", "p", true),
            ("p", "g", "p", true),
            ("p:p", "p", "p", true),
            ("p:p", "g", "p", false),
            ("g:p", "g", "p", true),
            ("g:p", "h", "p", false),
            ("g:p:q", "g", "p:q", true),
        ];
        for (name, group, process, expected) in rows {
            assert_eq!(ExitCodeFrom::Process(name.into()).names(group, process), expected, "{name} {group} {process}");
        }
        assert!(!ExitCodeFrom::FirstFailure.names("g", "first_failure"));
    }

    #[test]
    fn texts_and_values() {
        type Row = (fn(&str) -> Option<String>, &'static str, Option<&'static str>);
        let rows: [Row; 42] = [
            (shown::<OnExit>, "Shutdown_Unexpected", Some("shutdown_unexpected")),
            (shown::<OnExit>, "sometimes", None),
            (shown::<OnFatal>, "shutdown", Some("shutdown")),
            (shown::<OnFatal>, "maybe", None),
            (shown::<ExitCodeFrom>, "", Some("")),
            (shown::<ExitCodeFrom>, " g:p ", Some("g:p")),
            (shown::<ExitCodeFrom>, "first_failure", Some("first_failure")),
            (shown::<ShutdownTime>, "1.5", Some("1.5")),
            (shown::<ShutdownTime>, "86400", Some("86400.0")),
            (shown::<ShutdownTime>, "86401", None),
            (shown::<ShutdownTime>, "-1", None),
            (shown::<ShutdownTime>, "nan", None),
            (shown::<ShutdownTime>, "x", None),
            (shown::<ShutdownSignals>, "PWR, RTMIN+3,pwr", Some("SIGPWR,signal 37")),
            (shown::<ShutdownSignals>, "RTMAX-1,10", Some("signal 63,SIGUSR1")),
            (shown::<ShutdownSignals>, "", Some("")),
            (shown::<ShutdownSignals>, "HUP", None),
            (shown::<ShutdownSignals>, "USR2", None),
            (shown::<ShutdownSignals>, "RTMIN+31", None),
            (shown::<ShutdownSignals>, "37,30,RTMIN+3", Some("signal 37,SIGPWR")),
            (shown::<ShutdownSignals>, "33", None),
            (shown::<ShutdownSignals>, "65", None),
            (shown::<ShutdownSignals>, "NOSUCH", None),
            (shown::<Retries>, "inf", Some("2147483647")),
            (shown::<Retries>, "-1", Some("-1")),
            (shown::<Retries>, "many", None),
            (shown::<RestartLimit>, "2/60", Some("2/60")),
            (shown::<RestartLimit>, "1000/0.5", Some("1000/0.5")),
            (shown::<RestartLimit>, "0/60", None),
            (shown::<RestartLimit>, "1001/60", None),
            (shown::<RestartLimit>, "5", None),
            (shown::<RestartLimit>, "5/0", None),
            (shown::<Percent>, "100", Some("100")),
            (shown::<Percent>, "101", None),
            (shown::<KillMode>, "Tree", Some("tree")),
            (shown::<KillMode>, "children", None),
            (shown::<LogReaped>, "summary", Some("summary")),
            (shown::<LogReaped>, "some", None),
            (shown::<CgroupRoot>, "/sys/fs/cgroup/x/", Some("/sys/fs/cgroup/x")),
            (shown::<CgroupRoot>, "x", None),
            (shown::<CgroupRoot>, "/", None),
            (shown::<CgroupRoot>, "", None),
        ];
        for (read, text, expected) in rows {
            assert_eq!(read(text).as_deref(), expected, "{text:?}");
        }
        assert!(!Retries(ENDLESS).are_used_up(i64::MAX) && Retries(3).are_used_up(4) && !Retries(3).are_used_up(3));
    }
}
