//! The clocks, and moments as people read them. Names of days and months are English, whatever the locale.

use crate::clock::{Mono, Now, Wall};

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Half a year in seconds: if one moment is in summer time, another this far away is not.
const HALF_YEAR_SECS: i64 = 182 * 86_400;

/// Both clocks, now. For the reactor, once per wake-up, and for start-up before there is one.
pub fn now() -> Now {
    Now { mono: Mono(read_clock(libc::CLOCK_MONOTONIC)), wall: Wall(read_clock(libc::CLOCK_REALTIME)) }
}

/// Nanoseconds on a clock; 0 before the epoch.
fn read_clock(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec to write to. Both clocks always exist.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    u64::try_from(time.tv_sec).map_or(0, |secs| secs * 1_000_000_000 + time.tv_nsec as u64)
}

/// A moment broken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Year with its century, 2026.
    pub year: i32,
    /// Month of the year, from 1 to 12.
    pub month: u32,
    /// Day of the month, from 1 to 31.
    pub day: u32,
    /// Hour of the day, from 0 to 23.
    pub hour: u32,
    /// Minute of the hour, from 0 to 59.
    pub minute: u32,
    /// Second of the minute, from 0 to 60: a leap second is possible.
    pub second: u32,
    /// Day of the week, of which 0 is Sunday.
    pub weekday: u32,
    /// Seconds east of UTC.
    pub offset_secs: i64,
    /// Whether summer time is in effect.
    pub is_summer: bool,
}

impl Calendar {
    /// The month's name, `Nov`.
    pub fn month_name(&self) -> &'static str {
        MONTHS[self.month as usize - 1]
    }

    /// The day's name, `Sat`.
    pub fn day_name(&self) -> &'static str {
        DAYS[self.weekday as usize]
    }
}

/// Broken down in the local zone; seconds since the epoch.
pub fn local(secs: i64) -> Calendar {
    // SAFETY: all zero is a valid tm.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both point to live values of the right type. A moment too far away leaves `tm` as it is.
    unsafe { libc::localtime_r(&(secs as _), &raw mut tm) };
    calendar(&tm)
}

/// Broken down in UTC; seconds since the epoch.
pub fn utc(secs: i64) -> Calendar {
    // SAFETY: all zero is a valid tm.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::gmtime_r(&(secs as _), &raw mut tm) };
    calendar(&tm)
}

// The type of the offset has 32 bits on some machines.
#[allow(clippy::unnecessary_cast)]
fn calendar(tm: &libc::tm) -> Calendar {
    // The library keeps its ranges; a value out of them would only be a broken one shown.
    Calendar {
        year: tm.tm_year + 1900,
        month: tm.tm_mon.rem_euclid(12) as u32 + 1,
        day: tm.tm_mday as u32,
        hour: tm.tm_hour as u32,
        minute: tm.tm_min as u32,
        second: tm.tm_sec as u32,
        weekday: tm.tm_wday.rem_euclid(7) as u32,
        offset_secs: tm.tm_gmtoff as i64,
        is_summer: tm.tm_isdst > 0,
    }
}

/// `Nov 21 02:55 AM`, in local time (P-90).
pub fn stop_time(secs: i64) -> String {
    let at = local(secs);
    let half = if at.hour < 12 { "AM" } else { "PM" };
    let hour = if at.hour.is_multiple_of(12) { 12 } else { at.hour % 12 };
    format!("{} {:02} {hour:02}:{:02} {half}", at.month_name(), at.day, at.minute)
}

/// `Sat Nov 21 02:58:33 2026`, in local time.
pub fn ctime(secs: i64) -> String {
    let at = local(secs);
    let (day, month) = (at.day_name(), at.month_name());
    format!("{day} {month} {:2} {:02}:{:02}:{:02} {}", at.day, at.hour, at.minute, at.second, at.year)
}

/// `21/Nov/2026:02:58:23 +0100`: UTC, and yet the standard offset of the local zone (L-13).
pub fn request_time(secs: i64) -> String {
    let at = utc(secs);
    let (month, zone) = (at.month_name(), zone_offset(secs));
    format!("{:02}/{month}/{}:{:02}:{:02}:{:02} {zone}", at.day, at.year, at.hour, at.minute, at.second)
}

/// `+0100`: the local zone's offset outside summer time, around that moment (L-13).
fn zone_offset(secs: i64) -> String {
    let around = [secs, secs - HALF_YEAR_SECS, secs + HALF_YEAR_SECS].map(local);
    let standard = around.iter().find(|at| !at.is_summer).unwrap_or(&around[0]);
    offset_text(standard.offset_secs)
}

fn offset_text(secs: i64) -> String {
    let minutes = secs.abs() / 60;
    format!("{}{:02}{:02}", if secs < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_in_utc() {
        let rows = [
            (0, "Thu 1 Jan 1970 0:0:0"),
            (1_795_229_913, "Sat 21 Nov 2026 2:58:33"),
            (951_782_400, "Tue 29 Feb 2000 0:0:0"),
        ];
        for (secs, expected) in rows {
            let at = utc(secs);
            let (day, month) = (at.day_name(), at.month_name());
            let text = format!("{day} {} {month} {} {}:{}:{}", at.day, at.year, at.hour, at.minute, at.second);
            assert_eq!(text, expected, "{secs}");
        }
    }

    #[test]
    fn moments_in_local_time() {
        // The zone of the machine is not ours to set: shift so that local time is the one in the row.
        let rows = [
            (1_795_229_913, "Nov 21 02:58 AM", "Sat Nov 21 02:58:33 2026"),
            (1_795_219_200, "Nov 21 12:00 AM", "Sat Nov 21 00:00:00 2026"),
            (1_795_262_400, "Nov 21 12:00 PM", "Sat Nov 21 12:00:00 2026"),
            (1_793_541_599, "Nov 01 01:59 PM", "Sun Nov  1 13:59:59 2026"),
        ];
        for (utc_secs, stop, long) in rows {
            let secs = utc_secs - local(utc_secs).offset_secs;
            assert_eq!(stop_time(secs), stop);
            assert_eq!(ctime(secs), long);
        }
    }

    #[test]
    fn offsets() {
        for (secs, expected) in [(0, "+0000"), (3600, "+0100"), (-16200, "-0430"), (20700, "+0545")] {
            assert_eq!(offset_text(secs), expected);
        }
        assert!(request_time(1_795_229_913).starts_with("21/Nov/2026:02:58:33 "));
    }

    #[test]
    fn clocks_run() {
        let first = now();
        let second = now();
        assert!(second.mono >= first.mono);
        assert!(first.wall.secs() > 1_700_000_000);
    }
}
