//! What this instance reports of itself, and what it hears of the others.
//!
//! Whoever can be spoken to is told all that there is, in parts as there is room for them, and from then on what changes. A
//! change is told at once, and several of one turn one after the other; once there were `AT_ONCE` within `GATHER`, what
//! else happens in it is gathered, so that a storm is no more than the last state of each process. What could not be told
//! because too much waits for an instance is made good by telling it all anew.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::Fleet;
use super::members::{Member, Place};
use super::outbox::Outbox;
use super::peers::{NotSent, PeerNews};
use crate::clock::Now;
use crate::daemon::{Daemon, Host};
use crate::id::PeerId;
use crate::model::fleet::instance::{InstanceState, Trigger};
use crate::model::fleet::phase::{Phase, Wish};
use crate::model::fleet::view::{Forced, Said, TaskId};
use crate::state::{ProcessState, SupervisorState};
use crate::wire::fleet::Kind;
use crate::wire::fleet::report::{Item, Modes, Record};

/// Bytes after which a frame of a report is full: some hundred processes, so that others have their turn between.
const PART_BYTES: usize = 64 * 1024;

/// Processes that are told at a time of all that there is.
const BATCH: usize = 256;

/// Things to be told beside processes, which are merged. Beyond them everybody is told all anew.
const ITEMS_MAX: usize = 10_000;

impl Fleet {
    fn say(&mut self, item: Item, now: Now) {
        if self.members.len() > 1 {
            self.outbox.items.push(item);
            self.outbox.since.get_or_insert(now.mono);
        }
    }

    /// Says that this instance begins to start or to stop something, or is done with it: both may be in one turn.
    pub(super) fn say_jobs(&mut self, now: Now) {
        let jobs = self.jobs();
        if std::mem::replace(&mut self.outbox.jobs, jobs) == jobs {
            return;
        }
        self.note_jobs();
        if self.members.len() > 1 && self.outbox.has_room() {
            let modes = Item::Modes(Box::new(self.own_modes()));
            self.outbox.steps.push(modes);
            self.outbox.since.get_or_insert(now.mono);
        }
    }

    /// A process of this instance is no more.
    pub(super) fn say_gone(&mut self, task: TaskId, now: Now) {
        self.outbox.tasks.remove(&task);
        if let Some((group, name)) = self.view.names(task) {
            self.say(Item::Gone { group: group.to_string(), name: name.to_string() }, now);
        }
    }

    /// Shows a process as given up, or stopped, on all instances.
    pub(super) fn force(&mut self, task: TaskId, state: ProcessState, reason: &str, now: Now) {
        self.view.force(task, Forced { state, reason: reason.to_string(), at: now.mono });
        self.note_forced(task, now);
        if let Some((group, name)) = self.view.names(task) {
            let (group, name) = (group.to_string(), name.to_string());
            self.say(Item::Forced { group, name, state, reason: reason.to_string() }, now);
        }
    }

    /// Gives a process more arguments on all instances (V-465).
    pub fn set_arguments(&mut self, task: TaskId, arguments: &str, daemon: &mut Daemon, now: Now) {
        self.take_arguments(task, arguments, daemon, now);
        if let Some((group, name)) = self.view.names(task) {
            let (group, name) = (group.to_string(), name.to_string());
            self.say(Item::Arguments { group, name, arguments: arguments.to_string() }, now);
        }
    }

    fn take_arguments(&mut self, task: TaskId, arguments: &str, daemon: &mut Daemon, now: Now) {
        let Some(id) = self.local(task) else { return };
        daemon.mark(id, |marks| arguments.clone_into(&mut marks.extra_args));
        self.amend_own(daemon, task, now);
    }

    /// Tells the others what there is to tell.
    pub(super) fn tell(&mut self, daemon: &Daemon, now: Now) {
        if self.members.len() <= 1 {
            (self.outbox.tasks, self.outbox.since) = (BTreeSet::new(), None);
            return;
        }
        // An end of this instance alone is a loss for the others, not their end (V-725).
        if daemon.state() != SupervisorState::Running && self.wish.is_none() {
            self.outbox = Outbox { jobs: self.outbox.jobs, ..Outbox::default() };
            return;
        }
        let modes = self.own_modes();
        // Who waits for the end of what is under way asks at once, and there is little of it.
        let are_other_modes = self.outbox.modes.as_ref() != Some(&modes);
        let is_due = self.outbox.deadline().is_some_and(|at| at <= now.mono);
        let others: Vec<PeerId> = self.peers.others().collect();
        if are_other_modes || is_due {
            let bodies = self.changes(&modes);
            let span = self.outbox.next_span(now.mono);
            self.outbox = Outbox { modes: Some(modes), jobs: self.outbox.jobs, span, ..Outbox::default() };
            for peer in &others {
                let is_told = bodies.iter().all(|body| self.send_report(*peer, body));
                if !is_told && let Some(member) = self.member_mut(*peer) {
                    (member.telling, member.lacks_room) = (Some(Place::Beginning), true);
                }
            }
        }
        for peer in others {
            self.tell_all(peer, now);
        }
    }

    /// Frames that say what has changed.
    fn changes(&mut self, modes: &Modes) -> Vec<Vec<u8>> {
        let mut frames = Frames::default();
        let items = std::mem::take(&mut self.outbox.items);
        let is_too_much = items.len() > ITEMS_MAX;
        let mut steps = std::mem::take(&mut self.outbox.steps);
        let says_modes = steps.iter().any(|step| matches!(step, Item::Modes(_)));
        // It is said below.
        steps.pop_if(|step| matches!(step, Item::Modes(last) if **last == *modes));
        steps.iter().for_each(|step| frames.push(step));
        for task in std::mem::take(&mut self.outbox.tasks) {
            if let Some(item) = self.said_of(task) {
                frames.push(&item);
            }
        }
        items.iter().take(ITEMS_MAX).for_each(|item| frames.push(item));
        // Last, for it says what has been done with the rest.
        if says_modes || self.outbox.modes.as_ref() != Some(modes) {
            frames.push(&Item::Modes(Box::new(modes.clone())));
        }
        if is_too_much {
            self.members.iter_mut().for_each(|member| member.telling = Some(Place::Beginning));
        }
        frames.finish()
    }

    fn said_of(&self, task: TaskId) -> Option<Item> {
        let (group, name) = self.view.names(task)?;
        let record = &self.view.task(task)?.on(self.own)?.record;
        let (group, name) = (group.to_string(), name.to_string());
        Some(Item::Process { group, name, record: Box::new(record.clone()) })
    }

    /// Sends a report to whoever may hear it; false if there is no room for it.
    fn send_report(&mut self, peer: PeerId, body: &[u8]) -> bool {
        let is_kept_away = self.member(peer).is_none_or(|member| member.state == InstanceState::Isolated);
        is_kept_away || self.peers.send(peer, Kind::Report, body) != Err(NotSent::Full)
    }

    /// Goes on telling an instance all that there is, as far as there is room.
    fn tell_all(&mut self, peer: PeerId, now: Now) {
        while let Some(member) = self.member(peer)
            && let Some(place) = member.telling
            && !member.lacks_room
        {
            let mut frames = Frames::default();
            if place == Place::Beginning {
                frames.push(&Item::Begin);
                if let Some(mut about) = self.member(self.own).and_then(|member| member.about.clone()) {
                    about.now = now.mono.0;
                    frames.push(&Item::About(Box::new(about)));
                }
            }
            let batch = self.local_after(place);
            batch.iter().filter_map(|task| self.said_of(*task)).for_each(|item| frames.push(&item));
            let is_last = batch.len() < BATCH;
            if is_last {
                let forced: Vec<Item> = self.local.keys().filter_map(|task| self.said_forced(*task)).collect();
                forced.iter().for_each(|item| frames.push(item));
                frames.push(&Item::Modes(Box::new(self.own_modes())));
                frames.push(&Item::Complete);
            }
            let is_sent = frames.finish().iter().all(|body| self.send_report(peer, body));
            let Some(member) = self.member_mut(peer) else { return };
            match batch.last() {
                // What has gone of this part is told again.
                _ if !is_sent => member.lacks_room = true,
                _ if is_last => member.telling = None,
                Some(task) => member.telling = Some(Place::After(*task)),
                None => member.telling = None,
            }
        }
    }

    fn said_forced(&self, task: TaskId) -> Option<Item> {
        let (group, name) = self.view.names(task)?;
        let forced = self.view.task(task)?.forced.as_ref()?;
        let (group, name) = (group.to_string(), name.to_string());
        Some(Item::Forced { group, name, state: forced.state, reason: forced.reason.clone() })
    }

    fn local_after(&self, place: Place) -> Vec<TaskId> {
        let from = match place {
            Place::Beginning => Bound::Unbounded,
            Place::After(task) => Bound::Excluded(task),
        };
        self.local.range((from, Bound::Unbounded)).take(BATCH).map(|(task, _)| *task).collect()
    }

    /// Takes in what has come from the others.
    pub(super) fn hear(&mut self, daemon: &mut Daemon, now: Now, host: &mut dyn Host) {
        let mut has_lost_tasks = false;
        for news in self.peers.take_news() {
            match news {
                PeerNews::Up { peer, boot } => {
                    let is_other_run = self.member(peer).is_some_and(|member| member.boot != boot);
                    if is_other_run {
                        self.lose(peer, now);
                    }
                    if let Some(member) = self.member_mut(peer) {
                        (member.boot, member.telling, member.lacks_room) = (boot, Some(Place::Beginning), false);
                    }
                }
                PeerNews::Joined { who, .. } => self.members.push(Member::new(who)),
                PeerNews::Down { peer } => self.lose(peer, now),
                PeerNews::Room { peer } => {
                    if let Some(member) = self.member_mut(peer) {
                        member.lacks_room = false;
                    }
                }
                PeerNews::Frame { peer, kind, body } => {
                    // What is kept away is not listened to (V-135).
                    if self.member(peer).is_some_and(|member| member.state != InstanceState::Isolated) {
                        has_lost_tasks |= self.hear_frame(peer, kind, &body, daemon, now, host);
                    }
                }
            }
        }
        // Once for all that is gone: everything that is planned and remembered is looked at.
        if has_lost_tasks {
            self.forget_what_is_gone();
        }
    }

    /// Takes in what an instance says at a time; says whether some task is known no more.
    fn hear_frame(
        &mut self,
        peer: PeerId,
        kind: Kind,
        body: &[u8],
        daemon: &mut Daemon,
        now: Now,
        host: &mut dyn Host,
    ) -> bool {
        let mut heard = Heard::default();
        match kind {
            Kind::Report => match Item::read_all(body) {
                Ok(items) => {
                    for item in items {
                        self.hear_item(peer, item, &mut heard, daemon, now);
                        // The rest is of one that is kept away from here on.
                        if self.member(peer).is_none_or(|member| member.state == InstanceState::Isolated) {
                            break;
                        }
                    }
                    // What has failed may have been started again before that was told.
                    heard.failed.into_iter().for_each(|task| self.note_failure(task, daemon, now));
                }
                Err(_) => self.peers.complain(peer, now.mono, "reports what makes no sense"),
            },
            Kind::Command => self.hear_command(peer, body, daemon, now, host),
            Kind::Answer => self.hear_answer(peer, body, now),
            _ => {}
        }
        heard.has_lost_tasks
    }

    /// Takes in one thing that an instance says.
    fn hear_item(&mut self, peer: PeerId, item: Item, heard: &mut Heard, daemon: &mut Daemon, now: Now) {
        match item {
            Item::Begin => {
                self.meet(peer, Trigger::Begins);
                self.view.begin(peer);
                if let Some(member) = self.member_mut(peer) {
                    (member.is_telling, member.is_left_out) = (true, false);
                }
            }
            Item::About(about) => {
                let is_kept_away = self.member(peer).is_some_and(|member| member.state == InstanceState::Isolated);
                if let Some((name, ours, theirs)) = self.contradiction(&about).filter(|_| !is_kept_away) {
                    let who = self.member(peer).map_or("", |member| &member.who.identifier);
                    activity!(
                        Error,
                        "Supvisors instance {who} is kept away, because {name} is {theirs} there and {ours} here; it has to \
                         be the same everywhere"
                    );
                    self.meet(peer, Trigger::Contradicts);
                }
                if let Some(member) = self.member_mut(peer) {
                    (member.about, member.heard) = (Some(*about), now.mono);
                }
            }
            Item::Modes(modes) => {
                let phase = Phase::of(modes.phase).unwrap_or(Phase::Off);
                if self.master == Some(peer) && phase >= Phase::Restarting {
                    self.follow_master(if modes.restarts { Wish::Restart } else { Wish::Shutdown });
                }
                if let Some(member) = self.member_mut(peer) {
                    let jobs = |modes: &Modes| (modes.is_starting, modes.is_stopping);
                    let are_other_jobs = jobs(&member.modes) != jobs(&modes);
                    member.modes = *modes;
                    if are_other_jobs {
                        self.note_jobs();
                    }
                }
            }
            Item::Process { group, name, record } => {
                heard.failed.extend(self.hear_process(peer, (&group, &name), *record, daemon, now));
            }
            Item::Gone { group, name } => {
                if let Some(task) = self.view.task_named(&group, &name) {
                    heard.has_lost_tasks |= self.view.remove(peer, task);
                }
            }
            Item::Forced { group, name, state, reason } => {
                if let Some(task) = self.view.task_named(&group, &name) {
                    self.view.force(task, Forced { state, reason, at: now.mono });
                    self.note_forced(task, now);
                }
            }
            Item::Arguments { group, name, arguments } => {
                if let Some(task) = self.view.task_named(&group, &name) {
                    self.take_arguments(task, &arguments, daemon, now);
                }
            }
            Item::Complete => {
                for task in self.view.complete(peer) {
                    heard.has_lost_tasks |= self.view.remove(peer, task);
                }
                if let Some(member) = self.member_mut(peer) {
                    member.is_telling = false;
                }
                self.meet(peer, Trigger::Complete);
            }
        }
    }

    /// Takes in how a process is on an instance; answers it if it has failed by what has happened.
    fn hear_process(
        &mut self,
        peer: PeerId,
        names: (&str, &str),
        record: Record,
        daemon: &mut Daemon,
        now: Now,
    ) -> Option<TaskId> {
        let is_telling = self.member(peer).is_some_and(|member| member.is_telling);
        let known = self.view.task_named(names.0, names.1);
        let before = known.and_then(|task| self.view.task(task)?.on(peer));
        let before = before.map(|known| (known.record.state, known.record.changed));
        let is_event = !is_telling && before.is_none_or(|(_, changed)| changed != record.changed);
        let failed = match record.state {
            ProcessState::Fatal => true,
            ProcessState::Exited => !record.expected,
            _ => false,
        };
        if !is_telling
            && !is_event
            && let Some(task) = known
        {
            self.view.amend(peer, task, |known| *known = record);
            return None;
        }
        let said = if is_event { Said::Event } else { Said::Whole };
        let Some(task) = self.view.set(peer, names, record, said, now.mono) else {
            self.say_left_out(peer, names);
            return None;
        };
        let app = self.view.task(task).map(|task| task.app);
        match app {
            Some(app) if !self.applications.contains_key(&app) => self.rule_application(app, daemon),
            Some(app) if !self.applications.get(&app).is_some_and(|app| app.tasks.contains_key(&task)) => {
                self.rule_task(task);
            }
            _ => {}
        }
        if is_event {
            self.note_heard(peer, task, before.map(|(state, _)| state), now);
        }
        (is_event && failed).then_some(task)
    }
}

/// What follows from a report once all of it is taken in.
#[derive(Default)]
struct Heard {
    /// Processes that have failed.
    failed: Vec<TaskId>,
    /// Some are known no more, by any instance.
    has_lost_tasks: bool,
}

/// Items in frames of some size.
#[derive(Default)]
struct Frames {
    full: Vec<Vec<u8>>,
    current: Vec<u8>,
}

impl Frames {
    fn push(&mut self, item: &Item) {
        item.write(&mut self.current);
        if self.current.len() >= PART_BYTES {
            self.full.push(std::mem::take(&mut self.current));
        }
    }

    fn finish(mut self) -> Vec<Vec<u8>> {
        if !self.current.is_empty() {
            self.full.push(self.current);
        }
        self.full
    }
}
