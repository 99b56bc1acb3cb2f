//! Python's repr of text, bytes and numbers, which messages of the original contain (`[line  2]: 'x\n'`), and the form in
//! which child output stands in the activity log. Pure formatting: nothing here is read back.

use std::borrow::Cow;
use std::fmt::Write;

use super::value::Value;

/// The repr of a string: `'a\n'`, in double quotes if the text holds a single quote and no double one. What Python calls
/// not printable is escaped.
pub fn text(text: &str) -> String {
    quoted(text, is_printable)
}

/// Python's `ascii()`: the repr with everything beyond ASCII escaped.
pub fn ascii(text: &str) -> String {
    quoted(text, |c| matches!(c, ' '..='~'))
}

/// The repr of bytes: `b'\x88\n'`.
pub fn bytes(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut out = String::with_capacity(bytes.len() + 3);
    out.push('b');
    out.push(quote);
    for &byte in bytes {
        push_char(&mut out, char::from(byte), quote, |c| matches!(c, ' '..='~'));
    }
    out.push(quote);
    out
}

/// Child output as the activity log shows it: the text, or `Undecodable: b'…'` with the whole chunk if that is not UTF-8
/// (L-32).
pub fn utf8_or_undecodable(chunk: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(chunk) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(format!("Undecodable: {}", bytes(chunk))),
    }
}

/// The repr of a float: the shortest digits that read back as the same number, always with a point or an exponent
/// (`1.0`, `1e+16`); `inf`, `-inf`, `nan`.
pub fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    // Both languages take the fewest digits that will do, but where two such numbers are equally near Python takes the
    // even one: `.decimals$` rounds so.
    let shortest = format!("{value:e}");
    let decimals = shortest.split_once('e').map_or(0, |(digits, _)| digits.trim_start_matches('-').len().max(2) - 2);
    let rounded = format!("{value:.decimals$e}");
    let scientific = if rounded.parse() == Ok(value) { rounded } else { shortest };
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
    let decimals = decimals as i32 - exponent;
    format!("{value:.*}", decimals.max(1) as usize)
}

/// The repr of a value of XML-RPC: `{'a': [1, True, None]}`. A date shows its text, binary data its bytes.
pub fn value(value: &Value) -> String {
    match value {
        Value::Nil => "None".to_string(),
        Value::Bool(true) => "True".to_string(),
        Value::Bool(false) => "False".to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => float(*number),
        Value::Str(string) => text(string),
        Value::DateTime(date) => text(date),
        Value::Base64(data) => bytes(data),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(self::value).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Struct(members) => {
            let members = members.iter().map(|(name, member)| format!("{}: {}", text(name), self::value(member)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

fn quoted(text: &str, is_plain: impl Fn(char) -> bool) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        push_char(&mut out, c, quote, &is_plain);
    }
    out.push(quote);
    out
}

fn push_char(out: &mut String, c: char, quote: char, is_plain: impl Fn(char) -> bool) {
    let escaped = match c {
        '\\' => out.write_str("\\\\"),
        '\t' => out.write_str("\\t"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        _ if c == quote => write!(out, "\\{c}"),
        _ if is_plain(c) => out.write_char(c),
        '\0'..='\u{ff}' => write!(out, "\\x{:02x}", u32::from(c)),
        '\u{100}'..='\u{ffff}' => write!(out, "\\u{:04x}", u32::from(c)),
        _ => write!(out, "\\U{:08x}", u32::from(c)),
    };
    debug_assert!(escaped.is_ok(), "writing to a string does not fail");
}

/// Python's `str.isprintable` for one character: not a control, format, private or unassigned character, and no blank but
/// the space.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    // Rust escapes the same categories, and combining marks besides when they come first: hence the letter before.
    let mut pair = [b'a'; 5];
    let len = 1 + c.encode_utf8(&mut pair[1..]).len();
    std::str::from_utf8(&pair[..len]).is_ok_and(|pair| pair.escape_debug().nth(1) != Some('\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        let rows: &[(&str, &str)] = &[
            ("", "''"),
            ("plain", "'plain'"),
            ("it's", "\"it's\""),
            ("\"", "'\"'"),
            ("'\"", "'\\'\"'"),
            ("a\\b", "'a\\\\b'"),
            ("\t\n\r\x0b\x00\x1b\x7f", "'\\t\\n\\r\\x0b\\x00\\x1b\\x7f'"),
            ("é\u{85}\u{a0}\u{ad}", "'é\\x85\\xa0\\xad'"),
            ("\u{feff}[supervisord]\n", "'\\ufeff[supervisord]\\n'"),
            ("e\u{301}", "'e\u{301}'"),
            ("\u{301}", "'\u{301}'"),
            ("\u{2028}\u{3000}\u{e000}", "'\\u2028\\u3000\\ue000'"),
            ("😀\u{e0001}\u{10ffff}", "'😀\\U000e0001\\U0010ffff'"),
        ];
        for (input, expected) in rows {
            assert_eq!(text(input), *expected, "{input:?}");
        }
        assert_eq!(ascii("é'😀"), "\"\\xe9'\\U0001f600\"");
    }

    #[test]
    fn byte_strings() {
        let rows: &[(&[u8], &str)] = &[
            (b"", "b''"),
            (b"\x88\n", "b'\\x88\\n'"),
            (b"READY\n", "b'READY\\n'"),
            (b"it's", "b\"it's\""),
            (b"'\"", "b'\\'\"'"),
            (b"\\\x00\x7f\xff", "b'\\\\\\x00\\x7f\\xff'"),
        ];
        for (input, expected) in rows {
            assert_eq!(bytes(input), *expected, "{input:?}");
        }
    }

    #[test]
    fn output_in_the_activity_log() {
        assert!(matches!(utf8_or_undecodable("grün\n".as_bytes()), Cow::Borrowed("grün\n")));
        assert_eq!(utf8_or_undecodable(b"\x88\n"), "Undecodable: b'\\x88\\n'");
    }

    #[test]
    fn values() {
        let structure = Value::Struct(vec![
            ("it's".into(), Value::Array(vec![Value::Nil, Value::Bool(true), Value::Bool(false)])),
            ("b".into(), Value::Base64(vec![0xff])),
            ("d".into(), Value::DateTime("20260101T00:00:00".into())),
        ]);
        let rows = [
            (structure, "{\"it's\": [None, True, False], 'b': b'\\xff', 'd': '20260101T00:00:00'}"),
            (Value::Array(vec![]), "[]"),
            (Value::Struct(vec![]), "{}"),
            (Value::Int(-5), "-5"),
            (Value::Double(1.0), "1.0"),
            (Value::str("a\n"), "'a\\n'"),
        ];
        for (input, expected) in rows {
            assert_eq!(value(&input), expected, "{input:?}");
        }
    }

    #[test]
    fn floats() {
        let rows: &[(f64, &str)] = &[
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e-5, "1.5e-05"),
            (0.0001, "0.0001"),
            (-2.5e300, "-2.5e+300"),
            (5e-324, "5e-324"),
            (2703565937443885.0 / 4.0, "675891484360971.2"),
            (123.0, "123.0"),
            (9007199254740992.0, "9007199254740992.0"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (input, expected) in rows {
            assert_eq!(float(*input), *expected);
        }
    }
}
