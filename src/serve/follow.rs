//! Following logs. Nothing is polled: the system tells when a file has changed, whoever wrote it, and the
//! daemon when a log in memory has.

use super::Service;
use crate::daemon::host::Span;
use crate::daemon::logplace::{Extent, LogIdentity, LogPlace};
use crate::daemon::{Daemon, Host};
use crate::id::{Channel, ConnId};
use crate::rpc::budget::Budget;
use crate::wire::http::StreamBody;

/// Bytes of the end of a log that a stream begins with.
const FIRST_BYTES: u64 = 1024;

/// Bytes of output that wait for a slow reader; then reading pauses until they are written.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Bytes read from a log at a time.
const READ_BYTES: u64 = 32 * 1024;

/// Microseconds that looking at a file takes which did not grow.
const LOOK_US: u32 = 10;

/// What can be followed.
pub(super) struct Followed {
    pub(super) place: LogPlace,
    /// Whether it is a child's.
    pub(super) is_child: bool,
}

/// The log that `/<name>[/<channel>]` names.
pub(super) fn child_log(daemon: &Daemon, rest: &str) -> Option<Followed> {
    let (name, channel) = match rest.strip_prefix('/')?.split_once('/') {
        None => (rest.strip_prefix('/')?, Channel::Stdout),
        Some((name, "stdout")) => (name, Channel::Stdout),
        Some((name, "stderr")) => (name, Channel::Stderr),
        Some(_) => return None,
    };
    let id = daemon.roster.find_process(name)?;
    Some(Followed { place: daemon.log_place(id, channel)?, is_child: true })
}

/// The activity log.
pub(super) fn main_log(daemon: &Daemon) -> Option<Followed> {
    let place = LogPlace::File(daemon.config.supervisord.activity_log()?.into());
    Some(Followed { place, is_child: false })
}

/// A log being followed.
pub(super) struct LogFeed {
    place: LogPlace,
    offset: u64,
    identity: Option<LogIdentity>,
    body: StreamBody,
    /// There may be more, for which the turn had no time.
    is_behind: bool,
}

impl LogFeed {
    /// Follows a log of which so much is there from shortly before its end.
    pub(super) fn begin(
        conn: ConnId,
        place: LogPlace,
        extent: Extent,
        body: StreamBody,
        daemon: &Daemon,
        host: &mut dyn Host,
    ) -> LogFeed {
        watch(conn, &place, host);
        let offset = extent.end.saturating_sub(FIRST_BYTES).max(extent.start);
        LogFeed { offset, identity: daemon.log_identity(&place, host), place, body, is_behind: false }
    }

    /// Whether what it follows is in memory.
    pub(super) fn is_of_memory(&self) -> bool {
        matches!(self.place, LogPlace::Memory(..))
    }

    /// Appends what there is, as far as the client keeps up and the turn has time. Says whether something was appended.
    pub(super) fn feed(
        &mut self,
        conn: ConnId,
        output: &mut Vec<u8>,
        budget: &mut Budget,
        daemon: &Daemon,
        host: &mut dyn Host,
    ) -> bool {
        let before = output.len();
        self.is_behind = false;
        if before >= OUTPUT_BYTES_MAX {
            // It goes on in the file from where it is, once this is written.
            return false;
        }
        if budget.is_spent() {
            self.is_behind = true;
            return false;
        }
        budget.spend(LOOK_US);
        let identity = daemon.log_identity(&self.place, host);
        if identity.is_some() && identity != self.identity {
            // Rotated or made anew: what was not yet read of the old file went with its name.
            self.identity = identity;
            self.offset = 0;
            watch(conn, &self.place, host);
        }
        let Ok(Extent { start, end: size }) = daemon.log_extent(&self.place, host) else { return false };
        if size < self.offset {
            self.body.write(output, b"==> File truncated <==\n");
            self.offset = 0;
        }
        if self.offset < start {
            self.body.write(output, format!("==> {} bytes fell off <==\n", start - self.offset).as_bytes());
            self.offset = start;
        }
        while self.offset < size {
            let span = Span { offset: self.offset, length: READ_BYTES.min(size - self.offset) };
            let Ok(bytes) = daemon.log_read(&self.place, span, host) else { break };
            if bytes.is_empty() {
                break;
            }
            self.offset += bytes.len() as u64;
            self.body.write(output, &bytes);
            // They are read, and written to the client.
            budget.spend_bytes(2 * bytes.len());
            if output.len() >= OUTPUT_BYTES_MAX {
                break;
            }
            if budget.is_spent() {
                self.is_behind = self.offset < size;
                break;
            }
        }
        output.len() > before
    }
}

impl Service {
    /// A file that a connection follows has changed.
    pub(super) fn file_changed(&mut self, id: ConnId, host: &mut dyn Host) {
        let Some((feed, output)) = self.conns.log_feed(id) else { return };
        let has_grown = feed.feed(id, output, &mut self.budget, &self.daemon, host);
        if feed.is_behind {
            self.leave_to_next_turn(id);
        }
        if has_grown {
            self.conns.touch(id);
        }
    }

    /// Hands what was written to logs in memory to those who follow them.
    pub(super) fn feed_memory_logs(&mut self, host: &mut dyn Host) {
        if self.daemon.take_ring_news() {
            for id in self.conns.fed_from_memory() {
                self.file_changed(id, host);
            }
        }
    }
}

/// Has the system tell when a file changes.
fn watch(conn: ConnId, place: &LogPlace, host: &mut dyn Host) {
    if let LogPlace::File(path) = place {
        host.watch_file(conn, path);
    }
}
