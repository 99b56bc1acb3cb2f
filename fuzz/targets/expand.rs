//! `%` formats: any text expands within bounds, or is refused with a message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stheno::wire::expand::{Names, Var, expand};

struct Sample;

impl Names for Sample {
    fn get(&self, name: &str) -> Option<Var<'_>> {
        match name {
            "here" => Some(Var::Text("/etc")),
            "x" => Some(Var::Text("%(x)s é")),
            "process_num" => Some(Var::Int(-7)),
            "big" => Some(Var::Int(i64::MIN)),
            _ => None,
        }
    }

    fn all(&self) -> Vec<String> {
        ["here", "x", "process_num", "big"].map(String::from).to_vec()
    }
}

fuzz_target!(|text: &str| {
    match expand(text, &Sample) {
        // Each conversion takes at least four bytes, `%(x)s`, and gives at most 4096 of padding and a short value.
        Ok(expanded) => assert!(expanded.len() <= text.len() * 5000, "{} bytes of {}", expanded.len(), text.len()),
        Err(error) => assert!(!error.message(text, "program:cat.command", &Sample).is_empty()),
    }
});
