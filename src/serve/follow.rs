//! Following logs. Nothing is polled: the system tells when a file has changed, whoever wrote it.

use crate::daemon::host::Span;
use crate::daemon::{Daemon, Host};
use crate::id::{Channel, ConnId};
use crate::wire::http::StreamBody;

/// Bytes of the end of a log that a stream begins with.
const FIRST_BYTES: u64 = 1024;

/// Bytes of output that wait for a slow reader; then reading pauses until they are written.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Bytes read from a log at a time.
const READ_BYTES: u64 = 32 * 1024;

/// What can be followed.
pub(super) struct Target {
    pub(super) path: String,
    /// Whether it is a child's.
    pub(super) is_child: bool,
}

/// The log that `/<name>[/<channel>]` names.
pub(super) fn child_log(daemon: &Daemon, rest: &str) -> Option<Target> {
    let (name, channel) = match rest.strip_prefix('/')?.split_once('/') {
        None => (rest.strip_prefix('/')?, Channel::Stdout),
        Some((name, "stdout")) => (name, Channel::Stdout),
        Some((name, "stderr")) => (name, Channel::Stderr),
        Some(_) => return None,
    };
    let id = daemon.roster.find_process(name)?;
    let path = daemon.roster.process(id)?.output(channel).path.as_deref()?.to_string();
    Some(Target { path, is_child: true })
}

/// The activity log.
pub(super) fn main_log(daemon: &Daemon) -> Option<Target> {
    let path = daemon.config.supervisord.activity_log()?.to_string();
    Some(Target { path, is_child: false })
}

/// A log being followed.
pub(super) struct LogFeed {
    path: String,
    offset: u64,
    identity: Option<(u64, u64)>,
    body: StreamBody,
}

impl LogFeed {
    /// Follows a log of that size from shortly before its end.
    pub(super) fn begin(conn: ConnId, path: String, size: u64, body: StreamBody, host: &mut dyn Host) -> LogFeed {
        host.watch_file(conn, &path);
        LogFeed { offset: size.saturating_sub(FIRST_BYTES), identity: host.file_identity(&path), path, body }
    }

    /// Appends what there is, as far as the client keeps up. Says whether something was appended.
    pub(super) fn feed(&mut self, conn: ConnId, output: &mut Vec<u8>, host: &mut dyn Host) -> bool {
        let before = output.len();
        if before >= OUTPUT_BYTES_MAX {
            // It goes on in the file from where it is, once this is written.
            return false;
        }
        let identity = host.file_identity(&self.path);
        if identity.is_some() && identity != self.identity {
            // Rotated or made anew: what was not yet read of the old file went with its name.
            self.identity = identity;
            self.offset = 0;
            host.watch_file(conn, &self.path);
        }
        let Ok(size) = host.file_size(&self.path) else { return false };
        if size < self.offset {
            self.body.write(output, b"==> File truncated <==\n");
            self.offset = 0;
        }
        while self.offset < size {
            let span = Span { offset: self.offset, length: READ_BYTES.min(size - self.offset) };
            let Ok(bytes) = host.file_read(&self.path, span) else { break };
            if bytes.is_empty() {
                break;
            }
            self.offset += bytes.len() as u64;
            self.body.write(output, &bytes);
            if output.len() >= OUTPUT_BYTES_MAX {
                break;
            }
        }
        output.len() > before
    }
}
