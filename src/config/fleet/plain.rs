//! The rules as plain options of programs and groups, for those without a rules file.

use super::said::{RANK_MAX, Said};
use super::values::Whole;
use super::words::{RunningFailure, StartingFailure, StartingStrategy};
use crate::config::datatypes::{Datatype, Show};
use crate::config::env::Nowhere;
use crate::config::error::ConfigError;
use crate::config::options::Row;
use crate::config::reader::Reader;
use crate::config::reader::Scope;
use crate::config::rows::{Field, Put, Walk};
use crate::wire::ini::{Document, Section};

options! {
    /// Rules of a program, in `[program:x]`.
    PlainProgram {
        /// Its rank when its group is started: lower ones first, the next when all of one are up. With a rank from 1 on it is
        /// started in its turn, not by autostart; 0 for none.
        start_sequence: Option<Whole<0, RANK_MAX>>;
        /// Its rank when its group is stopped, highest first; as start_sequence by default.
        stop_sequence: Option<Whole<0, RANK_MAX>>;
        /// If it does not start, starting_failure_strategy applies, and without it its group is not whole.
        required: Option<bool>;
        /// The next rank waits for it to exit as expected.
        wait_exit: Option<bool>;
        /// Seconds after which one that is waited for has failed to; 0 never.
        wait_exit_secs: Option<Whole<0, 31_536_000>>;
        /// What becomes of its group's start when it is required and does not start: ABORT, STOP or CONTINUE.
        starting_failure_strategy: Option<StartingFailure>;
        /// What is done when it is given up or exits unexpectedly: CONTINUE, RESTART_PROCESS, STOP_APPLICATION,
        /// RESTART_APPLICATION, SHUTDOWN or RESTART.
        running_failure_strategy: Option<RunningFailure>;
        /// What it is expected to take of its machine, in percent.
        expected_loading: Option<Whole<0, 100>>;
    }
}

options! {
    /// Rules of a group, in `[group:x]`.
    PlainGroup {
        /// Its rank among the groups: lower ones start first, the next when all of one are done.
        start_sequence: Option<Whole<0, RANK_MAX>>;
        /// Its rank when all are stopped, highest first; as start_sequence by default.
        stop_sequence: Option<Whole<0, RANK_MAX>>;
        /// Where its programs are started, among several hosts.
        starting_strategy: Option<StartingStrategy>;
        /// What becomes of its start when a required program does not start: ABORT, STOP or CONTINUE.
        starting_failure_strategy: Option<StartingFailure>;
        /// What is done when one of its programs is given up or exits unexpectedly, as for a program.
        running_failure_strategy: Option<RunningFailure>;
        /// When it is as it should be: a formula of names of programs with and, or, not, any(), all().
        operational_status: Option<String>;
    }
}

/// Whether a program is started in a sequence by its plain options.
pub(in crate::config) fn is_sequenced(reader: &Reader<'_>) -> bool {
    let is_program = ["program:", "fcgi-program:"].iter().any(|kind| reader.section.name.starts_with(kind));
    is_program && reader.value::<i64>("start_sequence").is_some_and(|rank| rank.is_ok_and(|rank| rank > 0))
}

/// What a section says; `None` if it says nothing.
pub(super) fn read(reader: &Reader<'_>, is_group: bool) -> Result<Option<Said>, ConfigError> {
    let rows = if is_group { PlainGroup::ROWS } else { PlainProgram::ROWS };
    if rows.iter().all(|row| reader.entry(row.name).is_none()) {
        return Ok(None);
    }
    let said = if is_group {
        let plain = PlainGroup::read(reader)?;
        Said {
            start_sequence: plain.start_sequence.map(|Whole(rank)| rank),
            stop_sequence: plain.stop_sequence.map(|Whole(rank)| rank),
            starting_strategy: plain.starting_strategy,
            starting_failure: plain.starting_failure_strategy,
            running_failure: plain.running_failure_strategy,
            operational_status: plain.operational_status.filter(|text| !text.is_empty()),
            ..Said::default()
        }
    } else {
        let plain = PlainProgram::read(reader)?;
        Said {
            start_sequence: plain.start_sequence.map(|Whole(rank)| rank),
            stop_sequence: plain.stop_sequence.map(|Whole(rank)| rank),
            required: plain.required,
            wait_exit: plain.wait_exit,
            wait_exit_secs: plain.wait_exit_secs.and_then(|Whole(secs)| u64::try_from(secs).ok()),
            starting_failure: plain.starting_failure_strategy,
            running_failure: plain.running_failure_strategy,
            expected_loading: plain.expected_loading.map(|Whole(loading)| loading),
            ..Said::default()
        }
    };
    Ok(Some(said).filter(|said| !said.is_nothing()))
}
