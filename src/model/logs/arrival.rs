//! In which order a process wrote to its two logs. The files do not tell: each has only its own bytes.
//!
//! What is written to one log without a break is a *run*. The newest runs are remembered, by their lengths; where they stand
//! in the files follows from the ends of these. What is older than the first run has no order.

use std::collections::VecDeque;

use crate::id::Channel;

/// Runs that are remembered of a process: more changes from one stream to the other than a screen has lines. 1 kB.
const RUNS_MAX: usize = 64;

/// The order of what came.
#[derive(Debug, Default)]
pub struct Arrival {
    /// Which log was written to last.
    last: Option<Channel>,
    /// The newest at the end; none while only one log was ever written to, which costs nothing.
    runs: VecDeque<(Channel, u64)>,
}

/// A part of one of the logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub channel: Channel,
    pub from: u64,
    pub to: u64,
}

impl Arrival {
    /// So many bytes were written to one of them.
    #[inline]
    pub fn note(&mut self, channel: Channel, count: usize) {
        if self.last == Some(channel) {
            if let Some((_, bytes)) = self.runs.back_mut() {
                *bytes += count as u64;
            }
        } else {
            self.begin(channel, count);
        }
    }

    fn begin(&mut self, channel: Channel, count: usize) {
        if self.last.replace(channel).is_none() {
            return;
        }
        if self.runs.len() == RUNS_MAX {
            self.runs.pop_front();
        }
        self.runs.push_back((channel, count as u64));
    }

    /// From these places on to the ends of the logs, in the order in which it came; what is older than what is remembered
    /// comes first, stdout before stderr. Each is `(from, end)`.
    pub fn stretches(&self, stdout: (u64, u64), stderr: (u64, u64)) -> Vec<Stretch> {
        let mut ends = [stdout.1, stderr.1];
        let froms = [stdout.0, stderr.0];
        let mut found = Vec::new();
        let mut take = |channel: Channel, bytes: u64| {
            let at = usize::from(channel == Channel::Stderr);
            let from = ends[at].saturating_sub(bytes).max(froms[at]);
            if from < ends[at] {
                found.push(Stretch { channel, from, to: ends[at] });
                ends[at] = from;
            }
        };
        for (channel, bytes) in self.runs.iter().rev() {
            take(*channel, *bytes);
        }
        take(Channel::Stderr, u64::MAX);
        take(Channel::Stdout, u64::MAX);
        found.reverse();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Channel::{Stderr, Stdout};

    fn told(arrival: &Arrival, stdout: (u64, u64), stderr: (u64, u64)) -> Vec<(Channel, u64, u64)> {
        arrival.stretches(stdout, stderr).into_iter().map(|it| (it.channel, it.from, it.to)).collect()
    }

    #[test]
    fn what_came_in_turns_is_told_in_turns() {
        let mut arrival = Arrival::default();
        for (channel, count) in [(Stdout, 5), (Stdout, 5), (Stderr, 3), (Stdout, 2), (Stdout, 2), (Stderr, 1)] {
            arrival.note(channel, count);
        }
        let rows = [
            // Whole files, with something that was there before.
            (
                (0, 114),
                (0, 14),
                vec![(Stdout, 0, 110), (Stderr, 0, 10), (Stderr, 10, 13), (Stdout, 110, 114), (Stderr, 13, 14)],
            ),
            // From places within runs on.
            ((112, 114), (12, 14), vec![(Stderr, 12, 13), (Stdout, 112, 114), (Stderr, 13, 14)]),
            // Nothing new in one of them, or in both.
            ((114, 114), (13, 14), vec![(Stderr, 13, 14)]),
            ((114, 114), (14, 14), vec![]),
            // One was cleared since: its file is shorter than what came.
            ((0, 1), (0, 14), vec![(Stderr, 0, 10), (Stderr, 10, 13), (Stdout, 0, 1), (Stderr, 13, 14)]),
        ];
        for (stdout, stderr, expected) in rows {
            assert_eq!(told(&arrival, stdout, stderr), expected, "{stdout:?} {stderr:?}");
        }
    }

    #[test]
    fn only_so_many_runs_are_remembered_and_none_of_one_log_alone() {
        let mut arrival = Arrival::default();
        for _ in 0..1000 {
            arrival.note(Stdout, 10);
        }
        assert_eq!(arrival.runs.capacity(), 0);
        for _ in 0..1000 {
            arrival.note(Stderr, 1);
            arrival.note(Stdout, 1);
        }
        assert_eq!(arrival.runs.len(), RUNS_MAX);
        let all = told(&arrival, (0, 11_000), (0, 1000));
        assert_eq!(all.len(), RUNS_MAX + 2);
        assert_eq!(all[0], (Stdout, 0, 11_000 - RUNS_MAX as u64 / 2));
    }
}
