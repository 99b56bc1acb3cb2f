//! The hooks around a run, of which one is under way at a time: before the start, after it, before the stop, after the end.

use super::{Effect, Process};
use crate::clock::Now;
use crate::config;
use crate::model::hook::Hook;
use crate::state::ProcessState;

impl Process {
    /// Begins what comes before the child, or the child.
    pub(super) fn prepare(&mut self, config: &config::Process, out: &mut Vec<Effect>) {
        if config.pre_start_hook.is_some() {
            self.begin_hook(Hook::PreStart, out);
        } else {
            out.push(Effect::Spawn);
        }
    }

    pub(super) fn begin_hook(&mut self, hook: Hook, out: &mut Vec<Effect>) {
        self.around.hook = Some(hook);
        out.push(Effect::Hook(hook));
    }

    pub(super) fn drop_hook(&mut self, out: &mut Vec<Effect>) {
        if self.around.hook.take().is_some() {
            out.push(Effect::DropHook);
        }
    }

    /// What the end of a hook means where the process is by now; of one that it no longer waits for, nothing.
    pub(super) fn hook_ended(
        &mut self,
        hook: Hook,
        result: Result<(), String>,
        config: &config::Process,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        use ProcessState::*;
        let failure = result.err().filter(|_| hook.spoils_start(config) || hook == Hook::StopCommand);
        let failure = failure.map(|problem| format!("{} failed: {problem}", hook.option()));
        match (self.state, hook, failure) {
            (Starting, Hook::PreStart, Some(text)) => {
                self.runs.spawn_error = text;
                self.enter_backoff(config, now, None, out);
            }
            (Starting, Hook::PreStart, None) => out.push(Effect::Spawn),
            (Starting, Hook::PostStop, _) if self.runs.pid.is_none() && !self.waits_for_leftovers => {
                self.prepare(config, out)
            }
            (Running, Hook::PostStart, Some(text)) => self.fail(text, config, now, out),
            (Running, Hook::PostStart, None) => self.start_succeeded(config, now),
            (Stopping, Hook::PreStop, _) => self.first_step(config, now, out),
            // The signal that it stands for, then.
            (Stopping, Hook::StopCommand, Some(_)) if self.around.ladder.is_at_first() => {
                self.first_signal(config, now, out)
            }
            _ => {}
        }
    }
}
