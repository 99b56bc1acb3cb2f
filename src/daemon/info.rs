//! What a process shows of itself (P-90 to P-93, X-90).

use super::{Daemon, Group, Host, Proc};
use crate::clock::Now;
use crate::id::ProcId;
use crate::model::hook::Hook;
use crate::state::ProcessState;

/// One process as `getProcessInfo` shows it. Strings are borrowed from the daemon where they stand there.
#[derive(Debug)]
pub struct Info<'a> {
    pub name: &'a str,
    pub group: &'a str,
    /// What `status` shows beside the state (P-90).
    pub description: String,
    /// Whole seconds since the epoch, within 32 bits; 0 never.
    pub start: i64,
    /// The same for the last reaping.
    pub stop: i64,
    /// The same for this moment.
    pub now: i64,
    pub state: ProcessState,
    /// Why the last start or run failed; empty when it did not.
    pub spawnerr: &'a str,
    /// Exit code, -1 for a signal, 0 where nothing is recorded.
    pub exitstatus: i32,
    /// Path of the log; empty without one.
    pub stdout_logfile: &'a str,
    /// Path of the log; empty without one.
    pub stderr_logfile: &'a str,
    /// 0 without a child.
    pub pid: i32,
}

/// `H:MM:SS`, with days `1 day, 2:03:04` (P-91); negative spans show as zero.
pub fn uptime(secs: i64) -> String {
    let secs = secs.max(0);
    let (days, rest) = (secs / 86_400, secs % 86_400);
    let clock = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        _ => format!("{days} days, {clock}"),
    }
}

/// Seconds capped to what `<int>` carries (P-93).
fn capped(secs: i64) -> i64 {
    secs.clamp(i64::from(i32::MIN), i64::from(i32::MAX))
}

impl Daemon {
    /// What one process shows of itself.
    pub fn info<'a>(&'a self, id: ProcId, now: Now, host: &mut dyn Host) -> Option<Info<'a>> {
        let (group, process) = self.roster.member(id)?;
        Some(self.info_of(id, group, process, now, host))
    }

    /// The same, where group and process are at hand.
    pub fn info_of<'a>(
        &self,
        id: ProcId,
        group: &'a Group,
        process: &'a Proc,
        now: Now,
        host: &mut dyn Host,
    ) -> Info<'a> {
        let mut info = info(group, process, now, host);
        if let Some(text) = self.waiting_text(id) {
            info.description = text;
            info.state = ProcessState::Stopped;
        } else if let Some(text) = self.startup_text(id) {
            info.description = text;
        }
        info
    }
}

/// What one process shows of itself, where group and process are at hand.
fn info<'a>(group: &'a Group, process: &'a Proc, now: Now, host: &mut dyn Host) -> Info<'a> {
    let machine = &process.machine;
    let pid = machine.pid().map_or(0, |pid| pid.0);
    let wall = now.wall.secs();
    Info {
        name: &process.config.name,
        group: group.name(),
        description: description(process, now, host),
        start: capped(machine.runs().start_secs(now)),
        stop: capped(machine.runs().stop_secs()),
        now: capped(wall),
        state: machine.state(),
        spawnerr: machine.runs().spawn_error(),
        exitstatus: machine.runs().exit_status(),
        stdout_logfile: process.stdout.path.as_deref().unwrap_or(""),
        stderr_logfile: process.stderr.path.as_deref().unwrap_or(""),
        pid,
    }
}

fn description(process: &Proc, now: Now, host: &mut dyn Host) -> String {
    use ProcessState::*;
    let machine = &process.machine;
    match machine.state() {
        Running => {
            let pid = machine.pid().map_or(0, |pid| pid.0);
            format!("pid {pid}, uptime {}", uptime(machine.runs().uptime_secs(now)))
        }
        Backoff if machine.pause_ends().is_some() => {
            let left = machine.pause_ends().map_or(0.0, |end| end.since(now.mono).as_secs_f64().ceil());
            format!("Waiting {left} s before the next start")
        }
        Fatal | Backoff if machine.runs().spawn_error().is_empty() => {
            format!("unknown error (try \"tail {}\")", process.config.name)
        }
        Fatal | Backoff => machine.runs().spawn_error().to_string(),
        Stopped | Exited if machine.runs().started().is_none() => "Not started".to_string(),
        // Tried but never reaped: the stop time is 0 and shows the epoch (P-92).
        Stopped | Exited => host.local_short(machine.runs().stop_secs()),
        Starting if machine.hook() == Some(Hook::PreStart) => format!("Running {}", Hook::PreStart.option()),
        Starting | Stopping | Unknown => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::uptime;

    #[test]
    fn uptimes() {
        let rows = [
            (0, "0:00:00"),
            (-5, "0:00:00"),
            (59, "0:00:59"),
            (3_661, "1:01:01"),
            (86_399, "23:59:59"),
            (93_784, "1 day, 2:03:04"),
            (864_001, "10 days, 0:00:01"),
        ];
        for (secs, text) in rows {
            assert_eq!(uptime(secs), text, "{secs}");
        }
    }
}
