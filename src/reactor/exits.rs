//! Children that have ended: reaped, with their last output, and replaced.

use super::Reactor;
use super::children::Read;
use crate::clock::Now;
use crate::id::{Channel, Pid, ProcId};
use crate::serve::{Input, Service};
use crate::sys::process::{self, Reaped};
use crate::sys::signals;

/// Bytes drained from a channel of a child that has exited. Its grandchildren may still write without end.
const LAST_OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// Children reaped in one turn. As PID 1 we may inherit ten thousand orphans that all end at once.
const REAPS_PER_TURN: usize = 256;

impl Reactor {
    /// Reaps what has ended: only the `one` child that a signal told of, if there is such a one, or this turn's share of
    /// all. The next turn comes at once and goes on, until there is none left.
    pub(super) fn reap(&mut self, one: bool, service: &mut Service, now: Now) {
        if one
            && let Some(pid) = signals::last_ended()
            && let Ok(Some(reaped)) = self.reap_next(Some(pid), service, now)
        {
            return self.end_child(reaped, service, now);
        }
        for _ in 0..REAPS_PER_TURN {
            match self.reap_next(None, service, now) {
                Ok(Some(reaped)) => self.end_child(reaped, service, now),
                Ok(None) => {
                    self.reaping = false;
                    return;
                }
                Err(number) => {
                    let error = crate::errno::name(number);
                    activity!(Critical, "waitpid error {error}; a process may not be cleaned up properly");
                    self.reaping = false;
                    return;
                }
            }
        }
    }

    /// Reaps one that has ended, this one or any. Where somebody minds what it leaves behind, that is seen to before: until
    /// then its number is its own.
    fn reap_next(&mut self, which: Option<Pid>, service: &mut Service, now: Now) -> Result<Option<Reaped>, i32> {
        if !service.daemon.minds_leftovers() {
            return which.map_or_else(process::reap, process::reap_child);
        }
        let Some(pid) = process::ended(which)? else { return Ok(None) };
        service.daemon.before_reaping(pid, now, &mut self.system);
        process::reap_child(pid)
    }

    /// The end of a child: what it wrote last comes before it (P-60).
    fn end_child(&mut self, reaped: Reaped, service: &mut Service, now: Now) {
        if self.system.compressor.ended(reaped.pid, reaped.status) {
            return;
        }
        if let Some(id) = service.daemon.roster.process_of(reaped.pid) {
            for channel in [Channel::Stdout, Channel::Stderr] {
                self.read_last(id, channel, service, now);
            }
            self.read_last_words(id, service, now);
        }
        if service.daemon.is_helper(reaped.pid) {
            self.read_helper(reaped.pid, service, now);
        }
        service.handle(Input::Exited { pid: reaped.pid, status: reaped.status }, now, &mut self.system);
    }

    /// Reads what a child that has exited wrote last. It waits for nobody.
    fn read_last(&mut self, id: ProcId, channel: Channel, service: &mut Service, now: Now) {
        let mut left = LAST_OUTPUT_BYTES_MAX;
        while left > 0 {
            match self.system.children.read(id, channel, &mut self.scratch, &mut self.system.watched) {
                Read::Bytes(count) => {
                    let bytes = &self.scratch[..count];
                    service.handle(Input::Output { process: id, channel, bytes }, now, &mut self.system);
                    left = left.saturating_sub(count);
                }
                Read::Nothing | Read::Failed => return,
                Read::End(fd) => {
                    service.handle(Input::OutputEnded { process: id, channel, fd }, now, &mut self.system);
                    return;
                }
            }
        }
    }
}
