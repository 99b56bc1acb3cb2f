//! What instances of a fleet say: frames are the same however they arrive, what nobody has vouched for is nothing, and
//! whatever somebody who knows the secret sends is read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stheno::clock::Mono;
use stheno::model::fleet::membership::{Membership, Pace};
use stheno::model::fleet::session::{Heard, Me, Session};
use stheno::wire::dns::{self, Answer, Family};
use stheno::wire::fleet::announce::Announcement;
use stheno::wire::fleet::codec::Reader;
use stheno::wire::fleet::datagram::{Datagram, seal};
use stheno::wire::fleet::frame::{Opener, Sealer};
use stheno::wire::fleet::hello::{Challenge, Hello};
use stheno::wire::fleet::key::Key;

fn key() -> Key {
    Key::of_secret(b"a secret of sixteen bytes")
}

/// All frames, and whether the stream was refused.
fn frames(data: &[u8], step: usize) -> (Vec<(u8, Vec<u8>)>, bool) {
    let mut opener = Opener::new(key());
    let mut all = Vec::new();
    for piece in data.chunks(step) {
        opener.feed(piece);
        loop {
            match opener.open() {
                Ok(Some((kind, body))) => all.push((kind, body.to_vec())),
                Ok(None) => break,
                Err(_) => return (all, true),
            }
        }
    }
    (all, false)
}

/// What a session hears, and why it was ended.
fn heard(data: &[u8], step: usize, connects: bool) -> (Vec<Heard>, String) {
    let (identifier, nick) = ("a:9001".to_string(), "a".to_string());
    let me = Me { identifier, boot: 1, key: key(), options: String::new(), nick, place: String::new() };
    let mut out = Vec::new();
    let mut session = if connects { Session::connect([1; 16]) } else { Session::accept([1; 16], &mut out) };
    let mut all = Vec::new();
    for piece in data.chunks(step) {
        if let Err(broken) = session.receive(piece, &me, &mut out, &mut all) {
            return (all, broken.to_string());
        }
    }
    (all, String::new())
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let (step, whole) = (usize::from(*first).max(1), data.len().max(1));
    // As they are, and as the body of something that is right.
    assert_eq!(frames(data, step), frames(data, whole), "in steps of {step}");
    let mut sealed = Vec::new();
    let mut sealer = Sealer::new(key());
    data.chunks(step * 3).for_each(|body| sealer.seal(*first, body, &mut sealed));
    let expected: Vec<(u8, Vec<u8>)> = data.chunks(step * 3).map(|body| (*first, body.to_vec())).collect();
    assert_eq!(frames(&sealed, step), (expected, false));
    for connects in [true, false] {
        assert_eq!(heard(data, step, connects), heard(data, whole, connects), "in steps of {step}");
    }
    // Somebody who knows the secret says anything.
    let tag = key().tag(&[data]);
    let _ = Hello::read(&[data, &tag].concat(), &key(), &[]);
    let _ = Challenge::read(data);
    let announced = key().derive("announcement", &[]).tag(&[data]);
    let _ = Announcement::read(&[data, &announced].concat(), &key());
    assert_eq!(Announcement::read(data, &key()), None);
    // A name server, or somebody who would like to be one.
    let asked = dns::question(7, "a.example", Family::V4).unwrap_or_default();
    let echo = asked.get(12..asked.len() - 11).unwrap_or_default();
    let (head, records) = data.split_at(data.len().min(8));
    for bytes in [data, &[&[0, 7, 0x80, 0], head, echo, records].concat()] {
        if let Some(Answer::Addresses(all)) = dns::answer(bytes, 7, "a.example", Family::V4) {
            assert!(all.len() <= dns::ADDRESSES_MAX && all.iter().all(|address| address.is_ipv4()));
        }
    }
    assert!(Datagram::read(data).is_none_or(|datagram| !datagram.is_of(&key())));
    if data.len() < 1000 {
        let bytes = seal(&key(), 7, 9, data);
        assert!(Datagram::read(&bytes).is_some_and(|datagram| datagram.is_of(&key()) && datagram.body == data));
    }
    let mut membership = Membership::new("a:9001", ["a:9001", "b:9001"].into_iter(), 1, Pace::NORMAL, 5);
    membership.met("b:9001", 2, 1, Mono(0));
    membership.receive(data, Mono(1));
    membership.turn(Mono(10_000_000_000));
    let mut reader = Reader::new(data);
    while reader.text(64).is_ok() && reader.signed().is_ok() {}
});
