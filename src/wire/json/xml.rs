//! Values that were written as XML-RPC, as JSON: for answers that are never a tree of values.

use super::{double, push_text};

/// Values in the layout of [`Writer`](crate::wire::xmlrpc::Writer) as JSON, several one behind the other; nothing if they are in
/// another one.
pub fn of_xml(xml: &str) -> Option<String> {
    let mut out = String::with_capacity(xml.len() / 2);
    let mut rest = xml;
    while let Some((_, tag)) = rest.split_once('<') {
        let (tag, behind) = tag.split_once('>')?;
        rest = behind;
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
                let (text, behind) = rest.split_once("</")?;
                rest = behind.strip_prefix(tag)?.strip_prefix('>')?;
                match tag {
                    "int" | "i8" => out.push_str(text),
                    "boolean" => out.push_str(if text == "1" { "true" } else { "false" }),
                    "double" => out.push_str(&double(text.parse().ok()?)),
                    "name" | "string" | "dateTime.iso8601" => push_string(&mut out, text)?,
                    "base64" => push_string(&mut out, &text.replace('\n', ""))?,
                    _ => return None,
                }
                if tag == "name" {
                    out.push_str(": ");
                }
            }
        }
    }
    Some(out)
}

/// A string, of which the three characters of markup are escaped.
fn push_string(out: &mut String, text: &str) -> Option<()> {
    out.push('"');
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
    out.push('"');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;
    use crate::wire::value::{Value, record};
    use crate::wire::xmlrpc::Writer;

    fn xml(value: &Value) -> String {
        let mut xml = Vec::new();
        Writer::new(&mut xml).value(value);
        String::from_utf8(xml).expect("UTF-8")
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
            assert_eq!(of_xml(&xml(&value)).as_deref(), Some(&*write(&value)), "{value:?}");
        }
    }

    #[test]
    fn what_is_in_another_layout_is_nothing() {
        for text in ["<a>", "<a>x</a>", "<int>1", "<int>1</i8>", "<string>&x;</string>", "<string>&</string>", "<value"]
        {
            assert_eq!(of_xml(text), None, "{text}");
        }
    }
}
