//! The command line and the `[supervisorctl]` section (S-1 to S-9, C-130, C-140).

use std::collections::BTreeMap;

use crate::config::cmdline::{self, Flag, Found};
use crate::config::datatypes::{Datatype, Url};
use crate::config::env::Env;
use crate::config::reader::Scope;
use crate::config::{paths, search};
use crate::wire::ini::{self, Document};

/// Where the daemon is when nobody says so (C-130).
const DEFAULT_URL: &str = "http://localhost:9001";
/// What the prompt begins with when nobody says so.
const DEFAULT_PROMPT: &str = "supervisor";

/// What the session is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether it asks before it stops a daemon, and for credentials: in the shell, and with `-i` (S-4).
    pub is_interactive: bool,
    /// The server's URL.
    pub url: String,
    /// For Basic authentication; sent only together with the password (S-15).
    pub username: Option<String>,
    /// In clear text.
    pub password: Option<String>,
    /// What the prompt begins with.
    pub prompt: String,
    /// Where the shell's history is kept, if anywhere.
    pub history_file: Option<String>,
    /// The extensions' plugins, in the order of the file (S-80).
    pub plugins: Vec<Plugin>,
    /// The command, in words; empty for the shell.
    pub words: Vec<String>,
}

/// A `[ctlplugin:<label>]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The title in `help`.
    pub label: String,
    /// What it is.
    pub kind: Kind,
    /// `match_group` of the wildcards: compare with `group:name`.
    pub match_group: bool,
}

/// The plugins that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Cache,
    Grace,
    SerialRestart,
    Wildcards,
}

/// Why no session begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `-h`: to be printed on stdout; exit status 0.
    Help(String),
    /// A usage error; exit status 2 (C-7).
    Usage(String),
}

/// The factories that name a built-in plugin (C-119), with the spellings of packages that were renamed.
const FACTORIES: [(&str, Kind); 6] = [
    ("supervisor_cache.controllerplugin:make_cache_controllerplugin", Kind::Cache),
    ("supervisor_grace.controllerplugin:make_grace_controllerplugin", Kind::Grace),
    ("supervisorserialrestart.controllerplugin:make_serialrestart_controllerplugin", Kind::SerialRestart),
    ("supervisor_serialrestart.controllerplugin:make_serialrestart_controllerplugin", Kind::SerialRestart),
    ("supervisorwildcards.controllerplugin:make_wildcards_controllerplugin", Kind::Wildcards),
    ("supervisor_wildcards.controllerplugin:make_wildcards_controllerplugin", Kind::Wildcards),
];

const fn flag(short: char, long: &'static str, argument: Option<&'static str>) -> Flag {
    Flag { short: Some(short), long: Some(long), argument, whole: false, help: "" }
}

/// S-1. The help is [`HELP`], which is the original's.
const FLAGS: &[Flag] = &[
    flag('c', "configuration", Some("FILENAME")),
    flag('h', "help", None),
    Flag { short: Some('?'), long: None, argument: None, whole: false, help: "" },
    flag('i', "interactive", None),
    flag('s', "serverurl", Some("URL")),
    flag('u', "username", Some("USERNAME")),
    flag('p', "password", Some("PASSWORD")),
    flag('r', "history_file", Some("FILENAME")),
    // The manual's spelling, which the original does not know: no prefix of it counts.
    Flag { short: None, long: Some("history-file"), argument: Some("FILENAME"), whole: true, help: "" },
];

/// What `-h` prints, the program's name in the place of `{}`. It is the original's to the byte: packages test it.
const HELP: &str = "supervisorctl -- control applications run by supervisord from the cmd line.

Usage: {} [options] [action [arguments]]

Options:
-c/--configuration FILENAME -- configuration file path (searches if not given)
-h/--help -- print usage message and exit
-i/--interactive -- start an interactive shell after executing commands
-s/--serverurl URL -- URL on which supervisord server is listening
     (default \"http://localhost:9001\").
-u/--username USERNAME -- username to use for authentication with server
-p/--password PASSWORD -- password to use for authentication with server
-r/--history-file -- keep a readline history (if readline is available)

action [arguments] -- see below

Actions are commands like \"tail\" or \"stop\".  If -i is specified or no action is
specified on the command line, a \"shell\" interpreting actions typed
interactively is started.  Use the action \"help\" to find out about available
actions.

";

/// Reads the command line (`args` are those after the program's name) and the file it names or finds.
pub fn read(program: &str, args: &[String], env: &dyn Env) -> Result<Options, Stop> {
    let (found, words) = cmdline::getopt(args, FLAGS).map_err(Stop::Usage)?;
    let mut given: BTreeMap<&str, String> = BTreeMap::new();
    for option in &found {
        let name = match FLAGS[option.flag].long.unwrap_or("help") {
            "history-file" => "history_file",
            name => name,
        };
        if name == "help" {
            return Err(Stop::Help(HELP.replace("{}", program)));
        }
        let value = value_of(option, name, env)?;
        if given.insert(name, value).is_some() {
            return Err(Stop::Usage(cmdline::conflict(option).to_string()));
        }
    }
    let mut options = match given.remove("configuration").or_else(|| search::find(program, env)) {
        Some(path) => from_file(&path, env)?,
        None => defaults(),
    };
    if let Some(url) = given.remove("serverurl") {
        options.url = url;
    }
    options.username = given.remove("username").or(options.username);
    options.password = given.remove("password").or(options.password);
    options.history_file = given.remove("history_file").or(options.history_file);
    options.is_interactive = given.contains_key("interactive") || words.is_empty();
    options.words = words.to_vec();
    Ok(options)
}

fn value_of(option: &Found<'_>, name: &str, env: &dyn Env) -> Result<String, Stop> {
    if name == "serverurl" {
        Url::parse(option.value, env)
            .map_err(|message| Stop::Usage(cmdline::invalid_value(option, &message).to_string()))?;
    }
    Ok(option.value.to_string())
}

fn defaults() -> Options {
    Options {
        is_interactive: false,
        url: DEFAULT_URL.to_string(),
        username: None,
        password: None,
        prompt: DEFAULT_PROMPT.to_string(),
        history_file: None,
        plugins: Vec::new(),
        words: Vec::new(),
    }
}

fn from_file(path: &str, env: &dyn Env) -> Result<Options, Stop> {
    let usage = |error: &dyn ToString| Stop::Usage(error.to_string());
    let bytes = search::read(path, env).map_err(|error| usage(&error))?;
    let text = ini::decode(&bytes).map_err(|error| usage(&error))?;
    let mut document = Document::default();
    document.read(text, path).map_err(|error| usage(&error))?;
    if document.section("supervisorctl").is_none() {
        return Err(Stop::Usage(".ini file does not include supervisorctl section".to_string()));
    }

    let file = File {
        document: &document,
        here: paths::dirname(&paths::absolute(&env.cwd(), path)).to_string(),
        variables: env.variables().into_iter().collect(),
    };
    let mut options = defaults();
    let section = "supervisorctl";
    if let Some(url) = file.value(section, "serverurl", true)? {
        options.url = match url.strip_prefix("unix://") {
            Some(socket) => format!("unix://{}", absolute(env, socket)),
            None => url,
        };
    }
    if let Some(prompt) = file.value(section, "prompt", false)? {
        options.prompt = prompt;
    }
    options.username = file.value(section, "username", false)?;
    options.password = file.value(section, "password", false)?;
    let history = file.value(section, "history_file", true)?;
    options.history_file = history.filter(|path| !path.is_empty()).map(|path| absolute(env, &path));
    for section in &document.sections {
        if let Some(label) = section.name.strip_prefix("ctlplugin:") {
            options.plugins.push(plugin(&file, &section.name, label)?);
        }
    }
    Ok(options)
}

fn absolute(env: &dyn Env, path: &str) -> String {
    paths::absolute(&env.cwd(), &paths::expand_user(env, path))
}

fn plugin(file: &File<'_>, section: &str, label: &str) -> Result<Plugin, Stop> {
    const FACTORY: &str = "supervisor.ctl_factory";
    let Some(factory) = file.value(section, FACTORY, false)? else {
        return Err(Stop::Usage(format!("section [{section}] does not specify a {FACTORY}")));
    };
    let Some((_, kind)) = FACTORIES.iter().find(|(name, _)| *name == factory) else {
        return Err(Stop::Usage(format!("{factory} cannot be resolved within [{section}]")));
    };
    let match_group = file.value(section, "match_group", false)?.is_some_and(|value| value.trim() != "0");
    Ok(Plugin { label: label.to_string(), kind: *kind, match_group })
}

/// A file that has been read, with what its values may contain.
struct File<'a> {
    document: &'a Document,
    here: String,
    variables: BTreeMap<String, String>,
}

impl File<'_> {
    /// An option's value, expanded; `has_here` says whether `%(here)s` may stand in it (C-66).
    fn value(&self, section: &str, option: &str, has_here: bool) -> Result<Option<String>, Stop> {
        let Some(entry) = self.document.get(section, option) else { return Ok(None) };
        let scope = Scope {
            here: has_here.then_some(self.here.as_str()),
            variables: Some(&self.variables),
            ..Scope::default()
        };
        match scope.expand(&entry.value, || format!("{section}.{option}")) {
            Ok(value) => Ok(Some(value.into_owned())),
            Err(error) => Err(Stop::Usage(error.to_string())),
        }
    }
}
