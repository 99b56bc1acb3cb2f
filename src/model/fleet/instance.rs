//! An instance of the fleet as another one sees it (V-130 to V-134).
//!
//! STOPPED: nothing is heard of it. CHECKING: it can be spoken to and says what it has. CHECKED: all that is said. RUNNING: it
//! counts. FAILED: it was lost. ISOLATED: nothing that it says is listened to any more, because it was lost where that is asked
//! for, or because its options contradict; that ends with this run alone.

/// State of an instance (V-130).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum InstanceState {
    #[default]
    Stopped = 0,
    Checking = 1,
    Checked = 2,
    Running = 3,
    Failed = 4,
    Isolated = 5,
}

/// What happens to an instance, as this one takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// It begins to say what it has.
    Begins,
    /// It has said all that it has.
    Complete,
    /// It may count from here on.
    Admitted,
    /// It cannot be spoken to any more.
    Lost,
    /// What follows from its loss is done; whether it is to be kept away.
    Buried {
        /// Whether it is not heard again.
        is_fenced: bool,
    },
    /// Its options contradict those that have to be the same everywhere.
    Contradicts,
}

impl InstanceState {
    /// All of them, in the order of their numbers.
    pub const ALL: [InstanceState; 6] = {
        use InstanceState::*;
        [Stopped, Checking, Checked, Running, Failed, Isolated]
    };

    /// The number of the protocol.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The name of the protocol.
    pub fn name(self) -> &'static str {
        match self {
            InstanceState::Stopped => "STOPPED",
            InstanceState::Checking => "CHECKING",
            InstanceState::Checked => "CHECKED",
            InstanceState::Running => "RUNNING",
            InstanceState::Failed => "FAILED",
            InstanceState::Isolated => "ISOLATED",
        }
    }

    /// The state of a number; `None` for one that is not known.
    pub fn of(code: u64) -> Option<InstanceState> {
        usize::try_from(code).ok().and_then(|code| InstanceState::ALL.get(code).copied())
    }

    /// Whether what it says is listened to.
    pub fn is_heard(self) -> bool {
        matches!(self, InstanceState::Checking | InstanceState::Checked | InstanceState::Running)
    }

    /// The state that follows.
    pub fn next(self, trigger: Trigger) -> InstanceState {
        use InstanceState::*;
        match (self, trigger) {
            (Isolated, _) | (_, Trigger::Contradicts) => Isolated,
            // One that begins anew while it counts is heard anew, and counts meanwhile: its stream was another one.
            (Stopped | Failed, Trigger::Begins) => Checking,
            (Checking, Trigger::Complete) => Checked,
            (Checked, Trigger::Admitted) => Running,
            (Checking, Trigger::Lost) => Stopped,
            (Checked | Running, Trigger::Lost) => Failed,
            (Failed, Trigger::Buried { is_fenced: true }) => Isolated,
            (Failed, Trigger::Buried { is_fenced: false }) => Stopped,
            (same, _) => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InstanceState::*;

    #[test]
    fn each_state_and_event() {
        use Trigger::*;
        let events = [Begins, Complete, Admitted, Lost, Buried { is_fenced: false }, Buried { is_fenced: true }];
        let rows = [
            (Stopped, [Checking, Stopped, Stopped, Stopped, Stopped, Stopped]),
            (Checking, [Checking, Checked, Checking, Stopped, Checking, Checking]),
            (Checked, [Checked, Checked, Running, Failed, Checked, Checked]),
            (Running, [Running, Running, Running, Failed, Running, Running]),
            (Failed, [Checking, Failed, Failed, Failed, Stopped, Isolated]),
            (Isolated, [Isolated; 6]),
        ];
        for (from, expected) in rows {
            for (event, to) in events.into_iter().zip(expected) {
                assert_eq!(from.next(event), to, "{from:?} {event:?}");
            }
            assert_eq!(from.next(Contradicts), Isolated, "{from:?}");
        }
    }

    #[test]
    fn numbers() {
        for (at, state) in (0..).zip(InstanceState::ALL) {
            assert_eq!((state.code(), InstanceState::of(at)), (at as i32, Some(state)));
        }
        assert_eq!(InstanceState::of(6), None);
    }
}
