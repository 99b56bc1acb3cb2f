//! ZMTP 3.1, the side of a PUB socket, without security (RFC 37 and 23, mechanism NULL): a greeting and a READY command each way,
//! then what subscribers want, and messages to them.
//!
//! Subscribers of 3.0 send their subscriptions as messages, those of 3.1 as commands; both are taken.

/// A greeting: signature, version, mechanism, and that we are no server of it.
const GREETING_BYTES: usize = 64;

/// A frame that a subscriber sends: a subscription, a ping, its properties. It has no reason to send more.
const FRAME_BYTES_MAX: u64 = 4096;

/// Prefixes that one of them subscribes to.
const SUBSCRIPTIONS_MAX: usize = 64;

/// Bytes of a prefix that is remembered. No topic is as long, so that nothing is under a longer one.
const PREFIX_BYTES_MAX: usize = 32;

/// Flags of a frame: more of the message follows, its length has eight bytes, it is a command.
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// What we send first: the signature, version 3.1, no security.
pub fn greeting() -> Vec<u8> {
    let mut bytes = vec![0; GREETING_BYTES];
    bytes[0] = 0xFF;
    bytes[9] = 0x7F;
    bytes[10..12].copy_from_slice(&[3, 1]);
    bytes[12..16].copy_from_slice(b"NULL");
    bytes
}

fn frame(flags: u8, body: &[u8], out: &mut Vec<u8>) {
    match u8::try_from(body.len()) {
        Ok(length) => out.extend_from_slice(&[flags, length]),
        Err(_) => {
            out.push(flags | LONG);
            out.extend_from_slice(&(body.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
}

/// Appends a message of two parts.
pub fn message(topic: &str, body: &str, out: &mut Vec<u8>) {
    frame(MORE, topic.as_bytes(), out);
    frame(0, body.as_bytes(), out);
}

fn ready(out: &mut Vec<u8>) {
    frame(COMMAND, b"\x05READY\x0BSocket-Type\0\0\0\x03PUB", out);
}

/// How far a subscriber has come.
#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Greets,
    Introduces,
    Listens,
}

/// What one connection has said so far, and what it subscribes to.
#[derive(Debug, Default)]
pub struct Subscriber {
    stage: Stage,
    /// What has come of a greeting or frame that is not whole.
    pending: Vec<u8>,
    prefixes: Vec<Vec<u8>>,
}

impl Subscriber {
    /// Whether it has introduced itself.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Listens
    }

    /// Whether it wants what is under this topic.
    pub fn wants(&self, topic: &str) -> bool {
        self.prefixes.iter().any(|prefix| topic.as_bytes().starts_with(prefix))
    }

    /// Takes what has come, and appends what is to be answered; false when the connection is over.
    pub fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        self.pending.extend_from_slice(bytes);
        let mut pending = std::mem::take(&mut self.pending);
        let mut used = 0;
        let goes_on = loop {
            match self.step(&pending[used..], out) {
                Ok(Some(count)) => used += count,
                Ok(None) => break true,
                Err(Broken) => break false,
            }
        };
        pending.drain(..used);
        // What many frames at once have needed.
        pending.shrink_to(FRAME_BYTES_MAX as usize);
        self.pending = pending;
        goes_on
    }

    /// Takes one greeting or frame off the front; says how many bytes it had, or that it is not whole.
    fn step(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Option<usize>, Broken> {
        if self.stage == Stage::Greets {
            let is_wrong = |at: usize, good: &dyn Fn(u8) -> bool| bytes.get(at).is_some_and(|byte| !good(*byte));
            // The bytes between are a length that old peers give there. What is older than 3.0 speaks otherwise.
            if is_wrong(0, &|byte| byte == 0xFF) || is_wrong(9, &|byte| byte == 0x7F) || is_wrong(10, &|byte| byte >= 3)
            {
                return Err(Broken);
            }
            let Some(greeting) = bytes.get(..GREETING_BYTES) else { return Ok(None) };
            if greeting[12..32] != self::greeting()[12..32] {
                return Err(Broken);
            }
            ready(out);
            self.stage = Stage::Introduces;
            return Ok(Some(GREETING_BYTES));
        }
        let Some((flags, rest)) = bytes.split_first() else { return Ok(None) };
        let (length, begin) = if flags & LONG == 0 {
            let Some(length) = rest.first() else { return Ok(None) };
            (u64::from(*length), 2)
        } else {
            let Some(length) = rest.first_chunk::<8>() else { return Ok(None) };
            (u64::from_be_bytes(*length), 9)
        };
        if length > FRAME_BYTES_MAX || flags & !(MORE | LONG | COMMAND) != 0 {
            return Err(Broken);
        }
        let end = begin + length as usize;
        let Some(body) = bytes.get(begin..end) else { return Ok(None) };
        if flags & COMMAND != 0 {
            self.command(body, out)?
        } else {
            self.message(body)?
        }
        Ok(Some(end))
    }

    fn command(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        let (length, rest) = body.split_first().ok_or(Broken)?;
        let (name, data) = rest.split_at_checked(usize::from(*length)).ok_or(Broken)?;
        match (name, &self.stage) {
            (b"READY", Stage::Introduces) => {
                if !is_subscriber(data) {
                    return Err(Broken);
                }
                self.stage = Stage::Listens;
            }
            (b"SUBSCRIBE", Stage::Listens) => self.subscribe(data)?,
            (b"CANCEL", Stage::Listens) => self.cancel(data),
            (b"PING", Stage::Listens) => {
                // A time to live, and what is to be repeated.
                let context = data.get(2..).ok_or(Broken)?;
                frame(COMMAND, &[b"\x04PONG", context].concat(), out);
            }
            (b"PONG", Stage::Listens) => {}
            (b"ERROR", _) | (_, Stage::Introduces | Stage::Greets) => return Err(Broken),
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, body: &[u8]) -> Result<(), Broken> {
        if self.stage != Stage::Listens {
            return Err(Broken);
        }
        match body.split_first() {
            Some((1, prefix)) => self.subscribe(prefix)?,
            Some((0, prefix)) => self.cancel(prefix),
            // What else subscribers send is not for us.
            _ => {}
        }
        Ok(())
    }

    fn subscribe(&mut self, prefix: &[u8]) -> Result<(), Broken> {
        if prefix.len() > PREFIX_BYTES_MAX {
            return Ok(());
        }
        if self.prefixes.len() == SUBSCRIPTIONS_MAX {
            return Err(Broken);
        }
        self.prefixes.push(prefix.to_vec());
        Ok(())
    }

    /// Takes back one of its subscriptions to this.
    fn cancel(&mut self, prefix: &[u8]) {
        if let Some(at) = self.prefixes.iter().position(|one| one == prefix) {
            self.prefixes.swap_remove(at);
        }
    }
}

/// It speaks another protocol, or is no subscriber.
struct Broken;

/// Whether the properties of a READY command are those of a subscriber.
fn is_subscriber(mut properties: &[u8]) -> bool {
    loop {
        let Some((length, rest)) = properties.split_first() else { return false };
        let Some((name, rest)) = rest.split_at_checked(usize::from(*length)) else { return false };
        let Some((length, rest)) = rest.split_first_chunk::<4>() else { return false };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((value, rest)) = rest.split_at_checked(length) else { return false };
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            return value == b"SUB" || value == b"XSUB";
        }
        properties = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(name: &str, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        frame(COMMAND, &[&[name.len() as u8], name.as_bytes(), data].concat(), &mut out);
        out
    }

    fn said(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        frame(0, body, &mut out);
        out
    }

    /// What it is, what it sends in parts, what is answered, whether it goes on, and the topics that it wants.
    type Row<'a> = (&'static str, Vec<Vec<u8>>, &'a [u8], bool, &'static [&'static str]);

    /// Takes it whole and byte by byte; answers what was answered, whether it goes on, and which topics it wants.
    fn taken(parts: &[Vec<u8>]) -> (Vec<u8>, bool, Vec<&'static str>) {
        let all = parts.concat();
        let mut results = Vec::new();
        for piece in [1, all.len()] {
            let (mut subscriber, mut out, mut open) = (Subscriber::default(), Vec::new(), true);
            for bytes in all.chunks(piece) {
                open = open && subscriber.take(bytes, &mut out);
            }
            let wanted =
                ["event", "process", "supvisors"].into_iter().filter(|topic| subscriber.wants(topic)).collect();
            results.push((out, open, wanted));
        }
        assert_eq!(results[0], results[1], "{all:?}");
        results.swap_remove(0)
    }

    #[test]
    fn what_subscribers_say() {
        let hello = || [greeting(), command("READY", b"\x0BSocket-Type\0\0\0\x03SUB\x08Identity\0\0\0\0")].concat();
        let (mut answered, mut pong) = (Vec::new(), Vec::new());
        ready(&mut answered);
        frame(COMMAND, b"\x04PONGctx", &mut pong);
        let pong = [answered.clone(), pong].concat();
        let mut old = greeting();
        old[10] = 1;
        let mut plain = greeting();
        plain[12..17].copy_from_slice(b"PLAIN");
        let long = [&[0u8, 255][..], &[1; 255]].concat();
        let rows: Vec<Row<'_>> = vec![
            ("a subscriber", vec![hello()], &answered, true, &[]),
            ("of all", vec![hello(), command("SUBSCRIBE", b"")], &answered, true, &["event", "process", "supvisors"]),
            (
                "of two, by 3.0",
                vec![hello(), said(b"\x01event"), said(b"\x01pro")],
                &answered,
                true,
                &["event", "process"],
            ),
            ("that takes it back", vec![hello(), said(b"\x01event"), said(b"\0event")], &answered, true, &[]),
            ("by 3.1", vec![hello(), command("SUBSCRIBE", b"e"), command("CANCEL", b"e")], &answered, true, &[]),
            (
                "twice, and once back",
                vec![hello(), said(b"\x01event"), said(b"\x01event"), said(b"\0event")],
                &answered,
                true,
                &["event"],
            ),
            ("that pings", vec![hello(), command("PING", b"\0\x0Actx")], &pong, true, &[]),
            ("that says more", vec![hello(), said(b"x"), long, command("NEWS", b"")], &answered, true, &[]),
            ("of an old version", vec![old], &[], false, &[]),
            ("with a password", vec![plain], &[], false, &[]),
            ("a browser", vec![b"GET / HTTP/1.1\r\n\r\n".to_vec()], &[], false, &[]),
            ("a publisher", vec![greeting(), command("READY", b"\x0BSocket-Type\0\0\0\x03PUB")], &answered, false, &[]),
            ("before it is ready", vec![greeting(), said(b"\x01")], &answered, false, &[]),
            ("too long", vec![hello(), vec![LONG, 0, 0, 0, 0, 0, 0, 0x20, 0]], &answered, false, &[]),
            ("an odd flag", vec![hello(), vec![0x80, 0]], &answered, false, &[]),
            ("an error", vec![greeting(), command("ERROR", b"\x02no")], &answered, false, &[]),
        ];
        for (what, parts, answer, goes_on, wanted) in rows {
            let (out, open, wants) = taken(&parts);
            assert_eq!((out.as_slice(), open, wants.as_slice()), (answer, goes_on, wanted), "{what}");
        }
    }

    #[test]
    fn subscriptions_have_a_bound() {
        let ready = command("READY", b"\x0BSocket-Type\0\0\0\x04XSUB");
        let mut subscriber = Subscriber::default();
        let mut out = Vec::new();
        assert!(subscriber.take(&[greeting(), ready].concat(), &mut out) && subscriber.is_ready());
        // What nothing can be under is not kept.
        let long = [&[1][..], &[b'e'; FRAME_BYTES_MAX as usize - 1]].concat();
        assert!((0..1000).all(|_| subscriber.take(&said(&long), &mut out)));
        assert!(subscriber.prefixes.is_empty() && subscriber.pending.capacity() <= 2 * FRAME_BYTES_MAX as usize);
        let open = (0..SUBSCRIPTIONS_MAX).all(|_| subscriber.take(&said(b"\x01e"), &mut out));
        assert!(open && !subscriber.take(&said(b"\x01e"), &mut out));
    }

    #[test]
    fn messages_have_two_parts() {
        let mut out = Vec::new();
        message("event", &"x".repeat(300), &mut out);
        assert_eq!(out[..7], [1, 5, b'e', b'v', b'e', b'n', b't']);
        assert_eq!(out[7..16], [2, 0, 0, 0, 0, 0, 0, 1, 44]);
        assert_eq!(out.len(), 16 + 300);
    }
}
