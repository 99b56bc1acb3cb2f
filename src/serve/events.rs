//! The event stream over HTTP, as server-sent events: `/events?types=PROCESS_STATE,TICK_60`.
//!
//! Shape of one event: `id: <serial>`, `event: <TYPE>`, one `data:` line for each line of the payload, an empty line.
//! A client that does not keep up loses events, and is told how many as soon as there is room for it: `event: dropped`,
//! `data: <count>`. At the end of the run the stream is ended properly.

use super::Service;
use crate::daemon::bus::Streamed;
use crate::eventtype::{EventMask, EventType};
use crate::id::ConnId;
use crate::wire::form::Form;
use crate::wire::http::StreamBody;

/// Bytes of events that wait for one client.
const OUTPUT_BYTES_MAX: usize = 128 * 1024;

/// Beyond what all replies have: proxies are to pass on each event at once.
pub(super) const HEADERS: &[(&str, &str)] =
    &[("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")];

/// A client that receives events.
pub(super) struct EventFeed {
    mask: EventMask,
    /// Events lost since the last one that was sent.
    dropped: u64,
    body: StreamBody,
}

/// The events that a query asks for, those of a fleet where there is one; the error is the name of a type that does not exist.
pub(super) fn wanted(query: &str, is_in_fleet: bool) -> Result<EventMask, String> {
    let form = Form::parse(query, &[]);
    let names = form.get("types").unwrap_or("EVENT");
    let is_known = |kind: &EventType| is_in_fleet || !kind.is_of_fleet();
    let parse = |name: &str| EventType::parse(name).filter(is_known).ok_or_else(|| name.to_string());
    let kinds: Vec<EventType> = names.split(',').map(|name| parse(name.trim())).collect::<Result<_, _>>()?;
    Ok(EventMask::of(kinds))
}

impl EventFeed {
    pub(super) fn new(mask: EventMask, body: StreamBody) -> EventFeed {
        EventFeed { mask, dropped: 0, body }
    }

    /// Appends those of a turn's events that it wants, and counts those it has no room for, beside `lost` ones that
    /// nobody got. Says whether something was appended.
    fn feed<'a>(&mut self, events: impl IntoIterator<Item = &'a Streamed>, lost: u64, output: &mut Vec<u8>) -> bool {
        self.dropped += lost;
        let before = output.len();
        let mask = self.mask;
        for event in events.into_iter().filter(|streamed| mask.wants(streamed.event.kind())) {
            if output.len() >= OUTPUT_BYTES_MAX {
                self.dropped += 1;
                continue;
            }
            self.tell_dropped(output);
            self.body.write(output, render(event).as_bytes());
        }
        output.len() > before
    }

    /// Tells a client that has taken all its output what it lost meanwhile.
    pub(super) fn tell_dropped(&mut self, output: &mut Vec<u8>) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            self.body.write(output, format!("event: dropped\ndata: {dropped}\n\n").as_bytes());
        }
    }

    /// The run is over.
    fn end(&mut self, output: &mut Vec<u8>) {
        self.tell_dropped(output);
        self.body.end(output);
    }
}

impl Service {
    /// Hands the events of this turn to the feeds that want them.
    pub(super) fn feed_events(&mut self) {
        let ids: Vec<ConnId> = self.conns.fed_with_events().iter().copied().collect();
        if ids.is_empty() {
            return;
        }
        let (events, lost) = self.daemon.bus.take_streamed();
        for id in ids {
            if let Some((feed, output)) = self.conns.event_feed(id)
                && feed.feed(&events, lost, output)
            {
                self.conns.touch(id);
            }
        }
    }

    /// Ends all of them, for the run is over.
    pub(super) fn end_events(&mut self) {
        let ids: Vec<ConnId> = self.conns.fed_with_events().iter().copied().collect();
        for id in ids {
            if let Some((feed, output)) = self.conns.event_feed(id) {
                feed.end(output);
            }
            self.conns.close(id);
        }
    }

    /// Tells the daemon what all of them together want.
    pub(super) fn refresh_event_mask(&mut self) {
        let mut mask = EventMask::NONE;
        for id in self.conns.fed_with_events().clone() {
            mask = self.conns.event_feed(id).map_or(mask, |(feed, _)| mask.union(feed.mask));
        }
        self.daemon.bus.set_stream_mask(mask);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_from_the_query() {
        let rows: &[(&str, Result<&[&str], &str>)] = &[
            ("", Ok(&["EVENT"])),
            ("types=TICK_5", Ok(&["TICK_5"])),
            ("types=TICK_5,%20PROCESS_STATE", Ok(&["TICK_5", "PROCESS_STATE"])),
            ("types=TICK_5,NONE_SUCH", Err("NONE_SUCH")),
        ];
        for (query, expected) in rows {
            let expected = expected.map(|names| EventMask::of(names.iter().filter_map(|name| EventType::parse(name))));
            assert_eq!(wanted(query, false), expected.map_err(str::to_string), "{query}");
        }
        assert_eq!(wanted("types=PROCESS_ADDED", false), Err("PROCESS_ADDED".to_string()));
        assert_eq!(wanted("types=PROCESS_ADDED", true), Ok(EventMask::of([EventType::ProcessAdded])));
    }

    #[test]
    fn what_was_lost_is_told_once() {
        for (is_chunked, expected) in
            [(false, "event: dropped\ndata: 3\n\n"), (true, "18\r\nevent: dropped\ndata: 3\n\n\r\n0\r\n\r\n")]
        {
            let mut feed = EventFeed::new(EventMask::NONE, StreamBody { is_chunked });
            let mut output = Vec::new();
            assert!(!feed.feed([], 3, &mut output));
            feed.tell_dropped(&mut output);
            feed.end(&mut output);
            assert_eq!(String::from_utf8_lossy(&output), expected);
        }
    }
}
