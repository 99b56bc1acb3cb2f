//! Signals that stop a process, one after the other.

use std::rc::Rc;

use super::{Datatype, Show, integer};
use crate::config::env::Env;
use crate::signal;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// One step of stopping: a signal, and how long to wait for the end after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopStep {
    /// The number of the signal that is sent.
    pub signal: i32,
    /// Seconds; `stopwaitsecs` where none are given.
    pub wait: Option<u32>,
}

/// `stopsignal`: signals that are sent one after the other, `TERM INT:30 QUIT` (O-6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopSignals(Rc<[StopStep]>);

/// Steps of one `stopsignal`. Nobody has more ways to end.
const STOP_STEPS_MAX: usize = 16;

impl StopSignals {
    /// A ladder of that signal alone, which waits for `stopwaitsecs`.
    pub fn one(signal: i32) -> StopSignals {
        StopSignals(Rc::new([StopStep { signal, wait: None }]))
    }

    /// A step; `None` when there is nothing but SIGKILL left.
    pub fn step(&self, at: usize) -> Option<StopStep> {
        self.0.get(at).copied()
    }

    /// Whether it is one of them.
    pub fn contains(&self, signal: i32) -> bool {
        self.0.iter().any(|step| step.signal == signal)
    }

    fn first(&self) -> i32 {
        self.0.first().map_or(libc::SIGTERM, |step| step.signal)
    }
}

impl Datatype for StopSignals {
    const KIND: &'static str = "signal, or several";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let parts: Vec<&str> = text.split([' ', '\t', ',']).filter(|part| !part.is_empty()).collect();
        if parts.len() <= 1 && !text.contains(':') {
            return signal::parse(text).map(StopSignals::one);
        }
        if parts.len() > STOP_STEPS_MAX {
            return Err(format!("more than {STOP_STEPS_MAX} signals in {}", pyrepr::text(text)));
        }
        let step = |part: &&str| {
            let (name, wait) = match part.split_once(':') {
                None => (*part, None),
                Some((name, wait)) => {
                    let seconds = integer(wait).and_then(|wait| u32::try_from(wait).ok());
                    let wrong = || format!("expected whole seconds after the colon, not {}", pyrepr::text(part));
                    (name, Some(seconds.ok_or_else(wrong)?))
                }
            };
            Ok(StopStep { signal: signal::parse(name)?, wait })
        };
        let steps: Result<Vec<StopStep>, String> = parts.iter().map(step).collect();
        steps.map(|steps| StopSignals(steps.into()))
    }
}

impl Show for StopSignals {
    /// One signal is its number, as ever; several are as they are written.
    fn shown(&self) -> Value {
        if let [StopStep { signal, wait: None }] = *self.0 {
            return i64::from(signal).into();
        }
        let step = |step: &StopStep| {
            let name = signal::name(step.signal);
            let name = name.strip_prefix("SIG").unwrap_or(&name).to_string();
            step.wait.map_or(name.clone(), |wait| format!("{name}:{wait}"))
        };
        self.0.iter().map(step).collect::<Vec<_>>().join(" ").into()
    }

    fn listed(&self) -> Value {
        i64::from(self.first()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::Fake;
    use super::*;

    #[test]
    fn what_stops_a_process() {
        let one = |signal, wait| StopStep { signal, wait };
        let rows: &[(&str, &[StopStep], &str)] = &[
            ("TERM", &[one(15, None)], "15"),
            ("15", &[one(15, None)], "15"),
            ("TERM:1", &[one(15, Some(1))], "TERM:1"),
            ("TERM INT:30 QUIT", &[one(15, None), one(2, Some(30)), one(3, None)], "TERM INT:30 QUIT"),
            ("TERM:1, INT:0,\t9", &[one(15, Some(1)), one(2, Some(0)), one(9, None)], "TERM:1 INT:0 KILL"),
        ];
        for (text, steps, shown) in rows {
            let signals = StopSignals::parse(text, &Fake::new()).unwrap();
            assert_eq!(&*signals.0, *steps, "{text}");
            let got = match signals.shown() {
                Value::Str(text) => text.to_string(),
                Value::Int(number) => number.to_string(),
                other => panic!("{other:?}"),
            };
            assert_eq!(got, *shown);
            assert_eq!(signals.step(steps.len()), None);
        }
        for text in ["", "FOO", "TERM:x", "TERM FOO", "TERM:-1", "TERM:", &"INT ".repeat(17)] {
            assert!(StopSignals::parse(text, &Fake::new()).is_err(), "{text:?}");
        }
        assert_eq!(StopSignals::parse("FOO", &Fake::new()).unwrap_err(), "value 'FOO' is not a valid signal name");
    }
}
