//! Following logs. Nothing is polled: the system tells when a file has changed, whoever wrote it.

use super::Service;
use super::conn::Phase;
use crate::clock::Now;
use crate::daemon::host::Span;
use crate::daemon::{Daemon, Host};
use crate::id::{Channel, ConnId};
use crate::wire::http::{Head, Reply, Status, format_date, write_chunk};

/// Bytes of the end of a log that a stream begins with.
const FIRST_BYTES: u64 = 1024;

/// Bytes of output that wait for a slow reader; then reading pauses until they are written.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Bytes read from a log at a time.
const READ_BYTES: u64 = 64 * 1024;

/// A log being followed.
pub(super) struct Follow {
    path: String,
    offset: u64,
    identity: Option<(u64, u64)>,
    /// Whether pieces go out as chunks.
    chunked: bool,
}

/// What can be followed.
pub(super) struct Target {
    path: String,
    /// Whether it is a child's.
    is_child: bool,
}

/// The log that `/<name>[/<channel>]` names.
pub(super) fn child_log(daemon: &Daemon, rest: &str) -> Option<Target> {
    let (name, channel) = match rest.strip_prefix('/')?.split_once('/') {
        None => (rest.strip_prefix('/')?, Channel::Stdout),
        Some((name, "stdout")) => (name, Channel::Stdout),
        Some((name, "stderr")) => (name, Channel::Stderr),
        Some(_) => return None,
    };
    let id = daemon.find_process(name)?;
    let path = daemon.process(id)?.stream(channel).path.as_deref()?.to_string();
    Some(Target { path, is_child: true })
}

/// The activity log.
pub(super) fn main_log(daemon: &Daemon) -> Option<Target> {
    let path = daemon.config.supervisord.logfile.clone()?;
    Some(Target { path, is_child: false })
}

impl Service {
    /// Begins to follow a log; 404 without a file.
    pub(super) fn follow(&mut self, id: ConnId, head: &Head<'_>, target: Target, now: Now, host: &mut dyn Host) {
        let identity = host.file_identity(&target.path);
        let Ok(size) = host.file_size(&target.path) else {
            return self.error(id, head.reply_to, Status::NOT_FOUND, now);
        };
        if !self.has_room_for_stream() {
            return self.refuse_stream(id, head, now);
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let date = self.dates.at(now.wall.secs());
        let modified = format_date(host.file_modified(&target.path).unwrap_or(now.wall.secs()));
        let mut reply = Reply::begin(&mut conn.output, head.reply_to, Status::OK, date)
            .header("Last-Modified", &modified)
            .header("Content-Type", "text/plain;charset=utf-8");
        if target.is_child {
            // What makes tail -f work through nginx.
            reply = reply.header("X-Accel-Buffering", "no");
        }
        let chunked = reply.stream();
        let offset = size.saturating_sub(FIRST_BYTES);
        host.watch_file(id, &target.path);
        let follow = Follow { path: target.path, offset, identity, chunked };
        conn.phase = Phase::Following(Box::new(follow));
        self.followers.insert(id);
        self.dirty.push(id);
        self.feed_follower(id, host);
    }

    /// Sends what there is, as far as the client keeps up.
    pub(super) fn feed_follower(&mut self, id: ConnId, host: &mut dyn Host) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Phase::Following(follow) = &mut conn.phase else { return };
        let mut send = |bytes: &[u8]| {
            if follow.chunked {
                write_chunk(&mut conn.output, bytes)
            } else {
                conn.output.extend_from_slice(bytes)
            }
            conn.output.len() < OUTPUT_BYTES_MAX
        };
        let identity = host.file_identity(&follow.path);
        if identity.is_some() && identity != follow.identity {
            // Rotated or made anew: what was not yet read of the old file went with its name.
            follow.identity = identity;
            follow.offset = 0;
            host.watch_file(id, &follow.path);
        }
        let Ok(size) = host.file_size(&follow.path) else { return };
        if size < follow.offset {
            send(b"==> File truncated <==\n");
            follow.offset = 0;
        }
        while follow.offset < size {
            let span = Span { offset: follow.offset, length: READ_BYTES.min(size - follow.offset) };
            let Ok(bytes) = host.file_read(&follow.path, span) else { break };
            if bytes.is_empty() {
                break;
            }
            follow.offset += bytes.len() as u64;
            self.dirty.push(id);
            if !send(&bytes) {
                break;
            }
        }
    }
}
