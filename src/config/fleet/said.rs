//! What an `<application>`, a `<program>` or a `<model>` says, and the same as plain options.

use std::collections::BTreeSet;

use super::words::{Distribution, RunningFailure, StartingFailure, StartingStrategy};
use super::xml::Element;

/// Names of instances in a list, far more than a fleet has. Lists are gone through for each process.
const NAMES_MAX: usize = 1_000;

/// The last rank there is, by the schema.
pub const RANK_MAX: i64 = 127;

/// What is said of an application, a program or a model; what is not said is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Said {
    /// The model that it goes on from.
    pub reference: Option<String>,
    pub distribution: Option<Distribution>,
    /// As written, aliases not yet replaced.
    pub identifiers: Option<Vec<String>>,
    pub start_sequence: Option<i64>,
    pub stop_sequence: Option<i64>,
    pub starting_strategy: Option<StartingStrategy>,
    pub starting_failure: Option<StartingFailure>,
    pub running_failure: Option<RunningFailure>,
    pub operational_status: Option<String>,
    pub required: Option<bool>,
    pub wait_exit: Option<bool>,
    /// Seconds after which a process that is to exit is given up. Ours alone.
    pub wait_exit_secs: Option<u64>,
    pub expected_loading: Option<i64>,
}

/// What may stand in an `<application>`, but for its programs.
const OF_APPLICATION: &[&str] = &[
    "distribution",
    "identifiers",
    "start_sequence",
    "stop_sequence",
    "starting_strategy",
    "starting_failure_strategy",
    "running_failure_strategy",
    "operational_status",
];

/// What may stand in a `<program>` or `<model>`.
const OF_PROGRAM: &[&str] = &[
    "reference",
    "identifiers",
    "start_sequence",
    "stop_sequence",
    "required",
    "wait_exit",
    "expected_loading",
    "starting_failure_strategy",
    "running_failure_strategy",
];

impl Said {
    /// Whether nothing is said.
    pub fn is_nothing(&self) -> bool {
        *self == Said::default()
    }

    /// This, and where it says nothing what the other says.
    pub(super) fn or(self, other: &Said) -> Said {
        macro_rules! first {
            ($($field:ident),+) => { Said { $($field: self.$field.or_else(|| other.$field.clone())),+ } };
        }
        first!(
            reference,
            distribution,
            identifiers,
            start_sequence,
            stop_sequence,
            starting_strategy,
            starting_failure,
            running_failure,
            operational_status,
            required,
            wait_exit,
            wait_exit_secs,
            expected_loading
        )
    }

    /// Reads the children of an element. What is wrong is told with its line and counts as not said (V-61, V-66).
    pub(super) fn read(element: &Element, wrong: &mut dyn FnMut(u32, String)) -> Said {
        let known = if element.name == "application" { OF_APPLICATION } else { OF_PROGRAM };
        let mut said = Said::default();
        let mut seen: Vec<&str> = Vec::new();
        for child in &element.children {
            let name = child.name.as_str();
            if name == "programs" && element.name == "application" {
                continue;
            }
            if !known.contains(&name) {
                wrong(child.line, format!("<{name}> is not known in <{}>", element.name));
                continue;
            }
            if seen.contains(&name) {
                wrong(child.line, format!("<{name}> stands there twice, and the first one counts"));
                continue;
            }
            seen.push(name);
            // What is empty counts as absent.
            if !child.text.is_empty()
                && let Err(text) = said.set(name, &child.text)
            {
                wrong(child.line, format!("<{name}>: {text}"));
            }
        }
        said
    }

    fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        match name {
            "reference" => self.reference = Some(text.to_string()),
            "identifiers" => self.identifiers = Some(names(text)?),
            "operational_status" => self.operational_status = Some(text.to_string()),
            "distribution" => self.distribution = Some(one_of(text, Distribution::ALL, Distribution::name)?),
            "starting_strategy" => {
                self.starting_strategy = Some(one_of(text, StartingStrategy::ALL, StartingStrategy::name)?);
            }
            "starting_failure_strategy" => {
                self.starting_failure = Some(one_of(text, StartingFailure::ALL, StartingFailure::name)?);
            }
            "running_failure_strategy" => {
                self.running_failure = Some(one_of(text, RunningFailure::ALL, RunningFailure::name)?);
            }
            "start_sequence" => return rank(text, &mut self.start_sequence),
            "stop_sequence" => return rank(text, &mut self.stop_sequence),
            "required" => self.required = Some(truth(text)?),
            "wait_exit" => self.wait_exit = Some(truth(text)?),
            "expected_loading" => {
                let number = number(text)?;
                if !(0..=100).contains(&number) {
                    return Err(format!("expected 0 to 100, not {number}"));
                }
                self.expected_loading = Some(number);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Words between commas, without blanks around them; empty ones and repetitions are left out (V-13).
pub(super) fn list(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let words = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    words.filter(|item| seen.insert(*item)).map(str::to_string).collect()
}

/// The same of names of instances.
pub(super) fn names(text: &str) -> Result<Vec<String>, String> {
    let names = list(text);
    if names.len() > NAMES_MAX { Err(format!("more than {NAMES_MAX} names")) } else { Ok(names) }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("expected a whole number, not '{text}'"))
}

/// A rank. One beyond the schema's is taken as the original takes it without its schema, and told of.
fn rank(text: &str, place: &mut Option<i64>) -> Result<(), String> {
    let number = number(text)?;
    if number < 0 {
        return Err(format!("expected 0 to {RANK_MAX}, not {number}"));
    }
    *place = Some(number);
    if number > RANK_MAX {
        return Err(format!("{number} is more than {RANK_MAX}, which the schema does not allow"));
    }
    Ok(())
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "on" | "t" => Ok(true),
        "false" | "0" | "no" | "n" | "off" | "f" => Ok(false),
        _ => Err(format!("expected true or false, not '{text}'")),
    }
}

fn one_of<T: Copy>(text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        format!("expected one of {}, not '{text}'", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::super::xml;
    use super::*;

    #[test]
    fn what_elements_say() {
        let rows: &[(&str, Said, &[&str])] = &[
            (
                "<program><required>true</required><wait_exit>0</wait_exit></program>",
                Said { required: Some(true), wait_exit: Some(false), ..Said::default() },
                &[],
            ),
            (
                "<program><start_sequence>-1</start_sequence></program>",
                Said::default(),
                &["<start_sequence>: expected 0 to 127, not -1"],
            ),
            (
                "<program><start_sequence>200</start_sequence></program>",
                Said { start_sequence: Some(200), ..Said::default() },
                &["<start_sequence>: 200 is more than 127, which the schema does not allow"],
            ),
            (
                "<program><expected_loading>101</expected_loading></program>",
                Said::default(),
                &["<expected_loading>: expected 0 to 100, not 101"],
            ),
            (
                "<program><distribution>SINGLE_NODE</distribution></program>",
                Said::default(),
                &["<distribution> is not known in <program>"],
            ),
            (
                "<program><required></required><required>1</required></program>",
                Said::default(),
                &["<required> stands there twice, and the first one counts"],
            ),
            (
                "<application><starting_failure_strategy>stop</starting_failure_strategy></application>",
                Said::default(),
                &["<starting_failure_strategy>: expected one of ABORT, STOP, CONTINUE, not 'stop'"],
            ),
            (
                "<application><identifiers> a, b ,,a</identifiers></application>",
                Said { identifiers: Some(vec!["a".into(), "b".into()]), ..Said::default() },
                &[],
            ),
        ];
        for (text, expected, problems) in rows {
            let mut found = Vec::new();
            let said = Said::read(&xml::read(text.as_bytes(), &mut 100).unwrap(), &mut |_, text| found.push(text));
            assert_eq!((&said, &found), (expected, &problems.iter().map(|s| s.to_string()).collect()), "{text}");
        }
    }

    #[test]
    fn lists_have_an_end() {
        let list = |count: usize| (0..count).map(|at| format!("n{at},n0")).collect::<Vec<_>>().join(",");
        assert_eq!(names(&list(NAMES_MAX)).map(|names| names.len()), Ok(NAMES_MAX));
        assert_eq!(names(&list(NAMES_MAX + 1)), Err("more than 1000 names".to_string()));
    }

    #[test]
    fn the_first_to_say_something_counts() {
        let own = Said { required: Some(true), ..Said::default() };
        let other = Said { required: Some(false), start_sequence: Some(3), ..Said::default() };
        let both = own.or(&other);
        assert_eq!((both.required, both.start_sequence), (Some(true), Some(3)));
    }
}
