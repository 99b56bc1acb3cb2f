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
pub(crate) mod rows;

pub(crate) mod accounts;
mod care;
pub(crate) mod check;
pub mod cmdline;
#[cfg(any(feature = "ctl", feature = "applets"))]
pub(crate) mod ctlfile;
pub(crate) mod datatypes;
pub mod dependency;
pub(crate) mod dependent;
pub mod depends;
pub(crate) mod diff;
pub mod env;
pub(crate) mod error;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(feature = "fleet")]
pub(crate) mod fleet;
pub(crate) mod getopt;
pub(crate) mod glob;
pub(crate) mod groups;
pub(crate) mod interfaces;
pub mod journal;
pub(crate) mod load;
pub(crate) mod loaded;
mod main_program;
mod nearest;
pub mod options;
mod overlay;
pub(crate) mod paths;
mod program_default;
pub(crate) mod programs;
#[cfg(feature = "fleet")]
mod publishing;
pub(crate) mod reader;
mod rescue;
mod row;
pub(crate) mod search;
pub(crate) mod servers;
mod show;
pub(crate) mod sources;
pub(crate) mod system;
pub mod tables;
pub mod types;
pub(crate) mod values;

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
pub use loaded::Config;
pub use options::{GroupOptions, ListenerOptions, LogOptions, OutputOptions, Process, Program, Stheno, Supervisord};
pub use rescue::Rescue;
pub use row::Row;
pub use system::{SystemEnv, wait_for_no_file};
pub use types::*;
