//! How a run is ended: the hook before it, the command in place of the first signal, and one signal after the other.

use super::{Effect, Process};
use crate::clock::Now;
use crate::config;
use crate::level::Level;
use crate::model::hook::Hook;
use crate::model::ladder::Rung;
use crate::signal;
use crate::state::ProcessState;

impl Process {
    pub(super) fn go_on_ending(&mut self, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        if now.mono >= self.due {
            self.next_signal(config, now, out);
        }
    }

    pub(super) fn look_whether_late(&mut self, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        if self.ready_by.is_some_and(|at| at <= now.mono) {
            let secs = config.program.ready_timeout.0.as_secs_f64();
            self.fail(format!("Not ready within {secs} seconds"), config, now, out);
        }
    }

    pub(super) fn begin_stop(&mut self, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        self.drop_hook(out);
        if config.pre_stop_hook.is_some() {
            self.change(ProcessState::Stopping, false, None, out);
            self.begin_hook(Hook::PreStop, out);
        } else {
            self.first_step(config, now, out);
        }
    }

    /// The first stop signal, or what stands in its place.
    pub(super) fn first_step(&mut self, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        if config.stop_command.is_none() {
            return self.first_signal(config, now, out);
        }
        self.due = now.mono.after(self.around.ladder.first_by_command(&config.program));
        self.change(ProcessState::Stopping, false, None, out);
        self.begin_hook(Hook::StopCommand, out);
    }

    pub(super) fn first_signal(&mut self, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        let rung = self.around.ladder.first(&config.program);
        self.signal(rung, config, now, out);
    }

    pub(super) fn next_signal(&mut self, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        self.drop_hook(out);
        let rung = self.around.ladder.next(&config.program);
        self.signal(rung, config, now, out);
    }

    /// Sends a signal and says when the next is due. Unless its run is cut short, the process is STOPPING from here on.
    pub(super) fn signal(&mut self, rung: Rung, config: &config::Process, now: Now, out: &mut Vec<Effect>) {
        let Rung { signal, group, wait, is_last } = rung;
        let pid = self.runs.pid.map_or(0, |pid| pid.0);
        if is_last {
            out.push(Effect::Log(Level::Warn, format!("killing '{}' ({pid}) with SIGKILL", config.name)));
        }
        out.push(Effect::Log(
            Level::Debug,
            format!(
                "killing {} (pid {pid}) {}with signal {}",
                config.name,
                if group { "process group " } else { "" },
                signal::name(signal)
            ),
        ));
        self.due = now.mono.after(wait);
        if self.around.cut.is_none() {
            self.change(ProcessState::Stopping, false, None, out);
        }
        out.push(Effect::Kill { signal, group });
    }
}
