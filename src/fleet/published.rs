//! What is published of a fleet (V-510 to V-523), noted as it happens, while somebody wants it. What a note says in full is put
//! together where it is sent, by the methods that answer the same.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::view::seconds;
use super::{Fleet, TICK};
use crate::clock::{Mono, Now};
use crate::id::PeerId;
use crate::model::fleet::view::TaskId;
use crate::model::process::Transition;
use crate::state::ProcessState;
use crate::wire::value::{Value, record};

/// Notes that wait for the end of their turn. More happens only when thousands of processes change at once; the oldest are lost.
const NOTES_MAX: usize = 4096;

/// A type of what is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The state and modes of the fleet.
    Supvisors,
    /// The state of an instance, and its modes.
    Instance,
    /// The state of an application over all instances.
    Application,
    /// A process over all instances.
    Process,
    /// A process of one instance has another state.
    Event,
    /// Statistics of a host.
    HostStatistics,
    /// Statistics of a process.
    ProcessStatistics,
}

impl Kind {
    /// Every type once, in the order of their bits in [`Kinds`].
    pub const ALL: [Kind; 7] = [
        Kind::Supvisors,
        Kind::Instance,
        Kind::Application,
        Kind::Process,
        Kind::Event,
        Kind::HostStatistics,
        Kind::ProcessStatistics,
    ];

    /// Its name in paths and messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Supvisors => "supvisors",
            Kind::Instance => "instance",
            Kind::Application => "application",
            Kind::Process => "process",
            Kind::Event => "event",
            Kind::HostStatistics => "hstats",
            Kind::ProcessStatistics => "pstats",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A set of types, one bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// The empty set: nobody wants anything.
    pub const NONE: Kinds = Kinds(0);

    /// The set of all types.
    pub fn all() -> Kinds {
        Kind::ALL.into_iter().collect()
    }

    /// Whether this is one.
    pub fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// What is in either.
    pub fn union(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Kinds {
        Kinds(kinds.into_iter().fold(0, |bits, kind| bits | 1 << kind as u8))
    }
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A process has got into another state: what is told of it, and of the process and its application after it.
    Process {
        /// The process, which may be gone when this is read.
        task: TaskId,
        /// The name of its application.
        group: String,
        /// The name alone, without an application before it.
        name: String,
        /// What has happened, and where, as far as that is known.
        step: Option<Step>,
        /// The body of its event.
        event: Value,
    },
    /// Somebody may not start it any more, or may again.
    Disability(TaskId),
    /// A process is gone.
    Gone {
        /// The name of its application.
        group: String,
        /// The name alone, without an application before it.
        name: String,
    },
    /// An application is gone.
    Deleted {
        /// The name alone, without an application before it.
        name: String,
        /// Whether rules applied to it.
        managed: bool,
    },
    /// Somebody begins to start or to stop something, or is done with it: the identifiers of all that start, and that stop.
    Jobs(Vec<String>, Vec<String>),
    /// Five seconds have passed.
    Tick,
    /// Something of which the body is made already.
    Ready(Kind, Value),
}

/// A process of an instance has got from one state into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The instance that it has happened on.
    pub peer: PeerId,
    /// The state that it was in before.
    pub from: ProcessState,
    /// The state that it is in now.
    pub to: ProcessState,
}

/// What is kept while somebody wants to be told.
#[derive(Debug, Default)]
pub struct Published {
    /// The types that somebody reads; others are not noted.
    wanted: Kinds,
    notes: VecDeque<Note>,
    lost: u64,
    /// Ticks that were told of.
    ticks: u64,
    /// Names of all processes, for when they are gone; and of applications with whether they are managed.
    names: BTreeMap<TaskId, (String, String)>,
    applications: BTreeMap<String, bool>,
    /// The state of the fleet that was told last.
    told: Option<Value>,
}

impl Fleet {
    /// From now on this is wanted; with nothing wanted nothing is noted.
    pub fn publish(&mut self, wanted: Kinds, now: Now) {
        if wanted == Kinds::NONE {
            self.published = None;
            return;
        }
        let is_new = self.published.is_none();
        let ticks = self.ticks(now);
        let published = self.published.get_or_insert_default();
        published.wanted = wanted;
        if is_new {
            published.ticks = ticks;
            self.note_names();
        }
    }

    /// The types that somebody reads; none if nobody does.
    pub fn wanted(&self) -> Kinds {
        self.published.as_ref().map_or(Kinds::NONE, |published| published.wanted)
    }

    /// What has happened since the last call, and how much before it was lost.
    pub fn take_notes(&mut self, now: Now) -> (VecDeque<Note>, u64) {
        let ticks = self.ticks(now);
        let Some(published) = &mut self.published else { return Default::default() };
        if published.ticks < ticks {
            published.ticks = ticks;
            if published.wanted.has(Kind::Instance) {
                published.notes.push_back(Note::Tick);
            }
        }
        (std::mem::take(&mut published.notes), std::mem::take(&mut published.lost))
    }

    /// When the next tick is to be told of.
    pub(super) fn next_tick(&self) -> Option<Mono> {
        let published = self.published.as_ref().filter(|published| published.wanted.has(Kind::Instance))?;
        Some(self.began.mono.after(Duration::from_secs(TICK * (published.ticks + 1))))
    }

    fn ticks(&self, now: Now) -> u64 {
        now.mono.since(self.began.mono).as_secs() / TICK
    }

    /// Notes something, if anybody wants it.
    pub fn note_news(&mut self, note: impl FnOnce() -> Note) {
        let Some(published) = &mut self.published else { return };
        if published.notes.len() == NOTES_MAX {
            published.notes.pop_front();
            published.lost += 1;
        }
        published.notes.push_back(note());
    }

    /// A process of this instance has changed.
    pub(super) fn note_step(&mut self, task: TaskId, change: &Transition, now: Now) {
        self.remember_process(task, self.own, now);
        if self.published.is_none() {
            return;
        }
        let expected = change.to != ProcessState::Exited || change.expected;
        let told = Told { state: change.to, pid: change.pid, expected, peer: Some(self.own), clock: now.mono.0 };
        self.note_process(task, told, Some(change.from), now);
    }

    /// Another instance has said that a process has changed there.
    pub(super) fn note_heard(&mut self, peer: PeerId, task: TaskId, from: Option<ProcessState>, now: Now) {
        self.remember_process(task, peer, now);
        if self.published.is_none() {
            return;
        }
        let Some(known) = self.view.task(task).and_then(|known| known.on(peer)) else { return };
        let record = &known.record;
        let expected = record.expected || record.state == ProcessState::Fatal;
        let told = Told { state: record.state, pid: record.pid, expected, peer: Some(peer), clock: record.changed };
        self.note_process(task, told, from, now);
    }

    /// A process is shown in another state than its own (V-153).
    pub(super) fn note_forced(&mut self, task: TaskId, now: Now) {
        if self.published.is_none() {
            return;
        }
        let Some(forced) = self.view.task(task).and_then(|known| known.forced.as_ref()) else { return };
        let told = Told { state: forced.state, pid: 0, expected: false, peer: None, clock: now.mono.0 };
        self.note_process(task, told, None, now);
    }

    fn note_process(&mut self, task: TaskId, told: Told, from: Option<ProcessState>, now: Now) {
        let Some((group, name)) = self.view.names(task) else { return };
        let (group, name) = (group.to_string(), name.to_string());
        let event = self.event(task, &told, now);
        let step = told.peer.zip(from).map(|(peer, from)| Step { peer, from, to: told.state });
        self.note_news(|| Note::Process { task, group, name, step, event });
    }

    /// The body of an event (V-520). One of a state that is forced on a process is of no instance, and short of a member.
    fn event(&self, task: TaskId, told: &Told, now: Now) -> Value {
        let known = self.view.task(task);
        let said = told.peer.and_then(|peer| known?.on(peer)).map(|known| &known.record);
        let who = self.member(told.peer.unwrap_or(self.own)).map(|member| &member.who);
        let reason = known.and_then(|known| known.forced.as_ref()).map(|forced| &forced.reason);
        let spawnerr = said.map(|said| &said.spawnerr).or(reason);
        let (group, name) = self.view.names(task).unwrap_or_default();
        let mut event = record([
            ("identifier", who.map_or("", |who| &who.identifier).to_string().into()),
            ("nick_identifier", who.map_or("", |who| &who.nick).to_string().into()),
            ("name", name.to_string().into()),
            ("group", group.to_string().into()),
            ("state", told.state.code().into()),
            ("now", Value::Double(now.wall.0 as f64 / 1e9)),
            ("now_monotonic", Value::Double(told.clock as f64 / 1e9)),
            ("pid", i64::from(told.pid).into()),
            ("expected", told.expected.into()),
            ("spawnerr", spawnerr.cloned().unwrap_or_default().into()),
            ("extra_args", said.map(|said| said.extra_args.clone()).unwrap_or_default().into()),
        ]);
        if let Value::Struct(members) = &mut event {
            if let Some(said) = said {
                members.push(("disabled".into(), said.is_disabled.into()));
            }
            members.push(("event_mtime".into(), Value::Double(seconds(now.mono))));
        }
        event
    }

    /// Somebody begins to start or to stop something, or is done with it.
    pub(super) fn note_jobs(&mut self) {
        if !self.wanted().has(Kind::Supvisors) {
            return;
        }
        let (starting, stopping) = self.busy_members();
        let names = |peers: Vec<PeerId>| -> Vec<String> {
            peers.into_iter().filter_map(|peer| Some(self.member(peer)?.who.identifier.clone())).collect()
        };
        let note = Note::Jobs(names(starting), names(stopping));
        self.note_news(|| note);
    }

    /// From here on a process of an instance is shown in another state, so that what happened before can be told; answers
    /// the one in which it was shown.
    pub fn look_back(&mut self, peer: PeerId, task: TaskId, state: ProcessState) -> Option<ProcessState> {
        let mut before = None;
        self.view.amend(peer, task, |record| before = Some(std::mem::replace(&mut record.state, state)));
        before
    }

    /// Whether the state of the fleet is another one than was told last; moments in it do not count.
    pub fn is_other_state(&mut self, state: &Value) -> bool {
        let Some(published) = &mut self.published else { return false };
        let mut state = state.clone();
        if let Value::Struct(members) = &mut state {
            members.retain(|(name, _)| name != "now_monotonic");
        }
        let is_other = published.told.as_ref().is_some_and(|told| *told != state);
        published.told = Some(state);
        is_other
    }

    /// Tells of processes and applications that are gone, and remembers who is there.
    pub(super) fn note_names(&mut self) {
        let Some(published) = &mut self.published else { return };
        let (view, applications) = (&self.view, &self.applications);
        let names = view.tasks().filter_map(|(id, _)| {
            let (group, name) = view.names(id)?;
            Some((id, (group.to_string(), name.to_string())))
        });
        let managed = |id| applications.get(&id).is_some_and(|application| application.rules.managed);
        let applications = view.apps().map(|(id, app)| (app.name.clone(), managed(id))).collect();
        let before = std::mem::replace(&mut published.names, names.collect());
        let applications_before = std::mem::replace(&mut published.applications, applications);
        let is_gone = |id: &TaskId| view.task(*id).is_none();
        let gone: Vec<(String, String)> =
            before.into_iter().filter(|(id, _)| is_gone(id)).map(|(_, names)| names).collect();
        let deleted: Vec<(String, bool)> =
            applications_before.into_iter().filter(|(name, _)| view.app_named(name).is_none()).collect();
        for (group, name) in gone {
            self.note_news(|| Note::Gone { group, name });
        }
        for (name, managed) in deleted {
            self.note_news(|| Note::Deleted { name, managed });
        }
    }
}

/// What an event tells.
struct Told {
    state: ProcessState,
    pid: i32,
    expected: bool,
    /// The instance; `None` where the state is forced on it.
    peer: Option<PeerId>,
    /// Nanoseconds of the clock of that instance.
    clock: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_kinds() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
            assert!(Kinds::all().has(kind) && !Kinds::NONE.has(kind));
        }
        assert_eq!(Kind::named("all"), None);
        let two: Kinds = [Kind::Event, Kind::Instance].into_iter().collect();
        assert_eq!(
            Kind::ALL.into_iter().filter(|kind| two.has(*kind)).collect::<Vec<_>>(),
            [Kind::Instance, Kind::Event]
        );
        assert_eq!(two.union(Kinds::all()), Kinds::all());
    }
}
