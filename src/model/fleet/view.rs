//! What is known of all processes on all instances (V-150 to V-155).
//!
//! A *task* is a process as the whole fleet has it: the same `group:name` everywhere, with a [`Record`] from each instance that
//! has it configured, this one among them. From the records follows how it is shown. A task is known as long as one instance
//! has it. What is asked often, which tasks run more often than they may, is kept; nothing here looks at all tasks but a report
//! of all that an instance has, and its loss.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::clock::Mono;
use crate::id::PeerId;
use crate::state::ProcessState;
use crate::wire::fleet::report::Record;

/// Tasks that are known at most (F-60). Each takes some hundred bytes for each instance that has it.
pub const TASKS_MAX: usize = 20_000;

/// An application, by its name on all instances. Never used again within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(pub u32);

/// A process of the fleet, by its name on all instances. Never used again within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u32);

/// Another state than its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// The state that is shown instead.
    pub state: ProcessState,
    /// Why, in words that are shown.
    pub reason: String,
    /// Since when; what an instance says later counts again.
    pub at: Mono,
}

/// What one instance has said of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The instance that has said it.
    pub peer: PeerId,
    /// What it has said last.
    pub record: Record,
    /// When that came, by the clock of this instance.
    pub at: Mono,
    /// It was said before the report that is just coming in.
    is_stale: bool,
}

/// A process of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The application that it is of.
    pub app: AppId,
    /// Its name in the application: `web` of `site:web`.
    pub name: String,
    /// In the order of the instances.
    known: Vec<Known>,
    /// The instance whose word counts where it runs nowhere.
    latest: Option<PeerId>,
    /// Another state than its own.
    pub forced: Option<Forced>,
    /// What it is expected to take of its machine, in percent.
    load: i64,
    /// The instances whose load has it in it.
    counted: Vec<PeerId>,
    /// It is to run on one instance at most.
    is_single: bool,
}

/// How what is said of a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Something has happened to it.
    Event,
    /// It is part of all that an instance has.
    Whole,
}

impl Task {
    fn new(app: AppId, name: &str) -> Task {
        let name = name.to_string();
        Task {
            app,
            name,
            known: Vec::new(),
            latest: None,
            forced: None,
            load: 0,
            counted: Vec::new(),
            is_single: false,
        }
    }

    /// What each instance has said, in the order of the instances.
    pub fn known(&self) -> &[Known] {
        &self.known
    }

    /// What one instance has said.
    pub fn on(&self, peer: PeerId) -> Option<&Known> {
        self.known.iter().find(|known| known.peer == peer)
    }

    /// The state that follows from all that was said (V-150).
    pub fn state(&self) -> ProcessState {
        use ProcessState::*;
        let is_any = |state| self.known.iter().any(|known| known.record.state == state);
        let up = [Running, Backoff, Starting, Stopping].into_iter().find(|state| is_any(*state));
        up.or(self.deciding().map(|known| known.record.state)).unwrap_or(Unknown)
    }

    /// The state that it is shown in (V-153).
    pub fn shown(&self) -> ProcessState {
        self.forced.as_ref().map_or_else(|| self.state(), |forced| forced.state)
    }

    /// Whether its last exit was expected (V-152).
    pub fn expected(&self) -> bool {
        let is_up = self.known.iter().any(|known| is_up(known.record.state));
        is_up || self.deciding().is_none_or(|known| known.record.expected)
    }

    /// The instances on which it runs, or is being stopped (V-151).
    pub fn running(&self) -> impl Iterator<Item = PeerId> {
        self.known.iter().filter(|known| is_up(known.record.state)).map(|known| known.peer)
    }

    /// Whether it runs somewhere.
    pub fn is_running(&self) -> bool {
        self.known.iter().any(|known| known.record.state.is_running())
    }

    /// When something was said of it last.
    pub fn last_change(&self) -> Mono {
        let forced = self.forced.as_ref().map(|forced| forced.at);
        forced.or(self.deciding().map(|known| known.at)).unwrap_or(Mono(0))
    }

    /// Whether nobody has ever started it.
    pub fn was_never_started(&self) -> bool {
        self.known.iter().all(|known| known.record.state == ProcessState::Stopped && known.record.stop == 0)
    }

    /// What counts where it runs nowhere.
    pub fn deciding(&self) -> Option<&Known> {
        self.latest.and_then(|peer| self.on(peer)).or(self.known.first())
    }
}

/// Whether something is there that would have to be stopped.
fn is_up(state: ProcessState) -> bool {
    state.is_running() || state == ProcessState::Stopping
}

/// An application: its name and its tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App {
    /// The name of its groups on all instances.
    pub name: String,
    /// Its processes by their names in it.
    pub tasks: BTreeMap<String, TaskId>,
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    apps: BTreeMap<AppId, App>,
    by_name: BTreeMap<String, AppId>,
    tasks: BTreeMap<TaskId, Task>,
    /// Tasks that run on more than one instance and should not.
    twice: BTreeSet<TaskId>,
    /// What is expected of all that runs on each instance.
    loads: BTreeMap<PeerId, i64>,
    next: u32,
    /// Tasks of which something may be other than it was; `None` while nobody wants to know.
    touched: Option<BTreeSet<TaskId>>,
}

impl View {
    /// From now on it is kept which tasks have changed, or no more.
    pub fn watch(&mut self, is_wanted: bool) {
        self.touched = is_wanted.then(|| self.touched.take().unwrap_or_default());
    }

    /// Whether something has changed since the last call of [`View::take_touched`].
    pub fn is_touched(&self) -> bool {
        self.touched.as_ref().is_some_and(|touched| !touched.is_empty())
    }

    /// Tasks that may have changed since the last call, those that are gone among them: so many at most.
    pub fn take_touched(&mut self, count: usize) -> Vec<TaskId> {
        let Some(touched) = &mut self.touched else { return Vec::new() };
        let first_of_rest = touched.iter().nth(count).copied();
        let rest = first_of_rest.map(|id| touched.split_off(&id)).unwrap_or_default();
        std::mem::replace(touched, rest).into_iter().collect()
    }

    fn touch(&mut self, id: TaskId) {
        if let Some(touched) = &mut self.touched {
            touched.insert(id);
        }
    }

    /// The application of that name.
    pub fn app_named(&self, name: &str) -> Option<AppId> {
        self.by_name.get(name).copied()
    }

    /// An application; `None` is one that is gone.
    pub fn app(&self, id: AppId) -> Option<&App> {
        self.apps.get(&id)
    }

    /// All applications by their names.
    pub fn apps(&self) -> impl Iterator<Item = (AppId, &App)> {
        self.by_name.values().filter_map(|id| Some((*id, self.apps.get(id)?)))
    }

    /// A task; `None` is one that is gone.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id)
    }

    /// The task of that name.
    pub fn task_named(&self, group: &str, name: &str) -> Option<TaskId> {
        self.apps.get(self.by_name.get(group)?)?.tasks.get(name).copied()
    }

    /// Those behind one of them, or all.
    pub fn tasks_after(&self, id: Option<TaskId>) -> impl Iterator<Item = (TaskId, &Task)> {
        let from = id.map_or(Bound::Unbounded, Bound::Excluded);
        self.tasks.range((from, Bound::Unbounded)).map(|(id, task)| (*id, task))
    }

    /// All tasks in the order in which they were first heard of.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskId, &Task)> {
        self.tasks.iter().map(|(id, task)| (*id, task))
    }

    /// Names of an application and of a task in it.
    pub fn names(&self, id: TaskId) -> Option<(&str, &str)> {
        let task = self.tasks.get(&id)?;
        Some((&self.apps.get(&task.app)?.name, &task.name))
    }

    /// `group:name`, or one of them where they are the same.
    pub fn namespec(&self, id: TaskId) -> Option<String> {
        let (group, name) = self.names(id)?;
        Some(if group == name { name.to_string() } else { format!("{group}:{name}") })
    }

    /// Tasks that run on more than one instance and should not: the others may be all there are.
    pub fn twice(&self) -> impl Iterator<Item = TaskId> {
        self.twice.iter().copied()
    }

    /// What is expected of all that runs on an instance (V-351).
    pub fn load(&self, peer: PeerId) -> i64 {
        self.loads.get(&peer).copied().unwrap_or(0)
    }

    /// What a task is expected to take, and whether it is to run on one instance at most.
    pub fn set_rules(&mut self, id: TaskId, load: i64, is_single: bool) {
        self.uncount(id);
        if let Some(task) = self.tasks.get_mut(&id) {
            (task.load, task.is_single) = (load, is_single);
        }
        self.recount(id);
    }

    /// The application of that name, which is known from here on.
    fn add_app(&mut self, name: &str) -> AppId {
        if let Some(id) = self.app_named(name) {
            return id;
        }
        self.next += 1;
        let id = AppId(self.next);
        self.by_name.insert(name.to_string(), id);
        self.apps.insert(id, App { name: name.to_string(), tasks: BTreeMap::new() });
        id
    }

    /// An application that has no tasks is known no more.
    fn drop_app_if_empty(&mut self, id: AppId) {
        if self.apps.get(&id).is_some_and(|app| app.tasks.is_empty())
            && let Some(app) = self.apps.remove(&id)
        {
            self.by_name.remove(&app.name);
        }
    }

    /// The task of that name, which is known from here on; `None` if there are too many.
    fn add_task(&mut self, group: &str, name: &str) -> Option<TaskId> {
        if let Some(id) = self.task_named(group, name) {
            return Some(id);
        }
        if self.tasks.len() >= TASKS_MAX {
            return None;
        }
        let app = self.add_app(group);
        self.next += 1;
        let id = TaskId(self.next);
        self.apps.get_mut(&app)?.tasks.insert(name.to_string(), id);
        self.tasks.insert(id, Task::new(app, name));
        Some(id)
    }

    /// An instance says something of a task, which may be new; `None` if there are too many.
    pub fn set(
        &mut self,
        peer: PeerId,
        (group, name): (&str, &str),
        record: Record,
        said: Said,
        now: Mono,
    ) -> Option<TaskId> {
        let id = self.add_task(group, name)?;
        let task = self.tasks.get_mut(&id)?;
        let is_event = said == Said::Event;
        // What merely joins, and does nothing, does not end what is shown instead (V-153).
        if is_event || is_up(record.state) {
            task.forced = None;
        }
        if is_event || is_up(record.state) || task.latest.is_none() {
            task.latest = Some(peer);
        }
        let known = Known { peer, record, at: now, is_stale: false };
        match task.known.binary_search_by_key(&peer, |known| known.peer) {
            Ok(at) => task.known[at] = known,
            Err(at) => {
                // Most are known of one instance alone, or are told of by each once.
                task.known.reserve_exact(1);
                task.known.insert(at, known);
            }
        }
        self.recount(id);
        Some(id)
    }

    /// What one says of a task without anything having happened to it; false if nothing is known of it there.
    pub fn amend(&mut self, peer: PeerId, id: TaskId, change: impl FnOnce(&mut Record)) -> bool {
        let known = self.tasks.get_mut(&id).and_then(|task| task.known.iter_mut().find(|known| known.peer == peer));
        let Some(known) = known else { return false };
        let before = known.record.state;
        change(&mut known.record);
        if known.record.state != before {
            self.recount(id);
        } else {
            self.touch(id);
        }
        true
    }

    /// Shows a task in another state than its own.
    pub fn force(&mut self, id: TaskId, forced: Forced) {
        if let Some(task) = self.tasks.get_mut(&id) {
            task.forced = Some(forced);
            self.touch(id);
        }
    }

    /// Shows a task in its own state.
    pub fn release(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(&id) {
            task.forced = None;
            self.touch(id);
        }
    }

    /// An instance has a task no more; says whether nobody has it.
    pub fn remove(&mut self, peer: PeerId, id: TaskId) -> bool {
        self.uncount(id);
        let Some(task) = self.tasks.get_mut(&id) else { return false };
        task.known.retain(|known| known.peer != peer);
        let (app, is_gone) = (task.app, task.known.is_empty());
        if is_gone
            && let Some(task) = self.tasks.remove(&id)
            && let Some(app) = self.apps.get_mut(&app)
        {
            app.tasks.remove(&task.name);
        }
        self.recount(id);
        if is_gone {
            self.drop_app_if_empty(app);
        }
        is_gone
    }

    /// All that an instance has is about to be said.
    pub fn begin(&mut self, peer: PeerId) {
        let all = self.tasks.values_mut().flat_map(|task| &mut task.known);
        all.filter(|known| known.peer == peer).for_each(|known| known.is_stale = true);
    }

    /// All that an instance has is said; answers what it has no more.
    pub fn complete(&mut self, peer: PeerId) -> Vec<TaskId> {
        let is_stale = |task: &Task| task.on(peer).is_some_and(|known| known.is_stale);
        self.tasks.iter().filter(|(_, task)| is_stale(task)).map(|(id, _)| *id).collect()
    }

    /// An instance is lost: what ran there is given up (V-133). Answers what ran there and now runs nowhere.
    pub fn lose(&mut self, peer: PeerId, reason: &str, now: Mono) -> Vec<TaskId> {
        let mut lost = Vec::new();
        let mut changed = Vec::new();
        for (id, task) in &mut self.tasks {
            let Some(known) = task.known.iter_mut().find(|known| known.peer == peer) else { continue };
            let record = &mut known.record;
            record.is_pending = false;
            if !is_up(record.state) {
                continue;
            }
            // One that was being stopped has no more than ended (V-133).
            let was_wanted = record.state.is_running();
            (record.state, record.expected, record.pid) = (ProcessState::Fatal, false, 0);
            reason.clone_into(&mut record.spawnerr);
            known.at = now;
            changed.push(*id);
            if task.known.iter().all(|known| !is_up(known.record.state)) {
                task.latest = Some(peer);
                if was_wanted {
                    lost.push(*id);
                }
            }
        }
        changed.into_iter().for_each(|id| self.recount(id));
        lost
    }

    fn uncount(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        for peer in std::mem::take(&mut task.counted) {
            *self.loads.entry(peer).or_default() -= task.load;
        }
    }

    fn recount(&mut self, id: TaskId) {
        self.touch(id);
        self.uncount(id);
        let Some(task) = self.tasks.get_mut(&id) else {
            self.twice.remove(&id);
            return;
        };
        let counts = task.known.iter().filter(|known| known.record.state.is_running()).map(|known| known.peer);
        task.counted = if task.load == 0 { Vec::new() } else { counts.collect() };
        for peer in &task.counted {
            *self.loads.entry(*peer).or_default() += task.load;
        }
        if task.is_single && task.running().count() > 1 {
            self.twice.insert(id);
        } else {
            self.twice.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests;
