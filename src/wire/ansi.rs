//! Removing ANSI sequences from child output (L-36): everything from ESC `[` through the first of [`TERMINATORS`].
//!
//! States of a [`Stripper`]: *text*, bytes pass; *escape*, the last chunk ended with an ESC, which is held back until it is
//! known whether a `[` follows; *sequence*, bytes are dropped. The original forgets its state at the end of each chunk; here
//! a sequence may be split over chunks at any byte.

/// What ends a sequence. Others (`G`, `n`) are left out by the original, and a sequence then swallows what follows.
const TERMINATORS: &[u8] = b"HfABCDRsuJKhlpm";
/// Bytes after ESC `[` without a terminator before the rest counts as text again: a stray ESC `[` must not silence a log for
/// good. The longest real sequences (true-colour, both grounds) have about forty.
const SEQUENCE_MAX: usize = 256;

const ESC: u8 = 0x1b;

/// Strips one stream; keeps where it stands between chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stripper {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Escape,
    /// Bytes dropped since the bracket.
    Sequence(usize),
}

impl Stripper {
    /// A stripper at the beginning of a stream.
    pub fn new() -> Stripper {
        Stripper::default()
    }

    /// What is left of the next chunk: the chunk itself where nothing is to be removed, else the contents of `scratch`, which
    /// is cleared first.
    pub fn strip<'a>(&mut self, chunk: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
        if self.state == State::Text && !chunk.contains(&ESC) {
            return chunk;
        }
        scratch.clear();
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = match self.state {
                State::Text => self.text(rest, scratch),
                State::Escape => self.escape(rest, scratch),
                State::Sequence(dropped) => self.sequence(rest, dropped),
            };
        }
        scratch
    }

    /// What was held back, now that the stream has ended: an ESC, or nothing.
    pub fn finish(&mut self) -> &'static [u8] {
        match std::mem::take(&mut self.state) {
            State::Escape => &[ESC],
            State::Text | State::Sequence(_) => &[],
        }
    }

    fn text<'a>(&mut self, rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let Some(at) = rest.iter().position(|&byte| byte == ESC) else {
            out.extend_from_slice(rest);
            return &[];
        };
        out.extend_from_slice(&rest[..at]);
        self.state = State::Escape;
        &rest[at + 1..]
    }

    fn escape<'a>(&mut self, rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        if let Some(rest) = rest.strip_prefix(b"[") {
            self.state = State::Sequence(0);
            return rest;
        }
        out.push(ESC);
        self.state = State::Text;
        rest
    }

    fn sequence<'a>(&mut self, rest: &'a [u8], dropped: usize) -> &'a [u8] {
        let window = &rest[..rest.len().min(SEQUENCE_MAX - dropped)];
        if let Some(at) = window.iter().position(|byte| TERMINATORS.contains(byte)) {
            self.state = State::Text;
            return &rest[at + 1..];
        }
        let dropped = dropped + window.len();
        self.state = if dropped < SEQUENCE_MAX { State::Sequence(dropped) } else { State::Text };
        &rest[window.len()..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strips `input` in chunks of `size` and appends what was held back.
    fn strip(input: &[u8], size: usize) -> Vec<u8> {
        let mut stripper = Stripper::new();
        let mut scratch = Vec::new();
        let mut out = Vec::new();
        for chunk in input.chunks(size) {
            out.extend_from_slice(stripper.strip(chunk, &mut scratch));
        }
        out.extend_from_slice(stripper.finish());
        out
    }

    #[test]
    fn sequences() {
        let rows: &[(&[u8], &[u8])] = &[
            (b"", b""),
            (b"plain [1m text", b"plain [1m text"),
            (b"\x1b[31mred\x1b[0m\n", b"red\n"),
            (b"a\x1b[2J\x1b[1;1Hb", b"ab"),
            (b"\x1b[?25lx\x1b[?25h", b"x"),
            (b"\x1b[mx", b"x"),
            (b"\x1b\x1b[1mx", b"\x1bx"),
            (b"\x1b(Bx", b"\x1b(Bx"),
            (b"\x1b", b"\x1b"),
            (b"x\x1b[", b"x"),
            (b"x\x1b[12;", b"x"),
            // G is no terminator, so the sequence reaches to the f.
            (b"\x1b[2Goffice", b"fice"),
            (b"\x1b[\x1b[1mx", b"x"),
            (b"\xff\x1b[0m\x00", b"\xff\x00"),
        ];
        for (input, expected) in rows {
            for size in [input.len().max(1), 1, 2, 3] {
                assert_eq!(strip(input, size), *expected, "{input:?} in chunks of {size}");
            }
        }
    }

    #[test]
    fn an_unterminated_sequence_gives_up() {
        let mut input = b"a\x1b[".to_vec();
        input.extend_from_slice(&[b'1'; SEQUENCE_MAX]);
        input.extend_from_slice(b"back");
        for size in [1, 7, SEQUENCE_MAX, input.len()] {
            assert_eq!(strip(&input, size), b"aback", "in chunks of {size}");
        }
    }

    #[test]
    fn text_is_passed_on_uncopied() {
        let chunk = b"no escape here";
        let mut scratch = Vec::new();
        let out = Stripper::new().strip(chunk, &mut scratch);
        assert_eq!(out.as_ptr(), chunk.as_ptr());
        assert_eq!(scratch.capacity(), 0);
    }
}
