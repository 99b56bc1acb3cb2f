//! supervisor_loader: as twiddler, but groups come into being with their first program, and each call makes one more
//! instance of its program.

use super::adding::New;
use super::deferred::Deferred;
use super::twiddler::{self, GET_API_VERSION, GET_GROUP_NAMES, LOG, REMOVE_PROCESS, row};
use super::{Context, Guard, Method, Outcome, PRIORITY, text};
use crate::daemon::Daemon;
use crate::fault::Fault;
use crate::wire::value::Value;

pub const METHODS: &[Method] = &[
    GET_API_VERSION,
    GET_GROUP_NAMES,
    Method { name: "getgroup_names", help: "Another name of getGroupNames, which the manual uses.", ..GET_GROUP_NAMES },
    LOG,
    Method {
        guard: Guard::Open,
        ..row("hasGroup", &["boolean", "string"], &["name"], "Tell whether a group is active.", has_group)
    },
    Method {
        guard: Guard::Open,
        ..row(
            "hasProcessInGroup",
            &["boolean", "string", "string"],
            &["group", "name"],
            "Tell whether a group has a process of that name, or one that was added as a program of that name.",
            has_process,
        )
    },
    Method {
        optional: 1,
        ..row(
            "addGroup",
            &["boolean", "string", "int"],
            &["name", "priority"],
            "Make an empty group, to which programs can be added.",
            twiddler::add_group,
        )
    },
    row(
        "addProgramToGroup",
        &["string", "string", "string", "struct"],
        &["group", "program", "options"],
        "Add one more instance of a program to a group, which is made if it is missing. The options are those of a \
         program's section; %(process_num)d is the number of the instance, which stands in its name, too. The answer \
         is that name.",
        add_program,
    ),
    REMOVE_PROCESS,
];

fn has_group(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    Ok(context.daemon.roster.group_named(text(params, 0)?).is_some().into())
}

fn has_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (group, name) = (text(params, 0)?, text(params, 1)?);
    let daemon = &*context.daemon;
    let Some(id) = daemon.roster.group_named(group) else { return Ok(false.into()) };
    let Some(active) = daemon.roster.group(id) else { return Ok(false.into()) };
    if active.process(name).is_some() {
        return Ok(true.into());
    }
    let mut added = context.extensions.loaded.processes_of(name);
    let is_added = added.any(|process| daemon.roster.process(process).is_some_and(|process| process.group == id));
    Ok((is_added || was_added(daemon, group, name)).into())
}

/// Whether an earlier run of the daemon added such a program: each instance is a program by itself.
fn was_added(daemon: &Daemon, group: &str, program: &str) -> bool {
    daemon.dynamic.added_to(group).any(|instance| {
        let number = instance.strip_prefix(program).and_then(|rest| rest.strip_prefix('_'));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

fn add_program(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (group, program) = (text(params, 0)?, text(params, 1)?);
    let mut options = twiddler::options(params, 2)?;
    let number = next_number(context, group, program);
    let name = format!("{program}_{number}");
    for (_, value) in &mut options {
        // The published code puts the number in without its zeros; every other format is left to the expansion.
        *value = value.replace("%(process_num)02d", &number.to_string());
    }
    options.retain(|(key, _)| !matches!(key.as_str(), "process_name" | "numprocs_start"));
    options.push(("process_name".to_string(), name.replace('%', "%%")));
    options.push(("numprocs_start".to_string(), number.to_string()));
    let instance = Some(name.clone());
    // The one process of an instance is there at once.
    Deferred::add(context, New { group, create: Some(PRIORITY), program, instance, options }, |_| true.into())?;
    let roster = &context.daemon.roster;
    let group = roster.group_named(group).and_then(|id| roster.group(id));
    context.extensions.loaded.add(program, group.and_then(|group| group.process(&name)), roster);
    Ok(name.into())
}

/// One more than the earlier adds of that program to any group, and not in use in this one.
fn next_number(context: &Context<'_>, group: &str, program: &str) -> u64 {
    let earlier = context.extensions.loaded.count(program);
    let daemon = &*context.daemon;
    let active = daemon.roster.group_named(group).and_then(|id| daemon.roster.group(id));
    let is_free = |number: &u64| {
        let name = format!("{program}_{number}");
        active.is_none_or(|active| active.process(&name).is_none() && !daemon.has_program(group, &name))
    };
    (earlier.saturating_add(1)..u64::MAX).find(is_free).unwrap_or(u64::MAX)
}
