//! Figures for machines, in Prometheus' text format or as OpenMetrics: from plain data to text.
//!
//! The first four families are those that node_exporter's collector for supervisord makes of XML-RPC, so that rules and
//! pictures made for it go on.

use std::fmt::{Display, Write};

use crate::id::Channel;
use crate::model::histogram::{BOUNDS_US, Histogram};
use crate::state::ProcessState;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    /// What Prometheus has always read.
    Text,
    /// The standard made of it.
    OpenMetrics,
}

impl Format {
    /// What a client asks for by `Accept`.
    pub fn of(accept: Option<&str>) -> Format {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Format::OpenMetrics,
            _ => Format::Text,
        }
    }

    /// The value of `Content-Type` that goes with it.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Sample {
    /// Its name in the group.
    pub name: String,
    pub group: String,
    pub state: ProcessState,
    /// As `exitstatus` shows it.
    pub exit_status: i32,
    /// Seconds since the epoch.
    pub start: i64,
    /// How often it was started anew.
    pub restarts: u64,
    /// Milliseconds of CPU and bytes of memory, while it runs.
    pub usage: Option<(u64, u64)>,
    /// Bytes written to stdout and stderr.
    pub written: [u64; 2],
}

/// One pool of listeners.
#[derive(Clone, Debug)]
pub struct PoolSample {
    pub name: String,
    pub queued: usize,
    /// Events that were lost because it was full.
    pub dropped: u64,
}

/// All there is to tell.
#[derive(Debug)]
pub struct Figures<'a> {
    pub version: &'a str,
    pub supervisor: &'a str,
    /// The daemon's own CPU and memory.
    pub own: Option<(u64, u64)>,
    pub processes: &'a [Sample],
    pub pools: &'a [PoolSample],
    pub connections: usize,
    /// How long turns take.
    pub turns: &'a Histogram,
}

/// The text. Families stand together, as both formats want it.
pub fn write(figures: &Figures<'_>, format: Format) -> String {
    let mut out = Exposition { text: String::new(), format };
    let processes = figures.processes;
    let each = |out: &mut Exposition, name: &str, value: &dyn Fn(&Sample) -> Option<Number>| {
        for sample in processes {
            if let Some(value) = value(sample) {
                out.sample(name, &[("name", &sample.name), ("group", &sample.group)], value);
            }
        }
    };
    let has_child = |state| matches!(state, ProcessState::Starting | ProcessState::Running | ProcessState::Stopping);
    out.family("node_supervisord_up", "gauge", "Process Up");
    each(&mut out, "node_supervisord_up", &|it| Some(Number::Whole(u64::from(has_child(it.state)))));
    out.family("node_supervisord_state", "gauge", "Process State");
    each(&mut out, "node_supervisord_state", &|it| Some(Number::Whole(it.state.code() as u64)));
    out.family("node_supervisord_exit_status", "gauge", "Process Exit Status");
    each(&mut out, "node_supervisord_exit_status", &|it| Some(Number::Signed(it.exit_status.into())));
    out.family("node_supervisord_start_time_seconds", "gauge", "Process start time");
    each(&mut out, "node_supervisord_start_time_seconds", &|it| {
        has_child(it.state).then_some(Number::Signed(it.start))
    });

    out.counter("stheno_process_restarts", "Starts after the first one.");
    each(&mut out, "stheno_process_restarts_total", &|it| Some(Number::Whole(it.restarts)));
    out.counter("stheno_process_cpu_seconds", "CPU time of the child that runs now.");
    each(&mut out, "stheno_process_cpu_seconds_total", &|it| it.usage.map(|(cpu_ms, _)| Number::Millis(cpu_ms)));
    out.family("stheno_process_resident_memory_bytes", "gauge", "Resident memory of the child that runs now.");
    each(&mut out, "stheno_process_resident_memory_bytes", &|it| it.usage.map(|(_, rss)| Number::Whole(rss)));
    out.counter("stheno_process_log_bytes", "Bytes that children have written to stdout and stderr.");
    for sample in processes {
        for (channel, bytes) in [Channel::Stdout, Channel::Stderr].into_iter().zip(sample.written) {
            let labels = [("name", &*sample.name), ("group", &*sample.group), ("stream", channel.name())];
            out.sample("stheno_process_log_bytes_total", &labels, Number::Whole(bytes));
        }
    }

    out.family("stheno_event_queue_depth", "gauge", "Events that wait for the listeners of a pool.");
    for pool in figures.pools {
        out.sample("stheno_event_queue_depth", &[("pool", &pool.name)], Number::Whole(pool.queued as u64));
    }
    out.counter("stheno_events_dropped", "Events that were lost because the queue of a pool was full.");
    for pool in figures.pools {
        out.sample("stheno_events_dropped_total", &[("pool", &pool.name)], Number::Whole(pool.dropped));
    }
    out.family("stheno_connections", "gauge", "Open connections of clients.");
    out.sample("stheno_connections", &[], Number::Whole(figures.connections as u64));
    out.histogram("stheno_turn_seconds", "How long the daemon works before it waits again.", figures.turns);
    out.family("stheno_build_info", "gauge", "Versions; always 1.");
    let versions = [("version", figures.version), ("supervisor", figures.supervisor)];
    out.sample("stheno_build_info", &versions, Number::Whole(1));
    if let Some((cpu_ms, rss)) = figures.own {
        out.counter("process_cpu_seconds", "CPU time of supervisord itself.");
        out.sample("process_cpu_seconds_total", &[], Number::Millis(cpu_ms));
        out.family("process_resident_memory_bytes", "gauge", "Resident memory of supervisord itself.");
        out.sample("process_resident_memory_bytes", &[], Number::Whole(rss));
    }
    if format == Format::OpenMetrics {
        out.text.push_str("# EOF\n");
    }
    out.text
}

#[derive(Clone, Copy)]
enum Number {
    Whole(u64),
    Signed(i64),
    /// Thousandths of the unit, shown with three places.
    Millis(u64),
    /// Thousand-millionths of the unit, shown with nine places.
    Nanos(u64),
}

impl Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Number::Whole(number) => write!(f, "{number}"),
            Number::Signed(number) => write!(f, "{number}"),
            Number::Millis(number) => write!(f, "{}.{:03}", number / 1000, number % 1000),
            Number::Nanos(number) => write!(f, "{}.{:09}", number / 1_000_000_000, number % 1_000_000_000),
        }
    }
}

struct Exposition {
    text: String,
    format: Format,
}

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// OpenMetrics names the family of a counter without `_total`, which its samples have.
    fn counter(&mut self, stem: &str, help: &str) {
        match self.format {
            Format::Text => self.family(&format!("{stem}_total"), "counter", help),
            Format::OpenMetrics => self.family(stem, "counter", help),
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: Number) {
        self.text.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.put(format_args!("{}{label}=\"", if at == 0 { '{' } else { ',' }));
            for c in text.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        self.put(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let mut below = 0;
        for (bound, count) in BOUNDS_US.iter().zip(histogram.counts()) {
            below += count;
            let bound = f64::from(*bound) / 1e6;
            self.put(format_args!("{name}_bucket{{le=\"{bound:?}\"}} {below}\n"));
        }
        let (count, sum) = (histogram.count(), Number::Nanos(histogram.sum_ns()));
        self.put(format_args!("{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}\n"));
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        let written = self.text.write_fmt(text);
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, state: ProcessState) -> Sample {
        let is_running = state == ProcessState::Running;
        Sample {
            name: name.to_string(),
            group: "g".to_string(),
            state,
            exit_status: if is_running { 0 } else { -1 },
            start: 1_700_000_000,
            restarts: 2,
            usage: is_running.then_some((1_234, 4096)),
            written: [10, 20],
        }
    }

    fn figures(format: Format) -> String {
        let mut turns = Histogram::default();
        turns.add(std::time::Duration::from_micros(70));
        turns.add(std::time::Duration::from_secs(3));
        let processes = [sample("up", ProcessState::Running), sample("a\"\\\nb", ProcessState::Fatal)];
        let pools = [PoolSample { name: "l".to_string(), queued: 3, dropped: 1 }];
        let (version, supervisor) = ("1", "4.3.0");
        write(
            &Figures {
                version,
                supervisor,
                own: None,
                processes: &processes,
                pools: &pools,
                connections: 4,
                turns: &turns,
            },
            format,
        )
    }

    #[test]
    fn names_and_values_are_those_of_node_exporter_and_ours() {
        let text = figures(Format::Text);
        for line in [
            "# TYPE node_supervisord_up gauge",
            "node_supervisord_up{name=\"up\",group=\"g\"} 1",
            "node_supervisord_up{name=\"a\\\"\\\\\\nb\",group=\"g\"} 0",
            "node_supervisord_state{name=\"up\",group=\"g\"} 20",
            "node_supervisord_exit_status{name=\"a\\\"\\\\\\nb\",group=\"g\"} -1",
            "node_supervisord_start_time_seconds{name=\"up\",group=\"g\"} 1700000000",
            "# TYPE stheno_process_restarts_total counter",
            "stheno_process_restarts_total{name=\"up\",group=\"g\"} 2",
            "stheno_process_cpu_seconds_total{name=\"up\",group=\"g\"} 1.234",
            "stheno_process_resident_memory_bytes{name=\"up\",group=\"g\"} 4096",
            "stheno_process_log_bytes_total{name=\"up\",group=\"g\",stream=\"stderr\"} 20",
            "stheno_event_queue_depth{pool=\"l\"} 3",
            "stheno_events_dropped_total{pool=\"l\"} 1",
            "stheno_connections 4",
            "stheno_turn_seconds_bucket{le=\"0.0001\"} 1",
            "stheno_turn_seconds_bucket{le=\"+Inf\"} 2",
            "stheno_turn_seconds_sum 3.000070000",
            "stheno_build_info{version=\"1\",supervisor=\"4.3.0\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(text.matches("node_supervisord_start_time_seconds{").count(), 1, "only of those that have a child");
        assert_eq!(text.matches("stheno_process_cpu_seconds_total{").count(), 1);
        assert!(!text.contains("# EOF"));
    }

    #[test]
    fn openmetrics_names_the_families_of_counters_without_total_and_has_an_end() {
        let text = figures(Format::OpenMetrics);
        assert!(text.contains("# TYPE stheno_process_restarts counter\nstheno_process_restarts_total{"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_format_is_what_is_asked_for() {
        let rows = [
            (None, Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/plain;version=0.0.4"), Format::Text),
            (Some("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3"), Format::OpenMetrics),
        ];
        for (accept, expected) in rows {
            assert_eq!(Format::of(accept), expected, "{accept:?}");
        }
    }
}
