//! Rules of Supvisors for random configurations, and what clients ask of a fleet of one.

use stheno::wire::value::Value;

use crate::clients::Call;
use crate::configuration::GROUPS;
use crate::random::Random;

/// The file of rules.
pub const RULES: &str = "/etc/rules.xml";

/// How this daemon is called in the list of all.
const OWN: &str = "127.0.0.1:9001";

/// What makes a daemon a fleet of one.
pub struct Sequences {
    /// Nothing but sequences, strategies and children themselves starts and stops anything: then it is known why something did.
    pub is_calm: bool,
    /// The synchronisation waits for a user.
    pub waits_for_user: bool,
    /// `[rpcinterface:supvisors]`.
    pub section: String,
    /// The text of the file of rules.
    pub rules: String,
}

impl Sequences {
    pub fn new(random: &mut Random) -> Sequences {
        let waits_for_user = random.one_in(12);
        let mut section = format!(
            "[rpcinterface:supvisors]\nsupervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n\
             supvisors_list={OWN}\nrules_files={RULES}\n"
        );
        if waits_for_user {
            section.push_str("synchro_options=USER\n");
        }
        if random.one_in(2) {
            section.push_str("disabilities_file=/run/disabled.json\n");
        }
        let mut rules = String::from("<root>\n");
        for group in GROUPS {
            if random.one_in(4) {
                rules.push_str(&application(group, random));
            }
        }
        rules.push_str("</root>\n");
        Sequences { is_calm: random.one_in(2), waits_for_user, section, rules }
    }
}

/// What a file of rules says of an application.
fn application(group: &str, random: &mut Random) -> String {
    let mut text = format!("<application name=\"{group}\">\n");
    for (key, value) in group_rules(random) {
        text.push_str(&format!("<{key}>{value}</{key}>\n"));
    }
    text.push_str("<programs>\n");
    for index in 0..random.below(4) {
        let who = match random.below(4) {
            0 => format!("name=\"{group}\""),
            1 => format!("pattern=\"_{index}\""),
            _ => format!("name=\"{group}_{index}\""),
        };
        text.push_str(&format!("<program {who}>\n"));
        for (key, value) in program_rules(random) {
            text.push_str(&format!("<{key}>{value}</{key}>\n"));
        }
        text.push_str("</program>\n");
    }
    text.push_str("</programs>\n</application>\n");
    text
}

/// Strategies, those that end everything seldom.
fn running_failure(random: &mut Random) -> &'static str {
    match random.below(24) {
        0 => "SHUTDOWN",
        1 => "RESTART",
        2..6 => "CONTINUE",
        6..10 => "RESTART_PROCESS",
        10..17 => "STOP_APPLICATION",
        _ => "RESTART_APPLICATION",
    }
}

/// Rules of a program, as options have them and files of rules.
fn program_rules(random: &mut Random) -> Vec<(&'static str, &'static str)> {
    let mut rules = vec![("start_sequence", random.word(&["0", "1", "1", "2", "2", "3"]))];
    let mut add = |key, words: &[&'static str], random: &mut Random| rules.push((key, random.word(words)));
    if random.one_in(4) {
        add("stop_sequence", &["0", "1", "2", "5"], random);
    }
    if random.one_in(3) {
        add("required", &["true"], random);
    }
    if random.one_in(4) {
        add("wait_exit", &["true"], random);
    }
    if random.one_in(3) {
        add("starting_failure_strategy", &["ABORT", "STOP", "CONTINUE"], random);
    }
    if random.one_in(4) {
        add("expected_loading", &["0", "10", "60", "100"], random);
    }
    if random.one_in(3) {
        rules.push(("running_failure_strategy", running_failure(random)));
    }
    rules
}

/// Rules of a group, as options have them and files of rules.
fn group_rules(random: &mut Random) -> Vec<(&'static str, &'static str)> {
    let mut rules = Vec::new();
    if !random.one_in(3) {
        rules.push(("start_sequence", random.word(&["0", "1", "1", "2", "3"])));
    }
    if random.one_in(3) {
        rules.push(("stop_sequence", random.word(&["0", "1", "2", "3"])));
    }
    if random.one_in(3) {
        rules.push(("starting_failure_strategy", random.word(&["ABORT", "STOP", "CONTINUE"])));
    }
    if random.one_in(2) {
        rules.push(("running_failure_strategy", running_failure(random)));
    }
    if random.one_in(4) {
        rules.push(("operational_status", random.word(&["all('.*')", "any('.*')", "'ghost'", "not any('.*_1')"])));
    }
    rules
}

/// Adds the rules of a program to its options.
pub fn add_options(list: &mut Vec<(String, String)>, random: &mut Random) {
    if random.one_in(4) {
        return;
    }
    list.extend(program_rules(random).into_iter().map(|(key, value)| (key.to_string(), value.to_string())));
    if random.one_in(4) {
        list.push(("wait_exit_secs".to_string(), random.word(&["0", "5", "20"]).to_string()));
    }
}

/// The rules of a group as lines of its section.
pub fn group_options(random: &mut Random) -> String {
    if random.one_in(3) {
        return String::new();
    }
    group_rules(random).into_iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// Whether a line of level ERRO is about something that may go wrong in a fleet.
pub fn is_known_error(text: &str) -> bool {
    let known = [
        " is not started: ",
        " not received in time",
        "has failed too often",
        "disabilities_file ",
        "has no meaning without",
        " keeps its processes: ",
    ];
    known.iter().any(|known| text.contains(known))
}

/// A random call. Where it is calm, none that starts or stops something by its name.
pub fn call(names: &[String], is_calm: bool, random: &mut Random) -> Call {
    let name = match random.below(12) {
        0 => "nobody:none".to_string(),
        1 => format!("{}:*", random.pick(GROUPS)),
        _ => names.get(random.below(names.len() as u64) as usize).cloned().unwrap_or_default(),
    };
    let process = name.split_once(':').map_or(name.as_str(), |(_, process)| process);
    let program = process.rsplit_once('_').map_or(process, |(program, _)| program);
    let program = random.pick(&[process, program]).to_string();
    let group = random.pick(GROUPS).to_string();
    let who = random.word(&[OWN, OWN, OWN, "nobody"]);
    let wait = !random.one_in(3);
    let strategy = match random.below(16) {
        0 => Value::from("NOWHERE"),
        1 => Value::from("CONFIG"),
        _ => Value::Int(random.below(6) as i64),
    };
    let more = random.word(&["", "", "-x", "-x 'a b'"]);
    let (method, params): (&'static str, Vec<Value>) = match random.below(if is_calm { 34 } else { 58 }) {
        0 => (
            random.word(&[
                "supvisors.get_api_version",
                "supvisors.get_all_instances_state_modes",
                "supvisors.get_master_identifier",
                "supvisors.get_strategies",
                "supvisors.get_statistics_status",
            ]),
            vec![],
        ),
        1 => ("supvisors.get_supvisors_state", vec![]),
        2 => (random.word(&["supvisors.get_all_instances_info", "supvisors.get_conflicts"]), vec![]),
        3 => ("supvisors.get_instance_info", vec![who.into()]),
        4 => (random.word(&["supvisors.get_instance_state_modes", "supvisors.get_network_info"]), vec![who.into()]),
        5 => ("supvisors.get_all_applications_info", vec![]),
        6 => (random.word(&["supvisors.get_application_info", "supvisors.get_application_rules"]), vec![group.into()]),
        7 => (random.word(&["supvisors.get_all_process_info", "supvisors.get_all_local_process_info"]), vec![]),
        8 => (random.word(&["supvisors.get_process_info", "supvisors.get_process_rules"]), vec![name.into()]),
        9 => ("supvisors.get_local_process_info", vec![name.into()]),
        10 => ("supvisors.get_all_inner_process_info", vec![who.into()]),
        11 => ("supvisors.get_inner_process_info", vec![who.into(), name.into()]),
        12 => ("supvisors.test_start_application", vec![strategy, group.into()]),
        13 => ("supvisors.test_start_process", vec![strategy, name.into()]),
        14..20 => ("supvisors.start_application", vec![strategy, group.into(), wait.into()]),
        20..25 => ("supvisors.stop_application", vec![group.into(), wait.into()]),
        25..28 => ("supvisors.restart_application", vec![strategy, group.into(), wait.into()]),
        28 | 29 => ("supvisors.restart_sequence", vec![wait.into()]),
        30 if random.one_in(4) => (random.word(&["supvisors.restart", "supvisors.shutdown"]), vec![]),
        30 => ("supvisors.end_sync", vec![]),
        31 => ("supvisors.conciliate", vec![strategy]),
        32 => {
            let method = random.word(&["supvisors.enable_host_statistics", "supvisors.enable_process_statistics"]);
            (method, vec![wait.into()])
        }
        33 => match random.below(2) {
            0 => ("supvisors.change_log_level", vec![random.word(&["info", "nonsense"]).into()]),
            _ => ("supvisors.update_collecting_period", vec![Value::Int(random.between(0, 5) as i64)]),
        },
        34..39 => ("supvisors.start_process", vec![strategy, name.into(), more.into(), wait.into()]),
        39..43 => ("supvisors.stop_process", vec![name.into(), wait.into()]),
        43..46 => ("supvisors.restart_process", vec![strategy, name.into(), more.into(), wait.into()]),
        46..48 => ("supvisors.start_any_process", vec![strategy, group.into(), more.into(), wait.into()]),
        48 | 49 => ("supvisors.start_args", vec![name.into(), more.into(), wait.into()]),
        50..53 => ("supvisors.disable", vec![program.into(), wait.into()]),
        53..56 => ("supvisors.enable", vec![program.into(), wait.into()]),
        _ => {
            let is_lazy = random.one_in(3);
            let number = Value::Int(random.below(5) as i64);
            ("supvisors.update_numprocs", vec![program.into(), number, wait.into(), is_lazy.into()])
        }
    };
    Call { method, params }
}

/// Results and faults of the methods: name, type of the result, faults.
pub const METHODS: &[(&str, &str, &[i64])] = &[
    ("get_api_version", "string", &[]),
    ("get_supvisors_state", "struct", &[]),
    ("get_all_instances_state_modes", "array", &[]),
    ("get_instance_state_modes", "array", &[10]),
    ("get_master_identifier", "struct", &[]),
    ("get_strategies", "struct", &[]),
    ("get_statistics_status", "struct", &[]),
    ("get_network_info", "struct", &[10]),
    ("get_all_instances_info", "array", &[]),
    ("get_instance_info", "array", &[10]),
    ("get_conflicts", "array", &[101]),
    ("get_all_applications_info", "array", &[101]),
    ("get_application_info", "struct", &[10, 101]),
    ("get_application_rules", "struct", &[10, 101]),
    ("get_all_process_info", "array", &[101]),
    ("get_process_info", "array", &[10, 101]),
    ("get_process_rules", "array", &[10, 101]),
    ("get_all_local_process_info", "array", &[]),
    ("get_local_process_info", "struct", &[10]),
    ("get_all_inner_process_info", "array", &[10]),
    ("get_inner_process_info", "array", &[10]),
    ("start_application", "boolean", &[2, 10, 30, 40, 60, 70, 101, 102]),
    ("stop_application", "boolean", &[10, 30, 70, 91, 101, 102]),
    ("restart_application", "boolean", &[2, 10, 30, 40, 70, 101, 102]),
    ("test_start_application", "array", &[2, 10, 60, 101, 102]),
    ("start_process", "boolean", &[2, 10, 30, 40, 60, 70, 101]),
    ("start_any_process", "string", &[2, 30, 40, 60, 70, 101]),
    ("stop_process", "boolean", &[10, 30, 70, 91, 101]),
    ("restart_process", "boolean", &[2, 10, 30, 40, 70, 101]),
    ("test_start_process", "array", &[2, 10, 60, 101]),
    ("start_args", "boolean", &[2, 10, 20, 21, 30, 40, 50, 60, 103]),
    ("update_numprocs", "boolean", &[2, 10, 30, 91, 101, 104]),
    ("enable", "boolean", &[10, 101]),
    ("disable", "boolean", &[10, 30, 91, 101]),
    ("conciliate", "boolean", &[101]),
    ("restart_sequence", "boolean", &[30, 40, 101]),
    ("restart", "boolean", &[101]),
    ("shutdown", "boolean", &[101]),
    ("end_sync", "boolean", &[101, 104]),
    ("change_log_level", "boolean", &[2]),
    ("enable_host_statistics", "boolean", &[]),
    ("enable_process_statistics", "boolean", &[]),
    ("update_collecting_period", "boolean", &[2]),
];
