//! What the stream of a fleet tells, as JSON.
//!
//! Shapes: a piece is `{now, fleet?, hosts?, apps?, tasks?, moments?, gone?, lost?}` with only what it tells of: `fleet` `{own,
//! phase, master, degraded, version}`; a host `{i, n, id, s, load, kinds, stream}`; an application `{i, n, managed, s, major,
//! minor, rank}`; a task `{i, a, n, p, s, failed, required, why, on: [[host, state, pid, start, why, logs]…]}`; a moment
//! `[number, at, kind, …]`; `gone` ids of tasks, `lost` those of applications. Hosts are called by their places in the list,
//! the rest by ids of this run. Times are milliseconds since the epoch; members that are empty, zero or false are left out.

use std::fmt::Write;

use crate::clock::Now;
use crate::fleet::Fleet;
use crate::fleet::members::Member;
use crate::fleet::timeline::{Moment, What};
use crate::id::PeerId;
use crate::model::fleet::view::{AppId, Known, Task, TaskId};
use crate::state::ProcessState;
use crate::web::live::{Members, millis};
use crate::wire::json;

/// Parts of a piece.
#[derive(Default)]
pub struct Piece {
    pub head: Option<String>,
    pub hosts: Vec<String>,
    pub apps: Vec<String>,
    pub tasks: Vec<String>,
    pub moments: Vec<String>,
    pub gone: Vec<TaskId>,
    pub lost: Vec<AppId>,
}

impl Piece {
    /// Whether it tells of nothing.
    pub fn is_empty(&self) -> bool {
        let lists = [&self.hosts, &self.apps, &self.tasks, &self.moments];
        self.head.is_none() && lists.iter().all(|list| list.is_empty()) && self.gone.is_empty() && self.lost.is_empty()
    }

    /// It as one object.
    pub fn text(&self, now: Now) -> String {
        let mut out = format!("{{\"now\":{}", millis(now.wall));
        if let Some(head) = &self.head {
            out += &format!(",\"fleet\":{head}");
        }
        let ids = |ids: &mut dyn Iterator<Item = u32>| ids.map(|id| id.to_string()).collect::<Vec<_>>();
        let (gone, lost) = (ids(&mut self.gone.iter().map(|id| id.0)), ids(&mut self.lost.iter().map(|id| id.0)));
        for (name, list) in [
            ("hosts", &self.hosts),
            ("apps", &self.apps),
            ("tasks", &self.tasks),
            ("moments", &self.moments),
            ("gone", &gone),
            ("lost", &lost),
        ] {
            if !list.is_empty() {
                out += &format!(",\"{name}\":[{}]", list.join(","));
            }
        }
        out + "}"
    }
}

fn object(write: impl FnOnce(&mut Members<'_>)) -> String {
    let mut out = String::new();
    write(&mut Members { out: &mut out, is_first: true });
    out + "}"
}

/// The fleet as a whole.
pub fn head(fleet: &Fleet, version: &str) -> String {
    object(|row| {
        row.number("own", fleet.own_id().0.into());
        row.text("phase", fleet.phase().name());
        row.text("master", fleet.master().map_or("", |master| &master.who.nick));
        row.flag("degraded", fleet.is_degraded());
        row.text("version", version);
    })
}

/// An instance as an object, `{"i":…,"n":…,"id":…}`: how this one sees it and what it says of itself.
pub fn host(fleet: &Fleet, peer: PeerId, member: &Member) -> String {
    object(|row| {
        row.number("i", peer.0.into());
        row.text("n", &member.who.nick);
        row.text("id", &member.who.identifier);
        row.text("s", member.state.name());
        row.number("load", u64::try_from(fleet.view().load(peer)).unwrap_or(0));
        row.text("kind", &kind(member));
        row.flag("stream", fleet.peers.is_by_stream(peer));
    })
}

/// What kind of host it is, by the stereotypes that it has.
pub fn kind(member: &Member) -> String {
    member.about.as_ref().map_or(String::new(), |about| about.stereotypes.join(" "))
}

/// An application; `None` if it is gone.
pub fn app(fleet: &Fleet, id: AppId) -> Option<String> {
    let (app, application, status) = (fleet.view().app(id)?, fleet.application(id)?, fleet.status(id)?);
    Some(object(|row| {
        row.number("i", id.0.into());
        row.text("n", &app.name);
        row.flag("managed", application.rules.managed);
        row.text("s", status.state.name());
        row.flag("major", status.major);
        row.flag("minor", status.minor);
        row.number("rank", u64::try_from(application.rules.start_sequence).unwrap_or(0));
    }))
}

/// A task as an object, `{"i":…}`: what is known of it on each instance, and its rules.
pub fn task(fleet: &Fleet, id: TaskId, task: &Task) -> String {
    let program = task.known().first().map_or("", |known| &known.record.program);
    let rules = fleet.application(task.app).and_then(|application| application.tasks.get(&id));
    object(|row| {
        row.number("i", id.0.into());
        row.number("a", task.app.0.into());
        row.text("n", &task.name);
        row.text("p", program);
        row.text("s", task.shown().name());
        row.flag("failed", has_failed(task.shown(), task.expected()));
        row.flag("required", rules.is_some_and(|rules| rules.required));
        row.text("why", task.forced.as_ref().map_or("", |forced| &forced.reason));
        row.name("on");
        for (at, known) in task.known().iter().enumerate() {
            row.out.push(if at == 0 { '[' } else { ',' });
            push_known(row.out, known);
        }
        row.out.push_str(if task.known().is_empty() { "[]" } else { "]" });
    })
}

fn push_known(out: &mut String, known: &Known) {
    let record = &known.record;
    let logs = u8::from(record.has_stdout) + 2 * u8::from(record.has_stderr);
    let (state, start) = (state_of(record.state, record.expected), record.start.max(0) * 1000);
    let why = json::string(&record.spawnerr);
    let written = write!(out, "[{},\"{state}\",{},{start},{why},{logs}]", known.peer.0, record.pid);
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

/// A state; one that has ended as it should is DONE.
fn state_of(state: ProcessState, expected: bool) -> &'static str {
    if state == ProcessState::Exited && expected { "DONE" } else { state.name() }
}

/// Whether a state is one that a person has to look at.
pub fn has_failed(state: ProcessState, expected: bool) -> bool {
    match state {
        ProcessState::Fatal | ProcessState::Unknown | ProcessState::Backoff => true,
        ProcessState::Exited => !expected,
        _ => false,
    }
}

/// Something that has happened: kind, who, on which host, what, why.
pub fn moment(fleet: &Fleet, number: u64, moment: &Moment) -> String {
    let nick = |peer: PeerId| fleet.member(peer).map_or("", |member| &member.who.nick);
    let (kind, who, on, what, why) = match &moment.what {
        What::Process { name, peer, state, expected, why } => {
            ("process", name.as_str(), nick(*peer), state_of(*state, *expected), why.as_str())
        }
        What::Member(peer, state) => ("host", nick(*peer), nick(*peer), state.name(), ""),
        What::Phase(phase) => ("fleet", "", "", phase.name(), ""),
        What::Master(master) => ("master", master.map_or("", nick), master.map_or("", nick), "MASTER", ""),
    };
    let texts = [who, on, what, why].map(json::string).join(",");
    format!("[{number},{},\"{kind}\",{texts}]", millis(moment.at))
}
