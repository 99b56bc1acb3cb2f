//! What Tab offers (S-73).

use super::commands::{self, COMMANDS, Completes, Owner};
use super::session::Session;

/// Where the word under the cursor begins, and what it may become, each with a blank behind it.
pub fn complete(session: &mut Session, line: &str) -> (usize, Vec<String>) {
    // `:`, `*` and `-` are part of words: only blanks separate.
    let start = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = &line[start..];
    let offered = match line[..start].split_whitespace().next() {
        None => command_names(session),
        Some("help") => command_names(session),
        Some(name) => match commands::find(name, &session.options.plugins).map(|command| command.completes) {
            Some(Completes::Groups) => groups(session.known_names()),
            Some(Completes::Processes) => processes(session.known_names(), word),
            _ => Vec::new(),
        },
    };
    let fitting = offered.into_iter().filter(|offer| offer.starts_with(word)).map(|offer| offer + " ");
    (start, fitting.collect())
}

fn command_names(session: &Session) -> Vec<String> {
    let exists = |name: &str| commands::find(name, &session.options.plugins).is_some();
    // What others than its users would stumble over stays quiet: a plugin's commands need its section.
    let is_shown = |command: &&commands::Command| match command.owner {
        Owner::Extension { kind, .. } => session.options.plugins.iter().any(|plugin| plugin.kind == kind),
        _ => true,
    };
    let mut names = vec!["help".to_string()];
    names.extend(COMMANDS.iter().filter(is_shown).filter(|c| exists(c.name)).map(|command| command.name.to_string()));
    names
}

fn groups(known: &[(String, String)]) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for (group, _) in known {
        if !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    groups
}

/// The short form for a process that is named as its group, until a colon is typed; else the long form, and
/// `group:*` once.
fn processes(known: &[(String, String)], word: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (group, process) in known {
        if !word.contains(':') && group == process {
            names.push(process.clone());
            continue;
        }
        names.push(format!("{group}:{process}"));
        let whole = format!("{group}:*");
        if !names.contains(&whole) {
            names.push(whole);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_processes_and_groups() {
        let known: Vec<(String, String)> =
            [("cat", "cat"), ("web", "a"), ("web", "b")].map(|(g, p)| (g.to_string(), p.to_string())).to_vec();
        assert_eq!(groups(&known), ["cat", "web"]);
        assert_eq!(processes(&known, ""), ["cat", "web:a", "web:*", "web:b"]);
        assert_eq!(processes(&known, "c:"), ["cat:cat", "cat:*", "web:a", "web:*", "web:b"]);
    }
}
