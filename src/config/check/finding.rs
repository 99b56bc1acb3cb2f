//! What a check finds: a place, how bad it is, and a text.

use std::fmt;

use super::super::error::Place;

/// How bad a finding is. In order of how it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Wrong on every machine.
    Error,
    /// Wrong on this one: a user, a directory, a program or a variable that is not there.
    Here,
    /// A name that nobody reads.
    Unknown,
    /// Not wrong, but often not what was meant.
    Warning,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Here => "here",
            Severity::Unknown => "unknown",
            Severity::Warning => "warning",
        }
    }
}

/// One finding. Displays as its line: `error: … (file: 'F', line 3)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is found, in words.
    pub text: String,
    /// Where; what knows no place, or names it in its text, has none.
    pub place: Option<Place>,
}

impl Finding {
    /// A finding at a line of a file.
    pub fn at(severity: Severity, text: impl Into<String>, file: &str, line: u32) -> Finding {
        Finding { severity, text: text.into(), place: Some(Place { file: file.to_string(), line: Some(line) }) }
    }

    /// A finding without a place of its own.
    pub fn new(severity: Severity, text: impl Into<String>) -> Finding {
        Finding { severity, text: text.into(), place: None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity.word(), self.text)?;
        match &self.place {
            Some(place) => write!(f, " {place}"),
            None => Ok(()),
        }
    }
}
