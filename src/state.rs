//! The states of a process and of the daemon, with the codes and names of the protocol (P-1, P-3).

/// State of a process (P-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProcessState {
    /// Not running: never started, or stopped on request.
    #[default]
    Stopped = 0,
    /// Spawned, not yet up for `startsecs`.
    Starting = 10,
    /// Up for more than `startsecs`.
    Running = 20,
    /// A start failed; another attempt follows after a delay.
    Backoff = 30,
    /// Told to stop, not yet reaped.
    Stopping = 40,
    /// Ended by itself after RUNNING.
    Exited = 100,
    /// All start attempts failed.
    Fatal = 200,
    /// A signal could not be delivered; what the process does is not known.
    Unknown = 1000,
}

impl ProcessState {
    /// All states, in the order of their codes.
    pub const ALL: [ProcessState; 8] = {
        use ProcessState::*;
        [Stopped, Starting, Running, Backoff, Stopping, Exited, Fatal, Unknown]
    };

    /// The number of the protocol.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The name of the protocol, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            ProcessState::Stopped => "STOPPED",
            ProcessState::Starting => "STARTING",
            ProcessState::Running => "RUNNING",
            ProcessState::Backoff => "BACKOFF",
            ProcessState::Stopping => "STOPPING",
            ProcessState::Exited => "EXITED",
            ProcessState::Fatal => "FATAL",
            ProcessState::Unknown => "UNKNOWN",
        }
    }

    /// The set *stopped* of P-2: STOPPED, EXITED, FATAL, UNKNOWN.
    pub fn is_stopped(self) -> bool {
        use ProcessState::*;
        matches!(self, Stopped | Exited | Fatal | Unknown)
    }

    /// The set *running* of P-2: STARTING, RUNNING, BACKOFF.
    pub fn is_running(self) -> bool {
        use ProcessState::*;
        matches!(self, Starting | Running | Backoff)
    }

    /// The set *signallable* of P-2: STARTING, RUNNING, STOPPING.
    pub fn is_signallable(self) -> bool {
        use ProcessState::*;
        matches!(self, Starting | Running | Stopping)
    }
}

/// State of the daemon (P-3). FATAL (2) exists in the protocol and is never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SupervisorState {
    /// Stopping everything, then ending.
    Shutdown = -1,
    /// Stopping everything, then starting over.
    Restarting = 0,
    /// At work: the only state in which most calls are accepted.
    Running = 1,
}

impl SupervisorState {
    /// The number of the protocol.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The name of the protocol, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            SupervisorState::Shutdown => "SHUTDOWN",
            SupervisorState::Restarting => "RESTARTING",
            SupervisorState::Running => "RUNNING",
        }
    }
}
