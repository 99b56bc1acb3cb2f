//! The rules of all that is known, and what this instance says of its own processes.

use std::rc::Rc;

use super::{Application, Fleet};
use crate::clock::Now;
use crate::config::fleet::{ApplicationRules, Named, ProcessRules, RunningFailure, StartingStrategy};
use crate::config::{Autorestart, GroupKind};
use crate::daemon::{Daemon, Proc};
use crate::id::{GroupId, ProcId};
use crate::model::fleet::view::{AppId, Said, TaskId};
use crate::model::process::Transition;
use crate::state::ProcessState;
use crate::wire::fleet::report::{Item, Record};

/// Whatever is wrong was told when it was read.
fn unheard(_: String) {}

impl Fleet {
    /// Finds the rules of all that is there, and takes over what concerns the daemon.
    pub(super) fn refresh(&mut self, daemon: &mut Daemon, now: Now) {
        if let Some(configured) = daemon.config.fleet.clone()
            && configured.revision != self.configured.revision
        {
            super::tell_problems(&configured);
            self.configured = configured;
        }
        self.mark_disabled(daemon);
        self.meet_own(daemon, now);
        let apps: Vec<AppId> = self.view.apps().map(|(id, _)| id).collect();
        self.applications.clear();
        for app in apps {
            self.rule_application(app, daemon);
        }
        let down: Vec<(ProcId, TaskId, bool)> = self
            .local
            .iter()
            .filter_map(|(task, id)| {
                let process = daemon.roster.process(*id)?;
                let of = self.rules_of(*task)?.running_failure;
                let is_ours = matches!(of, RunningFailure::StopApplication | RunningFailure::RestartApplication);
                let is_ours = is_ours || self.is_leaving(process);
                (is_ours != process.marks().stays_down).then_some((*id, *task, is_ours))
            })
            .collect();
        for (id, task, is_ours) in down {
            // One that is to go once it has stopped is no matter of its rules.
            let restarts =
                |process: &Proc| process.config.program.autorestart != Autorestart::Never && !self.is_leaving(process);
            if is_ours && daemon.roster.process(id).is_some_and(restarts) {
                let name = self.view.namespec(task).unwrap_or_default();
                activity!(
                    Warn,
                    "autorestart of {name} is off, because its running_failure_strategy concerns its application"
                );
            }
            daemon.mark(id, |marks| marks.stays_down = is_ours);
        }
        self.forget_what_is_gone();
    }

    /// Keeps of all that is planned and remembered only what is about tasks that are there.
    pub(super) fn forget_what_is_gone(&mut self) {
        let view = &self.view;
        self.sequencer.retain(|id| view.task(id).is_some());
        self.failures.retain(|id| view.app(id).is_some());
        self.applications.retain(|id, _| view.app(*id).is_some());
        self.refused.retain(|id| view.task(*id).is_some());
        self.targets.retain(|id, _| view.task(*id).is_some());
        self.assigned.retain(|id, _| view.task(*id).is_some());
        self.lost.retain(|id| view.task(*id).is_some());
        self.lost_by_conciliation.retain(|id| view.task(*id).is_some());
        for application in self.applications.values_mut() {
            application.tasks.retain(|id, _| view.task(*id).is_some());
        }
        self.note_names();
    }

    /// Takes in which processes this instance has: those that are new, and those that are no more.
    fn meet_own(&mut self, daemon: &Daemon, now: Now) {
        let gone: Vec<(TaskId, ProcId)> = self
            .local
            .iter()
            .filter(|(_, id)| daemon.roster.process(**id).is_none())
            .map(|(task, id)| (*task, *id))
            .collect();
        for (task, id) in gone {
            self.local.remove(&task);
            self.task_of.remove(&id);
            self.say_gone(task, now);
            self.view.remove(self.own, task);
        }
        let all: Vec<ProcId> = daemon.roster.processes().map(|(id, _)| id).collect();
        for id in all {
            let record = daemon.roster.process(id).map(|process| own_record(daemon, id, process, now));
            let known = self.task_of.get(&id).and_then(|task| self.view.task(*task)?.on(self.own));
            let is_same = known
                .zip(record)
                .is_some_and(|(known, record)| known.record == Record { changed: known.record.changed, ..record });
            match self.task_of.get(&id) {
                None => drop(self.set_own(daemon, id, None, now)),
                Some(task) if !is_same => self.amend_own(daemon, *task, now),
                Some(_) => {}
            }
        }
    }

    /// Says of a process of this instance how it is.
    pub(super) fn set_own(
        &mut self,
        daemon: &Daemon,
        id: ProcId,
        step: Option<&Transition>,
        now: Now,
    ) -> Option<TaskId> {
        let (group, process) = daemon.roster.member(id)?;
        let mut record = own_record(daemon, id, process, now);
        // Of two that happen at the same time each is another one.
        let before =
            self.task_of(id).and_then(|task| self.view.task(task)?.on(self.own)).map(|known| known.record.changed);
        record.changed = before.map_or(now.mono.0, |before| now.mono.0.max(before.saturating_add(1)));
        let said = if step.is_some() { Said::Event } else { Said::Whole };
        let names = (group.name(), &*process.config.name);
        let is_told_singly = step.is_some() && self.members.len() > 1 && self.outbox.has_room();
        let told = is_told_singly.then(|| (names.0.to_string(), names.1.to_string(), record.clone()));
        let Some(task) = self.view.set(self.own, names, record, said, now.mono) else {
            self.say_left_out(self.own, names);
            return None;
        };
        self.local.insert(task, id);
        self.task_of.insert(id, task);
        match (step, told) {
            (Some(step), Some((group, name, record))) => {
                let record = Box::new(after_step(record, step));
                self.outbox.stepped(task, Item::Process { group, name, record }, now);
            }
            _ => self.outbox.changed(task, now),
        }
        Some(task)
    }

    /// Says of a process of this instance how it is, though nothing has happened to it.
    pub(super) fn amend_own(&mut self, daemon: &Daemon, task: TaskId, now: Now) {
        let Some(id) = self.local.get(&task) else { return };
        let Some(process) = daemon.roster.process(*id) else { return };
        let new = own_record(daemon, *id, process, now);
        self.view.amend(self.own, task, |record| *record = Record { changed: record.changed, ..new });
        self.outbox.changed(task, now);
    }

    /// Finds the rules of an application and of all its tasks.
    pub(super) fn rule_application(&mut self, app: AppId, daemon: &Daemon) {
        let Some(known) = self.view.app(app) else { return };
        let group = daemon.roster.group_named(&known.name).and_then(|id| daemon.roster.group(id));
        let programs = group.map_or(Vec::new(), |group| group.config.programs());
        let default = self.supvisors().map_or(StartingStrategy::Config, |one| one.options.starting_strategy);
        let mut found = self.configured.rules.application(&known.name, &programs, default, &mut unheard);
        if group.is_some_and(|group| matches!(group.config.kind, GroupKind::Listener(_))) {
            found = ApplicationRules::default();
        }
        let tasks: Vec<TaskId> = known.tasks.values().copied().collect();
        self.applications.insert(app, Application { rules: Rc::new(found), tasks: Default::default() });
        for task in tasks {
            self.rule_task(task);
        }
    }

    /// Finds the rules of a task.
    pub(super) fn rule_task(&mut self, id: TaskId) {
        let Some((group, name)) = self.view.names(id) else { return };
        let Some(task) = self.view.task(id) else { return };
        let app = task.app;
        let Some(application) = self.applications.get(&app) else { return };
        let program = task.known().first().map_or("", |known| known.record.program.as_str());
        let subject = Named { application: group, process: name, program };
        let rules = self.configured.rules.process(subject, &application.rules, &mut unheard);
        self.view.set_rules(id, rules.expected_loading, application.rules.managed);
        if let Some(application) = self.applications.get_mut(&app) {
            application.tasks.insert(id, Rc::new(rules));
        }
    }

    /// The rules of a task.
    pub fn rules_of(&self, id: TaskId) -> Option<&ProcessRules> {
        let app = self.view.task(id)?.app;
        self.applications.get(&app)?.tasks.get(&id).map(Rc::as_ref)
    }

    /// What a process of this instance is for the fleet.
    pub fn task_of(&self, id: ProcId) -> Option<TaskId> {
        self.task_of.get(&id).copied()
    }

    /// What this instance says of one of its processes at this moment.
    pub fn own_record(&self, daemon: &Daemon, id: ProcId, now: Now) -> Option<Record> {
        daemon.roster.process(id).map(|process| own_record(daemon, id, process, now))
    }

    /// The process of this instance that a task is.
    pub fn local(&self, task: TaskId) -> Option<ProcId> {
        self.local.get(&task).copied()
    }

    /// The group of this instance that an application is.
    pub fn local_group(&self, daemon: &Daemon, app: AppId) -> Option<GroupId> {
        daemon.roster.group_named(&self.view.app(app)?.name)
    }
}

/// Whether the exit of a process that has exited was expected, and true of all others.
pub fn was_expected(process: &Proc) -> bool {
    process.machine.state() != ProcessState::Exited || process.machine.runs().spawn_error().is_empty()
}

/// How a process was after a step that others may have followed by now.
fn after_step(record: Record, step: &Transition) -> Record {
    if record.state == step.to {
        return record;
    }
    let expected = step.to != ProcessState::Exited || step.expected;
    Record { state: step.to, pid: step.pid, expected, ..record }
}

/// What this instance says of one of its processes.
fn own_record(daemon: &Daemon, id: ProcId, process: &Proc, now: Now) -> Record {
    let (machine, marks, program) = (&process.machine, process.marks(), &process.config.program);
    let has_log = |path: &Option<Rc<str>>| path.as_deref().is_some_and(|path| !path.is_empty());
    Record {
        state: machine.state(),
        expected: was_expected(process),
        came_up: machine.runs().came_up(),
        is_disabled: marks.is_disabled,
        has_crashed: marks.has_crashed,
        has_stdout: has_log(&process.stdout.path),
        has_stderr: has_log(&process.stderr.path),
        is_pending: daemon.is_waiting(id) || daemon.is_to_stop(id),
        start: machine.runs().start_secs(now),
        stop: machine.runs().stop_secs(),
        started: machine.runs().started().map_or(0, |at| at.0),
        changed: 0,
        pid: machine.pid().map_or(0, |pid| pid.0),
        spawnerr: machine.runs().spawn_error().to_string(),
        extra_args: marks.extra_args.clone(),
        program: program.name.clone(),
        index: process.config.number - program.numprocs_start,
        startsecs: program.startsecs,
        stopwaitsecs: program.stopwaitsecs,
    }
}
