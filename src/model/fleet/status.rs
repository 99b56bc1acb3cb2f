//! How an application is: its state, and what is wrong with it (V-160 to V-171).

use crate::state::ProcessState;
use crate::wire::formula::Formula;

/// State of an application (V-160). DELETED (4) is told of one that is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ApplicationState {
    Stopped = 0,
    Starting = 1,
    Running = 2,
    Stopping = 3,
}

impl ApplicationState {
    /// The number of the protocol.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The name of the protocol.
    pub fn name(self) -> &'static str {
        match self {
            ApplicationState::Stopped => "STOPPED",
            ApplicationState::Starting => "STARTING",
            ApplicationState::Running => "RUNNING",
            ApplicationState::Stopping => "STOPPING",
        }
    }
}

/// A process of the application, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Part<'a> {
    pub name: &'a str,
    pub state: ProcessState,
    /// Whether its last exit was expected.
    pub expected: bool,
    pub required: bool,
}

/// How an application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Status {
    pub state: ApplicationState,
    /// Something that it needs has failed, or its formula does not hold.
    pub major: bool,
    /// Something else has failed.
    pub minor: bool,
}

/// Looks at all processes of an application. `formula` is that of its rules; failures are told of managed ones only.
///
/// Errors: the formula makes no sense with these processes, which is a major failure.
pub fn status(parts: &[Part<'_>], formula: Option<&Formula>, is_managed: bool) -> (Status, Option<String>) {
    let state = state(parts);
    let has_failed = parts.iter().any(has_failed);
    if let Some(formula) = formula {
        let facts: Vec<(&str, bool)> = parts.iter().map(|part| (part.name, is_well(part))).collect();
        let (holds, problem) = match formula.holds(&facts) {
            Ok(holds) => (holds, None),
            Err(text) => (false, Some(text)),
        };
        return (Status { state, major: !holds, minor: holds && has_failed }, problem);
    }
    let major = parts.iter().filter(|part| part.required).any(|part| {
        self::has_failed(part) || (part.state == ProcessState::Stopped && state != ApplicationState::Stopped)
    });
    (Status { state, major, minor: is_managed && has_failed && !major }, None)
}

fn state(parts: &[Part<'_>]) -> ApplicationState {
    use ProcessState::*;
    let is_any = |states: &[ProcessState]| parts.iter().any(|part| states.contains(&part.state));
    if is_any(&[Stopping]) {
        ApplicationState::Stopping
    } else if is_any(&[Starting, Backoff]) {
        ApplicationState::Starting
    } else if is_any(&[Running]) {
        ApplicationState::Running
    } else {
        ApplicationState::Stopped
    }
}

fn has_failed(part: &Part<'_>) -> bool {
    match part.state {
        ProcessState::Fatal | ProcessState::Unknown => true,
        ProcessState::Exited => !part.expected,
        _ => false,
    }
}

/// Whether it counts as true in a formula (V-170).
fn is_well(part: &Part<'_>) -> bool {
    part.state.is_running() || (part.state == ProcessState::Exited && part.expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProcessState::*;

    fn part(name: &str, state: ProcessState, expected: bool, required: bool) -> Part<'_> {
        Part { name, state, expected, required }
    }

    #[test]
    fn states() {
        let rows: &[(&[ProcessState], ApplicationState)] = &[
            (&[], ApplicationState::Stopped),
            (&[Stopped, Exited, Fatal, Unknown], ApplicationState::Stopped),
            (&[Running, Stopped], ApplicationState::Running),
            (&[Running, Starting], ApplicationState::Starting),
            (&[Running, Backoff], ApplicationState::Starting),
            (&[Running, Starting, Stopping], ApplicationState::Stopping),
        ];
        for (states, expected) in rows {
            let parts: Vec<Part> = states.iter().map(|state| part("p", *state, true, false)).collect();
            assert_eq!(status(&parts, None, true).0.state, *expected, "{states:?}");
        }
    }

    #[test]
    fn failures_without_a_formula() {
        // State, expected, required; major, minor, when managed.
        let rows = [
            (Running, true, true, false, false),
            (Fatal, true, true, true, false),
            (Fatal, true, false, false, true),
            (Exited, true, true, false, false),
            (Exited, false, false, false, true),
            (Stopped, true, true, true, false),
            (Stopped, true, false, false, false),
            (Unknown, true, false, false, true),
        ];
        for (state, expected, required, major, minor) in rows {
            let parts = [part("p", state, expected, required), part("other", Running, true, false)];
            let found = status(&parts, None, true).0;
            assert_eq!((found.major, found.minor), (major, minor), "{state:?} {expected} {required}");
        }
        let stopped = [part("p", Stopped, true, true)];
        assert!(!status(&stopped, None, true).0.major, "nothing is missed of what is not wanted");
        let unmanaged = [part("p", Fatal, true, false)];
        assert!(!status(&unmanaged, None, false).0.minor);
    }

    #[test]
    fn failures_with_a_formula() {
        let formula = |text| Formula::parse(text).unwrap();
        let parts = [part("a", Running, true, false), part("b", Exited, false, false), part("c", Exited, true, false)];
        let rows = [("'a' and 'c'", false, true), ("'b'", true, false), ("'ghost'", true, false)];
        for (text, major, minor) in rows {
            let (found, problem) = status(&parts, Some(&formula(text)), true);
            assert_eq!((found.major, found.minor, problem.is_some()), (major, minor, text == "'ghost'"), "{text}");
        }
        let stopped = [part("a", Stopped, true, false)];
        assert!(status(&stopped, Some(&formula("'a'")), true).0.major, "a formula counts while all is stopped, too");
    }
}
