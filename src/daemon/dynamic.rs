//! What changes at run time mean for the file that keeps them.
//!
//! Each [`Change`] is turned into edits of a [`Journal`], which is laid over what the other files say, so that a load
//! yields the groups that the calls made. With `[stheno] dynamic_conf` the file is replaced before the change is carried
//! out: whoever got an answer finds its change after a crash, and a change that cannot be kept is refused. Without it
//! the journal lives in memory and dies with the daemon, as in Supervisor; without `[stheno]` there is none. How a
//! change is said in Supervisor's format is the business of [`edits`](super::edits).

use std::rc::Rc;

use super::change::Change;
use super::edits::{Kept, Scene, Section, Target};
use super::host::{Errno, Span};
use super::{Daemon, Host};
use crate::config::Config;
use crate::config::journal::{Base, Journal, Source};
use crate::wire::ini::Document;

/// The journal, and how it stands with its file.
#[derive(Default)]
pub struct Dynamic {
    /// What the other files say; `None` when nothing is kept.
    base: Option<Rc<Document>>,
    /// `[stheno] dynamic_conf`.
    path: Option<String>,
    /// The bytes last read from the file or written to it; `None` when there was no file.
    known: Option<Rc<[u8]>>,
    /// Why the file was left out when it was last read; nothing is written while it stands.
    broken: Option<String>,
    kept: Kept,
}

impl Dynamic {
    /// Takes over what a load of the configuration found.
    pub(super) fn adopt(&mut self, config: &Config) {
        let path = config.stheno.as_ref().and_then(|stheno| stheno.dynamic_conf.clone());
        if path != self.path {
            self.known = None;
        }
        self.path = path;
        let Some(Base { document, journal }) = &config.base else {
            *self = Dynamic::default();
            return;
        };
        self.base = Some(document.clone());
        self.broken = None;
        self.kept.forget_parked();
        match journal {
            Source::Off => self.known = None,
            // With a file that somebody removed its changes are forgotten; in one that was never there those so far
            // will stand.
            Source::Absent => {
                if self.known.take().is_some() {
                    self.kept = Kept::default();
                }
            }
            Source::Read { journal, text } => {
                self.known = Some(text.clone());
                self.kept = Kept::read(journal.clone(), document, &config.groups);
            }
            Source::Broken(reason) => self.broken = Some(reason.clone()),
        }
    }

    /// Where the changes are kept, if they are.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The changes.
    pub fn journal(&self) -> &Journal {
        &self.kept.journal
    }

    /// The text that keeps the changes; empty if nothing was changed. Errors: why it cannot be said.
    pub fn text(&self) -> Result<String, String> {
        if self.kept.journal.is_empty() { Ok(String::new()) } else { self.kept.journal.text() }
    }

    /// The section of the journal from which a process comes, without its `program:`.
    pub fn made_by(&self, group: &str, process: &str) -> Option<&str> {
        self.kept.made_by(group, process)
    }

    /// Names of the journal's sections, without their `program:`, that processes of a group come from.
    pub fn sections_of(&self, group: &str) -> impl Iterator<Item = &str> {
        self.kept.sections_of(group)
    }

    /// What is to be laid over the base so that the options of a program become these; `None` if nothing is kept or
    /// there is no such program. With `whole`, processes of the program's groups that were removed one by one are back.
    pub(super) fn with_options(
        &self,
        program: (&str, &[Target<'_>]),
        options: &[(String, String)],
        whole: bool,
    ) -> Option<(Rc<Document>, Journal, Section)> {
        let base = self.base.clone()?;
        let mut kept = self.kept.clone();
        let section = kept.section_of(&base, program.0, program.1)?;
        kept.set_options(&section, options);
        if whole {
            kept.journal.gone.retain(|name| !name.contains(':'));
        }
        Some((base, kept.journal, section))
    }

    /// Whether that process was removed from what its section makes.
    pub(super) fn is_gone(&self, section: &Section, group: &str, process: &str) -> bool {
        self.base.as_ref().is_some_and(|base| self.kept.is_gone(base, section, group, process))
    }

    /// Notes a change that is about to be made, in the file, too. The error is the text of the fault: nothing happened.
    pub(super) fn keep(&mut self, change: &Change, daemon: &Daemon, host: &mut dyn Host) -> Result<(), String> {
        let Some(base) = self.base.clone() else { return Ok(()) };
        let scene = Scene { base: &base, daemon, is_filed: self.path.is_some() };
        if self.path.is_none() {
            // What no file could say need not be said.
            let _ = self.kept.edit(change, &scene);
            return Ok(());
        }
        let before = self.kept.clone();
        let outcome = self
            .kept
            .edit(change, &scene)
            .and_then(|()| if self.kept.journal == before.journal { Ok(()) } else { self.write(host) });
        if outcome.is_err() {
            self.kept = before;
        }
        outcome
    }

    /// Sees that a change could be kept before processes are stopped for it, by writing what is kept already. The error
    /// is the text of the fault.
    pub fn rehearse(&mut self, host: &mut dyn Host) -> Result<(), String> {
        if self.path.is_some() { self.write(host) } else { Ok(()) }
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

    /// Whether the file may be written: it is as we know it. The error is the text of the fault.
    fn check(&self, host: &mut dyn Host) -> Result<(), String> {
        let Some(path) = &self.path else { return Ok(()) };
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
        Ok(())
    }

    fn write(&mut self, host: &mut dyn Host) -> Result<(), String> {
        self.check(host)?;
        let Some(path) = &self.path else { return Ok(()) };
        let cannot = |error: Errno| format!("the change cannot be kept in {path}: {error}");
        let text = self.kept.journal.text()?;
        host.file_replace(path, text.as_bytes()).map_err(cannot)?;
        self.known = Some(text.into_bytes().into());
        Ok(())
    }
}
