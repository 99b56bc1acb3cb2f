//! Signals to the daemon, turned into bytes of a pipe that the reactor polls.
//!
//! The handler writes the signal's number as one byte, so arrival order is kept (P-13). A signal that is already in
//! the pipe is not written again: the pipe cannot fill up, and there are no duplicates. Of SIGCHLD the handler also keeps
//! which child it tells of: asking the kernel for any child that has ended takes longer the more children there are.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::{cerr, fd};
use crate::id::Pid;
use crate::signal::LAST;

/// What the daemon reacts to (P-13).
pub const DAEMON: &[i32] = &[libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGUSR2, libc::SIGCHLD];

/// Ignored by the daemon, for writes to closed pipes and to files at their limit fail anyway, and by its children,
/// as the original's are (P-56).
pub const IGNORED: &[i32] = &[libc::SIGPIPE, libc::SIGXFSZ];

/// A set of signals, with room for those of mips.
pub(super) type Set = u128;

/// Where the handler writes; -1 before a pipe is there.
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// Bit n % 32 of word n / 32: signal n is in the pipe. Small words, for some processors have no atomics of 64 bits; and
/// enough of them for mips, where the highest signal is 127.
static PENDING: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];

/// A signal could not be written to the pipe, or the pipe could not be read: what is pending has to be looked up.
static MISSED: AtomicBool = AtomicBool::new(false);

/// The child that the last SIGCHLD told of; 0 for none.
static ENDED: AtomicI32 = AtomicI32::new(0);

/// The bit of a signal in a set.
pub(super) const fn bit(signal: i32) -> Set {
    1 << (signal - 1)
}

/// The read end, which becomes readable when a signal has arrived. One at a time per process.
#[derive(Debug)]
pub struct SignalPipe {
    read: OwnedFd,
    // The handler uses its number; it is closed only after the handler has been told to forget it.
    write: OwnedFd,
}

impl SignalPipe {
    /// Catches `signals` from now on, and ignores [`IGNORED`].
    pub fn install(signals: &[i32]) -> io::Result<SignalPipe> {
        let pipe = fd::pipe()?;
        fd::set_nonblocking(&pipe.read)?;
        fd::set_nonblocking(&pipe.write)?;
        PENDING.iter().for_each(|word| word.store(0, Ordering::SeqCst));
        PIPE.store(pipe.write.as_raw_fd(), Ordering::SeqCst);
        for signal in signals {
            set_action(*signal, on_signal as Handler as libc::sighandler_t)?;
        }
        for signal in IGNORED {
            set_action(*signal, libc::SIG_IGN)?;
        }
        Ok(SignalPipe { read: pipe.read, write: pipe.write })
    }

    /// Catches further signals, from now on.
    pub fn catch_too(&self, signals: &[i32]) -> io::Result<()> {
        signals.iter().try_for_each(|signal| set_action(*signal, on_signal as Handler as libc::sighandler_t))
    }

    /// Appends the signals that have arrived, in their order, without those that `queue` still holds.
    pub fn drain(&self, queue: &mut Vec<i32>) {
        let has_missed = MISSED.swap(false, Ordering::SeqCst);
        // Each signal is in the pipe once at most, so one read fetches all.
        let mut bytes = [0; LAST as usize];
        let count = match fd::retry(|| fd::read(self.read.as_fd(), &mut bytes)) {
            Ok(count) => count,
            Err(error) => {
                // No other event will tell of what is in the pipe.
                MISSED.fetch_or(error.kind() != io::ErrorKind::WouldBlock, Ordering::SeqCst);
                0
            }
        };
        for byte in &bytes[..count] {
            take(i32::from(*byte), queue);
        }
        if has_missed {
            (1..=LAST).filter(|signal| is_pending(*signal)).for_each(|signal| take(signal, queue));
        }
    }
}

/// Takes a signal that is pending.
fn take(signal: i32, queue: &mut Vec<i32>) {
    // Cleared before the signal is acted upon: one that comes after this line is written anew.
    let (word, bit) = pending(signal);
    word.fetch_and(!bit, Ordering::SeqCst);
    if !queue.contains(&signal) {
        queue.push(signal);
    }
}

fn is_pending(signal: i32) -> bool {
    let (word, bit) = pending(signal);
    word.load(Ordering::SeqCst) & bit != 0
}

/// The place of a signal among those that are pending.
fn pending(signal: i32) -> (&'static AtomicU32, u32) {
    let signal = signal.unsigned_abs();
    (&PENDING[(signal / 32) as usize % PENDING.len()], 1 << (signal % 32))
}

/// Whether signals have come of which the pipe did not tell: [`SignalPipe::drain`] finds them.
pub fn has_missed() -> bool {
    MISSED.load(Ordering::SeqCst)
}

/// The child that the last SIGCHLD told of, once. No more than a hint: signals that come together are one.
pub fn last_ended() -> Option<Pid> {
    let pid = ENDED.swap(0, Ordering::SeqCst);
    (pid > 0).then_some(Pid(pid))
}

impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

impl Drop for SignalPipe {
    fn drop(&mut self) {
        // A newer pipe may be in place already.
        let _ = PIPE.compare_exchange(self.write.as_raw_fd(), -1, Ordering::SeqCst, Ordering::SeqCst);
    }
}

type Handler = extern "C" fn(libc::c_int, *const libc::siginfo_t, *const libc::c_void);

/// Runs in the middle of anything: atomics and write(2) only, errno as it was.
extern "C" fn on_signal(signal: libc::c_int, info: *const libc::siginfo_t, _: *const libc::c_void) {
    if signal == libc::SIGCHLD {
        // SAFETY: with SA_SIGINFO the kernel gives a complete siginfo, that of a SIGCHLD from it has a pid.
        let (code, pid) = unsafe { ((*info).si_code, (*info).si_pid()) };
        if matches!(code, libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED) {
            ENDED.store(pid, Ordering::SeqCst);
        }
    }
    let (word, bit) = pending(signal);
    if word.fetch_or(bit, Ordering::SeqCst) & bit != 0 {
        return;
    }
    let byte = signal as u8;
    // SAFETY: write(2) is async-signal-safe and the pointer is to one live byte; the place of errno is always valid.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        if libc::write(PIPE.load(Ordering::SeqCst), (&raw const byte).cast(), 1) != 1 {
            // It has interrupted the poll, which is where this is seen.
            MISSED.store(true, Ordering::SeqCst);
        }
        *errno = saved;
    }
}

/// Sets what a signal does: a [`Handler`], SIG_IGN or SIG_DFL. Interrupted calls are resumed.
pub(super) fn set_action(signal: i32, action: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: all zero is a valid sigaction: default action, empty mask, no flags.
    let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
    new.sa_sigaction = action;
    new.sa_flags = libc::SA_RESTART | libc::SA_SIGINFO;
    // SAFETY: `new` is complete; the handler, where there is one, only does what a handler may.
    cerr(unsafe { libc::sigaction(signal, &raw const new, std::ptr::null_mut()) })?;
    Ok(())
}

/// Sets all signals back to their default. System calls only.
pub(super) fn set_all_to_default() {
    for signal in 1..=LAST {
        // Those that cannot be set are refused.
        let _ = set_action(signal, libc::SIG_DFL);
    }
}

/// Blocks no signal any more. System calls only.
pub(super) fn let_in() -> io::Result<()> {
    // SAFETY: all zero is a valid set, which the first call fills in.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        cerr(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()))?;
    }
    Ok(())
}

/// The signals that do something else than their default, as a set of bits.
pub(super) fn not_default() -> Set {
    let mut set = 0;
    for signal in 1..=LAST {
        // SAFETY: all zero is a valid sigaction.
        let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: asks only; signals that the C library keeps for itself are refused.
        let known = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) } == 0;
        if known && now.sa_sigaction != libc::SIG_DFL {
            set |= bit(signal);
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test, for the pipe is one per process.
    #[test]
    fn signals_arrive_in_order_without_duplicates() {
        let signals = [libc::SIGUSR2, libc::SIGURG, libc::SIGHUP];
        let pipe = SignalPipe::install(&signals).unwrap();
        let mut queue = Vec::new();
        pipe.drain(&mut queue);
        assert!(queue.is_empty(), "{queue:?}");
        for signal in [libc::SIGUSR2, libc::SIGURG, libc::SIGUSR2, libc::SIGHUP, libc::SIGURG] {
            // SAFETY: raises a signal that is handled.
            assert_eq!(unsafe { libc::raise(signal) }, 0);
        }
        assert!(fd::wait_readable(pipe.as_fd(), 0));
        pipe.drain(&mut queue);
        assert_eq!(queue, [libc::SIGUSR2, libc::SIGURG, libc::SIGHUP]);

        // What has not been acted upon yet is not queued twice.
        // SAFETY: as above.
        unsafe { libc::raise(libc::SIGUSR2) };
        pipe.drain(&mut queue);
        assert_eq!(queue.len(), 3);

        // A later pipe takes over, and the end of the earlier one does not disturb it.
        let later = SignalPipe::install(&signals).unwrap();
        drop(pipe);
        // SAFETY: as above.
        unsafe { libc::raise(libc::SIGURG) };
        queue.clear();
        later.drain(&mut queue);
        assert_eq!(queue, [libc::SIGURG]);

        // A write that fails loses nothing, and the pipe works again afterwards.
        let place = PIPE.swap(-1, Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { libc::raise(libc::SIGUSR2) };
        PIPE.store(place, Ordering::SeqCst);
        assert!(has_missed());
        queue.clear();
        later.drain(&mut queue);
        assert_eq!((&queue[..], has_missed()), (&[libc::SIGUSR2][..], false));
        // SAFETY: as above.
        unsafe { libc::raise(libc::SIGUSR2) };
        assert!(fd::wait_readable(later.as_fd(), 0) && !has_missed());
        queue.clear();
        later.drain(&mut queue);
        assert_eq!(queue, [libc::SIGUSR2]);

        // Only what the kernel says of a child counts.
        // SAFETY: all zero is a valid siginfo, that of a signal sent by kill(2).
        let sent = unsafe { std::mem::zeroed() };
        on_signal(libc::SIGCHLD, &raw const sent, std::ptr::null());
        assert_eq!(last_ended(), None);
        // Other tests have children, too, so the last that ended may be one of theirs.
        let _ended = SignalPipe::install(&[libc::SIGCHLD]).unwrap();
        let tells = |_| {
            let mut child = std::process::Command::new("true").spawn().unwrap();
            child.wait().unwrap();
            last_ended() == i32::try_from(child.id()).ok().map(Pid)
        };
        assert!((0..1000).any(tells));

        assert_ne!(not_default() & bit(libc::SIGXFSZ), 0);
        assert_eq!(not_default() & bit(libc::SIGKILL), 0);
        for signal in signals.into_iter().chain([libc::SIGCHLD]) {
            set_action(signal, libc::SIG_DFL).unwrap();
        }
    }
}
