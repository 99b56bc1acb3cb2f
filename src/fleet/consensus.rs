//! The engine in its place: its file, the instances that it speaks to, and who they say they are (F-15, F-26, F-55).
//!
//! Each instance says to each other one who it is as a voter, which fleet it belongs to and whether it has a Master, when they
//! meet and whenever that changes. From that follows who is there for the engine, who founds a fleet, and who gives one up.
//! What the engine wants kept is on disk before what it says then is sent; where nothing can be written there is no engine
//! until it can be read again, so that nothing is said that could be forgotten.
//!
//! All times are of CLOCK_BOOTTIME: a host that was suspended finds its lease gone. Nothing is proposed yet but by the engine
//! itself, so that nothing is made of what is agreed on.

use std::collections::VecDeque;
use std::time::Duration;

use super::kept::Kept;
use crate::clock::{Mono, earliest};
use crate::daemon::Host;
use crate::id::PeerId;
use crate::model::fleet::engine::embedded::Embedded;
use crate::model::fleet::engine::founding::{self, FORGET_TIME, Known, Said, Step};
use crate::model::fleet::engine::{Effect, Engine, Input, Master, NodeId, Presence, half_of, name_half, node_id};
use crate::wire::fleet::codec::{Malformed, Reader, push_flags};

/// Time after which a file that could not be written is tried again.
const RETRY_TIME: Duration = Duration::from_secs(5);

const TAG_SAID: u8 = 0;
const TAG_LETTER: u8 = 1;

/// Who belongs to it, as it is configured.
#[derive(Clone, Debug)]
pub struct Electorate {
    /// The names of all instances; a place is a [`PeerId`].
    pub names: Vec<String>,
    /// Which this one is.
    pub own: PeerId,
    /// Who is to vote.
    pub voters: Vec<PeerId>,
}

/// The engine and what is around it.
#[derive(Debug)]
pub struct Consensus {
    electorate: Electorate,
    path: String,
    /// `None` for one that does not vote, and while nothing can be written.
    kept: Option<Kept>,
    engine: Option<Embedded>,
    retry_at: Option<Mono>,
    /// Those that are there, and what they say of themselves.
    others: Vec<(PeerId, Option<Said>)>,
    /// The preferred one first; all that are in none of both come behind, in the order of the list.
    order: Vec<PeerId>,
    may_stand: bool,
    /// What the engine and the others were told last.
    told: Presence,
    said: Option<Said>,
    /// Since when this one is to give its fleet up.
    forget_since: Option<Mono>,
    letters: Vec<(PeerId, Vec<u8>)>,
}

impl Consensus {
    /// Begins with what the file says.
    pub fn new(electorate: Electorate, path: &str, now: Mono, host: &mut dyn Host) -> Consensus {
        let mut consensus = Consensus {
            electorate,
            path: path.to_string(),
            kept: None,
            engine: None,
            retry_at: None,
            others: Vec::new(),
            order: Vec::new(),
            may_stand: false,
            told: Presence::default(),
            said: None,
            forget_since: None,
            letters: Vec::new(),
        };
        consensus.begin(now, host);
        consensus
    }

    fn name(&self, peer: PeerId) -> &str {
        self.electorate.names.get(peer.0 as usize).map_or("", String::as_str)
    }

    fn votes(&self, peer: PeerId) -> bool {
        self.electorate.voters.contains(&peer)
    }

    /// Takes the engine up, from its file if this one votes.
    fn begin(&mut self, now: Mono, host: &mut dyn Host) {
        (self.retry_at, self.told, self.forget_since) = (None, Presence::default(), None);
        let (seed, chance) = chance(host);
        let blank = Embedded::new(node_id(self.name(self.electorate.own), chance), seed);
        if !self.votes(self.electorate.own) {
            self.engine = Some(blank);
            return;
        }
        let outcome = Kept::open(&self.path, host).and_then(|(mut kept, records)| {
            // A file of another instance is none of ours.
            let restored = Embedded::restore(&records, seed, &mut Vec::new());
            let restored = restored.filter(|engine| half_of(engine.own()) == half_of(blank.own()));
            let engine = match restored {
                Some(engine) => engine,
                None => {
                    kept.write(&blank.records(), host)?;
                    blank
                }
            };
            Ok((kept, engine))
        });
        match outcome {
            Ok((kept, engine)) => (self.kept, self.engine) = (Some(kept), Some(engine)),
            Err(error) => self.give_up(&error, now),
        }
    }

    /// Nothing can be written: nothing is said any more until it can.
    fn give_up(&mut self, error: &dyn std::fmt::Display, now: Mono) {
        activity!(Error, "fleet: {} cannot be written: {error}; this instance does not vote", self.path);
        (self.engine, self.kept, self.retry_at) = (None, None, Some(now.after(RETRY_TIME)));
    }

    /// Who leads, by which election, and until when; `None`: nobody is known to.
    pub fn master(&self) -> Option<(PeerId, Master)> {
        let master = self.engine.as_ref()?.master()?;
        self.peer_of(master.id).map(|peer| (peer, master))
    }

    /// The latest election that is known of.
    pub fn term(&self) -> u64 {
        self.engine.as_ref().map_or(0, Embedded::term)
    }

    fn peer_of(&self, id: NodeId) -> Option<PeerId> {
        if self.engine.as_ref().is_some_and(|engine| engine.own() == id) {
            return Some(self.electorate.own);
        }
        self.others.iter().find(|(_, said)| said.is_some_and(|said| said.id == id)).map(|(peer, _)| *peer)
    }

    /// What is to be sent, in its order.
    pub fn take_letters(&mut self) -> Vec<(PeerId, Vec<u8>)> {
        std::mem::take(&mut self.letters)
    }

    /// An instance can be spoken to, perhaps anew.
    pub fn up(&mut self, peer: PeerId) {
        self.down(peer);
        self.others.push((peer, None));
        if let Some(said) = self.said {
            self.letters.push((peer, written(said)));
        }
    }

    /// An instance is gone.
    pub fn down(&mut self, peer: PeerId) {
        self.others.retain(|(other, _)| *other != peer);
    }

    /// An instance says something.
    ///
    /// Errors: it makes no sense.
    pub fn hear(&mut self, peer: PeerId, body: &[u8], now: Mono, host: &mut dyn Host) -> Result<(), Malformed> {
        match body.split_first() {
            Some((&TAG_SAID, rest)) => {
                let said = read(rest)?;
                // Nobody speaks for another one.
                if half_of(said.id) != name_half(self.name(peer)) {
                    return Err(Malformed);
                }
                if let Some((_, known)) = self.others.iter_mut().find(|(other, _)| *other == peer) {
                    *known = Some(said);
                }
            }
            Some((&TAG_LETTER, letter)) => self.input(Input::Message(letter), now, host),
            // What newer ones say beyond what is known here.
            Some(_) => {}
            None => return Err(Malformed),
        }
        Ok(())
    }

    /// Time has passed. To be called first in each turn, before anything of it is looked at.
    pub fn look(&mut self, now: Mono, host: &mut dyn Host) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.begin(now, host);
        }
        if self.engine.as_ref().and_then(Embedded::deadline).is_some_and(|at| at <= now) {
            self.input(Input::Turn, now, host);
        }
    }

    /// What follows from all that has come. `order` are the instances in the order of preference.
    pub fn turn(&mut self, order: &[PeerId], may_stand: bool, now: Mono, host: &mut dyn Host) {
        (self.order, self.may_stand) = (order.to_vec(), may_stand);
        self.follow(now, host);
        // What was founded or given up changes what is said.
        self.follow(now, host);
    }

    fn follow(&mut self, now: Mono, host: &mut dyn Host) {
        let Some(engine) = &self.engine else { return };
        let own = Said { id: engine.own(), fleet: engine.fleet(), is_led: engine.master().is_some() };
        let there = self.there(own);
        let voters: Vec<Said> = there.iter().filter(|(peer, _)| self.votes(*peer)).map(|(_, said)| *said).collect();
        let is_led = there.iter().any(|(_, said)| said.is_led);
        let known = Known { count: self.electorate.voters.len(), is_led, is_lost: engine.is_lost() };
        let presence = Presence {
            there: there.iter().map(|(_, said)| said.id).collect(),
            voters: self.electorate.voters.iter().map(|peer| name_half(self.name(*peer))).collect(),
            may_stand: self.may_stand,
            is_led: there.iter().any(|(_, said)| said.id != own.id && said.is_led),
        };
        let step = if self.votes(self.electorate.own) { founding::step(own, &voters, known) } else { Step::Wait };
        if step != Step::Forget {
            self.forget_since = None;
        }
        match step {
            Step::Found(voters) if self.may_stand => {
                let fleet = chance(host).0 | 1;
                self.input(Input::Found { fleet, voters: &voters }, now, host);
            }
            Step::Forget if now >= self.forget_since.get_or_insert(now).after(FORGET_TIME) => self.forget(now, host),
            _ => {}
        }
        if presence != self.told {
            self.told.clone_from(&presence);
            self.input(Input::Presence(&presence), now, host);
        }
        self.say();
    }

    /// Those that are there and have said who they are, in the order of preference, this one among them.
    fn there(&self, own: Said) -> Vec<(PeerId, Said)> {
        let others = self.others.iter().filter_map(|(peer, said)| Some((*peer, (*said)?)));
        let mut there: Vec<(PeerId, Said)> = others.chain([(self.electorate.own, own)]).collect();
        let rank = |peer: PeerId| self.order.iter().position(|one| *one == peer).unwrap_or(usize::MAX);
        there.sort_unstable_by_key(|(peer, _)| (rank(*peer), *peer));
        there
    }

    /// Gives its fleet up, and is somebody else from here on.
    fn forget(&mut self, now: Mono, host: &mut dyn Host) {
        activity!(Warn, "fleet: what {} says is given up, for most have agreed on something else", self.path);
        let (seed, chance) = chance(host);
        let blank = Embedded::new(node_id(self.name(self.electorate.own), chance), seed);
        let Some(kept) = &mut self.kept else { return };
        match kept.write(&blank.records(), host) {
            Ok(()) => (self.engine, self.told, self.forget_since) = (Some(blank), Presence::default(), None),
            Err(error) => self.give_up(&error, now),
        }
    }

    /// Says to all who this one is, if that is another one than before.
    fn say(&mut self) {
        let Some(engine) = &self.engine else { return };
        let said = Said { id: engine.own(), fleet: engine.fleet(), is_led: engine.master().is_some() };
        if self.said.replace(said) != Some(said) {
            let peers: Vec<PeerId> = self.others.iter().map(|(peer, _)| *peer).collect();
            self.letters.extend(peers.into_iter().map(|peer| (peer, written(said))));
        }
    }

    fn input(&mut self, input: Input<'_>, now: Mono, host: &mut dyn Host) {
        let Some(engine) = &mut self.engine else { return };
        let mut out = Vec::new();
        engine.on_input(input, now, &mut out);
        let mut effects = VecDeque::from(out);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Persist(records) => {
                    if let Err(error) = self.keep(&records, host) {
                        return self.give_up(&error, now);
                    }
                }
                Effect::Send(to, letter) => {
                    if let Some(peer) = self.peer_of(to) {
                        let body = [&[TAG_LETTER], &letter[..]].concat();
                        self.letters.push((peer, body));
                    }
                }
                Effect::IsLong => {
                    let mut more = Vec::new();
                    if let Some(engine) = &mut self.engine {
                        engine.on_input(Input::Snapshot(b""), now, &mut more);
                    }
                    effects.extend(more);
                }
                Effect::Master(_) | Effect::Committed { .. } | Effect::Restored(_) | Effect::Lost(_) => {}
            }
        }
        if let (Some(kept), Some(engine)) = (&mut self.kept, &self.engine)
            && kept.is_long()
            && let Err(error) = kept.write(&engine.records(), host)
        {
            self.give_up(&error, now);
        }
    }

    fn keep(&mut self, records: &[Vec<u8>], host: &mut dyn Host) -> Result<(), crate::daemon::host::Errno> {
        match &mut self.kept {
            Some(kept) => kept.append(records, host),
            // Only who votes is told what is to be kept; one that is made a voter by mistake forgets that it was.
            None => Ok(()),
        }
    }

    /// When there is something to do although nothing comes.
    pub fn deadline(&self) -> Option<Mono> {
        let forget = self.forget_since.map(|since| since.after(FORGET_TIME));
        earliest(&[self.engine.as_ref().and_then(Embedded::deadline), self.retry_at, forget])
    }
}

/// Two numbers that nobody foresees.
fn chance(host: &mut dyn Host) -> (u64, u32) {
    let random = host.random();
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (number(&random[..8]), number(&random[8..12]) as u32)
}

fn written(said: Said) -> Vec<u8> {
    let mut body = vec![TAG_SAID];
    [said.id, said.fleet].iter().for_each(|number| body.extend_from_slice(&number.to_be_bytes()));
    push_flags(&mut body, [said.is_led]);
    body
}

fn read(bytes: &[u8]) -> Result<Said, Malformed> {
    let mut reader = Reader::new(bytes);
    let (id, fleet) = (reader.fixed()?, reader.fixed()?);
    let [is_led] = reader.flags()?;
    Ok(Said { id, fleet, is_led })
}

#[cfg(test)]
mod tests;
