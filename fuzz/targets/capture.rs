//! Output of children: messages and log are the same however the bytes arrive, and stripped text never grows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stheno::wire::ansi::Stripper;
use stheno::wire::capture::{Capture, Piece};

/// Small enough that the fuzzer meets it.
const MESSAGE_BYTES_MAX: usize = 64;

/// Messages in order, and all that went to the log, each message marked by a NUL.
fn captured(data: &[u8], step: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (mut messages, mut log) = (Vec::new(), Vec::new());
    let mut take = |piece: Piece<'_>| match piece {
        Piece::Log(bytes) | Piece::Unfinished(bytes) => {
            assert!(!bytes.is_empty());
            log.extend_from_slice(bytes);
        }
        Piece::Captured(bytes) => assert!(!bytes.is_empty()),
        Piece::Message(bytes) => {
            assert!(bytes.len() <= MESSAGE_BYTES_MAX, "a message of {} bytes", bytes.len());
            messages.push(bytes.to_vec());
            log.push(0);
        }
    };
    let mut capture = Capture::new(MESSAGE_BYTES_MAX);
    for piece in data.chunks(step) {
        capture.feed(piece, &mut take);
    }
    capture.finish(&mut take);
    (messages, log)
}

/// Feeds as much as brings so many messages at most, again and again.
fn portioned(data: &[u8], room: usize) -> Vec<Vec<u8>> {
    let (mut messages, mut rest) = (Vec::new(), data);
    let mut capture = Capture::new(MESSAGE_BYTES_MAX);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(capture.fitting(rest, room));
        let before = messages.len();
        capture.feed(now, &mut |piece| {
            if let Piece::Message(bytes) = piece {
                messages.push(bytes.to_vec());
            }
        });
        assert!(messages.len() - before <= room);
        assert!(later.len() < rest.len(), "nothing fits where there is room");
        rest = later;
    }
    messages
}

fn stripped(data: &[u8], step: usize) -> Vec<u8> {
    let (mut stripper, mut scratch, mut out) = (Stripper::new(), Vec::new(), Vec::new());
    for piece in data.chunks(step) {
        out.extend_from_slice(stripper.strip(piece, &mut scratch));
    }
    out.extend_from_slice(stripper.finish());
    out
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let (step, whole) = (usize::from(*first).max(1), data.len().max(1));
    assert_eq!(captured(data, step), captured(data, whole), "in steps of {step}");
    assert_eq!(portioned(data, step), captured(data, whole).0, "with room for {step}");
    let out = stripped(data, step);
    assert!(out.len() <= data.len());
    assert_eq!(out, stripped(data, whole), "in steps of {step}");
});
