//! One program section becomes processes: options read once, then once per process (C-105 to C-112).

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::wire::ini::{Document, Section};
use crate::wire::keyvalue;

use super::datatypes::{Datatype, LogFile, Name, Unexpanded};
use super::env::Env;
use super::error::ConfigError;
use super::options::{ProcessOptions, ProgramOptions};
use super::reader::{Reader, Scope};
use super::types::{LogTarget, Program, Stream};

/// Most processes of one section. Ten times what anyone was seen to run on one machine; a typing error must not
/// fill the memory.
const NUMPROCS_MAX: i64 = 100_000;

/// Variables by name.
type Variables = BTreeMap<String, String>;

/// What sections of programs have in common during one load.
pub(super) struct Common<'a> {
    pub(super) document: &'a Document,
    pub(super) env: &'a dyn Env,
    pub(super) here: &'a str,
    pub(super) hostname: &'a str,
    /// `ENV_*` in options that hold for all processes of a section; `None` for calls.
    pub(super) variables: Option<&'a Variables>,
    /// `ENV_*` in options that are expanded for each process.
    pub(super) process_variables: &'a Variables,
    /// `[supervisord] environment` (C-112).
    pub(super) environment: Rc<Variables>,
    /// What AUTO stands for in `serverurl`.
    pub(super) serverurl: Option<&'a str>,
    /// Messages for the log (C-109).
    pub(super) warnings: Vec<String>,
    /// Environments by their text, so that equal ones are kept once.
    pub(super) environments: HashMap<String, Environment>,
}

/// A program's own variables, and the same over those of `[supervisord]`.
#[derive(Clone)]
pub(super) struct Environment {
    own: Rc<Variables>,
    whole: Rc<Variables>,
}

impl<'a> Common<'a> {
    /// The processes of a section, ascending by name. Errors name the section (C-93).
    pub(super) fn programs(&mut self, section: &Section, group: &str) -> Result<Vec<Rc<Program>>, ConfigError> {
        self.unlabelled_programs(section, group).map_err(|error| error.in_section(&section.name, &section.file))
    }

    fn unlabelled_programs(&mut self, section: &Section, group: &str) -> Result<Vec<Rc<Program>>, ConfigError> {
        let written = section.name.split_once(':').map_or("", |(_, name)| name);
        let Name(name) = Name::parse(written, self.env)
            .map_err(|message| ConfigError::new(message).at(&section.file, section.line))?;
        let scope = Scope {
            here: Some(self.here),
            host_node_name: Some(self.hostname),
            program_name: Some(&name),
            group_name: Some(group),
            variables: self.variables,
            ..Scope::default()
        };
        let reader = Reader { document: self.document, section, scope, env: self.env };
        let options = ProgramOptions::read(&reader)?;
        let killasgroup = options.killasgroup.unwrap_or(options.stopasgroup);
        if options.numprocs > 1 && !options.process_name.0.contains("%(process_num)") {
            let message = "%(process_num) must be present within process_name when numprocs > 1";
            return Err(reader.error("process_name", message));
        }
        if options.stopasgroup && !killasgroup {
            return Err(reader.error("killasgroup", "Cannot set stopasgroup=true and killasgroup=false"));
        }
        if options.numprocs > NUMPROCS_MAX {
            let message = format!("numprocs {} is above upper bound ({NUMPROCS_MAX})", options.numprocs);
            return Err(reader.error("numprocs", message));
        }
        let template = self.template(&name, &options, killasgroup);
        let mut programs = Vec::new();
        for offset in 0..options.numprocs {
            let number = options.numprocs_start.saturating_add(offset);
            let scope = Scope {
                process_num: Some(number),
                numprocs: Some(options.numprocs),
                variables: Some(self.process_variables),
                ..scope
            };
            programs.push(Rc::new(self.program(Reader { scope, ..reader }, &options, &template)?));
        }
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(programs)
    }

    /// What all processes of a section have alike.
    fn template(&self, name: &str, options: &ProgramOptions, killasgroup: bool) -> Program {
        let is_auto = |url: &String| url.trim().eq_ignore_ascii_case("auto");
        let configured = options.serverurl.clone().filter(|url| !is_auto(url));
        let stream = |capture_maxbytes, events_enabled| Stream {
            logfile: LogTarget::None,
            maxbytes: 0,
            backups: 0,
            capture_maxbytes,
            events_enabled,
            syslog: false,
        };
        Program {
            name: String::new(),
            program: name.to_string(),
            command: String::new(),
            directory: None,
            umask: options.umask.map(|umask| umask.0),
            priority: options.priority,
            autostart: options.autostart,
            autorestart: options.autorestart,
            startsecs: options.startsecs,
            startretries: options.startretries,
            stdout: stream(options.stdout_capture_maxbytes.0, options.stdout_events_enabled),
            stderr: stream(options.stderr_capture_maxbytes.0, options.stderr_events_enabled),
            stopsignal: options.stopsignal.0,
            stopwaitsecs: options.stopwaitsecs,
            stopasgroup: options.stopasgroup,
            killasgroup,
            exitcodes: options.exitcodes.0.clone(),
            redirect_stderr: options.redirect_stderr,
            environment: Rc::clone(&self.environment),
            serverurl_auto: configured.is_none(),
            serverurl: configured.or_else(|| self.serverurl.map(str::to_string)).filter(|url| !url.is_empty()),
            user: options.user.clone(),
        }
    }

    fn program(
        &mut self,
        reader: Reader,
        options: &ProgramOptions,
        template: &Program,
    ) -> Result<Program, ConfigError> {
        let Unexpanded(text) = &options.environment;
        let environment = reader
            .scope
            .expand(text, || "environment".to_string())
            .and_then(|text| self.environment(&text))
            .map_err(|error| reader.locate(error, "environment"))?;
        let reader = Reader { scope: Scope { own: Some(&environment.own), ..reader.scope }, ..reader };
        let process = ProcessOptions::read(&reader)?;

        let section = &reader.section.name;
        let (out, out_syslog) =
            self.log_target(section, "stdout", process.stdout_logfile.clone(), process.stdout_logfile_maxbytes.0);
        let (mut err, err_syslog) =
            self.log_target(section, "stderr", process.stderr_logfile.clone(), process.stderr_logfile_maxbytes.0);
        if options.redirect_stderr {
            if matches!(process.stderr_logfile, LogFile::Path(_)) {
                self.warnings.push(format!(
                    "For [{section}], redirect_stderr=true but stderr_logfile has also been set to a filename, the \
                     filename has been ignored"
                ));
            }
            err = LogTarget::None;
        }
        let Some(command) = process.command else {
            return Err(reader.error("command", format!("program section {section} does not specify a command")));
        };
        let name = reader.scope.expand(&options.process_name.0, || "process_name".to_string());
        let name = name.map_err(|error| reader.locate(error, "process_name"))?.into_owned();
        let mut program = Program { name, command, directory: process.directory, ..template.clone() };
        program.environment = environment.whole;
        program.stdout.logfile = out;
        program.stdout.maxbytes = process.stdout_logfile_maxbytes.0;
        program.stdout.backups = count(process.stdout_logfile_backups);
        program.stdout.syslog = process.stdout_syslog || out_syslog;
        program.stderr.logfile = err;
        program.stderr.maxbytes = process.stderr_logfile_maxbytes.0;
        program.stderr.backups = count(process.stderr_logfile_backups);
        program.stderr.syslog = process.stderr_syslog || err_syslog;
        Ok(program)
    }

    /// Where a channel goes, and whether `syslog` was asked for by the deprecated way; with the warnings of C-109.
    fn log_target(&mut self, section: &str, channel: &str, file: LogFile, maxbytes: u64) -> (LogTarget, bool) {
        match file {
            LogFile::None => (LogTarget::None, false),
            LogFile::Path(path) if path.is_empty() => (LogTarget::None, false),
            LogFile::Path(path) => (LogTarget::File(path), false),
            LogFile::Syslog => {
                self.warnings.push(format!(
                    "For [{section}], {channel}_logfile=syslog but this is deprecated and will be removed.  Use \
                     {channel}_syslog=true to enable syslog instead."
                ));
                (LogTarget::None, true)
            }
            LogFile::Auto => {
                if maxbytes == 0 {
                    self.warnings.push(format!(
                        "For [{section}], AUTO logging used for {channel}_logfile without rollover, set maxbytes > 0 \
                         to avoid filling up filesystem unintentionally"
                    ));
                }
                (LogTarget::Auto, false)
            }
        }
    }

    /// The variables that a text gives; equal texts share them.
    fn environment(&mut self, text: &str) -> Result<Environment, ConfigError> {
        if let Some(known) = self.environments.get(text) {
            return Ok(known.clone());
        }
        let pairs = keyvalue::parse(text).map_err(ConfigError::new)?;
        let own: Variables = pairs.into_iter().collect();
        let mut whole = Rc::clone(&self.environment);
        if !own.is_empty() {
            Rc::make_mut(&mut whole).extend(own.clone());
        }
        let environment = Environment { own: Rc::new(own), whole };
        self.environments.insert(text.to_string(), environment.clone());
        Ok(environment)
    }
}

/// A count that may be negative in the file, then as 0.
pub(super) fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}
