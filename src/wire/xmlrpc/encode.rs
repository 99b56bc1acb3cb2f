//! Writing, byte by byte as Python's `xmlrpc.client.dumps` lays it out: a line break after most tags.

use crate::wire::decimal::push_decimal;
use crate::wire::scan;
use crate::wire::value::Value;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What every document begins with, as Python writes it.
const DECLARATION: &str = "<?xml version='1.0'?>\n";
/// What stands before the value of an answer.
pub const RESPONSE_BEGIN: &str = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n";
/// What stands behind it.
pub const RESPONSE_END: &str = "</param>\n</params>\n</methodResponse>\n";
/// Bytes that an ordinary answer takes.
const RESPONSE_BYTES: usize = 512;
/// Bytes of base64 in a line, as Python breaks them.
const BASE64_LINE_BYTES: usize = 76;

/// A whole `methodCall` document.
pub fn encode_call(method: &str, params: &[Value]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut writer = Writer::new(&mut out);
    writer.raw(DECLARATION);
    writer.raw("<methodCall>\n<methodName>");
    writer.text(method);
    writer.raw("</methodName>\n<params>\n");
    for param in params {
        writer.raw("<param>\n");
        writer.value(param);
        writer.raw("</param>\n");
    }
    writer.raw("</params>\n</methodCall>\n");
    out
}

/// Appends a whole `methodResponse` document with one value.
pub fn write_response(out: &mut Vec<u8>, value: &Value) {
    out.reserve(RESPONSE_BYTES);
    let mut writer = Writer::new(out);
    writer.raw(RESPONSE_BEGIN);
    writer.value(value);
    writer.raw(RESPONSE_END);
}

/// Appends a whole `methodResponse` document with a fault: its code, and its text.
pub fn write_fault(out: &mut Vec<u8>, code: i32, text: &str) {
    let mut writer = Writer::new(out);
    writer.raw(DECLARATION);
    writer.raw("<methodResponse>\n<fault>\n");
    writer.begin_struct();
    writer.member_int("faultCode", i64::from(code));
    writer.member_str("faultString", text);
    writer.end_struct();
    writer.raw("</fault>\n</methodResponse>\n");
}

/// Appends XML-RPC to a buffer piece by piece, so that a large answer needs no tree of values. What is begun must be
/// ended; nothing checks it.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Writer<'a> {
        Writer { out }
    }

    /// Appends values that were encoded before.
    pub fn encoded(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    /// Begins an array; any number of values follows.
    pub fn begin_array(&mut self) {
        self.raw("<value><array><data>\n");
    }

    /// Closes what `begin_array` has opened.
    pub fn end_array(&mut self) {
        self.raw("</data></array></value>\n");
    }

    /// Begins a struct; any number of members follows.
    pub fn begin_struct(&mut self) {
        self.raw("<value><struct>\n");
    }

    /// Closes what `begin_struct` has opened.
    pub fn end_struct(&mut self) {
        self.raw("</struct></value>\n");
    }

    /// Begins a member; exactly one value follows.
    fn begin_member(&mut self, name: &str) {
        self.raw("<member>\n<name>");
        self.text(name);
        self.raw("</name>\n");
    }

    /// Closes what `begin_member` has opened.
    fn end_member(&mut self) {
        self.raw("</member>\n");
    }

    /// A member that is a string.
    #[inline]
    pub fn member_str(&mut self, name: &str, text: &str) {
        self.begin_member(name);
        self.str(text);
        self.end_member();
    }

    /// A member that is an integer.
    #[inline]
    pub fn member_int(&mut self, name: &str, number: i64) {
        self.begin_member(name);
        self.int(number);
        self.end_member();
    }

    /// A string between two pieces of a template.
    #[inline]
    pub fn text_between(&mut self, before: &'static str, text: &str, after: &'static str) {
        self.raw(before);
        self.text(text);
        self.raw(after);
    }

    /// An integer of 32 bits between two pieces of a template.
    #[inline]
    pub fn int_between(&mut self, before: &'static str, number: i64, after: &'static str) {
        debug_assert!(i32::try_from(number).is_ok());
        self.raw(before);
        push_decimal(self.out, number);
        self.raw(after);
    }

    /// A member of any kind.
    pub fn member_value(&mut self, name: &str, value: &Value) {
        self.begin_member(name);
        self.value(value);
        self.end_member();
    }

    /// A `string` element, escaped.
    pub fn str(&mut self, text: &str) {
        self.raw("<value><string>");
        self.text(text);
        self.raw("</string></value>\n");
    }

    /// A string from bytes of a log: what is not UTF-8 becomes U+FFFD.
    pub fn str_lossy(&mut self, bytes: &[u8]) {
        self.begin_str();
        self.text_lossy(bytes);
        self.end_str();
    }

    /// Begins a string whose text follows in pieces.
    pub fn begin_str(&mut self) {
        self.raw("<value><string>");
    }

    /// Closes what `begin_str` has opened.
    pub fn end_str(&mut self) {
        self.raw("</string></value>\n");
    }

    /// A piece of a string's text, from bytes of a log.
    pub fn text_lossy(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            self.text(chunk.valid());
            if !chunk.invalid().is_empty() {
                self.raw("\u{fffd}");
            }
        }
    }

    /// An integer: `<int>` within 32 bits, else `<i8>`.
    pub fn int(&mut self, number: i64) {
        let fits = i32::try_from(number).is_ok();
        self.raw(if fits { "<value><int>" } else { "<value><i8>" });
        push_decimal(self.out, number);
        self.raw(if fits { "</int></value>\n" } else { "</i8></value>\n" });
    }

    /// A `boolean` element, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.raw(if value { "<value><boolean>1</boolean></value>\n" } else { "<value><boolean>0</boolean></value>\n" });
    }

    /// A value of any kind.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Nil => self.raw("<value><nil/></value>\n"),
            Value::Bool(value) => self.bool(*value),
            Value::Int(number) => self.int(*number),
            Value::Double(number) => {
                self.raw("<value><double>");
                self.raw(&format!("{number:?}"));
                self.raw("</double></value>\n");
            }
            Value::Str(text) => self.str(text),
            Value::DateTime(text) => {
                self.raw("<value><dateTime.iso8601>");
                self.text(text);
                self.raw("</dateTime.iso8601></value>\n");
            }
            Value::Base64(bytes) => {
                self.raw("<value><base64>\n");
                for line in STANDARD.encode(bytes).as_bytes().chunks(BASE64_LINE_BYTES) {
                    self.out.extend_from_slice(line);
                    self.out.push(b'\n');
                }
                self.raw("</base64></value>\n");
            }
            Value::Array(items) => {
                self.begin_array();
                for item in items {
                    self.value(item);
                }
                self.end_array();
            }
            Value::Struct(members) => {
                self.begin_struct();
                for (name, value) in members {
                    self.member_value(name, value);
                }
                self.end_struct();
            }
        }
    }

    #[inline]
    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A piece of a string's text. Text with what XML needs escaped, and what XML cannot carry replaced.
    pub fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut copied = 0;
        let mut at = 0;
        while let Some(found) = scan::position(&bytes[at..], is_special) {
            at += found;
            let (instead, taken) = match bytes[at] {
                b'&' => ("&amp;", 1),
                b'<' => ("&lt;", 1),
                b'>' => ("&gt;", 1),
                0xef if matches!(bytes.get(at + 1..at + 3), Some([0xbf, 0xbe | 0xbf])) => ("\u{fffd}", 3),
                0xef => {
                    at += 3;
                    continue;
                }
                _ => ("\u{fffd}", 1),
            };
            self.out.extend_from_slice(&bytes[copied..at]);
            self.raw(instead);
            at += taken;
            copied = at;
        }
        self.out.extend_from_slice(&bytes[copied..]);
    }
}

/// Bytes that do not go out as they are: the three of markup, control characters other than tab, line feed and
/// carriage return (which readers take for line feeds, as they do with the original), and the first byte of U+F000 to
/// U+FFFF, of which the last two are not characters of XML.
fn is_special(byte: u8) -> bool {
    (byte < 0x20) & (byte != b'\t') & (byte != b'\n') & (byte != b'\r')
        | (byte == b'&')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == 0xef)
}
