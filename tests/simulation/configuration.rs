//! Random configuration files, and how somebody edits them.

use std::collections::BTreeMap;

use crate::ordering::{self, Need};
use crate::random::Random;
use crate::sequences::{self, Sequences};

/// Names of groups; few, so that a reread meets those that are active.
pub const GROUPS: &[&str] = &["ants", "bees", "cats", "dogs", "emus", "fish", "gnus", "hens"];

/// The main log.
pub const MAIN_LOG: &str = "/log/supervisord.log";

/// Where changes at run time are kept.
pub const DYNAMIC: &str = "/run/dynamic.conf";

/// What children do, told by the command (see the children).
pub const COMMANDS: &[&str] = &[
    "/bin/steady",
    "/bin/steady -v 'two words'",
    "/bin/instant",
    "/bin/brief",
    "/bin/long",
    "/bin/moody",
    "/bin/stubborn",
    "/bin/undead",
    "/bin/talker",
    "/bin/capturer",
    "/bin/flood",
    "missing",
    "/bin/locked",
    "/bin/'open",
];

/// Listeners and how they behave.
const LISTENERS: &[&str] =
    &["/bin/good", "/bin/good", "/bin/picky", "/bin/breaker", "/bin/staller", "/bin/mortal", "/bin/sulky"];

const EVENTS: &[&str] = &[
    "EVENT",
    "PROCESS_STATE",
    "PROCESS_LOG",
    "PROCESS_COMMUNICATION",
    "TICK_5",
    "TICK",
    "PROCESS_GROUP",
    "REMOTE_COMMUNICATION",
    "SUPERVISOR_STATE_CHANGE",
];

const HANDLERS: &[&str] = &[
    "supervisor.dispatchers:default_handler",
    "supervisor.dispatchers:default_handler",
    "supervisor_twiddler.resulthandler:stdin_write_handler",
    "supervisor_stdout:event_handler",
];

/// Both servers, of which the second wants a password, and all interfaces.
const FIXED: &str = "\
[inet_http_server]
port=9001
[unix_http_server]
file=/run/s.sock
username=u
password=p
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[rpcinterface:twiddler]
supervisor.rpcinterface_factory=supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface
[rpcinterface:loader]
supervisor.rpcinterface_factory=supervisor_loader.rpcinterface:make_loader_rpcinterface
[rpcinterface:grace]
supervisor.rpcinterface_factory=supervisor_grace.rpcinterface:make_grace_rpcinterface
[rpcinterface:cache]
supervisor.rpcinterface_factory=supervisor_cache.rpcinterface:make_cache_rpcinterface
";

/// A configuration file.
pub struct File {
    head: String,
    groups: BTreeMap<&'static str, Group>,
    /// Changes at run time are kept.
    pub is_dynamic: bool,
    /// Programs depend on each other, are looked after, and have hooks.
    pub is_ordered: bool,
    /// The end has to be in time.
    pub is_hurried: bool,
    /// It is a fleet of one.
    pub sequences: Option<Sequences>,
}

/// Which options there are beside those of the original.
#[derive(Clone, Copy)]
struct Kind {
    is_ordered: bool,
    is_sequenced: bool,
}

/// The sections of a group, but for what is depended on: that stands where [`MARK`] is, and is written as far as it is there.
struct Group {
    text: String,
    needs: Vec<Vec<Need>>,
    /// Its processes have numbers.
    is_numbered: bool,
}

/// A line in the place of `depends_on`.
const MARK: &str = "#depends\n";

impl File {
    /// A file with some groups; with `is_sequenced` they are applications of a fleet of one.
    pub fn new(is_sequenced: bool, random: &mut Random) -> File {
        let sequences = is_sequenced.then(|| Sequences::new(random));
        let is_calm = sequences.as_ref().is_some_and(|sequences| sequences.is_calm);
        let chosen: Vec<&'static str> = GROUPS.iter().copied().filter(|_| random.one_in(2)).collect();
        let is_ordered = random.one_in(2) && !is_calm;
        let kind = Kind { is_ordered, is_sequenced };
        let groups = chosen.into_iter().map(|name| (name, group(name, kind, random))).collect();
        let is_dynamic = random.one_in(3) && !is_sequenced;
        let mut head = head(is_dynamic, random);
        let is_hurried = is_ordered && random.one_in(5);
        if is_hurried {
            let seconds = random.word(&["2", "30"]);
            head = head.replace("[supervisord]\n", &format!("[supervisord]\nshutdown_timeout={seconds}\n"));
        }
        if is_ordered && random.one_in(4) {
            head = head.replace("[supervisord]\n", "[supervisord]\nshutdown_parallel=true\n");
        }
        if let Some(sequences) = &sequences {
            head.push_str(&sequences.section);
        }
        File { head, groups, is_dynamic, is_ordered, is_hurried, sequences }
    }

    /// Somebody edits it.
    pub fn edit(&mut self, random: &mut Random) {
        let kind = Kind { is_ordered: self.is_ordered, is_sequenced: self.sequences.is_some() };
        for name in GROUPS {
            match (self.groups.contains_key(name), random.below(8)) {
                (true, 0) => {
                    self.groups.remove(name);
                }
                (true, 1) | (false, 0 | 1) => {
                    self.groups.insert(name, group(name, kind, random));
                }
                (true, 2) => {
                    // More or fewer processes, and nothing else.
                    if let Some(Group { text, .. }) = self.groups.get_mut(name)
                        && let Some((before, after)) = text.split_once("numprocs=")
                    {
                        *text = format!("{before}numprocs={}{}", random.between(1, 4), &after[1..]);
                    }
                }
                (true, 3) if self.is_ordered => {
                    // Something else to depend on, and nothing else.
                    if let Some(group) = self.groups.get_mut(name) {
                        for needs in &mut group.needs {
                            *needs = Need::some(before(name), random);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Its text.
    pub fn text(&self) -> String {
        let mut text = format!("{}{FIXED}", self.head);
        for group in self.groups.values() {
            let mut needs = group.needs.iter();
            for (index, piece) in group.text.split(MARK).enumerate() {
                if index > 0 {
                    text.push_str(&self.depends_on(needs.next().map_or(&[], Vec::as_slice)));
                }
                text.push_str(piece);
            }
        }
        text
    }

    /// What of it is in the file.
    fn depends_on(&self, needs: &[Need]) -> String {
        let known = needs.iter().filter_map(|need| Some(need.text(self.groups.get(need.group)?.is_numbered)));
        let items: Vec<String> = known.collect();
        if items.is_empty() { String::new() } else { format!("depends_on={}\n", items.join(", ")) }
    }
}

/// The groups that one of that name may depend on.
fn before(name: &str) -> &'static [&'static str] {
    let place = GROUPS.iter().position(|other| *other == name).unwrap_or_default();
    &GROUPS[..place]
}

/// The sections of one group, and what it depends on.
fn group(name: &str, kind: Kind, random: &mut Random) -> Group {
    let text = sections(name, kind, random);
    let needs = text.matches(MARK).map(|_| Need::some(before(name), random)).collect();
    let is_numbered = text.contains(&format!("[program:{name}_0]")) || text.contains("process_num)d\n");
    Group { text, needs, is_numbered }
}

fn head(is_dynamic: bool, random: &mut Random) -> String {
    let mut text = format!("[supervisord]\nlogfile={MAIN_LOG}\nchildlogdir=/log\npidfile=/run/supervisord.pid\n");
    text.push_str(&format!("loglevel={}\n", *random.pick(&["info", "info", "debug"])));
    text.push_str(&format!("strip_ansi={}\n", random.one_in(4)));
    if is_dynamic {
        text.push_str(&format!("[stheno]\nmutation=true\ndynamic_conf={DYNAMIC}\n"));
    } else if random.one_in(2) {
        text.push_str("[stheno]\nmutation=true\n");
    }
    text
}

fn sections(name: &str, kind: Kind, random: &mut Random) -> String {
    let numprocs = random.between(1, 4);
    let several = format!("numprocs={numprocs}\nprocess_name=%(program_name)s_%(process_num)d\n");
    match random.below(8) {
        0 | 1 => {
            let events: Vec<&str> = (0..random.between(1, 3)).map(|_| random.word(EVENTS)).collect();
            let handler = random.word(HANDLERS);
            // A listener is told by its command what its pool expects of it.
            let length = random.pick(&["characters", "bytes"]);
            let command = format!("{} {handler} {length}", random.pick(LISTENERS));
            format!(
                "[eventlistener:{name}]\n{several}command={command}\nresult_handler={handler}\nevents={}\n\
                 priority={}\nbuffer_size={}\nextended_payload={}\nbuffer_hold_until_ready={}\nunknown_action={}\nlength={length}\n{}",
                events.join(","),
                random.pick(&["-1", "-1", "5"]),
                random.pick(&["1", "2", "5", "10", "100"]),
                random.one_in(3),
                random.one_in(3),
                random.pick(&["ignore", "ignore", "restart"]),
                options(true, kind, random)
            )
        }
        2 => format!(
            "[fcgi-program:{name}]\nsocket=unix:///run/{name}.sock\n{several}command={}\npriority={}\n{}",
            random.pick(COMMANDS),
            priority(random),
            options(false, kind, random)
        ),
        3 => format!("[program:{name}]\ncommand={}\n{}", random.pick(COMMANDS), options(false, kind, random)),
        4 => {
            let command = random.pick(COMMANDS);
            format!("[program:{name}]\n{several}command={command}\n{}", options(false, kind, random))
        }
        _ => {
            let programs: Vec<String> = (0..numprocs).map(|index| format!("{name}_{index}")).collect();
            let mut text = format!("[group:{name}]\nprograms={}\npriority={}\n", programs.join(","), priority(random));
            if kind.is_sequenced {
                text.push_str(&sequences::group_options(random));
            }
            if kind.is_ordered {
                text.push_str(&format!(
                    "on_group_member_exit={}\n",
                    *random.pick(&["ignore", "stop_group", "restart_group"])
                ));
                text.push_str(MARK);
            }
            for program in programs {
                let command = random.pick(COMMANDS);
                text.push_str(&format!("[program:{program}]\ncommand={command}\n"));
                text.push_str(&format!("priority={}\n", *random.pick(&["999", "999", "1", "2"])));
                text.push_str(&options(false, kind, random));
            }
            text
        }
    }
}

fn priority(random: &mut Random) -> &'static str {
    random.word(&["1", "5", "5", "999"])
}

/// Options that every kind of program has, as lines.
fn options(is_listener: bool, kind: Kind, random: &mut Random) -> String {
    let mut text = String::new();
    let mut list = option_list(is_listener, random);
    if kind.is_sequenced && !is_listener {
        sequences::add_options(&mut list, random);
    }
    if kind.is_ordered {
        ordering::add_options(&mut list, is_listener, random);
        text.push_str(MARK);
    }
    for (key, value) in list {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

/// Options that every kind of program has.
pub fn option_list(is_listener: bool, random: &mut Random) -> Vec<(String, String)> {
    let mut list = Vec::new();
    let mut add = |key: &str, value: &str| list.push((key.to_string(), value.to_string()));
    add("autostart", if random.one_in(4) { "false" } else { "true" });
    add("autorestart", random.word(&["true", "unexpected", "unexpected", "false"]));
    add("startsecs", random.word(&["-1", "0", "0", "1", "1", "1", "3", "10"]));
    add("startretries", random.word(&["0", "1", "3", "3"]));
    add("stopsignal", random.word(&["TERM", "TERM", "INT", "KILL", "USR1"]));
    add("stopwaitsecs", random.word(&["0", "1", "2", "5", "10", "-1"]));
    add("killasgroup", if random.one_in(4) { "true" } else { "false" });
    add("exitcodes", random.word(&["0", "0,2", ""]));
    for channel in ["stdout", "stderr"] {
        match random.below(4) {
            0 => add(&format!("{channel}_logfile"), "NONE"),
            1 => {}
            _ => add(&format!("{channel}_logfile"), &format!("/log/%(program_name)s_%(process_num)d.{channel}")),
        }
        add(&format!("{channel}_syslog"), if random.one_in(5) { "true" } else { "false" });
        if !is_listener {
            add(&format!("{channel}_capture_maxbytes"), random.word(&["0", "0", "16", "4KB"]));
            add(&format!("{channel}_events_enabled"), if random.one_in(2) { "true" } else { "false" });
        }
    }
    if !is_listener && random.one_in(4) {
        add("redirect_stderr", "true");
    }
    if random.one_in(6) {
        add("envfiles", random.word(&["/etc/a.env", "/etc/a.env,-/etc/none.env", "/etc/none.env", "/etc/bad.env"]));
        add("environment_from_file", random.word(&["", "B:/etc/a.env", "B:/etc/none.env"]));
    }
    if random.one_in(2) {
        add("killmode", random.word(&["process", "group", "group", "tree", "cgroup"]));
        add("killwaitsecs", random.word(&["0", "0.5", "2", "7"]));
    }
    list
}
