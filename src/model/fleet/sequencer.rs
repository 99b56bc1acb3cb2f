//! What is started and stopped, in which order, and when the next is due (V-380 to V-402).
//!
//! One tree of plain data: jobs, each of one application; in a job ranks, in a rank processes. Jobs that were planned together
//! have one batch: of those with the first rank all are under way, the next follow when they are done. Within a job it is the
//! same with processes. A call that waits for what it began has a [`Ticket`], which is over when no process has it any more.
//!
//! The sequencer starts nothing itself. [`Sequencer::next`] looks at what has become of what it wanted and says what it wants
//! now; whoever asks does that, and asks again until nothing is wanted.

mod job;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::view::{AppId, TaskId};
use crate::clock::Mono;
use crate::config::fleet::{StartingFailure, StartingStrategy};
use crate::id::PeerId;
use crate::state::ProcessState;

use job::{Item, Job, Kind};

/// Commands of one look. Whoever asks comes again at once, so that a thousand processes take no long turn.
const COMMANDS_MAX: usize = 64;

/// Jobs of an application that calls may add to. A process that takes its time to stop may be told to as often as somebody
/// likes, and each time is a job.
const JOBS_MAX: usize = 64;

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A process that is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The process, over all instances.
    pub process: TaskId,
    /// Its rank within its application.
    pub rank: i64,
    /// It is done when it has exited as expected, not when it runs.
    pub waits_for_exit: bool,
    /// Where it is started.
    pub strategy: StartingStrategy,
    /// What becomes of the rest when it does not start.
    pub on_failure: StartingFailure,
    /// How long it may be STARTING; `None` where something else limits that.
    pub starting_limit: Option<Duration>,
    /// How long it may run before its exit.
    pub exit_limit: Option<Duration>,
}

/// A process that is to be stopped on one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The process, over all instances.
    pub process: TaskId,
    /// The instance that it runs on.
    pub peer: PeerId,
    /// Its rank within its application.
    pub rank: i64,
    /// How long that may take.
    pub limit: Duration,
}

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its state over all instances.
    pub state: ProcessState,
    /// Whether its last exit was expected.
    pub expected: bool,
    /// It has been RUNNING since its last start.
    pub came_up: bool,
    /// Its start or stop has been asked for and waits for others.
    pub is_pending: bool,
    /// It could not be started at all.
    pub is_refused: bool,
    /// When its last run began, by the clock of its instance; runs are told apart by it.
    pub started: u64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a process, where the strategy says.
    Start(TaskId, StartingStrategy),
    /// Stop a process on an instance.
    Stop(TaskId, PeerId),
    /// Say of a process that it did not become what it should in time.
    GiveUp {
        /// The process that is waited for no longer.
        process: TaskId,
        /// What it is shown as from here on.
        shown: ProcessState,
        /// What did not happen.
        reason: &'static str,
    },
    /// Stop an application whose start has failed.
    StopApplication(AppId, Vec<Ticket>),
    /// Start an application that was stopped for it.
    StartAgain(AppId, Again, Vec<Ticket>),
}

/// What is started after a stop (V-402).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// The application in its sequence, with its own strategy or another.
    Application(Option<StartingStrategy>),
    /// These processes and no other of the application, with their own strategy or another.
    Processes(Option<StartingStrategy>, Vec<TaskId>),
}

/// All that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequencer {
    /// By their applications, of which there may be thousands, and those of one in the order in which they were planned.
    jobs: BTreeMap<(AppId, u64), Job>,
    next_job: u64,
    next_ticket: u64,
}

/// Asks what is known of a process: on an instance, or where it is being started.
pub type Look<'l> = dyn Fn(TaskId, Option<PeerId>) -> Option<Facts> + 'l;

impl Sequencer {
    /// A new ticket. It is over at once if nothing is planned with it.
    pub fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// Plans the start of an application. What was planned of it before is replaced (V-390); what is under way goes on.
    pub fn start(&mut self, application: AppId, rank: i64, starts: Vec<Start>, ticket: Ticket, batch: u64) {
        let mut over = Vec::new();
        for (key, job) in self.of_mut(application).filter(|(_, job)| job.kind == Kind::Start) {
            job.planned.clear();
            if job.current.is_empty() {
                over.push(*key);
            }
        }
        for key in over {
            self.jobs.remove(&key);
        }
        let mut planned: BTreeMap<i64, Vec<Item>> = BTreeMap::new();
        for start in starts {
            planned.entry(start.rank).or_default().push(Item::start(start, ticket));
        }
        if !planned.is_empty() {
            self.add(Job { rank, planned, ..Job::new(application, Kind::Start, batch) });
        }
    }

    /// Plans the start of processes, each by itself; they join the start of their application if there is one (V-390). Says
    /// how many were not planned there already.
    pub fn start_processes(&mut self, application: AppId, starts: Vec<Start>, ticket: Ticket, batch: u64) -> usize {
        let mut known: BTreeSet<TaskId> =
            self.starts(application).flat_map(Job::items).map(|item| item.process).collect();
        let before = known.len();
        let mut planned: BTreeMap<i64, Vec<Item>> = BTreeMap::new();
        for start in starts.into_iter().filter(|start| known.insert(start.process)) {
            planned.entry(start.rank).or_default().push(Item::start(start, ticket));
        }
        let joined = self.of_mut(application).map(|(_, job)| job).find(|job| job.kind == Kind::Start);
        if let Some(job) = joined {
            for (rank, items) in planned {
                job.planned.entry(rank).or_default().extend(items);
            }
        } else if !planned.is_empty() {
            self.add(Job { planned, ..Job::new(application, Kind::Start, batch) });
        }
        known.len() - before
    }

    /// Plans stops of processes of an application, and what is started afterwards. What was to be started of it is not.
    pub fn stop(
        &mut self,
        application: AppId,
        rank: i64,
        stops: Vec<Stop>,
        again: Option<Again>,
        ticket: Ticket,
        batch: u64,
    ) {
        let meant: BTreeSet<TaskId> = stops.iter().map(|stop| stop.process).collect();
        let is_meant = |process: TaskId| meant.contains(&process);
        for (_, job) in self.of_mut(application).filter(|(_, job)| job.kind == Kind::Start) {
            for items in job.planned.values_mut() {
                items.retain(|item| !is_meant(item.process));
            }
            job.planned.retain(|_, items| !items.is_empty());
        }
        let mut planned: BTreeMap<i64, Vec<Item>> = BTreeMap::new();
        for stop in stops {
            let item =
                Item { process: stop.process, ticket, start: None, peer: Some(stop.peer), stop_limit: stop.limit };
            planned.entry(stop.rank).or_default().push(item);
        }
        if planned.is_empty() && again.is_none() {
            return;
        }
        let again = again.map(|again| (again, vec![ticket]));
        self.add(Job { rank, planned, again, ..Job::new(application, Kind::Stop, batch) });
    }

    /// Forgets all that is planned and under way: somebody wants everything to end (V-450).
    pub fn abort(&mut self) {
        self.jobs.clear();
    }

    /// Forgets processes that are no more.
    pub fn retain(&mut self, is_there: impl Fn(TaskId) -> bool) {
        for job in self.jobs.values_mut() {
            for items in job.planned.values_mut() {
                items.retain(|item| is_there(item.process));
            }
            job.planned.retain(|_, items| !items.is_empty());
            job.current.retain(|running| is_there(running.item.process));
        }
    }

    /// Whether nothing is started.
    pub fn is_starting_nothing(&self) -> bool {
        self.jobs.values().all(|job| job.kind != Kind::Start)
    }

    /// Whether nothing is stopped.
    pub fn is_stopping_nothing(&self) -> bool {
        self.jobs.values().all(|job| job.kind != Kind::Stop)
    }

    /// Whether nothing at all is to be done.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether something of an application is started or stopped.
    pub fn is_busy(&self, application: AppId) -> bool {
        self.of(application).next().is_some()
    }

    /// Whether so much of an application is under way that no call may add to it.
    pub fn is_full(&self, application: AppId) -> bool {
        self.of(application).count() >= JOBS_MAX
    }

    /// Processes that are being started or whose turn to start is to come.
    pub fn starting(&self) -> BTreeSet<TaskId> {
        self.all_starts().flat_map(Job::items).map(|item| item.process).collect()
    }

    /// Whether it is a process's turn to start.
    pub fn is_started_now(&self, process: TaskId) -> bool {
        self.all_starts().flat_map(|job| &job.current).any(|running| running.item.process == process)
    }

    /// Processes whose turn to start it is.
    pub fn started_now(&self) -> BTreeSet<TaskId> {
        self.all_starts().flat_map(|job| &job.current).map(|running| running.item.process).collect()
    }

    /// Whether an application is being started.
    pub fn is_starting_application(&self, application: AppId) -> bool {
        self.start_of(application).is_some()
    }

    /// The start of an application that is under way: a number that no other has.
    pub fn start_of(&self, application: AppId) -> Option<u64> {
        let mut jobs = self.jobs.range((application, 0)..=(application, u64::MAX));
        jobs.find(|(_, job)| job.kind == Kind::Start).map(|((_, number), _)| *number)
    }

    /// How many starts and stops of applications were begun.
    pub fn begun(&self) -> u64 {
        self.next_job
    }

    /// Whether a ticket is over.
    pub fn is_over(&self, ticket: Ticket) -> bool {
        !self.jobs.values().any(|job| {
            job.items().any(|item| item.ticket == ticket)
                || job.again.as_ref().is_some_and(|(_, tickets)| tickets.contains(&ticket))
                || (job.has_failed && job.failed.contains(&ticket))
        })
    }

    /// When [`Sequencer::next`] has something to do although nothing happens.
    pub fn deadline(&self) -> Option<Mono> {
        self.jobs.values().flat_map(|job| &job.current).filter_map(|running| running.due).min()
    }

    fn add(&mut self, job: Job) {
        self.next_job += 1;
        self.jobs.insert((job.application, self.next_job), job);
    }

    /// The jobs of one application.
    fn of(&self, application: AppId) -> impl Iterator<Item = &Job> {
        self.jobs.range((application, 0)..=(application, u64::MAX)).map(|(_, job)| job)
    }

    fn of_mut(&mut self, application: AppId) -> impl Iterator<Item = (&(AppId, u64), &mut Job)> {
        self.jobs.range_mut((application, 0)..=(application, u64::MAX))
    }

    fn starts(&self, application: AppId) -> impl Iterator<Item = &Job> {
        self.of(application).filter(|job| job.kind == Kind::Start)
    }

    fn all_starts(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(|job| job.kind == Kind::Start)
    }

    /// Looks at what is under way, and says what is to be done. To be asked again once that is done, until it is nothing.
    pub fn next(&mut self, now: Mono, facts: &Look<'_>) -> Vec<Command> {
        let mut commands = Vec::new();
        // What is done without a command, because it was so before, may make others due. Each pass leaves less to do.
        while self.pass(now, facts, &mut commands) && commands.is_empty() {}
        commands
    }

    /// Looks at each job once; says whether that has changed what others wait for.
    fn pass(&mut self, now: Mono, facts: &Look<'_>, commands: &mut Vec<Command>) -> bool {
        let mut has_begun = false;
        let front = Front::of(self.jobs.values());
        for job in self.jobs.values_mut() {
            if commands.len() >= COMMANDS_MAX {
                return true;
            }
            job.look(now, facts, commands);
            has_begun |= front.is_turn_of(job) && job.begin(facts, commands);
        }
        let is_last = |job: &Job| job.planned.is_empty() && job.current.is_empty();
        let before = self.jobs.len();
        let mut followers = Vec::new();
        self.jobs.retain(|_, job| {
            if !is_last(job) {
                return true;
            }
            if job.has_failed {
                followers.push(Command::StopApplication(job.application, std::mem::take(&mut job.failed)));
            } else if let Some((again, tickets)) = job.again.take() {
                followers.push(Command::StartAgain(job.application, again, tickets));
            }
            false
        });
        commands.extend(followers);
        has_begun || self.jobs.len() < before
    }
}

/// Which jobs may go on, found in one look at all of them: there may be as many as there are applications.
struct Front {
    /// Of each batch of starts the first rank, of each batch of stops the last.
    ranks: BTreeMap<(Kind, u64), i64>,
    /// Applications that are being stopped.
    stopping: BTreeSet<AppId>,
}

impl Front {
    fn of<'j>(jobs: impl Iterator<Item = &'j Job>) -> Front {
        let mut front = Front { ranks: BTreeMap::new(), stopping: BTreeSet::new() };
        for job in jobs {
            let rank = front.ranks.entry((job.kind, job.batch)).or_insert(job.rank);
            match job.kind {
                Kind::Start => *rank = job.rank.min(*rank),
                Kind::Stop => {
                    *rank = job.rank.max(*rank);
                    front.stopping.insert(job.application);
                }
            }
        }
        front
    }

    /// Whether none of its batch comes before it. A start of what is being stopped waits until it is.
    fn is_turn_of(&self, job: &Job) -> bool {
        let is_in_front = self.ranks.get(&(job.kind, job.batch)) == Some(&job.rank);
        is_in_front && (job.kind == Kind::Stop || !self.stopping.contains(&job.application))
    }
}

#[cfg(test)]
mod tests;
