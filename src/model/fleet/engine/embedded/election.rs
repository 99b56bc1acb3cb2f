//! When a voter stands for election, and how long who leads may act.

use std::time::Duration;

use noraft::{Message, Node, Term};

use super::{Embedded, Heard};
use crate::clock::Mono;
use crate::model::fleet::engine::bodies::Letter;
use crate::model::fleet::engine::{Effect, LEASE_TIME, Master, NodeId, Presence, QUORUM_TIME, half_of, is_most};

/// Who leads speaks so often: some times within [`QUORUM_TIME`].
pub const HEARTBEAT_TIME: Duration = Duration::from_millis(400);

/// Time for an election. Whoever has heard of who leads for less than this is not talked into another one.
pub const ELECTION_TIME: Duration = Duration::from_millis(1_500);

/// Silence after which one that leads, and is there, is not waited for any more.
pub const SILENCE_TIME: Duration = Duration::from_millis(4_500);

/// How much later each that is less preferred stands.
const COURTESY: Duration = Duration::from_millis(200);

/// Time that chance adds, so that not all stand at one time.
const JITTER_MICROS: u64 = 150_000;

/// Who may come into the vote, and who goes out of it, of a set of voters; `None`: all is as it should be. One that should not
/// vote any more goes only once there are enough without it, and never by itself: should it end between the two steps of that,
/// it might be the only one that knows of the second, and could not be elected.
pub fn change(voters: &[NodeId], presence: &Presence, own: NodeId) -> Option<(Vec<NodeId>, Vec<NodeId>)> {
    let should_vote = |id: &NodeId| presence.voters.contains(&half_of(*id));
    let newcomer = presence.there.iter().copied().find(|id| should_vote(id) && !voters.contains(id));
    let former = |id: NodeId| voters.iter().copied().find(|one| half_of(*one) == half_of(id) && *one != own);
    match newcomer {
        Some(id) => Some((vec![id], former(id).into_iter().collect())),
        None => {
            let spare = voters.iter().copied().find(|id| !should_vote(id) && *id != own)?;
            (voters.len() > presence.voters.len()).then_some((Vec::new(), vec![spare]))
        }
    }
}

impl Embedded {
    /// Who is there has changed.
    pub(super) fn see(&mut self, presence: &Presence) {
        let is_new = presence.there.iter().any(|id| !self.presence.there.contains(id));
        self.presence.clone_from(presence);
        // Whoever comes hears at once that there is one that leads.
        if is_new {
            self.heartbeat_at = Mono(0);
        }
        // One that is gone leads no more, as far as this one is concerned.
        if self.heard.is_some_and(|heard| !self.is_there(heard.id)) {
            self.heard = None;
        }
    }

    fn is_there(&self, id: NodeId) -> bool {
        self.presence.there.contains(&id)
    }

    /// Whether most of the voters fulfil a condition; in a change most of the old ones and of the new ones.
    pub(super) fn do_most(&self, condition: impl Fn(NodeId) -> bool) -> bool {
        let config = self.node.config();
        let count = |ids: &std::collections::BTreeSet<noraft::NodeId>| {
            ids.is_empty() || is_most(ids.iter().filter(|id| condition(id.get())).count(), ids.len())
        };
        !config.voters.is_empty() && count(&config.voters) && count(&config.new_voters)
    }

    /// Until when most voters have answered, if this one leads; `None` if they never have.
    fn acts_until(&self) -> Option<Mono> {
        let answer_of = |id: NodeId| self.answered.iter().find(|(one, _)| *one == id).map(|(_, at)| *at);
        let has_answered =
            |since: Mono| self.do_most(|id| id == self.own || answer_of(id).is_some_and(|answer| answer >= since));
        let alone = self.node.config().unique_nodes().all(|id| id.get() == self.own);
        if alone && self.node.role().is_leader() {
            return Some(Mono(u64::MAX));
        }
        let of_all = self.answered.iter().map(|(_, at)| *at).filter(|at| has_answered(*at)).max();
        of_all.map(|at| at.after(QUORUM_TIME))
    }

    /// Whether this one leads, has all that was agreed on before, and was answered by most voters lately.
    pub(super) fn may_act(&self, now: Mono) -> bool {
        self.node.role().is_leader() && self.has_own_term() && self.acts_until().is_some_and(|until| now < until)
    }

    /// Whether something of its own term is committed, and so all before it.
    fn has_own_term(&self) -> bool {
        let position = self.node.log().get_position_and_config(self.node.commit_index());
        position.is_some_and(|(position, _)| position.term == self.node.current_term())
    }

    /// A voter has answered what was said at some time.
    pub(super) fn note_answer(&mut self, from: NodeId, term: u64, stamp: u64, now: Mono) {
        // Nobody has answered what was not said yet.
        if !self.node.role().is_leader() || term != self.node.current_term().get() || stamp > now.0 {
            return;
        }
        match self.answered.iter_mut().find(|(id, _)| *id == from) {
            Some((_, at)) => *at = (*at).max(Mono(stamp)),
            None => self.answered.push((from, Mono(stamp))),
        }
    }

    /// Somebody says that it leads, and that this one has no vote there.
    pub(super) fn hear_of(&mut self, letter: &Letter, now: Mono) {
        let is_own_fleet = self.fleet == 0 || self.fleet == letter.fleet;
        if letter.to != self.own || !is_own_fleet || letter.term < self.term() {
            return;
        }
        // Who has led until now, and was voted out without hearing of it, leads no more.
        if !self.node.role().is_follower() && letter.term > self.node.current_term().get() {
            let (from, term) = (noraft::NodeId::new(letter.from), Term::new(letter.term));
            let later = Message::RequestVoteReply { from, term, vote_granted: false };
            let outcome = self.node.handle_message(&later);
            debug_assert!(outcome.is_ok(), "a reply is never wrong");
        }
        self.heard = Some(Heard { id: letter.from, term: letter.term, at: now, is_acting: true });
    }

    /// Whether a message would depose one that leads although it is heard.
    pub(super) fn is_disruptive(&self, message: &Message, now: Mono) -> bool {
        let hears = self.heard.is_some_and(|heard| now < heard.at.after(ELECTION_TIME));
        (hears || self.may_act(now)) && is_call_of_later_term(&self.node, message)
    }

    /// From when on nobody is to be waited for; `None`: this one may not stand, or most voters are not there.
    fn waits_until(&self) -> Option<Mono> {
        let (config, own) = (self.node.config(), self.node.id());
        let has_vote = config.voters.contains(&own) || config.new_voters.contains(&own);
        let is_open = has_vote && self.presence.may_stand && !self.node.role().is_leader();
        if !is_open || !self.do_most(|id| id == self.own || self.is_there(id)) {
            return None;
        }
        let began = self.began.filter(|_| self.presence.is_led);
        let since = self.heard.map(|heard| heard.at).or(began);
        Some(since.map_or(Mono(0), |since| since.after(SILENCE_TIME)))
    }

    /// When this one is to look whether it stands for election.
    pub(super) fn election_deadline(&self) -> Option<Mono> {
        self.stand_at.or_else(|| self.waits_until())
    }

    /// Stands for election when it is time.
    pub(super) fn mind_time(&mut self, now: Mono) {
        if self.waits_until().is_none_or(|until| now < until) {
            self.stand_at = None;
            return;
        }
        // Who has just founded a fleet stands already.
        let under_way = if self.node.role().is_candidate() { ELECTION_TIME } else { Duration::ZERO };
        let Some(at) = self.stand_at else {
            self.stand_at = Some(now.after(under_way + self.pause()));
            return;
        };
        if at <= now {
            self.node.handle_election_timeout();
            self.stand_at = Some(now.after(ELECTION_TIME + self.pause()));
            self.heard = None;
        }
    }

    /// Time before this one stands: who is preferred comes first.
    fn pause(&mut self) -> Duration {
        let votes = |id: &NodeId| self.node.config().contains(noraft::NodeId::new(*id));
        let rank = self.presence.there.iter().filter(|id| votes(id)).position(|id| *id == self.own).unwrap_or(0);
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let jitter = Duration::from_micros((self.chance >> 33) % JITTER_MICROS);
        COURTESY * u32::try_from(rank).unwrap_or(u32::MAX) + jitter
    }

    /// Who leads, as far as this one may believe it.
    fn current_master(&self, now: Mono) -> Option<Master> {
        let term = self.node.current_term().get();
        if self.node.role().is_leader() {
            let until = self.acts_until().filter(|_| self.may_act(now))?;
            return Some(Master { id: self.own, term, lease_until: until });
        }
        let heard = self.heard.filter(|heard| heard.is_acting && heard.term >= term)?;
        let until = heard.at.after(LEASE_TIME);
        (now < until).then_some(Master { id: heard.id, term: heard.term, lease_until: until })
    }

    /// Tells who leads, if that is another one, or another lease.
    pub(super) fn tell_master(&mut self, now: Mono, out: &mut Vec<Effect>) {
        let master = self.current_master(now);
        if std::mem::replace(&mut self.told, master) != master {
            out.push(Effect::Master(master));
        }
    }
}

fn is_call_of_later_term(node: &Node, message: &Message) -> bool {
    matches!(message, Message::RequestVoteCall { .. }) && message.term() > node.current_term()
}
