//! The loop around the real service: virtual time, inputs in the order of a turn, and what must hold after each turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use stheno::clock::{Mono, Now, Wall};
use stheno::daemon::Host;
use stheno::exit::ExitStatus;
use stheno::id::{Channel, ConnId, GroupId, LogId, Pid, ProcId};
use stheno::model::event::Serials;
use stheno::serve::{self, Input, Inputs, Service};
use stheno::state::{ProcessState, SupervisorState};
use stheno::wire::xmlrpc::decode_response;

use crate::agenda::{Happening, MS, SECOND, Spoken};
use crate::answers::{self, Model, Outcome};
use crate::clients::{self, Asked, Client};
use crate::files::MAIN_FILE;
use crate::host::{Did, SimHost, Trouble};
use crate::kept::Kept;
use crate::lines;
use crate::observer::Observer;
use crate::pools::Pools;
use crate::random::Random;

/// The wall clock when a schedule begins.
const EPOCH_SECS: u64 = 1_700_000_000;

/// Turns of one schedule; far more than any needs that is not a busy loop.
const TURNS_MAX: u64 = 50_000;

/// Turns in a row in which neither time passes nor anything happens.
const IDLE_TURNS_MAX: u32 = 64;

/// How long the end may take: groups stop one after another, and children may take their time even with SIGKILL.
const END_NANOS_MAX: u64 = 1200 * SECOND;

/// How long one call may take: a stop, and a few of them in a multicall.
const ANSWER_NANOS_MAX: u64 = 600 * SECOND;

/// Bytes that wait for a reader of the event stream; then it loses events.
const STREAM_BYTES_MAX: usize = 256 * 1024;

/// How often a full socket's reader is served in one turn, as in the reactor.
const FLUSH_ROUNDS: usize = 4;

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
    is_traced: bool,
}

/// What has happened, by kind.
#[derive(Default)]
struct Inbox {
    /// What children wrote; what has to wait for listeners stays.
    outputs: Vec<Happening>,
    /// Children and strangers that ended; those that were not reaped yet stay.
    exits: VecDeque<(i32, ExitStatus)>,
    /// Whether a signal tells of an exit that came since the last turn.
    is_told: bool,
    /// Children that may have come to their programs.
    reports: Vec<i32>,
    signals: Vec<i32>,
    acting: Vec<Happening>,
    changed: Vec<ConnId>,
}

impl Inbox {
    fn len(&self) -> usize {
        self.outputs.len()
            + self.exits.len()
            + self.reports.len()
            + self.signals.len()
            + self.acting.len()
            + self.changed.len()
    }
}

/// Runs one schedule to its end. Panics where something is wrong.
pub fn run(seed: u64, trace: bool) {
    let mut world = World::new(seed, trace);
    world.begin(Serials::default());
    while world.turn() {}
}

impl World {
    fn new(seed: u64, trace: bool) -> World {
        let mut random = Random::new(seed);
        lines::take();
        lines::set_verbose(random.one_in(16) || trace);
        let mut host = SimHost::new(Random::new(random.bits()));
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
        self.model = Model::new(config.clone());
        self.pools = Pools::default();
        self.group_of.clear();
        self.is_uncertain = false;
        self.is_edited = false;
        self.service = Service::new(config, self.host.loader(), serial);
        // A socket that cannot be made ends the daemon before it begins; that is no schedule.
        let trouble = std::mem::take(&mut self.host.trouble);
        let now = self.time();
        self.service.daemon.begin(now, &mut self.host).expect("without trouble it begins");
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
        let held = self.inbox.outputs.iter().filter(|output| self.is_held(output)).count();
        if self.inbox.len() == held {
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
        assert!(self.now < self.end_at + END_NANOS_MAX, "it was told to end and does not");
        self.host.now = self.now;
        self.host.wall_secs = self.time().wall.secs();
    }

    /// Sorts everything that has happened by kind.
    fn collect(&mut self) {
        self.inbox.is_told = false;
        let has_rest = !self.inbox.exits.is_empty();
        while let Some(happening) = self.host.agenda.pop(self.now) {
            match happening {
                Happening::Output { pid, .. } | Happening::Ended { pid, .. } => {
                    if self.host.children.get(&pid).is_some_and(|child| !child.is_dead) {
                        self.inbox.outputs.push(happening);
                    }
                }
                Happening::Exit { pid, status } => {
                    if let Some(child) = self.host.children.get_mut(&pid)
                        && !std::mem::replace(&mut child.is_dead, true)
                    {
                        self.inbox.is_told = !has_rest;
                        self.inbox.exits.push_back((pid, status));
                    }
                }
                Happening::SetUp { pid } => self.inbox.reports.push(pid),
                Happening::Stranger { pid, status } => self.inbox.exits.push_back((pid, status)),
                Happening::Signal(number) => self.inbox.signals.push(number),
                Happening::Client(_) | Happening::Sends(_) | Happening::Reads(_) => self.inbox.acting.push(happening),
                Happening::FileChanged(conn) => self.inbox.changed.push(conn),
                Happening::Edit => {
                    self.say(|| "somebody edits the file".to_string());
                    self.is_edited = true;
                    self.is_changed = true;
                    self.host.file.edit(&mut self.random);
                    let text = self.host.file.text();
                    self.host.files.write(MAIN_FILE, text.as_bytes());
                }
                Happening::ClockSet(secs) => self.wall_secs += secs,
                Happening::Trouble => {
                    self.host.trouble = match self.random.one_in(2) {
                        true => Trouble::default(),
                        false => Trouble::random(&mut self.random),
                    };
                }
            }
        }
        self.inbox.changed.dedup();
    }

    /// Whether output has to wait for listeners, in its pipe.
    fn is_held(&self, output: &Happening) -> bool {
        let (Happening::Output { pid, channel, .. } | Happening::Ended { pid, channel }) = output else { return false };
        let child = self.host.children.get(pid).filter(|child| self.host.pipes.get(&child.process) == Some(pid));
        child.is_some_and(|child| self.service.holds_output((child.process, *channel)))
    }

    /// Hands over what a child that has ended left in its pipes, and waits for nobody.
    fn deliver_last(&mut self, pid: i32) {
        let of_pid = |output: &Happening| match output {
            Happening::Output { pid: other, .. } | Happening::Ended { pid: other, .. } => *other == pid,
            _ => false,
        };
        let (last, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.inbox.outputs).into_iter().partition(of_pid);
        self.inbox.outputs = rest;
        for output in last {
            self.deliver_output(output);
        }
    }

    fn deliver_output(&mut self, output: Happening) {
        match output {
            Happening::Output { pid, channel, bytes, spoken } => {
                let Some(child) = self.host.children.get(&pid) else { return };
                let process = child.process;
                // Its pipes may be closed already, if it was removed in state UNKNOWN.
                if self.host.pipes.get(&process) != Some(&pid) || bytes.is_empty() {
                    return;
                }
                let is_garbage = spoken.contains(&Spoken::Garbage);
                if is_garbage && child.listener.as_ref().is_some_and(|listener| listener.is_answering) {
                    return;
                }
                self.say(|| format!("{pid} writes {:?} {}", String::from_utf8_lossy(&bytes), channel.name()));
                let input = |bytes| Input::Output { process, channel, bytes };
                // A listener that sends garbage is not READY any more once it is heard.
                for what in spoken {
                    self.spoken(pid, process, what);
                }
                self.step(|service, now, host| service.handle(input(&bytes), now, host));
            }
            Happening::Ended { pid, channel } => {
                let Some(child) = self.host.children.get(&pid) else { return };
                let process = child.process;
                let input = Input::OutputEnded { process, channel, fd: 7 };
                self.step(|service, now, host| service.handle(input, now, host));
            }
            _ => {}
        }
    }

    /// A listener has said something whole.
    fn spoken(&mut self, pid: i32, process: ProcId, what: Spoken) {
        let Some(pool) = self.group_of.get(&process).copied() else { return };
        let Some(listener) = self.host.children.get_mut(&pid).and_then(|child| child.listener.as_mut()) else { return };
        if listener.is_broken {
            return;
        }
        match what {
            Spoken::Ready => listener.is_ready = true,
            Spoken::Accepted => self.pools.accepted(pool, process),
            Spoken::Rejected | Spoken::Broken | Spoken::Garbage => self.pools.returned(pool, process),
        }
        if what != Spoken::Ready {
            listener.is_answering = false;
            listener.holding = None;
        }
        if matches!(what, Spoken::Broken | Spoken::Garbage) {
            listener.is_ready = false;
            listener.is_broken = true;
        }
    }

    fn deliver_exit(&mut self, pid: i32, status: ExitStatus) {
        self.say(|| format!("{pid} ends, {}", status.text()));
        self.deliver_last(pid);
        if let Some(child) = self.host.children.get(&pid) {
            let process = child.process;
            let owned = self.service.daemon.roster.process_of(Pid(pid)).is_some();
            if self.host.pipes.get(&process) == Some(&pid) {
                for channel in [Channel::Stdout, Channel::Stderr] {
                    let input = Input::OutputEnded { process, channel, fd: 7 };
                    self.step(|service, now, host| service.handle(input, now, host));
                }
                if let Some(pool) = self.group_of.get(&process).copied() {
                    self.pools.returned(pool, process);
                }
            }
            if !owned {
                self.reaped.push(pid);
            }
        } else {
            self.reaped.push(pid);
        }
        let roster = &self.service.daemon.roster;
        let process = roster.process_of(Pid(pid)).and_then(|id| roster.process(id));
        let is_minded = process.is_some_and(|process| process.config.program.killmode.minds_leftovers());
        self.host.orphans.ends(pid, is_minded);
        if self.service.daemon.minds_leftovers() {
            self.step(|service, now, host| service.daemon.before_reaping(Pid(pid), now, host));
        }
        // Reaped: from here on its number is nobody's, or what is left of its group's.
        self.host.children.get_mut(&pid).into_iter().for_each(|child| child.is_dead = true);
        self.host.reaped = Some(pid);
        self.step(|service, now, host| service.handle(Input::Exited { pid: Pid(pid), status }, now, host));
        self.host.reaped = None;
        self.host.children.remove(&pid);
    }

    /// A client does its next thing, and plans the one after it.
    fn client_acts(&mut self, index: usize) {
        let most = *self.random.pick(&[10 * MS, SECOND, 5 * SECOND]);
        let next = self.now + 1 + self.random.below(most);
        if next < self.end_at + 30 * SECOND {
            self.host.agenda.put(next, Happening::Client(index));
        }
        let Some(conn) = self.clients[index].conn else { return self.connect(index) };
        let client = &mut self.clients[index];
        if client.has_hung_up {
            return;
        }
        if self.random.one_in(12) && !client.requests.is_empty() || self.random.one_in(60) {
            client.has_hung_up = true;
            client.is_gone = self.random.one_in(2);
            self.say(|| format!("client {index} hangs up"));
            return self.hang_up(index, conn);
        }
        if !client.outbox.is_empty() {
            return;
        }
        if client.stream.is_none() {
            let pipelines = self.random.one_in(4);
            let may_ask = client.requests.is_empty() || pipelines;
            let is_last = |request: &clients::Request| request.asked.is_last();
            if may_ask && client.keeps_alive && !client.requests.iter().any(is_last) {
                for _ in 0..self.random.between(1, 3) {
                    self.ask(index);
                    let client = &self.clients[index];
                    if !pipelines || !client.keeps_alive || client.requests.back().is_some_and(is_last) {
                        break;
                    }
                }
            }
        }
        self.client_sends(index);
    }

    /// A client sends the next piece of what it has to say.
    fn client_sends(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(conn) = client.conn.filter(|_| !client.has_hung_up) else { return };
        let bytes = client.send(self.now);
        if !client.outbox.is_empty() {
            self.host.agenda.put(self.now + self.random.below(100 * MS), Happening::Sends(index));
        }
        if !bytes.is_empty() {
            let input = Input::Received { conn, bytes: &bytes };
            self.step(|service, now, host| service.handle(input, now, host));
        }
    }

    fn ask(&mut self, index: usize) {
        let names: Vec<String> = self
            .service
            .daemon
            .roster
            .processes_by_name()
            .filter_map(|(id, ..)| self.service.daemon.roster.namespec(id))
            .collect();
        let (asked, target, body) = clients::request(&names, &mut self.random);
        // Only the second server wants a password.
        let server = self.clients[index].server;
        if matches!(asked, Asked::Unauthorized) && server == 0 {
            return;
        }
        self.say(|| format!("client {index} asks {asked:?} {target}"));
        self.clients[index].ask(asked, &target, body, &mut self.random);
    }

    fn connect(&mut self, index: usize) {
        // Ids of connections are never used again.
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        self.clients[index].conn = Some(conn);
        self.by_conn.insert(conn, index);
        let input = Input::Accepted { conn, server: self.clients[index].server, peer: "127.0.0.1:4711".to_string() };
        self.step(|service, now, host| service.handle(input, now, host));
    }

    fn hang_up(&mut self, index: usize, conn: ConnId) {
        self.step(|service, now, host| service.handle(Input::Hangup { conn }, now, host));
        if !self.service.has_connection(conn) {
            self.disconnect(index, conn);
        }
    }

    fn disconnect(&mut self, index: usize, conn: ConnId) {
        // What it asked for goes on, and nobody sees what comes of it.
        self.is_uncertain |= self.clients[index].is_uncertain();
        self.clients[index].disconnected();
        self.by_conn.remove(&conn);
        self.dirty.remove(&conn);
        self.observers.remove(&conn);
    }

    /// Has the service do something, then looks at what it did.
    fn step<R>(&mut self, work: impl FnOnce(&mut Service, Now, &mut SimHost) -> R) -> R {
        self.was_running = self.service.daemon.state() == SupervisorState::Running;
        let now = self.time();
        let result = work(&mut self.service, now, &mut self.host);
        self.after_step();
        result
    }

    fn after_step(&mut self) {
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

    fn check_deed(&mut self, did: Did) {
        match did {
            Did::Spawned { process, pid, group } => {
                assert!(self.was_running, "a child is spawned although the daemon is not RUNNING");
                let name = self.host.children.get(&pid).map(|child| child.name.clone()).unwrap_or_default();
                self.say(|| format!("{name} ({process:?}) is spawned with pid {pid}"));
                self.host.orphans.check_gone(Some((&group, &name)), self.now);
                self.spawned.push((name, pid));
            }
            Did::Killed { pid, signal } => {
                self.say(|| format!("signal {signal} to {pid}"));
                if !self.was_running && signal != libc::SIGKILL {
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
    fn check_stop_order(&self, pid: i32) {
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

    fn check_line(&mut self, line: &lines::Line) {
        self.say(|| format!("  {} {}", line.tag, line.text));
        let text = line.text.as_str();
        if let Some(rest) = text.strip_prefix("spawned: '") {
            let (name, pid) = self.spawned.remove(0);
            assert_eq!(rest, format!("{name}' with pid {pid}"), "the line of a child spawned");
        } else if let Some(rest) = text.strip_prefix("reaped unknown pid ") {
            let pid = rest.split(' ').next().and_then(|pid| pid.parse().ok());
            assert_eq!(self.reaped.pop(), pid, "the line of a stranger: {text}");
        } else if let Some(rest) = text.strip_prefix("success: ") {
            let name = rest.split(' ').next().unwrap_or_default();
            let alive = self.host.children.values().any(|child| child.name == name && !child.is_dead);
            assert!(alive, "{name} is said to run and has ended before");
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
            assert!(known.iter().any(|begin| text.starts_with(begin)), "{} {text}", line.tag);
        }
    }

    /// Reads what is new on the connections, in the order in which it was written.
    fn read_answers(&mut self) {
        let uncertain = self.is_uncertain();
        for conn in std::mem::take(&mut self.fresh) {
            self.dirty.insert(conn);
            let Some(index) = self.by_conn.get(&conn).copied() else { continue };
            let client = &mut self.clients[index];
            let Some(output) = self.service.output(conn) else { continue };
            client.inbox.extend_from_slice(&output[client.seen..]);
            client.seen = output.len();
            if output.len() >= STREAM_BYTES_MAX
                && let Some(observer) = self.observers.get_mut(&conn)
            {
                observer.forget();
            }
            self.understand(index, conn, uncertain);
        }
        if uncertain {
            self.model.trust(&self.service.daemon);
        }
    }

    fn is_uncertain(&self) -> bool {
        self.is_uncertain || self.clients.iter().any(Client::is_uncertain)
    }

    fn understand(&mut self, index: usize, conn: ConnId, uncertain: bool) {
        loop {
            let client = &mut self.clients[index];
            if let Some(chunked) = client.stream {
                let piece = match chunked {
                    true => clients::take_chunk(&mut client.inbox),
                    false => Some(std::mem::take(&mut client.inbox)).filter(|piece| !piece.is_empty()),
                };
                let Some(piece) = piece else { return };
                if let Some(observer) = self.observers.get_mut(&conn) {
                    observer.is_plain = self.model.is_plain;
                    observer.take(&piece);
                }
                continue;
            }
            let Some(answer) = clients::take_answer(&mut client.inbox) else { return };
            let Some(request) = client.requests.pop_front() else { panic!("an answer without a request: {answer:?}") };
            // Who may not ask need not have said all.
            let is_early = matches!(request.asked, Asked::Unauthorized);
            assert!(request.unsent == 0 || is_early, "an answer before the request was whole: {answer:?}");
            if is_early {
                client.outbox.clear();
            }
            match request.asked {
                Asked::Call(call) => {
                    let outcome = outcome(&answer);
                    self.check_call(&call, &outcome, uncertain);
                }
                Asked::Multicall(calls) => self.check_multicall(&calls, &outcome(&answer)),
                Asked::Page(statuses) => assert!(statuses.contains(&answer.status), "{answer:?}, not {statuses:?}"),
                Asked::Unauthorized => {
                    assert_eq!(answer.status, 401, "{answer:?}");
                    self.clients[index].keeps_alive = false;
                }
                Asked::Stream { is_events } => match answer.is_stream {
                    true => {
                        let client = &mut self.clients[index];
                        client.stream = Some(answer.header("Transfer-Encoding") == Some("chunked"));
                        if is_events {
                            self.observers.insert(conn, Observer::default());
                        }
                    }
                    false => assert_eq!(answer.status, 404, "{answer:?}"),
                },
            }
        }
    }

    fn check_call(&mut self, call: &clients::Call, outcome: &Outcome, uncertain: bool) {
        self.say(|| format!("{} {:?}: {}", call.method, call.params, short(outcome)));
        let running = self.was_running && self.service.daemon.state() == SupervisorState::Running;
        answers::check(call, outcome, running);
        self.note_change(call, outcome);
        if uncertain {
            return;
        }
        self.model.note(call, outcome, &self.service.daemon);
        if let ("supervisor.getAllProcessInfo", Ok(value)) = (call.method, outcome) {
            self.model.check_infos(value);
        }
    }

    /// Whether an answer says that the set of groups was changed, or what is kept of it.
    fn note_change(&mut self, call: &clients::Call, outcome: &Outcome) {
        self.is_changed |= outcome.is_ok() && call.changes_groups();
        if self.host.file.is_dynamic {
            self.kept.note(call, outcome, &self.service.daemon);
        }
    }

    fn check_multicall(&mut self, calls: &[clients::Call], outcome: &Outcome) {
        self.say(|| format!("multicall {calls:?}: {}", short(outcome)));
        let Ok(stheno::wire::value::Value::Array(results)) = outcome else { panic!("a multicall answers {outcome:?}") };
        assert_eq!(results.len(), calls.len(), "results of a multicall");
        for (call, result) in calls.iter().zip(results) {
            let outcome = match (result.member("faultCode"), result.member("faultString")) {
                (Some(stheno::wire::value::Value::Int(code)), Some(text)) => {
                    Err((*code, text.as_str().unwrap_or_default().to_string()))
                }
                _ => Ok(result.clone()),
            };
            answers::check(call, &outcome, false);
            self.note_change(call, &outcome);
        }
    }

    /// Writes to the clients, as the reactor does.
    fn write_all(&mut self) {
        for _ in 0..FLUSH_ROUNDS {
            let dirty = std::mem::take(&mut self.dirty);
            if dirty.is_empty() {
                break;
            }
            for conn in dirty {
                self.write(conn);
            }
        }
    }

    fn write(&mut self, conn: ConnId) {
        let Some(index) = self.by_conn.get(&conn).copied() else { return };
        let Some(output) = self.service.output(conn) else { return self.disconnect(index, conn) };
        let client = &mut self.clients[index];
        if !output.is_empty() && client.is_gone {
            self.service.drop_connection(conn, &mut self.host);
            return self.disconnect(index, conn);
        }
        let room = if client.is_deaf {
            0
        } else if client.is_slow {
            self.random.between(1, 2000) as usize
        } else {
            usize::MAX
        };
        let written = output.len().min(room);
        assert!(client.seen == output.len(), "there is output that nobody was told of");
        output.drain(..written);
        client.seen -= written;
        if !output.is_empty() {
            let at = self.now + 1 + self.random.below(SECOND);
            return self.host.agenda.put(at, Happening::Reads(index));
        }
        if self.service.closes(conn) {
            let client = &self.clients[index];
            let all_answered = client.requests.iter().all(|request| request.unsent > 0);
            assert!(all_answered || client.has_hung_up, "closed with requests unanswered: {:?}", client.requests);
            self.service.drop_connection(conn, &mut self.host);
            return self.disconnect(index, conn);
        }
        self.step(|service, now, host| service.handle(Input::Drained { conn }, now, host));
    }

    /// What must hold after every turn.
    fn check(&self) {
        let daemon = &self.service.daemon;
        let mut pids = BTreeMap::new();
        let mut logs: Vec<LogId> = Vec::new();
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
                // It waits for what the last run left behind.
                let may_lack = state == ProcessState::Starting && machine.is_held();
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
                let lasted = machine.started().map_or(0, |started| now.mono.since(started).as_secs() as i64);
                let (uptime, start) = (machine.uptime_secs(now), machine.start_secs(now));
                assert!((uptime - lasted).abs() <= 2, "{name}: uptime {uptime} after {lasted} s");
                assert!((now.wall.secs() - start - lasted).abs() <= 62, "{name}: start {start} after {lasted} s");
                assert!(pids.insert(*id, pid.0).is_none());
                assert_eq!(daemon.roster.process_of(pid), Some(*id), "the process of pid {}", pid.0);
                let child = self.host.children.get(&pid.0);
                assert!(child.is_some_and(|child| child.process == *id), "{name} is {} without a child", state.name());
                uses_socket |= matches!(group.config.kind, stheno::config::GroupKind::Fcgi(_));
                logs.extend(child.iter().flat_map(|child| &child.logs));
            }
            sockets += usize::from(uses_socket);
        }
        let unique: BTreeSet<i32> = pids.values().copied().collect();
        assert_eq!(unique.len(), pids.len(), "two processes with one pid");
        assert_eq!(pids, self.host.pipes, "children that are known against children whose pipes are open");
        let open: Vec<LogId> = self.host.logs.keys().copied().collect();
        logs.sort_unstable();
        assert_eq!(logs, open, "logs of children against logs that are open");
        assert_eq!(sockets, self.host.sockets.len(), "FastCGI sockets that are open");
        if !self.is_uncertain() {
            assert_eq!(answers::active(daemon), self.model.groups, "the groups there are against those of the calls");
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
            for request in client.requests.iter().filter(|request| request.sent_at < self.now && request.unsent == 0) {
                assert!(self.now - request.sent_at < ANSWER_NANOS_MAX, "no answer for a long time: {request:?}");
            }
        }
    }

    /// What was changed at run time is kept: a load yields what is active.
    fn check_kept(&mut self) {
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
    fn check_quiet(&mut self) {
        let deadline = self.service.next_deadline(self.time()).map(|at| at.0);
        if self.dirty.is_empty() && deadline.is_none_or(|at| at > self.now) && self.service.finished().is_none() {
            self.check_quiet_now("after a turn");
        }
    }

    fn check_quiet_now(&mut self, when: &str) {
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
    fn check_end(&mut self) {
        let daemon = &self.service.daemon;
        for (id, _, process) in daemon.roster.processes_by_name() {
            let machine = &process.machine;
            assert!(machine.state().is_stopped(), "{id:?} is {} at the end", machine.state().name());
        }
        for client in &self.clients {
            let asked: Vec<_> = client.requests.iter().filter(|request| request.unsent == 0).collect();
            // Who does not read what it was answered is not answered more than that.
            let is_behind = (client.is_slow || client.is_deaf) && client.seen > 0;
            assert!(asked.is_empty() || client.has_hung_up || is_behind, "it ended without an answer to {asked:?}");
        }
        self.host.orphans.check_gone(None, self.now);
        self.host.orphans.clear();
        // What a signal could not reach is left behind, and only that.
        for (pid, child) in std::mem::take(&mut self.host.children) {
            let is_unknown = daemon
                .roster
                .process(child.process)
                .is_none_or(|process| process.machine.state() == ProcessState::Unknown);
            assert!(is_unknown, "{} (pid {pid}) is left behind", child.name);
        }
        self.host.pipes.clear();
        self.host.logs.clear();
        self.host.sockets.clear();
        self.host.watches.clear();
    }
}

impl Inputs for World {
    fn with<R>(&mut self, work: impl FnOnce(&mut Service, &mut dyn Host) -> R) -> R {
        self.step(|service, _, host| work(service, host))
    }

    fn outputs(&mut self, _: Now) {
        for output in std::mem::take(&mut self.inbox.outputs) {
            if self.is_held(&output) {
                self.inbox.outputs.push(output);
            } else {
                self.deliver_output(output);
            }
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

/// What an answer says.
fn outcome(answer: &clients::Answer) -> Outcome {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.starts_with(b"<?xml version='1.0'?>\n<methodResponse>\n"), "{answer:?}");
    assert!(answer.body.ends_with(b"</methodResponse>\n"), "{answer:?}");
    decode_response(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn short(outcome: &Outcome) -> String {
    let text = format!("{outcome:?}");
    text.chars().take(200).collect()
}
