//! What a page that is open is told: messages of the stream of its server, as server-sent events with JSON.
//!
//! Shapes: `begin` `{now, up, identifier, version, supervisor, pid, mutation}`; `rows` and `change`
//! `{now, rows: [row…], gone: [id…]}`; `end` `{}`; `figures` `{at, f: [[id, cpu ms, KiB, stdout bytes, stderr bytes]…]}`;
//! `files` `{changed}`.
//! Times are milliseconds since the epoch. Members of a row that are empty, zero or false are left out.

use std::fmt::Write;

use crate::clock::{Now, Wall};
use crate::config::{GroupKind, RunType};
use crate::daemon::care::Known;
use crate::daemon::{Daemon, Group, Proc};
use crate::exit::ExitStatus;
use crate::id::{Channel, ProcId};
use crate::model::health;
use crate::model::history::Why;
use crate::state::{ProcessState, SupervisorState};
use crate::wire::json;

/// How far back a row tells of changes of state; that is what the page shows as a strip.
const STRIP_MS: u64 = 3600 * 1000;

/// Milliseconds since the epoch.
pub fn millis(wall: Wall) -> u64 {
    wall.0 / 1_000_000
}

/// A message of an event stream, ready to be sent.
pub fn message(id: Option<&str>, event: &str, data: &str) -> String {
    let id = id.map_or(String::new(), |id| format!("id: {id}\n"));
    format!("{id}event: {event}\ndata: {data}\n\n")
}

/// What the first message says of the daemon itself.
pub fn begin(daemon: &Daemon, pid: i32, (version, supervisor): (&str, &str), now: Now) -> String {
    let config = &daemon.config;
    let up = daemon.activity.begun().map_or(0, millis);
    format!(
        "{{\"now\":{},\"up\":{up},\"identifier\":{},\"host\":{},\"version\":\"{version}\",\"supervisor\":\"{supervisor}\",\
         \"pid\":{pid},\"mutation\":{}}}",
        millis(now.wall),
        json::string(&config.supervisord.identifier),
        json::string(&config.hostname),
        config.stheno.as_ref().is_some_and(|stheno| stheno.mutation),
    )
}

/// Rows and ids of processes that are gone, as one object.
pub fn rows(rows: &str, gone: &[ProcId], now: Now) -> String {
    let gone: Vec<String> = gone.iter().map(|id| id.0.to_string()).collect();
    format!("{{\"now\":{},\"rows\":[{rows}],\"gone\":[{}]}}", millis(now.wall), gone.join(","))
}

/// Whether files of the configuration are other ones than those that were read, as a whole message.
pub fn files(changed: bool) -> String {
    message(None, "files", &format!("{{\"changed\":{changed}}}"))
}

/// Appends what is told of a process, and a comma where others stand before it.
pub fn push_row(out: &mut String, id: ProcId, group: &Group, process: &Proc, daemon: &Daemon, now: Now) {
    if !out.is_empty() {
        out.push(',');
    }
    let (config, machine) = (&process.config, &process.machine);
    let mut row = Members { out, is_first: true };
    row.number("id", id.0.into());
    row.text("g", group.name());
    row.text("n", &config.name);
    row.text("p", &config.program.name);
    row.text("s", machine.state().name());
    row.number("pid", machine.pid().map_or(0, |pid| u64::try_from(pid.0).unwrap_or(0)));
    row.number("start", u64::try_from(machine.runs().exact_start_secs(now)).unwrap_or(0) * 1000);
    row.number("restarts", machine.runs().count().saturating_sub(1));
    row.text("err", machine.runs().spawn_error());
    if let Some(exit) = machine.runs().last_exit() {
        row.text("exit", &exit.text());
        row.flag("expected", is_expected(process, exit));
    }
    if machine.state() == ProcessState::Backoff
        && let Some(at) = machine.deadline(config, SupervisorState::Running)
    {
        let wait = u64::try_from(at.since(now.mono).as_millis()).unwrap_or(0);
        row.number("next", millis(now.wall) + wait);
    }
    row.flag("out", daemon.log_place(id, Channel::Stdout).is_some());
    row.flag("errlog", daemon.log_place(id, Channel::Stderr).is_some());
    row.flag("outdated", machine.pid().is_some() && process.is_outdated());
    row.flag("once", config.program.run_type == RunType::Oneshot);
    row.flag("auto", config.program.autostart);
    row.flag("listener", matches!(group.config.kind, GroupKind::Listener(_)));
    if let Some(Known { health, status_text, .. }) = daemon.care_of(id) {
        if health.state == health::HealthState::Unhealthy {
            row.text("ill", if health.reason.is_empty() { "unhealthy" } else { &health.reason });
        }
        row.text("says", status_text);
    }
    row.text("waits", &daemon.waiting_text(id).unwrap_or_default());
    push_strip(&mut row, process, now);
    row.out.push('}');
}

/// The changes of the last hour, and the one before them: `[[ms, code, cause]…]`.
fn push_strip(row: &mut Members<'_>, process: &Proc, now: Now) {
    let begin = millis(now.wall).saturating_sub(STRIP_MS);
    let changes: Vec<_> = process.history.changes().collect();
    let first = changes.iter().rposition(|entered| millis(entered.at) < begin).unwrap_or(0);
    let strip = changes.get(first..).unwrap_or_default();
    if strip.is_empty() {
        return;
    }
    row.name("h");
    for (at, entered) in strip.iter().enumerate() {
        let exit = if let Why::Exit(exit) = &entered.why { exit.text() } else { String::new() };
        let (sign, time, code) = (if at == 0 { '[' } else { ',' }, millis(entered.at), entered.state.code());
        row.put(format_args!("{sign}[{time},{code},{}]", json::string(&exit)));
    }
    row.out.push(']');
}

fn is_expected(process: &Proc, exit: ExitStatus) -> bool {
    process.config.program.exitcodes.0.contains(&exit.code())
}

/// The members of an object.
pub(super) struct Members<'a> {
    pub(super) out: &'a mut String,
    pub(super) is_first: bool,
}

impl Members<'_> {
    pub(super) fn name(&mut self, name: &str) {
        let sign = if std::mem::take(&mut self.is_first) { '{' } else { ',' };
        self.put(format_args!("{sign}\"{name}\":"));
    }

    pub(super) fn number(&mut self, name: &str, number: u64) {
        // The id of the first process is 0.
        if number != 0 || self.is_first {
            self.name(name);
            self.put(format_args!("{number}"));
        }
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.name(name);
            self.out.push_str(&json::string(text));
        }
    }

    pub(super) fn flag(&mut self, name: &str, is_set: bool) {
        if is_set {
            self.name(name);
            self.out.push_str("true");
        }
    }

    pub(super) fn put(&mut self, text: std::fmt::Arguments<'_>) {
        let written = self.out.write_fmt(text);
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
}
