//! A line of the log that whoever sends input could cause again and again: the first is written at once, those that
//! follow are counted and named together, once a second at most.

use std::time::Duration;

use crate::clock::Mono;

/// Between two lines of a kind: a reader still sees what goes on, and a flood of them costs nothing.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Occurrences of one kind of line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// Those that no line has named yet.
    unnamed: u64,
    /// When the next line may be written; `None` before the first.
    next: Option<Mono>,
}

impl Counted {
    /// It has happened once more. The number of times that a line is to name now, if there is to be one.
    pub fn note(&mut self, now: Mono) -> Option<u64> {
        self.unnamed += 1;
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        self.next = Some(now.after(LINE_EVERY));
        Some(std::mem::take(&mut self.unnamed))
    }

    /// The number of times that a line is to name now although nothing more has happened.
    pub fn due(&mut self, now: Mono) -> Option<u64> {
        if self.deadline().is_none_or(|at| now < at) {
            return None;
        }
        self.next = Some(now.after(LINE_EVERY));
        Some(std::mem::take(&mut self.unnamed))
    }

    /// When [`Counted::due`] has something to say; `None` while nothing is unnamed.
    pub fn deadline(&self) -> Option<Mono> {
        self.next.filter(|_| self.unnamed > 0)
    }
}

/// What stands behind a line that names several: nothing behind one that names one.
pub fn times(count: u64) -> String {
    if count == 1 { String::new() } else { format!(" ({count} times)") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn one_at_once_and_the_rest_once_a_second() {
        let mut counted = Counted::default();
        assert_eq!((counted.deadline(), counted.due(Mono(0))), (None, None));
        assert_eq!(counted.note(Mono(5 * MS)), Some(1));
        assert_eq!(counted.deadline(), None, "nothing is left to be said");
        assert_eq!([counted.note(Mono(6 * MS)), counted.note(Mono(900 * MS))], [None, None]);
        assert_eq!(counted.deadline(), Some(Mono(1005 * MS)));
        assert_eq!(counted.due(Mono(1004 * MS)), None);
        assert_eq!(counted.due(Mono(1005 * MS)), Some(2));
        assert_eq!(counted.note(Mono(1006 * MS)), None);
        assert_eq!(counted.note(Mono(2005 * MS)), Some(2), "the next occurrence brings the line too");
        assert_eq!((times(1).as_str(), times(2).as_str()), ("", " (2 times)"));
    }
}
