//! Decoded calls by their bytes. Pollers send the same body again and again, and the parser takes some 20 us for it.

use super::{Call, CallDecoder, DecodeError, decode_call, plain};
use std::rc::Rc;

/// Bodies that are remembered; longer ones are rarely repeated.
const BODY_BYTES_MAX: usize = 2048;
/// Calls that share a hash's low bits and are kept together.
const WAYS: usize = 4;
/// Groups of `WAYS` calls; 64 calls in all, so at most some 300 KiB.
const SETS: usize = 16;

/// Bodies that are decoded at once, whatever is in them: that takes two milliseconds at most.
const AT_ONCE_BYTES_MAX: usize = 16 * 1024;

/// The same of those in the layout of [`plain`].
const PLAIN_AT_ONCE_BYTES_MAX: usize = 64 * 1024;

/// What became of a body.
pub enum Decoded {
    /// The whole call, which the memo may keep.
    Call(Rc<Call>),
    /// It takes longer than others should wait.
    UnderWay(Box<CallDecoder>),
}

/// A bounded memo from body to decoded call.
#[derive(Default)]
pub struct CallMemo {
    sets: [Set; SETS],
}

#[derive(Default)]
struct Set {
    entries: Vec<Entry>,
    /// The entry that goes next when all are taken: each in turn.
    oldest: usize,
}

struct Entry {
    hash: u64,
    body: Box<[u8]>,
    call: Rc<Call>,
}

impl CallMemo {
    /// A memo that remembers nothing yet.
    pub fn new() -> CallMemo {
        CallMemo::default()
    }

    /// The call that `body` contains, or what finds it out in pieces. Errors are not remembered.
    pub fn begin(&mut self, body: &[u8]) -> Result<Decoded, DecodeError> {
        if body.len() <= AT_ONCE_BYTES_MAX {
            return self.decode(body).map(Decoded::Call);
        }
        if body.len() <= PLAIN_AT_ONCE_BYTES_MAX
            && let Some(call) = plain::call(body)?
        {
            return Ok(Decoded::Call(Rc::new(call)));
        }
        Ok(Decoded::UnderWay(Box::new(CallDecoder::new(body))))
    }

    fn decode(&mut self, body: &[u8]) -> Result<Rc<Call>, DecodeError> {
        if body.len() > BODY_BYTES_MAX {
            return decode_call(body).map(Rc::new);
        }
        let hash = hash(body);
        let set = &mut self.sets[hash as usize % SETS];
        if let Some(entry) = set.entries.iter().find(|entry| entry.hash == hash && *entry.body == *body) {
            return Ok(Rc::clone(&entry.call));
        }
        let call = Rc::new(decode_call(body)?);
        let entry = Entry { hash, body: body.into(), call: Rc::clone(&call) };
        if set.entries.len() < WAYS {
            set.entries.push(entry);
        } else {
            set.entries[set.oldest] = entry;
            set.oldest = (set.oldest + 1) % WAYS;
        }
        Ok(call)
    }
}

/// A hash of eight bytes a step. It only spreads: equality is decided by the bytes, so a chosen collision costs its
/// sender a decoding.
fn hash(body: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER);
    let mut hash = body.len() as u64;
    let mut words = body.chunks_exact(8);
    for word in &mut words {
        hash = mix(hash, word.try_into().map_or(0, u64::from_le_bytes));
    }
    for &byte in words.remainder() {
        hash = mix(hash, u64::from(byte));
    }
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::value::Value;

    fn body(n: usize) -> Vec<u8> {
        super::super::encode_call(&format!("m{n}"), &[])
    }

    #[test]
    fn a_repeated_body_is_decoded_once() {
        let mut memo = CallMemo::new();
        let first = memo.decode(&body(1)).expect("a call");
        let again = memo.decode(&body(1)).expect("a call");
        let other = memo.decode(&body(2)).expect("a call");
        assert!(Rc::ptr_eq(&first, &again));
        assert_eq!((first.method.as_str(), other.method.as_str()), ("m1", "m2"));
    }

    #[test]
    fn the_memo_is_bounded_and_answers_rightly_when_full() {
        let mut memo = CallMemo::new();
        for n in (0..1000).chain(0..1000) {
            assert_eq!(memo.decode(&body(n)).expect("a call").method, format!("m{n}"));
        }
        let kept: usize = memo.sets.iter().map(|set| set.entries.len()).sum();
        assert!(kept <= WAYS * SETS && kept > WAYS * SETS / 2, "{kept} entries");
    }

    #[test]
    fn errors_and_long_bodies_are_not_remembered() {
        let mut memo = CallMemo::new();
        assert!(memo.decode(b"<nonsense").is_err());
        let long = super::super::encode_call(&"m".repeat(BODY_BYTES_MAX), &[]);
        assert_eq!(memo.decode(&long).expect("a call").method.len(), BODY_BYTES_MAX);
        assert!(memo.sets.iter().all(|set| set.entries.is_empty()));
    }

    #[test]
    fn long_bodies_are_decoded_in_pieces() {
        let short = super::super::encode_call("m", &[Value::Array(vec!["a & b".into(); 1000])]);
        assert!(matches!(CallMemo::new().begin(&short), Ok(Decoded::Call(_))));
        let usual = super::super::encode_call("m", &[Value::Array(vec!["a & b".into(); 2000])]);
        let text = String::from_utf8(usual.clone()).unwrap();
        let unusual = text.replacen("?>", " ?>", 1);
        for (body, is_call) in [
            (text.clone(), true),
            (text.replace("</methodCall>", ""), false),
            (unusual.clone(), true),
            (unusual.replace("</methodCall>", ""), false),
            (unusual.replacen("a &amp; b", "&nbsp;", 1), false),
        ] {
            let Ok(Decoded::UnderWay(mut decoder)) = CallMemo::new().begin(body.as_bytes()) else { panic!() };
            let (mut pieces, whole) = (0, decode_call(body.as_bytes()));
            let got = loop {
                pieces += 1;
                if let Some(done) = decoder.go_on(100) {
                    break done;
                }
            };
            assert_eq!(got, whole);
            assert_eq!(got.ok(), is_call.then(|| decode_call(&usual).unwrap()));
            assert!(pieces >= 10 || !is_call, "{pieces}");
        }
    }
}
