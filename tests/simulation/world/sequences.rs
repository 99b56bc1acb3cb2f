//! What must hold of sequences and strategies (V-380 to V-424): nobody of a later rank starts before those of the earlier ones
//! are up or given up, nobody is stopped before those of the later ones, what has failed has the consequence that its rule
//! says, and whatever is under way has a way out. Found out from the rules and the states, apart from what the sequencer
//! keeps of it. What starts and stops something by its name may do so at any time; only where nobody does, is all checked.

use std::collections::{BTreeMap, BTreeSet};

use stheno::clock::Mono;
use stheno::config::RunType;
use stheno::daemon::Daemon;
use stheno::fleet::Fleet;
use stheno::id::ProcId;
use stheno::model::fleet::phase::Phase;
use stheno::model::fleet::view::{AppId, TaskId};
use stheno::state::{ProcessState, SupervisorState};

use super::World;
use crate::answers::Outcome;
use crate::clients::{Asked, Call};

/// What is remembered of applications and their processes.
#[derive(Default)]
pub(super) struct Sequence {
    applications: BTreeMap<AppId, Progress>,
    processes: BTreeMap<ProcId, Seen>,
    /// How many starts and stops were begun.
    begun: u64,
    /// Something was being started.
    was_starting: bool,
    /// Applications that are restarted, until they are up: they go by no rank but that of their processes.
    restarted: BTreeSet<String>,
}

/// How far an application is. A start of it lasts as long as the sequencer has one of it.
#[derive(Default)]
struct Progress {
    /// The start of it that is under way.
    start: Option<u64>,
    /// A start of it has been over.
    was_started: bool,
    /// Those that were up before its start, which have no part in it.
    up: BTreeSet<ProcId>,
    /// Those that were there before it.
    members: BTreeSet<ProcId>,
    /// Those that began or waited during it.
    touched: BTreeSet<ProcId>,
    /// Those that are what the next rank waits for, or were.
    settled: BTreeSet<ProcId>,
    /// Something has failed for which it is to be stopped.
    is_to_stop: bool,
    /// Something has failed for which everything is to end.
    is_to_end: bool,
}

/// A process as it was when the last step was over.
#[derive(Clone)]
struct Seen {
    state: ProcessState,
    started: Option<Mono>,
}

/// A process as it is.
struct Part<'a> {
    id: ProcId,
    task: TaskId,
    name: &'a str,
    start_sequence: i64,
    stop_sequence: i64,
    running_failure: &'static str,
    state: ProcessState,
    started: Option<Mono>,
    /// It is to be started once others are as it needs them.
    waits: bool,
    /// The next rank waits for its exit.
    waits_for_exit: bool,
    /// It could not be started, or was not in time.
    is_given_up: bool,
    /// It starts of its own accord when the daemon begins, and has not been up before.
    is_first: bool,
    /// It does so, or it has exited and comes again.
    starts_itself: bool,
    /// Its last exit was not expected.
    has_failed: bool,
}

fn parts<'a>(daemon: &'a Daemon, fleet: &'a Fleet, app: AppId) -> Vec<Part<'a>> {
    let tasks = fleet.application(app).into_iter().flat_map(|application| application.tasks.keys());
    let part = |task: &TaskId| {
        let (id, rules) = (fleet.local(*task)?, fleet.rules_of(*task)?);
        let process = daemon.roster.process(id)?;
        let (machine, program) = (&process.machine, &process.config.program);
        let is_first = program.autostart && machine.runs().count() <= 1;
        let is_again = machine.state() == ProcessState::Exited && !machine.rests();
        Some(Part {
            id,
            task: *task,
            name: &process.config.name,
            start_sequence: rules.start_sequence,
            stop_sequence: rules.stop_sequence.max(0),
            running_failure: rules.running_failure.name(),
            state: machine.state(),
            started: machine.runs().started(),
            waits: daemon.is_waiting(id),
            waits_for_exit: rules.wait_exit || program.run_type == RunType::Oneshot,
            is_given_up: fleet.view().task(*task).is_some_and(|task| task.forced.is_some()) || daemon.is_disabled(id),
            is_first,
            starts_itself: is_first || is_again,
            has_failed: machine.state() == ProcessState::Fatal
                || machine.state() == ProcessState::Exited && !machine.runs().spawn_error().is_empty(),
        })
    };
    tasks.filter_map(part).collect()
}

impl Progress {
    /// A start may begin with this step.
    fn begin(&mut self, processes: &BTreeMap<ProcId, Seen>, parts: &[Part<'_>]) {
        let known = || parts.iter().filter_map(|part| Some((part.id, processes.get(&part.id)?)));
        self.members = known().map(|(id, _)| id).collect();
        self.up = known().filter(|(_, seen)| !seen.state.is_stopped()).map(|(id, _)| id).collect();
        // Who starts of its own accord may have done so in this very step, before.
        self.up.extend(parts.iter().filter(|part| part.is_first && !part.state.is_stopped()).map(|part| part.id));
        (self.touched, self.settled) = Default::default();
    }

    /// Takes in what a step has made of a process; says whether that has begun in it, for the first time in this start.
    fn take(&mut self, part: &Part<'_>, before: Option<&Seen>) -> bool {
        let has_begun = part.started.is_some() && before.is_none_or(|before| before.started != part.started);
        let is_first = has_begun && !self.up.contains(&part.id) && !self.touched.contains(&part.id);
        if has_begun || part.waits {
            self.touched.insert(part.id);
        }
        let is_over = match part.state {
            ProcessState::Running => !part.waits_for_exit,
            ProcessState::Starting | ProcessState::Backoff => false,
            _ => !part.waits,
        };
        if is_over && self.touched.contains(&part.id) {
            self.settled.insert(part.id);
        }
        is_first
    }

    /// One has begun: none of an earlier rank may be on its way, or have been left out.
    fn check_ranks(&self, begun: &Part<'_>, parts: &[Part<'_>]) {
        let earlier = |part: &&Part<'_>| (1..begun.start_sequence).contains(&part.start_sequence);
        for part in parts.iter().filter(earlier) {
            let has_no_part = self.up.contains(&part.id) || !self.members.contains(&part.id);
            if has_no_part || part.is_given_up || self.settled.contains(&part.id) {
                continue;
            }
            let (later, name, state) = (begun.name, part.name, part.state.name());
            // A repair leaves out what has done its work.
            let has_done_its_work = part.state == ProcessState::Exited && part.waits_for_exit;
            let is_left = has_done_its_work || part.state == ProcessState::Unknown;
            let is_under_way = !part.state.is_stopped() || part.waits;
            assert!(!is_under_way, "V-385: {later} is started, and {name} of an earlier rank is {state}");
            assert!(
                is_left || self.touched.contains(&part.id),
                "V-380: {later} is started before {name}, which is {state}"
            );
        }
    }
}

impl World {
    fn is_calm(&self) -> bool {
        self.host.file.sequences.as_ref().is_some_and(|sequences| sequences.is_calm)
    }

    /// Takes a line of the log.
    pub(super) fn note_restart(&mut self, text: &str) {
        if let Some(name) = text.strip_prefix("restarting application ") {
            self.sequence.restarted.insert(name.to_string());
        }
    }

    /// A call is answered: what it wants goes before what was to follow from a failure.
    pub(super) fn note_wish(&mut self, call: &Call, outcome: &Outcome) {
        let words = ["_application", "restart_sequence"];
        if call.method.starts_with("supvisors.")
            && words.iter().any(|word| call.method.ends_with(word))
            && !call.method.contains("test_")
            && !matches!(outcome, Err((2 | 10 | 60 | 101 | 102, _)))
        {
            let Some(fleet) = self.service.fleet() else { return };
            let is_of_all = call.method.ends_with("restart_sequence");
            let is_named = |name: &str| call.params.iter().any(|param| param.as_str() == Some(name));
            for (app, _) in fleet.view().apps().filter(|(_, known)| is_of_all || is_named(&known.name)) {
                self.sequence.applications.entry(app).or_default().is_to_stop = false;
            }
        }
    }

    /// Looks at what a step has changed.
    pub(super) fn check_sequences(&mut self) {
        let Some(fleet) = self.service.fleet() else { return };
        let daemon = &self.service.daemon;
        let is_calm = self.is_calm();
        let mut sequence = std::mem::take(&mut self.sequence);
        // What fails while anything is started is no failure of what runs.
        let is_idle = !fleet.jobs().0 && !sequence.was_starting && fleet.begun() == sequence.begun;
        (sequence.begun, sequence.was_starting) = (fleet.begun(), fleet.jobs().0);
        let mut started = Vec::new();
        for (app, known) in fleet.view().apps() {
            let Some(application) = fleet.application(app).filter(|application| application.rules.managed) else {
                continue;
            };
            let parts = parts(daemon, fleet, app);
            let progress = sequence.applications.entry(app).or_default();
            let start_before = std::mem::replace(&mut progress.start, fleet.start_under_way(app));
            if start_before.is_none() {
                progress.begin(&sequence.processes, &parts);
            }
            let mut begun = Vec::new();
            for part in &parts {
                let before = sequence.processes.get(&part.id);
                let starts_itself =
                    part.starts_itself || before.is_some_and(|before| before.state == ProcessState::Exited);
                if progress.take(part, before) && part.start_sequence > 0 && !starts_itself {
                    begun.push(part);
                }
            }
            if is_calm {
                begun.iter().for_each(|part| progress.check_ranks(part, &parts));
                check_stops(&sequence.processes, &parts, fleet);
                note_failures(progress, &sequence.processes, &parts, daemon, fleet, is_idle);
            }
            if !begun.is_empty() && !sequence.restarted.contains(&known.name) {
                started.push((application.rules.start_sequence, begun[0].name));
            }
            if start_before.is_some() && progress.start.is_none() {
                sequence.restarted.remove(&known.name);
            }
            // All are planned at once, so that one of which nothing is under way is done. It may be restarted at once.
            let is_done = progress.start.is_none() || start_before.is_some() && start_before != progress.start;
            progress.was_started |= is_done && (fleet.phase() == Phase::Distribution || start_before.is_some());
        }
        if is_calm && fleet.phase() == Phase::Distribution {
            check_applications(&sequence, &started, fleet);
        }
        let seen = |process: &stheno::daemon::Proc| Seen {
            state: process.machine.state(),
            started: process.machine.runs().started(),
        };
        sequence.processes = daemon.roster.processes().map(|(id, process)| (id, seen(process))).collect();
        self.sequence = sequence;
    }

    /// When there is nothing to do: whatever is under way waits for something that has an end, or may have one, and nothing
    /// waits for what is over.
    pub(super) fn check_way_out(&self) {
        let Some(fleet) = self.service.fleet() else { return };
        let daemon = &self.service.daemon;
        let (starts, stops) = fleet.jobs();
        let started = fleet.started_now();
        for task in &started {
            let part = fleet
                .view()
                .task(*task)
                .and_then(|known| parts(daemon, fleet, known.app).into_iter().find(|part| part.task == *task));
            let Some(part) = part else { panic!("{task:?} is being started and is not there") };
            let is_going = match part.state {
                ProcessState::Starting | ProcessState::Backoff => true,
                // It may have been to exit by rules that were edited since.
                ProcessState::Running => part.waits_for_exit || self.is_edited,
                _ => part.waits || daemon.is_to_stop(part.id),
            };
            assert!(is_going, "the start of {} is waited for, and it is {}", part.name, part.state.name());
        }
        let is_stopping = |(id, process): (ProcId, &stheno::daemon::Proc)| {
            process.machine.state() == ProcessState::Stopping || daemon.is_to_stop(id)
        };
        let is_any_stopping = daemon.roster.processes().any(is_stopping);
        assert!(!stops || is_any_stopping, "a stop is under way, and nothing is being stopped");
        assert!(!starts || stops || !started.is_empty(), "a start is under way, and nothing is being started");
        let is_right = match fleet.phase() {
            Phase::Off | Phase::Election | Phase::Conciliation => false,
            Phase::Synchronization => self.host.file.sequences.as_ref().is_some_and(|known| known.waits_for_user),
            Phase::Distribution => starts,
            Phase::Operation => true,
            Phase::Restarting | Phase::ShuttingDown => stops || daemon.state() != SupervisorState::Running,
            Phase::Final => daemon.state() != SupervisorState::Running,
        };
        assert!(is_right, "the fleet rests in {}", fleet.phase().name());
        if self.is_calm() && daemon.state() == SupervisorState::Running && !starts && !stops {
            for (app, progress) in &self.sequence.applications {
                let name = fleet.view().app(*app).map_or("", |app| &app.name);
                assert!(!progress.is_to_stop, "V-420: {name} is to be stopped, and nothing does");
                assert!(!progress.is_to_end, "V-420: {name} has failed, and the end does not come");
            }
        }
        if !starts && !stops {
            for client in self.clients.iter().filter(|client| !client.is_slow && !client.is_deaf && !client.has_hung_up)
            {
                let request = client.requests.front().filter(|request| request.unsent == 0);
                let Some(Asked::Call(call)) = request.map(|request| &request.asked) else { continue };
                let is_of_fleet = call.method.starts_with("supvisors.") && call.method != "supvisors.start_args";
                assert!(!is_of_fleet, "nothing is under way, and nobody answers {call:?}");
            }
        }
    }
}

/// Nobody is told to stop before those of a later rank are stopped, in its application or in others at the end.
fn check_stops(before: &BTreeMap<ProcId, Seen>, parts: &[Part<'_>], fleet: &Fleet) {
    if !fleet.jobs().1 {
        return;
    }
    let was_up = |part: &Part<'_>| before.get(&part.id).is_some_and(|seen| !seen.state.is_stopped());
    let is_told = |part: &&Part<'_>| {
        let was = before.get(&part.id).map(|seen| seen.state);
        part.state == ProcessState::Stopping && was != Some(ProcessState::Stopping)
    };
    for told in parts.iter().filter(is_told) {
        let later = |part: &&Part<'_>| part.stop_sequence > told.stop_sequence;
        for part in parts.iter().filter(later).filter(|part| was_up(part)) {
            let is_down = part.state.is_stopped() || part.is_given_up;
            assert!(
                is_down,
                "V-400: {} is told to stop before {}, which is {}",
                told.name,
                part.name,
                part.state.name()
            );
        }
    }
}

/// What is to follow from what has failed in this step.
fn note_failures(
    progress: &mut Progress,
    before: &BTreeMap<ProcId, Seen>,
    parts: &[Part<'_>],
    daemon: &Daemon,
    fleet: &Fleet,
    is_idle: bool,
) {
    // Before that nobody leads.
    let phases = Phase::Distribution..Phase::Restarting;
    let is_running = daemon.state() == SupervisorState::Running && phases.contains(&fleet.phase());
    if !is_running || parts.iter().all(|part| part.state.is_stopped() || part.is_given_up) {
        progress.is_to_stop = false;
    }
    progress.is_to_end &= is_running;
    if !is_running {
        return;
    }
    let has_just_failed =
        |part: &&Part<'_>| part.has_failed && before.get(&part.id).is_some_and(|seen| seen.state != part.state);
    for part in parts.iter().filter(has_just_failed) {
        match part.running_failure {
            "STOP_APPLICATION" => {
                progress.is_to_stop = parts.iter().any(|part| !part.state.is_stopped());
            }
            "SHUTDOWN" | "RESTART" if is_idle => progress.is_to_end = true,
            _ => {}
        }
    }
}

/// While all are started, none of a later rank begins before those of the earlier ones are done.
fn check_applications(sequence: &Sequence, started: &[(i64, &str)], fleet: &Fleet) {
    for (rank, name) in started {
        for (app, progress) in &sequence.applications {
            let Some(application) = fleet.application(*app) else { continue };
            let is_earlier = (1..*rank).contains(&application.rules.start_sequence);
            let other = fleet.view().app(*app).map_or("", |app| &app.name);
            let is_planned = is_earlier && !sequence.restarted.contains(other);
            let is_under_way = is_planned && progress.start.is_some() && !progress.was_started;
            assert!(!is_under_way, "V-381: {name} is started, and application {other} of an earlier rank is not done");
        }
    }
}
