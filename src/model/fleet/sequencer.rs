//! What is started and stopped, in which order, and when the next is due (V-380 to V-402).
//!
//! One tree of plain data: jobs, each of one application; in a job ranks, in a rank processes. Jobs that were planned together
//! have one batch: of those with the first rank all are under way, the next follow when they are done. Within a job it is the
//! same with processes. A call that waits for what it began has a [`Ticket`], which is over when no process has it any more.
//!
//! The sequencer starts nothing itself. [`Sequencer::next`] looks at what has become of what it wanted and says what it wants
//! now; whoever asks does that, and asks again until nothing is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::view::{AppId, TaskId};
use crate::clock::Mono;
use crate::config::fleet::{StartingFailure, StartingStrategy};
use crate::id::PeerId;
use crate::state::ProcessState;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Start,
    Stop,
}

/// A process in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    process: TaskId,
    ticket: Ticket,
    /// Of a start: `None` for a stop.
    start: Option<Start>,
    /// Of a stop: where.
    peer: Option<PeerId>,
    stop_limit: Duration,
}

/// A process whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Running {
    item: Item,
    /// The state in which it was seen last, and since when.
    seen: Option<(ProcessState, Mono)>,
    /// When it is given up if it stays in that state.
    due: Option<Mono>,
}

/// What is done with one application.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    application: AppId,
    kind: Kind,
    batch: u64,
    /// Among the applications of its batch.
    rank: i64,
    /// Processes whose turn is to come.
    planned: BTreeMap<i64, Vec<Item>>,
    current: Vec<Running>,
    /// What is started afterwards.
    again: Option<(Again, Vec<Ticket>)>,
    /// The application is to be stopped afterwards, because a start has failed.
    has_failed: bool,
    /// Tickets of those that were planned and are not started because of that.
    failed: Vec<Ticket>,
}

/// All that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequencer {
    jobs: Vec<Job>,
    next_ticket: u64,
}

/// Asks what is known of a process: on an instance, or where it is being started.
pub type Look<'l> = dyn Fn(TaskId, Option<PeerId>) -> Option<Facts> + 'l;

/// What has become of a process that was told to start or to stop.
enum Outcome {
    UnderWay,
    Done,
    Failed,
    TimedOut(ProcessState, &'static str),
}

impl Sequencer {
    /// A new ticket. It is over at once if nothing is planned with it.
    pub fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// Plans the start of an application. What was planned of it before is replaced (V-390); what is under way goes on.
    pub fn start(&mut self, application: AppId, rank: i64, starts: Vec<Start>, ticket: Ticket, batch: u64) {
        self.jobs.retain_mut(|job| {
            let is_it = job.application == application && job.kind == Kind::Start;
            if is_it {
                job.planned.clear();
            }
            !is_it || !job.current.is_empty()
        });
        let mut planned: BTreeMap<i64, Vec<Item>> = BTreeMap::new();
        for start in starts {
            planned.entry(start.rank).or_default().push(Item::start(start, ticket));
        }
        if !planned.is_empty() {
            self.jobs.push(Job { rank, planned, ..Job::new(application, Kind::Start, batch) });
        }
    }

    /// Plans the start of a process; it joins the start of its application if there is one (V-390). False if it is planned
    /// there already.
    pub fn start_process(&mut self, application: AppId, start: Start, ticket: Ticket, batch: u64) -> bool {
        if self.is_starting(start.process) {
            return false;
        }
        let rank = start.rank;
        let item = Item::start(start, ticket);
        match self.job_mut(application, Kind::Start) {
            Some(job) => job.planned.entry(rank).or_default().push(item),
            None => {
                let planned = BTreeMap::from([(rank, vec![item])]);
                self.jobs.push(Job { planned, ..Job::new(application, Kind::Start, batch) });
            }
        }
        true
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
        for job in self.jobs.iter_mut().filter(|job| job.application == application && job.kind == Kind::Start) {
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
        self.jobs.push(Job { rank, planned, again, ..Job::new(application, Kind::Stop, batch) });
    }

    /// Forgets all that is planned and under way: somebody wants everything to end (V-450).
    pub fn abort(&mut self) {
        self.jobs.clear();
    }

    /// Forgets processes that are no more.
    pub fn retain(&mut self, is_there: impl Fn(TaskId) -> bool) {
        for job in &mut self.jobs {
            for items in job.planned.values_mut() {
                items.retain(|item| is_there(item.process));
            }
            job.planned.retain(|_, items| !items.is_empty());
            job.current.retain(|running| is_there(running.item.process));
        }
    }

    /// Whether nothing is started.
    pub fn is_starting_nothing(&self) -> bool {
        self.jobs.iter().all(|job| job.kind != Kind::Start)
    }

    /// Whether nothing is stopped.
    pub fn is_stopping_nothing(&self) -> bool {
        self.jobs.iter().all(|job| job.kind != Kind::Stop)
    }

    /// Whether nothing at all is to be done.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether something of an application is started or stopped.
    pub fn is_busy(&self, application: AppId) -> bool {
        self.jobs.iter().any(|job| job.application == application)
    }

    /// Whether so much of an application is under way that no call may add to it.
    pub fn is_full(&self, application: AppId) -> bool {
        self.jobs.iter().filter(|job| job.application == application).count() >= JOBS_MAX
    }

    /// Whether a process is being started or its turn is to come.
    pub fn is_starting(&self, process: TaskId) -> bool {
        self.jobs
            .iter()
            .filter(|job| job.kind == Kind::Start)
            .any(|job| job.items().any(|item| item.process == process))
    }

    /// Whether it is a process's turn to start.
    pub fn is_started_now(&self, process: TaskId) -> bool {
        let jobs = self.jobs.iter().filter(|job| job.kind == Kind::Start);
        jobs.flat_map(|job| &job.current).any(|running| running.item.process == process)
    }

    /// Processes whose turn to start it is.
    pub fn started_now(&self) -> BTreeSet<TaskId> {
        let jobs = self.jobs.iter().filter(|job| job.kind == Kind::Start);
        jobs.flat_map(|job| &job.current).map(|running| running.item.process).collect()
    }

    /// Whether an application is being started.
    pub fn is_starting_application(&self, application: AppId) -> bool {
        self.jobs.iter().any(|job| job.application == application && job.kind == Kind::Start)
    }

    /// Whether a ticket is over.
    pub fn is_over(&self, ticket: Ticket) -> bool {
        !self.jobs.iter().any(|job| {
            job.items().any(|item| item.ticket == ticket)
                || job.again.as_ref().is_some_and(|(_, tickets)| tickets.contains(&ticket))
                || (job.has_failed && job.failed.contains(&ticket))
        })
    }

    /// When [`Sequencer::next`] has something to do although nothing happens.
    pub fn deadline(&self) -> Option<Mono> {
        self.jobs.iter().flat_map(|job| &job.current).filter_map(|running| running.due).min()
    }

    fn job_mut(&mut self, application: AppId, kind: Kind) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.application == application && job.kind == kind)
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
        let front = Front::of(&self.jobs);
        for job in &mut self.jobs {
            if commands.len() >= COMMANDS_MAX {
                return true;
            }
            job.look(now, facts, commands);
            has_begun |= front.is_turn_of(job) && job.begin(facts, commands);
        }
        let is_last = |job: &Job| job.planned.is_empty() && job.current.is_empty();
        let before = self.jobs.len();
        let mut followers = Vec::new();
        self.jobs.retain_mut(|job| {
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
    fn of(jobs: &[Job]) -> Front {
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

impl Item {
    fn start(start: Start, ticket: Ticket) -> Item {
        Item { process: start.process, ticket, start: Some(start), peer: None, stop_limit: Duration::ZERO }
    }
}

impl Job {
    fn new(application: AppId, kind: Kind, batch: u64) -> Job {
        Job {
            application,
            kind,
            batch,
            rank: 0,
            planned: BTreeMap::new(),
            current: Vec::new(),
            again: None,
            has_failed: false,
            failed: Vec::new(),
        }
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        self.planned.values().flatten().chain(self.current.iter().map(|running| &running.item))
    }

    /// Takes out what is done, failed, or late.
    fn look(&mut self, now: Mono, facts: &Look<'_>, commands: &mut Vec<Command>) {
        let mut current = std::mem::take(&mut self.current);
        current.retain_mut(|running| {
            let process = running.item.process;
            match running.look(now, facts(process, running.item.peer)) {
                Outcome::UnderWay => return true,
                Outcome::Done => {}
                Outcome::Failed => self.fail(&running.item),
                Outcome::TimedOut(shown, reason) => {
                    commands.push(Command::GiveUp { process, shown, reason });
                    self.fail(&running.item);
                }
            }
            false
        });
        self.current = current;
    }

    /// A start has failed (V-395).
    fn fail(&mut self, item: &Item) {
        let Some(start) = &item.start else { return };
        if start.on_failure == StartingFailure::Continue {
            return;
        }
        if start.on_failure == StartingFailure::Stop {
            self.has_failed = true;
            self.failed.push(item.ticket);
            self.failed.extend(self.planned.values().flatten().map(|item| item.ticket));
            self.failed.dedup();
        }
        self.planned.clear();
    }

    /// Begins the next rank with something to do in it, once nothing of the last one is under way; says whether there is one.
    fn begin(&mut self, facts: &Look<'_>, commands: &mut Vec<Command>) -> bool {
        let is_free = self.current.is_empty();
        while self.current.is_empty() && commands.len() < COMMANDS_MAX {
            let next = match self.kind {
                Kind::Start => self.planned.pop_first(),
                Kind::Stop => self.planned.pop_last(),
            };
            let Some((_, items)) = next else { return false };
            for item in items {
                let Some(known) = facts(item.process, item.peer) else { continue };
                match (&item.start, item.peer) {
                    (Some(start), _) if known.state.is_stopped() => {
                        commands.push(Command::Start(item.process, start.strategy));
                    }
                    (None, Some(peer)) if !known.state.is_stopped() || known.is_pending => {
                        commands.push(Command::Stop(item.process, peer));
                    }
                    // One that starts already is waited for, as long as it is not clear what becomes of it.
                    (Some(_), _) if known.state.is_running() => {}
                    _ => continue,
                }
                self.current.push(Running { item, seen: None, due: None });
            }
        }
        is_free && !self.current.is_empty()
    }
}

impl Running {
    fn look(&mut self, now: Mono, facts: Option<Facts>) -> Outcome {
        // One that is no more is waited for no longer.
        let Some(facts) = facts else { return Outcome::Done };
        let since = match self.seen {
            Some((state, since)) if state == facts.state && !facts.is_pending => since,
            _ => now,
        };
        self.seen = Some((facts.state, since));
        let (outcome, limit) = match &self.item.start {
            Some(start) => starting(start, facts),
            None => stopping(facts, self.item.stop_limit),
        };
        self.due = limit.filter(|_| !facts.is_pending).map(|limit| since.after(limit));
        match (outcome, self.due) {
            (Outcome::UnderWay, Some(due)) if due <= now => match &self.item.start {
                Some(_) if facts.state == ProcessState::Running => {
                    Outcome::TimedOut(ProcessState::Fatal, "process EXITED event not received in time")
                }
                Some(_) => Outcome::TimedOut(ProcessState::Fatal, "process RUNNING event not received in time"),
                None => Outcome::TimedOut(ProcessState::Stopped, "process STOPPED event not received in time"),
            },
            (outcome, _) => outcome,
        }
    }
}

/// What has become of a start (V-385), and how long it may be like that.
fn starting(start: &Start, facts: Facts) -> (Outcome, Option<Duration>) {
    use ProcessState::*;
    if facts.is_refused {
        return (Outcome::Failed, None);
    }
    if facts.is_pending {
        return (Outcome::UnderWay, None);
    }
    match facts.state {
        Starting => (Outcome::UnderWay, start.starting_limit),
        // The pause between two attempts has an end of its own.
        Backoff => (Outcome::UnderWay, None),
        Running if start.waits_for_exit => (Outcome::UnderWay, start.exit_limit),
        Running => (Outcome::Done, None),
        Exited if start.waits_for_exit && facts.expected => (Outcome::Done, None),
        Exited if !start.waits_for_exit && facts.came_up => (Outcome::Done, None),
        Exited | Fatal | Stopped | Stopping | Unknown => (Outcome::Failed, None),
    }
}

/// What has become of a stop (V-400), and how long it may be like that.
fn stopping(facts: Facts, limit: Duration) -> (Outcome, Option<Duration>) {
    if facts.state.is_stopped() && !facts.is_pending { (Outcome::Done, None) } else { (Outcome::UnderWay, Some(limit)) }
}

#[cfg(test)]
mod tests;
