//! The list of `environment=`: `KEY=value,KEY2="other value"` (C-78 to C-81).
//!
//! Two grammars. The *plain* one is that of 4.3.0, without escapes; what it reads whole is read so. Only where it fails, or
//! would cut a value short without a word, the *quoting* one of its successor is asked: backslashes escape, quoted parts
//! join, all letters are letters. Both make a row of tokens, and of both are then taken, again and again, `KEY`, `=`,
//! `VALUE` and one token more, the separator. That is a comma by custom only: `A=1;B=2` is read too.

use std::collections::HashMap;

/// Word characters besides ASCII letters and digits.
const WORD_PUNCTUATION: &str = "_/.+-():";

/// The pairs in order of their first appearance; of a repeated key the last value holds.
///
/// Errors: the message of C-81.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let plain = read(text, Grammar::Plain);
    if plain.as_ref().is_ok_and(|pairs| pairs.is_whole) {
        return plain.map(|pairs| pairs.list);
    }
    match read(text, Grammar::Quoting) {
        Ok(pairs) if pairs.is_whole => Ok(pairs.list),
        _ => plain.map(|pairs| pairs.list),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Grammar {
    Plain,
    Quoting,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Word characters or something quoted.
    Word,
    /// Any other single character.
    Other,
}

struct Token {
    text: String,
    kind: Kind,
    /// Whether it begins where the one before ends.
    is_adjacent: bool,
}

#[derive(Default)]
struct Pairs {
    list: Vec<(String, String)>,
    /// Whether 4.3.0 would have dropped nothing but separators.
    is_whole: bool,
}

fn read(text: &str, grammar: Grammar) -> Result<Pairs, String> {
    let mut tokens = Lexer { rest: text, grammar }.tokens()?.into_iter().peekable();
    let mut pairs = Pairs { list: Vec::new(), is_whole: true };
    let mut index: HashMap<String, usize> = HashMap::new();
    while let Some(key) = tokens.next() {
        let equals = tokens.next().filter(|token| token.kind == Kind::Other && token.text == "=");
        let (Some(_), Some(value)) = (equals, tokens.next()) else {
            return Err(format!("Unexpected end of key/value pairs in value '{text}'"));
        };
        let mut value = grammar.value(&value.text).to_string();
        if let Some(separator) = tokens.next().filter(|token| !is_separator(token, tokens.peek().is_none())) {
            // The original drops this one without a word: `a b` became `a`, `~/x` became `~`.
            value.push_str(if separator.is_adjacent { "" } else { " " });
            value.push_str(grammar.value(&separator.text));
            pairs.is_whole = false;
        }
        match index.get(&key.text) {
            Some(&at) => pairs.list[at].1 = value,
            None => {
                index.insert(key.text.clone(), pairs.list.len());
                pairs.list.push((key.text, value));
            }
        }
    }
    Ok(pairs)
}

/// Whether a token behind a value separates it from the next pair; else it is part of the value.
fn is_separator(token: &Token, is_last: bool) -> bool {
    let is_letter = token.text.chars().all(char::is_alphanumeric);
    match (token.kind, token.text.as_str()) {
        (Kind::Word, _) => false,
        (Kind::Other, "," | ";") => true,
        (Kind::Other, _) => !(is_letter || is_last && token.is_adjacent),
    }
}

impl Grammar {
    fn is_word(self, c: char) -> bool {
        c.is_ascii_alphanumeric() || WORD_PUNCTUATION.contains(c) || (self == Grammar::Quoting && c.is_alphanumeric())
    }

    /// What a token means as a value: in the plain grammar quotes belong to the token and are taken off here.
    fn value(self, token: &str) -> &str {
        match self {
            Grammar::Plain => token.trim_matches(['\'', '"']),
            Grammar::Quoting => token,
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    grammar: Grammar,
}

impl Lexer<'_> {
    fn tokens(mut self) -> Result<Vec<Token>, String> {
        let mut tokens = Vec::new();
        let mut is_adjacent = false;
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' => {
                    self.next();
                    is_adjacent = false;
                    continue;
                }
                '#' => {
                    self.skip_comment();
                    is_adjacent = false;
                    continue;
                }
                _ => {}
            }
            let mut text = String::new();
            let is_word = match self.grammar {
                Grammar::Plain => self.plain(&mut text)?,
                Grammar::Quoting => self.quoting(&mut text)?,
            };
            let kind = if is_word { Kind::Word } else { Kind::Other };
            text.extend(if is_word { None } else { self.next() });
            tokens.push(Token { text, kind, is_adjacent });
            is_adjacent = true;
        }
        Ok(tokens)
    }

    /// A word of the plain grammar: a quoted run with its quotes, which ends at the closing one, or word characters, among
    /// which quotes are ordinary. False if there is none here.
    fn plain(&mut self, word: &mut String) -> Result<bool, String> {
        match self.peek() {
            Some(quote @ ('\'' | '"')) => {
                let len = self.rest[1..].find(quote).ok_or("No closing quotation")? + 2;
                word.push_str(&self.rest[..len]);
                self.rest = &self.rest[len..];
                return Ok(true);
            }
            Some(c) if self.grammar.is_word(c) => {}
            _ => return Ok(false),
        }
        while let Some(c) = self.peek() {
            match c {
                // The original does not end the word here: it goes on in the next line.
                '#' => self.skip_comment(),
                _ if self.grammar.is_word(c) || matches!(c, '\'' | '"') => word.extend(self.next()),
                _ => break,
            }
        }
        Ok(true)
    }

    /// A word of the quoting grammar, without its quotes and backslashes. False if there is none here.
    fn quoting(&mut self, word: &mut String) -> Result<bool, String> {
        let mut is_word = false;
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.next();
                    word.push(self.next().ok_or("No escaped character")?);
                }
                '\'' | '"' => {
                    self.next();
                    self.quoted(c, word)?;
                }
                _ if self.grammar.is_word(c) => word.extend(self.next()),
                _ => break,
            }
            is_word = true;
        }
        Ok(is_word)
    }

    /// Appends what stands before the closing quote, and takes that; in double quotes `\"` and `\\` are escapes.
    fn quoted(&mut self, quote: char, word: &mut String) -> Result<(), String> {
        while let Some(c) = self.next() {
            match c {
                _ if c == quote => return Ok(()),
                '\\' if quote == '"' && matches!(self.peek(), Some('"' | '\\')) => word.extend(self.next()),
                _ => word.push(c),
            }
        }
        Err("No closing quotation".to_string())
    }

    fn skip_comment(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[(&str, &[(&str, &str)])]) {
        for (input, expected) in rows {
            let expected: Vec<_> = expected.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            assert_eq!(parse(input), Ok(expected), "{input:?}");
        }
    }

    #[test]
    fn as_in_4_3_0() {
        check(&[
            ("", &[]),
            (" \n# nothing\n", &[]),
            ("A=1", &[("A", "1")]),
            ("A=1,", &[("A", "1")]),
            ("A = 1 , B=2", &[("A", "1"), ("B", "2")]),
            ("A=1,\nB=2,\n", &[("A", "1"), ("B", "2")]),
            ("A=1;B=2", &[("A", "1"), ("B", "2")]),
            ("A=1@B=2", &[("A", "1"), ("B", "2")]),
            ("A=1,B=2,A=3", &[("A", "3"), ("B", "2")]),
            ("A=\"\",B=1", &[("A", ""), ("B", "1")]),
            ("A=\"a,b=c d\",B='\"'", &[("A", "a,b=c d"), ("B", "")]),
            ("A='it'", &[("A", "it")]),
            ("A=it's", &[("A", "it's")]),
            ("A=\"it's\"", &[("A", "it's")]),
            ("A='two\nlines'", &[("A", "two\nlines")]),
            ("A=/usr/bin:/bin.d+x-y(z)_", &[("A", "/usr/bin:/bin.d+x-y(z)_")]),
            ("A=\"C:\\\\dir\\n\"", &[("A", "C:\\\\dir\\n")]),
            ("A=\"\\\"", &[("A", "\\")]),
            ("A=1 # one\n,B=2", &[("A", "1"), ("B", "2")]),
            ("A=b#comment\nc", &[("A", "bc")]),
            ("A=\"a#b\"", &[("A", "a#b")]),
            ("A=1 !", &[("A", "1")]),
            ("A==", &[("A", "=")]),
            ("\"A\"=1", &[("\"A\"", "1")]),
        ]);
    }

    #[test]
    fn beyond_4_3_0() {
        check(&[
            ("A=\"it's \\\"x\\\"\"", &[("A", "it's \"x\"")]),
            ("A=\"a\\\"b\"", &[("A", "a\"b")]),
            ("A=\"a\\\"b\",B=\"c\\\\d\"", &[("A", "a\"b"), ("B", "c\\d")]),
            ("A=a\\,b,B=2", &[("A", "a,b"), ("B", "2")]),
            ("A=\"a\"b", &[("A", "ab")]),
            ("A=\"a\"'b'c,B=1", &[("A", "abc"), ("B", "1")]),
            ("A=naïve,B=жук", &[("A", "naïve"), ("B", "жук")]),
            ("A=éa", &[("A", "éa")]),
        ]);
    }

    #[test]
    fn nothing_is_dropped_silently() {
        check(&[
            ("A=$x", &[("A", "$x")]),
            ("A=~/x", &[("A", "~/x")]),
            ("A=a b", &[("A", "a b")]),
            ("A=-Xmx1g -Xms1g", &[("A", "-Xmx1g -Xms1g")]),
            ("A=secret!", &[("A", "secret!")]),
        ]);
    }

    #[test]
    fn errors() {
        let rows = ["A", "A=", "=", "A=1 B=2", "A=a@b", "A=a%b", "A=a*b", "A=a=b", "A=1,,B=2", "A=1,B", "A \"=\" 1"];
        for input in rows {
            let expected = format!("Unexpected end of key/value pairs in value '{input}'");
            assert_eq!(parse(input), Err(expected), "{input:?}");
        }
        for input in ["A=\"x", "A='x", "\"", "A=1,B=\"\\"] {
            assert_eq!(parse(input), Err("No closing quotation".to_string()), "{input:?}");
        }
    }
}
