//! Environment files: the same variables however the bytes arrive, within the bounds, and none that execve cannot take.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stheno::wire::envfile::{self, NAMES_MAX, Reader};

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let whole = envfile::read(data);
    let mut reader = Reader::default();
    let fed = data.chunks(usize::from(*first).max(1)).try_for_each(|piece| reader.feed(piece));
    assert_eq!(fed.and_then(|()| reader.finish()), whole, "in steps of {first}");
    let Ok(variables) = whole else { return };
    assert!(variables.len() <= NAMES_MAX);
    for (name, value) in variables {
        assert!(envfile::is_name(&name) && !value.contains(&0));
    }
});
