//! The command line of supervisord (C-140 to C-146).

use crate::level::Level;
use crate::wire::pyrepr;

use super::datatypes::{ByteSize, Datatype, Directory, FilePath, Octal};
use super::env::Env;
use super::error::ConfigError;
use super::getopt::{Flag, FoundOption, help_lines, split};

/// What supervisord's command line sets. What it does not name is `None` or false: the file decides (C-144).
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct CommandLine {
    pub configuration: Option<String>,
    pub nodaemon: bool,
    pub silent: bool,
    pub user: Option<String>,
    pub umask: Option<Octal>,
    pub directory: Option<Directory>,
    pub logfile: Option<FilePath>,
    pub logfile_maxbytes: Option<ByteSize>,
    pub logfile_backups: Option<i64>,
    pub loglevel: Option<Level>,
    pub pidfile: Option<FilePath>,
    pub identifier: Option<String>,
    pub childlogdir: Option<Directory>,
    pub nocleanup: bool,
    pub minfds: Option<i64>,
    pub strip_ansi: bool,
    pub minprocs: Option<i64>,
    pub main: Option<Main>,
}

/// The command that is `[program:main]` beside the file's (K-2.5).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Main {
    /// Its words, at least one.
    pub words: Vec<String>,
    /// It is started when all others are ready, and not only started.
    pub waits_until_ready: bool,
}

/// A command that is run alone (K-2.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alone {
    /// Its words are so many of the last arguments, at least one.
    pub words: usize,
    /// Signals go to its process group and not to it alone.
    pub to_group: bool,
    /// Statuses of it that are a success.
    pub exit_ok: Vec<u8>,
}

/// What supervisord is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Load the configuration and run.
    Run(CommandLine),
    /// Load the configuration, say what is wrong with it, end.
    Check {
        /// The rest of the command line.
        line: CommandLine,
        /// Leave out what is wrong on this machine only.
        portable: bool,
    },
    /// Print this on stdout and end with status 0.
    Print(String),
    /// Print what this program is and how it was built; status 0.
    About,
    /// Print how it is used, and to a person what is ours, too; status 0.
    Help(String),
    /// Run a command and nothing else.
    Alone(Alone),
}

/// `--check`, without what is wrong on this machine only.
const PORTABLE: &str = "--check=portable";

/// The version this program is compatible with; what `-v` prints (C-143).
pub const VERSION: &str = "4.3.0";

const fn flag(short: char, long: &'static str, argument: Option<&'static str>, help: &'static str) -> Flag {
    Flag { short: Some(short), long: Some(long), argument, whole: false, help }
}

const fn ours(long: &'static str, help: &'static str) -> Flag {
    Flag { short: None, long: Some(long), argument: None, whole: true, help }
}

/// The flags of supervisord's command line (C-140).
pub const FLAGS: &[Flag] = &[
    flag('c', "configuration", Some("FILE"), "the file to read, e.g. -c /etc/supervisord.conf"),
    flag('n', "nodaemon", None, "stay in the foreground, e.g. in a container: -n"),
    flag('s', "silent", None, "with -n, do not repeat the log on stdout: -n -s"),
    flag('h', "help", None, "print this and end"),
    Flag { short: Some('?'), long: None, argument: None, whole: false, help: "the same" },
    flag('v', "version", None, "print the version and end"),
    flag('u', "user", Some("USER"), "the user to become, by name or number, e.g. -u www-data"),
    flag('m', "umask", Some("OCTAL"), "file mode creation mask of the daemon, e.g. -m 027"),
    flag('d', "directory", Some("DIR"), "directory to change to as a daemon, e.g. -d /srv"),
    flag('l', "logfile", Some("FILE"), "the activity log, e.g. -l /var/log/supervisord.log, or -l syslog"),
    flag('y', "logfile_maxbytes", Some("SIZE"), "size at which it is rotated, e.g. -y 10MB; 0 never"),
    flag('z', "logfile_backups", Some("COUNT"), "rotated files to keep, e.g. -z 5"),
    flag('e', "loglevel", Some("LEVEL"), "critical, error, warn, info, debug, trace or blather, e.g. -e debug"),
    flag('j', "pidfile", Some("FILE"), "where to write the process id, e.g. -j /run/supervisord.pid"),
    flag('i', "identifier", Some("NAME"), "name of this daemon, e.g. -i web1"),
    flag('q', "childlogdir", Some("DIR"), "where AUTO logs of programs are made, e.g. -q /var/log/programs"),
    flag('k', "nocleanup", None, "keep the AUTO logs of an earlier run: -k"),
    flag('a', "minfds", Some("COUNT"), "least number of file descriptors, e.g. -a 4096"),
    flag('t', "strip_ansi", None, "remove ANSI sequences from what programs write: -t"),
    Flag {
        short: None,
        long: Some("minprocs"),
        argument: Some("COUNT"),
        whole: false,
        help: "least number of processes, e.g. --minprocs 500",
    },
    Flag {
        short: None,
        long: Some("profile_options"),
        argument: Some("LIST"),
        whole: false,
        help: "accepted and ignored, e.g. --profile_options=calls",
    },
    ours("check", "load the file, print what is wrong with it and end, e.g. --check new.conf; --check=portable for CI"),
    ours("about", "print what this program is and how it was built, and end"),
    ours("group", "before -- COMMAND: signals go to its process group, e.g. --group -- sh -c \"a | b\""),
    Flag {
        argument: Some("LIST"),
        ..ours(
            "exit-ok",
            "before -- COMMAND: statuses of it that are a success, e.g. --exit-ok=143,3 -- java -jar x.jar",
        )
    },
    ours(
        "wait-ready",
        "with -c FILE -- COMMAND: start it when all others are ready, e.g. -n -c F --wait-ready -- nginx",
    ),
];

/// Reads supervisord's command line; `args` are those after the program's name.
///
/// Errors: the message of a usage error (C-141, C-142).
pub fn parse(program: &str, args: &[String], env: &dyn Env) -> Result<Request, ConfigError> {
    // The one option whose argument may be missing, and that is ours.
    let portable = args.iter().any(|word| word == PORTABLE);
    let args: Vec<String> =
        args.iter().map(|word| if word == PORTABLE { "--check".to_string() } else { word.clone() }).collect();
    let (found, mut words, is_command) = split(&args, FLAGS).map_err(ConfigError::new)?;
    let has = |name: &str| found.iter().any(|option| FLAGS[option.flag].long == Some(name));
    let mut checked = None;
    if let ([file], true, false) = (words, has("check"), has("configuration")) {
        checked = Some(file.clone());
        words = &[];
    }
    let lacks_command = is_command && words.is_empty() && !has("check") && !has("configuration");
    let is_command = is_command && !words.is_empty() && (!has("check") || has("configuration"));
    let command = if is_command { std::mem::take(&mut words) } else { &[] };
    if !words.is_empty() {
        let words: Vec<String> = words.iter().map(|word| pyrepr::text(word)).collect();
        return Err(ConfigError::new(format!("positional arguments are not supported: [{}]", words.join(", "))));
    }
    let mut line = CommandLine::default();
    let (mut check, mut profile, mut waits_until_ready) = (false, false, false);
    let (mut alone, mut exit_ok) = (Alone::default(), None::<Statuses>);
    for option in &found {
        match FLAGS[option.flag].long.unwrap_or("help") {
            "help" => return Ok(Request::Help(help(program))),
            "version" => return Ok(Request::Print(format!("{VERSION}\n"))),
            "about" => return Ok(Request::About),
            "check" => switch(option, &mut check)?,
            "group" => switch(option, &mut alone.to_group)?,
            "exit-ok" => set(option, env, &mut exit_ok)?,
            "wait-ready" => switch(option, &mut waits_until_ready)?,
            "profile_options" => switch(option, &mut profile)?,
            "configuration" => set(option, env, &mut line.configuration)?,
            "nodaemon" => switch(option, &mut line.nodaemon)?,
            "silent" => switch(option, &mut line.silent)?,
            "user" => set(option, env, &mut line.user)?,
            "umask" => set(option, env, &mut line.umask)?,
            "directory" => set(option, env, &mut line.directory)?,
            "logfile" => set(option, env, &mut line.logfile)?,
            "logfile_maxbytes" => set(option, env, &mut line.logfile_maxbytes)?,
            "logfile_backups" => set(option, env, &mut line.logfile_backups)?,
            "loglevel" => set(option, env, &mut line.loglevel)?,
            "pidfile" => set(option, env, &mut line.pidfile)?,
            "identifier" => set(option, env, &mut line.identifier)?,
            "childlogdir" => set(option, env, &mut line.childlogdir)?,
            "nocleanup" => switch(option, &mut line.nocleanup)?,
            "minfds" => set(option, env, &mut line.minfds)?,
            "strip_ansi" => switch(option, &mut line.strip_ansi)?,
            "minprocs" => set(option, env, &mut line.minprocs)?,
            other => debug_assert!(false, "--{other} stands in the table and sets nothing"),
        }
    }
    if lacks_command {
        return Err(ConfigError::new("-- needs a COMMAND behind it"));
    }
    line.configuration = line.configuration.or(checked);
    let is_alone = !command.is_empty() && line.configuration.is_none();
    if let Some(option) = found.iter().find(|option| is_misplaced(option, is_alone, !command.is_empty())) {
        let name = &option.name;
        return Err(ConfigError::new(if is_alone {
            format!("{name} needs -c FILE beside -- COMMAND, which otherwise is run alone")
        } else if FLAGS[option.flag].long == Some("wait-ready") {
            format!("{name} needs -c FILE and -- COMMAND")
        } else {
            format!("{name} is for -- COMMAND without -c FILE")
        }));
    }
    if is_alone {
        (alone.words, alone.exit_ok) = (command.len(), exit_ok.unwrap_or_default().0);
        return Ok(Request::Alone(alone));
    }
    if !command.is_empty() {
        line.main = Some(Main { words: command.to_vec(), waits_until_ready });
    }
    Ok(if check { Request::Check { line, portable } } else { Request::Run(line) })
}

/// Whether an option makes no sense with a command as it is given, or without one.
fn is_misplaced(option: &FoundOption, is_alone: bool, is_command: bool) -> bool {
    match FLAGS[option.flag].long {
        Some("group" | "exit-ok") => !is_alone,
        Some("wait-ready") => is_alone || !is_command,
        _ => is_alone,
    }
}

/// Statuses, with commas between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Statuses(Vec<u8>);

impl Datatype for Statuses {
    const KIND: &'static str = "statuses from 0 to 255, with commas between them";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        let numbers = text.split(',').map(|word| word.trim().parse());
        let numbers: Result<Vec<u8>, _> = numbers.collect();
        numbers.map(Statuses).map_err(|_| format!("expected {}", Self::KIND))
    }
}

fn set<T: Datatype>(option: &FoundOption, env: &dyn Env, target: &mut Option<T>) -> Result<(), ConfigError> {
    let value = T::parse(option.value, env).map_err(|message| invalid_value(option, &message))?;
    match target.replace(value) {
        None => Ok(()),
        Some(_) => Err(conflict(option)),
    }
}

fn switch(option: &FoundOption, target: &mut bool) -> Result<(), ConfigError> {
    if std::mem::replace(target, true) { Err(conflict(option)) } else { Ok(()) }
}

/// `invalid value for -e 'foo': bad logging level name 'foo'` (C-141).
pub fn invalid_value(option: &FoundOption, message: &str) -> ConfigError {
    ConfigError::new(format!("invalid value for {} {}: {message}", option.name, pyrepr::text(option.value)))
}

/// `conflicting command line option '-n'`: the same option twice (C-142).
pub fn conflict(option: &FoundOption) -> ConfigError {
    ConfigError::new(format!("conflicting command line option {}", pyrepr::text(&option.name)))
}

/// What `-h` prints: to the letter what the original prints, for wrappers that look for it. [`help_of_ours`] follows on a
/// terminal.
fn help(program: &str) -> String {
    include_str!("help.txt").replace("{program}", program)
}

/// What the original does not have.
pub fn help_of_ours() -> String {
    let ours: Vec<Flag> = FLAGS.iter().filter(|flag| flag.whole).copied().collect();
    format!(
        "Beside these, which are Supervisor's:\n\n\
         supervisord -n -c FILE -- COMMAND [ARG...]  COMMAND as [program:main] beside the file's; its end is ours\n\
         supervisord -- COMMAND [ARG...]             COMMAND alone, as the init of a container; no file is read\n{}",
        help_lines(&ours)
    )
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::super::getopt::getopt;
    use super::*;

    fn args(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_string).collect()
    }

    fn run(line: &str) -> Result<Request, String> {
        parse("sd", &args(line), &Fake::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_set() {
        let rows: &[(&str, CommandLine)] = &[
            ("", CommandLine::default()),
            ("-nc f", CommandLine { nodaemon: true, configuration: Some("f".into()), ..Default::default() }),
            ("-cf", CommandLine { configuration: Some("f".into()), ..Default::default() }),
            ("-c -n", CommandLine { configuration: Some("-n".into()), ..Default::default() }),
            ("--conf=f --nod", CommandLine { nodaemon: true, configuration: Some("f".into()), ..Default::default() }),
            ("--logfile x", CommandLine { logfile: Some(FilePath("x".into())), ..Default::default() }),
            ("--ch /tmp", CommandLine { childlogdir: Some(Directory("/tmp".into())), ..Default::default() }),
            (
                "-y 1KB -z 2",
                CommandLine { logfile_maxbytes: Some(ByteSize(1024)), logfile_backups: Some(2), ..Default::default() },
            ),
            (
                "-e DEBUG -m 22",
                CommandLine { loglevel: Some(Level::Debug), umask: Some(Octal(0o22)), ..Default::default() },
            ),
            ("--profile_options=cumulative,calls", CommandLine::default()),
            ("-nc f --", CommandLine { nodaemon: true, configuration: Some("f".into()), ..Default::default() }),
        ];
        for (line, expected) in rows {
            assert_eq!(run(line), Ok(Request::Run(expected.clone())), "{line:?}");
        }
        let checked = |args| match run(args) {
            Ok(Request::Check { line, portable }) => (line.configuration, line.nodaemon, portable),
            other => panic!("{other:?}"),
        };
        assert_eq!(checked("--check -n"), (None, true, false));
        assert_eq!(checked("--check F"), (Some("F".to_string()), false, false));
        assert_eq!(checked("--check=portable -c F"), (Some("F".to_string()), false, true));
        assert!(run("--check -c F G").is_err() && run("--check F G").is_err());
    }

    #[test]
    fn what_is_wrong() {
        let rows = [
            ("-z", "option -z requires argument"),
            ("-x", "option -x not recognized"),
            ("--foo", "option --foo not recognized"),
            ("--chec", "option --chec not recognized"),
            ("--l", "option --l not a unique prefix"),
            ("--nodaemon=1", "option --nodaemon must not have an argument"),
            ("--nod=1", "option --nodaemon must not have an argument"),
            ("--logfile", "option --logfile requires argument"),
            ("foo -n bar", "positional arguments are not supported: ['foo', '-n', 'bar']"),
            ("-n - x", "positional arguments are not supported: ['-', 'x']"),
            ("-v foo", "positional arguments are not supported: ['foo']"),
            ("-e foo", "invalid value for -e 'foo': bad logging level name 'foo'"),
            ("--logl foo", "invalid value for --loglevel 'foo': bad logging level name 'foo'"),
            ("-m 9", "invalid value for -m '9': 9 can not be converted to an octal type"),
            ("-n -n", "conflicting command line option '-n'"),
            ("-n --nodaemon", "conflicting command line option '--nodaemon'"),
            ("-c a -c a", "conflicting command line option '-c'"),
            ("-d /no", "invalid value for -d '/no': /no is not an existing directory"),
        ];
        for (line, expected) in rows {
            assert_eq!(run(line), Err(expected.to_string()), "{line:?}");
        }
    }

    #[test]
    fn what_is_printed() {
        for line in ["-v", "--version", "--vers", "-nv", "-v -e foo"] {
            assert_eq!(run(line), Ok(Request::Print("4.3.0\n".into())), "{line:?}");
        }
        for line in ["-h", "-?", "--help", "-h -v"] {
            let Ok(Request::Help(text)) = run(line) else { panic!("{line:?}") };
            // What the original has, and nothing of ours: its text is compared to the letter elsewhere.
            for long in FLAGS.iter().filter(|flag| !flag.whole).filter_map(|flag| flag.long) {
                assert!(text.contains(&format!("--{long}")), "{long}: {text}");
            }
            assert!(text.contains("Usage: sd "), "{text}");
        }
        assert_eq!(run("--about"), Ok(Request::About));
        assert_eq!(run("-e foo -v"), Err("invalid value for -e 'foo': bad logging level name 'foo'".to_string()));
    }

    /// K-2.4, K-2.5: what stands behind -- is a command, with a file beside it or alone.
    #[test]
    fn commands() {
        let words = |line: &str| args(line);
        let alone =
            |words, to_group, exit_ok: &[u8]| Ok(Request::Alone(Alone { words, to_group, exit_ok: exit_ok.to_vec() }));
        let beside = |text: &str, waits_until_ready| {
            let main = Some(Main { words: words(text), waits_until_ready });
            Ok(Request::Run(CommandLine {
                configuration: Some("f".into()),
                nodaemon: true,
                main,
                ..Default::default()
            }))
        };
        let wrong = |text: &str| Err(text.to_string());
        let rows = [
            ("-- x", alone(1, false, &[])),
            ("-- x -c -- y", alone(4, false, &[])),
            ("--group --exit-ok=143,3 -- x", alone(1, true, &[143, 3])),
            ("--exit-ok 0 -- x y", alone(2, false, &[0])),
            ("-n -c f -- x -y", beside("x -y", false)),
            ("-nc f --wait-ready -- x", beside("x", true)),
            (
                "--exit-ok=256 -- x",
                wrong("invalid value for --exit-ok '256': expected statuses from 0 to 255, with commas between them"),
            ),
            ("-n -- x", wrong("-n needs -c FILE beside -- COMMAND, which otherwise is run alone")),
            ("--wait-ready -- x", wrong("--wait-ready needs -c FILE beside -- COMMAND, which otherwise is run alone")),
            ("-c f --wait-ready", wrong("--wait-ready needs -c FILE and -- COMMAND")),
            ("--group --", wrong("-- needs a COMMAND behind it")),
            ("--", wrong("-- needs a COMMAND behind it")),
            ("-n --", wrong("-- needs a COMMAND behind it")),
            ("--group", wrong("--group is for -- COMMAND without -c FILE")),
            ("-c f --exit-ok=1 -- x", wrong("--exit-ok is for -- COMMAND without -c FILE")),
            ("-c -- x", wrong("positional arguments are not supported: ['x']")),
            ("x -- y", wrong("positional arguments are not supported: ['x', '--', 'y']")),
            (
                "--check -c f -- x",
                Ok(Request::Check {
                    line: CommandLine {
                        configuration: Some("f".into()),
                        main: Some(Main { words: words("x"), waits_until_ready: false }),
                        ..Default::default()
                    },
                    portable: false,
                }),
            ),
            (
                "--check -- x",
                Ok(Request::Check {
                    line: CommandLine { configuration: Some("x".into()), ..Default::default() },
                    portable: false,
                }),
            ),
        ];
        for (line, expected) in rows {
            assert_eq!(run(line), expected, "{line:?}");
        }
        assert!(help_of_ours().contains("--check") && !help_of_ours().contains("--nodaemon"));
    }

    #[test]
    fn words_end_the_options() {
        let words = args("-s u tail -f x");
        let flags = [flag('s', "serverurl", Some("URL"), ""), flag('f', "follow", None, "")];
        let (found, rest) = getopt(&words, &flags).unwrap();
        assert_eq!(found, [FoundOption { name: "-s".into(), flag: 0, value: "u" }]);
        assert_eq!(rest, &words[2..]);
    }
}
