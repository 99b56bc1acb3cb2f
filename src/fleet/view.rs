//! What the fleet shows of instances, applications and processes.

use super::{Application, Fleet, Forced};
use crate::clock::{Mono, Now};
use crate::config::fleet::{ApplicationRules, EVERYWHERE, Instance, Spread, Synchro, place_of};
use crate::daemon::{Daemon, Proc};
use crate::id::{GroupId, ProcId};
use crate::model::fleet::phase::Phase;
use crate::model::fleet::status::{Part, Status, status};
use crate::state::ProcessState;

/// Seconds of the clock that cannot be set.
pub fn seconds(at: Mono) -> f64 {
    at.0 as f64 / 1e9
}

/// Whether the exit of a process that has exited was expected, and true of all others.
pub fn was_expected(process: &Proc) -> bool {
    process.machine.state() != ProcessState::Exited || process.machine.runs().spawn_error().is_empty()
}

impl Fleet {
    /// The state of the fleet.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether something is being started, and stopped.
    pub fn jobs(&self) -> (bool, bool) {
        (!self.sequencer.is_starting_nothing(), !self.sequencer.is_stopping_nothing())
    }

    /// Whether something that the synchronisation was to wait for is not there (V-106).
    pub fn is_degraded(&self) -> bool {
        let Some(supvisors) = self.supvisors() else { return false };
        let is_alone = supvisors.instances.all.len() <= 1;
        let is_own = |name: &String| self.names_us(std::slice::from_ref(name));
        let synchros = &supvisors.options.synchro_options.0;
        let has = |synchro| synchros.contains(&synchro);
        (!is_alone && (has(Synchro::Strict) || has(Synchro::List)))
            || (has(Synchro::Core) && !supvisors.options.core_identifiers.0.iter().all(is_own))
    }

    /// Whether this instance is the Master: from the end of the synchronisation on.
    pub fn is_master(&self) -> bool {
        self.phase > Phase::Synchronization
    }

    /// This instance.
    pub fn own(&self) -> Option<&Instance> {
        self.supvisors()?.instances.own()
    }

    /// The instances that a name stands for: an identifier, a nick or a stereotype (V-4), with whether each is this one.
    pub fn instances_called(&self, name: &str) -> Vec<(&Instance, bool)> {
        let Some(supvisors) = self.supvisors() else { return Vec::new() };
        let instances = &supvisors.instances;
        let all = || instances.all.iter().enumerate().map(|(at, one)| (one, at == instances.own));
        let exact = all().find(|(one, _)| one.identifier == name).or_else(|| all().find(|(one, _)| one.nick == name));
        match exact {
            Some(found) => vec![found],
            // Of others it is not known what they share.
            None if supvisors.options.stereotypes.0.iter().any(|one| one == name) => {
                all().filter(|(_, own)| *own).collect()
            }
            None => Vec::new(),
        }
    }

    /// Ticks since the beginning, and when the last one was: seconds of both clocks.
    pub fn last_tick(&self, now: Now) -> (i64, i64, f64) {
        let ticks = now.mono.since(self.began.mono).as_secs() / super::sequence::TICK;
        let since = ticks * super::sequence::TICK;
        let mono = seconds(self.began.mono) + since as f64;
        let count = i64::try_from(ticks).unwrap_or(i64::MAX).saturating_add(1);
        (count, self.began.wall.secs().saturating_add(i64::try_from(since).unwrap_or(0)), mono)
    }

    /// An application.
    pub fn application(&self, id: GroupId) -> Option<&Application> {
        self.applications.get(&id)
    }

    /// The instances of an application's rule as they are shown: `#` has been given out (V-83).
    pub fn identifiers_of(&self, name: &str, rules: &ApplicationRules) -> Vec<String> {
        let Some(place) = place_of(name).filter(|_| rules.spread == Spread::Hash) else {
            return rules.identifiers.clone();
        };
        let all = || {
            let instances = self.supvisors().map_or(&[][..], |one| &one.instances.all);
            instances.iter().map(|one| one.identifier.clone()).collect::<Vec<_>>()
        };
        let list =
            if rules.identifiers.iter().any(|one| one == EVERYWHERE) { all() } else { rules.identifiers.clone() };
        if list.is_empty() { list } else { vec![list[place % list.len()].clone()] }
    }

    /// The instances of a process's rule as they are shown: what `@` and `#` give out only once it is given out.
    pub fn identifiers_of_process(&self, daemon: &Daemon, id: ProcId) -> Vec<String> {
        let Some(rules) = self.rules_of(daemon, id) else { return Vec::new() };
        match (rules.spread, self.assigned.get(&id), self.own()) {
            (Spread::All, ..) => rules.identifiers.clone(),
            (_, Some(true), Some(own)) => vec![own.identifier.clone()],
            _ => Vec::new(),
        }
    }

    /// How an application is.
    pub fn status(&self, daemon: &Daemon, id: GroupId) -> Option<Status> {
        let application = self.applications.get(&id)?;
        let part = |(id, rules): (&ProcId, &crate::config::fleet::ProcessRules)| {
            let process = daemon.roster.process(*id)?;
            let (state, expected) = (self.shown(daemon, *id), was_expected(process));
            Some(Part { name: &process.config.name, state, expected, required: rules.required })
        };
        let parts: Vec<Part<'_>> = application.processes.iter().filter_map(part).collect();
        let rules = &application.rules;
        Some(status(&parts, rules.formula.as_deref(), rules.managed).0)
    }

    /// The state that a process is shown in.
    pub fn shown(&self, daemon: &Daemon, id: ProcId) -> ProcessState {
        let own = daemon.roster.process(id).map_or(ProcessState::Unknown, |process| process.machine.state());
        self.forced.get(&id).map_or(own, |forced| forced.state)
    }

    /// The other state that a process is shown in.
    pub fn forced(&self, id: ProcId) -> Option<&Forced> {
        self.forced.get(&id)
    }

    /// When something happened last to a process, in seconds of the clock that cannot be set.
    pub fn last_change(&self, id: ProcId) -> f64 {
        let at = self.forced.get(&id).map(|forced| forced.at).or_else(|| self.last_changes.get(&id).copied());
        seconds(at.unwrap_or(self.began.mono))
    }

    /// Whether no process of an application has ever run.
    pub fn was_never_started(&self, daemon: &Daemon, id: GroupId) -> bool {
        let Some(application) = self.applications.get(&id) else { return false };
        application
            .processes
            .keys()
            .filter_map(|id| daemon.roster.process(*id))
            .all(|process| process.machine.state() == ProcessState::Stopped && process.machine.runs().stop_secs() == 0)
    }

    /// Whether a process is given up or has exited unexpectedly (V-136).
    pub fn has_failed_process(&self, daemon: &Daemon) -> bool {
        daemon
            .roster
            .processes()
            .any(|(_, process)| process.machine.state() == ProcessState::Fatal || !was_expected(process))
    }
}
