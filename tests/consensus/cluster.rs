//! Voters, their disks and the network between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use noraft::{Action, ClusterConfig, Log, LogEntries, LogEntry, LogIndex, LogPosition, Message, Node, NodeId, Term};

use crate::random::Random;

/// Hosts that may be voters; three to five of them are at first.
const HOSTS: u64 = 6;
/// Ticks, of 100 ms each, in which things go wrong.
const TROUBLE: u64 = 300;
/// Ticks after which something new has to be agreed on once nothing goes wrong any more.
pub const PROGRESS_MAX: u64 = 300;
/// Ticks between two heartbeats.
const HEARTBEAT: u64 = 2;
/// Entries that a log may have before it gives way to a snapshot.
const LOG_MAX: usize = 12;

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
    /// The entry it wrote last.
    ForgetsEntries,
}

/// What goes wrong besides crashes and partitions.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Messages of a hundred that are lost.
    pub lost_percent: u64,
    /// A host crashes once in so many steps of its engine; each second time it is back at once.
    pub crash_every: u64,
    /// Ticks of silence after which a voter stands for election, from and to.
    pub election: (u64, u64),
    /// What the disks do.
    pub disk: Disk,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults { lost_percent: 2, crash_every: 1_000, election: (10, 20), disk: Disk::Keeps }
    }
}

/// What a host has made of the committed commands: how many, and a number that hangs on each and on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Made {
    count: u64,
    sum: u64,
}

impl Made {
    fn with(self, body: u64) -> Made {
        Made { count: self.count + 1, sum: self.sum.rotate_left(7) ^ body.wrapping_mul(0x9e37_79b9_7f4a_7c15) }
    }
}

/// A snapshot: where the log is cut off, who the voters are there, and what was made of all before.
#[derive(Clone, Debug)]
struct Snapshot {
    position: LogPosition,
    config: ClusterConfig,
    made: Made,
}

/// Where an entry stands, in a form that sorts.
type Place = (u64, u64);

fn place(position: LogPosition) -> Place {
    (position.term.get(), position.index.get())
}

/// What is on the way.
#[derive(Clone, Debug)]
enum Letter {
    /// A message with the bodies of its commands.
    Raft(Message, Vec<(Place, u64)>),
    /// A snapshot from the leader of a term.
    Snapshot(Term, Snapshot),
}

/// One host.
struct Host {
    id: NodeId,
    node: Option<Node>,
    // On disk.
    term: Term,
    vote: Option<NodeId>,
    log: Log,
    bodies: BTreeMap<Place, u64>,
    snapshot: Option<Snapshot>,
    // In memory.
    made: Made,
    applied: u64,
    election: u64,
    heard: u64,
}

impl Host {
    fn new(id: NodeId) -> Host {
        Host {
            id,
            node: Some(Node::start(id)),
            term: Term::ZERO,
            vote: None,
            log: Log::new(ClusterConfig::new(), LogEntries::new(LogPosition::ZERO)),
            bodies: BTreeMap::new(),
            snapshot: None,
            made: Made::default(),
            applied: 0,
            election: 0,
            heard: 0,
        }
    }

    /// Comes back with what the disk has kept.
    fn restart(&mut self, now: u64, random: &mut Random, faults: &Faults) {
        match faults.disk {
            Disk::Keeps => {}
            Disk::ForgetsVotes => self.vote = None,
            Disk::ForgetsTerms => {
                let last = self.log.last_position().term;
                if last < self.term {
                    (self.term, self.vote) = (last, None);
                }
            }
            Disk::ForgetsEntries => {
                let entries = self.log.entries();
                let mut kept = entries.clone();
                kept.truncate(entries.len().saturating_sub(1));
                self.log = Log::new(self.log.snapshot_config().clone(), kept);
            }
        }
        self.node = Some(Node::restart(self.id, self.term, self.vote, self.log.clone()));
        self.made = self.snapshot.as_ref().map_or(Made::default(), |snapshot| snapshot.made);
        self.applied = self.log.snapshot_position().index.get();
        self.heard = 0;
        self.put_off_election(now, random, faults);
    }

    fn put_off_election(&mut self, now: u64, random: &mut Random, faults: &Faults) {
        self.election = now + random.between(faults.election.0, faults.election.1);
    }

    fn bodies_of(&self, message: &Message) -> Vec<(Place, u64)> {
        let Message::AppendEntriesCall { entries, .. } = message else { return Vec::new() };
        let places = entries.iter_with_positions().map(|(position, _)| place(position));
        places.filter_map(|place| self.bodies.get(&place).map(|body| (place, *body))).collect()
    }
}

/// All hosts, and what is known of what they have agreed on.
pub struct Cluster {
    hosts: Vec<Host>,
    network: BinaryHeap<Reverse<(u64, u64)>>,
    letters: BTreeMap<u64, (usize, usize, Letter)>,
    sent: u64,
    now: u64,
    /// Who does not reach whom.
    cut: BTreeSet<(usize, usize)>,
    faults: Faults,
    is_healed: bool,
    leaders: BTreeMap<u64, NodeId>,
    /// The term of each committed index, and what is made of all up to it.
    agreed: BTreeMap<u64, (u64, Made)>,
    proposed: u64,
}

impl Cluster {
    pub fn new(random: &mut Random, faults: Faults) -> Result<Cluster, String> {
        let mut hosts: Vec<Host> = (0..HOSTS).map(|id| Host::new(NodeId::new(id))).collect();
        let voters: Vec<NodeId> = (0..random.between(3, 5)).map(NodeId::new).collect();
        if let Some(node) = &mut hosts[0].node {
            node.create_cluster(&voters);
        }
        for host in &mut hosts {
            host.put_off_election(0, random, &faults);
        }
        let mut cluster = Cluster {
            hosts,
            network: BinaryHeap::new(),
            letters: BTreeMap::new(),
            sent: 0,
            now: 0,
            cut: BTreeSet::new(),
            faults,
            is_healed: true,
            leaders: BTreeMap::new(),
            agreed: BTreeMap::new(),
            proposed: 0,
        };
        // A fleet is founded once the founder has written it down: before that nobody has heard of it.
        cluster.act(0, random)?;
        cluster.is_healed = false;
        Ok(cluster)
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
        for host in &mut self.hosts {
            if host.node.is_none() {
                host.restart(self.now, random, &self.faults);
            }
        }
        let begun = self.now;
        let agreed_before = self.agreed.last_key_value().map_or(0, |(index, _)| *index);
        let mut wanted = None;
        while self.now < begun + PROGRESS_MAX {
            self.tick(random)?;
            if wanted.is_none() {
                let latest = self.agreed.last_key_value();
                let goes_on = latest.filter(|(index, (_, made))| {
                    **index > agreed_before + 1 && self.agreed.get(&agreed_before).is_none_or(|(_, old)| made != old)
                });
                wanted = goes_on.map(|(index, _)| *index);
            }
            let Some(wanted) = wanted else { continue };
            if self.voters().into_iter().all(|at| self.hosts[at].applied >= wanted) {
                return Ok(self.now - begun);
            }
        }
        Err(format!("nothing new was agreed on within {PROGRESS_MAX} ticks"))
    }

    /// Those that vote, as the leader of the highest term has it.
    fn voters(&self) -> Vec<usize> {
        let leaders = self.hosts.iter().filter_map(|host| host.node.as_ref()).filter(|node| node.role().is_leader());
        let Some(leader) = leaders.max_by_key(|node| node.current_term()) else {
            return (0..self.hosts.len()).collect();
        };
        leader.config().voters.iter().map(|id| id.get() as usize).collect()
    }

    fn trouble(&mut self, random: &mut Random) {
        match random.below(60) {
            0 => {
                let at = random.below(HOSTS) as usize;
                self.hosts[at].node = None;
            }
            1 | 2 => {
                let at = random.below(HOSTS) as usize;
                if self.hosts[at].node.is_none() {
                    self.hosts[at].restart(self.now, random, &self.faults);
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
            _ => {}
        }
    }

    /// One comes, or one goes, or both.
    fn change_voters(&mut self, random: &mut Random) {
        let Some(at) = self.leader(random) else { return };
        let Some(node) = &mut self.hosts[at].node else { return };
        let config = node.config().clone();
        let others: Vec<NodeId> = (0..HOSTS).map(NodeId::new).filter(|id| !config.voters.contains(id)).collect();
        let voters: Vec<NodeId> = config.voters.iter().copied().collect();
        let pick = |random: &mut Random, from: &[NodeId]| -> Vec<NodeId> {
            if from.is_empty() { Vec::new() } else { vec![from[random.below(from.len() as u64) as usize]] }
        };
        let adding = if random.below(3) > 0 { pick(random, &others) } else { Vec::new() };
        let removing = if voters.len() + adding.len() > 3 { pick(random, &voters) } else { Vec::new() };
        if !adding.is_empty() || !removing.is_empty() {
            node.propose_config(config.to_joint_consensus(&adding, &removing));
        }
    }

    fn leader(&self, random: &mut Random) -> Option<usize> {
        let is_leader = |at: &usize| self.hosts[*at].node.as_ref().is_some_and(|node| node.role().is_leader());
        let leaders: Vec<usize> = (0..self.hosts.len()).filter(is_leader).collect();
        (!leaders.is_empty()).then(|| leaders[random.below(leaders.len() as u64) as usize])
    }

    fn tick(&mut self, random: &mut Random) -> Result<(), String> {
        self.now += 1;
        while let Some(Reverse((due, letter))) = self.network.peek().copied() {
            if due > self.now {
                break;
            }
            self.network.pop();
            if let Some((from, to, letter)) = self.letters.remove(&letter)
                && !self.cut.contains(&(from, to))
            {
                self.deliver(to, letter, random)?;
            }
        }
        if random.below(3) == 0
            && let Some(at) = self.leader(random)
        {
            self.propose(at);
        }
        for at in 0..self.hosts.len() {
            self.mind_time(at);
            self.act(at, random)?;
            self.cut_log(at);
        }
        Ok(())
    }

    fn propose(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        let Some(node) = &mut host.node else { return };
        let position = node.propose_command();
        self.proposed += 1;
        host.bodies.insert(place(position), self.proposed);
    }

    fn mind_time(&mut self, at: usize) {
        let may_stand = self.may_stand(at);
        let host = &mut self.hosts[at];
        let Some(node) = &mut host.node else { return };
        if node.role().is_leader() {
            if self.now.is_multiple_of(HEARTBEAT) {
                node.heartbeat();
            }
        } else if self.now >= host.election && may_stand {
            node.handle_election_timeout();
        }
    }

    /// A voter stands for election only while most of them are known to be there.
    fn may_stand(&self, at: usize) -> bool {
        let Some(node) = &self.hosts[at].node else { return false };
        let is_there = |id: &NodeId| {
            let other = id.get() as usize;
            self.hosts[other].node.is_some() && !self.cut.contains(&(other, at))
        };
        let most = |voters: &BTreeSet<NodeId>| {
            voters.is_empty() || voters.iter().filter(|id| is_there(id)).count() * 2 > voters.len()
        };
        most(&node.config().voters) && most(&node.config().new_voters)
    }

    fn deliver(&mut self, to: usize, letter: Letter, random: &mut Random) -> Result<(), String> {
        let now = self.now;
        let host = &mut self.hosts[to];
        let Some(node) = &mut host.node else { return Ok(()) };
        match letter {
            Letter::Raft(message, bodies) => {
                // Whoever heard of a leader lately is not to be talked into an election.
                let is_content = host.heard > 0 && now < host.heard + self.faults.election.0;
                if is_content && node.could_be_disruptive_request_vote(&message) {
                    return Ok(());
                }
                host.bodies.extend(bodies);
                let is_call = matches!(message, Message::AppendEntriesCall { .. });
                if is_call && message.term() >= node.current_term() {
                    host.heard = now;
                }
                node.handle_message(&message).map_err(|error| format!("host {to}: {error}"))?;
            }
            Letter::Snapshot(term, snapshot) => {
                let is_new = snapshot.position.index > node.commit_index();
                if term == node.current_term()
                    && is_new
                    && node.handle_snapshot_installed(snapshot.position, snapshot.config.clone())
                {
                    host.made = snapshot.made;
                    host.applied = snapshot.position.index.get();
                    host.log = node.log().clone();
                    host.snapshot = Some(snapshot);
                }
            }
        }
        self.act(to, random)
    }

    /// Does what the engine of a host asks for; the host may crash after each step.
    fn act(&mut self, at: usize, random: &mut Random) -> Result<(), String> {
        loop {
            let host = &mut self.hosts[at];
            let Some(node) = &mut host.node else { return Ok(()) };
            let Some(action) = node.actions_mut().next() else { break };
            match action {
                Action::SetElectionTimeout => host.put_off_election(self.now, random, &self.faults),
                Action::SaveCurrentTerm => host.term = node.current_term(),
                Action::SaveVotedFor => host.vote = node.voted_for(),
                Action::AppendLogEntries(entries) => {
                    if !host.log.append_suffix(&entries) {
                        return Err(format!("host {at}: entries that do not follow on its log"));
                    }
                }
                Action::BroadcastMessage(message) => {
                    let peers: Vec<NodeId> = node.peers().collect();
                    let bodies = host.bodies_of(&message);
                    for peer in peers {
                        self.send(at, peer, Letter::Raft(message.clone(), bodies.clone()), random);
                    }
                }
                Action::SendMessage(to, message) => {
                    let bodies = host.bodies_of(&message);
                    self.send(at, to, Letter::Raft(message, bodies), random);
                }
                Action::InstallSnapshot(to) => {
                    let term = node.current_term();
                    if let Some(snapshot) = host.snapshot.clone() {
                        self.send(at, to, Letter::Snapshot(term, snapshot), random);
                    }
                }
            }
            if !self.is_healed && random.one_in(self.faults.crash_every) {
                self.hosts[at].node = None;
                if random.one_in(2) {
                    self.hosts[at].restart(self.now, random, &self.faults);
                }
                return Ok(());
            }
        }
        self.check(at)
    }

    fn send(&mut self, from: usize, to: NodeId, letter: Letter, random: &mut Random) {
        if !self.is_healed && random.below(100) < self.faults.lost_percent {
            return;
        }
        let due = self.now + random.between(1, 3);
        self.sent += 1;
        self.network.push(Reverse((due, self.sent)));
        self.letters.insert(self.sent, (from, to.get() as usize, letter));
    }

    /// One leads in a term; what is committed is what others have committed there.
    fn check(&mut self, at: usize) -> Result<(), String> {
        let host = &mut self.hosts[at];
        let Some(node) = &host.node else { return Ok(()) };
        if node.role().is_leader() {
            let term = node.current_term().get();
            let leader = *self.leaders.entry(term).or_insert(host.id);
            if leader != host.id {
                return Err(format!("{leader:?} and {:?} lead in term {term}", host.id));
            }
        }
        while host.applied < node.commit_index().get() {
            let index = LogIndex::new(host.applied + 1);
            let entries = node.log().entries();
            let (Some(term), Some(entry)) = (entries.get_term(index), entries.get_entry(index)) else {
                return Err(format!("host {at}: committed {index:?}, and has not got it"));
            };
            if entry == LogEntry::Command {
                let Some(body) = host.bodies.get(&(term.get(), index.get())) else {
                    return Err(format!("host {at}: no body for {index:?}"));
                };
                host.made = host.made.with(*body);
            }
            host.applied += 1;
            let agreed = *self.agreed.entry(index.get()).or_insert((term.get(), host.made));
            if agreed != (term.get(), host.made) {
                return Err(format!("host {at}: {index:?} of {term:?} is not what was agreed on"));
            }
        }
        Ok(())
    }

    /// A long log gives way to a snapshot of what is committed.
    fn cut_log(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        let Some(node) = &mut host.node else { return };
        if node.log().entries().len() <= LOG_MAX {
            return;
        }
        let index = LogIndex::new(host.applied);
        let Some((position, config)) = node.log().get_position_and_config(index) else { return };
        if position == node.log().snapshot_position() {
            return;
        }
        let snapshot = Snapshot { position, config: config.clone(), made: host.made };
        if node.handle_snapshot_installed(position, snapshot.config.clone()) {
            host.log = node.log().clone();
            host.snapshot = Some(snapshot);
            host.bodies.retain(|(_, index), _| *index > position.index.get());
        }
    }
}
