//! What Tab offers (S-73).

use super::command::{Command, Completes, Owner};
use super::commands::{self, COMMANDS};
use super::session::Session;
use crate::wire::value::Value;

/// Groups and names of all processes, asked for once between two commands.
#[derive(Default)]
pub struct Known(Option<Vec<(String, String)>>);

impl Known {
    /// What the server says; nothing if it does not answer.
    fn names(&mut self, session: &mut Session) -> &[(String, String)] {
        self.0.get_or_insert_with(|| {
            let infos = session.call("supervisor.getAllProcessInfo", &[]);
            let infos = if let Ok(Value::Array(infos)) = infos { infos } else { Vec::new() };
            let member = |info: &Value, name| info.member(name).and_then(Value::as_str).map(str::to_string);
            let names = infos.iter().filter_map(|info| Some((member(info, "group")?, member(info, "name")?)));
            // What the editor shows goes to the terminal as it is.
            names.filter(|(group, name)| !format!("{group}{name}").contains(char::is_control)).collect()
        })
    }
}

/// Where the word under the cursor begins, and what it may become, each with a blank behind it.
pub fn complete(session: &mut Session, known: &mut Known, line: &str) -> (usize, Vec<String>) {
    // `:`, `*` and `-` are part of words: only blanks separate.
    let start = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = &line[start..];
    let offered = match line[..start].split_whitespace().next() {
        None => command_names(session),
        Some("help") => command_names(session),
        Some(name) => match commands::find(name, &session.options.plugins).map(|command| command.completes) {
            Some(Completes::Groups) => groups(known.names(session)),
            Some(Completes::Processes) => processes(known.names(session), word),
            _ => Vec::new(),
        },
    };
    let mut fitting: Vec<String> =
        offered.into_iter().filter(|offer| offer.starts_with(word)).map(|offer| offer + " ").collect();
    // As readline lists them.
    crate::sort::ascending(&mut fitting);
    (start, fitting)
}

fn command_names(session: &Session) -> Vec<String> {
    let exists = |name: &str| commands::find(name, &session.options.plugins).is_some();
    // What others than its users would stumble over stays quiet: a plugin's commands need its section.
    let is_shown = |command: &&Command| match command.owner {
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
    use super::super::fake::{Fake, Reply};
    use super::*;

    #[test]
    fn lines() {
        let info = |group: &'static str, name: &'static str| {
            Value::Struct(vec![("group".into(), group.into()), ("name".into(), name.into())])
        };
        let infos = vec![info("cat", "cat"), info("web", "a")];
        let fake = Fake::start(1, move |_| Reply::Value(Value::Array(infos.clone())));
        let (mut session, _) = fake.session();
        let mut known = Known::default();
        let rows: [(&str, usize, &[&str]); 9] = [
            ("statu", 0, &["status "]),
            ("help sta", 5, &["start ", "status "]),
            ("status ", 7, &["cat ", "web:* ", "web:a "]),
            ("start web:", 6, &["web:* ", "web:a "]),
            ("start cat we", 10, &["web:* ", "web:a "]),
            ("update ", 7, &["cat ", "web "]),
            ("version ", 8, &[]),
            ("nope ", 5, &[]),
            ("mst", 0, &[]),
        ];
        for (line, start, offered) in rows {
            let expected = (start, offered.iter().map(|offer| offer.to_string()).collect());
            assert_eq!(complete(&mut session, &mut known, line), expected, "{line:?}");
        }
        assert_eq!(fake.seen.lock().expect("no panic").len(), 2, "one connection, one call");
    }

    #[test]
    fn names_of_processes_and_groups() {
        let known: Vec<(String, String)> =
            [("cat", "cat"), ("web", "a"), ("web", "b")].map(|(g, p)| (g.to_string(), p.to_string())).to_vec();
        assert_eq!(groups(&known), ["cat", "web"]);
        assert_eq!(processes(&known, ""), ["cat", "web:a", "web:*", "web:b"]);
        assert_eq!(processes(&known, "c:"), ["cat:cat", "cat:*", "web:a", "web:*", "web:b"]);
    }
}
