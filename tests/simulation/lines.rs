//! What the daemon logs, kept for the checks of the thread that runs it.

use std::cell::{Cell, RefCell};

thread_local! {
    static LINES: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
    static VERBOSE: Cell<bool> = const { Cell::new(false) };
}

/// One line: its tag (`INFO`) and its text.
#[derive(Clone, Debug)]
pub struct Line {
    pub tag: &'static str,
    pub text: String,
}

struct Keeper;

impl log::Log for Keeper {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        const TAGS: [&str; 7] = ["CRIT", "ERRO", "WARN", "INFO", "DEBG", "TRAC", "BLAT"];
        let Some(level) = TAGS.iter().position(|tag| *tag == record.target()) else { return };
        // The many lines below INFO cost time; only some schedules have them made.
        if level < 4 || VERBOSE.get() {
            let line = Line { tag: TAGS[level], text: record.args().to_string() };
            LINES.with_borrow_mut(|lines| lines.push(line));
        }
    }

    fn flush(&self) {}
}

/// Keeps the lines of all threads from now on, each thread its own.
pub fn keep() {
    static KEEPER: Keeper = Keeper;
    if log::set_logger(&KEEPER).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

/// Whether lines below INFO are kept too.
pub fn set_verbose(verbose: bool) {
    VERBOSE.set(verbose);
}

/// The lines since the last call.
pub fn take() -> Vec<Line> {
    LINES.take()
}

/// How many lines there are since the last [`take`].
pub fn count() -> usize {
    LINES.with_borrow(Vec::len)
}
