//! The kinds of text an option can hold (C-70 to C-89): each is a type with one `parse`.
//!
//! A parser gets the text after expansion and says what is wrong with it; whoever called it knows where it stood.
//! Messages that clients may know are the original's, word for word. Those that come from Python itself
//! (`invalid literal for int() …`) are our own words and contain the offending text.

use crate::level::Level;
use crate::signal;
use crate::wire::pyrepr;

use super::env::Env;
use super::paths;
use super::types::{Autorestart, Owner, User};

/// How often `%(name)s` is replaced in an option before it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expansion {
    /// Not at all: whoever uses it expands it, once per process.
    No,
    /// The rule.
    Once,
    /// Log paths, so that a literal `%` there is `%%%%` (C-67).
    Twice,
}

/// A kind of text.
pub trait Datatype: Sized {
    /// How its text is expanded.
    const EXPANSION: Expansion = Expansion::Once;
    /// What it is called where options are listed.
    const KIND: &'static str;
    /// Reads it, or says what is wrong.
    fn parse(text: &str, env: &dyn Env) -> Result<Self, String>;
    /// What it is when the option is missing and has no default; `None` where a default always stands in.
    fn absent() -> Option<Self> {
        None
    }
}

/// An option that may be missing.
impl<T: Datatype> Datatype for Option<T> {
    const EXPANSION: Expansion = T::EXPANSION;
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
    const KIND: &'static str = "integer";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        integer(text).ok_or_else(|| format!("expected a whole number, not {}", pyrepr::text(text)))
    }
}

/// A truth value (C-71).
impl Datatype for bool {
    const KIND: &'static str = "boolean";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        truth(text).ok_or_else(|| format!("not a valid boolean value: {}", pyrepr::text(text)))
    }
}

/// `autorestart` (C-72).
impl Datatype for Autorestart {
    const KIND: &'static str = "true, false or unexpected";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let lower = text.to_lowercase();
        match truth(&lower) {
            Some(true) => Ok(Autorestart::Always),
            Some(false) => Ok(Autorestart::Never),
            None if lower == "unexpected" => Ok(Autorestart::Unexpected),
            None => Err(format!("invalid 'autorestart' value {}", pyrepr::text(&lower))),
        }
    }
}

/// A number of bytes (C-73). Negative ones are accepted and are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl Datatype for ByteSize {
    const KIND: &'static str = "size";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let lower = text.to_lowercase();
        let units = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30)];
        let (number, unit) =
            units.iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?, *unit))).unwrap_or((&lower, 1));
        match integer(number) {
            Some(count) => Ok(ByteSize(count.saturating_mul(unit).max(0) as u64)),
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
    /// `none` or `off`.
    None,
    /// `auto`.
    Auto,
    /// `syslog`, deprecated.
    Syslog,
    /// A path whose directory exists. An empty one is no log, either, but counts as a file name (C-109).
    Path(String),
}

impl Datatype for LogFile {
    const EXPANSION: Expansion = Expansion::Twice;
    const KIND: &'static str = "path, AUTO or NONE";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        match text.to_lowercase().as_str() {
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
        let path = paths::expand_user(env, text);
        let dir = paths::dirname(&path);
        if dir.is_empty() || env.is_dir(dir) {
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
    const KIND: &'static str = "directory";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let path = paths::expand_user(env, text);
        if env.is_dir(&path) { Ok(Directory(path)) } else { Err(format!("{text} is not an existing directory")) }
    }
}

/// `port`, `:port`, `*:port` or `host:port` (C-84).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InetAddress {
    /// Lower-case; empty for every interface.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

impl Datatype for InetAddress {
    const KIND: &'static str = "port or host:port";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let Some((host, port)) = text.rsplit_once(':') else {
            // The blank at the end is the original's.
            let port =
                port_number(text, env).map_err(|_| format!("not a valid port number: {} ", pyrepr::text(text)))?;
            return Ok(InetAddress { host: String::new(), port });
        };
        if port.is_empty() {
            return Err("no port number specified in ''".to_string());
        }
        let host = if host == "*" { String::new() } else { host.to_lowercase() };
        Ok(InetAddress { host, port: port_number(port, env)? })
    }
}

/// A TCP port, 1 to 65535.
pub fn port_number(text: &str, env: &dyn Env) -> Result<u16, String> {
    match i64::parse(text, env)? {
        port if port < 1 => Err(format!("{port} is below lower bound (1)")),
        port => u16::try_from(port).map_err(|_| format!("{port} is above upper bound (65535)")),
    }
}

/// A user by name or number, who exists (C-86).
impl Datatype for User {
    const KIND: &'static str = "user";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let found = match integer(text) {
            Some(number) => {
                let known = u32::try_from(number).ok().filter(|uid| env.user_by_id(*uid).is_some());
                known.ok_or_else(|| format!("Invalid user id {text}"))
            }
            None => match env.user_by_name(text) {
                Some(account) => Ok(account.uid),
                None => Err(format!("Invalid user name {text}")),
            },
        };
        found.map(|uid| User { text: text.to_string(), uid })
    }
}

/// `user` or `user:group`, by names or numbers that exist (C-85).
impl Datatype for Owner {
    const KIND: &'static str = "user or user:group";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let found = || {
            let uid = User::parse(user, env).ok()?.uid;
            let Some(group) = group else { return Some(Owner { uid, gid: None }) };
            let gid = match integer(group) {
                Some(number) => u32::try_from(number).ok().filter(|gid| env.group_exists(*gid))?,
                None => env.group_by_name(group)?,
            };
            Some(Owner { uid, gid: Some(gid) })
        };
        found().ok_or_else(|| format!("Invalid user:group definition {text}"))
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
        let lower = text.to_lowercase();
        let found = Level::ALL.into_iter().find(|level| level.config_name() == lower);
        found.ok_or_else(|| format!("bad logging level name {}", pyrepr::text(text)))
    }
}

/// The URL of a server, for supervisorctl (C-89).
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

fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;
    use std::fmt::Debug;

    /// Each row is a text and what it reads as; a message stands for itself.
    fn table<T: Datatype + PartialEq + Debug>(rows: &[(&str, Result<T, &str>)]) {
        let mut env = Fake::new();
        env.set_variable("HOME", "/tmp");
        for (text, expected) in rows {
            let got = T::parse(text, &env);
            assert_eq!(got.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e), "{text:?}");
        }
    }

    #[test]
    fn integers() {
        table::<i64>(&[
            ("7", Ok(7)),
            (" 7\t", Ok(7)),
            ("-7", Ok(-7)),
            ("+7", Ok(7)),
            ("007", Ok(7)),
            ("1_000", Ok(1000)),
            ("99999999999999999999", Ok(i64::MAX)),
            ("-99999999999999999999", Ok(-i64::MAX)),
            ("1__0", Err("expected a whole number, not '1__0'")),
            ("_1", Err("expected a whole number, not '_1'")),
            ("1_", Err("expected a whole number, not '1_'")),
            ("- 1", Err("expected a whole number, not '- 1'")),
            ("1.5", Err("expected a whole number, not '1.5'")),
            ("0x1", Err("expected a whole number, not '0x1'")),
            ("", Err("expected a whole number, not ''")),
        ]);
    }

    #[test]
    fn truths() {
        table::<bool>(&[
            ("TRUE", Ok(true)),
            ("yes", Ok(true)),
            ("On", Ok(true)),
            ("1", Ok(true)),
            ("false", Ok(false)),
            ("No", Ok(false)),
            ("off", Ok(false)),
            ("0", Ok(false)),
            ("maybe", Err("not a valid boolean value: 'maybe'")),
            (" true", Err("not a valid boolean value: ' true'")),
            ("", Err("not a valid boolean value: ''")),
        ]);
        table::<Autorestart>(&[
            ("Unexpected", Ok(Autorestart::Unexpected)),
            ("true", Ok(Autorestart::Always)),
            ("0", Ok(Autorestart::Never)),
            ("BAD", Err("invalid 'autorestart' value 'bad'")),
        ]);
    }

    #[test]
    fn sizes() {
        let expected = "expected a number of bytes such as 1000, 50KB, 20MB or 1GB, not ";
        table::<ByteSize>(&[
            ("0", Ok(ByteSize(0))),
            (" 5 ", Ok(ByteSize(5))),
            ("2kb", Ok(ByteSize(2048))),
            ("3 Mb", Ok(ByteSize(3 << 20))),
            ("1GB", Ok(ByteSize(1 << 30))),
            ("-1", Ok(ByteSize(0))),
            ("99999999999999GB", Ok(ByteSize(i64::MAX as u64))),
            ("1K", Err(&format!("{expected}'1k'"))),
            ("1B", Err(&format!("{expected}'1b'"))),
            ("1.5MB", Err(&format!("{expected}'1.5mb'"))),
            ("MB", Err(&format!("{expected}'mb'"))),
        ]);
    }

    #[test]
    fn octals() {
        table::<Octal>(&[
            ("022", Ok(Octal(0o22))),
            ("0o22", Ok(Octal(0o22))),
            ("0O_2_2", Ok(Octal(0o22))),
            ("7777", Ok(Octal(0o7777))),
            ("9", Err("9 can not be converted to an octal type")),
            ("", Err(" can not be converted to an octal type")),
            ("0o", Err("0o can not be converted to an octal type")),
        ]);
    }

    #[test]
    fn lists() {
        let words = |words: &[&str]| Ok(Strings(words.iter().map(|w| w.to_string()).collect()));
        table::<Strings>(&[("", words(&[])), ("a", words(&["a"])), ("a, b,", words(&["a", "b", ""]))]);
        table::<ExitCodes>(&[
            ("", Ok(ExitCodes(vec![]))),
            ("0, 2", Ok(ExitCodes(vec![0, 2]))),
            ("255", Ok(ExitCodes(vec![255]))),
            ("0,", Err("not a valid list of exit codes: '0,'")),
            ("256", Err("not a valid list of exit codes: '256'")),
            ("-1", Err("not a valid list of exit codes: '-1'")),
        ]);
    }

    #[test]
    fn files() {
        let path = |text: &str| LogFile::Path(text.to_string());
        table::<LogFile>(&[
            ("NONE", Ok(LogFile::None)),
            ("Off", Ok(LogFile::None)),
            ("", Ok(path(""))),
            ("Auto", Ok(LogFile::Auto)),
            ("SYSLOG", Ok(LogFile::Syslog)),
            ("x.log", Ok(path("x.log"))),
            ("~/x.log", Ok(path("/tmp/x.log"))),
            ("/no/x.log", Err("The directory named as part of the path /no/x.log does not exist")),
        ]);
        table::<Directory>(&[
            ("/tmp", Ok(Directory("/tmp".to_string()))),
            ("~", Ok(Directory("/tmp".to_string()))),
            ("/no", Err("/no is not an existing directory")),
            ("", Err(" is not an existing directory")),
        ]);
    }

    #[test]
    fn addresses() {
        let at = |host: &str, port| Ok(InetAddress { host: host.to_string(), port });
        table::<InetAddress>(&[
            ("9001", at("", 9001)),
            (":9001", at("", 9001)),
            ("*:9001", at("", 9001)),
            ("LocalHost:80", at("localhost", 80)),
            ("[::1]:80", at("[::1]", 80)),
            ("x", Err("not a valid port number: 'x' ")),
            ("0", Err("not a valid port number: '0' ")),
            ("", Err("not a valid port number: '' ")),
            ("a:", Err("no port number specified in ''")),
            ("a:0", Err("0 is below lower bound (1)")),
            ("a:65536", Err("65536 is above upper bound (65535)")),
            ("a:b", Err("expected a whole number, not 'b'")),
        ]);
    }

    #[test]
    fn people() {
        let user = |text: &str, uid| Ok(User { text: text.to_string(), uid });
        table::<User>(&[
            ("nobody", user("nobody", 65534)),
            ("0", user("0", 0)),
            ("nosuch", Err("Invalid user name nosuch")),
            ("99", Err("Invalid user id 99")),
            ("-1", Err("Invalid user id -1")),
            ("99999999999", Err("Invalid user id 99999999999")),
        ]);
        table::<Owner>(&[
            ("nobody", Ok(Owner { uid: 65534, gid: None })),
            ("root:daemon", Ok(Owner { uid: 0, gid: Some(1) })),
            ("0:1", Ok(Owner { uid: 0, gid: Some(1) })),
            ("root:", Err("Invalid user:group definition root:")),
            ("root:99", Err("Invalid user:group definition root:99")),
            ("nosuch", Err("Invalid user:group definition nosuch")),
        ]);
    }

    #[test]
    fn names_levels_and_urls() {
        table::<Name>(&[
            (" cat ", Ok(Name("cat".to_string()))),
            ("", Ok(Name(String::new()))),
            ("a b", Err("Invalid name: 'a b' because of character: ' '")),
            ("a:b/c", Err("Invalid name: 'a:b/c' because of character: ':'")),
            (" a/b", Err("Invalid name: ' a/b' because of character: '/'")),
        ]);
        table::<Level>(&[
            ("Critical", Ok(Level::Critical)),
            ("blather", Ok(Level::Blather)),
            ("warning", Err("bad logging level name 'warning'")),
            ("10", Err("bad logging level name '10'")),
        ]);
        let url = |text: &str| Ok(Url(text.to_string()));
        table::<Url>(&[
            ("unix:///tmp/s", url("unix:///tmp/s")),
            ("http://h:1", url("http://h:1")),
            ("http:x", url("http:x")),
            ("http://", Err("value 'http://' is not a URL")),
            ("http:", Err("value 'http:' is not a URL")),
            ("x", Err("value 'x' is not a URL")),
            ("1:x", Err("value '1:x' is not a URL")),
            ("", Err("value '' is not a URL")),
        ]);
    }
}
