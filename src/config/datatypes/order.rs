//! Kinds of text that say what processes are to each other (O-1).

use super::{Datatype, Show};
use crate::config::env::Env;
use crate::wire::pyrepr;
use crate::wire::value::Value;

words! {
    /// `depends_on_failure`: what becomes of one that waits for what has failed.
    DependsOnFailure, "wait or fatal" {
        /// It goes on waiting.
        "wait" => Wait,
        /// It is given up.
        "fatal" => Fatal,
    }
}

words! {
    /// `on_dependency_stop`: what becomes of one that is up when what it depends on is not any more.
    OnDependencyStop, "ignore, stop or restart" {
        /// Nothing is done about it, as in 4.3.0.
        "ignore" => Ignore,
        /// It is stopped, and waits again.
        "stop" => Stop,
        /// It is restarted once the other is back.
        "restart" => Restart,
    }
}

words! {
    /// `on_group_member_exit`: what becomes of a group of which one has ended unexpectedly.
    OnGroupMemberExit, "ignore, stop_group or restart_group" {
        /// Nothing is done about it, as in 4.3.0.
        "ignore" => Ignore,
        /// The others are stopped.
        "stop_group" => StopGroup,
        /// The others are stopped, then all are started.
        "restart_group" => RestartGroup,
    }
}
