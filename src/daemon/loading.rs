//! The configuration, read anew: the daemon has the loader, and the host lends the system that it looks at.

use std::rc::Rc;

use super::{Daemon, Host};
use crate::config::journal::Journal;
use crate::config::{CallProgram, Config, Loader};
use crate::wire::ini::Document;

/// What a run is made of. It was read and checked before anything of the run before was stopped.
pub struct NextRun {
    /// For the rereads of that run.
    pub loader: Loader,
    /// What the files said.
    pub config: Config,
}

impl Daemon {
    /// Reads the configuration, while the changes made at run time are in force; nothing comes of it yet. The error is the
    /// text of CANT_REREAD.
    pub fn load_config(&mut self, host: &mut dyn Host) -> Result<Config, String> {
        let loaded = self.loader.reload(host.env(), self.dynamic.journal());
        host.has_loaded(loaded.as_ref().ok());
        loaded.map_err(|error| error.to_string())
    }

    /// The files as they are now, as one document, without looking at what they mean.
    pub fn read_files(&mut self, host: &mut dyn Host) -> Option<Document> {
        self.loader.sources(host.env()).ok().map(|sources| sources.document)
    }

    /// Reads the whole configuration as a fresh start would, and keeps it for the restart that is asked for; the error is
    /// what would keep that from starting.
    pub(super) fn prepare_restart(&mut self, host: &mut dyn Host) -> Result<(), String> {
        let env = host.env();
        let mut loader = self.loader.clone();
        loader.restart(env);
        let config = loader.load(env).map_err(|error| error.to_string())?;
        if let Some((reason, _)) = config.interfaces.iter().find_map(|interface| interface.refusal()) {
            return Err(reason);
        }
        if let Err(unmet) = host.try_next(&config) {
            return Err(loader.place(&unmet.section, unmet.option, unmet.reason, host.env()).to_string());
        }
        self.next = Some(NextRun { loader, config });
        Ok(())
    }

    /// What the next run is made of, if a restart was asked for.
    pub fn take_next(&mut self) -> Option<NextRun> {
        self.next.take()
    }

    /// What the configuration last read would be with these changes at run time; the error is the reason.
    pub(super) fn preview_config(
        &mut self,
        base: &Rc<Document>,
        journal: &Journal,
        host: &mut dyn Host,
    ) -> Result<Config, String> {
        self.loader.preview(host.env(), base, journal).map_err(|error| error.to_string())
    }

    /// A program with these options in a group; the error is the reason why there cannot be one.
    pub fn begin_program(
        &mut self,
        group: &str,
        program: &str,
        options: &[(String, String)],
        host: &mut dyn Host,
    ) -> Result<CallProgram, String> {
        self.loader.begin_program(host.env(), group, program, options).map_err(|error| error.to_string())
    }

    /// Makes some of its processes; says whether there are more.
    pub fn expand_program(&self, program: &mut CallProgram, count: usize, host: &mut dyn Host) -> Result<bool, String> {
        self.loader.expand_program(host.env(), program, count).map_err(|error| error.to_string())
    }
}
