//! The listener's side of the event protocol (E-80): READY, one message, RESULT, again.

use std::io::{self, BufRead, Read, Write};

use super::options::Exit;
use super::world::World;

/// Longest header line. The daemon's own is a few hundred bytes.
const HEADER_BYTES_MAX: u64 = 64 * 1024;

/// Largest payload taken, in characters. None that an applet cares about is longer than a line.
const PAYLOAD_CHARS_MAX: u64 = 64 * 1024 * 1024;

/// An event, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The type of event that it subscribes to, such as `TICK_60`.
    pub event: String,
    /// All of it; its first line is `key:value` pairs.
    pub payload: String,
}

impl Message {
    /// The value of a key in the payload's first line; empty if it is not there.
    pub fn value(&self, key: &str) -> &str {
        let pairs = self.payload.lines().next().unwrap_or_default();
        pair(pairs, key).unwrap_or_default()
    }
}

/// A listener that accepts every event.
pub trait Applet {
    /// Says what there is to say before the first event.
    fn begin(&mut self, _: &mut dyn World) {}

    /// Does what is to be done about an event. An error ends the program.
    fn handle(&mut self, message: &Message, world: &mut dyn World) -> Result<(), Exit>;

    /// Whether it has nothing more to do, and ends.
    fn is_done(&self) -> bool {
        false
    }
}

/// Handles events until the input ends, which is when the daemon has gone or closed it, or until nothing is left to do.
pub fn serve(
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    applet: &mut dyn Applet,
    world: &mut dyn World,
) -> Result<(), Exit> {
    let broken = |error: io::Error| Exit::failed(format!("event stream: {error}\n"));
    applet.begin(world);
    while !applet.is_done() {
        answer(output, b"READY\n").map_err(broken)?;
        let Some(message) = read(input).map_err(broken)? else { return Ok(()) };
        applet.handle(&message, world)?;
        answer(output, b"RESULT 2\nOK").map_err(broken)?;
    }
    Ok(())
}

fn answer(output: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(bytes)?;
    output.flush()
}

/// The next message; `None` at the end of the input, also in the midst of a message.
fn read(input: &mut dyn BufRead) -> io::Result<Option<Message>> {
    let mut line = Vec::new();
    // The limit is on a reference: the reader itself goes on.
    Read::take(&mut *input, HEADER_BYTES_MAX).read_until(b'\n', &mut line)?;
    let header = String::from_utf8_lossy(&line);
    let bad = || io::Error::new(io::ErrorKind::InvalidData, format!("bad header line: {}", header.trim_end()));
    if header.is_empty() {
        return Ok(None);
    }
    let event = pair(&header, "eventname").ok_or_else(bad)?.to_string();
    let length: u64 = pair(&header, "len").and_then(|len| len.parse().ok()).ok_or_else(bad)?;
    if length > PAYLOAD_CHARS_MAX {
        return Err(bad());
    }
    let mut payload = Vec::new();
    for _ in 0..length {
        if !read_char(input, &mut payload)? {
            return Ok(None);
        }
    }
    Ok(Some(Message { event, payload: String::from_utf8_lossy(&payload).into_owned() }))
}

/// Reads one character, for `len` counts characters (E-31); false at the end of the input.
fn read_char(input: &mut dyn BufRead, out: &mut Vec<u8>) -> io::Result<bool> {
    let mut bytes = [0; 4];
    if input.read(&mut bytes[..1])? == 0 {
        return Ok(false);
    }
    let length = match bytes[0] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
        _ => 1,
    };
    match input.read_exact(&mut bytes[1..length]) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        other => other?,
    }
    out.extend_from_slice(&bytes[..length]);
    Ok(true)
}

/// The value of a key among `key:value` pairs.
fn pair<'a>(pairs: &'a str, key: &str) -> Option<&'a str> {
    pairs.split_whitespace().find_map(|pair| pair.strip_prefix(key)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applets::testing::Fake;

    struct Recorder(Vec<Message>);

    impl Applet for Recorder {
        fn handle(&mut self, message: &Message, _: &mut dyn World) -> Result<(), Exit> {
            self.0.push(message.clone());
            if message.event == "TICK_3600" { Err(Exit::failed("stop\n".into())) } else { Ok(()) }
        }
    }

    fn header(event: &str, len: usize) -> String {
        format!("ver:3.0 server:s serial:1 pool:p poolserial:1 eventname:{event} len:{len}\n")
    }

    #[test]
    fn a_conversation() {
        let one = header("TICK_5", 6) + "when:5";
        let umlaut = header("REMOTE_COMMUNICATION", 12) + "type:t\nhéllo";
        let empty = header("SUPERVISOR_STATE_CHANGE_RUNNING", 0);
        let last = header("TICK_3600", 6) + "when:0";
        let ready = "READY\n";
        let ok = "RESULT 2\nOKREADY\n";
        // (input, events handled, output, error text)
        let rows: &[(String, &[&str], String, &str)] = &[
            (String::new(), &[], ready.into(), ""),
            (one.clone(), &["TICK_5 when:5"], format!("{ready}{ok}"), ""),
            (
                format!("{umlaut}{empty}{one}"),
                &["REMOTE_COMMUNICATION type:t\nhéllo", "SUPERVISOR_STATE_CHANGE_RUNNING ", "TICK_5 when:5"],
                format!("{ready}{ok}{ok}{ok}"),
                "",
            ),
            (format!("{last}{one}"), &["TICK_3600 when:0"], ready.into(), "stop\n"),
            (header("TICK_5", 7) + "when:5", &[], ready.into(), ""),
            ("nonsense\n".into(), &[], ready.into(), "event stream: bad header line: nonsense\n"),
        ];
        for (input, events, output, error) in rows {
            let (mut out, mut recorder) = (Vec::new(), Recorder(vec![]));
            let ended = serve(&mut input.as_bytes(), &mut out, &mut recorder, &mut Fake::default());
            let seen: Vec<String> = recorder.0.iter().map(|m| format!("{} {}", m.event, m.payload)).collect();
            assert_eq!(seen, *events, "{input:?}");
            assert_eq!(String::from_utf8_lossy(&out), *output, "{input:?}");
            assert_eq!(ended.err().map_or(String::new(), |exit| exit.stderr), *error, "{input:?}");
        }
    }

    #[test]
    fn payload_pairs() {
        let message = Message { event: String::new(), payload: "processname:a groupname:b pid:3\nexpected:1".into() };
        for (key, value) in [("processname", "a"), ("pid", "3"), ("process", ""), ("expected", "")] {
            assert_eq!(message.value(key), value, "{key}");
        }
    }
}
