//! What must hold of who depends on whom (O-1, O-2): nobody is started before its conditions hold, nobody waits without
//! a reason that is shown, nobody is stopped before those that need it. Found out from the configuration and the states,
//! apart from what the daemon keeps of it.

use std::collections::{BTreeMap, BTreeSet};

use stheno::clock::Mono;
use stheno::config::dependency::{Condition, Dependency};
use stheno::daemon::{Daemon, Proc};
use stheno::id::ProcId;
use stheno::state::{ProcessState, SupervisorState};

use super::World;
use crate::agenda::SECOND;
use crate::clients::{Asked, Call};

/// Turns between the moment at which a wait is over and the start: first starts are made a few in each turn.
const TURNS_TO_START: u64 = 8;

/// How long a start by name may be under way whose client has hung up.
const COMMAND_NANOS_MAX: u64 = 120 * SECOND;

/// What is remembered of each process, and of who asked for starts by name.
#[derive(Default)]
pub(super) struct Track {
    processes: BTreeMap<ProcId, Seen>,
    /// Until when starts may be somebody's command that nobody waits for.
    commanded_until: u64,
}

/// A process as it was when the last step was over.
struct Seen {
    state: ProcessState,
    started: Option<Mono>,
    is_waiting: bool,
    /// The last turn in which all its conditions held.
    open_at: Option<u64>,
}

/// The processes that an item means.
fn meant(daemon: &Daemon, name: &str) -> Vec<ProcId> {
    let all = || daemon.roster.processes();
    let is_in =
        |process: &Proc, group: &str| daemon.roster.group(process.group).is_some_and(|found| found.name() == group);
    if let Some((group, rest)) = name.split_once(':') {
        let fits = |process: &Proc| is_in(process, group) && (rest == "*" || process.config.name == rest);
        return all().filter(|(_, process)| fits(process)).map(|(id, _)| id).collect();
    }
    let of_program: Vec<ProcId> =
        all().filter(|(_, process)| process.config.program.name == name).map(|(id, _)| id).collect();
    if !of_program.is_empty() {
        return of_program;
    }
    all().filter(|(_, process)| is_in(process, name)).map(|(id, _)| id).collect()
}

/// What a process depends on: the items, and the processes of each.
fn needs(daemon: &Daemon, id: ProcId) -> Vec<(&Dependency, Vec<ProcId>)> {
    let Some(process) = daemon.roster.process(id) else { return Vec::new() };
    let own = process.config.depends_on.0.iter().map(|item| (item, meant(daemon, &item.name)));
    let mut found: Vec<_> = own.collect();
    let group = daemon.roster.group(process.group);
    for item in group.and_then(|group| group.config.options.as_ref()).iter().flat_map(|options| &options.depends_on.0) {
        let is_other = |id: &ProcId| daemon.roster.process(*id).is_some_and(|other| other.group != process.group);
        let meant = meant(daemon, &item.name);
        if meant.is_empty() || meant.iter().any(is_other) {
            found.push((item, meant.into_iter().filter(is_other).collect()));
        }
    }
    found
}

/// Whether a condition holds of a process.
fn meets(daemon: &Daemon, id: ProcId, condition: Condition) -> bool {
    let Some(process) = daemon.roster.process(id) else { return false };
    let machine = &process.machine;
    let state = machine.state();
    // How its last run ended says nothing of one that waits for its next.
    let rests = machine.pid().is_none() && state != ProcessState::Starting && !daemon.is_waiting(id);
    let has_ended = machine.runs().count() > 0 && rests;
    match condition {
        Condition::Running | Condition::Ready => state == ProcessState::Running,
        Condition::Healthy => state == ProcessState::Running && daemon.is_healthy(id),
        Condition::Spawned => matches!(state, ProcessState::Starting | ProcessState::Running),
        Condition::Ended => has_ended,
        Condition::Completed => {
            let has_exited = state == ProcessState::Exited || machine.pause_ends().is_some();
            let code = machine.runs().last_exit().map(|exit| exit.code());
            has_ended && has_exited && code.is_some_and(|code| process.config.program.exitcodes.0.contains(&code))
        }
    }
}

/// Whether all that a process depends on is as it needs it.
fn is_open(daemon: &Daemon, id: ProcId) -> bool {
    let is_met = |(item, on): &(&Dependency, Vec<ProcId>)| {
        !on.is_empty() && on.iter().all(|id| meets(daemon, *id, item.condition))
    };
    needs(daemon, id).iter().all(is_met)
}

fn names_a_start(call: &Call) -> bool {
    let by_name = [
        "supervisor.startProcess",
        "stheno.startWithDependencies",
        "stheno.update",
        "stheno.updateProgram",
        "supvisors.start_args",
    ];
    by_name.contains(&call.method)
}

impl World {
    /// Whether a process may have been started because somebody named it.
    fn may_be_command(&self) -> bool {
        let starts = |asked: &Asked| match asked {
            Asked::Call(call) => names_a_start(call),
            Asked::Multicall(calls) => calls.iter().any(names_a_start),
            Asked::Page(_) => true,
            _ => false,
        };
        let asked = self.clients.iter().flat_map(|client| &client.requests).map(|request| &request.asked);
        self.now <= self.track.commanded_until || asked.into_iter().any(starts)
    }

    /// A client is gone; what it has asked for goes on.
    pub(super) fn note_gone(&mut self) {
        if self.host.file.is_ordered && self.may_be_command() {
            self.track.commanded_until = self.now + COMMAND_NANOS_MAX;
        }
    }

    /// Looks at what a step has changed.
    pub(super) fn check_order(&mut self) {
        if !self.host.file.is_ordered {
            return;
        }
        let may_be_command = self.may_be_command();
        let daemon = &self.service.daemon;
        let mut seen = BTreeMap::new();
        for (id, process) in daemon.roster.processes() {
            let machine = &process.machine;
            let before = self.track.processes.get(&id);
            let is_open = is_open(daemon, id);
            let open_at = if is_open { Some(self.turns) } else { before.and_then(|before| before.open_at) };
            let (state, started) = (machine.state(), machine.runs().started());
            let name = &process.config.name;
            let had_to_wait = before.is_none_or(|before| {
                before.is_waiting || before.state == ProcessState::Stopped && before.started.is_none()
            });
            let has_begun = started.is_some() && before.is_none_or(|before| before.started != started);
            if has_begun && had_to_wait && !may_be_command {
                let was_open = open_at.is_some_and(|at| at + TURNS_TO_START >= self.turns);
                assert!(was_open, "O-1: {name} is started, and what it depends on is not there");
            }
            let is_told = state == ProcessState::Stopping
                && before.is_some_and(|before| before.state.is_running() || before.state == ProcessState::Backoff);
            // The ranks of a fleet go before what depends on what.
            let is_sequence = self.service.fleet().is_some_and(|fleet| fleet.jobs().1);
            let is_end = daemon.state() != SupervisorState::Running && !self.was_running;
            if is_told && is_end && !is_sequence && !self.host.file.is_hurried {
                self.check_free(id, name);
            }
            seen.insert(id, Seen { state, started, is_waiting: daemon.is_waiting(id), open_at });
        }
        self.track.processes = seen;
    }

    /// O-2: nobody is told to stop while somebody that depends on it is up.
    fn check_free(&self, id: ProcId, name: &str) {
        let daemon = &self.service.daemon;
        let all: Vec<ProcId> = daemon.roster.processes().map(|(id, _)| id).collect();
        let mut below = BTreeSet::from([id]);
        let mut found = vec![id];
        while let Some(on) = found.pop() {
            for other in &all {
                let depends = |(item, on_these): &(&Dependency, Vec<ProcId>)| {
                    !matches!(item.condition, Condition::Completed | Condition::Ended) && on_these.contains(&on)
                };
                let is_above = !daemon.roster.is_listener(*other) && needs(daemon, *other).iter().any(depends);
                if is_above && below.insert(*other) {
                    found.push(*other);
                    let Some(process) = daemon.roster.process(*other) else { continue };
                    let state = process.machine.state();
                    // It may have been told in the very same step, before or after.
                    let above = &process.config.name;
                    assert!(
                        state.is_stopped(),
                        "O-2: {name} is told to stop before {above}, which is {}",
                        state.name()
                    );
                }
            }
        }
    }

    /// When there is nothing to do: whoever waits has a reason, and it is shown.
    pub(super) fn check_waits(&self) {
        let daemon = &self.service.daemon;
        if !self.host.file.is_ordered || daemon.state() != SupervisorState::Running {
            return;
        }
        for (id, process) in daemon.roster.processes() {
            let (name, machine) = (&process.config.name, &process.machine);
            if daemon.is_waiting(id) {
                assert!(machine.state().is_stopped(), "{name} waits and is {}", machine.state().name());
                let text = daemon.waiting_text(id).unwrap_or_default();
                assert!(text.starts_with("Waiting "), "O-1: {name} waits, and nothing says why");
                let is_timed = daemon.wait_ends(id).is_some_and(|at| at.0 > self.now);
                // One that it needs may be about to be stopped.
                let is_going = daemon.obstacles_of(id).iter().any(|(.., state)| *state == "STOPPING");
                assert!(is_timed || is_going || !is_open(daemon, id), "O-1: {name} waits for nothing: {text}");
                continue;
            }
            // What a fleet sees to.
            let is_kept_down = process.marks().stays_down || process.marks().is_disabled;
            let is_due = machine.deadline(&process.config, daemon.state()).is_some_and(|at| at.0 <= self.now);
            let is_due = is_due && !(is_kept_down && machine.state().is_stopped());
            assert!(!is_due, "{name} is {} and nothing happens", machine.state().name());
        }
    }
}
