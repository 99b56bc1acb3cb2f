//! Commands to named instances of a fleet: `--host NAME`, and names of the form `host:group:process`.
//!
//! The daemon of the session says where an instance is; the command then goes there, as the same user. A name may be an
//! identifier, a nick, a stereotype, which several may have, or `*` for all.

use super::command::{Command, Completes, Flow, Owner, Run};
use super::error::Error;
use super::session::Session;
use crate::fault::Code;
use crate::wire::value::Value;

/// Commands that take names of several processes; words with a dash go to each of the instances.
const OF_SEVERAL: &[&str] = &["clear", "hup", "pid", "restart", "signal", "start", "status", "stop"];
/// Those that take one.
const OF_ONE: &[&str] = &["fg", "tail"];
/// Those that are about the session.
const OF_NONE: &[&str] = &["completion", "open"];
/// The name that stands for all instances.
const ALL: &str = "*";
/// Exit status where an instance cannot be asked, as that of a daemon that is not there (S-12).
const NOT_THERE: i32 = 4;
/// The same where there is none of that name (V-346).
const UNKNOWN: i32 = 2;
/// And where the daemon knows no instances (V-301).
const NO_FLEET: i32 = 3;

/// A part of a command.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// Where; `None` for the daemon of the session.
    host: Option<String>,
    arguments: String,
    /// Lines say whose they are.
    is_marked: bool,
}

struct Instance {
    nick: String,
    identifier: String,
    url: String,
    state: String,
}

/// What carries a command out.
type Carry = fn(&mut Session, &Command, &str) -> Result<Flow, Error>;

/// The parts of a command, if it is for others than the daemon of the session.
pub fn parts(session: &Session, command: &Command, arguments: &str) -> Option<Vec<Part>> {
    if !matches!(command.run, Run::Words(_)) || OF_NONE.contains(&command.name) {
        return None;
    }
    let host = session.options.host.as_deref();
    let takes_names = command.completes == Completes::Processes && !matches!(command.owner, Owner::Extension { .. });
    let named = if takes_names { by_hosts(command.name, arguments, host) } else { None };
    let whole = || {
        let arguments = arguments.to_string();
        host.map(|host| vec![Part { host: Some(host.to_string()), arguments, is_marked: false }])
    };
    named.or_else(whole)
}

/// Takes `host` off `host:group:process`. No name of a group or of a process has a colon.
fn take_host(word: &str) -> Option<(&str, &str)> {
    let (rest, process) = word.rsplit_once(':')?;
    let (host, group) = rest.rsplit_once(':')?;
    let is_one = !host.is_empty() && !group.is_empty() && !process.is_empty() && !word.starts_with('-');
    is_one.then(|| (host, &word[host.len() + 1..]))
}

/// Parts by the hosts that names begin with, each host once; `None` if no name does. Names without one are those of `home`.
fn by_hosts(command: &str, arguments: &str, home: Option<&str>) -> Option<Vec<Part>> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let marked = |host: &str, arguments: String| Part { host: Some(host.to_string()), arguments, is_marked: true };
    if OF_ONE.contains(&command) {
        let (host, name) = words.iter().find_map(|word| take_host(word))?;
        let bare = words.iter().map(|word| take_host(word).map_or(*word, |_| name)).collect::<Vec<&str>>();
        return Some(vec![marked(host, bare.join(" "))]);
    }
    if !OF_SEVERAL.contains(&command) || !words.iter().any(|word| take_host(word).is_some()) {
        return None;
    }
    let is_common = |(at, word): (usize, &str)| word.starts_with('-') || (command == "signal" && at == 0);
    let common: Vec<&str> =
        words.iter().copied().enumerate().filter(|one| is_common(*one)).map(|(_, word)| word).collect();
    let mut hosts: Vec<(Option<&str>, Vec<&str>)> = Vec::new();
    for (_, word) in words.iter().copied().enumerate().filter(|one| !is_common(*one)) {
        let (host, name) = take_host(word).map_or((home, word), |(host, name)| (Some(host), name));
        match hosts.iter_mut().find(|(known, _)| *known == host) {
            Some((_, names)) => names.push(name),
            None => hosts.push((host, common.iter().copied().chain([name]).collect())),
        }
    }
    let part = |(host, words): (Option<&str>, Vec<&str>)| match host {
        Some(host) => marked(host, words.join(" ")),
        None => Part { host: None, arguments: words.join(" "), is_marked: false },
    };
    Some(hosts.into_iter().map(part).collect())
}

/// Carries the parts out, one after another.
pub fn run(session: &mut Session, command: &Command, parts: Vec<Part>, carry: Carry) -> Result<Flow, Error> {
    for part in parts {
        let Some(host) = &part.host else {
            carry(session, command, &part.arguments)?;
            continue;
        };
        let found = match find(session, host) {
            Ok(found) => found,
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                refuse(session, host, &error);
                continue;
            }
        };
        // One that answers for itself needs no other way.
        let own = session.call("supvisors.get_supvisors_state", &[]);
        let own = own.ok().and_then(|state| Some(state.member("identifier")?.as_str()?.to_string()));
        let is_marked = part.is_marked || found.len() > 1;
        for instance in &found {
            let name = if found.len() > 1 { &instance.nick } else { host };
            if !["RUNNING", "CHECKED"].contains(&instance.state.as_str()) {
                session.print(&format!("{name}: ERROR (instance {} is {})", instance.identifier, instance.state));
                session.status = NOT_THERE;
                continue;
            }
            let is_own = own.as_ref() == Some(&instance.identifier);
            let mark = if is_marked { format!("{name}:") } else { String::new() };
            let home = session.visit(name, (!is_own).then_some(&instance.url), mark);
            let flow = carry(session, command, &part.arguments);
            session.return_to(home);
            flow?;
        }
    }
    Ok(Flow::Continue)
}

/// The instances that a name stands for.
fn find(session: &mut Session, name: &str) -> Result<Vec<Instance>, Error> {
    let answer = match name {
        ALL => session.call("supvisors.get_all_instances_info", &[])?,
        name => session.call("supvisors.get_instance_info", &[name.to_string().into()])?,
    };
    let Value::Array(all) = answer else { return Err(Error::BadAnswer("an array was expected".to_string())) };
    Ok(all.iter().map(instance).collect())
}

fn instance(value: &Value) -> Instance {
    let text = |member: &str| value.member(member).and_then(Value::as_str).unwrap_or_default().to_string();
    let port = match value.member("port") {
        Some(Value::Int(port)) => *port,
        _ => 0,
    };
    let host = text("node_name");
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    Instance {
        nick: text("nick_identifier"),
        identifier: text("identifier"),
        url: format!("http://{host}:{port}"),
        state: text("statename"),
    }
}

/// Says why a name leads nowhere.
fn refuse(session: &mut Session, host: &str, error: &Error) {
    let (why, status) = if error.is(Code::BadName) {
        let known = find(session, ALL).unwrap_or_default();
        let nicks: Vec<&str> = known.iter().map(|instance| instance.nick.as_str()).collect();
        (format!("no such instance; there are {}", nicks.join(", ")), UNKNOWN)
    } else if error.is(Code::UnknownMethod) {
        ("this supervisord knows no other instances; is [rpcinterface:supvisors] set?".to_string(), NO_FLEET)
    } else if let Some(trouble) = session.connection_trouble(error) {
        (trouble, NOT_THERE)
    } else {
        (error.to_string(), 1)
    };
    session.print(&format!("{host}: ERROR ({why})"));
    session.status = status;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_names() {
        let rows = [
            ("n1:g:p", Some(("n1", "g:p"))),
            ("10.0.0.1:61600:g:*", Some(("10.0.0.1:61600", "g:*"))),
            ("[::1]:61600:g:p", Some(("[::1]:61600", "g:p"))),
            ("*:g:p", Some(("*", "g:p"))),
            ("g:p", None),
            ("p", None),
            (":g:p", None),
            ("n1:g:", None),
            ("n1::p", None),
            ("--x=a:b:c", None),
        ];
        for (word, expected) in rows {
            assert_eq!(take_host(word), expected, "{word}");
        }
    }

    #[test]
    fn parts_by_hosts() {
        let rows = [
            ("status", "a g:p", None, ""),
            ("status", "n1:g:p", None, "n1 g:p"),
            ("status", "--json n1:g:p n2:g:* n1:h:q", None, "n1 --json g:p h:q|n2 --json g:*"),
            ("stop", "a n1:g:p b", None, "- a b|n1 g:p"),
            ("stop", "a n1:g:p b", Some("n0"), "n0 a b|n1 g:p"),
            ("signal", "HUP n1:g:p n2:g:p", None, "n1 HUP g:p|n2 HUP g:p"),
            ("tail", "-f n1:g:p stderr", None, "n1 -f g:p stderr"),
            ("tail", "-f g:p stderr", None, ""),
            ("add", "n1:g:p", None, ""),
        ];
        for (command, arguments, home, expected) in rows {
            let parts = by_hosts(command, arguments, home).unwrap_or_default();
            let line = |part: &Part| format!("{} {}", part.host.as_deref().unwrap_or("-"), part.arguments);
            let lines: Vec<String> = parts.iter().map(line).collect();
            assert_eq!(lines.join("|"), expected, "{command} {arguments}");
        }
    }
}
