//! Hooks: commands that are run at the turns of a process's life (O-6), and why a run is ended without a stop.

use super::ladder::Ladder;
use crate::config::{HookFailure, Process};

/// A turn at which a command may be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// Before the child is made.
    PreStart,
    /// Once it is RUNNING.
    PostStart,
    /// Before the first stop signal.
    PreStop,
    /// In place of the first stop signal.
    StopCommand,
    /// After each end of a child.
    PostStop,
}

impl Hook {
    /// The option that gives its command.
    pub fn option(self) -> &'static str {
        match self {
            Hook::PreStart => "pre_start_hook",
            Hook::PostStart => "post_start_hook",
            Hook::PreStop => "pre_stop_hook",
            Hook::StopCommand => "stop_command",
            Hook::PostStop => "post_stop_hook",
        }
    }

    /// The command that a process has for it.
    pub fn command(self, config: &Process) -> Option<&str> {
        let line = match self {
            Hook::PreStart => &config.pre_start_hook,
            Hook::PostStart => &config.post_start_hook,
            Hook::PreStop => &config.pre_stop_hook,
            Hook::StopCommand => &config.stop_command,
            Hook::PostStop => &config.post_stop_hook,
        };
        line.as_ref().map(|line| &*line.0)
    }

    /// Whether its failure makes the start fail: only those of a start can.
    pub fn spoils_start(self, config: &Process) -> bool {
        matches!(self, Hook::PreStart | Hook::PostStart) && config.program.hook_failure == HookFailure::Fail
    }
}

/// Why we end a run whose state stays what it is until the child is reaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The start has failed, with this `spawnerr`; another attempt follows.
    Failed(String),
    /// It has not said that it lives. What follows is decided as for any unexpected exit.
    Silent,
}

/// What is under way around a child.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Around {
    /// The hook that runs.
    pub hook: Option<Hook>,
    /// Why the run is being ended, or was.
    pub cut: Option<Cut>,
    /// How far the end of the run has come.
    pub(super) ladder: Ladder,
    /// It is started again once it is stopped.
    pub again: bool,
    /// Nothing starts it but a command.
    pub rests: bool,
    /// Why it is stopped, if nobody asked for that: `spawnerr` afterwards.
    pub reason: Option<String>,
}
