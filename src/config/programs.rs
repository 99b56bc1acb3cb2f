//! One program section becomes processes: options read once, then once per process (C-105 to C-112).

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::id::Channel;
use crate::wire::ini::{Document, Section};
use crate::wire::prefix;

use super::care;
use super::datatypes::{
    Compression, Datatype, LinePrefix, LogFile, LogFormat, Name, OnFatal, RunType, Storage, Unexpanded,
};
use super::env::Env;
use super::error::ConfigError;
use super::main_program;
use super::options::{LogOptions, Process, Program};
use super::program_default::PROGRAM_DEFAULT;
use super::reader::{self, Reader, SECTION_BYTES_MAX, Scope};
use super::types::Revision;
use super::values::Autorestart;

/// Most processes of one section. Ten times what anyone was seen to run on one machine; a typing error must not
/// fill the memory.
const NUMPROCS_MAX: i64 = 100_000;

/// Variables of an environment by their names.
type Variables = BTreeMap<String, String>;

/// What sections of programs have in common during one load.
pub(super) struct Common<'a> {
    /// The number of this load.
    pub(super) revision: Revision,
    pub(super) document: &'a Document,
    pub(super) env: &'a dyn Env,
    pub(super) here: &'a str,
    pub(super) hostname: &'a str,
    /// `ENV_*` in options that hold for all processes of a section; `None` for calls.
    pub(super) variables: Option<&'a Variables>,
    /// `ENV_*` in options that are expanded for each process.
    pub(super) process_variables: &'a Variables,
    /// The variables of `[supervisord] environment`, which all children get (C-112).
    pub(super) environment: Rc<Variables>,
    /// What AUTO stands for in `serverurl`.
    pub(super) serverurl: Option<&'a str>,
    /// Messages for the log (C-109).
    pub(super) warnings: Vec<String>,
    /// Environments by their text, so that equal ones are kept once.
    pub(super) environments: HashMap<String, ProgramEnvironment>,
    /// The command that is a program beside the file's.
    pub(super) main: Option<&'a super::cmdline::Main>,
    /// `[supervisord] hw_watchdog` is set.
    pub(super) has_watchdog: bool,
    /// An empty document, for programs that calls gave.
    pub(super) nothing: &'a Document,
}

/// A program whose processes are being made.
pub struct Expansion {
    program: Rc<Program>,
    processes: Vec<Rc<Process>>,
    /// Bytes that the values of all of them may still take.
    left: Cell<usize>,
}

impl Expansion {
    /// All processes that were made, ascending by name.
    pub(super) fn into_processes(self) -> Vec<Rc<Process>> {
        let mut processes = self.processes;
        crate::sort::by(&mut processes, |a, b| a.name.cmp(&b.name));
        processes
    }
}

/// A program's own variables, and the same over those of `[supervisord]`.
#[derive(Clone)]
pub(super) struct ProgramEnvironment {
    own: Rc<Variables>,
    whole: Rc<Variables>,
}

impl<'a> Common<'a> {
    /// The processes of a section, ascending by name. Errors name the section (C-93).
    pub(super) fn programs(&mut self, section: &Section, group: &str) -> Result<Vec<Rc<Process>>, ConfigError> {
        let mut expansion = self.expansion(section, group)?;
        self.expand(section, group, &mut expansion, usize::MAX)?;
        Ok(expansion.into_processes())
    }

    /// The program of a section, none of whose processes is made yet. Errors name the section (C-93).
    pub(super) fn expansion(&mut self, section: &Section, group: &str) -> Result<Expansion, ConfigError> {
        let expansion = self.unlabelled_expansion(section, group);
        expansion.map_err(|error| error.in_section(&section.name, &section.file))
    }

    /// Makes some of its processes; says whether there are more. Errors name the section.
    pub(super) fn expand(
        &mut self,
        section: &Section,
        group: &str,
        expansion: &mut Expansion,
        count: usize,
    ) -> Result<bool, ConfigError> {
        let done = self.unlabelled_expand(section, group, expansion, count);
        done.map_err(|error| error.in_section(&section.name, &section.file))
    }

    fn unlabelled_expand(
        &mut self,
        section: &Section,
        group: &str,
        expansion: &mut Expansion,
        count: usize,
    ) -> Result<bool, ConfigError> {
        let Expansion { program, processes, left } = expansion;
        let reader = self.program_reader(section, group, &program.name);
        let wanted = self::count(program.numprocs) as usize;
        processes.reserve(wanted.min(processes.len().saturating_add(count)) - processes.len());
        // One takes about as much as another: where the first has more than twice its share, they are too long together.
        let share = Cell::new(SECTION_BYTES_MAX.saturating_mul(2) / wanted.max(1));
        for _ in 0..count.min(wanted - processes.len()) {
            let offset = processes.len() as i64;
            let scope = Scope {
                process_num: Some(program.numprocs_start.saturating_add(offset)),
                numprocs: Some(program.numprocs),
                variables: Some(self.process_variables),
                left: Some(if offset == 0 { &share } else { left }),
                ..reader.scope
            };
            processes.push(Rc::new(self.process(Reader { scope, ..reader }, program)?));
        }
        Ok(processes.len() < wanted)
    }

    /// What reads the options of a section.
    fn program_reader<'s>(&self, section: &'s Section, group: &'s str, name: &'s str) -> Reader<'s>
    where
        'a: 's,
    {
        let scope = Scope {
            here: Some(self.here),
            host_node_name: Some(self.hostname),
            program_name: Some(name),
            group_name: Some(group),
            variables: self.variables,
            ..Scope::default()
        };
        // Not for listeners and FastCGI programs, nor for what a call gave, whose document is empty.
        let stand_in = self.document.section(PROGRAM_DEFAULT).filter(|_| section.name.starts_with("program:"));
        Reader { document: self.document, section, scope, env: self.env, stand_in }
    }

    fn unlabelled_expansion(&mut self, section: &Section, group: &str) -> Result<Expansion, ConfigError> {
        let written = section.name.split_once(':').map_or("", |(_, name)| name);
        let Name(name) = Name::parse(written, self.env)
            .map_err(|message| ConfigError::new(message).at(&section.file, section.line))?;
        let reader = self.program_reader(section, group, &name);
        // That is no section of a file, and has our place at the terminal.
        let is_main = self.main.is_some() && section.name == main_program::SECTION;
        let mut program = Program::read(&reader, name.clone(), self.revision, is_main)?;
        // Its turn comes by its rank.
        #[cfg(feature = "fleet")]
        if super::fleet::is_sequenced(&reader) {
            program.autostart = false;
        }
        if program.numprocs > 1 && !program.process_name.0.contains("%(process_num)") {
            let message = "%(process_num) must be present within process_name when numprocs > 1";
            return Err(reader.error("process_name", message));
        }
        if program.stopasgroup && !program.killasgroup {
            return Err(reader.error("killasgroup", "Cannot set stopasgroup=true and killasgroup=false"));
        }
        if program.essential {
            // The success of a one-shot is the end of nothing unless that is written (O-5).
            let says_exit = program.on_exit.is_some() && program.run_type == RunType::Simple;
            // Where the board's watchdog is petted no more, its being given up is no less than an end (K-2.9).
            let says_fatal = match program.on_fatal {
                Some(OnFatal::Ignore) => !self.has_watchdog,
                other => other.is_some(),
            };
            for (name, is_written) in [("on_exit", says_exit), ("on_fatal", says_fatal)] {
                if is_written {
                    return Err(reader.error(name, format!("{name} cannot be used together with essential=true")));
                }
            }
            if reader.entry("autorestart").is_none() {
                program.autorestart = Autorestart::Essential;
            }
        }
        if program.numprocs > NUMPROCS_MAX {
            let message = format!("numprocs {} is above upper bound ({NUMPROCS_MAX})", program.numprocs);
            return Err(reader.error("numprocs", message));
        }
        check_prefixes(&reader, &program)?;
        check_compression(&reader, &program)?;
        care::resolve(&reader, &mut program)?;
        if program.login_env {
            let uid = program.user.as_ref().map_or_else(|| self.env.uid(), |user| user.uid);
            if self.env.user_by_id(uid).is_none() {
                self.warnings.push(format!(
                    "For [{}], login_env=true but user {uid} has no entry: HOME is /, and USER, LOGNAME and SHELL are not set",
                    section.name
                ));
            }
        }
        if program.serverurl.is_auto {
            program.serverurl.url = self.serverurl.map(str::to_string);
        }
        Ok(Expansion { program: Rc::new(program), processes: Vec::new(), left: Cell::new(SECTION_BYTES_MAX) })
    }

    fn process(&mut self, reader: Reader, program: &Rc<Program>) -> Result<Process, ConfigError> {
        let Unexpanded(text) = &program.environment;
        let environment = reader
            .scope
            .expand(text, || "environment".to_string())
            .and_then(|text| self.environment(&text))
            .map_err(|error| reader.locate(error, "environment"))?;
        let number = reader.scope.process_num.unwrap_or_default();
        let reader = Reader { scope: Scope { own: Some(&environment.own), ..reader.scope }, ..reader };
        let ProgramEnvironment { own, whole } = &environment;
        let (program_of, whole, own) = (Rc::clone(program), Rc::clone(whole), Rc::clone(own));
        let mut process = Process::read(&reader, String::new(), number, program_of, whole, own)?;

        care::check(&reader, &process)?;
        let section = &reader.section.name;
        resolve_storage(&reader, Channel::Stdout, &mut process.stdout);
        resolve_storage(&reader, Channel::Stderr, &mut process.stderr);
        self.resolve_log(section, Channel::Stdout, &mut process.stdout);
        let is_path = matches!(process.stderr.logfile, LogFile::Path(_));
        self.resolve_log(section, Channel::Stderr, &mut process.stderr);
        if program.redirect_stderr {
            if is_path {
                self.warnings.push(format!(
                    "For [{section}], redirect_stderr=true but stderr_logfile has also been set to a filename, the \
                     filename has been ignored"
                ));
            }
            process.stderr.logfile = LogFile::None;
        }
        let name = reader.scope.expand(&program.process_name.0, || "process_name".to_string());
        process.name = name.map_err(|error| reader.locate(error, "process_name"))?.into_owned();
        Ok(process)
    }

    /// Takes `syslog` in the place of a log for what it means, the deprecated way; with the warnings of C-109.
    fn resolve_log(&mut self, section: &str, channel: Channel, log: &mut LogOptions) {
        let channel = channel.name();
        if log.logfile == LogFile::Syslog {
            (log.logfile, log.syslog) = (LogFile::None, true);
            self.warnings.push(format!(
                "For [{section}], {channel}_logfile=syslog but this is deprecated and will be removed.  Use \
                 {channel}_syslog=true to enable syslog instead."
            ));
        } else if log.logfile == LogFile::Auto && log.logfile_storage == Storage::File && log.logfile_maxbytes.0 == 0 {
            self.warnings.push(format!(
                "For [{section}], AUTO logging used for {channel}_logfile without rollover, set maxbytes > 0 to avoid \
                 filling up filesystem unintentionally"
            ));
        }
    }

    /// The variables that a text gives; equal texts share them.
    fn environment(&mut self, text: &str) -> Result<ProgramEnvironment, ConfigError> {
        if let Some(known) = self.environments.get(text) {
            return Ok(known.clone());
        }
        let pairs = reader::pairs(text)?;
        let own: Variables = pairs.into_iter().collect();
        let mut whole = Rc::clone(&self.environment);
        if !own.is_empty() {
            Rc::make_mut(&mut whole).extend(own.clone());
        }
        let environment = ProgramEnvironment { own: Rc::new(own), whole };
        self.environments.insert(text.to_string(), environment.clone());
        Ok(environment)
    }
}

/// A log in memory is as large as is written; without that, and with 0, which would be without an end, its default
/// size is a good one (K-9).
fn resolve_storage(reader: &Reader, channel: Channel, log: &mut LogOptions) {
    if let Storage::Memory(bytes_max) = &mut log.logfile_storage
        && reader.entry(&format!("{}_logfile_maxbytes", channel.name())).is_some()
        && let Ok(written @ 1..) = usize::try_from(log.logfile_maxbytes.0)
    {
        *bytes_max = written;
    }
}

/// Compression is asked only of a build that has it (K-9).
fn check_compression(reader: &Reader, program: &Program) -> Result<(), ConfigError> {
    for (option, output) in [("stdout_logfile_compress", &program.stdout), ("stderr_logfile_compress", &program.stderr)]
    {
        if output.logfile_compress == Compression::Gzip && !cfg!(feature = "gzip") {
            return Err(reader.error(option, format!("{option}: this build has no gzip")));
        }
    }
    Ok(())
}

/// Prefixes name only what there is, and stand beside no JSON (K-6).
fn check_prefixes(reader: &Reader, program: &Program) -> Result<(), ConfigError> {
    for (option, output) in [("stdout_prefix", &program.stdout), ("stderr_prefix", &program.stderr)] {
        let Some(LinePrefix(template)) = output.prefix.as_ref().filter(|prefix| !prefix.0.is_empty()) else { continue };
        check_prefix(reader, option, template)?;
        if program.logfile_format == Some(LogFormat::Json) {
            return Err(reader.error(option, format!("{option} cannot be used together with logfile_format=json")));
        }
    }
    Ok(())
}

/// A prefix names only what there is.
pub(super) fn check_prefix(reader: &Reader, option: &str, template: &str) -> Result<(), ConfigError> {
    let place = format!("{}.{option}", reader.section.name);
    prefix::check(template, &place).map_err(|message| reader.error(option, message))
}

/// A count that may be negative in the file, then as 0.
pub(super) fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
