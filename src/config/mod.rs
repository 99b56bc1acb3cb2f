//! The configuration: one row per option, loading, expansion, and the difference of two configurations.
//!
//! The way of a file: [`search`] finds it, [`sources`] reads it and what it includes into one document, [`load`] takes
//! the document apart section by section with the rows of [`options`], whose texts are [`datatypes`]; [`programs`],
//! [`groups`], [`servers`] and [`interfaces`] make of them the shapes in [`types`], which are all that the rest of the
//! program sees. Changes made at run time ([`journal`]) are laid over that (`overlay`). [`cmdline`] reads the command
//! line, [`check`] says what is wrong without starting anything, [`diff`] compares two results. Everything asked of the
//! system goes through [`Env`].

#![forbid(unsafe_code)]

#[macro_use]
pub mod rows;

pub mod accounts;
mod care;
pub mod check;
pub mod cmdline;
pub mod ctlfile;
pub mod datatypes;
pub mod dependent;
pub mod depends;
pub mod diff;
pub mod env;
pub mod error;
#[cfg(test)]
pub mod fake;
pub mod glob;
pub mod groups;
pub mod interfaces;
pub mod journal;
pub mod load;
mod main_program;
mod nearest;
pub mod options;
mod overlay;
pub mod paths;
mod program_default;
pub mod programs;
pub mod reader;
mod rescue;
mod row;
pub mod search;
pub mod servers;
mod show;
pub mod sources;
pub mod system;
pub mod types;
pub mod values;

pub use datatypes::{
    CgroupRoot, DependsOnFailure, ExitCodeFrom, KillMode, LogReaped, OnDependencyStop, OnExit, OnFatal,
    OnGroupMemberExit, Percent, RestartLimit, Retries, Seconds, ShutdownSignals, ShutdownTime,
};
pub use datatypes::{
    CgroupSet, EnvFile, EnvFiles, Groups, Inherit, IoNice, Nice, OomScoreAdj, ResourceLimit, Secret, Secrets,
};
pub use datatypes::{
    Compression, Cure, HookFailure, LinePrefix, LogFile, LogFormat, MemoryAction, MemoryOf, NotifyAccess, Probe, Ready,
    RotateEvery, RunType, Show, Storage, WhenFull,
};
pub use datatypes::{Facility, Priority, SyslogAddress, SyslogTag};
pub use datatypes::{WatchdogTime, WhenDone};
pub use diff::{Difference, difference};
pub use env::Env;
pub use error::{ConfigError, usage_error};
pub use load::{CallProgram, Loader};
pub use options::{GroupOptions, ListenerOptions, LogOptions, OutputOptions, Process, Program, Stheno, Supervisord};
pub use rescue::Rescue;
pub use row::Row;
pub use system::SystemEnv;
pub use types::*;
