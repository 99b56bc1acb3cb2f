//! Engines that hear each other at once, or do not: gate, lease and identity, one at a time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::embedded::{ELECTION_TIME, Embedded, HEARTBEAT_TIME, LOG_MAX, SILENCE_TIME, change};
use super::*;

const MS: Duration = Duration::from_millis(1);

/// Some engines on one clock; each hears what it is sent at once, unless it is away.
struct Fleet {
    engines: BTreeMap<NodeId, Embedded>,
    ids: Vec<NodeId>,
    away: Vec<NodeId>,
    now: Mono,
    effects: Vec<(NodeId, Effect)>,
    records: BTreeMap<NodeId, Vec<Vec<u8>>>,
    /// What is on its way, in the order of sending.
    ways: VecDeque<(NodeId, NodeId, Vec<u8>)>,
}

impl Fleet {
    fn blank(count: usize) -> Fleet {
        let ids: Vec<NodeId> = (0..count).map(|at| node_id(&format!("n{at}"), 1)).collect();
        let engines = (0..).zip(&ids).map(|(seed, id)| (*id, Embedded::new(*id, seed))).collect();
        let (away, effects, records) = (Vec::new(), Vec::new(), BTreeMap::new());
        Fleet { engines, ids, away, now: Mono(1_000_000_000), effects, records, ways: VecDeque::new() }
    }

    /// All have met, the first has founded a fleet, and leads it.
    fn new(count: usize) -> Fleet {
        let mut fleet = Fleet::blank(count);
        let ids = fleet.ids.clone();
        fleet.meet();
        fleet.input(ids[0], Input::Found { fleet: 7, voters: &ids });
        fleet.pass(100 * MS);
        assert_eq!(fleet.masters(), vec![Some(ids[0]); count]);
        fleet
    }

    fn presence_of(&self, id: NodeId, is_led: bool) -> Presence {
        let here = |one: &&NodeId| self.away.contains(one) == self.away.contains(&id);
        let is_away = self.away.contains(&id);
        let there = self.ids.iter().filter(here).filter(|one| !is_away || **one == id).copied().collect();
        Presence { there, voters: self.ids.iter().map(|id| half_of(*id)).collect(), may_stand: true, is_led }
    }

    /// Each learns who is there.
    fn meet(&mut self) {
        for id in self.ids.clone() {
            let led = self.engines.values().filter(|one| one.own() != id && !self.away.contains(&one.own()));
            let is_led = led.filter(|one| one.master().is_some()).count() > 0 && !self.away.contains(&id);
            let presence = self.presence_of(id, is_led);
            if self.engines.contains_key(&id) {
                self.input(id, Input::Presence(&presence));
            }
        }
    }

    fn input(&mut self, id: NodeId, input: Input<'_>) {
        self.hand(id, input);
        self.deliver();
    }

    fn hand(&mut self, id: NodeId, input: Input<'_>) {
        let mut out = Vec::new();
        let now = self.now;
        if let Some(engine) = self.engines.get_mut(&id) {
            engine.on_input(input, now, &mut out);
        }
        self.take(id, out);
    }

    fn deliver(&mut self) {
        while let Some((from, to, bytes)) = self.ways.pop_front() {
            if !self.away.contains(&from) && !self.away.contains(&to) {
                self.hand(to, Input::Message(&bytes));
            }
        }
    }

    fn act(&mut self, id: NodeId, out: Vec<Effect>) {
        self.take(id, out);
        self.deliver();
    }

    fn take(&mut self, id: NodeId, out: Vec<Effect>) {
        for effect in out {
            match effect {
                Effect::Persist(mut records) => self.records.entry(id).or_default().append(&mut records),
                Effect::Send(to, bytes) => self.ways.push_back((id, to, bytes)),
                other => self.effects.push((id, other)),
            }
        }
    }

    /// Time passes, each engine being told when it wants to be, and no more often than that.
    fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        for _ in 0..10_000 {
            let next = self.engines.values().filter_map(Embedded::deadline).min().unwrap_or(end);
            if next >= end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            let due: Vec<NodeId> = self
                .engines
                .values()
                .filter(|one| one.deadline().is_some_and(|at| at <= self.now))
                .map(Embedded::own)
                .collect();
            due.into_iter().for_each(|id| self.input(id, Input::Turn));
        }
        panic!("it never sleeps");
    }

    fn masters(&self) -> Vec<Option<NodeId>> {
        self.ids.iter().map(|id| self.engines.get(id)?.master().map(|master| master.id)).collect()
    }

    fn terms(&self) -> Vec<u64> {
        self.engines.values().map(Embedded::term).collect()
    }

    fn leave(&mut self, at: usize) {
        self.away.push(self.ids[at]);
        self.meet();
        // They hear from each other that nobody leads them any more.
        self.meet();
    }

    fn come_back(&mut self, at: usize) {
        let id = self.ids[at];
        self.away.retain(|one| *one != id);
        self.meet();
    }

    fn propose(&mut self, at: usize, body: &[u8]) -> Option<Ticket> {
        let (id, now) = (self.ids[at], self.now);
        let mut out = Vec::new();
        let ticket = self.engines.get_mut(&id)?.propose(body, now, &mut out);
        self.act(id, out);
        ticket
    }

    /// What one has been told is committed.
    fn committed(&self, at: usize) -> Vec<Vec<u8>> {
        let of = self.effects.iter().filter(|(id, _)| *id == self.ids[at]);
        of.filter_map(|(_, effect)| match effect {
            Effect::Committed { body, .. } => Some(body.clone()),
            _ => None,
        })
        .collect()
    }
}

#[test]
fn the_first_leads_and_all_agree_on_what_it_proposes() {
    let mut fleet = Fleet::new(3);
    assert_eq!(fleet.propose(1, b"no"), None, "who does not lead proposes nothing");
    let ticket = fleet.propose(0, b"yes").expect("it leads");
    fleet.pass(HEARTBEAT_TIME);
    for at in 0..3 {
        assert_eq!(fleet.committed(at), [b"yes".to_vec()], "{at}");
    }
    let is_answered = |(_, effect): &(NodeId, Effect)| matches!(effect, Effect::Committed { ticket: Some(one), .. } if *one == ticket);
    assert_eq!(fleet.effects.iter().filter(|one| is_answered(one)).count(), 1);
    assert_eq!(fleet.propose(0, &[0; bodies::ENTRY_BYTES_MAX + 1]), None, "too long");
    // Nothing but heartbeats from here on.
    let written: usize = fleet.records.values().map(Vec::len).sum();
    fleet.pass(Duration::from_secs(3600));
    assert_eq!((fleet.terms(), fleet.masters()), (vec![1; 3], vec![Some(fleet.ids[0]); 3]));
    assert_eq!(fleet.records.values().map(Vec::len).sum::<usize>(), written);
}

#[test]
fn a_master_that_is_gone_is_followed_by_the_next_within_a_moment() {
    let mut fleet = Fleet::new(5);
    fleet.leave(0);
    fleet.pass(200 * MS);
    let next = Some(fleet.ids[1]);
    assert_eq!(fleet.masters()[1..], [next, next, next, next]);
    assert_eq!(fleet.terms(), {
        let ids: Vec<NodeId> = fleet.engines.keys().copied().collect();
        ids.into_iter().map(|id| if id == fleet.ids[0] { 1 } else { 2 }).collect::<Vec<_>>()
    });
    // The old one acts for no more than two seconds after the last answer, and comes back as one that follows.
    fleet.pass(QUORUM_TIME);
    assert_eq!(fleet.masters()[0], None);
    fleet.come_back(0);
    fleet.pass(HEARTBEAT_TIME);
    assert_eq!(fleet.masters(), [next; 5]);
}

#[test]
fn a_minority_elects_nobody_and_raises_no_term() {
    let mut fleet = Fleet::new(3);
    fleet.leave(0);
    fleet.leave(1);
    fleet.pass(Duration::from_secs(60));
    assert_eq!((fleet.masters(), fleet.terms()), (vec![None; 3], vec![1; 3]));
    fleet.come_back(1);
    fleet.pass(400 * MS);
    assert_eq!(fleet.masters()[1..], [Some(fleet.ids[1]); 2]);
}

#[test]
fn who_comes_back_does_not_depose_who_leads() {
    let mut fleet = Fleet::new(3);
    for _ in 0..5 {
        fleet.leave(2);
        fleet.pass(Duration::from_secs(10));
        fleet.come_back(2);
        fleet.pass(Duration::from_secs(10));
    }
    assert_eq!((fleet.masters(), fleet.terms()), (vec![Some(fleet.ids[0]); 3], vec![1; 3]));
}

#[test]
fn one_that_does_not_hear_who_leads_waits_while_others_do() {
    let mut fleet = Fleet::new(3);
    let (master, deaf) = (fleet.ids[0], fleet.ids[2]);
    // Only for one of them the Master is gone; another says that it is led.
    let mut presence = fleet.presence_of(deaf, true);
    presence.there.retain(|id| *id != master);
    fleet.input(deaf, Input::Presence(&presence));
    for _ in 0..20 {
        fleet.now = fleet.now.after(SILENCE_TIME / 10);
        fleet.input(deaf, Input::Turn);
        fleet.input(master, Input::Turn);
    }
    assert_eq!(fleet.terms(), [1; 3]);
}

#[test]
fn who_is_there_and_silent_is_not_waited_for_for_ever() {
    let mut fleet = Fleet::new(3);
    let [old, next, last] = [0, 1, 2].map(|at| fleet.ids[at]);
    // It goes on being there for all, but says nothing.
    fleet.engines.remove(&old);
    fleet.pass(SILENCE_TIME - MS);
    assert_eq!(fleet.engines[&next].term(), 1);
    fleet.pass(ELECTION_TIME + 500 * MS);
    assert_eq!((fleet.masters(), fleet.engines[&last].term()), (vec![None, Some(next), Some(next)], 2));
}

#[test]
fn whoever_stood_still_may_not_act_before_it_is_answered() {
    let mut fleet = Fleet::new(3);
    let master = fleet.ids[0];
    fleet.now = fleet.now.after(QUORUM_TIME + MS);
    let mut out = Vec::new();
    let now = fleet.now;
    let engine = fleet.engines.get_mut(&master).expect("it is there");
    engine.on_input(Input::Turn, now, &mut out);
    assert_eq!(engine.master(), None, "its lease is over before anything else is looked at");
    assert!(out.contains(&Effect::Master(None)) && engine.propose(b"x", now, &mut out).is_none());
    // An answer to what it said before it stood still is worth nothing; one to what it says now is.
    fleet.act(master, out);
    assert_eq!(fleet.masters()[0], Some(master));
}

#[test]
fn a_lease_ends_although_the_stream_does_not() {
    let mut fleet = Fleet::new(3);
    let [old, next, _] = [0, 1, 2].map(|at| fleet.ids[at]);
    fleet.engines.remove(&old);
    // This one may not stand.
    for id in [next, fleet.ids[2]] {
        let presence = Presence { may_stand: false, ..fleet.presence_of(id, false) };
        fleet.input(id, Input::Presence(&presence));
    }
    fleet.pass(LEASE_TIME - HEARTBEAT_TIME - MS);
    assert_eq!(fleet.masters()[1], Some(old));
    fleet.pass(HEARTBEAT_TIME + 2 * MS);
    assert_eq!(fleet.masters()[1], None);
}

#[test]
fn who_has_lost_its_file_is_another_and_takes_its_own_place() {
    let mut fleet = Fleet::new(3);
    let old = fleet.ids[2];
    let other = node_id("n2", 99);
    fleet.engines.remove(&old);
    fleet.engines.insert(other, Embedded::new(other, 5));
    fleet.ids[2] = other;
    fleet.meet();
    fleet.pass(HEARTBEAT_TIME * 2);
    let mut voters: Vec<NodeId> = fleet.engines[&fleet.ids[0]].voters().collect();
    voters.sort_unstable();
    let mut expected = fleet.ids.clone();
    expected.sort_unstable();
    assert_eq!((voters, fleet.masters()), (expected, vec![Some(fleet.ids[0]); 3]));
    // And counts: without another one there is still a majority.
    fleet.leave(1);
    fleet.pass(Duration::from_secs(5));
    assert_eq!(fleet.propose(0, b"x").map(|ticket| ticket.term), Some(1));
    assert_eq!(fleet.committed(2), [b"x".to_vec()]);
}

#[test]
fn who_does_not_vote_is_told_who_leads() {
    let mut fleet = Fleet::new(3);
    let guest = node_id("guest", 1);
    fleet.engines.insert(guest, Embedded::new(guest, 9));
    for id in fleet.ids.clone().into_iter().chain([guest]) {
        let mut presence = fleet.presence_of(id, true);
        presence.there.push(guest);
        fleet.input(id, Input::Presence(&presence));
    }
    let master = |fleet: &Fleet| fleet.engines[&guest].master().map(|master| (master.id, master.term));
    assert_eq!(master(&fleet), Some((fleet.ids[0], 1)));
    fleet.pass(Duration::from_secs(20));
    assert_eq!(master(&fleet), Some((fleet.ids[0], 1)));
    assert_eq!((fleet.engines[&guest].fleet(), fleet.records.get(&guest)), (0, None), "it keeps nothing");
}

#[test]
fn who_was_voted_out_without_hearing_of_it_leads_no_more() {
    let mut fleet = Fleet::new(3);
    let (old, later) = (fleet.ids[0], node_id("later", 1));
    let letter = |term| bodies::Letter { fleet: 7, to: old, from: later, term, stamp: 0, what: bodies::What::Leads };
    fleet.input(old, Input::Message(&letter(0).write()));
    assert!(fleet.engines[&old].is_elected(), "an older term means nothing");
    fleet.input(old, Input::Message(&letter(9).write()));
    let engine = &fleet.engines[&old];
    assert_eq!((engine.is_elected(), engine.term(), engine.master().map(|master| master.id)), (false, 9, Some(later)));
}

#[test]
fn what_is_kept_is_all_that_there_was() {
    let mut fleet = Fleet::new(3);
    for at in 0..LOG_MAX as u64 + 10 {
        fleet.propose(0, &at.to_be_bytes());
        let long: Vec<NodeId> = std::mem::take(&mut fleet.effects)
            .into_iter()
            .filter(|(_, one)| *one == Effect::IsLong)
            .map(|(id, _)| id)
            .collect();
        long.into_iter().for_each(|id| fleet.input(id, Input::Snapshot(b"made")));
        fleet.pass(10 * MS);
    }
    for id in fleet.ids.clone() {
        let (before, seed) = (&fleet.engines[&id], 3);
        for records in [fleet.records[&id].clone(), before.records()] {
            let mut out = Vec::new();
            let after = Embedded::restore(&records, seed, &mut out).expect("it fits together");
            assert_eq!(after.records(), before.records());
            assert_eq!((after.own(), after.fleet(), after.term()), (id, 7, 1));
            assert_eq!(out, [Effect::Restored(b"made".to_vec())]);
        }
        // Whatever is missing in the midst, or stands twice, it is either all there or nothing.
        let records = fleet.records[&id].clone();
        assert!(Embedded::restore(&records[1..], seed, &mut Vec::new()).is_none(), "nobody's");
        let two = [records, Embedded::new(id + 1, seed).records()].concat();
        assert!(Embedded::restore(&two, seed, &mut Vec::new()).is_none(), "two of them");
    }
}

#[test]
fn voters_come_and_go_one_at_a_time() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| node_id(name, 1));
    let b2 = node_id("b", 2);
    let rows: [(&[NodeId], &[NodeId], &[NodeId], _); 7] = [
        (&[a, b, c], &[a, b, c], &[a, b, c], None),
        (&[a, b, c], &[a, b, c], &[a, c], None),
        (&[a, b], &[a, b, c], &[a, b, c], Some((vec![c], vec![]))),
        (&[a, b, c], &[a, b, c], &[a, b2, c], Some((vec![b2], vec![b]))),
        (&[a, b, c], &[a, b, d], &[a, b, c], None),
        (&[a, b, c], &[a, b, d], &[a, b, c, d], Some((vec![d], vec![]))),
        (&[a, b, c, d], &[a, b, d], &[a, b, d], Some((vec![], vec![c]))),
    ];
    for (voters, wanted, there, expected) in rows {
        let voters_wanted = wanted.iter().map(|id| half_of(*id)).collect();
        let presence = Presence { there: there.to_vec(), voters: voters_wanted, may_stand: true, is_led: false };
        assert_eq!(change(voters, &presence, a), expected, "{voters:x?} {wanted:x?} {there:x?}");
    }
    let presence =
        Presence { there: vec![a, b, c, d], voters: vec![half_of(b), half_of(c), half_of(d)], ..Presence::default() };
    assert_eq!(change(&[a, b, c, d], &presence, a), None, "nobody removes itself");
}
