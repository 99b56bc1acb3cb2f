//! Capture mode: the tokens that fence a message in child output (L-70 to L-76).
//!
//! Output outside the fences is passed on as slices of the input. What stands between them is collected, in a
//! bounded buffer, until the closing token has come. A token may arrive in pieces: how much of it has been seen is
//! a number, not a copy, because no suffix of a token is a prefix of it (`<` occurs in neither but at the start), so
//! what was held back is the token's own first bytes.

use std::collections::VecDeque;

/// The token before a message, as the original has it (L-70).
pub const BEGIN: &[u8] = b"<!--XSUPERVISOR:BEGIN-->";
/// The token behind a message.
pub const END: &[u8] = b"<!--XSUPERVISOR:END-->";

/// What comes out of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Ordinary output, for the log. Never empty.
    Log(&'a [u8]),
    /// Part of a message, as it comes. Never empty.
    Captured(&'a [u8]),
    /// Part of a message that was captured and will not be finished, for the log. Never empty.
    Unfinished(&'a [u8]),
    /// One whole message, for a PROCESS_COMMUNICATION event. May be empty.
    Message(&'a [u8]),
}

/// Splits the output of one channel of one child.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Between BEGIN and END.
    inside: bool,
    /// Bytes of the awaited token seen at the very end of the input so far; always less than its length.
    matched: usize,
    /// The message so far.
    message: VecDeque<u8>,
    /// Most bytes of a message that are kept: the newest (L-75).
    bytes_max: usize,
}

impl Capture {
    /// `bytes_max` is `*_capture_maxbytes`, more than 0.
    pub fn new(bytes_max: usize) -> Capture {
        Capture { inside: false, matched: 0, message: VecDeque::new(), bytes_max }
    }

    /// Takes the next bytes. What could be the start of the awaited token is held back, nothing else (L-73).
    pub fn feed(&mut self, mut chunk: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
        while !chunk.is_empty() {
            let token = self.awaited();
            if self.matched > 0 {
                let expected = &token[self.matched..];
                let same = expected.iter().zip(chunk).take_while(|(a, b)| a == b).count();
                if same == expected.len() {
                    chunk = &chunk[same..];
                    self.fence(out);
                } else if same == chunk.len() {
                    self.matched += same;
                    return;
                } else {
                    // Not the token after all.
                    let held = &token[..self.matched];
                    self.matched = 0;
                    self.pass(held, out);
                }
                continue;
            }
            let start = token_start(chunk, token);
            self.pass(&chunk[..start], out);
            let rest = &chunk[start..];
            if rest.len() < token.len() {
                self.matched = rest.len();
                return;
            }
            chunk = &rest[token.len()..];
            self.fence(out);
        }
    }

    /// How many of the next bytes can be fed before they complete more than so many messages. An END that ends nothing
    /// counts as well.
    pub fn fitting(&self, bytes: &[u8], mut messages: usize) -> usize {
        // The first may have begun before, each of the others brings both tokens.
        if bytes.len() / (BEGIN.len() + END.len()) < messages {
            return bytes.len();
        }
        let begun = if self.inside { &END[self.matched..] } else { END };
        let (mut token, mut end) = match bytes.starts_with(begun) {
            true => (begun, 0),
            false => (END, token_start(bytes, END)),
        };
        while bytes.len() - end >= token.len() {
            if messages == 0 {
                return end;
            }
            messages -= 1;
            let next = end + token.len();
            (token, end) = (END, next + token_start(&bytes[next..], END));
        }
        bytes.len()
    }

    /// The child has ended: whatever is held comes out as ordinary output, also an unfinished message, rather than
    /// being lost (L-73). The next byte is that of a new run.
    pub fn finish(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        let held = &self.awaited()[..self.matched];
        self.pass(held, out);
        self.matched = 0;
        self.inside = false;
        let unfinished = std::mem::take(&mut self.message);
        for part in [unfinished.as_slices().0, unfinished.as_slices().1] {
            if !part.is_empty() {
                out(Piece::Unfinished(part));
            }
        }
    }

    /// Empties the message so far; the stream stays inside it if it was (L-62).
    pub fn clear(&mut self) {
        self.message.clear();
    }

    fn awaited(&self) -> &'static [u8] {
        if self.inside { END } else { BEGIN }
    }

    /// The awaited token is complete.
    fn fence(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        self.matched = 0;
        self.inside = !self.inside;
        if !self.inside {
            out(Piece::Message(self.message.make_contiguous()));
            // A child that sends one message an hour should not hold a large buffer all the while.
            self.message = VecDeque::new();
        }
    }

    /// Bytes that are no token go where the stream stands.
    fn pass(&mut self, bytes: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
        if bytes.is_empty() {
            return;
        }
        if !self.inside {
            out(Piece::Log(bytes));
            return;
        }
        out(Piece::Captured(bytes));
        let newest = &bytes[bytes.len().saturating_sub(self.bytes_max)..];
        let excess = (self.message.len() + newest.len()).saturating_sub(self.bytes_max);
        self.message.drain(..excess);
        self.message.extend(newest);
    }
}

/// Where the token stands in the chunk, or its beginning at the chunk's end; the length if neither.
fn token_start(chunk: &[u8], token: &[u8]) -> usize {
    let mut at = 0;
    while let Some(next) = chunk[at..].iter().position(|byte| *byte == token[0]) {
        at += next;
        let length = token.len().min(chunk.len() - at);
        if chunk[at..at + length] == token[..length] {
            return at;
        }
        at += 1;
    }
    chunk.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `L:` and the log bytes in a row joined, `M:` and each message.
    fn run(limit: usize, chunks: &[&[u8]], finish: bool) -> Vec<String> {
        let mut capture = Capture::new(limit);
        let mut seen: Vec<(bool, Vec<u8>)> = Vec::new();
        let mut captured = Vec::new();
        let mut out = |piece: Piece<'_>| match piece {
            Piece::Log(bytes) | Piece::Unfinished(bytes) => {
                assert!(!bytes.is_empty(), "an empty piece of log");
                match seen.last_mut() {
                    Some((false, log)) => log.extend(bytes),
                    _ => seen.push((false, bytes.to_vec())),
                }
            }
            Piece::Captured(bytes) => captured.extend(bytes),
            Piece::Message(bytes) => {
                assert!(captured.ends_with(bytes), "not captured before");
                captured.clear();
                seen.push((true, bytes.to_vec()));
            }
        };
        for chunk in chunks {
            capture.feed(chunk, &mut out);
        }
        if finish {
            capture.finish(&mut out);
        }
        seen.into_iter()
            .map(|(message, bytes)| format!("{}:{}", if message { "M" } else { "L" }, String::from_utf8_lossy(&bytes)))
            .collect()
    }

    #[test]
    fn splits_the_stream() {
        let b = "<!--XSUPERVISOR:BEGIN-->";
        let e = "<!--XSUPERVISOR:END-->";
        // (name, input, pieces before the end, pieces with the end)
        let rows: &[(&str, String, &[&str], &[&str])] = &[
            ("nothing", "".into(), &[], &[]),
            ("short line", "hi\n".into(), &["L:hi\n"], &["L:hi\n"]),
            ("one message", format!("a{b}text{e}z"), &["L:a", "M:text", "L:z"], &["L:a", "M:text", "L:z"]),
            ("two in a row", format!("{b}1{e}{b}2{e}"), &["M:1", "M:2"], &["M:1", "M:2"]),
            ("empty message", format!("{b}{e}"), &["M:"], &["M:"]),
            (
                "BEGIN inside is data",
                format!("{b}x{b}y{e}"),
                &["M:x<!--XSUPERVISOR:BEGIN-->y"],
                &["M:x<!--XSUPERVISOR:BEGIN-->y"],
            ),
            ("END outside is output", format!("{e}x"), &["L:<!--XSUPERVISOR:END-->x"], &["L:<!--XSUPERVISOR:END-->x"]),
            ("markup", "<a><b><!-- c -->".into(), &["L:<a><b><!-- c -->"], &["L:<a><b><!-- c -->"]),
            (
                "token after its own start",
                format!("<!--XSUPER{b}m{e}"),
                &["L:<!--XSUPER", "M:m"],
                &["L:<!--XSUPER", "M:m"],
            ),
            ("doubled start", format!("<{b}m<{e}"), &["L:<", "M:m<"], &["L:<", "M:m<"]),
            ("start at the end", "x<!--XS".into(), &["L:x"], &["L:x<!--XS"]),
            ("unfinished message", format!("a{b}rest"), &["L:a"], &["L:arest"]),
            ("unfinished token inside", format!("{b}rest<!--XSUP"), &[], &["L:rest<!--XSUP"]),
        ];
        for (name, input, before, after) in rows {
            let whole = [input.as_bytes()];
            let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
            let sevens: Vec<&[u8]> = input.as_bytes().chunks(7).collect();
            for chunks in [&whole[..], &bytes, &sevens] {
                assert_eq!(run(1000, chunks, false), *before, "{name}, {} chunks", chunks.len());
                assert_eq!(run(1000, chunks, true), *after, "{name}, ended, {} chunks", chunks.len());
            }
        }
    }

    #[test]
    fn a_message_keeps_its_newest_bytes() {
        let input = b"<!--XSUPERVISOR:BEGIN-->0123456789<!--XSUPERVISOR:END-->";
        for (limit, expected) in [(10, "M:0123456789"), (9, "M:123456789"), (1, "M:9")] {
            let bytes: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(run(limit, &[input], true), [expected], "whole, {limit}");
            assert_eq!(run(limit, &bytes, true), [expected], "byte by byte, {limit}");
        }
    }

    #[test]
    fn fits_as_many_messages_as_there_is_room_for() {
        let b = "<!--XSUPERVISOR:BEGIN-->";
        let e = "<!--XSUPERVISOR:END-->";
        let three = format!("log{b}1{e}log{b}2{e}{b}3{e}log<!--XSUP");
        let ends: Vec<usize> = three.match_indices(e).map(|(at, _)| at).collect();
        // (name, fed before, input, room, how much fits)
        let rows: &[(&str, &str, &str, usize, usize)] = &[
            ("plain output", "", "log", 0, 3),
            ("no room", "", &three, 0, ends[0]),
            ("room for one", "", &three, 1, ends[1]),
            ("room for two", "", &three, 2, ends[2]),
            ("room for all", "", &three, 3, three.len()),
            ("more room than tokens", &format!("{b}1<!--XSUP"), &format!("ERVISOR:END-->{b}2{e}"), 2, 14 + 24 + 1 + 22),
            ("message without end", b, "text<!--XSUP", 0, 12),
            ("split END", &format!("{b}1<!--XSUP"), &format!("ERVISOR:END-->log{b}2{e}"), 0, 0),
            ("split END, room", &format!("{b}1<!--XSUP"), &format!("ERVISOR:END-->log{b}2{e}"), 1, 14 + 3 + 24 + 1),
            ("no END after all", &format!("{b}1<!--XSUP"), &format!("PER{e}"), 0, 3),
        ];
        for (name, before, input, room, expected) in rows {
            let mut capture = Capture::new(1000);
            capture.feed(before.as_bytes(), &mut |_| {});
            let fitting = capture.fitting(input.as_bytes(), *room);
            assert_eq!(fitting, *expected, "{name}");
            let mut messages = 0;
            capture.feed(&input.as_bytes()[..fitting], &mut |piece| {
                messages += usize::from(matches!(piece, Piece::Message(_)));
            });
            assert!(messages <= *room, "{name}: {messages}");
        }
    }

    #[test]
    fn ordinary_output_is_not_copied() {
        let input = b"one <b>two</b> three<";
        let mut pieces = 0;
        Capture::new(10).feed(input, &mut |piece| {
            assert_eq!(piece, Piece::Log(&input[..20]));
            let Piece::Log(bytes) = piece else { return };
            assert_eq!(bytes.as_ptr(), input.as_ptr());
            pieces += 1;
        });
        assert_eq!(pieces, 1);
    }

    #[test]
    fn a_cleared_message_goes_on() {
        let mut capture = Capture::new(100);
        let mut seen = Vec::new();
        let mut out = |piece: Piece<'_>| match piece {
            Piece::Captured(_) => {}
            piece => seen.push(format!("{piece:?}")),
        };
        capture.feed(b"<!--XSUPERVISOR:BEGIN-->lost", &mut out);
        capture.clear();
        capture.feed(b"kept<!--XSUPERVISOR:END-->", &mut out);
        assert_eq!(seen, [format!("{:?}", Piece::Message(b"kept"))]);
    }

    #[test]
    fn a_new_run_starts_outside() {
        let mut capture = Capture::new(100);
        capture.feed(b"<!--XSUPERVISOR:BEGIN-->text<!--", &mut |_| {});
        capture.finish(&mut |_| {});
        let mut seen = Vec::new();
        capture.feed(b"XSUPERVISOR:END-->", &mut |piece| seen.push(format!("{piece:?}")));
        assert_eq!(seen, [format!("{:?}", Piece::Log(b"XSUPERVISOR:END-->"))]);
    }
}
