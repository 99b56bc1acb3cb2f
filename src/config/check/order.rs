//! What is meant otherwise than it will come about where programs depend on each other (O-1). None of it is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::wire::ini::Document;

use super::super::dependency::Condition;
use super::super::depends::{self, Node};
use super::super::options::Process;
use super::super::types::{Group, GroupKind};
use super::super::values::Autorestart;
use super::finding::{Finding, Severity};

/// Sections in which a `depends_on` may stand.
const KINDS: [&str; 3] = ["program", "fcgi-program", "eventlistener"];

/// What only matters to a program that waits for something.
const FOR_WAITING: [&str; 3] = ["depends_on_failure", "depends_on_timeout", "on_dependency_stop"];

/// Looks at what depends on what. Each pair of programs is named once, however many processes they have.
pub(super) fn look(document: &Document, groups: &[Rc<Group>]) -> Vec<Finding> {
    let members = depends::nodes(groups);
    let mut found = idle(document, &members);
    if members.iter().all(|(node, _)| node.depends_on.is_empty() && node.group_depends_on.is_empty()) {
        return found;
    }
    let nodes: Vec<Node<'_>> = members.iter().map(|(node, _)| *node).collect();
    let resolved = depends::look_up(&nodes);
    let priorities: Vec<(i64, i64)> = groups
        .iter()
        .flat_map(|group| group.processes.iter().map(|process| (group.priority, process.program.priority)))
        .collect();
    let listeners: BTreeSet<&str> =
        groups.iter().filter(|group| matches!(group.kind, GroupKind::Listener(_))).map(|group| &*group.name).collect();
    // Of a set's processes that come of one program one speaks for all.
    let speakers: Vec<Vec<usize>> = resolved
        .sets
        .iter()
        .map(|set| {
            let mut programs = BTreeSet::new();
            set.iter().copied().filter(|index| programs.insert(nodes[*index].program)).collect()
        })
        .collect();
    let mut seen = BTreeSet::new();
    for (waiter, needs) in resolved.needs.iter().enumerate() {
        let (node, process) = members[waiter];
        let program = &process.program.name;
        let mut say = |key: (&str, &str), text: String| {
            if seen.insert((program.clone(), key.0.to_string(), key.1.to_string())) {
                found.push(placed(document, process, text));
            }
        };
        if !needs.is_empty() && listeners.contains(node.group) {
            let text = format!("[eventlistener:{program}] depends on something: it misses the first events");
            say(("listener", ""), text);
        }
        for need in needs {
            if resolved.absent.get(need.set) == Some(&true) {
                let name = &need.item.name;
                let text =
                    format!("{program} depends on {name}, a group without programs: it waits until that has some");
                say(("empty", name), text);
            }
            for index in &speakers[need.set] {
                let (_, on) = members[*index];
                let name = &on.program.name;
                let condition = need.item.condition;
                if !on.program.autostart {
                    let text = format!("{program} depends on {name}, which is not started by itself (autostart=false)");
                    say(("autostart", name), text);
                }
                if is_overruled(node.group == nodes[*index].group, priorities[waiter], priorities[*index]) {
                    let text =
                        format!("{program} depends on {name}, which has the larger priority: priority is overruled");
                    say(("priority", name), text);
                }
                if condition == Condition::Completed && on.program.autorestart == Autorestart::Always {
                    let text = format!(
                        "{program} depends on {name} to have completed, which is started again after each exit \
                         (autorestart=true)"
                    );
                    say(("completed", name), text);
                }
                if condition == Condition::Healthy && on.liveness_check_script.is_some() {
                    let secs = on.program.liveness_check_initial_delay.0.as_secs_f64();
                    let text = format!(
                        "{program} depends on {name} to be healthy, which is not known before {secs} seconds \
                         (liveness_check_initial_delay): ready= is quicker"
                    );
                    say(("healthy", name), text);
                }
            }
        }
    }
    found
}

/// Options for waiting of programs of which no process, by itself or by one of its groups, waits for what they are about.
fn idle(document: &Document, members: &[(Node<'_>, &Rc<Process>)]) -> Vec<Finding> {
    let mut waiting: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for (node, _) in members {
        let (waits, lasts) = waiting.entry(node.program).or_default();
        let mut items = node.depends_on.iter().chain(node.group_depends_on);
        *waits |= items.clone().next().is_some();
        *lasts |= items.any(|item| item.condition.is_lasting());
    }
    let mut found = Vec::new();
    for section in &document.sections {
        // One without a process says nothing of what its processes would wait for.
        let program = section.name.split_once(':').filter(|(kind, _)| KINDS.contains(kind));
        let Some((waits, lasts)) = program.and_then(|(_, program)| waiting.get(program)) else { continue };
        for entry in FOR_WAITING.iter().filter_map(|key| section.get(key)) {
            let name = &section.name;
            let text = match entry.key.as_str() {
                key if !waits => format!("{key} in [{name}] has no effect without depends_on, its own or its group's"),
                key @ "on_dependency_stop" if !lasts => format!(
                    "{key} in [{name}] has no effect: it waits for nothing to be running, ready or healthy, and nothing \
                     else can stop"
                ),
                _ => continue,
            };
            found.push(Finding::at(Severity::Warning, text, &entry.file, entry.line));
        }
    }
    found
}

/// Whether the one that waits would have been started first.
fn is_overruled(is_same_group: bool, waiter: (i64, i64), on: (i64, i64)) -> bool {
    if is_same_group { on.1 > waiter.1 } else { on.0 > waiter.0 }
}

/// At the option of the process's section, if it stands there.
fn placed(document: &Document, process: &Process, text: String) -> Finding {
    let name = &process.program.name;
    let entry = KINDS.iter().find_map(|kind| document.get(&format!("{kind}:{name}"), "depends_on"));
    match entry {
        Some(entry) => Finding::at(Severity::Warning, text, &entry.file, entry.line),
        None => Finding::new(Severity::Warning, text),
    }
}
