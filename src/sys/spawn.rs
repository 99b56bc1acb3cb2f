//! Starting a child (P-50 to P-57).
//!
//! A [`Plan`] is prepared wholly before: after the child exists, nothing is allocated, formatted, locked or logged on
//! its side. The child runs on a stack of its own in the daemon's memory while the daemon stands still
//! (CLONE_VM | CLONE_VFORK), so that starting costs the same however much memory the daemon has. It therefore
//! - has every signal blocked until no handler of ours is left that it could run,
//! - changes user with bare system calls, for the C library's functions would do so for all its threads,
//! - leaves by execve or _exit only.
//!
//! What it cannot do is written to descriptor 2, and so stands in the program's stderr log (P-52).
//!
//! The child shares the daemon's table of descriptors too (CLONE_FILES) until it takes one of its own with only the
//! lowest few in it: copying the whole table, for execve to close it again, costs as much as the daemon has descriptors,
//! and would make starting all programs grow with their square. See [`Slots`].
//!
//! A child that changed its user still shares our memory until execve, but cannot be traced by that user: the kernel
//! makes the memory undumpable when credentials change.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::environment::CStrings;
use super::users::{NO_GROUP, NO_GROUPS, NO_USER, Switch};
use super::{errno_of, fd, signals};
use crate::errno;
use crate::id::Pid;

/// The child needs a few hundred bytes; in a build without optimisation some thousand.
const STACK_BYTES: usize = 32 * 1024;

/// Exit status of a child that could not be set up (P-52).
const NOT_SPAWNED: c_int = 127;

/// Everything about a child, prepared.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The file to execute, as [`super::command::find`] gives it.
    pub path: CString,
    /// Its arguments; the first is the command's word as written (P-34).
    pub argv: CStrings,
    /// Its whole environment, `KEY=value` (P-58).
    pub environment: CStrings,
    /// Its descriptor 0.
    pub stdin: Stdin<'a>,
    /// Descriptor 2 is descriptor 1.
    pub redirect_stderr: bool,
    /// The user it runs as.
    pub switch: Switch,
    /// Its working directory, `None` to keep ours.
    pub directory: Option<CString>,
    /// Its umask, `None` to keep ours.
    pub umask: Option<u32>,
}

/// A child's descriptor 0.
#[derive(Clone, Copy, Debug)]
pub enum Stdin<'a> {
    /// A pipe whose other end we keep (P-50).
    Pipe,
    /// The group's listening socket (P-100).
    Shared(BorrowedFd<'a>),
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
}

/// Why there is no child. Nothing is left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// A pipe could not be made; the error number.
    Pipe(i32),
    /// A process could not be made; the error number.
    Fork(i32),
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
        }
    }
}

/// Starts the child. It has called execve, or failed and written why, when this returns.
pub fn spawn(plan: &Plan) -> Result<Spawned, SpawnError> {
    let mut place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = &mut *place;
    let slots = match &mut place.slots {
        Some(slots) => slots,
        none => none.insert(Slots::reserve().map_err(|error| SpawnError::Pipe(errno_of(&error)))?),
    };
    let pipes = Pipes::open(plan).map_err(|error| SpawnError::Pipe(errno_of(&error)))?;
    let argv = plan.argv.pointers();
    let environment = plan.environment.pointers();
    slots.fill(pipes.of_child(plan)).map_err(|error| SpawnError::Pipe(errno_of(&error)))?;
    let order = Order {
        path: &plan.path,
        argv: argv.as_ptr(),
        environment: environment.as_ptr(),
        name: plan.argv.iter().next().unwrap_or_default(),
        descriptors: slots.numbers(),
        switch: &plan.switch,
        refusal: refusal(&plan.switch),
        directory: plan.directory.as_deref(),
        umask: plan.umask,
        reset: signals_to_reset(),
    };
    let pid = clone(&order, &mut place.stack);
    slots.clear();
    let pid = pid.map_err(|error| SpawnError::Fork(errno_of(&error)))?;
    Ok(pipes.of_parent(pid))
}

/// Three low descriptors of ours in which a child finds what becomes its 0, 1 and 2, so that all above them can be
/// left out of its table. Between two spawns they hold one end of a pipe that nobody uses, which keeps their numbers.
struct Slots {
    idle: OwnedFd,
    slots: [OwnedFd; 3],
}

impl Slots {
    /// Takes the lowest free descriptors; they are low if this is done before there are children.
    fn reserve() -> io::Result<Slots> {
        let slots = [fd::pipe()?.read, fd::pipe()?.read, fd::pipe()?.read];
        Ok(Slots { idle: fd::pipe()?.read, slots })
    }

    fn numbers(&self) -> [RawFd; 3] {
        self.slots.each_ref().map(AsRawFd::as_raw_fd)
    }

    fn fill(&self, descriptors: [RawFd; 3]) -> io::Result<()> {
        self.slots.iter().zip(descriptors).try_for_each(|(slot, source)| fd::replace(slot, source))
    }

    /// Lets go of the child's ends: a pipe has to end when the child ends.
    fn clear(&self) {
        for slot in &self.slots {
            let _ = fd::replace(slot, self.idle.as_raw_fd());
        }
    }
}

/// Both ends of a child's pipes.
struct Pipes {
    stdin: Option<fd::Pipe>,
    stdout: fd::Pipe,
    stderr: Option<fd::Pipe>,
}

impl Pipes {
    fn open(plan: &Plan) -> io::Result<Pipes> {
        let stdin = matches!(plan.stdin, Stdin::Pipe).then(fd::pipe).transpose()?;
        let stdout = fd::pipe()?;
        let stderr = (!plan.redirect_stderr).then(fd::pipe).transpose()?;
        let pipes = Pipes { stdin, stdout, stderr };
        for end in [pipes.stdin.as_ref().map(|pipe| &pipe.write), Some(&pipes.stdout.read)] {
            end.map_or(Ok(()), fd::set_nonblocking)?;
        }
        pipes.stderr.as_ref().map_or(Ok(()), |pipe| fd::set_nonblocking(&pipe.read))?;
        Ok(pipes)
    }

    /// What becomes descriptors 0, 1 and 2 of the child. None of them is below 3 (see [`fd`]), so that no dup2
    /// overwrites what a later one needs, nor leaves close-on-exec set.
    fn of_child(&self, plan: &Plan) -> [RawFd; 3] {
        let stdin = match (&self.stdin, plan.stdin) {
            (_, Stdin::Shared(socket)) => socket.as_raw_fd(),
            (Some(pipe), Stdin::Pipe) => pipe.read.as_raw_fd(),
            // Not made by `open`.
            (None, Stdin::Pipe) => -1,
        };
        let stdout = self.stdout.write.as_raw_fd();
        let stderr = self.stderr.as_ref().map_or(stdout, |pipe| pipe.write.as_raw_fd());
        debug_assert!([stdin, stdout, stderr].iter().all(|fd| *fd > 2));
        [stdin, stdout, stderr]
    }

    /// Keeps our ends and closes the child's.
    fn of_parent(self, pid: Pid) -> Spawned {
        Spawned {
            pid,
            stdin: self.stdin.map(|pipe| pipe.write),
            stdout: self.stdout.read,
            stderr: self.stderr.map(|pipe| pipe.read),
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
fn signals_to_reset() -> u64 {
    static INHERITED: OnceLock<u64> = OnceLock::new();
    // Handlers come from `signals` only, so what else was not default at the first spawn remains so.
    let inherited = *INHERITED.get_or_init(signals::not_default);
    let ours = signals::DAEMON.iter().fold(0, |set, signal| set | signals::bit(*signal));
    signals::IGNORED.iter().fold(inherited | ours, |set, signal| set & !signals::bit(*signal))
}

/// The plan in the form that the child walks: pointers and numbers only.
struct Order<'a> {
    path: &'a CStr,
    argv: *const *const c_char,
    environment: *const *const c_char,
    name: &'a [u8],
    descriptors: [RawFd; 3],
    switch: &'a Switch,
    refusal: String,
    directory: Option<&'a CStr>,
    umask: Option<u32>,
    reset: u64,
}

#[repr(C, align(16))]
struct Stack([u8; STACK_BYTES]);

/// What one child at a time uses.
struct Place {
    /// Its stack; pages of it that no child has touched take no memory.
    stack: Stack,
    /// From the first spawn on.
    slots: Option<Slots>,
}

/// The lock is for tests, which spawn from several threads: the child never takes it.
static PLACE: Mutex<Place> = Mutex::new(Place { stack: Stack([0; STACK_BYTES]), slots: None });

/// Makes the child and waits until it has called execve or ended.
fn clone(order: &Order, stack: &mut Stack) -> io::Result<Pid> {
    let top = stack.0.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::SIGCHLD;
    // SAFETY: all zero is a valid set, and is filled in at once.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: both sets are live. No handler may run in the child while it shares our memory: it would write into
    // our signal pipe.
    unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
    }
    // SAFETY: `top` is the aligned end of a stack that nobody else uses while the lock is held; CLONE_VFORK suspends
    // this thread until the child has left our memory, so `order` outlives its use; `in_child` keeps to what is
    // allowed there.
    let pid = unsafe { libc::clone(in_child, top.cast(), flags, (&raw const *order).cast_mut().cast()) };
    // Before anything else is called.
    let error = io::Error::last_os_error();
    // SAFETY: `before` was filled in above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    if pid == -1 { Err(error) } else { Ok(Pid(pid)) }
}

/// A step that failed, and what tells why.
enum Failed {
    SetUser(&'static str),
    Chdir(i32),
    Exec(i32),
}

extern "C" fn in_child(order: *mut c_void) -> c_int {
    // SAFETY: `clone` passes a live Order and does not return before we are gone.
    let order = unsafe { &*order.cast::<Order>() };
    let failed = set_up_and_exec(order);
    let newline: &[u8] = b"\n";
    let refusal = order.refusal.as_bytes();
    let directory = order.directory.map_or(b"".as_slice(), CStr::to_bytes);
    match failed {
        Failed::SetUser(text) => say([b"supervisor: couldn't setuid to ", refusal, text.as_bytes(), newline]),
        Failed::Chdir(number) => {
            say([b"supervisor: couldn't chdir to ", directory, errno_after_colon(number), newline])
        }
        Failed::Exec(number) => say([b"supervisor: couldn't exec ", order.name, errno_after_colon(number), newline]),
    }
    say([b"supervisor: child process was not spawned", newline, b"", b""]);
    // SAFETY: ends this process at once, running nothing of the daemon's on the way out.
    unsafe { libc::_exit(NOT_SPAWNED) }
}

/// The steps in the order of P-51. Returns only when one fails.
fn set_up_and_exec(order: &Order) -> Failed {
    // SAFETY: system calls on numbers, and on strings and arrays that `order` keeps alive. None of them allocates or
    // takes a lock. The user is changed by bare calls, which concern this process alone.
    unsafe {
        // First of all: the table of descriptors is still the daemon's own.
        if !own_descriptors(order.descriptors) {
            libc::_exit(NOT_SPAWNED);
        }
        // A group and not a session: the terminal stays, but its signals do not reach the child.
        libc::setpgid(0, 0);
        for (target, source) in (0..).zip(order.descriptors) {
            libc::dup2(source, target);
        }
        match order.switch {
            Switch::Keep => {}
            Switch::Refuse { .. } => return Failed::SetUser(""),
            Switch::Become { uid, gid, groups } => {
                if libc::syscall(bare::SETGROUPS, groups.len(), groups.as_ptr()) != 0 {
                    return Failed::SetUser(NO_GROUPS);
                }
                if libc::syscall(bare::SETGID, *gid) != 0 {
                    return Failed::SetUser(NO_GROUP);
                }
                if libc::syscall(bare::SETUID, *uid) != 0 {
                    return Failed::SetUser(NO_USER);
                }
            }
        }
        if let Some(directory) = order.directory {
            if libc::chdir(directory.as_ptr()) != 0 {
                return Failed::Chdir(*libc::__errno_location());
            }
        }
        if let Some(umask) = order.umask {
            libc::umask(umask as libc::mode_t);
        }
        let mut left = order.reset;
        while left != 0 {
            let signal = left.trailing_zeros() as i32 + 1;
            let _ = signals::set_action(signal, libc::SIG_DFL);
            left &= left - 1;
        }
        for signal in signals::IGNORED {
            let _ = signals::set_action(*signal, libc::SIG_IGN);
        }
        // Only now: nothing is left that a signal could run.
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::execve(order.path.as_ptr(), order.argv, order.environment);
        Failed::Exec(*libc::__errno_location())
    }
}

/// Gives the child a table of descriptors of its own, with those up to the slots in it. Kernels before 5.9, and filters
/// of system calls that do not know close_range, copy the whole table.
fn own_descriptors(slots: [RawFd; 3]) -> bool {
    let highest = slots.into_iter().max().unwrap_or_default();
    // SAFETY: plain numbers; closes nothing that the daemon sees, for the table is unshared first.
    unsafe {
        libc::syscall(libc::SYS_close_range, highest + 1, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE) == 0
            || libc::unshare(libc::CLONE_FILES) == 0
    }
}

/// Writes one line to descriptor 2 from pieces that exist already.
fn say(pieces: [&[u8]; 4]) {
    let vectors = pieces.map(|piece| libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() });
    // SAFETY: each vector describes one live slice, which is only read.
    unsafe { libc::writev(2, vectors.as_ptr(), vectors.len() as c_int) };
}

/// The calls that take 32-bit ids, on machines that also have older ones.
mod bare {
    #[cfg(any(target_arch = "x86", target_arch = "arm"))]
    mod numbers {
        pub const SETGROUPS: libc::c_long = libc::SYS_setgroups32;
        pub const SETGID: libc::c_long = libc::SYS_setgid32;
        pub const SETUID: libc::c_long = libc::SYS_setuid32;
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
    mod numbers {
        pub const SETGROUPS: libc::c_long = libc::SYS_setgroups;
        pub const SETGID: libc::c_long = libc::SYS_setgid;
        pub const SETUID: libc::c_long = libc::SYS_setuid;
    }
    pub use numbers::*;
}

/// `: ENOENT` from a table in the program, for the child can format nothing; the names that chdir and execve have.
fn errno_after_colon(number: i32) -> &'static [u8] {
    macro_rules! table {
        ($($name:ident)+) => {
            match number {
                $(libc::$name => concat!(": ", stringify!($name)).as_bytes(),)+
                _ => b": unknown error",
            }
        };
    }
    table! {
        EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST
        EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM
        ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENODATA ETIME ENOSR ENONET ENOLINK ECOMM EPROTO
        EMULTIHOP EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART
        EUSERS EOPNOTSUPP ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS ENOTCONN ESHUTDOWN ETIMEDOUT
        ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN EREMOTEIO EDQUOT ENOMEDIUM
        EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL
    }
}

#[cfg(test)]
mod tests;
