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
//! Where what a run leaves behind is ended with it (`killmode`), the next run waits until it is gone, as it waits for the
//! end of a hook: until then nothing is started by itself, and a start that somebody asks for is **Starting** without a
//! child.
//!
//! The machine knows no system: it takes an [`Trigger`] and the time, and says what to do as [`Effect`]s. Timers run
//! on the monotonic clock, so a stepping wall clock moves nothing but what people see.

mod end;
mod hooks;
mod stop;
mod types;

use std::time::Duration;

use super::ladder::Rung;
use super::retry::{self, Retry};
use super::runs::Runs;
use crate::clock::{Mono, Now};
use crate::config::{self, Autorestart, Ready, RunType};
use crate::exit::ExitStatus;
use crate::id::Pid;
use crate::level::Level;
use crate::model::hook::{Around, Cut, Hook};
use crate::state::{ProcessState, SupervisorState};

pub use super::ladder::KILL_FLOOR;
pub use types::{Effect, Transition, Trigger};

/// Least time between two starts of one process by `autorestart`. The original has no such floor, but its loop takes
/// as long; without one a program that ends at once with `startsecs=0` would take a whole processor.
pub const RESTART_FLOOR: Duration = Duration::from_millis(20);

/// A listener that broke the protocol after a longer run than this is started anew as if it had done so for the first
/// time. `startsecs` cannot be the measure: with 0 a listener that never gets the protocol right would be started for
/// ever.
pub const DISTRUST_TIME: Duration = Duration::from_secs(10);

/// How far the child of a process has come, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum SetUpStage {
    #[default]
    Unknown,
    /// Asked; the answer comes when it is there.
    Asked,
    Done,
    /// It failed on the way, and ends.
    Failed(Option<String>),
}

/// One process over all its runs.
#[derive(Clone, Debug, Default)]
pub struct Process {
    state: ProcessState,
    runs: Runs,
    stage: SetUpStage,
    /// Failed starts in a row.
    backoff: i64,
    /// The run is being ended because the protocol was broken.
    distrusted: bool,
    /// Quick runs in a row that ended so. RUNNING, which clears `backoff`, does not clear it.
    distrusts: i64,
    /// What was tried without being asked.
    retry: Retry,
    /// Backoff: when to try again. Stopping: when to send SIGKILL.
    due: Mono,
    /// When it has to be ready.
    ready_by: Option<Mono>,
    /// Hooks, and the steps of an end.
    around: Around,
    /// The next run waits for what the last one left behind.
    waits_for_leftovers: bool,
    /// No run follows an exit by itself, whatever `autorestart` says.
    is_never_restarted: bool,
}

impl Process {
    /// The state that people are shown, but that a process which waits for others is shown as STOPPED.
    pub fn state(&self) -> ProcessState {
        self.state
    }

    /// What is known of its runs.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// Its pid, while there is a child.
    pub fn pid(&self) -> Option<Pid> {
        self.runs.pid
    }

    /// Whether it is not known how far its child came on the way to its program.
    pub fn is_setting_up(&self) -> bool {
        self.state == ProcessState::Starting
            && self.runs.pid.is_some()
            && matches!(self.stage, SetUpStage::Unknown | SetUpStage::Asked)
    }

    /// Whether its run was told to end by this signal, as a step of `stopsignal`.
    pub fn was_told(&self, signal: i32) -> bool {
        self.around.ladder.has_sent(signal)
    }

    /// The hook that runs.
    pub fn hook(&self) -> Option<Hook> {
        self.around.hook
    }

    /// Whether it is being stopped only to be started again.
    pub fn is_coming_back(&self) -> bool {
        self.around.again
    }

    /// Whether we are ending its run, in whatever state it is.
    pub fn is_cut(&self) -> bool {
        self.around.cut.is_some()
    }

    /// From here on nothing starts it but a command, until it was started.
    pub fn rest(&mut self) {
        if self.state.is_stopped() {
            self.around.rests = true;
        }
    }

    /// Whether nothing but a command starts it, whatever its options say.
    pub fn rests(&self) -> bool {
        self.around.rests
    }

    /// Takes `autorestart` from it, or gives it back: a run that ends may be somebody else's matter (V-85, V-460). What has
    /// ended meanwhile stays as it is.
    #[cfg(feature = "fleet")]
    pub fn never_restart(&mut self, is_never: bool) {
        self.around.rests |= self.is_never_restarted && !is_never && self.state == ProcessState::Exited;
        self.is_never_restarted = is_never;
    }

    /// Whether it was told to stop and even killed, and has been killed again since.
    pub fn is_unkillable(&self, config: &config::Process) -> bool {
        self.state == ProcessState::Stopping && self.around.ladder.is_of_no_use(&config.program)
    }

    /// The next run has to wait until [`Trigger::Cleared`].
    pub fn wait_for_leftovers(&mut self) {
        self.waits_for_leftovers = true;
    }

    /// Whether the next run waits for what the last one left behind.
    pub fn waits_for_leftovers(&self) -> bool {
        self.waits_for_leftovers
    }

    /// Whether it is over as far as it goes by itself: nothing starts it again unless somebody asks.
    pub fn is_over(&self, config: &config::Process) -> bool {
        match self.state {
            ProcessState::Exited => self.around.rests || !self.wants_restart(config),
            ProcessState::Fatal => true,
            _ => false,
        }
    }

    /// When [`Trigger::Deadline`] is due; `None` is never. Moments in the past are due at once.
    pub fn deadline(&self, config: &config::Process, daemon: SupervisorState) -> Option<Mono> {
        use ProcessState::*;
        let may_start = daemon == SupervisorState::Running;
        match self.state {
            // Whatever comes next waits for it.
            Stopped | Backoff | Exited if self.around.hook.is_some() => None,
            Stopping if self.around.hook == Some(Hook::PreStop) => None,
            Stopped | Exited if self.around.rests => None,
            Stopped if self.waits_for_leftovers => None,
            Backoff if self.waits_for_leftovers && !self.are_retries_used_up(config) => None,
            // What only enters the pause between two runs does not wait.
            Exited if self.waits_for_leftovers && !retry::pauses(&config.program) => None,
            Stopped if self.around.again => may_start.then_some(Mono(0)),
            Stopped => (may_start && self.runs.started.is_none() && config.program.autostart).then_some(Mono(0)),
            Starting | Running if self.runs.pid.is_some() && self.around.cut.is_some() => Some(self.due),
            Starting if config.ready != Ready::Startsecs => self.runs.pid.and(self.ready_by),
            Starting if matches!(self.stage, SetUpStage::Asked | SetUpStage::Failed(_)) => None,
            Starting => self.runs.pid.map(|_| self.running_at(config)),
            Running => self.runs.pid.and_then(|_| self.done_by(config)),
            Backoff if self.are_retries_used_up(config) => Some(Mono(0)),
            Backoff => may_start.then_some(self.due),
            Stopping => Some(self.due),
            Exited if may_start && self.wants_restart(config) => {
                Some(self.runs.started.map_or(Mono(0), |start| start.after(RESTART_FLOOR)))
            }
            Exited | Fatal | Unknown => None,
        }
    }

    /// The whole machine. Pairs that are not listed mean nothing and change nothing.
    pub fn step(
        &mut self,
        trigger: Trigger,
        config: &config::Process,
        daemon: SupervisorState,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        use ProcessState::*;
        match (self.state, trigger) {
            (Stopped | Exited | Fatal | Backoff, Trigger::Start) if self.runs.pid.is_none() => {
                self.retry.begin_anew();
                self.runs.asked();
                self.start(config, now, out);
            }
            (Stopped | Exited | Fatal, Trigger::Resume) if self.runs.pid.is_none() => {
                self.start_within_limit(config, now, out);
            }
            (Stopped | Exited | Fatal, Trigger::Refuse(text)) if self.runs.pid.is_none() => {
                out.push(Effect::Log(Level::Info, format!("gave up: {} entered FATAL state, {text}", config.name)));
                self.runs.spawn_error = text;
                self.around.again = false;
                self.around.rests = true;
                self.change(Fatal, false, None, out);
            }
            (Stopping | Unknown, Trigger::Start) if self.runs.pid.is_some() => {
                out.push(Effect::Log(Level::Warn, format!("process '{}' already running", config.name)));
            }

            (Starting, Trigger::Spawned(pid)) => {
                self.runs.spawned(pid);
                self.stage = SetUpStage::Unknown;
                self.ready_by = None;
                let ready_timeout = config.program.ready_timeout.0;
                if config.ready != Ready::Startsecs && !ready_timeout.is_zero() {
                    self.ready_by = Some(now.mono.after(ready_timeout));
                }
                out.push(Effect::Log(Level::Info, format!("spawned: '{}' with pid {}", config.name, pid.0)));
            }
            (Starting, Trigger::SpawnFailed(text)) => {
                out.push(Effect::Log(Level::Info, format!("spawnerr: {text}")));
                self.runs.spawn_error = text;
                self.enter_backoff(config, now, None, out);
            }

            (Starting | Running, Trigger::Deadline) if self.runs.pid.is_some() && self.around.cut.is_some() => {
                self.go_on_ending(config, now, out);
            }
            (Starting, Trigger::Deadline) if self.runs.pid.is_some() && config.ready != Ready::Startsecs => {
                self.look_whether_late(config, now, out);
            }
            (Starting, Trigger::Ready)
                if self.runs.pid.is_some() && self.around.cut.is_none() && config.ready != Ready::Startsecs =>
            {
                self.enter_running(format!("process is ready ({})", config.ready.kind()), config, now, out);
            }
            (Starting, Trigger::Extend(more)) => {
                self.ready_by = self.ready_by.map(|at| at.max(now.mono.after(more)));
            }
            (Starting, Trigger::Deadline) if self.runs.pid.is_some() && now.mono >= self.running_at(config) => {
                match self.stage {
                    SetUpStage::Unknown => {
                        self.stage = SetUpStage::Asked;
                        out.push(Effect::AskSetUp);
                    }
                    SetUpStage::Done => self.stay_up(config, now, out),
                    SetUpStage::Asked | SetUpStage::Failed(_) => {}
                }
            }
            (Running, Trigger::Deadline) if self.done_by(config).is_some_and(|at| at <= now.mono) => {
                let secs = config.program.run_timeout.0.as_secs_f64();
                self.fail(format!("Not done within {secs} seconds"), config, now, out);
            }
            (Running, Trigger::Silent) if self.runs.pid.is_some() && self.around.cut.is_none() => {
                self.around.cut = Some(Cut::Silent);
                let rung = self.around.ladder.only(config.program.watchdog_signal.0, &config.program);
                self.signal(rung, config, now, out);
            }
            (Starting | Running, Trigger::Unfit { reason, again })
                if self.runs.pid.is_some() && self.around.cut.is_none() =>
            {
                self.begin_stop(config, now, out);
                self.around.reason = Some(reason);
                self.around.again = again;
            }
            (_, Trigger::HookEnded(hook, result)) if self.around.hook == Some(hook) => {
                self.around.hook = None;
                let is_next = self.state == Starting && self.runs.pid.is_none() && !self.waits_for_leftovers;
                let is_spoilt = result.is_err() && hook.spoils_start(config);
                if is_next && !is_spoilt && daemon != SupervisorState::Running {
                    // Nothing is started while the daemon stops everything.
                    self.end_before_start(config, now, out);
                } else {
                    self.hook_ended(hook, result, config, now, out);
                }
            }
            // Nothing is started while the daemon stops everything; its turn to be told so will come.
            (Starting, Trigger::Cleared) if daemon != SupervisorState::Running => {}
            (state, Trigger::Cleared) => {
                self.waits_for_leftovers = false;
                if state == Starting && self.runs.pid.is_none() && self.around.hook.is_none() {
                    self.prepare(config, out);
                }
            }
            (Starting, Trigger::SetUp) if self.is_setting_up() => {
                self.stage = SetUpStage::Done;
                if self.runs.pid.is_some() && now.mono >= self.running_at(config) {
                    self.stay_up(config, now, out);
                }
            }
            (Starting, Trigger::SetUpFailed(text)) if self.is_setting_up() => self.stage = SetUpStage::Failed(text),
            (Backoff, Trigger::Deadline) if self.are_retries_used_up(config) => {
                self.give_up(out);
                out.push(Effect::Log(
                    Level::Info,
                    format!("gave up: {} entered FATAL state, too many start retries too quickly", config.name),
                ));
            }
            // Everything that starts without being asked stands below this guard.
            (Stopped | Backoff | Exited, Trigger::Deadline)
                if self.deadline(config, daemon).is_some_and(|at| at <= now.mono) =>
            {
                self.start_unasked(config, now, out);
            }
            (Stopping, Trigger::Deadline) if now.mono >= self.due && self.around.hook != Some(Hook::PreStop) => {
                self.next_signal(config, now, out);
            }

            // It goes on from the step that was taken.
            (Starting | Running, Trigger::Stop) if self.runs.pid.is_some() && self.around.cut.is_some() => {
                self.around.cut = None;
                self.change(Stopping, false, None, out);
            }
            (Starting | Running, Trigger::Stop) if self.runs.pid.is_some() => self.begin_stop(config, now, out),
            (Starting, Trigger::Stop)
                if self.around.hook.is_some() || self.waits_for_leftovers && self.runs.pid.is_none() =>
            {
                if self.around.hook == Some(Hook::PreStart) {
                    self.drop_hook(out);
                }
                self.end_before_start(config, now, out);
            }
            (Stopping | Stopped, Trigger::Stop) => {
                self.around.again = false;
                self.around.reason = None;
            }
            (Starting | Running | Stopping, Trigger::Kill) if self.runs.pid.is_some() => {
                self.drop_hook(out);
                self.around.cut = None;
                let (group, wait) = (config.program.kills_group(), KILL_FLOOR);
                self.signal(Rung { signal: libc::SIGKILL, group, wait, is_last: false }, config, now, out);
            }
            // Straight to STOPPED, and the counter of failures goes on from here (P-23).
            (Backoff, Trigger::Stop) => {
                let text = format!("Attempted to kill {}, which is in BACKOFF state.", config.name);
                out.push(Effect::Log(Level::Debug, text));
                self.change(Stopped, false, None, out);
            }
            // It was only waiting between two runs.
            (Backoff, Trigger::GiveUp) if self.retry.is_pausing => self.change(Stopped, false, None, out),
            (Backoff, Trigger::GiveUp) => self.give_up(out),
            // It stays in its state until it is reaped. While the daemon stops everything its turn will come anyway.
            (Starting | Running, Trigger::Distrust)
                if self.runs.pid.is_some() && !self.distrusted && daemon == SupervisorState::Running =>
            {
                let pid = self.runs.pid.map_or(0, |pid| pid.0);
                out.push(Effect::Log(
                    Level::Warn,
                    format!(
                        "killing '{}' ({pid}) with SIGKILL because it violated the eventlistener protocol \
                         (unknown_action=restart)",
                        config.name
                    ),
                ));
                self.distrusted = true;
                out.push(Effect::Kill { signal: libc::SIGKILL, group: config.program.kills_group() });
            }
            (Starting | Running | Stopping, Trigger::SignalFailed) => self.change(Unknown, false, None, out),

            (Starting | Running | Stopping | Unknown, Trigger::Exited(status)) if self.runs.pid.is_some() => {
                self.finish(status, config, now, out);
            }
            _ => {}
        }
    }

    /// When it counts as RUNNING: strictly more than `startsecs` after the start (P-20).
    fn running_at(&self, config: &config::Process) -> Mono {
        let start = self.runs.started.unwrap_or_default();
        match u64::try_from(config.program.startsecs) {
            Ok(secs) if secs > 0 => Mono(start.after(Duration::from_secs(secs)).0.saturating_add(1)),
            _ => start,
        }
    }

    /// The autorestart rule (P-24).
    fn wants_restart(&self, config: &config::Process) -> bool {
        let is_silent = self.around.cut == Some(Cut::Silent);
        match config.program.autorestart {
            _ if self.is_never_restarted => false,
            Autorestart::Unexpected if is_silent => true,
            Autorestart::Always => true,
            Autorestart::Unexpected => !config.program.exitcodes.0.contains(&self.runs.exit_status.unwrap_or(-1)),
            Autorestart::Never | Autorestart::Essential => false,
        }
    }

    /// When a one-shot has to be done.
    fn done_by(&self, config: &config::Process) -> Option<Mono> {
        let limit = config.program.run_timeout.0;
        let is_limited = config.program.run_type == RunType::Oneshot && !limit.is_zero();
        self.runs.started.filter(|_| is_limited).map(|start| start.after(limit))
    }

    fn start(&mut self, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        self.distrusted = false;
        self.around = Around { hook: self.around.hook, ..Around::default() };
        self.runs.begin(now);
        self.change(ProcessState::Starting, false, None, out);
        // The end of the run before is not over while its hook runs, or something is left of it.
        if self.around.hook.is_none() && !self.waits_for_leftovers {
            self.prepare(config, out);
        }
    }

    /// A start ends before there is a child.
    fn end_before_start(&mut self, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        self.runs.stop_wall = now.wall.secs();
        out.push(Effect::Log(Level::Info, format!("stopped: {} (before it was spawned)", config.name)));
        self.change(ProcessState::Stopped, false, None, out);
    }

    /// It has stayed up for `startsecs`, by which it is RUNNING.
    fn stay_up(&mut self, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        let startsecs = config.program.startsecs;
        self.enter_running(
            format!("process has stayed up for > than {startsecs} seconds (startsecs)"),
            config,
            now,
            out,
        );
    }

    fn enter_running(&mut self, why: String, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        // A hook that may spoil the start has its say first.
        if config.post_start_hook.is_none() || !Hook::PostStart.spoils_start(config) {
            self.start_succeeded(config, now);
        }
        self.change(ProcessState::Running, false, None, out);
        out.push(Effect::Log(Level::Info, format!("success: {} entered RUNNING state, {why}", config.name)));
        if config.post_start_hook.is_some() {
            self.begin_hook(Hook::PostStart, out);
        }
    }

    /// Failed starts are no more in a row. A one-shot has succeeded when it has ended, not before; what says soon that it is
    /// ready, when it has lasted for `startsecs`.
    fn start_succeeded(&mut self, config: &config::Process, now: Now) {
        let has_lasted = config.ready == Ready::Startsecs || now.mono >= self.running_at(config);
        if config.program.run_type == RunType::Simple && has_lasted {
            self.backoff = 0;
        }
    }

    /// The run is ended; its state stays what it is until then.
    fn fail(&mut self, text: String, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        self.drop_hook(out);
        out.push(Effect::Log(Level::Warn, format!("ending '{}': {text}", config.name)));
        self.around.cut = Some(Cut::Failed(text));
        self.first_signal(config, now, out);
    }

    /// The only place where the state changes, so the event cannot be forgotten. Same state: no event (P-4).
    fn change(&mut self, to: ProcessState, expected: bool, exit: Option<ExitStatus>, out: &mut Vec<Effect>) {
        if self.state == to {
            return;
        }
        let from = std::mem::replace(&mut self.state, to);
        self.runs.came_up |= to == ProcessState::Running;
        let pid = self.runs.pid.map_or(0, |pid| pid.0);
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
