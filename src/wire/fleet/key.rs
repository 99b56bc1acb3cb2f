//! Keys, and the tags that are made with them (HMAC-SHA256, cut to half).

use hmac_sha256::HMAC;

/// Bytes of a tag. Half of the digest: nobody can try 2^128 of them, and each frame carries one.
pub const TAG_BYTES: usize = 16;

/// A key. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The key of a secret.
    pub fn of_secret(secret: &[u8]) -> Key {
        Key(HMAC::mac(secret, b"stheno-fleet/1 secret"))
    }

    /// Another key that follows from this one and a label with what belongs to it.
    pub fn derive(&self, label: &str, parts: &[&[u8]]) -> Key {
        let mut mac = HMAC::new(self.0);
        mac.update(label);
        for part in parts {
            // With its length, so that no two lists of parts are the same bytes.
            mac.update((part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Key(mac.finalize())
    }

    /// The tag of parts that stand behind each other.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
        let mut mac = HMAC::new(self.0);
        parts.iter().for_each(|part| mac.update(part));
        let digest = mac.finalize();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&digest[..TAG_BYTES]);
        tag
    }

    /// Whether a tag is that of these parts. It takes the same time wherever they differ.
    pub fn is_tag(&self, tag: &[u8], parts: &[&[u8]]) -> bool {
        let right = self.tag(parts);
        let differ = right.iter().zip(tag).fold(0, |differ, (one, other)| differ | (one ^ other));
        tag.len() == TAG_BYTES && std::hint::black_box(differ) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_depend_on_every_byte_and_on_the_key() {
        let key = Key::of_secret(b"secret");
        let tag = key.tag(&[b"ab", b"c"]);
        assert!(key.is_tag(&tag, &[b"abc"]) && key.is_tag(&tag, &[b"", b"a", b"bc"]));
        assert!(!key.is_tag(&tag, &[b"abd"]) && !Key::of_secret(b"Secret").is_tag(&tag, &[b"abc"]));
        for at in 0..TAG_BYTES {
            let mut wrong = tag;
            wrong[at] ^= 1;
            assert!(!key.is_tag(&wrong, &[b"abc"]), "{at}");
        }
        assert!(!key.is_tag(&tag[..8], &[b"abc"]) && !key.is_tag(&[], &[b"abc"]));
    }

    #[test]
    fn derived_keys_differ_by_label_and_by_parts() {
        let key = Key::of_secret(b"secret");
        let keys = [
            key.derive("a", &[b"x", b"y"]),
            key.derive("b", &[b"x", b"y"]),
            key.derive("a", &[b"xy"]),
            key.derive("a", &[b"xy", b""]),
            key.clone(),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(keys[at + 1..].iter().all(|other| other != one), "{at}");
        }
        assert_eq!(format!("{key:?}"), "Key");
    }
}
