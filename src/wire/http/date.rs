//! Dates of HTTP, from and to seconds since the epoch; years 1 to 9999.
//!
//! The crate httpdate has no dates before 1970, which files can have, and refuses what proxies add (`; length=…`) and names
//! and numbers that are not as wide as the standard wants them.

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_SECS: i64 = 86_400;

/// The date as headers carry it: `Sat, 21 Nov 2026 08:58:44 GMT`.
pub fn format_date(secs: i64) -> String {
    let days = secs.div_euclid(DAY_SECS);
    let time = secs.rem_euclid(DAY_SECS);
    let (year, month, day) = civil_from_days(days);
    // Day 0 of the epoch was a Thursday.
    let weekday = DAYS[(days + 3).rem_euclid(7) as usize];
    let month = MONTHS[month as usize - 1];
    format!("{weekday}, {day:02} {month} {year:04} {:02}:{:02}:{:02} GMT", time / 3600, time / 60 % 60, time % 60)
}

/// Seconds since the epoch of any of the three forms that clients may send: of RFC 1123, of RFC 850
/// (`Saturday, 21-Nov-26 08:58:44 GMT`), and of C's asctime (`Sat Nov 21 08:58:44 2026`).
pub fn parse_date(text: &str) -> Option<i64> {
    let mut words = text.split([' ', '-', ',']).filter(|word| !word.is_empty());
    words.next()?;
    let (first, second, third, fourth) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let (day, month, year, time) = if first.as_bytes()[0].is_ascii_digit() {
        // A proxy of old times may add `; length=…`; what follows the time does not matter.
        (first, second, third, fourth)
    } else {
        (second, first, fourth, third)
    };
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? as i64 + 1;
    let day = number(day, 1, 31)?;
    let year = match (year.len(), number(year, 0, 9999)?) {
        (2, short) if short < 70 => 2000 + short,
        (2, short) => 1900 + short,
        (4, year) if year > 0 => year,
        _ => return None,
    };
    let mut parts = time.splitn(3, ':');
    let hour = number(parts.next()?, 0, 23)?;
    let minute = number(parts.next()?, 0, 59)?;
    let second = number(parts.next()?, 0, 60)?;
    Some(days_from_civil(year, month, day) * DAY_SECS + hour * 3600 + minute * 60 + second)
}

fn number(text: &str, min: i64, max: i64) -> Option<i64> {
    let digits = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && (min..=max).contains(number))
}

/// Days since the epoch of a date of the Gregorian calendar. Years are counted from March, so that the leap day is
/// the last of its year, in eras of 400 years, which all have the same number of days.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The reverse: year, month and day of a day since the epoch.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The text of the current date, made once a second at most.
#[derive(Clone, Debug, Default)]
pub struct DateCache {
    secs: i64,
    text: String,
}

impl DateCache {
    /// The text for `secs` since the epoch.
    pub fn at(&mut self, secs: i64) -> &str {
        if self.secs != secs || self.text.is_empty() {
            self.secs = secs;
            self.text = format_date(secs);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_there_and_back() {
        let rows = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_251_524, "Sat, 21 Nov 2026 08:58:44 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ];
        for (secs, text) in rows {
            assert_eq!(format_date(secs), text);
            assert_eq!(parse_date(text), Some(secs), "{text}");
        }
        for day in (-25_000..100_000).step_by(17) {
            let secs = day * DAY_SECS + 12_345;
            assert_eq!(parse_date(&format_date(secs)), Some(secs), "day {day}");
        }
    }

    #[test]
    fn other_forms_and_nonsense() {
        let rows = [
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Sun, 6 nov 1994 8:49:37 GMT; length=10", Some(784_111_777)),
            ("", None),
            ("yesterday", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 06 Nov 99999 08:49:37 GMT", None),
            ("Sun, +6 Nov 1994 08:49:37 GMT", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_date(text), expected, "{text}");
        }
    }

    #[test]
    fn the_cache_follows_the_clock_in_both_directions() {
        let mut cache = DateCache::default();
        for secs in [0, 0, 5, 4, 0] {
            assert_eq!(cache.at(secs), format_date(secs));
        }
    }
}
