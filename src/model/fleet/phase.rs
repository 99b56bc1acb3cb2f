//! The state of the fleet (V-100 to V-120). Each instance has this machine; from DISTRIBUTION on the Master leads, and the
//! others take its state over. Without a Master there is a way back to ELECTION from each state, and from those of the end a way
//! on to FINAL.

use crate::config::fleet::SupvisorsFailure;

/// State of the fleet (V-100).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Phase {
    Off = 0,
    Synchronization = 1,
    Election = 2,
    Distribution = 3,
    Operation = 4,
    Conciliation = 5,
    Restarting = 6,
    ShuttingDown = 7,
    Final = 8,
}

impl Phase {
    /// The number of the protocol.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The name of the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Off => "OFF",
            Phase::Synchronization => "SYNCHRONIZATION",
            Phase::Election => "ELECTION",
            Phase::Distribution => "DISTRIBUTION",
            Phase::Operation => "OPERATION",
            Phase::Conciliation => "CONCILIATION",
            Phase::Restarting => "RESTARTING",
            Phase::ShuttingDown => "SHUTTING_DOWN",
            Phase::Final => "FINAL",
        }
    }
}

/// Who leads, as far as this instance can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leader {
    /// Nobody, or not all agree on who.
    Nobody,
    /// This instance leads, and all agree.
    Own,
    /// Another one, and the state that it is in.
    Other(Phase),
}

/// What the machine looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// A condition under which the synchronisation ends is met.
    pub is_synchronised: bool,
    /// What is to be done because those that it waited for are no longer there (V-107).
    pub on_missing: SupvisorsFailure,
    /// On whom all agree.
    pub leader: Leader,
    /// This instance starts something.
    pub is_starting: bool,
    /// This instance stops something.
    pub is_stopping: bool,
    /// Some instance starts or stops something.
    pub is_anyone_busy: bool,
    /// Something runs more than once that should not.
    pub has_conflicts: bool,
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The end of all daemons.
    Shutdown,
    /// That all begin anew.
    Restart,
}

impl Phase {
    /// The state that follows; the same if none does. To be asked until nothing changes (V-101).
    pub fn next(self, facts: Facts) -> Phase {
        use Phase::*;
        match (self, facts.leader) {
            (Off, _) => Synchronization,
            (Synchronization, _) if facts.is_synchronised => Election,
            (Election | Distribution | Operation | Conciliation, _) if facts.on_missing == SupvisorsFailure::Resync => {
                Synchronization
            }
            (Election | Distribution | Operation | Conciliation, _)
                if facts.on_missing == SupvisorsFailure::Shutdown =>
            {
                ShuttingDown
            }
            (Election, Leader::Own) => Distribution,
            (Distribution | Operation | Conciliation, Leader::Nobody) => Election,
            (Distribution, Leader::Own) if !facts.is_starting => Operation,
            (Operation, Leader::Own) if facts.has_conflicts && !facts.is_anyone_busy => Conciliation,
            (Conciliation, Leader::Own) if !facts.has_conflicts && !facts.is_anyone_busy => Operation,
            // One that ends or begins anew takes all with it; one that is not so far yet is waited for.
            (Election | Distribution | Operation | Conciliation, Leader::Other(Final)) => ShuttingDown,
            (Election | Distribution | Operation | Conciliation, Leader::Other(other)) if other >= Distribution => {
                other
            }
            (Restarting | ShuttingDown, Leader::Other(Final) | Leader::Nobody) => Final,
            (Restarting | ShuttingDown, Leader::Own) if !facts.is_stopping => Final,
            (same, _) => same,
        }
    }

    /// The state of a number; `None` for one that is not known.
    pub fn of(code: u64) -> Option<Phase> {
        use Phase::*;
        let all =
            [Off, Synchronization, Election, Distribution, Operation, Conciliation, Restarting, ShuttingDown, Final];
        usize::try_from(code).ok().and_then(|code| all.get(code).copied())
    }

    /// The state after a wish; the end goes before a new beginning.
    pub fn wished(self, wish: Wish) -> Phase {
        match (self, wish) {
            (Phase::Final | Phase::ShuttingDown, _) => self,
            (_, Wish::Shutdown) => Phase::ShuttingDown,
            (_, Wish::Restart) => Phase::Restarting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Phase::*;

    const NOTHING: Facts = Facts {
        is_synchronised: true,
        on_missing: SupvisorsFailure::Continue,
        leader: Leader::Own,
        is_starting: false,
        is_stopping: false,
        is_anyone_busy: false,
        has_conflicts: false,
    };

    fn at_rest(mut phase: Phase, facts: Facts) -> Phase {
        for _ in 0..10 {
            phase = phase.next(facts);
        }
        phase
    }

    #[test]
    fn where_it_comes_to_rest() {
        let starting = Facts { is_starting: true, is_anyone_busy: true, ..NOTHING };
        let stopping = Facts { is_stopping: true, is_anyone_busy: true, ..NOTHING };
        let awaited = Facts { is_synchronised: false, ..NOTHING };
        let conflict = Facts { has_conflicts: true, ..NOTHING };
        let busy = Facts { is_anyone_busy: true, ..conflict };
        let nobody = Facts { leader: Leader::Nobody, ..NOTHING };
        let led = |phase| Facts { leader: Leader::Other(phase), ..NOTHING };
        let missing = |on_missing| Facts { on_missing, is_synchronised: false, ..NOTHING };
        let rows = [
            (Off, NOTHING, Operation),
            (Off, awaited, Synchronization),
            (Off, starting, Distribution),
            (Off, nobody, Election),
            (Off, led(Election), Election),
            (Off, led(Distribution), Distribution),
            (Off, led(Conciliation), Conciliation),
            (Operation, starting, Operation),
            (Operation, conflict, Conciliation),
            (Operation, busy, Operation),
            (Operation, nobody, Election),
            (Operation, led(Election), Operation),
            (Operation, led(Restarting), Restarting),
            (Operation, led(Final), ShuttingDown),
            (Conciliation, NOTHING, Operation),
            (Conciliation, conflict, Conciliation),
            (Conciliation, nobody, Election),
            (Conciliation, led(Operation), Operation),
            (Distribution, nobody, Election),
            (Restarting, stopping, Restarting),
            (Restarting, NOTHING, Final),
            (Restarting, nobody, Final),
            (Restarting, led(Restarting), Restarting),
            (Restarting, led(Final), Final),
            (ShuttingDown, stopping, ShuttingDown),
            (ShuttingDown, NOTHING, Final),
            (ShuttingDown, nobody, Final),
            (Final, NOTHING, Final),
            (Operation, missing(SupvisorsFailure::Resync), Synchronization),
            (Operation, Facts { is_stopping: true, ..missing(SupvisorsFailure::Shutdown) }, ShuttingDown),
            (Restarting, Facts { is_stopping: true, ..missing(SupvisorsFailure::Resync) }, Restarting),
        ];
        for (from, facts, to) in rows {
            // What ends only because it is asked again and again is another row.
            let found = if facts.leader == Leader::Other(Final) { from.next(facts) } else { at_rest(from, facts) };
            assert_eq!(found, to, "{from:?} {facts:?}");
        }
    }

    #[test]
    fn each_state_has_a_way_on_without_a_master() {
        let nobody = Facts { leader: Leader::Nobody, ..NOTHING };
        for code in 0..8 {
            let phase = Phase::of(code).unwrap();
            let rest = at_rest(phase, nobody);
            assert!(matches!(rest, Election | Final), "{phase:?} rests in {rest:?}");
        }
        assert_eq!((Phase::of(8), Phase::of(9)), (Some(Final), None));
    }

    #[test]
    fn wishes() {
        let rows = [
            (Operation, Wish::Restart, Restarting),
            (Operation, Wish::Shutdown, ShuttingDown),
            (Restarting, Wish::Shutdown, ShuttingDown),
            (ShuttingDown, Wish::Restart, ShuttingDown),
            (Final, Wish::Restart, Final),
        ];
        for (from, wish, to) in rows {
            assert_eq!(from.wished(wish), to, "{from:?} {wish:?}");
        }
    }
}
