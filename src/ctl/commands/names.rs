//! The names a command is given, and what of an answer's structs a command needs.

use crate::config::glob;
use crate::ctl::error::Error;
use crate::ctl::session::Session;
use crate::namespec;
use crate::wire::value::Value;

/// The words of a command, which no quotes hold together.
pub fn words(arguments: &str) -> Vec<String> {
    arguments.split_whitespace().map(str::to_string).collect()
}

/// For commands without arguments (S-44): fails if there are some.
pub fn none(command: &str, arguments: &str) -> Result<(), Error> {
    match arguments {
        "" => Ok(()),
        _ => Err(Error::usage(format!("Error: {command} accepts no arguments"), 1)),
    }
}

/// The array an answer must be.
pub fn array(value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(Error::BadAnswer("an array was expected".to_string())),
    }
}

/// A text member of an answer's struct.
pub fn text<'a>(value: &'a Value, member: &str) -> Result<&'a str, Error> {
    value.member(member).and_then(Value::as_str).ok_or_else(|| missing(member))
}

/// A number of an answer's struct.
pub fn number(value: &Value, member: &str) -> Result<i64, Error> {
    match value.member(member) {
        Some(Value::Int(number)) => Ok(*number),
        Some(Value::Bool(flag)) => Ok(i64::from(*flag)),
        _ => Err(missing(member)),
    }
}

fn missing(member: &str) -> Error {
    Error::BadAnswer(format!("the answer has no member '{member}'"))
}

/// A list of names: a member of a struct, or an element of an array.
pub fn texts(value: Option<&Value>) -> Result<Vec<String>, Error> {
    match value {
        Some(Value::Array(values)) => values
            .iter()
            .map(|value| value.as_str().map(str::to_string))
            .collect::<Option<Vec<String>>>()
            .ok_or_else(|| Error::BadAnswer("an array of names was expected".to_string())),
        _ => Err(Error::BadAnswer("an array of names was expected".to_string())),
    }
}

/// A struct's `group` and `name`, joined.
pub fn namespec_of(value: &Value) -> Result<String, Error> {
    Ok(namespec::join(text(value, "group")?, text(value, "name")?))
}

/// Whether a name holds a character that makes it a pattern.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// Replaces every name that holds `*`, `?` or `[` and is not the name of anything by the names of the processes it
/// matches, in the server's order. A pattern that matches nothing stays as it is, and so is reported as the original
/// reports it; `group:*` keeps its meaning, and `all` wins as ever.
pub fn expand(session: &mut Session, names: Vec<String>) -> Result<Vec<String>, Error> {
    let asks = |name: &String| match namespec::split(name) {
        namespec::Namespec { group, process: None } => is_pattern(group),
        _ => is_pattern(name),
    };
    if names.iter().any(|name| name == "all") || !names.iter().any(asks) {
        return Ok(names);
    }
    let infos = array(session.call("supervisor.getAllProcessInfo", &[])?)?;
    expand_in(&infos, names)
}

/// [`expand`] for a command that takes one name: a pattern that matches one process stands for it.
pub fn expand_one(session: &mut Session, name: &str) -> Result<String, Error> {
    let mut names = expand(session, vec![name.to_string()])?;
    match names.pop() {
        Some(only) if names.is_empty() => Ok(only),
        _ => Ok(name.to_string()),
    }
}

/// [`expand`] for commands that take groups: `groups` are those that there are, in the server's order.
pub fn expand_groups(groups: &[String], names: Vec<String>) -> Vec<String> {
    let mut expanded: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let before = expanded.len();
        if is_pattern(&name) && !groups.contains(&name) {
            expanded.extend(groups.iter().filter(|group| glob::matches(&name, group)).cloned());
        }
        if expanded.len() == before {
            expanded.push(name);
        }
    }
    expanded
}

/// The groups of a list of processes, each once.
pub fn groups_of(infos: &[Value]) -> Result<Vec<String>, Error> {
    let mut groups: Vec<String> = Vec::new();
    for info in infos {
        let group = text(info, "group")?;
        if groups.last().is_none_or(|last| last != group) && !groups.iter().any(|known| known == group) {
            groups.push(group.to_string());
        }
    }
    Ok(groups)
}

/// [`expand`] with the processes at hand.
pub fn expand_in(infos: &[Value], names: Vec<String>) -> Result<Vec<String>, Error> {
    let mut known = Vec::with_capacity(infos.len());
    for info in infos {
        known.push((text(info, "group")?, text(info, "name")?));
    }
    let mut expanded = Vec::with_capacity(names.len());
    for name in names {
        let spec = namespec::split(&name);
        let is_literal = known
            .iter()
            .any(|&(group, process)| group == spec.group && spec.process.is_none_or(|wanted| wanted == process));
        let before = expanded.len();
        if !is_literal && is_pattern(&name) {
            for &(group, process) in &known {
                if matches(&name, group, process) {
                    expanded.push(namespec::join(group, process));
                }
            }
        }
        if expanded.len() == before {
            expanded.push(name);
        }
    }
    Ok(expanded)
}

/// Whether a pattern matches a process, by the name `status` shows or by `group:process`.
pub fn matches(wanted: &str, group: &str, process: &str) -> bool {
    glob::matches(wanted, &namespec::join(group, process)) || glob::matches(wanted, &format!("{group}:{process}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_names() {
        let process = |group: &'static str, name: &'static str| {
            Value::Struct(vec![("group".into(), group.into()), ("name".into(), name.into())])
        };
        let infos = [
            process("cat", "cat"),
            process("web", "a1"),
            process("web", "a2"),
            process("web", "b"),
            process("x*", "x*"),
        ];
        let rows: [(&[&str], &[&str]); 9] = [
            (&["cat"], &["cat"]),
            (&["web:*"], &["web:*"]),
            (&["w*"], &["web:a1", "web:a2", "web:b"]),
            (&["web:a?", "cat"], &["web:a1", "web:a2", "cat"]),
            (&["web:[!a]*"], &["web:b"]),
            (&["[cw]*:*"], &["cat", "web:a1", "web:a2", "web:b"]),
            (&["nope*"], &["nope*"]),
            (&["x*"], &["x*"]),
            (&["?at", "?at"], &["cat", "cat"]),
        ];
        for (names, expected) in rows {
            let names = names.iter().map(|name| name.to_string()).collect();
            assert_eq!(expand_in(&infos, names).expect("shapes"), expected);
        }
        let groups = groups_of(&infos).expect("shapes");
        let rows: [(&[&str], &[&str]); 4] = [
            (&["web", "nope"], &["web", "nope"]),
            (&["?*"], &["cat", "web", "x*"]),
            (&["x*", "w*"], &["x*", "web"]),
            (&["nope*", "web:*"], &["nope*", "web:*"]),
        ];
        for (names, expected) in rows {
            let names = names.iter().map(|name| name.to_string()).collect();
            assert_eq!(expand_groups(&groups, names), expected);
        }
    }
}
