//! tail, maintail, logs (S-31 to S-35).

use super::names::{expand_one, namespec_of};
use super::status;
use crate::config::datatypes;
use crate::ctl::error::Error;
use crate::ctl::hints;
use crate::ctl::session::Session;
use crate::ctl::stream::{self, Stream};
use crate::fault::Code;
use crate::namespec;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// Bytes shown without `-N` (S-31).
const TAIL_BYTES: i64 = 1600;
/// The largest `<int>` of XML-RPC.
const INTEGER_MAX: i64 = i32::MAX as i64;
/// Lines that `logs` shows without `-n`.
const LOGS_LINES: usize = 10;
/// Bytes that `logs` reads for a line asked for, and at most: the daemon sends bytes, not lines.
const LINE_BYTES: usize = 400;
const LOGS_BYTES_MAX: usize = 1 << 20;
/// The longest part of a line kept while its end has not come.
const PARTIAL_BYTES_MAX: usize = 64 << 10;
/// A character of UTF-8 is at most this long: so often a read may begin inside one.
const CHARACTER_BYTES_MAX: i64 = 4;

/// What a modifier (`-f`, `-100`) asks for.
enum Amount {
    Follow,
    Bytes(i64),
}

fn amount(modifier: &str) -> Option<Amount> {
    match modifier.strip_prefix('-')? {
        "f" => Some(Amount::Follow),
        // More than the protocol's integers hold is more than any log holds.
        digits => datatypes::integer(digits).map(|bytes| Amount::Bytes(bytes.clamp(-INTEGER_MAX, INTEGER_MAX))),
    }
}

/// `tail [-f|-N] name [stdout|stderr]` (S-31, S-32).
pub fn tail(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    if words.is_empty() || words.len() > 3 {
        let what = if words.is_empty() { "few" } else { "many" };
        return Err(Error::usage(format!("Error: too {what} arguments"), 1));
    }
    let (modifier, words) = match words.split_first() {
        Some((first, rest)) if first.starts_with('-') => (Some(*first), rest),
        _ => (None, &words[..]),
    };
    let channel = if words.len() > 1 { words.last().map(|word| word.to_lowercase()) } else { None };
    let Some(name) = words.first() else { return session.complain("Error: tail requires process name") };
    let channel = channel.unwrap_or_else(|| "stdout".to_string());
    if channel != "stdout" && channel != "stderr" {
        return session.complain(&format!("Error: bad channel {}", pyrepr::text(&channel)));
    }
    let name = expand_one(session, name)?;
    let bytes = match modifier.map(|modifier| (modifier, amount(modifier))) {
        None => TAIL_BYTES,
        Some((_, Some(Amount::Bytes(bytes)))) => bytes,
        Some((_, Some(Amount::Follow))) => {
            // The stream of a log that is none says so in words of HTTP only.
            if session.gives_hints {
                match session.call("supervisor.getProcessInfo", &[Value::from(name.clone())]) {
                    Err(error) if error.is(Code::BadName) => {
                        session.complain(&format!("{name}: ERROR (no such process)"))?;
                        hints::no_such_process(session, &name);
                        return Ok(());
                    }
                    _ => {}
                }
            }
            stream::follow(session, &format!("/logtail/{name}/{channel}"));
            return Ok(());
        }
        Some((modifier, None)) => return session.complain(&format!("Error: bad argument {modifier}")),
    };
    let method = if channel == "stdout" { "readProcessStdoutLog" } else { "readProcessStderrLog" };
    let params = [Value::from(name.clone()), Value::from(-bytes), Value::from(0)];
    let answer = session.call(&format!("supervisor.{method}"), &params);
    print_log(session, &name, answer)
}

/// Begins new files for the logs of processes, or of all, `rotate [NAME…]`.
pub fn rotate(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let names: Vec<&str> = arguments.split_whitespace().filter(|name| *name != "all").collect();
    let values = names.iter().map(|name| Value::from(name.to_string())).collect();
    match session.call("stheno.rotateLogs", &[Value::Array(values)]) {
        Err(Error::Fault { code, text }) if code == Code::BadName as i64 => {
            // The fault says which of the names it is.
            let name = text.split_once(": ").map_or(text.as_str(), |(_, name)| name);
            let what = if namespec::split(name).process.is_some() { "process" } else { "group" };
            session.complain(&format!("{name}: ERROR (no such {what})"))?;
            hints::no_such_process(session, name);
            return Ok(());
        }
        answer => answer?,
    };
    if names.is_empty() {
        session.print("all: rotated");
    }
    for name in names {
        session.print(&format!("{name}: rotated"));
    }
    Ok(())
}

/// Shows the end of the activity log or follows it, `maintail [-f|-N]` (S-34).
pub fn maintail(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    if words.len() > 1 {
        return Err(Error::usage("Error: too many arguments", 1));
    }
    let bytes = match words.first().map(|word| (word, amount(word))) {
        None => TAIL_BYTES,
        Some((_, Some(Amount::Bytes(bytes)))) => bytes,
        Some((_, Some(Amount::Follow))) => {
            stream::follow(session, "/mainlogtail");
            return Ok(());
        }
        Some((word, None)) => return session.complain(&format!("Error: bad argument {word}")),
    };
    let answer = session.call("supervisor.readLog", &[Value::from(-bytes), Value::from(0)]);
    print_log(session, "supervisord", answer)
}

/// Prints a log's text and one newline, or why there is none.
fn print_log(session: &mut Session, name: &str, answer: Result<Value, Error>) -> Result<(), Error> {
    let error = match answer {
        Ok(value) => {
            let text = value.as_str().ok_or_else(|| Error::BadAnswer("a string was expected".to_string()))?;
            session.write(text.as_bytes());
            session.write(b"\n");
            return Ok(());
        }
        Err(error) => error,
    };
    let texts = [
        (Code::NoFile, "no log file"),
        (Code::Failed, "unknown error reading log"),
        (Code::BadName, "no such process name"),
    ];
    match texts.iter().find(|(code, _)| error.is(*code)) {
        Some((code, text)) => {
            session.complain(&format!("{name}: ERROR ({text})"))?;
            if *code == Code::BadName {
                hints::no_such_process(session, name);
            }
            Ok(())
        }
        None => Err(error),
    }
}

/// One log of several: what stands before its lines, and what came of a line whose end has not come.
struct Source {
    label: String,
    partial: Vec<u8>,
}

/// `logs [-f] [-n LINES] name …`: the last lines of both channels of several processes, each line with the name of
/// its process before it.
pub fn logs(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let (mut names, mut follows, mut lines) = (Vec::new(), false, LOGS_LINES);
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "-f" => follows = true,
            _ if word.starts_with("-n") => {
                let digits = if word == "-n" { words.next() } else { word.get(2..) };
                match digits.and_then(|digits| digits.parse().ok()) {
                    Some(count) => lines = count,
                    None => return session.complain("Error: -n takes a number of lines"),
                }
            }
            _ if word.starts_with('-') => return session.complain(&format!("Error: bad argument {word}")),
            _ => names.push(word.to_string()),
        }
    }
    if names.is_empty() {
        return Err(Error::usage("Error: logs requires a process name", 1));
    }
    let infos = super::names::array(session.call("supervisor.getAllProcessInfo", &[])?)?;
    let (chosen, errors) = status::choose(&infos, names)?;
    for error in errors {
        session.print(&error);
        session.status = 1;
        hints::no_such_process(session, error.split(": ERROR").next().unwrap_or_default());
    }
    let mut sources: Vec<(String, &str)> = Vec::new();
    for info in chosen {
        for channel in ["stdout", "stderr"] {
            let source = (namespec_of(info)?, channel);
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
    }
    let label = |(name, channel): &(String, &str)| match *channel {
        "stderr" => format!("{name} stderr"),
        _ => name.clone(),
    };
    let width = sources.iter().map(|source| label(source).chars().count()).max().unwrap_or(0);
    let labelled = |source: &(String, &str)| format!("{:width$} | ", label(source));
    if follows {
        let logs = sources.iter().map(|source| (labelled(source), format!("/logtail/{}/{}", source.0, source.1)));
        follow_all(session, logs.collect(), lines);
        return Ok(());
    }
    for source in &sources {
        if let Some(text) = last_lines(session, &source.0, source.1, lines)? {
            for line in text.lines() {
                session.write(labelled(source).as_bytes());
                session.write(line.as_bytes());
                session.write(b"\n");
            }
        }
    }
    Ok(())
}

/// The last lines of one log; `None` if there is no such log.
fn last_lines(session: &mut Session, name: &str, channel: &str, lines: usize) -> Result<Option<String>, Error> {
    let method = if channel == "stdout" { "readProcessStdoutLog" } else { "readProcessStderrLog" };
    let bytes = (lines + 1).saturating_mul(LINE_BYTES).min(LOGS_BYTES_MAX) as i64;
    let mut shift = 0;
    let text = loop {
        let params = [Value::from(name.to_string()), Value::from(shift - bytes), Value::from(0)];
        match session.call(&format!("supervisor.{method}"), &params) {
            Ok(value) => break value.as_str().unwrap_or_default().to_string(),
            Err(error) if error.is(Code::NoFile) => return Ok(None),
            // 4.3.0 fails if the text begins inside a character.
            Err(Error::Status { code: 500, .. }) if shift < CHARACTER_BYTES_MAX => shift += 1,
            Err(error) => return Err(error),
        }
    };
    // A full answer begins somewhere within a line.
    let is_whole = (text.len() as i64) < bytes - shift;
    let whole = if is_whole { text.as_str() } else { text.split_once('\n').map_or("", |(_, rest)| rest) };
    Ok(Some(keep_last(whole, lines).to_string()))
}

/// The last lines of a text.
fn keep_last(text: &str, lines: usize) -> &str {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let ends: Vec<usize> = body.match_indices('\n').map(|(at, _)| at + 1).collect();
    if lines == 0 {
        return "";
    }
    match (ends.len() + 1).checked_sub(lines) {
        None | Some(0) => text,
        Some(skipped) => &text[ends[skipped - 1]..],
    }
}

/// Follows several logs until Ctrl-C, or until none is left. A stream begins with the last 1024 bytes of its log, of
/// which the last lines are shown.
fn follow_all(session: &mut Session, logs: Vec<(String, String)>, lines: usize) {
    session.print("==> Press Ctrl-C to exit <==");
    session.flush();
    session.catch_interrupts();
    let mut streams: Vec<(Stream, Source, bool)> = Vec::new();
    for (label, path) in logs {
        match Stream::open(&session.options.server, &path) {
            Ok(stream) => streams.push((stream, Source { label, partial: Vec::new() }, true)),
            Err(line) => session.print_error(&line),
        }
    }
    let mut bytes = Vec::new();
    while !streams.is_empty() {
        let fds: Vec<_> = streams.iter().map(|(stream, ..)| stream.fd()).collect();
        let Some(ready) = stream::was_interrupted(session, &fds) else {
            session.print("");
            return;
        };
        let mut at = 0;
        let mut is_seen = true;
        streams.retain_mut(|(stream, source, is_first)| {
            at += 1;
            if !ready[at - 1] {
                return true;
            }
            bytes.clear();
            // A process without such a log has no stream: its other channel may.
            let goes_on = stream.read(&mut bytes).unwrap_or(false);
            if *is_first && !bytes.is_empty() {
                *is_first = false;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                bytes = keep_last(&text, lines).as_bytes().to_vec();
            }
            is_seen &= source.print(session, &bytes, !goes_on);
            goes_on
        });
        if !(session.flush() && is_seen) {
            return;
        }
    }
}

impl Source {
    /// Prints the whole lines of what came, with the label before each; whether somebody sees them.
    fn print(&mut self, session: &mut Session, bytes: &[u8], is_last: bool) -> bool {
        self.partial.extend_from_slice(bytes);
        let end = match self.partial.iter().rposition(|&byte| byte == b'\n') {
            _ if is_last || self.partial.len() > PARTIAL_BYTES_MAX => self.partial.len(),
            Some(end) => end + 1,
            None => return true,
        };
        let lines: Vec<u8> = self.partial.drain(..end).collect();
        lines.split_inclusive(|&byte| byte == b'\n').all(|line| {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            session.write(self.label.as_bytes()) && session.write(text) && session.write(b"\n")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_of_a_text() {
        let rows = [
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\n", 2, "a\nb\n"),
            ("a\n", 5, "a\n"),
            ("a\nb\n", 0, ""),
            ("", 3, ""),
            ("\n\n", 1, "\n"),
        ];
        for (text, lines, expected) in rows {
            assert_eq!(keep_last(text, lines), expected, "{text:?} {lines}");
        }
    }
}
