//! Starting, signalling and reaping children: the machines' effects are performed here.

use super::Daemon;
use super::agenda::Due;
use super::ending;
use super::environment::path_of;
use super::framing::LineFraming;
use super::host::{CommandProblem, Errno, FromFiles, Host, Launch, SetUp, SpawnError};
use crate::clock::{Mono, Now};
use crate::config::{self, Compression, WhenFull};
use crate::exit::ExitStatus;
use crate::id::{Channel, Pid, ProcId, SocketId};
use crate::logs::LogPlan;
use crate::model::process::{Effect, Trigger};
use crate::state::ProcessState;
use crate::wire::{capture::Capture, words};
use crate::{errno, signal};

/// What a signal is sent for.
#[derive(Clone, Copy)]
enum SentFor {
    /// The child is to end.
    End,
    /// Somebody asked for this very signal.
    Asked,
}

/// Descriptors that making a child takes: both ends of four pipes, and two logs.
const DESCRIPTORS_OF_SPAWN: usize = 10;

/// Why there is no child.
struct NotSpawned {
    text: String,
    /// For want of descriptors, which clients may have.
    is_short: bool,
    /// What this is as an exit status.
    status: i32,
}

impl NotSpawned {
    fn because(text: impl Into<String>) -> NotSpawned {
        NotSpawned { text: text.into(), is_short: false, status: ending::OTHER_REASON }
    }

    /// What the system had against the process of that name (P-31).
    fn from(error: SpawnError, name: &str) -> NotSpawned {
        let is_short = matches!(error, SpawnError::Pipe(libc::EMFILE | libc::ENFILE));
        NotSpawned { text: error.text(name), is_short, status: ending::OTHER_REASON }
    }
}

impl Daemon {
    /// Feeds a machine one trigger and performs what it asks for, until it asks for nothing more.
    pub(super) fn step(&mut self, id: ProcId, trigger: Trigger, now: Now, host: &mut dyn Host) -> Result<(), String> {
        let state = self.state;
        let mut effects = std::mem::take(&mut self.effects);
        let mut outcome = Ok(());
        let mut next = Some(trigger);
        let mut entered = None;
        while let Some(trigger) = next.take() {
            let Some(process) = self.roster.process_mut(id).filter(|process| !process.leaves) else { break };
            let config = process.config.clone();
            process.machine.step(trigger, &config, state, now, &mut effects);
            for effect in effects.drain(..) {
                match effect {
                    Effect::Spawn => next = Some(self.spawn(id, host)),
                    Effect::AskSetUp => next = self.ask_set_up(id, host),
                    Effect::Kill { signal, group } => {
                        self.note_descendants(id, host);
                        if let Err(text) = self.send(id, signal, group, SentFor::End, host) {
                            outcome = Err(text);
                            next = Some(Trigger::SignalFailed);
                        }
                    }
                    Effect::Hook(hook) => {
                        self.note_descendants(id, host);
                        next = self.run_hook(id, hook, now, host);
                    }
                    Effect::DropHook => self.drop_hook(id, host),
                    Effect::Changed(change) => {
                        self.changed(id, &change);
                        self.remember(id, &change, now);
                        entered = Some(change);
                    }
                    Effect::Log(level, text) => {
                        log::log!(target: level.tag(), level.facade(), "{text}");
                    }
                }
            }
        }
        self.effects = effects;
        if let Some(entered) = entered {
            self.after_step(id, &entered);
            self.member_entered(id, &entered, now);
        }
        self.reorder(id, now);
        self.reschedule(id, now);
        self.look_after(id, now, host);
        outcome
    }

    /// Enters in the agenda when a process is due next.
    pub(super) fn reschedule(&mut self, id: ProcId, now: Now) {
        let state = self.state;
        let Some(process) = self.roster.process(id) else { return };
        let due = match process.machine.deadline(&process.config, state) {
            None => Due::Never,
            Some(_) if process.machine.state() == ProcessState::Stopped => Due::FirstStart,
            Some(Mono(0)) if process.machine.state() == ProcessState::Backoff => Due::AfterFirstStarts,
            Some(at) => Due::At(at),
        };
        self.agenda.set(id, due, now.mono);
    }

    /// Deadlines and transitions. What becomes due by this very work is left to the next turn, so that an exit is
    /// always reaped before its process is judged RUNNING (P-11).
    pub fn deadlines(&mut self, now: Now, host: &mut dyn Host) {
        self.grow_on(now, host);
        self.order_deadlines(now, host);
        for id in self.agenda.take_due(now.mono) {
            let Some(trigger) = self.order_start(id, now) else { continue };
            // A failed signal has been logged and has made the process UNKNOWN; nobody waits for the text here.
            let _ = self.step(id, trigger, now, host);
        }
        self.tell_of_unkept_logs();
        self.flush_lines(now, host);
        self.turn_logs_over(now, host);
        self.care_deadlines(now, host);
        self.restart_groups(now, host);
        self.start_dependents(now, host);
        self.look_at_leftovers(now, host);
        self.tell_strangers(now);
        self.idle_deadline(now);
        self.bus.tick(now);
    }

    /// Starts a process (X-85, after its checks).
    pub fn start_process(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        self.end_wait(id, now);
        #[cfg(feature = "fleet")]
        if self.is_disabled(id) {
            return;
        }
        let _ = self.step(id, Trigger::Start, now, host);
    }

    /// Gives up a process that somebody wants started and that cannot be; the text becomes its `spawnerr` (V-264).
    #[cfg(feature = "fleet")]
    pub fn give_up_start(&mut self, id: ProcId, text: String, now: Now, host: &mut dyn Host) {
        let _ = self.step(id, Trigger::Refuse(text), now, host);
    }

    /// The transition that a start performs at once so that `startsecs=0` is RUNNING in its answer (P-20).
    pub fn transition(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        let _ = self.step(id, Trigger::Deadline, now, host);
    }

    /// Asks a process to stop; the error is the text of the fault FAILED (P-71).
    pub fn stop_process(&mut self, id: ProcId, now: Now, host: &mut dyn Host) -> Result<(), String> {
        self.step(id, Trigger::Stop, now, host)
    }

    /// Sends a signal to the child itself (P-73); the error is the text of the fault FAILED.
    pub fn signal_process(&mut self, id: ProcId, signal: i32, now: Now, host: &mut dyn Host) -> Result<(), String> {
        let Some(process) = self.roster.process(id) else { return Ok(()) };
        let name = &process.config.name;
        let Some(pid) = process.machine.pid() else {
            let text = format!("attempted to send {name} sig {} but it wasn't running", signal::name(signal));
            activity!(Debug, "{text}");
            return Err(text);
        };
        activity!(Debug, "sending {name} (pid {}) sig {}", pid.0, signal::name(signal));
        let sent = self.send(id, signal, false, SentFor::Asked, host);
        if sent.is_err() {
            let _ = self.step(id, Trigger::SignalFailed, now, host);
        }
        sent
    }

    /// kill(2). A process that is gone already counts as success: its exit is what counts (P-71).
    fn send(
        &mut self,
        id: ProcId,
        signal: i32,
        group: bool,
        purpose: SentFor,
        host: &mut dyn Host,
    ) -> Result<(), String> {
        let Some(process) = self.roster.process(id) else { return Ok(()) };
        let Some(pid) = process.machine.pid() else { return Ok(()) };
        let name = &process.config.name;
        match host.kill(pid, signal, group) {
            Ok(()) => Ok(()),
            Err(error) if error.0 == libc::ESRCH => {
                activity!(
                    Debug,
                    "unable to signal {name} (pid {}), it probably just exited on its own: [Errno {}] {}",
                    pid.0,
                    error.0,
                    errno::text(error.0)
                );
                Ok(())
            }
            Err(error) => {
                let doing = match purpose {
                    SentFor::End => "killing".to_string(),
                    SentFor::Asked => format!("sending sig {}", signal::name(signal)),
                };
                let text =
                    format!("unknown problem {doing} {name} ({}): [Errno {}] {}", pid.0, error.0, errno::text(error.0));
                activity!(Critical, "{text}");
                Err(text)
            }
        }
    }

    /// The command line of a process, split, and the file to execute (P-30 to P-34).
    pub fn find_command(&self, id: ProcId, host: &mut dyn Host) -> Result<(String, Vec<String>), CommandProblem> {
        // Files that cannot be read are told of by the start itself.
        let files = self.read_environment(id, host).unwrap_or_default();
        self.find_command_with(id, files.as_ref(), host)
    }

    fn find_command_with(
        &self,
        id: ProcId,
        files: Option<&FromFiles>,
        host: &mut dyn Host,
    ) -> Result<(String, Vec<String>), CommandProblem> {
        let Some(process) = self.roster.process(id) else {
            return Err(CommandProblem::Empty);
        };
        let command = &process.config.command;
        #[cfg(feature = "fleet")]
        let with_more = match process.marks().extra_args.as_str() {
            "" => std::borrow::Cow::Borrowed(command),
            more => std::borrow::Cow::Owned(format!("{command} {more}")),
        };
        #[cfg(feature = "fleet")]
        let command = &*with_more;
        let unparsable = |error: words::SplitError| CommandProblem::Unparsable(command.clone(), error.to_string());
        let argv = words::split(command).map_err(unparsable)?;
        let Some(word) = argv.first() else {
            return Err(CommandProblem::Empty);
        };
        let path = path_of(&process.config, files);
        let file = host.find_command(word, path.as_deref())?;
        Ok((file, argv))
    }

    /// Opens the logs, then makes the child.
    fn spawn(&mut self, id: ProcId, host: &mut dyn Host) -> Trigger {
        match self.try_spawn(id, host) {
            Ok(pid) => {
                self.roster.add_child(id, pid);
                if let Some(process) = self.roster.process_mut(id) {
                    process.launched = Some(process.config.clone());
                }
                Trigger::Spawned(pid)
            }
            Err(failure) => {
                self.close_logs(id, host);
                self.release_socket(id, host);
                self.drop_cgroup(id, host);
                if let Some(process) = self.roster.process_mut(id) {
                    process.start_failure = failure.status;
                }
                Trigger::SpawnFailed(failure.text)
            }
        }
    }

    fn try_spawn(&mut self, id: ProcId, host: &mut dyn Host) -> Result<Pid, NotSpawned> {
        // The socket comes first, also for a command that is then not found (P-101).
        let socket = self.acquire_socket(id, host).map_err(NotSpawned::because)?;
        let files = self.read_environment(id, host).map_err(NotSpawned::because)?;
        let files = files.as_ref();
        let (path, argv) = self.find_command_with(id, files, host).map_err(|problem| NotSpawned {
            status: match problem {
                CommandProblem::NotFound(_) => ending::NO_SUCH_FILE,
                CommandProblem::Directory(_) | CommandProblem::NotExecutable(_) | CommandProblem::NoPermission(_) => {
                    ending::NOT_EXECUTABLE
                }
                CommandProblem::Empty | CommandProblem::Unparsable(..) => ending::OTHER_REASON,
            },
            ..NotSpawned::because(problem.to_string())
        })?;
        match self.launch(id, (&path, &argv, socket), files, host) {
            // A client can come again; a program would be given up.
            Err(failure) if failure.is_short && host.make_room(DESCRIPTORS_OF_SPAWN) => {
                self.launch(id, (&path, &argv, socket), files, host)
            }
            done => done,
        }
    }

    fn launch(
        &mut self,
        id: ProcId,
        (path, argv, socket): (&str, &[String], Option<SocketId>),
        from_files: Option<&FromFiles>,
        host: &mut dyn Host,
    ) -> Result<Pid, NotSpawned> {
        self.open_logs(id, host)?;
        let cgroup = self.make_cgroup(id, host).map_err(NotSpawned::because)?;
        let removed = || NotSpawned::because("the process was removed");
        let (group, process) = self.roster.member(id).ok_or_else(removed)?;
        let (group, config) = (group.name(), process.config.clone());
        let (variables, cgroup) = (Vec::new(), cgroup.as_deref());
        let launch = Launch { config: &config, group, path, argv, socket, variables, from_files, cgroup };
        host.spawn(id, &launch).map_err(|error| NotSpawned::from(error, &config.name))
    }

    /// Finds out how far a child came; nothing as long as it is on its way.
    fn ask_set_up(&mut self, id: ProcId, host: &mut dyn Host) -> Option<Trigger> {
        let process = self.roster.process_mut(id)?;
        match host.set_up(id) {
            SetUp::UnderWay => None,
            SetUp::Done => {
                process.start_failure = 0;
                Some(Trigger::SetUp)
            }
            SetUp::Failed(option, error) => {
                process.start_failure = ending::status_of_set_up(error);
                let name = &process.config.name;
                let text = option.map(|option| format!("couldn't set {option} for '{name}': {error}"));
                Some(Trigger::SetUpFailed(text))
            }
        }
    }

    /// Whether it is not known yet how far the child of a process came.
    fn is_setting_up(&self, id: ProcId) -> bool {
        self.roster.process(id).is_some_and(|process| process.machine.is_setting_up())
    }

    /// A child that was on its way to its program may be there.
    pub fn set_up(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        if self.is_setting_up(id)
            && let Some(trigger) = self.ask_set_up(id, host)
        {
            let _ = self.step(id, trigger, now, host);
        }
    }

    /// Opens the logs of a child about to be made (P-38) and readies its channels.
    fn open_logs(&mut self, id: ProcId, host: &mut dyn Host) -> Result<(), NotSpawned> {
        let is_listener = self.roster.is_listener(id);
        let Some(process) = self.roster.process_mut(id) else { return Ok(()) };
        let config = process.config.clone();
        let supervisord = &self.config.supervisord;
        for channel in [Channel::Stdout, Channel::Stderr] {
            if channel == Channel::Stderr && config.program.redirect_stderr {
                continue;
            }
            let capture_maxbytes = config.program.output(channel).capture_maxbytes.0;
            let stream = process.output_mut(channel);
            let captures = capture_maxbytes > 0 && !(is_listener && channel == Channel::Stdout);
            let bytes_max = usize::try_from(capture_maxbytes).unwrap_or(usize::MAX);
            stream.capture = captures.then(|| Box::new(Capture::new(bytes_max)));
            stream.stripper = None;
            let framing = || LineFraming::of(&config, channel, supervisord);
            stream.framing = if is_listener && channel == Channel::Stdout { None } else { framing() };
            let between_lines = stream.framing.is_some();
            let Some(path) = stream.path.clone() else { continue };
            if let Some(old) = stream.log.take() {
                host.log_close(old);
            }
            let plan = log_plan((id, channel), &config, &path, between_lines);
            match host.log_open(&plan) {
                Ok(log) => stream.log = Some(log),
                Err(error) => return Err(NotSpawned::from(SpawnError::Pipe(error.0), &config.name)),
            }
        }
        Ok(())
    }

    /// Closes the logs of a child that is gone (L-31).
    pub(super) fn close_logs(&mut self, id: ProcId, host: &mut dyn Host) {
        let Some(process) = self.roster.process_mut(id) else { return };
        for channel in [Channel::Stdout, Channel::Stderr] {
            if let Some(log) = process.output_mut(channel).log.take() {
                host.log_close(log);
            }
        }
    }

    /// A child of ours, or a stranger that we inherited, was reaped. Its output has been delivered before (P-60).
    pub fn exited(&mut self, pid: Pid, status: ExitStatus, now: Now, host: &mut dyn Host) {
        if self.helper_exited(pid, status, now, host) {
            return;
        }
        let Some(id) = self.roster.remove_child(pid) else {
            return self.stranger_exited(pid, status, now);
        };
        self.leave_cgroup(id, host);
        self.flush_output(id, now, host);
        // One that failed on the way has told so. Whether the others came to their program their end tells.
        if self.is_setting_up(id)
            && let Some(trigger @ Trigger::SetUpFailed(_)) = self.ask_set_up(id, host)
        {
            let _ = self.step(id, trigger, now, host);
        }
        let left = self.hold_for_leftovers(id, now, host);
        let _ = self.step(id, Trigger::Exited(status), now, host);
        if let Some(line) = left {
            activity!(Info, "{line}");
        }
        self.listener_exited(id, now, host);
        // The logs are closed after the state changed and before the next start opens them again: a restart is a
        // deadline, and deadlines come later in the turn.
        self.close_logs(id, host);
        host.close_child(id);
        self.release_socket(id, host);
    }

    /// One of a child's pipes reached its end.
    pub fn output_ended(&mut self, id: ProcId, channel: Channel, fd: i32) {
        if let Some(process) = self.roster.process(id) {
            activity!(
                Debug,
                "fd {fd} closed, stopped monitoring <{} of {} in state {} ({})>",
                channel.name(),
                process.config.name,
                process.machine.state().name(),
                channel.name()
            );
        }
    }

    /// Reopens the logs of every running child (L-60).
    pub fn reopen_logs(&mut self, host: &mut dyn Host) {
        for (_, process) in self.roster.processes() {
            for channel in [Channel::Stdout, Channel::Stderr] {
                if let Some(log) = process.output(channel).log {
                    host.log_reopen(log);
                }
            }
        }
    }

    /// Begins new logs of a process, whether or not it runs (K-9).
    pub fn rotate_logs(&mut self, id: ProcId, host: &mut dyn Host) {
        for channel in [Channel::Stdout, Channel::Stderr] {
            self.rotate_log(id, channel, host);
        }
    }

    pub(super) fn rotate_log(&mut self, id: ProcId, channel: Channel, host: &mut dyn Host) {
        let Some(process) = self.roster.process_mut(id) else { return };
        let config = process.config.clone();
        let stream = process.output_mut(channel);
        let Some(path) = stream.path.clone() else { return };
        if let Some(log) = stream.log {
            let is_begun = host.log_rotate(log);
            if let Some(framing) = stream.framing.as_mut().filter(|_| is_begun) {
                framing.restart();
            }
        } else if host.file_exists(&path)
            && let Ok(log) = host.log_open(&log_plan((id, channel), &config, &path, false))
        {
            host.log_rotate(log);
            host.log_close(log);
        }
    }

    /// Empties and reopens a running child's logs (L-62); without a child nothing happens, but to a log in memory.
    pub fn clear_logs(&mut self, id: ProcId, host: &mut dyn Host) -> Result<(), Errno> {
        let Some(process) = self.roster.process_mut(id) else { return Ok(()) };
        for channel in [Channel::Stdout, Channel::Stderr] {
            let stream = process.output_mut(channel);
            if let Some(capture) = &mut stream.capture {
                capture.clear();
            }
            if let Some(framing) = &mut stream.framing {
                framing.restart();
            }
            if let Some(ring) = &mut stream.ring {
                ring.clear();
                self.has_ring_news = true;
            }
            if let Some(log) = stream.log {
                host.log_clear(log)?;
            }
        }
        Ok(())
    }
}

/// How the log of a channel is to be kept.
pub(super) fn log_plan<'a>(
    outlet: (ProcId, Channel),
    config: &config::Process,
    path: &'a str,
    between_lines: bool,
) -> LogPlan<'a> {
    let options = config.log(outlet.1);
    let maxbytes = u64::try_from(options.logfile_maxbytes.0).unwrap_or(0);
    let backups = u32::try_from(options.logfile_backups.max(0)).unwrap_or(u32::MAX);
    let output = config.program.output(outlet.1);
    let waits = output.logfile_full == WhenFull::Wait;
    let compress = output.logfile_compress == Compression::Gzip;
    LogPlan { outlet, path, maxbytes, backups, compress, waits, between_lines }
}
