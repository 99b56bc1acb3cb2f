//! Answers questions about the text readers of `wire`, one a line, for `tests/interop/wire_text.py` to compare with Python.
//!
//! A question is a word and hexadecimal parts: `split 6120222062`. The answer is one line of JSON: what was read, or
//! `{"error": …}` with the message.

use std::io::{self, BufRead, Write};

use stheno::wire::expand::{self, Names, Var};
use stheno::wire::ini::{self, Document, Entry};
use stheno::wire::value::Value;
use stheno::wire::{json, keyvalue, pyrepr, words};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let answer = answer(&line?).unwrap_or_else(|error| Value::Struct(vec![("error".into(), error.into())]));
        writeln!(out, "{}", json::write(&answer))?;
        out.flush()?;
    }
    Ok(())
}

fn answer(question: &str) -> Result<Value, String> {
    let mut parts = question.split(' ');
    let kind = parts.next().unwrap_or_default();
    let parts = parts.map(unhex).collect::<Result<Vec<_>, _>>()?;
    let first = parts.first().map_or(&[][..], Vec::as_slice);
    match kind {
        "ini" => document(&parts, false),
        "here" => document(&parts, true),
        "decode" => ini::decode(first).map(|text| text.to_string().into()),
        "bytes" => Ok(pyrepr::bytes(first).into()),
        _ => text(kind, ini::decode(first)?),
    }
}

fn text(kind: &str, text: &str) -> Result<Value, String> {
    match kind {
        "split" => {
            let words = words::split(text).map_err(|error| error.to_string())?;
            Ok(Value::Array(words.into_iter().map(Value::from).collect()))
        }
        "expand" => match expand::expand(text, &Sample) {
            Ok(expanded) => Ok(expanded.into()),
            Err(error) => Err(error.message(text, "program:cat.command", &Sample)),
        },
        "pairs" => Ok(pairs(keyvalue::parse(text)?)),
        "json" => json::read(text).ok_or_else(|| "not JSON".to_string()),
        "repr" => Ok(pyrepr::text(text).into()),
        "float" => Ok(Value::Double(text.parse().map_err(|_| format!("no number: {text}"))?)),
        _ => Err(format!("no such question: {kind}")),
    }
}

/// The document that the files `f0`, `f1` … make; `%(here)s` in each is its directory, `/d0`, `/d1` …, if asked for.
fn document(files: &[Vec<u8>], expand_here: bool) -> Result<Value, String> {
    let mut document = Document::default();
    for (at, bytes) in files.iter().enumerate() {
        document.read(ini::decode(bytes)?, &format!("f{at}")).map_err(|error| error.to_string())?;
        if expand_here {
            document.expand_here(&format!("/d{at}"));
        }
    }
    let entries = |entries: &[Entry]| pairs(entries.iter().map(|e| (e.key.clone(), e.value.clone())).collect());
    let mut sections = vec![entries(&document.defaults.options)];
    for section in &document.sections {
        // By its name again, so that the index is asked too.
        let found = document.section(&section.name).ok_or("a section is not found")?;
        let options = entries(&found.options);
        sections.push(Value::Array(vec![found.name.clone().into(), found.file.to_string().into(), options]));
    }
    Ok(Value::Array(sections))
}

fn pairs(pairs: Vec<(String, String)>) -> Value {
    Value::Array(pairs.into_iter().map(|(key, value)| Value::Array(vec![key.into(), value.into()])).collect())
}

fn unhex(part: &str) -> Result<Vec<u8>, String> {
    let digits = part.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    digits.map(|pair| u8::from_str_radix(pair, 16).map_err(|_| format!("not hexadecimal: {part}"))).collect()
}

/// The names that the script uses too.
struct Sample;

impl Names for Sample {
    fn get(&self, name: &str) -> Option<Var<'_>> {
        Some(match name {
            "here" => Var::Text("/etc"),
            "x" => Var::Text("é"),
            "ENV_X" => Var::Text("it's %(x)s \u{1f600}\u{301}\n%"),
            "process_num" => Var::Int(7),
            "numprocs" => Var::Int(-1234567),
            "big" => Var::Int(i64::MAX),
            "c" => Var::Int(233),
            _ => return None,
        })
    }

    fn all(&self) -> Vec<String> {
        ["process_num", "numprocs", "big", "c", "x", "here", "ENV_X"].map(String::from).to_vec()
    }
}
