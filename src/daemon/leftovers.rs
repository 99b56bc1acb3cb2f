//! What runs leave behind, and what is done about it (K-4).
//!
//! Only processes whose `killmode` is more than `process` have anything here. When a child has ended and before it is
//! reaped, [`Daemon::before_reaping`] looks for what is left of it and tells that to end; as long as the number of the
//! child is its own, its process group can be nobody else's. From then on a [`Job`] looks again, kills, and in the end
//! lets the next run begin. A process that is removed meanwhile leaves its job behind, and one that comes in its place
//! waits for it.

use super::agenda::{Agenda, Due};
use super::host::{Host, REMNANTS_MAX, Remnant, Trail, Tree};
use super::{Daemon, Proc};
use crate::clock::{Mono, Now};
use crate::config::{CgroupSet, Config, KillMode};
use crate::id::{IdMap, Pid, ProcId};
use crate::model::leftovers::{AfterLook, Leftovers};
use crate::model::process::Trigger;
use std::collections::BTreeMap;

/// Jobs that are looked at in one turn: with many processes a look takes a millisecond.
const LOOKS_PER_TURN: usize = 64;

/// What is left of one run.
struct Job {
    /// Its process, or the one that has taken its place.
    process: ProcId,
    group: String,
    name: String,
    mode: KillMode,
    child: Pid,
    cgroup: Option<String>,
    /// What tells them to end.
    signal: i32,
    /// Those that have got a signal.
    known: Vec<Remnant>,
    /// The process group was seen empty: its number may be somebody else's by now.
    is_group_gone: bool,
    /// How many there were, if that could be known.
    count: Option<usize>,
    /// How many there were at the last look.
    left: usize,
    machine: Leftovers,
}

/// All that is left of anything.
#[derive(Default)]
pub(super) struct Remaining {
    /// A process minds, or has minded, what its runs leave behind.
    is_minded: bool,
    /// Where cgroups are made: `[supervisord]` is not reread.
    cgroup_root: Option<String>,
    /// By the process that left it.
    jobs: BTreeMap<ProcId, Job>,
    agenda: Agenda,
    /// What was seen below children before they were told to end.
    seen: IdMap<ProcId, Vec<Remnant>>,
    /// The cgroups of children.
    cgroups: IdMap<ProcId, String>,
}

impl Remaining {
    pub(super) fn new(config: &Config) -> Remaining {
        let cgroup_root = config.supervisord.cgroup_root.as_ref().map(|root| root.0.clone());
        Remaining { cgroup_root, ..Remaining::default() }
    }

    pub(super) fn deadline(&self, now: Mono) -> Option<Mono> {
        self.agenda.next(now)
    }

    /// Whether something is left that is waited for.
    pub(super) fn is_some(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// What is looked at when.
    fn schedule(&mut self, id: ProcId, now: Mono) {
        let due = self.jobs.get(&id).map_or(Due::Never, |job| Due::At(job.machine.deadline()));
        self.agenda.set(id, due, now);
    }
}

impl Daemon {
    /// Whether [`Daemon::before_reaping`] is to be called.
    pub fn minds_leftovers(&self) -> bool {
        self.remaining.is_minded
    }

    /// How many processes an earlier run of a process has left behind that are not gone yet.
    pub fn leftovers_of(&self, id: ProcId) -> usize {
        self.remaining.jobs.values().find(|job| job.process == id).map_or(0, |job| job.left)
    }

    /// A process may mind what its runs leave behind, from now on; it waits for what one of its name has left.
    pub(super) fn mind_leftovers(&mut self, id: ProcId) {
        let Some((group, process)) = self.roster.member(id) else { return };
        self.remaining.is_minded |= process.config.program.killmode.minds_leftovers();
        if !self.remaining.is_some() {
            return;
        }
        let (group, name) = (group.name(), process.config.name.as_str());
        let of_its_name = |job: &&mut Job| job.group == group && job.name == name;
        let Some(job) = self.remaining.jobs.values_mut().find(of_its_name) else { return };
        job.process = id;
        if let Some(process) = self.roster.process_mut(id) {
            process.machine.wait_for_leftovers();
        }
    }

    /// Makes the cgroup in which the next child of a process begins, if it is to have one. Without it `killmode` has
    /// another way, but `cgroup_set` none.
    ///
    /// Errors: the text of `spawnerr`.
    pub(super) fn make_cgroup(&mut self, id: ProcId, host: &mut dyn Host) -> Result<Option<String>, String> {
        let Some((group, process)) = self.roster.member(id) else { return Ok(None) };
        let (name, CgroupSet(values)) = (&process.config.name, &process.config.program.cgroup_set);
        if process.config.program.killmode != KillMode::Cgroup && values.is_empty() {
            return Ok(None);
        }
        let made = host.make_cgroup(self.remaining.cgroup_root.as_deref(), &format!("{}:{name}", group.name()));
        let made = made.map_err(|problem| (problem, None)).and_then(|path| match host.set_cgroup(&path, values) {
            Ok(()) => Ok(path),
            Err(problem) => Err((problem, Some(path))),
        });
        match made {
            Ok(path) => {
                self.remaining.cgroups.insert(id, path.clone());
                Ok(Some(path))
            }
            Err((problem, path)) => {
                let text = if values.is_empty() {
                    activity!(Error, "cannot make a cgroup for '{name}', killmode=tree instead: {problem}");
                    None
                } else {
                    Some(format!("couldn't set cgroup_set for '{name}': {problem}"))
                };
                if let Some(path) = path {
                    host.remove_cgroup(&path);
                }
                // From an attempt just before this one, which came to nothing.
                self.remaining.cgroups.remove(&id);
                text.map_or(Ok(None), Err)
            }
        }
    }

    /// Removes the cgroup of a process that has nothing in it.
    pub(super) fn drop_cgroup(&mut self, id: ProcId, host: &mut dyn Host) {
        if let Some(path) = self.remaining.cgroups.remove(&id) {
            host.remove_cgroup(&path);
        }
    }

    /// The same once its child was reaped, which until then is in it; with `killmode=cgroup` all else has to end first.
    pub(super) fn leave_cgroup(&mut self, id: ProcId, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        if process.config.program.killmode != KillMode::Cgroup {
            self.drop_cgroup(id, host);
        }
    }

    /// Notes what is below a child that is about to be told to end: once it has, nobody knows.
    pub(super) fn note_descendants(&mut self, id: ProcId, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        if !matches!(self.kill_mode(id, process), KillMode::Tree) {
            return;
        }
        let Some(pid) = process.machine.pid() else { return };
        let seen = self.remaining.seen.entry(id).or_default();
        for member in host.descendants(pid) {
            if seen.len() < REMNANTS_MAX && !seen.contains(&member) {
                seen.push(member);
            }
        }
    }

    /// Forgets a process that is removed; what is left of it is not.
    pub(super) fn forget_remains(&mut self, id: ProcId, host: &mut dyn Host) {
        self.remaining.seen.remove(&id);
        self.drop_cgroup(id, host);
    }

    /// How a process ends what it leaves behind: one that got no cgroup does as with `tree`.
    fn kill_mode(&self, id: ProcId, process: &Proc) -> KillMode {
        match process.config.program.killmode {
            KillMode::Cgroup if !self.remaining.cgroups.contains_key(&id) => KillMode::Tree,
            mode => mode,
        }
    }

    /// A child has ended, and nobody has reaped it yet: what is left of its run is told to end.
    pub fn before_reaping(&mut self, child: Pid, now: Now, host: &mut dyn Host) {
        let Some(id) = self.roster.process_of(child) else { return };
        let Some((group, process)) = self.roster.member(id) else { return };
        let mode = self.kill_mode(id, process);
        let known = self.remaining.seen.remove(&id).unwrap_or_default();
        if mode == KillMode::Process {
            return;
        }
        let program = &process.config.program;
        // While everything is killed nothing has time.
        let is_late = self.kills_all() || program.killwaitsecs.0.is_zero();
        let machine = match is_late {
            true => Leftovers::killed(now.mono),
            false => Leftovers::told(program.killwaitsecs.0, now.mono),
        };
        let signal = program.stopsignal.step(0).map_or(libc::SIGTERM, |step| step.signal);
        let mut job = Job {
            process: id,
            group: group.name().to_string(),
            name: process.config.name.clone(),
            mode,
            child,
            cgroup: self.remaining.cgroups.get(&id).filter(|_| mode == KillMode::Cgroup).cloned(),
            signal: if is_late { libc::SIGKILL } else { signal },
            known,
            is_group_gone: false,
            count: None,
            left: 0,
            machine,
        };
        let left = self.look_for(&job, host);
        job.count = left.as_ref().map(Vec::len);
        job.left = job.count.unwrap_or(0);
        // It may have come to more since it was looked at, so that the group is told in any case.
        let signal = job.signal;
        signal_left(&mut job, left.unwrap_or_default(), signal, host);
        self.remaining.jobs.insert(id, job);
    }

    /// The child of a process has been reaped; what is left of it holds the next run up. Answers the line that says so.
    pub(super) fn hold_for_leftovers(&mut self, id: ProcId, now: Now, host: &mut dyn Host) -> Option<String> {
        let job = self.remaining.jobs.get(&id)?;
        let was_none = job.count == Some(0);
        let is_gone = match job.mode {
            KillMode::Group if host.is_group_empty(job.child) => true,
            // Only such as nobody has reaped, or such as have come between.
            KillMode::Group if was_none => self.look_for(job, host).is_some_and(|left| left.is_empty()),
            KillMode::Tree if job.count.is_none() => host.is_group_empty(job.child),
            _ => was_none,
        };
        let job = self.remaining.jobs.get(&id)?;
        let line = match job.count {
            Some(0) => None,
            Some(1) => Some(format!("{}: 1 process was left, stopped", job.name)),
            Some(count) => Some(format!("{}: {count} processes were left, stopped", job.name)),
            // Without /proc nobody knows how many, nor whether those that are gone by now have been there.
            None => (!is_gone).then(|| format!("{}: processes were left, stopped", job.name)),
        };
        if is_gone {
            self.end_job(id, host);
            return line;
        }
        if let Some(process) = self.roster.process_mut(id) {
            process.machine.wait_for_leftovers();
        }
        self.remaining.schedule(id, now.mono);
        line
    }

    fn end_job(&mut self, id: ProcId, host: &mut dyn Host) {
        if let Some(job) = self.remaining.jobs.remove(&id)
            && let Some(path) = job.cgroup
        {
            host.remove_cgroup(&path);
            self.remaining.cgroups.remove(&id);
        }
        self.remaining.agenda.forget(id);
    }

    fn look_for(&self, job: &Job, host: &mut dyn Host) -> Option<Vec<Remnant>> {
        let is_ours = |pid: Pid| self.roster.process_of(pid).is_some() || self.is_helper(pid);
        let names = (job.group.as_str(), job.name.as_str());
        let tree = (job.mode == KillMode::Tree).then_some(Tree { known: &job.known, names, is_ours: &is_ours });
        host.remains(&Trail { group: job.child, tree, cgroup: job.cgroup.as_deref() })
    }

    /// Looks at what is left of runs, where that is due.
    pub(super) fn look_at_leftovers(&mut self, now: Now, host: &mut dyn Host) {
        if !self.remaining.is_some() {
            return;
        }
        let due = self.remaining.agenda.take_due(now.mono);
        for (done, id) in due.into_iter().enumerate() {
            if done < LOOKS_PER_TURN {
                self.look_at_job(id, now, host);
            }
            self.remaining.schedule(id, now.mono);
        }
    }

    fn look_at_job(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        let Some(mut job) = self.remaining.jobs.remove(&id) else { return };
        job.is_group_gone = job.is_group_gone || host.is_group_empty(job.child);
        let left = match job.mode {
            KillMode::Group if job.is_group_gone => Some(Vec::new()),
            _ => self.look_for(&job, host),
        };
        // Without /proc the group is all that is known.
        let is_left = left.as_ref().map_or(!job.is_group_gone, |left| !left.is_empty());
        job.left = left.as_ref().map_or(usize::from(is_left), Vec::len);
        let next = job.machine.look(is_left, now.mono);
        let new: Vec<Remnant> = left.unwrap_or_default();
        match next {
            AfterLook::Wait if job.mode == KillMode::Tree => {
                // Those whose parents have ended meanwhile.
                let new = new.into_iter().filter(|member| !job.known.contains(member)).collect();
                let signal = if job.machine.is_killed() { libc::SIGKILL } else { job.signal };
                signal_remnants(&mut job, new, signal, host);
            }
            AfterLook::Wait => {}
            AfterLook::Kill => signal_left(&mut job, new, libc::SIGKILL, host),
            AfterLook::Over { is_left } => {
                if is_left {
                    activity!(Warn, "{}: what it left behind does not end", job.name);
                }
                let process = job.process;
                self.remaining.jobs.insert(id, job);
                self.end_job(id, host);
                let _ = self.step(process, Trigger::Cleared, now, host);
                return;
            }
        }
        self.remaining.jobs.insert(id, job);
    }

    /// There is no time left: whatever is left of anything is killed now. Answers whose it is.
    pub(super) fn kill_leftovers(&mut self, now: Now, host: &mut dyn Host) -> Vec<String> {
        let mut names = Vec::new();
        for id in self.remaining.jobs.keys().copied().collect::<Vec<_>>() {
            let Some(mut job) = self.remaining.jobs.remove(&id) else { continue };
            if !job.machine.is_killed() {
                names.push(job.name.clone());
                job.is_group_gone = job.is_group_gone || host.is_group_empty(job.child);
                let left = self.look_for(&job, host).unwrap_or_default();
                job.machine = Leftovers::killed(now.mono);
                signal_left(&mut job, left, libc::SIGKILL, host);
            }
            self.remaining.jobs.insert(id, job);
            self.remaining.schedule(id, now.mono);
        }
        names
    }
}

/// Signals all that is left: the group by its number, as long as that can be nobody else's.
fn signal_left(job: &mut Job, left: Vec<Remnant>, signal: i32, host: &mut dyn Host) {
    if let Some(path) = job.cgroup.as_deref().filter(|_| signal == libc::SIGKILL) {
        return host.kill_cgroup(path);
    }
    if job.cgroup.is_some() {
        return signal_remnants(job, left, signal, host);
    }
    if !job.is_group_gone {
        // Whom we may not signal we cannot help.
        let _ = host.kill(job.child, signal, true);
    }
    let outside = left.into_iter().filter(|member| member.group != job.child).collect();
    signal_remnants(job, outside, signal, host);
}

fn signal_remnants(job: &mut Job, members: Vec<Remnant>, signal: i32, host: &mut dyn Host) {
    for member in members {
        host.signal_remnant(member, signal);
        if job.known.len() < REMNANTS_MAX && !job.known.contains(&member) {
            job.known.push(member);
        }
    }
}
