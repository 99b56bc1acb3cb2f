//! The loop around the real service: virtual time, inputs in the order of a turn, and what must hold after each turn.

mod conversation;
mod deeds;
mod inbox;
mod invariants;
mod order;
mod sequences;

use std::collections::{BTreeMap, BTreeSet};

use stheno::clock::{Mono, Now, Wall};
use stheno::daemon::Host;
use stheno::exit::ExitStatus;
use stheno::id::{ConnId, GroupId, ProcId};
use stheno::model::event::Serials;
use stheno::serve::{self, Input, Inputs, Service};
use stheno::state::SupervisorState;

use crate::agenda::{Happening, MS, SECOND};
use crate::answers::Model;
use crate::clients::Client;
use crate::host::SimHost;
use crate::kept::Kept;
use crate::lines;
use crate::observer::Observer;
use crate::pools::Pools;
use crate::random::Random;
use inbox::Inbox;
use order::Track;
use sequences::Sequence;

/// The wall clock when a schedule begins.
const EPOCH_SECS: u64 = 1_700_000_000;

/// Turns of one schedule; far more than any needs that is not a busy loop.
const TURNS_MAX: u64 = 50_000;

/// Turns in a row in which neither time passes nor anything happens.
const IDLE_TURNS_MAX: u32 = 64;

/// How long the end may take: groups stop one after another, and children may take their time even with SIGKILL.
const END_NANOS_MAX: u64 = 1200 * SECOND;

pub struct World {
    service: Service,
    host: SimHost,
    random: Random,
    now: u64,
    /// How far the wall clock is off, in seconds.
    wall_secs: i64,
    clients: Vec<Client>,
    by_conn: BTreeMap<ConnId, usize>,
    next_conn: u64,
    /// What has happened and was not handed over yet.
    inbox: Inbox,
    dirty: BTreeSet<ConnId>,
    /// Connections with answers that were not read yet.
    fresh: BTreeSet<ConnId>,
    observers: BTreeMap<ConnId, Observer>,
    pools: Pools,
    /// The group of every process there ever was.
    group_of: BTreeMap<ProcId, GroupId>,
    group_names: BTreeMap<String, GroupId>,
    model: Model,
    /// When the schedule is told to end.
    end_at: u64,
    turns: u64,
    idle_turns: u32,
    /// Lines `spawned:` and `reaped` that are due.
    spawned: Vec<(String, i32)>,
    reaped: Vec<i32>,
    /// The daemon was RUNNING when the present step began.
    was_running: bool,
    /// Changes of the set of groups may be under way that nobody will be told of.
    is_uncertain: bool,
    /// Groups were changed in this turn.
    is_changed: bool,
    /// The configuration file was edited in this run.
    is_edited: bool,
    kept: Kept,
    track: Track,
    sequence: Sequence,
    is_traced: bool,
}

/// Runs one schedule to its end, with `is_sequenced` that of a fleet of one. Panics where something is wrong.
pub fn run(seed: u64, is_sequenced: bool, trace: bool) {
    let mut world = World::new(seed, is_sequenced, trace);
    world.begin(Serials::default());
    while world.turn() {}
}

impl World {
    fn new(seed: u64, is_sequenced: bool, trace: bool) -> World {
        let mut random = Random::new(seed);
        lines::take();
        lines::set_verbose(random.one_in(16) || trace);
        let mut host = SimHost::new(is_sequenced, Random::new(random.bits()));
        let clients: Vec<Client> = (0..random.between(0, 5)).map(|_| Client::new(&mut random)).collect();
        for index in 0..clients.len() {
            host.agenda.put(random.below(5 * SECOND), Happening::Client(index));
        }
        let end_at = random.between(5, 60) * SECOND;
        for _ in 0..random.below(3) {
            let signal = *random.pick(&[libc::SIGHUP, libc::SIGUSR2, libc::SIGCHLD, libc::SIGUSR2, libc::SIGTERM]);
            host.agenda.put(random.below(end_at), Happening::Signal(signal));
        }
        host.agenda.put(end_at, Happening::Signal(*random.pick(&[libc::SIGTERM, libc::SIGINT, libc::SIGQUIT])));
        for _ in 0..random.below(3) {
            let step = *random.pick(&[-7200, -10, -1, 1, 3, 4000]);
            host.agenda.put(random.below(end_at), Happening::ClockSet(step));
        }
        for pid in 0..random.below(3) as i32 {
            let stranger = Happening::Stranger { pid: 50 + pid, status: ExitStatus::Code(0) };
            host.agenda.put(random.below(end_at), stranger);
        }
        if random.one_in(3) {
            host.agenda.put(random.below(end_at), Happening::Trouble);
        }
        for _ in 0..random.below(5) {
            host.agenda.put(random.below(end_at), Happening::Edit);
        }
        let config = host.start();
        World {
            model: Model::new(config.clone()),
            service: Service::new(config, host.loader(), Serials::default()),
            host,
            random,
            now: SECOND,
            wall_secs: 0,
            clients,
            by_conn: BTreeMap::new(),
            next_conn: 0,
            inbox: Inbox::default(),
            dirty: BTreeSet::new(),
            fresh: BTreeSet::new(),
            observers: BTreeMap::new(),
            pools: Pools::default(),
            group_of: BTreeMap::new(),
            group_names: BTreeMap::new(),
            end_at,
            turns: 0,
            idle_turns: 0,
            spawned: Vec::new(),
            reaped: Vec::new(),
            was_running: true,
            is_uncertain: false,
            is_changed: false,
            is_edited: false,
            kept: Kept::default(),
            track: Track::default(),
            sequence: Sequence::default(),
            is_traced: trace,
        }
    }

    fn say(&mut self, text: impl FnOnce() -> String) {
        if self.is_traced {
            eprintln!("{:>14.6} {}", self.now as f64 / SECOND as f64, text());
        }
    }

    fn time(&self) -> Now {
        let wall = EPOCH_SECS as i64 + self.wall_secs;
        Now { mono: Mono(self.now), wall: Wall(wall as u64 * SECOND + self.now) }
    }

    /// Begins a run, the first one or that after a restart.
    fn begin(&mut self, serial: Serials) {
        let config = self.host.start();
        if self.is_traced {
            eprintln!("{}", self.host.file.text());
        }
        self.model = Model::new(config.clone());
        self.pools = Pools::default();
        self.group_of.clear();
        self.track = Track::default();
        self.sequence = Sequence::default();
        self.is_uncertain = false;
        self.is_edited = false;
        self.service = Service::new(config, self.host.loader(), serial);
        // A socket that cannot be made ends the daemon before it begins; that is no schedule.
        let trouble = std::mem::take(&mut self.host.trouble);
        let now = self.time();
        self.service.daemon.begin(now, &mut self.host).expect("without trouble it begins");
        if self.host.file.sequences.is_some() {
            self.service.begin_fleet(now, &mut self.host);
        }
        self.host.trouble = trouble;
        self.kept.arrive(&self.service.daemon);
        self.after_step();
    }

    /// One turn; false at the end of the schedule.
    fn turn(&mut self) -> bool {
        if let Some(state) = self.service.finished() {
            self.check_end();
            self.say(|| format!("the run ends, {}", state.name()));
            if state == SupervisorState::Shutdown {
                return false;
            }
            let serial = self.service.daemon.bus.serial();
            if self.host.file.is_dynamic {
                self.kept.carry(&self.service.daemon);
            }
            for client in &mut self.clients {
                client.disconnected();
            }
            self.by_conn.clear();
            self.observers.clear();
            self.dirty.clear();
            self.inbox.outputs.clear();
            self.begin(serial);
        }
        self.sleep();
        self.collect();
        let paused = self.inbox.outputs.iter().filter(|output| self.is_paused(output)).count();
        if self.inbox.len() == paused {
            self.idle_turns += 1;
            assert!(self.idle_turns <= IDLE_TURNS_MAX, "a busy loop: nothing happens and no time passes");
        } else {
            self.idle_turns = 0;
        }
        self.turns += 1;
        assert!(self.turns < TURNS_MAX, "the schedule does not end");
        let now = self.time();
        serve::turn(self, now);
        self.check();
        if std::mem::take(&mut self.is_changed) {
            self.check_kept();
        }
        self.check_quiet();
        true
    }

    /// Lets time pass until something is due.
    fn sleep(&mut self) {
        if let Some(rest) = self.service.take_rest() {
            self.now += rest.as_nanos() as u64;
        }
        // As the reactor, which has them on its unfinished list, and children left to be reaped.
        if !self.service.take_resumed().is_empty() || !self.inbox.exits.is_empty() {
            self.host.now = self.now;
            self.host.wall_secs = self.time().wall.secs();
            return;
        }
        let deadline = self.service.next_deadline(self.time()).map(|at| at.0);
        let next = self.host.agenda.next();
        if let (Some(deadline), true) = (deadline, self.random.one_in(8))
            && deadline > self.now + 1
            && next.is_none_or(|next| next >= deadline)
        {
            // Just before its deadline the service has nothing to do, or it would have named an earlier one.
            self.now = deadline - 1;
            self.check_quiet_now("just before its deadline");
        }
        let Some(at) = deadline.into_iter().chain(next).min() else { panic!("it sleeps for ever and is not finished") };
        let before = self.now;
        self.now = self.now.max(at);
        if self.random.one_in(20) {
            // The machine was busy, or suspended.
            let most = *self.random.pick(&[MS, SECOND, 5 * SECOND]);
            self.now += self.random.below(most);
        }
        if self.now > before {
            self.idle_turns = 0;
        }
        assert!(self.now < self.end_at + END_NANOS_MAX, "it was told to end and does not: {}", self.those_left());
        self.host.now = self.now;
        self.host.wall_secs = self.time().wall.secs();
    }

    /// Who is not stopped, and what runs beside.
    fn those_left(&self) -> String {
        let left = self.service.daemon.roster.processes().filter(|(_, process)| !process.machine.state().is_stopped());
        let left: Vec<_> = left.map(|(_, process)| (&process.config.name, process.machine.state().name())).collect();
        let helpers: Vec<_> = self.host.helpers.values().map(|helper| &helper.names).collect();
        format!("{left:?}, helpers of {helpers:?}")
    }

    /// Has the service do something, then looks at what it did.
    fn step<R>(&mut self, work: impl FnOnce(&mut Service, Now, &mut SimHost) -> R) -> R {
        self.was_running = self.service.daemon.state() == SupervisorState::Running;
        let now = self.time();
        let result = work(&mut self.service, now, &mut self.host);
        self.after_step();
        result
    }
}

impl Inputs for World {
    fn with<R>(&mut self, work: impl FnOnce(&mut Service, &mut dyn Host) -> R) -> R {
        self.step(|service, _, host| work(service, host))
    }

    fn outputs(&mut self, _: Now) {
        for output in std::mem::take(&mut self.inbox.outputs) {
            if self.is_paused(&output) {
                self.inbox.outputs.push(output);
            } else {
                self.deliver_output(output);
            }
        }
        for told in std::mem::take(&mut self.inbox.told) {
            self.deliver_told(told);
        }
    }

    fn are_exits(&self) -> bool {
        self.inbox.is_told
            && self.inbox.signals.is_empty()
            && self.inbox.acting.is_empty()
            && self.inbox.changed.is_empty()
    }

    fn exits(&mut self, one: bool, _: Now) {
        let count = if one { 1 } else { self.inbox.exits.len() };
        let due: Vec<_> = self.inbox.exits.drain(..count).collect();
        for (pid, status) in due {
            self.deliver_exit(pid, status);
        }
    }

    fn reports(&mut self, _: Now) {
        for pid in std::mem::take(&mut self.inbox.reports) {
            let Some(child) = self.host.children.get(&pid).filter(|child| !child.is_dead) else { continue };
            let process = child.process;
            if self.host.pipes.get(&process) == Some(&pid) {
                self.step(|service, now, host| service.handle(Input::SetUp { process }, now, host));
            }
        }
    }

    fn signals(&mut self, _: Now) {
        for number in std::mem::take(&mut self.inbox.signals) {
            self.say(|| format!("signal {number}"));
            self.step(|service, now, host| service.handle(Input::Signal(number), now, host));
        }
    }

    fn file_changes(&mut self, _: Now) {
        for conn in std::mem::take(&mut self.inbox.changed) {
            self.step(|service, now, host| service.handle(Input::FileChanged { conn }, now, host));
        }
    }

    fn requests(&mut self, _: Now) {
        for happening in std::mem::take(&mut self.inbox.acting) {
            match happening {
                Happening::Client(index) => self.client_acts(index),
                Happening::Sends(index) => self.client_sends(index),
                Happening::Reads(index) => {
                    if let Some(conn) = self.clients[index].conn {
                        self.dirty.insert(conn);
                    }
                }
                _ => {}
            }
        }
    }

    fn flush(&mut self, _: Now) {
        self.write_all();
    }
}
