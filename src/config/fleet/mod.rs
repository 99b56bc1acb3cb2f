//! The fleet as it is configured: `[rpcinterface:supvisors]`, rules files, and the rules as plain options (V-10 to V-87).
//!
//! Rules are what is *said* of applications and processes ([`said`]), wherever it is said; [`rules`] finds what counts. A value
//! that is wrong keeps nobody from starting: it is a [`Problem`], with file and line, which the log and `--check` tell.

mod identity;
mod network;
mod options;
mod patterns;
mod plain;
mod resolved;
mod rules;
mod said;
mod values;
mod words;
mod xml;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::rc::Rc;

use crate::wire::ini::{Document, Section};

use super::env::Env;
use super::error::ConfigError;
use super::glob::glob;
use super::interfaces;
use super::paths;
use super::reader::{Reader, Scope};
use super::types::{Group, GroupKind, Revision, Server, ServerAddress};

pub use super::env::Nic;
pub use crate::config::datatypes::Detection;
pub use identity::{Instance, Instances};
pub use network::Network;
pub use options::SupvisorsOptions;
pub(super) use plain::is_sequenced;
pub use plain::{PlainGroup, PlainProgram};
pub use resolved::{ApplicationRules, EVERYWHERE, ProcessRules, Spread};
pub use rules::{Named, Rules, place_of};
pub use values::Period;
pub use words::{
    ConciliationStrategy, Distribution, EventLink, RunningFailure, StartingFailure, StartingStrategy, SupvisorsFailure,
    Synchro,
};

/// Bytes of all rules files, as many as a section may have. They are read on the loop.
const RULES_BYTES_MAX: usize = 16 << 20;

/// Problems that are told, each a line of the log: nobody reads more, and each process may have some.
const PROBLEMS_MAX: usize = 1_000;

/// What is configured of the fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The load that it came of.
    pub revision: Revision,
    /// `[rpcinterface:supvisors]`; `None` where there are plain options alone.
    pub supvisors: Option<Supvisors>,
    /// What the files of rules say of applications and programs.
    pub rules: Rules,
    /// What is wrong, and did not keep it from being read.
    pub problems: Vec<Problem>,
}

/// `[rpcinterface:supvisors]`, and what was made out with it.
#[derive(Clone, Debug)]
pub struct Supvisors {
    /// The part of the section's name after the colon.
    pub namespace: String,
    /// As the section has them.
    pub options: SupvisorsOptions,
    /// Who belongs to the fleet.
    pub instances: Instances,
    /// How the instances reach each other.
    pub network: Network,
    /// `/etc/machine-id`, or what `node_id` says.
    pub machine_id: String,
    /// The address of its hardware; empty if there is none.
    pub hardware: String,
    /// Interfaces of the network.
    pub nics: Vec<(Nic, Vec<String>)>,
}

/// Something that is wrong. The text names its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether something that is written does not count.
    pub is_error: bool,
    /// What is wrong, in words for the user.
    pub text: String,
}

impl Problem {
    fn error(text: String) -> Problem {
        Problem { is_error: true, text }
    }

    fn warning(text: String) -> Problem {
        Problem { is_error: false, text }
    }
}

/// Where what is configured comes from.
pub(super) struct Sources<'a> {
    pub revision: Revision,
    pub document: &'a Document,
    pub scope: Scope<'a>,
    pub env: &'a dyn Env,
    pub servers: &'a [Server],
    pub groups: &'a [Rc<Group>],
    /// The identifier that `[supervisord]` gives this daemon.
    pub identifier: &'a str,
    pub cwd: &'a str,
}

impl Sources<'_> {
    /// Reads it; `None` if nothing of it is asked for.
    pub(super) fn read(&self) -> Result<Option<Rc<Fleet>>, ConfigError> {
        let mut problems = Vec::new();
        let mut rules = Rules::default();
        self.read_plain(&mut rules)?;
        let supvisors = match self.section() {
            Some(section) => self.supvisors(section, &mut rules, &mut problems)?,
            None => None,
        };
        if supvisors.is_none() && rules.is_empty() {
            return Ok(None);
        }
        let default = supvisors.as_ref().map_or(StartingStrategy::Config, |one| one.options.starting_strategy);
        let mut wrong = |text| problems.push(Problem::error(text));
        for group in self.groups.iter().filter(|group| !matches!(group.kind, GroupKind::Listener(_))) {
            let application = rules.application(&group.name, &group.programs(), default, &mut wrong);
            for process in &group.processes {
                let subject =
                    Named { application: &group.name, process: &process.name, program: &process.program.name };
                rules.process(subject, &application, &mut wrong);
            }
        }
        if problems.len() > PROBLEMS_MAX {
            problems.truncate(PROBLEMS_MAX);
            problems.push(Problem::error(format!("what else is wrong, beyond {PROBLEMS_MAX}, is not told")));
        }
        Ok(Some(Rc::new(Fleet { revision: self.revision, supvisors, rules, problems })))
    }

    /// The section that asks for it; of several the first.
    fn section(&self) -> Option<&Section> {
        self.document.sections.iter().find(|section| interfaces::is_supvisors(self.document, section))
    }

    fn reader<'r>(&'r self, section: &'r Section) -> Reader<'r> {
        Reader { document: self.document, section, scope: self.scope, env: self.env, stand_in: None }
    }

    fn read_plain(&self, rules: &mut Rules) -> Result<(), ConfigError> {
        for section in &self.document.sections {
            let Some((kind, name)) = section.name.split_once(':') else { continue };
            let is_group = kind == "group";
            if !is_group && kind != "program" && kind != "fcgi-program" {
                continue;
            }
            if let Some(said) = plain::read(&self.reader(section), is_group)? {
                let plain = if is_group { &mut rules.plain_groups } else { &mut rules.plain_programs };
                plain.insert(name.trim().to_string(), said);
            }
        }
        Ok(())
    }

    /// `None` if there is no server at all: then it is as if the section were not there (V-720).
    fn supvisors(
        &self,
        section: &Section,
        rules: &mut Rules,
        problems: &mut Vec<Problem>,
    ) -> Result<Option<Supvisors>, ConfigError> {
        let reader = self.reader(section);
        let options = options::read(&reader, problems)?;
        let inet = self.servers.iter().find_map(|server| match server.address {
            ServerAddress::Inet { port, .. } => Some(port),
            ServerAddress::Unix { .. } => None,
        });
        let port = match inet {
            Some(port) => port,
            None if self.servers.is_empty() => {
                let text = format!("[{}] has no effect without [inet_http_server]", section.name);
                problems.push(Problem::warning(text));
                return Ok(None);
            }
            None => {
                let text = format!("Supervisor MUST be configured using inet_http_server: {}", section.file);
                return Err(ConfigError::new(text).at(&section.file, section.line));
            }
        };
        let list = &options.supvisors_list.0;
        let network = self.network(port, &options)?;
        let instances = Instances::find(list, port, self.identifier, network.advertised.as_ref(), self.env, problems)
            .map_err(|text| reader.error("supvisors_list", text))?;
        self.read_rules(&reader, &options.rules_files, rules, problems)?;
        self.files(&reader, "css_files", &options.css_files, problems)?;
        let hosts = hosts_file(self.env);
        let machine_id = self.env.read_file("/etc/machine-id").unwrap_or_default();
        let nics = self.env.nics().into_iter().map(|nic| {
            let names = names_of(&hosts, nic.address);
            (nic, names)
        });
        Ok(Some(Supvisors {
            namespace: section.name.split_once(':').map_or("", |(_, name)| name).to_string(),
            instances,
            hardware: match &network.node_id {
                Some(_) => String::new(),
                None => self.env.hardware_address().unwrap_or_default(),
            },
            machine_id: match &network.node_id {
                Some(id) => id.clone(),
                None => String::from_utf8_lossy(&machine_id).trim().to_string(),
            },
            network,
            nics: nics.collect(),
            options,
        }))
    }

    /// The files that an option names, sorted (V-52). It may name some with `%%(here)s`, which is expanded only now (V-13).
    fn files(
        &self,
        reader: &Reader<'_>,
        option: &str,
        text: &str,
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<String>, ConfigError> {
        let text = self.scope.expand(text, || format!("{}.{option}", reader.section.name));
        let text = text.map_err(|error| reader.locate(error, option))?;
        let mut files: Vec<String> = Vec::new();
        for pattern in text.split_whitespace() {
            files.extend(glob(self.env, pattern).iter().map(|file| paths::absolute(self.cwd, file)));
        }
        crate::sort::ascending(&mut files);
        files.dedup();
        if files.is_empty() && !text.trim().is_empty() {
            problems.push(Problem::warning(
                reader.error(option, format!("{option}: nothing is called {text}")).to_string(),
            ));
        }
        Ok(files)
    }

    /// Reads the rules files; one that is no XML is the end of all rules of files (V-62).
    fn read_rules(
        &self,
        reader: &Reader<'_>,
        text: &str,
        rules: &mut Rules,
        problems: &mut Vec<Problem>,
    ) -> Result<(), ConfigError> {
        let mut read = rules.clone();
        let (mut bytes_left, mut elements_left) = (RULES_BYTES_MAX, xml::ELEMENTS_MAX);
        for file in self.files(reader, "rules_files", text, problems)? {
            let at = |line: u32, text: String| ConfigError::new(text).at(&file, line).to_string();
            let tree = match self.env.read_file(&file) {
                Ok(bytes) if bytes.len() > bytes_left => {
                    Err((0, format!("rules_files have more than {} MiB together", RULES_BYTES_MAX >> 20)))
                }
                Ok(bytes) => {
                    bytes_left -= bytes.len();
                    xml::read(&bytes, &mut elements_left)
                }
                Err(error) => Err((0, error.to_string())),
            };
            match tree {
                Ok(root) => read.add(&root, &mut |line, text| problems.push(Problem::error(at(line, text)))),
                Err((line, text)) => {
                    let text = format!("{text}; none of the rules_files counts");
                    let text = if line == 0 { format!("{file}: {text}") } else { at(line, text) };
                    problems.push(Problem::error(text));
                    return Ok(());
                }
            }
        }
        *rules = read;
        Ok(())
    }
}

fn hosts_file(env: &dyn Env) -> String {
    String::from_utf8_lossy(&env.read_file("/etc/hosts").unwrap_or_default()).into_owned()
}

/// All names of an address in the text of `/etc/hosts`.
fn names_of(hosts: &str, address: Ipv4Addr) -> Vec<String> {
    let mut names = Vec::new();
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        if words.next().and_then(|word| word.parse().ok()) == Some(address) {
            names.extend(words.map(str::to_string));
        }
    }
    names
}

impl Group {
    /// Names of its programs, each once.
    pub fn programs(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let all = self.processes.iter().map(|process| process.program.name.as_str());
        all.filter(|name| seen.insert(*name)).collect()
    }
}

#[cfg(test)]
mod tests;
