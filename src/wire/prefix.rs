//! What a prefix of log lines may name (K-6), and moments as logs show them.

use super::expand::{self, ExpandError, Names, Var};
use crate::clock::Wall;

/// The names, and what they stand for at the moment.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Prefix<'a> {
    pub program: &'a str,
    pub group: &'a str,
    pub process: &'a str,
    pub number: i64,
    pub stream: &'a str,
    pub pid: i64,
    /// `2026-11-30 01:20:18,810`, local time.
    pub asctime: &'a str,
    /// The moment in UTC, as `2026-11-30T01:20:18.810Z`.
    pub iso: &'a str,
}

const NAMES: [&str; 8] =
    ["program_name", "group_name", "process_name", "process_num", "stream", "pid", "asctime", "iso"];

impl Names for Prefix<'_> {
    fn get(&self, name: &str) -> Option<Var<'_>> {
        Some(match name {
            "program_name" => Var::Text(self.program),
            "group_name" => Var::Text(self.group),
            "process_name" => Var::Text(self.process),
            "process_num" => Var::Int(self.number),
            "stream" => Var::Text(self.stream),
            "pid" => Var::Int(self.pid),
            "asctime" => Var::Text(self.asctime),
            "iso" => Var::Text(self.iso),
            _ => return None,
        })
    }

    fn all(&self) -> Vec<String> {
        NAMES.map(String::from).to_vec()
    }
}

impl Prefix<'_> {
    /// The prefix that a template stands for.
    pub fn expand(&self, template: &str) -> Result<String, ExpandError> {
        expand::expand(template, self)
    }
}

/// What is wrong with a template; `place` is what messages call it.
pub fn check(template: &str, place: &str) -> Result<(), String> {
    let names = Prefix::default();
    names.expand(template).map(|_| ()).map_err(|error| error.message(template, place, &names))
}

/// A moment in UTC, as `2026-11-30T01:20:18.810Z`.
pub fn iso(at: Wall) -> String {
    let (year, month, day, [hour, minute, second]) = civil(at.secs());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", at.millis())
}

/// `2026-11-30 01:20:18,810`, so many seconds east of UTC.
pub fn asctime(at: Wall, offset_secs: i64) -> String {
    let (year, month, day, [hour, minute, second]) = civil(at.secs() + offset_secs);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{:03}", at.millis())
}

/// Year, month, day, and hour, minute, second of seconds since the epoch, by the calendar's 400 years.
fn civil(secs: i64) -> (i64, i64, i64, [i64; 3]) {
    let (days, rest) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    // Counted from the first of March of year 0, so that a leap day is the last of its year.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day, [rest / 3600, rest / 60 % 60, rest % 60])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let rows = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_796_001_618_810, "2026-11-30T01:20:18.810Z"),
            (4_102_444_800_000, "2100-01-01T00:00:00.000Z"),
        ];
        for (ms, expected) in rows {
            assert_eq!(iso(Wall(ms * 1_000_000)), expected, "{ms}");
        }
        assert_eq!(asctime(Wall(1_796_001_618_810_000_000), 3600), "2026-11-30 02:20:18,810");
    }

    #[test]
    fn names() {
        let prefix =
            Prefix { program: "p", group: "g", process: "p_1", number: 1, stream: "stdout", ..Prefix::default() };
        let text =
            prefix.expand("%(program_name)s/%(group_name)s:%(process_name)-4s%(process_num)02d %(stream)s| 100%%");
        assert_eq!(text.as_deref(), Ok("p/g:p_1 01 stdout| 100%"));
        assert_eq!(check("%(pid)d %(asctime)s %(iso)s", "x"), Ok(()));
        let error = check("%(here)s", "program:x.stdout_prefix").unwrap_err();
        assert!(error.contains("'program:x.stdout_prefix' contains names ('here')"), "{error}");
    }
}
