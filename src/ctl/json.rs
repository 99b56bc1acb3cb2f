//! JSON that a method answers as a string (X-121), read into the values of XML-RPC.

use std::borrow::Cow;

use crate::wire::value::Value;

/// Arrays and objects within each other; the answers have two.
const DEPTH_MAX: usize = 16;

/// The value of a whole text; `None` if it is not JSON, or too deep. Numbers with a fraction or an exponent are
/// doubles.
pub fn read(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text };
    let value = reader.value(DEPTH_MAX)?;
    reader.blanks();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn eat(&mut self, token: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        if self.eat("[") {
            let mut values = Vec::new();
            self.list("]", |reader| {
                values.push(reader.value(depth)?);
                Some(())
            })?;
            return Some(Value::Array(values));
        }
        if self.eat("{") {
            let mut members = Vec::new();
            self.list("}", |reader| {
                let name = reader.eat("\"").then(|| reader.string()).flatten()?;
                if !reader.eat(":") {
                    return None;
                }
                members.push((Cow::Owned(name), reader.value(depth)?));
                Some(())
            })?;
            return Some(Value::Struct(members));
        }
        if self.eat("\"") {
            return self.string().map(Value::from);
        }
        for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Nil)] {
            if self.eat(word) {
                return Some(value);
            }
        }
        self.number()
    }

    /// Items with commas between them, up to the closing token.
    fn list(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.eat(close) {
            return Some(());
        }
        loop {
            item(self)?;
            if self.eat(close) {
                return Some(());
            }
            if !self.eat(",") {
                return None;
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        match digits.parse::<i64>() {
            Ok(number) => Some(Value::Int(number)),
            Err(_) => digits.parse().ok().map(Value::Double),
        }
    }

    /// What follows an opening quote, up to the closing one.
    fn string(&mut self) -> Option<String> {
        let mut out = String::new();
        let mut chars = self.rest.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => match chars.next()? {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'b' => out.push('\u{8}'),
                    'f' => out.push('\u{c}'),
                    'u' => out.push(escaped(&mut chars)?),
                    c @ ('"' | '\\' | '/') => out.push(c),
                    _ => return None,
                },
                c => out.push(c),
            }
        }
        self.rest = chars.as_str();
        Some(out)
    }
}

/// What follows `\u`: four hexadecimal digits, or a pair of surrogates.
fn escaped(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let unit = |chars: &mut std::str::Chars<'_>| {
        let digits = chars.as_str().get(..4)?;
        *chars = chars.as_str()[4..].chars();
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(chars)?;
    if !(0xD800..0xDC00).contains(&first) {
        return char::from_u32(first);
    }
    *chars = chars.as_str().strip_prefix("\\u")?.chars();
    let second = unit(chars)?.checked_sub(0xDC00).filter(|&low| low < 0x400)?;
    char::from_u32(0x10000 + ((first - 0xD800) << 10) + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let object = |members: &[(&'static str, Value)]| {
            Value::Struct(members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
        };
        let rows = [
            (r#"{"msg": "No need", "type": "error"}"#, Some(object(&[("msg", "No need".into()), ("type", "error".into())]))),
            (r#"{"a": [], "b": {}}"#, Some(object(&[("a", Value::Array(vec![])), ("b", object(&[]))]))),
            (r#" [1, -2, 2.5, true, null] "#, Some(Value::Array(vec![
                1.into(), (-2).into(), Value::Double(2.5), true.into(), Value::Nil,
            ]))),
            (r#""a\n\"\\\u00e9\ud83d\ude00""#, Some("a\n\"\\é😀".into())),
            (r#""\ud83d""#, None),
            (r#""open"#, None),
            ("[1,]", None),
            ("[1 2]", None),
            ("1 2", None),
            ("nope", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text), expected, "{text}");
            assert_eq!(read(&format!("{text}]")), None, "{text} and more");
        }
        assert_eq!(read(&"[".repeat(100)), None);
    }
}
