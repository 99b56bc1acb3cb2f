//! What follows when a run has ended: another one, a pause before it, or none any more.

use super::{DISTRUST_TIME, Effect, Process, SetUpStage};
use crate::clock::{Mono, Now};
use crate::config::{self, Ready, RunType};
use crate::exit::ExitStatus;
use crate::level::Level;
use crate::model::hook::{Cut, Hook};
use crate::model::retry;
use crate::state::ProcessState;

/// Why a start has failed that has not lasted for `startsecs`.
const TOO_QUICK: &str = "Exited too quickly (process log may have details)";

impl Process {
    pub(super) fn give_up(&mut self, out: &mut Vec<Effect>) {
        self.backoff = 0;
        self.distrusts = 0;
        self.change(ProcessState::Fatal, false, None, out);
    }

    /// Failed starts in a row were too many.
    pub(super) fn are_retries_used_up(&self, config: &config::Process) -> bool {
        !self.retry.is_pausing && config.program.startretries.are_used_up(self.backoff)
    }

    /// Its first start, or another one that nobody asked for; by the retry policy it may have to wait, or be given up.
    pub(super) fn start_unasked(&mut self, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        match self.state {
            ProcessState::Exited if retry::pauses(&config.program) => {
                self.retry.is_pausing = true;
                self.due = self.runs.ended.after(config.program.restartpause.0);
                self.change(ProcessState::Backoff, false, None, out);
            }
            ProcessState::Backoff => self.start_within_limit(config, now, out),
            // It was stopped only for this.
            _ if self.around.again => self.start_within_limit(config, now, out),
            _ => self.start(config, now, out),
        }
    }

    /// Another start that nobody asked for, unless there were too many.
    pub(super) fn start_within_limit(&mut self, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        let limit = config.program.restart_limit;
        match limit {
            Some(limit) if !self.retry.take(Some(limit), now.mono) => {
                self.runs.spawn_error = retry::exhausted(limit);
                let text =
                    format!("gave up: {} entered FATAL state, {}", config.name, self.runs.spawn_error.to_lowercase());
                self.around.again = false;
                self.give_up(out);
                out.push(Effect::Log(Level::Info, text));
            }
            _ => {
                self.retry.is_pausing = false;
                self.start(config, now, out);
            }
        }
    }

    /// When the pause between two runs is over, if it is that for which it waits.
    pub fn pause_ends(&self) -> Option<Mono> {
        (self.state == ProcessState::Backoff && self.retry.is_pausing).then_some(self.due)
    }

    pub(super) fn enter_backoff(
        &mut self,
        config: &config::Process,
        now: Now,
        exit: Option<ExitStatus>,
        out: &mut Vec<Effect>,
    ) {
        self.backoff += 1;
        let seed = self.runs.count ^ now.mono.0;
        self.due = now.mono.after(retry::pause_after_failure(self.backoff, &config.program, seed));
        self.change(ProcessState::Backoff, false, exit, out);
    }

    /// The child was reaped (P-60 to P-67).
    pub(super) fn finish(&mut self, status: ExitStatus, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        use ProcessState::*;
        let code = status.code();
        let is_silent = self.around.cut == Some(Cut::Silent);
        let expected = config.program.exitcodes.0.contains(&code) && !is_silent;
        self.drop_hook(out);
        let failed = match std::mem::replace(&mut self.stage, SetUpStage::Unknown) {
            SetUpStage::Failed(text) => Some(text),
            _ => None,
        };
        // However long it took: it has never come to its program.
        let too_quick = config.program.startsecs > 0 && (now.mono < self.running_at(config) || failed.is_some());
        let unmet = failed.flatten();
        self.runs.reaped(status, now);
        match self.state {
            Stopping => {
                self.runs.exit_status = Some(code);
                if self.runs.came_up && !too_quick {
                    self.start_succeeded(config, now);
                }
                if let Some(reason) = self.around.reason.take() {
                    self.runs.spawn_error = reason;
                }
                self.change(Stopped, false, Some(status), out);
                let level = if expected { Level::Info } else { Level::Warn };
                out.push(Effect::Log(level, format!("stopped: {} ({})", config.name, status.text())));
            }
            Starting | Running if self.distrusted => {
                let is_quick = self.runs.started.is_some_and(|start| now.mono.since(start) < DISTRUST_TIME);
                self.distrusts = if is_quick { self.distrusts + 1 } else { 1 };
                // Failed starts before it came to the first violation count too.
                self.backoff = self.backoff.max(self.distrusts - 1);
                self.runs.exit_status = Some(code);
                self.runs.spawn_error = "Violated the eventlistener protocol".to_string();
                self.enter_backoff(config, now, Some(status), out);
                let text = format!("exited: {} ({}; not expected)", config.name, status.text());
                out.push(Effect::Log(Level::Warn, text));
            }
            Starting
                if too_quick || unmet.is_some() || self.around.cut.is_some() || config.ready != Ready::Startsecs =>
            {
                self.runs.exit_status = None;
                self.runs.spawn_error = match self.around.cut.take() {
                    Some(Cut::Failed(text)) => text,
                    _ if unmet.is_some() => unmet.unwrap_or_default(),
                    _ if config.ready != Ready::Startsecs => "Exited before it was ready".to_string(),
                    _ => TOO_QUICK.to_string(),
                };
                self.enter_backoff(config, now, Some(status), out);
                let text = format!("exited: {} ({}; not expected)", config.name, status.text());
                out.push(Effect::Log(Level::Warn, text));
            }
            _ => {
                let is_oneshot = config.program.run_type == RunType::Oneshot;
                self.runs.exit_status = Some(code);
                // It was ready, and yet would be started without end and without a pause.
                let is_vain = too_quick && config.ready != Ready::Startsecs && self.wants_restart(config);
                let failure = match &mut self.around.cut {
                    // Where nothing could be done about it, nothing more is.
                    _ if self.state == Unknown => None,
                    Some(Cut::Failed(text)) => Some(std::mem::take(text)),
                    _ if is_vain => Some(TOO_QUICK.to_string()),
                    _ => (is_oneshot && !expected).then(|| format!("Bad exit code {code}")),
                };
                let expected = expected && failure.is_none();
                // A start that has failed after all is one more in a row.
                if failure.is_none() && (!is_oneshot || expected) {
                    self.backoff = 0;
                }
                if self.state == Starting {
                    self.change(Running, false, None, out);
                }
                if !expected {
                    self.runs.spawn_error = format!("Bad exit code {code}");
                }
                self.change(Exited, expected, Some(status), out);
                let (level, word) = if expected { (Level::Info, "expected") } else { (Level::Warn, "not expected") };
                out.push(Effect::Log(level, format!("exited: {} ({}; {word})", config.name, status.text())));
                if let Some(text) = failure {
                    self.runs.spawn_error = text;
                    self.enter_backoff(config, now, Some(status), out);
                }
            }
        }
        self.runs.pid = None;
        if config.post_stop_hook.is_some() {
            self.begin_hook(Hook::PostStop, out);
        }
    }
}
