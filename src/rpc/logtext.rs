//! The text of a part of a log, read piece by piece: an answer of many megabytes is never held as a whole.

use crate::daemon::host::{Errno, Span};
use crate::daemon::logplace::{LogIdentity, LogPlace};
use crate::daemon::{Daemon, Host};

/// Bytes read at a time.
pub const PIECE_BYTES: u64 = 64 * 1024;

/// A part of a log that is still to be read.
#[derive(Clone, Debug)]
pub struct LogText {
    place: LogPlace,
    /// What the log was: after a rotation the name means another one.
    identity: Option<LogIdentity>,
    offset: u64,
    left: u64,
}

impl LogText {
    /// That part of a log.
    pub fn new(place: LogPlace, span: Span, daemon: &Daemon, host: &mut dyn Host) -> LogText {
        let identity = daemon.log_identity(&place, host);
        LogText { place, identity, offset: span.offset, left: span.length }
    }

    /// Bytes of the log that are still to be read.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next piece, what is not UTF-8 replaced; `None` at the end. An error if the log is not what it was:
    /// what is missing cannot be had any more.
    pub fn next(&mut self, daemon: &Daemon, host: &mut dyn Host) -> Result<Option<String>, Errno> {
        if self.left == 0 {
            return Ok(None);
        }
        if daemon.log_identity(&self.place, host) != self.identity {
            return Err(Errno(libc::ESTALE));
        }
        let length = self.left.min(PIECE_BYTES);
        let mut bytes = daemon.log_read(&self.place, Span { offset: self.offset, length }, host)?;
        if (bytes.len() as u64) < length {
            return Err(Errno(libc::ESTALE));
        }
        if length < self.left {
            bytes.truncate(whole_characters(&bytes));
        }
        self.offset += bytes.len() as u64;
        self.left -= bytes.len() as u64;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// How many bytes there are without a character that has begun at the end.
pub(super) fn whole_characters(bytes: &[u8]) -> usize {
    // A character has at most four bytes, of which the first says how many.
    let tail = bytes.len().saturating_sub(3);
    match bytes[tail..].iter().rposition(|byte| byte & 0xc0 != 0x80) {
        Some(at) => match std::str::from_utf8(&bytes[tail + at..]) {
            Err(error) if error.error_len().is_none() => tail + at,
            _ => bytes.len(),
        },
        None => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_not_divided() {
        let rows: &[(&[u8], usize)] = &[
            (b"", 0),
            (b"abc", 3),
            ("ab\u{e9}".as_bytes(), 4),
            (b"ab\xc3", 2),
            (b"ab\xe2\x82", 2),
            (b"a\xf0\x9f\x98", 1),
            ("\u{1f600}".as_bytes(), 4),
            (b"ab\xff", 3),
            (b"a\x80\x80\x80\x80", 5),
        ];
        for (bytes, expected) in rows {
            assert_eq!(whole_characters(bytes), *expected, "{bytes:x?}");
        }
    }
}
