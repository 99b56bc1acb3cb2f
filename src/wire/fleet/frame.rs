//! Frames of a stream: a length of four bytes, a kind, a body, a tag.
//!
//! The tag is over a counter too, which is not sent: each frame has the next one. So nothing can be left out, repeated, or
//! moved, and a session key of each direction sees to it that nothing of another session or of the other side fits.

use super::key::{Key, TAG_BYTES};

/// Bytes of a frame behind its length.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a body at most.
pub const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX - OVERHEAD;

/// Bytes of a frame that are neither its length nor its body.
const OVERHEAD: usize = 1 + TAG_BYTES;

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// Writes the frames of one direction.
#[derive(Debug)]
pub struct Sealer {
    key: Key,
    counter: u64,
}

impl Sealer {
    /// For a new session.
    pub fn new(key: Key) -> Sealer {
        Sealer { key, counter: 0 }
    }

    /// Appends a frame; a body is at most [`BODY_BYTES_MAX`] long.
    pub fn seal(&mut self, kind: u8, body: &[u8], out: &mut Vec<u8>) {
        debug_assert!(body.len() <= BODY_BYTES_MAX);
        let length = ((body.len() + OVERHEAD) as u32).to_be_bytes();
        let tag = self.key.tag(&[&self.counter.to_be_bytes(), &length, &[kind], body]);
        self.counter += 1;
        out.reserve(frame_bytes(body.len()));
        out.extend_from_slice(&length);
        out.push(kind);
        out.extend_from_slice(body);
        out.extend_from_slice(&tag);
    }
}

/// Bytes that a frame with such a body takes.
pub fn frame_bytes(body: usize) -> usize {
    LENGTH_BYTES + OVERHEAD + body
}

/// Why a stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// Its length is beyond the bound, or too short for a frame.
    Length,
    /// Its tag is not that of this place in this session.
    Tag,
}

/// Reads the frames of one direction.
#[derive(Debug)]
pub struct Opener {
    key: Key,
    counter: u64,
    input: Vec<u8>,
    /// Bytes at the front of the input that are used.
    used: usize,
}

impl Opener {
    /// For a new session.
    pub fn new(key: Key) -> Opener {
        Opener { key, counter: 0, input: Vec::new(), used: 0 }
    }

    /// Takes what has arrived. [`Opener::open`] is to be called until it has nothing more: then at most one frame that is
    /// not whole is kept.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.used > 0 {
            self.input.drain(..self.used);
            self.used = 0;
        }
        if self.input.is_empty() {
            // What a long frame has needed.
            self.input.shrink_to(64 * 1024);
        }
        self.input.extend_from_slice(bytes);
    }

    /// The next frame: its number, and its body. `None`: it is not whole yet.
    pub fn open(&mut self) -> Result<Option<(u8, &[u8])>, BadFrame> {
        let rest = &self.input[self.used..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let bytes = u32::from_be_bytes(*length) as usize;
        if !(OVERHEAD..=FRAME_BYTES_MAX).contains(&bytes) {
            return Err(BadFrame::Length);
        }
        let Some(frame) = rest.get(..bytes) else { return Ok(None) };
        let (signed, tag) = frame.split_at(bytes - TAG_BYTES);
        if !self.key.is_tag(tag, &[&self.counter.to_be_bytes(), length, signed]) {
            return Err(BadFrame::Tag);
        }
        self.counter += 1;
        self.used += LENGTH_BYTES + bytes;
        Ok(signed.split_first().map(|(kind, body)| (*kind, body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::of_secret(b"secret")
    }

    /// What is read when the bytes come in pieces of so many.
    fn read(bytes: &[u8], piece: usize) -> (Vec<(u8, Vec<u8>)>, Option<BadFrame>) {
        let mut opener = Opener::new(key());
        let mut frames = Vec::new();
        for piece in bytes.chunks(piece) {
            opener.feed(piece);
            loop {
                match opener.open() {
                    Ok(Some((kind, body))) => frames.push((kind, body.to_vec())),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
        (frames, None)
    }

    fn sealed(bodies: &[&[u8]]) -> Vec<u8> {
        let (mut sealer, mut out) = (Sealer::new(key()), Vec::new());
        for (kind, body) in bodies.iter().enumerate() {
            sealer.seal(kind as u8, body, &mut out);
        }
        out
    }

    #[test]
    fn frames_come_back_however_they_arrive() {
        let long = vec![7; 5000];
        let bodies: [&[u8]; 4] = [b"one", b"", &long, b"four"];
        let bytes = sealed(&bodies);
        assert_eq!(bytes.len(), bodies.iter().map(|body| frame_bytes(body.len())).sum::<usize>());
        let expected: Vec<(u8, Vec<u8>)> =
            bodies.iter().enumerate().map(|(kind, body)| (kind as u8, body.to_vec())).collect();
        for piece in [1, 2, 3, 20, 4096, bytes.len()] {
            assert_eq!(read(&bytes, piece), (expected.clone(), None), "by {piece}");
            assert_eq!(read(&bytes[..bytes.len() - 1], piece), (expected[..3].to_vec(), None), "torn, by {piece}");
        }
    }

    #[test]
    fn what_is_not_the_next_frame_of_the_session_is_refused() {
        let (one, two) = (sealed(&[b"one"]), sealed(&[b"one", b"two"]));
        let second = &two[one.len()..];
        let flipped = |at: usize| {
            let mut bytes = one.clone();
            bytes[at] ^= 0x40;
            bytes
        };
        let mut other_key = Vec::new();
        Sealer::new(Key::of_secret(b"other")).seal(0, b"one", &mut other_key);
        let oversized = [&(FRAME_BYTES_MAX as u32 + 1).to_be_bytes()[..], &[0; 64]].concat();
        let rows: [(&str, Vec<u8>, usize, BadFrame); 8] = [
            ("replayed", [&one[..], &one].concat(), 1, BadFrame::Tag),
            ("left out", second.to_vec(), 0, BadFrame::Tag),
            ("swapped", [second, &one].concat(), 0, BadFrame::Tag),
            ("another key", other_key, 0, BadFrame::Tag),
            ("a bit of the kind", flipped(4), 0, BadFrame::Tag),
            ("a bit of the body", flipped(5), 0, BadFrame::Tag),
            ("oversized", oversized, 0, BadFrame::Length),
            ("too short", vec![0, 0, 0, 16, 1, 2, 3], 0, BadFrame::Length),
        ];
        for (name, bytes, frames, expected) in rows {
            for piece in [1, 7, bytes.len()] {
                let (read, error) = read(&bytes, piece);
                assert_eq!((read.len(), error), (frames, Some(expected)), "{name}, by {piece}");
            }
        }
    }

    #[test]
    fn the_longest_frame_is_taken() {
        let body = vec![1; BODY_BYTES_MAX];
        let (frames, error) = read(&sealed(&[&body]), 64 * 1024);
        assert_eq!((frames.len(), error), (1, None));
    }
}
