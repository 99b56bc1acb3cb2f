//! Reading and emptying logs (X-80, X-81, L-61, L-62). All offsets and lengths are bytes.

use super::clear::ClearAll;
use super::deferred::Deferred;
use super::logtext::{LogText, PIECE_BYTES, whole_characters};
use super::{Answer, Context, LogAnswer, Outcome, budget, integer, text};
use crate::config::LogFile;
use crate::daemon::host::{Errno, Span};
use crate::daemon::logplace::{Extent, LogPlace};
use crate::daemon::{Daemon, Host, Named};
use crate::fault::{Code, Fault};
use crate::id::Channel;
use crate::wire::value::Value;
use crate::wire::xmlrpc::Writer;

/// Bytes of a log that one call returns at most. The original has no bound; a daemon of one thread must not be made
/// to hold a whole large log in memory, and clients page with the offset.
const READ_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of a log that are answered as a whole. Longer parts are read and sent piece by piece.
const WHOLE_BYTES_MAX: u64 = 2 * PIECE_BYTES;

pub fn read_main(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (offset, length) = (integer(params, 0)?, integer(params, 1)?);
    // Logging to syslog, the original looks for a file of that name.
    let path = context.daemon.config.supervisord.activity_log().unwrap_or("syslog");
    let place = LogPlace::File(path.into());
    read(context, Some(place), offset, length)
}

/// The last `bytes` bytes of a process's log, for the page that shows it.
pub fn end(
    daemon: &Daemon,
    host: &mut dyn Host,
    (name, channel): (&str, Channel),
    bytes: u64,
) -> Result<LogText, Fault> {
    let id = daemon.roster.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    let place = daemon.log_place(id, channel).filter(|place| exists(place, host));
    let place = place.ok_or_else(|| Code::NoFile.bare())?;
    let Extent { start, end } = daemon.log_extent(&place, host).map_err(|_| Code::Failed.bare())?;
    let length = bytes.min(end - start);
    Ok(LogText::new(place, Span { offset: end - length, length }, daemon, host))
}

pub fn read_stdout(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    read_channel(context, params, Channel::Stdout)
}

pub fn read_stderr(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    read_channel(context, params, Channel::Stderr)
}

fn read_channel(context: &mut Context<'_>, params: &[Value], channel: Channel) -> Result<Outcome, Fault> {
    let (offset, length) = (integer(params, 1)?, integer(params, 2)?);
    let place = log_place(context, text(params, 0)?, channel)?;
    read(context, place, offset, length)
}

/// Where a process's log is; `None` where none is configured.
fn log_place(context: &Context<'_>, name: &str, channel: Channel) -> Result<Option<LogPlace>, Fault> {
    let id = context.daemon.roster.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    let Some(process) = context.daemon.roster.process(id) else { return Ok(None) };
    // A log that is configured as an empty path is one that does not exist.
    let is_missing = process.config.log(channel).logfile == LogFile::Path(String::new());
    let missing = is_missing.then(|| LogPlace::File("".into()));
    Ok(context.daemon.log_place(id, channel).or(missing))
}

/// Whether there is a log at a place.
fn exists(place: &LogPlace, host: &mut dyn Host) -> bool {
    match place {
        LogPlace::File(path) => host.file_exists(path),
        LogPlace::Memory(..) => true,
    }
}

fn read(context: &mut Context<'_>, place: Option<LogPlace>, offset: i64, asked: i64) -> Result<Outcome, Fault> {
    let place = match place {
        None => return Err(Code::NoFile.bare()),
        Some(LogPlace::File(path)) if !context.host.file_exists(&path) => return Err(Code::NoFile.with(&*path)),
        Some(place) => place,
    };
    if asked < 0 || (offset < 0 && asked != 0) {
        return Err(Code::BadArguments.bare());
    }
    let failed = |_: Errno| Code::Failed.bare();
    let Extent { start, end: size } = context.daemon.log_extent(&place, context.host).map_err(failed)?;
    let (from, to) = match offset {
        offset if offset < 0 => (size.saturating_sub(offset.unsigned_abs()), size),
        offset => {
            let offset = offset.unsigned_abs();
            (offset, if asked == 0 { size } else { size.min(offset.saturating_add(asked.unsigned_abs())) })
        }
    };
    // What fell off is not there to be read, and what is there keeps its offsets.
    let from = from.max(start);
    let span = Span { offset: from, length: to.saturating_sub(from).min(READ_BYTES_MAX) };
    // Where the client has set the end, and the log goes on behind it.
    if asked > 0 && span.length == asked.unsigned_abs() && ends_in_character(context, &place, span, size) {
        return Ok(Outcome::Now(Answer::CutCharacter));
    }
    if span.length > WHOLE_BYTES_MAX {
        let text = LogText::new(place, span, context.daemon, context.host);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        Writer::new(&mut before).begin_str();
        Writer::new(&mut after).end_str();
        return Ok(Outcome::Now(Answer::Log(Box::new(LogAnswer { before, text, after }))));
    }
    let bytes = context.daemon.log_read(&place, span, context.host).map_err(failed)?;
    let mut xml = Vec::with_capacity(bytes.len() + 64);
    Writer::new(&mut xml).str_lossy(&bytes);
    Ok(Outcome::Now(Answer::Xml(xml)))
}

/// Whether a part of a log ends inside a character that the log goes on with.
fn ends_in_character(context: &mut Context<'_>, place: &LogPlace, span: Span, size: u64) -> bool {
    // A character has at most four bytes.
    let end = span.offset + span.length;
    let before = span.length.min(3);
    let around = Span { offset: end - before, length: before + size.saturating_sub(end).min(3) };
    let Ok(bytes) = context.daemon.log_read(place, around, context.host) else { return false };
    bytes.get(..before as usize).is_some_and(|head| {
        let begun = &bytes[whole_characters(head)..];
        begun.len() > bytes.len() - head.len()
            && std::str::from_utf8(begun).map_or_else(|error| error.valid_up_to() > 0, |_| true)
    })
}

pub fn tail_stdout(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    tail(context, params, Channel::Stdout)
}

pub fn tail_stderr(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    tail(context, params, Channel::Stderr)
}

/// The end of a log: `[text, size, overflow]`. It may repeat text from before the offset, as in the original.
fn tail(context: &mut Context<'_>, params: &[Value], channel: Channel) -> Result<Outcome, Fault> {
    let (offset, length) = (integer(params, 1)?, integer(params, 2)?);
    let place = log_place(context, text(params, 0)?, channel)?;
    let nothing = (Span { offset: 0, length: 0 }, 0, false);
    let (place, (span, size, overflow)) = match place {
        Some(place) if exists(&place, context.host) => {
            let part = tail_part(context, &place, offset, length).unwrap_or(nothing);
            (place, part)
        }
        _ => (LogPlace::File("".into()), nothing),
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut writer = Writer::new(&mut before);
    writer.begin_array();
    writer.begin_str();
    let mut writer = Writer::new(&mut after);
    writer.end_str();
    writer.int(i64::try_from(size).unwrap_or(i64::MAX));
    writer.bool(overflow);
    writer.end_array();
    if span.length > WHOLE_BYTES_MAX {
        let text = LogText::new(place, span, context.daemon, context.host);
        return Ok(Outcome::Now(Answer::Log(Box::new(LogAnswer { before, text, after }))));
    }
    if span.length > 0 {
        match context.daemon.log_read(&place, span, context.host) {
            Ok(bytes) => Writer::new(&mut before).text_lossy(&bytes),
            // As if there were no file.
            Err(_) => return Ok(Value::Array(vec!["".into(), 0.into(), false.into()]).into()),
        }
    }
    before.extend_from_slice(&after);
    Ok(Outcome::Now(Answer::Xml(before)))
}

/// Which part of a log its end is, the log's size, and whether there was more.
fn tail_part(
    context: &mut Context<'_>,
    place: &LogPlace,
    offset: i64,
    length: i64,
) -> Result<(Span, u64, bool), Errno> {
    let Extent { start, end: size } = context.daemon.log_extent(place, context.host)?;
    let end = i64::try_from(size).unwrap_or(i64::MAX);
    // What fell off is as what did not fit.
    let has_lost = i64::try_from(start).unwrap_or(i64::MAX) > offset.max(0);
    let overflow = end > offset.saturating_add(length) || has_lost;
    if !overflow && offset >= end {
        return Ok((Span { offset: 0, length: 0 }, size, false));
    }
    let wanted = u64::try_from(length).unwrap_or(0).min(size - start).min(READ_BYTES_MAX);
    Ok((Span { offset: size - wanted, length: wanted }, size, overflow))
}

/// clearLog: the activity log is emptied (L-61).
pub fn clear_main(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let path = context.daemon.config.supervisord.activity_log().map(str::to_string);
    match path {
        Some(path) if context.host.file_exists(&path) => {
            context.host.activity_clear().map_err(|_| Code::Failed.bare())?;
            Ok(true.into())
        }
        _ => Err(Code::NoFile.bare()),
    }
}

/// clearProcessLogs: both logs of a process are emptied (L-62).
pub fn clear(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let id = context.daemon.roster.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    context.budget.spend(budget::CLEAR_US);
    context.daemon.clear_logs(id, context.host).map_err(|_| Code::Failed.with(name))?;
    Ok(true.into())
}

pub fn clear_all(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    Deferred::ClearAll(ClearAll::new(context.daemon.roster.processes_by_priority())).begin(context)
}

pub fn rotate(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let mut chosen = Vec::new();
    match params.first() {
        None => {}
        Some(Value::Array(names)) => {
            for name in names {
                let name = name.as_str().ok_or_else(|| Code::IncorrectParameters.bare())?;
                match context.daemon.roster.find(name) {
                    Some(Named::Process(id)) => chosen.push(id),
                    Some(Named::Group(id)) => chosen.extend(context.daemon.roster.members_by_priority(id)),
                    None => return Err(Code::BadName.with(name)),
                }
            }
        }
        Some(_) => return Err(Code::IncorrectParameters.bare()),
    }
    if !matches!(params.first(), Some(Value::Array(names)) if !names.is_empty()) {
        chosen = context.daemon.roster.processes_by_priority();
        context.host.activity_rotate();
    }
    for id in chosen {
        context.daemon.rotate_logs(id, context.host);
    }
    Ok(true.into())
}
