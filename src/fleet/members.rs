//! The instances, this one among them: how it stands with each, who leads, and whether those are there that are waited for
//! (V-103 to V-109, V-130 to V-137).

use std::time::Duration;

use super::{Fleet, TICK};
use crate::clock::{Mono, Now};
use crate::config::fleet::{Instance, Supvisors, SupvisorsFailure, Synchro};
use crate::daemon::Daemon;
use crate::id::PeerId;
use crate::model::fleet::instance::{InstanceState, Trigger};
use crate::model::fleet::phase::{Facts, Leader, Phase, Wish};
use crate::model::fleet::view::{TASKS_MAX, TaskId};
use crate::wire::fleet::report::{About, Interface, Modes};

/// How far an instance has been told all that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It was told nothing yet.
    Beginning,
    /// All up to this task, and what comes after is not told yet.
    After(TaskId),
}

/// An instance, and what it says of itself.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its names and where it is reached, as they are configured.
    pub who: Instance,
    /// How it stands with it.
    pub state: InstanceState,
    /// What does not change while it lives.
    pub about: Option<About>,
    /// When it said that.
    pub heard: Mono,
    /// How it sees the fleet.
    pub modes: Modes,
    /// What distinguishes this run of it from others.
    pub(super) boot: u64,
    /// It is saying all that it has.
    pub(super) is_telling: bool,
    /// One of its processes has no room in the view, which was logged since it began to say all that it has.
    pub(super) is_left_out: bool,
    /// How far it has been told all that this instance has; `None` once it has all.
    pub(super) telling: Option<Place>,
    /// It has to take what waits for it before that goes on.
    pub(super) lacks_room: bool,
}

impl Member {
    pub(super) fn new(who: Instance) -> Member {
        Member {
            who,
            state: InstanceState::Stopped,
            about: None,
            heard: Mono(0),
            modes: Modes::default(),
            boot: 0,
            is_telling: false,
            is_left_out: false,
            telling: None,
            lacks_room: false,
        }
    }

    /// The state of the fleet that it is in.
    pub fn phase(&self) -> Phase {
        Phase::of(self.modes.phase).unwrap_or(Phase::Off)
    }

    /// Nanoseconds of its own clock.
    pub fn clock(&self, now: Now) -> u64 {
        self.about.as_ref().map_or(0, |about| {
            let since = now.mono.since(self.heard).as_nanos();
            about.now.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
        })
    }

    /// Its ticks since it began, and when the last one was: seconds of both its clocks.
    pub fn last_tick(&self, now: Now) -> (i64, i64, f64) {
        let Some(about) = &self.about else { return (0, 0, 0.0) };
        let ticks = self.clock(now).saturating_sub(about.began) / 1_000_000_000 / TICK;
        let since = ticks * TICK;
        let count = i64::try_from(ticks).unwrap_or(i64::MAX).saturating_add(1);
        let wall = about.began_wall.saturating_add(i64::try_from(since).unwrap_or(0));
        (count, wall, about.began as f64 / 1e9 + since as f64)
    }
}

/// All instances of a configuration, and which of them this one is.
pub(super) fn all(supvisors: Option<&Supvisors>) -> (Vec<Member>, PeerId) {
    let alone = || Instance { identifier: String::new(), nick: String::new(), host: String::new(), port: 0 };
    let (all, own) = supvisors.map_or((vec![alone()], 0), |one| (one.instances.all.clone(), one.instances.own));
    (all.into_iter().map(Member::new).collect(), PeerId(u32::try_from(own).unwrap_or(0)))
}

impl Fleet {
    /// All instances in the order of the list.
    pub fn members(&self) -> impl Iterator<Item = (PeerId, &Member)> {
        (0..).map(PeerId).zip(&self.members)
    }

    /// An instance by its place in the list; `None` beyond its end.
    pub fn member(&self, peer: PeerId) -> Option<&Member> {
        self.members.get(peer.0 as usize)
    }

    pub(super) fn member_mut(&mut self, peer: PeerId) -> Option<&mut Member> {
        self.members.get_mut(peer.0 as usize)
    }

    /// Which this one is.
    pub fn own_id(&self) -> PeerId {
        self.own
    }

    /// This instance, as it is configured; `None` without `[rpcinterface:supvisors]`.
    pub fn own(&self) -> Option<&Instance> {
        self.supvisors()?.instances.own()
    }

    /// The instances that count.
    pub fn running_members(&self) -> impl Iterator<Item = (PeerId, &Member)> {
        self.members().filter(|(_, member)| member.state == InstanceState::Running)
    }

    pub(super) fn is_running_member(&self, peer: PeerId) -> bool {
        self.member(peer).is_some_and(|member| member.state == InstanceState::Running)
    }

    /// Something happens to an instance.
    pub(super) fn meet(&mut self, peer: PeerId, trigger: Trigger) {
        let Some(member) = self.member_mut(peer) else { return };
        let next = member.state.next(trigger);
        if next == member.state {
            return;
        }
        let was = std::mem::replace(&mut member.state, next);
        let name = &member.who.identifier;
        match next {
            InstanceState::Isolated | InstanceState::Failed => {
                activity!(Warn, "Supvisors instance {name} is {}, it was {}", next.name(), was.name());
            }
            _ => activity!(Info, "Supvisors instance {name} is {}", next.name()),
        }
    }

    /// Logs once that an instance has more processes than there is room for: there may be thousands of them.
    pub(super) fn say_left_out(&mut self, peer: PeerId, (group, name): (&str, &str)) {
        let Some(member) = self.member_mut(peer).filter(|member| !member.is_left_out) else { return };
        member.is_left_out = true;
        let who = &member.who.identifier;
        activity!(
            Error,
            "{group}:{name} of {who} is left out of the fleet, and what else is new there: {TASKS_MAX} processes are known"
        );
    }

    /// What this instance says of itself.
    pub(super) fn introduce_own(&mut self, daemon: &Daemon, now: Now) {
        let mut about = About {
            hostname: daemon.config.hostname.clone(),
            began: now.mono.0,
            began_wall: now.wall.secs(),
            now: now.mono.0,
            ..About::default()
        };
        if let Some(supvisors) = self.supvisors() {
            let options = &supvisors.options;
            about.machine = supvisors.machine_id.clone();
            about.hardware = supvisors.hardware.clone();
            about.stereotypes = options.stereotypes.0.clone();
            about.stereotypes.sort();
            about.interfaces = supvisors
                .nics
                .iter()
                .map(|(nic, names)| Interface {
                    name: nic.name.clone(),
                    address: nic.address.to_string(),
                    netmask: nic.netmask.to_string(),
                    names: names.clone(),
                })
                .collect();
            about.checked = [
                ("auto_fence", options.auto_fence.to_string()),
                ("supvisors_failure_strategy", options.supvisors_failure_strategy.name().to_string()),
                ("starting_strategy", options.starting_strategy.name().to_string()),
                ("conciliation_strategy", options.conciliation_strategy.name().to_string()),
            ]
            .map(|(name, value)| (name.to_string(), value))
            .to_vec();
        }
        let own = self.own;
        if let Some(member) = self.member_mut(own) {
            (member.state, member.about, member.heard) = (InstanceState::Running, Some(about), now.mono);
        }
    }

    /// The option that another instance has otherwise although it has to be the same everywhere (V-51): name, ours, theirs.
    pub(super) fn contradiction(&self, theirs: &About) -> Option<(String, String, String)> {
        let ours = self.member(self.own)?.about.as_ref()?;
        ours.checked.iter().find_map(|(name, value)| {
            let (_, other) = theirs.checked.iter().find(|(other, _)| other == name)?;
            (other != value).then(|| (name.clone(), value.clone(), other.clone()))
        })
    }

    /// Lets those count that have said all that they have; in DISTRIBUTION they wait for its end (V-109).
    pub(super) fn settle_members(&mut self) {
        if self.phase == Phase::Distribution {
            return;
        }
        let checked = |(peer, member): (PeerId, &Member)| (member.state == InstanceState::Checked).then_some(peer);
        let new: Vec<PeerId> = self.members().filter_map(checked).collect();
        for peer in new {
            self.meet(peer, Trigger::Admitted);
            self.joins_late |= self.phase > Phase::Distribution;
        }
    }

    /// Whether this instance leads. Where there are plain options alone nobody else could.
    pub fn leads(&self) -> bool {
        self.peers.own().is_none() || (self.master == Some(self.own) && self.phase > Phase::Election)
    }

    /// The Master as it is shown: from the end of the synchronisation on, or as somebody has named it.
    pub fn master(&self) -> Option<&Member> {
        self.master.and_then(|master| self.member(master))
    }

    /// The instance of an identifier.
    fn identified(&self, identifier: &str) -> Option<PeerId> {
        self.members().find(|(_, member)| member.who.identifier == identifier).map(|(peer, _)| peer)
    }

    /// Chooses who leads (V-104): one whom somebody declares, else one of all that count; a core one if there is one; then
    /// the lowest nick. A Master that another one still sees is waited for.
    pub(super) fn choose_master(&mut self) {
        if self.master.is_some_and(|master| !self.is_running_member(master)) {
            self.master = None;
        }
        if self.phase == Phase::Synchronization && self.waits_for_user() {
            let named = self.running_members().find_map(|(_, member)| self.identified(&member.modes.master));
            self.master = self.master.or(named.filter(|peer| self.is_running_member(*peer)));
        }
        if self.phase != Phase::Election {
            return;
        }
        let declared: Vec<Option<PeerId>> = self
            .running_members()
            .filter(|(peer, member)| *peer != self.own && !member.modes.master.is_empty())
            .map(|(_, member)| self.identified(&member.modes.master))
            .collect();
        if declared.iter().any(|one| one.is_none_or(|peer| !self.is_running_member(peer))) {
            self.master = None;
            return;
        }
        let mut pool: Vec<PeerId> = declared.into_iter().flatten().chain(self.master).collect();
        if pool.is_empty() {
            pool = self.running_members().map(|(peer, _)| peer).collect();
        }
        let core = self.core();
        if pool.iter().any(|peer| core.contains(peer)) {
            pool.retain(|peer| core.contains(peer));
        }
        self.master = pool.into_iter().min_by_key(|peer| self.member(*peer).map(|member| &member.who.nick));
    }

    /// The instances of `core_identifiers`, from which the Master is chosen if one of them is there.
    fn core(&self) -> Vec<PeerId> {
        let names = self.supvisors().map_or(&[][..], |one| &one.options.core_identifiers.0);
        self.peers_called(names)
    }

    /// Whether all that count agree on who leads; those that have not come so far yet have no say.
    fn leader(&self) -> Leader {
        let Some(master) = self.master() else { return Leader::Nobody };
        let agrees = |member: &Member| {
            member.phase() < Phase::Election
                || member.phase() > Phase::Conciliation
                || member.modes.master == master.who.identifier
        };
        if !self.running_members().all(|(peer, member)| peer == self.own || agrees(member)) {
            return Leader::Nobody;
        }
        if self.master == Some(self.own) {
            return Leader::Own;
        }
        // One that has nothing to stop is past that before it is heard of.
        Leader::Other(match (master.phase(), master.modes.restarts) {
            (Phase::Final, true) if self.phase < Phase::Restarting => Phase::Restarting,
            (Phase::Final, false) if self.phase < Phase::Restarting => Phase::ShuttingDown,
            (phase, _) => phase,
        })
    }

    /// What the machine of the state looks at.
    pub(super) fn phase_facts(&self, now: Mono) -> Facts {
        let (is_starting, is_stopping) = self.jobs();
        let others = || self.running_members().filter(|(peer, _)| *peer != self.own);
        let is_busy = |member: &Member| member.modes.is_starting || member.modes.is_stopping;
        Facts {
            is_synchronised: self.phase == Phase::Synchronization && self.is_synchronised(now),
            on_missing: self.on_missing(),
            leader: self.leader(),
            is_starting,
            is_stopping,
            is_anyone_busy: is_starting || is_stopping || others().any(|(_, member)| is_busy(member)),
            has_conflicts: self.conflicts().next().is_some(),
        }
    }

    /// Whether something is being started by whichever instance.
    pub(super) fn is_anyone_starting(&self) -> bool {
        self.running_members().any(|(peer, member)| peer != self.own && member.modes.is_starting)
    }

    fn synchros(&self) -> &[Synchro] {
        self.supvisors().map_or(&[], |one| &one.options.synchro_options.0)
    }

    fn waits_for_user(&self) -> bool {
        self.synchros().contains(&Synchro::User)
    }

    /// Whether so many that came first count.
    fn are_running(&self, count: usize) -> bool {
        self.members.iter().take(count).all(|member| member.state == InstanceState::Running)
    }

    /// Whether a condition holds, of which there is one for each word but TIMEOUT (V-105).
    fn is_met(&self, synchro: Synchro) -> bool {
        match synchro {
            // Those of the list; others that were found stand behind them.
            Synchro::Strict => self.are_running(self.supvisors().map_or(0, |one| one.instances.all.len())),
            Synchro::List => self.are_running(usize::MAX),
            Synchro::Core => self.core().into_iter().all(|peer| self.is_running_member(peer)),
            Synchro::Timeout => false,
            Synchro::User => self.is_synchronised_by_user || self.master.is_some(),
        }
    }

    /// Whether the synchronisation may end. Alone there is nobody to wait for, but a user who wants to be asked.
    fn is_synchronised(&self, now: Mono) -> bool {
        if self.supvisors().is_none() {
            return true;
        }
        // Who is just saying what it has is waited for: it may know who leads.
        let is_telling = |member: &Member| matches!(member.state, InstanceState::Checking | InstanceState::Checked);
        if self.members.iter().any(is_telling) {
            return false;
        }
        let synchros = self.synchros();
        let is_late = synchros.contains(&Synchro::Timeout) && self.synchro_timeout().is_some_and(|at| at <= now);
        let is_alone = self.peers.own().is_none() && !self.waits_for_user();
        is_late || is_alone || synchros.iter().any(|synchro| self.is_met(*synchro))
    }

    pub(super) fn synchro_timeout(&self) -> Option<Mono> {
        let secs = u64::try_from(self.supvisors()?.options.synchro_timeout.0).ok()?;
        self.synchros().contains(&Synchro::Timeout).then(|| self.began.mono.after(Duration::from_secs(secs)))
    }

    /// Whether something that the synchronisation was to wait for is not there (V-106).
    pub fn is_degraded(&self) -> bool {
        let waits = [Synchro::Strict, Synchro::List, Synchro::Core];
        self.synchros().iter().any(|synchro| waits.contains(synchro) && !self.is_met(*synchro))
    }

    /// What is to be done because somebody is missing whom the synchronisation waited for: the first of these that is asked
    /// for decides (V-107).
    fn on_missing(&self) -> SupvisorsFailure {
        let Some(supvisors) = self.supvisors() else { return SupvisorsFailure::Continue };
        let order = [Synchro::User, Synchro::Core, Synchro::Strict, Synchro::List];
        let first = order.into_iter().find(|synchro| self.synchros().contains(synchro));
        let fails = match first {
            Some(Synchro::User) => self.has_just_lost,
            Some(synchro) => !self.is_met(synchro),
            None => false,
        };
        if fails && self.phase > Phase::Synchronization {
            supvisors.options.supvisors_failure_strategy
        } else {
            SupvisorsFailure::Continue
        }
    }

    /// How this instance sees the fleet, for the others.
    pub fn own_modes(&self) -> Modes {
        let (is_starting, is_stopping) = self.jobs();
        Modes {
            phase: self.phase.code() as u64,
            is_degraded: self.is_degraded(),
            discovers: self.supvisors().is_some_and(|one| one.network.discovers()),
            is_starting,
            is_stopping,
            restarts: self.wish == Some(Wish::Restart),
            master: self.master().map_or(String::new(), |master| master.who.identifier.clone()),
            instances: self
                .members
                .iter()
                .map(|member| (member.who.identifier.clone(), member.state.code() as u64))
                .collect(),
        }
    }
}
