//! Logs of children, and what goes to syslog and to the activity log.

use std::os::fd::AsFd;

use crate::config::SyslogAddress;
use crate::daemon::host::{Errno, Logs};
use crate::id::{Channel, LogId};
use crate::logs::child::{ChildLog, LogPlan};
use crate::logs::syslog::{Label, Syslog};
use crate::logs::{activity, auto};
use crate::sys::fd;

use super::{Log, System, errno, tell_lost_messages};

/// Closed logs that wait to be written, 64 KiB of each at most: as many as programs usually are.
const STRANDED_MAX: usize = 64;

/// Syslog daemons that messages are kept for at a time, 64 KiB for each: far more than anybody has.
const SYSLOGS_MAX: usize = 16;

impl Logs for System {
    fn log_open(&mut self, plan: &LogPlan<'_>) -> Result<LogId, Errno> {
        let stranded = self.stranded.iter().position(|log| log.path() == plan.path);
        let log = match stranded {
            Some(at) => {
                let mut log = self.stranded.swap_remove(at);
                log.adopt(plan);
                log
            }
            None => ChildLog::open(plan).map_err(errno)?,
        };
        if let Some(total) = self.log_total.as_mut().filter(|_| log.is_file()) {
            total.add(plan.path, plan.backups);
        }
        let id = LogId(self.next_log);
        self.next_log += 1;
        self.logs.insert(id, Log { log, outlet: plan.outlet });
        Ok(id)
    }

    fn log_write(&mut self, id: LogId, bytes: &[u8]) {
        let Some(Log { log, outlet }) = self.logs.get_mut(&id) else { return };
        if let Some(total) = &mut self.log_total {
            total.count(bytes.len() as u64);
        }
        if log.write(bytes, self.now.mono) {
            if log.is_full() {
                self.paused.insert(*outlet);
            }
            self.compressor.mind(log);
        }
    }

    fn log_was_interrupted(&mut self, id: LogId) -> bool {
        self.logs.get(&id).is_some_and(|log| log.log.was_interrupted())
    }

    fn log_reopen(&mut self, id: LogId) {
        if let Some(log) = self.logs.get_mut(&id) {
            log.log.reopen();
        }
    }

    fn log_clear(&mut self, id: LogId) -> Result<(), Errno> {
        self.logs.get_mut(&id).map_or(Ok(()), |log| log.log.clear().map_err(errno))
    }

    fn log_rotate(&mut self, id: LogId) -> bool {
        let Some(Log { log, .. }) = self.logs.get_mut(&id) else { return false };
        let is_begun = log.rotate();
        self.compressor.mind(log);
        is_begun
    }

    fn log_close(&mut self, id: LogId) {
        let Some(Log { mut log, outlet }) = self.logs.remove(&id) else { return };
        self.paused.remove(&outlet);
        if !log.write_rest() {
            // The next run goes on with it.
            if self.stranded.len() >= STRANDED_MAX {
                self.stranded.remove(0).give_up();
            }
            self.stranded.push(log);
        }
    }

    fn log_make_auto(
        &mut self,
        directory: &str,
        process: &str,
        channel: Channel,
        identifier: &str,
    ) -> Result<String, Errno> {
        auto::create(directory, process, channel, identifier).map_err(errno)
    }

    fn print(&mut self, bytes: &[u8]) {
        // Nothing may wait for whoever reads our stdout: what does not go out at once is dropped.
        let stdout = std::io::stdout();
        if fd::is_writable_now(stdout.as_fd()) {
            let _ = fd::write(stdout.as_fd(), bytes);
        }
    }

    fn syslog(&mut self, address: &SyslogAddress, label: &Label<'_>, process: &str, chunk: &[u8]) {
        if !self.syslogs.contains_key(address) {
            if self.syslogs.len() >= SYSLOGS_MAX {
                // Those of an earlier configuration go, and if need be what they could not send.
                self.syslogs.retain(|_, syslog| !syslog.is_idle());
            }
            if self.syslogs.len() >= SYSLOGS_MAX {
                std::mem::take(&mut self.syslogs).values_mut().for_each(|syslog| tell_lost_messages(syslog.end()));
            }
            self.syslogs.insert(address.clone(), Syslog::new(address));
        }
        let Some(syslog) = self.syslogs.get_mut(address) else { return };
        syslog.send_output(self.now, label, process, chunk);
        tell_lost_messages(syslog.take_lost());
    }

    fn activity_reopen(&mut self) {
        activity::reopen();
    }

    fn activity_rotate(&mut self) {
        activity::rotate();
    }

    fn activity_clear(&mut self) -> Result<(), Errno> {
        activity::clear().map_err(errno)
    }
}
