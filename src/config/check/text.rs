//! What in the text of the files looks like something else than it is.

use crate::wire::ini::{Document, OddKind, Oddity};

use super::super::error::Place;
use super::finding::{Finding, Severity};

/// Options set twice, sections that go on elsewhere, lines swallowed as values, comments that begin within quotes or right
/// behind a value.
pub(super) fn look(document: &Document) -> Vec<Finding> {
    let mut found: Vec<Finding> = document.oddities.iter().filter_map(odd).collect();
    for section in &document.sections {
        for entry in &section.options {
            if let Some(mark) = glued_comment(&entry.key, &entry.value) {
                let text = format!(
                    "the {mark} in {} of [{}] begins no comment, for there is no blank before it: it is part of the value",
                    entry.key, section.name
                );
                found.push(Finding::at(Severity::Error, text, &entry.file, entry.line));
            }
        }
    }
    found
}

fn odd(odd: &Oddity) -> Option<Finding> {
    let Oddity { file, line, section, key, kind } = odd;
    let text = match kind {
        // The loader has said it of an environment, which does not load; others may hold quotes as they like.
        OddKind::CommentInQuotes { mark, .. } if key == "command" => format!(
            "a comment begins at \" {mark}\" inside the quotes of {key} in [{section}] and cuts it there: put the command into \
             a script"
        ),
        OddKind::CommentInQuotes { .. } => return None,
        OddKind::CommandCut { word } => {
            let text = format!(
                "a comment begins at \" {word}\" and cuts the command of [{section}] there: put quotes around it if it is meant for \
                 the command, else a blank behind the mark"
            );
            return Some(Finding::at(Severity::Warning, text, file, *line));
        }
        OddKind::Again { .. } if section == "include" && key.is_empty() => return None,
        OddKind::Again { file: before, .. } if section == "include" && before != file => {
            "an [include] in an included file is never read".to_string()
        }
        OddKind::Again { file, line } => {
            let before = Place { file: file.to_string(), line: Some(*line) };
            match key.as_str() {
                "" => {
                    format!("the section [{section}] is there twice, and both are taken as one: it begins at {before}")
                }
                _ => format!("{key} in [{section}] is set twice, and only this one counts: first at {before}"),
            }
        }
        OddKind::Swallowed { looks_like } => {
            format!("{looks_like} is indented, and so part of the value of {key} in [{section}]")
        }
    };
    Some(Finding::at(Severity::Error, text, file, *line))
}

/// `;comment` glued to a path. Elsewhere such a sign may be meant.
fn glued_comment(key: &str, value: &str) -> Option<char> {
    if !key.ends_with("logfile") {
        return None;
    }
    value.chars().find(|c| matches!(c, ';' | '#'))
}
