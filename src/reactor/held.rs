//! Output that was read and waits for its messages to have room in the queues of listeners.
//!
//! A program can send messages (capture mode) many times faster than a listener takes the events that they become, and
//! a queue holds ten of them by default. So what has no room waits here, and its channel is not read meanwhile, until
//! listeners have answered. A listener must not stop a program, though: if listeners are too slow, the rest goes on as
//! it is, and what overflows is lost.

use std::time::Duration;

use super::system::System;
use super::token::Source;
use crate::clock::{Mono, Now};
use crate::id::{Channel, ProcId};
use crate::serve::{Input, Service};

/// Longest time that the output of one read waits: enough for a thousand events. It slows down only a program that sends
/// messages and writes more than a whole pipe in that time; every other one finds room in its pipe.
const HOLD_TIME: Duration = Duration::from_millis(100);

/// The same without any listener answering. Long enough for one that has to wait for a processor.
const STALL_TIME: Duration = Duration::from_millis(10);

/// What waits; of each channel the rest of one read at most.
#[derive(Default)]
pub(super) struct Held(Vec<Rest>);

struct Rest {
    process: ProcId,
    channel: Channel,
    bytes: Vec<u8>,
    /// How many of them have gone on.
    done: usize,
    /// When all of it goes on.
    until: Mono,
    /// The latest time for that.
    limit: Mono,
}

impl Held {
    /// Whether a channel has to wait.
    pub(super) fn has(&self, process: ProcId, channel: Channel) -> bool {
        self.0.iter().any(|rest| (rest.process, rest.channel) == (process, channel))
    }

    /// When the first of them has waited long enough.
    pub(super) fn until(&self) -> Option<Mono> {
        self.0.iter().map(|rest| rest.until).min()
    }

    /// Hands on what was read, as far as there is room; true if the rest waits.
    pub(super) fn pass(
        &mut self,
        (process, channel): (ProcId, Channel),
        bytes: &[u8],
        service: &mut Service,
        now: Now,
        system: &mut System,
    ) -> bool {
        let fitting = service.daemon.fitting(process, channel, bytes);
        let (bytes, rest) = bytes.split_at(fitting);
        if !bytes.is_empty() {
            service.handle(Input::Output { process, channel, bytes }, now, system);
        }
        if !rest.is_empty() {
            let (until, limit) = (now.mono.after(STALL_TIME), now.mono.after(HOLD_TIME));
            self.0.push(Rest { process, channel, bytes: rest.to_vec(), done: 0, until, limit });
        }
        !rest.is_empty()
    }

    /// Hands on what has room by now or has waited long enough. Channels of which nothing is left are to be read again.
    pub(super) fn go_on(&mut self, service: &mut Service, now: Now, system: &mut System, unfinished: &mut Vec<Source>) {
        self.0.retain_mut(|rest| {
            let (process, channel) = (rest.process, rest.channel);
            let left = &rest.bytes[rest.done..];
            let fitting =
                if rest.until <= now.mono { left.len() } else { service.daemon.fitting(process, channel, left) };
            if fitting > 0 {
                service.handle(Input::Output { process, channel, bytes: &left[..fitting] }, now, system);
                rest.done += fitting;
                rest.until = now.mono.after(STALL_TIME).min(rest.limit);
            }
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
