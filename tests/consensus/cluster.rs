//! Hosts, their disks and the network between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use stheno::clock::Mono;
use stheno::model::fleet::engine::bodies::Record;
use stheno::model::fleet::engine::embedded::Embedded;
use stheno::model::fleet::engine::founding::{self, FORGET_TIME, Known, Said, Step};
use stheno::model::fleet::engine::{Effect, Engine, Input, NodeId, Presence, QUORUM_TIME, half_of, name_half, node_id};

use crate::random::Random;

/// Hosts that may be voters; three to five of them are.
const HOSTS: u64 = 6;
/// Ticks in which things go wrong.
const TROUBLE: u64 = 300;
/// Ticks after which something new has to be agreed on once nothing goes wrong any more.
pub const PROGRESS_MAX: u64 = 400;
/// What a tick is.
const TICK: Duration = Duration::from_millis(100);
/// Ticks in which a fleet is to have been found the worse one before it is given up.
const PATIENCE: u64 = FORGET_TIME.as_secs() * 10;

/// What a host does not find again after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disk {
    /// Nothing.
    #[default]
    Keeps,
    /// For whom it has voted.
    ForgetsVotes,
    /// Its term.
    ForgetsTerms,
    /// What it wrote last.
    ForgetsEntries,
}

/// What goes wrong besides crashes and partitions.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Messages of a hundred that are lost.
    pub lost_percent: u64,
    /// A host crashes once in so many steps of its engine; each second time it is back at once.
    pub crash_every: u64,
    /// Once in so many crashes of the first host the whole disk is lost: it comes back as somebody else.
    pub lose_disk_every: u64,
    /// What the disks do.
    pub disk: Disk,
    /// Everybody is told that all are there, and that nobody leads.
    pub has_no_gate: bool,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults { lost_percent: 2, crash_every: 1_000, lose_disk_every: 4, disk: Disk::Keeps, has_no_gate: false }
    }
}

/// What a host has made of the committed bodies: how many, and a number that hangs on each and on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Made {
    count: u64,
    sum: u64,
}

impl Made {
    fn with(self, body: u64) -> Made {
        Made { count: self.count + 1, sum: self.sum.rotate_left(7) ^ body.wrapping_mul(0x9e37_79b9_7f4a_7c15) }
    }

    fn write(self) -> Vec<u8> {
        [self.count.to_be_bytes(), self.sum.to_be_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Made {
        let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        Made { count: number(0), sum: number(8) }
    }
}

/// One host.
struct Host {
    engine: Option<Embedded>,
    disk: Vec<Vec<u8>>,
    made: Made,
    /// It stands still until then.
    frozen_until: u64,
    /// It stands still since then.
    frozen_since: Option<u64>,
    told: Presence,
    /// Ticks before it gives its fleet up.
    patience: u64,
}

/// All hosts, and what is known of what they have agreed on.
pub struct Cluster {
    hosts: Vec<Host>,
    network: BinaryHeap<Reverse<(u64, u64)>>,
    letters: BTreeMap<u64, (usize, usize, NodeId, Vec<u8>)>,
    sent: u64,
    now: u64,
    /// Who does not reach whom.
    cut: BTreeSet<(usize, usize)>,
    faults: Faults,
    is_healed: bool,
    /// Who is to vote, the preferred one first.
    voters: Vec<usize>,
    /// Who was elected in each term of each fleet.
    leaders: BTreeMap<(u64, u64), NodeId>,
    /// What is made of all up to each committed index of each fleet.
    agreed: BTreeMap<(u64, u64), Made>,
    proposed: u64,
    /// The first body that was proposed after all was healed.
    proposed_before: u64,
    /// Who has made something of such a body.
    has_news: BTreeSet<usize>,
    chances: u32,
}

fn name(at: usize) -> String {
    format!("host{at}:9001")
}

impl Cluster {
    pub fn new(random: &mut Random, faults: Faults) -> Cluster {
        let voters: Vec<usize> = (0..random.between(3, 5) as usize).collect();
        let mut cluster = Cluster {
            hosts: Vec::new(),
            network: BinaryHeap::new(),
            letters: BTreeMap::new(),
            sent: 0,
            now: 1,
            cut: BTreeSet::new(),
            faults,
            is_healed: false,
            voters,
            leaders: BTreeMap::new(),
            agreed: BTreeMap::new(),
            proposed: 0,
            proposed_before: u64::MAX,
            has_news: BTreeSet::new(),
            chances: 0,
        };
        for at in 0..HOSTS as usize {
            let engine = cluster.blank(at, random);
            let (disk, made, told) = (engine.records(), Made::default(), Presence::default());
            let engine = Some(engine);
            cluster.hosts.push(Host {
                engine,
                disk,
                made,
                frozen_until: 0,
                frozen_since: None,
                told,
                patience: PATIENCE,
            });
        }
        cluster
    }

    fn blank(&mut self, at: usize, random: &mut Random) -> Embedded {
        self.chances += 1;
        Embedded::new(node_id(&name(at), self.chances), random.bits())
    }

    fn time(&self) -> Mono {
        Mono(0).after(TICK * self.now as u32)
    }

    /// Elections that somebody has won.
    pub fn elections(&self) -> usize {
        self.leaders.len()
    }

    /// Things go wrong.
    pub fn live_through(&mut self, random: &mut Random) -> Result<(), String> {
        for _ in 0..TROUBLE {
            self.trouble(random);
            self.tick(random)?;
        }
        Ok(())
    }

    /// Nothing goes wrong any more: the ticks until something that was proposed since is committed by all that vote.
    pub fn heal(&mut self, random: &mut Random) -> Result<u64, String> {
        self.is_healed = true;
        self.cut.clear();
        for at in 0..self.hosts.len() {
            self.hosts[at].frozen_until = 0;
            if self.hosts[at].engine.is_none() {
                self.restart(at, random);
            }
        }
        let begun = self.now;
        self.proposed_before = self.proposed;
        while self.now < begun + PROGRESS_MAX {
            self.tick(random)?;
            if self.voters.iter().all(|at| self.has_news.contains(at)) {
                return Ok(self.now - begun);
            }
        }
        Err(format!("nothing new was agreed on within {PROGRESS_MAX} ticks by {:?}:\n{}", self.voters, self.shown()))
    }

    /// How it stands with each host.
    fn shown(&self) -> String {
        let of_host = |host: &Host| {
            let engine = host.engine.as_ref()?;
            let (id, fleet, term, applied) = (engine.own(), engine.fleet(), engine.term(), engine.applied());
            let voters: Vec<NodeId> = engine.voters().collect();
            let (is_elected, master) = (engine.is_elected(), engine.master().map(|master| master.id));
            Some(format!(
                "{id:x} of {fleet:x}: term {term}, elected {is_elected}, applied {applied}, {voters:x?}, master {master:x?}\n"
            ))
        };
        self.hosts.iter().filter_map(of_host).collect()
    }

    fn trouble(&mut self, random: &mut Random) {
        match random.below(70) {
            0 => {
                let at = random.below(HOSTS) as usize;
                self.crash(at, random);
            }
            1 | 2 => {
                let at = random.below(HOSTS) as usize;
                if self.hosts[at].engine.is_none() {
                    self.restart(at, random);
                }
            }
            3 => {
                // Both ways or one, a whole side or a single pair.
                let side: Vec<bool> = (0..HOSTS).map(|_| random.below(2) == 0).collect();
                let is_one_way = random.below(3) == 0;
                for from in 0..HOSTS as usize {
                    for to in 0..HOSTS as usize {
                        if side[from] != side[to] && (!is_one_way || side[from]) {
                            self.cut.insert((from, to));
                        }
                    }
                }
            }
            4 => {
                self.cut.insert((random.below(HOSTS) as usize, random.below(HOSTS) as usize));
            }
            5 | 6 => self.cut.clear(),
            7 => self.change_voters(random),
            8 => {
                let at = random.below(HOSTS) as usize;
                self.hosts[at].frozen_until = self.now + random.between(1, 60);
            }
            _ => {}
        }
    }

    /// One comes, or one goes, or both, where there is a Master.
    fn change_voters(&mut self, random: &mut Random) {
        if !self.hosts.iter().filter_map(|host| host.engine.as_ref()).any(|engine| engine.master().is_some()) {
            return;
        }
        if random.below(3) > 0 {
            let others: Vec<usize> = (0..HOSTS as usize).filter(|at| !self.voters.contains(at)).collect();
            if !others.is_empty() {
                self.voters.push(*random.pick(&others));
            }
        }
        if self.voters.len() > 3 {
            self.voters.remove(random.below(self.voters.len() as u64) as usize);
        }
    }

    fn crash(&mut self, at: usize, random: &mut Random) {
        let host = &mut self.hosts[at];
        // Something was written, and was not on disk yet, or not all of it.
        host.engine = None;
        if at == 0 && random.one_in(self.faults.lose_disk_every) {
            host.disk.clear();
        }
        if random.one_in(2) {
            self.restart(at, random);
        }
    }

    /// Comes back with what the disk has kept.
    fn restart(&mut self, at: usize, random: &mut Random) {
        let mut records = std::mem::take(&mut self.hosts[at].disk);
        match self.faults.disk {
            Disk::Keeps => {}
            Disk::ForgetsVotes => {
                for record in &mut records {
                    if let Ok(Record::Vote(term, _)) = Record::read(record) {
                        *record = Record::Vote(term, None).write();
                    }
                }
            }
            Disk::ForgetsTerms => {
                let last = records.iter().rev().find_map(|record| match Record::read(record) {
                    Ok(Record::Entries(entries, _)) => Some(entries.last_position().term.get()),
                    _ => None,
                });
                for record in &mut records {
                    if let Ok(Record::Vote(term, _)) = Record::read(record)
                        && let Some(last) = last.filter(|last| *last < term)
                    {
                        *record = Record::Vote(last, None).write();
                    }
                }
            }
            Disk::ForgetsEntries => {
                let last = records.iter().rposition(|one| matches!(Record::read(one), Ok(Record::Entries(..))));
                last.into_iter().for_each(|at| drop(records.remove(at)));
            }
        }
        let mut out = Vec::new();
        let restored = Embedded::restore(&records, random.bits(), &mut out);
        let engine = match restored {
            Some(engine) => engine,
            None => {
                let engine = self.blank(at, random);
                records = engine.records();
                engine
            }
        };
        let host = &mut self.hosts[at];
        (host.disk, host.made, host.told) = (records, Made::default(), Presence::default());
        for effect in out {
            if let Effect::Restored(bytes) = effect {
                host.made = Made::read(&bytes);
            }
        }
        host.engine = Some(engine);
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        !self.cut.contains(&(from, to)) && !self.cut.contains(&(to, from))
    }

    /// Those that one can speak to and that have an engine, the preferred voters first, itself among them.
    fn there(&self, at: usize) -> Vec<usize> {
        let others = (0..self.hosts.len()).filter(|one| !self.voters.contains(one));
        let all = self.voters.iter().copied().chain(others);
        all.filter(|one| self.hosts[*one].engine.is_some() && (*one == at || self.reaches(*one, at))).collect()
    }

    /// Tells one who is there, and has it found a fleet, or forget one, as whoever owns an engine does.
    fn meet(&mut self, at: usize, random: &mut Random) -> Result<(), String> {
        let there = self.there(at);
        let engine_of = |at: &usize| self.hosts[*at].engine.as_ref();
        let Some(own) = engine_of(&at).map(Embedded::own) else { return Ok(()) };
        let said: Vec<Said> = there
            .iter()
            .filter(|one| self.voters.contains(one))
            .filter_map(engine_of)
            .map(|engine| Said { id: engine.own(), fleet: engine.fleet(), is_led: engine.master().is_some() })
            .collect();
        let masters = there.iter().filter_map(engine_of).filter(|engine| engine.master().is_some());
        let (is_led, others) = masters.fold((false, false), |(_, others), one| (true, others || one.own() != own));
        let Some(engine) = engine_of(&at) else { return Ok(()) };
        let of_own = Said { id: own, fleet: engine.fleet(), is_led: engine.master().is_some() };
        let known = Known { count: self.voters.len(), is_led, is_lost: engine.is_lost() };
        let has_news = random.one_in(3);
        match founding::step(of_own, &said, known) {
            Step::Found(voters) if has_news => {
                let input = Input::Found { fleet: random.bits() | 1, voters: &voters };
                return self.input(at, input, random);
            }
            Step::Forget if self.hosts[at].patience == 0 => {
                self.hosts[at].disk.clear();
                self.restart(at, random);
            }
            Step::Forget => self.hosts[at].patience -= 1,
            _ => self.hosts[at].patience = PATIENCE,
        }
        let ids = there.iter().filter_map(|one| self.hosts[*one].engine.as_ref()).map(Embedded::own).collect();
        let voters = self.voters.iter().map(|at| name_half(&name(*at))).collect();
        let mut presence = Presence { there: ids, voters, may_stand: true, is_led: others };
        if self.faults.has_no_gate {
            let all = self.hosts.iter().filter_map(|host| host.engine.as_ref());
            // And each takes itself for the preferred one.
            let others = all.map(Embedded::own).filter(|id| *id != own);
            (presence.there, presence.is_led) = ([own].into_iter().chain(others).collect(), false);
        }
        if has_news && presence != self.hosts[at].told {
            self.hosts[at].told = presence.clone();
            self.input(at, Input::Presence(&presence), random)?;
        }
        Ok(())
    }

    fn tick(&mut self, random: &mut Random) -> Result<(), String> {
        self.now += 1;
        while let Some(Reverse((due, letter))) = self.network.peek().copied() {
            if due > self.now {
                break;
            }
            self.network.pop();
            let Some((from, to, id, bytes)) = self.letters.remove(&letter) else { continue };
            if self.is_frozen(to) {
                // It is read when the host goes on.
                self.network.push(Reverse((self.hosts[to].frozen_until, letter)));
                self.letters.insert(letter, (from, to, id, bytes));
            } else if !self.cut.contains(&(from, to)) {
                self.thaw(to, random)?;
                self.input(to, Input::Message(&bytes), random)?;
            }
        }
        for at in 0..self.hosts.len() {
            if self.is_frozen(at) {
                self.hosts[at].frozen_since.get_or_insert(self.now);
                continue;
            }
            self.thaw(at, random)?;
            self.meet(at, random)?;
            self.input(at, Input::Turn, random)?;
            if random.below(3) == 0 {
                self.propose(at, random)?;
            }
        }
        Ok(())
    }

    fn is_frozen(&self, at: usize) -> bool {
        self.now < self.hosts[at].frozen_until
    }

    /// One that stood still looks at the time first: if that was for long it may not act.
    fn thaw(&mut self, at: usize, random: &mut Random) -> Result<(), String> {
        let Some(since) = self.hosts[at].frozen_since.take() else { return Ok(()) };
        self.input(at, Input::Turn, random)?;
        let Some(engine) = &self.hosts[at].engine else { return Ok(()) };
        let is_alone = engine.voters().all(|id| id == engine.own());
        let was_long = TICK * (self.now - since) as u32 >= QUORUM_TIME;
        match engine.master() {
            Some(master) if master.id == engine.own() && was_long && !is_alone => {
                Err(format!("host {at} may act although it stood still"))
            }
            _ => Ok(()),
        }
    }

    fn propose(&mut self, at: usize, random: &mut Random) -> Result<(), String> {
        let now = self.time();
        let Some(engine) = &mut self.hosts[at].engine else { return Ok(()) };
        let mut out = Vec::new();
        if engine.propose(&(self.proposed + 1).to_be_bytes(), now, &mut out).is_some() {
            self.proposed += 1;
        }
        self.act(at, out, random)
    }

    fn input(&mut self, at: usize, input: Input<'_>, random: &mut Random) -> Result<(), String> {
        let now = self.time();
        let Some(engine) = &mut self.hosts[at].engine else { return Ok(()) };
        let mut out = Vec::new();
        engine.on_input(input, now, &mut out);
        self.act(at, out, random)
    }

    /// Does what the engine of a host asks for; the host may crash after each step, and while it writes.
    fn act(&mut self, at: usize, out: Vec<Effect>, random: &mut Random) -> Result<(), String> {
        let (now, mut is_long) = (self.time(), false);
        let mut effects = VecDeque::from(out);
        while let Some(effect) = effects.pop_front() {
            let may_crash = !self.is_healed && random.one_in(self.faults.crash_every);
            match effect {
                Effect::Persist(records) => {
                    let written = if may_crash { random.below(records.len() as u64 + 1) } else { records.len() as u64 };
                    self.hosts[at].disk.extend(records.into_iter().take(written as usize));
                }
                Effect::Send(to, bytes) => self.send(at, to, bytes, random),
                Effect::Master(_) | Effect::Lost(_) => {}
                Effect::Restored(bytes) => self.hosts[at].made = Made::read(&bytes),
                Effect::Committed { index, body, .. } => self.commit(at, index, &body)?,
                Effect::IsLong => {
                    let made = self.hosts[at].made.write();
                    let mut more = Vec::new();
                    if let Some(engine) = &mut self.hosts[at].engine {
                        engine.on_input(Input::Snapshot(&made), now, &mut more);
                    }
                    effects.extend(more);
                    is_long = true;
                }
            }
            if may_crash {
                self.crash(at, random);
                return Ok(());
            }
        }
        // As the file is written anew now and then.
        if let Some(engine) = self.hosts[at].engine.as_ref().filter(|_| is_long) {
            self.hosts[at].disk = engine.records();
        }
        self.check(at)
    }

    fn send(&mut self, from: usize, to: NodeId, bytes: Vec<u8>, random: &mut Random) {
        if !self.is_healed && random.below(100) < self.faults.lost_percent {
            return;
        }
        let Some(place) = (0..self.hosts.len()).find(|at| name_half(&name(*at)) == half_of(to)) else { return };
        let due = self.now + random.between(1, 3);
        self.sent += 1;
        self.network.push(Reverse((due, self.sent)));
        self.letters.insert(self.sent, (from, place, to, bytes));
    }

    /// What is committed is what others have committed there.
    fn commit(&mut self, at: usize, index: u64, body: &[u8]) -> Result<(), String> {
        let body = u64::from_be_bytes(body.try_into().map_err(|_| format!("host {at}: no body for {index}"))?);
        let host = &mut self.hosts[at];
        host.made = host.made.with(body);
        let Some(engine) = &host.engine else { return Ok(()) };
        let agreed = *self.agreed.entry((engine.fleet(), index)).or_insert(host.made);
        if agreed != host.made {
            return Err(format!("host {at}: {index} is not what was agreed on"));
        }
        if body > self.proposed_before {
            self.has_news.insert(at);
        }
        Ok(())
    }

    /// One leads in a term.
    fn check(&mut self, at: usize) -> Result<(), String> {
        let Some(engine) = &self.hosts[at].engine else { return Ok(()) };
        if engine.is_elected() {
            let key = (engine.fleet(), engine.term());
            let leader = *self.leaders.entry(key).or_insert(engine.own());
            if leader != engine.own() {
                return Err(format!("{leader:x} and {:x} lead in term {}", engine.own(), key.1));
            }
        }
        Ok(())
    }
}
