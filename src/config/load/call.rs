//! Programs whose options come from a call, not from a file.

use std::collections::HashMap;
use std::rc::Rc;

use super::Loader;
use crate::config::env::{Env, Memo};
use crate::config::error::ConfigError;
use crate::config::groups::unique;
use crate::config::options::Process;
use crate::config::overlay;
use crate::config::programs::{Common, Expansion};
use crate::wire::ini::{Document, Section};

/// A program that a call gives, whose processes are being made.
pub struct CallProgram {
    section: Section,
    group: String,
    expansion: Expansion,
}

impl CallProgram {
    /// All processes that were made, each name once.
    pub fn into_processes(self) -> Vec<Rc<Process>> {
        unique(self.expansion.into_processes())
    }
}

impl Loader {
    /// A program whose options come from a call: as a section `[program:<program>]` would give it in that group, but
    /// without `[supervisord] environment`, and with `ENV_*` only in options that are expanded for each process.
    /// None of its processes is made yet. Warnings are dropped, as in the original.
    ///
    /// Errors: their text is the fault's.
    pub fn begin_program(
        &mut self,
        env: &dyn Env,
        group: &str,
        program: &str,
        options: &[(String, String)],
    ) -> Result<CallProgram, ConfigError> {
        let section = overlay::section(program, options, self.main_file().unwrap_or_default());
        self.revision.0 += 1;
        let expansion = self.for_call(env, |common| common.expansion(&section, group))?;
        Ok(CallProgram { section, group: group.to_string(), expansion })
    }

    /// Makes some of its processes; says whether there are more.
    pub fn expand_program(&self, env: &dyn Env, program: &mut CallProgram, count: usize) -> Result<bool, ConfigError> {
        let CallProgram { section, group, expansion } = program;
        self.for_call(env, |common| common.expand(section, group, expansion, count))
    }

    /// All processes of such a program.
    #[cfg(test)]
    pub fn programs_from_options(
        &mut self,
        env: &dyn Env,
        group: &str,
        program: &str,
        options: &[(String, String)],
    ) -> Result<Vec<Rc<Process>>, ConfigError> {
        let mut program = self.begin_program(env, group, program, options)?;
        while self.expand_program(env, &mut program, 3)? {}
        Ok(program.into_processes())
    }

    /// What a section has that is no part of a file.
    fn for_call<R>(&self, env: &dyn Env, work: impl FnOnce(&mut Common<'_>) -> R) -> R {
        let memo = Memo::new(env, &self.cwd);
        work(&mut Common {
            revision: self.revision,
            document: &Document::default(),
            env: &memo,
            here: self.main.as_ref().map_or("", |main| &main.here),
            hostname: &env.hostname(),
            variables: None,
            process_variables: &self.variables,
            environment: Rc::default(),
            serverurl: self.serverurl.as_ref().and_then(Option::as_deref),
            warnings: Vec::new(),
            environments: HashMap::new(),
            main: None,
            has_watchdog: self.has_watchdog,
            nothing: &Document::default(),
        })
    }
}
