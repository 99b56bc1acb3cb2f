//! Order: processes that wait to be started for what they depend on (O-1).
//!
//! Data only: the [`Gates`] between processes, and what is pending of each. Gates are made anew when the set of processes
//! has changed, and told of each change of a process, which costs a look at those that depend on it. What a change turns
//! is only noted there; it is acted on when the deadlines of the turn are, in bounded shares, so that no chain of
//! consequences is a chain of calls. Without any of the options that are meant here nothing of it runs.
//!
//! A process that waits is in one of the *stopped* states of its machine, and shown as STOPPED. Nothing it does of its
//! own accord starts it meanwhile; a start by command does, and ends the wait. Once what it needs is there it is
//! *released*, and started in its turn without a second look.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;
use std::time::Duration;

use super::agenda::{Agenda, Due};
use super::{Daemon, Host, Proc, ending};
use crate::clock::{Mono, Now, earliest};
use crate::config::dependency::{Condition, Dependency};
use crate::config::depends::{self, Node};
use crate::config::{self, DependsOnFailure};
use crate::id::ProcId;
use crate::model::event;
use crate::model::gates::{Facts, GateEffect, Gates, Obstacle};
use crate::model::health::HealthState;
use crate::model::history::{What, Why};
use crate::model::process::Trigger;
use crate::state::{ProcessState, SupervisorState};

/// Names of dependencies that a description has; the rest are counted.
const NAMES_SHOWN: usize = 3;

/// After so long the log says once more that a process waits, and never again: who waits for hours fills no disk.
const REMIND_AFTER: Duration = Duration::from_secs(60);

/// A dependency that is back so soon after it was gone may go again: it is acted on once for all of it.
pub(super) const FLAP_TIME: Duration = Duration::from_secs(1);

/// Names that are looked up, one by one, for what comes in one turn. Each may mean a look at all processes, so that for more it
/// is less to make the gates anew.
const LOOK_UPS_MAX: usize = 8;

/// Who waits for whom.
#[derive(Default)]
pub(super) struct Order {
    pub(super) gates: Gates,
    /// Those that are to be started once they may be.
    waits: BTreeMap<ProcId, Wait>,
    /// Those whose wait is over, until their turn comes, and how they are started.
    released: BTreeMap<ProcId, StartAs>,
    /// Those that a call about several is to start, until it comes to them.
    asked: BTreeSet<ProcId>,
    /// Those that a call has excused from waiting for others than these.
    excused: BTreeMap<ProcId, Rc<BTreeSet<ProcId>>>,
    /// Those whose wait has ended in failure, until they are started.
    refused: BTreeSet<ProcId>,
    /// Those that are to be restarted when what they depend on is back, and when it went last.
    pub(super) owed: BTreeMap<ProcId, Mono>,
    /// Those that are to be stopped, each after what depends on it.
    pub(super) stops: BTreeMap<ProcId, AfterStop>,
    /// Those that a call starts again when they are stopped.
    pub(super) expected_back: BTreeSet<ProcId>,
    /// Those whose stop by command does not concern what depends on them.
    pub(super) hushed: BTreeSet<ProcId>,
    /// Those that `disable` was said of, of programs that were added at run time.
    disabled: BTreeSet<ProcId>,
    /// When to look at a process.
    pub(super) agenda: Agenda,
    /// Something depends on something, or a first start is delayed.
    is_used: bool,
    /// The set of processes has changed since the gates were made.
    is_stale: bool,
    /// Names that were looked up since the gates were last looked at.
    looked_up: usize,
    /// Reused by every change.
    effects: Vec<GateEffect>,
}

/// What follows when a process is stopped that was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterStop {
    /// Nothing: it rests until somebody starts it.
    Rest,
    /// It waits for what it depends on.
    Wait,
}

/// How a process is started whose wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartAs {
    /// As if somebody asked for it.
    Start,
    /// It was up before: this is a restart, and counts.
    Resume,
}

impl StartAs {
    fn trigger(self) -> Trigger {
        match self {
            StartAs::Start => Trigger::Start,
            StartAs::Resume => Trigger::Resume,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    start_as: StartAs,
    /// When it is given up.
    until: Option<Mono>,
    /// When the log says once more that it waits.
    remind_at: Option<Mono>,
    /// Not before then, whatever is there: its first start is delayed, or what it depends on comes and goes.
    not_before: Option<Mono>,
    /// Its first start has been delayed as it is to be.
    is_delayed: bool,
}

impl Daemon {
    /// A process has come or has got another configuration. The gates are made anew only if it has to do with them; one
    /// that nothing depends on is added to what it depends on.
    pub(super) fn note_order(&mut self, id: ProcId) {
        #[cfg(feature = "fleet")]
        self.note_set();
        let Some((group, process)) = self.roster.member(id) else { return };
        let of_group = group.config.options.as_ref().is_some_and(|options| !options.depends_on.0.is_empty());
        let config = process.config.clone();
        let needs = &config.depends_on.0;
        let order = &mut self.order;
        order.is_used |= of_group || !needs.is_empty() || is_delayed(process);
        if !order.is_used || order.is_stale {
            return;
        }
        let names = called(group.name(), &config);
        let is_concerned = of_group || order.gates.concerns(id, &names.each_ref().map(String::as_str));
        let is_new = |name: &str| !order.gates.has_name(name);
        let looks_up = needs.iter().filter(|item| is_new(&item.name)).count();
        let is_own = needs.iter().any(|item| names.contains(&item.name));
        order.looked_up += looks_up;
        if is_concerned || is_own || looks_up > 0 && (order.gates.is_empty() || order.looked_up > LOOK_UPS_MAX) {
            order.is_stale = true;
            return;
        }
        if needs.is_empty() {
            return;
        }
        let mut gates = std::mem::take(&mut self.order.gates);
        let is_last = self.roster.is_listener(id);
        gates.join(id, needs, is_last, |name| self.roster.meant_by(name), |id| self.facts(id).unwrap_or(GONE));
        self.order.gates = gates;
    }

    /// A process is about to be taken out.
    pub(super) fn forget_order(&mut self, id: ProcId) {
        let order = &mut self.order;
        if order.is_used {
            order.is_stale |= !order.gates.leave(id);
            order.waits.remove(&id);
            order.released.remove(&id);
            order.owed.remove(&id);
            order.agenda.forget(id);
            order.refused.remove(&id);
            order.asked.remove(&id);
            order.excused.remove(&id);
        }
        order.expected_back.remove(&id);
        order.hushed.remove(&id);
        order.disabled.remove(&id);
        order.stops.remove(&id);
    }

    /// Whether new processes of a group leave the gates as they are, and depend on nothing but what is known: then they
    /// cannot close a circle.
    pub(super) fn are_apart(&self, group: &str, processes: &[Rc<config::Process>]) -> bool {
        let gates = &self.order.gates;
        let is_there = |name: &str| !gates.has_name(name) && self.roster.meant_by(name).is_some();
        let mut names = HashSet::new();
        processes.iter().for_each(|process| names.extend(called(group, process)));
        let is_apart =
            |item: &Dependency| !names.contains(&item.name) && (gates.knows(&item.name) || is_there(&item.name));
        let mut items = processes.iter().flat_map(|process| &process.depends_on.0);
        !self.order.is_stale && !names.iter().any(|name| gates.has_name(name)) && items.all(is_apart)
    }

    /// Makes the gates anew if the set of processes has changed. Whoever waits is looked at again.
    pub(super) fn refresh_order(&mut self, now: Now) {
        self.order.looked_up = 0;
        if !std::mem::take(&mut self.order.is_stale) {
            return;
        }
        let is_delayed_anywhere = self.roster.processes().any(|(_, process)| is_delayed(process));
        let (ids, nodes) = self.order_nodes();
        let facts_of = |id: ProcId| self.facts(id).unwrap_or(GONE);
        let is_last = |id: ProcId| self.roster.is_listener(id);
        self.order.gates = Gates::new(&depends::look_up(&nodes), &ids, facts_of, is_last);
        for id in self.order.stops.keys() {
            self.order.gates.begin_stop(*id);
        }
        for (id, these) in &self.order.excused {
            self.order.gates.excuse(*id, these);
        }
        self.resume_ordered_end();
        let order = &mut self.order;
        order.is_used = is_delayed_anywhere || !order.gates.is_empty() || !order.waits.is_empty();
        let pending = order.waits.keys().chain(order.owed.keys()).chain(order.stops.keys());
        for id in pending {
            order.agenda.set(*id, Due::At(now.mono), now.mono);
        }
    }

    /// All processes, and what each depends on.
    pub(super) fn order_nodes(&self) -> (Vec<ProcId>, Vec<Node<'_>>) {
        let mut ids = Vec::new();
        let mut nodes = Vec::new();
        for (_, group) in self.roster.groups() {
            let of_group = group.config.options.as_ref().map_or(&[][..], |options| &options.depends_on.0);
            for (id, process) in self.roster.members(group) {
                ids.push(id);
                nodes.push(Node {
                    group: group.name(),
                    name: &process.config.name,
                    program: &process.config.program.name,
                    depends_on: &process.config.depends_on.0,
                    group_depends_on: of_group,
                });
            }
        }
        (ids, nodes)
    }

    /// What conditions look at.
    fn facts(&self, id: ProcId) -> Option<Facts> {
        let process = self.roster.process(id)?;
        let facts = Facts { is_healthy: self.is_healthy(id), ..facts(process) };
        // How its last run ended says nothing any more of one that is to run again.
        let is_to_run = self.is_waiting(id) || self.order.asked.contains(&id);
        if is_to_run && facts.state.is_stopped() {
            return Some(Facts { state: ProcessState::Stopped, ended: None, is_retried: false, ..facts });
        }
        // One that is about to be stopped is nothing to start upon.
        let is_going = self.order.stops.contains_key(&id) && facts.state.is_running();
        Some(Facts { state: if is_going { ProcessState::Stopping } else { facts.state }, ..facts })
    }

    /// A process has changed: notes what follows for those that depend on it, or that it depends on.
    pub(super) fn reorder(&mut self, id: ProcId, now: Now) {
        if !self.order.is_used && self.order.stops.is_empty() {
            return;
        }
        let Some(facts) = self.facts(id) else { return };
        let mut effects = std::mem::take(&mut self.order.effects);
        self.order.gates.update(id, facts, &mut effects);
        if facts.state.is_stopped() {
            self.order.owed.remove(&id);
            self.stop_is_over(id, &mut effects, now);
        } else {
            self.order.refused.remove(&id);
        }
        let is_hushed = self.order.hushed.contains(&id);
        if is_hushed && facts.state == ProcessState::Running {
            self.order.hushed.remove(&id);
        }
        for effect in effects.drain(..) {
            match effect {
                GateEffect::Closed(_) if is_hushed || self.state != SupervisorState::Running => {}
                GateEffect::Closed(waiter) => self.dependency_went(waiter, now),
                GateEffect::Free(freed) => {
                    self.is_free_to_end(freed);
                    self.look_soon(freed, now);
                }
                GateEffect::Opened(waiter) | GateEffect::Hopeless { waiter, .. } => self.look_soon(waiter, now),
            }
        }
        self.order.effects = effects;
    }

    /// Has a process looked at in this turn or the next, if anything is pending of it.
    pub(super) fn look_soon(&mut self, id: ProcId, now: Now) {
        let order = &mut self.order;
        if order.waits.contains_key(&id) || order.owed.contains_key(&id) || order.stops.contains_key(&id) {
            order.agenda.set(id, Due::At(now.mono), now.mono);
        }
    }

    /// A call is about to start these, one after another: from here on they are to run again.
    pub fn ask_to_start(&mut self, ids: &[ProcId], now: Now) {
        if !self.order.is_used {
            return;
        }
        self.refresh_order(now);
        for id in ids {
            let is_down = self.roster.process(*id).is_some_and(|process| process.machine.state().is_stopped());
            if is_down && self.order.asked.insert(*id) {
                self.reorder(*id, now);
            }
        }
    }

    /// The same where they wait for each other alone: what they were up without they come up without again.
    pub fn ask_to_start_again(&mut self, ids: &[ProcId], now: Now) {
        self.ask_to_start(ids, now);
        if !self.order.is_used {
            return;
        }
        let these: Rc<BTreeSet<ProcId>> = Rc::new(ids.iter().copied().collect());
        for id in ids {
            if self.is_waiting(*id) {
                continue;
            }
            self.order.excused.insert(*id, these.clone());
            self.order.gates.excuse(*id, &these);
        }
    }

    fn end_excuse(&mut self, id: ProcId) {
        if self.order.excused.remove(&id).is_some() {
            self.order.gates.end_excuse(id);
        }
    }

    /// The call has come to a process: it was started, waits, or cannot be started.
    pub fn had_its_turn(&mut self, id: ProcId, now: Now) {
        if self.order.asked.remove(&id) {
            self.reorder(id, now);
        }
        if !self.is_waiting(id) {
            self.end_excuse(id);
        }
    }

    /// Has a process that is to be started wait for what it depends on; says whether there is something to wait for.
    pub fn wait_to_start(&mut self, id: ProcId, now: Now) -> bool {
        if !self.order.is_used {
            return false;
        }
        self.refresh_order(now);
        if self.is_waiting(id) {
            return true;
        }
        // What is asked for while its last child is there is what it always was.
        if self.roster.process(id).is_some_and(|process| process.machine.pid().is_some()) {
            return false;
        }
        let delay = self.roster.process(id).map_or(Duration::ZERO, first_delay);
        if self.order.gates.is_open(id) && delay.is_zero() {
            return false;
        }
        self.begin_wait(id, StartAs::Start, now);
        true
    }

    /// The options of a process were changed in passing: if it waits, what they say of that holds from now on.
    pub(super) fn look_at_wait_anew(&mut self, id: ProcId, old: &config::Process, now: Now) {
        let Some(process) = self.roster.process(id) else { return };
        let timeout = process.config.program.depends_on_timeout;
        if let Some(wait) = self.order.waits.get_mut(&id)
            && timeout != old.program.depends_on_timeout
        {
            wait.until = (!timeout.0.is_zero()).then(|| now.mono.after(timeout.0));
        }
        self.look_soon(id, now);
    }

    /// From here on a process waits.
    pub(super) fn begin_wait(&mut self, id: ProcId, start_as: StartAs, now: Now) {
        let Some(process) = self.roster.process(id) else { return };
        let timeout = process.config.program.depends_on_timeout.0;
        let until = (!timeout.is_zero()).then(|| now.mono.after(timeout));
        let flaps_until = self.order.owed.remove(&id).map(|went| went.after(FLAP_TIME));
        let wait = Wait { start_as, until, remind_at: None, not_before: flaps_until, is_delayed: false };
        self.order.waits.insert(id, wait);
        self.agenda.set(id, Due::Never, now.mono);
        self.order.agenda.set(id, Due::At(now.mono), now.mono);
        self.just_changed.push(id);
        self.reorder(id, now);
        if self.order.gates.is_open(id) {
            return;
        }
        if let Some(wait) = self.order.waits.get_mut(&id) {
            wait.remind_at = Some(now.mono.after(REMIND_AFTER));
        }
        let name = self.roster.namespec(id).unwrap_or_default();
        let obstacles = self.obstacle_names(id, false);
        activity!(Info, "waiting: {name} for {obstacles}");
        self.remember_because(id, What::Word("waiting"), Why::Text(format!("for {obstacles}").into()), now);
        if self.bus.wants(crate::eventtype::EventType::SthenoWaiting)
            && let Some((subject, _)) = self.subject(id)
        {
            let event = event::Event::waiting(subject, &obstacles);
            self.bus.emit(event);
        }
    }

    /// When [`Daemon::order_deadlines`] has something to do; `None` is never.
    pub(super) fn order_deadline(&self, now: Now) -> Option<Mono> {
        self.order.agenda.next(now.mono)
    }

    /// Acts on what has turned and on what is due.
    pub(super) fn order_deadlines(&mut self, now: Now, host: &mut dyn Host) {
        self.refresh_order(now);
        if self.order.agenda.next(now.mono).is_none_or(|at| at > now.mono) {
            return;
        }
        for id in self.order.agenda.take_due(now.mono) {
            self.stop_in_turn(id, now, host);
            self.look_at_wait(id, now, host);
            self.look_at_owed(id, now, host);
            self.reschedule_order(id, now);
        }
    }

    fn reschedule_order(&mut self, id: ProcId, now: Now) {
        let wait = self.order.waits.get(&id);
        let of_wait = wait.and_then(|wait| {
            let not_before = wait.not_before.filter(|_| self.order.gates.is_open(id));
            earliest(&[wait.until, wait.remind_at, not_before])
        });
        let of_owed = self.order.owed.get(&id).map(|went| went.after(FLAP_TIME));
        let of_owed = of_owed.filter(|_| self.order.gates.is_open(id));
        let due = earliest(&[of_wait, of_owed]);
        self.order.agenda.set(id, due.map_or(Due::Never, Due::At), now.mono);
    }

    fn look_at_wait(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        let Some(mut wait) = self.order.waits.get(&id).copied() else { return };
        let Some(process) = self.roster.process(id) else { return };
        let program = process.config.program.clone();
        if !self.order.gates.is_open(id) {
            if program.depends_on_failure == DependsOnFailure::Fatal
                && let Some(name) = self.failed_dependency(id)
            {
                return self.refuse(id, format!("Dependency {name} failed"), now, host);
            }
            if wait.until.is_some_and(|at| at <= now.mono) {
                let secs = program.depends_on_timeout.0.as_secs_f64();
                let obstacles = self.obstacle_names(id, true);
                return self.refuse(id, format!("Dependencies not met within {secs} seconds: {obstacles}"), now, host);
            }
            if wait.remind_at.is_some_and(|at| at <= now.mono) {
                wait.remind_at = None;
                let name = self.roster.namespec(id).unwrap_or_default();
                activity!(Info, "still waiting: {name} for {}", self.obstacle_names(id, true));
            }
            self.order.waits.insert(id, wait);
            return;
        }
        // What it waits for is there: what is left is the time of its first start, which counts from here.
        wait.remind_at = None;
        wait.until = None;
        let delay = first_delay(process);
        if !std::mem::replace(&mut wait.is_delayed, true) && !delay.is_zero() {
            wait.not_before = Some(now.mono.after(delay));
            self.just_changed.push(id);
        }
        if wait.not_before.is_some_and(|at| at > now.mono) {
            self.order.waits.insert(id, wait);
            return;
        }
        self.order.waits.remove(&id);
        self.end_excuse(id);
        self.order.released.insert(id, wait.start_as);
        self.agenda.set(id, Due::FirstStart, now.mono);
    }

    /// A wait ends in failure.
    fn refuse(&mut self, id: ProcId, text: String, now: Now, host: &mut dyn Host) {
        self.order.waits.remove(&id);
        self.end_excuse(id);
        self.order.refused.insert(id);
        if let Some(process) = self.roster.process_mut(id) {
            process.start_failure = ending::OTHER_REASON;
        }
        self.just_changed.push(id);
        let _ = self.step(id, Trigger::Refuse(text), now, host);
        // It may have been FATAL before it waited.
        self.reorder(id, now);
    }

    /// The first thing that a process waits for in vain.
    fn failed_dependency(&self, id: ProcId) -> Option<String> {
        let failed = self.order.gates.obstacles(id).find(|obstacle| obstacle.fails);
        let absent = || self.order.gates.absent(id).next().map(|item| item.name.clone());
        failed.and_then(|obstacle| self.roster.namespec(obstacle.process)).or_else(absent)
    }

    /// What happens to a process whose moment has come; `None` for one that has to wait.
    pub(super) fn order_start(&mut self, id: ProcId, now: Now) -> Option<Trigger> {
        #[cfg(feature = "fleet")]
        if self.stays_down(id) {
            return None;
        }
        if !self.order.is_used {
            return Some(Trigger::Deadline);
        }
        if let Some(start_as) = self.order.released.remove(&id) {
            return Some(start_as.trigger());
        }
        // Nothing of its own accord starts one that waits.
        if self.order.waits.contains_key(&id) {
            return None;
        }
        let is_first =
            |process: &Proc| process.machine.state() == ProcessState::Stopped && !process.machine.is_coming_back();
        let waits = self.roster.process(id).is_some_and(is_first) && self.wait_to_start(id, now);
        (!waits).then_some(Trigger::Deadline)
    }

    /// Whether a process is to be started once others are as it needs them.
    pub fn is_waiting(&self, id: ProcId) -> bool {
        self.order.waits.contains_key(&id) || self.order.released.contains_key(&id)
    }

    /// When the wait of a process ends that has nothing but a time to wait for.
    pub fn wait_ends(&self, id: ProcId) -> Option<Mono> {
        self.order.waits.get(&id).filter(|_| self.order.gates.is_open(id))?.not_before
    }

    pub(super) fn has_waits(&self) -> bool {
        !self.order.waits.is_empty() || !self.order.released.is_empty()
    }

    /// Whether the last wait of a process has ended in failure.
    pub fn is_refused(&self, id: ProcId) -> bool {
        self.order.refused.contains(&id)
    }

    /// Ends the wait of a process; says whether it waited.
    pub fn end_wait(&mut self, id: ProcId, now: Now) -> bool {
        if !self.order.is_used {
            return false;
        }
        let was_waiting = self.order.waits.remove(&id).is_some();
        if was_waiting {
            self.remember_what(id, What::Word("no longer waiting"), now);
        }
        let waited = was_waiting | self.order.released.remove(&id).is_some();
        if waited {
            self.end_excuse(id);
            self.agenda.set(id, Due::Never, now.mono);
            self.order.agenda.forget(id);
            self.just_changed.push(id);
            self.reorder(id, now);
        }
        waited
    }

    /// Stops the wait of a process by command; says whether it waited. Nothing starts it of its own accord then.
    pub fn give_up_wait(&mut self, id: ProcId, now: Now) -> bool {
        let waited = self.end_wait(id, now);
        if let Some(process) = self.roster.process_mut(id).filter(|_| waited) {
            process.machine.rest();
        }
        waited
    }

    /// Processes of a program that are down and wait for nothing stay so until a command starts them, whatever autostart
    /// comes to be; `is_disabled` is what that is.
    pub fn leave_down(&mut self, group_name: &str, program: &str, is_disabled: bool) {
        for name in self.roster.processes_of_program(group_name, program) {
            let group = self.roster.group_named(group_name).and_then(|id| self.roster.group(id));
            let Some(id) = group.and_then(|group| group.process(&name)) else { continue };
            match is_disabled && self.dynamic.journal().own(group_name, program).is_some() {
                true => self.order.disabled.insert(id),
                false => self.order.disabled.remove(&id),
            };
            let is_waiting = self.is_waiting(id);
            let down = |process: &&mut Proc| process.machine.state() == ProcessState::Stopped && !is_waiting;
            if let Some(process) = self.roster.process_mut(id).filter(down) {
                process.machine.rest();
            }
        }
    }

    /// What a process waits for comes and goes: it is looked at some time later. Says whether the process waits.
    pub(super) fn postpone_resume(&mut self, id: ProcId, now: Now) -> bool {
        if let Some(wait) = self.order.waits.get_mut(&id)
            && wait.start_as == StartAs::Resume
        {
            wait.not_before = Some(now.mono.after(FLAP_TIME));
        }
        self.is_waiting(id)
    }

    /// Nothing is started any more, and nothing pending is of any use. Whoever waits for the start of one of them is told.
    pub(super) fn end_waits(&mut self) {
        self.just_changed.extend(self.order.waits.keys().chain(self.order.released.keys()));
        let Order { gates, is_used, is_stale, .. } = std::mem::take(&mut self.order);
        self.order = Order { gates, is_used, is_stale, ..Order::default() };
    }

    /// `Waiting for db (STARTING), migrate (BACKOFF)`; `None` for one that does not wait.
    pub fn waiting_text(&self, id: ProcId) -> Option<String> {
        let wait = self.order.waits.get(&id)?;
        if !self.order.gates.is_open(id) {
            return Some(format!("Waiting for {}", self.obstacle_names(id, true)));
        }
        let process = self.roster.process(id)?;
        let secs = first_delay(process).as_secs_f64();
        wait.not_before?;
        Some(format!("Waiting {secs} s before the first start"))
    }

    /// Those that wait, in the order of their ids.
    pub fn waiting(&self) -> impl Iterator<Item = ProcId> {
        self.order.waits.keys().copied()
    }

    /// `db, migrate`: for what a process waits; `None` for one that does not.
    pub fn waits_for(&self, id: ProcId) -> Option<String> {
        let waits = self.order.waits.contains_key(&id) && !self.order.gates.is_open(id);
        waits.then(|| self.obstacle_names(id, false))
    }

    /// Each process that one waits for, by the first item that it stands in the way of; then the names of items that
    /// nothing has.
    pub fn obstacles_of(&self, id: ProcId) -> Vec<(String, &'static str, &'static str)> {
        self.each_obstacle(id).collect()
    }

    fn each_obstacle(&self, id: ProcId) -> impl Iterator<Item = (String, &'static str, &'static str)> + '_ {
        let absent = self.order.gates.absent(id).map(|item| (item.name.clone(), item.condition.name(), "removed"));
        let known = self.order.gates.distinct_obstacles(id).map(|obstacle| {
            let name = self.roster.namespec(obstacle.process).unwrap_or_default();
            (name, obstacle.item.condition.name(), self.word_for(&obstacle))
        });
        known.chain(absent)
    }

    /// Why a dependency is not as it has to be, in a word.
    fn word_for(&self, obstacle: &Obstacle<'_>) -> &'static str {
        let id = obstacle.process;
        let Some((group, process)) = self.roster.member(id) else { return "removed" };
        let state = self.facts(id).map_or(process.machine.state(), |facts| facts.state);
        let is_off = state == ProcessState::Stopped && !process.config.program.autostart;
        if obstacle.item.condition == Condition::Healthy && state == ProcessState::Running {
            let is_known = self.care_of(id).is_some_and(|known| known.health.state == HealthState::Unhealthy);
            return if is_known { "unhealthy" } else { "health unknown" };
        }
        // One that was added at run time has all its options from there, and may have been added so.
        let is_added = self.dynamic.journal().own(group.name(), &process.config.program.name).is_some();
        let is_disabled = match is_added {
            true => self.order.disabled.contains(&id),
            false => self.dynamic.overrides(&process.config.program.name, "autostart"),
        };
        if is_off && is_disabled { "disabled" } else { state.name() }
    }

    fn obstacle_names(&self, id: ProcId, with_states: bool) -> String {
        // The others are only counted: they may be thousands, of each of hundreds that are told of in one turn.
        let shown: Vec<_> = self.each_obstacle(id).take(NAMES_SHOWN).map(|(name, _, state)| (name, state)).collect();
        let all = self.order.gates.distinct_obstacles(id).count() + self.order.gates.absent(id).count();
        listed(shown, all, with_states)
    }
}

/// The first names, with the state of each if that is wanted, and how many more of `all` there are.
pub(super) fn listed(obstacles: Vec<(String, &'static str)>, all: usize, with_states: bool) -> String {
    let more = all.saturating_sub(NAMES_SHOWN);
    let shown = obstacles.into_iter().take(NAMES_SHOWN);
    let names = shown.map(|(name, state)| if with_states { format!("{name} ({state})") } else { name });
    let names = names.collect::<Vec<_>>().join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

/// What an item may call a process: by itself, by its group, by its program.
fn called(group: &str, process: &config::Process) -> [String; 4] {
    let program = process.program.name.clone();
    [group.to_string(), format!("{group}:*"), format!("{group}:{}", process.name), program]
}

/// What is known of a process that is not there.
const GONE: Facts =
    Facts { state: ProcessState::Stopped, is_healthy: false, ended: None, is_retried: false, is_removed: true };

/// Whether its first start is not to be at once.
fn is_delayed(process: &Proc) -> bool {
    let program = &process.config.program;
    !program.startdelay.0.is_zero() || !program.start_stagger.0.is_zero()
}

/// How long its first start waits; nothing once it was started.
fn first_delay(process: &Proc) -> Duration {
    if process.machine.runs().started().is_some() {
        return Duration::ZERO;
    }
    let config = &process.config;
    let place = config.number.saturating_sub(config.program.numprocs_start).clamp(0, i64::from(u32::MAX));
    let stagger = config.program.start_stagger.0.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX));
    config.program.startdelay.0.saturating_add(stagger)
}

/// What conditions look at, but for health.
fn facts(process: &Proc) -> Facts {
    use ProcessState::*;
    let machine = &process.machine;
    let state = machine.state();
    let is_over = machine.runs().count() > 0 && matches!(state, Exited | Stopped | Fatal | Backoff);
    let is_expected = |status: crate::exit::ExitStatus| process.config.program.exitcodes.0.contains(&status.code());
    // In the pause before the next run it is as it was when the last one ended.
    let has_exited = state == Exited || machine.pause_ends().is_some();
    let ended = if is_over { machine.runs().last_exit().map(|status| has_exited && is_expected(status)) } else { None };
    let is_due = || machine.deadline(&process.config, SupervisorState::Running).is_some();
    // Whether it is retried is decided once the hook after its end is over.
    let is_retried = matches!(state, Exited | Backoff) && (machine.hook().is_some() || is_due());
    Facts { state, is_healthy: true, ended, is_retried, is_removed: false }
}
