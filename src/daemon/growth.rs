//! Groups that grow, and that shrink. A change is decided as a whole, and what it adds comes in over as many turns as it
//! takes: making the log files of a thousand processes takes half a second, in which others end and are to be started again.
//! So does what it takes out leave, for 20 000 take a tenth of a second.
//!
//! What is small is done at once. Until all have come and gone, no other change of the group is made; none of those that come
//! is started by itself, since what it depends on may be among those that are still to come, and none of those that go at
//! all; and whoever asked waits for his answer.

use std::collections::VecDeque;
use std::rc::Rc;

use super::{Daemon, Host};
use crate::clock::Now;
use crate::config::{self, LogFile, Storage};
use crate::id::{Channel, GroupId, ProcId};
use crate::state::SupervisorState;

/// Microseconds of work of one turn, about: as much as is done for clients.
const PIECE_US: u32 = 1000;

/// What a process costs that comes in.
const PROCESS_US: u32 = 4;

/// Processes that leave at a time, and what one of them costs.
const LEAVING: usize = 250;
const LEAVING_US: u32 = 4;

/// What making a file costs: 0.05 ms in a folder that is quiet, a millisecond in one in which thousands come and go.
const FILE_US: u32 = 400;

/// All that grow, each in its turn.
#[derive(Default)]
pub(super) struct Growing {
    groups: VecDeque<Growth>,
    /// The last call has begun something that is not done yet.
    has_begun: Option<GroupId>,
}

struct Growth {
    group: GroupId,
    /// Those that are still to go, before the first comes.
    leaving: VecDeque<ProcId>,
    /// Those that are still to come.
    rest: std::vec::IntoIter<Rc<config::Process>>,
    /// Those that have come.
    new: Vec<ProcId>,
    then: Then,
}

/// What is to be done when all have come and gone.
pub(super) enum Then {
    Rest,
    /// The group goes, too.
    Gone,
    /// The group is announced.
    Announce,
    /// The processes are listed as they stand in the group's configuration.
    Order,
}

impl Daemon {
    /// Has processes leave a group, and others come into it: those that one turn has time for at once.
    pub(super) fn regroup(
        &mut self,
        group: GroupId,
        leaving: Vec<ProcId>,
        coming: Vec<Rc<config::Process>>,
        then: Then,
        now: Now,
        host: &mut dyn Host,
    ) {
        for id in &leaving {
            if let Some(process) = self.roster.process_mut(*id) {
                process.leaves = true;
            }
        }
        let (leaving, rest) = (leaving.into(), coming.into_iter());
        self.go_on(Growth { group, leaving, rest, new: Vec::new(), then }, now, host);
        if self.growing.groups.iter().any(|growth| growth.group == group) {
            self.growing.has_begun = Some(group);
        }
    }

    /// Goes on with one of them.
    pub(super) fn grow_on(&mut self, now: Now, host: &mut dyn Host) {
        let Some(growth) = self.growing.groups.pop_front() else { return };
        if self.state != SupervisorState::Running {
            // Nothing that is not there yet is to be started any more.
            self.growing = Growing::default();
            return;
        }
        self.go_on(growth, now, host);
    }

    /// Has all of them come in now: before anybody is served.
    pub(super) fn grow_up(&mut self, now: Now, host: &mut dyn Host) {
        while self.is_growing() {
            self.grow_on(now, host);
        }
    }

    /// The same of one group that the last change has begun, where another follows at once.
    pub fn finish_group(&mut self, name: &str, now: Now, host: &mut dyn Host) {
        let Some(id) = self.roster.group_named(name) else { return };
        while let Some(at) = self.growing.groups.iter().position(|growth| growth.group == id)
            && let Some(growth) = self.growing.groups.remove(at)
        {
            self.go_on(growth, now, host);
        }
    }

    /// Whether some are still coming in, or going.
    pub fn is_growing(&self) -> bool {
        !self.growing.groups.is_empty()
    }

    /// Whether a group's are.
    pub fn grows(&self, id: GroupId) -> bool {
        self.growing.groups.iter().any(|growth| growth.group == id)
    }

    /// Why a group cannot be changed now, if it cannot.
    pub(super) fn is_under_change(&self, name: &str) -> Option<String> {
        let id = self.roster.group_named(name)?;
        let growth = self.growing.groups.iter().find(|growth| growth.group == id)?;
        Some(match growth.leaving.is_empty() {
            true => format!("processes are still being added to group {name}"),
            false => format!("processes are still being removed from group {name}"),
        })
    }

    /// The group that the last change has begun to change, if that is not done yet.
    pub fn take_begun(&mut self) -> Option<GroupId> {
        self.growing.has_begun.take()
    }

    fn go_on(&mut self, mut growth: Growth, now: Now, host: &mut dyn Host) {
        let mut left = PIECE_US;
        while left > 0 && !growth.leaving.is_empty() {
            let some: Vec<ProcId> = growth.leaving.drain(..LEAVING.min(growth.leaving.len())).collect();
            left = left.saturating_sub(LEAVING_US * some.len() as u32);
            self.drop_processes(growth.group, &some, now, host);
        }
        while left > 0
            && let Some(config) = growth.rest.next()
        {
            left = left.saturating_sub(PROCESS_US + FILE_US * auto_logs(&config));
            growth.new.extend(self.add_process(growth.group, config, now, host));
        }
        if growth.rest.len() > 0 || !growth.leaving.is_empty() {
            return self.growing.groups.push_back(growth);
        }
        let Some(group) = self.roster.group_mut(growth.group) else { return };
        let config = group.config.clone();
        match growth.then {
            Then::Rest => {}
            Then::Gone => {
                self.roster.remove_group(growth.group);
                self.announce_group(&config.name, false);
            }
            Then::Announce => self.announce_group(&config.name, true),
            Then::Order => {
                group.processes = config.processes.iter().filter_map(|new| group.process(&new.name)).collect();
            }
        }
        for id in growth.new {
            self.reschedule(id, now);
        }
    }
}

/// How many files are made for a process.
fn auto_logs(config: &config::Process) -> u32 {
    let is_made = |channel: &Channel| {
        let log = config.log(*channel);
        log.logfile == LogFile::Auto && log.logfile_storage == Storage::File
    };
    [Channel::Stdout, Channel::Stderr].iter().filter(|channel| is_made(channel)).count() as u32
}
