//! Tables: a title, and a line for each value (V-303).

use super::Session;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// How wide a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// Two more than the longest that stands in it.
    Auto,
    /// So many characters, whatever is in them.
    Fixed(usize),
    /// As it is: the last one.
    Free,
}

/// Prints a table: a head with the names of columns, then the lines.
pub(super) fn print(session: &mut Session, columns: &[(&str, Width)], lines: &[Vec<String>]) {
    print_of(session, columns, lines, |_| true);
}

/// Prints those lines of a table that are meant; all of them say how wide it is.
pub(super) fn print_of(
    session: &mut Session,
    columns: &[(&str, Width)],
    lines: &[Vec<String>],
    is_meant: impl Fn(&[String]) -> bool,
) {
    let width = |at: usize, title: &str, width: Width| match width {
        Width::Fixed(width) => width,
        Width::Free => 0,
        Width::Auto => {
            let cells = lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.chars().count());
            cells.chain([title.chars().count()]).max().unwrap_or(0) + 2
        }
    };
    let widths: Vec<usize> = columns.iter().enumerate().map(|(at, (title, kind))| width(at, title, *kind)).collect();
    let titles: Vec<String> = columns.iter().map(|(title, _)| title.to_string()).collect();
    for line in std::iter::once(&titles).chain(lines.iter().filter(|line| is_meant(line))) {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        session.print(&cells.collect::<String>());
    }
}

/// A member of a struct as Python prints it.
pub(super) fn cell(value: &Value, member: &str) -> String {
    value.member(member).map(shown).unwrap_or_default()
}

/// A value as Python prints it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        other => pyrepr::value(other),
    }
}

/// The elements of an array; of anything else none.
pub(super) fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}
