//! Reading and emptying logs (X-80, X-81, L-61, L-62). All offsets and lengths are bytes.

use super::clear::ClearAll;
use super::deferred::Deferred;
use super::logtext::{LogText, PIECE_BYTES, whole_characters};
use super::{Answer, Context, LogAnswer, Outcome, budget, integer, text};
use crate::config::LogFile;
use crate::daemon::host::{Errno, Span};
use crate::daemon::{Daemon, Host, Target};
use crate::fault::{Code, Fault};
use crate::id::Channel;
use crate::wire::value::Value;
use crate::wire::xmlrpc::Writer;

/// Bytes of a log that one call returns at most. The original has no bound; a daemon of one thread must not be made
/// to hold a whole large log in memory, and clients page with the offset.
pub const READ_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of a log that are answered as a whole. Longer parts are read and sent piece by piece.
const WHOLE_BYTES_MAX: u64 = 2 * PIECE_BYTES;

/// readLog.
pub fn read_main(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (offset, length) = (integer(params, 0)?, integer(params, 1)?);
    let path = context.daemon.config.supervisord.activity_log().map(str::to_string);
    // Logging to syslog, the original looks for a file of that name.
    read(context, Some(path.as_deref().unwrap_or("syslog")), offset, length)
}

/// The last `bytes` bytes of a process's stdout log, for the page that shows it.
pub fn end(daemon: &Daemon, host: &mut dyn Host, name: &str, bytes: u64) -> Result<LogText, Fault> {
    let id = daemon.roster.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    let path = daemon.roster.process(id).and_then(|process| process.stdout.path.as_deref());
    let path = path.filter(|path| host.file_exists(path)).ok_or_else(|| Code::NoFile.bare())?;
    let size = host.file_size(path).map_err(|_| Code::Failed.bare())?;
    let length = bytes.min(size);
    Ok(LogText::new(path, Span { offset: size - length, length }, host))
}

/// readProcessStdoutLog.
pub fn read_stdout(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    read_channel(context, params, Channel::Stdout)
}

/// readProcessStderrLog.
pub fn read_stderr(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    read_channel(context, params, Channel::Stderr)
}

fn read_channel(context: &mut Context<'_>, params: &[Value], channel: Channel) -> Result<Outcome, Fault> {
    let (offset, length) = (integer(params, 1)?, integer(params, 2)?);
    let path = log_path(context, text(params, 0)?, channel)?;
    read(context, path.as_deref(), offset, length)
}

/// Path of a process's log; `None` where none is configured.
fn log_path(context: &Context<'_>, name: &str, channel: Channel) -> Result<Option<String>, Fault> {
    let id = context.daemon.roster.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    let Some(process) = context.daemon.roster.process(id) else { return Ok(None) };
    // A log that is configured as an empty path is one that does not exist.
    let missing = (process.config.log(channel).logfile == LogFile::Path(String::new())).then(String::new);
    Ok(process.output(channel).path.as_deref().map(str::to_string).or(missing))
}

fn read(context: &mut Context<'_>, path: Option<&str>, offset: i64, asked: i64) -> Result<Outcome, Fault> {
    let path = match path {
        None => return Err(Code::NoFile.bare()),
        Some(path) if !context.host.file_exists(path) => return Err(Code::NoFile.with(path)),
        Some(path) => path,
    };
    if asked < 0 || (offset < 0 && asked != 0) {
        return Err(Code::BadArguments.bare());
    }
    let failed = |_: Errno| Code::Failed.bare();
    let size = context.host.file_size(path).map_err(failed)?;
    let (offset, length) = match offset {
        offset if offset < 0 => {
            let wanted = offset.unsigned_abs().min(size);
            (size - wanted, wanted)
        }
        offset => {
            let rest = size.saturating_sub(offset.unsigned_abs());
            (offset.unsigned_abs(), if asked == 0 { rest } else { rest.min(asked.unsigned_abs()) })
        }
    };
    let span = Span { offset, length: length.min(READ_BYTES_MAX) };
    // Where the client has set the end, and the log goes on behind it.
    if asked > 0 && span.length == asked.unsigned_abs() && ends_in_character(context.host, path, span, size) {
        return Ok(Outcome::Now(Answer::CutCharacter));
    }
    if span.length > WHOLE_BYTES_MAX {
        let text = LogText::new(path, span, context.host);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        Writer::new(&mut before).begin_str();
        Writer::new(&mut after).end_str();
        return Ok(Outcome::Now(Answer::Log(Box::new(LogAnswer { before, text, after }))));
    }
    let bytes = context.host.file_read(path, span).map_err(failed)?;
    let mut xml = Vec::with_capacity(bytes.len() + 64);
    Writer::new(&mut xml).str_lossy(&bytes);
    Ok(Outcome::Now(Answer::Xml(xml)))
}

/// Whether a part of a log ends inside a character that the log goes on with.
fn ends_in_character(host: &mut dyn Host, path: &str, span: Span, size: u64) -> bool {
    // A character has at most four bytes.
    let end = span.offset + span.length;
    let before = span.length.min(3);
    let around = Span { offset: end - before, length: before + size.saturating_sub(end).min(3) };
    let Ok(bytes) = host.file_read(path, around) else { return false };
    bytes.get(..before as usize).is_some_and(|head| {
        let begun = &bytes[whole_characters(head)..];
        begun.len() > bytes.len() - head.len()
            && std::str::from_utf8(begun).map_or_else(|error| error.valid_up_to() > 0, |_| true)
    })
}

/// tailProcessStdoutLog.
pub fn tail_stdout(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    tail(context, params, Channel::Stdout)
}

/// tailProcessStderrLog.
pub fn tail_stderr(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    tail(context, params, Channel::Stderr)
}

/// The end of a log: `[text, size, overflow]`. It may repeat text from before the offset, as in the original.
fn tail(context: &mut Context<'_>, params: &[Value], channel: Channel) -> Result<Outcome, Fault> {
    let (offset, length) = (integer(params, 1)?, integer(params, 2)?);
    let path = log_path(context, text(params, 0)?, channel)?;
    let nothing = (Span { offset: 0, length: 0 }, 0, false);
    let (path, (span, size, overflow)) = match path {
        Some(path) if context.host.file_exists(&path) => {
            let part = tail_part(context, &path, offset, length).unwrap_or(nothing);
            (path, part)
        }
        _ => (String::new(), nothing),
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
        let text = LogText::new(&path, span, context.host);
        return Ok(Outcome::Now(Answer::Log(Box::new(LogAnswer { before, text, after }))));
    }
    if span.length > 0 {
        match context.host.file_read(&path, span) {
            Ok(bytes) => Writer::new(&mut before).text_lossy(&bytes),
            // As if there were no file.
            Err(_) => return Ok(Value::Array(vec!["".into(), 0.into(), false.into()]).into()),
        }
    }
    before.extend_from_slice(&after);
    Ok(Outcome::Now(Answer::Xml(before)))
}

/// Which part of a log its end is, the log's size, and whether there was more.
fn tail_part(context: &mut Context<'_>, path: &str, offset: i64, length: i64) -> Result<(Span, u64, bool), Errno> {
    let size = context.host.file_size(path)?;
    let end = i64::try_from(size).unwrap_or(i64::MAX);
    let overflow = end > offset.saturating_add(length);
    if !overflow && offset >= end {
        return Ok((Span { offset: 0, length: 0 }, size, false));
    }
    let wanted = u64::try_from(length).unwrap_or(0).min(size).min(READ_BYTES_MAX);
    Ok((Span { offset: size - wanted, length: wanted }, size, overflow))
}

/// clearLog (L-61).
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

/// clearProcessLogs (L-62).
pub fn clear(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let id = context.daemon.roster.find_process(name).ok_or_else(|| Code::BadName.with(name))?;
    context.budget.spend(budget::CLEAR_US);
    context.daemon.clear_logs(id, context.host).map_err(|_| Code::Failed.with(name))?;
    Ok(true.into())
}

/// clearAllProcessLogs.
pub fn clear_all(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    Deferred::ClearAll(ClearAll::new(context.daemon.roster.processes_by_priority())).begin(context)
}

/// stheno.rotateLogs.
pub fn rotate(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let mut chosen = Vec::new();
    match params.first() {
        None => {}
        Some(Value::Array(names)) => {
            for name in names {
                let name = name.as_str().ok_or_else(|| Code::IncorrectParameters.bare())?;
                match context.daemon.roster.find(name) {
                    Some(Target::Process(id)) => chosen.push(id),
                    Some(Target::Group(id)) => chosen.extend(context.daemon.roster.members_by_priority(id)),
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
