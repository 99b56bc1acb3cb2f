//! Reading: one pass over tokens, one function per kind of element. The tokens are the events of `xml-rs` without what means
//! nothing here; to find them takes most of the time, so those of a long call are found in pieces ([`CallDecoder`]).
//!
//! `xml-rs` has neither a depth limit nor a switch against document types, so both are refused here, at the event.

use super::plain::PlainCall;
use super::{CALL_ELEMENTS_MAX, Call, DecodeError, keep_last_of_each, plain};
use crate::wire::value::Value;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::rc::Rc;
use xml::reader::{EventReader, ParserConfig, XmlEvent};

/// Depth of elements. A call needs about six levels and two per nested array; the cost of the parser grows with the
/// square of the depth.
const DEPTH_MAX: usize = 64;
/// Elements of an answer: 57 for each process of getAllProcessInfo, which a daemon we trust sends.
const RESPONSE_ELEMENTS_MAX: usize = 4_000_000;
/// Bytes of one text in a call; the body as a whole is bounded before.
const CALL_TEXT_BYTES_MAX: usize = 16 << 20;
/// Bytes of one text in an answer: a log read as a whole.
const RESPONSE_TEXT_BYTES_MAX: usize = 1 << 30;
/// Bytes of an element's or attribute's name; the longest that means anything has 16.
const NAME_BYTES_MAX: usize = 256;
/// Attributes of an element and bytes of each: XML-RPC has none, name spaces are tolerated.
const ATTRIBUTES_MAX: usize = 16;
const ATTRIBUTE_BYTES_MAX: usize = 1024;

/// Base64 as senders write it: with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes a call. The name of the outermost element does not matter, as in the original.
pub fn decode_call(body: &[u8]) -> Result<Call, DecodeError> {
    plain::call(body)?.map_or_else(|| decode_call_with_library(body), Ok)
}

/// The same for any call that is XML-RPC.
pub(super) fn decode_call_with_library(body: &[u8]) -> Result<Call, DecodeError> {
    read_call(Lexer::new(body, CALL_ELEMENTS_MAX, CALL_TEXT_BYTES_MAX))
}

/// Values in the layout of [`plain`] that are read in a microsecond, about, and the entities in texts with them.
const PLAIN_VALUES_PER_US: usize = 2;
/// Microseconds that a token takes, about: so many take one.
const TOKENS_PER_US: usize = 2;
/// Bytes of text that are read in a microsecond.
const TEXT_BYTES_PER_US: usize = 32;

/// How many times its size a call takes at most until it is answered: as text, as values, as what they are used for, and as
/// what of them is answered.
const COPIES: usize = 8;

/// Whether there is memory for all that a body takes until it is answered.
pub fn has_memory_for(body: &[u8]) -> bool {
    Vec::<u8>::new().try_reserve_exact(body.len() * COPIES).is_ok()
}

/// A call that is decoded in pieces.
pub struct CallDecoder {
    body: Rc<[u8]>,
    /// As long as it has the one layout.
    plain: Option<PlainCall>,
    lexer: Lexer<Cursor<Rc<[u8]>>>,
    tokens: Vec<Token>,
    text_bytes: usize,
}

impl CallDecoder {
    /// A call of which nothing is decoded yet.
    pub fn new(body: &[u8]) -> CallDecoder {
        let text: Option<Rc<str>> = std::str::from_utf8(body).ok().map(Rc::from);
        let body: Rc<[u8]> = text.clone().map_or_else(|| body.into(), Rc::from);
        let lexer = Lexer::new(Cursor::new(Rc::clone(&body)), CALL_ELEMENTS_MAX, CALL_TEXT_BYTES_MAX);
        CallDecoder { body, plain: text.map(PlainCall::new), lexer, tokens: Vec::new(), text_bytes: 0 }
    }

    /// What it is decoded from.
    pub(crate) fn body(&self) -> Rc<[u8]> {
        Rc::clone(&self.body)
    }

    /// Bytes that it holds, about.
    pub fn bytes(&self) -> usize {
        let plain = self.plain.as_ref().map_or(0, PlainCall::bytes);
        self.body.len() + plain + self.tokens.capacity() * size_of::<Token>() + self.text_bytes
    }

    /// Goes on for about so many microseconds; the call, or why it is none, at the end.
    pub fn go_on(&mut self, us: usize) -> Option<Result<Call, DecodeError>> {
        // What is refused here is a call; what could not be had in the middle of it would be the end of the daemon (K-9).
        let has_memory = has_memory_for(&self.body);
        if let Some(plain) = &mut self.plain {
            if !has_memory {
                return Some(Err(DecodeError::NoMemory));
            }
            match plain.go_on(us * PLAIN_VALUES_PER_US)? {
                Ok(None) => self.plain = None,
                Ok(Some(call)) => return Some(Ok(call)),
                Err(error) => return Some(Err(error)),
            }
        }
        let mut left = us * TOKENS_PER_US;
        while left > 0 {
            if !has_memory || self.tokens.try_reserve(1).is_err() {
                return Some(Err(DecodeError::NoMemory));
            }
            let token = match self.lexer.next() {
                Ok(token) => token,
                Err(error) => return Some(Err(error)),
            };
            let is_last = matches!(token, Token::Last);
            let text_bytes = if let Token::Text(text) = &token { text.len() } else { 0 };
            self.text_bytes += text_bytes;
            left = left.saturating_sub(1 + text_bytes * TOKENS_PER_US / TEXT_BYTES_PER_US);
            self.tokens.push(token);
            if is_last {
                return Some(read_call(std::mem::take(&mut self.tokens).into_iter()));
            }
        }
        None
    }
}

fn read_call(tokens: impl Tokens) -> Result<Call, DecodeError> {
    let mut reader = Reader { tokens, depth: 0 };
    reader.root()?;
    let mut method = String::new();
    let mut params = Vec::new();
    while let Some(child) = reader.child()? {
        match &*child {
            "methodName" => method = reader.text()?,
            "params" => params = reader.params()?,
            _ => reader.skip()?,
        }
    }
    reader.end()?;
    if method.is_empty() { Err(DecodeError::NoMethodName) } else { Ok(Call { method, params }) }
}

/// Decodes an answer: its value, or the number and text of a fault.
pub fn decode_response(body: &[u8]) -> Result<Result<Value, (i64, String)>, DecodeError> {
    plain::response(body).map_or_else(|| decode_response_with_library(body), Ok)
}

/// The same for any answer that is XML-RPC.
pub(super) fn decode_response_with_library(body: &[u8]) -> Result<Result<Value, (i64, String)>, DecodeError> {
    let mut reader = Reader { tokens: Lexer::new(body, RESPONSE_ELEMENTS_MAX, RESPONSE_TEXT_BYTES_MAX), depth: 0 };
    reader.root()?;
    let mut answer = None;
    while let Some(child) = reader.child()? {
        match &*child {
            "params" => answer = reader.params()?.into_iter().next().map(Ok),
            "fault" => answer = Some(Err(reader.fault()?)),
            _ => reader.skip()?,
        }
    }
    reader.end()?;
    answer.ok_or(DecodeError::Incomplete("methodResponse"))
}

/// A piece of a document.
enum Token {
    /// An element begins; its name.
    Begin(Cow<'static, str>),
    End,
    Text(String),
    Last,
}

/// Where tokens come from.
trait Tokens {
    /// The next one. After [`Token::Last`] there is none.
    fn next(&mut self) -> Result<Token, DecodeError>;
}

impl Tokens for std::vec::IntoIter<Token> {
    fn next(&mut self) -> Result<Token, DecodeError> {
        Ok(Iterator::next(self).unwrap_or(Token::Last))
    }
}

/// The tokens of a document, within our bounds.
struct Lexer<R: Read> {
    events: EventReader<R>,
    depth: usize,
    elements_left: usize,
}

impl<R: Read> Lexer<R> {
    fn new(body: R, elements_max: usize, text_bytes_max: usize) -> Lexer<R> {
        let mut config = ParserConfig::new();
        config.whitespace_to_characters = true;
        config.cdata_to_characters = true;
        config.allow_multiple_root_elements = false;
        config.max_entity_expansion_length = 0;
        config.max_entity_expansion_depth = 0;
        config.max_name_length = NAME_BYTES_MAX;
        config.max_attributes = ATTRIBUTES_MAX;
        config.max_attribute_length = ATTRIBUTE_BYTES_MAX;
        config.max_data_length = text_bytes_max;
        Lexer { events: config.create_reader(body), depth: 0, elements_left: elements_max }
    }
}

/// The name of an element. Those of all elements of a long call are held at one time, and most are of these.
fn known(name: String) -> Cow<'static, str> {
    const NAMES: [&str; 12] =
        ["value", "member", "name", "string", "int", "boolean", "i4", "array", "data", "struct", "param", "double"];
    NAMES.iter().find(|known| **known == name).map_or(Cow::Owned(name), |known| Cow::Borrowed(*known))
}

impl<R: Read> Tokens for Lexer<R> {
    fn next(&mut self) -> Result<Token, DecodeError> {
        loop {
            match self.events.next().map_err(|error| DecodeError::Syntax(error.to_string()))? {
                XmlEvent::StartElement { name, .. } => {
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return Err(DecodeError::TooDeep);
                    }
                    self.elements_left = self.elements_left.checked_sub(1).ok_or(DecodeError::TooManyElements)?;
                    return Ok(Token::Begin(known(name.local_name)));
                }
                XmlEvent::EndElement { .. } => {
                    self.depth -= 1;
                    return Ok(Token::End);
                }
                XmlEvent::Characters(text) => return Ok(Token::Text(text)),
                XmlEvent::Doctype { .. } => return Err(DecodeError::Doctype),
                XmlEvent::EndDocument => return Ok(Token::Last),
                _ => {}
            }
        }
    }
}

/// Reads elements. Every function that reads one is called after its start tag and returns after its end tag.
struct Reader<T> {
    tokens: T,
    depth: usize,
}

impl<T: Tokens> Reader<T> {
    fn next(&mut self) -> Result<Token, DecodeError> {
        let token = self.tokens.next()?;
        match token {
            Token::Begin(_) => self.depth += 1,
            // The lexer has seen that they match.
            Token::End => self.depth = self.depth.saturating_sub(1),
            Token::Text(_) | Token::Last => {}
        }
        Ok(token)
    }

    /// Goes into the outermost element.
    fn root(&mut self) -> Result<(), DecodeError> {
        self.child()?.map(drop).ok_or(DecodeError::Incomplete("document"))
    }

    /// Sees to it that nothing follows the outermost element.
    fn end(&mut self) -> Result<(), DecodeError> {
        while !matches!(self.next()?, Token::Last) {}
        Ok(())
    }

    /// The next child of the current element, or None after its end tag. Text between children is passed over.
    fn child(&mut self) -> Result<Option<Cow<'static, str>>, DecodeError> {
        loop {
            match self.next()? {
                Token::Begin(name) => return Ok(Some(name)),
                Token::End => return Ok(None),
                Token::Text(_) => {}
                Token::Last => return Err(DecodeError::Incomplete("document")),
            }
        }
    }

    /// Passes over the current element.
    fn skip(&mut self) -> Result<(), DecodeError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            if let Token::Last = self.next()? {
                return Err(DecodeError::Incomplete("document"));
            }
        }
        Ok(())
    }

    /// The text of the current element, up to its first child; what follows is passed over.
    fn text(&mut self) -> Result<String, DecodeError> {
        let mut text = String::new();
        loop {
            match self.next()? {
                Token::Text(more) if text.is_empty() => text = more,
                Token::Text(more) => text.push_str(&more),
                Token::End => return Ok(text),
                Token::Begin(_) => {
                    self.skip()?;
                    self.skip()?;
                    return Ok(text);
                }
                Token::Last => return Err(DecodeError::Incomplete("document")),
            }
        }
    }

    /// The values of `<params>`; the `<param>` around a value may be missing, as in the original.
    fn params(&mut self) -> Result<Vec<Value>, DecodeError> {
        let mut params = Vec::new();
        while let Some(child) = self.child()? {
            params.push(if child == "param" { self.only_value("param")? } else { self.item(&child)? });
        }
        Ok(params)
    }

    /// The value that the current element contains.
    fn only_value(&mut self, element: &'static str) -> Result<Value, DecodeError> {
        let Some(child) = self.child()? else { return Err(DecodeError::Incomplete(element)) };
        let value = self.item(&child)?;
        self.skip()?;
        Ok(value)
    }

    /// Where a `<value>` is due; like the original, do without it.
    fn item(&mut self, name: &str) -> Result<Value, DecodeError> {
        if name == "value" { self.value() } else { self.typed(name) }
    }

    /// The number and text of a `<fault>`.
    fn fault(&mut self) -> Result<(i64, String), DecodeError> {
        let value = self.only_value("fault")?;
        match (value.member("faultCode"), value.member("faultString")) {
            (Some(Value::Int(code)), Some(Value::Str(text))) => Ok((*code, text.to_string())),
            _ => Err(DecodeError::Incomplete("fault")),
        }
    }

    /// A `<value>`: its first child decides, without one its text is a string.
    fn value(&mut self) -> Result<Value, DecodeError> {
        let mut text = String::new();
        loop {
            match self.next()? {
                Token::Text(more) if text.is_empty() => text = more,
                Token::Text(more) => text.push_str(&more),
                Token::End => return Ok(Value::from(text)),
                Token::Begin(name) => {
                    let value = self.typed(&name)?;
                    self.skip()?;
                    return Ok(value);
                }
                Token::Last => return Err(DecodeError::Incomplete("document")),
            }
        }
    }

    /// The element inside a `<value>`.
    fn typed(&mut self, kind: &str) -> Result<Value, DecodeError> {
        Ok(match kind {
            "string" => Value::from(self.text()?),
            "int" | "i4" | "i8" => Value::Int(scalar("int", self.text()?, |text| text.parse().ok())?),
            "boolean" => Value::Bool(self.text()?.trim() == "1"),
            "double" => Value::Double(scalar("double", self.text()?, |text| text.parse().ok())?),
            "dateTime.iso8601" => Value::DateTime(scalar("dateTime.iso8601", self.text()?, |text| {
                is_date(text).then(|| text.to_owned())
            })?),
            "base64" => base64_value(self.text()?)?,
            "array" => self.array()?,
            "struct" => self.members()?,
            "nil" => {
                self.skip()?;
                Value::Nil
            }
            _ => Value::from(self.text()?),
        })
    }

    fn array(&mut self) -> Result<Value, DecodeError> {
        if self.child()?.is_none() {
            return Err(DecodeError::Incomplete("array"));
        }
        let mut items = Vec::new();
        while let Some(child) = self.child()? {
            items.push(self.item(&child)?);
        }
        self.skip()?;
        Ok(Value::Array(items))
    }

    fn members(&mut self) -> Result<Value, DecodeError> {
        let mut members = Vec::new();
        while self.child()?.is_some() {
            let (mut name, mut value) = (None, None);
            while let Some(child) = self.child()? {
                match &*child {
                    "name" => name = Some(self.text()?),
                    "value" => value = Some(self.value()?),
                    _ => return Err(DecodeError::Incomplete("member")),
                }
            }
            match (name, value) {
                (Some(name), Some(value)) => members.push((Cow::Owned(name), value)),
                _ => return Err(DecodeError::Incomplete("member")),
            }
        }
        keep_last_of_each(&mut members);
        Ok(Value::Struct(members))
    }
}

/// Reads a scalar, white space around it aside.
fn scalar<T>(kind: &'static str, text: String, read: impl Fn(&str) -> Option<T>) -> Result<T, DecodeError> {
    read(text.trim()).ok_or(DecodeError::BadScalar(kind, text))
}

/// Whether the text has the shape `YYYYMMDDTHH:MM:SS`.
fn is_date(text: &str) -> bool {
    const SHAPE: &[u8] = b"00000000T00:00:00";
    text.len() == SHAPE.len()
        && text
            .bytes()
            .zip(SHAPE)
            .all(|(byte, &shape)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
}

/// Base64 arrives as text, as in the original; what is not UTF-8 stays bytes. What is not of the alphabet is passed
/// over, as MIME has it.
fn base64_value(text: String) -> Result<Value, DecodeError> {
    let is_of_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let packed: Vec<u8> = text.bytes().filter(is_of_alphabet).collect();
    let bytes = BASE64.decode(packed).map_err(|_| DecodeError::BadScalar("base64", text))?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(error) => Value::Base64(error.into_bytes()),
    })
}
