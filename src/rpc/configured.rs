//! `stheno.checkProcesses`: which processes are not as they are configured, for health checks.

use super::{Context, Outcome};
use crate::daemon::{Daemon, Proc};
use crate::fault::Fault;
use crate::id::ProcId;
use crate::state::ProcessState;
use crate::wire::value::Value;

/// `[{group, name, reason}]` of those that are not as configured.
pub(super) fn check_processes(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let daemon = &*context.daemon;
    let mut found = Vec::new();
    for (id, group, process) in daemon.roster.processes_by_name() {
        if let Some(reason) = reason(daemon, id, process) {
            found.push(Value::Struct(vec![
                ("group".into(), group.name().to_string().into()),
                ("name".into(), process.config.name.clone().into()),
                ("reason".into(), reason.into()),
            ]));
        }
    }
    Ok(Value::Array(found).into())
}

/// Why a process is not as configured; `None` if it is: RUNNING, ended as expected, or not to be started by itself. One
/// that was stopped although it is to run is not.
fn reason(daemon: &Daemon, id: ProcId, process: &Proc) -> Option<String> {
    if let Some(text) = daemon.waiting_text(id) {
        return Some(text);
    }
    let program = &process.config.program;
    let machine = &process.machine;
    let is_expected = || machine.runs().last_exit().is_some_and(|exit| program.exitcodes.0.contains(&exit.code()));
    let is_fine = match machine.state() {
        ProcessState::Running => true,
        ProcessState::Exited => is_expected() && !machine.is_coming_back(),
        ProcessState::Stopped => !program.autostart && !machine.is_coming_back(),
        _ => false,
    };
    (!is_fine).then(|| machine.state().name().to_string())
}
