//! Kinds of text that say how logs are kept.

use std::time::Duration;

use super::{Datatype, Expansion, Show, integer, lowercase};
use crate::config::env::Env;
use crate::wire::pyrepr;
use crate::wire::value::Value;

words! {
    /// `*_logfile_full`: what happens when the reader of a stream does not keep up (K-6).
    WhenFull, "drop or wait" {
        /// Lines are dropped, and counted.
        "drop" => Drop,
        /// The program waits until the reader goes on: nothing is lost.
        "wait" => Wait,
    }
}

words! {
    /// How lines of a log look, `logfile_format` (K-6).
    LogFormat, "text or json" {
        /// Lines stand there as the program wrote them.
        "text" => Text,
        /// An object a line.
        "json" => Json,
    }
}

/// Bytes kept in memory where no size is written: some hundred lines, as of a log that cannot be written. Twenty programs
/// with two streams each then take 2.5 MB at most, where the default size of a file would be 2 GB.
const RING_BYTES: usize = 64 * 1024;

/// Where a log is kept, `*_logfile_storage` (K-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In a file, as ever.
    File,
    /// The newest bytes, so many, in memory.
    Memory(usize),
}

impl Datatype for Storage {
    const KIND: &'static str = "file or memory";
    const NAMES_OPTION: bool = true;

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        match &*lowercase(text) {
            "file" => Ok(Storage::File),
            // How many bytes, another option says.
            "memory" => Ok(Storage::Memory(RING_BYTES)),
            _ => Err(format!("expected {}, not {}", Self::KIND, pyrepr::text(text))),
        }
    }
}

impl Show for Storage {
    fn shown(&self) -> Value {
        match self {
            Storage::File => "file".into(),
            Storage::Memory(_) => "memory".into(),
        }
    }
}

words! {
    /// What is done with backups of a log, `*_logfile_compress` (K-9).
    Compression, "none or gzip" {
        /// Backups stay as they are.
        "none" => None,
        /// Backups are compressed as gzip does it.
        "gzip" => Gzip,
    }
}

/// `*_logfile_rotate`: when a log is rotated beside its size (K-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotateEvery {
    /// At midnight, local time.
    Day,
    /// At the beginning of each hour.
    Hour,
    /// Whenever the seconds since the epoch are a multiple of it; at least 1.
    Seconds(i64),
}

/// Longest time between two rotations that can be asked for: ten years, beyond which nobody means it.
const ROTATE_SECONDS_MAX: i64 = 10 * 366 * 86_400;

impl Datatype for RotateEvery {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "daily, hourly or a number of seconds";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        match &*lowercase(text) {
            "daily" => Ok(RotateEvery::Day),
            "hourly" => Ok(RotateEvery::Hour),
            other => match integer(other) {
                Some(seconds) if (1..=ROTATE_SECONDS_MAX).contains(&seconds) => Ok(RotateEvery::Seconds(seconds)),
                _ => Err(format!("expected {}, not {}", Self::KIND, pyrepr::text(text))),
            },
        }
    }
}

impl Show for RotateEvery {
    fn shown(&self) -> Value {
        match self {
            RotateEvery::Day => "daily".into(),
            RotateEvery::Hour => "hourly".into(),
            RotateEvery::Seconds(seconds) => (*seconds).into(),
        }
    }
}

/// What lines begin with (K-6). In double quotes it is taken without them, so that it can end with a blank. What it
/// names is looked at by whoever knows its option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinePrefix(pub String);

impl Datatype for LinePrefix {
    const EXPANSION: Expansion = Expansion::No;
    const KIND: &'static str = "prefix";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Ok(LinePrefix(inner.unwrap_or(text).to_string()))
    }
}

impl Show for LinePrefix {
    fn shown(&self) -> Value {
        self.0.clone().into()
    }
}

/// `prefix_flush`: how long the beginning of a line waits for its end, 0.1 to 60 seconds (K-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushTime(pub Duration);

impl Datatype for FlushTime {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "seconds, 0.1 to 60";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let seconds = text.trim().parse::<f64>().ok().filter(|seconds| (0.1..=60.0).contains(seconds));
        let seconds = seconds.ok_or_else(|| format!("expected {}, not {}", Self::KIND, pyrepr::text(text)))?;
        Ok(FlushTime(Duration::from_secs_f64(seconds)))
    }
}

impl Show for FlushTime {
    fn shown(&self) -> Value {
        Value::Double(self.0.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    #[test]
    fn words_and_numbers() {
        let env = Fake::new();
        assert_eq!(WhenFull::parse("Wait", &env), Ok(WhenFull::Wait));
        assert_eq!(WhenFull::parse("no", &env), Err("expected drop or wait, not 'no'".to_string()));
        assert_eq!(LogFormat::parse("json", &env), Ok(LogFormat::Json));
        assert_eq!(Storage::parse("Memory", &env), Ok(Storage::Memory(65_536)));
        assert_eq!(Compression::parse("gzip", &env), Ok(Compression::Gzip));
        let rows = [
            ("daily", Some(RotateEvery::Day)),
            ("HOURLY", Some(RotateEvery::Hour)),
            ("60", Some(RotateEvery::Seconds(60))),
            ("0", None),
            ("-1", None),
            ("99999999999", None),
            ("weekly", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(RotateEvery::parse(text, &env).ok(), expected, "{text}");
        }
        for (text, expected) in [("0.1", Some(100)), ("60", Some(60_000)), ("0.05", None), ("61", None), ("x", None)] {
            let found = FlushTime::parse(text, &env).ok().map(|time| time.0.as_millis());
            assert_eq!(found, expected, "{text}");
        }
    }
}
