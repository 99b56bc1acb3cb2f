//! Requests: a head is found at the same place however it arrives, and a body gives the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stheno::wire::form::{every_field, path_parts, quote};
use stheno::wire::http::{BodyReader, head_len, parse_head, split_target};

/// Small enough that the fuzzer meets it.
const BODY_BYTES_MAX: u64 = 512;

fuzz_target!(|data: &[u8]| {
    let (step, data) = match data.split_first() {
        Some((first, rest)) => (usize::from(*first).max(1), rest),
        None => return,
    };
    let whole = head_len(data, 0);
    let mut arrived = 0;
    let pieces = loop {
        let searched = arrived;
        arrived = (arrived + step).min(data.len());
        match head_len(&data[..arrived], searched) {
            Ok(None) if arrived < data.len() => {}
            found => break found,
        }
    };
    // An error may show earlier in pieces than in one, never the other way round.
    if let (Ok(whole), Ok(pieces)) = (&whole, &pieces) {
        assert_eq!(whole, pieces, "in steps of {step}");
    }
    let Ok(Some(len)) = whole else { return };

    let mut head = data[..len].to_vec();
    let Ok(head) = parse_head(&mut head) else { return };
    let (path, query) = split_target(head.target);
    // What the parts of a path say they say also when they are quoted as a whole.
    let parts: Vec<String> = path_parts(path).collect();
    let quoted: Vec<String> = parts.iter().map(|part| quote(part).replace('/', "%2F")).collect();
    assert_eq!(path_parts(&format!("/{}", quoted.join("/"))).collect::<Vec<_>>(), parts);
    every_field(query);
    let body = &data[len..];
    let read = |step: usize| -> Result<(Vec<u8>, usize, bool), String> {
        let mut reader = BodyReader::new(head.framing, BODY_BYTES_MAX).map_err(|error| format!("{error:?}"))?;
        let (mut out, mut used) = (Vec::new(), 0);
        for piece in body.chunks(step) {
            let progress = reader.read(piece, &mut out).map_err(|error| format!("{error:?}"))?;
            used += progress.used;
            if progress.done {
                break;
            }
        }
        assert!(out.len() as u64 <= BODY_BYTES_MAX, "a body of {} bytes", out.len());
        Ok((out, used, reader.is_done()))
    };
    assert_eq!(read(step), read(body.len().max(1)), "in steps of {step}");
});
