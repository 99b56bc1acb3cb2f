//! What the fleet publishes as messages: their bodies are what the methods answer (V-510 to V-523).

use std::collections::{BTreeMap, VecDeque};

use super::{Context, METHODS, Outcome, TaskId, Value, record, strings};
use crate::fleet::Fleet;
use crate::fleet::published::{Kind, Kinds, Note, Step};
use crate::fleet::view::seconds;
use crate::id::PeerId;
use crate::rpc::Answer;
use crate::state::ProcessState;
use crate::wire::json;

/// Processes of an application that are looked at after each change of one. A larger application is told of once a turn, after
/// its last change, for all of its processes decide on its state.
const OFTEN_TOLD_MAX: usize = 200;

/// The code of what is gone (V-150, V-160).
const PROCESS_DELETED: i32 = -1;
const APPLICATION_DELETED: i32 = 4;

/// A message, as subscribers get it over any of the links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which type it is of, by which it is subscribed to.
    pub kind: Kind,
    /// Its body, as JSON.
    pub body: String,
}

/// What has happened since the last call, oldest first, and how many messages before it were lost.
pub fn messages(context: &mut Context<'_>) -> (Vec<Message>, u64) {
    let Some(fleet) = context.extensions.fleet.as_deref_mut() else { return Default::default() };
    let wanted = fleet.wanted();
    let (notes, lost) = fleet.take_notes(context.now);
    let mut messages = Messages { wanted, context, messages: Vec::new() };
    messages.state();
    messages.all(notes);
    (messages.messages, lost)
}

struct Messages<'a, 'c> {
    wanted: Kinds,
    context: &'a mut Context<'c>,
    messages: Vec<Message>,
}

impl Messages<'_, '_> {
    fn push(&mut self, kind: Kind, body: &Value) {
        if self.wanted.has(kind) {
            self.messages.push(Message { kind, body: json::write(body) });
        }
    }

    fn fleet(&mut self) -> Option<&mut Fleet> {
        self.context.extensions.fleet.as_deref_mut()
    }

    /// What a method answers; nothing if it refuses, as most do before the fleet is there.
    fn ask(&mut self, method: &str, params: &[Value]) -> Option<Value> {
        let row = METHODS.iter().copied().flatten().find(|row| row.name == method)?;
        match (row.call)(self.context, params) {
            Ok(Outcome::Now(Answer::Value(value))) => Some(value),
            _ => None,
        }
    }

    fn tell(&mut self, kind: Kind, method: &str, params: &[Value]) {
        if !self.wanted.has(kind) {
            return;
        }
        match self.ask(method, params) {
            Some(Value::Array(bodies)) => bodies.iter().for_each(|body| self.push(kind, body)),
            Some(body) => self.push(kind, &body),
            None => {}
        }
    }

    /// The fleet itself, if it has changed.
    fn state(&mut self) {
        if self.wanted.has(Kind::Supvisors)
            && let Some(state) = self.ask("get_supvisors_state", &[])
            && self.fleet().is_some_and(|fleet| fleet.is_other_state(&state))
        {
            self.push(Kind::Supvisors, &state);
        }
    }

    /// The fleet as it was when these instances started and stopped something.
    fn jobs(&mut self, starting: Vec<String>, stopping: Vec<String>) {
        let Some(mut state) = self.ask("get_supvisors_state", &[]) else { return };
        if let Value::Struct(members) = &mut state {
            for (name, value) in members {
                match &**name {
                    "starting_jobs" => *value = strings(&starting),
                    "stopping_jobs" => *value = strings(&stopping),
                    _ => {}
                }
            }
        }
        if self.fleet().is_some_and(|fleet| fleet.is_other_state(&state)) {
            self.push(Kind::Supvisors, &state);
        }
    }

    fn all(&mut self, notes: VecDeque<Note>) {
        let mut last: BTreeMap<(PeerId, TaskId), ProcessState> = BTreeMap::new();
        let mut groups_left: BTreeMap<String, usize> = BTreeMap::new();
        // Each is told of as it was when that happened.
        for note in &notes {
            let Note::Process { task, group, step, .. } = note else { continue };
            *groups_left.entry(group.clone()).or_default() += 1;
            let Some(Step { peer, from, .. }) = *step else { continue };
            if !last.contains_key(&(peer, *task))
                && let Some(state) = self.fleet().and_then(|fleet| fleet.look_back(peer, *task, from))
            {
                last.insert((peer, *task), state);
            }
        }
        for note in notes {
            match note {
                Note::Process { task, group, name, step, event } => {
                    if let Some(Step { peer, to, .. }) = step
                        && let Some(fleet) = self.fleet()
                    {
                        fleet.look_back(peer, task, to);
                    }
                    self.push(Kind::Event, &event);
                    let count = groups_left.entry(group.clone()).or_default();
                    *count -= 1;
                    let is_last = *count == 0;
                    self.process(&group, &name, is_last);
                }
                Note::Disability(task) => {
                    let name = self.fleet().and_then(|fleet| fleet.view().namespec(task)).unwrap_or_default();
                    self.tell(Kind::Event, "get_local_process_info", &[name.into()]);
                }
                Note::Gone { group, name } => self.gone(group, name),
                Note::Deleted { name, managed } => {
                    let now = Value::Double(seconds(self.context.now.mono));
                    let body = record([
                        ("application_name", name.into()),
                        ("managed", managed.into()),
                        ("now_monotonic", now),
                        ("statecode", APPLICATION_DELETED.into()),
                        ("statename", "DELETED".into()),
                        ("major_failure", false.into()),
                        ("minor_failure", false.into()),
                    ]);
                    self.push(Kind::Application, &body);
                }
                Note::Jobs(starting, stopping) => self.jobs(starting, stopping),
                Note::Tick => self.instances(),
                Note::Ready(kind, body) => self.push(kind, &body),
            }
        }
        // More may be known of it than was told.
        for ((peer, task), state) in last {
            if let Some(fleet) = self.fleet() {
                fleet.look_back(peer, task, state);
            }
        }
    }

    /// A process and its application, after its event (V-521).
    fn process(&mut self, group: &str, name: &str, is_last: bool) {
        self.tell(Kind::Process, "get_process_info", &[format!("{group}:{name}").into()]);
        let roster = &self.context.daemon.roster;
        let of_group = roster.group_named(group).and_then(|id| roster.group(id));
        if is_last || of_group.is_some_and(|group| group.processes.len() <= OFTEN_TOLD_MAX) {
            self.tell(Kind::Application, "get_application_info", &[group.to_string().into()]);
        }
    }

    fn gone(&mut self, group: String, name: String) {
        let event =
            record([("name", name.clone().into()), ("group", group.clone().into()), ("state", PROCESS_DELETED.into())]);
        self.push(Kind::Event, &event);
        let mono = Value::Double(seconds(self.context.now.mono));
        let body = record([
            ("application_name", group.clone().into()),
            ("process_name", name.into()),
            ("now_monotonic", mono.clone()),
            ("statecode", PROCESS_DELETED.into()),
            ("statename", "DELETED".into()),
            ("expected_exit", true.into()),
            ("last_event_mtime", mono),
            ("identifiers", Value::Array(Vec::new())),
            ("extra_args", "".into()),
        ]);
        self.push(Kind::Process, &body);
        self.tell(Kind::Application, "get_application_info", &[group.into()]);
    }

    /// The instances that are heard of: those that run (V-511).
    fn instances(&mut self) {
        let Some(Value::Array(all)) = self.ask("get_all_instances_info", &[]) else { return };
        let is_heard = |one: &&Value| one.member("statename").and_then(Value::as_str) == Some("RUNNING");
        all.iter().filter(is_heard).for_each(|one| self.push(Kind::Instance, one));
    }
}
