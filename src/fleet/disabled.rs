//! Programs that nobody starts until they are enabled again, and the file that keeps their names (V-460 to V-462).

use std::collections::BTreeSet;

use super::Fleet;
use super::published::Note;
use super::resize::names_of;
use crate::clock::Now;
use crate::daemon::host::Span;
use crate::daemon::{Daemon, Host};
use crate::eventtype::EventType;
use crate::id::ProcId;
use crate::model::fleet::view::TaskId;
use crate::wire::json;
use crate::wire::value::Value;

/// Longest file that is read: a hundred thousand names.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Names that are kept, as many as there may be processes of a program. Beyond them those of programs that are gone are not.
const NAMES_MAX: usize = 100_000;

/// Programs that nobody may start, by their names, as the file of `disabilities_file` has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Disabled {
    names: BTreeSet<String>,
    /// The file was no JSON and stays as it is.
    is_broken: bool,
}

impl Disabled {
    /// Adds a program; `programs` are those that are there.
    fn add<'p>(&mut self, program: &str, programs: impl Iterator<Item = &'p str>) {
        self.names.insert(program.to_string());
        if self.names.len() > NAMES_MAX {
            let known: BTreeSet<&str> = programs.collect();
            self.names.retain(|name| known.contains(name.as_str()));
        }
    }
}

impl Fleet {
    fn disabilities_file(&self, host: &mut dyn Host) -> Option<String> {
        let path = self.supvisors()?.options.disabilities_file.clone().filter(|path| !path.is_empty())?;
        Some(host.env().expand_user(&path))
    }

    /// Reads the file. One that cannot be read disables nobody.
    pub(super) fn read_disabled(&mut self, host: &mut dyn Host) {
        let Some(path) = self.disabilities_file(host) else { return };
        if !host.file_exists(&path) {
            return;
        }
        let bytes = host.file_read(&path, Span { offset: 0, length: FILE_BYTES_MAX }).unwrap_or_default();
        match String::from_utf8(bytes).ok().as_deref().and_then(json::read) {
            Some(Value::Struct(members)) => {
                let is_off = |value: &Value| *value == Value::Bool(true);
                self.disabled.names =
                    members.iter().filter(|(_, value)| is_off(value)).map(|(name, _)| name.to_string()).collect();
            }
            _ => {
                self.disabled.is_broken = true;
                activity!(
                    Error,
                    "disabilities_file {path} is no JSON object: nobody is disabled, and it stays as it is"
                );
            }
        }
    }

    fn write_disabled(&mut self, daemon: &Daemon, host: &mut dyn Host) {
        let Some(path) = self.disabilities_file(host) else {
            return activity!(Warn, "without disabilities_file it is not kept which programs are disabled");
        };
        if self.disabled.is_broken {
            return;
        }
        let mut names: BTreeSet<&str> = self.disabled.names.iter().map(String::as_str).collect();
        names.extend(daemon.roster.processes().map(|(_, process)| process.config.program.name.as_str()));
        let members =
            names.into_iter().map(|name| (name.to_string().into(), self.disabled.names.contains(name).into()));
        let text = json::write(&Value::Struct(members.collect()));
        if let Some((directory, _)) = path.rsplit_once('/').filter(|(directory, _)| !directory.is_empty())
            && !host.file_exists(directory)
        {
            host.make_directory(directory);
        }
        if let Err(error) = host.file_replace(&path, text.as_bytes()) {
            activity!(Error, "disabilities_file {path} cannot be written: {error}");
        }
    }

    /// Tells the daemon who may not be started.
    pub(super) fn mark_disabled(&mut self, daemon: &mut Daemon) {
        let names = &self.disabled.names;
        let is_off = |name: &str| names.contains(name);
        let others: Vec<(ProcId, bool)> = daemon
            .roster
            .processes()
            .map(|(id, process)| (id, process.marks().is_disabled, is_off(&process.config.program.name)))
            .filter(|(_, was_off, is_off)| was_off != is_off)
            .map(|(id, _, is_off)| (id, is_off))
            .collect();
        for (id, is_off) in others {
            daemon.mark(id, |marks| marks.is_disabled = is_off);
        }
    }

    /// Disables or enables a program, and answers its processes.
    pub fn set_disabled(
        &mut self,
        program: &str,
        is_off: bool,
        daemon: &mut Daemon,
        now: Now,
        host: &mut dyn Host,
    ) -> Vec<TaskId> {
        if is_off {
            let programs = daemon.roster.processes().map(|(_, process)| process.config.program.name.as_str());
            self.disabled.add(program, programs);
        } else {
            self.disabled.names.remove(program);
        }
        self.mark_disabled(daemon);
        self.write_disabled(daemon, host);
        let of_program = daemon.roster.processes().filter(|(_, process)| process.config.program.name == program);
        let ids: Vec<ProcId> = of_program.map(|(id, _)| id).collect();
        let kind = if is_off { EventType::ProcessDisabled } else { EventType::ProcessEnabled };
        let names = names_of(daemon, program);
        names.iter().for_each(|(name, group)| daemon.announce_process(kind, name, group));
        let tasks: Vec<TaskId> = ids.iter().filter_map(|id| self.task_of(*id)).collect();
        tasks.iter().for_each(|task| self.amend_own(daemon, *task, now));
        tasks.iter().for_each(|task| self.note_news(|| Note::Disability(*task)));
        if !is_off {
            for id in &ids {
                daemon.reconsider(*id, now);
                let process = daemon.roster.process(*id);
                let is_wanted = process.is_some_and(|process| process.config.program.autostart);
                if is_wanted && let Some(task) = self.task_of(*id) {
                    // What cannot be started is shown as that.
                    let _ = self.start_here(task, daemon, now, host);
                }
            }
        }
        tasks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programs_that_are_gone_are_not_kept_for_ever() {
        let mut disabled = Disabled::default();
        for at in 0..NAMES_MAX {
            disabled.add(&at.to_string(), std::iter::empty());
        }
        assert_eq!(disabled.names.len(), NAMES_MAX);
        disabled.add("new", ["7", "new", "other"].into_iter());
        assert_eq!(disabled.names, BTreeSet::from(["7".to_string(), "new".to_string()]));
    }
}
