//! Levels of the activity log (L-2), and the macros that write to it through the `log` facade.
//!
//! `log` knows five levels, the activity log seven. A record for the activity log carries its four-letter tag as
//! the facade's target; whatever has another target is developer tracing (`RUST_LOG`).

/// A level, with the number that decides whether a record is written (L-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Level {
    Blather = 3,
    Trace = 5,
    Debug = 10,
    Info = 20,
    Warn = 30,
    Error = 40,
    Critical = 50,
}

impl Level {
    /// All levels, most severe first.
    pub const ALL: [Level; 7] =
        [Level::Critical, Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace, Level::Blather];

    /// The tag in a line, `CRIT` to `BLAT`.
    pub fn tag(self) -> &'static str {
        match self {
            Level::Critical => "CRIT",
            Level::Error => "ERRO",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Debug => "DEBG",
            Level::Trace => "TRAC",
            Level::Blather => "BLAT",
        }
    }

    /// The name in the configuration, `critical` to `blather` (C-88).
    pub fn config_name(self) -> &'static str {
        match self {
            Level::Critical => "critical",
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
            Level::Blather => "blather",
        }
    }

    /// The level whose tag this is; the case matters.
    pub fn from_tag(tag: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.tag() == tag)
    }

    /// The level of the `log` facade that carries it.
    pub fn facade(self) -> log::Level {
        match self {
            Level::Critical | Level::Error => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
            Level::Trace | Level::Blather => log::Level::Trace,
        }
    }
}

/// Writes one record to the activity log: `activity!(Warn, "received {name}")`. Nothing is formatted when the
/// facade's maximum level is below.
#[macro_export]
macro_rules! activity {
    ($level:ident, $($arg:tt)+) => {
        log::log!(target: $crate::level::Level::$level.tag(), $crate::level::Level::$level.facade(), $($arg)+)
    };
}
