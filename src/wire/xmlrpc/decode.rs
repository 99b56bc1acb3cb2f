//! Reading: one pass over tokens, of which [`Builder`] makes values. The tokens are the events of `xml-rs` without what means
//! nothing here. A long call is read in pieces ([`CallDecoder`]).
//!
//! `xml-rs` has neither a depth limit nor a switch against document types, so both are refused here, at the event.

use super::builder::{Builder, Token};
use super::plain::PlainCall;
use super::{CALL_ELEMENTS_MAX, Call, DecodeError, plain};
use crate::wire::value::Value;
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

/// Decodes a call. The name of the outermost element does not matter, as in the original.
pub fn decode_call(body: &[u8]) -> Result<Call, DecodeError> {
    plain::call(body)?.map_or_else(|| decode_call_with_library(body), Ok)
}

/// The same for any call that is XML-RPC.
pub(super) fn decode_call_with_library(body: &[u8]) -> Result<Call, DecodeError> {
    Lexer::new(body, CALL_ELEMENTS_MAX, CALL_TEXT_BYTES_MAX).build(Builder::default())?.into_call()
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
    builder: Builder,
}

impl CallDecoder {
    /// A call of which nothing is decoded yet.
    pub fn new(body: &[u8]) -> CallDecoder {
        let text: Option<Rc<str>> = std::str::from_utf8(body).ok().map(Rc::from);
        let body: Rc<[u8]> = text.clone().map_or_else(|| body.into(), Rc::from);
        let lexer = Lexer::new(Cursor::new(Rc::clone(&body)), CALL_ELEMENTS_MAX, CALL_TEXT_BYTES_MAX);
        CallDecoder { body, plain: text.map(PlainCall::new), lexer, builder: Builder::default() }
    }

    /// What it is decoded from.
    pub(crate) fn body(&self) -> Rc<[u8]> {
        Rc::clone(&self.body)
    }

    /// Bytes that it holds, about.
    pub fn bytes(&self) -> usize {
        let plain = self.plain.as_ref().map_or(0, PlainCall::bytes);
        self.body.len() + plain + self.builder.bytes()
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
        if !has_memory {
            return Some(Err(DecodeError::NoMemory));
        }
        let mut left = us * TOKENS_PER_US;
        while left > 0 {
            let token = match self.lexer.next() {
                Ok(token) => token,
                Err(error) => return Some(Err(error)),
            };
            let text_bytes = if let Token::Text(text) = &token { text.len() } else { 0 };
            left = left.saturating_sub(1 + text_bytes * TOKENS_PER_US / TEXT_BYTES_PER_US);
            match self.builder.take(token) {
                Ok(false) => {}
                Ok(true) => return Some(std::mem::take(&mut self.builder).into_call()),
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

/// Decodes an answer: its value, or the number and text of a fault.
pub fn decode_response(body: &[u8]) -> Result<Result<Value, (i64, String)>, DecodeError> {
    plain::response(body).map_or_else(|| decode_response_with_library(body), Ok)
}

/// The same for any answer that is XML-RPC.
pub(super) fn decode_response_with_library(body: &[u8]) -> Result<Result<Value, (i64, String)>, DecodeError> {
    Lexer::new(body, RESPONSE_ELEMENTS_MAX, RESPONSE_TEXT_BYTES_MAX).build(Builder::of_answer())?.into_response()
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

impl<R: Read> Lexer<R> {
    /// What comes of all tokens.
    fn build(mut self, mut builder: Builder) -> Result<Builder, DecodeError> {
        while !builder.take(self.next()?)? {}
        Ok(builder)
    }

    /// The next one. After [`Token::Last`] there is none.
    fn next(&mut self) -> Result<Token, DecodeError> {
        loop {
            match self.events.next().map_err(|error| DecodeError::Syntax(error.to_string()))? {
                XmlEvent::StartElement { name, .. } => {
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return Err(DecodeError::TooDeep);
                    }
                    self.elements_left = self.elements_left.checked_sub(1).ok_or(DecodeError::TooManyElements)?;
                    return Ok(Token::Begin(name.local_name));
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
