//! Kinds of text that say where messages for syslog go, and what they begin with (K-9).

use std::net::SocketAddr;

use super::{Datatype, Show, lowercase};
use crate::config::env::Env;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// Names of the facilities by their numbers; those in between have none.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "",
    "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// Names of the priorities by their numbers.
const PRIORITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Other names that people write.
const SYNONYMS: [(&str, &str); 6] = [
    ("kernel", "kern"),
    ("emergency", "emerg"),
    ("panic", "emerg"),
    ("critical", "crit"),
    ("error", "err"),
    ("warn", "warning"),
];

/// The number of a name, which may be written as C has it, `LOG_DAEMON`.
fn number(text: &str, names: &[&str]) -> Option<u8> {
    let name = text.trim().to_lowercase();
    let name = name.strip_prefix("log_").unwrap_or(&name);
    let name = SYNONYMS.iter().find(|(other, _)| *other == name).map_or(name, |(_, name)| name);
    let at = names.iter().position(|known| !known.is_empty() && *known == name)?;
    u8::try_from(at).ok()
}

/// `syslog_facility`: what kind of program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(pub u8);

impl Datatype for Facility {
    const KIND: &'static str = "syslog facility, such as user, daemon or local0";
    const NAMES_OPTION: bool = true;

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let number = number(text, &FACILITIES);
        number.map(Facility).ok_or_else(|| format!("expected a {}, not {}", Self::KIND, pyrepr::text(text)))
    }
}

impl Show for Facility {
    fn shown(&self) -> Value {
        FACILITIES[usize::from(self.0) % FACILITIES.len()].into()
    }
}

/// `syslog_stdout_priority`: how important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority(pub u8);

impl Datatype for Priority {
    const KIND: &'static str = "syslog priority: emerg, alert, crit, err, warning, notice, info or debug";
    const NAMES_OPTION: bool = true;

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let number = number(text, &PRIORITIES);
        number.map(Priority).ok_or_else(|| format!("expected a {}, not {}", Self::KIND, pyrepr::text(text)))
    }
}

impl Show for Priority {
    fn shown(&self) -> Value {
        PRIORITIES[usize::from(self.0) % PRIORITIES.len()].into()
    }
}

/// Longest tag; RFC 3164 has 32 characters, and most receivers take more.
const TAG_MAX: usize = 128;

/// Under which name lines reach syslog, `syslog_tag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogTag(pub String);

impl Datatype for SyslogTag {
    const KIND: &'static str = "syslog tag, without blanks";
    const NAMES_OPTION: bool = true;

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let is_fit = (1..=TAG_MAX).contains(&text.len()) && text.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        match is_fit {
            true => Ok(SyslogTag(text.to_string())),
            false => Err(format!("expected a {}, not {}", Self::KIND, pyrepr::text(text))),
        }
    }
}

impl Show for SyslogTag {
    fn shown(&self) -> Value {
        self.0.clone().into()
    }
}

/// Longest path of a socket: what the system's address has room for.
const PATH_MAX: usize = 107;

/// Where syslog listens, `syslog_address`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SyslogAddress {
    /// A datagram socket at this path.
    Unix(String),
    /// A machine that takes datagrams.
    Udp(SocketAddr),
}

impl Datatype for SyslogAddress {
    const KIND: &'static str = "unix:PATH or udp:ADDRESS:PORT";
    const NAMES_OPTION: bool = true;

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let wrong = || format!("expected {}, not {}", Self::KIND, pyrepr::text(text));
        let (kind, rest) = text.trim().split_once(':').ok_or_else(wrong)?;
        match &*lowercase(kind) {
            "unix" if !rest.starts_with('/') => Err(format!("{} is not an absolute path", pyrepr::text(rest))),
            "unix" if rest.len() > PATH_MAX => Err(format!("{} is too long for a socket", pyrepr::text(rest))),
            "unix" => Ok(SyslogAddress::Unix(rest.to_string())),
            "udp" => match rest.parse::<SocketAddr>() {
                Ok(address) if address.port() > 0 => Ok(SyslogAddress::Udp(address)),
                _ => Err(format!(
                    "{} is not ADDRESS:PORT in numbers: looking up a name could hold everything up",
                    pyrepr::text(rest)
                )),
            },
            _ => Err(wrong()),
        }
    }
}

impl Show for SyslogAddress {
    fn shown(&self) -> Value {
        match self {
            SyslogAddress::Unix(path) => format!("unix:{path}").into(),
            SyslogAddress::Udp(address) => format!("udp:{address}").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    #[test]
    fn names_have_numbers() {
        let env = Fake::new();
        let facilities =
            [("user", 1), ("DAEMON", 3), ("LOG_LOCAL7", 23), ("local0", 16), ("Kernel", 0), ("authpriv", 10)];
        for (text, number) in facilities {
            assert_eq!(Facility::parse(text, &env), Ok(Facility(number)), "{text}");
        }
        let priorities = [("emerg", 0), ("ERROR", 3), ("warn", 4), ("LOG_NOTICE", 5), ("info", 6), ("debug", 7)];
        for (text, number) in priorities {
            assert_eq!(Priority::parse(text, &env), Ok(Priority(number)), "{text}");
        }
        for text in ["", "local8", "13", "log_"] {
            assert!(Facility::parse(text, &env).is_err() && Priority::parse(text, &env).is_err(), "{text}");
        }
    }

    #[test]
    fn tags_and_addresses() {
        let env = Fake::new();
        assert_eq!(SyslogTag::parse("web-1[x]", &env).map(|tag| tag.0).as_deref(), Ok("web-1[x]"));
        for text in ["", "a b", "a\n", &"x".repeat(129)] {
            assert!(SyslogTag::parse(text, &env).is_err(), "{text:?}");
        }
        for text in ["unix:/dev/log", "udp:127.0.0.1:514", "udp:[::1]:5140"] {
            let address = SyslogAddress::parse(text, &env).unwrap();
            assert_eq!(address.shown(), text.to_string().into());
        }
        let long = format!("unix:/{}", "x".repeat(107));
        let wrong = [
            "",
            "/dev/log",
            "unix:dev/log",
            "udp:localhost:514",
            "udp:1.2.3.4",
            "udp:1.2.3.4:0",
            "tcp:1.2.3.4:5",
            &long,
        ];
        for text in wrong {
            assert!(SyslogAddress::parse(text, &env).is_err(), "{text}");
        }
    }
}
