//! Processes whose stop is under way. What a verb says is done once the stop is over: the daemon itself takes neither a
//! stop nor a start of a process that is STOPPING.

use std::collections::BTreeSet;
use std::time::Duration;

use super::names::{array, namespec_of, number, text};
use crate::ctl::error::Error;
use crate::ctl::session::Session;
use crate::state::ProcessState;
use crate::wire::value::Value;

/// Time between two looks at a stop that is under way: short at first, for most are over soon.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Who was STOPPING when the first of several was refused. By the time that one is down the others may be, too, and it could not
/// be told any more why they were refused.
#[derive(Default)]
pub struct Noted(Option<BTreeSet<String>>);

impl Noted {
    /// Where there are no others.
    pub fn nobody() -> Noted {
        Noted(Some(BTreeSet::new()))
    }

    /// Waits while the process is STOPPING; whether it was, or had been noted, which counts once.
    pub fn outlast(&mut self, session: &mut Session, name: &str) -> Result<bool, Error> {
        if self.0.is_none() {
            self.0 = Some(all(session, None)?.into_iter().collect());
        }
        let was_noted = self.0.as_mut().is_some_and(|names| names.remove(name));
        Ok(outlast(session, name)? || was_noted)
    }
}

/// Waits while the process is STOPPING; whether it was. `stopwaitsecs` bounds it, and Ctrl-C ends it.
pub fn outlast(session: &mut Session, name: &str) -> Result<bool, Error> {
    let mut pause = PAUSE_MIN;
    let mut was_stopping = false;
    loop {
        let info = match session.call_aside("supervisor.getProcessInfo", &[Value::from(name.to_string())]) {
            // Gone, or the daemon goes down: either way there is nothing to wait for.
            Err(Error::Fault { .. }) => return Ok(was_stopping),
            info => info?,
        };
        if !is_stopping(&info) {
            return Ok(was_stopping);
        }
        if !was_stopping {
            session.hint(&format!("{name} is being stopped; waits for that"));
        }
        was_stopping = true;
        session.pause(pause)?;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Waits for every process that is STOPPING, of one group or of all; their names.
pub fn outlast_all(session: &mut Session, group: Option<&str>) -> Result<Vec<String>, Error> {
    let names = all(session, group)?;
    for name in &names {
        outlast(session, name)?;
    }
    Ok(names)
}

/// The names of all that are STOPPING, in one group or in all.
fn all(session: &mut Session, group: Option<&str>) -> Result<Vec<String>, Error> {
    let infos = match session.call_aside("supervisor.getAllProcessInfo", &[]) {
        Err(Error::Fault { .. }) => return Ok(Vec::new()),
        infos => array(infos?)?,
    };
    let mut names = Vec::new();
    for info in infos.iter().filter(|info| is_stopping(info)) {
        if group.is_none_or(|group| text(info, "group").is_ok_and(|theirs| theirs == group)) {
            names.push(namespec_of(info)?);
        }
    }
    Ok(names)
}

fn is_stopping(info: &Value) -> bool {
    number(info, "state").is_ok_and(|code| code == i64::from(ProcessState::Stopping.code()))
}
