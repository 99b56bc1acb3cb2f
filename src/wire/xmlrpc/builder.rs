//! Values of the tokens of a document, one token at a time: a call or an answer may come to be in as many pieces as its reader
//! likes. What is open stands on a stack, one frame for each element; a frame ends with its element and says to the one around
//! it what it was.

use super::{Call, DecodeError, keep_last_of_each};
use crate::wire::value::Value;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;

/// Base64 as senders write it: with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A piece of a document.
pub(super) enum Token {
    /// An element begins; its name.
    Begin(String),
    End,
    Text(String),
    Last,
}

/// A document of which so much has been read.
#[derive(Default)]
pub(super) struct Builder {
    /// The elements that are open, but for those that are passed over.
    open: Vec<Frame>,
    /// How many open elements are passed over.
    passed_over: usize,
    /// Whether the outermost element has ended.
    is_over: bool,
    /// Whether it is an answer, which may be a fault; that means nothing in a call.
    is_answer: bool,
    method: String,
    params: Vec<Value>,
    fault: Option<Value>,
    bytes: usize,
}

/// An element that is open, and what is known of it. What follows the one thing that an element should hold is passed over.
enum Frame {
    /// The outermost one.
    Document,
    /// One that holds text, up to its first child.
    Text { kind: Kind, text: String, is_whole: bool },
    /// `<value>`: its first child decides, without one its text is a string.
    Value { text: String, value: Option<Value> },
    /// One that holds one value, or there is an error: `<param>` and `<fault>`.
    Only { name: &'static str, value: Option<Value> },
    /// `<params>`.
    Params(Vec<Value>),
    /// `<array>`; with what its first child held, whatever that is called.
    Array(Option<Vec<Value>>),
    /// The items of an array.
    Items(Vec<Value>),
    /// `<struct>`.
    Struct(Vec<(Cow<'static, str>, Value)>),
    /// A child of a struct.
    Member { name: Option<String>, value: Option<Value> },
    /// `<nil>`: whatever is in it.
    Nil,
}

/// What a text is.
#[derive(Clone, Copy)]
enum Kind {
    Method,
    /// Of a member.
    Name,
    String,
    Int,
    Boolean,
    Double,
    Date,
    Base64,
}

/// What an element was.
enum Ended {
    Value(Value),
    Method(String),
    Name(String),
    Params(Vec<Value>),
    Fault(Value),
    Items(Vec<Value>),
    Member(String, Value),
    Document,
}

impl Builder {
    /// An answer of which nothing has been read; the default is a call.
    pub(super) fn of_answer() -> Builder {
        Builder { is_answer: true, ..Builder::default() }
    }

    /// Takes the next token; says whether it was the last one.
    pub(super) fn take(&mut self, token: Token) -> Result<bool, DecodeError> {
        match token {
            Token::Begin(_) if self.passed_over > 0 => self.passed_over += 1,
            Token::Begin(name) => self.begin(&name)?,
            Token::End if self.passed_over > 0 => self.passed_over -= 1,
            Token::End => self.end()?,
            Token::Text(_) if self.passed_over > 0 => {}
            Token::Text(more) => self.text(more),
            Token::Last if !self.is_over => return Err(DecodeError::Incomplete("document")),
            Token::Last => return Ok(true),
        }
        Ok(false)
    }

    /// Bytes that it holds, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The call that the document was.
    pub(super) fn into_call(self) -> Result<Call, DecodeError> {
        let Builder { method, params, .. } = self;
        if method.is_empty() { Err(DecodeError::NoMethodName) } else { Ok(Call { method, params }) }
    }

    /// The answer that it was: its value, or the number and text of a fault.
    pub(super) fn into_response(self) -> Result<Result<Value, (i64, String)>, DecodeError> {
        if let Some(value) = self.fault {
            return match (value.member("faultCode"), value.member("faultString")) {
                (Some(Value::Int(code)), Some(Value::Str(text))) => Ok(Err((*code, text.to_string()))),
                _ => Err(DecodeError::Incomplete("fault")),
            };
        }
        self.params.into_iter().next().map(Ok).ok_or(DecodeError::Incomplete("methodResponse"))
    }

    /// An element begins.
    fn begin(&mut self, name: &str) -> Result<(), DecodeError> {
        self.bytes += size_of::<(Cow<'static, str>, Value)>();
        let frame = match self.open.last_mut() {
            None if !self.is_over => Some(Frame::Document),
            None => None,
            Some(Frame::Document) => match name {
                "methodName" => Some(Frame::Text { kind: Kind::Method, text: String::new(), is_whole: false }),
                "params" => Some(Frame::Params(Vec::new())),
                "fault" if self.is_answer => Some(Frame::Only { name: "fault", value: None }),
                _ => None,
            },
            Some(Frame::Text { is_whole, .. }) => {
                *is_whole = true;
                None
            }
            Some(Frame::Value { value: None, .. }) => Some(typed(name)),
            Some(Frame::Only { value: None, .. } | Frame::Items(_)) => Some(item(name)),
            Some(Frame::Params(_)) if name == "param" => Some(Frame::Only { name: "param", value: None }),
            Some(Frame::Params(_)) => Some(item(name)),
            Some(Frame::Array(None)) => Some(Frame::Items(Vec::new())),
            Some(Frame::Struct(_)) => Some(Frame::Member { name: None, value: None }),
            Some(Frame::Member { .. }) => match name {
                "name" => Some(Frame::Text { kind: Kind::Name, text: String::new(), is_whole: false }),
                "value" => Some(item(name)),
                _ => return Err(DecodeError::Incomplete("member")),
            },
            Some(
                Frame::Value { value: Some(_), .. }
                | Frame::Only { value: Some(_), .. }
                | Frame::Array(Some(_))
                | Frame::Nil,
            ) => None,
        };
        match frame {
            Some(frame) => self.open.push(frame),
            None => self.passed_over = 1,
        }
        Ok(())
    }

    /// Text. Between children it is passed over.
    fn text(&mut self, more: String) {
        self.bytes += more.len();
        if let Some(Frame::Text { text, is_whole: false, .. } | Frame::Value { text, value: None }) =
            self.open.last_mut()
        {
            if text.is_empty() {
                *text = more;
            } else {
                text.push_str(&more);
            }
        }
    }

    /// The innermost element ends.
    fn end(&mut self) -> Result<(), DecodeError> {
        // The lexer has seen that they match.
        let Some(frame) = self.open.pop() else { return Err(DecodeError::Incomplete("document")) };
        let ended = frame.end()?;
        match (self.open.last_mut(), ended) {
            (None, Ended::Document) => self.is_over = true,
            (Some(Frame::Document), Ended::Method(text)) => self.method = text,
            (Some(Frame::Document), Ended::Params(params)) => (self.params, self.fault) = (params, None),
            (Some(Frame::Document), Ended::Fault(value)) => self.fault = Some(value),
            (Some(Frame::Value { value, .. } | Frame::Only { value, .. }), Ended::Value(new)) => *value = Some(new),
            (Some(Frame::Params(values) | Frame::Items(values)), Ended::Value(new)) => values.push(new),
            (Some(Frame::Array(items)), Ended::Items(new)) => *items = Some(new),
            (Some(Frame::Struct(members)), Ended::Member(name, value)) => members.push((Cow::Owned(name), value)),
            (Some(Frame::Member { name, .. }), Ended::Name(text)) => *name = Some(text),
            (Some(Frame::Member { value, .. }), Ended::Value(new)) => *value = Some(new),
            _ => debug_assert!(false, "an element ends where it cannot have begun"),
        }
        Ok(())
    }
}

impl Frame {
    /// What it was, now that all of it is there.
    fn end(self) -> Result<Ended, DecodeError> {
        Ok(match self {
            Frame::Document => Ended::Document,
            Frame::Text { kind, text, .. } => kind.read(text)?,
            Frame::Value { value: Some(value), .. } => Ended::Value(value),
            Frame::Value { text, value: None } => Ended::Value(Value::from(text)),
            Frame::Only { name, value } => {
                let value = value.ok_or(DecodeError::Incomplete(name))?;
                if name == "fault" { Ended::Fault(value) } else { Ended::Value(value) }
            }
            Frame::Params(values) => Ended::Params(values),
            Frame::Array(items) => Ended::Value(Value::Array(items.ok_or(DecodeError::Incomplete("array"))?)),
            Frame::Items(values) => Ended::Items(values),
            Frame::Struct(mut members) => {
                keep_last_of_each(&mut members);
                Ended::Value(Value::Struct(members))
            }
            Frame::Member { name: Some(name), value: Some(value) } => Ended::Member(name, value),
            Frame::Member { .. } => return Err(DecodeError::Incomplete("member")),
            Frame::Nil => Ended::Value(Value::Nil),
        })
    }
}

/// Where a `<value>` is due; like the original, do without it.
fn item(name: &str) -> Frame {
    if name == "value" { Frame::Value { text: String::new(), value: None } } else { typed(name) }
}

/// The element inside a `<value>`.
fn typed(name: &str) -> Frame {
    let kind = match name {
        "array" => return Frame::Array(None),
        "struct" => return Frame::Struct(Vec::new()),
        "nil" => return Frame::Nil,
        "int" | "i4" | "i8" => Kind::Int,
        "boolean" => Kind::Boolean,
        "double" => Kind::Double,
        "dateTime.iso8601" => Kind::Date,
        "base64" => Kind::Base64,
        _ => Kind::String,
    };
    Frame::Text { kind, text: String::new(), is_whole: false }
}

impl Kind {
    /// What a text of that kind says.
    fn read(self, text: String) -> Result<Ended, DecodeError> {
        Ok(Ended::Value(match self {
            Kind::Method => return Ok(Ended::Method(text)),
            Kind::Name => return Ok(Ended::Name(text)),
            Kind::String => Value::from(text),
            Kind::Int => Value::Int(scalar("int", text, |text| text.parse().ok())?),
            Kind::Boolean => Value::Bool(text.trim() == "1"),
            Kind::Double => Value::Double(scalar("double", text, |text| text.parse().ok())?),
            Kind::Date => {
                Value::DateTime(scalar("dateTime.iso8601", text, |text| is_date(text).then(|| text.to_owned()))?)
            }
            Kind::Base64 => base64_value(text)?,
        }))
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
