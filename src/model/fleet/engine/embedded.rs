//! Raft, by noraft, and what stands around it.
//!
//! noraft knows positions; bodies, files and clocks are ours. Around it stand three guards:
//!
//! - The *gate* (F-42): a voter stands for election only while most voters are there and nobody is to be waited for: the one
//!   that led is gone, or silent for [`SILENCE_TIME`], and no other says that it has a Master. So one that is cut off, or
//!   comes back, does not raise the term of the others.
//! - The *lease* (F-44): who leads may act only within [`QUORUM_TIME`] after it has said something that most voters have
//!   answered; the others believe in it for [`LEASE_TIME`] after they heard of it last. Whoever stood still finds it gone
//!   before anything else is looked at.
//! - *Identity*: letters are for one fleet, and for one file of an instance. Who has lost its file is another voter, which
//!   who leads takes in and the old one out ([`Embedded::mend_voters`]).

mod election;

use noraft::{Action, ClusterConfig, Log, LogEntries, LogEntry, LogIndex, LogPosition, Message, Node, Term};

use super::bodies::{Body, ENTRIES_MAX, ENTRY_BYTES_MAX, Letter, Record, SNAPSHOT_BYTES_MAX, Snapshot, What};
use super::{Effect, Engine, Input, Master, NodeId, Presence, Ticket, half_of};
use crate::clock::{Mono, earliest};

pub use election::{ELECTION_TIME, HEARTBEAT_TIME, SILENCE_TIME, change};

/// Entries of a log before it is to be cut: each is kept in memory, and read at the start.
pub const LOG_MAX: usize = 64;

/// Whom this one has heard of as Master.
#[derive(Clone, Copy, Debug)]
struct Heard {
    id: NodeId,
    term: u64,
    at: Mono,
    /// It may act.
    is_acting: bool,
}

/// The engine that is built in.
#[derive(Clone, Debug)]
pub struct Embedded {
    own: NodeId,
    /// The fleet; 0 while this one is blank.
    fleet: u64,
    node: Node,
    bodies: Vec<Body>,
    snapshot: Option<Snapshot>,
    applied: u64,
    tickets: Vec<Ticket>,
    presence: Presence,
    heard: Option<Heard>,
    /// For each voter, the latest of our own words that it has answered, by our clock.
    answered: Vec<(NodeId, Mono)>,
    /// What is answered just now.
    echo: u64,
    /// Who leads speaks then.
    heartbeat_at: Mono,
    /// This one stands for election then, if it still may.
    stand_at: Option<Mono>,
    /// When this run began.
    began: Option<Mono>,
    told: Option<Master>,
    is_long: bool,
    chance: u64,
}

impl Embedded {
    /// A blank one, which belongs to no fleet yet; its [`Embedded::records`] are to be kept before it does anything, so that it
    /// stays who it is. The same follows from the same seed and inputs.
    pub fn new(own: NodeId, seed: u64) -> Embedded {
        Embedded {
            own,
            fleet: 0,
            node: Node::start(noraft::NodeId::new(own)),
            bodies: Vec::new(),
            snapshot: None,
            applied: 0,
            tickets: Vec::new(),
            presence: Presence::default(),
            heard: None,
            answered: Vec::new(),
            echo: 0,
            heartbeat_at: Mono(0),
            stand_at: None,
            began: None,
            told: None,
            is_long: false,
            chance: seed,
        }
    }

    /// One from its records; [`Effect::Restored`] and [`Effect::Committed`] tell what follows from them. `None` if they do
    /// not fit together: whoever has such a file is blank, and another one.
    pub fn restore(records: &[Vec<u8>], seed: u64, out: &mut Vec<Effect>) -> Option<Embedded> {
        let (first, rest) = records.split_first()?;
        let Ok(Record::Own(own, fleet)) = Record::read(first) else { return None };
        let mut engine = Embedded::new(own, seed);
        engine.fleet = fleet;
        let (mut term, mut vote) = (0, None);
        let mut log = engine.node.log().clone();
        for record in rest {
            match Record::read(record).ok()? {
                Record::Own(other, fleet) if other == own => engine.fleet = fleet,
                Record::Own(..) => return None,
                Record::Vote(later, _) if later < term => return None,
                Record::Vote(later, of) => (term, vote) = (later, of),
                Record::Entries(entries, bodies) => {
                    if !log.append_suffix(&entries) {
                        return None;
                    }
                    engine.take_bodies(bodies);
                }
                Record::Snapshot(snapshot) => {
                    let position = snapshot.position;
                    let rest = log.entries().since(position).unwrap_or_else(|| LogEntries::new(position));
                    log = Log::new(snapshot.config.clone(), rest);
                    engine.snapshot = Some(snapshot);
                }
            }
        }
        if log.last_position().term.get() > term {
            return None;
        }
        engine.applied = log.snapshot_position().index.get();
        if let Some(snapshot) = &engine.snapshot {
            out.push(Effect::Restored(snapshot.bytes.clone()));
        }
        let id = noraft::NodeId::new(own);
        engine.node = Node::restart(id, Term::new(term), vote.map(noraft::NodeId::new), log);
        engine.drop_bodies();
        Some(engine)
    }

    /// All that is to be kept, in place of all records so far.
    pub fn records(&self) -> Vec<Vec<u8>> {
        let vote = self.node.voted_for().map(noraft::NodeId::get);
        let mut records = vec![Record::Own(self.own, self.fleet).write()];
        records.extend(self.snapshot.clone().map(|snapshot| Record::Snapshot(snapshot).write()));
        records.push(Record::Vote(self.node.current_term().get(), vote).write());
        records.push(self.record_of(self.node.log().entries().clone()).write());
        records
    }

    /// Who this one is.
    pub fn own(&self) -> NodeId {
        self.own
    }

    /// The fleet that it belongs to; 0 while it is blank. It belongs to no other one ever, for it may have voted there.
    pub fn fleet(&self) -> u64 {
        self.fleet
    }

    /// Whether nobody can be elected any more in its fleet: too many that vote there are others by now, or nobody has told it
    /// who votes.
    pub fn is_lost(&self) -> bool {
        let is_other = |id: NodeId| self.presence.there.iter().any(|one| half_of(*one) == half_of(id) && *one != id);
        self.fleet != 0 && !self.do_most(|id| id == self.own || !is_other(id))
    }

    /// The latest term that it knows of.
    pub fn term(&self) -> u64 {
        self.node.current_term().get().max(self.heard.map_or(0, |heard| heard.term))
    }

    /// Who leads, if anybody does.
    pub fn master(&self) -> Option<Master> {
        self.told
    }

    /// Whether it was elected, and has not heard of a later election.
    pub fn is_elected(&self) -> bool {
        self.node.role().is_leader()
    }

    /// Those that vote, with those that are just coming.
    pub fn voters(&self) -> impl Iterator<Item = NodeId> {
        let config = self.node.config();
        config.voters.iter().chain(&config.new_voters).map(|id| id.get())
    }

    /// Entries up to here are committed, and told.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    fn body_of(&self, position: LogPosition) -> Option<&Body> {
        self.bodies.iter().find(|body| body.position == position)
    }

    fn take_bodies(&mut self, bodies: Vec<Body>) {
        for body in bodies {
            if self.body_of(body.position).is_none() {
                self.bodies.push(body);
            }
        }
    }

    /// Forgets what is in no entry of the log.
    fn drop_bodies(&mut self) {
        let log = self.node.log().entries();
        self.bodies.retain(|body| body.position.index > log.prev_position().index && log.contains(body.position));
    }

    fn record_of(&self, entries: LogEntries) -> Record {
        let bodies = self.bodies_of(&entries);
        Record::Entries(entries, bodies)
    }

    fn bodies_of(&self, entries: &LogEntries) -> Vec<Body> {
        let is_command = |(position, entry): (LogPosition, LogEntry)| (entry == LogEntry::Command).then_some(position);
        let commands = entries.iter_with_positions().filter_map(is_command);
        commands.filter_map(|position| self.body_of(position).cloned()).collect()
    }

    /// Belongs to a fleet from now on.
    fn adopt(&mut self, fleet: u64, out: &mut Vec<Effect>) {
        self.fleet = fleet;
        out.push(Effect::Persist(vec![Record::Own(self.own, fleet).write()]));
    }

    fn letter(&self, to: noraft::NodeId, stamp: u64, what: What) -> Effect {
        let (from, to) = (self.own, to.get());
        let term = match &what {
            What::Raft(message, ..) => message.term().get(),
            What::Snapshot(_) | What::Leads => self.node.current_term().get(),
        };
        Effect::Send(to, Letter { fleet: self.fleet, to, from, term, stamp, what }.write())
    }

    fn send(&self, to: noraft::NodeId, mut message: Message, now: Mono, out: &mut Vec<Effect>) {
        let mut bodies = Vec::new();
        let stamp = match &mut message {
            Message::AppendEntriesCall { entries, .. } => {
                // What does not fit follows on the answer.
                entries.truncate(ENTRIES_MAX);
                bodies = self.bodies_of(entries);
                now.0
            }
            _ => self.echo,
        };
        out.push(self.letter(to, stamp, What::Raft(message, bodies, self.may_act(now))));
    }

    /// Does what noraft wants done, and tells what has come of it.
    fn settle(&mut self, now: Mono, out: &mut Vec<Effect>) {
        let was_leader = self.node.role().is_leader();
        let (mut records, mut letters) = (Vec::new(), Vec::new());
        while let Some(action) = self.node.actions_mut().next() {
            match action {
                // When is looked at anew each time.
                Action::SetElectionTimeout => {}
                Action::SaveCurrentTerm | Action::SaveVotedFor => {
                    let vote = self.node.voted_for().map(noraft::NodeId::get);
                    let record = Record::Vote(self.node.current_term().get(), vote);
                    // Of a term and a vote the latest is both.
                    records.retain(|one| !matches!(one, Record::Vote(..)));
                    records.push(record);
                }
                Action::AppendLogEntries(entries) => records.push(self.record_of(entries)),
                Action::BroadcastMessage(message) => {
                    let peers: Vec<noraft::NodeId> = self.node.peers().collect();
                    peers.into_iter().for_each(|peer| self.send(peer, message.clone(), now, &mut letters));
                }
                Action::SendMessage(to, message) => self.send(to, message, now, &mut letters),
                Action::InstallSnapshot(to) => {
                    if let Some(snapshot) = &self.snapshot {
                        letters.push(self.letter(to, now.0, What::Snapshot(snapshot.clone())));
                    }
                }
            }
        }
        if !records.is_empty() {
            out.push(Effect::Persist(records.iter().map(Record::write).collect()));
        }
        out.append(&mut letters);
        self.tell_committed(out);
        if was_leader && !self.node.role().is_leader() {
            self.answered.clear();
        }
        if !self.node.role().is_leader() {
            self.tickets.drain(..).for_each(|ticket| out.push(Effect::Lost(ticket)));
        }
    }

    fn tell_committed(&mut self, out: &mut Vec<Effect>) {
        while self.applied < self.node.commit_index().get() {
            let index = LogIndex::new(self.applied + 1);
            let entries = self.node.log().entries();
            let (Some(term), Some(entry)) = (entries.get_term(index), entries.get_entry(index)) else {
                debug_assert!(false, "what is committed is there");
                return;
            };
            self.applied = index.get();
            let ticket = Ticket { term: term.get(), index: index.get() };
            let waits = self.tickets.iter().position(|one| one.index == ticket.index);
            let waits = waits.map(|at| self.tickets.swap_remove(at));
            if let Some(lost) = waits.filter(|one| *one != ticket) {
                out.push(Effect::Lost(lost));
            }
            if entry == LogEntry::Command {
                let body = self.body_of(LogPosition { term, index }).map_or(Vec::new(), |body| body.bytes.clone());
                out.push(Effect::Committed { index: index.get(), body, ticket: waits.filter(|one| *one == ticket) });
            }
        }
        if self.node.log().entries().len() > LOG_MAX && !self.is_long && self.can_cut() {
            self.is_long = true;
            out.push(Effect::IsLong);
        }
    }

    fn can_cut(&self) -> bool {
        self.applied > self.node.log().snapshot_position().index.get()
    }

    /// The log begins behind what is committed.
    fn cut(&mut self, bytes: &[u8], out: &mut Vec<Effect>) {
        self.is_long = false;
        let log = self.node.log();
        let Some((position, config)) = log.get_position_and_config(LogIndex::new(self.applied)) else { return };
        let config = config.clone();
        if !self.can_cut() || bytes.len() > SNAPSHOT_BYTES_MAX {
            return;
        }
        if self.node.handle_snapshot_installed(position, config.clone()) {
            self.keep_snapshot(Snapshot { position, config, bytes: bytes.to_vec() }, out);
        }
    }

    fn keep_snapshot(&mut self, snapshot: Snapshot, out: &mut Vec<Effect>) {
        self.drop_bodies();
        out.push(Effect::Persist(vec![Record::Snapshot(snapshot.clone()).write()]));
        self.snapshot = Some(snapshot);
    }

    /// Something has come from another engine.
    fn receive(&mut self, bytes: &[u8], now: Mono, out: &mut Vec<Effect>) {
        let Ok(Some(letter)) = Letter::read(bytes) else { return };
        if letter.what == What::Leads {
            return self.hear_of(&letter, now);
        }
        if letter.to != self.own || letter.fleet == 0 {
            return;
        }
        if self.fleet == 0 {
            self.adopt(letter.fleet, out);
        }
        if letter.fleet != self.fleet {
            return;
        }
        match letter.what {
            What::Raft(message, bodies, is_acting) => {
                if self.is_disruptive(&message, now) {
                    return;
                }
                self.take_bodies(bodies);
                self.echo = letter.stamp;
                let is_from_leader = matches!(message, Message::AppendEntriesCall { .. });
                if matches!(message, Message::AppendEntriesReply { .. }) {
                    self.note_answer(letter.from, letter.term, letter.stamp, now);
                }
                // A log that does not fit to what is committed is beyond repair here: it is as if the file were lost.
                if self.node.handle_message(&message).is_err() {
                    debug_assert!(false, "a snapshot that contradicts its leader");
                    return;
                }
                if is_from_leader && letter.term == self.node.current_term().get() {
                    self.heard = Some(Heard { id: letter.from, term: letter.term, at: now, is_acting });
                }
                // Where entries were taken back, so are their bodies; and what did not fit is none of ours.
                self.drop_bodies();
            }
            What::Snapshot(snapshot) if letter.term == self.node.current_term().get() => {
                if snapshot.position.index > self.node.commit_index()
                    && self.node.handle_snapshot_installed(snapshot.position, snapshot.config.clone())
                {
                    self.applied = snapshot.position.index.get();
                    self.is_long = false;
                    out.push(Effect::Restored(snapshot.bytes.clone()));
                    self.keep_snapshot(snapshot, out);
                }
            }
            What::Snapshot(_) | What::Leads => {}
        }
    }

    /// Founds a fleet of these, and stands for election in it.
    fn found(&mut self, fleet: u64, voters: &[NodeId], out: &mut Vec<Effect>) {
        if self.fleet != 0 || fleet == 0 || !voters.contains(&self.own) {
            return;
        }
        self.adopt(fleet, out);
        let voters: Vec<noraft::NodeId> = voters.iter().copied().map(noraft::NodeId::new).collect();
        self.node.create_cluster(&voters);
    }

    /// Who leads changes those that vote, one at a time: whoever should and does not comes in, and its former self goes; so does
    /// one that should not any more.
    fn mend_voters(&mut self, now: Mono) {
        let config = self.node.config().clone();
        if !self.may_act(now) || config.is_joint_consensus() || self.presence.voters.is_empty() {
            return;
        }
        let voters: Vec<NodeId> = config.voters.iter().map(|id| id.get()).collect();
        if let Some((adding, removing)) = election::change(&voters, &self.presence, self.own) {
            let numbers = |ids: &[NodeId]| ids.iter().copied().map(noraft::NodeId::new).collect::<Vec<_>>();
            self.node.propose_config(config.to_joint_consensus(&numbers(&adding), &numbers(&removing)));
        }
    }

    /// Tells those that do not vote who leads.
    fn tell_others(&self, now: Mono, out: &mut Vec<Effect>) {
        let config: &ClusterConfig = self.node.config();
        for id in &self.presence.there {
            let id = noraft::NodeId::new(*id);
            if !config.contains(id) && id.get() != self.own {
                out.push(self.letter(id, now.0, What::Leads));
            }
        }
    }
}

impl Engine for Embedded {
    fn on_input(&mut self, input: Input<'_>, now: Mono, out: &mut Vec<Effect>) {
        self.began.get_or_insert(now);
        let was_committed = self.node.commit_index();
        match input {
            Input::Turn => {}
            Input::Message(bytes) => self.receive(bytes, now, out),
            Input::Presence(presence) => self.see(presence),
            Input::Found { fleet, voters } => self.found(fleet, voters, out),
            Input::Snapshot(bytes) => self.cut(bytes, out),
        }
        self.settle(now, out);
        self.mind_time(now);
        self.mend_voters(now);
        if self.node.role().is_leader() && self.node.commit_index() != was_committed {
            // The others hear of it at once, and not half a second later.
            self.heartbeat_at = now;
        }
        if self.node.role().is_leader() && self.heartbeat_at <= now {
            self.node.heartbeat();
            self.heartbeat_at = now.after(HEARTBEAT_TIME);
            if self.may_act(now) {
                self.tell_others(now, out);
            }
        }
        self.settle(now, out);
        self.tell_master(now, out);
    }

    fn deadline(&self) -> Option<Mono> {
        let heartbeat = self.node.role().is_leader().then_some(self.heartbeat_at);
        earliest(&[heartbeat, self.election_deadline(), self.told.map(|master| master.lease_until)])
    }

    fn propose(&mut self, body: &[u8], now: Mono, out: &mut Vec<Effect>) -> Option<Ticket> {
        let is_full = self.node.log().entries().len() >= ENTRIES_MAX;
        if !self.may_act(now) || is_full || body.len() > ENTRY_BYTES_MAX {
            return None;
        }
        let position = self.node.propose_command();
        if position.is_invalid() {
            return None;
        }
        self.bodies.push(Body { position, bytes: body.to_vec() });
        let ticket = Ticket { term: position.term.get(), index: position.index.get() };
        self.tickets.push(ticket);
        self.settle(now, out);
        Some(ticket)
    }
}
