//! Reading JSON, as Python's `json.loads` reads it: `NaN` and `Infinity` are numbers.

use std::borrow::Cow;

use super::super::value::Value;

/// Arrays and objects may be nested so deep: what is read is ours, a few levels deep, and a reader that calls itself must
/// not be led to the end of its stack.
const DEPTH_MAX: usize = 64;

/// The value that the whole text is; nothing if it is not JSON, deeper than [`DEPTH_MAX`], has an integer beyond 64 bits or
/// half of a surrogate pair. Of repeated members all are kept.
pub fn read(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// A value, the blanks around it included.
    fn value(&mut self, depth: usize) -> Option<Value> {
        self.blanks();
        let value = match self.rest.as_bytes().first()? {
            b'{' if depth < DEPTH_MAX => self.object(depth)?,
            b'[' if depth < DEPTH_MAX => self.array(depth)?,
            b'"' => Value::Str(Cow::Owned(self.string()?)),
            b'0'..=b'9' => self.number()?,
            b'-' if !self.rest.starts_with("-I") => self.number()?,
            _ => self.word()?,
        };
        self.blanks();
        Some(value)
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut members = Vec::new();
        self.take("{");
        self.blanks();
        if self.take("}") {
            return Some(Value::Struct(members));
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.blanks();
            self.take(":").then_some(())?;
            members.push((Cow::Owned(name), self.value(depth + 1)?));
            if !self.take(",") {
                return self.take("}").then_some(Value::Struct(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        let mut values = Vec::new();
        self.take("[");
        self.blanks();
        if self.take("]") {
            return Some(Value::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if !self.take(",") {
                return self.take("]").then_some(Value::Array(values));
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take("\"").then_some(())?;
        let mut out = String::new();
        loop {
            let plain = self.rest.find(|c| matches!(c, '"' | '\\' | '\0'..='\x1f'))?;
            out.push_str(self.split(plain));
            match self.next()? {
                '"' => return Some(out),
                '\\' => out.push(self.escape()?),
                _ => return None,
            }
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            c @ ('"' | '\\' | '/') => c,
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.unit()?;
                let pair = match first {
                    0xd800..=0xdbff if self.take("\\u") => [first, self.unit()?],
                    _ => return char::from_u32(u32::from(first)),
                };
                char::decode_utf16(pair).next()?.ok()?
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u16> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        let unit = u16::from_str_radix(digits, 16).ok()?;
        self.split(4);
        Some(unit)
    }

    fn number(&mut self) -> Option<Value> {
        let text = self.rest;
        let len_before = text.len();
        self.take("-");
        if !self.take("0") {
            self.digits()?;
        }
        let mut is_integer = true;
        if self.take(".") {
            is_integer = false;
            self.digits()?;
        }
        if self.take("e") || self.take("E") {
            is_integer = false;
            let _has_sign = self.take("+") || self.take("-");
            self.digits()?;
        }
        let number = &text[..len_before - self.rest.len()];
        if is_integer { number.parse().ok().map(Value::Int) } else { number.parse().ok().map(Value::Double) }
    }

    fn digits(&mut self) -> Option<()> {
        let len = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        self.split(len);
        (len > 0).then_some(())
    }

    fn word(&mut self) -> Option<Value> {
        let words = [
            ("null", Value::Nil),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Double(f64::NAN)),
            ("Infinity", Value::Double(f64::INFINITY)),
            ("-Infinity", Value::Double(f64::NEG_INFINITY)),
        ];
        words.into_iter().find_map(|(word, value)| self.take(word).then_some(value))
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, wanted: &str) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.split(c.len_utf8());
        Some(c)
    }

    /// Goes on by `len` bytes, which it returns.
    fn split(&mut self, len: usize) -> &'a str {
        let (head, rest) = self.rest.split_at(len);
        self.rest = rest;
        head
    }
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;

    #[test]
    fn what_is_json() {
        let rows: &[(&str, &str)] = &[
            (r#"{"msg": "No need to update", "type": "error"}"#, r#"{"msg": "No need to update", "type": "error"}"#),
            (" [ 1 ,\n-2,3.5e1 ,[],{ } ]\t\r", "[1, -2, 35.0, [], {}]"),
            (r#"{"a":{"b":[null,true,false]}}"#, r#"{"a": {"b": [null, true, false]}}"#),
            (r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀""#, r#""\"\\/\b\f\n\r\t\u00e9\ud83d\ude00\u00e9\ud83d\ude00""#),
            ("[NaN,Infinity,-Infinity,1e999,-0,0.5E-7]", "[NaN, Infinity, -Infinity, Infinity, 0, 5e-08]"),
            ("-9223372036854775808", "-9223372036854775808"),
        ];
        for (input, expected) in rows {
            assert_eq!(read(input).map(|value| write(&value)).as_deref(), Some(*expected), "{input}");
            // None of it is JSON when the end is missing, and nothing may follow.
            let input = input.trim();
            for cut in (1..input.len()).filter(|&cut| input.is_char_boundary(cut) && input.starts_with(['{', '[', '"']))
            {
                assert_eq!(read(&input[..cut]), None, "{input} up to {cut}");
            }
            assert_eq!(read(&format!("{input} x")), None, "{input}");
        }
    }

    #[test]
    fn what_is_not() {
        let rows = [
            "",
            " ",
            "nul",
            "True",
            "'a'",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "1e+",
            "--1",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{a: 1}",
            "{\"a\"}",
            "{\"a\": 1,}",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12é4\"",
            "\"\\u+123\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "9223372036854775808",
            "1 2",
            "\u{a0}1",
            "\u{feff}1",
        ];
        for input in rows {
            assert_eq!(read(input), None, "{input:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(read(&nested(DEPTH_MAX)).is_some());
        assert_eq!(read(&nested(DEPTH_MAX + 1)), None);
        assert_eq!(read(&"[{\"a\":".repeat(100_000)), None);
    }
}
