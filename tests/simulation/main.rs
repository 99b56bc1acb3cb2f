//! The whole daemon, with its clients and its children, against a simulated system on virtual time.
//!
//! A seed decides everything: the configuration, what goes wrong and when. After every turn the world checks what
//! must always hold (see `world`). A failure prints its seed; `STHENO_SIM_SEED=<seed> cargo test --test simulation`
//! runs that schedule again and prints all that happens. Once understood it becomes a test of its own below, named
//! after the symptom.
//!
//! `STHENO_SIM_SCHEDULES` says how many schedules to run, `STHENO_SIM_SEQUENCES` how many of a fleet of one
//! (`STHENO_SIM_SEQUENCE=<seed>` for one of them), `STHENO_SIM_FLEETS` how many of several daemons, and
//! `STHENO_SIM_FROM` with which seed they begin.

// Without the star the type of the list is inferred from what is wanted of its elements, and fails.
#![allow(clippy::explicit_auto_deref)]

mod agenda;
mod answers;
mod children;
mod clients;
mod configuration;
mod files;
mod fleets;
mod helpers;
mod host;
mod kept;
mod lines;
mod observer;
mod ordering;
mod orphans;
mod pools;
mod random;
mod sequences;
mod world;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Schedules without `STHENO_SIM_SCHEDULES`: as many as fit into a minute on two slow processors.
const SCHEDULES: u64 = 10_000;

/// The same of a fleet of one, with sequences and strategies.
const SEQUENCES: u64 = 2_000;

thread_local! {
    static WORDS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs one schedule; the error is what was wrong.
fn attempt(seed: u64, is_sequenced: bool) -> Result<(), String> {
    panic::catch_unwind(AssertUnwindSafe(|| world::run(seed, is_sequenced, false))).map_err(|_| WORDS.take())
}

/// Keeps what a panic says for [`attempt`]; thousands of schedules are not to print it.
fn keep_panics() {
    panic::set_hook(Box::new(|info| WORDS.set(info.to_string())));
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn schedules() {
    lines::keep();
    match number("STHENO_SIM_SEED") {
        Some(seed) => world::run(seed, false, true),
        None => run_all(number("STHENO_SIM_SCHEDULES").unwrap_or(SCHEDULES), false),
    }
}

#[test]
fn sequences_of_a_fleet_of_one() {
    lines::keep();
    match number("STHENO_SIM_SEQUENCE") {
        Some(seed) => world::run(seed, true, true),
        None => run_all(number("STHENO_SIM_SEQUENCES").unwrap_or(SEQUENCES), true),
    }
}

/// Runs many schedules on all processors, and tells of all that fail, each at once: the rest may take hours.
fn run_all(count: u64, is_sequenced: bool) {
    keep_panics();
    let variable = if is_sequenced { "STHENO_SIM_SEQUENCE" } else { "STHENO_SIM_SEED" };
    let first = number("STHENO_SIM_FROM").unwrap_or(0);
    let next = AtomicU64::new(first);
    let failures = Mutex::new(BTreeSet::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    if let Err(words) = attempt(seed, is_sequenced) {
                        eprintln!("{words}\n  again with {variable}={seed} cargo test --test simulation\n");
                        failures.lock().unwrap().insert(seed);
                    }
                }
            });
        }
    });
    let _ = panic::take_hook();
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {count} schedules failed: {failures:?}", failures.len());
}

/// Schedules that have failed once, by what was wrong. A change of what a seed decides makes other schedules of them,
/// which then stand here for nothing in particular; the symptoms have tests of their own beside the code.
#[test]
fn schedules_that_have_failed() {
    lines::keep();
    let rows = [
        ("a start of all that waited for its processes was never answered, and so the daemon never ended", 45),
        ("a hook before a start ended during the shutdown, and the program was started", 131),
        ("bad health stopped a program during the shutdown, before those that depend on it", 156),
        ("what a command for the health wrote opened a log that nobody closed", 19),
        ("when the time for stopping was over, a pool that had been waited for kept the daemon from sleeping", 110),
        ("a program that could not be stopped in time was tried again during the shutdown", 1806),
        ("a program that was still being stopped began to wait for its next start", 8),
        ("a process removed during the end made the graph anew, and nobody after it was told to stop", 4121),
        ("what cannot be killed in time is left behind at the end", 5175),
        ("one whose group is restarted waits again, and so do those that need its end", 2150),
        ("one stopped for what it depended on, and that then depended on nothing, never came back", 77501),
        ("of two calls answered in one step the later one was taken for the first", 56527),
        ("a group that is added over several turns is there before the answer", 59442),
        ("a pool ended before its time to take events was over, and what it left was waited for without sleep", 2213),
        ("what a group depends on was not noticed where nothing else of it was changed", 29796),
        ("the last that depended on anything was removed during a restart, which then never ended", 50907),
    ];
    let sequences = [
        ("a disabled program waited for ever to be started once what it depends on was there", 2207),
        ("rules were changed, and one that had exited under the old ones was to start at any later moment", 3240),
        ("a wait was given up, and the start of its application waited for it until the next event", 3849),
        ("one that ended in the very turn of restart_sequence was left out of it", 5487),
        ("a shutdown asked for behind another call began with the next event", 6335),
        ("a restart that became an end forgot who had still to be told to stop, and waited for them in vain", 809),
        ("one that stopped and was started again in one turn was waited for until the time of its stop was over", 888),
    ];
    let rows = rows.into_iter().map(|(symptom, seed)| (symptom, seed, false));
    for (symptom, seed, is_sequenced) in rows.chain(sequences.map(|(symptom, seed)| (symptom, seed, true))) {
        let result = panic::catch_unwind(AssertUnwindSafe(|| world::run(seed, is_sequenced, false)));
        assert!(result.is_ok(), "seed {seed}: {symptom}");
    }
}
