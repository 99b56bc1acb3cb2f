//! Waits: how one begins, what is looked at while it lasts, and the ways in which it ends (O-1).

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use super::{FLAP_TIME, Order, StartAs, Wait, first_delay};
use crate::clock::{Mono, Now};
use crate::config::{self, DependsOnFailure};
use crate::daemon::agenda::Due;
use crate::daemon::{Daemon, Host, Proc, ending};
use crate::id::ProcId;
use crate::model::event;
use crate::model::history::{What, Why};
use crate::model::process::Trigger;
use crate::state::ProcessState;

/// After so long the log says once more that a process waits, and never again: who waits for hours fills no disk.
const REMIND_AFTER: Duration = Duration::from_secs(60);

impl Daemon {
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
        #[cfg(feature = "fleet")]
        if self.is_disabled(id) {
            return false;
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
    pub(in crate::daemon) fn look_at_wait_anew(&mut self, id: ProcId, old: &config::Process, now: Now) {
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
    pub(in crate::daemon) fn begin_wait(&mut self, id: ProcId, start_as: StartAs, now: Now) {
        let Some(process) = self.roster.process(id) else { return };
        // Nobody starts it once it has waited.
        #[cfg(feature = "fleet")]
        if self.is_disabled(id) {
            return;
        }
        let timeout = process.config.program.depends_on_timeout.0;
        let until = (!timeout.is_zero()).then(|| now.mono.after(timeout));
        let flaps_until = self.order.owed.remove(&id).map(|went| went.after(FLAP_TIME));
        let wait = Wait { start_as, until, remind_at: None, not_before: flaps_until, is_delayed: false };
        self.order.waits.insert(id, wait);
        // What was to be stopped for what it depended on may depend on nothing any more.
        self.order.is_used = true;
        self.agenda.set(id, Due::Never, now.mono);
        self.order.agenda.set(id, Due::At(now.mono), now.mono);
        self.just_changed.push(id);
        #[cfg(feature = "fleet")]
        self.note_wait(id);
        self.reorder(id, now);
        if self.order.gates.is_open(id) {
            return;
        }
        if let Some(wait) = self.order.waits.get_mut(&id) {
            wait.remind_at = Some(now.mono.after(REMIND_AFTER));
        }
        let obstacles = self.obstacle_names(id, false);
        self.tell_of_wait(id, &obstacles, now);
    }

    /// Says for what a process waits: the first names of others, or a time.
    fn tell_of_wait(&mut self, id: ProcId, obstacles: &str, now: Now) {
        let name = self.roster.namespec(id).unwrap_or_default();
        activity!(Info, "waiting: {name} for {obstacles}");
        self.remember_because(id, What::Word("waiting"), Why::Text(format!("for {obstacles}").into()), now);
        if self.bus.wants(crate::eventtype::EventType::SthenoWaiting)
            && let Some((subject, _)) = self.subject(id)
        {
            let event = event::Event::waiting(subject, obstacles);
            self.bus.emit(event);
        }
    }

    pub(super) fn look_at_wait(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
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
            self.tell_of_wait(id, &format!("{} s", delay.as_secs_f64()), now);
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
        // What was FATAL before makes no step.
        #[cfg(feature = "fleet")]
        self.note_wait(id);
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

    /// Whether a process is to be started once others are as it needs them.
    pub fn is_waiting(&self, id: ProcId) -> bool {
        self.order.waits.contains_key(&id) || self.order.released.contains_key(&id)
    }

    /// Whether it waits, or a call is about to come to it.
    pub(in crate::daemon) fn is_to_start(&self, id: ProcId) -> bool {
        self.is_waiting(id) || self.order.asked.contains(&id)
    }

    /// When the wait of a process ends that has nothing but a time to wait for.
    pub fn wait_ends(&self, id: ProcId) -> Option<Mono> {
        self.order.waits.get(&id).filter(|_| self.order.gates.is_open(id))?.not_before
    }

    pub(in crate::daemon) fn has_waits(&self) -> bool {
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
            #[cfg(feature = "fleet")]
            self.note_wait(id);
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
    pub(in crate::daemon) fn postpone_resume(&mut self, id: ProcId, now: Now) -> bool {
        if let Some(wait) = self.order.waits.get_mut(&id)
            && wait.start_as == StartAs::Resume
        {
            wait.not_before = Some(now.mono.after(FLAP_TIME));
        }
        self.is_waiting(id)
    }

    /// Nothing is started any more, and nothing pending is of any use. Whoever waits for the start of one of them is told.
    pub(in crate::daemon) fn end_waits(&mut self) {
        self.just_changed.extend(self.order.waits.keys().chain(self.order.released.keys()));
        let Order { gates, is_used, is_stale, .. } = std::mem::take(&mut self.order);
        self.order = Order { gates, is_used, is_stale, ..Order::default() };
    }
}
