//! `supervisord-dependent-startup`: starts programs once others have reached a state (O-1), for files that keep the
//! listener. It reads the daemon's file and hears of all states; what it starts and when is the machine's that the daemon
//! has for `[supervisord] dependent_startup=true`.

use std::fs::OpenOptions;
use std::io::Write;
use std::rc::Rc;

use crate::config::cmdline::CommandLine;
use crate::config::dependent::{self, Dependent};
use crate::config::getopt::Flag;
use crate::config::system::SystemEnv;
use crate::config::{Env, Group, Loader};
use crate::model::dependent::Dependents;
use crate::state::ProcessState;
use crate::wire::value::Value;

use super::listener::{Applet, Message};
use super::mail::timestamp;
use super::options::{Exit, Manual, flag};
use super::world::{World, processes};

/// Its name, by which it is run.
pub const NAME: &str = "supervisord-dependent-startup";

/// Its exit code for whatever goes wrong.
pub const FAILED: i32 = 3;

const LEVELS: [(&str, u8); 8] = [
    ("notset", 0),
    ("debug", 10),
    ("info", 20),
    ("warn", 30),
    ("warning", 30),
    ("error", 40),
    ("critical", 50),
    // So it is spelt there.
    ("critial", 50),
];

const fn long(name: &'static str, argument: Option<&'static str>, help: &'static str) -> Flag {
    Flag { short: None, long: Some(name), argument, whole: false, help }
}

const FLAGS: &[Flag] = &[
    flag('h', "help", None, "print this help and leave"),
    flag('c', "config", Some("FILE"), "the daemon's configuration file"),
    long("config-filename", Some("NAME"), "its name where it is looked for without -c (supervisord.conf)"),
    long("error-action", Some("ACTION"), "exit, skip or ignore: what is done about a service that cannot be (skip)"),
    long("fail-on-warning", None, "the same as --error-action exit"),
    long("log-file", Some("FILE"), "write there and not on standard error"),
    long("log-level", Some("LEVEL"), "critical, error, warning, info, debug or notset (info)"),
    long("log-format", Some("FORMAT"), "taken and not used: lines have the shape that is the default there"),
];

const MANUAL: Manual = Manual {
    usage: "supervisord-dependent-startup [options]",
    about: "An event listener for PROCESS_STATE events: starts the programs with dependent_startup=true,\n\
            each once what its dependent_startup_wait_for names was reached. It ends when all are up.",
    flags: FLAGS,
};

/// A process, by its group and its name.
type Name = (String, String);

/// The listener of `supervisord-dependent-startup`, as its command line asks for it.
pub struct DependentStartup {
    dependents: Dependents<Name>,
    /// Those whose turn has come, but for the first event.
    first: Vec<Name>,
    /// What is said before the first event.
    greeting: Vec<(u8, String)>,
    log: Log,
}

/// Where lines go, and which.
struct Log {
    file: Option<String>,
    level: u8,
}

impl Log {
    fn say(&self, level: u8, text: &str, world: &mut dyn World) {
        if level < self.level {
            return;
        }
        let word = match level {
            ..=10 => "DEBUG",
            11..=20 => "INFO",
            21..=30 => "WARNING",
            _ => "ERROR",
        };
        let line = format!("{} - supervisord_dependent_startup - [{word:<7}] {text}\n", timestamp(world.now()));
        match &self.file {
            None => world.say(&line),
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
                    world.say(&format!("{path}: {error}\n{line}"));
                }
            }
        }
    }
}

fn failed(text: String) -> Exit {
    Exit { code: FAILED, ..Exit::failed(format!("{NAME}: {text}\n")) }
}

/// Where the file is looked for without `-c`.
fn find(filename: &str) -> Result<String, Exit> {
    let places = ["", "etc/", "/etc/", "/etc/supervisor/"].map(|place| format!("{place}{filename}"));
    let found = places.iter().find(|place| SystemEnv.exists(place)).cloned();
    found.ok_or_else(|| failed(format!("there is none of the configuration files {}", places.join(", "))))
}

/// Reads the command line and the file.
pub fn from_args(args: &[String]) -> Result<DependentStartup, Exit> {
    let (found, rest) = MANUAL.read(args)?;
    if let Some(word) = rest.first() {
        return Err(MANUAL.refuse(&format!("{word} is no option")));
    }
    let (mut file, mut filename) = (None, "supervisord.conf");
    let (mut log, mut exits_on_errors) = (Log { file: None, level: 20 }, false);
    for option in found {
        let unknown = || MANUAL.refuse(&format!("{} cannot be {}", option.name, option.value));
        match FLAGS[option.flag].long {
            Some("help") => return Err(MANUAL.asked_for()),
            Some("config") => file = Some(option.value.to_string()),
            Some("config-filename") => filename = option.value,
            Some("error-action") => {
                exits_on_errors = match option.value {
                    "exit" => true,
                    "skip" | "ignore" => false,
                    _ => return Err(unknown()),
                }
            }
            Some("fail-on-warning") => exits_on_errors = true,
            Some("log-file") => log.file = Some(option.value.to_string()),
            Some("log-level") => {
                log.level = LEVELS.iter().find(|(name, _)| *name == option.value).ok_or_else(unknown)?.1;
            }
            _ => {}
        }
    }
    let file = file.map_or_else(|| find(filename), Ok)?;
    let line = CommandLine { configuration: Some(file.clone()), ..CommandLine::default() };
    let config = Loader::new(NAME, line, &SystemEnv).load(&SystemEnv).map_err(|error| failed(error.to_string()))?;
    let mut applet = DependentStartup::new(&config.groups, log, exits_on_errors)?;
    applet.greeting.insert(0, (20, format!("Reading supervisor config: {file}")));
    Ok(applet)
}

impl DependentStartup {
    fn new(groups: &[Rc<Group>], log: Log, exits_on_errors: bool) -> Result<DependentStartup, Exit> {
        let services = dependent::read(groups).map_err(|(_, text)| failed(text))?;
        if exits_on_errors && let Some(warning) = services.warnings.first() {
            return Err(failed(warning.clone()));
        }
        let processes_of = |service: &str| {
            let members = groups.iter().flat_map(|group| group.processes.iter().map(move |process| (group, process)));
            let own = members.filter(|(_, process)| process.program.name == service);
            own.map(|(group, process)| (group.name.clone(), process.name.clone())).collect()
        };
        let mut greeting: Vec<(u8, String)> = services.warnings.iter().map(|text| (30, text.clone())).collect();
        let handled = |service: &&Dependent| service.is_handled;
        let names: Vec<&str> = services.all.iter().filter(handled).map(|service| service.name.as_str()).collect();
        greeting.push(match names.is_empty() {
            true => (20, "Found no services to start".to_string()),
            false => (20, format!("Services not yet running ({}): {}", names.len(), names.join(", "))),
        });
        let mut dependents = Dependents::new(services.all, processes_of);
        let first = dependents.begin();
        Ok(DependentStartup { dependents, first, greeting, log })
    }

    /// Starts those whose turn has come, as far as they are down.
    fn start(&mut self, due: Vec<Name>, world: &mut dyn World) -> Result<(), Exit> {
        if due.is_empty() {
            return Ok(());
        }
        let known = processes(world).map_err(|error| failed(error.to_string()))?;
        for (group, name) in due {
            let state = known.iter().find(|process| process.group == group && process.name == name);
            let state = state.and_then(|process| {
                ProcessState::ALL.into_iter().find(|state| i64::from(state.code()) == process.state)
            });
            let word = state.map_or("unknown", ProcessState::name);
            if state.is_some_and(|state| state.is_running() || state == ProcessState::Fatal) {
                let line = format!("Service: {name} has state: {word}. Will not attempt to start service");
                self.log.say(20, &line, world);
                continue;
            }
            self.log.say(20, &format!("Starting service: {name} (State: {word})"), world);
            let params = [Value::from(crate::namespec::join(&group, &name)), Value::Bool(false)];
            if let Err(error) = world.call("supervisor.startProcess", &params) {
                self.log.say(30, &format!("Error when starting service '{name}' (group: {group}): {error}"), world);
            }
        }
        Ok(())
    }
}

impl Applet for DependentStartup {
    fn begin(&mut self, world: &mut dyn World) {
        for (level, text) in std::mem::take(&mut self.greeting) {
            self.log.say(level, &text, world);
        }
    }

    fn handle(&mut self, message: &Message, world: &mut dyn World) -> Result<(), Exit> {
        let Some(word) = message.event.strip_prefix("PROCESS_STATE_") else { return Ok(()) };
        let Some(state) = ProcessState::ALL.into_iter().find(|state| state.name() == word) else { return Ok(()) };
        let name = (message.value("groupname").to_string(), message.value("processname").to_string());
        let from = message.value("from_state");
        self.log.say(20, &format!("New event: Service {} went from {from} to {word}", name.1), world);
        let mut due = std::mem::take(&mut self.first);
        due.extend(self.dependents.entered(name, state));
        self.start(due, world)?;
        if self.is_done() {
            self.log.say(20, "No more processes to start for initial startup, ignoring all future events.", world);
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.dependents.are_up()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applets::testing::Fake;
    use crate::config::fake;

    fn applet(text: &str, exits_on_errors: bool) -> Result<DependentStartup, Exit> {
        let config = fake::Fake::new().load(&format!("[supervisord]\n{text}")).unwrap();
        DependentStartup::new(&config.groups, Log { file: None, level: 20 }, exits_on_errors)
    }

    fn program(name: &str, more: &str) -> String {
        format!("[program:{name}]\ncommand=x\nautostart=false\ndependent_startup=true\n{more}\n")
    }

    fn message(process: &str, from: &str, to: &str) -> Message {
        let payload = format!("processname:{process} groupname:{process} from_state:{from} tries:0");
        Message { event: format!("PROCESS_STATE_{to}"), payload }
    }

    /// The calls of a story.
    fn calls(world: &mut Fake) -> Vec<String> {
        let story = std::mem::take(&mut world.story);
        story.into_iter().filter(|line| line.starts_with("call ")).collect()
    }

    #[test]
    fn each_is_started_when_what_it_waits_for_was_reached_and_then_it_ends() {
        let text = [program("ping", ""), program("sleep", "dependent_startup_wait_for=ping:exited")].concat();
        let mut applet = applet(&text, false).unwrap_or_else(|exit| panic!("{exit:?}"));
        let mut world = Fake { processes: Some(vec![]), ..Fake::default() };
        let start = |name| vec![format!("call supervisor.startProcess {name}")];
        // What happens, what is called, whether it is over then.
        let rows: [(Message, Vec<String>, bool); 7] = [
            (message("startup", "STARTING", "RUNNING"), start("ping"), false),
            (message("ping", "STOPPED", "STARTING"), vec![], false),
            (message("ping", "STARTING", "RUNNING"), vec![], false),
            (message("ping", "RUNNING", "EXITED"), start("sleep"), false),
            (Message { event: "TICK_5".into(), payload: "when:5".into() }, vec![], false),
            (message("sleep", "STOPPED", "STARTING"), vec![], false),
            (message("sleep", "STARTING", "RUNNING"), vec![], true),
        ];
        for (message, expected, is_over) in rows {
            applet.handle(&message, &mut world).unwrap();
            assert_eq!((calls(&mut world), applet.is_done()), (expected, is_over), "{message:?}");
        }
    }

    #[test]
    fn what_runs_or_is_given_up_is_left_alone() {
        let text = [program("a", ""), program("b", ""), program("c", "")].concat();
        let mut applet = applet(&text, false).unwrap_or_else(|exit| panic!("{exit:?}"));
        let processes = Some(vec![("a", "a", 7, 20), ("b", "b", 0, 200), ("c", "c", 0, 0)]);
        let mut world = Fake { processes, faults: vec![("supervisor.startProcess", 20, "NO_FILE")], ..Fake::default() };
        applet.handle(&message("x", "STOPPED", "STARTING"), &mut world).unwrap();
        assert!(world.story.iter().any(|line| line.contains("Error when starting service 'c'")), "{:?}", world.story);
        assert_eq!(calls(&mut world), ["call supervisor.startProcess c"]);
        for name in ["b", "c"] {
            applet.handle(&message(name, "BACKOFF", "FATAL"), &mut world).unwrap();
        }
        assert!(!applet.is_done());
        applet.handle(&message("a", "STARTING", "RUNNING"), &mut world).unwrap();
        assert!(applet.is_done());
    }

    #[test]
    fn what_cannot_be() {
        let unknown = program("a", "dependent_startup_wait_for=nope");
        assert!(applet(&unknown, false).is_ok_and(|applet| !applet.is_done()));
        assert_eq!(applet(&unknown, true).err().map(|exit| exit.code), Some(FAILED));
        let circle = program("a", "dependent_startup_wait_for=a");
        assert!(applet(&circle, false).err().is_some_and(|exit| exit.stderr.contains("goes in a circle: a -> a")));
        // Nothing to start: it ends at once.
        assert!(applet("[program:a]\ncommand=x\n", false).is_ok_and(|applet| applet.is_done()));
    }

    #[test]
    fn command_lines() {
        let code = |line: &str| from_args(&crate::applets::testing::words(line)).err().map(|exit| exit.code);
        assert_eq!(code("--help"), Some(0));
        assert_eq!(code("--log-level loud"), Some(255));
        assert_eq!(code("--error-action=run"), Some(255));
        assert_eq!(code("-c /nowhere/supervisord.conf"), Some(FAILED));
    }
}
