//! `supervisord --check`: says everything that is wrong with the configuration, and what in it nobody reads (the
//! daemon itself ignores that silently, C-26). Starts nothing.
//!
//! The loader says what would keep the daemon from starting. The rest is looked for in the document, one file for each kind:
//! [`names`] that nobody reads, what of [`care`] has no effect, the [`order`] of programs, [`text`] that means something else
//! than it looks like, [`programs`] and their [`command`],
//! and what does not fit together as a [`whole`]. A [`Finding`] is wrong anywhere, wrong here only, or a warning.

mod care;
mod command;
mod endings;
mod finding;
mod limits;
mod names;
mod order;
mod programs;
mod restart;
mod shell;
mod text;
mod whole;

use std::collections::BTreeSet;

pub use finding::{Finding, Severity};
pub use names::unknown_option;

use crate::wire::ini::Document;

use super::dependent;
use super::env::Env;
use super::error::ConfigError;
use super::load::Loader;
use super::sources::{Sources, TAKEN_AS_ONE};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether the exit status is 0: there are warnings at most.
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Warning)
    }

    /// What is printed, a finding a line.
    pub fn text(&self) -> String {
        let mut text: String = self.findings.iter().map(|finding| format!("{finding}\n")).collect();
        if self.findings.is_empty() {
            text.push_str("the configuration is in order\n");
        }
        text
    }
}

/// Loads the configuration and looks at everything in it. `portable`: what is wrong on this machine only is left out.
pub fn check(loader: &mut Loader, env: &dyn Env, portable: bool) -> Report {
    let mut findings = Vec::new();
    let mut is_fragment = false;
    // An error here is found again below, where it is reported.
    let sources = loader.sources(env).ok();
    if let Some(sources) = &sources {
        is_fragment = has_programs_alone(&sources.document);
        findings = looked_at(sources, &loader.here(), env, is_fragment);
    }
    if is_fragment {
        loader.complete_fragment();
    }
    let (config, problems) = loader.load_all(env);
    if let Some(config) = config {
        if let Some(sources) = &sources {
            findings.extend(order::look(&sources.document, &config.groups));
        }
        // What is wrong with these is an error, which is found by the load.
        if config.supervisord.dependent_startup
            && let Ok(services) = dependent::read(&config.groups)
        {
            findings.extend(services.warnings.into_iter().map(|text| Finding::new(Severity::Warning, text)));
        }
        findings.extend(endings::look(&config));
        // What else a configuration shows is looked at once it is one.
        if problems.is_empty() {
            // Sections that go on in another file are among what the document tells, with their lines.
            let warnings = config.warnings.iter().filter(|warning| !warning.ends_with(TAKEN_AS_ONE));
            findings.extend(warnings.map(|warning| Finding::new(Severity::Warning, warning.as_str())));
            let refusals = config.interfaces.iter().filter_map(|interface| interface.refusal());
            findings.extend(refusals.map(|(reason, _)| Finding::new(Severity::Error, reason)));
            findings.extend(limits::look(&config, env));
            #[cfg(feature = "fleet")]
            findings.extend(config.fleet.iter().flat_map(|fleet| &fleet.problems).map(|problem| {
                let severity = if problem.is_error { Severity::Error } else { Severity::Warning };
                Finding::new(severity, problem.text.as_str())
            }));
            findings.extend(groups_said_twice(config.groups.iter().map(|group| group.name.as_str())));
        }
    }
    findings.splice(0..0, problems.iter().map(|error| problem(error, is_fragment)));
    findings.retain(|finding| !portable || finding.severity != Severity::Here);
    crate::sort::by_key(&mut findings, |finding| finding.severity);
    let mut seen: Vec<Finding> = Vec::with_capacity(findings.len());
    findings.retain(|finding| {
        let is_new = !seen.contains(finding);
        seen.extend(is_new.then(|| finding.clone()));
        is_new
    });
    Report { findings }
}

fn looked_at(sources: &Sources, here: &str, env: &dyn Env, is_fragment: bool) -> Vec<Finding> {
    let document = &sources.document;
    let mut found = text::look(document);
    found.extend(programs::look(document, here, env));
    found.extend(whole::look(document, is_fragment));
    found.extend(care::look(document));
    found.extend(restart::look(document));
    found.extend(names::look(document));
    found
}

/// Whether a file has programs and nothing of a daemon: one of `conf.d`.
fn has_programs_alone(document: &Document) -> bool {
    let kinds = ["program:", "eventlistener:", "fcgi-program:", "group:"];
    let is_part = |name: &str| kinds.iter().any(|kind| name.starts_with(kind));
    document.section("supervisord").is_none() && document.sections.iter().any(|section| is_part(&section.name))
}

/// What the messages of errors begin with, or hold, that come of this machine and not of the file.
const HERE: &[&str] = &[
    "Invalid user name ",
    "Invalid group name ",
    "Invalid sockchown value ",
    "Invalid socket_owner value ",
    "The directory named as part of the path ",
    " is not an existing directory",
    "contains names ('ENV_",
];

/// What the message of an error holds that may come of another file, if this one is a part of a configuration.
const ELSEWHERE: &str = " names unknown program or fcgi-program ";

fn problem(error: &ConfigError, is_fragment: bool) -> Finding {
    let is_here = HERE.iter().any(|text| error.message().contains(text));
    let severity = match is_here {
        true => Severity::Here,
        false if is_fragment && error.message().contains(ELSEWHERE) => Severity::Warning,
        false => Severity::Error,
    };
    Finding::new(severity, error.to_string())
}

/// Groups of which there are two: one of them would never run.
fn groups_said_twice<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let problem = |name| Finding::new(Severity::Error, format!("there are two groups called '{name}'"));
    names.filter(|name| !seen.insert(*name)).map(problem).collect()
}

#[cfg(test)]
mod tests;
