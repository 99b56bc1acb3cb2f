//! What options of one-shots, readiness and health do not go together with others (O-3 to O-5).

use super::datatypes::{Ready, RunType};
use super::error::ConfigError;
use super::options::{Process, Program};
use super::reader::Reader;
use super::types::Autorestart;

/// Gives a one-shot the values that belong to one.
///
/// Errors: something else is written.
pub(super) fn resolve(reader: &Reader, program: &mut Program) -> Result<(), ConfigError> {
    if program.run_type == RunType::Simple {
        return Ok(());
    }
    if reader.section.name.starts_with("eventlistener:") {
        return Err(reader.error("type", "type=oneshot is nothing for an event listener, which has to stay up"));
    }
    if reader.entry("autorestart").is_some() && program.autorestart != Autorestart::Never {
        let message = "type=oneshot ends when it is done, so autorestart can only be false";
        return Err(reader.error("autorestart", message));
    }
    if reader.entry("startsecs").is_some() && program.startsecs != 0 {
        return Err(reader.error("startsecs", "type=oneshot may end at any age, so startsecs can only be 0"));
    }
    program.autorestart = Autorestart::Never;
    program.startsecs = 0;
    Ok(())
}

/// Looks at what is a process's own.
pub(super) fn check(reader: &Reader, process: &Process) -> Result<(), ConfigError> {
    if process.ready == Ready::Startsecs {
        return Ok(());
    }
    if process.program.run_type == RunType::Oneshot {
        return Err(reader.error("ready", "type=oneshot is ready when it has ended, so ready can only be startsecs"));
    }
    if reader.section.name.starts_with("eventlistener:") {
        return Err(reader.error("ready", "ready is nothing for an event listener, which says READY by its protocol"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;

    #[test]
    fn what_does_not_go_together() {
        let rows = [
            ("type=oneshot", None),
            ("type=oneshot\nautorestart=false\nstartsecs=0\nready=startsecs\nrun_timeout=5", None),
            ("type=simple\nready=notify", None),
            ("type=oneshot\nautorestart=true", Some("autorestart can only be false")),
            ("type=oneshot\nautorestart=unexpected", Some("autorestart can only be false")),
            ("type=oneshot\nstartsecs=3", Some("startsecs can only be 0")),
            ("type=oneshot\nready=notify", Some("ready can only be startsecs")),
            ("type=sometimes", Some("expected simple or oneshot, not 'sometimes'")),
        ];
        for (lines, expected) in rows {
            let loaded = Fake::new().load(&format!("[supervisord]\n[program:p]\ncommand=x\n{lines}\n"));
            let problem = loaded.err().map(|error| error.to_string());
            assert_eq!(problem.is_some(), expected.is_some(), "{lines}: {problem:?}");
            assert!(problem.unwrap_or_default().contains(expected.unwrap_or_default()), "{lines}");
        }
        for lines in ["ready=notify", "type=oneshot"] {
            let text = format!("[supervisord]\n[eventlistener:l]\ncommand=x\nevents=TICK\n{lines}\n");
            assert!(Fake::new().load(&text).is_err(), "{lines}");
        }
    }
}
