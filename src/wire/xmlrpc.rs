//! XML-RPC calls and answers.
//!
//! [`decode`](self) reads calls and answers with `xml-rs`, under bounds of our own; [`Writer`] writes them in the
//! layout of Python's `xmlrpc.client.dumps`, straight into an output buffer; [`CallMemo`] remembers the calls that
//! pollers repeat. Nothing here knows a method by name.

mod decode;
mod encode;
mod memo;
mod plain;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use super::value::Value;

pub use decode::{CallDecoder, decode_call, decode_response, has_memory_for};
pub use encode::{RESPONSE_BEGIN, RESPONSE_END, Writer, encode_call, write_fault, write_response};
pub use memo::{CallMemo, Decoded};

/// Elements of a call: some four thousand calls in one `system.multicall`, at about 5 ms in the layout of
/// [`plain`], and 80 ms in any other, in pieces.
const CALL_ELEMENTS_MAX: usize = 60_000;

/// A decoded `methodCall`: the method and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The method as sent, never empty; nothing else of it has been checked.
    pub method: String,
    /// Its parameters; a missing `<params>` is an empty list.
    pub params: Vec<Value>,
}

/// Why a body is not a call or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not well-formed, or in an encoding that is not supported; with the parser's words.
    Syntax(String),
    /// A document type declaration; these are refused, and with them entities.
    Doctype,
    /// Elements nested deeper than the bound.
    TooDeep,
    /// More elements than the bound.
    TooManyElements,
    /// An integer, double, date or base64 that cannot be read; with its type and text.
    BadScalar(&'static str, String),
    /// An element that lacks what it must contain; with its name.
    Incomplete(&'static str),
    /// No method name, or an empty one.
    NoMethodName,
    /// There is no memory to go on.
    NoMemory,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Syntax(text) => write!(f, "not well-formed: {text}"),
            DecodeError::Doctype => f.write_str("document type declarations are refused"),
            DecodeError::TooDeep => f.write_str("nested too deeply"),
            DecodeError::TooManyElements => f.write_str("too many elements"),
            DecodeError::BadScalar(kind, text) => write!(f, "not a value of type {kind}: {text:?}"),
            DecodeError::Incomplete(element) => write!(f, "incomplete element <{element}>"),
            DecodeError::NoMethodName => f.write_str("no method name"),
            DecodeError::NoMemory => f.write_str("no memory"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// So many names are compared with each other faster than they are hashed.
const FEW: usize = 8;

/// Of members of one name the last counts, as in a Python dictionary.
fn keep_last_of_each(members: &mut Vec<(Cow<'static, str>, Value)>) {
    let is_new = |at: usize| members[..at].iter().all(|(name, _)| *name != members[at].0);
    if members.len() <= FEW && (1..members.len()).all(is_new) {
        return;
    }
    let latest: HashMap<&str, usize> = members.iter().enumerate().map(|(at, (name, _))| (&**name, at)).collect();
    if latest.len() == members.len() {
        return;
    }
    let mut keep: Vec<usize> = latest.into_values().collect();
    keep.sort_unstable();
    let mut keep = keep.into_iter().peekable();
    let mut at = 0;
    members.retain(|_| {
        let kept = keep.next_if_eq(&at).is_some();
        at += 1;
        kept
    });
}
