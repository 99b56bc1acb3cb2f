//! How a stream begins: each side proves that it knows the key, before it says who it is.
//!
//! The one who was connected to sends a [`Challenge`], the other its [`Hello`] with a tag over both, and only then the first
//! its own, with a tag over all three. Each message stands behind its length, of two bytes.

use super::codec::{Malformed, Reader, push_text};
use super::key::{Key, TAG_BYTES};

/// The protocol that is spoken, oldest and newest version.
pub const VERSIONS: (u8, u8) = (1, 1);

/// What both begin with.
const MAGIC: [u8; 4] = *b"SFS\0";

/// Bytes of one of these messages at most: names, options, and some numbers.
pub const HELLO_BYTES_MAX: usize = 1536;

/// Bytes of a name at most: that of a host, and a port.
pub const NAME_BYTES_MAX: usize = 262;

/// Bytes of the options that have to agree.
const OPTIONS_BYTES_MAX: usize = 256;

/// Bytes of the reason why somebody is not spoken to.
pub const REFUSAL_BYTES_MAX: usize = 256;

/// Bytes of chance that each side adds.
const NONCE_BYTES: usize = 16;

/// What makes this session differ from any other.
pub type Nonce = [u8; NONCE_BYTES];

/// What the one who was connected to says first. It tells a stranger nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Oldest and newest version that it speaks.
    pub versions: (u8, u8),
    /// Its part of what makes the session.
    pub nonce: Nonce,
}

impl Challenge {
    /// As it goes over the wire, without its length.
    pub fn write(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([self.versions.0, self.versions.1]);
        out.extend_from_slice(&self.nonce);
        out
    }

    /// Reads it; what newer versions may add is passed over.
    pub fn read(bytes: &[u8]) -> Result<Challenge, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != MAGIC {
            return Err(Malformed);
        }
        Ok(Challenge { versions: (reader.byte()?, reader.byte()?), nonce: reader.array()? })
    }
}

/// Who somebody is, and what the other side has to know before it speaks to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Oldest and newest version that it speaks.
    pub versions: (u8, u8),
    /// As all configurations name it: `host:port`.
    pub identifier: String,
    /// What distinguishes this run of it from others.
    pub boot: u64,
    /// Its part of what makes the session.
    pub nonce: Nonce,
    /// What has to be the same with both: `auto_fence=false starting_strategy=CONFIG …`.
    pub options: String,
    /// Its short name, by which people call it.
    pub nick: String,
    /// `host:port` by which it wants to be reached; empty where that follows from its identifier.
    pub place: String,
    /// Why it does not speak to the other; empty if it does.
    pub refusal: String,
}

impl Hello {
    /// As it goes over the wire, without its length, with the tag of that key over what was `said` before and it.
    pub fn write(&self, key: &Key, said: &[&[u8]]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([self.versions.0, self.versions.1]);
        push_text(&mut out, &self.identifier);
        out.extend_from_slice(&self.boot.to_be_bytes());
        out.extend_from_slice(&self.nonce);
        for text in [&self.options, &self.nick, &self.place, &self.refusal] {
            push_text(&mut out, text);
        }
        let tag = key.tag(&[said, &[&out[..]]].concat());
        out.extend_from_slice(&tag);
        out
    }

    /// Reads it; `None` if the tag is not that of the key.
    pub fn read(bytes: &[u8], key: &Key, said: &[&[u8]]) -> Result<Option<Hello>, Malformed> {
        let length = bytes.len().checked_sub(TAG_BYTES).ok_or(Malformed)?;
        let (signed, tag) = bytes.split_at_checked(length).ok_or(Malformed)?;
        let mut reader = Reader::new(signed);
        if reader.array()? != MAGIC {
            return Err(Malformed);
        }
        // Before anything is believed, and before a text is copied.
        if !key.is_tag(tag, &[said, &[signed]].concat()) {
            return Ok(None);
        }
        Ok(Some(Hello {
            versions: (reader.byte()?, reader.byte()?),
            identifier: reader.text(NAME_BYTES_MAX)?.to_string(),
            boot: reader.fixed()?,
            nonce: reader.array()?,
            options: reader.text(OPTIONS_BYTES_MAX)?.to_string(),
            nick: reader.text(NAME_BYTES_MAX)?.to_string(),
            place: reader.text(NAME_BYTES_MAX)?.to_string(),
            refusal: reader.text(REFUSAL_BYTES_MAX)?.to_string(),
        }))
    }
}

/// The version that both speak: the newest of the older side.
pub fn common_version(ours: (u8, u8), theirs: (u8, u8)) -> Option<u8> {
    let newest = ours.1.min(theirs.1);
    (newest >= ours.0.max(theirs.0)).then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            versions: VERSIONS,
            identifier: "10.0.0.1:9001".to_string(),
            boot: 77,
            nonce: [3; NONCE_BYTES],
            options: "auto_fence=false".to_string(),
            nick: "n1".to_string(),
            place: String::new(),
            refusal: "is not in supvisors_list".to_string(),
        }
    }

    #[test]
    fn they_come_back_and_only_with_their_tag() {
        let (key, other) = (Key::of_secret(b"secret"), Key::of_secret(b"other"));
        let challenge = Challenge { versions: (1, 2), nonce: [9; NONCE_BYTES] };
        let said = challenge.write();
        assert_eq!(Challenge::read(&said), Ok(challenge));
        let bytes = hello().write(&key, &[&said]);
        assert_eq!(Hello::read(&bytes, &key, &[&said]), Ok(Some(hello())));
        assert_eq!(Hello::read(&bytes, &other, &[&said]), Ok(None));
        assert_eq!(Hello::read(&bytes, &key, &[b"something else"]), Ok(None));
        for at in 4..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert_eq!(Hello::read(&wrong, &key, &[&said]), Ok(None), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert_ne!(Hello::read(&bytes[..length], &key, &[&said]), Ok(Some(hello())), "cut at {length}");
        }
        assert!(bytes.len() < HELLO_BYTES_MAX);
    }

    #[test]
    fn the_longest_fits() {
        let name = "h".repeat(NAME_BYTES_MAX);
        let long = Hello {
            identifier: name.clone(),
            options: "o".repeat(OPTIONS_BYTES_MAX),
            nick: name.clone(),
            place: name,
            refusal: "r".repeat(REFUSAL_BYTES_MAX),
            ..hello()
        };
        let key = Key::of_secret(b"secret");
        let bytes = long.write(&key, &[]);
        assert!(bytes.len() <= HELLO_BYTES_MAX);
        assert_eq!(Hello::read(&bytes, &key, &[]), Ok(Some(long)));
        let longer = Hello { identifier: "h".repeat(NAME_BYTES_MAX + 1), ..hello() };
        assert_eq!(Hello::read(&longer.write(&key, &[]), &key, &[]), Err(Malformed));
    }

    #[test]
    fn versions_that_overlap_are_spoken() {
        let rows =
            [((1, 1), (1, 1), Some(1)), ((1, 2), (2, 3), Some(2)), ((1, 1), (2, 2), None), ((3, 4), (1, 2), None)];
        for (ours, theirs, expected) in rows {
            assert_eq!(common_version(ours, theirs), expected, "{ours:?} {theirs:?}");
        }
    }
}
