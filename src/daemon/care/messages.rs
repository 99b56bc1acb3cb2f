//! What children tell of themselves: that they are ready, that they live, how they are.

use std::time::Duration;

use super::super::Daemon;
use super::super::host::Host;
use crate::clock::Now;
use crate::config::{NotifyAccess, Ready};
use crate::id::{Channel, Pid, ProcId};
use crate::model::process::Event;
use crate::wire::notify::{Message, Pulse};

impl Daemon {
    /// A child's line feed on its descriptor.
    pub fn ready_line(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        let _ = self.step(id, Event::Ready, now, host);
    }

    /// Looks for the text that makes a process ready.
    pub(in super::super) fn look_for_text(
        &mut self,
        id: ProcId,
        channel: Channel,
        bytes: &[u8],
        now: Now,
        host: &mut dyn Host,
    ) {
        let Some(process) = self.roster.process(id) else { return };
        let config = process.config.clone();
        let Ready::Log(text) = &config.ready else { return };
        let Some(watched) = self.care.watched.get_mut(&id).filter(|watched| watched.pid.is_some() && !watched.runs)
        else {
            return;
        };
        if watched.lines[usize::from(channel == Channel::Stderr)].feed(bytes, text.as_bytes()) {
            watched.lines = Default::default();
            let _ = self.step(id, Event::Ready, now, host);
        }
    }

    /// What a child tells of itself.
    pub fn notified(&mut self, id: ProcId, sender: Pid, bytes: &[u8], now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        let Some(pid) = process.machine.pid() else { return };
        let config = process.config.clone();
        let is_heard = match config.program.notify_access {
            NotifyAccess::All => true,
            NotifyAccess::Main => sender == pid,
            NotifyAccess::Group => sender == pid || host.process_group(sender) == Some(pid),
        };
        let watched = self.care.watched.entry(id).or_default();
        if !is_heard {
            if !std::mem::replace(&mut watched.warned, true) {
                let access = "notify_access";
                activity!(Warn, "{}: a message of pid {} does not count ({access})", config.name, sender.0);
            }
            return;
        }
        let message = Message::parse(bytes);
        if let Some(status) = message.status {
            watched.status_text = status;
        }
        watched.reloads = (watched.reloads || message.reloading) && !message.ready;
        if let Some(errno) = message.errno {
            activity!(Info, "{} says ERRNO={errno} ({})", config.name, crate::errno::text(errno));
        }
        if let Some(main) = message.main_pid.filter(|main| *main != pid.0) {
            activity!(Warn, "{}: MAINPID={main} is passed over, it is {}", config.name, pid.0);
        }
        if watched.runs {
            if let Some(usec) = message.watchdog_usec {
                let period = Duration::from_micros(usec);
                watched.watchdog = (usec > 0).then(|| (period, now.mono.after(period)));
            }
            if message.watchdog == Some(Pulse::Alive)
                && let Some((period, until)) = &mut watched.watchdog
            {
                *until = now.mono.after(*period);
            }
        }
        let is_triggered = message.watchdog == Some(Pulse::Trigger) && watched.runs;
        if let Some(usec) = message.extend_usec {
            let _ = self.step(id, Event::Extend(Duration::from_micros(usec)), now, host);
        }
        if message.ready && config.ready == Ready::Notify {
            let _ = self.step(id, Event::Ready, now, host);
        }
        if is_triggered {
            self.silent(id, "has said WATCHDOG=trigger".to_string(), now, host);
        }
        self.reschedule_care(id, now);
    }
}
