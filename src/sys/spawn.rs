//! Starting a child (P-50 to P-57).
//!
//! A [`Plan`] is prepared wholly before: after the child exists, nothing is allocated, formatted, locked or logged on
//! its side; what it does is in [`child`]. It is forked, and nobody waits for it: whatever a file system, a stopped
//! machine or a full pipe does to it, the daemon goes on. Its report says how far it came: the end of it, as execve
//! closes it, that the program runs; a few bytes, that a step failed ([`SetUp`]).
//! What it cannot do is also written to descriptor 2, and so stands in the program's stderr log (P-52).
//!
//! A fork copies the table of descriptors, for execve to close it again; with very many programs that would cost more
//! than all else, and make starting them grow with their square. So a daemon with so many shares its table
//! (CLONE_FILES) with the child until that has taken one of its own with only the lowest few in it. See [`Slots`].

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::environment::CStrings;
use super::users::Switch;
use super::{errno_of, fd, limits, process, signals};
use crate::errno;
use crate::id::Pid;

mod child;
mod settings;

pub use settings::settings;

use child::ChildOrder;

/// The child needs a few hundred bytes; in a build without optimisation some thousand.
const STACK_BYTES: usize = 32 * 1024;

/// With a descriptor of this number the table is shared with a new child instead of copied. Copying takes some 15 ns
/// a descriptor, so from here on as long as waiting until the child has run for a moment.
const SHARED_FROM: RawFd = 4096;

/// How long the daemon waits for a child that shares its table to take its own, its first system call, which nothing
/// can hold up but that no processor is free or that somebody has stopped it. A child that takes longer is killed.
const APART_MS_MAX: i32 = 1000;

/// Everything about a child, prepared.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The file to execute, as [`super::command::find`] gives it.
    pub path: CString,
    /// Its arguments; the first is the command's word as written (P-34).
    pub argv: CStrings,
    /// Its whole environment, `KEY=value` (P-58).
    pub environment: CStrings,
    /// What the child has as its descriptor 0.
    pub stdin: Stdin<'a>,
    /// Descriptor 2 is descriptor 1.
    pub redirect_stderr: bool,
    /// What is set before the change of user, for only the daemon's user may, in this order.
    pub settings: Vec<Setting>,
    /// The user it runs as.
    pub switch: Switch,
    /// No program may give it more rights than it has (PR_SET_NO_NEW_PRIVS).
    pub no_new_privs: bool,
    /// The signal that it gets when the daemon dies.
    pub deathsig: Option<i32>,
    /// Its working directory, `None` to keep ours.
    pub directory: Option<CString>,
    /// Its umask, `None` to keep ours.
    pub umask: Option<u32>,
    /// A further descriptor, and the number from 3 on under which it finds it.
    pub extra: Option<(BorrowedFd<'a>, RawFd)>,
    /// It finds its own pid in WATCHDOG_PID.
    pub names_pid: bool,
}

/// Something that a child is given because an option asks for it. If it cannot be, there is no child, and the option is
/// named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The option that asked for it, such as `rlimit_nofile`.
    pub option: &'static str,
    /// What has to be done.
    pub how: How,
}

/// How a setting is made, by the child for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// A text is written to a file: `/proc/self/oom_score_adj`, or a cgroup's `cgroup.procs`, in which 0 is the writer.
    Write {
        path: CString,
        /// The text, in one piece.
        text: Vec<u8>,
    },
    /// Class and level for ioprio_set(2), as one number.
    Ionice(i32),
    /// Limits of a resource.
    Limit {
        /// As setrlimit(2) numbers it.
        resource: u32,
        /// The soft limit that the kernel is to enforce.
        soft: u64,
        /// The hard limit, `None` to keep ours.
        hard: Option<u64>,
    },
    /// The nice value itself, not what is added to ours.
    Nice(i32),
}

/// A child's descriptor 0.
#[derive(Clone, Copy, Debug)]
pub enum Stdin<'a> {
    /// A pipe whose other end we keep (P-50).
    Pipe,
    /// The group's listening socket (P-100).
    Shared(BorrowedFd<'a>),
    /// Ours, and so are its 1 and 2; it is in the foreground of the terminal, if that is one (K-2.5).
    Ours,
}

/// A child that was started, and our ends of its pipes: close-on-exec, non-blocking.
#[derive(Debug)]
pub struct Spawned {
    /// Its process id, which is also that of its process group.
    pub pid: Pid,
    /// To its descriptor 0; `None` for a shared socket.
    pub stdin: Option<OwnedFd>,
    /// From its descriptor 1.
    pub stdout: OwnedFd,
    /// From its descriptor 2; `None` with `redirect_stderr`.
    pub stderr: Option<OwnedFd>,
    /// Tells how far it came, see [`set_up`].
    pub report: OwnedFd,
}

/// How far a child came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetUp {
    /// It is on its way to its program.
    UnderWay,
    /// Its program runs, or it was killed on the way there.
    Done,
    /// A step failed, and it ends. The option that could not be met and the error number; no option for the steps that
    /// every child takes.
    Failed(Option<String>, i32),
}

/// Reads a child's report. To be asked until it is something else than [`SetUp::UnderWay`].
pub fn set_up(report: BorrowedFd) -> SetUp {
    let mut bytes = [0; child::REPORT_BYTES_MAX];
    match fd::read(report, &mut bytes).map(|count| bytes[..count].split_first_chunk()) {
        Ok(Some((number, option))) => {
            let option = (!option.is_empty()).then(|| String::from_utf8_lossy(option).into_owned());
            SetUp::Failed(option, i32::from_ne_bytes(*number))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => SetUp::UnderWay,
        Ok(None) | Err(_) => SetUp::Done,
    }
}

/// Why there is no child. Nothing is left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// A pipe could not be made; the error number.
    Pipe(i32),
    /// A process could not be made; the error number.
    Fork(i32),
    /// A zero byte, which nothing that is passed to a program can contain: where.
    ZeroByte(&'static str),
}

impl SpawnError {
    /// The text of `spawnerr` for the process of that name (P-31).
    pub fn text(self, name: &str) -> String {
        match self {
            SpawnError::Pipe(libc::EMFILE) => format!("too many open files to spawn '{name}'"),
            SpawnError::Pipe(number) => {
                format!("unknown error making dispatchers for '{name}': {}", errno::name(number))
            }
            SpawnError::Fork(libc::EAGAIN) => format!("Too many processes in process table to spawn '{name}'"),
            SpawnError::Fork(number) => format!("unknown error during fork for '{name}': {}", errno::name(number)),
            SpawnError::ZeroByte(place) => format!("can't spawn '{name}': embedded null byte in the {place}"),
        }
    }
}

/// Starts the child, which sets itself up while the daemon goes on. The pipes are those of the same plan.
pub fn spawn(plan: &Plan, pipes: Pipes) -> Result<Spawned, SpawnError> {
    let argv = plan.argv.pointers();
    let mut environment = plan.environment.pointers();
    // The child writes its digits there, in its copy.
    let mut pid_variable = *child::PID_VARIABLE;
    if plan.names_pid {
        environment.insert(environment.len() - 1, pid_variable.as_ptr().cast());
    }
    let mut order = ChildOrder {
        path: &plan.path,
        argv: argv.as_ptr(),
        environment: environment.as_ptr(),
        name: plan.argv.iter().next().unwrap_or_default(),
        descriptors: pipes.of_child(plan),
        shares_up_to: None,
        settings: &plan.settings,
        switch: &plan.switch,
        has_our_place: matches!(plan.stdin, Stdin::Ours),
        refusal: refusal(&plan.switch),
        no_new_privs: plan.no_new_privs,
        deathsig: plan.deathsig,
        parent: std::process::id() as libc::pid_t,
        directory: plan.directory.as_deref(),
        umask: plan.umask,
        reset: signals_to_reset(),
        extra: plan.extra.map(|(fd, number)| (fd.as_raw_fd(), number)),
        pid_variable: if plan.names_pid { pid_variable.as_mut_ptr() } else { std::ptr::null_mut() },
    };
    let mut place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = &mut *place;
    let slots = place.slots.get_or_insert_with(Slots::reserve);
    let pid = match slots {
        // A further descriptor would be cut off.
        Some(slots) if pipes.report.read.as_raw_fd() >= SHARED_FROM && plan.extra.is_none() => {
            slots.fill(order.descriptors).map_err(|error| SpawnError::Pipe(errno_of(&error)))?;
            order.descriptors = slots.numbers();
            order.shares_up_to = order.descriptors.into_iter().max();
            let pid = clone(&order, &mut place.stack).and_then(|pid| wait_until_apart(pid, &pipes.report.read));
            slots.clear();
            pid
        }
        _ => clone(&order, &mut place.stack),
    };
    let pid = pid.map_err(|error| SpawnError::Fork(errno_of(&error)))?;
    // The child does it too; whichever comes first, nobody signals a group that is not there yet.
    process::lead_group(pid);
    Ok(pipes.of_parent(pid))
}

/// Waits for a child that shares the table of descriptors to leave it.
fn wait_until_apart(pid: Pid, report: &OwnedFd) -> io::Result<Pid> {
    let mut told = [0];
    if fd::wait_readable(report.as_fd(), APART_MS_MAX)
        && fd::read(report.as_fd(), &mut told).is_ok_and(|count| count == 1)
    {
        return Ok(pid);
    }
    // It is reaped like a stranger.
    let _ = process::kill(pid, libc::SIGKILL);
    Err(io::Error::from_raw_os_error(libc::ETIMEDOUT))
}

/// Four low descriptors of ours in which a child that shares our table finds what becomes its 0, 1, 2 and report, so that
/// all above them can be left out of its own. Between two spawns they hold one end of a pipe that nobody uses, which
/// keeps their numbers.
struct Slots {
    idle: OwnedFd,
    slots: [OwnedFd; 4],
}

impl Slots {
    /// Takes the lowest free descriptors, which are low if this is done before there are children; `None` if there cannot
    /// be so many descriptors that they are needed.
    fn reserve() -> Option<Slots> {
        if limits::open_files() <= SHARED_FROM as u64 {
            return None;
        }
        let end = || fd::pipe().map(|pipe| pipe.read).ok();
        Some(Slots { slots: [end()?, end()?, end()?, end()?], idle: end()? })
    }

    fn numbers(&self) -> [RawFd; 4] {
        self.slots.each_ref().map(AsRawFd::as_raw_fd)
    }

    fn fill(&self, descriptors: [RawFd; 4]) -> io::Result<()> {
        self.slots.iter().zip(descriptors).try_for_each(|(slot, source)| fd::replace(slot, source))
    }

    /// Lets go of the child's ends: a pipe has to end when the child ends.
    fn clear(&self) {
        for slot in &self.slots {
            let _ = fd::replace(slot, self.idle.as_raw_fd());
        }
    }
}

/// Both ends of the pipes of a child to be.
#[derive(Debug)]
pub struct Pipes {
    stdin: Option<fd::Pipe>,
    stdout: fd::Pipe,
    stderr: Option<fd::Pipe>,
    report: fd::Pipe,
}

impl Pipes {
    pub fn open(plan: &Plan) -> Result<Pipes, SpawnError> {
        Pipes::try_open(plan).map_err(|error| SpawnError::Pipe(errno_of(&error)))
    }

    fn try_open(plan: &Plan) -> io::Result<Pipes> {
        let stdin = matches!(plan.stdin, Stdin::Pipe).then(fd::pipe).transpose()?;
        let stdout = fd::pipe()?;
        let stderr = (!plan.redirect_stderr).then(fd::pipe).transpose()?;
        let pipes = Pipes { stdin, stdout, stderr, report: fd::pipe()? };
        let stdin = pipes.stdin.as_ref().map(|pipe| &pipe.write);
        let stderr = pipes.stderr.as_ref().map(|pipe| &pipe.read);
        for end in [stdin, stderr, Some(&pipes.stdout.read), Some(&pipes.report.read)].into_iter().flatten() {
            fd::set_nonblocking(end)?;
        }
        Ok(pipes)
    }

    /// What the child will write to its descriptor 1.
    pub fn stdout(&self) -> BorrowedFd<'_> {
        self.stdout.read.as_fd()
    }

    /// What it will write to its descriptor 2; `None` with `redirect_stderr`.
    pub fn stderr(&self) -> Option<BorrowedFd<'_>> {
        self.stderr.as_ref().map(|pipe| pipe.read.as_fd())
    }

    /// What becomes descriptors 0, 1 and 2 of the child, and its report. None of them is below 3 (see [`fd`]), so that
    /// no dup2 overwrites what a later one needs, nor leaves close-on-exec set.
    fn of_child(&self, plan: &Plan) -> [RawFd; 4] {
        let stdin = match (&self.stdin, plan.stdin) {
            (_, Stdin::Shared(socket)) => socket.as_raw_fd(),
            (Some(pipe), Stdin::Pipe) => pipe.read.as_raw_fd(),
            // The pipe for its output, which nobody writes to, ends at once.
            (_, Stdin::Ours) => return [0, 1, 2, self.report.write.as_raw_fd()],
            // Not made by `open`.
            (None, Stdin::Pipe) => -1,
        };
        let stdout = self.stdout.write.as_raw_fd();
        let stderr = self.stderr.as_ref().map_or(stdout, |pipe| pipe.write.as_raw_fd());
        let all = [stdin, stdout, stderr, self.report.write.as_raw_fd()];
        debug_assert!(all.iter().all(|fd| *fd > 2));
        all
    }

    /// Keeps our ends and closes the child's.
    fn of_parent(self, pid: Pid) -> Spawned {
        Spawned {
            pid,
            stdin: self.stdin.map(|pipe| pipe.write),
            stdout: self.stdout.read,
            stderr: self.stderr.map(|pipe| pipe.read),
            report: self.report.read,
        }
    }
}

/// `<uid>: <text>`, if the switch is known to be impossible, and the uid alone with a colon for what may yet fail.
fn refusal(switch: &Switch) -> String {
    match switch {
        Switch::Keep => String::new(),
        Switch::Become { uid, .. } => format!("{uid}: "),
        Switch::Refuse { uid, reason } => format!("{uid}: {reason}"),
    }
}

/// The signals whose action the child sets back to the default: ours, and those that were inherited as ignored.
/// SIGPIPE and SIGXFSZ stay ignored as in the original's children (P-56).
fn signals_to_reset() -> signals::Set {
    static INHERITED: OnceLock<signals::Set> = OnceLock::new();
    // Handlers come from `signals` only, so what else was not default at the first spawn remains so.
    let inherited = *INHERITED.get_or_init(signals::not_default);
    let ours = signals::DAEMON.iter().fold(0, |set, signal| set | signals::bit(*signal));
    signals::IGNORED.iter().fold(inherited | ours, |set, signal| set & !signals::bit(*signal))
}

#[repr(C, align(16))]
struct Stack([u8; STACK_BYTES]);

/// What one spawn at a time uses.
struct Place {
    /// Where a child begins in its copy of our memory; pages of it that none has touched take no memory.
    stack: Stack,
    /// From the first spawn on, if they are needed.
    slots: Option<Option<Slots>>,
}

/// The lock is for tests, which spawn from several threads: the child never takes it.
static PLACE: Mutex<Place> = Mutex::new(Place { stack: Stack([0; STACK_BYTES]), slots: None });

fn clone(order: &ChildOrder, stack: &mut Stack) -> io::Result<Pid> {
    let top = stack.0.as_mut_ptr_range().end;
    let files = if order.shares_up_to.is_some() { libc::CLONE_FILES } else { 0 };
    // SAFETY: all zero is a valid set, and is filled in at once.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: both sets are live. No handler of ours may run in the child: it would write into our signal pipe.
    unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
    }
    // SAFETY: `top` is the aligned end of a stack that nobody else uses while the lock is held; the child has a copy of
    // it and of all that `order` points to; `child::run` keeps to what is allowed after a fork.
    let pid =
        unsafe { libc::clone(child::run, top.cast(), files | libc::SIGCHLD, (&raw const *order).cast_mut().cast()) };
    // Before anything else is called.
    let error = io::Error::last_os_error();
    // SAFETY: `before` was filled in above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    if pid == -1 { Err(error) } else { Ok(Pid(pid)) }
}

#[cfg(test)]
mod tests;
