//! What the files say beside what is in force: where an option comes from, and what a reread and an update would change.
//! Nothing is changed here.

use std::borrow::Cow;
use std::rc::Rc;

use super::budget::LOAD_US;
use super::{Context, Outcome, supervisor, text};
use crate::config::{Process, Program, Row, Show};
use crate::fault::{Code, Fault};
use crate::namespec;
use crate::wire::ini::{Document, Entry};
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// Kinds of sections that make processes.
const SECTIONS: [&str; 3] = ["program", "eventlistener", "fcgi-program"];

/// The options in force of a process, with the places in the files as they are now.
pub(super) fn options(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let roster = &context.daemon.roster;
    let process = roster.find_process(name).and_then(|id| roster.process(id));
    let config = process.ok_or_else(|| Code::BadName.with(name))?.config.clone();
    // Files that cannot be read now have no places to show.
    context.budget.spend(LOAD_US);
    let document = context.daemon.read_files(context.host).unwrap_or_default();
    let mut all = Vec::with_capacity(Program::ROWS.len() + Process::ROWS.len());
    for (row, value) in shown(&config) {
        let entry = entry(&document, &config.program.name, row);
        let (file, line) = entry.map_or((String::new(), 0), |entry| (entry.file.to_string(), entry.line));
        all.push(Value::Struct(vec![
            ("name".into(), row.name.into()),
            ("value".into(), value.into()),
            ("file".into(), file.into()),
            ("line".into(), i64::from(line).into()),
        ]));
    }
    Ok(Value::Array(all).into())
}

/// The options of a process and its program, as text. The environment is not among them.
fn shown(config: &Process) -> Vec<(&'static Row, String)> {
    let mut all = Vec::new();
    let put = &mut |row: &'static Row, value: &dyn Show| all.push((row, as_text(&value.shown())));
    config.program.show(put);
    config.show(put);
    all
}

fn as_text(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        Value::Bool(is) => is.to_string(),
        Value::Array(items) => items.iter().map(as_text).collect::<Vec<_>>().join(","),
        other => pyrepr::value(other),
    }
}

/// Where an option of a program stands.
fn entry<'d>(document: &'d Document, program: &str, row: &Row) -> Option<&'d Entry> {
    let own = SECTIONS.iter().find_map(|kind| document.section(&format!("{kind}:{program}")));
    let sections = own.into_iter().chain(document.section("program-default")).chain([&document.defaults]);
    let names = || [row.name].into_iter().chain(row.aliases.iter().copied());
    sections.into_iter().find_map(|section| names().find_map(|name| section.get(name)))
}

/// What a reread and an update would change, process by process, and what would come of it.
pub(super) fn all(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let config = supervisor::load(context)?;
    let mut changes = Changes::default();
    let roster = &context.daemon.roster;
    for (id, active) in roster.groups_by_name() {
        let members = || active.processes.iter().filter_map(|id| roster.process(*id));
        let Some(new) = config.groups.iter().find(|group| group.name == active.name()) else {
            for process in members() {
                changes.removed(active.name(), &process.config.name, process.machine.pid().is_some());
            }
            continue;
        };
        if active.config.same_as(new) {
            continue;
        }
        let (before, wanted) = (changes.list.len(), new.by_name());
        for process in members() {
            let runs = process.machine.pid().is_some();
            match wanted.get(process.config.name.as_str()) {
                None => changes.removed(active.name(), &process.config.name, runs),
                Some(new) if process.config.same_as(new) => {}
                Some(new) => changes.changed(active.name(), &process.config, new, runs),
            }
        }
        let is_known = |name: &str| roster.group(id).is_some_and(|group| group.process(name).is_some());
        for process in new.processes.iter().filter(|process| !is_known(&process.name)) {
            changes.added(active.name(), process);
        }
        if changes.list.len() == before {
            // Its priority, or the events of its listeners.
            changes.push("changed", format!("{}:*", active.name()), Vec::new());
        }
    }
    for group in config.groups.iter().filter(|group| roster.group_named(&group.name).is_none()) {
        group.processes.iter().for_each(|process| changes.added(&group.name, process));
    }
    let Changes { list, starts, stops, restarts } = changes;
    Ok(Value::Struct(vec![
        ("changes".into(), Value::Array(list)),
        ("starts".into(), starts.into()),
        ("stops".into(), stops.into()),
        ("restarts".into(), restarts.into()),
    ])
    .into())
}

/// What is found, and how many processes start, stop or are restarted by it.
#[derive(Default)]
struct Changes {
    list: Vec<Value>,
    starts: i64,
    stops: i64,
    restarts: i64,
}

impl Changes {
    fn push(&mut self, kind: &'static str, name: String, options: Vec<Value>) {
        self.list.push(Value::Struct(vec![
            ("kind".into(), kind.into()),
            ("name".into(), name.into()),
            ("options".into(), Value::Array(options)),
        ]));
    }

    fn added(&mut self, group: &str, process: &Rc<Process>) {
        self.starts += i64::from(process.program.autostart);
        self.push("added", namespec::join(group, &process.name), Vec::new());
    }

    fn removed(&mut self, group: &str, name: &str, runs: bool) {
        self.stops += i64::from(runs);
        self.push("removed", namespec::join(group, name), Vec::new());
    }

    fn changed(&mut self, group: &str, old: &Process, new: &Process, runs: bool) {
        self.restarts += i64::from(runs && !old.same_but_for_policy(new));
        let member = |name: &'static str, text: String| -> (Cow<'static, str>, Value) { (name.into(), text.into()) };
        let option = |name: &str, before: String, after: String| {
            Value::Struct(vec![member("name", name.to_string()), member("before", before), member("after", after)])
        };
        let pairs = shown(old).into_iter().zip(shown(new)).filter(|((_, before), (_, after))| before != after);
        let mut options: Vec<Value> =
            pairs.map(|((row, before), (_, after))| option(row.name, before, after)).collect();
        if old.environment != new.environment {
            // Its values are never given out.
            options.push(option("environment", "as it is".to_string(), "another".to_string()));
        }
        self.push("changed", namespec::join(group, &old.name), options);
    }
}
