//! Children that have ended: reaped, with their last output, and replaced.

use super::Reactor;
use super::children::Read;
use crate::clock::Now;
use crate::id::{Channel, ProcId};
use crate::serve::{Input, Service};
use crate::sys::process::{self, Reaped};
use crate::sys::signals;

/// Bytes drained from a channel of a child that has exited. Its grandchildren may still write without end.
const LAST_OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// Children reaped in one turn. As PID 1 we may inherit ten thousand orphans that all end at once.
const REAPS_PER_TURN: usize = 256;

impl Reactor {
    /// Reaps what has ended; the next turn goes on if that is more than this turn's share.
    pub(super) fn reap(&mut self, service: &mut Service, now: Now) {
        self.reaping = true;
        for _ in 0..REAPS_PER_TURN {
            let reaped = match process::reap() {
                Ok(Some(reaped)) => reaped,
                Ok(None) => {
                    self.reaping = false;
                    return;
                }
                Err(number) => {
                    activity!(
                        Critical,
                        "waitpid error {}; a process may not be cleaned up properly",
                        crate::errno::name(number)
                    );
                    self.reaping = false;
                    return;
                }
            };
            self.bury(reaped, service, now);
        }
    }

    /// The end of the one child that a signal told of, and its restart, before the kernel has to look whether others
    /// have ended: with ten thousand children that look takes longer than a restart. Only where nothing else is to be
    /// done, for exits come before requests and deadlines.
    pub(super) fn replace_child(&mut self, service: &mut Service, now: Now) {
        if service.next_deadline(now).is_some_and(|at| at <= now.mono) {
            return;
        }
        if let Some(Ok(Some(reaped))) = signals::last_ended().map(process::reap_child) {
            self.bury(reaped, service, now);
            service.turn(now, &mut self.system);
        }
    }

    /// The end of a child: what it wrote, then its exit.
    fn bury(&mut self, reaped: Reaped, service: &mut Service, now: Now) {
        // What it wrote last comes before its end (P-60).
        if let Some(id) = service.daemon.roster.process_of(reaped.pid) {
            self.held.flush(id, service, now, &mut self.system);
            for channel in [Channel::Stdout, Channel::Stderr] {
                self.read_last(id, channel, service, now);
            }
        }
        service.handle(Input::Exited { pid: reaped.pid, status: reaped.status }, now, &mut self.system);
    }

    /// Reads what a child that has exited wrote last. It waits for nobody.
    fn read_last(&mut self, id: ProcId, channel: Channel, service: &mut Service, now: Now) {
        let mut left = LAST_OUTPUT_BYTES_MAX;
        while left > 0 {
            match self.system.children.read(id, channel, &mut self.scratch) {
                Read::Bytes(count) => {
                    let bytes = &self.scratch[..count];
                    service.handle(Input::Output { process: id, channel, bytes }, now, &mut self.system);
                    left = left.saturating_sub(count);
                }
                Read::Nothing => return,
                Read::End(fd) => {
                    service.handle(Input::OutputEnded { process: id, channel, fd }, now, &mut self.system);
                    return;
                }
            }
        }
    }
}
