//! supervisor_grace: a program gets more or fewer processes without a restart of those it has.

use std::collections::HashMap;
use std::rc::Rc;

use super::twiddler::{ADD_PROGRAM, GET_API_VERSION, GET_GROUP_NAMES, LOG, REMOVE_PROCESS, row};
use super::{Context, Guard, Method, Outcome, known_group, supervisor, text};
use crate::config::{Group, Process};
use crate::daemon::change::Change;
use crate::fault::Fault;
use crate::wire::json;
use crate::wire::value::Value;

/// The rows. Two of them check neither the daemon's state nor the whitelist.
pub const METHODS: &[Method] = &[
    GET_API_VERSION,
    GET_GROUP_NAMES,
    LOG,
    ADD_PROGRAM,
    Method { guard: Guard::Open, ..REMOVE_PROCESS },
    Method {
        guard: Guard::Open,
        ..row(
            "UpdateNumprocs",
            &["string", "string"],
            &["group"],
            "Read the configuration anew and, if nothing but the number of a group's processes has changed, add the new \
             ones, or name those that are to be stopped and removed. The answer is JSON: type is add, reduce or error, \
             with processes_name or msg.",
            update_numprocs,
        )
    },
];

/// What becomes of a group by its new configuration.
#[derive(Debug, PartialEq)]
enum Verdict {
    Refused(&'static str),
    More(Vec<String>),
    Fewer(Vec<String>),
}

fn update_numprocs(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    known_group(context, name)?;
    supervisor::reread(context)?;
    let daemon = &mut *context.daemon;
    let active =
        daemon.roster.group_named(name).and_then(|id| daemon.roster.group(id)).map(|group| group.config.clone());
    let verdict = match (active, daemon.configured_group(name).cloned()) {
        (Some(active), Some(configured)) => {
            let verdict = judge(&active, &configured);
            if let Verdict::More(_) = verdict {
                let origin = context.origin();
                context.daemon.apply(&Change::ReplaceGroup(configured), &origin, context.now, context.host)?;
            }
            verdict
        }
        _ => Verdict::Refused("The group is no longer configured"),
    };
    let (kind, member) = match verdict {
        Verdict::Refused(text) => ("error", ("msg", text.into())),
        Verdict::More(names) => ("add", ("processes_name", array(names))),
        Verdict::Fewer(names) => ("reduce", ("processes_name", array(names))),
    };
    let answer = Value::Struct(vec![(member.0.into(), member.1), ("type".into(), kind.into())]);
    Ok(json::write(&answer).into())
}

fn array(names: Vec<String>) -> Value {
    Value::Array(names.into_iter().map(Value::from).collect())
}

/// Compares as sets: in the original's order a tenth process makes everything look changed.
fn judge(active: &Group, configured: &Group) -> Verdict {
    let (old, new) = (active.by_name(), configured.by_name());
    let missing = |from: &Group, in_there: &HashMap<&str, &Rc<Process>>| -> Vec<String> {
        let missing = from.processes.iter().filter(|process| !in_there.contains_key(process.name.as_str()));
        missing.map(|process| format!("{}:{}", from.name, process.name)).collect()
    };
    let (added, removed) = (missing(configured, &old), missing(active, &new));
    let mut common = active.processes.iter().filter_map(|process| Some((process, new.get(process.name.as_str())?)));
    let is_same = active.kind == configured.kind && common.all(|(process, other)| process.same_as(other));
    if active.priority != configured.priority {
        return Verdict::Refused("Not only numprocs has changed: priority is difference");
    }
    match (is_same, added.is_empty(), removed.is_empty()) {
        (true, true, true) => Verdict::Refused("No need to update"),
        (true, false, true) => Verdict::More(added),
        (true, true, false) => Verdict::Fewer(removed),
        _ if active.processes.len() != configured.processes.len() => Verdict::Refused("Not only numprocs has changed"),
        _ => Verdict::Refused("Other settings has changed, please use update"),
    }
}
