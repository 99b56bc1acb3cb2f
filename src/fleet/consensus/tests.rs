//! Some of them on one clock, each with a host of its own.

use super::*;
use crate::daemon::testing::World;
use crate::model::fleet::engine::{LEASE_TIME, QUORUM_TIME};

const MS: Duration = Duration::from_millis(1);
const PATH: &str = "/state/fleet.state";

struct Several {
    nodes: Vec<Option<Consensus>>,
    worlds: Vec<World>,
    now: Mono,
    voters: usize,
    ways: VecDeque<(usize, usize, Vec<u8>)>,
}

impl Several {
    /// So many, of which the first ones vote, all of which have met.
    fn new(count: usize, voters: usize) -> Several {
        let worlds: Vec<World> = (0..count).map(|_| World::new("")).collect();
        let nodes = (0..count).map(|_| None).collect();
        let mut all = Several { nodes, worlds, now: Mono(1_000_000_000), voters, ways: VecDeque::new() };
        (0..count).for_each(|at| all.start(at));
        all.pass(500 * MS);
        all
    }

    fn start(&mut self, at: usize) {
        let names = (0..self.nodes.len()).map(|at| format!("n{at}:9001")).collect();
        let voters = (0..self.voters as u32).map(PeerId).collect();
        let electorate = Electorate { names, own: PeerId(at as u32), voters };
        self.nodes[at] = Some(Consensus::new(electorate, PATH, self.now, &mut self.worlds[at].host));
        let others: Vec<usize> = (0..self.nodes.len()).filter(|one| *one != at && self.nodes[*one].is_some()).collect();
        for other in others {
            self.each(at, |one, _, _| one.up(PeerId(other as u32)));
            self.each(other, |one, _, _| one.up(PeerId(at as u32)));
        }
        self.settle();
    }

    fn kill(&mut self, at: usize) {
        self.nodes[at] = None;
        for other in 0..self.nodes.len() {
            self.each(other, |one, _, _| one.down(PeerId(at as u32)));
        }
        self.settle();
    }

    fn each(&mut self, at: usize, work: impl FnOnce(&mut Consensus, Mono, &mut dyn Host)) {
        if let Some(one) = &mut self.nodes[at] {
            work(one, self.now, &mut self.worlds[at].host);
        }
    }

    /// A turn of each, until nobody has anything more to say.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            for at in 0..self.nodes.len() {
                let order: Vec<PeerId> = (0..self.nodes.len() as u32).map(PeerId).collect();
                let mut letters = Vec::new();
                self.each(at, |one, now, host| {
                    one.look(now, host);
                    one.turn(&order, true, now, host);
                    letters = one.take_letters();
                });
                self.ways.extend(letters.into_iter().map(|(to, body)| (at, to.0 as usize, body)));
            }
            if self.ways.is_empty() {
                return;
            }
            while let Some((from, to, body)) = self.ways.pop_front() {
                self.each(to, |one, now, host| {
                    one.hear(PeerId(from as u32), &body, now, host).expect("it makes sense");
                });
            }
        }
        panic!("they never come to rest");
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        for _ in 0..10_000 {
            self.settle();
            let next = self.nodes.iter().flatten().filter_map(Consensus::deadline).min().unwrap_or(end);
            if next >= end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
        }
        panic!("it never sleeps");
    }

    /// Who leads, as each that is there has it.
    fn masters(&self) -> Vec<Option<u32>> {
        self.nodes.iter().flatten().map(|one| one.master().map(|(peer, _)| peer.0)).collect()
    }
}

#[test]
fn they_found_a_fleet_and_keep_it() {
    let mut all = Several::new(3, 3);
    assert_eq!(all.masters(), [Some(0); 3]);
    for world in &all.worlds {
        assert!(world.host.env.files.contains_key(PATH));
    }
    // All begin anew: the same fleet goes on, with a later election.
    let before: Vec<NodeId> =
        all.nodes.iter().flatten().filter_map(|one| one.engine.as_ref().map(Embedded::own)).collect();
    (0..3).for_each(|at| all.kill(at));
    (0..3).for_each(|at| all.start(at));
    all.pass(500 * MS);
    let after: Vec<NodeId> =
        all.nodes.iter().flatten().filter_map(|one| one.engine.as_ref().map(Embedded::own)).collect();
    assert_eq!((all.masters(), before), (vec![Some(0); 3], after));
    assert!(all.nodes.iter().flatten().all(|one| one.term() == 2));
}

#[test]
fn a_master_that_is_killed_is_followed_at_once_and_does_not_take_over_again() {
    let mut all = Several::new(3, 3);
    all.kill(0);
    all.pass(300 * MS);
    assert_eq!(all.masters(), [Some(1); 2]);
    all.start(0);
    all.pass(LEASE_TIME * 3);
    assert_eq!(all.masters(), [Some(1); 3]);
}

#[test]
fn a_minority_has_no_master() {
    let mut all = Several::new(3, 3);
    all.kill(1);
    all.pass(LEASE_TIME * 2);
    assert_eq!(all.masters(), [Some(0); 2], "two of three");
    all.kill(2);
    all.pass(QUORUM_TIME + MS);
    assert_eq!(all.masters(), [None]);
    all.start(1);
    all.pass(Duration::from_secs(3));
    assert_eq!(all.masters(), [Some(0); 2]);
}

#[test]
fn who_does_not_vote_knows_who_leads_and_keeps_nothing() {
    let mut all = Several::new(5, 3);
    all.pass(LEASE_TIME * 3);
    assert_eq!(all.masters(), [Some(0); 5]);
    assert!(!all.worlds[4].host.env.files.contains_key(PATH));
    all.kill(0);
    all.pass(LEASE_TIME);
    assert_eq!(all.masters(), [Some(1); 4]);
}

#[test]
fn whose_file_is_lost_or_broken_is_another_voter() {
    let mut all = Several::new(3, 3);
    for (at, content) in [(1, None), (2, Some(&b"\0\0\0\x01no record and more of it"[..]))] {
        let own = |all: &Several| all.nodes[at].as_ref().and_then(|one| one.engine.as_ref()).map(Embedded::own);
        let before = own(&all);
        all.kill(at);
        match content {
            Some(bytes) => all.worlds[at].host.env.write(PATH, bytes),
            None => drop(all.worlds[at].host.env.files.remove(PATH)),
        }
        all.start(at);
        all.pass(Duration::from_secs(2));
        assert_ne!(own(&all), before);
        assert_eq!(all.masters(), [Some(0); 3]);
    }
    // They count: with one of them there is a majority.
    all.kill(0);
    all.pass(Duration::from_secs(1));
    assert_eq!(all.masters(), [Some(1); 2]);
}

#[test]
fn who_cannot_write_does_not_vote_until_it_can() {
    let mut all = Several::new(3, 3);
    all.worlds[1].host.is_full = true;
    all.kill(0);
    all.pass(Duration::from_secs(8));
    assert_eq!(all.masters(), [None; 2], "nobody can vote but one");
    all.worlds[1].host.is_full = false;
    all.pass(RETRY_TIME + Duration::from_secs(5));
    assert!(matches!(all.masters()[..], [Some(one), Some(other)] if one == other), "{:?}", all.masters());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut all = Several::new(3, 3);
    let (now, host) = (all.now, &mut all.worlds[0].host);
    let one = all.nodes[0].as_mut().expect("it is there");
    let said = |id| written(Said { id, fleet: 1, is_led: true });
    let own = said(node_id("n1:9001", 7));
    let rows: [(&[u8], bool); 5] =
        [(&own, true), (&said(node_id("n2:9001", 7)), false), (&own[..9], false), (&[], false), (&[200, 1], true)];
    for (body, makes_sense) in rows {
        assert_eq!(one.hear(PeerId(1), body, now, host).is_ok(), makes_sense, "{body:?}");
    }
}
