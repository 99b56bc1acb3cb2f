//! Children beside processes: hooks, and probes and answers to a change of health that are commands.

use super::super::children::log_plan;
use super::super::environment::path_of;
use super::super::host::{Host, Launch};
use super::super::{Daemon, Proc};
use super::watched::{ACTION_TIME, ACTIONS_MAX, Helper, HelperKind};
use crate::clock::Now;
use crate::exit::ExitStatus;
use crate::id::{Channel, Pid, ProcId};
use crate::model::hook::Hook;
use crate::model::process::Trigger;
use crate::wire::notify::cleaned;
use crate::wire::words;

impl Daemon {
    pub(super) fn run_action(&mut self, id: ProcId, command: &str, now: Now, host: &mut dyn Host) {
        let begun = match self.care.actions.is_full() {
            true => Err(format!("{ACTIONS_MAX} commands for a change of health run already")),
            false => self.run_helper(id, command, HelperKind::Action, Vec::new(), host),
        };
        match begun {
            Ok(pid) => self.care.actions.began(pid, now.mono),
            Err(problem) => activity!(Warn, "could not run {command}: {problem}"),
        }
    }

    /// Kills commands for a change of health that have run for too long.
    pub(super) fn end_late_actions(&mut self, now: Now, host: &mut dyn Host) {
        while let Some(pid) = self.care.actions.take_late(now.mono) {
            let id = self.care.helpers.get(&pid.0).map(|helper| helper.process);
            if let Some(process) = id.and_then(|id| self.roster.process(id)) {
                let (name, secs) = (&process.config.name, ACTION_TIME.as_secs());
                activity!(Warn, "a command for the health of {name} failed: not done within {secs} seconds");
            }
            self.drop_helper(pid, host);
        }
    }

    /// Runs a command beside a process, as its user and with its environment.
    pub(super) fn run_helper(
        &mut self,
        id: ProcId,
        command: &str,
        kind: HelperKind,
        mut variables: Vec<(&'static str, String)>,
        host: &mut dyn Host,
    ) -> Result<Pid, String> {
        let Some((group, process)) = self.roster.member(id) else { return Err("the process is gone".to_string()) };
        let argv = words::split(command).map_err(|error| error.to_string())?;
        let word = argv.first().ok_or("the command is empty")?;
        let files = self.read_environment(id, host)?;
        let path = path_of(&process.config, files.as_ref());
        let path = host.find_command(word, path.as_deref()).map_err(|problem| problem.to_string())?;
        // Before a start there is only the process of an earlier run.
        let is_of_this_run = !matches!(kind, HelperKind::Hook(Hook::PreStart));
        if let Some(pid) = process.machine.runs().last_pid().filter(|_| is_of_this_run) {
            variables.push(("SUPERVISOR_PID", pid.0.to_string()));
        }
        let config = &process.config;
        let (group, from_files) = (group.name(), files.as_ref());
        let launch =
            Launch { config, group, path: &path, argv: &argv, socket: None, variables, from_files, cgroup: None };
        let pid = host.spawn_helper(&launch).map_err(|error| error.text(&config.name))?;
        self.care.helpers.insert(pid.0, Helper { process: id, kind, line: Vec::new() });
        Ok(pid)
    }

    /// Begins a hook; the trigger is what went wrong at once.
    pub(in super::super) fn run_hook(
        &mut self,
        id: ProcId,
        hook: Hook,
        now: Now,
        host: &mut dyn Host,
    ) -> Option<Trigger> {
        self.drop_hook(id, host);
        let process = self.roster.process(id)?;
        let config = process.config.clone();
        let command = hook.command(&config)?;
        let mut variables = Vec::new();
        if hook == Hook::PostStop {
            match process.machine.runs().last_exit() {
                Some(ExitStatus::Code(code)) => variables.push(("SUPERVISOR_EXIT_STATUS", code.to_string())),
                Some(ExitStatus::Signal { number, .. }) => {
                    variables.push(("SUPERVISOR_EXIT_SIGNAL", number.to_string()));
                }
                None => {}
            }
        }
        match self.run_helper(id, command, HelperKind::Hook(hook), variables, host) {
            Ok(pid) => {
                let until = now.mono.after(config.program.hook_timeout.0);
                self.care.watched.entry(id).or_default().hook = Some((pid, until));
                None
            }
            Err(problem) => {
                activity!(Warn, "{} of {} failed: {problem}", hook.option(), config.name);
                Some(Trigger::HookEnded(hook, Err(problem)))
            }
        }
    }

    /// Kills the hook that runs. The log that was opened for what it writes is closed, unless a child has it.
    pub(in super::super) fn drop_hook(&mut self, id: ProcId, host: &mut dyn Host) {
        let hook = self.care.watched.get_mut(&id).and_then(|watched| watched.hook.take());
        if let Some((pid, _)) = hook {
            self.drop_helper(pid, host);
            self.close_idle_logs(id, host);
        }
    }

    fn close_idle_logs(&mut self, id: ProcId, host: &mut dyn Host) {
        if self.roster.process(id).is_some_and(|process| process.machine.pid().is_none()) {
            self.close_logs(id, host);
        }
    }

    pub(super) fn hook_ended(
        &mut self,
        id: ProcId,
        hook: Hook,
        result: Result<(), String>,
        now: Now,
        host: &mut dyn Host,
    ) {
        if let Some(process) = self.roster.process(id)
            && let Err(problem) = &result
        {
            activity!(Warn, "{} of {} failed: {problem}", hook.option(), process.config.name);
        }
        let _ = self.step(id, Trigger::HookEnded(hook, result), now, host);
        self.close_idle_logs(id, host);
    }

    /// A hook or a probe was reaped; false if it is none.
    pub(in super::super) fn helper_exited(
        &mut self,
        pid: Pid,
        status: ExitStatus,
        now: Now,
        host: &mut dyn Host,
    ) -> bool {
        let Some(helper) = self.care.helpers.remove(&pid.0) else { return false };
        host.close_helper(pid);
        let line = cleaned(&helper.line);
        let line = line.trim_end();
        let result = match status {
            ExitStatus::Code(0) => Ok(()),
            status if line.is_empty() => Err(status.text()),
            status => Err(format!("{}: {line}", status.text())),
        };
        let id = helper.process;
        match helper.kind {
            HelperKind::Dropped => {}
            HelperKind::Action => {
                self.care.actions.ended(pid);
                if let (Err(problem), Some(process)) = (result, self.roster.process(id)) {
                    activity!(Warn, "a command for the health of {} failed: {problem}", process.config.name);
                }
            }
            HelperKind::Hook(hook) => {
                if let Some(watched) = self.care.watched.get_mut(&id) {
                    watched.hook = None;
                }
                self.hook_ended(id, hook, result, now, host);
                self.reschedule_care(id, now);
            }
            HelperKind::Probe => {
                if let Some(watched) = self.care.watched.get_mut(&id) {
                    watched.asked = None;
                    watched.probe_text = line.to_string();
                }
                self.care.probes = self.care.probes.saturating_sub(1);
                self.judged(id, result, now, host);
                self.reschedule_care(id, now);
            }
        }
        true
    }

    /// What a hook writes goes into the log of its program's stderr; of a probe the last line is kept.
    pub fn helper_output(&mut self, pid: Pid, bytes: &[u8], host: &mut dyn Host) {
        let Some(helper) = self.care.helpers.get_mut(&pid.0) else { return };
        keep_last_line(&mut helper.line, bytes);
        let (id, kind) = (helper.process, helper.kind);
        let Some(process) = self.roster.process_mut(id) else { return };
        let goes_into_log = match kind {
            HelperKind::Hook(_) => true,
            // It may outlive the child, whose log is closed then.
            HelperKind::Action => process.machine.pid().is_some(),
            HelperKind::Probe | HelperKind::Dropped => false,
        };
        if goes_into_log {
            let channel = hook_log(id, process, host);
            self.append_log(id, channel, bytes, host);
        }
    }

    pub(super) fn drop_helper(&mut self, pid: Pid, host: &mut dyn Host) {
        if let Some(helper) = self.care.helpers.get_mut(&pid.0) {
            helper.kind = HelperKind::Dropped;
            let _ = host.kill(pid, libc::SIGKILL, true);
        }
    }
}

/// Bytes of a last line that are kept.
const LINE_BYTES_MAX: usize = 200;

fn keep_last_line(line: &mut Vec<u8>, bytes: &[u8]) {
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        // A complete line is replaced by what follows it only once something does.
        if line.last() == Some(&b'\n') {
            line.clear();
        }
        let room = LINE_BYTES_MAX.saturating_sub(line.len());
        line.extend_from_slice(piece.get(..room).unwrap_or(piece));
        if piece.ends_with(b"\n") && line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
    }
}

/// The channel whose log is for what a hook writes. It is opened if there is no child for which it is open.
fn hook_log(id: ProcId, process: &mut Proc, host: &mut dyn Host) -> Channel {
    let config = process.config.clone();
    let channel = if config.program.redirect_stderr { Channel::Stdout } else { Channel::Stderr };
    let stream = process.output_mut(channel);
    if stream.log.is_none()
        && let Some(path) = stream.path.clone()
    {
        let plan = log_plan((id, channel), &config, &path, false);
        stream.log = host.log_open(&plan).ok();
    }
    channel
}

#[cfg(test)]
mod tests {
    use super::keep_last_line;

    #[test]
    fn the_last_line() {
        for (text, expected) in [("", ""), ("a", "a"), ("a\nb\n", "b\n"), ("a\nbc", "bc"), ("\n", "\n")] {
            let mut line = Vec::new();
            keep_last_line(&mut line, text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&line), expected, "{text:?}");
            let mut line = Vec::new();
            text.bytes().for_each(|byte| keep_last_line(&mut line, &[byte]));
            assert_eq!(String::from_utf8_lossy(&line), expected, "{text:?}");
        }
        let mut line = Vec::new();
        keep_last_line(&mut line, &[b'x'; 5000]);
        assert_eq!(line.len(), super::LINE_BYTES_MAX);
    }
}
