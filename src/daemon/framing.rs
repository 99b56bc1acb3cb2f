//! Logs whose lines have a prefix, or are JSON (K-6): what stands before a line, and when its beginning is let out.

use std::time::Duration;

use super::{Daemon, Host};
use crate::clock::{Mono, Now};
use crate::config::{self, LogFormat};
use crate::id::{Channel, ProcId};
use crate::wire::frame::{Framer, Style};
use crate::wire::json;
use crate::wire::prefix::{self, Prefix};

/// The framing of one channel, while there is a child.
pub struct LineFraming {
    framer: Framer,
    /// The prefix as configured; of no meaning for JSON.
    template: String,
    style: Style,
    flush_time: Duration,
    /// When the beginning of a line is let out that waits for its end.
    due: Option<Mono>,
}

impl LineFraming {
    /// The framing that is configured for a channel, if any is: a prefix of its own, or its own format, else those of
    /// all programs.
    pub fn of(
        config: &config::Process,
        channel: Channel,
        supervisord: &config::Supervisord,
    ) -> Option<Box<LineFraming>> {
        let own = &config.program.output(channel).prefix;
        let format = match (config.program.logfile_format, own) {
            (Some(format), _) => format,
            (None, Some(own)) if !own.0.is_empty() => LogFormat::Text,
            (None, _) => supervisord.childlog_format,
        };
        let (style, template) = match format {
            LogFormat::Json => (Style::Json, String::new()),
            LogFormat::Text => {
                let template = own.as_ref().or(supervisord.childlog_prefix.as_ref()).map_or("", |prefix| &prefix.0);
                if template.is_empty() {
                    return None;
                }
                (Style::Text, template.to_string())
            }
        };
        let flush_time = config.program.prefix_flush.0;
        Some(Box::new(LineFraming { framer: Framer::new(style), template, style, flush_time, due: None }))
    }

    /// The log was emptied: what comes stands at its beginning.
    pub(super) fn restart(&mut self) {
        self.framer.interrupt();
    }
}

impl Daemon {
    /// Writes what a child wrote, framed.
    pub(super) fn write_framed(&mut self, id: ProcId, channel: Channel, bytes: &[u8], now: Now, host: &mut dyn Host) {
        self.with_framing(id, channel, now, host, |framing, head, out| {
            framing.framer.feed(bytes, head, out);
            // The time of what waits now begins with it.
            bytes.contains(&b'\n')
        });
    }

    /// Ends the line that has begun: the child has ended.
    pub(super) fn end_line(&mut self, id: ProcId, channel: Channel, now: Now, host: &mut dyn Host) {
        self.with_framing(id, channel, now, host, |framing, head, out| {
            framing.framer.end(head, out);
            true
        });
    }

    /// Lets out beginnings of lines that have waited long enough.
    pub(super) fn flush_lines(&mut self, now: Now, host: &mut dyn Host) {
        while let Some((_, id, channel)) = self.line_deadlines.first().copied().filter(|(at, ..)| *at <= now.mono) {
            self.line_deadlines.pop_first();
            self.with_framing(id, channel, now, host, |framing, head, out| {
                framing.framer.flush(head, out);
                true
            });
        }
    }

    /// Works with the framing of a channel, if it has one and a log is open; the work says whether what waits now is new.
    fn with_framing(
        &mut self,
        id: ProcId,
        channel: Channel,
        now: Now,
        host: &mut dyn Host,
        work: impl FnOnce(&mut LineFraming, &[u8], &mut Vec<u8>) -> bool,
    ) {
        let Some((group, process)) = self.roster.member_mut(id) else { return };
        let pid = process.machine.pid().map_or(0, |pid| i64::from(pid.0));
        let config = process.config.clone();
        let stream = process.output_mut(channel);
        if stream.log.is_none() && stream.ring.is_none() {
            return;
        }
        let (log, Some(mut framing)) = (stream.log, stream.framing.take()) else { return };
        let head = head(&framing, &config, group.name(), (channel, pid), now, host);
        if framing.framer.is_mid_line() && log.is_some_and(|log| host.log_was_interrupted(log)) {
            framing.framer.interrupt();
        }
        let mut out = Vec::new();
        let is_new = work(&mut framing, head.as_bytes(), &mut out);
        self.schedule_line(id, channel, &mut framing, is_new, now);
        if !out.is_empty() {
            self.append_log(id, channel, &out, host);
        }
        if let Some(process) = self.roster.process_mut(id) {
            process.output_mut(channel).framing = Some(framing);
        }
    }

    fn schedule_line(&mut self, id: ProcId, channel: Channel, framing: &mut LineFraming, is_new: bool, now: Now) {
        if is_new && let Some(at) = framing.due.take() {
            self.line_deadlines.remove(&(at, id, channel));
        }
        if framing.due.is_none() && framing.framer.is_waiting() {
            let at = now.mono.after(framing.flush_time);
            framing.due = Some(at);
            self.line_deadlines.insert((at, id, channel));
        }
    }
}

/// What stands before a line.
fn head(
    framing: &LineFraming,
    config: &config::Process,
    group: &str,
    (channel, pid): (Channel, i64),
    now: Now,
    host: &mut dyn Host,
) -> String {
    let (program, process, stream) = (&config.program.name, &config.name, channel.name());
    if framing.style == Style::Json {
        return format!(
            "{{\"time\":\"{}\",\"program\":{},\"group\":{},\"process\":{},\"stream\":\"{stream}\",\"pid\":{pid},\"message\":",
            prefix::iso(now.wall),
            json::string(program),
            json::string(group),
            json::string(process)
        );
    }
    let has = |name: &str| framing.template.contains(name);
    let iso = if has("(iso)") { prefix::iso(now.wall) } else { String::new() };
    let asctime = match has("(asctime)") {
        true => prefix::asctime(now.wall, host.utc_offset(now.wall.secs())),
        false => String::new(),
    };
    let number = config.number;
    let names = Prefix { program, group, process, number, stream, pid, asctime: &asctime, iso: &iso };
    // It was tried when the file was read.
    names.expand(&framing.template).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    /// A prefix of its own wins, an empty one turns it off, and its own format wins over all.
    #[test]
    fn which_framing_a_channel_has() {
        let rows = [
            ("", "", None),
            ("childlog_prefix=all|", "", Some((Style::Text, "all|"))),
            ("childlog_prefix=all|", "stdout_prefix=own|", Some((Style::Text, "own|"))),
            ("childlog_format=json", "", Some((Style::Json, ""))),
            ("childlog_format=json", "stdout_prefix=own|", Some((Style::Text, "own|"))),
            ("childlog_format=json", "logfile_format=text", None),
            ("childlog_prefix=all|", "logfile_format=json", Some((Style::Json, ""))),
        ];
        for (all, own, expected) in rows {
            let text = format!("[supervisord]\n{all}\n[program:p]\ncommand=x\n{own}\n");
            let config = Fake::new().load(&text).unwrap();
            let process = &config.groups[0].processes[0];
            let made = LineFraming::of(process, Channel::Stdout, &config.supervisord);
            let made = made.as_ref().map(|framing| (framing.style, framing.template.as_str()));
            assert_eq!(made, expected, "{all} {own}");
        }
    }
}
