//! The commands of the extensions: the cache, grace_update, and what was changed beside the file (S-81 to S-83).

use super::names::{none, texts};
use super::stopping;

use crate::ctl::error::Error;
use crate::ctl::pretty;
use crate::ctl::session::Session;
use crate::fault::Code;
use crate::wire::json;
use crate::wire::value::Value;
use crate::wire::words;

/// The width that values are wrapped at (S-82).
const VALUE_WIDTH: usize = 80;

pub fn cache_clear(session: &mut Session, arguments: &str) -> Result<(), Error> {
    expect(arguments.is_empty())?;
    session.call("cache.clear", &[])?;
    Ok(())
}

pub fn cache_count(session: &mut Session, arguments: &str) -> Result<(), Error> {
    expect(arguments.is_empty())?;
    let count = session.call("cache.getCount", &[])?;
    session.print_text(&pretty::value(&count, VALUE_WIDTH));
    Ok(())
}

pub fn cache_keys(session: &mut Session, arguments: &str) -> Result<(), Error> {
    expect(arguments.is_empty())?;
    let keys = session.call("cache.getKeys", &[])?;
    session.print_text(&pretty::value(&keys, VALUE_WIDTH));
    Ok(())
}

pub fn cache_fetch(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let words = split(arguments)?;
    expect(words.len() == 1)?;
    let value = session.call("cache.fetch", &words)?;
    session.print_text(&pretty::value(&value, VALUE_WIDTH));
    Ok(())
}

pub fn cache_delete(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let words = split(arguments)?;
    expect(words.len() == 1)?;
    session.call("cache.delete", &words)?;
    Ok(())
}

/// Always stores a string.
pub fn cache_store(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let words = split(arguments)?;
    expect(words.len() == 2)?;
    session.call("cache.store", &words)?;
    Ok(())
}

/// The words as a shell splits them, as parameters of a call.
fn split(arguments: &str) -> Result<Vec<Value>, Error> {
    match words::split(arguments) {
        Ok(words) => Ok(words.into_iter().map(Value::from).collect()),
        Err(error) => Err(Error::BadWords(error.to_string())),
    }
}

/// Fails if the number of arguments is wrong: the command's help is printed, which is no failure (S-82).
fn expect(is_right: bool) -> Result<(), Error> {
    if is_right { Ok(()) } else { Err(Error::Usage { message: None, status: None }) }
}

/// `grace_update group` (S-81). Processes to be removed are stopped first, all of them; one that does not run is not
/// in the way.
pub fn grace_update(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let mut words = arguments.split_whitespace();
    let (Some(group), None) = (words.next(), words.next()) else {
        return Err(Error::usage("Error: grace_update requires one group name", 1));
    };
    let answer = session.call("grace.UpdateNumprocs", &[Value::from(group.to_string())])?;
    let plan = answer.as_str().and_then(json::read).ok_or_else(|| Error::BadAnswer("JSON was expected".to_string()))?;
    match plan.member("type").and_then(Value::as_str) {
        Some("add") => {
            for name in texts(plan.member("processes_name"))? {
                session.print(&format!("{name} added"));
            }
        }
        Some("reduce") => {
            let names = texts(plan.member("processes_name"))?;
            for name in &names {
                match session.call("supervisor.stopProcess", &[Value::from(name.clone())]) {
                    Err(error) if !error.is(Code::NotRunning) => return Err(error),
                    // One that another stops can be removed once that is over.
                    Err(_) => _ = stopping::outlast(session, name)?,
                    Ok(_) => {}
                }
                session.print(&format!("{name} stoped"));
            }
            for name in &names {
                let (group, process) = name.split_once(':').unwrap_or((name, name));
                let params = [Value::from(group.to_string()), Value::from(process.to_string())];
                session.call("grace.removeProcessFromGroup", &params)?;
                session.print(&format!("{name} removed"));
            }
        }
        _ => match plan.member("msg").and_then(Value::as_str) {
            Some(message) => session.print(message),
            None => return Err(Error::BadAnswer("the answer has no member 'msg'".to_string())),
        },
    }
    Ok(())
}

/// `dynamic`: the daemon's record of what was changed beside the file. Shape of the answer: `{path, text}`.
pub fn dynamic(session: &mut Session, arguments: &str) -> Result<(), Error> {
    none("dynamic", arguments)?;
    match session.call("stheno.dynamic", &[]) {
        Ok(answer) => match answer.member("text").and_then(Value::as_str) {
            Some("") => {}
            Some(text) => session.print_text(text.strip_suffix('\n').unwrap_or(text)),
            None => return Err(Error::BadAnswer("the answer has no member 'text'".to_string())),
        },
        Err(error) if error.is(Code::UnknownMethod) => {
            session.print("ERROR: this supervisord keeps no record of dynamic changes");
            session.status = 1;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
