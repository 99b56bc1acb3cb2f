//! The process machine (P-1 to P-28, P-60 to P-73).
//!
//! In words: **Stopped** was never started or was stopped on request. A start makes it **Starting**; there it stays
//! until it was up for more than `startsecs` (then **Running**) or the start failed (then **Backoff**, counted, and
//! after a growing delay another attempt, or **Fatal** once the retries are used up). A stop request makes it
//! **Stopping** until it is reaped, with SIGKILL every `stopwaitsecs`. An exit nobody asked for makes it **Exited**,
//! from where `autorestart` may start it again. **Unknown** is entered when a signal could not be delivered.
//! Its child may need long to come to its program, if a file system does not answer: until it has, it is **Starting**
//! whatever `startsecs` says. That is asked when it would count as Running, which is when nearly all have.
//! A stop request wins over everything; while the daemon shuts down nothing is started.
//!
//! A listener that broke the protocol under `unknown_action=restart` is the one special case: it is killed, and its
//! end counts as a failed start whatever `autorestart` says: Running becomes **Backoff**, and in the end **Fatal**.
//!
//! The machine knows no system: it takes an [`Event`] and the time, and says what to do as [`Effect`]s. Timers run
//! on the monotonic clock, so a stepping wall clock moves nothing but what people see.

use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::config::{self, Autorestart};
use crate::exit::ExitStatus;
use crate::id::Pid;
use crate::level::Level;
use crate::signal;
use crate::state::{ProcessState, SupervisorState};

/// Least time between two starts of one process by `autorestart`. The original has no such floor, but its loop takes
/// as long; without one a program that ends at once with `startsecs=0` would take a whole processor.
pub const RESTART_FLOOR: Duration = Duration::from_millis(20);

/// Least time between two SIGKILLs to one child. A child in a system call that cannot be interrupted does not die at
/// once; with `stopwaitsecs=0` it would get signals, and the log lines, without a pause. The original's loop has a
/// second.
pub const KILL_FLOOR: Duration = Duration::from_secs(1);

/// A listener that broke the protocol after a longer run than this is started anew as if it had done so for the first
/// time. `startsecs` cannot be the measure: with 0 a listener that never gets the protocol right would be started for
/// ever.
pub const DISTRUST_TIME: Duration = Duration::from_secs(10);

/// What happens to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants it to run.
    Start,
    /// The spawn that was asked for succeeded.
    Spawned(Pid),
    /// The spawn that was asked for failed; the text becomes `spawnerr`.
    SpawnFailed(String),
    /// The child has come to its program.
    SetUp,
    /// The child failed on the way to its program, and ends; the text becomes `spawnerr`. Without one it is told as any
    /// other end so soon (P-52).
    SetUpFailed(Option<String>),
    /// The time that [`Process::deadline`] named has come.
    Deadline,
    /// The child was reaped.
    Exited(ExitStatus),
    /// Somebody wants it to stop.
    Stop,
    /// The daemon is shutting down and found it in BACKOFF.
    GiveUp,
    /// A signal could not be delivered, for another reason than that the process is gone.
    SignalFailed,
    /// It is a listener that broke the protocol, and is to be started anew (`unknown_action=restart`).
    Distrust,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Spawn it and feed back [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn,
    /// Find out whether the child has come to its program; feed back [`Event::SetUp`] or [`Event::SetUpFailed`], now or
    /// when it is so.
    AskSetUp,
    /// Send a signal to the child, or to its process group.
    Kill {
        /// Number of the signal.
        signal: i32,
        /// To the whole process group.
        group: bool,
    },
    /// The state changed; emit the event.
    Changed(Transition),
    /// Write a line to the activity log.
    Log(Level, String),
}

/// A change of state, with the values as they were when it happened (E-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state left.
    pub from: ProcessState,
    /// The state entered.
    pub to: ProcessState,
    /// Failures so far (E-4).
    pub tries: u32,
    /// The child's pid, 0 without one.
    pub pid: i32,
    /// For EXITED: whether the exit was expected.
    pub expected: bool,
    /// How the child ended, where the change is due to that.
    pub exit: Option<ExitStatus>,
}

/// How far the child of a process has come, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has asked.
    Unknown,
    /// Asked; the answer comes when it is there.
    Asked,
    /// Its program runs.
    Done,
    /// It failed on the way, and ends.
    Failed(Option<String>),
}

/// One process over all its runs.
#[derive(Clone, Debug)]
pub struct Process {
    state: ProcessState,
    pid: Option<Pid>,
    stage: Stage,
    /// It has been RUNNING since the last start.
    came_up: bool,
    /// When the last start was attempted; `None` before the first (P-5).
    started: Option<Mono>,
    /// The same on the wall clock, whole seconds; 0 before the first.
    pub start_wall: i64,
    /// When it was last reaped, wall clock; 0 before (P-65).
    pub stop_wall: i64,
    /// Failed starts in a row.
    backoff: i64,
    /// The run is being ended because the protocol was broken.
    distrusted: bool,
    /// Quick runs in a row that ended so. RUNNING, which clears `backoff`, does not clear it.
    distrusts: i64,
    /// Backoff: when to try again. Stopping: when to send SIGKILL.
    delay: Mono,
    /// What `exitstatus` shows; `None` where nothing was recorded (P-63).
    exit_status: Option<i32>,
    /// How the last run ended, also where P-63 records nothing.
    last_exit: Option<ExitStatus>,
    /// Why the last start or run failed; empty when it did not.
    spawn_error: String,
    /// Runs begun by this process so far.
    pub starts: u64,
}

impl Default for Process {
    fn default() -> Process {
        Process {
            state: ProcessState::Stopped,
            pid: None,
            stage: Stage::Unknown,
            came_up: false,
            started: None,
            start_wall: 0,
            stop_wall: 0,
            backoff: 0,
            distrusted: false,
            distrusts: 0,
            delay: Mono(0),
            exit_status: None,
            last_exit: None,
            spawn_error: String::new(),
            starts: 0,
        }
    }
}

impl Process {
    /// Its state.
    pub fn state(&self) -> ProcessState {
        self.state
    }

    /// Its pid, while there is a child.
    pub fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Whether it has been RUNNING since its last start; it may have ended by now.
    pub fn came_up(&self) -> bool {
        self.came_up
    }

    /// Whether it is not known how far its child came on the way to its program.
    pub fn is_setting_up(&self) -> bool {
        self.state == ProcessState::Starting
            && self.pid.is_some()
            && matches!(self.stage, Stage::Unknown | Stage::Asked)
    }

    /// Why the last start or run failed; empty when it did not.
    pub fn spawn_error(&self) -> &str {
        &self.spawn_error
    }

    /// What `exitstatus` shows; 0 where nothing was recorded.
    pub fn exit_status(&self) -> i32 {
        self.exit_status.unwrap_or(0)
    }

    /// How the last run ended.
    pub fn last_exit(&self) -> Option<ExitStatus> {
        self.last_exit
    }

    /// When the last start was attempted.
    pub fn started(&self) -> Option<Mono> {
        self.started
    }

    /// When [`Event::Deadline`] is due; `None` is never. Moments in the past are due at once.
    pub fn deadline(&self, config: &config::Process, daemon: SupervisorState) -> Option<Mono> {
        use ProcessState::*;
        let may_start = daemon == SupervisorState::Running;
        match self.state {
            Stopped => (may_start && self.started.is_none() && config.program.autostart).then_some(Mono(0)),
            Starting if matches!(self.stage, Stage::Asked | Stage::Failed(_)) => None,
            Starting => self.pid.map(|_| self.running_at(config)),
            Backoff if self.backoff > config.program.startretries => Some(Mono(0)),
            Backoff => may_start.then_some(self.delay),
            Stopping => Some(self.delay),
            Exited if may_start && self.wants_restart(config) => {
                Some(self.started.map_or(Mono(0), |start| start.after(RESTART_FLOOR)))
            }
            Running | Exited | Fatal | Unknown => None,
        }
    }

    /// The whole machine. Pairs that are not listed mean nothing and change nothing.
    pub fn step(
        &mut self,
        event: Event,
        config: &config::Process,
        daemon: SupervisorState,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        use ProcessState::*;
        match (self.state, event) {
            (Stopped | Exited | Fatal, Event::Start) if self.pid.is_none() => self.start(now, out),
            (Backoff, Event::Start) if self.pid.is_none() => self.start(now, out),
            (Stopping | Unknown, Event::Start) if self.pid.is_some() => {
                out.push(Effect::Log(Level::Warn, format!("process '{}' already running", config.name)));
            }

            (Starting, Event::Spawned(pid)) => {
                self.pid = Some(pid);
                self.stage = Stage::Unknown;
                self.starts += 1;
                out.push(Effect::Log(Level::Info, format!("spawned: '{}' with pid {}", config.name, pid.0)));
            }
            (Starting, Event::SpawnFailed(text)) => {
                out.push(Effect::Log(Level::Info, format!("spawnerr: {text}")));
                self.spawn_error = text;
                self.enter_backoff(now, None, out);
            }

            (Starting, Event::Deadline) if self.pid.is_some() && now.mono >= self.running_at(config) => {
                match self.stage {
                    Stage::Unknown => {
                        self.stage = Stage::Asked;
                        out.push(Effect::AskSetUp);
                    }
                    Stage::Done => self.succeed(config, out),
                    Stage::Asked | Stage::Failed(_) => {}
                }
            }
            (Starting, Event::SetUp) if self.is_setting_up() => {
                self.stage = Stage::Done;
                if self.pid.is_some() && now.mono >= self.running_at(config) {
                    self.succeed(config, out);
                }
            }
            (Starting, Event::SetUpFailed(text)) if self.is_setting_up() => self.stage = Stage::Failed(text),
            (Backoff, Event::Deadline) if self.backoff > config.program.startretries => {
                self.give_up(out);
                out.push(Effect::Log(
                    Level::Info,
                    format!("gave up: {} entered FATAL state, too many start retries too quickly", config.name),
                ));
            }
            // Everything that starts without being asked stands below this guard.
            (Stopped | Backoff | Exited, Event::Deadline)
                if self.deadline(config, daemon).is_some_and(|at| at <= now.mono) =>
            {
                self.start(now, out);
            }
            (Stopping, Event::Deadline) if now.mono >= self.delay => {
                let pid = self.pid.map_or(0, |pid| pid.0);
                out.push(Effect::Log(Level::Warn, format!("killing '{}' ({pid}) with SIGKILL", config.name)));
                self.kill(libc::SIGKILL, config.program.killasgroup, config, now, out);
            }

            (Starting | Running, Event::Stop) if self.pid.is_some() => {
                let signal = config.program.stopsignal.0;
                self.kill(signal, config.program.stopasgroup, config, now, out);
            }
            // Straight to STOPPED, and the counter of failures goes on from here (P-23).
            (Backoff, Event::Stop) => {
                let text = format!("Attempted to kill {}, which is in BACKOFF state.", config.name);
                out.push(Effect::Log(Level::Debug, text));
                self.change(Stopped, false, None, out);
            }
            (Backoff, Event::GiveUp) => self.give_up(out),
            // It stays in its state until it is reaped. While the daemon stops everything its turn will come anyway.
            (Starting | Running, Event::Distrust)
                if self.pid.is_some() && !self.distrusted && daemon == SupervisorState::Running =>
            {
                let pid = self.pid.map_or(0, |pid| pid.0);
                out.push(Effect::Log(
                    Level::Warn,
                    format!(
                        "killing '{}' ({pid}) with SIGKILL because it violated the eventlistener protocol \
                         (unknown_action=restart)",
                        config.name
                    ),
                ));
                self.distrusted = true;
                out.push(Effect::Kill { signal: libc::SIGKILL, group: config.program.killasgroup });
            }
            (Starting | Running | Stopping, Event::SignalFailed) => self.change(Unknown, false, None, out),

            (Starting | Running | Stopping | Unknown, Event::Exited(status)) if self.pid.is_some() => {
                self.finish(status, config, now, out);
            }
            _ => {}
        }
    }

    /// When it counts as RUNNING: strictly more than `startsecs` after the start (P-20).
    fn running_at(&self, config: &config::Process) -> Mono {
        let start = self.started.unwrap_or_default();
        match u64::try_from(config.program.startsecs) {
            Ok(secs) if secs > 0 => Mono(start.after(Duration::from_secs(secs)).0.saturating_add(1)),
            _ => start,
        }
    }

    /// The autorestart rule (P-24).
    fn wants_restart(&self, config: &config::Process) -> bool {
        match config.program.autorestart {
            Autorestart::Always => true,
            Autorestart::Unexpected => !config.program.exitcodes.0.contains(&self.exit_status.unwrap_or(-1)),
            Autorestart::Never => false,
        }
    }

    fn start(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.exit_status = None;
        self.spawn_error.clear();
        self.distrusted = false;
        self.came_up = false;
        self.started = Some(now.mono);
        self.start_wall = now.wall.secs();
        self.change(ProcessState::Starting, false, None, out);
        out.push(Effect::Spawn);
    }

    fn succeed(&mut self, config: &config::Process, out: &mut Vec<Effect>) {
        self.backoff = 0;
        self.change(ProcessState::Running, false, None, out);
        out.push(Effect::Log(
            Level::Info,
            format!(
                "success: {} entered RUNNING state, process has stayed up for > than {} seconds (startsecs)",
                config.name, config.program.startsecs
            ),
        ));
    }

    fn kill(&mut self, signal: i32, group: bool, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        let pid = self.pid.map_or(0, |pid| pid.0);
        out.push(Effect::Log(
            Level::Debug,
            format!(
                "killing {} (pid {pid}) {}with signal {}",
                config.name,
                if group { "process group " } else { "" },
                signal::name(signal)
            ),
        ));
        let wait = Duration::from_secs(u64::try_from(config.program.stopwaitsecs).unwrap_or(0));
        let floor = if self.state == ProcessState::Stopping { KILL_FLOOR } else { Duration::ZERO };
        self.delay = now.mono.after(wait.max(floor));
        self.change(ProcessState::Stopping, false, None, out);
        out.push(Effect::Kill { signal, group });
    }

    fn give_up(&mut self, out: &mut Vec<Effect>) {
        self.backoff = 0;
        self.distrusts = 0;
        self.change(ProcessState::Fatal, false, None, out);
    }

    fn enter_backoff(&mut self, now: Now, exit: Option<ExitStatus>, out: &mut Vec<Effect>) {
        self.backoff += 1;
        self.delay = now.mono.after(Duration::from_secs(self.backoff as u64));
        self.change(ProcessState::Backoff, false, exit, out);
    }

    /// The child was reaped (P-60 to P-67).
    fn finish(&mut self, status: ExitStatus, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        use ProcessState::*;
        let code = status.code();
        let expected = config.program.exitcodes.0.contains(&code);
        let failed = match std::mem::replace(&mut self.stage, Stage::Unknown) {
            Stage::Failed(text) => Some(text),
            _ => None,
        };
        // However long it took: it has never come to its program.
        let too_quick = config.program.startsecs > 0 && (now.mono < self.running_at(config) || failed.is_some());
        let unmet = failed.flatten();
        self.stop_wall = now.wall.secs();
        self.last_exit = Some(status);
        match self.state {
            Stopping => {
                self.exit_status = Some(code);
                self.change(Stopped, false, Some(status), out);
                let level = if expected { Level::Info } else { Level::Warn };
                out.push(Effect::Log(level, format!("stopped: {} ({})", config.name, status.text())));
            }
            Starting | Running if self.distrusted => {
                let is_quick = self.started.is_some_and(|start| now.mono.since(start) < DISTRUST_TIME);
                self.distrusts = if is_quick { self.distrusts + 1 } else { 1 };
                // Failed starts before it came to the first violation count too.
                self.backoff = self.backoff.max(self.distrusts - 1);
                self.exit_status = Some(code);
                self.spawn_error = "Violated the eventlistener protocol".to_string();
                self.enter_backoff(now, Some(status), out);
                let text = format!("exited: {} ({}; not expected)", config.name, status.text());
                out.push(Effect::Log(Level::Warn, text));
            }
            Starting if too_quick || unmet.is_some() => {
                self.exit_status = None;
                self.spawn_error =
                    unmet.unwrap_or_else(|| "Exited too quickly (process log may have details)".to_string());
                self.enter_backoff(now, Some(status), out);
                let text = format!("exited: {} ({}; not expected)", config.name, status.text());
                out.push(Effect::Log(Level::Warn, text));
            }
            _ => {
                self.backoff = 0;
                self.exit_status = Some(code);
                if self.state == Starting {
                    self.change(Running, false, None, out);
                }
                if !expected {
                    self.spawn_error = format!("Bad exit code {code}");
                }
                self.change(Exited, expected, Some(status), out);
                let (level, word) = if expected { (Level::Info, "expected") } else { (Level::Warn, "not expected") };
                out.push(Effect::Log(level, format!("exited: {} ({}; {word})", config.name, status.text())));
            }
        }
        self.pid = None;
    }

    /// The only place where the state changes, so the event cannot be forgotten. Same state: no event (P-4).
    fn change(&mut self, to: ProcessState, expected: bool, exit: Option<ExitStatus>, out: &mut Vec<Effect>) {
        if self.state == to {
            return;
        }
        let from = std::mem::replace(&mut self.state, to);
        self.came_up |= to == ProcessState::Running;
        let pid = self.pid.map_or(0, |pid| pid.0);
        out.push(Effect::Changed(Transition {
            from,
            to,
            tries: u32::try_from(self.backoff).unwrap_or(u32::MAX),
            pid,
            expected,
            exit,
        }));
    }
}

#[cfg(test)]
mod tests;
