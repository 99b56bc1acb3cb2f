//! What is wrong with a configuration, and where.

use std::fmt;

use crate::wire::pyrepr;

/// Why a configuration cannot be used. Displays as the original words it, and names the line where it knows it:
/// `<message> in section 'program:x' (file: '/etc/supervisord.conf', line 7)`. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
    /// The message as the original words it, where that holds a value that may be a secret (K-7).
    telling: Option<Box<str>>,
    section: Option<Box<Owner>>,
    place: Option<Place>,
    /// The known name that may have been meant.
    hint: Option<Box<str>>,
}

/// The program's section that an error belongs to, and the file where that was first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    section: String,
    file: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1; `None` where only the file is known.
    pub line: Option<u32>,
}

impl ConfigError {
    /// An error without a place.
    pub fn new(message: impl Into<String>) -> ConfigError {
        ConfigError { message: message.into(), telling: None, section: None, place: None, hint: None }
    }

    /// Keeps the original's message, which shows a value that may be a secret, for [`ConfigError::at_start`].
    pub fn told_as(self, telling: String) -> ConfigError {
        ConfigError { telling: Some(telling.into_boxed_str()), ..self }
    }

    /// Shows one text in the place of another, which may hold a secret.
    pub fn showing(self, hidden: &str, shown: &str) -> ConfigError {
        let message = self.message.replace(hidden, shown);
        let telling = self.telling.unwrap_or_else(|| self.message.into_boxed_str());
        ConfigError { message, telling: Some(telling), ..self }
    }

    /// The error as whoever starts the daemon is told it on the standard error, word for word that of the original. All else,
    /// logs, answers and `--check`, has the `Display`, which shows no secret.
    pub fn at_start(&self) -> String {
        match &self.telling {
            Some(telling) => ConfigError { message: telling.to_string(), ..self.clone() }.to_string(),
            None => self.to_string(),
        }
    }

    /// Says where; an earlier answer is kept, for it is more exact. Line 0 stands for options that came from a call
    /// and not from a file: they have no place.
    pub fn at(mut self, file: &str, line: u32) -> ConfigError {
        if line > 0 {
            self.place.get_or_insert_with(|| Place { file: file.to_string(), line: Some(line) });
        }
        self
    }

    /// Says that it belongs to a program's section, first seen in this file (C-93); an earlier answer is kept.
    pub fn in_section(mut self, section: &str, file: &str) -> ConfigError {
        self.section.get_or_insert_with(|| Box::new(Owner { section: section.to_string(), file: file.to_string() }));
        self
    }

    /// Says which known name may have been meant.
    pub fn with_hint(self, hint: Option<String>) -> ConfigError {
        ConfigError { hint: hint.map(String::into_boxed_str), ..self }
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it stands, if that is known.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match (&self.section, &self.place) {
            (None, None) => {}
            // A message of several lines shows text of the file; what follows it would look like more of that.
            (None, Some(_)) if self.message.contains('\n') => {}
            (None, Some(place)) => write!(f, " {place}")?,
            (Some(owner), place) => {
                let Owner { section, file } = &**owner;
                // The file is the section's (C-50), even if a later one set the option; a line would then mislead.
                let line = place.as_ref().filter(|place| place.file == *file).and_then(|place| place.line);
                write!(f, " in section {} {}", pyrepr::text(section), Place { file: file.clone(), line })?;
            }
        }
        match &self.hint {
            Some(meant) => write!(f, ", did you mean {meant}?"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "(file: {}, line {line})", pyrepr::text(&self.file)),
            None => write!(f, "(file: {})", pyrepr::text(&self.file)),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The two lines that every usage error prints on stderr before the exit with status 2 (C-7).
pub fn usage_error(program: &str, message: &dyn fmt::Display) -> String {
    format!("Error: {message}\nFor help, use {program} -h\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where() {
        let bare = ConfigError::new("bad");
        let rows = [
            (bare.clone(), "bad"),
            (bare.clone().at("F", 3).at("G", 4), "bad (file: 'F', line 3)"),
            (bare.clone().at("F", 0), "bad"),
            (ConfigError::new("a\nb").at("F", 3), "a\nb"),
            (bare.clone().in_section("program:x", "F"), "bad in section 'program:x' (file: 'F')"),
            (bare.clone().at("F", 3).in_section("program:x", "F"), "bad in section 'program:x' (file: 'F', line 3)"),
            (bare.clone().at("G", 3).in_section("program:x", "F"), "bad in section 'program:x' (file: 'F')"),
            (
                bare.clone().in_section("program:x", "F").with_hint(Some("y".into())),
                "bad in section 'program:x' (file: 'F'), did you mean y?",
            ),
        ];
        for (error, expected) in rows {
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(usage_error("sd", &bare), "Error: bad\nFor help, use sd -h\n");
    }
}
