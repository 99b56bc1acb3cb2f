//! The command line and the `[supervisorctl]` section (S-1 to S-9, C-130, C-140).

use std::collections::BTreeMap;

use super::transport::Server;
use crate::config::cmdline;
use crate::config::ctlfile::CtlFile;
use crate::config::datatypes::{Datatype, Url};
use crate::config::env::Env;
use crate::config::getopt::{Flag, FoundOption, getopt};
use crate::config::interfaces;

/// What the session is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether it asks before it stops a daemon, and for credentials: in the shell, and with `-i` (S-4).
    pub is_interactive: bool,
    pub server: Server,
    /// The instance of the fleet that commands are for, if it is another one than that of the server.
    pub host: Option<String>,
    /// What the prompt begins with.
    pub prompt: String,
    /// Where the shell's history is kept, if anywhere.
    pub history_file: Option<String>,
    /// The extensions' plugins, in the order of the file (S-80).
    pub plugins: Vec<Plugin>,
    /// The command, in words; empty for the shell.
    pub words: Vec<String>,
}

/// What a section `[ctlplugin:<label>]` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The title in `help`.
    pub label: String,
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
    #[cfg(feature = "fleet")]
    Supvisors,
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
const FACTORIES: &[(&str, Kind)] = &[
    ("supervisor_cache.controllerplugin:make_cache_controllerplugin", Kind::Cache),
    ("supervisor_grace.controllerplugin:make_grace_controllerplugin", Kind::Grace),
    ("supervisorserialrestart.controllerplugin:make_serialrestart_controllerplugin", Kind::SerialRestart),
    ("supervisor_serialrestart.controllerplugin:make_serialrestart_controllerplugin", Kind::SerialRestart),
    ("supervisorwildcards.controllerplugin:make_wildcards_controllerplugin", Kind::Wildcards),
    ("supervisor_wildcards.controllerplugin:make_wildcards_controllerplugin", Kind::Wildcards),
    #[cfg(feature = "fleet")]
    ("supvisors.supvisorsctl:make_supvisors_controller_plugin", Kind::Supvisors),
];

/// Called by that name it has the plugin of Supvisors whatever the file says (V-300).
#[cfg(feature = "fleet")]
pub const OF_SUPVISORS: &str = "supvisorsctl";

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
    #[cfg(feature = "fleet")]
    Flag { short: None, long: Some("host"), argument: Some("NAME"), whole: true, help: "" },
];

/// What `-h` prints, the program's name in the place of `{}`. It is the original's to the byte: packages test it.
pub const HELP: &str = "supervisorctl -- control applications run by supervisord from the cmd line.

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
    let (found, words) = getopt(args, FLAGS).map_err(Stop::Usage)?;
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
    let file = CtlFile::load(program, given.get("configuration").map(String::as_str), env)
        .map_err(|error| Stop::Usage(error.to_string()))?;
    let mut options = Options {
        is_interactive: given.contains_key("interactive") || words.is_empty(),
        server: Server { url: file.serverurl, username: file.username, password: file.password },
        host: given.remove("host"),
        prompt: file.prompt,
        history_file: file.history_file,
        plugins: file.plugins.into_iter().filter_map(plugin).collect(),
        words: words.to_vec(),
    };
    #[cfg(feature = "fleet")]
    if program.rsplit('/').next() == Some(OF_SUPVISORS)
        && !options.plugins.iter().any(|plugin| plugin.kind == Kind::Supvisors)
    {
        options.plugins.push(Plugin { label: "supvisors".to_string(), kind: Kind::Supvisors, match_group: false });
    }
    if let Some(url) = given.remove("serverurl") {
        options.server.url = url;
    }
    options.server.username = given.remove("username").or(options.server.username);
    options.server.password = given.remove("password").or(options.server.password);
    options.history_file = given.remove("history_file").or(options.history_file);
    Ok(options)
}

fn value_of(option: &FoundOption<'_>, name: &str, env: &dyn Env) -> Result<String, Stop> {
    if name == "serverurl" {
        Url::parse(option.value, env)
            .map_err(|message| Stop::Usage(cmdline::invalid_value(option, &message).to_string()))?;
    }
    Ok(option.value.to_string())
}

/// Loading has refused every factory that is not among [`FACTORIES`].
fn plugin(section: interfaces::Plugin) -> Option<Plugin> {
    let (_, kind) = FACTORIES.iter().find(|(factory, _)| *factory == section.factory)?;
    let match_group = section.arguments.iter().any(|(name, value)| name == "match_group" && value.trim() != "0");
    Some(Plugin { label: section.name, kind: *kind, match_group })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    fn read_line(env: &Fake, line: &str) -> Result<Options, Stop> {
        let args: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        read("bin/supervisorctl", &args, env)
    }

    #[cfg(feature = "fleet")]
    #[test]
    fn a_name_that_brings_a_plugin() {
        let mut env = Fake::new();
        let section = "[ctlplugin:s]\nsupervisor.ctl_factory=supvisors.supvisorsctl:make_supvisors_controller_plugin\n";
        let rows = [
            ("supervisorctl", "", &[][..]),
            ("supvisorsctl", "", &["supvisors"]),
            ("/usr/bin/supvisorsctl", section, &["s"]),
            ("supervisorctl", section, &["s"]),
        ];
        for (program, text, expected) in rows {
            env.write("/etc/x.conf", format!("[supervisorctl]\n{text}"));
            let args = ["-c", "/etc/x.conf", "help"].map(str::to_string);
            let plugins = read(program, &args, &env).expect("options").plugins;
            let labels: Vec<&str> = plugins.iter().map(|plugin| plugin.label.as_str()).collect();
            assert_eq!(labels, expected, "{program} {text}");
        }
    }

    #[test]
    fn the_command_line_wins() {
        let mut env = Fake::new();
        env.write("/etc/x.conf", "[supervisorctl]\nserverurl=http://h:1\nusername=u\npassword=p\nhistory_file=/h\n");
        let options = read_line(&env, "-c /etc/x.conf status").expect("options");
        assert_eq!((options.server.url.as_str(), options.is_interactive), ("http://h:1", false));
        assert_eq!(options.history_file.as_deref(), Some("/h"));
        let options =
            read_line(&env, "-c /etc/x.conf -i -sunix://s --user=a -p b --history-file r tail -f x").expect("options");
        assert_eq!((options.server.url.as_str(), options.is_interactive), ("unix://s", true));
        assert_eq!((options.server.username.as_deref(), options.server.password.as_deref()), (Some("a"), Some("b")));
        assert_eq!(options.history_file.as_deref(), Some("r"));
        assert_eq!(options.words, ["tail", "-f", "x"]);
        let options = read_line(&env, "").expect("options");
        assert_eq!((options.server.url.as_str(), options.is_interactive), ("http://localhost:9001", true));
    }

    #[test]
    fn what_stops_it() {
        let env = Fake::new();
        let rows = [
            ("-c nope x", "could not find config file nope"),
            ("-r", "option -r requires argument"),
            ("--nope", "option --nope not recognized"),
            ("-i -i x", "conflicting command line option '-i'"),
            ("-r a --history-file b", "conflicting command line option '--history-file'"),
            ("-s foo", "invalid value for -s 'foo': value 'foo' is not a URL"),
        ];
        for (line, message) in rows {
            assert_eq!(read_line(&env, line), Err(Stop::Usage(message.to_string())), "{line}");
        }
        assert!(matches!(read_line(&env, "-h --nope=1"), Err(Stop::Usage(_))));
        assert!(
            matches!(read_line(&env, "-s http:x -h"), Err(Stop::Help(text)) if text.contains("bin/supervisorctl [opt"))
        );
    }

    #[test]
    fn plugins_of_the_file() {
        let mut env = Fake::new();
        let mut text = "[supervisorctl]\n".to_string();
        for (at, (factory, _)) in FACTORIES.iter().enumerate() {
            text += &format!("[ctlplugin:p{at}]\nsupervisor.ctl_factory={factory}\nmatch_group={}\n", at % 2);
        }
        env.write("/etc/x.conf", &text);
        let plugins = read_line(&env, "-c /etc/x.conf help").expect("options").plugins;
        for (at, (factory, kind)) in FACTORIES.iter().enumerate() {
            let expected = Plugin { label: format!("p{at}"), kind: *kind, match_group: at % 2 == 1 };
            assert_eq!(plugins[at], expected, "{factory}");
        }
    }
}
