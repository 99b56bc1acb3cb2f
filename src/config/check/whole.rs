//! What does not fit together: groups, servers and clients, the daemon's own log.

use std::collections::BTreeMap;

use crate::wire::ini::Document;

use super::super::error::Place;
use super::super::paths;
use super::finding::{Finding, Severity};

/// Looks at the document as a whole. `is_fragment`: it is a part of a configuration, whose rest is elsewhere.
pub(super) fn look(document: &Document, is_fragment: bool) -> Vec<Finding> {
    let mut found = two_groups(document);
    if !is_fragment {
        found.extend(servers(document));
        found.extend(own_log(document));
    }
    found
}

/// Programs that two groups name: each of them runs it.
fn two_groups(document: &Document) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<&str, (&str, Place)> = BTreeMap::new();
    for section in document.sections.iter().filter(|section| section.name.starts_with("group:")) {
        let Some(entry) = section.get("programs") else { continue };
        for program in entry.value.split(',').map(str::trim).filter(|program| !program.is_empty()) {
            let place = Place { file: entry.file.to_string(), line: Some(entry.line) };
            if let Some((group, before)) = seen.get(program) {
                let text = format!(
                    "{program} is in [{}] and in [{group}], so that it runs twice: the other stands at {before}",
                    section.name
                );
                found.push(Finding::at(Severity::Error, text, &entry.file, entry.line));
            } else {
                seen.insert(program, (&section.name, place));
            }
        }
    }
    found
}

/// Servers that cannot be asked, and clients without a server.
fn servers(document: &Document) -> Vec<Finding> {
    let mut found = Vec::new();
    let of = |kind: &'static str| document.sections.iter().filter(move |section| section.name.starts_with(kind));
    let server = of("unix_http_server").chain(of("inet_http_server")).next();
    if let Some(server) = server
        && of("rpcinterface:supervisor").next().is_none()
    {
        let text = format!("[{}] is of no use to supervisorctl without [rpcinterface:supervisor]", server.name);
        found.push(Finding::at(Severity::Error, text, &server.file, server.line));
    }
    let Some(entry) = document.get("supervisorctl", "serverurl") else { return found };
    let is_served = match entry.value.strip_prefix("unix://") {
        Some(path) => of("unix_http_server").any(|section| {
            section.get("file").is_some_and(|file| {
                file.value == path || file.value.contains('%') || path.contains('%') || !file.value.starts_with('/')
            })
        }),
        // Another daemon on another host may be meant.
        None => {
            !entry.value.contains("localhost") && !entry.value.contains("127.0.0.1")
                || of("inet_http_server").next().is_some()
        }
    };
    if !is_served {
        let text = format!("serverurl in [supervisorctl] is {}, where no server of this file listens", entry.value);
        found.push(Finding::at(Severity::Warning, text, &entry.file, entry.line));
    }
    found
}

/// In the foreground the log is on stdout anyway.
fn own_log(document: &Document) -> Option<Finding> {
    let is_true = |key: &str| {
        let value = document.get("supervisord", key).map(|entry| entry.value.to_lowercase());
        value.is_some_and(|value| ["true", "yes", "on", "1"].contains(&value.as_str()))
    };
    let entry = document.get("supervisord", "logfile")?;
    let is_stdout = paths::descriptor(&entry.value) == Some(1);
    // Without -n there would be no standard output for it, so that somebody is going to say -n.
    let twice = is_stdout && !is_true("silent");
    let text = "each line of the log is on stdout twice with -n: use -s or logfile=/dev/null";
    twice.then(|| Finding::at(Severity::Warning, text, &entry.file, entry.line))
}
