//! What a reader of the files may not have meant: places where the dialect means something else than it looks like. The
//! reading goes on as it always does; only whoever asks is told.

use std::rc::Rc;

/// A place where the dialect has another meaning than its look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// The file, as given to [`super::Document::read`].
    pub file: Rc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The section it belongs to.
    pub section: String,
    /// The option it belongs to; empty where it is the section itself.
    pub key: String,
    pub(crate) kind: OddKind,
}

/// What is odd about a line; see [`Oddity`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OddKind {
    /// A comment begins at this mark while quotes are open, and cuts the value (C-14).
    CommentInQuotes {
        /// What the comment begins with: `;` or `#`.
        mark: char,
        /// The line on which the option starts.
        option_line: u32,
    },
    /// A comment cuts a command, and does not look like one: nothing is behind its mark, or no blank.
    CommandCut {
        /// The comment from its mark to the first blank.
        word: String,
    },
    /// The option was set before, or the section was there before, and this one replaces or continues it (C-24).
    Again {
        /// The file where it was before.
        file: Rc<str>,
        /// The number of the line, from 1.
        line: u32,
    },
    /// The line is indented, so it belongs to the value of the option, although it looks like an option or a header.
    Swallowed {
        /// What it looks like: the name of an option, or the header with its brackets.
        looks_like: String,
    },
}

/// Most of them that are kept: nobody reads on, and a file of nothing else must not fill the memory.
const COUNT_MAX: usize = 1000;

/// Adds one, if there is room.
pub(super) fn note(oddities: &mut Vec<Oddity>, oddity: Oddity) {
    if oddities.len() < COUNT_MAX {
        oddities.push(oddity);
    }
}

/// Whether a value goes on in the next line for certain, whatever that looks like: quotes are open, it is a list that ends in a
/// comma, or a list of variables that goes on with one.
pub(super) fn goes_on(key: &str, value: &str, line: &str) -> bool {
    let is_quoted =
        |line: &str| line.split_once('=').is_some_and(|(_, rest)| rest.trim_start().starts_with(['"', '\'']));
    let (value, is_environment) = (value.trim_end(), key == "environment");
    value.ends_with(',') || is_environment && (value.is_empty() || is_quoted(line)) || ends_in_quotes(value)
}

/// Whether a value ends while quotes are open, by the rules of a shell.
pub(super) fn ends_in_quotes(value: &str) -> bool {
    let mut open = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (open, c) {
            (None, '\'' | '"') => open = Some(c),
            (Some(quote), _) if c == quote => open = None,
            (None | Some('"'), '\\') => {
                chars.next();
            }
            _ => {}
        }
    }
    open.is_some()
}

/// The first word of a comment behind a command, if it may have been meant for the command: `#fff`, and the lone `;` of
/// `find -exec`. What follows a mark and a blank is a comment for everybody, and so is a row of marks.
pub(super) fn part_of_command(comment: &str) -> Option<&str> {
    let rest = comment.trim_start_matches([';', '#']);
    let marks = comment.len() - rest.len();
    let word = comment.split_whitespace().next()?;
    match marks {
        1 if comment == ";" || word.len() > 1 => Some(word),
        _ => None,
    }
}

/// What a continuation line looks like, if that is an option `name=value` or a header: a name is lower case with underscores, as
/// all names of options are, so that arguments (`--name=x`) and variables (`NAME="x"`) are no options.
pub(super) fn looks_like(line: &str) -> Option<&str> {
    if line.starts_with('[') && line.ends_with(']') {
        return Some(line);
    }
    let at = line.find(['=', ':'])?;
    let (name, rest) = (line[..at].trim_end(), &line[at..]);
    // `http://x` is a value.
    if rest.starts_with(':') && !rest[1..].starts_with(char::is_whitespace) {
        return None;
    }
    let is_name = name.len() > 2 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_quotes() {
        let rows = [
            ("", false),
            ("it's", true),
            ("'a' \"b\"", false),
            ("sh -c 'while :", true),
            ("\"it's\"", false),
            ("\"it's", true),
            ("\\'", false),
            ("\"a\\\"", true),
            ("'a\\'", false),
        ];
        for (value, expected) in rows {
            assert_eq!(ends_in_quotes(value), expected, "{value:?}");
        }
    }

    #[test]
    fn comments_that_may_be_a_part_of_a_command() {
        let rows = [
            ("#fff", Some("#fff")),
            ("#fff --x", Some("#fff")),
            (";b c", Some(";b")),
            (";", Some(";")),
            ("#", None),
            ("; b", None),
            ("# b", None),
            (";; b", None),
            ("####", None),
            ("##x", None),
        ];
        for (comment, expected) in rows {
            assert_eq!(part_of_command(comment), expected, "{comment:?}");
        }
    }

    #[test]
    fn what_lines_look_like() {
        let rows = [
            ("autostart=true", Some("autostart")),
            ("stdout_logfile = x", Some("stdout_logfile")),
            ("autostart: false", Some("autostart")),
            ("autostart :\tfalse", Some("autostart")),
            ("http://x/?a=b", None),
            ("host:80", None),
            ("say hello: you", None),
            ("[program:b]", Some("[program:b]")),
            ("--bind=x", None),
            ("PATH=\"x\",", None),
            ("bin/x a=b", None),
            ("a=b", None),
            ("plain", None),
        ];
        for (line, expected) in rows {
            assert_eq!(looks_like(line), expected, "{line:?}");
        }
    }
}
