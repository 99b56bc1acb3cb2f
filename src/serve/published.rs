//! What a fleet publishes, to whoever reads it: over WebSocket or ZeroMQ on a port of its own, and as server-sent events
//! (V-505, V-506): `/fleet/events?types=event,process`.
//!
//! A reader that does not keep up loses messages; readers of server-sent events are told how many. Nothing is repeated for
//! who comes late.

use super::Service;
use crate::clock::Now;
use crate::daemon::Host;
use crate::fleet::published::{Kind, Kinds};
use crate::id::ConnId;
use crate::rpc::Context;
use crate::rpc::fleet::publish::{self, Message};
use crate::wire::form::Form;
use crate::wire::http::StreamBody;
use crate::wire::websocket;
#[cfg(feature = "zmq")]
use crate::wire::zmtp::{self, Subscriber};

/// Bytes that wait for one reader.
const OUTPUT_BYTES_MAX: usize = 128 * 1024;

/// Who calls in the audit of what changes; these calls change nothing.
const NOBODY: &str = "publisher";

/// A connection whose client reads what the fleet publishes.
pub(super) struct PublishedFeed {
    wants: Kinds,
    /// Messages lost since the last one that was sent.
    dropped: u64,
    form: Writing,
}

/// How messages are written.
enum Writing {
    ServerSent(StreamBody),
    WebSocket(websocket::Incoming),
    #[cfg(feature = "zmq")]
    Zmq(Subscriber),
}

/// What a path asks for: `/all`, or types between slashes; what is unknown says nothing (V-505).
pub(super) fn of_path(path: &str) -> Kinds {
    let parts = || path.split('/');
    if parts().any(|part| part == "all") { Kinds::all() } else { parts().filter_map(Kind::named).collect() }
}

/// What a query asks for, all by default; the error is the name of a type that does not exist.
pub(super) fn of_query(query: &str) -> Result<Kinds, String> {
    let form = Form::parse(query, &[]);
    let Some(names) = form.get("types").filter(|names| *names != "all") else { return Ok(Kinds::all()) };
    names.split(',').map(|name| Kind::named(name.trim()).ok_or_else(|| name.to_string())).collect()
}

impl PublishedFeed {
    pub(super) fn server_sent(wants: Kinds, body: StreamBody) -> PublishedFeed {
        PublishedFeed { wants, dropped: 0, form: Writing::ServerSent(body) }
    }

    pub(super) fn websocket(wants: Kinds) -> PublishedFeed {
        PublishedFeed { wants, dropped: 0, form: Writing::WebSocket(websocket::Incoming::default()) }
    }

    /// One that is greeted, and has to say what it wants.
    #[cfg(feature = "zmq")]
    pub(super) fn zmq(output: &mut Vec<u8>) -> PublishedFeed {
        output.extend_from_slice(&zmtp::greeting());
        PublishedFeed { wants: Kinds::NONE, dropped: 0, form: Writing::Zmq(Subscriber::default()) }
    }

    /// Whether it has said what it wants; before it may take no longer than a request.
    pub(super) fn is_begun(&self) -> bool {
        match &self.form {
            #[cfg(feature = "zmq")]
            Writing::Zmq(subscriber) => subscriber.is_ready(),
            _ => true,
        }
    }

    /// Takes what it sends; false when it is over.
    fn take(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> bool {
        match &mut self.form {
            Writing::ServerSent(_) => true,
            Writing::WebSocket(incoming) => incoming.take(bytes, output),
            #[cfg(feature = "zmq")]
            Writing::Zmq(subscriber) => {
                let goes_on = subscriber.take(bytes, output);
                self.wants = Kind::ALL.into_iter().filter(|kind| subscriber.wants(kind.name())).collect();
                goes_on
            }
        }
    }

    /// Appends those messages that it wants, and counts those it has no room for.
    fn tell(&mut self, messages: &[Message], lost: u64, output: &mut Vec<u8>) {
        self.dropped += lost;
        for Message { kind, body } in messages.iter().filter(|message| self.wants.has(message.kind)) {
            if output.len() >= OUTPUT_BYTES_MAX {
                self.dropped += 1;
                continue;
            }
            let kind = kind.name();
            match &self.form {
                Writing::ServerSent(stream) => {
                    let dropped = std::mem::take(&mut self.dropped);
                    if dropped > 0 {
                        stream.write(output, format!("event: dropped\ndata: {dropped}\n\n").as_bytes());
                    }
                    stream.write(output, format!("event: {kind}\ndata: {body}\n\n").as_bytes());
                }
                Writing::WebSocket(_) => websocket::text(&format!("[\"{kind}\", {body}]"), output),
                #[cfg(feature = "zmq")]
                Writing::Zmq(_) => zmtp::message(kind, body, output),
            }
        }
    }

    /// The run is over.
    fn end(&mut self, output: &mut Vec<u8>) {
        match &self.form {
            Writing::ServerSent(body) => body.end(output),
            Writing::WebSocket(_) => websocket::go_away(output),
            #[cfg(feature = "zmq")]
            Writing::Zmq(_) => {}
        }
    }
}

impl Service {
    /// What a reader sends; false if this connection is none.
    pub(super) fn hear(&mut self, id: ConnId, bytes: &[u8]) -> bool {
        if !self.conns.published().contains(&id) {
            return false;
        }
        let Some((feed, output)) = self.conns.published_feed(id) else { return true };
        let goes_on = feed.take(bytes, output);
        // Who sends without reading the answers gets none.
        if !goes_on || output.len() >= 2 * OUTPUT_BYTES_MAX {
            self.conns.close(id);
        } else if !output.is_empty() {
            self.conns.touch(id);
        }
        true
    }

    /// Tells the fleet what all readers together want.
    fn refresh_wanted(&mut self, now: Now) {
        let mut wants = Kinds::NONE;
        for id in self.conns.published().clone() {
            wants = self.conns.published_feed(id).map_or(wants, |(feed, _)| wants.union(feed.wants));
        }
        if let Some(fleet) = &mut self.extensions.fleet {
            fleet.publish(wants, now);
        }
    }

    /// Sends what has happened.
    pub(super) fn publish(&mut self, now: Now, host: &mut dyn Host) {
        if self.conns.published().is_empty() {
            // The last one may have gone in this turn.
            if self.extensions.fleet.as_ref().is_some_and(|fleet| fleet.wanted() != Kinds::NONE) {
                self.refresh_wanted(now);
            }
            return;
        }
        self.refresh_wanted(now);
        let mut context = Context {
            daemon: &mut self.daemon,
            host,
            now,
            registry: &self.registry,
            extensions: &mut self.extensions,
            client: NOBODY,
            method: NOBODY,
            budget: &mut self.budget,
        };
        let (messages, lost) = publish::messages(&mut context);
        if messages.is_empty() && lost == 0 {
            return;
        }
        self.each_reader(|feed, output| feed.tell(&messages, lost, output));
    }

    /// Ends all of them, for the run is over.
    pub(super) fn end_published(&mut self) {
        self.each_reader(|feed, output| feed.end(output));
        for id in self.conns.published().clone() {
            self.conns.close(id);
        }
    }

    fn each_reader(&mut self, mut work: impl FnMut(&mut PublishedFeed, &mut Vec<u8>)) {
        for id in self.conns.published().clone() {
            let Some((feed, output)) = self.conns.published_feed(id) else { continue };
            let before = output.len();
            work(feed, output);
            if output.len() > before {
                self.conns.touch(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(names: &[&str]) -> Kinds {
        names.iter().filter_map(|name| Kind::named(name)).collect()
    }

    #[test]
    fn what_is_asked_for() {
        let rows: &[(&str, &[&str])] = &[
            ("/", &[]),
            ("", &[]),
            ("/unknown", &[]),
            ("/event", &["event"]),
            ("/event/unknown/process/", &["event", "process"]),
            ("/Event", &[]),
            ("/all", &["supvisors", "instance", "application", "process", "event", "hstats", "pstats"]),
        ];
        for (path, expected) in rows {
            assert_eq!(of_path(path), kinds(expected), "{path}");
        }
        for (query, expected) in [
            ("", Ok(Kinds::all())),
            ("types=all", Ok(Kinds::all())),
            ("types=event,%20hstats", Ok(kinds(&["event", "hstats"]))),
            ("types=event,news", Err("news".to_string())),
        ] {
            assert_eq!(of_query(query), expected, "{query}");
        }
    }

    #[test]
    fn how_it_is_written_and_what_is_lost() {
        let message = |kind| Message { kind, body: "{}".to_string() };
        let messages = [message(Kind::Event), message(Kind::Process)];
        let mut feeds = vec![
            (
                PublishedFeed::server_sent(kinds(&["event"]), StreamBody { is_chunked: false }),
                b"event: dropped\ndata: 2\n\nevent: event\ndata: {}\n\n".to_vec(),
                b"".to_vec(),
            ),
            (
                PublishedFeed::websocket(kinds(&["process"])),
                b"\x81\x0F[\"process\", {}]".to_vec(),
                b"\x88\x02\x03\xE9".to_vec(),
            ),
        ];
        #[cfg(feature = "zmq")]
        {
            let mut feed = PublishedFeed::zmq(&mut Vec::new());
            assert!(!feed.is_begun());
            let ready = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB\0\x04\x01eve";
            assert!(feed.take(&[&zmtp::greeting()[..], ready].concat(), &mut Vec::new()) && feed.is_begun());
            assert_eq!(feed.wants, kinds(&["event"]));
            feeds.push((feed, b"\x01\x05event\0\x02{}".to_vec(), b"".to_vec()));
        }
        for (mut feed, expected, end) in feeds {
            let mut output = Vec::new();
            feed.tell(&messages, 2, &mut output);
            assert_eq!(output, expected);
            let mut output = vec![0; OUTPUT_BYTES_MAX];
            feed.tell(&messages, 0, &mut output);
            assert_eq!(output.len(), OUTPUT_BYTES_MAX);
            let mut output = Vec::new();
            feed.end(&mut output);
            assert_eq!(output, end);
        }
    }
}
