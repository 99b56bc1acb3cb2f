//! Rules of applications and their processes, and how they are found (V-63 to V-86).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::patterns::Patterns;
use super::resolved::{ApplicationRules, EVERYWHERE, ProcessRules, Spread};
use super::said::{Said, names};
use super::words::StartingStrategy;
use super::xml::Element;
use crate::wire::formula::Formula;

/// Models that a process may lead through (V-66).
const MODELS_MAX: usize = 2;

/// Aliases of all files: each is looked for in each list.
const ALIASES_MAX: usize = 256;

/// All rules there are: of the files, and of plain options.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// In order of declaration, over all files.
    aliases: Vec<(String, Vec<String>)>,
    models: BTreeMap<String, Said>,
    applications: Vec<Application>,
    /// The first application of each name.
    names: BTreeMap<String, usize>,
    /// Patterns of applications and the last one that has each.
    patterns: Patterns<usize>,
    /// Plain options of groups.
    pub(super) plain_groups: BTreeMap<String, Said>,
    /// Plain options of programs.
    pub(super) plain_programs: BTreeMap<String, Said>,
}

#[derive(Clone, Debug)]
struct Application {
    said: Said,
    programs: BTreeMap<String, Said>,
    patterns: Patterns<Said>,
}

/// A process, as rules look for it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Name of its group.
    pub application: &'a str,
    /// The name of the process within its application.
    pub process: &'a str,
    /// Name of its program.
    pub program: &'a str,
}

impl Rules {
    /// Takes in the tree of a file.
    pub(super) fn add(&mut self, root: &Element, wrong: &mut dyn FnMut(u32, String)) {
        if root.name != "root" {
            wrong(root.line, format!("<root> is expected, not <{}>", root.name));
        }
        for element in &root.children {
            match element.name.as_str() {
                "alias" => match element.attribute("name") {
                    Some(_) if element.text.is_empty() => {}
                    Some(name) => {
                        let added = names(&element.text).and_then(|list| self.add_alias(name, list));
                        if let Err(text) = added {
                            wrong(element.line, format!("<alias> {name}: {text}"));
                        }
                    }
                    None => wrong(element.line, "<alias> has no name".to_string()),
                },
                "model" => match element.attribute("name") {
                    Some(name) => _ = self.models.insert(name.to_string(), Said::read(element, wrong)),
                    None => wrong(element.line, "<model> has no name".to_string()),
                },
                "application" => self.add_application(element, wrong),
                other => wrong(element.line, format!("<{other}> is not known in <root>")),
            }
        }
    }

    /// A later one of the same name counts, in the place of the first.
    fn add_alias(&mut self, name: &str, list: Vec<String>) -> Result<(), String> {
        let is_full = self.aliases.len() == ALIASES_MAX;
        match self.aliases.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = list,
            None if is_full => return Err(format!("more than {ALIASES_MAX} aliases")),
            None => self.aliases.push((name.to_string(), list)),
        }
        Ok(())
    }

    fn add_application(&mut self, element: &Element, wrong: &mut dyn FnMut(u32, String)) {
        let said = Said::read(element, wrong);
        let mut application = Application { said, programs: BTreeMap::new(), patterns: Patterns::default() };
        let mut holders = element.all("programs");
        let programs = holders.next().map_or(&[][..], |programs| &programs.children);
        if let Some(second) = holders.next() {
            wrong(second.line, "<programs> stands there twice, and the first one counts".to_string());
        }
        for program in programs {
            if program.name != "program" {
                wrong(program.line, format!("<{}> is not known in <programs>", program.name));
                continue;
            }
            let said = Said::read(program, wrong);
            match (program.attribute("name"), program.attribute("pattern")) {
                (Some(name), _) => _ = application.programs.entry(name.to_string()).or_insert(said),
                (None, Some(text)) => {
                    if let Err(text) = application.patterns.put(text, said) {
                        wrong(program.line, text);
                    }
                }
                (None, None) => wrong(program.line, "<program> has neither name nor pattern".to_string()),
            }
        }
        let place = self.applications.len();
        match (element.attribute("name"), element.attribute("pattern")) {
            (Some(name), _) => _ = self.names.entry(name.to_string()).or_insert(place),
            (None, Some(text)) => {
                if let Err(text) = self.patterns.put(text, place) {
                    return wrong(element.line, text);
                }
            }
            (None, None) => return wrong(element.line, "<application> has neither name nor pattern".to_string()),
        }
        self.applications.push(application);
    }

    /// Whether nothing is said of anything.
    pub fn is_empty(&self) -> bool {
        self.applications.is_empty() && self.plain_groups.is_empty() && self.plain_programs.is_empty()
    }

    fn find(&self, application: &str) -> Option<&Application> {
        let place = self.names.get(application).or_else(|| self.patterns.best(application))?;
        self.applications.get(*place)
    }

    /// The rules of an application; `programs` are those of its processes. What does not fit together is handed to `wrong`.
    pub fn application(
        &self,
        name: &str,
        programs: &[&str],
        default: StartingStrategy,
        wrong: &mut dyn FnMut(String),
    ) -> ApplicationRules {
        let mut rules = ApplicationRules { starting_strategy: default, ..ApplicationRules::default() };
        let element = self.find(name);
        let plain = self.plain_application(name, programs);
        if element.is_none() && plain.is_none() {
            return rules;
        }
        let said = element.map_or_else(Said::default, |element| element.said.clone());
        let said = said.or(&plain.unwrap_or_default());
        rules.managed = true;
        rules.distribution = said.distribution.unwrap_or(rules.distribution);
        rules.start_sequence = said.start_sequence.unwrap_or(0);
        rules.stop_sequence = said.stop_sequence.unwrap_or(rules.start_sequence);
        rules.starting_strategy = said.starting_strategy.unwrap_or(default);
        rules.starting_failure = said.starting_failure.unwrap_or(rules.starting_failure);
        rules.running_failure = said.running_failure.unwrap_or(rules.running_failure);
        if let Some(text) = said.operational_status {
            match Formula::parse(&text) {
                Ok(formula) => (rules.status_formula, rules.formula) = (text, Some(Rc::new(formula))),
                Err(why) => wrong(format!("application {name}: operational_status is left out: {why}")),
            }
        }
        if let Some(written) = said.identifiers {
            (rules.identifiers, rules.spread) = self.identifiers(&written);
        }
        match rules.spread {
            Spread::All => {}
            Spread::At => {
                wrong(format!("application {name}: @ has no meaning for an application"));
                (rules.identifiers, rules.spread) = (vec![EVERYWHERE.to_string()], Spread::All);
            }
            Spread::Hash if place_of(name).is_some() => {}
            Spread::Hash => {
                wrong(format!("application {name}: # needs a name that ends in -N or _N, N from 1 on"));
                (rules.identifiers, rules.spread) = (Vec::new(), Spread::All);
                rules.start_sequence = 0;
            }
        }
        rules
    }

    /// The rules of a process. What does not fit together is handed to `wrong`.
    pub fn process(
        &self,
        subject: Named<'_>,
        application: &ApplicationRules,
        wrong: &mut dyn FnMut(String),
    ) -> ProcessRules {
        let mut rules = ProcessRules::default();
        if !application.managed {
            // Where there are rules at all it is stopped with the last.
            rules.stop_sequence = if self.is_empty() { rules.stop_sequence } else { 0 };
            return rules;
        }
        let name = format!("{}:{}", subject.application, subject.process);
        let (said, is_pattern) = self.said_of(subject, &name, wrong);
        if let Some(written) = said.identifiers {
            (rules.identifiers, rules.spread) = self.identifiers(&written);
            if written.iter().any(|sign| sign == "@") && written.iter().any(|sign| sign == "#") {
                wrong(format!("process {name}: of @ and #, which stand there both, @ counts"));
            }
        }
        if rules.spread != Spread::All && !is_pattern {
            wrong(format!("process {name}: @ and # have a meaning with a pattern only"));
            (rules.identifiers, rules.spread) = (vec![EVERYWHERE.to_string()], Spread::All);
        }
        rules.start_sequence = said.start_sequence.unwrap_or(0);
        rules.stop_sequence = said.stop_sequence.unwrap_or(rules.start_sequence);
        rules.required = said.required.unwrap_or(false);
        if rules.required && rules.start_sequence == 0 {
            wrong(format!("process {name}: required has no meaning without a start_sequence"));
            rules.required = false;
        }
        rules.wait_exit = said.wait_exit.unwrap_or(false);
        rules.wait_exit_secs = said.wait_exit_secs.unwrap_or(0);
        rules.expected_loading = said.expected_loading.unwrap_or(0);
        rules.starting_failure = said.starting_failure.unwrap_or(application.starting_failure);
        rules.running_failure = said.running_failure.unwrap_or(application.running_failure);
        rules
    }

    /// What is said of a process, and whether a pattern says it.
    fn said_of(&self, subject: Named<'_>, name: &str, wrong: &mut dyn FnMut(String)) -> (Said, bool) {
        let plain = self.plain_programs.get(subject.program);
        let plain =
            plain.or_else(|| self.plain_programs.get(subject.application).filter(|_| subject.program.is_empty()));
        let plain = plain.cloned().unwrap_or_default();
        let Some(element) = self.find(subject.application) else { return (plain, false) };
        let named = element.programs.get(subject.process);
        let is_pattern = named.is_none();
        let Some(said) = named.or_else(|| element.patterns.best(subject.process)) else { return (plain, false) };
        (self.with_models(said, name, wrong).or(&plain), is_pattern)
    }

    /// What is said, and what its models say where it says nothing.
    fn with_models(&self, said: &Said, name: &str, wrong: &mut dyn FnMut(String)) -> Said {
        let mut said = said.clone();
        let mut next = said.reference.take();
        for _ in 0..MODELS_MAX {
            let Some(model) = next.take().and_then(|name| self.models.get(&name)) else { return said };
            next.clone_from(&model.reference);
            said = said.or(&Said { reference: None, ..model.clone() });
        }
        if let Some(third) = next {
            wrong(format!("process {name}: model {third} is the third in a row, and left out"));
        }
        said
    }

    /// Plain options of a group; of a program that is a group by itself those of the program.
    fn plain_application(&self, name: &str, programs: &[&str]) -> Option<Said> {
        let of_group = self.plain_groups.get(name);
        let of_programs: Vec<&Said> = programs.iter().filter_map(|name| self.plain_programs.get(*name)).collect();
        if of_group.is_none() && of_programs.is_empty() {
            return None;
        }
        let mut said = of_group.cloned().unwrap_or_default();
        match (of_group, programs) {
            (None, [only]) if *only == name => {
                said = of_programs.first().map_or(said, |of_program| (*of_program).clone())
            }
            // A group with a program that has a rank is to be started.
            _ if said.start_sequence.is_none() && of_programs.iter().any(|one| one.start_sequence > Some(0)) => {
                said.start_sequence = Some(1);
            }
            _ => {}
        }
        Some(said)
    }

    /// Replaces the aliases of a list, each in its turn, and takes the signs out (V-67, V-80).
    fn identifiers(&self, written: &[String]) -> (Vec<String>, Spread) {
        let mut list = written.to_vec();
        for (name, alias) in &self.aliases {
            if let Some(at) = list.iter().position(|item| item == name) {
                list.splice(at..=at, alias.iter().cloned());
            }
        }
        let has = |list: &[String], sign: &str| list.iter().any(|item| item == sign);
        let spread = match (has(&list, "@"), has(&list, "#")) {
            (true, _) => Spread::At,
            (false, true) => Spread::Hash,
            (false, false) => Spread::All,
        };
        list.retain(|item| item != "@" && item != "#");
        let mut unique: Vec<String> = Vec::with_capacity(list.len());
        let mut seen = BTreeSet::new();
        for item in &list {
            if seen.insert(item) {
                unique.push(item.clone());
            }
        }
        let is_everywhere = has(&unique, EVERYWHERE) && (spread != Spread::All || unique.len() > 1);
        if is_everywhere || unique.is_empty() && spread != Spread::All {
            unique = vec![EVERYWHERE.to_string()];
        }
        (unique, spread)
    }
}

/// The place, from 0, that an application's name ends in: `-N` or `_N` (V-83).
pub fn place_of(name: &str) -> Option<usize> {
    let digits = name.rfind(|c: char| !c.is_ascii_digit()).map(|at| &name[at..])?;
    let number = digits.strip_prefix(['-', '_'])?;
    number.parse::<usize>().ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::super::patterns::PATTERNS_MAX;
    use super::super::words::RunningFailure;
    use super::super::xml;
    use super::*;

    fn rules(texts: &[&str]) -> (Rules, Vec<String>) {
        let (mut rules, mut problems) = (Rules::default(), Vec::new());
        for text in texts {
            rules.add(&xml::read(text.as_bytes(), &mut { xml::ELEMENTS_MAX }).unwrap(), &mut |line, text| {
                problems.push(format!("{line}: {text}"))
            });
        }
        (rules, problems)
    }

    fn of(rules: &Rules, application: &str, process: &str) -> (ApplicationRules, ProcessRules, Vec<String>) {
        let mut problems = Vec::new();
        let wrong = &mut |text| problems.push(text);
        let found = rules.application(application, &[process], StartingStrategy::Config, wrong);
        let subject = Named { application, process, program: process };
        let process = rules.process(subject, &found, wrong);
        (found, process, problems)
    }

    #[test]
    fn names_before_patterns_and_the_first_file_before_the_second() {
        let (rules, problems) = rules(&[
            "<root><application pattern='other'><stop_sequence>3</stop_sequence></application>\
             <application name='app'><start_sequence>4</start_sequence></application></root>",
            "<root><application name='app'><start_sequence>5</start_sequence></application>\
             <application name='other'><start_sequence>6</start_sequence></application></root>",
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        let ranks = |name| {
            let rules = of(&rules, name, "x").0;
            (rules.managed, rules.start_sequence, rules.stop_sequence)
        };
        assert_eq!(ranks("app"), (true, 4, 4));
        assert_eq!(ranks("other"), (true, 6, 6));
        assert_eq!(ranks("another"), (true, 0, 3));
        assert_eq!(ranks("unknown"), (false, 0, 0));
        assert_eq!(of(&rules, "unknown", "x").1.stop_sequence, 0);
    }

    #[test]
    fn the_pattern_that_matches_most() {
        let (rules, _) = rules(&["<root><application name='a'><programs>\
            <program pattern='x_'><expected_loading>1</expected_loading></program>\
            <program pattern='x_l.*r'><expected_loading>2</expected_loading></program>\
            <program pattern='_x'><expected_loading>3</expected_loading></program>\
            <program pattern='x_'><expected_loading>4</expected_loading></program>\
            <program name='x_named'><expected_loading>9</expected_loading></program></programs></application></root>"]);
        let rows = [("x_named", 9), ("x_longer", 2), ("x_o", 4), ("a_x", 3), ("a_x_", 4), ("none", 0)];
        for (process, loading) in rows {
            assert_eq!(of(&rules, "a", process).1.expected_loading, loading, "{process}");
        }
    }

    #[test]
    fn models_lead_to_models_but_not_to_a_third() {
        let (rules, _) = rules(&["<root><model name='m1'><reference>m2</reference><required>true</required></model>\
            <model name='m2'><reference>m3</reference><start_sequence>2</start_sequence><required>false</required></model>\
            <model name='m3'><stop_sequence>7</stop_sequence></model>\
            <application name='a'><running_failure_strategy>STOP_APPLICATION</running_failure_strategy><programs>\
            <program name='p'><reference>m1</reference></program><program name='q'><reference>no</reference></program>\
            <program name='r'><required>1</required></program></programs></application></root>"]);
        let (_, p, problems) = of(&rules, "a", "p");
        assert_eq!((p.required, p.start_sequence, p.stop_sequence), (true, 2, 2));
        assert_eq!(problems, ["process a:p: model m3 is the third in a row, and left out"]);
        assert_eq!(p.running_failure, RunningFailure::StopApplication);
        assert_eq!(of(&rules, "a", "q").1.stop_sequence, 0);
        let (_, r, problems) = of(&rules, "a", "r");
        assert!(!r.required);
        assert_eq!(problems, ["process a:r: required has no meaning without a start_sequence"]);
    }

    #[test]
    fn aliases_are_replaced_in_their_order() {
        let (rules, _) = rules(&["<root><alias name='one'>two,n1</alias><alias name='two'>n2,one</alias></root>"]);
        let list = |text: &str| rules.identifiers(&super::super::said::list(text));
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(list("one"), (names(&["n2", "one", "n1"]), Spread::All));
        assert_eq!(list("n1,*"), (names(&["*"]), Spread::All));
        assert_eq!(list("#,n3"), (names(&["n3"]), Spread::Hash));
        assert_eq!(list("@"), (names(&["*"]), Spread::At));
        assert_eq!(list("@,#,n1,n1"), (names(&["n1"]), Spread::At));
    }

    #[test]
    fn signs_where_they_have_no_meaning() {
        let (rules, _) = rules(&["<root><application pattern='s'><identifiers>#,n1,n2</identifiers>\
            <start_sequence>5</start_sequence><programs><program name='p'><identifiers>#</identifiers></program>\
            </programs></application></root>"]);
        let (good, process, problems) = of(&rules, "s-3", "p");
        assert_eq!((good.start_sequence, good.spread, good.identifiers.len()), (5, Spread::Hash, 2));
        assert_eq!((process.spread, process.identifiers[0].as_str(), problems.len()), (Spread::All, "*", 1));
        let (bad, _, problems) = of(&rules, "s-0", "p");
        assert_eq!((bad.start_sequence, bad.stop_sequence, bad.identifiers.len(), problems.len()), (0, 5, 0, 2));
        let rows = [("a-1", Some(0)), ("a_12", Some(11)), ("a-0", None), ("a1", None), ("12", None), ("a-", None)];
        for (name, place) in rows {
            assert_eq!(place_of(name), place, "{name}");
        }
    }

    #[test]
    fn problems_have_their_lines() {
        let (_, problems) = rules(&["<root>\n<x/>\n<application/>\n<application name='a'><programs><program/>\n\
            <program pattern='('/><y/></programs></application><alias>a</alias></root>"]);
        let lines: Vec<&str> = problems.iter().map(|text| text.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["2", "3", "4", "5", "5", "5"], "{problems:?}");
    }

    #[test]
    fn aliases_and_patterns_have_an_end() {
        let aliases: String = (0..=ALIASES_MAX).map(|at| format!("<alias name='a{at}'>n</alias>")).collect();
        let (_, problems) = rules(&[&format!("<root>{aliases}</root>")]);
        assert_eq!(problems, ["1: <alias> a256: more than 256 aliases"]);
        let patterns: String = (0..=PATTERNS_MAX).map(|at| format!("<application pattern='p{at}-'/>")).collect();
        let (rules, problems) = rules(&[&format!("<root>{patterns}</root>")]);
        let last = |at: usize| rules.find(&format!("p{at}-")).is_some();
        assert_eq!((last(PATTERNS_MAX - 1), last(PATTERNS_MAX), problems.len()), (true, false, 1));
    }

    #[test]
    fn formulas_that_are_none_are_left_out() {
        let (rules, _) = rules(&["<root><application pattern='.'><operational_status>'a' and</operational_status>\
            </application></root>"]);
        let (rules, _, problems) = of(&rules, "a", "p");
        assert_eq!((rules.status_formula.as_str(), rules.formula.is_none()), ("", true));
        assert_eq!(problems, ["application a: operational_status is left out: it ends too early"]);
    }

    #[test]
    fn plain_options_and_a_file_over_them() {
        let (mut rules, _) = rules(&["<root><application name='g'><programs><program name='p'>\
            <required>false</required></program></programs></application></root>"]);
        let plain = |rank, required| Said { start_sequence: Some(rank), required, ..Said::default() };
        rules.plain_programs.insert("p".into(), plain(3, Some(true)));
        rules.plain_programs.insert("own".into(), plain(2, None));
        let (group, process, _) = of(&rules, "g", "p");
        assert_eq!((group.start_sequence, process.start_sequence, process.required), (1, 3, false));
        let (own, process, _) = of(&rules, "own", "own");
        assert_eq!((own.managed, own.start_sequence, process.start_sequence), (true, 2, 2));
        let (other, _, _) = of(&rules, "other", "own2");
        assert!(!other.managed);
    }
}
