//! Whether a process is well, by the results of its liveness checks (O-4); and the text that makes it ready (O-3).

/// What is known of a process's health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthState {
    /// No check has told yet.
    #[default]
    Unknown,
    /// Enough good ones in a row.
    Healthy,
    /// Enough bad ones in a row.
    Unhealthy,
}

impl HealthState {
    /// The word that clients see.
    pub fn name(self) -> &'static str {
        match self {
            HealthState::Unknown => "unknown",
            HealthState::Healthy => "healthy",
            HealthState::Unhealthy => "unhealthy",
        }
    }
}

/// The health of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    pub state: HealthState,
    /// Why the last check was bad; empty after a good one.
    pub reason: String,
    /// Bad checks in a row.
    pub failures: u32,
    successes: u32,
}

impl Health {
    /// Takes the result of a check; says from what to what the state has changed, or that it was found bad once more
    /// after so many, if either is so.
    pub fn take(&mut self, result: Result<(), String>, good: u32, bad: u32) -> Option<HealthChange> {
        let from = self.state;
        match result {
            Ok(()) => {
                self.successes = self.successes.saturating_add(1);
                self.failures = 0;
                self.reason.clear();
                if self.successes >= good {
                    self.state = HealthState::Healthy;
                }
            }
            Err(reason) => {
                self.failures = self.failures.saturating_add(1);
                self.successes = 0;
                self.reason = reason;
                if self.failures >= bad {
                    self.state = HealthState::Unhealthy;
                }
            }
        }
        (self.state != from).then_some(HealthChange { from, to: self.state })
    }
}

/// A change of health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct HealthChange {
    pub from: HealthState,
    pub to: HealthState,
}

/// Bytes of a line that are looked at; the rest of a longer one is passed over.
pub const LINE_BYTES_MAX: usize = 4096;

/// Looks for a text in the complete lines of an output.
#[derive(Clone, Debug, Default)]
pub struct LineWatch {
    line: Vec<u8>,
}

impl LineWatch {
    /// Takes a piece of output; whether a line with the text was completed.
    pub fn feed(&mut self, bytes: &[u8], text: &[u8]) -> bool {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            self.keep(&rest[..at]);
            let found = self.line.windows(text.len().max(1)).any(|window| window == text);
            self.line.clear();
            if found {
                return true;
            }
            rest = &rest[at + 1..];
        }
        self.keep(rest);
        false
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.line.len();
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        use HealthState::*;
        // Results, thresholds (good, bad); the states one after the other.
        let rows: &[(&str, (u32, u32), &[HealthState])] = &[
            ("+", (1, 3), &[Healthy]),
            ("++", (2, 3), &[Unknown, Healthy]),
            ("---", (1, 3), &[Unknown, Unknown, Unhealthy]),
            ("+--+---", (1, 3), &[Healthy, Healthy, Healthy, Healthy, Healthy, Healthy, Unhealthy]),
            ("-+", (1, 1), &[Unhealthy, Healthy]),
            ("-+-++", (2, 1), &[Unhealthy, Unhealthy, Unhealthy, Unhealthy, Healthy]),
        ];
        for (results, (good, bad), states) in rows {
            let mut health = Health::default();
            for (result, state) in results.chars().zip(*states) {
                let before = health.state;
                let result = if result == '+' { Ok(()) } else { Err("why".to_string()) };
                let change = health.take(result.clone(), *good, *bad);
                assert_eq!(health.state, *state, "{results}");
                assert_eq!(
                    change,
                    (before != *state).then_some(HealthChange { from: before, to: *state }),
                    "{results}"
                );
                assert_eq!(health.reason.is_empty(), result.is_ok());
            }
        }
    }

    #[test]
    fn a_text_in_a_complete_line() {
        let long = "x".repeat(LINE_BYTES_MAX) + "ready\n";
        let rows: &[(&str, bool)] = &[
            ("server ready\n", true),
            ("server ready", false),
            ("ser\nver rea\ndy\n", false),
            ("ready\n", true),
            ("\n\nnot yet\nready now\nmore", true),
            (&long, false),
            ("", false),
        ];
        for (text, expected) in rows {
            let mut whole = LineWatch::default();
            assert_eq!(whole.feed(text.as_bytes(), b"ready"), *expected, "{text:?} whole");
            let mut single = LineWatch::default();
            let found = text.bytes().any(|byte| single.feed(&[byte], b"ready"));
            assert_eq!(found, *expected, "{text:?} byte by byte");
            assert!(single.line.len() <= LINE_BYTES_MAX);
        }
    }
}
