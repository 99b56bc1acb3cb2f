//! Names of event types, what stands below what, and sets of them (E-1).
//!
//! A subscription names any type and gets all leaves below it; only leaves are ever sent. The configuration
//! checks names against this table, the pools keep what it means as a bit set.

use crate::id::Channel;
use crate::state::ProcessState;

/// A type of event. Leaves come first, so that a set of them fits a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum EventType {
    ProcessStateStopped,
    ProcessStateExited,
    ProcessStateStarting,
    ProcessStateStopping,
    ProcessStateBackoff,
    ProcessStateFatal,
    ProcessStateRunning,
    ProcessStateUnknown,
    ProcessCommunicationStdout,
    ProcessCommunicationStderr,
    ProcessLogStdout,
    ProcessLogStderr,
    RemoteCommunication,
    SupervisorStateChangeRunning,
    SupervisorStateChangeStopping,
    Tick5,
    Tick60,
    Tick3600,
    ProcessGroupAdded,
    ProcessGroupRemoved,
    SthenoWaiting,
    SthenoReady,
    SthenoHealth,
    ProcessAdded,
    ProcessRemoved,
    ProcessEnabled,
    ProcessDisabled,
    // From here on only names to subscribe to.
    Event,
    ProcessState,
    ProcessCommunication,
    ProcessLog,
    SupervisorStateChange,
    Tick,
    ProcessGroup,
    Process,
}

use EventType as E;

/// Each type, its name and what it is a kind of, in the order of the enum.
const TYPES: [(EventType, &str, Option<EventType>); 35] = [
    (E::ProcessStateStopped, "PROCESS_STATE_STOPPED", Some(E::ProcessState)),
    (E::ProcessStateExited, "PROCESS_STATE_EXITED", Some(E::ProcessState)),
    (E::ProcessStateStarting, "PROCESS_STATE_STARTING", Some(E::ProcessState)),
    (E::ProcessStateStopping, "PROCESS_STATE_STOPPING", Some(E::ProcessState)),
    (E::ProcessStateBackoff, "PROCESS_STATE_BACKOFF", Some(E::ProcessState)),
    (E::ProcessStateFatal, "PROCESS_STATE_FATAL", Some(E::ProcessState)),
    (E::ProcessStateRunning, "PROCESS_STATE_RUNNING", Some(E::ProcessState)),
    (E::ProcessStateUnknown, "PROCESS_STATE_UNKNOWN", Some(E::ProcessState)),
    (E::ProcessCommunicationStdout, "PROCESS_COMMUNICATION_STDOUT", Some(E::ProcessCommunication)),
    (E::ProcessCommunicationStderr, "PROCESS_COMMUNICATION_STDERR", Some(E::ProcessCommunication)),
    (E::ProcessLogStdout, "PROCESS_LOG_STDOUT", Some(E::ProcessLog)),
    (E::ProcessLogStderr, "PROCESS_LOG_STDERR", Some(E::ProcessLog)),
    (E::RemoteCommunication, "REMOTE_COMMUNICATION", Some(E::Event)),
    (E::SupervisorStateChangeRunning, "SUPERVISOR_STATE_CHANGE_RUNNING", Some(E::SupervisorStateChange)),
    (E::SupervisorStateChangeStopping, "SUPERVISOR_STATE_CHANGE_STOPPING", Some(E::SupervisorStateChange)),
    (E::Tick5, "TICK_5", Some(E::Tick)),
    (E::Tick60, "TICK_60", Some(E::Tick)),
    (E::Tick3600, "TICK_3600", Some(E::Tick)),
    (E::ProcessGroupAdded, "PROCESS_GROUP_ADDED", Some(E::ProcessGroup)),
    (E::ProcessGroupRemoved, "PROCESS_GROUP_REMOVED", Some(E::ProcessGroup)),
    // What Supervisor does not have stands below nothing: who wants all its events is not surprised by others.
    (E::SthenoWaiting, "STHENO_WAITING", None),
    (E::SthenoReady, "STHENO_READY", None),
    (E::SthenoHealth, "STHENO_HEALTH", None),
    // Of a fleet (V-500). They are below EVENT, as they are where Supvisors is; without it nobody sends them.
    (E::ProcessAdded, "PROCESS_ADDED", Some(E::Process)),
    (E::ProcessRemoved, "PROCESS_REMOVED", Some(E::Process)),
    (E::ProcessEnabled, "PROCESS_ENABLED", Some(E::Process)),
    (E::ProcessDisabled, "PROCESS_DISABLED", Some(E::Process)),
    (E::Event, "EVENT", None),
    (E::ProcessState, "PROCESS_STATE", Some(E::Event)),
    (E::ProcessCommunication, "PROCESS_COMMUNICATION", Some(E::Event)),
    (E::ProcessLog, "PROCESS_LOG", Some(E::Event)),
    (E::SupervisorStateChange, "SUPERVISOR_STATE_CHANGE", Some(E::Event)),
    (E::Tick, "TICK", Some(E::Event)),
    (E::ProcessGroup, "PROCESS_GROUP", Some(E::Event)),
    (E::Process, "PROCESS", Some(E::Event)),
];

impl EventType {
    /// All types, leaves first.
    pub fn all() -> impl Iterator<Item = EventType> {
        TYPES.iter().map(|(kind, _, _)| *kind)
    }

    /// The name of the protocol, in capitals.
    pub fn name(self) -> &'static str {
        TYPES[self as usize].1
    }

    /// The type of that name, in any case (C-116).
    pub fn parse(name: &str) -> Option<EventType> {
        TYPES.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name)).map(|(kind, _, _)| *kind)
    }

    /// Whether the name is known only where there is a fleet.
    pub fn is_of_fleet(self) -> bool {
        self.is_a(EventType::Process)
    }

    /// Whether events of this type are sent; the others are only names to subscribe to.
    pub fn is_leaf(self) -> bool {
        self < EventType::Event
    }

    /// Whether this is `other` or a kind of it.
    pub fn is_a(self, other: EventType) -> bool {
        self == other || TYPES[self as usize].2.is_some_and(|parent| parent.is_a(other))
    }

    /// The event of a message that a child sends in capture mode.
    pub fn communication(channel: Channel) -> EventType {
        match channel {
            Channel::Stdout => EventType::ProcessCommunicationStdout,
            Channel::Stderr => EventType::ProcessCommunicationStderr,
        }
    }

    /// The event of entering a state.
    pub fn entering(state: ProcessState) -> EventType {
        match state {
            ProcessState::Stopped => EventType::ProcessStateStopped,
            ProcessState::Starting => EventType::ProcessStateStarting,
            ProcessState::Running => EventType::ProcessStateRunning,
            ProcessState::Backoff => EventType::ProcessStateBackoff,
            ProcessState::Stopping => EventType::ProcessStateStopping,
            ProcessState::Exited => EventType::ProcessStateExited,
            ProcessState::Fatal => EventType::ProcessStateFatal,
            ProcessState::Unknown => EventType::ProcessStateUnknown,
        }
    }
}

/// A set of leaves: what somebody subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct EventMask(u32);

impl EventMask {
    /// No event at all: what a daemon wants that has neither pools nor streams.
    pub const NONE: EventMask = EventMask(0);

    /// All leaves at or below any of these types.
    pub fn of(kinds: impl IntoIterator<Item = EventType>) -> EventMask {
        let leaves_of = |kind: EventType| {
            EventType::all()
                .filter(|leaf| leaf.is_leaf() && leaf.is_a(kind))
                .fold(0, |bits, leaf| bits | 1 << leaf as u32)
        };
        EventMask(kinds.into_iter().fold(0, |bits, kind| bits | leaves_of(kind)))
    }

    /// Whether events of this leaf are in the set; never for a type that is not a leaf.
    pub fn wants(self, leaf: EventType) -> bool {
        leaf.is_leaf() && self.0 & (1 << leaf as u32) != 0
    }

    /// What is in either.
    pub fn union(self, other: EventMask) -> EventMask {
        EventMask(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, (kind, name, _)) in TYPES.iter().enumerate() {
            assert_eq!(*kind as usize, index, "{name}");
            assert_eq!(EventType::parse(name), Some(*kind));
            assert_eq!(EventType::parse(&name.to_lowercase()), Some(*kind));
        }
        for unknown in ["", "TICK_7", "PROCESSES", " TICK", "PROCESS_STATE_"] {
            assert_eq!(EventType::parse(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn a_subscription_gets_what_is_below_it() {
        let rows: &[(&[EventType], &[EventType])] = &[
            (&[], &[]),
            (&[E::Tick5], &[E::Tick5]),
            (&[E::Tick], &[E::Tick5, E::Tick60, E::Tick3600]),
            (&[E::Tick, E::Tick5], &[E::Tick5, E::Tick60, E::Tick3600]),
            (&[E::RemoteCommunication], &[E::RemoteCommunication]),
            (&[E::ProcessLog, E::ProcessGroupAdded], &[E::ProcessLogStdout, E::ProcessLogStderr, E::ProcessGroupAdded]),
        ];
        for (subscribed, expected) in rows {
            let mask = EventMask::of(subscribed.iter().copied());
            let got: Vec<EventType> = EventType::all().filter(|kind| mask.wants(*kind)).collect();
            assert_eq!(got, *expected, "{subscribed:?}");
        }
        let everything = EventMask::of([E::Event]);
        assert_eq!(EventType::all().filter(|kind| everything.wants(*kind)).count(), 24);
        let of_fleet: Vec<EventType> = EventType::all().filter(|kind| kind.is_of_fleet()).collect();
        assert_eq!(of_fleet, [E::ProcessAdded, E::ProcessRemoved, E::ProcessEnabled, E::ProcessDisabled, E::Process]);
        assert!(!everything.wants(E::Event));
    }

    #[test]
    fn every_state_has_its_event() {
        for state in ProcessState::ALL {
            assert_eq!(EventType::entering(state).name(), format!("PROCESS_STATE_{}", state.name()));
        }
    }
}
