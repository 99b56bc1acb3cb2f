//! One row per option: name, type, default, documentation. The struct, its reading and the list of known names follow
//! from the row; they serve a section of a file and the options of a remote call alike.
//!
//! The order of rows is the order of reading, and so decides which of several errors is reported: it is the original's.

use crate::level::Level;

use super::datatypes::*;
use super::error::ConfigError;
use super::reader::Reader;
use super::types::{Autorestart, User};

/// What is known about an option without looking at a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name in a file.
    pub name: &'static str,
    /// What kind of text it holds.
    pub kind: &'static str,
    /// The text that stands in when it is missing.
    pub default: Option<&'static str>,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
}

macro_rules! options {
    ($(#[doc = $about:literal])* $options:ident {
        $($(#[doc = $doc:literal])+ $field:ident : $kind:ty $(= $default:literal)?;)*
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        #[allow(missing_docs)]
        pub struct $options { $($(#[doc = $doc])+ pub $field: $kind,)* }

        impl $options {
            /// The rows, in the order of reading.
            pub const ROWS: &'static [Row] = &[$(Row {
                name: stringify!($field),
                kind: <$kind as Datatype>::KIND,
                default: options!(@default $($default)?),
                doc: concat!($($doc),+).trim_ascii(),
            },)*];

            /// Reads the options of a section.
            pub fn read(reader: &Reader) -> Result<$options, ConfigError> {
                Ok($options { $($field: reader.option(stringify!($field), options!(@default $($default)?))?,)* })
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}

options! {
    /// `[supervisord]` (C-90).
    SupervisordOptions {
        /// Least number of file descriptors that must be available.
        minfds: i64 = "1024";
        /// Least number of processes that must be available.
        minprocs: i64 = "200";
        /// Directory to change to when becoming a daemon.
        directory: Option<Directory>;
        /// User to become when started as root.
        user: Option<String>;
        /// File mode creation mask of the daemon.
        umask: Octal = "022";
        /// The activity log; `syslog` sends it there.
        logfile: FilePath = "supervisord.log";
        /// Size at which the activity log is rotated; 0 never.
        logfile_maxbytes: ByteSize = "50MB";
        /// Rotated activity logs that are kept.
        logfile_backups: i64 = "10";
        /// Least severe level that is logged: critical, error, warn, info, debug, trace or blather.
        loglevel: Level = "info";
        /// Where the daemon writes its process id.
        pidfile: FilePath = "supervisord.pid";
        /// Name of this daemon, where several run.
        identifier: String = "supervisor";
        /// Stay in the foreground.
        nodaemon: bool = "false";
        /// In the foreground, do not repeat the log on stdout.
        silent: bool = "false";
        /// Where AUTO logs of programs are made; the system's temporary directory by default.
        childlogdir: Option<Directory>;
        /// Keep the AUTO logs of an earlier run.
        nocleanup: bool = "false";
        /// Remove ANSI sequences from what programs write.
        strip_ansi: bool = "false";
        /// Variables for every program: KEY="value",KEY2="value2".
        environment: String = "";
    }
}

options! {
    /// `[include]` (C-41, C-42).
    IncludeOptions {
        /// Files to read besides this one; blanks between them, wildcards allowed.
        files: Option<Unexpanded>;
    }
}

options! {
    /// `[inet_http_server]` (C-97).
    InetServerOptions {
        /// User name that clients must give.
        username: Option<String>;
        /// Password that clients must give, clear or {SHA}.
        password: Option<String>;
        /// Where to listen: port, or address:port; *:port for every interface.
        port: Option<String>;
    }
}

options! {
    /// The path of `[unix_http_server]`, which knows one name more (C-66).
    UnixFileOptions {
        /// The socket's path.
        file: Option<String>;
    }
}

options! {
    /// `[unix_http_server]`, but for its path (C-96).
    UnixServerOptions {
        /// User name that clients must give.
        username: Option<String>;
        /// Password that clients must give, clear or {SHA}.
        password: Option<String>;
        /// Owner of the socket: user or user:group.
        chown: Option<String>;
        /// Mode of the socket; 0700 by default.
        chmod: Option<String>;
    }
}

options! {
    /// A program's options that hold for all its processes (C-105, C-66).
    ProgramOptions {
        /// Lower ones start first and stop last.
        priority: i64 = "999";
        /// Start with the daemon.
        autostart: bool = "true";
        /// Start again after an exit: always, never, or if the exit code is not among exitcodes.
        autorestart: Autorestart = "unexpected";
        /// Seconds it must stay up to count as started.
        startsecs: i64 = "1";
        /// Failed starts in a row before it is given up.
        startretries: i64 = "3";
        /// The signal that stops it.
        stopsignal: SignalNumber = "TERM";
        /// Seconds to wait for its end before SIGKILL.
        stopwaitsecs: i64 = "10";
        /// Send the stop signal to its whole process group.
        stopasgroup: bool = "false";
        /// Send SIGKILL to its whole process group; as stopasgroup by default.
        killasgroup: Option<bool>;
        /// Exit codes that are expected.
        exitcodes: ExitCodes = "0";
        /// Its stderr goes where its stdout goes.
        redirect_stderr: bool = "false";
        /// How many processes to run of it.
        numprocs: i64 = "1";
        /// The number of the first process.
        numprocs_start: i64 = "0";
        /// Variables for it: KEY="value",KEY2="value2".
        environment: Unexpanded = "";
        /// Size of the buffer for captured stdout; 0 turns capturing off.
        stdout_capture_maxbytes: ByteSize = "0";
        /// Emit PROCESS_LOG_STDOUT events.
        stdout_events_enabled: bool = "false";
        /// Size of the buffer for captured stderr; 0 turns capturing off.
        stderr_capture_maxbytes: ByteSize = "0";
        /// Emit PROCESS_LOG_STDERR events.
        stderr_events_enabled: bool = "false";
        /// URL that it finds in SUPERVISOR_SERVER_URL; AUTO takes that of our own server.
        serverurl: Option<String>;
        /// User to run it as.
        user: Option<User>;
        /// Its file mode creation mask.
        umask: Option<Octal>;
        /// Name of each process; needs %(process_num) with numprocs above 1.
        process_name: Name = "%(program_name)s";
    }
}

options! {
    /// A program's options that are expanded for each process (C-66).
    ProcessOptions {
        /// Directory to change to before it starts.
        directory: Option<String>;
        /// Log of its stdout: a path, AUTO or NONE.
        stdout_logfile: LogFile = "AUTO";
        /// Rotated logs of its stdout that are kept.
        stdout_logfile_backups: i64 = "10";
        /// Size at which the log of its stdout is rotated; 0 never.
        stdout_logfile_maxbytes: ByteSize = "50MB";
        /// Send its stdout to syslog, too.
        stdout_syslog: bool = "false";
        /// Log of its stderr: a path, AUTO or NONE.
        stderr_logfile: LogFile = "AUTO";
        /// Rotated logs of its stderr that are kept.
        stderr_logfile_backups: i64 = "10";
        /// Size at which the log of its stderr is rotated; 0 never.
        stderr_logfile_maxbytes: ByteSize = "50MB";
        /// Send its stderr to syslog, too.
        stderr_syslog: bool = "false";
        /// The command line; no shell is involved.
        command: Option<String>;
    }
}

options! {
    /// `[group:x]` (C-113).
    GroupOptions {
        /// Names of the programs that belong to it.
        programs: Strings = "";
        /// Lower ones start first and stop last.
        priority: i64 = "999";
    }
}

options! {
    /// What `[eventlistener:x]` adds to a program (C-116).
    ListenerOptions {
        /// Lower ones start first and stop last.
        priority: i64 = "-1";
        /// Events that are kept while no listener is ready.
        buffer_size: i64 = "10";
        /// What judges a listener's results.
        result_handler: String = "supervisor.dispatchers:default_handler";
        /// Types of events it wants.
        events: Strings = "";
        /// Not allowed here.
        redirect_stderr: bool = "false";
        /// Add exit status, signal and reason to the payloads of process states.
        extended_payload: bool = "false";
        /// Do not drop events before a listener was ready once.
        buffer_hold_until_ready: bool = "false";
        /// `restart`: start a listener again that broke the protocol.
        unknown_action: Option<String>;
    }
}

options! {
    /// What `[fcgi-program:x]` adds to a program, but for its socket (C-115).
    FcgiOptions {
        /// Lower ones start first and stop last.
        priority: i64 = "999";
        /// User to run it as.
        user: Option<User>;
        /// Connections that may wait; the system's maximum by default.
        socket_backlog: Option<i64>;
        /// Owner of a unix socket: user or user:group.
        socket_owner: Option<String>;
        /// Mode of a unix socket; 0700 by default.
        socket_mode: Option<String>;
    }
}

options! {
    /// The socket of `[fcgi-program:x]`, which knows one name more (C-66).
    FcgiSocketOptions {
        /// tcp://host:port or unix:///path; each process finds it as its stdin.
        socket: Option<String>;
    }
}

options! {
    /// `[stheno]`, which Supervisor does not have.
    SthenoOptions {
        /// Allow `stheno.*` methods that can bring in a new command.
        mutation: bool = "false";
        /// Where changes made at run time are kept, and read again at start.
        dynamic_conf: Option<String>;
        /// Further names under which browsers reach the web page, behind a proxy that passes them on.
        hosts: Strings = "";
    }
}

options! {
    /// The paths of `[supervisorctl]`, which know one name more (C-66, C-130).
    CtlPathOptions {
        /// The server to talk to: http://host:port or unix:///path.
        serverurl: String = "http://localhost:9001";
        /// Where the shell keeps its history.
        history_file: Option<String>;
    }
}

options! {
    /// `[supervisorctl]`, but for its paths (C-130).
    CtlOptions {
        /// What the shell prints before a line.
        prompt: String = "supervisor";
        /// User name for the server.
        username: Option<String>;
        /// Password for the server, clear.
        password: Option<String>;
    }
}

/// Tables of the options that a section knows; `None` for a section that is nobody's, or whose options are free.
pub fn tables(section: &str) -> Option<Vec<&'static [Row]>> {
    let program = [ProgramOptions::ROWS, ProcessOptions::ROWS];
    let kind = section.split_once(':').map_or(section, |(kind, _)| kind);
    Some(match (kind, section.contains(':')) {
        ("supervisord", false) => vec![SupervisordOptions::ROWS],
        ("include", false) => vec![IncludeOptions::ROWS],
        ("stheno", false) => vec![SthenoOptions::ROWS],
        ("supervisorctl", false) => vec![CtlPathOptions::ROWS, CtlOptions::ROWS],
        ("program", true) => program.to_vec(),
        ("group", true) => vec![GroupOptions::ROWS],
        ("eventlistener", true) => [&program[..], &[ListenerOptions::ROWS]].concat(),
        ("fcgi-program", true) => [&program[..], &[FcgiOptions::ROWS, FcgiSocketOptions::ROWS]].concat(),
        _ if section.starts_with("inet_http_server") => vec![InetServerOptions::ROWS],
        _ if section.starts_with("unix_http_server") => vec![UnixFileOptions::ROWS, UnixServerOptions::ROWS],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::super::reader::Scope;
    use super::*;
    use crate::wire::ini::{Document, Section};

    const ALL: &[(&str, &[Row])] = &[
        ("supervisord", SupervisordOptions::ROWS),
        ("program", ProgramOptions::ROWS),
        ("process", ProcessOptions::ROWS),
        ("group", GroupOptions::ROWS),
        ("listener", ListenerOptions::ROWS),
        ("fcgi", FcgiOptions::ROWS),
        ("stheno", SthenoOptions::ROWS),
        ("ctl", CtlOptions::ROWS),
    ];

    #[test]
    fn rows_describe_themselves() {
        for (table, rows) in ALL {
            for row in *rows {
                assert!(!row.doc.is_empty() && !row.kind.is_empty(), "{table}.{}", row.name);
                assert_eq!(row.name, row.name.to_lowercase(), "{table}");
            }
        }
        let startsecs = ProgramOptions::ROWS.iter().find(|row| row.name == "startsecs").copied();
        let expected = Row {
            name: "startsecs",
            kind: "integer",
            default: Some("1"),
            doc: "Seconds it must stay up to count as started.",
        };
        assert_eq!(startsecs, Some(expected));
    }

    #[test]
    fn an_empty_section_has_the_defaults() {
        let env = Fake::new();
        let document = Document::default();
        let section = Section::new("s", "F".into(), 1);
        let reader = Reader { document: &document, section: &section, scope: Scope::default(), env: &env };
        assert!(SupervisordOptions::read(&reader).is_ok());
        assert!(ProgramOptions::read(&reader).is_ok());
        assert!(ProcessOptions::read(&reader).is_ok());
        assert!(GroupOptions::read(&reader).is_ok());
        assert!(ListenerOptions::read(&reader).is_ok());
        assert!(FcgiOptions::read(&reader).is_ok());
        assert!(SthenoOptions::read(&reader).is_ok());
        assert!(CtlOptions::read(&reader).is_ok());
    }

    #[test]
    fn sections_and_their_tables() {
        let rows = [
            ("program:x", Some(2)),
            ("program", None),
            ("eventlistener:x", Some(3)),
            ("fcgi-program:x", Some(4)),
            ("inet_http_server", Some(1)),
            ("inet_http_server:second", Some(1)),
            ("unix_http_server2", Some(2)),
            ("supervisord:x", None),
            ("rpcinterface:supervisor", None),
            ("pogram:x", None),
        ];
        for (section, expected) in rows {
            assert_eq!(tables(section).map(|tables| tables.len()), expected, "{section:?}");
        }
    }
}
