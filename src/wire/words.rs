//! Splitting a command line as a POSIX shell would (P-30): quotes and backslashes, no variables, comments or globbing.
//!
//! The rules are those of Python's `shlex.split`, which differ from a shell's in small ways that commands rely on: `#` is an
//! ordinary character, a backslash before a newline keeps the newline, and within double quotes a backslash stays unless a
//! double quote or another backslash follows.

use std::fmt;

/// Why a command line cannot be split. Displays as the original words it (P-31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitError {
    /// The text ends within quotes.
    NoClosingQuotation,
    /// The text ends with a backslash that escapes nothing.
    NoEscapedCharacter,
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SplitError::NoClosingQuotation => "No closing quotation",
            SplitError::NoEscapedCharacter => "No escaped character",
        })
    }
}

impl std::error::Error for SplitError {}

/// The words of a command line. A word may be empty (`''`); a blank line has none.
pub fn split(text: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    // Some from a word's first character on, so that `''` is a word and a blank is not.
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' | '"' => quoted(&mut chars, c, word.get_or_insert_default())?,
            '\\' => {
                let escaped = chars.next().ok_or(SplitError::NoEscapedCharacter)?;
                word.get_or_insert_default().push(escaped);
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Appends what stands between quotes, and takes the closing one.
fn quoted(chars: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), SplitError> {
    while let Some(c) = chars.next() {
        if c == quote {
            return Ok(());
        }
        if c == '\\' && quote == '"' {
            let escaped = chars.next().ok_or(SplitError::NoEscapedCharacter)?;
            if escaped != '"' && escaped != '\\' {
                word.push('\\');
            }
            word.push(escaped);
        } else {
            word.push(c);
        }
    }
    Err(SplitError::NoClosingQuotation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        use SplitError::*;
        let rows: &[(&str, Result<&[&str], SplitError>)] = &[
            ("", Ok(&[])),
            (" \t\r\n", Ok(&[])),
            ("/bin/cat", Ok(&["/bin/cat"])),
            ("  a  b\tc\nd\re ", Ok(&["a", "b", "c", "d", "e"])),
            ("a\x0bb\x0cc\u{a0}d", Ok(&["a\x0bb\x0cc\u{a0}d"])),
            ("sh -c \"echo a; echo 'b'\"", Ok(&["sh", "-c", "echo a; echo 'b'"])),
            ("a # b", Ok(&["a", "#", "b"])),
            ("a#b", Ok(&["a#b"])),
            ("''", Ok(&[""])),
            ("a '' \"\" b", Ok(&["a", "", "", "b"])),
            ("a''b", Ok(&["ab"])),
            ("'a'\"b\"c", Ok(&["abc"])),
            ("'a\\'", Ok(&["a\\"])),
            ("\"a\\\"b\\\\c\"", Ok(&["a\"b\\c"])),
            ("\"\\$HOME \\a \\' \\\n\"", Ok(&["\\$HOME \\a \\' \\\n"])),
            ("a\\ b", Ok(&["a b"])),
            ("a\\\nb", Ok(&["a\nb"])),
            ("\\'\\\"\\\\\\x", Ok(&["'\"\\x"])),
            ("é ü", Ok(&["é", "ü"])),
            ("sh -c \"echo a", Err(NoClosingQuotation)),
            ("it's", Err(NoClosingQuotation)),
            ("a \\", Err(NoEscapedCharacter)),
            ("\"a\\", Err(NoEscapedCharacter)),
            ("'a\\", Err(NoClosingQuotation)),
        ];
        for (input, expected) in rows {
            let expected = expected.map(|words| words.iter().map(|word| word.to_string()).collect::<Vec<_>>());
            assert_eq!(split(input), expected, "{input:?}");
        }
        assert_eq!(NoClosingQuotation.to_string(), "No closing quotation");
        assert_eq!(NoEscapedCharacter.to_string(), "No escaped character");
    }
}
