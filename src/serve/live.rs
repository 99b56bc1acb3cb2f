//! The stream of a page that is open: `/stheno/events`.
//!
//! It begins with a snapshot in pieces (`begin`, `rows`…, `end`), then tells of each process that changed (`change`), and
//! every two seconds what they use (`figures`, also when nothing has changed, so that a page knows that it is not forgotten).
//! A stream knows the number of the latest moment that it has told of; what is to be told follows from that. So a client
//! that does not read costs nothing but what it has not read: later it is told the rest, or gets a new snapshot if the daemon
//! has forgotten what came in between. A client that comes back says with `Last-Event-ID` what it knows.
//!
//! With the figures comes whether the files of the configuration are as they were read (`files`), where that is not what was
//! told before. Figures are collected only while somebody listens, and nothing wakes the daemon otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Service;
use super::scrape::LOOKS_PER_TURN;
use crate::clock::{Mono, Now};
use crate::config::Revision;
use crate::daemon::{Daemon, Host};
use crate::id::{ConnId, ProcId};
use crate::rpc;
use crate::web::live::{begin, files, message, millis, push_row, rows};
use crate::wire::http::StreamBody;

/// Bytes that wait for one client; then it is told nothing more until they are written. With as many streams as there can
/// be that is half of what is held for all clients.
const OUTPUT_BYTES_MAX: usize = 96 * 1024;

/// Processes told of in one message: some 40 kB.
const ROWS_MAX: usize = 100;

/// Processes whose figures stand in one message: some 20 kB.
const FIGURES_MAX: usize = 500;

/// Time between figures: as often as people look.
const FIGURES_EVERY: Duration = Duration::from_secs(2);

/// How far a stream has come.
pub(super) struct LiveFeed {
    /// The latest moment that it has told of.
    told: u64,
    /// Of a snapshot under way, after which process it goes on; the outer `None` without one.
    snapshot: Option<Option<ProcId>>,
    /// It has told no figures yet, or had no room for the last ones.
    lacks_figures: bool,
    /// The files that it was told of.
    files: Option<Files>,
    body: StreamBody,
}

/// The configuration that was read, and what distinguishes its files as they are now; 0 if nothing does.
type Files = (Revision, u64);

/// What was last told of a process: CPU in ms, KiB of memory, bytes of output.
type Figures = [u64; 4];

/// What all these streams share.
#[derive(Default)]
pub(super) struct Live {
    /// What distinguishes this run from others, for who comes back.
    run: Option<u64>,
    figures: BTreeMap<ProcId, Figures>,
    files: Files,
    /// When they are collected again.
    due: Option<Mono>,
    /// After which process the collection goes on that is under way.
    collecting: Option<Option<ProcId>>,
    /// Whose figures have changed in it.
    changed: Vec<ProcId>,
    /// A stream had to wait for its share of work.
    is_unfinished: bool,
    /// Who was served last when the turn's work was used up.
    last_served: Option<ConnId>,
}

impl Live {
    /// When there is something to do; `None` while nobody listens.
    pub(super) fn deadline(&self) -> Option<Mono> {
        if self.is_unfinished || self.collecting.is_some() { Some(Mono(0)) } else { self.due }
    }

    /// Nobody listens any more.
    fn rest(&mut self) {
        *self = Live { run: self.run, ..Live::default() };
    }

    /// A stream for a client that knows this much.
    pub(super) fn feed(&mut self, known: Option<&str>, daemon: &Daemon, body: StreamBody, now: Now) -> LiveFeed {
        let run = *self.run.get_or_insert(now.wall.0);
        let told = known.and_then(|known| {
            let (of_run, number) = known.split_once('-')?;
            (of_run == format!("{run:x}")).then(|| number.parse().ok())?
        });
        let told = told.filter(|told| daemon.activity.since(*told).is_some());
        let snapshot = if told.is_none() { Some(None) } else { None };
        LiveFeed { told: told.unwrap_or(0), snapshot, lacks_figures: true, files: None, body }
    }

    fn id(&self, told: u64) -> String {
        format!("{:x}-{told}", self.run.unwrap_or(0))
    }

    /// Looks at some more processes; true when figures of all are there.
    fn collect(&mut self, daemon: &Daemon, now: Now, host: &mut dyn Host) -> bool {
        if self.collecting.is_none() {
            if self.due.is_some_and(|due| due > now.mono) {
                return false;
            }
            self.collecting = Some(None);
            self.changed.clear();
        }
        let Some(after) = self.collecting else { return false };
        let mut last = None;
        for (id, process) in daemon.roster.processes_after(after).take(LOOKS_PER_TURN) {
            last = Some(id);
            let usage = process.machine.pid().and_then(|pid| host.usage(pid)).unwrap_or_default();
            let figures = [usage.cpu_ms, usage.rss_bytes / 1024, process.stdout.written, process.stderr.written];
            if self.figures.insert(id, figures) != Some(figures) {
                self.changed.push(id);
            }
        }
        if last.is_some() {
            self.collecting = Some(last);
            return false;
        }
        self.collecting = None;
        self.due = Some(now.mono.after(FIGURES_EVERY));
        self.files = (daemon.config.revision, daemon.config.files_mark(host.env()));
        self.figures.retain(|id, _| daemon.roster.process(*id).is_some());
        true
    }

    /// Those figures as messages.
    fn figures<'a>(&self, ids: impl Iterator<Item = &'a ProcId>, now: Now) -> Vec<String> {
        let told = ids.filter_map(|id| {
            let [cpu, rss, out, err] = self.figures.get(id)?;
            Some(format!("[{},{cpu},{rss},{out},{err}]", id.0))
        });
        let told: Vec<String> = told.collect();
        let one = |part: &[String]| {
            message(None, "figures", &format!("{{\"at\":{},\"f\":[{}]}}", millis(now.wall), part.join(",")))
        };
        if told.is_empty() { vec![one(&[])] } else { told.chunks(FIGURES_MAX).map(one).collect() }
    }
}

impl LiveFeed {
    /// The next message that is due; `None` if there is none.
    fn next(&mut self, live: &Live, daemon: &Daemon, now: Now, host: &mut dyn Host) -> Option<String> {
        if let Some(after) = self.snapshot {
            let mut text = String::new();
            let mut last = None;
            for (id, process) in daemon.roster.processes_after(after).take(ROWS_MAX) {
                last = Some(id);
                if let Some(group) = daemon.roster.group_of(id) {
                    push_row(&mut text, id, group, process, daemon, now);
                }
            }
            let begun = after.is_none().then(|| {
                // Changes of what was told already come after it, from here on.
                self.told = daemon.activity.last();
                let versions = (rpc::VERSION, rpc::SUPERVISOR_VERSION);
                message(None, "begin", &begin(daemon, host.own_pid(), versions, now))
            });
            self.snapshot = last.map(Some);
            let piece = match last {
                Some(_) => message(None, "rows", &rows(&text, &[], now)),
                None => message(Some(&live.id(self.told)), "end", "{}"),
            };
            return Some(begun.unwrap_or_default() + &piece);
        }
        let Some(moments) = daemon.activity.since(self.told) else {
            self.snapshot = Some(None);
            return self.next(live, daemon, now, host);
        };
        let mut ids: Vec<ProcId> = Vec::new();
        let before = self.told;
        for (number, moment) in moments {
            if let Some((id, _)) = &moment.process
                && !ids.contains(id)
            {
                if ids.len() == ROWS_MAX {
                    break;
                }
                ids.push(*id);
            }
            self.told = number;
        }
        if self.told == before {
            return None;
        }
        // What these wait for may have become less by it, which is no moment of their own.
        let room = ROWS_MAX.saturating_sub(ids.len());
        let waiting: Vec<ProcId> = daemon.waiting().filter(|id| !ids.contains(id)).take(room).collect();
        ids.extend(waiting);
        let (mut text, mut gone) = (String::new(), Vec::new());
        for id in ids {
            match daemon.roster.member(id) {
                Some((group, process)) => push_row(&mut text, id, group, process, daemon, now),
                None => gone.push(id),
            }
        }
        Some(message(Some(&live.id(self.told)), "change", &rows(&text, &gone, now)))
    }
}

impl Service {
    /// Tells the pages that are open what has happened.
    pub(super) fn feed_live(&mut self, now: Now, host: &mut dyn Host) {
        if self.conns.live().is_empty() {
            if self.live.deadline().is_some() {
                self.live.rest();
            }
            return;
        }
        let is_collected = self.live.collect(&self.daemon, now, host);
        self.live.is_unfinished = false;
        let all: Vec<ConnId> = self.conns.live().iter().copied().collect();
        // Whoever had to wait comes first.
        let begin = self.live.last_served.take().map_or(0, |last| all.partition_point(|id| *id <= last));
        for id in all[begin..].iter().chain(&all[..begin]) {
            if self.budget.is_spent() {
                self.live.is_unfinished = true;
                break;
            }
            self.live.last_served = Some(*id);
            self.tell(*id, now, host);
        }
        if !self.live.is_unfinished {
            self.live.last_served = None;
        }
        if is_collected {
            self.tell_figures(now);
        }
    }

    /// Tells one of them what it has room for.
    pub(super) fn tell(&mut self, id: ConnId, now: Now, host: &mut dyn Host) {
        let Some((feed, output)) = self.conns.live_feed(id) else { return };
        let before = output.len();
        while output.len() < OUTPUT_BYTES_MAX {
            if self.budget.is_spent() {
                self.live.is_unfinished = true;
                break;
            }
            let Some(text) = feed.next(&self.live, &self.daemon, now, host) else { break };
            self.budget.spend_bytes(4 * text.len());
            feed.body.write(output, text.as_bytes());
        }
        if output.len() > before {
            self.conns.touch(id);
        }
    }

    fn tell_figures(&mut self, now: Now) {
        let news = self.live.figures(self.live.changed.iter(), now);
        let mut all = None;
        let ids: Vec<ConnId> = self.conns.live().iter().copied().collect();
        for id in ids {
            let Some((feed, output)) = self.conns.live_feed(id) else { continue };
            let messages = if feed.lacks_figures {
                all.get_or_insert_with(|| self.live.figures(self.live.figures.keys(), now))
            } else {
                &news
            };
            // Figures of processes that it has not been told of say nothing to it.
            feed.lacks_figures = feed.snapshot.is_some();
            if feed.files != Some(self.live.files) && output.len() < OUTPUT_BYTES_MAX {
                feed.files = Some(self.live.files);
                feed.body.write(output, files(self.live.files.1 != 0).as_bytes());
            }
            for text in messages.iter() {
                if output.len() >= OUTPUT_BYTES_MAX {
                    feed.lacks_figures = true;
                    break;
                }
                feed.body.write(output, text.as_bytes());
            }
            self.conns.touch(id);
        }
    }

    /// Ends all of them, for the run is over.
    pub(super) fn end_live(&mut self) {
        let ids: Vec<ConnId> = self.conns.live().iter().copied().collect();
        for id in ids {
            if let Some((feed, output)) = self.conns.live_feed(id) {
                feed.body.end(output);
            }
            self.conns.close(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::MOMENTS_MAX;
    use crate::rpc::testing::World;

    /// The kinds of the messages that are due, and how many rows each has.
    fn told(feed: &mut LiveFeed, live: &Live, world: &mut World) -> Vec<(String, usize)> {
        let mut told = Vec::new();
        while let Some(text) = feed.next(live, &world.daemon, world.now, &mut world.host) {
            for part in text.split("\n\n").filter(|part| !part.is_empty()) {
                let event = part.lines().find_map(|line| line.strip_prefix("event: ")).expect("a kind");
                told.push((event.to_string(), part.matches("\"id\":").count()));
            }
        }
        told
    }

    fn expected(rows: &[(&str, usize)]) -> Vec<(String, usize)> {
        rows.iter().map(|(event, rows)| (event.to_string(), *rows)).collect()
    }

    #[test]
    fn a_snapshot_comes_in_pieces_and_then_each_change_once() {
        let mut world = World::new(
            "[program:p]\ncommand=p\nautostart=false\nstartsecs=0\nnumprocs=250\nprocess_name=p%(process_num)d\n",
        );
        let mut live = Live::default();
        let mut feed = live.feed(None, &world.daemon, StreamBody { is_chunked: false }, world.now);
        let pieces = [("begin", 0), ("rows", ROWS_MAX), ("rows", ROWS_MAX), ("rows", 50), ("end", 0)];
        assert_eq!(told(&mut feed, &live, &mut world), expected(&pieces));
        assert_eq!(told(&mut feed, &live, &mut world), []);
        let _ = world.begin("supervisor.startProcess", &["p:p7".into()]);
        assert_eq!(told(&mut feed, &live, &mut world), expected(&[("change", 1)]));
        let _ = world.begin("supervisor.startProcessGroup", &["p".into(), false.into()]);
        world.turn();
        let changes = told(&mut feed, &live, &mut world);
        assert!(changes.iter().all(|(event, rows)| event == "change" && *rows <= ROWS_MAX), "{changes:?}");
    }

    #[test]
    fn who_does_not_read_gets_a_new_snapshot_later() {
        let mut world = World::new("[program:p]\ncommand=p\nautostart=false\nstartsecs=0\n");
        let mut live = Live::default();
        let mut feed = live.feed(None, &world.daemon, StreamBody { is_chunked: false }, world.now);
        told(&mut feed, &live, &mut world);
        for _ in 0..MOMENTS_MAX / 4 {
            let _ = world.begin("supervisor.startProcess", &["p".into()]);
            let _ = world.begin("supervisor.stopProcess", &["p".into()]);
            world.turn();
        }
        // As many moments as are remembered: one message with one row.
        assert_eq!(told(&mut feed, &live, &mut world), expected(&[("change", 1)]));
        for _ in 0..MOMENTS_MAX {
            let _ = world.begin("supervisor.startProcess", &["p".into()]);
            let _ = world.begin("supervisor.stopProcess", &["p".into()]);
            world.turn();
        }
        assert_eq!(told(&mut feed, &live, &mut world), expected(&[("begin", 0), ("rows", 1), ("end", 0)]));
    }

    #[test]
    fn figures_are_collected_when_they_are_due_and_told_where_they_changed() {
        let mut world = World::new("[program:a]\ncommand=a\nstartsecs=0\n[program:b]\ncommand=b\nautostart=false\n");
        let mut live = Live::default();
        assert_eq!(live.deadline(), None);
        let mut rounds = Vec::new();
        for _ in 0..2 {
            while !live.collect(&world.daemon, world.now, &mut world.host) {}
            rounds.push(live.changed.len());
            assert_eq!(live.deadline(), Some(world.now.mono.after(FIGURES_EVERY)));
            assert!(!live.collect(&world.daemon, world.now, &mut world.host), "not yet");
            world.now.mono = world.now.mono.after(FIGURES_EVERY);
        }
        assert_eq!(rounds, [2, 0], "the second time nothing had changed");
        let text = live.figures([ProcId(0)].iter(), world.now).concat();
        assert!(text.contains("\"f\":[[0,1500,4,0,0]]"), "{text}");
    }
}
