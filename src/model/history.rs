//! What is remembered of the past: of each process its last changes of state, and of all of them together what happened
//! lately, with who asked for it. People look at it on the status page; nothing is decided by it.
//!
//! Moments are numbered without a gap. Whoever knows up to which number it has heard is told what changed since, as long
//! as that is still remembered ([`Lately::since`]).

use std::collections::VecDeque;
use std::rc::Rc;

use crate::clock::Wall;
use crate::exit::ExitStatus;
use crate::id::ProcId;
use crate::state::ProcessState;

/// Changes of state kept of each process: five failed starts with their ends. They take some 500 bytes.
const CHANGES_MAX: usize = 16;

/// Moments kept of all processes together: a screen's worth to scroll through, and what a page may miss while its
/// connection is broken. They take some 30 kB.
pub const MOMENTS_MAX: usize = 500;

/// Bytes of a text; the rest of it is cut off. Errors of the system fit.
pub const TEXT_BYTES_MAX: usize = 160;

/// Bytes that the texts among the moments of all take together; the oldest moments go first.
const TEXTS_BYTES_MAX: usize = 12 * 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Why {
    /// It follows from what was before, or from the configuration.
    #[default]
    Itself,
    Exit(ExitStatus),
    /// As `spawnerr` says it.
    Text(Rc<str>),
    /// Somebody asked for it.
    Asked(Rc<Asker>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Where they come from: `127.0.0.1:4711` or `uid 1000`.
    pub client: String,
    /// The method through which it came; `web` for a button of the page.
    pub method: String,
}

/// A process entered a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    pub at: Wall,
    pub state: ProcessState,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A process entered a state.
    State(ProcessState),
    /// A process was added, or got another configuration.
    Made,
    /// A process was removed.
    Gone,
    /// A process was found to be well, or not, or waits, or no longer.
    Word(&'static str),
    /// Something else that concerns the daemon, in words.
    Note(Rc<str>),
}

/// One moment of all processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub at: Wall,
    /// The process it is about, and its name.
    pub process: Option<(ProcId, Rc<str>)>,
    pub what: What,
    pub why: Why,
}

impl Moment {
    fn text_bytes(&self) -> usize {
        let note = if let What::Note(text) = &self.what { text.len() } else { 0 };
        note + if let Why::Text(text) = &self.why { text.len() } else { 0 }
    }
}

/// The last changes of one process.
#[derive(Clone, Debug, Default)]
pub struct History {
    changes: VecDeque<StateEntry>,
}

impl History {
    pub fn push(&mut self, entered: StateEntry) {
        if self.changes.len() == CHANGES_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back(entered);
    }

    /// The changes that are remembered, the oldest first.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &StateEntry> {
        self.changes.iter()
    }

    /// Whoever asks is why the latest change happened of which nothing else is known.
    pub fn attribute(&mut self, asker: &Rc<Asker>) {
        if let Some(entered) = self.changes.iter_mut().rev().find(|entered| entered.why == Why::Itself) {
            entered.why = Why::Asked(asker.clone());
        }
    }

    /// A text for one more change: where it is that of the last failure, both share it.
    pub fn text(&self, text: &str) -> Rc<str> {
        let text = cut(text);
        let same = self.changes.iter().rev().find_map(|entered| match &entered.why {
            Why::Text(known) if **known == *text => Some(known.clone()),
            _ => None,
        });
        same.unwrap_or_else(|| text.into())
    }
}

#[derive(Clone, Debug, Default)]
pub struct Lately {
    moments: VecDeque<Moment>,
    text_bytes: usize,
    begun: Option<Wall>,
    /// How many moments there were before those that are kept; the first has number 1.
    forgotten: u64,
}

impl Lately {
    pub fn push(&mut self, moment: Moment) {
        self.begun.get_or_insert(moment.at);
        self.text_bytes += moment.text_bytes();
        self.moments.push_back(moment);
        while self.moments.len() > MOMENTS_MAX || self.text_bytes > TEXTS_BYTES_MAX {
            let Some(oldest) = self.moments.pop_front() else { break };
            self.text_bytes -= oldest.text_bytes();
            self.forgotten += 1;
        }
    }

    /// Remembers something that concerns the daemon.
    pub fn note(&mut self, at: Wall, text: &str, why: Why) {
        self.push(Moment { at, process: None, what: What::Note(cut(text).into()), why });
    }

    /// When the first moment was that ever was.
    pub fn begun(&self) -> Option<Wall> {
        self.begun
    }

    /// The number of the latest moment; 0 before the first.
    pub fn last(&self) -> u64 {
        self.forgotten + self.moments.len() as u64
    }

    /// The moments after that number, with theirs; `None` if some of them are forgotten, or it is none of ours.
    pub fn since(&self, number: u64) -> Option<impl DoubleEndedIterator<Item = (u64, &Moment)>> {
        let skipped = usize::try_from(number.checked_sub(self.forgotten)?).ok()?;
        (skipped <= self.moments.len())
            .then(|| (number + 1..).zip(self.moments.range(skipped..)).collect::<Vec<_>>().into_iter())
    }

    /// The moments that are remembered, with their numbers, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = (u64, &Moment)> {
        (self.forgotten + 1..).zip(&self.moments)
    }

    /// Whoever asks is why the moments after that number happened, where nothing else is known of them; the processes
    /// concerned are handed on, once for each change of state.
    pub fn attribute(&mut self, number: u64, asker: &Rc<Asker>, mut concerned: impl FnMut(ProcId)) {
        let begin = usize::try_from(number.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        for moment in self.moments.iter_mut().skip(begin) {
            if moment.why == Why::Itself {
                moment.why = Why::Asked(asker.clone());
                if let (What::State(_), Some((id, _))) = (&moment.what, &moment.process) {
                    concerned(*id);
                }
            }
        }
    }
}

/// A text within its bound.
fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(TEXT_BYTES_MAX)).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: u64, why: Why) -> Moment {
        Moment { at: Wall(at), process: Some((ProcId(7), "p".into())), what: What::State(ProcessState::Running), why }
    }

    #[test]
    fn of_a_process_the_last_changes_are_kept() {
        let mut history = History::default();
        for at in 0..CHANGES_MAX as u64 + 3 {
            history.push(StateEntry { at: Wall(at), state: ProcessState::Backoff, why: Why::Itself });
        }
        let times: Vec<u64> = history.changes().map(|entered| entered.at.0).collect();
        assert_eq!(times, (3..CHANGES_MAX as u64 + 3).collect::<Vec<_>>());
    }

    #[test]
    fn equal_texts_are_kept_once_and_long_ones_are_cut() {
        let mut history = History::default();
        let text = history.text("no such file");
        history.push(StateEntry { at: Wall(0), state: ProcessState::Backoff, why: Why::Text(text.clone()) });
        assert!(Rc::ptr_eq(&text, &history.text("no such file")));
        assert_eq!(history.text(&"é".repeat(TEXT_BYTES_MAX)).len(), TEXT_BYTES_MAX);
    }

    #[test]
    fn who_has_heard_all_up_to_a_number_is_told_the_rest() {
        let mut activity = Lately::default();
        assert_eq!((activity.last(), activity.since(0).map(Iterator::count)), (0, Some(0)));
        for at in 0..MOMENTS_MAX as u64 + 5 {
            activity.push(moment(at, Why::Itself));
        }
        let last = activity.last();
        assert_eq!(last, MOMENTS_MAX as u64 + 5);
        // Known up to, the numbers told.
        let rows: &[(u64, Option<(usize, u64)>)] = &[
            (last, Some((0, 0))),
            (last - 2, Some((2, last - 1))),
            (5, Some((MOMENTS_MAX, 6))),
            (4, None),
            (0, None),
            (last + 1, None),
            (u64::MAX, None),
        ];
        for (number, expected) in rows {
            let told = activity.since(*number).map(|moments| {
                let numbers: Vec<u64> = moments.map(|(number, _)| number).collect();
                (numbers.len(), numbers.first().copied().unwrap_or(0))
            });
            assert_eq!(told, *expected, "{number}");
        }
        assert_eq!(activity.all().next().map(|(number, moment)| (number, moment.at.0)), Some((6, 5)));
    }

    #[test]
    fn texts_are_bounded_in_sum() {
        let mut activity = Lately::default();
        for _ in 0..MOMENTS_MAX {
            activity.note(Wall(0), &"x".repeat(2 * TEXT_BYTES_MAX), Why::Itself);
            assert!(activity.text_bytes <= TEXTS_BYTES_MAX);
        }
        assert_eq!(activity.all().count(), TEXTS_BYTES_MAX / TEXT_BYTES_MAX);
        assert_eq!(activity.last(), MOMENTS_MAX as u64);
        for at in 0..MOMENTS_MAX as u64 {
            activity.push(moment(at, Why::Itself));
        }
        assert_eq!(activity.text_bytes, 0);
    }

    #[test]
    fn who_asks_is_the_cause_of_what_has_no_other() {
        let mut activity = Lately::default();
        activity.push(moment(1, Why::Itself));
        let before = activity.last();
        activity.push(moment(2, Why::Exit(ExitStatus::Code(1))));
        activity.push(moment(3, Why::Itself));
        let asker = Rc::new(Asker { client: "uid 0".into(), method: "supervisor.stopProcess".into() });
        let mut concerned = Vec::new();
        activity.attribute(before, &asker, |id| concerned.push(id));
        let causes: Vec<&Why> = activity.all().map(|(_, moment)| &moment.why).collect();
        assert_eq!(causes, [&Why::Itself, &Why::Exit(ExitStatus::Code(1)), &Why::Asked(asker)]);
        assert_eq!(concerned, [ProcId(7)]);
    }
}
