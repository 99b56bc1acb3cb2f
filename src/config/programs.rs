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
    /// An empty document, for programs that calls gave.
    pub(super) nothing: &'a Document,
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
        let programs = self.unlabelled_programs(section, group);
        programs.map_err(|error| error.in_section(&section.name, &section.file))
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
        let mut programs = Vec::with_capacity(count(options.numprocs) as usize);
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
            serverurl: configured.or_else(|| self.serverurl.map(str::to_string)),
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
        program.stdout.backups = process.stdout_logfile_backups;
        program.stdout.syslog = process.stdout_syslog || out_syslog;
        program.stderr.logfile = err;
        program.stderr.maxbytes = process.stderr_logfile_maxbytes.0;
        program.stderr.backups = process.stderr_logfile_backups;
        program.stderr.syslog = process.stderr_syslog || err_syslog;
        Ok(program)
    }

    /// Where a channel goes, and whether `syslog` was asked for by the deprecated way; with the warnings of C-109.
    fn log_target(&mut self, section: &str, channel: &str, file: LogFile, maxbytes: i64) -> (LogTarget, bool) {
        match file {
            LogFile::None => (LogTarget::None, false),
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

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::super::types::Autorestart;
    use super::*;

    fn program(lines: &str) -> Program {
        (*programs(lines)[0]).clone()
    }

    fn programs(lines: &str) -> Vec<Rc<Program>> {
        let config = Fake::new().load(&format!("[supervisord]\n[program:p]\ncommand=x\n{lines}")).unwrap();
        config.groups[0].processes.clone()
    }

    #[test]
    fn defaults() {
        let stream = Stream {
            logfile: LogTarget::Auto,
            maxbytes: 50 << 20,
            backups: 10,
            capture_maxbytes: 0,
            events_enabled: false,
            syslog: false,
        };
        let expected = Program {
            name: "p".into(),
            program: "p".into(),
            command: "x".into(),
            directory: None,
            umask: None,
            priority: 999,
            autostart: true,
            autorestart: Autorestart::Unexpected,
            startsecs: 1,
            startretries: 3,
            stdout: stream.clone(),
            stderr: stream,
            stopsignal: libc::SIGTERM,
            stopwaitsecs: 10,
            stopasgroup: false,
            killasgroup: false,
            exitcodes: vec![0],
            redirect_stderr: false,
            environment: Rc::default(),
            serverurl: None,
            serverurl_auto: true,
            user: None,
        };
        assert_eq!(program(""), expected);
    }

    #[test]
    fn bad_values_name_option_and_section() {
        let rows = [
            ("autostart=maybe", "not a valid boolean value: 'maybe'"),
            ("autorestart=sometimes", "invalid 'autorestart' value 'sometimes'"),
            ("startsecs=1.5", "expected a whole number, not '1.5'"),
            ("stopsignal=FOO", "value 'FOO' is not a valid signal name"),
            ("stopsignal=99", "value '99' is not a valid signal number"),
            ("stopwaitsecs=", "expected a whole number, not ''"),
            ("exitcodes=256", "not a valid list of exit codes: '256'"),
            ("redirect_stderr=2", "not a valid boolean value: '2'"),
            ("umask=9", "9 can not be converted to an octal type"),
            ("user=nosuchuser", "Invalid user name nosuchuser"),
            ("user=99999", "Invalid user id 99999"),
            ("stdout_logfile=/no/x", "The directory named as part of the path /no/x does not exist"),
            ("environment=A", "Unexpected end of key/value pairs in value 'A'"),
            ("environment=A=\"1", "No closing quotation"),
            ("numprocs=2", "%(process_num) must be present within process_name when numprocs > 1"),
            ("killasgroup=no\nstopasgroup=yes", "Cannot set stopasgroup=true and killasgroup=false"),
            ("process_name=a b", "Invalid name: 'a b' because of character: ' '"),
            ("numprocs=1_000_000\nprocess_name=%(process_num)d", "numprocs 1000000 is above upper bound (100000)"),
            (
                "process_name=%(zip)s",
                "Format string '%(zip)s' for 'process_name' contains names ('zip') which cannot be expanded. Available \
                 names: group_name, here, host_node_name, numprocs, process_num, program_name",
            ),
            (
                "directory=%(process_num)q",
                "Format string '%(process_num)q' for 'program:p.directory' is badly formatted: unsupported format \
                 character 'q' (0x71) at index 14",
            ),
            (
                "stdout_logfile=a%%b",
                "Format string 'a%b' for 'stdout_logfile' is badly formatted: unsupported format character 'b' (0x62) \
                 at index 2",
            ),
        ];
        for (lines, expected) in rows {
            let error = Fake::new().load(&format!("[supervisord]\n[program:p]\ncommand=x\n{lines}\n")).unwrap_err();
            let at = if lines.starts_with("numprocs=2") { 2 } else { 4 };
            assert_eq!(
                error.to_string(),
                format!("{expected} in section 'program:p' (file: 'F', line {at})"),
                "{lines:?}"
            );
        }
        let error = Fake::new().load("[supervisord]\n[program:p]\npriority=1\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "program section program:p does not specify a command in section 'program:p' (file: 'F', line 2)"
        );
    }

    #[test]
    fn each_process_has_its_number() {
        let processes = programs(
            "numprocs=3\nnumprocs_start=9\nprocess_name=%(program_name)s_%(process_num)d\n\
             environment=N=\"%(process_num)02d\"\ndirectory=/%(ENV_N)s\nstdout_logfile=l%(process_num)s%%%%\n",
        );
        let got: Vec<_> = processes
            .iter()
            .map(|p| (p.name.as_str(), p.directory.as_deref(), p.stdout.logfile.clone(), p.environment["N"].as_str()))
            .collect();
        let file = |name: &str| LogTarget::File(name.to_string());
        // Sorted by name, not by number (C-117).
        let expected = [
            ("p_10", Some("/10"), file("l10%"), "10"),
            ("p_11", Some("/11"), file("l11%"), "11"),
            ("p_9", Some("/09"), file("l9%"), "09"),
        ];
        assert_eq!(got, expected);
        assert!(programs("numprocs=0\n").is_empty());
        assert!(programs("numprocs=-1\nenvironment=never read\n").is_empty());
    }

    #[test]
    fn logs_and_their_warnings() {
        let rows: &[(&str, LogTarget, bool, &str)] = &[
            ("stderr_logfile=e", LogTarget::File("e".into()), false, ""),
            ("stderr_logfile=", LogTarget::File(String::new()), false, ""),
            ("stderr_logfile=off", LogTarget::None, false, ""),
            ("redirect_stderr=1", LogTarget::None, false, ""),
            ("redirect_stderr=1\nstderr_logfile=e", LogTarget::None, false, "redirect_stderr=true but stderr_logfile"),
            ("stderr_logfile=Syslog", LogTarget::None, true, "stderr_logfile=syslog but this is deprecated"),
            ("stderr_syslog=1", LogTarget::Auto, true, ""),
            ("stderr_logfile_maxbytes=0", LogTarget::Auto, false, "AUTO logging used for stderr_logfile without"),
        ];
        for (lines, target, syslog, warning) in rows {
            let config = Fake::new().load(&format!("[supervisord]\n[program:p]\ncommand=x\n{lines}\n")).unwrap();
            let stderr = &config.groups[0].processes[0].stderr;
            assert_eq!((&stderr.logfile, stderr.syslog), (target, *syslog), "{lines:?}");
            assert_eq!(config.warnings.len(), usize::from(!warning.is_empty()), "{lines:?} {:?}", config.warnings);
            assert!(config.warnings.iter().all(|w| w.starts_with("For [program:p], ") && w.contains(warning)));
        }
    }

    #[test]
    fn server_urls() {
        let rows = [
            ("", Some("http://localhost:9"), true),
            ("serverurl= Auto", Some("http://localhost:9"), true),
            ("serverurl=http://x", Some("http://x"), false),
            ("serverurl=", Some(""), false),
        ];
        for (line, url, auto) in rows {
            let text = format!("[supervisord]\n[program:p]\ncommand=x\n{line}\n[inet_http_server]\nport=9\n");
            let config = Fake::new().load(&text).unwrap();
            let program = &config.groups[0].processes[0];
            assert_eq!((program.serverurl.as_deref(), program.serverurl_auto), (url, auto), "{line:?}");
        }
    }

    #[test]
    fn equal_environments_are_kept_once() {
        let text = "[supervisord]\nenvironment=A=1,B=1\n[program:a]\ncommand=x\n[program:b]\ncommand=x\n\
                    [program:c]\ncommand=x\nenvironment=B=2\n[program:d]\ncommand=x\nenvironment=B=2\n";
        let config = Fake::new().load(text).unwrap();
        let environments: Vec<_> = config.groups.iter().map(|group| &group.processes[0].environment).collect();
        assert!(Rc::ptr_eq(environments[0], environments[1]));
        assert!(Rc::ptr_eq(environments[2], environments[3]));
        assert_eq!((environments[0]["B"].as_str(), environments[2]["B"].as_str()), ("1", "2"));
        assert_eq!(environments[2]["A"], "1");
    }
}
