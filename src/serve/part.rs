//! Parts of logs by their place in the file: `/stheno/log?name=NAME&stream=stderr&from=123&id=8-15`.
//!
//! `stream` is `stdout`, or `stderr`, or `main` for the activity log. Without `from` it is the end of the file. The answer
//! says by the header `Stheno-Log` what was read: `id=8-15 from=123 to=456 size=456`, and the next question goes on with `to`
//! and that `id`. Where the file is another one by then (it was rotated), or shorter, it is read from its beginning. With
//! `skip=1`, who is behind by more than an answer holds is given the newest part, and sees by `from` what it has missed.

use crate::daemon::host::Span;
use crate::daemon::logplace::{Extent, LogIdentity, LogPlace};
use crate::daemon::{Daemon, Host};
use crate::id::Channel;
use crate::wire::form::Form;

/// Bytes of one answer at most.
const PART_BYTES_MAX: u64 = 256 * 1024;

/// Bytes of one answer if nothing is asked for.
const PART_BYTES: u64 = 64 * 1024;

/// A part of a log.
pub(super) struct Part {
    pub(super) bytes: Vec<u8>,
    identity: String,
    from: u64,
    size: u64,
}

impl Part {
    /// Where it stands, for the header.
    pub(super) fn place(&self) -> String {
        let to = self.from + self.bytes.len() as u64;
        format!("id={} from={} to={to} size={}", self.identity, self.from, self.size)
    }
}

/// The log that is asked for.
pub(super) fn place(daemon: &Daemon, form: &Form) -> Option<LogPlace> {
    let channel = match form.get("stream").unwrap_or("stdout") {
        "main" => return Some(LogPlace::File(daemon.config.supervisord.activity_log()?.into())),
        "stdout" => Channel::Stdout,
        "stderr" => Channel::Stderr,
        _ => return None,
    };
    let id = daemon.roster.find_process(form.get("name")?)?;
    daemon.log_place(id, channel)
}

/// Reads it; `None` without a file.
pub(super) fn read(place: &LogPlace, form: &Form, daemon: &Daemon, host: &mut dyn Host) -> Option<Part> {
    let number = |name| form.get(name).and_then(|text| text.parse::<u64>().ok());
    let Extent { start, end: size } = daemon.log_extent(place, host).ok()?;
    let identity = named(daemon.log_identity(place, host)?);
    let most = number("bytes").unwrap_or(PART_BYTES).clamp(1, PART_BYTES_MAX);
    let is_same = form.get("id").is_none_or(|id| id == identity);
    let newest = size.saturating_sub(most);
    let from = match number("from") {
        None => newest,
        Some(from) if !is_same || from > size => 0,
        Some(from) => from,
    };
    let from = if form.get("skip").is_some() { from.max(newest) } else { from }.max(start);
    let span = Span { offset: from, length: most.min(size.saturating_sub(from)) };
    let bytes = if span.length == 0 { Vec::new() } else { daemon.log_read(place, span, host).ok()? };
    Some(Part { bytes, identity, from, size })
}

/// What a log is, as a word.
fn named(identity: LogIdentity) -> String {
    match identity {
        LogIdentity::File(device, inode) => format!("{device}-{inode}"),
        LogIdentity::Memory(clears) => format!("m{clears}"),
    }
}
