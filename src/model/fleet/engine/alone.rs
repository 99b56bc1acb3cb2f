//! One or two voters, of whom no majority is left when one is gone (F-16, `any`): whoever comes first in the order of
//! preference of those that are there leads. Where the network falls apart each side has one.

use super::{Effect, Engine, Input, LEASE_TIME, Master, NodeId, Presence, Ticket, half_of};
use crate::clock::Mono;

/// It keeps nothing, sends nothing, and agrees with itself.
#[derive(Clone, Debug)]
pub struct Alone {
    own: NodeId,
    presence: Presence,
    told: Option<NodeId>,
    index: u64,
}

impl Alone {
    /// This instance.
    pub fn new(own: NodeId) -> Alone {
        Alone { own, presence: Presence::default(), told: None, index: 0 }
    }

    fn first(&self) -> Option<NodeId> {
        let votes = |id: &NodeId| self.presence.voters.contains(&half_of(*id));
        self.presence.there.iter().copied().find(votes).filter(|_| self.presence.may_stand)
    }
}

impl Engine for Alone {
    fn on_input(&mut self, input: Input<'_>, now: Mono, out: &mut Vec<Effect>) {
        let Input::Presence(presence) = input else { return };
        self.presence.clone_from(presence);
        let first = self.first();
        if std::mem::replace(&mut self.told, first) != first {
            let master = first.map(|id| Master { id, term: 0, lease_until: now.after(LEASE_TIME) });
            out.push(Effect::Master(master));
        }
    }

    fn deadline(&self) -> Option<Mono> {
        None
    }

    fn propose(&mut self, body: &[u8], _: Mono, out: &mut Vec<Effect>) -> Option<Ticket> {
        if self.told != Some(self.own) {
            return None;
        }
        self.index += 1;
        let ticket = Ticket { term: 0, index: self.index };
        out.push(Effect::Committed { index: self.index, body: body.to_vec(), ticket: Some(ticket) });
        Some(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fleet::engine::node_id;

    #[test]
    fn the_first_voter_that_is_there_leads() {
        let [a, b, c] = ["a", "b", "c"].map(|name| node_id(name, 7));
        let voters = vec![half_of(a), half_of(b)];
        let rows: [(&[NodeId], bool, Option<NodeId>); 5] = [
            (&[a, b, c], true, Some(a)),
            (&[b, a], true, Some(b)),
            (&[c, b], true, Some(b)),
            (&[c], true, None),
            (&[a, b], false, None),
        ];
        for (there, may_stand, expected) in rows {
            let mut engine = Alone::new(b);
            let mut out = Vec::new();
            let presence = Presence { there: there.to_vec(), voters: voters.clone(), may_stand, is_led: false };
            engine.on_input(Input::Presence(&presence), Mono(0), &mut out);
            let master = out.iter().find_map(|effect| match effect {
                Effect::Master(master) => Some(master.map(|master| master.id)),
                _ => None,
            });
            assert_eq!(master.flatten(), expected, "{there:?}");
            assert_eq!(engine.propose(b"x", Mono(0), &mut out).is_some(), expected == Some(b));
            // Said once.
            out.clear();
            engine.on_input(Input::Presence(&presence), Mono(0), &mut out);
            assert_eq!(out, []);
        }
    }
}
