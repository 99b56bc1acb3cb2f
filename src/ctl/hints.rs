//! What helps on, for a person: lines on standard error that begin with `hint: `. There are none unless standard output
//! and standard error are terminals, so that no script ever meets one; and what a hint needs is asked for only then.
//!
//! A hint that cannot be had is none: no failure here shows.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::closest::closest;
use super::session::Session;
use crate::namespec;
use crate::wire::value::Value;

/// How many names are offered.
const NAMES_MAX: usize = 3;
/// Bytes of a log whose last line is shown, and of a script whose first line is read: longer lines help nobody.
const LINE_BYTES_MAX: i32 = 1024;
/// A start that takes no longer needs no explanation: it is the default.
const SHORT_START_SECS: i64 = 1;

/// The word is no command.
pub fn no_such_command<'a>(session: &mut Session, word: &str, names: impl Iterator<Item = &'a str>) {
    if session.gives_hints {
        did_you_mean(session, &closest(word, names));
    }
}

/// The name is that of no process, or of no group.
pub fn no_such_process(session: &mut Session, name: &str) {
    if !session.gives_hints {
        return;
    }
    if name.starts_with("--") {
        session.hint(&format!("{name} is taken for a name: it is no option of this command"));
    }
    let Ok(Value::Array(infos)) = session.call_aside("supervisor.getAllProcessInfo", &[]) else { return };
    let known: Vec<(&str, &str)> =
        infos.iter().filter_map(|info| Some((text(info, "group")?, text(info, "name")?))).collect();
    let names = meant(name, &known);
    did_you_mean(session, &names.iter().map(String::as_str).collect::<Vec<&str>>());
}

/// What a name that is none may have meant: the same name in a group, the whole group, or one that is spelled nearly so.
fn meant(name: &str, known: &[(&str, &str)]) -> Vec<String> {
    let bare = name.trim_end_matches(['*', ':']);
    let last = bare.rsplit(':').next().unwrap_or(bare);
    let mut names: Vec<String> = known
        .iter()
        .filter(|(_, process)| *process == last)
        .map(|(group, process)| namespec::join(group, process))
        .collect();
    if names.is_empty() && known.iter().any(|(group, _)| *group == bare) {
        names.push(format!("{bare}:*"));
    }
    if names.is_empty() {
        let joined: Vec<String> = known.iter().map(|(group, process)| namespec::join(group, process)).collect();
        names = closest(bare, joined.iter().map(String::as_str)).into_iter().map(str::to_string).collect();
        if names.is_empty() {
            let near = closest(bare, known.iter().map(|(_, process)| *process));
            let is_near = |process: &&str| near.contains(process);
            let of_near = known.iter().filter(|(_, process)| is_near(process));
            names = of_near.map(|(group, process)| namespec::join(group, process)).collect();
        }
    }
    names.retain(|offered| offered != name);
    names
}

fn did_you_mean(session: &mut Session, names: &[&str]) {
    match names {
        [] => {}
        [.., _] if names.len() > NAMES_MAX => {
            session.hint(&format!(
                "did you mean {} or one of {} more?",
                names[..NAMES_MAX].join(", "),
                names.len() - NAMES_MAX
            ));
        }
        [only] => session.hint(&format!("did you mean {only}?")),
        [first @ .., last] => session.hint(&format!("did you mean {} or {last}?", first.join(", "))),
    }
}

/// A start that failed: what the daemon knows of it, the last thing the process said, and what is wrong with a script.
pub fn failed_start(session: &mut Session, name: &str) {
    if !session.gives_hints {
        return;
    }
    let param = || Value::from(name.to_string());
    let info = session.call_aside("supervisor.getProcessInfo", &[param()]).unwrap_or(Value::Nil);
    let reason = text(&info, "spawnerr").unwrap_or_default().to_string();
    if !reason.is_empty() {
        session.hint(&format!("{name}: {reason}"));
    }
    let mut said = None;
    for (channel, method) in [("stderr", "readProcessStderrLog"), ("stdout", "readProcessStdoutLog")] {
        let params = [param(), Value::from(-LINE_BYTES_MAX), Value::from(0)];
        let answer = session.call_aside(&format!("supervisor.{method}"), &params).unwrap_or(Value::Nil);
        if let Some(line) = answer.as_str().and_then(last_line) {
            session.hint(&format!("the last line of its {channel}: {line}"));
            said = Some(line.to_string());
            break;
        }
    }
    let texts = [said.as_deref().unwrap_or_default(), reason.as_str()];
    // Only a file of this machine can be looked into.
    if session.options.server.is_local()
        && let Some(problem) = texts.into_iter().find_map(not_executed).and_then(script_problem)
    {
        session.hint(&problem);
    }
}

/// What comes behind the reason why a program was not executed, and says nothing by itself.
const NOT_SPAWNED: &str = "supervisor: child process was not spawned";

/// The last line that says something.
fn last_line(text: &str) -> Option<&str> {
    text.lines().rfind(|line| !line.trim().is_empty() && *line != NOT_SPAWNED)
}

/// The path in `couldn't exec PATH: ENOENT`.
fn not_executed(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("couldn't exec ")?;
    Some(rest.rsplit_once(": ")?.0)
}

/// What is wrong with the first line of a script.
fn script_problem(path: &str) -> Option<String> {
    let mut start = Vec::new();
    File::open(path).ok()?.take(LINE_BYTES_MAX as u64).read_to_end(&mut start).ok()?;
    let line = start.split(|&byte| byte == b'\n').next()?.strip_prefix(b"#!")?;
    let line = String::from_utf8_lossy(line);
    if line.ends_with('\r') {
        return Some(format!(
            "the first line of {path} ends in a carriage return, which counts as part of its interpreter's name; \
             give the file Unix line ends (dos2unix)"
        ));
    }
    let interpreter = line.split_whitespace().next()?;
    (!Path::new(interpreter).exists())
        .then(|| format!("{path} wants the interpreter {interpreter}, which does not exist"))
}

/// Says that a start waits, if it is for longer than one would think: a process counts as started once it has been up for
/// `startsecs`.
pub fn slow_start(session: &mut Session, names: &[String]) {
    if !session.gives_hints {
        return;
    }
    let Ok(Value::Array(infos)) = session.call_aside("supervisor.getAllConfigInfo", &[]) else { return };
    let is_meant = |info: &Value| {
        names.iter().any(|name| {
            let spec = namespec::split(name);
            name == "all"
                || text(info, "group") == Some(spec.group)
                    && spec.process.is_none_or(|process| text(info, "name") == Some(process))
        })
    };
    let slowest = infos
        .iter()
        .filter(|info| is_meant(info))
        .filter_map(|info| match info.member("startsecs")? {
            Value::Int(secs) => Some((*secs, namespec::join(text(info, "group")?, text(info, "name")?))),
            _ => None,
        })
        .max();
    if let Some((secs, name)) = slowest.filter(|(secs, _)| *secs > SHORT_START_SECS) {
        session.hint(&format!("waits until {name} has been up for {secs} seconds (its startsecs)"));
    }
}

fn text<'a>(info: &'a Value, member: &str) -> Option<&'a str> {
    info.member(member).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_were_meant() {
        let known = [("cat", "cat"), ("site", "nginx"), ("site", "worker"), ("b", "worker"), ("farm", "f_0")];
        let rows: [(&str, &[&str]); 8] = [
            ("nginx", &["site:nginx"]),
            ("worker", &["site:worker", "b:worker"]),
            ("site", &["site:*"]),
            ("nginx:*", &["site:nginx"]),
            ("cta", &["cat"]),
            ("ngnix", &["site:nginx"]),
            ("site:ngnix", &["site:nginx"]),
            ("zzz", &[]),
        ];
        for (name, expected) in rows {
            assert_eq!(meant(name, &known), expected, "{name}");
        }
    }

    #[test]
    fn scripts_that_cannot_start() {
        let folder = std::env::temp_dir().join(format!("stheno-hints-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("script");
        let rows = [
            ("#!/bin/sh\r\necho\r\n", Some("carriage return")),
            ("#!/nope/python -u\nx\n", Some("the interpreter /nope/python, which does not exist")),
            ("#!/bin/sh\necho\n", None),
            ("\x7fELF", None),
        ];
        for (content, expected) in rows {
            std::fs::write(&path, content).expect("room");
            let problem = script_problem(path.to_str().expect("text"));
            assert_eq!(problem.is_some(), expected.is_some(), "{content:?}: {problem:?}");
            assert!(problem.unwrap_or_default().contains(expected.unwrap_or_default()), "{content:?}");
        }
        std::fs::remove_dir_all(&folder).expect("ours");
        assert_eq!(not_executed("supervisor: couldn't exec /a b: ENOENT"), Some("/a b"));
        assert_eq!(not_executed("Exited too quickly"), None);
        let said = "old\n\nsupervisor: couldn't exec /a b: ENOENT\nsupervisor: child process was not spawned\n";
        assert_eq!(last_line(said).and_then(not_executed), Some("/a b"));
        assert_eq!((last_line("because\n \n"), last_line("\n")), (Some("because"), None));
    }
}
