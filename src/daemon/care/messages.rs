//! What children tell of themselves: that they are ready, that they live, how they are.

use std::time::Duration;

use super::super::Daemon;
use super::super::host::Host;
use crate::clock::{Mono, Now};
use crate::config::{NotifyAccess, Ready};
use crate::id::{Channel, Pid, ProcId};
use crate::model::process::Trigger;
use crate::wire::notify::{Notification, Pulse};

/// What a process says of its reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloading {
    Unheard,
    /// It has said RELOADING=1 and not READY=1 since.
    UnderWay,
    /// It has said READY=1 after that.
    Done,
}

impl Daemon {
    /// A child's line feed on its descriptor.
    pub fn ready_line(&mut self, id: ProcId, now: Now, host: &mut dyn Host) {
        let _ = self.step(id, Trigger::Ready, now, host);
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
            let _ = self.step(id, Trigger::Ready, now, host);
        }
    }

    /// What a child tells of itself.
    pub fn notified(&mut self, id: ProcId, sender: Pid, bytes: &[u8], now: Now, host: &mut dyn Host) {
        let Some(process) = self.roster.process(id) else { return };
        let Some(pid) = process.machine.pid() else { return };
        let config = process.config.clone();
        let main = self.care.watched.get(&id).and_then(|watched| watched.main);
        let is_heard = match config.program.notify_access {
            NotifyAccess::All => true,
            NotifyAccess::Main => sender == pid || Some(sender) == main,
            NotifyAccess::Group => sender == pid || Some(sender) == main || host.process_group(sender) == Some(pid),
        };
        let watched = self.care.watched.entry(id).or_default();
        if !is_heard {
            if !std::mem::replace(&mut watched.warned, true) {
                let access = "notify_access";
                activity!(Warn, "{}: a message of pid {} does not count ({access})", config.name, sender.0);
            }
            return;
        }
        let message = Notification::parse(bytes);
        if let Some(status) = message.status {
            watched.status_text = status;
        }
        // Noted once: a program may say it ten thousand times a second.
        if let Some(errno) = message.errno.filter(|errno| watched.errno.replace(*errno) != Some(*errno)) {
            activity!(Info, "{} says ERRNO={errno} ({})", config.name, crate::errno::text(errno));
        }
        if message.reloading {
            watched.reloads = true;
            watched.reload_began =
                Some(message.monotonic_usec.map_or(now.mono, |usec| Mono(usec.saturating_mul(1000))));
        }
        watched.reloads &= !message.ready;
        if let Some(usec) = message.watchdog_usec {
            let period = Duration::from_micros(usec);
            watched.period = Some(period);
            if watched.runs {
                watched.watchdog = (usec > 0).then(|| (period, now.mono.after(period)));
            }
        }
        if message.watchdog == Some(Pulse::Alive)
            && let Some((period, until)) = &mut watched.watchdog
        {
            *until = now.mono.after(*period);
        }
        let is_triggered = message.watchdog == Some(Pulse::Trigger) && watched.runs;
        if let Some(main) = message.main_pid {
            self.take_main_pid(id, pid, Pid(main), host);
        }
        if let Some(usec) = message.extend_usec {
            let _ = self.step(id, Trigger::Extend(Duration::from_micros(usec)), now, host);
        }
        if message.ready && config.ready == Ready::Notify {
            let _ = self.step(id, Trigger::Ready, now, host);
        }
        if is_triggered {
            self.silent(id, "has said WATCHDOG=trigger".to_string(), now, host);
        }
        self.reschedule_care(id, now);
    }

    /// MAINPID: whose messages count as the child's own from here on. What is waited for and gets signals stays the
    /// child that was started, for the end of another could not be seen.
    fn take_main_pid(&mut self, id: ProcId, child: Pid, main: Pid, host: &mut dyn Host) {
        let is_ours = main == child || host.process_group(main) == Some(child) || host.is_our_child(main);
        let Some(process) = self.roster.process(id) else { return };
        let name = &process.config.name;
        let Some(watched) = self.care.watched.get_mut(&id) else { return };
        if is_ours {
            watched.main = Some(main);
        } else if watched.refused_main.replace(main) != Some(main) {
            let why = "it is neither of the process group nor adopted";
            activity!(Warn, "{name}: MAINPID={} is passed over, {why}", main.0);
        }
    }

    /// How far a process has come with the reload that it was told to do at some moment.
    pub fn reload_since(&self, id: ProcId, told: Mono) -> Reloading {
        let Some(watched) = self.care.watched.get(&id) else { return Reloading::Unheard };
        match watched.reload_began {
            Some(began) if began >= told && watched.reloads => Reloading::UnderWay,
            Some(began) if began >= told => Reloading::Done,
            _ => Reloading::Unheard,
        }
    }
}
