//! The stream of a page of the fleet that is open: `/fleet/live`.
//!
//! As that of the first page ([`super::live`]) it begins with a snapshot in pieces (`begin`, `rows`…, `end`) and goes on with
//! `change`. What changes is gathered for some time and told to all in one message, of which the last ones are kept: who comes
//! back with `Last-Event-ID`, or did not read for a while, gets what came in between, else a new snapshot. A comment each second
//! tells a page that it is not forgotten. The view keeps what has changed only while somebody looks.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::Service;
use crate::clock::{Mono, Now};
use crate::fleet::Fleet;
use crate::id::ConnId;
use crate::model::fleet::view::{AppId, TaskId};
use crate::rpc;
use crate::web::fleet::rows::{self, Piece};
use crate::web::live::message;
use crate::wire::http::StreamBody;

/// Bytes that wait for one page.
const OUTPUT_BYTES_MAX: usize = 96 * 1024;

/// Tasks told of in one message, and bytes of them, about: one that many hosts know has a line of each.
const TASKS_MAX: usize = 400;
const TASKS_BYTES_MAX: usize = 48 * 1024;

/// Changed tasks that are taken at a time.
const TOUCHED_STEP: usize = 16;

/// How long changes are gathered; with many hosts there is always some.
const GATHER: Duration = Duration::from_millis(100);
const GATHER_OF_MANY: Duration = Duration::from_millis(200);
/// From how many hosts on they are many.
const MANY: usize = 100;

/// A page that hears nothing for three times as long looks for another instance.
const BEAT: Duration = Duration::from_secs(1);

/// Bytes of messages that are kept for who comes back.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// Moments of the past that a page begins with.
const MOMENTS_BEFORE: u64 = 200;

/// What all these streams share.
#[derive(Default)]
pub(super) struct FleetLive {
    /// What distinguishes these numbers from others.
    run: u64,
    /// The number of the last message.
    last: u64,
    kept: VecDeque<(u64, Rc<str>)>,
    kept_bytes: usize,
    /// When changes are told, or else a beat.
    due: Option<Mono>,
    beat_at: Option<Mono>,
    /// What was told last.
    head: String,
    hosts: Vec<String>,
    apps: BTreeMap<AppId, String>,
    moments: u64,
    /// A page had to wait for its share of work.
    is_unfinished: bool,
    /// Who was served last when the turn's work was used up.
    last_served: Option<ConnId>,
}

/// How far a stream has come.
pub(super) struct FleetFeed {
    told: u64,
    /// Of a snapshot under way, after which task it goes on; the outer `None` without one.
    snapshot: Option<Option<TaskId>>,
    body: StreamBody,
}

impl FleetLive {
    /// When there is something to do; `None` while nobody looks.
    pub(super) fn deadline(&self) -> Option<Mono> {
        if self.is_unfinished { Some(Mono(0)) } else { self.due }
    }

    /// A stream for a client that knows this much.
    pub(super) fn feed(&mut self, known: Option<&str>, fleet: &mut Fleet, body: StreamBody, now: Now) -> FleetFeed {
        if self.due.is_none() {
            *self = FleetLive { run: now.wall.0, ..FleetLive::default() };
            fleet.view_mut().watch(true);
            // What is so already is in every snapshot.
            let _ = self.changes(fleet, true);
            self.due = Some(now.mono.after(BEAT));
            self.beat_at = self.due;
        }
        let told = known.and_then(|known| {
            let (run, number) = known.split_once('-')?;
            (run == format!("{:x}", self.run)).then(|| number.parse().ok())?
        });
        let told = told.filter(|told| self.has_all_since(*told));
        FleetFeed { told: told.unwrap_or(0), snapshot: if told.is_none() { Some(None) } else { None }, body }
    }

    fn has_all_since(&self, told: u64) -> bool {
        told <= self.last && told + 1 >= self.kept.front().map_or(self.last + 1, |(number, _)| *number)
    }

    fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.run)
    }

    /// What is other than was told last; with `all`, hosts and applications are looked at that no task has changed of.
    fn changes(&mut self, fleet: &mut Fleet, all: bool) -> Piece {
        let mut piece = Piece::default();
        let mut apps: Vec<AppId> = Vec::new();
        let mut bytes = 0;
        while bytes < TASKS_BYTES_MAX && apps.len() + piece.gone.len() < TASKS_MAX && fleet.view().is_touched() {
            for id in fleet.view_mut().take_touched(TOUCHED_STEP) {
                match fleet.view().task(id) {
                    Some(task) => {
                        let row = rows::task(fleet, id, task);
                        bytes += row.len();
                        piece.tasks.push(row);
                        apps.push(task.app);
                    }
                    None => piece.gone.push(id),
                }
            }
        }
        let fleet = &*fleet;
        if all || !piece.gone.is_empty() {
            apps = fleet.view().apps().map(|(id, _)| id).collect();
        }
        apps.sort_unstable();
        apps.dedup();
        for id in apps {
            let Some(text) = rows::app(fleet, id) else { continue };
            if self.apps.get(&id) != Some(&text) {
                piece.apps.push(text.clone());
                self.apps.insert(id, text);
            }
        }
        self.apps.retain(|id, _| {
            let is_there = fleet.view().app(*id).is_some();
            if !is_there {
                piece.lost.push(*id);
            }
            is_there
        });
        self.hosts.resize(fleet.members().count(), String::new());
        for ((peer, member), told) in fleet.members().zip(&mut self.hosts) {
            let text = rows::host(fleet, peer, member);
            if *told != text {
                piece.hosts.push(text.clone());
                *told = text;
            }
        }
        let head = rows::head(fleet, rpc::VERSION);
        if self.head != head {
            piece.head = Some(head.clone());
            self.head = head;
        }
        piece.moments = moments(fleet, self.moments);
        self.moments = fleet.timeline().last();
        piece
    }

    /// Gathers what has changed, and keeps it as a message when it is time; says whether a beat is due.
    fn gather(&mut self, fleet: &mut Fleet, now: Now) -> bool {
        let Some(beat_at) = self.beat_at else { return false };
        if fleet.view().is_touched() || fleet.timeline().last() != self.moments {
            let time = if fleet.members().count() > MANY { GATHER_OF_MANY } else { GATHER };
            let soon = now.mono.after(time);
            // Gathering that is under way is not put off.
            if self.due == Some(beat_at) && soon < beat_at {
                self.due = Some(soon);
            }
        }
        if self.due.is_none_or(|due| due > now.mono) {
            return false;
        }
        let is_beat = beat_at <= now.mono;
        let piece = self.changes(fleet, is_beat);
        if !piece.is_empty() {
            self.last += 1;
            let text: Rc<str> = message(Some(&self.id(self.last)), "change", &piece.text(now)).into();
            self.kept_bytes += text.len();
            self.kept.push_back((self.last, text));
            // The last one stays, however long it is: all that are up to date get it.
            while self.kept_bytes > KEPT_BYTES_MAX
                && self.kept.len() > 1
                && let Some((_, old)) = self.kept.pop_front()
            {
                self.kept_bytes -= old.len();
            }
        }
        if is_beat {
            self.beat_at = Some(now.mono.after(BEAT));
        }
        // The rest of many changes comes with the next turn.
        self.due = if fleet.view().is_touched() { Some(now.mono) } else { self.beat_at };
        is_beat
    }
}

fn moments(fleet: &Fleet, since: u64) -> Vec<String> {
    fleet.timeline().since(since).map(|(number, moment)| rows::moment(fleet, number, moment)).collect()
}

impl FleetFeed {
    /// The next message that is due; `None` if there is none.
    fn next(&mut self, live: &FleetLive, fleet: &Fleet, now: Now) -> Option<Rc<str>> {
        if let Some(after) = self.snapshot {
            let mut piece = Piece::default();
            if after.is_none() {
                // Changes of what was told already come after it, from here on.
                self.told = live.last;
                piece.head = Some(live.head.clone());
                piece.hosts = live.hosts.clone();
                piece.apps = live.apps.values().cloned().collect();
                piece.moments = moments(fleet, live.moments.saturating_sub(MOMENTS_BEFORE));
            }
            let (mut last, mut bytes) = (None, 0);
            for (id, task) in fleet.view().tasks_after(after).take(TASKS_MAX) {
                last = Some(id);
                let row = rows::task(fleet, id, task);
                bytes += row.len();
                piece.tasks.push(row);
                if bytes >= TASKS_BYTES_MAX {
                    break;
                }
            }
            let kind = if after.is_none() { "begin" } else { "rows" };
            self.snapshot = last.map(Some);
            let end = if last.is_none() { message(Some(&live.id(self.told)), "end", "{}") } else { String::new() };
            return Some((message(None, kind, &piece.text(now)) + &end).into());
        }
        if !live.has_all_since(self.told) {
            self.snapshot = Some(None);
            return self.next(live, fleet, now);
        }
        // Their numbers have no gaps.
        let (first, _) = live.kept.front()?;
        let (number, text) = live.kept.get(usize::try_from((self.told + 1).saturating_sub(*first)).ok()?)?;
        self.told = *number;
        Some(Rc::clone(text))
    }
}

impl Service {
    /// Tells the pages of the fleet that are open what has happened.
    pub(super) fn feed_fleet(&mut self, now: Now) {
        let Some(fleet) = &mut self.extensions.fleet else { return };
        let live = &mut self.fleet_live;
        if self.conns.fleet_pages().is_empty() {
            if live.due.is_some() {
                *live = FleetLive::default();
                fleet.view_mut().watch(false);
            }
            return;
        }
        let is_beat = live.gather(fleet, now);
        live.is_unfinished = false;
        let ids: Vec<ConnId> = self.conns.fleet_pages().iter().copied().collect();
        if is_beat {
            // Three bytes each: whether the turn has time or not.
            ids.iter().for_each(|id| self.beat(*id));
        }
        // Whoever had to wait comes first.
        let begin = self.fleet_live.last_served.take().map_or(0, |last| ids.partition_point(|id| *id <= last));
        for id in ids[begin..].iter().chain(&ids[..begin]) {
            if self.budget.is_spent() {
                self.fleet_live.is_unfinished = true;
                break;
            }
            self.fleet_live.last_served = Some(*id);
            self.tell_fleet(*id, now);
        }
        if !self.fleet_live.is_unfinished {
            self.fleet_live.last_served = None;
        }
    }

    /// Tells one of them that it is not forgotten, unless it has something to read.
    fn beat(&mut self, id: ConnId) {
        if let Some((feed, output)) = self.conns.fleet_feed(id).filter(|(_, output)| output.is_empty()) {
            feed.body.write(output, b":\n\n");
            self.conns.touch(id);
        }
    }

    /// Tells one of them what it has room for.
    pub(super) fn tell_fleet(&mut self, id: ConnId, now: Now) {
        let Some(fleet) = &self.extensions.fleet else { return };
        let Some((feed, output)) = self.conns.fleet_feed(id) else { return };
        let before = output.len();
        while output.len() < OUTPUT_BYTES_MAX {
            if self.budget.is_spent() {
                self.fleet_live.is_unfinished = true;
                break;
            }
            let Some(text) = feed.next(&self.fleet_live, fleet, now) else { break };
            self.budget.spend_bytes(4 * text.len());
            feed.body.write(output, text.as_bytes());
        }
        if output.len() > before {
            self.conns.touch(id);
        }
    }

    /// Ends all of them, for the run is over.
    pub(super) fn end_fleet_pages(&mut self) {
        for id in self.conns.fleet_pages().clone() {
            if let Some((feed, output)) = self.conns.fleet_feed(id) {
                feed.body.end(output);
            }
            self.conns.close(id);
        }
    }
}
