//! Calls and answers in the one layout that supervisord and Python's `xmlrpc.client` write, read without the XML
//! library. With it a call that was never sent before takes longer than all that is done for it, and the status of 200
//! processes, a quarter of a megabyte, longer than all the rest of `supervisorctl status`.
//!
//! Whatever is not exactly that layout (attributes, comments, CDATA, other entities, other types, control characters)
//! is left to the library, whose answer then counts; where this reader answers, the two agree.

use super::CALL_ELEMENTS_MAX;
use super::{Call, DecodeError, keep_last_of_each};
use crate::wire::scan;
use crate::wire::value::Value;
use std::borrow::Cow;
use std::rc::Rc;

/// Values within each other; the answers of supervisord have four. The rest is the library's business, and so its bound
/// for elements within each other is never met here: three for each value.
const DEPTH_MAX: usize = 16;

/// Of a call, its own element, its method's and that of its parameters.
const OUTER_ELEMENTS: usize = 3;

/// How a call or an answer begins.
const DECLARATIONS: [&str; 3] =
    ["<?xml version='1.0'?>", "<?xml version=\"1.0\"?>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"];

/// A call; `None` if the library has to look at it.
///
/// Errors: it has too many elements, which the library would only find out again.
pub fn call(body: &[u8]) -> Result<Option<Call>, DecodeError> {
    let Ok(text) = std::str::from_utf8(body) else { return Ok(None) };
    let mut state = State::new(CALL_ELEMENTS_MAX);
    let call = state.read_call(text, usize::MAX).map(Piece::whole);
    if state.has_too_many { Err(DecodeError::TooManyElements) } else { Ok(call.flatten()) }
}

/// A call that is read in pieces.
pub struct PlainCall {
    text: Rc<str>,
    state: State,
}

impl PlainCall {
    /// A call of which nothing is read yet.
    pub fn new(text: Rc<str>) -> PlainCall {
        PlainCall { text, state: State::new(CALL_ELEMENTS_MAX) }
    }

    /// Bytes that its values take, about.
    pub fn bytes(&self) -> usize {
        (CALL_ELEMENTS_MAX - self.state.elements_left) * ELEMENT_BYTES + self.state.at
    }

    /// Reads so many values more; at the end as [`call`].
    pub fn go_on(&mut self, values: usize) -> Option<Result<Option<Call>, DecodeError>> {
        let piece = self.state.read_call(&self.text, values);
        if self.state.has_too_many {
            return Some(Err(DecodeError::TooManyElements));
        }
        match piece {
            Some(Piece::Paused) => None,
            Some(Piece::Whole(call)) => Some(Ok(Some(call))),
            None => Some(Ok(None)),
        }
    }
}

/// The value of an answer, or the number and text of a fault; `None` if the library has to look at it.
pub fn response(body: &[u8]) -> Option<Result<Value, (i64, String)>> {
    let mut state = State::new(usize::MAX);
    let mut reader = Reader { rest: std::str::from_utf8(body).ok()?, state: &mut state };
    reader.begin()?;
    reader.tag("<methodResponse>")?;
    let answer = if reader.tag("<params>").is_some() {
        reader.tag("<param>")?;
        let value = reader.value(usize::MAX)?.whole()?;
        reader.tag("</param>")?;
        reader.tag("</params>")?;
        Ok(value)
    } else {
        reader.tag("<fault>")?;
        let value = reader.value(usize::MAX)?.whole()?;
        reader.tag("</fault>")?;
        match (value.member("faultCode"), value.member("faultString")) {
            (Some(Value::Int(code)), Some(Value::Str(text))) => Err((*code, text.to_string())),
            _ => return None,
        }
    };
    reader.tag("</methodResponse>")?;
    reader.is_at_end().then_some(answer)
}

/// Bytes that an element takes as a value, about: a place in a list, and another for its text.
const ELEMENT_BYTES: usize = 48;

/// Something of which only a part may have been read.
enum Piece<T> {
    Whole(T),
    Paused,
}

impl<T> Piece<T> {
    fn whole(self) -> Option<T> {
        match self {
            Piece::Whole(whole) => Some(whole),
            Piece::Paused => None,
        }
    }
}

/// How far a document has been read.
struct State {
    /// Bytes that have been.
    at: usize,
    /// Elements that may still come: of a call no more than the library takes.
    elements_left: usize,
    has_too_many: bool,
    method: Option<String>,
    params: Vec<Value>,
    /// Values that have begun, each within the one before it.
    open: Vec<Open>,
    /// Whether a `<param>` is open.
    is_in_param: bool,
}

/// A value whose end has not come.
enum Open {
    Array(Vec<Value>),
    /// Members, and the name of the one that comes.
    Struct(Vec<(Cow<'static, str>, Value)>, String),
}

impl State {
    fn new(elements_left: usize) -> State {
        State {
            at: 0,
            elements_left,
            has_too_many: false,
            method: None,
            params: Vec::new(),
            open: Vec::new(),
            is_in_param: false,
        }
    }

    /// Reads so many values of a call; `None` if the library has to look at it.
    fn read_call(&mut self, text: &str, values: usize) -> Option<Piece<Call>> {
        let mut reader = Reader { rest: &text[self.at..], state: self };
        let piece = reader.call(values)?;
        self.at = text.len() - reader.rest.len();
        Some(match piece {
            Piece::Paused => Piece::Paused,
            Piece::Whole(()) => {
                Piece::Whole(Call { method: self.method.take()?, params: std::mem::take(&mut self.params) })
            }
        })
    }
}

struct Reader<'a, 's> {
    rest: &'a str,
    state: &'s mut State,
}

impl<'a> Reader<'a, '_> {
    /// So many elements more.
    fn count(&mut self, elements: usize) -> Option<()> {
        let left = self.state.elements_left.checked_sub(elements);
        self.state.has_too_many |= left.is_none();
        self.state.elements_left = left?;
        Some(())
    }

    /// Passes over the declaration, which is there, for without one the encoding is the library's business, too.
    fn begin(&mut self) -> Option<()> {
        // Line ends are translated, and other control characters refused, by the library.
        let is_control = |byte| byte < b' ' && !matches!(byte, b'\n' | b'\t');
        scan::position(self.rest.as_bytes(), is_control).is_none().then_some(())?;
        let declaration = DECLARATIONS.iter().find(|declaration| self.rest.starts_with(**declaration))?;
        self.rest = &self.rest[declaration.len()..];
        Some(())
    }

    fn call(&mut self, values: usize) -> Option<Piece<()>> {
        if self.state.method.is_none() {
            self.begin()?;
            self.count(OUTER_ELEMENTS)?;
            self.tag("<methodCall>")?;
            self.tag("<methodName>")?;
            let method = self.text("</methodName>")?.into_owned();
            self.state.method = Some(method).filter(|method| !method.is_empty());
            self.state.method.as_ref()?;
            if self.tag("<params>").is_none() {
                return self.end();
            }
        }
        loop {
            if !self.state.is_in_param {
                if self.tag("</params>").is_some() {
                    return self.end();
                }
                self.count(1)?;
                self.tag("<param>")?;
                self.state.is_in_param = true;
            }
            let Piece::Whole(value) = self.value(values)? else { return Some(Piece::Paused) };
            self.state.params.push(value);
            self.tag("</param>")?;
            self.state.is_in_param = false;
        }
    }

    fn end(&mut self) -> Option<Piece<()>> {
        self.tag("</methodCall>")?;
        self.is_at_end().then_some(Piece::Whole(()))
    }

    fn is_at_end(&mut self) -> bool {
        self.blanks();
        self.rest.is_empty()
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\t']);
    }

    /// Passes over white space and a tag, if the tag is next.
    fn tag(&mut self, tag: &str) -> Option<()> {
        self.blanks();
        self.rest = self.rest.strip_prefix(tag)?;
        Some(())
    }

    /// The text up to the next tag, which must be this one.
    fn text(&mut self, end: &str) -> Option<Cow<'a, str>> {
        // Mostly nothing else comes before it.
        let special = scan::position(self.rest.as_bytes(), |byte| matches!(byte, b'<' | b'&' | b']' | 0xef))?;
        let is_plain = self.rest.as_bytes()[special] == b'<';
        let length = if is_plain { special } else { special + self.rest.get(special..)?.find('<')? };
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest.strip_prefix(end)?;
        if is_plain {
            return Some(Cow::Borrowed(text));
        }
        if text.contains("]]>") || text.contains(['\u{fffe}', '\u{ffff}']) {
            return None;
        }
        unescaped(text)
    }

    /// A value, or so many of those within it.
    fn value(&mut self, most: usize) -> Option<Piece<Value>> {
        for _ in 0..most {
            let mut whole = self.begin_value()?;
            // What is whole ends what it is in, until something in that begins.
            loop {
                if let Some(value) = whole.take() {
                    self.tag("</value>")?;
                    match self.state.open.last_mut() {
                        None => return Some(Piece::Whole(value)),
                        Some(Open::Array(items)) => items.push(value),
                        Some(Open::Struct(members, name)) => {
                            members.push((Cow::Owned(std::mem::take(name)), value));
                            self.tag("</member>")?;
                        }
                    }
                }
                whole = self.end_value()?;
                if whole.is_none() {
                    break;
                }
            }
        }
        Some(Piece::Paused)
    }

    /// The beginning of a value: all of it, but of lists and structs.
    fn begin_value(&mut self) -> Option<Option<Value>> {
        (self.state.open.len() < DEPTH_MAX).then_some(())?;
        // This element and the one in it; those of structs count with their members.
        self.count(2)?;
        self.tag("<value>")?;
        self.blanks();
        let kind = &self.rest[..=self.rest.find('>')?];
        self.rest = &self.rest[kind.len()..];
        Some(Some(match kind {
            "<string>" => Value::from(self.text("</string>")?.into_owned()),
            "<int>" => Value::Int(self.text("</int>")?.parse().ok()?),
            "<i4>" => Value::Int(self.text("</i4>")?.parse().ok()?),
            "<i8>" => Value::Int(self.text("</i8>")?.parse().ok()?),
            "<boolean>" => Value::Bool(self.text("</boolean>")?.trim() == "1"),
            "<array>" => {
                self.count(1)?;
                self.tag("<data>")?;
                self.state.open.push(Open::Array(Vec::new()));
                return Some(None);
            }
            "<struct>" => {
                self.state.open.push(Open::Struct(Vec::new(), String::new()));
                return Some(None);
            }
            _ => return None,
        }))
    }

    /// The innermost value that has begun, if it ends here; else another begins within it.
    fn end_value(&mut self) -> Option<Option<Value>> {
        let is_list = matches!(self.state.open.last(), Some(Open::Array(_)));
        if self.tag(if is_list { "</data>" } else { "</struct>" }).is_some() {
            return Some(match self.state.open.pop()? {
                Open::Array(items) => {
                    self.tag("</array>")?;
                    Some(Value::Array(items))
                }
                Open::Struct(mut members, _) => {
                    keep_last_of_each(&mut members);
                    Some(Value::Struct(members))
                }
            });
        }
        if !is_list {
            self.count(2)?;
            self.tag("<member>")?;
            self.tag("<name>")?;
            let next = self.text("</name>")?.into_owned();
            if let Some(Open::Struct(_, name)) = self.state.open.last_mut() {
                *name = next;
            }
        }
        Some(None)
    }
}

/// The text with the entities replaced that writers use; `None` for others.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    let Some(first) = text.find('&') else { return Some(Cow::Borrowed(text)) };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    for piece in text[first..].split('&').skip(1) {
        let (entity, plain) = piece.split_once(';')?;
        out.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => return None,
        });
        out.push_str(plain);
    }
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::super::decode::{decode_call_with_library, decode_response_with_library};
    use super::super::{encode_call, write_fault, write_response};
    use super::*;

    fn sample() -> Vec<u8> {
        let info = |name: &'static str, text: &'static str| {
            Value::Struct(vec![
                ("name".into(), name.into()),
                ("pid".into(), 7.into()),
                ("big".into(), Value::Int(1 << 40)),
                ("inuse".into(), true.into()),
                ("text".into(), text.into()),
                ("name".into(), name.into()),
            ])
        };
        let mut body = Vec::new();
        let value =
            Value::Array(vec![info("a", ""), info("é", " <&>\"'\n "), Value::Array(vec![]), Value::Struct(vec![])]);
        write_response(&mut body, &value);
        body
    }

    #[test]
    fn agrees_with_the_library_where_it_answers() {
        let mut fault = Vec::new();
        write_fault(&mut fault, 10, "BAD_NAME: <x>");
        for body in [sample(), fault] {
            let plain = response(&body).expect("the layout it is made for");
            assert_eq!(Ok(plain), decode_response_with_library(&body));
            for mutant in mutants(&body) {
                if let Some(plain) = response(&mutant) {
                    let shown = String::from_utf8_lossy(&mutant);
                    assert_eq!(Ok(plain), decode_response_with_library(&mutant), "{shown}");
                }
            }
        }
    }

    #[test]
    fn agrees_with_the_library_on_calls_where_it_answers() {
        let options = Value::Struct(vec![
            ("command".into(), " <&>\"'\n ".into()),
            ("numprocs".into(), 3.into()),
            ("autostart".into(), false.into()),
            ("list".into(), Value::Array(vec![Value::Int(1 << 40), Value::Array(vec![]), "é".into()])),
        ]);
        let calls = [
            encode_call("twiddler.addProgramToGroup", &["g".into(), "".into(), options]),
            encode_call("supervisor.getState", &[]),
            b"<?xml version=\"1.0\"?><methodCall><methodName>a</methodName><params><param><value><i4>-5</i4></value>\
              </param></params></methodCall>"
                .to_vec(),
            b"<?xml version='1.0'?>\n<methodCall><methodName> a </methodName></methodCall>\n".to_vec(),
        ];
        for body in calls {
            let plain = call(&body).unwrap().expect("the layout it is made for");
            let mut pieces = PlainCall::new(std::str::from_utf8(&body).unwrap().into());
            let (mut count, mut whole) = (1, pieces.go_on(1));
            while whole.is_none() {
                (count, whole) = (count + 1, pieces.go_on(1));
            }
            assert_eq!(whole, Some(Ok(Some(plain.clone()))), "in {count} pieces");
            assert!(plain.params.len() < 3 || count > plain.params.len());
            assert_eq!(Ok(plain), decode_call_with_library(&body));
            for mutant in mutants(&body) {
                if let Ok(Some(plain)) = call(&mutant) {
                    let shown = String::from_utf8_lossy(&mutant);
                    assert_eq!(Ok(plain), decode_call_with_library(&mutant), "{shown}");
                }
            }
        }
        let deep = |levels| (0..levels).fold(Value::Nil, |value, _| Value::Array(vec![value]));
        let wide = Value::Array(vec![Value::Bool(true); CALL_ELEMENTS_MAX / 2]);
        for body in [encode_call("a", &[deep(DEPTH_MAX)]), encode_call("", &[])] {
            assert_eq!(call(&body), Ok(None), "{}", String::from_utf8_lossy(&body[..100]));
        }
        let body = encode_call("a", &[wide]);
        assert_eq!(call(&body), Err(DecodeError::TooManyElements));
        assert_eq!(decode_call_with_library(&body), Err(DecodeError::TooManyElements));
    }

    /// Every byte lost, and every byte replaced by one that means something somewhere.
    fn mutants(body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        let replaced = move |at: usize| {
            [b' ', b'<', b'>', b'/', b'&', b';', b'1', b'\r', b']', 0x7f, 0xff].into_iter().map(move |byte| {
                let mut mutant = body.to_vec();
                mutant[at] = byte;
                mutant
            })
        };
        let shorter = move |at: usize| [&body[..at], &body[at + 1..]].concat();
        (0..body.len()).flat_map(move |at| replaced(at).chain([shorter(at)]))
    }

    #[test]
    fn leaves_the_rest_to_the_library() {
        let rows = [
            "<string>a&#10;b</string>",
            "<string>a\rb</string>",
            "<string><![CDATA[a]]></string>",
            "<string a='b'>a</string>",
            "<!-- x --><string>a</string>",
            "<double>1.5</double>",
            "<nil/>",
            "bare",
        ];
        for inner in rows {
            let body = format!(
                "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value>{inner}</value>\n</param>\n</params>\n</methodResponse>\n"
            );
            assert_eq!(response(body.as_bytes()), None, "{inner}");
        }
    }
}
