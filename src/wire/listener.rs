//! What event listeners write on their standard output: READY and RESULT (E-40 to E-46).
//!
//! States: ACKNOWLEDGED, its first word or the next READY is awaited; READY, it may be sent an event and must be
//! silent; BUSY, it was sent one and owes a result; UNKNOWN, it broke the protocol and nothing it writes is read any
//! more until it is spawned anew. Whoever writes an event says so with [`Protocol::sent`]; all else follows from what
//! the listener writes.

use std::borrow::Cow;

const READY: &[u8] = b"READY\n";

/// Bytes at the start of a result line that are skipped without a look, `RESULT ` (E-44).
const RESULT_WORD_BYTES: usize = 7;

/// Longest result line, newline excluded. A number of any sensible size fits many times over; without a limit a
/// listener that never ends its line would fill the memory.
pub const LINE_BYTES_MAX: usize = 1024;

/// Longest result. Results are a word, or an event's data handed back; the largest events are a chunk of output
/// or a remote communication of one request body.
const RESULT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// State of a listener (E-40).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ListenerState {
    Acknowledged,
    Ready,
    Busy,
    Unknown,
}

impl ListenerState {
    /// The name in log lines, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            ListenerState::Acknowledged => "ACKNOWLEDGED",
            ListenerState::Ready => "READY",
            ListenerState::Busy => "BUSY",
            ListenerState::Unknown => "UNKNOWN",
        }
    }
}

/// What a listener has said. The state has already changed when this is returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// It is ready for the next event: ACKNOWLEDGED becomes READY.
    Ready,
    /// The whole result, BUSY → ACKNOWLEDGED. Whether it is accepted is not decided here.
    Result(Cow<'a, [u8]>),
    /// BUSY → UNKNOWN: a result line that is too long, has no number, or one out of range.
    BadResultLine(Cow<'a, [u8]>),
    /// From ACKNOWLEDGED or READY to UNKNOWN.
    Violation,
}

/// The protocol's state for one run of one listener.
#[derive(Clone, Debug)]
pub struct Protocol {
    state: ListenerState,
    /// The part of a word, line or result that has come; at most [`RESULT_BYTES_MAX`].
    partial: Vec<u8>,
    /// BUSY, and the result line has come: the size of the result.
    result_bytes: Option<usize>,
}

impl Default for Protocol {
    fn default() -> Self {
        Protocol { state: ListenerState::Acknowledged, partial: Vec::new(), result_bytes: None }
    }
}

impl Protocol {
    /// Where the listener stands.
    pub fn state(&self) -> ListenerState {
        self.state
    }

    /// An event was written to it: READY → BUSY.
    pub fn sent(&mut self) {
        debug_assert_eq!(self.state, ListenerState::Ready);
        self.go(ListenerState::Busy);
    }

    /// It is not to be trusted any more, whatever it said: → UNKNOWN.
    pub fn distrust(&mut self) {
        self.go(ListenerState::Unknown);
        self.partial = Vec::new();
    }

    /// Reads from `input` up to and including the next thing said; `None` once the input is used up. Call until
    /// then: what follows in one read is processed at once (E-42).
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Said<'a>> {
        match self.state {
            ListenerState::Unknown => {
                *input = &[];
                None
            }
            ListenerState::Acknowledged => {
                let word = self.take(READY.len(), input)?;
                if *word == *READY {
                    self.go(ListenerState::Ready);
                    Some(Said::Ready)
                } else {
                    self.distrust();
                    Some(Said::Violation)
                }
            }
            ListenerState::Ready if input.is_empty() => None,
            ListenerState::Ready => {
                self.distrust();
                Some(Said::Violation)
            }
            ListenerState::Busy => self.result(input),
        }
    }

    /// The result line, then the result.
    fn result<'a>(&mut self, input: &mut &'a [u8]) -> Option<Said<'a>> {
        let size = match self.result_bytes {
            Some(size) => size,
            None => {
                let line = self.line(input)?;
                let size = line.get(RESULT_WORD_BYTES..).and_then(python_int).filter(|size| *size <= RESULT_BYTES_MAX);
                // A line cut off at the limit is none, whatever number it holds.
                let Some(size) = size.filter(|_| line.len() <= LINE_BYTES_MAX) else {
                    self.distrust();
                    return Some(Said::BadResultLine(cut(line)));
                };
                self.result_bytes = Some(size);
                size
            }
        };
        let result = self.take(size, input)?;
        self.go(ListenerState::Acknowledged);
        Some(Said::Result(result))
    }

    /// The one place where the state changes.
    fn go(&mut self, state: ListenerState) {
        self.state = state;
        self.result_bytes = None;
    }

    /// The next `size` bytes, not copied when they came in one piece.
    fn take<'a>(&mut self, size: usize, input: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if self.partial.is_empty() && input.len() >= size {
            let (taken, rest) = input.split_at(size);
            *input = rest;
            return Some(Cow::Borrowed(taken));
        }
        let (more, rest) = input.split_at((size - self.partial.len()).min(input.len()));
        self.partial.extend_from_slice(more);
        *input = rest;
        (self.partial.len() == size).then(|| Cow::Owned(std::mem::take(&mut self.partial)))
    }

    /// The next line without its newline, or what there is of it once it is longer than [`LINE_BYTES_MAX`].
    fn line<'a>(&mut self, input: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let room = LINE_BYTES_MAX + 1 - self.partial.len();
        match end {
            Some(end) if end < room => {
                let line = self.take(self.partial.len() + end, input);
                *input = &input[1..];
                line
            }
            _ if input.len() >= room => self.take(LINE_BYTES_MAX + 1, input),
            _ => {
                self.partial.extend_from_slice(input);
                *input = &[];
                None
            }
        }
    }
}

/// The part of a line that is shown.
fn cut(line: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match line {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..bytes.len().min(LINE_BYTES_MAX)]),
        Cow::Owned(mut bytes) => {
            bytes.truncate(LINE_BYTES_MAX);
            Cow::Owned(bytes)
        }
    }
}

/// A number as Python's `int` reads it (C-70), as far as it can be a size: blanks around it, a sign, `_` between
/// digits. `None` for anything else, negative numbers, and numbers beyond `usize`.
fn python_int(text: &[u8]) -> Option<usize> {
    let text = text.trim_ascii();
    // Python counts the vertical tab as blank, Rust does not.
    let start = text.iter().position(|b| *b != 0x0b && !b.is_ascii_whitespace())?;
    let end = text.iter().rposition(|b| *b != 0x0b && !b.is_ascii_whitespace())?;
    let text = &text[start..=end];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let mut value = 0usize;
    for group in digits.split(|byte| *byte == b'_') {
        if group.is_empty() || !group.iter().all(u8::is_ascii_digit) {
            return None;
        }
        for digit in group {
            value = value.checked_mul(10)?.checked_add(usize::from(digit - b'0'))?;
        }
    }
    (!negative || value == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the chunks; a READY listener is sent an event at once while `events` last.
    fn run(chunks: &[&[u8]], mut events: usize) -> (Vec<String>, ListenerState) {
        let mut protocol = Protocol::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            let mut input = *chunk;
            while let Some(said) = protocol.next(&mut input) {
                seen.push(match said {
                    Said::Ready => "ready".to_string(),
                    Said::Result(bytes) => format!("result {}", String::from_utf8_lossy(&bytes)),
                    Said::BadResultLine(line) => format!("bad {}", String::from_utf8_lossy(&line)),
                    Said::Violation => "violation".to_string(),
                });
                if protocol.state() == ListenerState::Ready && events > 0 {
                    events -= 1;
                    protocol.sent();
                }
            }
            assert!(input.is_empty(), "input is left over");
        }
        (seen, protocol.state())
    }

    #[test]
    fn reads_what_listeners_write() {
        use ListenerState::*;
        let long = format!("READY\nRESULT {}1\n", " ".repeat(LINE_BYTES_MAX));
        let long_shown = format!("bad RESULT {}", " ".repeat(LINE_BYTES_MAX - 7));
        let longest = format!("READY\nRESULT {}0\n", " ".repeat(LINE_BYTES_MAX - 8));
        // (input, events at hand, what is said, state after it)
        let rows: &[(&str, usize, &[&str], ListenerState)] = &[
            ("", 0, &[], Acknowledged),
            ("READY", 0, &[], Acknowledged),
            ("READY\n", 0, &["ready"], Ready),
            ("READY\r\n", 0, &["violation"], Unknown),
            ("ready\n", 0, &["violation"], Unknown),
            ("x", 0, &[], Acknowledged),
            ("xxxxxx", 0, &["violation"], Unknown),
            ("READY\n\n", 0, &["ready", "violation"], Unknown),
            ("READY\n", 1, &["ready"], Busy),
            ("READY\nRESULT 2\nOK", 1, &["ready", "result OK"], Acknowledged),
            ("READY\nRESULT 2\nOKREADY\n", 1, &["ready", "result OK", "ready"], Ready),
            (
                "READY\nRESULT 2\nOKREADY\nRESULT 4\nFAIL",
                2,
                &["ready", "result OK", "ready", "result FAIL"],
                Acknowledged,
            ),
            ("READY\nRESULT 2\nOK\nREADY\n", 1, &["ready", "result OK", "violation"], Unknown),
            ("READY\nRESULT 3\n\nO\n", 1, &["ready", "result \nO\n"], Acknowledged),
            ("READY\nRESULT 0\n", 1, &["ready", "result "], Acknowledged),
            ("READY\nRESULT 0\nREADY\n", 1, &["ready", "result ", "ready"], Ready),
            ("READY\nxxxxxxx2\nOK", 1, &["ready", "result OK"], Acknowledged),
            ("READY\nRESULT  +0_2 \r\nOK", 1, &["ready", "result OK"], Acknowledged),
            ("READY\nRESULT x\n", 1, &["ready", "bad RESULT x"], Unknown),
            ("READY\nRESULT \n", 1, &["ready", "bad RESULT "], Unknown),
            ("READY\nOK\n", 1, &["ready", "bad OK"], Unknown),
            ("READY\n\n", 1, &["ready", "bad "], Unknown),
            ("READY\nRESULT -1\n", 1, &["ready", "bad RESULT -1"], Unknown),
            ("READY\nRESULT 16777217\n", 1, &["ready", "bad RESULT 16777217"], Unknown),
            ("READY\nRESULT 99999999999999999999\n", 1, &["ready", "bad RESULT 99999999999999999999"], Unknown),
            (&longest, 1, &["ready", "result "], Acknowledged),
            (&long, 1, &["ready", &long_shown], Unknown),
        ];
        for (input, events, said, state) in rows {
            let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
            let threes: Vec<&[u8]> = input.as_bytes().chunks(3).collect();
            for chunks in [&[input.as_bytes()][..], &bytes, &threes] {
                let (seen, after) = run(chunks, *events);
                assert_eq!(seen, *said, "{input:?} in {} chunks", chunks.len());
                assert_eq!(after, *state, "{input:?} in {} chunks", chunks.len());
            }
        }
    }

    #[test]
    fn reads_numbers_as_python_does() {
        let rows: &[(&str, Option<usize>)] = &[
            ("2", Some(2)),
            (" 2\t", Some(2)),
            ("\x0b2\x0b \x0c", Some(2)),
            ("007", Some(7)),
            ("1_000", Some(1000)),
            ("-0", Some(0)),
            ("+3", Some(3)),
            ("- 3", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("", None),
            ("+", None),
            ("2.0", None),
            ("0x2", None),
            ("-2", None),
        ];
        for (text, expected) in rows {
            assert_eq!(python_int(text.as_bytes()), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_distrusted_listener_is_not_read() {
        let mut protocol = Protocol::default();
        protocol.distrust();
        let mut input: &[u8] = b"READY\n";
        assert_eq!(protocol.next(&mut input), None);
        assert_eq!(protocol.state(), ListenerState::Unknown);
        assert!(input.is_empty());
    }
}
