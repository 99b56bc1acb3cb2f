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

mod shown;
mod waits;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;
use std::time::Duration;

pub(super) use self::shown::listed;
use super::agenda::{Agenda, Due};
use super::{Daemon, Host, Proc};
use crate::clock::{Mono, Now, earliest};
use crate::config;
use crate::config::dependency::Dependency;
use crate::config::depends::{self, Node};
use crate::id::ProcId;
use crate::model::facts::Facts;
use crate::model::gates::{GateEffect, Gates};
use crate::model::process::Trigger;
use crate::state::{ProcessState, SupervisorState};

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
    /// Something depends on something, a first start is delayed, or something waits that had to when it began to.
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
        let is_any_pending = !order.waits.is_empty() || !order.released.is_empty() || !order.owed.is_empty();
        // An end in order goes on by the states of processes, even if the last that depended on anything is removed meanwhile.
        let is_ending = self.shutdown.ordered.is_some();
        order.is_used = is_delayed_anywhere || !order.gates.is_empty() || is_any_pending || is_ending;
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
        if self.is_to_start(id) && facts.state.is_stopped() {
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

    /// What happens to a process whose moment has come; `None` for one that has to wait.
    pub(super) fn order_start(&mut self, id: ProcId, now: Now) -> Option<Trigger> {
        #[cfg(feature = "fleet")]
        if self.stays_down(id) {
            // It may have waited before it was disabled.
            self.end_wait(id, now);
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
}

/// What an item may call a process: by itself, by its group, by its program.
pub(super) fn called(group: &str, process: &config::Process) -> [String; 4] {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;
    use crate::daemon::Roster;

    fn roster(lines: &str) -> Roster {
        let mut roster = Roster::default();
        let config = Fake::new().load(&format!("[supervisord]\n[program:p]\ncommand=x\n{lines}\n")).unwrap();
        for group in config.groups {
            let id = roster.add_group(group.clone());
            for process in &group.processes {
                roster.add_process(id, process.clone());
            }
        }
        roster
    }

    /// O-7: how long the first start of each process of a program waits, in milliseconds.
    #[test]
    fn first_starts_wait_for_their_turn() {
        let numbered = "process_name=%(process_num)d\nnumprocs=3";
        let rows: [(&str, &[u128]); 5] = [
            ("", &[0]),
            ("startdelay=1.5", &[1500]),
            ("start_stagger=2", &[0]),
            (&format!("{numbered}\nnumprocs_start=7\nstart_stagger=0.5"), &[0, 500, 1000]),
            (&format!("{numbered}\nstartdelay=1\nstart_stagger=2"), &[1000, 3000, 5000]),
        ];
        for (lines, expected) in rows {
            let roster = roster(lines);
            let delays: Vec<u128> = roster.processes().map(|(_, process)| first_delay(process).as_millis()).collect();
            assert_eq!(delays, expected, "{lines}");
            let delayed = roster.processes().all(|(_, process)| is_delayed(process));
            assert_eq!(delayed, !lines.is_empty(), "{lines}");
        }
    }

    /// O-1: by which names an item of `depends_on` may mean a process.
    #[test]
    fn what_a_process_is_called() {
        let roster = roster("process_name=%(process_num)d\nnumprocs=1");
        let (_, process) = roster.processes().next().unwrap();
        assert_eq!(called("g", &process.config), ["g", "g:*", "g:0", "p"]);
    }

    /// O-1: what conditions look at of a process that was never started: nothing has ended, nothing is retried.
    #[test]
    fn nothing_is_known_of_a_new_process() {
        let roster = roster("autostart=false");
        let (_, process) = roster.processes().next().unwrap();
        let expected = Facts { is_removed: false, is_healthy: true, ..GONE };
        assert_eq!(facts(process), expected);
    }
}
