//! Messages of the sd_notify protocol: `READY=1`, `STATUS=…`, one assignment a line (O-3).
//!
//! What is not known, or not well formed, is passed over: programs send more than anybody reads.

/// Bytes of a message; what is longer is cut off by the socket. systemd takes as many.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// Bytes of a status that are kept.
pub const STATUS_BYTES_MAX: usize = 200;

/// What a program says about its watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    Alive,
    /// It wants to be treated as if it had been silent.
    Trigger,
}

/// What one message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// It is ready, or has finished reloading.
    pub ready: bool,
    /// It has begun to reload.
    pub reloading: bool,
    /// When it has begun to, on the monotonic clock, in microseconds.
    pub monotonic_usec: Option<u64>,
    /// It has begun to stop.
    pub stopping: bool,
    /// How it is, for people; printable, at most [`STATUS_BYTES_MAX`] bytes.
    pub status: Option<String>,
    pub watchdog: Option<Pulse>,
    /// A new period of the watchdog in microseconds; 0 is none.
    pub watchdog_usec: Option<u64>,
    /// So much more time, in microseconds.
    pub extend_usec: Option<u64>,
    /// The number of an error.
    pub errno: Option<i32>,
    /// Which process it is by now.
    pub main_pid: Option<i32>,
}

impl Notification {
    pub fn parse(datagram: &[u8]) -> Notification {
        let mut message = Notification::default();
        let datagram = datagram.get(..MESSAGE_BYTES_MAX).unwrap_or(datagram);
        for line in datagram.split(|byte| *byte == b'\n') {
            let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
            let (key, value) = (&line[..at], &line[at + 1..]);
            message.take(key, value);
        }
        message
    }

    fn take(&mut self, key: &[u8], value: &[u8]) {
        let is_one = value == b"1";
        match key {
            b"READY" => self.ready |= is_one,
            b"RELOADING" => self.reloading |= is_one,
            b"MONOTONIC_USEC" => self.monotonic_usec = number(value).or(self.monotonic_usec),
            b"STOPPING" => self.stopping |= is_one,
            b"STATUS" => self.status = Some(cleaned(value)),
            b"WATCHDOG" if is_one => self.watchdog = Some(Pulse::Alive),
            b"WATCHDOG" if value == b"trigger" => self.watchdog = Some(Pulse::Trigger),
            b"WATCHDOG_USEC" => self.watchdog_usec = number(value).or(self.watchdog_usec),
            b"EXTEND_TIMEOUT_USEC" => self.extend_usec = number(value).or(self.extend_usec),
            b"ERRNO" => self.errno = number(value).and_then(|n| i32::try_from(n).ok()).or(self.errno),
            b"MAINPID" => self.main_pid = number(value).and_then(|n| i32::try_from(n).ok()).or(self.main_pid),
            _ => {}
        }
    }
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The text without what a terminal would take for orders, at most [`STATUS_BYTES_MAX`] bytes.
pub fn cleaned(value: &[u8]) -> String {
    let mut text = String::new();
    for c in String::from_utf8_lossy(value).chars() {
        let c = if c.is_control() { ' ' } else { c };
        if text.len() + c.len_utf8() > STATUS_BYTES_MAX {
            break;
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_messages_say() {
        let nothing = Notification::default;
        let rows: Vec<(&[u8], Notification)> = vec![
            (b"", nothing()),
            (b"READY=1", Notification { ready: true, ..nothing() }),
            (b"READY=1\n", Notification { ready: true, ..nothing() }),
            (b"READY=0", nothing()),
            (b"READY", nothing()),
            (b"=1\nX_OWN=1\nBARRIER=1\nFDSTORE=1", nothing()),
            (b"STATUS=a\x1b[1mb\tc", Notification { status: Some("a [1mb c".into()), ..nothing() }),
            (b"STATUS=a=b\nSTATUS=last", Notification { status: Some("last".into()), ..nothing() }),
            (b"RELOADING=1\nMONOTONIC_USEC=5", Notification { reloading: true, monotonic_usec: Some(5), ..nothing() }),
            (b"STOPPING=1\nERRNO=2", Notification { stopping: true, errno: Some(2), ..nothing() }),
            (b"WATCHDOG=1", Notification { watchdog: Some(Pulse::Alive), ..nothing() }),
            (b"WATCHDOG=trigger", Notification { watchdog: Some(Pulse::Trigger), ..nothing() }),
            (b"WATCHDOG_USEC=20000000", Notification { watchdog_usec: Some(20_000_000), ..nothing() }),
            (b"EXTEND_TIMEOUT_USEC=7\nEXTEND_TIMEOUT_USEC=x", Notification { extend_usec: Some(7), ..nothing() }),
            (b"MAINPID=99999999999", nothing()),
            (b"MAINPID=-4\nERRNO=\xff", nothing()),
        ];
        for (datagram, expected) in rows {
            assert_eq!(Notification::parse(datagram), expected, "{}", String::from_utf8_lossy(datagram));
        }
    }

    #[test]
    fn any_beginning_of_a_message_is_read_and_bounded() {
        let whole = b"STATUS=\xc3\xa9t\xc3\xa9\nREADY=1\nWATCHDOG_USEC=12\nEXTEND_TIMEOUT_USEC=34\nMAINPID=56\n";
        let full = Notification::parse(whole);
        assert!(full.ready && full.main_pid == Some(56));
        for end in 0..=whole.len() {
            let message = Notification::parse(&whole[..end]);
            assert!(!message.ready || end >= 20, "{end}");
            assert!(message.main_pid.is_none_or(|pid| pid == 5 || pid == 56), "{end}");
        }
        let long = [b"STATUS=".as_slice(), &"é".repeat(3000).into_bytes()].concat();
        assert_eq!(Notification::parse(&long).status.unwrap().len(), STATUS_BYTES_MAX);
        let late = [b"STATUS=".as_slice(), &[b'x'; MESSAGE_BYTES_MAX], b"\nREADY=1"].concat();
        assert!(!Notification::parse(&late).ready, "what is behind the bound is not read");
    }
}
