//! Datagrams: who sends, which one it is, a body, a tag.
//!
//! The key is of a pair of runs, for the boot ids of both ends are in it: what was said to an earlier run of somebody, or
//! by one, fits no other. Within a pair the counter and the window of its receiver keep everything from coming twice.

use super::codec::Reader;
use super::key::{Key, TAG_BYTES};

/// What datagrams of this version begin with.
const MAGIC: [u8; 4] = *b"SFD\x01";

/// Bytes of a datagram at most: what passes nearly everywhere in one piece.
const DATAGRAM_BYTES_MAX: usize = 1400;

/// Bytes of a body at most.
pub const DATAGRAM_BODY_MAX: usize = DATAGRAM_BYTES_MAX - MAGIC.len() - 16 - TAG_BYTES;

/// A datagram that nobody has vouched for yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The run of the sender, as it says.
    pub boot: u64,
    /// Which one of that run it is.
    pub counter: u64,
    /// What it says, not looked into: a message of the membership.
    pub body: &'a [u8],
    signed: &'a [u8],
    tag: &'a [u8],
}

/// The key of what one run says to another.
pub fn pair_key(key: &Key, from: u64, to: u64) -> Key {
    key.derive("datagram", &[&from.to_be_bytes(), &to.to_be_bytes()])
}

/// A datagram from a run, under the key of the pair.
pub fn seal(key: &Key, boot: u64, counter: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(DATAGRAM_BYTES_MAX - DATAGRAM_BODY_MAX + body.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&boot.to_be_bytes());
    out.extend_from_slice(&counter.to_be_bytes());
    out.extend_from_slice(body);
    let tag = key.tag(&[&out]);
    out.extend_from_slice(&tag);
    out
}

impl<'a> Datagram<'a> {
    /// Reads one; `None` for anything else.
    pub fn read(bytes: &'a [u8]) -> Option<Datagram<'a>> {
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return None;
        }
        let (signed, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        let mut reader = Reader::new(signed);
        if reader.array() != Ok(MAGIC) {
            return None;
        }
        let (boot, counter) = (reader.fixed().ok()?, reader.fixed().ok()?);
        Some(Datagram { boot, counter, body: reader.rest(), signed, tag })
    }

    /// Whether it was made with that key.
    pub fn is_of(&self, key: &Key) -> bool {
        key.is_tag(self.tag, &[self.signed])
    }
}

/// Which counters have come: those up to 64 below the highest are remembered, earlier ones are taken for known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// One more than the highest.
    next: u64,
    /// Bit 0 is the highest.
    seen: u64,
}

impl Window {
    /// Notes a counter; false if it came before, or may have.
    pub fn admit(&mut self, counter: u64) -> bool {
        // The last number is nobody's: `next` could not tell it.
        let Some(next) = counter.checked_add(1) else { return false };
        if next > self.next {
            let ahead = next - self.next;
            self.seen = if ahead < 64 { self.seen << ahead | 1 } else { 1 };
            self.next = next;
            return true;
        }
        let behind = self.next - next;
        let bit = if behind < 64 { 1 << behind } else { return false };
        let is_new = self.seen & bit == 0;
        self.seen |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pair_itself_fits() {
        let key = Key::of_secret(b"secret");
        let bytes = seal(&pair_key(&key, 1, 2), 1, 9, b"hello");
        let read = Datagram::read(&bytes).unwrap();
        assert_eq!((read.boot, read.counter, read.body), (1, 9, &b"hello"[..]));
        let rows = [((1, 2), true), ((2, 1), false), ((1, 3), false), ((3, 2), false)];
        for ((from, to), expected) in rows {
            assert_eq!(read.is_of(&pair_key(&key, from, to)), expected, "{from} to {to}");
        }
        assert!(!read.is_of(&pair_key(&Key::of_secret(b"other"), 1, 2)));
        for at in 4..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(!Datagram::read(&wrong).unwrap().is_of(&pair_key(&key, 1, 2)), "byte {at}");
        }
    }

    #[test]
    fn anything_else_is_nothing() {
        let key = pair_key(&Key::of_secret(b"secret"), 1, 2);
        let longest = seal(&key, 1, 0, &[0; DATAGRAM_BODY_MAX]);
        assert_eq!((longest.len(), Datagram::read(&longest).is_some()), (DATAGRAM_BYTES_MAX, true));
        let whole = seal(&key, 1, 0, b"");
        for length in 0..whole.len() {
            assert_eq!(Datagram::read(&whole[..length]), None, "cut at {length}");
        }
        let other_version = [b"SFD\x02", &whole[4..]].concat();
        let too_long = [&longest[..], b"x"].concat();
        for wrong in [&b"GET / HTTP/1.1\r\n\r\nand so on, long enough to be one"[..], &other_version, &too_long] {
            assert_eq!(Datagram::read(wrong), None);
        }
    }

    #[test]
    fn each_counter_comes_once() {
        let rows = [
            (5, true),
            (5, false),
            (4, true),
            (0, true),
            (4, false),
            (70, true),
            (6, false), // 64 behind
            (7, true),
            (7, false),
            (69, true),
            (1000, true),
            (70, false),
            (999, true),
            (u64::MAX, false),
            (u64::MAX - 1, true),
            (1000, false),
        ];
        let mut window = Window::default();
        for (counter, expected) in rows {
            assert_eq!(window.admit(counter), expected, "{counter} in {window:?}");
        }
    }
}
