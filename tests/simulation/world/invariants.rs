//! What must hold after each turn, and at the end of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stheno::config::GroupKind;
use stheno::model::leftovers::KILLED_WAIT;
use stheno::state::ProcessState;

use super::World;
use crate::agenda::SECOND;
use crate::clients::{Call, Client, Request};
use crate::{answers, lines};

/// How long one call may take: a stop, and a few of them in a multicall.
const ANSWER_NANOS_MAX: u64 = 600 * SECOND;

impl World {
    /// What must hold after every turn.
    pub(super) fn check(&self) {
        let daemon = &self.service.daemon;
        let mut pids = BTreeMap::new();
        let mut sockets = 0;
        for (_, group) in daemon.roster.groups() {
            let mut uses_socket = false;
            for id in &group.processes {
                let Some(process) = daemon.roster.process(*id) else {
                    panic!("{} has a process that is none", group.name())
                };
                let (name, machine) = (&process.config.name, &process.machine);
                let state = machine.state();
                let has_pid = matches!(
                    state,
                    ProcessState::Starting | ProcessState::Running | ProcessState::Stopping | ProcessState::Unknown
                );
                // It waits for what the last run left behind, or for a hook.
                let may_lack =
                    state == ProcessState::Starting && (machine.waits_for_leftovers() || machine.hook().is_some());
                assert!(
                    machine.pid().is_some() == has_pid || may_lack,
                    "{name} is {} with {:?}",
                    state.name(),
                    machine.pid()
                );
                let Some(pid) = machine.pid() else { continue };
                // K-10: however the clock was set, the uptime is right, and clients that subtract are a minute off at most;
                // a second more is when seconds begin, and one what does not count as set.
                let now = self.time();
                let lasted = machine.runs().started().map_or(0, |started| now.mono.since(started).as_secs() as i64);
                let (uptime, start) = (machine.runs().uptime_secs(now), machine.runs().start_secs(now));
                assert!((uptime - lasted).abs() <= 2, "{name}: uptime {uptime} after {lasted} s");
                assert!((now.wall.secs() - start - lasted).abs() <= 62, "{name}: start {start} after {lasted} s");
                assert!(pids.insert(*id, pid.0).is_none());
                assert_eq!(daemon.roster.process_of(pid), Some(*id), "the process of pid {}", pid.0);
                let child = self.host.children.get(&pid.0);
                assert!(child.is_some_and(|child| child.process == *id), "{name} is {} without a child", state.name());
                uses_socket |= matches!(group.config.kind, GroupKind::Fcgi(_));
                for log in child.iter().flat_map(|child| &child.logs) {
                    assert!(self.host.logs.contains_key(log), "{log:?} of {name} is closed and it runs");
                }
            }
            sockets += usize::from(uses_socket);
        }
        let unique: BTreeSet<i32> = pids.values().copied().collect();
        assert_eq!(unique.len(), pids.len(), "two processes with one pid");
        assert_eq!(pids, self.host.pipes, "children that are known against children whose pipes are open");
        for (owner, path) in self.host.logs.values() {
            let machine = daemon.roster.process(*owner).map(|process| &process.machine);
            // What a hook writes goes there too.
            let is_used = machine.is_some_and(|machine| machine.pid().is_some() || machine.hook().is_some());
            assert!(is_used, "{path} is open, and nobody writes to it");
        }
        assert_eq!(sockets, self.host.sockets.len(), "FastCGI sockets that are open");
        if !self.is_uncertain() {
            // Those that are being changed come and go over several turns.
            let moved: BTreeSet<&str> =
                self.clients.iter().filter_map(Client::changing).filter_map(Call::group).collect();
            let mut active = answers::active(daemon);
            active.retain(|group, _| !moved.contains(group.as_str()));
            let known = self.model.groups.iter().filter(|(group, _)| !moved.contains(group.as_str()));
            assert!(active.iter().eq(known), "the groups there are, {active:?}, against {:?}", self.model.groups);
        }
        for (conn, path) in &self.host.watches {
            assert!(self.service.has_connection(*conn), "{path} is watched for {conn:?}, which is gone");
        }
        for (conn, observer) in &self.observers {
            let current = self.by_conn.get(conn).is_some_and(|index| self.clients[*index].seen == 0);
            for ((group, process), state) in observer.states.iter().filter(|_| current) {
                let id = daemon.roster.find_process(&format!("{group}:{process}"));
                let is = id.and_then(|id| daemon.roster.process(id)).map(|process| process.machine.state().name());
                let is_same =
                    is == Some(state.as_str()) || (!self.model.is_plain && matches!(is, None | Some("STOPPED")));
                assert!(is_same, "{group}:{process} is {is:?}, and its events say {state}");
            }
        }
        for client in &self.clients {
            let is_asked = |request: &&Request| request.sent_at < self.now && request.unsent == 0;
            for request in client.requests.iter().filter(is_asked) {
                // What waits for others, or to be ready, may do so for ever, and with it who asked for its start, and what
                // else was asked behind that.
                if self.host.file.is_ordered && request.asked.starts() {
                    break;
                }
                assert!(self.now - request.sent_at < ANSWER_NANOS_MAX, "no answer for a long time: {request:?}");
            }
        }
    }

    /// What was changed at run time is kept: a load yields what is active.
    pub(super) fn check_kept(&mut self) {
        if !self.host.file.is_dynamic {
            return;
        }
        let config = self.host.reload();
        self.kept.check(&self.service.daemon, &config);
        if self.is_edited {
            return;
        }
        for (_, group) in self.service.daemon.roster.groups() {
            let kept = config.groups.iter().find(|other| other.name == group.name());
            // An AUTO log of a group that was removed and added again is a file now, and AUTO in the file (L-44).
            let is_same = kept.is_some_and(|kept| group.config.same_as(kept));
            assert!(is_same, "group {} is {:#?}\n and is kept as {kept:#?}", group.name(), group.config);
        }
    }

    /// When the service would sleep, it has nothing left to do: another turn at the same moment changes nothing.
    pub(super) fn check_quiet(&mut self) {
        let deadline = self.service.next_deadline(self.time()).map(|at| at.0);
        if self.dirty.is_empty() && deadline.is_none_or(|at| at > self.now) && self.service.finished().is_none() {
            self.check_quiet_now("after a turn");
            self.check_waits();
            self.check_way_out();
        }
    }

    pub(super) fn check_quiet_now(&mut self, when: &str) {
        let changes = self.host.changes;
        let now = self.time();
        self.service.decide(now, &mut self.host);
        let _ = self.service.take_rest();
        let dirty = self.service.take_dirty();
        let lines: Vec<lines::Line> = lines::take().into_iter().filter(|line| line.tag != "DEBG").collect();
        assert!(
            self.host.changes == changes && dirty.is_empty() && lines.is_empty(),
            "it sleeps with work left {when}: {} changes, output on {dirty:?}, {lines:?}",
            self.host.changes - changes
        );
    }

    /// What must hold when a run is over.
    pub(super) fn check_end(&mut self) {
        let daemon = &self.service.daemon;
        // When the time for stopping is over all are killed, and whoever does not die of that is left behind.
        let is_left = |state: ProcessState| daemon.kills_all() && state == ProcessState::Stopping;
        for (id, _, process) in daemon.roster.processes_by_name() {
            let state = process.machine.state();
            assert!(state.is_stopped() || is_left(state), "{id:?} is {} at the end", state.name());
        }
        for client in &self.clients {
            let asked: Vec<_> = client.requests.iter().filter(|request| request.unsent == 0).collect();
            // Who does not read what it was answered is not answered more than that.
            let is_behind = (client.is_slow || client.is_deaf) && client.seen > 0;
            assert!(asked.is_empty() || client.has_hung_up || is_behind, "it ended without an answer to {asked:?}");
        }
        let patience = if daemon.kills_all() { Duration::ZERO } else { KILLED_WAIT };
        self.host.orphans.check_gone(None, patience, self.now);
        self.host.orphans.clear();
        // What a signal could not reach is left behind, too, and only that.
        for (pid, child) in std::mem::take(&mut self.host.children) {
            let state = daemon.roster.process(child.process).map(|process| process.machine.state());
            let may_stay = state.is_none_or(|state| state == ProcessState::Unknown || is_left(state));
            assert!(may_stay, "{} (pid {pid}) is left behind", child.name);
        }
        // Hooks are waited for, unless the time for it was over.
        for (pid, helper) in std::mem::take(&mut self.host.helpers) {
            let may_stay = !helper.is_hook() || !helper.counts() || self.host.file.is_hurried;
            assert!(may_stay, "a hook of {:?} (pid {pid}) is left behind", helper.names);
        }
        self.host.probes.clear();
        self.host.ready.clear();
        self.host.pipes.clear();
        self.host.logs.clear();
        self.host.sockets.clear();
        self.host.watches.clear();
    }
}
