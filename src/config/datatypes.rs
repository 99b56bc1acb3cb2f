//! The kinds of text an option can hold (C-70 to C-89): each is a type with one `parse`.
//!
//! A parser gets the text after expansion and says what is wrong with it; whoever called it knows where it stood.
//! Messages that clients may know are the original's, word for word. Those that come from Python itself
//! (`invalid literal for int() …`) are our own words and contain the offending text.

use std::borrow::Cow;

use crate::level::Level;
use crate::signal;
use crate::wire::pyrepr;
use crate::wire::value::Value;

use super::env::Env;
use super::paths;
use super::values::{Autorestart, ServerUrl, UnknownAction};

/// How often `%(name)s` is replaced in an option before it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expansion {
    /// Not at all: whoever uses it expands it, once per process.
    No,
    /// Once, before it is parsed: the rule.
    Once,
    /// Log paths, so that a literal `%` there is `%%%%` (C-67).
    Twice,
}

/// A kind of text.
pub trait Datatype: Sized {
    /// How its text is expanded.
    const EXPANSION: Expansion = Expansion::Once;
    /// Whether a message about its text has to say which option it is of: those whose words are the original's do not, where
    /// the option is the original's, too.
    const NAMES_OPTION: bool = false;
    /// What it is called where options are listed.
    const KIND: &'static str;
    /// Reads it, or says what is wrong.
    fn parse(text: &str, env: &dyn Env) -> Result<Self, String>;
    /// What it is when the option is missing and has no default; `None` where a default always stands in.
    fn absent() -> Option<Self> {
        None
    }
}

/// What can be shown to clients.
pub trait Show {
    /// In `stheno.getProcessInfo`: as it could stand in a file; empty where there is nothing.
    fn shown(&self) -> Value;
    /// In `getAllConfigInfo`, which has ways of its own for some.
    fn listed(&self) -> Value {
        self.shown()
    }
}

/// An option that may be missing.
impl<T: Datatype> Datatype for Option<T> {
    const EXPANSION: Expansion = T::EXPANSION;
    const NAMES_OPTION: bool = T::NAMES_OPTION;
    const KIND: &'static str = T::KIND;

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        T::parse(text, env).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Any text, as it is.
impl Datatype for String {
    const KIND: &'static str = "text";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        Ok(text.to_string())
    }
}

/// Text that is expanded later, once per process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexpanded(pub String);

impl Datatype for Unexpanded {
    const EXPANSION: Expansion = Expansion::No;
    const KIND: &'static str = "text";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        Ok(Unexpanded(text.to_string()))
    }
}

/// An integer (C-70). The original's have no bounds; ours stop at those of 64 bits.
impl Datatype for i64 {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "integer";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        integer(text).ok_or_else(|| format!("expected a whole number, not {}", pyrepr::text(text)))
    }
}

/// A truth value (C-71).
impl Datatype for bool {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "boolean";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        truth(text).ok_or_else(|| format!("not a valid boolean value: {}", pyrepr::text(text)))
    }
}

/// `autorestart` is a word of its own or a boolean (C-72).
impl Datatype for Autorestart {
    const KIND: &'static str = "true, false or unexpected";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let lower = lowercase(text);
        match truth(&lower) {
            Some(true) => Ok(Autorestart::Always),
            Some(false) => Ok(Autorestart::Never),
            None if lower == "unexpected" => Ok(Autorestart::Unexpected),
            None => Err(format!("invalid 'autorestart' value {}", pyrepr::text(&lower))),
        }
    }
}

/// `unknown_action` of a listener.
impl Datatype for UnknownAction {
    const KIND: &'static str = "restart or ignore";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        match text {
            "ignore" => Ok(UnknownAction::Ignore),
            "restart" => Ok(UnknownAction::Restart),
            other => Err(format!("unknown_action is ignore or restart, not {}", pyrepr::text(other))),
        }
    }
}

/// A number of bytes (C-73). Negative ones are accepted; they count as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub i64);

impl Datatype for ByteSize {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "size";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let lower = lowercase(text);
        let units = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30)];
        let (number, unit) =
            units.iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?, *unit))).unwrap_or((&lower, 1));
        match integer(number) {
            Some(count) => Ok(ByteSize(count.saturating_mul(unit))),
            None => {
                Err(format!("expected a number of bytes such as 1000, 50KB, 20MB or 1GB, not {}", pyrepr::text(&lower)))
            }
        }
    }
}

/// An octal number (C-74), reduced to the twelve bits that modes and masks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Octal(pub u32);

impl Datatype for Octal {
    const KIND: &'static str = "octal number";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let number = number(text, 8).ok_or_else(|| format!("{text} can not be converted to an octal type"))?;
        Ok(Octal((number & 0o7777) as u32))
    }
}

/// A signal's number (C-75).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalNumber(pub i32);

impl Datatype for SignalNumber {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "signal";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        signal::parse(text).map(SignalNumber)
    }
}

/// Exit codes, 0 to 255 each (C-76).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitCodes(pub Vec<i32>);

impl Datatype for ExitCodes {
    const KIND: &'static str = "list of exit codes";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(ExitCodes(Vec::new()));
        }
        let code = |part| integer(part).filter(|code| (0..=255).contains(code)).map(|code| code as i32);
        let codes: Option<Vec<i32>> = text.split(',').map(code).collect();
        codes.map(ExitCodes).ok_or_else(|| format!("not a valid list of exit codes: {}", pyrepr::text(text)))
    }
}

/// A list of words between commas (C-77).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strings(pub Vec<String>);

impl Datatype for Strings {
    const KIND: &'static str = "list";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Strings(Vec::new()));
        }
        Ok(Strings(text.split(',').map(|word| word.trim().to_string()).collect()))
    }
}

/// Where a child's output goes, before AUTO names are made and syslog is translated (C-82).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFile {
    /// There is no log: `none` or `off`.
    None,
    /// A file whose name is made up: `auto`.
    Auto,
    /// The log goes to syslog, by the deprecated word `syslog`.
    Syslog,
    /// A path whose directory exists. An empty one is no log, either, but counts as a file name (C-109).
    Path(String),
}

impl Datatype for LogFile {
    const EXPANSION: Expansion = Expansion::Twice;
    const KIND: &'static str = "path, AUTO or NONE";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        match &*lowercase(text) {
            "none" | "off" => Ok(LogFile::None),
            "auto" => Ok(LogFile::Auto),
            "syslog" => Ok(LogFile::Syslog),
            _ => FilePath::parse(text, env).map(|path| LogFile::Path(path.0)),
        }
    }
}

/// The path of a file whose directory, if it names one, exists (C-82).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath(pub String);

impl Datatype for FilePath {
    const KIND: &'static str = "path";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let path = env.expand_user(text);
        let dir = paths::dirname(&path);
        if dir.is_empty() || env.is_dir(dir) || paths::descriptor(&path).is_some() {
            Ok(FilePath(path))
        } else {
            Err(format!("The directory named as part of the path {text} does not exist"))
        }
    }
}

/// A directory that exists (C-83).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(pub String);

impl Datatype for Directory {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "directory";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let path = env.expand_user(text);
        if env.is_dir(&path) { Ok(Directory(path)) } else { Err(format!("{text} is not an existing directory")) }
    }
}

/// The name of a program, group or process (C-87).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

impl Datatype for Name {
    const EXPANSION: Expansion = Expansion::No;
    const KIND: &'static str = "name";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let name = text.trim();
        match [' ', ':', '/'].into_iter().find(|c| name.contains(*c)) {
            None => Ok(Name(name.to_string())),
            Some(c) => Err(format!("Invalid name: {} because of character: '{c}'", pyrepr::text(text))),
        }
    }
}

/// A level of the activity log (C-88).
impl Datatype for Level {
    const KIND: &'static str = "log level";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let lower = lowercase(text);
        let found = Level::ALL.into_iter().find(|level| level.config_name() == lower);
        found.ok_or_else(|| format!("bad logging level name {}", pyrepr::text(text)))
    }
}

/// The URL of a server, for supervisorctl (C-89).
#[cfg_attr(not(any(feature = "ctl", feature = "applets")), allow(dead_code))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(pub String);

impl Datatype for Url {
    const KIND: &'static str = "URL";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let is_scheme = |scheme: &str| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        };
        let rest = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).map(|(_, rest)| rest);
        // What follows has to name something: a host, or a path before any query or fragment.
        let names_something = |rest: &str| {
            let rest = rest.strip_prefix("//").unwrap_or(rest);
            !rest.is_empty() && !rest.starts_with(['?', '#'])
        };
        if rest.is_some_and(names_something) {
            Ok(Url(text.to_string()))
        } else {
            Err(format!("value {} is not a URL", pyrepr::text(text)))
        }
    }
}

/// `serverurl` of a program. What AUTO stands for is put in once the servers are known (C-101).
impl Datatype for ServerUrl {
    const KIND: &'static str = "URL or AUTO";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let is_auto = text.trim().eq_ignore_ascii_case("auto");
        Ok(ServerUrl { is_auto, url: (!is_auto).then(|| text.to_string()) })
    }

    fn absent() -> Option<Self> {
        Some(ServerUrl { is_auto: true, url: None })
    }
}

/// Python's `int()`: blanks around, a sign, single underscores between digits. What does not fit in 64 bits becomes
/// the nearest number that does.
pub fn integer(text: &str) -> Option<i64> {
    number(text, 10)
}

fn number(text: &str, base: u32) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let octal_prefix = || digits.strip_prefix("0o").or_else(|| digits.strip_prefix("0O"));
    let digits = match if base == 8 { octal_prefix() } else { None } {
        // An underscore may follow the prefix as it may follow a digit.
        Some(rest) => rest.strip_prefix('_').unwrap_or(rest),
        None => digits,
    };
    let mut value: i64 = 0;
    for group in digits.split('_') {
        if group.is_empty() {
            return None;
        }
        for c in group.chars() {
            let digit = i64::from(c.to_digit(base)?);
            value = value.saturating_mul(i64::from(base)).saturating_add(digit);
        }
    }
    Some(if negative { -value } else { value })
}

/// `str.lower`; most texts are in lower case already, the defaults of the rows above all.
pub(super) fn lowercase(text: &str) -> Cow<'_, str> {
    match text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.to_lowercase()),
    }
}

fn truth(text: &str) -> Option<bool> {
    match &*lowercase(text) {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Defines a kind of text of which there are few, each with its word.
macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident, $kind:literal { $($(#[doc = $doc:literal])+ $word:literal => $variant:ident,)+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl Datatype for $name {
            const NAMES_OPTION: bool = true;
            const KIND: &'static str = $kind;

            fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
                match &*super::lowercase(text) {
                    $($word => Ok($name::$variant),)+
                    _ => Err(format!("expected {}, not {}", $kind, pyrepr::text(text))),
                }
            }
        }

        impl Show for $name {
            fn shown(&self) -> Value {
                match self { $($name::$variant => $word.into(),)+ }
            }
        }
    };
}

mod address;
mod care;
mod clients;
mod environment;
mod limits;
mod logs;
mod machine;
mod network;
mod order;
mod policies;
mod probes;
mod stopping;
mod syslog;
mod users;
pub use address::*;
pub use care::*;
pub use clients::*;
pub use environment::*;
pub use limits::*;
pub use logs::*;
pub use machine::*;
pub use network::*;
pub use order::*;
pub use policies::*;
pub use probes::*;
pub use stopping::*;
pub use syslog::*;
pub use users::*;

#[cfg(test)]
mod tests;
