//! Statistics of the host and of processes (V-530 to V-533), out of /proc, in the loop: collected while they are switched on and
//! somebody reads them.
//!
//! A collection begins once a period and takes as many turns as it needs; each looks at [`LOOKS_PER_TURN`] processes at most,
//! those below a child counted. The host comes first, in one turn: five small tables.

use std::collections::{BTreeMap, VecDeque};

use super::Fleet;
use super::published::{Kind, Note};
use super::view::seconds;
use crate::clock::{Mono, Now};
use crate::daemon::host::Span;
use crate::daemon::{Daemon, Host};
use crate::id::{Pid, ProcId};
use crate::model::fleet::rate::{HostPoint, HostSample, ProcessSample, Series, host_point, process_rate};
use crate::wire::procfs;
use crate::wire::value::{Value, record};

/// Processes looked at in one turn: each takes some 0.03 ms.
const LOOKS_PER_TURN: usize = 64;

/// Processes below one child that are looked at. What has more is told as far as that.
const TREE_MAX: usize = 1_000;

/// Longest table that is read: that of processors with hundreds of them and their interrupts.
const TABLE_BYTES_MAX: u64 = 256 * 1024;

/// The name of the daemon among the processes.
const OURSELVES: &str = "supervisord";

/// What is kept from one collection to the next.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    /// When the next collection begins.
    due: Option<Mono>,
    /// The one under way.
    collection: Option<Collection>,
    /// Bytes of memory of the host.
    memory_bytes: u64,
    host: Series<HostSample>,
    processes: BTreeMap<ProcId, Series<ProcessSample>>,
    ourselves: Series<ProcessSample>,
}

/// A collection of processes that takes several turns.
#[derive(Debug)]
struct Collection {
    /// The process looked at last.
    after: Option<ProcId>,
    /// A tree that is being added up.
    tree: Option<Tree>,
}

/// A child and what is below it.
#[derive(Debug)]
struct Tree {
    id: ProcId,
    sample: ProcessSample,
    rss_bytes: u64,
    seen: usize,
    left: VecDeque<Pid>,
}

impl Fleet {
    /// What is to be collected now: of the host, of processes.
    fn collects(&self) -> (bool, bool) {
        let wanted = self.wanted();
        let host = self.stats.host && wanted.has(Kind::HostStatistics);
        (host, self.stats.processes && wanted.has(Kind::ProcessStatistics))
    }

    /// When something is to be collected.
    pub(super) fn statistics_deadline(&self, now: Now) -> Option<Mono> {
        if self.collects() == (false, false) {
            return None;
        }
        let statistics = self.statistics.as_ref();
        match statistics {
            Some(statistics) if statistics.collection.is_none() => Some(statistics.due.unwrap_or(now.mono)),
            _ => Some(now.mono),
        }
    }

    /// Collects what is due, as much as there is time for.
    pub(super) fn collect(&mut self, daemon: &Daemon, now: Now, host: &mut dyn Host) {
        let (of_host, of_processes) = self.collects();
        if !of_host && !of_processes {
            self.statistics = None;
            return;
        }
        let mut statistics = self.statistics.take().unwrap_or_default();
        if statistics.collection.is_none() && statistics.due.is_none_or(|due| due <= now.mono) {
            let period = std::time::Duration::from_secs_f64(self.stats.period.clamp(1.0, 3600.0));
            // By the clock and not by when this turn came; but what was missed is not made good.
            let next = statistics.due.map_or(now.mono, |due| due.after(period)).max(now.mono);
            statistics.due = Some(if next == now.mono { now.mono.after(period) } else { next });
            if let Some((bytes, used)) = table(host, "/proc/meminfo").as_deref().and_then(procfs::memory) {
                statistics.memory_bytes = bytes;
                if of_host {
                    self.collect_host(&mut statistics, used, now, host);
                }
                if of_processes {
                    let sample = sample(Pid(host.own_pid()), statistics.memory_bytes, now, host);
                    if let Some(sample) = sample {
                        let periods = self.periods();
                        let over = statistics.ourselves.take(&sample, |one| one.at, &periods);
                        self.tell_process(OURSELVES, &sample, over, now);
                    }
                    statistics.collection = Some(Collection { after: None, tree: None });
                }
            }
        }
        if let Some(collection) = statistics.collection.take() {
            statistics.collection = self.collect_processes(collection, &mut statistics, daemon, now, host);
        }
        self.statistics = Some(statistics);
    }

    fn periods(&self) -> Vec<f64> {
        self.supvisors().map_or(Vec::new(), |supvisors| supvisors.options.stats_periods.0.clone())
    }

    fn identifier(&self) -> Value {
        self.own().map_or("", |own| &own.identifier).to_string().into()
    }

    fn collect_host(&mut self, statistics: &mut Statistics, memory: f64, now: Now, host: &mut dyn Host) {
        let mut read = |path: &str| table(host, path).unwrap_or_default();
        let mut sample = HostSample {
            at: seconds(now.mono),
            processors: procfs::processors(&read("/proc/stat")),
            memory,
            interfaces: procfs::interfaces(&read("/proc/net/dev")),
            disks: procfs::disks(&read("/proc/diskstats")),
            partitions: Vec::new(),
        };
        let places = procfs::mounts(&read("/proc/mounts"));
        sample.partitions = places.into_iter().filter_map(|place| Some((place.clone(), host.used(&place)?))).collect();
        let over = statistics.host.take(&sample, |one| one.at, &self.periods());
        for (period, before) in over {
            let body = self.host_body(period, &sample, host_point(&before, &sample), now);
            self.note_news(|| Note::Ready(Kind::HostStatistics, body));
        }
    }

    fn host_body(&self, period: f64, sample: &HostSample, point: HostPoint, now: Now) -> Value {
        let doubles = |values: Vec<f64>| Value::Array(values.into_iter().map(Value::Double).collect());
        let rates = |rows: Vec<(String, f64, f64)>| {
            Value::Struct(rows.into_iter().map(|(name, a, b)| (name.into(), doubles(vec![a, b]))).collect())
        };
        let usage = sample.partitions.iter().map(|(place, used)| (place.clone().into(), Value::Double(*used)));
        record([
            ("identifier", self.identifier()),
            ("now_monotonic", Value::Double(seconds(now.mono))),
            ("target_period", Value::Double(period)),
            ("period", doubles(vec![point.period.0, point.period.1])),
            ("cpu", doubles(point.processors)),
            ("mem", Value::Double(sample.memory)),
            ("net_io", rates(point.interfaces)),
            ("disk_io", rates(point.disks)),
            ("disk_usage", Value::Struct(usage.collect())),
        ])
    }

    fn tell_process(&mut self, name: &str, sample: &ProcessSample, over: Vec<(f64, ProcessSample)>, now: Now) {
        for (period, before) in over {
            let Some(cpu) = process_rate(&before, sample) else { continue };
            let body = record([
                ("namespec", name.to_string().into()),
                ("identifier", self.identifier()),
                ("pid", i64::from(sample.pid).into()),
                ("now_monotonic", Value::Double(seconds(now.mono))),
                ("target_period", Value::Double(period)),
                ("period", Value::Array(vec![Value::Double(before.at), Value::Double(sample.at)])),
                ("cpu", Value::Double(cpu)),
                ("mem", Value::Double(sample.memory)),
            ]);
            self.note_news(|| Note::Ready(Kind::ProcessStatistics, body));
        }
    }

    /// Looks at some more processes; answers what is left to be done.
    fn collect_processes(
        &mut self,
        mut collection: Collection,
        statistics: &mut Statistics,
        daemon: &Daemon,
        now: Now,
        host: &mut dyn Host,
    ) -> Option<Collection> {
        let periods = self.periods();
        for _ in 0..LOOKS_PER_TURN {
            let Some(tree) = &mut collection.tree else {
                let Some((id, process)) = daemon.roster.processes_after(collection.after).next() else {
                    statistics.processes.retain(|id, _| daemon.roster.process(*id).is_some());
                    return None;
                };
                collection.after = Some(id);
                let Some(pid) = process.machine.pid() else {
                    // A stop ends a series (V-532).
                    statistics.processes.remove(&id);
                    continue;
                };
                let sample = ProcessSample { at: seconds(now.mono), pid: pid.0, ..ProcessSample::default() };
                collection.tree = Some(Tree { id, sample, rss_bytes: 0, seen: 0, left: VecDeque::from([pid]) });
                continue;
            };
            match tree.left.pop_front().filter(|_| tree.seen < TREE_MAX) {
                Some(pid) => {
                    tree.seen += 1;
                    let usage = host.usage(pid).unwrap_or_default();
                    tree.sample.cpu_ms += usage.cpu_ms;
                    tree.rss_bytes += usage.rss_bytes;
                    let children = table(host, &format!("/proc/{0}/task/{0}/children", pid.0)).unwrap_or_default();
                    tree.left.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok().map(Pid)));
                }
                None => {
                    let (id, mut sample) = (tree.id, tree.sample);
                    sample.memory = percent(tree.rss_bytes, statistics.memory_bytes);
                    collection.tree = None;
                    let over = statistics.processes.entry(id).or_default().take(&sample, |one| one.at, &periods);
                    let name = daemon.roster.namespec(id).unwrap_or_default();
                    self.tell_process(&name, &sample, over, now);
                }
            }
        }
        Some(collection)
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// Times and memory of one child without what is below it; `None` if it is gone.
fn sample(pid: Pid, memory_bytes: u64, now: Now, host: &mut dyn Host) -> Option<ProcessSample> {
    let usage = host.usage(pid)?;
    let memory = percent(usage.rss_bytes, memory_bytes);
    Some(ProcessSample { at: seconds(now.mono), pid: pid.0, cpu_ms: usage.cpu_ms, memory })
}

fn table(host: &mut dyn Host, path: &str) -> Option<String> {
    let bytes = host.file_read(path, Span { offset: 0, length: TABLE_BYTES_MAX }).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
