//! What is wrong with single programs: command, directory, logs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::wire::ini::{Document, Entry, Section};
use crate::wire::{keyvalue, words};

use super::super::datatypes::{ByteSize, Datatype};
use super::super::env::Env;
use super::super::error::Place;
use super::super::nearest::nearest;
use super::super::paths;
use super::super::program_default::PROGRAM_DEFAULT;
use super::super::reader::Scope;
use super::finding::{Finding, Severity};
use super::{command, shell};

/// What sections of programs begin with.
const KINDS: &[&str] = &["program:", "eventlistener:", "fcgi-program:"];

/// Options with a command that is run beside the program's own, without a shell as that is.
const HELPERS: &[&str] = &[
    "ready",
    "liveness_check_script",
    "liveness_check_failure_action",
    "liveness_check_success_action",
    "pre_start_hook",
    "post_start_hook",
    "pre_stop_hook",
    "post_stop_hook",
    "stop_command",
];

/// What `liveness_check_failure_action` says that is no command.
const CURES: [&str; 3] = ["restart", "stop", "none"];

/// Where commands are looked for if the environment does not say.
const PATH: &str = "/bin:/usr/bin:/usr/local/bin";

/// Looks at the programs of a document; `here` is the directory of the main file.
pub(super) fn look(document: &Document, here: &str, env: &dyn Env) -> Vec<Finding> {
    let variables: BTreeMap<String, String> = env.variables().into_iter().collect();
    let hostname = env.hostname();
    let stand_in = document.section(PROGRAM_DEFAULT);
    let mut look = Look { document, stand_in, env, found: Vec::new(), logs: BTreeMap::new() };
    if let Some(section) = document.section("supervisord") {
        let scope = Scope {
            here: Some(here),
            host_node_name: Some(&hostname),
            variables: Some(&variables),
            ..Scope::default()
        };
        look.log(section, scope, "logfile");
    }
    for section in &document.sections {
        let Some(name) = KINDS.iter().find_map(|kind| section.name.strip_prefix(kind)) else { continue };
        let scope = Scope {
            here: Some(here),
            host_node_name: Some(&hostname),
            program_name: Some(name),
            group_name: Some(name),
            process_num: Some(0),
            numprocs: Some(1),
            variables: Some(&variables),
            ..Scope::default()
        };
        look.program(section, scope);
    }
    for section in &document.sections {
        if let Some(entry) = section.get("environment") {
            look.environment(section, entry);
        }
    }
    look.found
}

struct Look<'a> {
    document: &'a Document,
    /// Options for programs that lack them.
    stand_in: Option<&'a Section>,
    env: &'a dyn Env,
    found: Vec<Finding>,
    /// Who has which log, where that stands, and whether it is rotated.
    logs: BTreeMap<String, (&'a str, Place, bool)>,
}

impl<'a> Look<'a> {
    fn entry(&self, section: &'a Section, key: &str) -> Option<&'a Entry> {
        let stand_in = self.stand_in.filter(|_| section.name.starts_with("program:"));
        let stands_in = || stand_in.and_then(|section| section.get(key));
        section.get(key).or_else(stands_in).or_else(|| self.document.defaults.get(key))
    }

    fn say(&mut self, severity: Severity, text: String, entry: &Entry) {
        self.found.push(Finding::at(severity, text, &entry.file, entry.line));
    }

    fn program(&mut self, section: &'a Section, scope: Scope) {
        if let Some(entry) = self.entry(section, "command")
            && let Some(command) = expanded(entry, scope)
        {
            self.command(section, entry, &command);
        }
        for key in HELPERS {
            if let Some(entry) = self.entry(section, key)
                && let Some(text) = expanded(entry, scope)
                && let Some(command) = helper(key, text.trim())
            {
                self.helper(section, entry, command);
            }
        }
        if let Some(entry) = self.entry(section, "directory")
            && let Some(directory) = expanded(entry, scope)
        {
            let name = &section.name;
            if directory.starts_with(['"', '\'']) {
                self.say(Severity::Error, format!("the quotes in directory of [{name}] are part of the name"), entry);
            } else if !self.env.is_dir(&directory) {
                self.say(Severity::Here, format!("the directory {directory} of [{name}] does not exist"), entry);
            }
        }
        if let Some(entry) = self.entry(section, "environment_inherit")
            && let Some(meant) = meant_truth(entry.value.trim())
        {
            let (name, value) = (&section.name, entry.value.trim());
            let text = format!(
                "environment_inherit in [{name}] passes on one variable of the name {value}, did you mean {meant}?"
            );
            self.say(Severity::Warning, text, entry);
        }
        let redirects = self.entry(section, "redirect_stderr").is_some_and(|entry| is_true(&entry.value, self.env));
        self.log(section, scope, "stdout_logfile");
        if !redirects {
            self.log(section, scope, "stderr_logfile");
        }
    }

    /// Values that are read whole here and not by Supervisor. They may be secrets, and are not shown.
    fn environment(&mut self, section: &Section, entry: &Entry) {
        let value = with_stand_ins(&entry.value);
        if keyvalue::parse(&value).is_ok() && !keyvalue::is_plain(&value) {
            let text = format!(
                "environment in [{}] has a value without quotes that Supervisor cuts short: write KEY=\"value\"",
                section.name
            );
            self.say(Severity::Warning, text, entry);
        }
    }

    fn command(&mut self, section: &'a Section, entry: &Entry, command: &str) {
        let name = &section.name;
        // Of a command that a comment cuts, that is said already.
        let is_cut = self.document.oddities.iter().any(|odd| {
            matches!(odd.kind, crate::wire::ini::OddKind::CommentInQuotes { option_line, .. } if option_line == entry.line)
                && odd.file == entry.file
        });
        if is_cut {
            return;
        }
        if let Some((severity, text)) = command::wrong(command) {
            self.say(severity, format!("[{name}]: {text}"), entry);
            if severity == Severity::Error {
                return;
            }
        }
        if let Some(file) = self.missing(section, command) {
            self.say(Severity::Here, format!("the command {file} of [{name}] is not found"), entry);
        }
    }

    /// A command that is run beside the program. What it cannot be at all, the loader says.
    fn helper(&mut self, section: &'a Section, entry: &Entry, command: &str) {
        let (name, key) = (&section.name, &entry.key);
        let Ok(words) = words::split(command) else { return };
        let syntax = shell::syntax(command, &words);
        if let Some((severity, text)) = &syntax {
            self.say(*severity, format!("{key} of [{name}]: {text}"), entry);
        }
        if syntax.is_some_and(|(severity, _)| severity == Severity::Error) {
            return;
        }
        let Some(file) = self.missing(section, command) else { return };
        let meant = nearest(command, CURES.into_iter()).filter(|_| key == "liveness_check_failure_action");
        match meant {
            Some(meant) => {
                let text = format!("{key} of [{name}] is no command, {file}, did you mean {meant}?");
                self.say(Severity::Unknown, text, entry);
            }
            None => self.say(Severity::Here, format!("the command {file} of {key} in [{name}] is not found"), entry),
        }
    }

    /// The file that a command of a program wants run, if it is not there.
    fn missing(&self, section: &'a Section, command: &str) -> Option<String> {
        let file = words::split(command).ok()?.into_iter().next()?;
        // Programs may have a PATH of their own, which is not looked at: then nothing is said.
        let names_path = |key| self.entry(section, key).is_some_and(|entry| entry.value.contains("PATH"));
        let has_path = names_path("environment")
            || names_path("environment_from_file")
            || self.entry(section, "envfiles").or_else(|| self.document.get("supervisord", "envfiles")).is_some();
        let is_there = match file.contains('/') {
            true => self.env.exists(&file),
            false => {
                let path = self.env.variable("PATH").unwrap_or_else(|| PATH.to_string());
                has_path || path.split(':').any(|directory| self.env.exists(&format!("{directory}/{file}")))
            }
        };
        (!is_there).then_some(file)
    }

    fn log(&mut self, section: &'a Section, scope: Scope, key: &str) {
        let Some(entry) = self.entry(section, key) else { return };
        let Some(path) = expanded(entry, scope) else { return };
        let name = section.name.as_str();
        if ["auto", "none", "off", "syslog", ""].contains(&path.to_lowercase().as_str()) || path.starts_with("/dev/") {
            return;
        }
        if self.env.is_dir(&path) {
            return self.say(Severity::Here, format!("{key} of [{name}] is a directory: {path}"), entry);
        }
        let maxbytes = self.entry(section, &format!("{key}_maxbytes"));
        let is_rotated = !maxbytes
            .is_some_and(|entry| ByteSize::parse(&entry.value, self.env).is_ok_and(|ByteSize(size)| size <= 0));
        let numprocs = self.entry(section, "numprocs").is_some_and(|entry| entry.value.trim() != "1");
        if is_rotated && numprocs && !entry.value.contains("process_num") {
            let text = format!("all processes of [{name}] rotate one log, {path}: put %(process_num)d into {key}");
            return self.say(Severity::Error, text, entry);
        }
        let place = Place { file: entry.file.to_string(), line: Some(entry.line) };
        // One file has one name; links are not followed, and two slashes at the start are one to Linux.
        let path = paths::normalise(&path).replacen("//", "/", 1);
        if let Some((other, before, is_other_rotated)) = self.logs.get(&path) {
            let what = match (is_rotated, *is_other_rotated) {
                (true, true) => "rotate one log",
                (false, false) => return,
                _ => "write one log, and not both of them rotate it",
            };
            let text = match *other == name {
                true => format!("stdout and stderr of [{name}] {what}, {path}: use redirect_stderr=true"),
                false => format!("[{name}] and [{other}] {what}, {path}: the other stands at {before}"),
            };
            return self.say(Severity::Error, text, entry);
        }
        self.logs.insert(path, (name, place, is_rotated));
    }
}

/// The command in the value of one of [`HELPERS`], if it has one.
fn helper<'t>(key: &str, value: &'t str) -> Option<&'t str> {
    match key {
        "ready" => value.strip_prefix("command:"),
        "liveness_check_failure_action" => Some(value).filter(|value| !CURES.contains(value)),
        "liveness_check_script" => {
            Some(value).filter(|value| !value.contains("://") || value.contains(char::is_whitespace))
        }
        _ => Some(value),
    }
}

/// The truth value that a word may have been meant for which is taken for a name: one mistyped, or a word for it. Variables
/// are in capitals but for a few, none of which is near.
fn meant_truth(word: &str) -> Option<&'static str> {
    let lower = word.to_lowercase();
    match &*lower {
        "all" => Some("true"),
        "none" => Some("false"),
        "true" | "yes" | "on" | "false" | "no" | "off" => None,
        _ if word.contains(|c: char| c.is_lowercase()) => nearest(&lower, ["true", "false"].into_iter()),
        _ => None,
    }
}

/// A value with a word in the place of each name: what that stands for is not known elsewhere.
fn with_stand_ins(value: &str) -> String {
    let mut parts = value.split("%(");
    let mut text = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let rest = part.split_once(')').map_or("", |(_, rest)| rest);
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
        text.push('x');
        text.extend(rest.chars().skip(1));
    }
    text
}

/// The value with its names replaced; `None` if some cannot be, which the loader tells of.
fn expanded(entry: &Entry, scope: Scope) -> Option<String> {
    scope.expand(&entry.value, String::new).ok().map(Cow::into_owned)
}

fn is_true(text: &str, env: &dyn Env) -> bool {
    bool::parse(text, env).unwrap_or(false)
}
