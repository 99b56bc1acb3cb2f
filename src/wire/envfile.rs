//! Environment files (K-7): lines `[export ]KEY=VALUE`.
//!
//! Blank lines and lines that begin with `#` say nothing. Blanks around the sign are trimmed. A value in single quotes is
//! literal; in double quotes `\n \t \r \\ \" \$` are escapes, and other backslashes are kept; nothing may stand behind the
//! closing quote. A value without quotes goes up to the end of its line, without blanks there. A `$` never stands for
//! anything, and values are bytes: a secret need not be text.
//!
//! A problem names its line and never shows a value.

use std::collections::BTreeMap;
use std::fmt;

/// Bytes of one file (K-7).
pub const FILE_BYTES_MAX: usize = 64 * 1024;

/// Names of one file (K-7).
pub const NAMES_MAX: usize = 1024;

/// Variables by name. A later value of a name takes the place of an earlier one.
pub type Variables = BTreeMap<Vec<u8>, Vec<u8>>;

/// What is wrong with a file, and in which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong there.
    pub reason: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Reads a file piece by piece.
#[derive(Debug, Default)]
pub struct Reader {
    variables: Variables,
    /// What there is of a line whose end is still to come.
    open: Vec<u8>,
    lines: u32,
    bytes: usize,
}

impl Reader {
    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Problem> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.bytes += part.len();
            if self.bytes > FILE_BYTES_MAX {
                return Err(Problem { line: self.lines + 1, reason: "the file is longer than 64 KiB" });
            }
            self.open.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.close()?;
            }
        }
        Ok(())
    }

    /// The variables, once all was fed.
    pub fn finish(mut self) -> Result<Variables, Problem> {
        self.close()?;
        Ok(self.variables)
    }

    fn close(&mut self) -> Result<(), Problem> {
        let line = std::mem::take(&mut self.open);
        self.lines += 1;
        // Some editors begin a file with the mark of byte order.
        let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| self.lines == 1).unwrap_or(&line);
        let problem = |reason| Problem { line: self.lines, reason };
        if let Some((name, value)) = pair(text).map_err(problem)? {
            if self.variables.len() >= NAMES_MAX && !self.variables.contains_key(name) {
                return Err(problem("more than 1024 names"));
            }
            self.variables.insert(name.to_vec(), value);
        }
        Ok(())
    }
}

/// The variables of a whole file.
pub fn read(bytes: &[u8]) -> Result<Variables, Problem> {
    let mut reader = Reader::default();
    reader.feed(bytes)?;
    reader.finish()
}

/// A name and its value.
type Pair<'a> = (&'a [u8], Vec<u8>);

/// What one line says: nothing, a name and a value, or what is wrong with it.
fn pair(line: &[u8]) -> Result<Option<Pair<'_>>, &'static str> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    if line.contains(&0) {
        return Err("a zero byte, which no variable can contain");
    }
    let sign = line.iter().position(|byte| *byte == b'=').ok_or("no = behind a name")?;
    let (name, value) = (line[..sign].trim_ascii_end(), line[sign + 1..].trim_ascii_start());
    let name = match name.strip_prefix(b"export") {
        Some(rest) if rest.first().is_some_and(u8::is_ascii_whitespace) => rest.trim_ascii_start(),
        _ => name,
    };
    if !is_name(name) {
        return Err("no name before the =, or one with blanks or quotes in it");
    }
    let value = match value.first() {
        Some(b'\'') => single_quoted(&value[1..])?,
        Some(b'"') => double_quoted(&value[1..])?,
        _ => value.to_vec(),
    };
    Ok(Some((name, value)))
}

/// Whether a variable can be called so. Which letters a name has is the affair of its reader: `spring.profiles.active` is
/// one.
pub fn is_name(name: &[u8]) -> bool {
    let is_wrong = |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"='\"".contains(byte);
    !name.is_empty() && !name.iter().any(is_wrong)
}

const UNCLOSED: &str = "no closing quote";
const BEHIND_QUOTE: &str = "text behind the closing quote";

fn single_quoted(rest: &[u8]) -> Result<Vec<u8>, &'static str> {
    let end = rest.iter().position(|byte| *byte == b'\'').ok_or(UNCLOSED)?;
    if end + 1 < rest.len() { Err(BEHIND_QUOTE) } else { Ok(rest[..end].to_vec()) }
}

fn double_quoted(rest: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut value = Vec::with_capacity(rest.len());
    let mut bytes = rest.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if bytes.len() > 0 => return Err(BEHIND_QUOTE),
            b'"' => return Ok(value),
            b'\\' => match bytes.next().ok_or(UNCLOSED)? {
                b'n' => value.push(b'\n'),
                b't' => value.push(b'\t'),
                b'r' => value.push(b'\r'),
                sign @ (b'\\' | b'"' | b'$') => value.push(*sign),
                other => value.extend([b'\\', *other]),
            },
            _ => value.push(*byte),
        }
    }
    Err(UNCLOSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text gives, whole and byte by byte, which must be the same.
    fn outcome(text: &[u8]) -> Result<Vec<(String, String)>, Problem> {
        let bytewise = || {
            let mut reader = Reader::default();
            text.chunks(1).try_for_each(|byte| reader.feed(byte))?;
            reader.finish()
        };
        let whole = read(text);
        assert_eq!(whole, bytewise(), "{:?}", String::from_utf8_lossy(text));
        let shown = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        whole.map(|all| all.into_iter().map(|(name, value)| (shown(name), shown(value))).collect())
    }

    #[test]
    fn lines() {
        let rows: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("\n \t\n# A=1\n  # B=2\r\n", &[]),
            ("A=1", &[("A", "1")]),
            ("A=1\nB=2\n", &[("A", "1"), ("B", "2")]),
            ("A=1\r\nB='2'\r\nC=\"3\" \r\n", &[("A", "1"), ("B", "2"), ("C", "3")]),
            ("\u{feff}A=1\n", &[("A", "1")]),
            ("  A =  one two \t\n", &[("A", "one two")]),
            ("A=", &[("A", "")]),
            ("A=''\nB=\"\"", &[("A", ""), ("B", "")]),
            ("A=1\nA=2", &[("A", "2")]),
            (
                "export A=1\nexport\tB = 2\nexport=3\nexported=4",
                &[("A", "1"), ("B", "2"), ("export", "3"), ("exported", "4")],
            ),
            ("A=$HOME/x${PATH}`id`", &[("A", "$HOME/x${PATH}`id`")]),
            ("A=b # c", &[("A", "b # c")]),
            ("A=a=b==", &[("A", "a=b==")]),
            ("A=x'y\"z", &[("A", "x'y\"z")]),
            ("A=' $HOME \\n \"b\" # c '", &[("A", " $HOME \\n \"b\" # c ")]),
            ("A=\"tab\\there \\\"q\\\" \\$x \\\\ \\r\\n\"", &[("A", "tab\there \"q\" $x \\ \r\n")]),
            ("A=\"\\q\\'\\0\"", &[("A", "\\q\\'\\0")]),
            ("A=\\n", &[("A", "\\n")]),
            ("a.b-c=1\n1=2", &[("1", "2"), ("a.b-c", "1")]),
            ("Ä=ö", &[("Ä", "ö")]),
        ];
        for (text, expected) in rows {
            let expected: Vec<_> = expected.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            assert_eq!(outcome(text.as_bytes()), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn problems_name_the_line_and_no_value() {
        let rows: &[(&[u8], u32, &str)] = &[
            (b"A=1\n# x\nno equals sign secret\n", 3, "no = behind a name"),
            (b"=secret", 1, "no name before the =, or one with blanks or quotes in it"),
            (b"A B=secret", 1, "no name before the =, or one with blanks or quotes in it"),
            (b"'A'=secret", 1, "no name before the =, or one with blanks or quotes in it"),
            (b"\nA='secret", 2, "no closing quote"),
            (b"A=\"secret\\\"", 1, "no closing quote"),
            (b"A=\"secret\\", 1, "no closing quote"),
            (b"A='secret'x", 1, "text behind the closing quote"),
            (b"A=\"secret\" # x", 1, "text behind the closing quote"),
            (b"A=sec\0ret", 1, "a zero byte, which no variable can contain"),
        ];
        for (text, line, reason) in rows {
            let problem = outcome(text).unwrap_err();
            assert_eq!(problem, Problem { line: *line, reason }, "{:?}", String::from_utf8_lossy(text));
            assert!(!problem.to_string().contains("secret"));
        }
    }

    #[test]
    fn bounds() {
        let names = |count: usize| (0..count).map(|number| format!("N{number}=x\n")).collect::<String>();
        assert_eq!(read(names(NAMES_MAX).as_bytes()).map(|all| all.len()), Ok(NAMES_MAX));
        assert_eq!(read(names(NAMES_MAX + 1).as_bytes()).unwrap_err().line, 1025);
        // The same name again is not one more.
        assert!(read(format!("{}N0=y\n", names(NAMES_MAX)).as_bytes()).is_ok());
        let long = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
        assert!(outcome(long(FILE_BYTES_MAX).as_bytes()).is_ok());
        assert!(outcome(long(FILE_BYTES_MAX + 1).as_bytes()).is_err());
        assert_eq!(read(b"A=\xff\xfe").unwrap().values().next(), Some(&vec![0xff, 0xfe]));
    }
}
