//! The list of `environment=`: `KEY=value,KEY2="other value"` (C-78 to C-81).
//!
//! Three readings. The *plain* one is that of 4.3.0, without escapes; what it reads whole is read so. Only where it would cut
//! a value short, or make variables of its parts, without a word, the *quoting* one of its successor is asked: backslashes
//! escape, quoted parts join, all letters are letters. Both make a row of tokens, and of both are then taken, again and
//! again, `KEY`, `=`, `VALUE` and one token more, the separator. What that cannot read whole either is read by the *letter*
//! ([`literal`]): a value without quotes is everything up to the next comma, or there is an error that names its variable.

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
        _ => plain.and_then(|_| literal::read(text)),
    }
}

/// Whether 4.3.0 reads the same in a text that [`parse`] reads.
pub fn is_plain(text: &str) -> bool {
    read(text, Grammar::Plain).is_ok_and(|pairs| pairs.is_whole)
}

/// A list as it may be shown: `KEY=…` of each pair, and `…` for all that is none. Commas in quotes separate nothing.
pub fn without_values(text: &str) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut quote = None;
    let is_comma = |c: char| {
        match quote {
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
        quote.is_none() && c == ','
    };
    for pair in text.split(is_comma).filter(|pair| !pair.trim().is_empty()) {
        let key = pair.split_once('=').map(|(key, _)| key.trim());
        let is_key = |key: &&str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
        shown.push(key.filter(is_key).map_or_else(|| "…".to_string(), |key| format!("{key}=…")));
    }
    shown.join(",")
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
    /// Whether quotes say where it ends.
    is_quoted: bool,
}

/// Pairs in the order of their first appearance; of a repeated key the last value holds.
#[derive(Default)]
struct Pairs {
    list: Vec<(String, String)>,
    index: HashMap<String, usize>,
    /// Whether 4.3.0 would have dropped nothing but separators.
    is_whole: bool,
}

impl Pairs {
    fn put(&mut self, key: String, value: String) {
        match self.index.get(&key) {
            Some(&at) => self.list[at].1 = value,
            None => {
                self.index.insert(key.clone(), self.list.len());
                self.list.push((key, value));
            }
        }
    }
}

fn read(text: &str, grammar: Grammar) -> Result<Pairs, String> {
    let mut lexer = Lexer { rest: text, grammar, is_cut: false };
    let mut tokens = lexer.tokens()?.into_iter().peekable();
    let mut pairs = Pairs { is_whole: !lexer.is_cut, ..Pairs::default() };
    while let Some(key) = tokens.next() {
        let equals = tokens.next().filter(|token| token.kind == Kind::Other && token.text == "=");
        let (Some(_), Some(value)) = (equals, tokens.next()) else {
            return Err(format!("Unexpected end of key/value pairs in value '{text}'"));
        };
        if let Some(separator) = tokens.next() {
            pairs.is_whole &= is_separator(&value, &separator, tokens.peek().is_none());
        }
        pairs.put(key.text, grammar.value(&value.text).to_string());
    }
    Ok(pairs)
}

/// Whether a token behind a value separates it from the next pair; else it may be part of the value, which the original
/// drops without a word.
fn is_separator(value: &Token, token: &Token, is_last: bool) -> bool {
    match (token.kind, token.text.as_str()) {
        (Kind::Word, _) => false,
        (Kind::Other, ",") => true,
        (Kind::Other, ";") => value.is_quoted || is_last,
        // Quotes leave no doubt about where the value ends: `A="1"&B="2"`.
        (Kind::Other, sign) => value.is_quoted && !is_last && !sign.chars().all(char::is_alphanumeric),
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
    /// Whether a `#` was taken for the start of a comment that may be part of a value.
    is_cut: bool,
}

impl<'a> Lexer<'a> {
    fn tokens(&mut self) -> Result<Vec<Token>, String> {
        let mut tokens: Vec<Token> = Vec::new();
        let mut is_adjacent = false;
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' => {
                    self.next();
                    is_adjacent = false;
                    continue;
                }
                '#' => {
                    let comment = self.skip_comment();
                    self.is_cut |= match tokens.last() {
                        Some(token) if is_adjacent => match token.text.as_str() {
                            "," | ";" => false,
                            // Behind quotes it is a comment, unless pairs vanish in it.
                            _ => !token.is_quoted || comment.contains('='),
                        },
                        _ => false,
                    };
                    is_adjacent = false;
                    continue;
                }
                _ => {}
            }
            let mut text = String::new();
            let is_quoted = matches!(c, '\'' | '"');
            let is_word = match self.grammar {
                Grammar::Plain => self.plain(&mut text)?,
                Grammar::Quoting => self.quoting(&mut text)?,
            };
            let kind = if is_word { Kind::Word } else { Kind::Other };
            text.extend(if is_word { None } else { self.next() });
            tokens.push(Token { text, kind, is_quoted });
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
                '#' => {
                    self.skip_comment();
                    self.is_cut = true;
                }
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

    fn skip_comment(&mut self) -> &'a str {
        let (comment, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        comment
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

mod literal;

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
    fn no_value_is_shown() {
        let rows = [
            ("", ""),
            (",", ""),
            ("A", "…"),
            ("=1", "…"),
            ("PW=secret^,B=y", "PW=…,B=…"),
            ("A = 1,\n  B=2,", "A=…,B=…"),
            ("PW=\"a,secret=1\",B='x", "PW=…,B=…"),
            ("PW=top,secret", "PW=…,…"),
            ("A=1,my secret=2", "A=…,…"),
        ];
        for (text, expected) in rows {
            assert_eq!(without_values(text), expected, "{text:?}");
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
            ("A=1;", &[("A", "1")]),
            ("A=\"1\";B='2'", &[("A", "1"), ("B", "2")]),
            ("A=\"1\"&B=2", &[("A", "1"), ("B", "2")]),
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
            ("A=1,#B=2,\nC=3", &[("A", "1"), ("C", "3")]),
            ("A=\"1\"#one\n,B=2", &[("A", "1"), ("B", "2")]),
            ("A=\"a#b\"", &[("A", "a#b")]),
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
    fn nothing_is_dropped_or_invented_silently() {
        check(&[
            ("A=$x", &[("A", "$x")]),
            ("A=~/x", &[("A", "~/x")]),
            ("A=a b", &[("A", "a b")]),
            ("A=a\n  b", &[("A", "a b")]),
            ("A=1 !", &[("A", "1 !")]),
            ("A=-Xmx1g -Xms1g", &[("A", "-Xmx1g -Xms1g")]),
            ("A=secret!", &[("A", "secret!")]),
            ("PW=s3cr#t", &[("PW", "s3cr#t")]),
            ("PW=p#ss#word,B=2", &[("PW", "p#ss#word"), ("B", "2")]),
            ("URL=http://h/p?a=1", &[("URL", "http://h/p?a=1")]),
            ("URL=http://h/p?a=1&b=2&c=3,B=2", &[("URL", "http://h/p?a=1&b=2&c=3"), ("B", "2")]),
            ("B=\"x,y\",URL=http://h/p?a=1,", &[("B", "x,y"), ("URL", "http://h/p?a=1")]),
            ("URL=h?a=1, # note=1\n # C=4\n B='2'", &[("URL", "h?a=1"), ("B", "2")]),
            ("U=h?a=1,V=\"1\";W=2", &[("U", "h?a=1"), ("V", "1"), ("W", "2")]),
            ("A=xéB=y", &[("A", "xéB=y")]),
            ("A=\"a\" b", &[("A", "a b")]),
        ]);
        for sign in ["?", "&", "|", "@", "!", "%", "*", "~", "$", "\\", "{", "^"] {
            let value = format!("x{sign}B=y");
            let expected = Ok(vec![("A".to_string(), value.clone())]);
            assert_eq!(parse(&format!("A={value}")), expected, "{sign}");
            assert!(!is_plain(&format!("A={value}")) && is_plain(&format!("A=\"{value}\"")), "{sign}");
        }
    }

    #[test]
    fn what_is_in_doubt_is_named() {
        let rows = [
            ("A=1;B=2", "the value of A has no quotes and may end at its ';': write A=\"...\", or a comma for the ';'"),
            ("A=?\nB=2,C=1", "Unexpected end of key/value pairs in value 'A=?\nB=2,C=1'"),
            (
                "A=x?B=\"a,b\"",
                "what stands between a comma and the end belongs to A, or is no KEY=value: write A=\"...\"",
            ),
            ("A=\"1\"#B=2", "a comment begins behind the quotes of A and hides what follows: write a blank before '#'"),
        ];
        for (input, expected) in rows {
            let error = parse(input).unwrap_err();
            assert_eq!(error, expected, "{input:?}");
        }
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
