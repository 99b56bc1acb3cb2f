//! What happens to a process, and what its machine wants done: its words towards its owner.

use std::time::Duration;

use crate::exit::ExitStatus;
use crate::id::Pid;
use crate::level::Level;
use crate::model::hook::Hook;
use crate::state::ProcessState;

/// What happens to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Somebody wants it to run.
    Start,
    /// It is to run again, which nobody asked for: it counts for `restart_limit`.
    Resume,
    /// It is given up without a start; the text becomes `spawnerr`.
    Refuse(String),
    /// The spawn that was asked for succeeded.
    Spawned(Pid),
    /// The spawn that was asked for failed; the text becomes `spawnerr`.
    SpawnFailed(String),
    /// The child has come to its program.
    SetUp,
    /// The child failed on the way to its program, and ends; the text becomes `spawnerr`. Without one it is told as any
    /// other end so soon (P-52).
    SetUpFailed(Option<String>),
    /// The time that [`Process::deadline`](super::Process::deadline) named has come.
    Deadline,
    /// The child was reaped.
    Exited(ExitStatus),
    /// Somebody wants it to stop.
    Stop,
    /// The daemon is shutting down and found it in BACKOFF.
    GiveUp,
    /// The daemon is shutting down and waits no longer: SIGKILL, told to stop or not.
    Kill,
    /// A signal could not be delivered, for another reason than that the process is gone.
    SignalFailed,
    /// It has become ready, in the way that `ready` asks for.
    Ready,
    /// It asks for more time to become ready.
    Extend(Duration),
    /// A hook has ended, with what went wrong.
    HookEnded(Hook, Result<(), String>),
    /// What the last run left behind is gone, or waited for no longer.
    Cleared,
    /// It has not said in time that it lives.
    Silent,
    /// It is to be stopped for this reason, and to be started again or not.
    Unfit {
        /// What its `spawnerr` is afterwards.
        reason: String,
        /// Whether it is started again once it is stopped.
        again: bool,
    },
    /// It is a listener that broke the protocol, and is to be started anew (`unknown_action=restart`).
    Distrust,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Spawn it and feed back [`Trigger::Spawned`] or [`Trigger::SpawnFailed`].
    Spawn,
    /// Find out whether the child has come to its program; feed back [`Trigger::SetUp`] or [`Trigger::SetUpFailed`], now or
    /// when it is so.
    AskSetUp,
    /// Send a signal to the child, or to its process group.
    Kill {
        /// Number of the signal.
        signal: i32,
        /// To the whole process group.
        group: bool,
    },
    /// Run a hook, and feed back [`Trigger::HookEnded`]. One that runs already is killed.
    Hook(Hook),
    /// Kill the hook that runs; nobody waits for its end any more.
    DropHook,
    /// The state changed; emit the event.
    Changed(Transition),
    /// Write a line to the activity log.
    Log(Level, String),
}

/// A change of state, with the values as they were when it happened (E-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    pub(crate) from: ProcessState,
    pub(crate) to: ProcessState,
    /// Failures so far (E-4).
    pub tries: u32,
    /// The child's pid, 0 without one.
    pub pid: i32,
    /// For EXITED: whether the exit was expected.
    pub expected: bool,
    /// How the child ended, where the change is due to that.
    pub exit: Option<ExitStatus>,
}
