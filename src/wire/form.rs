//! URL-encoded forms and percent-quoting, as Python's `urllib.parse` does both.

/// Fields of a form that are read, of the query and of the body each; the pages know four.
const FIELDS_MAX: usize = 100;

/// The fields of a request: those of its query and those of its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    query: Vec<(String, String)>,
    body: Vec<(String, String)>,
}

impl Form {
    /// Reads the query of the target and the urlencoded body, either of which may be empty.
    pub fn parse(query: &str, body: &[u8]) -> Form {
        Form { query: fields(query), body: fields(&String::from_utf8_lossy(body)) }
    }

    /// The value of a field: the last in the body, else the first in the query. Fields without a value do not exist.
    pub fn get(&self, name: &str) -> Option<&str> {
        let in_body = self.body.iter().rev().find(|(key, _)| key == name);
        let field = in_body.or_else(|| self.query.iter().find(|(key, _)| key == name));
        field.map(|(_, value)| value.as_str())
    }
}

fn fields(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('=')).filter(|(_, value)| !value.is_empty());
    pairs.map(|(name, value)| (unquote_field(name), unquote_field(value))).take(FIELDS_MAX).collect()
}

/// Undoes the quoting of a form's name or value, where `+` stands for a blank.
fn unquote_field(text: &str) -> String {
    unquote(&text.replace('+', " "))
}

/// Undoes percent-quoting. A percent sign without two hexadecimal digits stands for itself; what is then not UTF-8
/// becomes U+FFFD.
pub fn unquote(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let digit = |at: usize| more.get(at).and_then(|&byte| (byte as char).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Percent-quotes everything but ASCII letters, digits and `_.-~/`.
pub fn quote(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~/".contains(&byte) {
            quoted.push(byte as char);
        } else {
            quoted.push('%');
            quoted.push(HEX[usize::from(byte >> 4)] as char);
            quoted.push(HEX[usize::from(byte & 15)] as char);
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_query_and_body() {
        let rows: &[(&str, &str, Option<&str>)] = &[
            ("", "", None),
            ("a=1", "", Some("1")),
            ("", "a=1", Some("1")),
            ("a=1", "a=2", Some("2")),
            ("a=1&a=2", "", Some("1")),
            ("", "a=1&a=2", Some("2")),
            ("a=1", "b=2", Some("1")),
            ("a=", "", None),
            ("a", "", None),
            ("a=&a=2", "", Some("2")),
            ("a=1", "a=", Some("1")),
            ("a=b=c", "", Some("b=c")),
            ("a=x+y%2Bz%26", "", Some("x y+z&")),
            ("%61=1", "", Some("1")),
            ("b=1;a=2", "", None),
            ("a=%C3%A9é%FF%", "", Some("éé\u{fffd}%")),
            ("&&a=1&", "", Some("1")),
        ];
        for (query, body, expected) in rows {
            assert_eq!(Form::parse(query, body.as_bytes()).get("a"), *expected, "{query:?} {body:?}");
        }
    }

    #[test]
    fn a_form_is_bounded() {
        let form = Form::parse(&("b=1&".repeat(FIELDS_MAX) + "a=1"), b"");
        assert_eq!((form.get("b"), form.get("a")), (Some("1"), None));
    }

    #[test]
    fn quoting() {
        let rows = [
            ("", ""),
            ("cat", "cat"),
            ("g:a", "g%3Aa"),
            ("a b/c~d_e.f-g", "a%20b/c~d_e.f-g"),
            ("é<&+%\n\0", "%C3%A9%3C%26%2B%25%0A%00"),
            (
                "Page refreshed at Sat Nov 21 02:58:33 2026",
                "Page%20refreshed%20at%20Sat%20Nov%2021%2002%3A58%3A33%202026",
            ),
        ];
        for (text, quoted) in rows {
            assert_eq!(quote(text), quoted);
            assert_eq!(unquote(quoted), text);
        }
        let rows = [
            ("%", "%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%%41", "%A"),
            ("a+b", "a+b"),
            ("%e9", "\u{fffd}"),
            ("%é1", "%é1"),
        ];
        for (text, expected) in rows {
            assert_eq!(unquote(text), expected, "{text:?}");
        }
    }
}
