//! The pipes of children.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::token::{Source, Watched};
use crate::daemon::host::{Errno, SetUp, StdinProblem};
use crate::id::{Channel, IdMap, ProcId};
use crate::sys::spawn::{self, Pipes, Spawned};
use crate::sys::{fd, time};

/// Bytes that wait for a child to read its stdin. The original has no bound; a child that never reads must not fill
/// our memory. Large enough for any event and for what people paste.
const STDIN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Our ends of one child's pipes.
struct Child {
    /// It stands in the poll from its first full pipe on.
    stdin: Option<End>,
    /// What the pipe did not take yet.
    pending: Vec<u8>,
    stdout: Option<End>,
    stderr: Option<End>,
    /// Until it is known how far the child came. It stands in the poll only if that takes longer than `startsecs`.
    report: Option<End>,
}

/// Our end of a pipe.
struct End {
    fd: OwnedFd,
    token: Option<Token>,
}

/// The tokens of a child's output, before there is a child.
#[derive(Default)]
pub(super) struct Tokens([Option<Token>; 2]);

impl Tokens {
    /// There will be no child.
    pub(super) fn forget(&self, watched: &mut Watched) {
        self.0.iter().for_each(|token| watched.forget(*token));
    }
}

/// Closes an end of a pipe, which takes it out of the poll; answers the descriptor that it had.
fn close(end: &mut Option<End>, watched: &mut Watched) -> RawFd {
    let Some(end) = end.take() else { return -1 };
    watched.forget(end.token);
    end.fd.as_raw_fd()
}

/// What one read of a child's output brought.
pub(super) enum Read {
    /// So many bytes; more may be there if the buffer was filled.
    Bytes(usize),
    Nothing,
    /// It could not be read this time; that may pass.
    Failed,
    /// The end; the descriptor that it had.
    End(RawFd),
}

/// The pipes of all children.
#[derive(Default)]
pub(super) struct Children(IdMap<ProcId, Child>);

impl Children {
    /// Has the output of a child to be polled, before there is one that would have to be ended if that is not possible.
    /// Dropping the pipes takes them out of the poll.
    ///
    /// Errors: neither channel is watched.
    pub(super) fn watch(id: ProcId, pipes: &Pipes, watched: &mut Watched) -> io::Result<Tokens> {
        let mut tokens = Tokens::default();
        let ends = [(Some(pipes.stdout()), Channel::Stdout), (pipes.stderr(), Channel::Stderr)];
        for (token, (fd, channel)) in tokens.0.iter_mut().zip(ends) {
            let Some(fd) = fd else { continue };
            let source = Source::Output(id, channel);
            if let Err(error) = watched.watch(&mut SourceFd(&fd.as_raw_fd()), token, source, Interest::READABLE) {
                tokens.forget(watched);
                return Err(error);
            }
        }
        Ok(tokens)
    }

    /// Takes over a new child's pipes, whose output is [watched](Children::watch).
    pub(super) fn add(&mut self, id: ProcId, spawned: Spawned, tokens: Tokens) {
        let Spawned { stdin, stdout, stderr, report, .. } = spawned;
        let Tokens([first, second]) = tokens;
        let child = Child {
            stdin: stdin.map(|fd| End { fd, token: None }),
            pending: Vec::new(),
            stdout: Some(End { fd: stdout, token: first }),
            stderr: stderr.map(|fd| End { fd, token: second }),
            report: Some(End { fd: report, token: None }),
        };
        self.0.insert(id, child);
    }

    /// How far a child came; if it is still on its way when `patience` is used up, its report is polled from then on.
    pub(super) fn set_up(&mut self, id: ProcId, patience: &mut Duration, watched: &mut Watched) -> SetUp {
        let Some(child) = self.0.get_mut(&id) else { return SetUp::Done };
        let Some(End { fd, token }) = &mut child.report else { return SetUp::Done };
        let mut told = spawn::set_up(fd.as_fd());
        if told == spawn::SetUp::UnderWay && token.is_none() && !patience.is_zero() {
            let begun = time::now().mono;
            fd::wait_readable(fd.as_fd(), i32::try_from(patience.as_millis()).unwrap_or(0).max(1));
            *patience = patience.saturating_sub(time::now().mono.since(begun));
            told = spawn::set_up(fd.as_fd());
        }
        let told = match told {
            spawn::SetUp::Failed(option, number) => SetUp::Failed(option, Errno(number)),
            spawn::SetUp::Done => SetUp::Done,
            spawn::SetUp::UnderWay => {
                match watched.watch(&mut SourceFd(&fd.as_raw_fd()), token, Source::Report(id), Interest::READABLE) {
                    Ok(()) => return SetUp::UnderWay,
                    Err(error) => {
                        // Better taken for a program than for ever for none.
                        activity!(Error, "cannot watch a child on the way to its program: {error}");
                        SetUp::Done
                    }
                }
            }
        };
        close(&mut child.report, watched);
        told
    }

    /// Closes a child's pipes.
    pub(super) fn remove(&mut self, id: ProcId, watched: &mut Watched) {
        let Some(child) = self.0.remove(&id) else { return };
        for mut end in [child.stdin, child.stdout, child.stderr, child.report] {
            close(&mut end, watched);
        }
    }

    /// Reads what a child wrote.
    pub(super) fn read(&mut self, id: ProcId, channel: Channel, buffer: &mut [u8], watched: &mut Watched) -> Read {
        let Some(child) = self.0.get_mut(&id) else { return Read::Nothing };
        let end = match channel {
            Channel::Stdout => &mut child.stdout,
            Channel::Stderr => &mut child.stderr,
        };
        let Some(open) = end else { return Read::Nothing };
        match fd::retry(|| fd::read(open.fd.as_fd(), buffer)) {
            Ok(0) => Read::End(close(end, watched)),
            Ok(bytes) => Read::Bytes(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Read::Nothing,
            Err(error) if fd::may_pass(&error) => Read::Failed,
            Err(error) => {
                activity!(Critical, "uncaptured python exception, closing channel {} ({error})", channel.name());
                Read::End(close(end, watched))
            }
        }
    }

    /// Writes to a child's stdin, keeping what the pipe does not take.
    pub(super) fn write(&mut self, id: ProcId, bytes: &[u8], watched: &mut Watched) -> Result<(), StdinProblem> {
        let child = self.0.get_mut(&id).ok_or(StdinProblem::Closed)?;
        let stdin = child.stdin.as_mut().ok_or(StdinProblem::Closed)?;
        if !child.pending.is_empty() {
            if child.pending.len() + bytes.len() > STDIN_BYTES_MAX {
                return Err(StdinProblem::Full);
            }
            child.pending.extend_from_slice(bytes);
            return Ok(());
        }
        let taken = match fd::retry(|| fd::write(stdin.fd.as_fd(), bytes)) {
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => {
                close(&mut child.stdin, watched);
                return Err(StdinProblem::Closed);
            }
        };
        child.pending.extend_from_slice(&bytes[taken..]);
        if taken < bytes.len() && stdin.token.is_none() {
            let (fd, token) = (stdin.fd.as_raw_fd(), &mut stdin.token);
            let _ = watched.watch(&mut SourceFd(&fd), token, Source::Stdin(id), Interest::WRITABLE);
        }
        Ok(())
    }

    /// A child's stdin takes more.
    pub(super) fn flush(&mut self, id: ProcId, watched: &mut Watched) {
        let Some(child) = self.0.get_mut(&id) else { return };
        let Some(stdin) = &child.stdin else { return };
        while !child.pending.is_empty() {
            match fd::write(stdin.fd.as_fd(), &child.pending) {
                Ok(taken) => drop(child.pending.drain(..taken)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    close(&mut child.stdin, watched);
                    child.pending = Vec::new();
                    return;
                }
            }
        }
        child.pending = Vec::new();
    }
}
