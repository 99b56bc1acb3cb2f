//! How an instance makes itself known to those that do not look for it: who it is and where, with a tag.
//!
//! Whoever hears it knows no more than that somebody with the secret said so once; so it is a reason to connect to where it
//! comes from, and to nothing else. Who is there says the handshake.

use super::codec::{Reader, push_text};
use super::hello::NAME_BYTES_MAX;
use super::key::{Key, TAG_BYTES};

/// What announcements of this version begin with.
const MAGIC: [u8; 4] = *b"SFA\x01";

/// Bytes of an announcement at most.
const ANNOUNCEMENT_BYTES_MAX: usize = 4 + 8 + 2 + 2 * (NAME_BYTES_MAX + 2) + TAG_BYTES;

/// What an instance says to a group of the network, so that others find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Its name in the fleet, `host:port`.
    pub identifier: String,
    /// What distinguishes this run of it from others.
    pub boot: u64,
    /// The port at which it is reached.
    pub port: u16,
    /// `host:port` by which it wants to be reached; empty: where this comes from.
    pub place: String,
}

impl Announcement {
    /// As it goes over the wire.
    pub fn write(&self, key: &Key) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.boot.to_be_bytes());
        out.extend_from_slice(&self.port.to_be_bytes());
        push_text(&mut out, &self.identifier);
        push_text(&mut out, &self.place);
        let tag = key.derive("announcement", &[]).tag(&[&out]);
        out.extend_from_slice(&tag);
        out
    }

    /// Reads one that was made with that key; `None` for anything else.
    pub fn read(bytes: &[u8], key: &Key) -> Option<Announcement> {
        let (signed, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        let mut reader = Reader::new(signed);
        let is_one = bytes.len() <= ANNOUNCEMENT_BYTES_MAX && reader.array() == Ok(MAGIC);
        if !is_one || !key.derive("announcement", &[]).is_tag(tag, &[signed]) {
            return None;
        }
        let (boot, port) = (reader.fixed().ok()?, u16::from_be_bytes(reader.array().ok()?));
        let mut text = || reader.text(NAME_BYTES_MAX).ok().map(str::to_string);
        Some(Announcement { identifier: text()?, place: text()?, boot, port })
    }
}

/// Whether it is of others who speak of something else at the same group, such as the original's.
pub fn is_ours(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC[..3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_with_its_key_alone() {
        let name = "h".repeat(NAME_BYTES_MAX);
        let one = Announcement { identifier: name.clone(), boot: 7, port: 9001, place: name };
        let key = Key::of_secret(b"secret");
        let bytes = one.write(&key);
        assert!(bytes.len() <= ANNOUNCEMENT_BYTES_MAX && is_ours(&bytes) && !is_ours(b"{}"));
        assert_eq!(Announcement::read(&bytes, &key), Some(one));
        assert_eq!(Announcement::read(&bytes, &Key::of_secret(b"other")), None);
        for length in 0..bytes.len() {
            assert_eq!(Announcement::read(&bytes[..length], &key), None, "cut at {length}");
        }
    }
}
