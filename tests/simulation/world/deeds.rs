//! What the daemon did to the system and what it logged, in the order in which it did.

use stheno::id::{GroupId, Pid, ProcId};
use stheno::model::leftovers::KILLED_WAIT;

use super::World;
use crate::host::Did;
use crate::lines;
use crate::sequences;

impl World {
    pub(super) fn after_step(&mut self) {
        let mut replaced = Vec::new();
        for (id, group) in self.service.daemon.roster.groups() {
            if self.group_names.get(group.name()) != Some(&id) {
                self.group_names.insert(group.name().to_string(), id);
                replaced.push(id);
            }
            for process in &group.processes {
                self.group_of.insert(*process, id);
            }
        }
        let mut deeds = std::mem::take(&mut self.host.did);
        for (index, line) in lines::take().iter().enumerate() {
            while deeds.front().is_some_and(|(before, _)| *before <= index) {
                deeds.pop_front().into_iter().for_each(|(_, did)| self.check_deed(did));
            }
            self.check_line(line);
        }
        for (_, did) in deeds {
            self.check_deed(did);
        }
        for id in replaced {
            self.pools.replaced(id);
        }
        self.check_order();
        self.check_sequences();
        assert!(self.spawned.is_empty(), "no line for children spawned: {:?}", self.spawned);
        assert!(self.reaped.len() <= 1, "no line for strangers reaped: {:?}", self.reaped);
        self.fresh.extend(self.service.take_dirty());
        self.read_answers();
        for conn in std::mem::take(&mut self.host.closed) {
            if let Some(index) = self.by_conn.get(&conn).copied() {
                self.disconnect(index, conn);
            }
        }
    }

    pub(super) fn check_deed(&mut self, did: Did) {
        match did {
            Did::Spawned { process, pid, group } => {
                assert!(self.was_running, "a child is spawned although the daemon is not RUNNING");
                let name = self.host.children.get(&pid).map(|child| child.name.clone()).unwrap_or_default();
                self.say(|| format!("{name} ({process:?}) is spawned with pid {pid}"));
                self.host.orphans.check_gone(Some((&group, &name)), KILLED_WAIT, self.now);
                self.spawned.push((name, pid));
            }
            Did::Killed { pid, signal } => {
                self.say(|| format!("signal {signal} to {pid}"));
                // Who depends on whom goes before, and so do sequences.
                let is_sequence = self.service.fleet().is_some_and(|fleet| fleet.jobs().1);
                if !self.was_running && signal != libc::SIGKILL && !self.host.file.is_ordered && !is_sequence {
                    self.check_stop_order(pid);
                }
            }
            Did::KillFailed => self.say(|| "a signal fails".to_string()),
            Did::Sent { listener, serial, pool_serial, content } => {
                self.say(|| format!("event {serial} ({pool_serial}) to {listener:?}"));
                if let Some(pool) = self.group_of.get(&listener) {
                    self.pools.sent(*pool, listener, serial, pool_serial, content);
                }
            }
            Did::Loaded(config) => self.model.loads.push_back(*config),
        }
    }

    /// While everything stops, a group is told to stop only when all after it are stopped (P-75).
    pub(super) fn check_stop_order(&self, pid: i32) {
        let daemon = &self.service.daemon;
        let Some(id) = daemon.roster.process_of(Pid(pid)) else { return };
        let Some(process) = daemon.roster.process(id) else { return };
        let key = |id: GroupId| daemon.roster.group(id).map(|group| (group.config.priority, id));
        for (other, group) in daemon.roster.groups() {
            if key(other) > key(process.group) {
                for process in group.processes.iter().filter_map(|id| daemon.roster.process(*id)) {
                    let (name, state) = (&process.config.name, process.machine.state());
                    assert!(state.is_stopped(), "pid {pid} is told to stop before {name}, which is {}", state.name());
                }
            }
        }
    }

    pub(super) fn check_line(&mut self, line: &lines::Line) {
        self.say(|| format!("  {} {}", line.tag, line.text));
        let text = line.text.as_str();
        self.note_restart(text);
        if let Some(rest) = text.strip_prefix("spawned: '") {
            let (name, pid) = self.spawned.remove(0);
            assert_eq!(rest, format!("{name}' with pid {pid}"), "the line of a child spawned");
        } else if let Some(rest) = text.strip_prefix("reaped unknown pid ") {
            let pid = rest.split(' ').next().and_then(|pid| pid.parse().ok());
            assert_eq!(self.reaped.pop(), pid, "the line of a stranger: {text}");
        } else if let Some(rest) = text.strip_prefix("success: ") {
            let name = rest.split(' ').next().unwrap_or_default();
            // One that said so may end at the same moment.
            let stays_up = text.ends_with("(startsecs)");
            let alive = self.host.children.values().filter(|child| child.name == name && !(stays_up && child.is_dead));
            let alive: Vec<ProcId> = alive.map(|child| child.process).collect();
            assert!(!alive.is_empty(), "{name} is said to run and has ended before");
            let is_ready = stays_up || alive.iter().any(|id| self.host.ready.contains(id));
            assert!(is_ready, "O-3: {name} is said to be ready and has not said so");
        } else if let Some(rest) = text.strip_prefix("pool ") {
            let pool = rest.split(' ').next().and_then(|name| self.group_names.get(name).copied());
            let serial = rest.rsplit(' ').next().and_then(|serial| serial.parse().ok());
            let (Some(pool), Some(serial)) = (pool, serial) else { panic!("a pool that nobody knows: {text}") };
            self.pools.discarded(pool, serial);
        } else if text.starts_with("forget changes at run time, ") {
            // From here on the file says less than what there is, even if nobody waits for the answer.
            self.is_edited = true;
            self.kept.forget();
        } else if line.tag == "CRIT" {
            assert!(text.starts_with("unknown problem "), "{} {text}", line.tag);
        } else if line.tag == "ERRO" {
            let known = [
                "could not make a ",
                "Could not create FastCGI socket ",
                "XML-RPC request data ",
                "restart refused, ",
                "cannot make a cgroup for ",
            ];
            let is_of_fleet = self.host.file.sequences.is_some() && sequences::is_known_error(text);
            assert!(is_of_fleet || known.iter().any(|begin| text.starts_with(begin)), "{} {text}", line.tag);
        }
    }
}
