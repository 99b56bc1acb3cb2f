//! Configuration files: any bytes are read, or refused with a message; what was read can be found again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stheno::wire::ini::{self, Document};

fuzz_target!(|data: &[u8]| {
    let text = match ini::decode(data) {
        Ok(text) => text,
        Err(message) => return assert!(!message.is_empty()),
    };
    let mut document = Document::default();
    // Read twice, as two files: sections merge, and the last value wins.
    for file in ["a.conf", "b.conf"] {
        if let Err(error) = document.read(text, file) {
            return assert!(!error.to_string().is_empty());
        }
    }
    document.expand_here("/etc");
    let lines = text.split(['\n', '\r']).count() as u32;
    for section in &document.sections {
        let found = document.section(&section.name).expect("a section is found by its name");
        for entry in &found.options {
            assert!(entry.line >= 1 && entry.line <= lines, "{}: line {} of {lines}", entry.key, entry.line);
            assert!(document.get(&section.name, &entry.key).is_some(), "{} is found by its name", entry.key);
        }
    }
});
