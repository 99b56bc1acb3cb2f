//! The options that supervisord-dependent-startup reads in sections of programs (O-1). They mean something only with
//! `[supervisord] dependent_startup=true`, or to that listener; else they are as inert as in Supervisor, whatever they say.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::datatypes::Datatype;
use super::depends;
use super::env::Nowhere;
use super::options::Process;
use super::types::Group;
use crate::state::ProcessState;

/// States that can be waited for.
const STATES: [ProcessState; 6] = [
    ProcessState::Starting,
    ProcessState::Running,
    ProcessState::Backoff,
    ProcessState::Stopping,
    ProcessState::Exited,
    ProcessState::Fatal,
];

/// The priority of a program that says none, for the order of starts; what has it comes last.
const DEFAULT_PRIORITY: i64 = 999;

/// What a service waits for: index of another, and the states of which it must have reached one.
pub type Waits = Vec<(usize, Vec<ProcessState>)>;

/// A program, to be started once others have reached some state, or only waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependent {
    pub name: String,
    /// Whether it is to be started.
    pub is_handled: bool,
    /// What counts when several are to be started; inherited if that is said.
    pub priority: i64,
    /// What it waits for.
    pub waits: Waits,
}

/// All programs of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// Whoever is waited for stands before those that wait.
    pub all: Vec<Dependent>,
    /// What is wrong and passed over.
    pub warnings: Vec<String>,
}

/// One word of `dependent_startup_wait_for`, `name:state,state`.
fn wait(word: &str, section: &str, warnings: &mut Vec<String>) -> (String, Vec<ProcessState>) {
    let parts: Vec<&str> = word.split(':').collect();
    let [name, states] = parts[..] else { return (parts[0].to_string(), vec![ProcessState::Running]) };
    let mut found = Vec::new();
    for written in states.split(',') {
        let upper = written.to_uppercase();
        match STATES.into_iter().find(|state| state.name() == upper) {
            Some(state) => found.push(state),
            None => warnings.push(format!(
                "Ignoring invalid state '{upper}' in 'dependent_startup_wait_for' for 'program:{section}'"
            )),
        }
    }
    (name.to_string(), found)
}

fn is_true(text: &str) -> bool {
    bool::parse(text.trim(), &Nowhere).unwrap_or(false)
}

/// What programs wait for.
///
/// Errors: a circle, or a program that waits by `depends_on` too; about that process.
pub fn read(groups: &[Rc<Group>]) -> Result<Services, (Rc<Process>, String)> {
    let mut programs: BTreeMap<&str, &Rc<Process>> = BTreeMap::new();
    let mut with_depends_on = BTreeSet::new();
    for (node, process) in depends::nodes(groups) {
        programs.entry(node.program).or_insert(process);
        let is_waiting = !node.depends_on.is_empty() || !node.group_depends_on.is_empty();
        with_depends_on.extend(is_waiting.then_some(node.program));
    }
    let mut warnings = Vec::new();
    let mut written = Vec::new();
    for (name, process) in &programs {
        let program = &process.program;
        let mut is_handled = is_true(&program.dependent_startup.0);
        if is_handled && with_depends_on.contains(name) {
            let text = format!("{name} has both depends_on and dependent_startup: only one of them can be");
            return Err((Rc::clone(process), text));
        }
        if is_handled && program.autostart {
            warnings
                .push(format!("dependent_startup of {name} requires autostart=false; it is started as if it had none"));
            is_handled = false;
        }
        let words = program.dependent_startup_wait_for.0.split_whitespace();
        let mut waits: Vec<(String, Vec<ProcessState>)> = Vec::new();
        for word in words {
            let (on, states) = wait(word, name, &mut warnings);
            if !programs.contains_key(on.as_str()) {
                warnings.push(format!("Service '{name}' depends on unknown service '{on}'; that is passed over"));
                continue;
            }
            // Of two for one service the last one counts, as in a dictionary.
            match waits.iter_mut().find(|(other, _)| *other == on) {
                Some(found) => found.1 = states,
                None => waits.push((on, states)),
            }
        }
        written.push((*name, *process, is_handled, waits));
    }
    let order = sorted(&written)?;
    let places: HashMap<&str, usize> =
        order.iter().enumerate().map(|(place, index)| (written[*index].0, place)).collect();
    let mut all: Vec<Dependent> = Vec::with_capacity(order.len());
    for index in order {
        let (name, process, is_handled, waits) = &written[index];
        let waits: Waits =
            waits.iter().filter_map(|(on, states)| Some((*places.get(on.as_str())?, states.clone()))).collect();
        let mut priority = process.program.priority;
        if is_true(&process.program.dependent_startup_inherit_priority.0) {
            priority = waits.iter().filter_map(|(on, _)| all.get(*on)).map(|on| on.priority).fold(priority, i64::min);
        }
        let name = name.to_string();
        all.push(Dependent { name, is_handled: *is_handled, priority, waits });
    }
    Ok(Services { all, warnings })
}

type Written<'a> = (&'a str, &'a Rc<Process>, bool, Vec<(String, Vec<ProcessState>)>);

/// Their indices, whoever is waited for first.
fn sorted(written: &[Written<'_>]) -> Result<Vec<usize>, (Rc<Process>, String)> {
    let places: HashMap<&str, usize> = written.iter().enumerate().map(|(index, (name, ..))| (*name, index)).collect();
    let mut left: Vec<usize> = written.iter().map(|(.., waits)| waits.len()).collect();
    let mut waiters: Vec<Vec<usize>> = vec![Vec::new(); written.len()];
    for (index, (.., waits)) in written.iter().enumerate() {
        for on in waits.iter().filter_map(|(on, _)| places.get(on.as_str())) {
            waiters[*on].push(index);
        }
    }
    let mut order: Vec<usize> = (0..written.len()).filter(|index| left[*index] == 0).collect();
    let mut at = 0;
    while let Some(index) = order.get(at).copied() {
        at += 1;
        for waiter in &waiters[index] {
            left[*waiter] -= 1;
            if left[*waiter] == 0 {
                order.push(*waiter);
            }
        }
    }
    let Some(first) = (0..written.len()).find(|index| left[*index] > 0) else { return Ok(order) };
    // Everybody who is left waits for somebody who is left: going on from one leads into the circle.
    let mut path = vec![first];
    loop {
        let last = path[path.len() - 1];
        let next = written[last].3.iter().filter_map(|(on, _)| places.get(on.as_str())).find(|on| left[**on] > 0);
        let Some(next) = next.copied() else { return Ok(order) };
        if let Some(begin) = path.iter().position(|place| *place == next) {
            path.push(next);
            let names: Vec<&str> = path[begin..].iter().map(|index| written[*index].0).collect();
            let text = format!("dependent_startup_wait_for goes in a circle: {}", names.join(" -> "));
            return Err((Rc::clone(written[next].1), text));
        }
        path.push(next);
    }
}

impl Dependent {
    /// What it is sorted by among those that may be started at one moment: who says no priority comes last.
    pub fn rank(&self) -> (bool, i64) {
        (self.priority == DEFAULT_PRIORITY, self.priority)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    fn services(text: &str) -> Result<Services, String> {
        let config = Fake::new().load(&format!("[supervisord]\n{text}")).unwrap();
        read(&config.groups).map_err(|(_, text)| text)
    }

    const HEAD: &str = "[program:a]\ncommand=x\npriority=5\n[program:b]\ncommand=x\n";

    #[test]
    fn what_is_waited_for() {
        use ProcessState::*;
        let rows: [(&str, Waits, i64, usize); 6] = [
            ("dependent_startup_wait_for=a:running", vec![(0, vec![Running])], 7, 0),
            ("dependent_startup_wait_for=a b:exited,FATAL", vec![(0, vec![Running]), (1, vec![Exited, Fatal])], 7, 0),
            ("dependent_startup_wait_for=b:ready", vec![(1, vec![])], 7, 1),
            ("dependent_startup_wait_for=nope:running a", vec![(0, vec![Running])], 7, 1),
            ("dependent_startup_wait_for=a\ndependent_startup_inherit_priority=true", vec![(0, vec![Running])], 5, 0),
            ("dependent_startup_wait_for=", vec![], 7, 0),
        ];
        for (lines, waits, priority, warnings) in rows {
            let text =
                format!("{HEAD}[program:x]\ncommand=x\npriority=7\nautostart=false\ndependent_startup=true\n{lines}\n");
            let found = services(&text).unwrap();
            let x = found.all.iter().find(|service| service.name == "x").unwrap();
            assert_eq!((x.is_handled, &x.waits, x.priority), (true, &waits, priority), "{lines}");
            assert_eq!(found.warnings.len(), warnings, "{lines}: {:?}", found.warnings);
        }
    }

    #[test]
    fn what_cannot_be() {
        let circle = "[program:a]\ncommand=x\ndependent_startup_wait_for=b\n[program:b]\ncommand=x\n\
                      dependent_startup_wait_for=a\n";
        assert_eq!(services(circle).unwrap_err(), "dependent_startup_wait_for goes in a circle: a -> b -> a");
        let both = format!("{HEAD}[program:x]\ncommand=x\nautostart=false\ndependent_startup=true\ndepends_on=a\n");
        assert!(services(&both).unwrap_err().contains("both depends_on and dependent_startup"));
        let by_group = format!(
            "{HEAD}[program:x]\ncommand=x\nautostart=false\ndependent_startup=true\n[group:g]\nprograms=x\ndepends_on=a\n"
        );
        assert!(services(&by_group).unwrap_err().contains("both depends_on and dependent_startup"));
        let by_itself = format!("{HEAD}[program:x]\ncommand=x\ndependent_startup=true\n");
        let found = services(&by_itself).unwrap();
        assert!(found.all.iter().all(|service| !service.is_handled) && found.warnings.len() == 1);
        let nonsense = format!("{HEAD}[program:x]\ncommand=x\ndependent_startup=perhaps\n");
        assert!(services(&nonsense).unwrap().all.iter().all(|service| !service.is_handled));
    }
}
