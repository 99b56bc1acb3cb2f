//! The INI dialect of Supervisor's files (C-10 to C-29): what Python's `RawConfigParser` reads, as Supervisor sets it up
//! (options may repeat, both `;` and `#` start a comment after a blank, no interpolation).
//!
//! [`decode`] makes text of a file's bytes, [`Document::read`] merges one file into a document, and a document answers by
//! section and option, falling back to `[DEFAULT]`. Each option knows its file and line. Nothing here knows what an option
//! means, opens a file or expands a value; only the textual `%(here)s` pass of C-49 is here, because it runs on raw values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use super::pyrepr;

mod odd;
pub use odd::{OddKind, Oddity};

/// The section whose options are fallbacks for all others (C-25).
const DEFAULT: &str = "DEFAULT";
/// The text that [`Document::expand_here`] replaces.
const HERE: &str = "%(here)s";
/// Up to this many options a section is searched in order; only beyond is there a hash table. Ordinary sections have
/// fewer, and comparing a few short names is quicker than hashing one.
const SCAN_MAX: usize = 32;

/// What one or more files say.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The sections in order of their first appearance, each once.
    pub sections: Vec<Section>,
    /// The options of `[DEFAULT]`, which is not among the sections.
    pub defaults: Section,
    /// What a reader of the files may not have meant, in their order.
    pub oddities: Vec<Oddity>,
    index: HashMap<String, usize>,
    /// What the `%(here)s` pass has not seen yet.
    fresh: Fresh,
}

/// One section and its own options.
#[derive(Clone, Debug)]
pub struct Section {
    /// What stands between the brackets, as written.
    pub name: String,
    /// The file in which the section first appeared.
    pub file: Rc<str>,
    /// The line of its first header there, from 1.
    pub line: u32,
    /// The options in order of their first appearance, each name once; [`Section::set`] adds to them.
    pub options: Vec<Entry>,
    /// Where the options stand that came before the last few; see [`Section::position`].
    index: HashMap<String, usize>,
    /// Bit n: there is or was an option whose name has n bytes, or n and a multiple of 64. A program is asked for a hundred
    /// options of which it has five.
    lengths: u64,
}

/// An option as it stands in the file: name, value, line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, in lower case.
    pub key: String,
    /// The value; lines of a continued one are joined by `\n`.
    pub value: String,
    /// The file that set this value.
    pub file: Rc<str>,
    /// The line in that file, from 1, on which the option starts.
    pub line: u32,
}

/// Why a file is not in the dialect. Displays as the original words it (C-27, C-29).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IniError {
    /// Something stands before the first header.
    NoHeader {
        /// The file, as given to [`Document::read`].
        file: String,
        /// The line, from 1.
        line: u32,
        /// The line's text, with its end.
        text: String,
    },
    /// Lines that are neither header, option nor continuation; all of the file's.
    BadLines {
        /// The file, as given to [`Document::read`].
        file: String,
        /// Number, from 1, and text of each line.
        lines: Vec<(u32, String)>,
    },
}

#[derive(Clone, Debug, Default)]
struct Fresh {
    /// Index of section and of option in it; entries repeat if a file sets an option twice.
    entries: Vec<(usize, usize)>,
    /// Sections from this one on are new.
    sections_from: usize,
    defaults_changed: bool,
}

/// Which section the lines belong to.
#[derive(Clone, Copy, PartialEq)]
enum Target {
    Defaults,
    Section(usize),
}

/// An option whose value may go on with the next line.
struct Open {
    target: Target,
    option: usize,
}

/// The line, from 1, of the first byte that is no text.
pub fn undecodable_line(bytes: &[u8]) -> u32 {
    let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let text = std::str::from_utf8(&bytes[..valid]).unwrap_or_default();
    1 + universal_newlines(text).matches('\n').count() as u32
}

/// Text of a file's bytes.
///
/// Errors: the message of C-10. Positions count bytes from the start of the file.
pub fn decode(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        let len = error.error_len().unwrap_or(bytes.len() - start);
        let reason = match (error.error_len(), bytes.get(start)) {
            (None, _) => "unexpected end of data",
            (_, Some(0xc2..=0xf4)) => "invalid continuation byte",
            _ => "invalid start byte",
        };
        match bytes.get(start) {
            Some(byte) if len == 1 => {
                format!("'utf-8' codec can't decode byte 0x{byte:02x} in position {start}: {reason}")
            }
            _ => format!("'utf-8' codec can't decode bytes in position {start}-{}: {reason}", start + len - 1),
        }
    })
}

impl Document {
    /// Merges one file into the document: sections that are there already are continued, options that are there already
    /// are replaced (C-24). `file` is the name for messages.
    ///
    /// Errors: the document then holds part of the file and is of no further use.
    pub fn read(&mut self, text: &str, file: &str) -> Result<(), IniError> {
        let name: Rc<str> = Rc::from(file);
        let text = universal_newlines(text);
        let mut target: Option<Target> = None;
        let mut open: Option<Open> = None;
        let mut indent = 0;
        let mut bad_lines = Vec::new();
        for (line, number) in text.split_inclusive('\n').zip(1..) {
            let comment = comment_start(line);
            let value = line[..comment.unwrap_or(line.len())].trim_matches(is_space);
            if value.is_empty() {
                // A blank line belongs to the value if that goes on below it; a comment vanishes altogether (C-13, C-22).
                if let (None, Some(open)) = (comment, &open) {
                    self.option_mut(open).value.push('\n');
                }
                continue;
            }
            let line_indent = line.chars().take_while(|&c| is_space(c)).count();
            let comment = comment.map(|at| line[at..].trim_end_matches(is_space));
            if let Some(open) = open.as_ref().filter(|_| line_indent > indent) {
                let option = self.option_mut(open);
                let name = odd::looks_like(value).filter(|_| !odd::goes_on(&option.key, &option.value, value));
                option.value.push('\n');
                option.value.push_str(value);
                if let Some(name) = name {
                    self.note(open, number, OddKind::Swallowed { looks_like: name.to_string() });
                }
                self.note_cut(open, number, comment);
                continue;
            }
            indent = line_indent;
            if let Some(header) = header(value) {
                self.close(open.take());
                target = Some(self.enter(header, &name, number));
                continue;
            }
            let Some(target) = target else {
                return Err(IniError::NoHeader { file: file.to_string(), line: number, text: line.to_string() });
            };
            match split_option(value) {
                Some((key, value)) => {
                    self.close(open.take());
                    let option = self.set(target, key.to_lowercase(), value.to_string(), &name, number);
                    let opened = Open { target, option };
                    self.note_cut(&opened, number, comment);
                    open = Some(opened);
                }
                // What is below an option without a name does not continue it.
                None if value.starts_with(DELIMITERS) => {
                    self.close(open.take());
                    bad_lines.push((number, line.to_string()));
                }
                // The option above stays open: a deeper line below still belongs to it.
                None => bad_lines.push((number, line.to_string())),
            }
        }
        self.close(open);
        if bad_lines.is_empty() {
            return Ok(());
        }
        Err(IniError::BadLines { file: file.to_string(), lines: bad_lines })
    }

    /// The section of that name; never `[DEFAULT]`.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.get(*self.index.get(name)?)
    }

    /// The same, to be changed.
    pub fn section_mut(&mut self, name: &str) -> Option<&mut Section> {
        self.sections.get_mut(*self.index.get(name)?)
    }

    /// The option as it holds in a section: its own, else that of `[DEFAULT]` (C-25). Nothing holds in a section that
    /// does not exist.
    pub fn get(&self, section: &str, key: &str) -> Option<&Entry> {
        self.section(section)?.get(key).or_else(|| self.defaults.get(key))
    }

    /// All options that hold in a section: its own, then those of `[DEFAULT]` that it does not set itself.
    pub fn options<'a>(&'a self, section: &'a Section) -> impl Iterator<Item = &'a Entry> {
        let inherited = self.defaults.options.iter().filter(|entry| section.get(&entry.key).is_none());
        section.options.iter().chain(inherited)
    }

    /// Replaces the text `%(here)s` by a directory in all that was read since the last call (C-49). To be called after each
    /// file, with that file's directory, if the main file has an `[include]` section.
    ///
    /// A default with that text becomes an option of each section that has none of its own, as in the original: the
    /// directory is that of the file in which the section stands.
    pub fn expand_here(&mut self, here: &str) {
        let fresh = std::mem::take(&mut self.fresh);
        for (section, option) in fresh.entries {
            let entry = &mut self.sections[section].options[option];
            if entry.value.contains(HERE) {
                entry.value = entry.value.replace(HERE, here);
            }
        }
        let from = if fresh.defaults_changed { 0 } else { fresh.sections_from };
        for default in self.defaults.options.iter().filter(|entry| entry.value.contains(HERE)) {
            let value = default.value.replace(HERE, here);
            for section in self.sections.iter_mut().skip(from) {
                if section.get(&default.key).is_none() {
                    section.set(Entry { value: value.clone(), ..default.clone() });
                }
            }
        }
        self.fresh.sections_from = self.sections.len();
    }

    /// Gives the option that starts on that line of that file another value, chosen by its name, or takes it out.
    pub fn amend(&mut self, file: &str, line: u32, value: impl Fn(&str) -> Option<&'static str>) {
        for section in self.sections.iter_mut().chain([&mut self.defaults]) {
            section.amend(file, line, &value);
        }
    }

    /// Makes a section the current one, new or not.
    fn enter(&mut self, name: &str, file: &Rc<str>, line: u32) -> Target {
        if name == DEFAULT {
            if self.defaults.line == 0 {
                self.defaults = Section::new(DEFAULT, file.clone(), line);
            }
            return Target::Defaults;
        }
        if let Some(&section) = self.index.get(name) {
            let before = &self.sections[section];
            let kind = OddKind::Again { file: Rc::clone(&before.file), line: before.line };
            let (file, section_name) = (Rc::clone(file), name.to_string());
            odd::note(&mut self.oddities, Oddity { file, line, section: section_name, key: String::new(), kind });
            return Target::Section(section);
        }
        self.index.insert(name.to_string(), self.sections.len());
        self.sections.push(Section::new(name, file.clone(), line));
        Target::Section(self.sections.len() - 1)
    }

    fn set(&mut self, target: Target, key: String, value: String, file: &Rc<str>, line: u32) -> usize {
        if let Some(before) = self.target(target).get(&key) {
            let kind = OddKind::Again { file: Rc::clone(&before.file), line: before.line };
            let (section, key) = (self.target(target).name.clone(), key.clone());
            odd::note(&mut self.oddities, Oddity { file: Rc::clone(file), line, section, key, kind });
        }
        let option = self.target_mut(target).set(Entry { key, value, file: file.clone(), line });
        match target {
            Target::Defaults => self.fresh.defaults_changed = true,
            Target::Section(section) => self.fresh.entries.push((section, option)),
        }
        option
    }

    /// Notes that a comment cuts a value within quotes, or a command and may be a part of it.
    fn note_cut(&mut self, open: &Open, line: u32, comment: Option<&str>) {
        let Some((comment, mark)) = comment.and_then(|comment| Some((comment, comment.chars().next()?))) else {
            return;
        };
        let option = &self.target(open.target).options[open.option];
        if odd::ends_in_quotes(&option.value) {
            let option_line = option.line;
            self.note(open, line, OddKind::CommentInQuotes { mark, option_line });
        } else if option.key == "command"
            && let Some(word) = odd::part_of_command(comment)
        {
            self.note(open, line, OddKind::CommandCut { word: word.to_string() });
        }
    }

    fn note(&mut self, open: &Open, line: u32, kind: OddKind) {
        let section = self.target(open.target);
        let option = &section.options[open.option];
        let (file, section, key) = (Rc::clone(&option.file), section.name.clone(), option.key.clone());
        odd::note(&mut self.oddities, Oddity { file, line, section, key, kind });
    }

    /// Ends a value: what trails, empty lines above all, is dropped.
    fn close(&mut self, open: Option<Open>) {
        if let Some(open) = open {
            let value = &mut self.option_mut(&open).value;
            value.truncate(value.trim_end_matches(is_space).len());
        }
    }

    fn option_mut(&mut self, open: &Open) -> &mut Entry {
        &mut self.target_mut(open.target).options[open.option]
    }

    fn target(&self, target: Target) -> &Section {
        match target {
            Target::Defaults => &self.defaults,
            Target::Section(section) => &self.sections[section],
        }
    }

    fn target_mut(&mut self, target: Target) -> &mut Section {
        match target {
            Target::Defaults => &mut self.defaults,
            Target::Section(section) => &mut self.sections[section],
        }
    }
}

impl Default for Section {
    fn default() -> Section {
        Section::new("", Rc::from(""), 0)
    }
}

impl Section {
    /// A section without options.
    pub fn new(name: &str, file: Rc<str>, line: u32) -> Section {
        Section { name: name.to_string(), file, line, options: Vec::new(), index: HashMap::new(), lengths: 0 }
    }

    /// The option of that name, in lower case, if the section itself sets it.
    #[inline]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        if self.lengths & length_bit(key) == 0 {
            return None;
        }
        self.position(key).map(|option| &self.options[option])
    }

    /// Sets an option; one of the same name is replaced where it stands. Returns its index.
    pub fn set(&mut self, entry: Entry) -> usize {
        if let Some(option) = self.position(&entry.key) {
            self.options[option] = entry;
            return option;
        }
        self.lengths |= length_bit(&entry.key);
        self.options.push(entry);
        let indexed = self.index.len();
        if self.options.len() - indexed > SCAN_MAX {
            let tail = self.options.iter().enumerate().skip(indexed);
            self.index.extend(tail.map(|(option, entry)| (entry.key.clone(), option)));
        }
        self.options.len() - 1
    }

    fn amend(&mut self, file: &str, line: u32, value: impl Fn(&str) -> Option<&'static str>) {
        let Some(at) = self.options.iter().position(|entry| entry.line == line && &*entry.file == file) else { return };
        match value(&self.options[at].key) {
            Some(value) => self.options[at].value = value.to_string(),
            None => {
                self.options.remove(at);
                // What it says of the others is wrong now; without it they are searched one by one.
                self.index.clear();
            }
        }
    }

    /// The index holds the first options, in batches; the few after them are compared one by one.
    fn position(&self, key: &str) -> Option<usize> {
        let indexed = self.index.len();
        if let Some(&option) = self.index.get(key) {
            return Some(option);
        }
        self.options.iter().skip(indexed).position(|entry| entry.key == key).map(|tail| indexed + tail)
    }
}

impl fmt::Display for IniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IniError::NoHeader { file, line, text } => {
                let (file, text) = (pyrepr::text(file), pyrepr::text(text));
                write!(f, "File contains no section headers.\nfile: {file}, line: {line}\n{text}")
            }
            IniError::BadLines { file, lines } => {
                write!(f, "Source contains parsing errors: {}", pyrepr::text(file))?;
                lines.iter().try_for_each(|(line, text)| write!(f, "\n\t[line {line:2}]: {}", pyrepr::text(text)))
            }
        }
    }
}

impl std::error::Error for IniError {}

/// What ends an option's name.
const DELIMITERS: [char; 2] = ['=', ':'];

/// `\r\n` and a lone `\r` end a line like `\n` (C-12).
fn universal_newlines(text: &str) -> Cow<'_, str> {
    if !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Python's `str.isspace`, which also counts the four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Where the comment of a line starts, in bytes; at its beginning if it has nothing else (C-13, C-14).
fn comment_start(line: &str) -> Option<usize> {
    if line.trim_start_matches(is_space).starts_with([';', '#']) {
        return Some(0);
    }
    // The original looks at the next `;` and the next `#` together, and stops at the first such round that finds one
    // behind a blank. So in `x;y ;c #d` it is the `#`: it was met while the other prefix was still at the first `;`.
    let mut semicolons = positions(line, ';');
    let mut hashes = positions(line, '#');
    loop {
        let round = [semicolons.next(), hashes.next()];
        if round == [None, None] {
            return None;
        }
        let is_comment = |at: &usize| line[..*at].ends_with(is_space);
        if let Some(at) = round.into_iter().flatten().filter(is_comment).min() {
            return Some(at);
        }
    }
}

fn length_bit(key: &str) -> u64 {
    1 << (key.len() % 64)
}

fn positions(line: &str, prefix: char) -> impl Iterator<Item = usize> + '_ {
    line.match_indices(prefix).map(|(at, _)| at)
}

/// The name in a header: up to the last bracket, not stripped, not empty (C-17).
fn header(value: &str) -> Option<&str> {
    let inside = value.strip_prefix('[')?;
    let name = &inside[..inside.rfind(']')?];
    (!name.is_empty()).then_some(name)
}

/// Name and value around the first delimiter, both stripped; nothing if there is none or no name before it (C-19, C-27).
fn split_option(value: &str) -> Option<(&str, &str)> {
    let (key, value) = value.split_once(DELIMITERS)?;
    let key = key.trim_end_matches(is_space);
    (!key.is_empty()).then(|| (key, value.trim_start_matches(is_space)))
}

#[cfg(test)]
mod tests;
