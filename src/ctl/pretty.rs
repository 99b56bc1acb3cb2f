//! Values as Python's pprint shows them (S-82).

use crate::wire::pyrepr;
use crate::wire::value::Value;

/// The lines of a value, wrapped so that none is wider than `width` where that is possible. Members of structs are
/// sorted by name.
pub fn value(value: &Value, width: usize) -> String {
    let mut out = String::new();
    write(&mut out, &sorted(value), 0, 0, width);
    out
}

/// The value with the members of all structs in the order of their names.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.iter().map(sorted).collect()),
        Value::Struct(members) => {
            let mut members: Vec<_> = members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            crate::sort::by(&mut members, |(a, _), (b, _)| a.cmp(b));
            Value::Struct(members)
        }
        other => other.clone(),
    }
}

/// Writes a value that begins at column `indent` and is followed by `allowance` characters on its last line.
fn write(out: &mut String, value: &Value, indent: usize, allowance: usize, width: usize) {
    let line = pyrepr::value(value);
    if indent + line.chars().count() + allowance <= width {
        out.push_str(&line);
        return;
    }
    match value {
        Value::Array(values) if !values.is_empty() => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                separate(out, at, indent + 1);
                let after = if at + 1 == values.len() { allowance + 1 } else { 1 };
                write(out, value, indent + 1, after, width);
            }
            out.push(']');
        }
        Value::Struct(members) if !members.is_empty() => {
            out.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                separate(out, at, indent + 1);
                let name = pyrepr::text(name);
                out.push_str(&name);
                out.push_str(": ");
                let after = if at + 1 == members.len() { allowance + 1 } else { 1 };
                write(out, value, indent + 1 + name.chars().count() + 2, after, width);
            }
            out.push('}');
        }
        Value::Str(text) => write_long_text(out, text, indent, allowance, width),
        _ => out.push_str(&line),
    }
}

fn separate(out: &mut String, at: usize, indent: usize) {
    if at > 0 {
        out.push_str(",\n");
        out.push_str(&" ".repeat(indent));
    }
}

/// A text too long for its line is cut at line ends and then at blanks into quoted pieces, one below the other; at the
/// outermost level they stand in parentheses.
fn write_long_text(out: &mut String, text: &str, indent: usize, allowance: usize, width: usize) {
    let is_outermost = indent == 0;
    let (indent, allowance) = if is_outermost { (1, allowance + 1) } else { (indent, allowance) };
    let mut pieces: Vec<String> = Vec::new();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for (at, line) in lines.iter().enumerate() {
        let is_last_line = at + 1 == lines.len();
        let room = |is_last: bool| width.saturating_sub(indent + if is_last { allowance } else { 0 });
        let whole = pyrepr::text(line);
        if whole.chars().count() <= room(is_last_line) {
            pieces.push(whole);
            continue;
        }
        let mut current = String::new();
        let parts = words_with_blanks(line);
        for (at, part) in parts.iter().enumerate() {
            let candidate = format!("{current}{part}");
            let is_last = is_last_line && at + 1 == parts.len();
            if pyrepr::text(&candidate).chars().count() > room(is_last) {
                if !current.is_empty() {
                    pieces.push(pyrepr::text(&current));
                }
                current = part.to_string();
            } else {
                current = candidate;
            }
        }
        if !current.is_empty() {
            pieces.push(pyrepr::text(&current));
        }
    }
    if pieces.len() == 1 {
        out.push_str(&pieces[0]);
        return;
    }
    if is_outermost {
        out.push('(');
    }
    out.push_str(&pieces.join(&format!("\n{}", " ".repeat(indent))));
    if is_outermost {
        out.push(')');
    }
}

/// Words, each with the white space that follows it; white space at the start is a piece of its own.
fn words_with_blanks(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut in_blanks = false;
    for (at, c) in line.char_indices() {
        if in_blanks && !c.is_whitespace() {
            parts.push(&line[start..at]);
            start = at;
        }
        in_blanks = c.is_whitespace();
    }
    if start < line.len() {
        parts.push(&line[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expectations are what `pprint.pformat` of Python 3.11 printed.
    #[test]
    fn table() {
        let texts = |texts: &[&'static str]| Value::Array(texts.iter().map(|&text| text.into()).collect());
        let rows = [
            (Value::Int(42), 80, "42"),
            (Value::Bool(true), 80, "True"),
            ("bar baz".into(), 80, "'bar baz'"),
            ("it's \"x\"".into(), 80, "'it\\'s \"x\"'"),
            (texts(&["foo"]), 80, "['foo']"),
            (Value::Array(vec![]), 1, "[]"),
            (Value::Struct(vec![("b".into(), 2.into()), ("a".into(), 1.into())]), 80, "{'a': 1, 'b': 2}"),
            (texts(&["aaaa", "bbbb", "cccc"]), 12, "['aaaa',\n 'bbbb',\n 'cccc']"),
            (
                Value::Struct(vec![("k".into(), texts(&["aaaa", "bbbb"])), ("j".into(), 1.into())]),
                14,
                "{'j': 1,\n 'k': ['aaaa',\n       'bbbb']}",
            ),
            ("hello world again".into(), 12, "('hello '\n 'world '\n 'again')"),
            (texts(&["hello world again"]), 12, "['hello '\n 'world '\n 'again']"),
            ("one\ntwo\n".into(), 8, "('one\\n'\n 'two\\n')"),
            ("unbreakable".into(), 5, "'unbreakable'"),
        ];
        for (given, width, expected) in rows {
            assert_eq!(value(&given, width), expected, "{given:?} in {width}");
        }
    }
}
