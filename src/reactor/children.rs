//! The pipes of children.

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::token::Source;
use crate::daemon::host::StdinProblem;
use crate::id::{Channel, IdMap, ProcId};
use crate::sys::fd;
use crate::sys::spawn::{Pipes, Spawned};

/// Bytes that wait for a child to read its stdin. The original has no bound; a child that never reads must not fill
/// our memory. Large enough for any event and for what people paste.
const STDIN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Our ends of one child's pipes.
struct Child {
    stdin: Option<OwnedFd>,
    /// Whether stdin stands in the poll, which it does from its first full pipe on.
    polled: bool,
    /// What the pipe did not take yet.
    pending: Vec<u8>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

/// What one read of a child's output brought.
pub(super) enum Read {
    /// So many bytes; more may be there if the buffer was filled.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The end; the descriptor that it had.
    End(RawFd),
}

/// The pipes of all children.
#[derive(Default)]
pub(super) struct Children(IdMap<ProcId, Child>);

impl Children {
    /// Has the output of a child to be polled, before there is one that would have to be ended if that is not possible.
    /// Dropping the pipes takes them out of the poll.
    pub(super) fn watch(id: ProcId, pipes: &Pipes, registry: &Registry) -> std::io::Result<()> {
        for (fd, channel) in [(Some(pipes.stdout()), Channel::Stdout), (pipes.stderr(), Channel::Stderr)] {
            let Some(fd) = fd else { continue };
            let token = Source::Output(id, channel).token();
            registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
        }
        Ok(())
    }

    /// Takes over a new child's pipes, whose output is [watched](Children::watch).
    pub(super) fn add(&mut self, id: ProcId, spawned: Spawned) {
        let Spawned { stdin, stdout, stderr, .. } = spawned;
        let child = Child { stdin, polled: false, pending: Vec::new(), stdout: Some(stdout), stderr };
        self.0.insert(id, child);
    }

    /// Closes a child's pipes. Closing takes them out of the poll.
    pub(super) fn remove(&mut self, id: ProcId) {
        self.0.remove(&id);
    }

    /// Reads what a child wrote.
    pub(super) fn read(&mut self, id: ProcId, channel: Channel, buffer: &mut [u8]) -> Read {
        let Some(child) = self.0.get_mut(&id) else { return Read::Nothing };
        let end = match channel {
            Channel::Stdout => &mut child.stdout,
            Channel::Stderr => &mut child.stderr,
        };
        let Some(open) = end else { return Read::Nothing };
        match fd::read(open.as_fd(), buffer) {
            Ok(0) => {
                let number = open.as_raw_fd();
                *end = None;
                Read::End(number)
            }
            Ok(bytes) => Read::Bytes(bytes),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Read::Nothing,
            Err(error) => {
                activity!(Critical, "uncaptured python exception, closing channel {} ({error})", channel.name());
                let number = open.as_raw_fd();
                *end = None;
                Read::End(number)
            }
        }
    }

    /// Writes to a child's stdin, keeping what the pipe does not take.
    pub(super) fn write(&mut self, id: ProcId, bytes: &[u8], registry: &Registry) -> Result<(), StdinProblem> {
        let child = self.0.get_mut(&id).ok_or(StdinProblem::Closed)?;
        let stdin = child.stdin.as_ref().ok_or(StdinProblem::Closed)?;
        if !child.pending.is_empty() {
            if child.pending.len() + bytes.len() > STDIN_BYTES_MAX {
                return Err(StdinProblem::Full);
            }
            child.pending.extend_from_slice(bytes);
            return Ok(());
        }
        let taken = match fd::write(stdin.as_fd(), bytes) {
            Ok(taken) => taken,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            Err(_) => {
                child.stdin = None;
                return Err(StdinProblem::Closed);
            }
        };
        child.pending.extend_from_slice(&bytes[taken..]);
        if taken < bytes.len() && !child.polled {
            let token = Source::Stdin(id).token();
            child.polled = registry.register(&mut SourceFd(&stdin.as_raw_fd()), token, Interest::WRITABLE).is_ok();
        }
        Ok(())
    }

    /// A child's stdin takes more.
    pub(super) fn flush(&mut self, id: ProcId) {
        let Some(child) = self.0.get_mut(&id) else { return };
        let Some(stdin) = &child.stdin else { return };
        while !child.pending.is_empty() {
            match fd::write(stdin.as_fd(), &child.pending) {
                Ok(taken) => drop(child.pending.drain(..taken)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    child.stdin = None;
                    child.pending = Vec::new();
                    return;
                }
            }
        }
        child.pending = Vec::new();
    }
}
