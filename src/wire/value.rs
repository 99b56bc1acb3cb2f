//! A value of XML-RPC.

use std::borrow::Cow;

/// A value of XML-RPC. Members of a struct keep their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `<nil/>`: accepted, never sent.
    Nil,
    /// `<boolean>` of XML-RPC, written 0 or 1.
    Bool(bool),
    /// `<int>` within 32 bits, else `<i8>`.
    Int(i64),
    /// `<double>` of XML-RPC, of which an integer keeps its point.
    Double(f64),
    /// `<string>` of XML-RPC; it may be borrowed from the program itself.
    Str(Cow<'static, str>),
    /// `<dateTime.iso8601>`, as its text stands.
    DateTime(String),
    /// `<base64>`, with its bytes decoded.
    Base64(Vec<u8>),
    /// `<array>`: values in their order.
    Array(Vec<Value>),
    /// `<struct>`: names with values, in the order written.
    Struct(Vec<(Cow<'static, str>, Value)>),
}

/// A struct with these members, in this order.
pub fn record<const N: usize>(members: [(&'static str, Value); N]) -> Value {
    Value::Struct(members.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect())
}

impl Value {
    /// A string, borrowed where it is fixed.
    pub fn str(text: impl Into<Cow<'static, str>>) -> Value {
        Value::Str(text.into())
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Bytes of memory that it takes, about.
    pub fn bytes(&self) -> usize {
        let inside = match self {
            Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
            Value::Str(text) => text.len(),
            Value::DateTime(text) => text.len(),
            Value::Base64(bytes) => bytes.len(),
            Value::Array(items) => items.iter().map(Value::bytes).sum(),
            Value::Struct(members) => {
                members.iter().map(|(name, value)| size_of_val(name) + name.len() + value.bytes()).sum()
            }
        };
        size_of::<Value>() + inside
    }

    /// The member of that name, if this is a struct that has it.
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Int(i64::from(value))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Str(Cow::Owned(text))
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Value {
        Value::Str(Cow::Borrowed(text))
    }
}
