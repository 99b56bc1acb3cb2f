//! What a daemon says, made safe for a terminal: a name, a fault or a reason phrase must not move the cursor, change the
//! title or pretend to be a line of its own. What a log holds is shown as it is.

use std::borrow::Cow;

/// One line: every control character but the tab as Python writes it in a string, `\x1b`.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |c| c.is_control() && c != '\t')
}

/// The same for a text of several lines, whose ends stay.
pub fn text(text: &str) -> Cow<'_, str> {
    escape(text, |c| c.is_control() && c != '\t' && c != '\n')
}

fn escape(text: &str, is_unsafe: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if is_unsafe(c) => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if is_unsafe(c) => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_told_not_sent() {
        let rows = [
            ("web:a  RUNNING\té", "web:a  RUNNING\té"),
            ("\u{1b}]0;x\u{7}", "\\x1b]0;x\\x07"),
            ("a\r\nb\n", "a\\r\\nb\\n"),
            ("\u{7f}\u{9b}2J\0", "\\x7f\\x9b2J\\x00"),
        ];
        for (given, expected) in rows {
            assert_eq!(line(given), expected);
        }
        assert_eq!(text("a\n\tb\u{8}\n"), "a\n\tb\\x08\n");
    }
}
