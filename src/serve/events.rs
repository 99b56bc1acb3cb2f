//! The event stream over HTTP, as server-sent events: `/events?types=PROCESS_STATE,TICK_60`.
//!
//! Shape of one event: `id: <serial>`, `event: <TYPE>`, one `data:` line for each line of the payload, an empty line.
//! A client that does not keep up loses events, and is told how many: `event: dropped`, `data: <count>`.

use super::Service;
use super::conn::Phase;
use crate::clock::Now;
use crate::daemon::events::Streamed;
use crate::eventtype::{EventMask, EventType};
use crate::id::ConnId;
use crate::wire::form::Form;
use crate::wire::http::{Head, Reply, Status, write_chunk};

/// Bytes of events that wait for one client.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// A client that receives events.
pub(super) struct Stream {
    mask: EventMask,
    /// Events lost since the last one that was sent.
    dropped: u64,
    /// Whether pieces go out as chunks.
    chunked: bool,
}

impl Service {
    /// Begins a stream; 400 for an event type that does not exist.
    pub(super) fn open_stream(&mut self, id: ConnId, head: &Head<'_>, query: &str, now: Now) {
        if head.method != "GET" {
            return self.error(id, head.reply_to, Status::BAD_REQUEST, now);
        }
        let form = Form::parse(query, &[]);
        let names = form.get("types").unwrap_or("EVENT");
        let kinds: Option<Vec<EventType>> = names.split(',').map(|name| EventType::parse(name.trim())).collect();
        let Some(kinds) = kinds else { return self.error(id, head.reply_to, Status::BAD_REQUEST, now) };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let date = self.dates.at(now.wall.secs());
        let chunked = Reply::begin(&mut conn.output, head.reply_to, Status::OK, date)
            .header("Content-Type", "text/event-stream")
            .header("Cache-Control", "no-cache")
            .header("X-Accel-Buffering", "no")
            .stream();
        let mask = EventMask::of(kinds);
        conn.phase = Phase::Streaming(Box::new(Stream { mask, dropped: 0, chunked }));
        self.streams.insert(id);
        self.dirty.push(id);
        self.refresh_streams();
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
            for event in events.iter().filter(|streamed| stream.mask.wants(streamed.event.kind())) {
                if conn.output.len() >= OUTPUT_BYTES_MAX {
                    stream.dropped += 1;
                    continue;
                }
                let text = render(event, std::mem::take(&mut stream.dropped));
                if stream.chunked {
                    write_chunk(&mut conn.output, text.as_bytes());
                } else {
                    conn.output.extend_from_slice(text.as_bytes());
                }
                self.dirty.push(*id);
            }
        }
    }
}

fn render(streamed: &Streamed, dropped: u64) -> String {
    let Streamed { serial, event } = streamed;
    let mut text = String::new();
    if dropped > 0 {
        text.push_str(&format!("event: dropped\ndata: {dropped}\n\n"));
    }
    text.push_str(&format!("id: {serial}\nevent: {}\n", event.kind().name()));
    for line in event.payload().split('\n') {
        text.push_str("data: ");
        // A bare carriage return would end the line for the reader.
        text.push_str(&line.replace('\r', ""));
        text.push('\n');
    }
    text.push('\n');
    text
}
