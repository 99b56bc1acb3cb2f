//! The state of the fleet (V-100 to V-120), as far as one instance has it: nobody is awaited but a user who wants to be, and
//! nobody is elected.

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

/// What the machine looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// A condition under which the synchronisation ends is met.
    pub is_synchronised: bool,
    /// Something is being started.
    pub is_starting: bool,
    /// Something is being stopped.
    pub is_stopping: bool,
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
        match self {
            Phase::Off => Phase::Synchronization,
            Phase::Synchronization if facts.is_synchronised => Phase::Election,
            // Alone: elected at once.
            Phase::Election => Phase::Distribution,
            Phase::Distribution if !facts.is_starting => Phase::Operation,
            // Nobody else runs anything: there is nothing to conciliate.
            Phase::Conciliation => Phase::Operation,
            Phase::Restarting | Phase::ShuttingDown if !facts.is_stopping => Phase::Final,
            other => other,
        }
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

    const NOTHING: Facts = Facts { is_synchronised: true, is_starting: false, is_stopping: false };

    fn settled(mut phase: Phase, facts: Facts) -> Phase {
        for _ in 0..10 {
            phase = phase.next(facts);
        }
        phase
    }

    #[test]
    fn where_it_comes_to_rest() {
        let starting = Facts { is_starting: true, ..NOTHING };
        let stopping = Facts { is_stopping: true, ..NOTHING };
        let awaited = Facts { is_synchronised: false, ..NOTHING };
        let rows = [
            (Off, NOTHING, Operation),
            (Off, awaited, Synchronization),
            (Off, starting, Distribution),
            (Operation, starting, Operation),
            (Conciliation, NOTHING, Operation),
            (Restarting, stopping, Restarting),
            (Restarting, NOTHING, Final),
            (ShuttingDown, stopping, ShuttingDown),
            (ShuttingDown, NOTHING, Final),
            (Final, NOTHING, Final),
        ];
        for (from, facts, to) in rows {
            assert_eq!(settled(from, facts), to, "{from:?} {facts:?}");
        }
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
