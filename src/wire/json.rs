//! JSON, written as Python's `json.dumps` writes it: a blank after each comma and colon, everything beyond ASCII escaped,
//! so that a client sees the same bytes: `{"msg": "No need to update", "type": "error"}`. [`read`] is the way back.

use std::fmt::Write;

use super::pyrepr;
use super::scan;
use super::value::Value;

mod read;
mod xml;

pub use read::read;
pub use xml::{Conversion, of_xml, push_xml_text};

/// A value as JSON. Members keep their order. What JSON has no type for is a string: dates as they are, bytes as base64.
/// Numbers that are none are `NaN` and `Infinity`, as Python has them.
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

/// A JSON string, with its quotes.
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    out
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Double(number) => out.push_str(&double(*number)),
        Value::Str(text) => write_string(out, text),
        Value::DateTime(text) => write_string(out, text),
        Value::Base64(bytes) => {
            use base64::Engine;
            write_string(out, &base64::engine::general_purpose::STANDARD.encode(bytes));
        }
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_value(out, value);
            }
            out.push(']');
        }
        Value::Struct(members) => {
            out.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_string(out, name);
                out.push_str(": ");
                write_value(out, value);
            }
            out.push('}');
        }
    }
}

fn double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_string();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_string();
    }
    pyrepr::float(number)
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    push_text(out, text);
    out.push('"');
}

/// A piece of a string's text, without quotes around it.
fn push_text(out: &mut String, text: &str) {
    let mut copied = 0;
    let bytes = text.as_bytes();
    let mut at = 0;
    // What needs nothing is copied in one go: logs are long.
    while let Some(found) =
        scan::position(&bytes[at..], |byte| !(b' '..=b'~').contains(&byte) | (byte == b'"') | (byte == b'\\'))
    {
        at += found;
        out.push_str(&text[copied..at]);
        let Some(c) = text[at..].chars().next() else { break };
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            _ => write_escaped(out, c),
        }
        at += c.len_utf8();
        copied = at;
    }
    out.push_str(&text[copied..]);
}

/// `\uXXXX`; two of them for a character beyond the first plane.
fn write_escaped(out: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let written = write!(out, "\\u{unit:04x}");
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let message =
            Value::Struct(vec![("msg".into(), Value::str("No need to update")), ("type".into(), Value::str("error"))]);
        let rows: Vec<(Value, &str)> = vec![
            (message, r#"{"msg": "No need to update", "type": "error"}"#),
            (Value::Nil, "null"),
            (Value::Bool(true), "true"),
            (Value::Bool(false), "false"),
            (Value::Int(-5), "-5"),
            (Value::Double(1.0), "1.0"),
            (Value::Double(f64::NEG_INFINITY), "-Infinity"),
            (Value::Double(f64::NAN), "NaN"),
            (Value::DateTime("20260101T00:00:00".into()), "\"20260101T00:00:00\""),
            (Value::Base64(b"\x00\xff".to_vec()), "\"AP8=\""),
            (Value::Array(vec![]), "[]"),
            (Value::Struct(vec![]), "{}"),
            (Value::Array(vec![Value::Int(1), Value::Array(vec![Value::Nil])]), "[1, [null]]"),
        ];
        for (value, expected) in rows {
            assert_eq!(write(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn strings() {
        let rows: &[(&str, &str)] = &[
            ("", r#""""#),
            ("a\"b\\c/d", r#""a\"b\\c/d""#),
            ("\n\r\t\x08\x0c\x00\x1f\x7f", "\"\\n\\r\\t\\b\\f\\u0000\\u001f\\u007f\""),
            ("é\u{2028}😀", r#""\u00e9\u2028\ud83d\ude00""#),
            ("</script>", r#""</script>""#),
        ];
        for (input, expected) in rows {
            assert_eq!(string(input), *expected, "{input:?}");
        }
    }
}
