//! Changes made at run time, as a configuration file in Supervisor's own format.
//!
//! The file is merged after all others (`[stheno] dynamic_conf`), so it can add sections and overlay options, and
//! Supervisor 4.3.0 reads it through `[include]`. What the format cannot say, that a group or a single process of the
//! other files is gone, stands in a section of ours that Supervisor passes over. This module knows the text and its
//! meaning; what a change means for it is decided in `daemon::dynamic`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ini::{IniMap, iniwrites};

use super::types::Program;
use crate::wire::expand::{self, Names, Var};
use crate::wire::ini::Document;

/// The section of ours.
const OWN_SECTION: &str = "stheno:dynamic";
/// What stands in it: see [`Journal::gone`].
const GONE: &str = "gone";
/// Above everything. A file without it was written by hand, and need not end with [`TAIL`].
const HEAD: &str = "; Changes made at run time, written by supervisord. Stop it before editing, or reread afterwards;\n\
                    ; comments are not kept, and the last line must stay.\n\n";
/// Below everything: without it the file is torn.
const TAIL: &str = "; end of dynamic changes";
/// The sections that a change can make, besides groups.
const PROGRAMS: [&str; 3] = ["program:", "fcgi-program:", "eventlistener:"];
/// Expands to nothing. It stands where the dialect would take what follows for a comment, or drop blanks.
const NOTHING: &str = "%(here).0s";

/// Changes made at run time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Journal {
    /// `[group:x]` by `x`.
    pub groups: BTreeMap<String, Rc<Members>>,
    /// Every other section by its whole name (`program:x`): options, as they stand in a file.
    pub sections: BTreeMap<String, Rc<Options>>,
    /// What is gone although the sections make it: groups of the other files, processes of their programs as
    /// `group:process`, and processes of programs of the journal's own as `group:program:process`.
    pub gone: BTreeSet<String>,
}

/// Options in order: name in lower case, and text before expansion.
pub type Options = Vec<(String, String)>;

/// What a `[group:x]` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    /// Its priority.
    pub priority: i64,
    /// Names of the sections of its programs.
    pub programs: Vec<String>,
}

/// What a configuration carries along so that changes can be made to it at run time; only with `[stheno]`.
#[derive(Clone, Debug)]
pub struct Base {
    /// What the files say, without the journal.
    pub document: Rc<Document>,
    /// What has become of the journal.
    pub journal: Source,
}

/// The journal at the moment of reading.
#[derive(Clone, Debug)]
pub enum Source {
    /// None is configured: changes are gone at shutdown.
    Off,
    /// There is no file yet.
    Absent,
    /// It was read.
    Read {
        /// Its meaning.
        journal: Journal,
        /// Its bytes.
        text: Rc<[u8]>,
    },
    /// It was left out, for this reason; nothing may be written over it.
    Broken(String),
}

impl Journal {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.sections.is_empty() && self.gone.is_empty()
    }

    /// The text of the file.
    ///
    /// Errors: a value that no file can hold. Nothing else can fail: names were checked by [`is_plain`] before.
    pub fn text(&self) -> Result<String, String> {
        let mut map = IniMap::default();
        for (name, members) in &self.groups {
            let programs = members.programs.join(",");
            let options = [("programs", programs), ("priority", members.priority.to_string())];
            let options = options.into_iter().map(|(key, value)| (key.to_string(), Some(value)));
            map.insert(format!("group:{name}"), options.collect());
        }
        for (name, options) in &self.sections {
            let encoded = options.iter().map(|(key, value)| match encode(value) {
                Some(value) => Ok((key.clone(), Some(value.into_owned()))),
                None => {
                    Err(format!("the value of {key} holds a carriage return, which no configuration file can hold"))
                }
            });
            map.insert(name.clone(), encoded.collect::<Result<_, String>>()?);
        }
        if !self.gone.is_empty() {
            let gone: Vec<&str> = self.gone.iter().map(String::as_str).collect();
            map.insert(OWN_SECTION.to_string(), [(GONE.to_string(), Some(gone.join(",")))].into_iter().collect());
        }
        Ok(format!("{HEAD}{}\n{TAIL}\n", iniwrites!(map)))
    }

    /// The meaning of a text; an empty one counts as torn.
    ///
    /// Errors: why it cannot be understood; then it must be neither used nor overwritten.
    pub fn parse(text: &str, file: &str) -> Result<Journal, String> {
        let is_ours = text.starts_with(HEAD) || HEAD.starts_with(text);
        if is_ours && text.trim_end().lines().next_back() != Some(TAIL) {
            return Err(format!("its last line is not \"{TAIL}\": it is torn"));
        }
        let mut document = Document::default();
        document.read(text, file).map_err(|error| error.to_string())?;
        if !document.defaults.options.is_empty() {
            return Err("it has a section [DEFAULT]".to_string());
        }
        let mut journal = Journal::default();
        for section in &document.sections {
            let value = |key: &str| section.get(key).map_or("", |entry| entry.value.as_str());
            if let Some(group) = section.name.strip_prefix("group:") {
                let priority = section.get("priority").map_or("999", |entry| entry.value.as_str());
                let priority = priority.parse().map_err(|_| format!("[{}] has no valid priority", section.name))?;
                let members = Members { priority, programs: list(value("programs")) };
                journal.groups.insert(group.to_string(), Rc::new(members));
            } else if section.name == OWN_SECTION {
                journal.gone = list(value(GONE)).into_iter().collect();
            } else if !PROGRAMS.iter().any(|kind| section.name.starts_with(kind)) {
                return Err(format!("it has a section [{}], which no change at run time makes", section.name));
            } else {
                let options = section.options.iter().map(|entry| (entry.key.clone(), entry.value.clone()));
                journal.sections.insert(section.name.clone(), Rc::new(options.collect()));
            }
        }
        Ok(journal)
    }

    /// What of it can be laid over what the other files say now, and a message for each part that cannot: options of a
    /// program that is no longer in them, members of a group that nobody has. These parts stay in the file, should the
    /// program come back. Members that a group has got meanwhile are its members.
    pub fn settle(&self, base: &Document) -> (Journal, Vec<String>) {
        let mut settled = self.clone();
        let mut left_out = Vec::new();
        settled.sections.retain(|name, options| {
            let is_whole = options.iter().any(|(key, _)| key == "command");
            if !is_whole && base.section(name).is_none() {
                left_out.push(format!("the options of [{name}], which is in no file any more"));
                return false;
            }
            true
        });
        let sections = &settled.sections;
        let is_there = |program: &String| {
            PROGRAMS.iter().map(|kind| format!("{kind}{program}")).any(|name| base.section(&name).is_some())
                || sections.contains_key(&format!("program:{program}"))
        };
        for (name, members) in &mut settled.groups {
            let said = base.section(&format!("group:{name}")).and_then(|section| section.get("programs"));
            let mut programs = said.map_or(Vec::new(), |entry| list(&entry.value));
            for program in &members.programs {
                if programs.contains(program) {
                    continue;
                }
                if is_there(program) {
                    programs.push(program.clone());
                } else {
                    left_out.push(format!("{program} in group {name}, which is in no file any more"));
                }
            }
            if programs != members.programs {
                Rc::make_mut(members).programs = programs;
            }
        }
        (settled, left_out)
    }

    /// Takes what is gone out of the processes that a section makes in a group; `own` is its program, if that is one of
    /// the journal's own.
    pub fn prune(&self, group: &str, own: Option<&str>, processes: &mut Vec<Rc<Program>>) {
        if self.gone_in(group).next().is_some() {
            processes.retain(|process| !self.gone.contains(&gone(group, own, &process.name)));
        }
    }

    /// What is gone in a group.
    fn gone_in(&self, group: &str) -> impl Iterator<Item = &String> {
        let prefix = format!("{group}:");
        self.gone.range(prefix.clone()..).take_while(move |name| name.starts_with(&prefix))
    }

    /// Takes what is gone in a group, or of one program of the journal's own in it, off the list.
    pub fn bring_back(&mut self, group: &str, own: Option<&str>) {
        let prefix = gone(group, own, "");
        self.gone.retain(|name| !name.starts_with(&prefix));
    }
}

/// The entry of a process in [`Journal::gone`]; `own` is its program, if that is one of the journal's own.
pub fn gone(group: &str, own: Option<&str>, process: &str) -> String {
    match own {
        Some(program) => format!("{group}:{program}:{process}"),
        None => format!("{group}:{process}"),
    }
}

/// What commas separate, without the blanks around it.
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_string).collect()
}

/// Whether a name can stand in a section's header and in a list, whatever surrounds it.
pub fn is_plain(name: &str) -> bool {
    let is_safe = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '[' | ']' | ',' | ':' | '%');
    !name.is_empty() && !name.starts_with([';', '#']) && name.chars().all(is_safe)
}

/// A value so that the dialect gives it back: continued lines are indented, and [`NOTHING`] keeps comment signs from
/// following a blank and blanks from standing at an end. `None` if that is not possible.
fn encode(value: &str) -> Option<Cow<'_, str>> {
    if value.contains('\r') {
        return None;
    }
    let mut lines = value.split('\n').map(encode_line);
    let first = lines.next()?;
    if !value.contains('\n') {
        return Some(first);
    }
    let mut out = first.into_owned();
    for line in lines {
        out.push_str("\n\t");
        out.push_str(if line.is_empty() { NOTHING } else { &line });
    }
    Some(Cow::Owned(out))
}

/// What Python takes for a blank: a comment may begin after it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn encode_line(line: &str) -> Cow<'_, str> {
    let is_end_safe = |c: Option<char>| c.is_none_or(|c| c.is_ascii_graphic() || c.is_alphanumeric());
    let mut before = None;
    let has_comment = line.chars().any(|c| {
        let is_comment = matches!(c, ';' | '#') && before.is_none_or(is_space);
        before = Some(c);
        is_comment
    });
    if !has_comment && is_end_safe(line.chars().next()) && is_end_safe(line.chars().next_back()) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len() + 2 * NOTHING.len());
    let mut before = ' ';
    for c in line.chars() {
        let guards = if out.is_empty() { !is_end_safe(Some(c)) } else { false };
        if guards || (matches!(c, ';' | '#') && is_space(before)) {
            out.push_str(NOTHING);
        }
        out.push(c);
        before = c;
    }
    if !is_end_safe(Some(before)) {
        out.push_str(NOTHING);
    }
    Cow::Owned(out)
}

/// A value in which the program's name stands for itself, because the section is called otherwise.
pub fn with_name(value: &str, program: &str) -> String {
    const START: &str = "%(program_name)";
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = conversion_length(rest);
        let (token, behind) = rest.split_at(length);
        match token.starts_with(START).then(|| expand::expand(token, &OneName(program))) {
            Some(Ok(text)) => out.push_str(&text.replace('%', "%%")),
            _ => out.push_str(token),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Bytes of the conversion that a text begins with: `%%`, or `%(name)02d` up to the letter.
fn conversion_length(text: &str) -> usize {
    let Some(close) = text.starts_with("%(").then(|| text.find(')')).flatten() else {
        return text.chars().take(2).map(char::len_utf8).sum();
    };
    let letter = text[close..].char_indices().find(|(_, c)| c.is_alphabetic());
    letter.map_or(text.len(), |(at, c)| close + at + c.len_utf8())
}

struct OneName<'a>(&'a str);

impl Names for OneName<'_> {
    fn get(&self, name: &str) -> Option<Var<'_>> {
        (name == "program_name").then_some(Var::Text(self.0))
    }

    fn all(&self) -> Vec<String> {
        vec!["program_name".to_string()]
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::super::reader::Scope;
    use super::*;

    fn read_back(text: &str, section: &str, key: &str) -> String {
        let mut document = Document::default();
        document.read(text, "J").unwrap();
        let scope = Scope { here: Some("/h"), ..Scope::default() };
        let value = &document.section(section).unwrap().get(key).unwrap().value;
        scope.expand(value, String::new).unwrap().into_owned()
    }

    #[test]
    fn values_survive() {
        let rows = [
            "plain",
            "",
            ";x",
            "#x",
            "a ;b",
            "a #b ; c",
            "a;b",
            " a",
            "a ",
            " ",
            "\t",
            "\ta\u{a0}",
            "a\nb",
            "a\n\nb",
            "a\n",
            "\na",
            "\n",
            "a\n  b  \n\tc",
            "a\n;b\n# c\n ; d",
            "x=1",
            "a: b",
            "[x]",
            "a\n[x]\nb=1",
            "é ;ü",
            "a\u{3000};b",
            "a\u{1f}",
            "\u{1c};",
            "sh -c \"a ; b # c\"",
            "\"",
            "A=\"1\",\n B='2'",
        ];
        for value in rows {
            let mut journal = Journal::default();
            let options = vec![("first".to_string(), "1".into()), ("v".into(), value.into()), ("w".into(), "2".into())];
            journal.sections.insert("program:x".to_string(), Rc::new(options));
            let text = journal.text().unwrap();
            assert_eq!(read_back(&text, "program:x", "v"), value, "{text}");
            assert_eq!(read_back(&text, "program:x", "w"), "2", "{text}");
            // What was read is written again as it was.
            let again = Journal::parse(&text, "J").unwrap();
            assert_eq!(again.text().unwrap(), text, "{value:?}");
            assert_eq!(read_back(&again.text().unwrap(), "program:x", "v"), value, "{value:?}");
        }
        let mut journal = Journal::default();
        journal.sections.insert("program:x".to_string(), Rc::new(vec![("v".into(), "a\rb".into())]));
        assert!(journal.text().is_err());
    }

    fn sample() -> Journal {
        let mut journal = Journal::default();
        let programs = vec!["a".to_string(), "b".to_string()];
        journal.groups.insert("g".to_string(), Rc::new(Members { priority: -5, programs }));
        journal.groups.insert("empty".to_string(), Rc::new(Members { priority: 1, programs: Vec::new() }));
        journal.sections.insert("program:a".to_string(), Rc::new(vec![("command".into(), "x 100%%".into())]));
        journal.gone = ["h".to_string(), "i:j".to_string()].into();
        journal
    }

    #[test]
    fn text_and_meaning() {
        let text = sample().text().unwrap();
        assert_eq!(
            text.strip_prefix(HEAD).unwrap(),
            "[group:empty]\nprograms=\npriority=1\n[group:g]\nprograms=a,b\npriority=-5\n\
             [program:a]\ncommand=x 100%%\n[stheno:dynamic]\ngone=h,i:j\n\n; end of dynamic changes\n"
        );
        assert_eq!(Journal::parse(&text, "J"), Ok(sample()));
        let empty = Journal::default().text().unwrap();
        assert_eq!(Journal::parse(&empty, "J"), Ok(Journal::default()));
    }

    #[test]
    fn every_torn_text_is_noticed() {
        let text = sample().text().unwrap();
        for end in 0..text.len() - 1 {
            assert!(Journal::parse(&text[..end], "J").is_err(), "{end}");
        }
        let edited = text.replace("priority=1\n", "priority=x\n");
        assert_eq!(Journal::parse(&edited, "J"), Err("[group:empty] has no valid priority".to_string()));
        let edited = text.replace("[group:g]\n", "[supervisord]\nidentifier=x\n[group:g]\n");
        let foreign = "it has a section [supervisord], which no change at run time makes";
        assert_eq!(Journal::parse(&edited, "J"), Err(foreign.to_string()));
        let edited = text.replace("[group:g]\n", "[group:g]\njunk\n");
        assert!(Journal::parse(&edited, "J").unwrap_err().contains("parsing errors"));
    }

    #[test]
    fn it_settles_on_files_that_have_changed() {
        let amended = |name: &str| (name.to_string(), Rc::new(vec![("numprocs".to_string(), "2".to_string())]));
        let members = |programs: &str| Rc::new(Members { priority: 1, programs: list(programs) });
        let journal = Journal {
            groups: [("k".to_string(), members("k,own")), ("g".to_string(), members("a,b,own"))].into(),
            sections: [
                amended("program:w"),
                amended("program:a"),
                ("program:own".to_string(), Rc::new(vec![("command".to_string(), "x".to_string())])),
            ]
            .into(),
            gone: BTreeSet::new(),
        };
        let rows = [
            (
                "[program:k]\n[program:w]\n[group:g]\nprograms=a,b\n[program:a]\n[program:b]\n",
                "k,own",
                "a,b,own",
                3,
                vec![],
            ),
            (
                "[program:w]\n[group:g]\nprograms=new,a\n[program:a]\n[program:new]\n",
                "own",
                "new,a,own",
                3,
                vec!["b in group g, which is in no file any more", "k in group k, which is in no file any more"],
            ),
            (
                "[program:k]\n[program:b]\n",
                "k,own",
                "b,own",
                1,
                vec![
                    "a in group g, which is in no file any more",
                    "the options of [program:a], which is in no file any more",
                    "the options of [program:w], which is in no file any more",
                ],
            ),
        ];
        for (text, k, g, sections, messages) in rows {
            let mut base = Document::default();
            base.read(text, "F").unwrap();
            let (settled, mut left_out) = journal.settle(&base);
            left_out.sort();
            let programs = |group: &str| settled.groups[group].programs.join(",");
            assert_eq!((programs("k").as_str(), programs("g").as_str()), (k, g), "{text:?}");
            assert_eq!(
                (settled.sections.len(), left_out),
                (sections, messages.iter().map(|m| m.to_string()).collect()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_gone_is_left_out() {
        let text = "[supervisord]\n[program:b]\ncommand=b\nnumprocs=3\nprocess_name=b%(process_num)d\n";
        let all = Fake::new().load(text).unwrap().groups[0].processes.clone();
        let journal = Journal { gone: ["b:b1".to_string(), "b:b:b2".into(), "c".into()].into(), ..Journal::default() };
        for (group, own, expected) in
            [("b", None, "b0 b2"), ("b", Some("b"), "b0 b1"), ("b", Some("x"), "b0 b1 b2"), ("c", None, "b0 b1 b2")]
        {
            let mut processes = all.clone();
            journal.prune(group, own, &mut processes);
            let names: Vec<_> = processes.iter().map(|process| process.name.as_str()).collect();
            assert_eq!(names.join(" "), expected, "{group} {own:?}");
        }
    }

    #[test]
    fn a_name_stands_for_itself() {
        let rows = [
            ("x", "x"),
            ("%(program_name)s", "a"),
            ("-%(program_name)-3s|%(program_name)s%%(program_name)s", "-a  |a%%(program_name)s"),
            ("%(process_num)02d %(ENV_program_name)s %%", "%(process_num)02d %(ENV_program_name)s %%"),
            ("%(program_name", "%(program_name"),
            ("%(program_name)", "%(program_name)"),
            ("é%", "é%"),
        ];
        for (value, expected) in rows {
            assert_eq!(with_name(value, "a"), expected, "{value:?}");
        }
        assert_eq!(with_name("%(program_name)s", "a%b"), "a%%b");
    }

    #[test]
    fn plain_names() {
        for name in ["a", "a.b-c_1", "é", "a;b"] {
            assert!(is_plain(name), "{name:?}");
        }
        for name in ["", "a b", "a:b", "a]b", ";a", "#a", "a,b", "a\nb", "a%b"] {
            assert!(!is_plain(name), "{name:?}");
        }
    }
}
