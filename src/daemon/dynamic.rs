//! What changes at run time mean for the file that keeps them.
//!
//! Each [`Change`] is turned into edits of a [`Journal`], which is laid over what the other files say, so that a load
//! yields the groups that the calls made. With `[stheno] dynamic_conf` the file is replaced before the change is carried
//! out: whoever got an answer finds its change after a crash, and a change that cannot be kept is refused. Without it
//! the journal lives in memory and dies with the daemon, as in Supervisor; without `[stheno]` there is none. What a
//! change means for the journal is the business of [`edits`](super::edits).

use std::rc::Rc;

use super::change::Change;
use super::edits::{Edits, Present, Scene};
use super::host::{Errno, Span};
use super::{Host, Roster};
use crate::config::Config;
use crate::config::journal::{Base, Definition, Journal, JournalFile};
use crate::wire::ini::Document;

/// The journal, and how it stands with its file.
#[derive(Default)]
pub struct Dynamic {
    /// What the other files say; `None` when nothing is kept.
    base: Option<Rc<Document>>,
    /// `%(here)s` in options that calls give.
    here: String,
    /// The file that changes are kept in, `[stheno] dynamic_conf`.
    path: Option<String>,
    /// The bytes last read from the file or written to it; `None` when there was no file.
    known: Option<Rc<[u8]>>,
    /// Why the file was left out when it was last read; nothing is written while it stands.
    broken: Option<String>,
    kept: Edits,
}

/// A journal with other options for a program, to be laid over the files.
pub(super) struct Draft {
    pub(super) base: Rc<Document>,
    pub(super) journal: Journal,
    /// What the options were set for; never empty.
    pub(super) definitions: Vec<Definition>,
}

impl Dynamic {
    /// Takes over what a load of the configuration found.
    pub(super) fn adopt(&mut self, config: &Config) {
        let path = config.stheno.as_ref().and_then(|stheno| stheno.dynamic_conf.clone());
        if path != self.path {
            self.known = None;
        }
        self.path = path;
        let Some(Base { document, here, source, laid }) = &config.base else {
            *self = Dynamic::default();
            return;
        };
        self.base = Some(document.clone());
        self.here.clone_from(here);
        self.broken = None;
        match source {
            JournalFile::Off => {
                self.known = None;
                self.kept.forget_parked();
            }
            // With a file that somebody removed its changes are forgotten; in one that was never there those so far
            // will stand.
            JournalFile::Absent if self.known.take().is_some() => self.kept = Edits::default(),
            JournalFile::Absent => self.kept.forget_parked(),
            JournalFile::Read { journal, text } => {
                self.known = Some(text.clone());
                self.kept = Edits::read(journal.clone(), laid);
            }
            JournalFile::Broken(reason) => {
                self.broken = Some(reason.clone());
                self.kept.lay_again(laid);
            }
        }
    }

    /// Whether changes are kept, at least in memory: there is a `[stheno]`.
    pub fn is_kept(&self) -> bool {
        self.base.is_some()
    }

    /// The file in which the changes are kept, if there is one.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    pub fn journal(&self) -> &Journal {
        &self.kept.journal
    }

    /// The text that keeps the changes; empty if nothing was changed. Errors: why it cannot be said.
    pub fn text(&self) -> Result<String, String> {
        match &self.base {
            Some(base) if !self.kept.journal.is_empty() => self.kept.journal.text(base),
            _ => Ok(String::new()),
        }
    }

    /// Whether an option of a program of the files was given at run time in place of what they say.
    pub fn overrides(&self, program: &str, option: &str) -> bool {
        let journal = &self.kept.journal;
        let mut of_files = ["program", "fcgi-program", "eventlistener"]
            .iter()
            .filter_map(|kind| journal.amended.get(&format!("{kind}:{program}")));
        of_files.any(|options| options.iter().any(|(name, _)| name == option))
    }

    /// Names of the programs that were added to a group at run time.
    pub fn added_to(&self, group: &str) -> impl Iterator<Item = &str> {
        let note = self.kept.journal.groups.get(group);
        note.into_iter().flat_map(|note| &note.programs).map(|own| own.name.as_str())
    }

    /// Whether a group has a program, be it without a process; false where nothing is kept.
    pub fn holds(&self, group: &str, program: &str) -> bool {
        self.base.as_ref().is_some_and(|base| self.kept.holds(base, group, program))
    }

    /// What has the options of a program in a group, or in all.
    pub(super) fn definitions(&self, roster: &Roster, program: &str, group: Option<&str>) -> Vec<Definition> {
        self.base.as_ref().map_or(Vec::new(), |base| self.kept.definitions(base, roster, program, group))
    }

    /// The journal as it would be with these options for a program; `None` if nothing is kept or there is no such
    /// program. With `whole`, processes of the program that were removed one by one are back.
    pub(super) fn draft(
        &self,
        roster: &Roster,
        (program, group): (&str, Option<&str>),
        options: &[(String, String)],
        whole: bool,
    ) -> Option<Draft> {
        let base = self.base.clone()?;
        let definitions = self.definitions(roster, program, group);
        let mut journal = self.kept.journal.clone();
        for definition in &definitions {
            journal.set_options(definition, options, &base);
            if whole {
                journal.bring_back(definition);
            }
        }
        (!definitions.is_empty()).then_some(Draft { base, journal, definitions })
    }

    /// Notes a change that is about to be made, in the file, too. The error is the text of the fault: nothing happened.
    pub(super) fn keep(&mut self, change: &Change, present: Present<'_>, host: &mut dyn Host) -> Result<(), String> {
        let Some(base) = &self.base else { return Ok(()) };
        let is_filed = self.path.is_some();
        let scene = Scene { base, here: &self.here, present, is_filed };
        if !is_filed {
            // What no file could say need not be said.
            let _ = self.kept.edit(change, &scene);
            return Ok(());
        }
        let before = self.kept.clone();
        let mut outcome = self.kept.edit(change, &scene);
        if outcome.is_ok() && self.kept.journal != before.journal {
            outcome = self.write(host);
        }
        if outcome.is_err() {
            self.kept = before;
        }
        outcome
    }

    /// Sees that changes could be kept, before processes are stopped for them: they can be said, and the file can be
    /// written, which is tried with what it holds already. The error is the text of the fault.
    pub(super) fn rehearse<'c>(
        &mut self,
        changes: impl Iterator<Item = &'c Change>,
        present: Present<'_>,
        host: &mut dyn Host,
    ) -> Result<(), String> {
        let (Some(base), Some(_)) = (&self.base, &self.path) else { return Ok(()) };
        let mut kept = self.kept.clone();
        let scene = Scene { base, here: &self.here, present, is_filed: true };
        for change in changes {
            kept.edit(change, &scene)?;
        }
        if kept.journal == self.kept.journal {
            return Ok(());
        }
        kept.journal.text(base)?;
        self.write(host)
    }

    /// Makes the file's text again after a load: the other files may have changed, and Supervisor reads it after them.
    /// Not one that was written by hand, and not if anything could be lost. The error says why it cannot be written.
    pub(super) fn refresh(&mut self, host: &mut dyn Host) -> Result<(), String> {
        let (Some(base), Some(known), None) = (&self.base, &self.known, &self.broken) else { return Ok(()) };
        if self.path.is_none() || !Journal::is_ours(known) {
            return Ok(());
        }
        let text = self.kept.journal.text(base)?;
        if text.as_bytes() == &**known || !self.kept.journal.is_said_by(&text, base) {
            return Ok(());
        }
        // Somebody who was warned of what he wrote is to find it there.
        let read = std::str::from_utf8(known).ok().and_then(|known| Journal::read(known, "", base).ok());
        if read.is_none_or(|(_, warnings)| !warnings.is_empty()) {
            return Ok(());
        }
        self.write(host)
    }

    /// Writes the file again; the error is the text of the fault.
    pub fn persist(&mut self, host: &mut dyn Host) -> Result<(), String> {
        if self.path.is_none() {
            return Err("no dynamic_conf is configured in [stheno]".to_string());
        }
        self.write(host)
    }

    /// Forgets all changes: what was made goes on until it is removed or the daemon ends.
    pub fn forget(&mut self, host: &mut dyn Host) -> Result<(), String> {
        let before = std::mem::take(&mut self.kept);
        if self.path.is_some()
            && let Err(error) = self.write(host)
        {
            self.kept = before;
            return Err(error);
        }
        Ok(())
    }

    fn write(&mut self, host: &mut dyn Host) -> Result<(), String> {
        let (Some(path), Some(base)) = (&self.path, &self.base) else { return Ok(()) };
        if let Some(reason) = &self.broken {
            return Err(format!("{path} cannot be written before it is repaired or removed and read again: {reason}"));
        }
        let cannot = |error: Errno| format!("the change cannot be kept in {path}: {error}");
        let on_disk = match host.file_size(path) {
            Err(error) if error.0 == libc::ENOENT => None,
            Err(error) => return Err(cannot(error)),
            Ok(size) => Some(size),
        };
        if let Some(size) = on_disk {
            let is_ours = match &self.known {
                Some(known) if known.len() as u64 == size => {
                    *host.file_read(path, Span { offset: 0, length: size }).map_err(cannot)? == **known
                }
                _ => false,
            };
            if !is_ours {
                return Err(format!("{path} was changed by somebody else; it is not overwritten before it is reread"));
            }
        }
        let text = self.kept.journal.text(base)?;
        host.file_replace(path, text.as_bytes()).map_err(cannot)?;
        self.known = Some(text.into_bytes().into());
        Ok(())
    }
}
