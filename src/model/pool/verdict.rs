//! The result handlers: what is made of what a listener answers (E-47, E-48).

use super::PoolEffect;
use crate::config::types::ResultHandler;
use crate::model::event::Event;

/// What a result handler makes of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Rejected,
    Error,
}

/// The result handlers (E-47, E-48).
pub(super) fn judge(
    handler: ResultHandler,
    event: Option<&Event>,
    result: &[u8],
    out: &mut Vec<PoolEffect>,
) -> Verdict {
    match handler {
        ResultHandler::Default if result == b"OK" => Verdict::Accepted,
        ResultHandler::Default => Verdict::Rejected,
        ResultHandler::StdinWrite => match result.strip_prefix(b"STDIN:") {
            Some(bytes) => match event.and_then(Event::process) {
                Some(process) => {
                    out.push(PoolEffect::WriteStdin { process, bytes: bytes.to_vec() });
                    Verdict::Accepted
                }
                None => Verdict::Error,
            },
            None if result == b"OK" => Verdict::Accepted,
            None => Verdict::Rejected,
        },
        ResultHandler::Stdout => match prefixed_lines(result) {
            Some(lines) => {
                out.push(PoolEffect::Print(lines));
                Verdict::Accepted
            }
            None => Verdict::Error,
        },
    }
}

/// The data of a PROCESS_LOG payload, each line with `<process> <channel> | ` before it; `None` if it is no such payload.
fn prefixed_lines(payload: &[u8]) -> Option<Vec<u8>> {
    let end = payload.iter().position(|byte| *byte == b'\n')?;
    let (header, data) = (std::str::from_utf8(&payload[..end]).ok()?, &payload[end + 1..]);
    let value = |key: &str| header.split_whitespace().find_map(|pair| pair.strip_prefix(key)?.strip_prefix(':'));
    let prefix = format!("{} {} | ", value("processname")?, value("channel")?);
    let data = data.strip_suffix(b"\n").unwrap_or(data);
    let mut lines = Vec::with_capacity(data.len() + prefix.len() + 1);
    for line in data.split(|byte| *byte == b'\n') {
        lines.extend_from_slice(prefix.as_bytes());
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    Some(lines)
}
