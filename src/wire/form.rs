//! URL-encoded forms and percent-quoting, as Python's `urllib.parse` does both.

/// Fields of a form that are read, of the query and of the body each; the pages know four, a call two.
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
    let with_value = pairs(text).filter(|(_, value)| !value.is_empty());
    with_value.map(|(name, value)| (unquote_field(name), unquote_field(value))).take(FIELDS_MAX).collect()
}

/// All fields of a query or an urlencoded body, those without a value too; nothing if there are more than a form has room for.
pub fn every_field(text: &str) -> Option<Vec<(String, String)>> {
    let some = pairs(text).take(FIELDS_MAX + 1);
    let fields: Vec<_> = some.map(|(name, value)| (unquote_field(name), unquote_field(value))).collect();
    (fields.len() <= FIELDS_MAX).then_some(fields)
}

/// Names and values, still quoted.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The parts of a path between its slashes, each unquoted by itself, so that a quoted slash is one of a name: `/a/b%2Fc` has two
/// parts. There may be empty ones.
pub fn path_parts(path: &str) -> impl Iterator<Item = String> {
    path.strip_prefix('/').unwrap_or(path).split('/').map(unquote)
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
    fn every_field_is_read_also_if_it_is_empty() {
        let rows: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("&&", &[]),
            ("a", &[("a", "")]),
            ("a=", &[("a", "")]),
            ("=1", &[("", "1")]),
            ("a=1&a=&b=3", &[("a", "1"), ("a", ""), ("b", "3")]),
            ("a=b=c", &[("a", "b=c")]),
            ("%61=x+y%2Bz%26", &[("a", "x y+z&")]),
            ("a=%C3%A9%FF%", &[("a", "\u{e9}\u{fffd}%")]),
            ("&&a=1&", &[("a", "1")]),
        ];
        for (text, expected) in rows {
            let fields = every_field(text).expect("few");
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(fields, *expected, "{text:?}");
        }
        assert_eq!(every_field(&"a&".repeat(FIELDS_MAX)).map(|fields| fields.len()), Some(FIELDS_MAX));
        assert_eq!(every_field(&"a&".repeat(FIELDS_MAX + 1)), None);
    }

    #[test]
    fn parts_of_a_path() {
        let rows: &[(&str, &[&str])] = &[
            ("", &[""]),
            ("/", &[""]),
            ("/a", &["a"]),
            ("a/b", &["a", "b"]),
            ("/a/", &["a", ""]),
            ("//a", &["", "a"]),
            ("/a//b", &["a", "", "b"]),
            ("/a/b%2Fc", &["a", "b/c"]),
            ("/a%2f", &["a/"]),
            ("/g:*/x+y%20z", &["g:*", "x+y z"]),
            ("/%C3%A9/\u{e9}/%E9", &["\u{e9}", "\u{e9}", "\u{fffd}"]),
            ("/%00%25/%/%2/%zz", &["\0%", "%", "%2", "%zz"]),
        ];
        for (path, expected) in rows {
            assert_eq!(path_parts(path).collect::<Vec<_>>(), *expected, "{path:?}");
        }
        // Every name there is comes through, beside others.
        for c in (0..=0x2ff).chain([0x2028, 0xffff, 0x1f600]).filter_map(char::from_u32) {
            let name = format!("{c}x{c}");
            let quoted = quote(&name).replace('/', "%2F");
            assert_eq!(path_parts(&format!("/a/{quoted}/b")).collect::<Vec<_>>(), ["a", &name, "b"]);
            assert_eq!(every_field(&format!("n={quoted}")), Some(vec![("n".to_string(), name)]));
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
