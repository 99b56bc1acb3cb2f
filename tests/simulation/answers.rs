//! Whether an answer may be the answer to what was asked, and what it tells of the set of groups.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use stheno::config::Config;
use stheno::daemon::Daemon;
use stheno::wire::value::Value;

use crate::clients::Call;
use crate::sequences;

/// What came of a call: a value, or a fault's number and text.
pub type Outcome = Result<Value, (i64, String)>;

/// Results and faults of the methods: name, type of the result, faults. SHUTDOWN_STATE (6) is everywhere.
const METHODS: &[(&str, &str, &[i64])] = &[
    ("startProcess", "boolean or array", &[2, 10, 20, 21, 30, 40, 50, 60, 103]),
    ("startProcessGroup", "array", &[10]),
    ("startAllProcesses", "array", &[]),
    ("stopProcess", "boolean or array", &[10, 30, 70]),
    ("stopProcessGroup", "array", &[10]),
    ("stopAllProcesses", "array", &[]),
    ("signalProcess", "boolean or array", &[10, 11, 30, 70]),
    ("signalProcessGroup", "array", &[10]),
    ("signalAllProcesses", "array", &[]),
    ("clearProcessLogs", "boolean", &[10, 30]),
    ("clearAllProcessLogs", "array", &[]),
    ("tailProcessStdoutLog", "array", &[10]),
    ("readProcessStderrLog", "string", &[10, 20, 30]),
    ("sendProcessStdin", "boolean", &[10, 20, 30, 70]),
    ("reloadConfig", "array", &[92]),
    ("addProcessGroup", "boolean", &[10, 30, 90]),
    ("removeProcessGroup", "boolean", &[10, 30, 91]),
    ("getAllProcessInfo", "array", &[]),
    ("getProcessInfo", "struct", &[10]),
    ("getAllConfigInfo", "array", &[]),
    ("sendRemoteCommEvent", "boolean", &[]),
    ("clearLog", "boolean", &[20, 30]),
    ("readLog", "string", &[20, 30]),
    ("getState", "struct", &[]),
    ("nonsense", "", &[1]),
    ("addGroup", "boolean", &[1, 2, 30, 90]),
    ("addProgramToGroup", "boolean or string", &[2, 10, 30]),
    ("removeProcessFromGroup", "boolean", &[10, 30, 91]),
    ("UpdateNumprocs", "string", &[10, 30, 91, 92]),
    ("getGroupNames", "array", &[]),
    ("update", "struct", &[1, 10, 30, 92]),
    ("removeGroup", "boolean", &[1, 10, 30, 91]),
    ("addProgram", "array", &[1, 2, 10, 30]),
    ("updateProgram", "struct", &[1, 2, 10, 30, 91]),
    ("removeProgram", "boolean", &[1, 10, 30, 91]),
    ("setNumprocs", "struct", &[1, 2, 10, 30, 91]),
    ("dynamic", "struct", &[30]),
    ("persist", "string", &[30]),
    ("forget", "boolean", &[30]),
    ("getVersion", "struct", &[]),
    ("store", "boolean", &[]),
    ("log", "boolean", &[]),
];

/// Statuses of one process in the answer of a bulk call: success, or a fault.
const STATUSES: &[i64] = &[80, 11, 20, 21, 30, 40, 50, 60, 70, 103];

/// What the calls so far say of groups and configuration.
pub struct Model {
    /// Active groups and the names of their processes.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// The configuration last read.
    pub config: Config,
    /// Configurations that were read and whose answers are still to come.
    pub loads: VecDeque<Config>,
    /// Nothing was changed but by update: what is added is what is configured.
    pub is_plain: bool,
}

impl Model {
    pub fn new(config: Config) -> Model {
        // Of two groups of one name the first one counts.
        let groups = config.groups.iter().rev().map(|group| (group.name.clone(), names(group))).collect();
        Model { groups, config, loads: VecDeque::new(), is_plain: true }
    }

    /// Takes the daemon's word for what there is: calls were under way whose answers nobody will see.
    pub fn trust(&mut self, daemon: &Daemon) {
        self.groups = active(daemon);
        self.config = daemon.config.clone();
        self.loads.clear();
        self.is_plain = false;
    }

    /// Takes the daemon's word for one group.
    fn trust_of(&mut self, group: &str, daemon: &Daemon) {
        self.is_plain = false;
        match active(daemon).remove(group) {
            Some(names) => self.groups.insert(group.to_string(), names),
            None => self.groups.remove(group),
        };
    }

    /// Takes what came of a call. What others were doing with groups meanwhile may have been before or after it.
    pub fn note(&mut self, call: &Call, outcome: &Outcome, daemon: &Daemon, others: &BTreeSet<String>) {
        let text = |index: usize| call.params.get(index).and_then(Value::as_str).unwrap_or_default();
        let name = text(0);
        let value = match outcome {
            Ok(value) => value,
            Err((code, _)) => {
                // It has read the configuration before it failed.
                if call.method == "grace.UpdateNumprocs" && ![6, 10, 92].contains(code) {
                    self.config = self.loads.pop_front().expect("the configuration was read");
                }
                return;
            }
        };
        let is_about_one = !matches!(call.method, "supervisor.reloadConfig" | "grace.UpdateNumprocs");
        if is_about_one && call.group().is_some_and(|group| others.contains(group)) {
            return self.trust_of(name, daemon);
        }
        match call.method {
            "supervisor.addProcessGroup" => {
                let group = self.config.groups.iter().find(|group| group.name == name);
                let names = match (self.is_plain, group) {
                    (true, Some(group)) => names(group),
                    (true, None) => panic!("{name} was added and is not configured"),
                    (false, _) => active(daemon).remove(name).unwrap_or_default(),
                };
                let before = self.groups.insert(name.to_string(), names);
                assert!(before.is_none(), "{name} was added and is active already");
            }
            "supervisor.removeProcessGroup" => {
                assert!(self.groups.remove(name).is_some(), "{name} was removed and is not active");
            }
            "supervisor.reloadConfig" => {
                self.config = self.loads.pop_front().expect("the configuration was read");
                let configured: BTreeSet<String> = self.config.groups.iter().map(|group| group.name.clone()).collect();
                let is_active = |name: &String| self.groups.contains_key(name);
                let is_sure = |name: &&String| !others.contains(*name);
                let added = configured.iter().filter(|name| !is_active(name)).filter(is_sure).cloned().collect();
                let removed = self.groups.keys().filter(|name| !configured.contains(*name));
                let removed = removed.filter(is_sure).cloned().collect();
                let lists: [BTreeSet<String>; 3] =
                    lists(value).map(|list| list.into_iter().filter(|name| is_sure(&name)).collect());
                assert_eq!(lists[0], added, "groups that reloadConfig says were added");
                assert_eq!(lists[2], removed, "groups that reloadConfig says were removed");
                let stay: BTreeSet<String> = configured.into_iter().filter(is_active).collect();
                assert!(lists[1].is_subset(&stay), "groups that reloadConfig says were changed: {:?}", lists[1]);
            }
            "twiddler.addGroup" => {
                self.is_plain = false;
                let before = self.groups.insert(name.to_string(), BTreeSet::new());
                assert!(before.is_none(), "{name} was added and is active already");
            }
            "twiddler.addProgramToGroup" => {
                self.is_plain = false;
                let group = self.groups.get_mut(name).unwrap_or_else(|| panic!("a program was added to no group"));
                let several = call.params.get(2).is_some_and(|options| options.member("numprocs").is_some());
                let program = text(1);
                match several {
                    true => group.extend([format!("{program}_0"), format!("{program}_1")]),
                    false => group.extend([program.to_string()]),
                }
            }
            "loader.addProgramToGroup" => {
                self.is_plain = false;
                let process = value.as_str().unwrap_or_default().to_string();
                let is_new = self.groups.entry(name.to_string()).or_default().insert(process);
                assert!(is_new, "a name that is taken: {value:?}");
            }
            "twiddler.removeProcessFromGroup" => {
                self.is_plain = false;
                let removed = self.groups.get_mut(name).is_some_and(|group| group.remove(text(1)));
                assert!(removed, "a process was removed and is not there");
            }
            "grace.UpdateNumprocs" => {
                self.config = self.loads.pop_front().expect("the configuration was read");
                let answer = value.as_str().unwrap_or_default();
                if others.contains(name) {
                    self.trust_of(name, daemon);
                } else if answer.contains("\"add\"") {
                    self.is_plain = false;
                    let prefix = format!("\"{name}:");
                    let added = answer.match_indices(&prefix).map(|(at, _)| &answer[at + prefix.len()..]);
                    let added = added.filter_map(|rest| rest.split('"').next()).map(str::to_string);
                    self.groups.entry(name.to_string()).or_default().extend(added);
                }
            }
            _ => {}
        }
    }

    /// Checks that an answer of getAllProcessInfo has these groups and processes, but for groups that others were changing.
    pub fn check_infos(&self, value: &Value, others: &BTreeSet<String>) {
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for info in items(value) {
            let text = |name: &str| info.member(name).and_then(Value::as_str).unwrap_or_default().to_string();
            assert!(groups.entry(text("group")).or_default().insert(text("name")), "a process is listed twice");
        }
        groups.retain(|group, _| !others.contains(group));
        let filled = self.groups.iter().filter(|(group, names)| !names.is_empty() && !others.contains(*group));
        let filled: BTreeMap<_, _> = filled.map(|(group, names)| (group.clone(), names.clone())).collect();
        assert_eq!(groups, filled, "the processes of getAllProcessInfo");
    }
}

fn names(group: &stheno::config::types::Group) -> BTreeSet<String> {
    group.processes.iter().map(|program| program.name.clone()).collect()
}

/// What the daemon has.
pub fn active(daemon: &Daemon) -> BTreeMap<String, BTreeSet<String>> {
    daemon.roster.groups().map(|(_, group)| (group.name().to_string(), names(&group.config))).collect()
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        _ => panic!("not an array: {value:?}"),
    }
}

/// The three lists of reloadConfig.
fn lists(value: &Value) -> [BTreeSet<String>; 3] {
    let [all] = items(value) else { panic!("reloadConfig answers one array in an array") };
    let names = |list| items(list).iter().filter_map(Value::as_str).map(str::to_string).collect();
    let lists: Vec<BTreeSet<String>> = items(all).iter().map(names).collect();
    lists.try_into().unwrap_or_else(|lists| panic!("reloadConfig answers three lists: {lists:?}"))
}

/// Checks that a call can have this outcome.
pub fn check(call: &Call, outcome: &Outcome, is_running: bool) {
    let name = call.method.rsplit('.').next().unwrap_or_default();
    let row = METHODS.iter().chain(sequences::METHODS).find(|(method, ..)| *method == name);
    let (_, kind, faults) = row.unwrap_or_else(|| panic!("no row for {name}"));
    match outcome {
        Err((6, _)) => assert!(!is_running, "{name} says that the daemon is shutting down, and it is not"),
        Err((code, text)) => assert!(faults.contains(code), "{name} answers fault {code} {text}"),
        Ok(value) => {
            let found = match value {
                Value::Bool(true) => "boolean",
                Value::Int(_) => "int",
                Value::Str(_) => "string",
                Value::Array(_) => "array",
                Value::Struct(_) => "struct",
                _ => "something else",
            };
            assert!(kind.split(" or ").any(|kind| kind == found), "{name} answers {value:?}");
        }
    }
    if let Ok(Value::Array(entries)) = outcome
        && entries.iter().all(|entry| entry.member("status").is_some())
    {
        for entry in entries {
            let Some(Value::Int(status)) = entry.member("status") else { panic!("{name}: {entry:?}") };
            assert!(STATUSES.contains(status), "{name} answers for one process {entry:?}");
        }
    }
}
