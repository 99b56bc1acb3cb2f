//! Who looks at whose statistics (F-62). They stay where they are made: whoever looks at those of another instance says so to
//! that, which makes them, and tells them, only as long as somebody does.
//!
//! What pages show of a host is a point of twelve bytes a period; of each instance the last one is kept. Who reads the events
//! `hstats` and `pstats` hears those of all instances, as they are told there. None of it is told again when it is lost.

use std::time::Duration;

use super::Fleet;
use super::published::{Kind, Note};
use super::statistics::table;
use super::view::seconds;
use crate::clock::{Mono, Now};
use crate::daemon::Host;
use crate::id::PeerId;
use crate::model::fleet::instance::InstanceState;
use crate::model::fleet::rate::{HostSample, host_point};
use crate::wire::fleet::codec::{Reader, push_varint};
use crate::wire::fleet::load::Load;
use crate::wire::value::Value;
use crate::wire::{fleet, json, procfs};

/// What is looked at, a bit each: the points of a host.
const POINTS: u8 = 1;

/// How long who asks once is taken to look on.
const LOOK_TIME: Duration = Duration::from_secs(60);

/// After the first look at the own host a point can be made so soon.
const FIRST_PERIOD: Duration = Duration::from_secs(1);

/// Shortest time that a rate is worth being made of.
const PERIOD_LEAST_SECS: f64 = 0.5;

/// Who looks, and what is known for them.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// A page that is open shows the hosts.
    is_page_open: bool,
    /// Somebody has asked once, and is taken to look until then.
    until: Option<Mono>,
    /// What the others were told last that is looked at here.
    told: u8,
    /// What is kept of the own host from one point to the next.
    own: Option<Own>,
}

/// The own host when it was looked at last, and when it is looked at again.
#[derive(Debug)]
struct Own {
    due: Mono,
    sample: HostSample,
}

fn bit(kind: Kind) -> u8 {
    match kind {
        Kind::HostStatistics => 2,
        Kind::ProcessStatistics => 4,
        _ => 0,
    }
}

impl Fleet {
    /// A page that shows all hosts is open, or none is any more.
    pub fn watch_hosts(&mut self, is: bool) {
        self.looks.is_page_open = is;
    }

    /// Somebody asks how much the hosts have to do, and is taken to look at it for a while.
    pub fn look_at_hosts(&mut self, now: Now) {
        self.looks.until = Some(now.mono.after(LOOK_TIME));
    }

    /// What is looked at here.
    fn looked_at(&self) -> u8 {
        let points = if self.looks.is_page_open || self.looks.until.is_some() { POINTS } else { 0 };
        let wanted = self.wanted();
        let events = [Kind::HostStatistics, Kind::ProcessStatistics].into_iter().filter(|kind| wanted.has(*kind));
        events.fold(points, |bits, kind| bits | bit(kind))
    }

    /// What anybody looks at of this instance, here or elsewhere.
    fn shown_of_own(&self) -> u8 {
        self.members.iter().fold(self.looked_at(), |bits, member| bits | member.looks)
    }

    /// Whether anybody reads statistics of this kind.
    pub(super) fn is_looked_at(&self, kind: Kind) -> bool {
        self.shown_of_own() & bit(kind) != 0
    }

    /// When there is something to do for who looks.
    pub(super) fn looks_deadline(&self, now: Now) -> Option<Mono> {
        let is_other = self.members.len() > 1 && self.looks.told != self.looked_at();
        let begins = self.stats.host && self.shown_of_own() & POINTS != 0 && self.looks.own.is_none();
        let at_once = (is_other || begins).then_some(now.mono);
        crate::clock::earliest(&[at_once, self.looks.until, self.looks.own.as_ref().map(|own| own.due)])
    }

    /// Tells the others what is looked at, and who looks what is new.
    pub(super) fn show(&mut self, now: Now, host: &mut dyn Host) {
        self.looks.until = self.looks.until.filter(|until| *until > now.mono);
        let looked_at = self.looked_at();
        self.looks.told = looked_at;
        if looked_at & POINTS == 0 {
            self.members.iter_mut().for_each(|member| member.load = None);
        }
        for at in 0..self.members.len() {
            let (peer, member) = (PeerId(at as u32), &self.members[at]);
            // What is kept away is not spoken to (V-135).
            if member.asked == looked_at || peer == self.own || member.state == InstanceState::Isolated {
                continue;
            }
            let mut body = Vec::new();
            push_varint(&mut body, u64::from(looked_at));
            if self.peers.send(peer, fleet::Kind::Subscribe, &body).is_ok() {
                self.members[at].asked = looked_at;
            }
        }
        self.make_point(now, host);
    }

    /// Looks how much the own host has to do, when it is time.
    fn make_point(&mut self, now: Now, host: &mut dyn Host) {
        if !self.stats.host || self.shown_of_own() & POINTS == 0 {
            self.looks.own = None;
            return;
        }
        let before = self.looks.own.take();
        if before.as_ref().is_some_and(|own| own.due > now.mono) {
            self.looks.own = before;
            return;
        }
        let mut read = |path: &str| table(host, path).unwrap_or_default();
        let mut sample = HostSample {
            at: seconds(now.mono),
            processors: procfs::processors(&read("/proc/stat")),
            memory: procfs::memory(&read("/proc/meminfo")).map_or(0.0, |(_, used)| used),
            interfaces: procfs::interfaces(&read("/proc/net/dev")),
            ..HostSample::default()
        };
        // That of all together; and what a host says to itself is no load of its network.
        sample.processors.truncate(1);
        sample.interfaces.remove("lo");
        let period = match &before {
            None => FIRST_PERIOD,
            Some(_) => Duration::from_secs_f64(self.stats.period.clamp(1.0, 3600.0)),
        };
        let point = before.filter(|before| sample.at - before.sample.at >= PERIOD_LEAST_SECS).map(|before| {
            let point = host_point(&before.sample, &sample);
            let (received, sent) = point.interfaces.iter().fold((0.0, 0.0), |(a, b), (_, c, d)| (a + c, b + d));
            Load {
                at: (now.mono.0 / 100_000_000) as u32,
                processors: hundredths(point.processors.first().copied().unwrap_or(0.0)),
                memory: hundredths(sample.memory),
                received: received as u64,
                sent: sent as u64,
            }
        });
        self.looks.own = Some(Own { due: now.mono.after(period), sample });
        if let Some(load) = point {
            if self.looked_at() & POINTS != 0
                && let Some(own) = self.member_mut(self.own)
            {
                own.load = Some((load, now.mono));
            }
            self.send_to_lookers(POINTS, fleet::Kind::Point, &load.bytes());
        }
    }

    /// Tells who reads events of this kind, here and elsewhere.
    pub(super) fn tell_statistics(&mut self, kind: Kind, body: Value) {
        if self.members.iter().any(|member| member.looks & bit(kind) != 0) {
            let text = json::write(&body);
            self.send_to_lookers(bit(kind), fleet::Kind::Statistics, &[&[bit(kind)], text.as_bytes()].concat());
        }
        if self.wanted().has(kind) {
            self.note_news(|| Note::Ready(kind, body));
        }
    }

    fn send_to_lookers(&mut self, bit: u8, kind: fleet::Kind, body: &[u8]) {
        for at in (0..self.members.len()).filter(|at| self.members[*at].looks & bit != 0).collect::<Vec<_>>() {
            // Who has no room for it now gets the next one.
            let _ = self.peers.send(PeerId(at as u32), kind, body);
        }
    }

    /// An instance says what is looked at there.
    pub(super) fn hear_subscribe(&mut self, peer: PeerId, body: &[u8]) {
        if let (Ok(looks), Some(member)) = (Reader::new(body).varint(), self.member_mut(peer)) {
            // Bits that newer ones know are none of ours.
            member.looks = looks as u8;
        }
    }

    /// An instance tells of statistics of its own, of which those are passed over that nobody looks at any more.
    pub(super) fn hear_statistics(&mut self, peer: PeerId, kind: fleet::Kind, body: &[u8], now: Now) {
        let looked_at = self.looked_at();
        if kind == fleet::Kind::Point {
            if let (Ok(load), true) = (Load::read(body), looked_at & POINTS != 0)
                && let Some(member) = self.member_mut(peer)
            {
                member.load = Some((load, now.mono));
            }
            return;
        }
        let kinds = [Kind::HostStatistics, Kind::ProcessStatistics].into_iter();
        let Some((tag, text)) = body.split_first() else { return };
        let Some(kind) = kinds.filter(|kind| looked_at & bit(*kind) != 0).find(|kind| bit(*kind) == *tag) else {
            return;
        };
        match std::str::from_utf8(text).ok().and_then(json::read) {
            Some(body @ Value::Struct(_)) => self.note_news(|| Note::Ready(kind, body)),
            _ => self.peers.complain(peer, now.mono, "tells statistics that make no sense"),
        }
    }

    /// A stream to an instance is another one, or is gone: neither side knows what the other one looks at.
    pub(super) fn forget_looks(&mut self, peer: PeerId) {
        if let Some(member) = self.member_mut(peer) {
            (member.looks, member.asked, member.load) = (0, 0, None);
        }
    }
}

fn hundredths(percent: f64) -> u16 {
    (100.0 * percent) as u16
}
