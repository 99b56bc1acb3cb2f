//! What children write: through the stripper and capture mode to logs, syslog, the activity log and events.
//!
//! The ordinary path (a log file, nothing else) hands the slice on without copying or allocating.

use super::{Daemon, Host};
use crate::clock::Now;
use crate::config::{GroupKind, Ready};
use crate::eventtype::EventType;
use crate::id::{Channel, ProcId};
use crate::level::Level;
use crate::logs::syslog::Label;
use crate::model::backpressure::{Outlet, WaitsFor};
use crate::model::event::Event;
use crate::state::SupervisorState;
use crate::wire::ansi::Stripper;
use crate::wire::capture::Piece;
use crate::wire::pyrepr;

impl Daemon {
    /// Takes what a child wrote.
    pub fn output(&mut self, id: ProcId, channel: Channel, bytes: &[u8], now: Now, host: &mut dyn Host) {
        if let Some(process) = self.roster.process(id)
            && matches!(process.config.ready, Ready::Log(_))
        {
            self.look_for_text(id, channel, bytes, now, host);
        }
        let Some((group, process)) = self.roster.member_mut(id) else { return };
        process.output_mut(channel).written += bytes.len() as u64;
        if channel == Channel::Stdout && matches!(group.config.kind, GroupKind::Listener(_)) {
            self.write_log(id, channel, bytes, now, host);
            self.listener_output(id, bytes, now, host);
            return;
        }
        if self.config.supervisord.strip_ansi {
            let mut stripper =
                process.output_mut(channel).stripper.take().unwrap_or_else(|| Box::new(Stripper::default()));
            let mut scratch = Vec::new();
            let stripped = stripper.strip(bytes, &mut scratch);
            self.captured(id, channel, stripped, now, host);
            if let Some(process) = self.roster.process_mut(id) {
                process.output_mut(channel).stripper = Some(stripper);
            }
        } else {
            self.captured(id, channel, bytes, now, host);
        }
    }

    /// Whether something may follow from what a process has just written: somebody is to hear of it, a state has changed,
    /// a line waits for its end.
    pub fn minds_output(&self, id: ProcId) -> bool {
        self.has_changed()
            || self.has_ring_news
            || self.bus.has_marked()
            || !self.line_deadlines.is_empty()
            || self.state != SupervisorState::Running
            || self.roster.is_listener(id)
    }

    /// Takes as many of these bytes as there is room for, and says how many.
    pub fn offer_output(
        &mut self,
        (id, channel): Outlet,
        bytes: &[u8],
        waits_for: WaitsFor,
        now: Now,
        host: &mut dyn Host,
    ) -> usize {
        let fitting = self.fitting((id, channel), bytes, waits_for, now);
        if fitting > 0 {
            self.output(id, channel, &bytes[..fitting], now, host);
        }
        fitting
    }

    /// How many of these bytes can be taken now: a message of capture mode waits while the queue of a pool that wants it
    /// is full and the pool's listeners are at work.
    fn fitting(&self, (id, channel): Outlet, bytes: &[u8], waits_for: WaitsFor, now: Now) -> usize {
        let kind = EventType::communication(channel);
        if !self.bus.wants(kind) {
            return bytes.len();
        }
        let capture = self.roster.process(id).and_then(|process| process.output(channel).capture.as_ref());
        let Some(capture) = capture else { return bytes.len() };
        let room = self.bus.room(kind, waits_for, now.mono);
        room.map_or(bytes.len(), |room| capture.fitting(bytes, room))
    }

    /// Lets out what capture mode holds back: the child has ended.
    pub(super) fn flush_output(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        for channel in [Channel::Stdout, Channel::Stderr] {
            let Some(process) = self.roster.process_mut(id) else { return };
            if let Some(mut capture) = process.output_mut(channel).capture.take() {
                capture.finish(&mut |piece| self.piece(id, channel, piece, now, host));
            }
            self.end_line(id, channel, now, host);
        }
    }

    fn captured(&mut self, id: ProcId, channel: Channel, bytes: &[u8], now: Now, host: &mut dyn Host) {
        if bytes.is_empty() {
            return;
        }
        let Some(process) = self.roster.process_mut(id) else { return };
        // The capture stands aside while its pieces are handled, which needs the rest of the daemon.
        match process.output_mut(channel).capture.take() {
            None => self.piece(id, channel, Piece::Log(bytes), now, host),
            Some(mut capture) => {
                capture.feed(bytes, &mut |piece| self.piece(id, channel, piece, now, host));
                if let Some(process) = self.roster.process_mut(id) {
                    process.output_mut(channel).capture = Some(capture);
                }
            }
        }
    }

    fn piece(&mut self, id: ProcId, channel: Channel, piece: Piece<'_>, now: Now, host: &mut dyn Host) {
        match piece {
            Piece::Log(bytes) => {
                self.write_log(id, channel, bytes, now, host);
                self.syslog(id, channel, bytes, host);
                self.report(id, channel, bytes);
            }
            // Captured text is reported too, before its own event, contrary to the manual (L-74).
            Piece::Captured(bytes) => self.report(id, channel, bytes),
            Piece::Message(bytes) => self.communicate(id, channel, bytes),
            Piece::Unfinished(bytes) => {
                self.write_log(id, channel, bytes, now, host);
                self.syslog(id, channel, bytes, host);
            }
        }
    }

    fn write_log(&mut self, id: ProcId, channel: Channel, bytes: &[u8], now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process_mut(id) else { return };
        let stream = process.output(channel);
        match (stream.log, &stream.framing) {
            (Some(log), None) => {
                process.arrival.note(channel, bytes.len());
                host.log_write(log, bytes);
            }
            (_, Some(_)) => self.write_framed(id, channel, bytes, now, host),
            (None, None) => self.append_log(id, channel, bytes, host),
        }
    }

    /// One message for each line of the chunk (L-33).
    fn syslog(&self, id: ProcId, channel: Channel, bytes: &[u8], host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        if process.config.log(channel).syslog {
            let (config, all) = (&process.config, &self.config.supervisord);
            let program = &config.program;
            let label = Label {
                facility: program.syslog_facility.unwrap_or(all.syslog_facility),
                priority: match channel {
                    Channel::Stdout => program.syslog_stdout_priority,
                    Channel::Stderr => program.syslog_stderr_priority,
                },
                tag: &config.syslog_tag.as_ref().unwrap_or(&all.syslog_tag).0,
            };
            let address = program.syslog_address.as_ref().unwrap_or(&all.syslog_address);
            host.syslog(address, &label, &config.name, bytes);
        }
    }

    /// To the activity log at level debug (L-32), and as a PROCESS_LOG event (E-7).
    fn report(&mut self, id: ProcId, channel: Channel, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let Some(process) = self.roster.process(id) else { return };
        let config = &process.config;
        if self.config.supervisord.loglevel <= Level::Debug {
            activity!(
                Debug,
                "{} {} output:\n{}",
                pyrepr::text(&config.name),
                channel.name(),
                pyrepr::utf8_or_undecodable(bytes)
            );
        }
        let kind = match channel {
            Channel::Stdout => EventType::ProcessLogStdout,
            Channel::Stderr => EventType::ProcessLogStderr,
        };
        if config.program.output(channel).events_enabled && self.bus.wants(kind) {
            let Some((subject, pid)) = self.subject(id) else { return };
            let event = Event::log(subject, pid, channel, bytes);
            self.bus.emit(event);
        }
    }

    /// A whole message of capture mode (E-8).
    fn communicate(&mut self, id: ProcId, channel: Channel, bytes: &[u8]) {
        let kind = EventType::communication(channel);
        if self.bus.wants(kind) {
            let Some((subject, pid)) = self.subject(id) else { return };
            let event = Event::communication(subject, pid, channel, bytes);
            self.bus.emit(event);
        }
        if let Some(process) = self.roster.process(id) {
            activity!(Debug, "'{}' {} emitted a comm event", process.config.name, channel.name());
        }
    }
}
