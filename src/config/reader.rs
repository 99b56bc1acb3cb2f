//! Reading one section: an option's text is found (its own, else `[DEFAULT]`'s), expanded with the names that may stand
//! in it, and parsed; an error knows its line.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use crate::wire::expand::{self, ExpandError, Names, Var};
use crate::wire::ini::{Document, Entry, OddKind, Section};
use crate::wire::{keyvalue, pyrepr};

use super::datatypes::{Datatype, Expansion};
use super::env::Env;
use super::error::ConfigError;
use super::row::Row;

/// The names that a value may contain (C-66). What is `None` is not available.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Scope<'a> {
    pub here: Option<&'a str>,
    pub host_node_name: Option<&'a str>,
    pub program_name: Option<&'a str>,
    pub group_name: Option<&'a str>,
    pub process_num: Option<i64>,
    pub numprocs: Option<i64>,
    /// `ENV_*`, by the names without that prefix (C-65).
    pub variables: Option<&'a BTreeMap<String, String>>,
    /// `ENV_*` of a program's own environment; they win.
    pub own: Option<&'a BTreeMap<String, String>>,
    /// Bytes that the values of all processes of a section may still take.
    pub left: Option<&'a Cell<usize>>,
}

impl Names for Scope<'_> {
    fn get(&self, name: &str) -> Option<Var<'_>> {
        match name {
            "here" => self.here.map(Var::Text),
            "host_node_name" => self.host_node_name.map(Var::Text),
            "program_name" => self.program_name.map(Var::Text),
            "group_name" => self.group_name.map(Var::Text),
            "process_num" => self.process_num.map(Var::Int),
            "numprocs" => self.numprocs.map(Var::Int),
            _ => {
                let name = name.strip_prefix("ENV_")?;
                [self.own, self.variables].into_iter().flatten().find_map(|map| map.get(name)).map(|v| Var::Text(v))
            }
        }
    }

    fn all(&self) -> Vec<String> {
        const PLAIN: [&str; 6] = ["here", "host_node_name", "program_name", "group_name", "process_num", "numprocs"];
        let mut all: Vec<String> =
            PLAIN.iter().filter(|name| self.get(name).is_some()).map(|n| n.to_string()).collect();
        let variables = [self.own, self.variables].into_iter().flatten().flat_map(BTreeMap::keys);
        all.extend(variables.map(|name| format!("ENV_{name}")));
        crate::sort::ascending(&mut all);
        all.dedup();
        all
    }
}

impl Scope<'_> {
    /// Replaces the names in a value. `place` is what messages call it, `program:x.command` (C-61).
    pub fn expand<'t>(&self, text: &'t str, place: impl FnOnce() -> String) -> Result<Cow<'t, str>, ConfigError> {
        let expanded = match text.contains('%') {
            false => Cow::Borrowed(text),
            true => match expand::expand(text, self) {
                Ok(expanded) => Cow::Owned(expanded),
                Err(error) => return Err(self.unexpanded(&error, text, &place())),
            },
        };
        if let Some(left) = self.left {
            let Some(rest) = left.get().checked_sub(expanded.len()) else {
                let most = SECTION_BYTES_MAX >> 20;
                let message = format!("{}: the processes of one section take more than {most} MiB of text", place());
                return Err(ConfigError::new(message));
            };
            left.set(rest);
        }
        Ok(expanded)
    }

    /// The error about a value, which is not shown if it may be a secret.
    fn unexpanded(&self, error: &ExpandError, text: &str, place: &str) -> ConfigError {
        let telling = error.message(text, place, self);
        let shown = match place.rsplit('.').next() {
            Some("environment") => keyvalue::without_values(text),
            Some("password") => "…".to_string(),
            _ => return ConfigError::new(telling),
        };
        let error = match error {
            ExpandError::Unknown { .. } => error.clone(),
            // The reason has a character of the value.
            ExpandError::Malformed { .. } => ExpandError::Malformed { reason: "a % is written %%".to_string() },
        };
        ConfigError::new(error.message(&shown, place, self)).told_as(telling)
    }
}

/// The variables of a list. Errors show no value.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    keyvalue::parse(text).map_err(|telling| {
        ConfigError::new(telling).showing(&format!("'{text}'"), &format!("'{}'", keyvalue::without_values(text)))
    })
}

/// Bytes of the values of all processes of one section: 160 for each of the most that there may be, or a command of 16 KiB
/// for each of a thousand. Without it a width in a value, times `numprocs`, fills the memory and takes a minute.
pub(super) const SECTION_BYTES_MAX: usize = 16 << 20;

/// What is said of a value that ends while quotes are open (C-81).
const UNCLOSED: &str = "No closing quotation";

/// Options of the original of whose values is said what it says, and it does not name them.
const IN_ITS_WORDS: [&str; 14] = [
    "autostart",
    "redirect_stderr",
    "stopasgroup",
    "killasgroup",
    "stdout_events_enabled",
    "stderr_events_enabled",
    "stdout_syslog",
    "stderr_syslog",
    "nodaemon",
    "nocleanup",
    "silent",
    "strip_ansi",
    "childlogdir",
    "directory",
];

/// One section, with the names that its options may contain.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// What was read from files, for the defaults.
    pub document: &'a Document,
    pub section: &'a Section,
    pub scope: Scope<'a>,
    /// For users and directories.
    pub env: &'a dyn Env,
    /// `[program-default]`, for a program of the files (K-7).
    pub stand_in: Option<&'a Section>,
}

impl<'a> Reader<'a> {
    /// The option as it stands in the file: its own, `[program-default]`'s or `[DEFAULT]`'s (C-25).
    pub fn entry(&self, name: &str) -> Option<&'a Entry> {
        let stands_in = || self.stand_in.and_then(|section| section.get(name));
        self.section.get(name).or_else(stands_in).or_else(|| self.document.defaults.get(name))
    }

    /// The section that has the option itself, if it is not this one.
    fn other_owner(&self, name: &str) -> Option<&'a Section> {
        self.stand_in.filter(|section| self.section.get(name).is_none() && section.get(name).is_some())
    }

    /// Reads an option. When it is missing, its default stands in, else what it `follows`.
    pub(super) fn option<T: Datatype>(&self, row: &Row, follows: Option<T>) -> Result<T, ConfigError> {
        if let Some((name, entry)) = self.written(row) {
            return self.parse(name, entry);
        }
        match row.default {
            Some(text) => T::parse(text, self.env).map_err(ConfigError::new),
            None => follows.or_else(T::absent).ok_or_else(|| self.missing(row.name)),
        }
    }

    /// Reads what stands there under a name, if anything does.
    pub fn value<T: Datatype>(&self, name: &str) -> Option<Result<T, ConfigError>> {
        Some(self.parse(name, self.entry(name)?))
    }

    /// Names the line of an option, or of the section if it is missing.
    pub fn locate(&self, error: ConfigError, name: &str) -> ConfigError {
        let error = match self.other_owner(name) {
            Some(section) => error.in_section(&section.name, &section.file),
            None => error,
        };
        match self.entry(name) {
            Some(entry) => match self.comment_in_quotes(entry) {
                Some((mark, line)) if error.message() == UNCLOSED => {
                    let text = format!("{UNCLOSED}: a comment begins at \" {mark}\" inside the quotes, in line {line}");
                    ConfigError::new(text).at(&entry.file, entry.line)
                }
                _ => error.at(&entry.file, entry.line),
            },
            None => error.at(&self.section.file, self.section.line),
        }
    }

    /// Mark and line of a comment that cuts an option's value while quotes are open.
    fn comment_in_quotes(&self, entry: &Entry) -> Option<(char, u32)> {
        self.document.oddities.iter().find_map(|odd| match odd.kind {
            OddKind::CommentInQuotes { mark, option_line } if option_line == entry.line && odd.file == entry.file => {
                Some((mark, odd.line))
            }
            _ => None,
        })
    }

    /// An error about an option, with its line.
    pub fn error(&self, name: &str, message: impl Into<String>) -> ConfigError {
        self.locate(ConfigError::new(message), name)
    }

    fn parse<T: Datatype>(&self, name: &str, entry: &Entry) -> Result<T, ConfigError> {
        // Of a name that cannot be replaced the place is told in any case.
        let text = self.expanded(entry, T::EXPANSION).map_err(|error| self.wrong(error, name, false))?;
        T::parse(&text, self.env).map_err(|message| self.wrong(ConfigError::new(message), name, T::NAMES_OPTION))
    }
}

/// What reading an option takes whatever its type is. Never put in the place of its call: there is one for each type.
impl<'a> Reader<'a> {
    /// The option, under the first of its names under which it stands.
    #[inline(never)]
    fn written(&self, row: &Row) -> Option<(&'static str, &'a Entry)> {
        let names = [row.name].into_iter().chain(row.aliases.iter().copied());
        names.into_iter().find_map(|name| Some((name, self.entry(name)?)))
    }

    #[inline(never)]
    fn missing(&self, name: &str) -> ConfigError {
        self.error(name, format!("program section {} does not specify a {name}", self.section.name))
    }

    #[inline(never)]
    fn wrong(&self, error: ConfigError, name: &str, names_option: bool) -> ConfigError {
        let error = match names_option && !IN_ITS_WORDS.contains(&name) {
            true => ConfigError::new(format!("{name}: {}", error.message())),
            false => error,
        };
        self.locate(error, name)
    }

    /// Its text, with the names in it replaced.
    #[inline(never)]
    fn expanded<'e>(&self, entry: &'e Entry, expansion: Expansion) -> Result<Cow<'e, str>, ConfigError> {
        let mut text = Cow::Borrowed(entry.value.as_str());
        if expansion != Expansion::No {
            text = self.scope.expand(&entry.value, || format!("{}.{}", self.section.name, entry.key))?;
        }
        if expansion == Expansion::Twice {
            let again = self.scope.expand(&text, || entry.key.clone()).map(Cow::into_owned);
            text = Cow::Owned(again.map_err(|error| match entry.value.contains("%(ENV_") {
                // What a variable holds may be a secret.
                true => error.showing(&pyrepr::text(&text), &pyrepr::text(&entry.value)),
                false => error,
            })?);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::datatypes::LogFile;
    use super::super::fake::Fake;
    use super::*;

    fn document(text: &str) -> Document {
        let mut document = Document::default();
        document.read(text, "F").unwrap();
        document
    }

    #[test]
    fn finds_expands_and_parses() {
        let env = Fake::new();
        let document = document("[DEFAULT]\nb = 2\n[s]\na = 1\nbad = %(nope)s\nworse = x\nlog = a%%%%b\n");
        let variables = BTreeMap::from([("X".to_string(), "%".to_string())]);
        let scope = Scope { here: Some("/h"), variables: Some(&variables), ..Scope::default() };
        let reader = Reader { document: &document, section: &document.sections[0], scope, env: &env, stand_in: None };
        let row = |name| Row::new(name, "", "");
        assert_eq!(reader.option::<i64>(&row("a"), None), Ok(1));
        assert_eq!(reader.option::<i64>(&row("b").default("9"), None), Ok(2));
        assert_eq!(reader.option::<i64>(&row("c").default("9"), None), Ok(9));
        assert_eq!(reader.option::<i64>(&row("c"), Some(8)), Ok(8));
        assert_eq!(reader.option::<i64>(&Row { aliases: &["d", "b"], ..row("c") }, None), Ok(2));
        assert_eq!(reader.option::<Option<i64>>(&row("c"), None), Ok(None));
        assert_eq!(reader.option::<LogFile>(&row("log"), None), Ok(LogFile::Path("a%b".to_string())));
        assert_eq!(
            reader.option::<i64>(&row("c"), None).unwrap_err().to_string(),
            "program section s does not specify a c (file: 'F', line 3)"
        );
        assert_eq!(
            reader.value::<i64>("bad").unwrap().unwrap_err().to_string(),
            "Format string '%(nope)s' for 's.bad' contains names ('nope') which cannot be expanded. \
             Available names: ENV_X, here (file: 'F', line 5)"
        );
        assert_eq!(
            reader.value::<i64>("worse").unwrap().unwrap_err().to_string(),
            "worse: expected a whole number, not 'x' (file: 'F', line 6)"
        );
        assert_eq!(reader.error("missing", "m").to_string(), "m (file: 'F', line 3)");
    }

    #[test]
    fn own_variables_win() {
        let (own, all) = (BTreeMap::from([("X".into(), "own".into())]), BTreeMap::from([("X".into(), "all".into())]));
        let mut scope = Scope { variables: Some(&all), process_num: Some(3), ..Scope::default() };
        assert_eq!(scope.expand("%(ENV_X)s%(process_num)02d", String::new).unwrap(), "all03");
        scope.own = Some(&own);
        assert_eq!(scope.expand("%(ENV_X)s", String::new).unwrap(), "own");
        assert_eq!(scope.all(), ["ENV_X", "process_num"]);
        assert!(scope.expand("%(here)s", String::new).is_err());
    }
}
