//! All that is wrong with a configuration, not the first of it: what is found is put aside, and the rest is looked at again.

use super::Loader;
use crate::config::env::Env;
use crate::config::error::{ConfigError, Place};
use crate::config::loaded::Config;
use crate::wire::ini::Document;

/// Loads that one survey makes at most; each but the last finds at least one error more.
const PASSES_MAX: usize = 1000;

/// What an option that must be there says after its own value turned out to be wrong, so that only that is reported.
const STAND_INS: &[(&str, &str)] = &[
    ("command", "x"),
    ("events", "TICK"),
    ("file", "/x"),
    ("port", "1"),
    ("socket", "unix:///x"),
    ("supervisor.rpcinterface_factory", "supervisor.rpcinterface:make_main_rpcinterface"),
];

/// A load that goes on after errors.
#[derive(Default)]
pub(super) struct Survey {
    /// Where options stand that were found to be wrong.
    aside: Vec<Place>,
    /// What is wrong besides the error that ends the load.
    pub(super) problems: Vec<ConfigError>,
}

impl Survey {
    /// Lays aside what earlier passes found wrong in a document.
    pub(super) fn amend(&self, document: &mut Document) {
        let stand_in = |key: &str| STAND_INS.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        for Place { file, line } in &self.aside {
            document.amend(file, line.unwrap_or_default(), stand_in);
        }
    }
}

impl Loader {
    /// As [`Loader::load`], but returns all that is wrong: an option that is gets put aside, and the rest is looked at
    /// again. In the order of files and lines, what has no place first.
    /// The configuration is the one without these options, if the rest can be read.
    pub fn load_all(&mut self, env: &dyn Env) -> (Option<Config>, Vec<ConfigError>) {
        let mut survey = Survey::default();
        let mut found: Vec<ConfigError> = Vec::new();
        let mut rest = None;
        for _ in 0..PASSES_MAX {
            let last = match self.load_noting(env, Some(&mut survey), None) {
                Ok(config) => {
                    rest = Some(config).filter(|_| survey.problems.is_empty());
                    None
                }
                Err(last) => Some(last),
            };
            let before = survey.aside.len();
            for problem in survey.problems.drain(..).chain(last) {
                let place = problem.place().filter(|place| place.line.is_some() && !survey.aside.contains(place));
                survey.aside.extend(place.cloned());
                if !found.iter().any(|other| other.message() == problem.message() && other.place() == problem.place()) {
                    found.push(problem);
                }
            }
            if survey.aside.len() == before {
                break;
            }
        }
        crate::sort::by(&mut found, |a, b| a.place().cmp(&b.place()));
        (rest, found)
    }
}
