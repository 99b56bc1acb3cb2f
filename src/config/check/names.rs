//! Names that nobody reads (C-26), and what was meant.

use crate::wire::ini::{Document, Section};

use super::super::nearest::nearest;
use super::super::row::Row;
use super::super::tables;
use super::finding::{Finding, Severity};

/// Names of sections that are known, for suggestions; those with a colon take a name behind it.
const SECTIONS: &[&str] = &[
    "supervisord",
    "supervisorctl",
    "unix_http_server",
    "inet_http_server",
    "include",
    "stheno",
    "program:",
    "program-default",
    "group:",
    "eventlistener:",
    "fcgi-program:",
    "rpcinterface:",
    "ctlplugin:",
];

/// What the names begin with of options that well-known plug-ins read in sections of programs: they are no typing errors.
const PLUGINS: &[&str] = &["dependent_startup", "startinorder", "supervisor.rpcinterface_factory"];

/// Sections and options that nobody reads.
pub(super) fn look(document: &Document) -> Vec<Finding> {
    let mut lines = Vec::new();
    for section in &document.sections {
        match tables::tables(&section.name) {
            Some(tables) => unknown_options(section, &tables.concat(), &mut lines),
            None if is_free(&section.name) => {}
            None => {
                let (kind, name) = section.name.split_once(':').map_or((&*section.name, None), |(k, n)| (k, Some(n)));
                let written = if name.is_some() { format!("{kind}:") } else { kind.to_string() };
                let meant = nearest(&written, SECTIONS.iter().copied());
                let meant =
                    meant.map(|meant| format!("[{meant}{}]", name.filter(|_| meant.ends_with(':')).unwrap_or("")));
                let text = unknown(&format!("section [{}]", section.name), meant.as_deref());
                lines.push(Finding::at(Severity::Unknown, text, &section.file, section.line));
            }
        }
    }
    // A default serves every section; it is unknown if none could read it.
    let all: Vec<Row> = ["supervisord", "supervisorctl", "unix_http_server", "inet_http_server", "include", "stheno"]
        .into_iter()
        .chain(["program:", "group:", "eventlistener:", "fcgi-program:"])
        .filter_map(tables::tables)
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

fn unknown_options(section: &Section, rows: &[Row], lines: &mut Vec<Finding>) {
    for entry in &section.options {
        if rows.iter().any(|row| row.name == entry.key) || PLUGINS.iter().any(|start| entry.key.starts_with(start)) {
            continue;
        }
        let mut push = |text: String| lines.push(Finding::at(Severity::Unknown, text, &entry.file, entry.line));
        if entry.key.starts_with('[') {
            // `[program:a ;b]`: the comment took the bracket away, and what follows went to the section above (C-16).
            push(format!(
                "option {} in [{}], which looks like the header of a section cut off by a comment",
                entry.key, section.name
            ));
            continue;
        }
        let meant = nearest(&entry.key, rows.iter().map(|row| row.name));
        let name = if section.name.is_empty() { "DEFAULT" } else { &section.name };
        push(unknown(&format!("option {} in [{name}]", entry.key), meant));
    }
}

/// What is said of the first of a program's options that nobody reads.
pub fn unknown_option<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    let rows = tables::tables("program:").unwrap_or_default().concat();
    let is_known =
        |name: &str| rows.iter().any(|row| row.name == name) || PLUGINS.iter().any(|start| name.starts_with(start));
    let name = names.find(|name| !is_known(name))?;
    Some(unknown(&format!("unknown option {name}"), nearest(name, rows.iter().map(|row| row.name))))
}

/// `option x, did you mean y?`
fn unknown(what: &str, meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("{what}, did you mean {meant}?"),
        None => what.to_string(),
    }
}
