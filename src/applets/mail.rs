//! Mail through a sendmail command, and the times in it.

use crate::clock::Wall;
use crate::sys::time;

use super::world::World;

/// Hands a message to the sendmail command; returns it as it was handed over.
pub fn send(world: &mut dyn World, sendmail: &str, to: &str, subject: &str, text: &str) -> String {
    let letter = format!("To: {to}\nSubject: {subject}\n\n{text}");
    world.shell(sendmail, &letter);
    letter
}

/// `memmon: what` or `memmon [name]: what`.
pub fn subject(applet: &str, name: Option<&str>, what: &str) -> String {
    match name {
        None => format!("{applet}: {what}"),
        Some(name) => format!("{applet} [{name}]: {what}"),
    }
}

/// `2026-11-21 09:05:07,042`, local time.
pub fn timestamp(now: Wall) -> String {
    let at = time::local(now.secs());
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03}",
        at.year,
        at.month,
        at.day,
        at.hour,
        at.minute,
        at.second,
        now.millis()
    )
}

/// `Sat Nov 21 09:05:07 2026 UTC`, local time; a zone other than UTC is told by its offset, `UTC+01:00`.
pub fn moment(now: Wall) -> String {
    let at = time::local(now.secs());
    let zone = match at.offset_secs {
        0 => "UTC".to_string(),
        offset => format!("UTC{}", offset_text(offset)),
    };
    let (day, month) = (at.day_name(), at.month_name());
    format!("{day} {month} {:2} {:02}:{:02}:{:02} {} {zone}", at.day, at.hour, at.minute, at.second, at.year)
}

/// `+01:00`; seconds east of UTC.
fn offset_text(offset: i64) -> String {
    let minutes = offset.abs() / 60;
    format!("{}{:02}:{:02}", if offset < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
}

/// `Sat, 21 Nov 2026 09:05:07 -0000`, as a Date header has it.
pub fn header_date(now: Wall) -> String {
    let at = time::utc(now.secs());
    let (day, month) = (at.day_name(), at.month_name());
    format!("{day}, {:02} {month} {:04} {:02}:{:02}:{:02} -0000", at.day, at.year, at.hour, at.minute, at.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now = Wall(1_795_252_507_042_000_000);
        assert_eq!(header_date(now), "Sat, 21 Nov 2026 09:15:07 -0000");
        // The local zone is whatever it is; the shape is not.
        assert_eq!(timestamp(now).len(), "2026-11-21 09:15:07,042".len());
        assert!(timestamp(now).ends_with(",042"));
        assert!(moment(now).contains(" UTC"), "{}", moment(now));
        for (offset, text) in [(3600, "+01:00"), (-12600, "-03:30"), (0, "+00:00")] {
            assert_eq!(offset_text(offset), text);
        }
    }

    #[test]
    fn subjects() {
        assert_eq!(subject("memmon", None, "x"), "memmon: x");
        assert_eq!(subject("memmon", Some("n"), "x"), "memmon [n]: x");
    }
}
