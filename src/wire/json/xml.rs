//! Values that were written as XML-RPC, as JSON: for answers that are never a tree of values.

use super::{double, push_text};

/// A document in the layout of [`Writer`](crate::wire::xmlrpc::Writer) that is being written as JSON, piece by piece.
pub struct Conversion {
    xml: Vec<u8>,
    /// Where the rest begins, always at a tag or what stands between two.
    at: usize,
    out: String,
}

impl Conversion {
    /// Of which nothing is written yet.
    pub fn new(xml: Vec<u8>) -> Conversion {
        Conversion { out: String::with_capacity(xml.len() / 4), xml, at: 0 }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.xml.capacity() + self.out.capacity()
    }

    /// Goes on for so many bytes, and to the end of the value that they end in. `None` while there is more; at the end the JSON,
    /// or nothing if the document is in another layout.
    pub fn go_on(&mut self, bytes: usize) -> Option<Option<String>> {
        let end = self.at.saturating_add(bytes);
        while self.at < end {
            // A piece is checked by itself: all that is split at are characters of ASCII.
            match step(&self.xml[self.at..], &mut self.out) {
                Some(0) => return Some(Some(std::mem::take(&mut self.out))),
                Some(taken) => self.at += taken,
                None => return Some(None),
            }
        }
        None
    }
}

/// The whole of such a document; nothing if it is in another layout.
pub fn of_xml(xml: Vec<u8>) -> Option<String> {
    let mut conversion = Conversion::new(xml);
    loop {
        if let Some(json) = conversion.go_on(usize::MAX) {
            return json;
        }
    }
}

/// Writes what the next tag says, for a value that is no list its text and end as well; bytes that were read, none at the end.
fn step(xml: &[u8], out: &mut String) -> Option<usize> {
    let Some(begin) = find(b'<', xml) else { return Some(0) };
    let behind = begin + 1 + find(b'>', &xml[begin + 1..])?;
    let tag = std::str::from_utf8(&xml[begin + 1..behind]).ok()?;
    let rest = &xml[behind + 1..];
    // Another one of an array or a struct: what stands before it is its beginning, the name of a member, or the one before.
    if matches!(tag, "value" | "member") && !out.is_empty() && !out.ends_with(['[', '{', ' ']) {
        out.push_str(", ");
    }
    match tag {
        "value" | "/value" | "member" | "/member" | "data" | "/data" => {}
        "array" => out.push('['),
        "/array" => out.push(']'),
        "struct" => out.push('{'),
        "/struct" => out.push('}'),
        "nil/" => out.push_str("null"),
        _ => {
            let end = find(b'<', rest)?;
            let text = std::str::from_utf8(&rest[..end]).ok()?;
            rest[end..].strip_prefix(b"</")?.strip_prefix(tag.as_bytes())?.strip_prefix(b">")?;
            match tag {
                "int" | "i8" => out.push_str(text),
                "boolean" => out.push_str(if text == "1" { "true" } else { "false" }),
                "double" => out.push_str(&double(text.parse().ok()?)),
                "name" | "string" | "dateTime.iso8601" => push_string(out, text)?,
                "base64" => push_string(out, &text.replace('\n', ""))?,
                _ => return None,
            }
            if tag == "name" {
                out.push_str(": ");
            }
            return Some(behind + 1 + end + tag.len() + 3);
        }
    }
    Some(behind + 1)
}

fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|other| *other == byte)
}

/// A string, of which the three characters of markup are escaped.
fn push_string(out: &mut String, text: &str) -> Option<()> {
    out.push('"');
    push_xml_text(out, text)?;
    out.push('"');
    Some(())
}

/// A piece of such a string's text, without quotes around it; nothing if something else is escaped.
pub fn push_xml_text(out: &mut String, text: &str) -> Option<()> {
    let mut pieces = text.split('&');
    push_text(out, pieces.next()?);
    for piece in pieces {
        let (name, text) = piece.split_once(';')?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            _ => return None,
        });
        push_text(out, text);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;
    use crate::wire::value::{Value, record};
    use crate::wire::xmlrpc::Writer;

    fn xml(value: &Value) -> Vec<u8> {
        let mut xml = Vec::new();
        Writer::new(&mut xml).value(value);
        xml
    }

    #[test]
    fn the_same_json_comes_of_a_value_and_of_its_xml() {
        let rows = [
            Value::Nil,
            Value::Bool(true),
            Value::Bool(false),
            Value::Int(-5),
            Value::Int(i64::MAX),
            Value::Double(1e300),
            Value::Double(-2.5),
            Value::str(""),
            Value::str("[{ &amp; <a>&lt;\"\\\n\té\u{1f600}: "),
            Value::DateTime("20260101T00:00:00".into()),
            Value::Base64((0..=255).collect()),
            Value::Array(Vec::new()),
            Value::Struct(Vec::new()),
            Value::Array(vec![Value::str("["), Value::Array(vec![Value::Nil, Value::str("{")]), Value::Int(1)]),
            record([
                ("a [", Value::str("x: ")),
                ("b<", Value::Array(vec![record([]), record([("c", Value::Int(1)), ("d", Value::Bool(true))])])),
                ("", Value::Nil),
            ]),
        ];
        for value in rows {
            assert_eq!(of_xml(xml(&value)).as_deref(), Some(&*write(&value)), "{value:?}");
            let (mut conversion, mut turns) = (Conversion::new(xml(&value)), 1);
            let json = loop {
                match conversion.go_on(1) {
                    Some(json) => break json,
                    None => turns += 1,
                }
            };
            assert_eq!((json.as_deref(), turns > 2), (Some(&*write(&value)), true), "{value:?}, tag by tag");
        }
    }

    #[test]
    fn what_is_in_another_layout_is_nothing() {
        for text in ["<a>", "<a>x</a>", "<int>1", "<int>1</i8>", "<string>&x;</string>", "<string>&</string>", "<value"]
        {
            assert_eq!(of_xml(text.into()), None, "{text}");
        }
    }
}
