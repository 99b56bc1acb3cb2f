//! Rules as the rest of the program sees them: of one application and of one process, once files, models and plain options are
//! laid over each other.

use std::rc::Rc;

use super::words::{Distribution, RunningFailure, StartingFailure, StartingStrategy};
use crate::wire::formula::Formula;

/// How a rule's instances are given out among the processes of a program (V-80).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// All of them are candidates for each.
    All,
    /// `@`: one process an instance.
    At,
    /// `#`: processes are spread evenly over the instances.
    Hash,
}

/// Rules of an application (V-70 to V-77).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ApplicationRules {
    pub managed: bool,
    pub distribution: Distribution,
    pub identifiers: Vec<String>,
    pub spread: Spread,
    pub start_sequence: i64,
    pub stop_sequence: i64,
    pub starting_strategy: StartingStrategy,
    pub starting_failure: StartingFailure,
    pub running_failure: RunningFailure,
    /// The formula by which an application's state is told, as it is written.
    pub status_formula: String,
    pub formula: Option<Rc<Formula>>,
}

/// Rules of a process (V-71 to V-79).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct ProcessRules {
    pub identifiers: Vec<String>,
    pub spread: Spread,
    pub start_sequence: i64,
    pub stop_sequence: i64,
    pub required: bool,
    pub wait_exit: bool,
    /// 0 for no limit.
    pub wait_exit_secs: u64,
    pub expected_loading: i64,
    pub starting_failure: StartingFailure,
    pub running_failure: RunningFailure,
}

/// What stands for every instance.
pub const EVERYWHERE: &str = "*";

impl Default for ApplicationRules {
    /// Those of an application that nothing is said of.
    fn default() -> ApplicationRules {
        ApplicationRules {
            managed: false,
            distribution: Distribution::AllInstances,
            identifiers: vec![EVERYWHERE.to_string()],
            spread: Spread::All,
            start_sequence: 0,
            stop_sequence: 0,
            starting_strategy: StartingStrategy::Config,
            starting_failure: StartingFailure::Abort,
            running_failure: RunningFailure::Continue,
            status_formula: String::new(),
            formula: None,
        }
    }
}

impl Default for ProcessRules {
    /// Those of a process of an application that is not managed: its stop rank is none (V-172).
    fn default() -> ProcessRules {
        ProcessRules {
            identifiers: vec![EVERYWHERE.to_string()],
            spread: Spread::All,
            start_sequence: 0,
            stop_sequence: -1,
            required: false,
            wait_exit: false,
            wait_exit_secs: 0,
            expected_loading: 0,
            starting_failure: StartingFailure::Abort,
            running_failure: RunningFailure::Continue,
        }
    }
}
