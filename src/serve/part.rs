//! Parts of logs by their place in the file: `/stheno/log?name=NAME&stream=stderr&from=123&id=8-15`.
//!
//! `stream` is `stdout`, or `stderr`, or `main` for the activity log. Without `from` it is the end of the file. The answer
//! says by the header `Stheno-Log` what was read: `id=8-15 from=123 to=456 size=456`, and the next question goes on with `to`
//! and that `id`. `stream=both` gives what both logs of a process have in the order in which it came, as far as the daemon
//! remembers it: `from`, `id` and the header are pairs then, and `Stheno-Order: stdout=120 stderr=30` says what is whose.
//!
//! Where the file is another one by then (it was rotated), or shorter, it is read from its beginning. With
//! `skip=1`, who is behind by more than an answer holds is given the newest part, and sees by `from` what it has missed.

use crate::daemon::host::Span;
use crate::daemon::logplace::{Extent, LogIdentity, LogPlace};
use crate::daemon::{Daemon, Host};
use crate::id::{Channel, ProcId};
use crate::model::logs::arrival::Stretch;
use crate::wire::form::Form;

/// Bytes of one answer at most.
const PART_BYTES_MAX: u64 = 256 * 1024;

/// Bytes of one answer if nothing is asked for.
const PART_BYTES: u64 = 64 * 1024;

/// What is read of one log, or of both of a process.
pub(super) struct Part {
    pub(super) bytes: Vec<u8>,
    /// Where it stands, for the header.
    pub(super) place: String,
    /// Whose the bytes are, where that is not clear.
    pub(super) order: Option<String>,
}

/// The logs that are asked for.
pub(super) enum Logs {
    One(LogPlace),
    /// stdout and stderr of a process.
    Both(ProcId, [LogPlace; 2]),
}

/// A part of one log.
struct Piece {
    bytes: Vec<u8>,
    identity: String,
    from: u64,
    size: u64,
}

impl Piece {
    fn to(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }

    fn place(&self) -> String {
        format!("id={} from={} to={} size={}", self.identity, self.from, self.to(), self.size)
    }
}

/// The logs that are asked for.
pub(super) fn logs(daemon: &Daemon, form: &Form) -> Option<Logs> {
    let stream = form.get("stream").unwrap_or("stdout");
    if stream == "main" {
        return Some(Logs::One(LogPlace::File(daemon.config.supervisord.activity_log()?.into())));
    }
    let id = daemon.roster.find_process(form.get("name")?)?;
    let of = |channel| daemon.log_place(id, channel);
    match stream {
        "stdout" => of(Channel::Stdout).map(Logs::One),
        "stderr" => of(Channel::Stderr).map(Logs::One),
        "both" => Some(Logs::Both(id, [of(Channel::Stdout)?, of(Channel::Stderr)?])),
        _ => None,
    }
}

/// Reads them; `None` without a file.
pub(super) fn read(logs: &Logs, form: &Form, daemon: &Daemon, host: &mut dyn Host) -> Option<Part> {
    match logs {
        Logs::One(place) => {
            let piece = read_one(place, 0, form, daemon, host)?;
            Some(Part { place: piece.place(), bytes: piece.bytes, order: None })
        }
        Logs::Both(id, [stdout, stderr]) => {
            let out = read_one(stdout, 0, form, daemon, host)?;
            let mut err = read_one(stderr, 1, form, daemon, host)?;
            if stdout == stderr {
                // They have one file, which is told once.
                (err.bytes, err.from) = (Vec::new(), err.size);
            }
            let arrival = &daemon.roster.process(*id)?.arrival;
            let (mut bytes, mut order) = (Vec::new(), Vec::new());
            for Stretch { channel, from, to } in arrival.stretches((out.from, out.size), (err.from, err.size)) {
                let piece = if channel == Channel::Stdout { &out } else { &err };
                // What is too much for this answer is left for the next.
                let end = to.min(piece.to());
                let within = |at: u64| usize::try_from(at - piece.from).unwrap_or(usize::MAX);
                if let Some(part) = (from < end).then(|| piece.bytes.get(within(from)..within(end))).flatten() {
                    bytes.extend_from_slice(part);
                    order.push(format!("{}={}", channel.name(), part.len()));
                }
            }
            Some(Part { bytes, place: format!("{}; {}", out.place(), err.place()), order: Some(order.join(" ")) })
        }
    }
}

/// Reads one of them, the `nth` of those that the form has its values for.
fn read_one(place: &LogPlace, nth: usize, form: &Form, daemon: &Daemon, host: &mut dyn Host) -> Option<Piece> {
    let own = |name| form.get(name).and_then(|text| text.split(',').nth(nth));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    let Extent { start, end: size } = daemon.log_extent(place, host).ok()?;
    let identity = named(daemon.log_identity(place, host)?);
    let most = number(form.get("bytes")).unwrap_or(PART_BYTES).clamp(1, PART_BYTES_MAX);
    let is_same = own("id").is_none_or(|id| id == identity);
    let newest = size.saturating_sub(most);
    let from = match number(own("from")) {
        None => newest,
        Some(from) if !is_same || from > size => 0,
        Some(from) => from,
    };
    let from = if form.get("skip").is_some() { from.max(newest) } else { from }.max(start);
    let span = Span { offset: from, length: most.min(size.saturating_sub(from)) };
    let bytes = if span.length == 0 { Vec::new() } else { daemon.log_read(place, span, host).ok()? };
    Some(Piece { bytes, identity, from, size })
}

/// What a log is, as a word.
fn named(identity: LogIdentity) -> String {
    match identity {
        LogIdentity::File(device, inode) => format!("{device}-{inode}"),
        LogIdentity::Memory(clears) => format!("m{clears}"),
    }
}
