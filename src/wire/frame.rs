//! Lines of a log that each begin with something, or each are a JSON object (K-6).
//!
//! Bytes come as they were read and go on by whole lines. The beginning of a line waits for its end; whoever owns the
//! machine flushes it when that takes too long, and ends it when nothing more can come. A line above [`LINE_MAX`] is
//! split. A carriage return ends no line.

use super::json;

/// Bytes of a line that go on in one piece: container runtimes split there too.
pub const LINE_MAX: usize = 16 * 1024;

/// How the lines of a log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The head, then the line.
    Text,
    /// The head, which is an object up to the value of its last member; then the line as that value.
    Json,
}

/// What comes behind a piece of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follows {
    Line,
    /// The rest, as a piece of its own.
    Piece,
    /// The rest, when it comes.
    Rest,
}

/// The machine of one channel.
#[derive(Clone, Debug)]
pub struct Framer {
    style: Style,
    /// What waits for the end of its line.
    partial: Vec<u8>,
    /// Bytes of the line that stands there without its end.
    written: usize,
    /// A piece of the line went on that says that more follows.
    is_promised: bool,
    /// Something else was written behind the line, whose rest has not come yet.
    is_broken: bool,
}

impl Framer {
    /// A machine at the beginning of a line.
    pub fn new(style: Style) -> Framer {
        Framer { style, partial: Vec::new(), written: 0, is_promised: false, is_broken: false }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8], head: &[u8], out: &mut Vec<u8>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line(&bytes[..end], true, head, out);
            bytes = &bytes[end + 1..];
        }
        if !bytes.is_empty() {
            self.line(bytes, false, head, out);
        }
    }

    fn line(&mut self, part: &[u8], ends: bool, head: &[u8], out: &mut Vec<u8>) {
        let mut waited = std::mem::take(&mut self.partial);
        let mut text = part;
        if !waited.is_empty() {
            waited.extend_from_slice(part);
            text = &waited;
        }
        while self.written + text.len() > LINE_MAX {
            let cut = character_start(text, LINE_MAX - self.written);
            self.piece(&text[..cut], Follows::Piece, head, out);
            text = &text[cut..];
        }
        if ends && self.is_broken && text.is_empty() {
            // Its end stands there already.
            self.is_broken = false;
        } else if ends {
            self.piece(text, Follows::Line, head, out);
        } else {
            self.partial = text.to_vec();
        }
    }

    fn piece(&mut self, text: &[u8], follows: Follows, head: &[u8], out: &mut Vec<u8>) {
        match self.style {
            Style::Text => {
                if self.written == 0 {
                    out.extend_from_slice(head);
                }
                out.extend_from_slice(text);
                if follows == Follows::Rest {
                    self.written += text.len();
                } else {
                    out.push(b'\n');
                    self.written = 0;
                }
            }
            Style::Json => {
                out.extend_from_slice(head);
                out.extend_from_slice(json::string(&String::from_utf8_lossy(text)).as_bytes());
                let end: &[u8] = if follows == Follows::Line { b"}\n" } else { b",\"partial\":true}\n" };
                out.extend_from_slice(end);
            }
        }
        self.is_promised = follows != Follows::Line;
        self.is_broken = false;
    }

    /// Lets out the beginning of a line whose end takes too long; of a JSON text whole characters only.
    pub fn flush(&mut self, head: &[u8], out: &mut Vec<u8>) {
        let mut partial = std::mem::take(&mut self.partial);
        if self.style == Style::Json {
            self.partial = partial.split_off(whole_characters(&partial));
        }
        if !partial.is_empty() {
            self.piece(&partial, Follows::Rest, head, out);
        }
    }

    /// Nothing more comes: a line that has begun ends.
    pub fn end(&mut self, head: &[u8], out: &mut Vec<u8>) {
        let partial = std::mem::take(&mut self.partial);
        if !partial.is_empty() || self.written > 0 || self.is_promised {
            self.piece(&partial, Follows::Line, head, out);
        }
    }

    /// Something else was written behind the line that stands there without its end: its rest is a line of its own, if there
    /// is any.
    pub fn interrupt(&mut self) {
        // What was written of a JSON line is whole lines already.
        if self.written > 0 {
            self.is_broken = true;
            self.is_promised = false;
        }
        self.written = 0;
    }

    /// Whether the beginning of a line waits.
    pub fn is_waiting(&self) -> bool {
        match self.style {
            Style::Text => !self.partial.is_empty(),
            // Half a character waits for its other half, however long that takes.
            Style::Json => whole_characters(&self.partial) > 0,
        }
    }

    /// Whether a line stands there without its end.
    pub fn is_mid_line(&self) -> bool {
        self.written > 0
    }
}

/// Where to cut at most `max` bytes off without cutting a character of UTF-8.
fn character_start(text: &[u8], max: usize) -> usize {
    let is_start = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0b1100_0000 != 0b1000_0000);
    (max.saturating_sub(3)..=max).rev().find(is_start).filter(|at| *at > 0).unwrap_or(max)
}

/// Length without a character at the end that is not complete yet.
fn whole_characters(text: &[u8]) -> usize {
    match std::str::from_utf8(&text[text.len().saturating_sub(4)..]) {
        // Cut into the first of the four, or broken for good: only what may still become whole waits.
        Err(error) if error.error_len().is_none() => text.len().saturating_sub(4) + error.valid_up_to(),
        Err(_) => {
            let lead = |byte: &u8| *byte >= 0b1100_0000;
            let tail = &text[text.len().saturating_sub(3)..];
            match tail.iter().rposition(lead) {
                Some(at) if is_prefix(&tail[at..]) => text.len() - tail.len() + at,
                _ => text.len(),
            }
        }
        Ok(_) => text.len(),
    }
}

/// Whether these bytes begin a character and do not complete it.
fn is_prefix(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(style: Style, head: &str, input: &[u8], size: usize, ends: bool) -> String {
        let mut framer = Framer::new(style);
        let mut out = Vec::new();
        for chunk in input.chunks(size.max(1)) {
            framer.feed(chunk, head.as_bytes(), &mut out);
        }
        if ends {
            framer.end(head.as_bytes(), &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_get_heads_however_they_come() {
        let rows: &[(&[u8], &str, &str, &str)] = &[
            (b"", "", "", ""),
            (b"a\n", "P|a\n", "P|a\n", "{\"m\":\"a\"}\n"),
            (b"a\nb", "P|a\n", "P|a\nP|b\n", "{\"m\":\"a\"}\n{\"m\":\"b\"}\n"),
            (b"\n\n", "P|\nP|\n", "P|\nP|\n", "{\"m\":\"\"}\n{\"m\":\"\"}\n"),
            (b"a\rb\r\n", "P|a\rb\r\n", "P|a\rb\r\n", "{\"m\":\"a\\rb\\r\"}\n"),
            (b"\"q\"\\\n", "P|\"q\"\\\n", "P|\"q\"\\\n", "{\"m\":\"\\\"q\\\"\\\\\"}\n"),
        ];
        for (input, before, after, object) in rows {
            for size in [1, 2, 3, 100] {
                assert_eq!(run(Style::Text, "P|", input, size, false), *before, "{input:?} by {size}");
                assert_eq!(run(Style::Text, "P|", input, size, true), *after, "{input:?} by {size}, ended");
                assert_eq!(run(Style::Json, "{\"m\":", input, size, true), *object, "{input:?} by {size}, JSON");
            }
        }
        let broken = run(Style::Json, "{\"m\":", b"\xffbad\n", 1, true);
        assert_eq!(broken, "{\"m\":\"\\ufffdbad\"}\n");
    }

    #[test]
    fn long_lines_are_split_between_characters() {
        let input =
            [&b"z".repeat(LINE_MAX - 1)[..], "\u{e9}".as_bytes(), &b"y".repeat(LINE_MAX)[..], b"\nshort\n"].concat();
        for size in [1, 1000, 65_536, input.len()] {
            let text = run(Style::Text, "P|", &input, size, false);
            let lengths: Vec<usize> = text.lines().map(|line| line.strip_prefix("P|").unwrap().len()).collect();
            assert_eq!(lengths, [LINE_MAX - 1, LINE_MAX, 2, 5], "by {size}");
            let objects = run(Style::Json, "{\"m\":", &input, size, false);
            let partial: Vec<bool> = objects.lines().map(|line| line.ends_with(",\"partial\":true}")).collect();
            assert_eq!(partial, [true, true, false, false], "by {size}");
        }
    }

    #[test]
    fn a_beginning_is_flushed_and_goes_on() {
        let mut framer = Framer::new(Style::Text);
        let mut out = Vec::new();
        framer.feed(b"one\ntwo", b"P|", &mut out);
        assert!(framer.is_waiting() && !framer.is_mid_line());
        framer.flush(b"P|", &mut out);
        assert!(!framer.is_waiting() && framer.is_mid_line());
        framer.feed(b"-rest\nthree", b"P|", &mut out);
        framer.flush(b"P|", &mut out);
        framer.interrupt();
        framer.feed(b"-on\n", b"P|", &mut out);
        framer.feed(b"half", b"P|", &mut out);
        framer.flush(b"P|", &mut out);
        framer.end(b"P|", &mut out);
        framer.end(b"P|", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "P|one\nP|two-rest\nP|threeP|-on\nP|half\n");

        // Of a line that was written over there is no rest.
        for (rest, expected) in [("", "P|partP|b\n"), ("\nb\n", "P|partP|b\n"), ("\n\nb\n", "P|partP|\nP|b\n")] {
            let (mut framer, mut out) = (Framer::new(Style::Text), Vec::new());
            framer.feed(b"part", b"P|", &mut out);
            framer.flush(b"P|", &mut out);
            framer.interrupt();
            framer.feed(rest.as_bytes(), b"P|", &mut out);
            framer.end(b"P|", &mut out);
            if rest.is_empty() {
                framer.feed(b"b\n", b"P|", &mut out);
            }
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{rest:?}");
        }

        let mut framer = Framer::new(Style::Json);
        let mut out = Vec::new();
        framer.feed(b"a\xc3", b"{\"m\":", &mut out);
        framer.flush(b"{\"m\":", &mut out);
        framer.flush(b"{\"m\":", &mut out);
        framer.feed(b"\xa9b", b"{\"m\":", &mut out);
        framer.flush(b"{\"m\":", &mut out);
        framer.end(b"{\"m\":", &mut out);
        let text = String::from_utf8(out).unwrap();
        let expected = "{\"m\":\"a\",\"partial\":true}\n{\"m\":\"\\u00e9b\",\"partial\":true}\n{\"m\":\"\"}\n";
        assert_eq!(text, expected);
    }
}
