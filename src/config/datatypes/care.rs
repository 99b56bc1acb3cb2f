//! Kinds of text that say how a process is looked after: when it is ready, whether it is well, what is run beside it.

use std::rc::Rc;
use std::time::Duration;

use super::{Datatype, Show, integer};
use crate::config::env::Env;
use crate::wire::value::Value;
use crate::wire::{pyrepr, words};

words! {
    /// Whether a program stays up or does one thing and ends, `type` (O-5).
    RunType, "simple or oneshot" {
        /// It is to stay up.
        "simple" => Simple,
        /// It is to do something and end.
        "oneshot" => Oneshot,
    }
}

words! {
    /// `notify_access`: whose messages count (O-3).
    NotifyAccess, "main, group or all" {
        /// Messages of the child itself count, nobody else's.
        "main" => Main,
        /// Those of its process group.
        "group" => Group,
        /// Messages of anybody count who reaches the socket.
        "all" => All,
    }
}

words! {
    /// What a hook that fails does to the start, `hook_failure` (O-6).
    HookFailure, "ignore or fail" {
        /// A line in the log.
        "ignore" => Ignore,
        /// The start has failed.
        "fail" => Fail,
    }
}

words! {
    /// Whose memory `memory_limit` is about, `memory_limit_of` (O-4).
    MemoryOf, "process or tree" {
        /// That of the child without what it started.
        "process" => Process,
        /// It and all below it.
        "tree" => Tree,
    }
}

words! {
    /// What happens above the limit, `memory_limit_action` (O-4).
    MemoryAction, "restart, stop or none" {
        /// It is stopped and started.
        "restart" => Restart,
        /// The process is stopped and stays so.
        "stop" => Stop,
        /// A line in the log.
        "none" => None,
    }
}

/// Longest time that can be asked for: a year, beyond which nobody means it.
const SECONDS_MAX: f64 = 366.0 * 86_400.0;

/// A time in seconds, with a fraction if wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl Datatype for Seconds {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "seconds";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        seconds(text, 0.0, SECONDS_MAX)
            .map(Seconds)
            .ok_or_else(|| format!("expected a number of seconds, not {}", pyrepr::text(text)))
    }
}

/// The pause between two probes and what each may take: not so short that probing is all that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeTime(pub Duration);

impl Datatype for ProbeTime {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "seconds, 0.1 to 3600";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        seconds(text, 0.1, 3600.0)
            .map(ProbeTime)
            .ok_or_else(|| format!("expected {}, not {}", Self::KIND, pyrepr::text(text)))
    }
}

fn seconds(text: &str, least: f64, most: f64) -> Option<Duration> {
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| (least..=most).contains(seconds));
    seconds.map(Duration::from_secs_f64)
}

fn shown(time: Duration) -> Value {
    match time.subsec_nanos() {
        0 => i64::try_from(time.as_secs()).unwrap_or(i64::MAX).into(),
        _ => Value::Double(time.as_secs_f64()),
    }
}

impl Show for Seconds {
    fn shown(&self) -> Value {
        shown(self.0)
    }
}

impl Show for ProbeTime {
    fn shown(&self) -> Value {
        shown(self.0)
    }
}

/// How many results in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold(pub u32);

impl Datatype for Threshold {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "number from 1 on";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let number = integer(text).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
        number.map(Threshold).ok_or_else(|| format!("expected a {}, not {}", Self::KIND, pyrepr::text(text)))
    }
}

impl Show for Threshold {
    fn shown(&self) -> Value {
        i64::from(self.0).into()
    }
}

/// A command line that is run beside a program, without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperCommand(pub Rc<str>);

impl Datatype for HelperCommand {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "command";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        match words::split(text) {
            Ok(argv) if argv.is_empty() => Err("the command is empty".to_string()),
            Ok(_) => Ok(HelperCommand(text.into())),
            Err(error) => Err(format!("cannot parse the command {}: {error}", pyrepr::text(text))),
        }
    }
}

impl Show for HelperCommand {
    fn shown(&self) -> Value {
        self.0.to_string().into()
    }
}

/// What bad health leads to, `liveness_check_failure_action` (O-4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cure {
    /// It is stopped and started.
    Restart,
    /// The process is stopped and stays so.
    Stop,
    /// Nothing is done; it is told and shown.
    None,
    /// A command is run.
    Command(HelperCommand),
}

impl Datatype for Cure {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "restart, stop, none or a command";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        match text.trim() {
            "restart" => Ok(Cure::Restart),
            "stop" => Ok(Cure::Stop),
            "none" => Ok(Cure::None),
            command => HelperCommand::parse(command, env).map(Cure::Command),
        }
    }
}

impl Show for Cure {
    fn shown(&self) -> Value {
        match self {
            Cure::Restart => "restart".into(),
            Cure::Stop => "stop".into(),
            Cure::None => "none".into(),
            Cure::Command(command) => command.shown(),
        }
    }
}
