//! `supervisord --check`: says everything that is wrong with the configuration, and what in it nobody reads (the
//! daemon itself ignores that silently, C-26). Starts nothing.

use std::collections::BTreeSet;

use crate::wire::ini::{Document, Section};

use super::env::Env;
use super::error::Place;
use super::load::Loader;
use super::options::{self, Row};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One finding a line: `error: …`, `warning: …`, `unknown: …`.
    pub lines: Vec<String>,
    /// Whether the exit status is 0: no error, and nothing unknown.
    pub is_clean: bool,
}

/// Names of sections that are known, for suggestions; those with a colon take a name behind it.
const SECTIONS: &[&str] = &[
    "supervisord",
    "supervisorctl",
    "unix_http_server",
    "inet_http_server",
    "include",
    "stheno",
    "program:",
    "group:",
    "eventlistener:",
    "fcgi-program:",
    "rpcinterface:",
    "ctlplugin:",
];

/// Loads the configuration and looks at every name in it.
pub fn check(loader: &mut Loader, env: &dyn Env) -> Report {
    let mut unknown = Vec::new();
    let mut lines = Vec::new();
    // An error here is found again below, where it is reported.
    if let Ok(sources) = loader.sources(env) {
        unknown = unknown_names(&sources.document);
    }
    let problems = match loader.load_all(env) {
        Ok(config) => {
            lines.extend(config.warnings.iter().map(|warning| format!("warning: {warning}")));
            let refusals = config.interfaces.iter().filter_map(|interface| interface.refusal());
            let mut problems: Vec<String> = refusals.map(|(reason, _)| format!("error: {reason}")).collect();
            problems.extend(twins(config.groups.iter().map(|group| group.name.as_str())));
            problems
        }
        Err(problems) => problems.iter().map(|problem| format!("error: {problem}")).collect(),
    };
    let is_clean = problems.is_empty() && unknown.is_empty();
    lines.splice(0..0, problems.into_iter().chain(unknown));
    Report { lines, is_clean }
}

/// Groups of which there are two: one of them would never run.
fn twins<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names
        .filter(|name| !seen.insert(*name))
        .map(|name| format!("error: there are two groups called '{name}'"))
        .collect()
}

fn unknown_names(document: &Document) -> Vec<String> {
    let mut lines = Vec::new();
    for section in &document.sections {
        match options::tables(&section.name) {
            Some(tables) => unknown_options(section, &tables.concat(), &mut lines),
            None if is_free(&section.name) => {}
            None => {
                let (kind, name) = section.name.split_once(':').map_or((&*section.name, None), |(k, n)| (k, Some(n)));
                let written = if name.is_some() { format!("{kind}:") } else { kind.to_string() };
                let meant = nearest(&written, SECTIONS.iter().copied());
                let meant =
                    meant.map(|meant| format!("[{meant}{}]", name.filter(|_| meant.ends_with(':')).unwrap_or("")));
                let place = Place { file: section.file.to_string(), line: Some(section.line) };
                lines.push(line(&format!("section [{}]", section.name), meant.as_deref(), &place));
            }
        }
    }
    // A default serves every section; it is unknown if none could read it.
    let all: Vec<Row> = ["supervisord", "supervisorctl", "unix_http_server", "inet_http_server", "include", "stheno"]
        .into_iter()
        .chain(["program:", "group:", "eventlistener:", "fcgi-program:"])
        .filter_map(options::tables)
        .flatten()
        .flatten()
        .copied()
        .collect();
    unknown_options(&document.defaults, &all, &mut lines);
    lines
}

/// Sections whose options are arguments of a factory: any name may be right.
fn is_free(section: &str) -> bool {
    section.starts_with("rpcinterface:") || section.starts_with("ctlplugin:")
}

fn unknown_options(section: &Section, rows: &[Row], lines: &mut Vec<String>) {
    for entry in &section.options {
        if rows.iter().any(|row| row.name == entry.key) {
            continue;
        }
        let place = Place { file: entry.file.to_string(), line: Some(entry.line) };
        if entry.key.starts_with('[') {
            // `[program:a ;b]`: the comment took the bracket away, and what follows went to the section above (C-16).
            lines.push(format!(
                "unknown: option {} in [{}], which looks like the header of a section cut off by a comment {place}",
                entry.key, section.name
            ));
            continue;
        }
        let meant = nearest(&entry.key, rows.iter().map(|row| row.name));
        let name = if section.name.is_empty() { "DEFAULT" } else { &section.name };
        lines.push(line(&format!("option {} in [{name}]", entry.key), meant, &place));
    }
}

fn line(what: &str, meant: Option<&str>, place: &Place) -> String {
    match meant {
        Some(meant) => format!("unknown: {what}, did you mean {meant}? {place}"),
        None => format!("unknown: {what} {place}"),
    }
}

/// The known name that the fewest changes of letters lead to, if they are few for its length.
fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = 1 + written.chars().count() / 4;
    known.map(|name| (distance(written, name), name)).filter(|(far, _)| *far <= allowed).min().map(|(_, name)| name)
}

/// Letters to insert, remove or replace on the way from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    /// Longest name that is compared; none that is known is longer, and the work grows with the square.
    const LETTERS_MAX: usize = 64;
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    if from.len() > LETTERS_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::super::cmdline::CommandLine;
    use super::super::fake::Fake;
    use super::*;

    fn report(text: &str) -> Report {
        let mut env = Fake::new();
        env.write("/base/F", text);
        let command_line = CommandLine { configuration: Some("F".to_string()), ..CommandLine::default() };
        check(&mut Loader::new("sd", command_line, &env), &env)
    }

    #[test]
    fn distances() {
        let rows =
            [("", "", 0), ("a", "", 1), ("startsec", "startsecs", 1), ("abc", "acb", 2), ("kitten", "sitting", 3)];
        for (from, to, expected) in rows {
            assert_eq!(distance(from, to), expected, "{from:?} {to:?}");
            assert_eq!(distance(to, from), expected, "{to:?} {from:?}");
        }
    }

    #[test]
    fn a_good_file_is_clean() {
        let report = report(
            "[supervisord]\n[unix_http_server]\nfile=/tmp/s\n[program:a]\ncommand=x\nstdout_logfile_maxbytes=0\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
        );
        assert!(report.is_clean, "{report:?}");
        assert_eq!(report.lines.len(), 1);
        assert!(report.lines[0].starts_with("warning: For [program:a], AUTO logging used for stdout_logfile"));
    }

    #[test]
    fn all_findings_are_named() {
        let report = report(
            "[supervisord]\nnodeamon=true\n[program:a]\ncommand=x\nstartsec=3\npriority=high\n[program:b]\n\
             qwertyuiop=1\n[program:c ;d]\ncommand=x\n[pogram:e]\n[qwerty]\n[DEFAULT]\nautostrat=1\n\
             [eventlistener:l]\ncommand=x\nevents=NOPE\n",
        );
        let expected = [
            "error: expected a whole number, not 'high' (file: 'F', line 6)",
            "error: Unknown event type NOPE in [eventlistener:l] events (file: 'F', line 17)",
            "unknown: option nodeamon in [supervisord], did you mean nodaemon? (file: 'F', line 2)",
            "unknown: option startsec in [program:a], did you mean startsecs? (file: 'F', line 5)",
            "unknown: option qwertyuiop in [program:b] (file: 'F', line 8)",
            "unknown: option [program in [program:b], which looks like the header of a section cut off by a comment \
             (file: 'F', line 9)",
            "unknown: section [pogram:e], did you mean [program:e]? (file: 'F', line 11)",
            "unknown: section [qwerty] (file: 'F', line 12)",
            "unknown: option autostrat in [DEFAULT], did you mean autostart? (file: 'F', line 14)",
        ];
        assert_eq!(report.lines, expected);
        assert!(!report.is_clean);
    }

    #[test]
    fn one_error_does_not_hide_others() {
        let report = report(
            "[supervisord]\nnodaemon=maybe\nloglevel=loud\n[program:a]\ncommand=%(nope)s\nstartsecs=x\numask=9\n\
             [program:b]\nautostart=perhaps\n[group:g]\nprograms=a,zz\n[unix_http_server]\nfile=/s\nchmod=9\n",
        );
        let lines = report.lines.iter().map(|line| line.rsplit_once("line ").map_or("", |(_, line)| line));
        assert_eq!(lines.collect::<Vec<_>>(), ["2)", "3)", "5)", "6)", "7)", "8)", "9)", "11)", "14)"], "{report:?}");
    }

    #[test]
    fn what_keeps_a_file_from_running() {
        let rows = [
            ("[program:a]\ncommand=x\n", "error: .ini file does not include supervisord section"),
            ("x\n", "error: File contains no section headers.\nfile: 'F', line: 1\n'x\\n'"),
            (
                "[supervisord]\n[program:a]\ncommand=x\n[eventlistener:a]\ncommand=x\nevents=TICK_5\n",
                "error: there are two groups called 'a'",
            ),
            (
                "[supervisord]\n[rpcinterface:supervisor]\nx=1\n\
                 supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
                "error: [rpcinterface:supervisor] has an option 'x' that its factory does not know",
            ),
        ];
        for (text, expected) in rows {
            let report = report(text);
            assert_eq!(
                (report.lines.first().map(String::as_str), report.is_clean),
                (Some(expected), false),
                "{text:?}"
            );
        }
    }
}
