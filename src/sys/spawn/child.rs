//! What a child does before its program: system calls on memory that was prepared, and nothing else.
//!
//! It allocates, formats, locks and panics nowhere, and leaves by execve or _exit only. It has a copy of the daemon's
//! memory, so changes its user with bare system calls: the C library's functions would look for other threads. A copy
//! whose user changed cannot be traced by that user, for the kernel makes it undumpable then.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::RawFd;

use super::{How, Setting};
use crate::sys::users::{NO_GROUP, NO_GROUPS, NO_USER, Switch};
use crate::sys::{init, signals};

/// Exit status of a child that could not be set up (P-52).
const NOT_SPAWNED: c_int = 127;

/// Where the child keeps its report to the daemon: the first descriptor that is not one of the program's.
const REPORT: RawFd = 3;

/// Bytes of a name in a message of the child. No path of more than 4096 bytes can be used, and a whole line has to fit
/// into the smallest pipe there is, one page, for it is not written again.
const SAID_BYTES_MAX: usize = 3500;

/// Bytes of an option's name in a report.
const OPTION_BYTES_MAX: usize = 60;

/// Bytes of a report: an error number, and the name of the option that could not be met, if it was one.
pub(super) const REPORT_BYTES_MAX: usize = 4 + OPTION_BYTES_MAX;

/// What a child tells at once when it shares the daemon's table of descriptors no more.
static APART: u8 = 1;

/// The plan in the form that the child walks: pointers and numbers only.
pub(super) struct ChildOrder<'a> {
    pub path: &'a CStr,
    pub argv: *const *const c_char,
    pub environment: *const *const c_char,
    pub name: &'a [u8],
    /// What becomes 0, 1, 2 and the report; none of them is below 3, but for our own 0, 1 and 2, which stay.
    pub descriptors: [RawFd; 4],
    /// The table of descriptors is the daemon's own until the child takes one with those up to this number in it.
    pub shares_up_to: Option<RawFd>,
    pub settings: &'a [Setting],
    pub switch: &'a Switch,
    /// 0 to 2 are the daemon's own, and so may be the foreground of the terminal.
    pub has_our_place: bool,
    pub refusal: String,
    pub no_new_privs: bool,
    pub deathsig: Option<c_int>,
    pub parent: libc::pid_t,
    pub directory: Option<&'a CStr>,
    pub umask: Option<u32>,
    pub reset: signals::Set,
    /// A further descriptor, and the number that it gets.
    pub extra: Option<(RawFd, RawFd)>,
    /// [`PID_VARIABLE`] in the environment, to be completed; null without.
    pub pid_variable: *mut u8,
}

/// The beginning of a variable that ends with the child's own pid, and room for that.
pub(super) const PID_VARIABLE: &[u8; 32] = b"WATCHDOG_PID=\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Bytes of it before the pid.
const PID_AT: usize = 13;

/// A step that failed, and what tells why.
enum Failed<'a> {
    Option(&'a str, i32),
    SetUser(&'static str, i32),
    Chdir(i32),
    Exec(i32),
}

/// The child from its first moment on.
pub(super) extern "C" fn run(order: *mut c_void) -> c_int {
    // SAFETY: the caller passes an ChildOrder, and the child has a copy of it.
    let order = unsafe { &*order.cast::<ChildOrder>() };
    let failed = set_up_and_exec(order);
    let newline: &[u8] = b"\n";
    let directory = order.directory.map_or(b"".as_slice(), CStr::to_bytes);
    // Nobody waits for a full pipe: the daemon has to hear of this end.
    // What is shared with the daemon stays as it is.
    if !order.has_our_place {
        // SAFETY: plain numbers.
        unsafe { libc::fcntl(2, libc::F_SETFL, libc::O_WRONLY | libc::O_NONBLOCK) };
    }
    let (option, number) = match failed {
        Failed::Option(option, number) => {
            say([b"supervisor: couldn't set ", option.as_bytes(), errno_after_colon(number), newline]);
            (option, number)
        }
        Failed::SetUser(text, number) => {
            say([b"supervisor: couldn't setuid to ", order.refusal.as_bytes(), text.as_bytes(), newline]);
            ("", number)
        }
        Failed::Chdir(number) => {
            say([b"supervisor: couldn't chdir to ", cut(directory), errno_after_colon(number), newline]);
            ("", number)
        }
        Failed::Exec(number) => {
            say([b"supervisor: couldn't exec ", cut(order.name), errno_after_colon(number), newline]);
            ("", number)
        }
    };
    say([b"supervisor: child process was not spawned", newline, b"", b""]);
    report(place_of_report(order.extra), option, number);
    // SAFETY: ends this process at once, running nothing of the daemon's on the way out.
    unsafe { libc::_exit(NOT_SPAWNED) }
}

/// The steps in the order of P-51, with the settings where they are still permitted. Returns only when one fails.
fn set_up_and_exec<'a>(order: &ChildOrder<'a>) -> Failed<'a> {
    // SAFETY: system calls on numbers, and on strings and arrays that `order` keeps alive. None of them allocates or
    // takes a lock. The user is changed by bare calls, which concern this process alone.
    unsafe {
        // First of all: the table of descriptors may still be the daemon's own.
        if !own_descriptors(order) {
            libc::_exit(NOT_SPAWNED);
        }
        // A group and not a session: the terminal stays, but its signals do not reach the child.
        libc::setpgid(0, 0);
        if order.has_our_place {
            // All signals are still blocked.
            init::to_foreground();
        }
        let [stdin, stdout, stderr, report] = order.descriptors;
        for (target, source) in (0..).zip([stdin, stdout, stderr]) {
            libc::dup2(source, target);
        }
        if let Err(number) = place_descriptors(report, order.extra) {
            return Failed::Option("ready", number);
        }
        write_pid(order.pid_variable);
        answer_to_signals(order.reset);
        for setting in order.settings {
            if let Err(number) = setting.how.apply() {
                return Failed::Option(setting.option, number);
            }
        }
        match order.switch {
            Switch::Keep => {}
            Switch::Refuse { .. } => return Failed::SetUser("", libc::EPERM),
            Switch::Become { uid, gid, groups } => {
                if libc::syscall(bare::SETGROUPS, groups.len(), groups.as_ptr()) != 0 {
                    return Failed::SetUser(NO_GROUPS, errno());
                }
                if libc::syscall(bare::SETGID, *gid) != 0 {
                    return Failed::SetUser(NO_GROUP, errno());
                }
                if libc::syscall(bare::SETUID, *uid) != 0 {
                    return Failed::SetUser(NO_USER, errno());
                }
            }
        }
        if order.no_new_privs && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Failed::Option("no_new_privs", errno());
        }
        // After the user, for that change clears it.
        if let Some(signal) = order.deathsig {
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong) != 0 {
                return Failed::Option("deathsig", errno());
            }
            if libc::getppid() != order.parent {
                // It died before, and nobody is going to be told.
                libc::_exit(NOT_SPAWNED);
            }
        }
        if let Some(directory) = order.directory
            && libc::chdir(directory.as_ptr()) != 0
        {
            return Failed::Chdir(errno());
        }
        if let Some(umask) = order.umask {
            libc::umask(umask as libc::mode_t);
        }
        libc::execve(order.path.as_ptr(), order.argv, order.environment);
        Failed::Exec(errno())
    }
}

fn errno() -> i32 {
    // SAFETY: the place of errno is always valid.
    unsafe { *libc::__errno_location() }
}

/// Gives the child a table of descriptors of its own, with those up to the slots in it, and says so. Kernels before
/// 5.9, and filters of system calls that do not know close_range, copy the whole table.
fn own_descriptors(order: &ChildOrder) -> bool {
    let Some(highest) = order.shares_up_to else { return true };
    let [.., report] = order.descriptors;
    // SAFETY: plain numbers, and one live byte; closes nothing that the daemon sees, for the table is unshared first.
    unsafe {
        let apart = libc::syscall(libc::SYS_close_range, highest + 1, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE)
            == 0
            || libc::unshare(libc::CLONE_FILES) == 0;
        apart && libc::write(report, (&raw const APART).cast(), 1) == 1
    }
}

/// Where the report of a child stands that has a further descriptor at that number.
fn place_of_report(extra: Option<(RawFd, RawFd)>) -> RawFd {
    if extra.is_some_and(|(_, number)| number == REPORT) { REPORT + 1 } else { REPORT }
}

/// Puts the report, and a further descriptor if there is one, where they belong, and closes all others: whatever may hold
/// the child up from here on, it holds nothing of the daemon's, no connection, no server.
///
/// Errors: there is no such number of a descriptor.
unsafe fn place_descriptors(report: RawFd, extra: Option<(RawFd, RawFd)>) -> Result<(), i32> {
    let place = place_of_report(extra);
    // SAFETY: plain numbers; the table is the child's own.
    unsafe {
        let Some((source, number)) = extra else {
            if report != place {
                libc::dup3(report, place, libc::O_CLOEXEC);
            }
            close_from(place + 1);
            return Ok(());
        };
        // Out of the way first, not to a high number: there may be none.
        let aside = |fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, REPORT + 2);
        let report = if report == number { aside(report) } else { report };
        let source = if source == place { aside(source) } else { source };
        if report != place {
            libc::dup3(report, place, libc::O_CLOEXEC);
        }
        // To itself dup2 does nothing, and the program would not see it.
        let placed = if source == number { libc::fcntl(number, libc::F_SETFD, 0) } else { libc::dup2(source, number) };
        if placed < 0 {
            return Err(errno());
        }
        for fd in REPORT..number {
            if fd != place {
                libc::close(fd);
            }
        }
        close_from(number.max(place) + 1);
        Ok(())
    }
}

/// Completes the variable that names the child.
unsafe fn write_pid(variable: *mut u8) {
    if variable.is_null() {
        return;
    }
    // SAFETY: the variable is the child's copy, and has room for any pid behind its beginning.
    unsafe {
        let mut left = libc::getpid();
        let mut digits = [0u8; 12];
        let mut count = 0;
        while left > 0 && count < digits.len() {
            digits[count] = b'0' + (left % 10) as u8;
            left /= 10;
            count += 1;
        }
        for at in 0..count {
            *variable.add(PID_AT + at) = digits[count - 1 - at];
        }
    }
}

/// Closes all descriptors from there on.
fn close_from(first: RawFd) {
    // SAFETY: plain numbers; the table is the child's own.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) == 0 {
            return;
        }
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        for fd in first..c_int::try_from(limit.rlim_cur).unwrap_or(c_int::MAX).min(CLOSED_SINGLY_MAX) {
            libc::close(fd);
        }
    }
}

/// Where a system without close_range closes one after the other: more are marked close-on-exec anyway, and are in the way
/// only while something holds the child up.
const CLOSED_SINGLY_MAX: RawFd = 65_536;

/// Sets signals back as a program expects them (P-56) and lets them in: from here on no handler of ours can run, and a
/// child that is held up can be stopped.
fn answer_to_signals(reset: signals::Set) {
    let mut left = reset;
    while left != 0 {
        let signal = left.trailing_zeros() as i32 + 1;
        let _ = signals::set_action(signal, libc::SIG_DFL);
        left &= left - 1;
    }
    for signal in signals::IGNORED {
        let _ = signals::set_action(*signal, libc::SIG_IGN);
    }
    let _ = signals::let_in();
}

impl How {
    /// Makes it so for this process, or answers with the error number.
    fn apply(&self) -> Result<(), i32> {
        // SAFETY: system calls on numbers, and on strings that the plan keeps alive.
        let done = unsafe {
            match self {
                How::Write { path, text } => {
                    let fd = open_to_write(path);
                    fd >= 0
                        && libc::write(fd, text.as_ptr().cast(), text.len()) == text.len() as isize
                        && libc::close(fd) == 0
                }
                How::Ionice(priority) => libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, *priority) == 0,
                How::Limit { resource, soft, hard } => {
                    let mut limit: libc::rlimit = std::mem::zeroed();
                    libc::getrlimit(*resource as _, &raw mut limit) == 0 && {
                        limit.rlim_cur = *soft as libc::rlim_t;
                        limit.rlim_max = hard.map_or(limit.rlim_max, |hard| hard as libc::rlim_t);
                        libc::setrlimit(*resource as _, &raw const limit) == 0
                    }
                }
                How::Nice(value) => libc::setpriority(libc::PRIO_PROCESS, 0, *value) == 0,
            }
        };
        if done { Ok(()) } else { Err(errno()) }
    }
}

/// Opens a file for writing. After a change of user our own in /proc are root's, unless we may be dumped: for as long as
/// that takes, we may, to the user that the daemon has.
unsafe fn open_to_write(path: &CStr) -> c_int {
    // SAFETY: system calls on numbers, and on a string that the caller keeps alive.
    unsafe {
        let open = || libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let fd = open();
        if fd >= 0 || errno() != libc::EACCES {
            return fd;
        }
        let before = libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0);
        libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
        let fd = open();
        let number = errno();
        libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(before == 1), 0, 0, 0);
        *libc::__errno_location() = number;
        fd
    }
}

const IOPRIO_WHO_PROCESS: c_int = 1;

fn cut(text: &[u8]) -> &[u8] {
    text.get(..SAID_BYTES_MAX).unwrap_or(text)
}

/// Writes one line to descriptor 2 from pieces that exist already.
fn say(pieces: [&[u8]; 4]) {
    let vectors = pieces.map(|piece| libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() });
    // SAFETY: each vector describes one live slice, which is only read.
    unsafe { libc::writev(2, vectors.as_ptr(), vectors.len() as c_int) };
}

/// Tells the daemon that there is no program, for the end of the report alone would say that there is.
fn report(place: RawFd, option: &str, number: i32) {
    let number = number.to_ne_bytes();
    let option = option.as_bytes();
    let option = option.get(..OPTION_BYTES_MAX).unwrap_or(option);
    let pieces = [number.as_slice(), option];
    let vectors = pieces.map(|piece| libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() });
    // SAFETY: as above. So few bytes always fit.
    unsafe { libc::writev(place, vectors.as_ptr(), vectors.len() as c_int) };
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
pub(super) fn errno_after_colon(number: i32) -> &'static [u8] {
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
