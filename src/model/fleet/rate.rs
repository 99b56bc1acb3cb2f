//! Samples become points: what happened between two of them, in percent and kbit/s (V-530 to V-532).

use std::collections::BTreeMap;

/// Counters of two directions, in bytes.
type Pair = (u64, u64);

/// How much a sample may be early and still be a period later than the one before: turns come a little late now and then.
const TOLERANCE_SECS: f64 = 0.05;

/// Bytes per second to kbit per second (V-522).
const BYTES_OF_KBIT: f64 = 128.0;

/// A host at some moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostSample {
    /// When, in seconds of the clock that cannot be set.
    pub at: f64,
    /// Time at work and idle, of all processors together and of each.
    pub processors: Vec<Pair>,
    /// Memory in use, in percent.
    pub memory: f64,
    /// Bytes of each interface.
    pub interfaces: BTreeMap<String, Pair>,
    /// Bytes of each disk.
    pub disks: BTreeMap<String, Pair>,
    /// What is used of each partition, in percent.
    pub partitions: Vec<(String, f64)>,
}

/// What a host did between two samples.
#[derive(Clone, Debug, PartialEq)]
pub struct HostPoint {
    /// From when to when.
    pub period: (f64, f64),
    /// Processors at work, in percent: on average, then each.
    pub processors: Vec<f64>,
    /// The rates of each interface, in kbit/s.
    pub interfaces: Vec<(String, f64, f64)>,
    /// The same of each disk.
    pub disks: Vec<(String, f64, f64)>,
}

/// A process, with all below it, at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessSample {
    /// Seconds, of the clock that cannot be set.
    pub at: f64,
    /// Which child; another one begins anew.
    pub pid: i32,
    /// The time of processors that it has taken, in milliseconds.
    pub cpu_ms: u64,
    /// Memory, in percent of that of the host.
    pub memory: f64,
}

/// The sample that the next point of each period begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<S> {
    used: Vec<Option<S>>,
}

impl<S> Default for Series<S> {
    fn default() -> Self {
        Series { used: Vec::new() }
    }
}

impl<S: Clone> Series<S> {
    /// Takes a sample; answers the periods that are over with it, and the sample that each began with.
    pub fn take(&mut self, sample: &S, at: impl Fn(&S) -> f64, periods: &[f64]) -> Vec<(f64, S)> {
        self.used.resize(periods.len(), None);
        let mut over = Vec::new();
        for (period, used) in periods.iter().zip(&mut self.used) {
            match used {
                Some(before) if at(sample) - at(before) < period - TOLERANCE_SECS => {}
                Some(before) => over.push((*period, std::mem::replace(before, sample.clone()))),
                None => *used = Some(sample.clone()),
            }
        }
        over
    }
}

/// What a host did between two samples. What one of them does not have, or what has been counted anew, is left out.
pub fn host_point(before: &HostSample, after: &HostSample) -> HostPoint {
    let secs = after.at - before.at;
    let work = |(before, after): (&Pair, &Pair)| {
        let (work, idle) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
        if work + idle == 0 { 0.0 } else { 100.0 * work as f64 / (work + idle) as f64 }
    };
    let rates = |before: &BTreeMap<String, Pair>, after: &BTreeMap<String, Pair>| {
        let rate = |before: u64, after: u64| Some(after.checked_sub(before)? as f64 / BYTES_OF_KBIT / secs);
        let of = |(name, after): (&String, &Pair)| {
            let before = before.get(name)?;
            Some((name.clone(), rate(before.0, after.0)?, rate(before.1, after.1)?))
        };
        after.iter().filter_map(of).collect()
    };
    HostPoint {
        period: (before.at, after.at),
        processors: before.processors.iter().zip(&after.processors).map(work).collect(),
        interfaces: rates(&before.interfaces, &after.interfaces),
        disks: rates(&before.disks, &after.disks),
    }
}

/// The time of processors that a process took between two samples, in percent of one; `None` if it is another child, or what
/// ran below it is gone and counts no more.
pub fn process_rate(before: &ProcessSample, after: &ProcessSample) -> Option<f64> {
    if before.pid != after.pid {
        return None;
    }
    let millis = after.cpu_ms.checked_sub(before.cpu_ms)? as f64;
    Some(millis / 10.0 / (after.at - before.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_end_when_a_sample_is_late_enough() {
        let mut series = Series::default();
        let mut over = Vec::new();
        for at in [0.0, 5.0, 9.96, 15.0, 20.0, 33.0] {
            let ended = series.take(&at, |at| *at, &[5.0, 10.0]);
            over.push((at, ended.iter().map(|(period, before)| (*period, *before)).collect::<Vec<_>>()));
        }
        let expected = vec![
            (0.0, vec![]),
            (5.0, vec![(5.0, 0.0)]),
            (9.96, vec![(5.0, 5.0), (10.0, 0.0)]),
            (15.0, vec![(5.0, 9.96)]),
            (20.0, vec![(5.0, 15.0), (10.0, 9.96)]),
            (33.0, vec![(5.0, 20.0), (10.0, 20.0)]),
        ];
        assert_eq!(over, expected);
    }

    #[test]
    fn what_happened_between_two_samples() {
        let pairs = |rows: &[(&str, u64, u64)]| rows.iter().map(|(name, a, b)| (name.to_string(), (*a, *b))).collect();
        let before = HostSample {
            at: 10.0,
            processors: vec![(100, 100), (0, 0)],
            interfaces: pairs(&[("lo", 0, 0), ("back", 500, 0), ("gone", 0, 0)]),
            disks: pairs(&[("vda", 0, 1280)]),
            ..HostSample::default()
        };
        let after = HostSample {
            at: 20.0,
            processors: vec![(175, 125), (0, 0)],
            interfaces: pairs(&[("lo", 1280, 2560), ("back", 10, 0), ("new", 0, 0)]),
            disks: pairs(&[("vda", 0, 3840)]),
            ..HostSample::default()
        };
        let point = host_point(&before, &after);
        assert_eq!((point.period, point.processors), ((10.0, 20.0), vec![75.0, 0.0]));
        assert_eq!(point.interfaces, [("lo".to_string(), 1.0, 2.0)]);
        assert_eq!(point.disks, [("vda".to_string(), 0.0, 2.0)]);
        let sample = |pid, at, cpu_ms| ProcessSample { pid, at, cpu_ms, memory: 0.0 };
        let rows = [
            (sample(7, 0.0, 100), sample(7, 2.0, 3100), Some(150.0)),
            (sample(7, 0.0, 100), sample(8, 2.0, 3100), None),
            (sample(7, 0.0, 100), sample(7, 2.0, 50), None),
        ];
        for (before, after, expected) in rows {
            assert_eq!(process_rate(&before, &after), expected, "{before:?} {after:?}");
        }
    }
}
