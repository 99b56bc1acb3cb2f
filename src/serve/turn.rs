//! The order of a turn, written once: for the reactor, which brings what the system has, and for whoever brings
//! something else.

use super::{Input, Service};
use crate::clock::Now;
use crate::daemon::Host;
use crate::id::ProcId;
use crate::rpc::budget::Budget;

/// Where the inputs of a turn come from. Each method hands what there is of its kind to [`Service::handle`].
pub trait Inputs {
    /// Has the service do something.
    fn with<R>(&mut self, work: impl FnOnce(&mut Service, &mut dyn Host) -> R) -> R;

    /// Reads what children wrote, before any exit is told.
    fn outputs(&mut self, now: Now);

    /// Whether a child is known to have ended, and nothing else than its like has come.
    fn are_exits(&self) -> bool;

    /// Children that have ended, each after what it wrote last. If only `one`, others are left to the next turn, which
    /// then comes at once.
    fn exits(&mut self, one: bool, now: Now);

    /// Children that were on the way to their programs when that was last asked, and may be there.
    fn reports(&mut self, now: Now);

    /// Signals to the daemon.
    fn signals(&mut self, now: Now);

    /// Files that are followed and have changed.
    fn file_changes(&mut self, now: Now);

    /// Clients that connect, ask, and hang up.
    fn requests(&mut self, now: Now);

    /// Writes to clients what the turn has appended for them.
    fn flush(&mut self, now: Now);
}

/// One turn. It never runs within another.
pub fn turn(inputs: &mut impl Inputs, now: Now) {
    // Output before exits, so that last lines are never lost.
    inputs.outputs(now);
    // What waited for room, after the answers of listeners that make room.
    inputs.with(|service, host| service.advance_output(now, host));
    // Exits before requests and deadlines, so that nobody is told of a child that is gone, and a quick exit is never
    // judged RUNNING. Where nothing else is to be done, the one child that a signal told of is replaced before the
    // system has to look whether others have ended: with ten thousand children that takes longer than a restart.
    let one = inputs.are_exits() && inputs.with(|service, _| !service.is_due(now));
    inputs.exits(one, now);
    // After the exits, for a child that ended on the way is not there.
    inputs.reports(now);
    // Signals before requests: nothing is begun any more for who asks in the moment of the end.
    inputs.signals(now);
    // Followers come before requests only because they are cheap and already wait.
    inputs.file_changes(now);
    // Requests see what has happened so far.
    inputs.requests(now);
    // What follows from all that.
    inputs.with(|service, host| service.decide(now, host));
    // Writing comes last: every answer of this turn leaves in one piece.
    inputs.flush(now);
}

impl Service {
    /// What follows from the inputs of a turn.
    pub fn decide(&mut self, now: Now, host: &mut dyn Host) {
        if self.idle_until.is_none_or(|until| until <= now.mono) {
            self.decide_all(now, host);
        }
        let daemon = &self.daemon;
        self.rest = self.pace.end_turn(|id| daemon.roster.is_listener(id), now.mono);
    }

    fn decide_all(&mut self, now: Now, host: &mut dyn Host) {
        self.idle_until = None;
        // Deadlines come after exits, so that a quick exit is never judged RUNNING, and after requests, so that a
        // start request and an automatic restart do not meet.
        self.daemon.deadlines(now, host);
        // What follows for applications, before the end of the daemon goes on, which may wait for it.
        #[cfg(feature = "fleet")]
        self.follow_fleet(now, host);
        // After the exits of this turn, so that the next group is told to stop at once.
        self.daemon.shutdown_step(now, host);
        // Listeners hear of everything above in this very turn.
        self.daemon.dispatch(now, host);
        // Replies last: they see the states as the turn leaves them. What they start or stop is seen by the next
        // turn, which then comes at once.
        self.answer_deferred(now, host);
        self.serve_unserved(now, host);
        self.take_turns(now, host);
        self.expire(now, host);
        self.complaints.catch_up(now);
        self.feed_events();
        self.feed_memory_logs(host);
        self.feed_live(now, host);
        #[cfg(feature = "fleet")]
        self.feed_fleet(now);
        #[cfg(feature = "fleet")]
        self.publish(now, host);
        self.last_turns += usize::from(self.daemon.finished());
        if self.finished().is_some() {
            #[cfg(feature = "fleet")]
            self.with_peers(|peers| peers.leave());
            self.end_events();
            self.end_live();
            #[cfg(feature = "fleet")]
            self.end_fleet_pages();
            #[cfg(feature = "fleet")]
            self.end_published();
        }
        self.budget = Budget::default();
    }

    /// Lets the fleet follow what has happened.
    #[cfg(feature = "fleet")]
    fn follow_fleet(&mut self, now: Now, host: &mut dyn Host) {
        if let Some(fleet) = &mut self.extensions.fleet {
            fleet.turn(&mut self.daemon, now, host);
        }
    }

    /// Takes what a child wrote, as far as there is room for the messages in it.
    pub(super) fn take_output(&mut self, input: &Input<'_>, now: Now, host: &mut dyn Host) {
        let Input::Output { process, channel, bytes } = *input else { return };
        let (daemon, outlet) = (&mut self.daemon, (process, channel));
        self.pace.output(outlet, bytes.len());
        self.backpressure.take(outlet, bytes, now.mono, |outlet, bytes, waits_for| {
            daemon.offer_output(outlet, bytes, waits_for, now, host)
        });
        if self.minds_output(process) {
            self.idle_until = None;
        }
    }

    /// Whether something may follow from output, other than that it is in a log.
    fn minds_output(&self, process: ProcId) -> bool {
        self.daemon.minds_output(process)
            || self.backpressure.deadline().is_some()
            || !self.deferred.is_empty()
            || !self.conns.live().is_empty()
            || !self.conns.fed_with_events().is_empty()
    }

    /// Hands on what has found room.
    fn advance_output(&mut self, now: Now, host: &mut dyn Host) {
        if self.backpressure.deadline().is_none() {
            return;
        }
        self.idle_until = None;
        let daemon = &mut self.daemon;
        self.backpressure
            .advance(now.mono, |outlet, bytes, waits_for| daemon.offer_output(outlet, bytes, waits_for, now, host));
    }

    /// Whether a deadline has come.
    fn is_due(&self, now: Now) -> bool {
        self.idle_until.or_else(|| self.deadline(now)).is_some_and(|at| at <= now.mono)
    }
}
