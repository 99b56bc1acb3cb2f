//! Output that was read and waits for its messages to have room in the queues of listeners.
//!
//! A program can send messages (capture mode) many times faster than a listener takes the events that they become, and
//! a queue holds ten of them by default. So what has no room waits here, and its channel is not read meanwhile, until
//! listeners have answered. A listener must stop neither a program nor another listener, though: a pool that is slower
//! than others is soon waited for no more, and if all are too slow, the rest goes on as it is. What overflows is lost.

use std::time::Duration;

use super::system::System;
use super::token::Source;
use crate::clock::{Mono, Now};
use crate::daemon::output::Counts;
use crate::id::{Channel, ProcId};
use crate::model::pool::STALL_TIME;
use crate::serve::{Input, Service};

/// Longest time that the output of one read waits: enough for thousands of events. It slows down only a program that
/// sends messages and writes more than a whole pipe in that time; every other one finds room in its pipe.
const HOLD_TIME: Duration = Duration::from_millis(250);

/// How much of it is for the slowest pool.
const PATIENCE_TIME: Duration = Duration::from_millis(50);

/// What waits; of each channel the rest of one read at most.
#[derive(Default)]
pub(super) struct Held(Vec<Rest>);

struct Rest {
    process: ProcId,
    channel: Channel,
    bytes: Vec<u8>,
    /// How many of them have gone on.
    done: usize,
    since: Mono,
    /// When to look again although no listener has answered.
    look: Mono,
}

impl Held {
    /// Whether a channel has to wait.
    pub(super) fn has(&self, process: ProcId, channel: Channel) -> bool {
        self.0.iter().any(|rest| (rest.process, rest.channel) == (process, channel))
    }

    /// When the first of them is to be looked at although no listener has answered.
    pub(super) fn until(&self) -> Option<Mono> {
        self.0.iter().map(|rest| rest.look).min()
    }

    /// Hands on what was read, as far as there is room; the rest waits.
    pub(super) fn pass(
        &mut self,
        (process, channel): (ProcId, Channel),
        bytes: &[u8],
        service: &mut Service,
        now: Now,
        system: &mut System,
    ) {
        let fitting = service.daemon.fitting((process, channel), bytes, Counts::Fullest, now);
        let (bytes, rest) = bytes.split_at(fitting);
        if !bytes.is_empty() {
            service.handle(Input::Output { process, channel, bytes }, now, system);
        }
        if !rest.is_empty() {
            let (since, look) = (now.mono, now.mono.after(STALL_TIME));
            self.0.push(Rest { process, channel, bytes: rest.to_vec(), done: 0, since, look });
        }
    }

    /// Hands on what has room by now or has waited long enough. Channels of which nothing is left are to be read again.
    pub(super) fn go_on(&mut self, service: &mut Service, now: Now, system: &mut System, unfinished: &mut Vec<Source>) {
        self.0.retain_mut(|rest| {
            let (process, channel) = (rest.process, rest.channel);
            let left = &rest.bytes[rest.done..];
            let waited = now.mono.since(rest.since);
            let counts = if waited < PATIENCE_TIME { Counts::Fullest } else { Counts::Emptiest };
            let fitting = match waited < HOLD_TIME {
                true => service.daemon.fitting((process, channel), left, counts, now),
                false => left.len(),
            };
            if fitting > 0 {
                service.handle(Input::Output { process, channel, bytes: &left[..fitting] }, now, system);
                rest.done += fitting;
            }
            rest.look = now.mono.after(STALL_TIME).min(rest.since.after(HOLD_TIME));
            let waits = rest.done < rest.bytes.len();
            if !waits {
                unfinished.push(Source::Output(process, channel));
            }
            waits
        });
    }

    /// Hands on all that is left of a process that has ended.
    pub(super) fn flush(&mut self, process: ProcId, service: &mut Service, now: Now, system: &mut System) {
        self.0.retain(|rest| {
            if rest.process == process {
                let bytes = &rest.bytes[rest.done..];
                service.handle(Input::Output { process, channel: rest.channel, bytes }, now, system);
            }
            rest.process != process
        });
    }
}
