//! reread, add, remove, update: groups come and go (S-41 to S-43, S-60 to S-64).

use super::names::{array, expand_groups, groups_of, is_pattern, namespec_of, none, number, text, texts};

use super::stopping;
use crate::ctl::error::Error;
use crate::ctl::session::Session;
use crate::fault::Code;
use crate::wire::value::Value;

/// What the daemon says has changed in the file: names of groups, each list in the server's order.
struct Changes {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

/// Asks the daemon to read its file again. The answer is `[[added, changed, removed]]`.
fn reload_config(session: &mut Session) -> Result<Changes, Error> {
    let answer = array(session.call("supervisor.reloadConfig", &[])?)?;
    let Some(Value::Array(lists)) = answer.into_iter().next() else {
        return Err(Error::BadAnswer("three lists of groups were expected".to_string()));
    };
    Ok(Changes { added: texts(lists.first())?, changed: texts(lists.get(1))?, removed: texts(lists.get(2))? })
}

/// Has the files read and says what an update would change, `reread` (S-41).
pub fn reread(session: &mut Session, arguments: &str) -> Result<(), Error> {
    none("reread", arguments)?;
    let changes = match reload_config(session) {
        Ok(changes) => changes,
        Err(error) if error.is(Code::ShutdownState) => {
            return session.complain("ERROR: supervisor shutting down");
        }
        Err(error) if error.is(Code::CantReread) => {
            session.status = 1;
            session.print_text(&format!("ERROR: {}", error.text()));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    // Sorted by name; a group is in one list only.
    let mut lines = std::collections::BTreeMap::new();
    for (groups, what) in [(changes.added, "available"), (changes.changed, "changed"), (changes.removed, "disappeared")]
    {
        lines.extend(groups.into_iter().map(|group| (group, what)));
    }
    if lines.is_empty() {
        session.print("No config updates to processes");
    }
    for (group, what) in lines {
        session.print(&format!("{group}: {what}"));
    }
    Ok(())
}

/// The words of a command, patterns replaced by the groups that `method` tells of and `is_meant` picks. A daemon that
/// does not tell is not the matter here: it will say so about the words as they are.
fn words(
    session: &mut Session,
    arguments: &str,
    method: &str,
    is_meant: fn(&Value) -> bool,
) -> Result<Vec<String>, Error> {
    let words: Vec<String> = arguments.split_whitespace().map(str::to_string).collect();
    if !words.iter().any(|word| is_pattern(word)) {
        return Ok(words);
    }
    let mut infos = match session.call(method, &[]) {
        Err(Error::Fault { .. }) => return Ok(words),
        answer => array(answer?)?,
    };
    infos.retain(is_meant);
    Ok(expand_groups(&groups_of(&infos)?, words))
}

/// `add name …` (S-42). A group that is active is not a failure.
pub fn add(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let is_idle = |info: &Value| number(info, "inuse").is_ok_and(|flag| flag == 0);
    for name in words(session, arguments, "supervisor.getAllConfigInfo", is_idle)? {
        match session.call("supervisor.addProcessGroup", &[Value::from(name.to_string())]) {
            Ok(_) => session.print(&format!("{name}: added process group")),
            Err(error) if error.is(Code::AlreadyAdded) => session.print("ERROR: process group already active"),
            Err(error) => {
                session.status = 1;
                if error.is(Code::ShutdownState) {
                    session.print("ERROR: shutting down");
                } else if error.is(Code::BadName) {
                    session.print(&format!("ERROR: no such process/group: {name}"));
                } else {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// `remove name …` (S-43).
pub fn remove(session: &mut Session, arguments: &str) -> Result<(), Error> {
    for name in words(session, arguments, "supervisor.getAllProcessInfo", |_| true)? {
        let params = [Value::from(name.to_string())];
        let mut answer = session.call("supervisor.removeProcessGroup", &params);
        if answer.as_ref().is_err_and(|error| error.is(Code::StillRunning))
            && !stopping::outlast_all(session, Some(&name))?.is_empty()
        {
            answer = session.call("supervisor.removeProcessGroup", &params);
        }
        match answer {
            Ok(_) => session.print(&format!("{name}: removed process group")),
            Err(error) => {
                session.status = 1;
                if error.is(Code::StillRunning) {
                    session.print(&format!("ERROR: process/group still running: {name}"));
                } else if error.is(Code::BadName) {
                    session.print(&format!("ERROR: no such process/group: {name}"));
                } else {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// `update [--minimal] [all|group …]` (S-60 to S-64).
pub fn update(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let mut wanted: Vec<String> = Vec::new();
    for word in arguments.split_whitespace() {
        // A name given twice is one name.
        if !wanted.iter().any(|earlier| earlier == word) {
            wanted.push(word.to_string());
        }
    }
    if let Some(at) = wanted.iter().position(|word| word == "--minimal") {
        wanted.remove(at);
        return minimal(session, wanted);
    }
    let changes = match reload_config(session) {
        Err(error) if error.is(Code::ShutdownState) => {
            return session.complain("ERROR: already shutting down");
        }
        changes => changes?,
    };
    if wanted.iter().any(|word| word == "all") {
        wanted.clear();
    }
    let wanted = known(session, wanted, &changes)?;
    let concerns = |group: &String| wanted.is_empty() || wanted.contains(group);
    let name = |group: &String| [Value::from(group.clone())];

    for group in changes.removed.iter().filter(|group| concerns(group)) {
        let results = array(session.call("supervisor.stopProcessGroup", &name(group))?)?;
        stopping::outlast_all(session, Some(group))?;
        session.print(&format!("{group}: stopped"));
        if results.iter().any(|result| number(result, "status").is_ok_and(|code| code == Code::Failed as i64)) {
            session.print(&format!("{group}: has problems; not removing"));
            session.status = 1;
            continue;
        }
        session.call("supervisor.removeProcessGroup", &name(group))?;
        session.print(&format!("{group}: removed process group"));
    }
    for group in changes.changed.iter().filter(|group| concerns(group)) {
        session.call("supervisor.stopProcessGroup", &name(group))?;
        stopping::outlast_all(session, Some(group))?;
        session.print(&format!("{group}: stopped"));
        session.call("supervisor.removeProcessGroup", &name(group))?;
        session.call("supervisor.addProcessGroup", &name(group))?;
        session.print(&format!("{group}: updated process group"));
    }
    for group in changes.added.iter().filter(|group| concerns(group)) {
        session.call("supervisor.addProcessGroup", &name(group))?;
        session.print(&format!("{group}: added process group"));
    }
    Ok(())
}

/// The groups that are meant, patterns expanded. A name that is neither that of an active group with a process nor of
/// an added one is reported, and meant nevertheless (S-62).
fn known(session: &mut Session, wanted: Vec<String>, changes: &Changes) -> Result<Vec<String>, Error> {
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let mut groups = groups_of(&array(session.call("supervisor.getAllProcessInfo", &[])?)?)?;
    groups.extend(changes.added.iter().cloned());
    let wanted = expand_groups(&groups, wanted);
    for group in wanted.iter().filter(|group| !groups.contains(group)) {
        session.print(&format!("ERROR: no such group: {group}"));
        session.status = 1;
    }
    Ok(wanted)
}

/// `update --minimal`: the daemon compares and restarts only the processes whose own settings changed.
///
/// Shape of the answer: `{added, changed, removed: [group], processes: [{group, name, action, status, description}]}`.
fn minimal(session: &mut Session, mut wanted: Vec<String>) -> Result<(), Error> {
    if wanted.iter().any(|word| word == "all") {
        wanted.clear();
    }
    let groups = Value::Array(wanted.into_iter().map(Value::from).collect());
    let answer = match session.call("stheno.update", &[groups]) {
        Ok(answer) => answer,
        Err(error) => {
            session.status = 1;
            match error.fault() {
                Some(code) if code == Code::ShutdownState as i64 => session.print("ERROR: already shutting down"),
                Some(code) if code == Code::UnknownMethod as i64 => {
                    session.print("ERROR: this supervisord has no minimal update; use update without --minimal")
                }
                Some(code)
                    if [Code::CantReread, Code::BadName, Code::Failed]
                        .into_iter()
                        .any(|known| known as i64 == code) =>
                {
                    session.print_text(&format!("ERROR: {}", error.text()))
                }
                _ => return Err(error),
            }
            return Ok(());
        }
    };
    let processes = array(answer.member("processes").cloned().unwrap_or(Value::Array(Vec::new())))?;
    for process in &processes {
        let name = namespec_of(process)?;
        if number(process, "status")? == Code::Success as i64 {
            session.print(&format!("{name}: {}", text(process, "action")?));
        } else {
            session.print(&format!("{name}: ERROR ({})", text(process, "description")?));
            session.status = 1;
        }
    }
    for (list, what) in [("removed", "removed"), ("changed", "updated"), ("added", "added")] {
        for group in texts(answer.member(list))? {
            session.print(&format!("{group}: {what} process group"));
        }
    }
    Ok(())
}
