//! `status --watch`: the table as it changes, over the stream of the status page. On a terminal it stands in place and is
//! written over, line by line in one write, so that nothing flickers; elsewhere there is a line for each change.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::names::matches;
use crate::ctl::colour;
use crate::ctl::error::Error;
use crate::ctl::lines::{Cause, Line, as_int, cut, int, span, table, text};
use crate::ctl::session::Session;
use crate::ctl::stream::Stream;
use crate::namespec;
use crate::sys::terminal::{Keys, size, wait_readable};
use crate::wire::json;
use crate::wire::value::Value;

/// Where the state of all processes is told.
const PATH: &str = "/stheno/events";
/// How long until the screen is looked at again: uptimes go on, and its size may be another.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Without a message for so long the connection is gone: there is one every two seconds.
const SILENCE_MAX: Duration = Duration::from_secs(7);
/// Between two tries to connect.
const RETRY: Duration = Duration::from_secs(1);
/// Bytes of a message that has not ended; the daemon's have some 40 kB.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Which processes are shown.
pub struct Choice {
    /// Names and patterns; none is all.
    pub names: Vec<String>,
    /// Only those that are not as they should be.
    pub only_failed: bool,
}

/// Shows them until `q`, Ctrl-C, or the end of the input.
pub fn watch(session: &mut Session, choice: &Choice) -> Result<(), Error> {
    session.catch_interrupts();
    let is_screen = session.is_on_terminal;
    let mut view = View::default();
    let mut link = match Link::open(session, "") {
        Ok(link) => link,
        Err(line) => return refused(session, &line),
    };
    let stdin = std::io::stdin();
    let keys = if is_screen { Keys::on(stdin.as_fd()).ok() } else { None };
    if is_screen {
        // A screen of its own, without a cursor; what stood on it comes back at the end.
        session.write(b"\x1b[?1049h\x1b[?25l");
    }
    let ended = attend(session, choice, &mut view, &mut link, keys.as_ref());
    if is_screen {
        session.write(b"\x1b[?25h\x1b[?1049l");
    }
    session.flush();
    match ended {
        Some(line) => refused(session, &line),
        None => Ok(()),
    }
}

fn refused(session: &mut Session, line: &str) -> Result<(), Error> {
    session.print_error(line);
    session.status = 1;
    Ok(())
}

/// Shows what is told. Ends with words if nothing was ever told.
fn attend(
    session: &mut Session,
    choice: &Choice,
    view: &mut View,
    link: &mut Link,
    keys: Option<&Keys<'_>>,
) -> Option<String> {
    let mut drawn = String::new();
    let is_screen = session.is_on_terminal;
    loop {
        if is_screen {
            let screen = view.screen(choice, link, size(), session.colours);
            // What is on the screen already is not written again.
            if screen != drawn && !(session.write(screen.as_bytes()) && session.flush()) {
                return None;
            }
            drawn = screen;
        }
        let mut fds = Vec::new();
        fds.extend(session.interrupts().map(|interrupts| interrupts.fd()));
        let (stream_at, keys_at) = (fds.len(), fds.len() + usize::from(link.stream.is_some()));
        fds.extend(link.stream.as_ref().map(Stream::fd));
        fds.extend(keys.map(Keys::fd));
        let ready = wait_readable(&fds, Some(LOOK_AGAIN)).unwrap_or_default();
        if session.interrupts().is_some_and(|interrupts| interrupts.take()) {
            return None;
        }
        if keys_at < fds.len() && ready.get(keys_at) == Some(&true) && keys.is_none_or(|keys| !view.key(&keys.read())) {
            return None;
        }
        if link.stream.is_some() && ready.get(stream_at) == Some(&true) {
            let messages = link.read();
            if view.time.is_none()
                && let Some(trouble) = link.trouble.take()
            {
                return Some(trouble);
            }
            for message in messages {
                let changed = view.take(&message);
                for line in changed.iter().filter(|line| !is_screen && choice.shows(line)) {
                    let said = format!("{} {} {}", line.name, line.state, line.reason);
                    session.print(said.trim_end());
                }
            }
            if !is_screen && !session.flush() {
                return None;
            }
        }
        link.keep_up(session);
    }
}

impl Choice {
    fn shows(&self, line: &Line) -> bool {
        let (group, process) = line.name.split_once(':').unwrap_or((&line.name, &line.name));
        let is_named = |name: &String| name == "all" || matches(name, group, process);
        (self.names.is_empty() || self.names.iter().any(is_named)) && (!self.only_failed || line.is_wrong)
    }
}

/// The stream, and what is known of it.
struct Link {
    stream: Option<Stream>,
    /// What has arrived of a message.
    bytes: Vec<u8>,
    body: Vec<u8>,
    /// The last message that was taken, for the next connection.
    known: String,
    heard: Instant,
    tried: Instant,
    /// Why it ended, if it was not the daemon's end.
    trouble: Option<String>,
}

impl Link {
    fn open(session: &Session, known: &str) -> Result<Link, String> {
        let now = Instant::now();
        let headers = if known.is_empty() { vec![] } else { vec![("Last-Event-ID", known)] };
        let stream = Stream::open_with(&session.options.server, PATH, &headers)?;
        Ok(Link {
            stream: Some(stream),
            bytes: Vec::new(),
            body: Vec::new(),
            known: known.to_string(),
            heard: now,
            tried: now,
            trouble: None,
        })
    }

    /// The messages that have arrived whole.
    fn read(&mut self) -> Vec<Message> {
        let goes_on = match self.stream.as_mut().map(|stream| stream.read(&mut self.body)) {
            Some(Ok(goes_on)) => goes_on,
            Some(Err(trouble)) => {
                self.trouble = Some(trouble);
                false
            }
            None => false,
        };
        self.heard = Instant::now();
        self.bytes.append(&mut self.body);
        let mut messages = Vec::new();
        while let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\n\n") {
            let rest = self.bytes.split_off(end + 2);
            let text = String::from_utf8_lossy(&self.bytes).into_owned();
            self.bytes = rest;
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").to_string();
            let id = field("id: ");
            if !id.is_empty() {
                self.known = id;
            }
            if let Some(data) = json::read(&field("data: ")) {
                messages.push(Message { event: field("event: "), data });
            }
        }
        if !goes_on || self.bytes.len() > MESSAGE_BYTES_MAX {
            self.stream = None;
        }
        messages
    }

    /// Whether the daemon is there as far as is known: a connection alone is no sign of it.
    fn is_live(&self) -> bool {
        self.stream.is_some() && self.heard.elapsed() <= SILENCE_MAX
    }

    /// Connects anew where the daemon is gone, or is silent for so long that it must be.
    fn keep_up(&mut self, session: &Session) {
        if self.heard.elapsed() > SILENCE_MAX && self.tried.elapsed() > SILENCE_MAX {
            self.stream = None;
        }
        if self.stream.is_none() && self.tried.elapsed() >= RETRY {
            self.tried = Instant::now();
            if let Ok(link) = Link::open(session, &self.known) {
                *self = Link { heard: self.heard, ..link };
            }
        }
    }
}

struct Message {
    event: String,
    data: Value,
}

/// What the command line of `watch` asks for.
#[derive(Default)]
struct View {
    daemon: String,
    processes: BTreeMap<i64, Told>,
    /// Whom a snapshot under way has named.
    seen: Option<Vec<i64>>,
    /// The daemon's time in ms, and when it was that.
    time: Option<(i64, Instant)>,
    /// Lines that are scrolled away.
    above: usize,
}

#[derive(Default)]
struct Told {
    line: Line,
    /// Since when it is as it is, in ms.
    since: i64,
    next: i64,
    /// CPU in ms at a time in ms.
    used: Option<(i64, i64)>,
}

impl View {
    fn now(&self) -> i64 {
        self.time.map_or(0, |(at, then)| at + i64::try_from(then.elapsed().as_millis()).unwrap_or(0))
    }

    /// Takes a message; says which processes have changed.
    fn take(&mut self, message: &Message) -> Vec<Line> {
        let data = &message.data;
        if let now @ 1.. = int(data, "now") {
            self.time = Some((now, Instant::now()));
        }
        match message.event.as_str() {
            "begin" => {
                self.daemon = format!("{} on {}", text(data, "identifier"), text(data, "host"));
                self.seen = Some(Vec::new());
            }
            "rows" | "change" => {
                for id in ints(data, "gone") {
                    self.processes.remove(&id);
                }
                return array(data, "rows").iter().map(|row| self.take_row(row)).collect();
            }
            "end" => {
                if let Some(seen) = self.seen.take() {
                    self.processes.retain(|id, _| seen.contains(id));
                }
            }
            "figures" => self.take_figures(data),
            _ => {}
        }
        Vec::new()
    }

    fn take_row(&mut self, row: &Value) -> Line {
        let id = int(row, "id");
        let next = int(row, "next");
        let cause = Cause {
            exit: text(row, "exit"),
            was_expected: row.member("expected").is_some(),
            problem: text(row, "err"),
            ill: text(row, "ill"),
            says: text(row, "says"),
            waits: text(row, "waits").strip_prefix("Waiting for ").unwrap_or(""),
            next: None,
        };
        let mut line = Line::new(namespec::join(text(row, "g"), text(row, "n")), text(row, "s"), cause);
        line.restarts = int(row, "restarts");
        let is_up = int(row, "pid") != 0;
        let old = self.processes.remove(&id).unwrap_or_default();
        if is_up {
            (line.cpu, line.rss_kib) = (Some(old.line.cpu.unwrap_or(0.0)), old.line.rss_kib);
        }
        let since = array(row, "h").last().map_or(0, |entered| match entered {
            Value::Array(parts) => parts.first().map_or(0, as_int),
            _ => 0,
        });
        let told = Told { since, next, used: old.used.filter(|_| is_up), line: line.clone() };
        self.processes.insert(id, told);
        if let Some(seen) = &mut self.seen {
            seen.push(id);
        }
        line
    }

    fn take_figures(&mut self, data: &Value) {
        let at = int(data, "at");
        let mut told: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for one in array(data, "f") {
            if let Value::Array(parts) = one
                && let [id, cpu, kib, ..] = parts.as_slice()
            {
                told.insert(as_int(id), (as_int(cpu), as_int(kib)));
            }
        }
        for (id, process) in &mut self.processes {
            if process.line.cpu.is_none() {
                continue;
            }
            // Of whom nothing is told nothing has changed.
            let (used, kib) =
                told.get(id).copied().unwrap_or((process.used.map_or(0, |it| it.0), process.line.rss_kib));
            let rate = match process.used {
                Some((before, then)) if at > then => 100.0 * (used - before).max(0) as f64 / (at - then) as f64,
                _ => 0.0,
            };
            (process.line.cpu, process.line.rss_kib, process.used) = (Some(rate), kib, Some((used, at)));
        }
    }

    /// Does what a key is for; whether it goes on.
    fn key(&mut self, keys: &[u8]) -> bool {
        match keys {
            b"" | b"q" | b"Q" | b"\x03" | b"\x04" => return false,
            b"j" | b"\x1b[B" => self.above += 1,
            b"k" | b"\x1b[A" => self.above = self.above.saturating_sub(1),
            b" " | b"\x1b[6~" => self.above += 10,
            b"b" | b"\x1b[5~" => self.above = self.above.saturating_sub(10),
            _ => {}
        }
        true
    }

    /// All of the screen, from its upper left corner.
    fn screen(&mut self, choice: &Choice, link: &Link, (width, height): (usize, usize), colours: bool) -> String {
        let now = self.now();
        let mut lines: Vec<Line> = Vec::new();
        for told in self.processes.values() {
            let mut line = told.line.clone();
            if told.since > 0 {
                line.since = Some(((now - told.since) / 1000).max(0));
            }
            if told.next > now {
                let next = format!("next try in {}", span((told.next - now + 999) / 1000));
                line.reason = if line.reason.is_empty() { next } else { format!("{}; {next}", line.reason) };
            }
            lines.push(line);
        }
        let all = lines.len();
        let running = lines.iter().filter(|line| line.state == "RUNNING").count();
        let wrong = lines.iter().filter(|line| line.is_wrong).count();
        lines.retain(|line| choice.shows(line));
        // What a person should look at stands on top.
        crate::sort::by(&mut lines, |a, b| b.is_wrong.cmp(&a.is_wrong).then_with(|| a.name.cmp(&b.name)));
        let state = match link.is_live() {
            true if self.time.is_some() => "live".to_string(),
            true => "asking".to_string(),
            false => format!("no answer for {}", span(i64::try_from(link.heard.elapsed().as_secs()).unwrap_or(0))),
        };
        // On a narrow screen the end is cut off.
        let head = format!("{state} · {wrong} failing · {running} of {all} running · q ends · {}", self.daemon);
        let room = height.saturating_sub(3).max(1);
        self.above = self.above.min(lines.len().saturating_sub(room));
        let below = lines.len().saturating_sub(self.above + room);
        let shown: Vec<&Line> = lines.iter().collect();
        let texts = table(&shown, Some(width));
        // A terminal that knows how shows all of it at one time.
        let mut screen = String::from("\x1b[?2026h\x1b[H");
        let mut put = |text: &str, style: Option<&str>| match style.filter(|_| colours) {
            Some(style) => screen.push_str(&format!("\x1b[{style}m{text}\x1b[0m\x1b[K\r\n")),
            None => screen.push_str(&format!("{text}\x1b[K\r\n")),
        };
        put(&cut(&head, width), Some(if link.is_live() { "1" } else { "31" }));
        put(&texts[0], Some("2"));
        for (text, line) in texts[1..].iter().zip(&lines).skip(self.above).take(room) {
            put(text, colour::of(&line.state).or(line.is_wrong.then_some("31")));
        }
        let more = if below > 0 { format!("and {below} more below") } else { String::new() };
        screen.push_str(&format!("{}\x1b[K\x1b[J\x1b[?2026l", cut(&more, width)));
        screen
    }
}

fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    match value.member(name) {
        Some(Value::Array(values)) => values,
        _ => &[],
    }
}

fn ints(value: &Value, name: &str) -> Vec<i64> {
    array(value, name).iter().map(as_int).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(view: &mut View, event: &str, data: &str) -> Vec<Line> {
        view.take(&Message { event: event.to_string(), data: json::read(data).expect("JSON") })
    }

    fn told() -> View {
        let mut view = View::default();
        take(&mut view, "begin", r#"{"now":100000,"identifier":"supervisor","host":"box"}"#);
        take(
            &mut view,
            "rows",
            r#"{"now":100000,"rows":[
                {"id":0,"g":"a","n":"a","s":"RUNNING","pid":5,"h":[[40000,20,""]]},
                {"id":1,"g":"g","n":"b","s":"BACKOFF","err":"x","exit":"exit status 1","next":104000,"h":[[99000,30,"exit status 1"]]}
            ],"gone":[]}"#,
        );
        take(&mut view, "end", "{}");
        view
    }

    fn link() -> Link {
        let now = Instant::now();
        Link { stream: None, bytes: vec![], body: vec![], known: String::new(), heard: now, tried: now, trouble: None }
    }

    #[test]
    fn the_screen_holds_what_was_told_and_what_fails_first() {
        let mut view = told();
        take(&mut view, "figures", r#"{"at":100000,"f":[[0,1000,2048,0,0]]}"#);
        take(&mut view, "figures", r#"{"at":102000,"f":[[0,1500,2048,0,0]]}"#);
        let all = Choice { names: vec![], only_failed: false };
        let screen = view.screen(&all, &link(), (100, 20), false);
        let rows: Vec<&str> = screen.split("\x1b[K\r\n").collect();
        assert!(
            rows[0].contains("no answer for 0 s · 1 failing · 1 of 2 running · q ends · supervisor on box"),
            "{}",
            rows[0]
        );
        assert!(
            rows[2].starts_with("g:b   BACKOFF") && rows[2].ends_with("exit status 1; x; next try in 4 s"),
            "{}",
            rows[2]
        );
        assert!(rows[3].contains("25.0 %") && rows[3].contains("2.0 MB"), "{}", rows[3]);
        let failed = Choice { names: vec![], only_failed: true };
        assert!(!view.screen(&failed, &link(), (100, 20), false).contains("a  "));
        let named = Choice { names: vec!["a".to_string()], only_failed: false };
        assert!(!view.screen(&named, &link(), (100, 20), false).contains("g:b"));
    }

    #[test]
    fn a_screen_of_any_size_is_not_exceeded() {
        let mut view = told();
        let all = Choice { names: vec![], only_failed: false };
        for (width, height) in [(1, 1), (10, 3), (30, 4), (300, 100)] {
            let screen = view.screen(&all, &link(), (width, height), false);
            let rows: Vec<&str> = screen.split("\r\n").collect();
            assert!(rows.len() <= height.max(4), "{height}: {rows:?}");
            for row in rows {
                let text = row.replace("\x1b[?2026h\x1b[H", "").replace("\x1b[K", "").replace("\x1b[J\x1b[?2026l", "");
                assert!(text.chars().count() <= width, "{width}: {text:?}");
            }
        }
    }

    #[test]
    fn who_is_gone_is_not_shown_and_a_new_snapshot_replaces_the_old() {
        let mut view = told();
        take(&mut view, "change", r#"{"now":101000,"rows":[],"gone":[1]}"#);
        assert_eq!(view.processes.len(), 1);
        take(&mut view, "begin", r#"{"now":101000,"identifier":"s","host":"h"}"#);
        take(&mut view, "rows", r#"{"now":101000,"rows":[{"id":7,"g":"n","n":"n","s":"STOPPED"}],"gone":[]}"#);
        take(&mut view, "end", "{}");
        assert_eq!(view.processes.keys().collect::<Vec<_>>(), [&7]);
    }

    #[test]
    fn keys() {
        let mut view = View::default();
        for (key, goes_on) in [(&b"q"[..], false), (b"\x03", false), (b"", false), (b"j", true), (b"z", true)] {
            assert_eq!(view.key(key), goes_on, "{key:?}");
        }
        assert_eq!(view.above, 1);
    }
}
