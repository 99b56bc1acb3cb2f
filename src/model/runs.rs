//! What is known of the runs of a process: when the last one began and ended, and how. People are shown it, and rules
//! about the next run ask for it.

use super::began::Began;
use crate::clock::{Mono, Now};
use crate::exit::ExitStatus;
use crate::id::Pid;

/// The runs of one process, of which the last may not be over.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// That of the child, while there is one.
    pub(super) pid: Option<Pid>,
    /// That of the last child; hooks after its end are told.
    pub(super) last_pid: Option<Pid>,
    /// It has been RUNNING since the last start.
    pub(super) came_up: bool,
    /// When the last start was attempted; `None` before the first (P-5).
    pub(super) started: Option<Mono>,
    /// The same on the wall clock of that moment, whole seconds; 0 before the first.
    pub(super) start_wall: i64,
    /// When it was last reaped, or its stop needed no child, by the wall clock; 0 before (P-65).
    pub(super) stop_wall: i64,
    /// When the last run ended.
    pub(super) ended: Mono,
    /// What `exitstatus` shows; `None` where nothing was recorded (P-63).
    pub(super) exit_status: Option<i32>,
    /// How the last run ended, also where P-63 records nothing.
    pub(super) last_exit: Option<ExitStatus>,
    /// The same, if that run came of the last start that somebody asked for.
    pub(super) exit_since_asked: Option<ExitStatus>,
    /// Why the last start or run failed; empty when it did not.
    pub(super) spawn_error: String,
    pub(super) count: u64,
}

impl Runs {
    /// The pid of the child, while there is one.
    pub fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// The pid of the last child, whether or not that lives.
    pub fn last_pid(&self) -> Option<Pid> {
        self.last_pid
    }

    /// Whether it has been RUNNING since its last start; it may have ended by now.
    pub fn came_up(&self) -> bool {
        self.came_up
    }

    /// When the last start was attempted.
    pub fn started(&self) -> Option<Mono> {
        self.started
    }

    /// When the last run began, or was to begin, in seconds since the epoch; 0 before the first (K-10).
    pub fn start_secs(&self, now: Now) -> i64 {
        self.began().map_or(self.start_wall, |began| began.shown_secs(now))
    }

    /// The same by the clock of now, to the second, as it is in `uptime_secs`.
    pub fn exact_start_secs(&self, now: Now) -> i64 {
        self.began().map_or(self.start_wall, |began| began.exact_secs(now))
    }

    /// How long the child has been there.
    pub fn uptime_secs(&self, now: Now) -> i64 {
        now.wall.secs() - self.exact_start_secs(now)
    }

    /// When it was last reaped, or stopped without a child, in seconds since the epoch; 0 before (P-65).
    pub fn stop_secs(&self) -> i64 {
        self.stop_wall
    }

    /// What `exitstatus` shows; 0 where nothing was recorded.
    pub fn exit_status(&self) -> i32 {
        self.exit_status.unwrap_or(0)
    }

    /// How the last run ended.
    pub fn last_exit(&self) -> Option<ExitStatus> {
        self.last_exit
    }

    /// How the last run ended since somebody has asked for a start.
    pub fn exit_since_asked(&self) -> Option<ExitStatus> {
        self.exit_since_asked
    }

    /// Why the last start or run failed; empty when it did not.
    pub fn spawn_error(&self) -> &str {
        &self.spawn_error
    }

    /// Runs that had a child.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Somebody has asked for a start.
    pub(super) fn asked(&mut self) {
        self.exit_since_asked = None;
    }

    /// A start is attempted.
    pub(super) fn begin(&mut self, now: Now) {
        self.exit_status = None;
        self.spawn_error.clear();
        self.came_up = false;
        self.started = Some(now.mono);
        self.start_wall = now.wall.secs();
    }

    /// It has a child.
    pub(super) fn spawned(&mut self, pid: Pid) {
        self.pid = Some(pid);
        self.last_pid = self.pid;
        self.count += 1;
    }

    /// The child was reaped; [`Runs::pid`] is left to whoever tells of it.
    pub(super) fn reaped(&mut self, status: ExitStatus, now: Now) {
        // From here on nothing tells any more what the clock was set by.
        self.start_wall = self.start_secs(now);
        self.stop_wall = now.wall.secs();
        self.ended = now.mono;
        self.last_exit = Some(status);
        self.exit_since_asked = Some(status);
    }

    /// The beginning of a run that lasts.
    fn began(&self) -> Option<Began> {
        let at = self.started.filter(|_| self.pid.is_some())?;
        Some(Began { at, wall_secs: self.start_wall })
    }
}
