//! `docs/configuration.md`: every option, in the order of the sections of a file.

use stheno::config::Row;
use stheno::config::tables::TABLES;

/// The sections of a file, as people look for them: the heading, the kind as the tables have it, and what to know.
pub const SECTIONS: &[(&str, &str, &str)] = &[
    (
        "[supervisord]",
        "supervisord",
        "The daemon itself. It is read at the start and at a restart (`supervisorctl reload`, SIGHUP), not by `reread`.",
    ),
    ("[unix_http_server]", "unix_http_server*", "The socket that `supervisorctl` speaks to."),
    ("[inet_http_server]", "inet_http_server*", "A TCP port for the web page and for XML-RPC."),
    (
        "[program:NAME]",
        "program:",
        "A program to run. What stands here holds in `[fcgi-program:NAME]` and `[eventlistener:NAME]` too, which add to it.",
    ),
    (
        "[fcgi-program:NAME]",
        "fcgi-program:",
        "A FastCGI program, whose processes share a socket that the daemon opens.",
    ),
    ("[eventlistener:NAME]", "eventlistener:", "A program that is told of events on its stdin."),
    ("[group:NAME]", "group:", "Programs under one name, started and stopped together."),
    ("[program-default]", "program-default", "Options that stand in for those that a `[program:NAME]` does not have."),
    ("[include]", "include", "Further files."),
    (
        "[rpcinterface:supvisors]",
        "rpcinterface:supvisors",
        "Supvisors, with its own options and `supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface`: \
         see [fleet.md](fleet.md). A value that cannot be read is told of in the log, and the default counts.",
    ),
    ("[supervisorctl]", "supervisorctl", "What `supervisorctl` reads when no option says otherwise."),
    (
        "[stheno]",
        "stheno",
        "What goes beyond Supervisor and concerns its clients. Supervisor ignores the section, as it does every option \
         that it does not know.",
    ),
];

/// The options that Supervisor 4.3.0 knows too. Whoever wants to be able to go back keeps to them.
const SUPERVISORS: &[&str] = &[
    "autorestart",
    "autostart",
    "buffer_size",
    "childlogdir",
    "chmod",
    "chown",
    "command",
    "directory",
    "environment",
    "events",
    "exitcodes",
    "file",
    "files",
    "history_file",
    "identifier",
    "killasgroup",
    "logfile",
    "logfile_backups",
    "logfile_maxbytes",
    "loglevel",
    "minfds",
    "minprocs",
    "nocleanup",
    "nodaemon",
    "numprocs",
    "numprocs_start",
    "password",
    "pidfile",
    "port",
    "priority",
    "process_name",
    "programs",
    "prompt",
    "redirect_stderr",
    "result_handler",
    "serverurl",
    "silent",
    "socket",
    "socket_backlog",
    "socket_mode",
    "socket_owner",
    "startretries",
    "startsecs",
    "stderr_capture_maxbytes",
    "stderr_events_enabled",
    "stderr_logfile",
    "stderr_logfile_backups",
    "stderr_logfile_maxbytes",
    "stderr_syslog",
    "stdout_capture_maxbytes",
    "stdout_events_enabled",
    "stdout_logfile",
    "stdout_logfile_backups",
    "stdout_logfile_maxbytes",
    "stdout_syslog",
    "stopasgroup",
    "stopsignal",
    "stopwaitsecs",
    "strip_ansi",
    "umask",
    "user",
    "username",
];

/// Whether the option is ours alone.
pub fn is_new(row: &Row) -> bool {
    !SUPERVISORS.contains(&row.name)
}

/// The rows that only a kind of section has, sorted by name, each with whether it is expanded for each process. What
/// every kind of program has stands under `program:`.
pub fn rows_of(kind: &str) -> Vec<(&'static Row, bool)> {
    let is_shown = |sections: &[&str]| match sections.contains(&"program:") {
        true => kind == "program:",
        false => sections.contains(&kind),
    };
    let tables = TABLES.iter().filter(|table| is_shown(table.sections));
    let mut rows: Vec<_> = tables.flat_map(|table| table.rows.iter().map(|row| (row, table.is_per_process))).collect();
    rows.sort_by_key(|(row, _)| row.name);
    rows
}

/// What stands in for an option that is not written, in Markdown's backquotes or with roff's plain words.
pub fn default_of(row: &Row) -> String {
    match (row.follows, row.default) {
        (Some(other), _) => format!("that of {other}"),
        (None, Some("")) => "empty".into(),
        (None, Some(text)) => text.into(),
        (None, None) => "none".into(),
    }
}

/// The text of the document.
pub fn document() -> String {
    let mut text = format!(
        "# Options of the configuration file\n\n{}\n\n\
         Files are read as Supervisor 4.3.0 reads them. A star marks an option that Supervisor does not have (it ignores \
         what it does not know, so that a file goes back and forth). A plus marks a policy: `supervisorctl update \
         --minimal` takes it over without touching the process. A percent sign marks a value that is expanded for each \
         process, so that `%(process_num)d` may stand in it. `supervisord --check FILE` says what is wrong with a file.\n",
        super::ORIGIN
    );
    for (heading, kind, about) in SECTIONS {
        let rows = rows_of(kind);
        if rows.is_empty() {
            continue;
        }
        text.push_str(&format!(
            "\n## {heading}\n\n{about}\n\n| option | value | default | what it does |\n|---|---|---|---|\n"
        ));
        for (row, is_per_process) in rows {
            let marks = [(is_new(row), "\\*"), (row.policy, "+"), (is_per_process, "%")];
            let marks: String = marks.iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| *mark).collect();
            text.push_str(&format!(
                "| `{}`{}{marks} | {} | {} | {} |\n",
                row.name,
                if marks.is_empty() { "" } else { " " },
                cell(row.kind),
                cell(&code(&default_of(row))),
                cell(&words(row.doc)),
            ));
        }
    }
    text
}

/// A default as code, unless it is a word about it.
fn code(default: &str) -> String {
    match default {
        "none" | "empty" => default.into(),
        _ => match default.strip_prefix("that of ") {
            Some(other) => format!("that of `{other}`"),
            None => format!("`{default}`"),
        },
    }
}

/// What must not end a cell, or begin markup.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('*', "\\*")
}

/// A documentation comment on one line.
pub fn words(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}
