//! The event stream over HTTP, as server-sent events: `/events?types=PROCESS_STATE,TICK_60`.
//!
//! Shape of one event: `id: <serial>`, `event: <TYPE>`, one `data:` line for each line of the payload, an empty line.
//! A client that does not keep up loses events, and is told how many as soon as there is room for it: `event: dropped`,
//! `data: <count>`. At the end of the run the stream is ended properly.

use super::conn::Phase;
use super::{STREAMS_MAX, Service};
use crate::clock::Now;
use crate::daemon::events::Streamed;
use crate::eventtype::{EventMask, EventType};
use crate::id::ConnId;
use crate::wire::form::Form;
use crate::wire::http::{Head, Reply, Status, write_chunk, write_last_chunk};

/// Bytes of events that wait for one client.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Beyond what all replies have: proxies are to pass on each event at once.
const HEADERS: &[(&str, &str)] =
    &[("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")];

/// A client that receives events.
pub(super) struct Stream {
    mask: EventMask,
    /// Events lost since the last one that was sent.
    dropped: u64,
    /// Whether pieces go out as chunks.
    chunked: bool,
}

impl Service {
    /// Begins a stream; 400 for an event type that does not exist, 403 for a page of another site.
    pub(super) fn open_stream(&mut self, id: ConnId, head: &Head<'_>, query: &str, now: Now) {
        if !matches!(head.method, "GET" | "HEAD") {
            return self.answer(id, head.reply_to, now, Status::METHOD_NOT_ALLOWED, |reply| {
                reply.error_page(&[("Allow", "GET, HEAD")]);
            });
        }
        // It could not read the stream, but each costs a connection and the work for it.
        if self.is_cross_site(head) {
            return self.error(id, head.reply_to, Status::FORBIDDEN, now);
        }
        let form = Form::parse(query, &[]);
        let names = form.get("types").unwrap_or("EVENT");
        let parse = |name: &'_ str| EventType::parse(name).ok_or_else(|| name.to_string());
        let kinds: Vec<EventType> = match names.split(',').map(|name| parse(name.trim())).collect() {
            Ok(kinds) => kinds,
            Err(unknown) => {
                let body = format!("unknown event type: {unknown}\n");
                return self.answer(id, head.reply_to, now, Status::BAD_REQUEST, |reply| {
                    reply.header("Content-Type", "text/plain;charset=utf-8").body(body.as_bytes());
                });
            }
        };
        if head.method == "HEAD" {
            return self.answer(id, head.reply_to, now, Status::OK, |reply| {
                reply.headers(HEADERS).stream();
            });
        }
        if !self.has_room_for_stream() {
            return self.refuse_stream(id, head, now);
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let date = self.dates.at(now.wall.secs());
        let chunked = Reply::begin(&mut conn.output, head.reply_to, Status::OK, date).headers(HEADERS).stream();
        let mask = EventMask::of(kinds);
        conn.phase = Phase::Streaming(Box::new(Stream { mask, dropped: 0, chunked }));
        self.streams.insert(id);
        self.dirty.push(id);
        self.refresh_streams();
    }

    /// Whether one more stream, of events or of a log, may begin.
    pub(super) fn has_room_for_stream(&self) -> bool {
        self.streams.len() + self.followers.len() < STREAMS_MAX
    }

    /// Answers that there are too many.
    pub(super) fn refuse_stream(&mut self, id: ConnId, head: &Head<'_>, now: Now) {
        let body = format!("{STREAMS_MAX} streams of events and logs are open already\n");
        self.answer(id, head.reply_to, now, Status::SERVICE_UNAVAILABLE, |reply| {
            reply.header("Content-Type", "text/plain;charset=utf-8").body(body.as_bytes());
        });
    }

    /// Tells the daemon what all streams together want.
    pub(super) fn refresh_streams(&mut self) {
        let masks = self.streams.iter().filter_map(|id| match &self.conns.get(id)?.phase {
            Phase::Streaming(stream) => Some(stream.mask),
            _ => None,
        });
        let mask = masks.fold(EventMask::NONE, EventMask::union);
        self.daemon.set_stream_mask(mask);
    }

    /// Hands the events of this turn to the streams that want them.
    pub(super) fn feed_streams(&mut self) {
        if self.streams.is_empty() {
            return;
        }
        let (events, lost) = self.daemon.take_streamed();
        for id in &self.streams {
            let Some(conn) = self.conns.get_mut(id) else { continue };
            let Phase::Streaming(stream) = &mut conn.phase else { continue };
            stream.dropped += lost;
            let mask = stream.mask;
            for event in events.iter().filter(|streamed| mask.wants(streamed.event.kind())) {
                if conn.output.len() >= OUTPUT_BYTES_MAX {
                    stream.dropped += 1;
                    continue;
                }
                stream.tell_dropped(&mut conn.output);
                stream.send(&render(event), &mut conn.output);
                self.dirty.push(*id);
            }
        }
    }

    /// Tells a stream that has taken all its output what it lost meanwhile.
    pub(super) fn stream_drained(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Phase::Streaming(stream) = &mut conn.phase else { return };
        if stream.dropped > 0 {
            stream.tell_dropped(&mut conn.output);
            self.dirty.push(id);
        }
    }

    /// Ends all streams, for the run is over.
    pub(super) fn end_streams(&mut self) {
        for id in std::mem::take(&mut self.streams) {
            let Some(conn) = self.conns.get_mut(&id) else { continue };
            let Phase::Streaming(stream) = &mut conn.phase else { continue };
            stream.tell_dropped(&mut conn.output);
            if stream.chunked {
                write_last_chunk(&mut conn.output);
            }
            conn.closing = true;
            self.dirty.push(id);
        }
    }
}

impl Stream {
    fn tell_dropped(&mut self, output: &mut Vec<u8>) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            self.send(&format!("event: dropped\ndata: {dropped}\n\n"), output);
        }
    }

    fn send(&self, text: &str, output: &mut Vec<u8>) {
        if self.chunked {
            write_chunk(output, text.as_bytes());
        } else {
            output.extend_from_slice(text.as_bytes());
        }
    }
}

fn render(streamed: &Streamed) -> String {
    let Streamed { serial, event } = streamed;
    let mut text = format!("id: {serial}\nevent: {}\n", event.kind().name());
    for line in event.payload().split('\n') {
        text.push_str("data: ");
        // A bare carriage return would end the line for the reader.
        text.push_str(&line.replace('\r', ""));
        text.push('\n');
    }
    text.push('\n');
    text
}
