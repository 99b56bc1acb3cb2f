//! Commands, `environment=`, forms and JSON: any text is taken apart or refused; what we quote reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stheno::wire::{form, json, keyvalue, words};

fuzz_target!(|text: &str| {
    if let Ok(words) = words::split(text) {
        let bytes: usize = words.iter().map(String::len).sum();
        assert!(bytes <= text.len(), "no word holds more than was written");
    }
    if let Err(message) = keyvalue::parse(text) {
        assert!(!message.is_empty());
    }
    assert_eq!(form::unquote(&form::quote(text)), text, "what is quoted reads back");
    form::Form::parse(text, text.as_bytes());
    if let Some(value) = json::read(text) {
        let again = json::read(&json::write(&value)).expect("what we write is JSON");
        assert_eq!(json::write(&again), json::write(&value));
    }
});
