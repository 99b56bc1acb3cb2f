//! Loading: the files, then each section in the original's order, then the command line on top.

mod call;
mod survey;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::wire::ini::Document;

use super::cmdline::CommandLine;
use super::datatypes::{Datatype, Directory, ExitCodeFrom, LinePrefix, LogFormat};
use super::dependent;
use super::depends::{self, Misordered};
use super::env::{Env, Memo};
use super::error::ConfigError;
#[cfg(feature = "fleet")]
use super::fleet;
use super::interfaces::{self, interfaces};
use super::journal::{Base, Journal, JournalFile, Laid};
use super::loaded::Config;
use super::main_program;
use super::options::{Stheno, Supervisord};
use super::overlay::{self, Layer, read_journal};
use super::paths;
use super::program_default;
use super::programs::{Common, check_prefix};
use super::reader::{self, Reader, Scope};
use super::search;
use super::servers::{default_url, servers};
use super::sources::{MainFile, Sources};
use super::types::{Group, Revision, SYSLOG, User};

pub use call::CallProgram;
use survey::Survey;

/// Loads the configuration: at start, at `reread` (again, without losing what the command line said), and at `reload`
/// (after [`Loader::restart`]).
#[derive(Clone, Debug)]
pub struct Loader {
    program: String,
    command_line: CommandLine,
    /// Where the daemon was started: relative names of its own files mean that directory for ever (C-91).
    cwd: String,
    main: Option<MainFile>,
    /// `ENV_*`: the environment at start, and what `[supervisord] environment` ever added (C-65).
    variables: BTreeMap<String, String>,
    /// What AUTO stands for in `serverurl`, once a load succeeded: servers change at reload only (C-164).
    serverurl: Option<Option<String>>,
    /// The number of the last load.
    revision: Revision,
    /// Whether the last load named a watchdog of the board.
    has_watchdog: bool,
    /// Whether a main file without `[supervisord]` is read as if it had one.
    is_fragment: bool,
}

impl Loader {
    /// `program` is `argv[0]` (C-1). Notes the working directory and the environment; reads nothing yet.
    pub fn new(program: &str, command_line: CommandLine, env: &dyn Env) -> Loader {
        let variables = env.variables().into_iter().collect();
        let (program, cwd, revision) = (program.to_string(), env.cwd(), Revision::default());
        let (has_watchdog, is_fragment) = (false, false);
        Loader {
            program,
            command_line,
            cwd,
            main: None,
            variables,
            serverurl: None,
            revision,
            has_watchdog,
            is_fragment,
        }
    }

    /// Forgets what earlier loads left, as a fresh start would not have it (P-120).
    pub fn restart(&mut self, env: &dyn Env) {
        self.main = None;
        self.variables = env.variables().into_iter().collect();
        self.serverurl = None;
    }

    /// The main file as it was given or found; `None` before the first load.
    pub fn main_file(&self) -> Option<&str> {
        self.main.as_ref().map(|main| main.name.as_str())
    }

    /// Whether [`search::ROOT_WARNING`] is due: root starts us and leaves the file to be searched (C-4).
    pub fn needs_root_warning(&self, env: &dyn Env) -> bool {
        self.command_line.configuration.is_none() && env.uid() == 0
    }

    /// Reads everything. Nothing else changes if it fails, but variables that `[supervisord] environment` added stay
    /// available, as in the original.
    pub fn load(&mut self, env: &dyn Env) -> Result<Config, ConfigError> {
        self.load_noting(env, None, None)
    }

    /// As [`Loader::load`], while these changes made at run time are in force: they go on if their file turns out to be
    /// broken.
    pub fn reload(&mut self, env: &dyn Env, journal: &Journal) -> Result<Config, ConfigError> {
        self.load_noting(env, None, Some(journal))
    }

    /// From here on a main file without `[supervisord]`, a part of a configuration, is read as if it had one.
    pub fn complete_fragment(&mut self) {
        self.is_fragment = true;
    }

    /// The directory of the main file, `%(here)s`; empty before the first load.
    pub fn here(&self) -> String {
        self.main.as_ref().map(|main| main.here.clone()).unwrap_or_default()
    }

    /// The files as one document, without looking at what they mean.
    pub fn sources(&mut self, env: &dyn Env) -> Result<Sources, ConfigError> {
        let main = self.find_main(env)?;
        self.read(&main, env)
    }

    /// An error that has shown itself outside of the files, at its place in them.
    pub fn place(&mut self, section: &str, option: &str, reason: String, env: &dyn Env) -> ConfigError {
        let error = ConfigError::new(reason);
        let Ok(Sources { document, .. }) = self.sources(env) else { return error };
        let Some(found) = document.section(section) else { return error };
        let (file, line) = found.get(option).map_or((&found.file, found.line), |entry| (&entry.file, entry.line));
        error.at(file, line).in_section(section, file)
    }

    pub(super) fn find_main(&mut self, env: &dyn Env) -> Result<MainFile, ConfigError> {
        if let Some(main) = &self.main {
            return Ok(main.clone());
        }
        let found = self.command_line.configuration.clone().or_else(|| search::find(&self.program, &self.cwd, env));
        let name = found.ok_or_else(|| search::not_found(&self.program))?;
        let main = MainFile::new(&name, &self.cwd);
        self.main = Some(main.clone());
        Ok(main)
    }

    fn read(&self, main: &MainFile, env: &dyn Env) -> Result<Sources, ConfigError> {
        let dynamic_conf = |document: &Document| self.stheno(main, document, env).ok().flatten()?.dynamic_conf;
        let mut sources = Sources::read(main, env, &self.variables, &dynamic_conf)?;
        if self.is_fragment && sources.document.section("supervisord").is_none() {
            sources.merge(b"[supervisord]\n", &main.name)?;
        }
        if let Some(command) = &self.command_line.main {
            main_program::add(&mut sources.document, command)?;
        }
        Ok(sources)
    }

    fn load_noting(
        &mut self,
        env: &dyn Env,
        survey: Option<&mut Survey>,
        in_force: Option<&Journal>,
    ) -> Result<Config, ConfigError> {
        let cwd = self.cwd.clone();
        let memo = Memo::new(env, &cwd);
        let mut config = self.load_through(&memo, survey, in_force)?;
        config.looked = memo.looked();
        let own = config.stheno.as_ref().and_then(|stheno| stheno.dynamic_conf.as_ref());
        config.looked.retain(|looked| Some(&looked.path) != own);
        Ok(config)
    }

    fn load_through(
        &mut self,
        memo: &Memo<'_>,
        survey: Option<&mut Survey>,
        in_force: Option<&Journal>,
    ) -> Result<Config, ConfigError> {
        let main = self.find_main(memo)?;
        let mut sources = self.read(&main, memo)?;
        let problems = survey.map(|survey| {
            survey.amend(&mut sources.document);
            &mut survey.problems
        });
        let stheno = self.stheno(&main, &sources.document, memo)?;
        if stheno.is_none() && !interfaces::has_supvisors(&sources.document) {
            return self.interpret(&main, sources, memo, None, problems);
        }
        let document = Rc::new(sources.document.clone());
        let path = stheno.as_ref().and_then(|stheno| stheno.dynamic_conf.as_deref());
        let mut warnings = Vec::new();
        let source = read_journal(path, &document, memo, &mut warnings);
        // A journal that is broken must keep the daemon neither from starting nor from going on.
        if let (JournalFile::Broken(reason), Some(path)) = (&source, path) {
            let what = if in_force.is_some() { "go on as they are" } else { "are left out" };
            warnings.push(format!(
                "The changes kept in \"{path}\" {what}, and the file is not written to before it is repaired or removed \
                 and read again: {reason}"
            ));
        }
        let journal = match (&source, in_force) {
            (JournalFile::Read { journal, .. }, _) => Some(journal),
            (JournalFile::Broken(_), Some(journal)) => Some(journal),
            _ => None,
        };
        let (mut config, mut laid) = match journal.map(|journal| self.overlay(&main, &document, journal, path, memo)) {
            Some(Ok(overlaid)) => overlaid,
            // Nothing is wrong but with the files themselves, of which a survey finds all.
            Some(Err(error)) if problems.is_none() => return Err(error),
            _ => {
                let sources = Sources { document: sources.document, ..Sources::default() };
                (self.interpret(&main, sources, memo, None, problems)?, Laid::default())
            }
        };
        warnings.append(&mut laid.warnings);
        config.infos.splice(0..0, sources.infos);
        config.warnings.splice(0..0, sources.warnings.into_iter().chain(warnings.iter().cloned()));
        laid.warnings = warnings;
        config.base = Some(Base { document, here: main.here, source, laid });
        Ok(config)
    }

    /// What the configuration would be with these changes at run time; no file is read.
    pub fn preview(&mut self, env: &dyn Env, base: &Rc<Document>, journal: &Journal) -> Result<Config, ConfigError> {
        let cwd = self.cwd.clone();
        let memo = Memo::new(env, &cwd);
        let main = self.find_main(&memo)?;
        let (mut config, laid) = self.overlay(&main, base, journal, None, &memo)?;
        config.base = Some(Base { document: Rc::clone(base), here: main.here, source: JournalFile::Off, laid });
        Ok(config)
    }

    fn overlay(
        &mut self,
        main: &MainFile,
        base: &Document,
        journal: &Journal,
        file: Option<&str>,
        env: &dyn Env,
    ) -> Result<(Config, Laid), ConfigError> {
        overlay::overlay(base, journal, file, &mut |document, layer| {
            self.interpret(main, Sources { document, ..Sources::default() }, env, Some(layer), None)
        })
    }

    fn stheno(&self, main: &MainFile, document: &Document, env: &dyn Env) -> Result<Option<Stheno>, ConfigError> {
        let Some(section) = document.section("stheno") else { return Ok(None) };
        let mut stheno = Stheno::read(&Reader { document, section, scope: self.scope(main), env, stand_in: None })?;
        let path = stheno.dynamic_conf.filter(|path| !path.is_empty());
        stheno.dynamic_conf = path.map(|path| paths::absolute(&self.cwd, &env.expand_user(&path)));
        stheno.hosts.0.retain(|host| !host.is_empty());
        Ok(Some(stheno))
    }

    fn scope<'s>(&'s self, main: &'s MainFile) -> Scope<'s> {
        Scope { here: Some(&main.here), variables: Some(&self.variables), ..Scope::default() }
    }

    /// Takes a document apart; `layer` is laid over the groups. With `problems`, those that leave the rest readable are
    /// put there.
    fn interpret(
        &mut self,
        main: &MainFile,
        sources: Sources,
        env: &dyn Env,
        layer: Option<&mut Layer<'_>>,
        mut problems: Option<&mut Vec<ConfigError>>,
    ) -> Result<Config, ConfigError> {
        let Sources { document, infos, mut warnings } = sources;
        let mut failed = |error: ConfigError| match &mut problems {
            Some(problems) => {
                problems.push(error);
                Ok(())
            }
            None => Err(error),
        };
        let Some(section) = document.section("supervisord") else {
            return Err(ConfigError::new(".ini file does not include supervisord section"));
        };
        let reader = Reader { document: &document, section, scope: self.scope(main), env, stand_in: None };
        let mut supervisord = Supervisord::read(&reader, None)?;
        if let Some(LinePrefix(template)) = &supervisord.childlog_prefix {
            check_prefix(&reader, "childlog_prefix", template)?;
            if !template.is_empty() && supervisord.childlog_format == LogFormat::Json {
                let message = "childlog_prefix cannot be used together with childlog_format=json";
                return Err(reader.error("childlog_prefix", message));
            }
        }
        let hostname = env.hostname();
        // Expanded twice, as the original does, the second time with one name more (C-67).
        let scope = Scope { host_node_name: Some(&hostname), ..reader.scope };
        let environment = scope
            .expand(&supervisord.environment, || "environment".to_string())
            .and_then(|text| reader::pairs(&text))
            .map_err(|error| reader.locate(error, "environment"))?;
        let account = self.account(&reader, &supervisord, env);
        self.variables.extend(environment.iter().cloned());

        let scope = self.scope(main);
        program_default::check(&document).or_else(&mut failed)?;
        let interfaces = match interfaces(&document, Scope { host_node_name: Some(&hostname), ..scope }, env) {
            Ok(interfaces) => interfaces,
            Err(error) => failed(error).map(|()| Vec::new())?,
        };
        // Read before the groups, whose processes are told the URL, but complained about after them.
        let servers = servers(&document, scope, env, &self.cwd);
        let url = match &self.serverurl {
            Some(url) => url.clone(),
            None => servers.as_ref().ok().and_then(|servers| default_url(servers)),
        };
        self.revision.0 += 1;
        self.has_watchdog = supervisord.hw_watchdog.is_some();
        let mut common = Common {
            revision: self.revision,
            document: &document,
            env,
            here: &main.here,
            hostname: &hostname,
            variables: Some(&self.variables),
            process_variables: &self.variables,
            environment: Rc::new(environment.into_iter().collect()),
            serverurl: url.as_deref(),
            warnings: Vec::new(),
            environments: HashMap::new(),
            main: self.command_line.main.as_ref(),
            has_watchdog: self.has_watchdog,
            nothing: &Document::default(),
        };
        // Names of programs that could not be read would be said to be missing.
        let mut are_all_read = true;
        let mut groups = common.groups(&mut |error| {
            are_all_read = false;
            failed(error)
        })?;
        let mut removed = Vec::new();
        let wrong_in_files = wrong_process(&supervisord.exit_code_from, &groups);
        let journal = layer.as_ref().map(|layer| layer.journal);
        if let Some(layer) = layer {
            removed.clone_from(&groups);
            common.lay_over(layer, &mut groups);
        }
        let is_renumbered = |name: &str| journal.is_some_and(|journal| journal.renumbers(name, &groups));
        if are_all_read && let Err(wrong) = depends::check(&groups, &removed, is_renumbered) {
            failed(common.misordered(wrong))?;
        }
        if are_all_read
            && supervisord.dependent_startup
            && let Err((process, text)) = dependent::read(&groups)
        {
            failed(common.misordered(Misordered { process, group: None, text, meant: None }))?;
        }
        warnings.append(&mut common.warnings);
        let servers = match servers {
            Ok(servers) => servers,
            Err(error) => failed(error).map(|()| Vec::new())?,
        };
        supervisord.account = match account {
            Ok(account) => account,
            Err(error) => failed(error).map(|()| None)?,
        };
        match (wrong_in_files, wrong_process(&supervisord.exit_code_from, &groups)) {
            (_, None) => {}
            _ if !are_all_read => {}
            (Some(_), Some(text)) => {
                let reader = Reader { document: &document, section, scope: Scope::default(), env, stand_in: None };
                failed(reader.error("exit_code_from", text))?;
            }
            // Changes at run time must not keep the files from being read.
            (None, Some(text)) => warnings.push(format!("After the changes at run time {text}")),
        }
        self.lay_command_line(&mut supervisord, env);
        if self.command_line.main.is_some() && !supervisord.nodaemon {
            return Err(ConfigError::new("-- COMMAND beside a file needs -n: it has our place, which a daemon leaves"));
        }
        let stheno = self.stheno(main, &document, env)?;
        #[cfg(feature = "fleet")]
        let fleet = fleet::Sources {
            revision: self.revision,
            document: &document,
            scope: Scope { host_node_name: Some(&hostname), ..self.scope(main) },
            env,
            servers: &servers,
            groups: &groups,
            identifier: &supervisord.identifier,
            cwd: &self.cwd,
        }
        .read()
        .or_else(|error| failed(error).map(|()| None))?;
        self.serverurl = Some(url);
        let revision = self.revision;
        Ok(Config {
            revision,
            hostname,
            supervisord,
            stheno,
            servers,
            interfaces,
            groups,
            infos,
            warnings,
            looked: Vec::new(),
            base: None,
            #[cfg(feature = "fleet")]
            fleet,
        })
    }

    /// The user to become: the command line's, else the file's (C-145).
    fn account(&self, reader: &Reader, options: &Supervisord, env: &dyn Env) -> Result<Option<User>, ConfigError> {
        let (text, is_from_file) = match &self.command_line.user {
            Some(user) => (Some(user), false),
            None => (options.user.as_ref(), true),
        };
        let Some(text) = text else { return Ok(None) };
        User::parse(text, env).map(Some).map_err(|message| match is_from_file {
            true => reader.error("user", message),
            false => ConfigError::new(message),
        })
    }

    /// The command line over the file (C-144); then paths are made absolute.
    fn lay_command_line(&self, options: &mut Supervisord, env: &dyn Env) {
        fn lay<T: Clone>(option: &mut T, given: &Option<T>) {
            if let Some(given) = given {
                option.clone_from(given);
            }
        }
        let line = &self.command_line;
        lay(&mut options.logfile, &line.logfile);
        lay(&mut options.logfile_maxbytes, &line.logfile_maxbytes);
        lay(&mut options.logfile_backups, &line.logfile_backups);
        lay(&mut options.loglevel, &line.loglevel);
        lay(&mut options.pidfile, &line.pidfile);
        lay(&mut options.umask, &line.umask);
        lay(&mut options.minfds, &line.minfds);
        lay(&mut options.minprocs, &line.minprocs);
        lay(&mut options.identifier, &line.identifier);
        options.childlogdir = line.childlogdir.clone().or(options.childlogdir.take());
        options.directory = line.directory.clone().or(options.directory.take());
        options.nodaemon |= line.nodaemon;
        options.silent |= line.silent;
        options.nocleanup |= line.nocleanup;
        options.strip_ansi |= line.strip_ansi;

        if options.logfile.0 != SYSLOG {
            options.logfile.0 = paths::absolute(&self.cwd, &options.logfile.0);
        }
        options.pidfile.0 = paths::absolute(&self.cwd, &options.pidfile.0);
        let childlogdir = options.childlogdir.take().map(|directory| directory.0);
        // AUTO logs are made after a daemon has changed its directory, too.
        let childlogdir = paths::absolute(&self.cwd, &childlogdir.unwrap_or_else(|| self.temporary_directory(env)));
        options.childlogdir = Some(Directory(childlogdir));
    }

    /// Where the system keeps temporary files: the first of Python's candidates that can be written to (C-90).
    fn temporary_directory(&self, env: &dyn Env) -> String {
        let named = ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(|name| self.variables.get(name));
        let named = named.filter(|path| !path.is_empty()).map(|path| paths::absolute(&self.cwd, path));
        let usual = ["/tmp", "/var/tmp", "/usr/tmp"].map(String::from);
        named.chain(usual).find(|path| env.is_writable_dir(path)).unwrap_or_else(|| self.cwd.clone())
    }
}

/// What is wrong with the process that `exit_code_from` names (K-1).
fn wrong_process(from: &ExitCodeFrom, groups: &[Rc<Group>]) -> Option<String> {
    let ExitCodeFrom::Process(name) = from else { return None };
    let of_group =
        |group: &Rc<Group>| group.processes.iter().filter(|process| from.names(&group.name, &process.name)).count();
    match groups.iter().map(of_group).sum::<usize>() {
        0 => Some(format!("exit_code_from names '{name}', which is no process")),
        1 => None,
        _ => Some(format!("exit_code_from names '{name}', which stands in several groups: say GROUP:PROCESS")),
    }
}

#[cfg(test)]
mod tests;
