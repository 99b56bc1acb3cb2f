//! The inner loops, one at a time: `cargo bench --bench micro`.
//!
//! What they add up to in the running daemon is held by `budgets.py`, what it means beside Supervisor by `bench.py`;
//! this is for whoever works on one of them. A figure belongs into a commit message as before and after.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::rc::Rc;

use criterion::{BatchSize, Criterion, Throughput};

use stheno::clock::{Mono, Now, Wall};
use stheno::config::cmdline::CommandLine;
use stheno::config::{self, Listener, ListenerOptions, Loader, ResultHandler, SystemEnv};
use stheno::exit::ExitStatus;
use stheno::id::{Channel, Pid, ProcId};
use stheno::logs::sink::Sink;
use stheno::model::event::{Event, Serials, Subject};
use stheno::model::pool::Pool;
use stheno::model::process::{Process, Trigger};
use stheno::state::SupervisorState;
use stheno::wire::capture::{Capture, Piece};
use stheno::wire::expand::{Names, Var, expand};
use stheno::wire::http::{head_len, parse_head};
use stheno::wire::ini::Document;
use stheno::wire::value::Value;
use stheno::wire::words;
use stheno::wire::xmlrpc::{CallMemo, decode_call, decode_response, encode_call, write_response};

/// A second of the daemon's life, for steps that are not about time.
const NOW: Now = Now { mono: Mono(1_000_000_000), wall: Wall(1_800_000_000_000_000_000) };

fn ini_text(programs: usize) -> String {
    let mut text = "[supervisord]\nlogfile=/tmp/stheno-micro.log ; the daemon's own\nnodaemon=true\n".to_string();
    for number in 0..programs {
        text += &format!(
            "\n; worker {number}\n[program:worker{number}]\ncommand=/usr/bin/env worker --port %(process_num)d --name \"a b\"\n\
             environment=PATH=\"/usr/bin\",HOME=\"/tmp\"\nstdout_logfile=/tmp/%(program_name)s.log\nautorestart=true\n\
             stopwaitsecs=20\n",
        );
    }
    text
}

/// A loader for a file with that text, and the file.
fn loader(text: &str) -> (Loader, PathBuf) {
    let path = std::env::temp_dir().join(format!("stheno-micro-{}.conf", std::process::id()));
    std::fs::write(&path, text).expect("a temporary file");
    let configuration = Some(path.to_string_lossy().into_owned());
    let command_line = CommandLine { configuration, ..CommandLine::default() };
    (Loader::new("supervisord", command_line, &SystemEnv), path)
}

struct Table(BTreeMap<&'static str, &'static str>);

impl Names for Table {
    fn get(&self, name: &str) -> Option<Var<'_>> {
        if name == "process_num" { Some(Var::Int(7)) } else { self.0.get(name).map(|text| Var::Text(text)) }
    }

    fn all(&self) -> Vec<String> {
        self.0.keys().map(|name| name.to_string()).collect()
    }
}

fn configuration(c: &mut Criterion) {
    let mut group = c.benchmark_group("configuration");
    let text = ini_text(100);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("INI of 100 programs", |b| {
        b.iter(|| {
            let mut document = Document::default();
            document.read(black_box(&text), "conf").expect("well-formed");
            document
        });
    });
    group.throughput(Throughput::Elements(1));
    let (mut loader, path) = loader(&text);
    group.bench_function("file of 100 programs to configuration", |b| {
        b.iter(|| loader.load(&SystemEnv).expect("valid"))
    });
    let _ = std::fs::remove_file(path);
    let names = Table(BTreeMap::from([("program_name", "worker"), ("group_name", "workers"), ("here", "/etc")]));
    group.bench_function("expansion", |b| {
        b.iter(|| {
            expand(black_box("%(here)s/bin/%(program_name)s --port 80%(process_num)02d --group %(group_name)s"), &names)
        });
    });
    group.bench_function("words", |b| {
        b.iter(|| words::split(black_box(r#"/usr/bin/env worker --port 8001 --name "a b" 'c d' e\ f"#)));
    });
    group.finish();
}

/// What a client of Python's sends before the body.
const HEAD: &[u8] = b"POST /RPC2 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\nContent-Type: text/xml\r\n\
    User-Agent: Python-xmlrpc/3.11\r\nAuthorization: Basic dXNlcjpwYXNz\r\nContent-Length: 112\r\n\r\n";

fn processes(count: i64) -> Value {
    let info = |number: i64| {
        let text = |name: &'static str, text: String| (name.into(), Value::from(text));
        let int = |name: &'static str, number: i64| (name.into(), Value::Int(number));
        Value::Struct(vec![
            text("name", format!("worker_{number:05}")),
            text("group", "workers".to_string()),
            int("start", 1_800_000_000),
            int("stop", 0),
            int("now", 1_800_000_100),
            int("state", 20),
            text("statename", "RUNNING".to_string()),
            text("spawnerr", String::new()),
            int("exitstatus", 0),
            text("logfile", format!("/var/log/worker_{number:05}.log")),
            text("stdout_logfile", format!("/var/log/worker_{number:05}.log")),
            text("stderr_logfile", String::new()),
            int("pid", 10_000 + number),
            text("description", format!("pid {}, uptime 0:01:40", 10_000 + number)),
        ])
    };
    Value::Array((0..count).map(info).collect())
}

fn calls(c: &mut Criterion) {
    let mut group = c.benchmark_group("calls");
    group.bench_function("HTTP head", |b| {
        b.iter_batched_ref(
            || HEAD.to_vec(),
            |head| {
                let length = head_len(head, 0).expect("not too long").expect("whole");
                black_box(parse_head(&mut head[..length]).expect("well-formed").framing);
            },
            BatchSize::SmallInput,
        );
    });
    let call = encode_call("supervisor.startProcess", &[Value::str("workers:worker_00001"), Value::Bool(true)]);
    group.bench_function("decode a call", |b| b.iter(|| decode_call(black_box(&call))));
    let mut memo = CallMemo::new();
    group.bench_function("decode a call seen before", |b| b.iter(|| memo.begin(black_box(&call))));

    let all = processes(100);
    let mut answer = Vec::new();
    write_response(&mut answer, &all);
    group.throughput(Throughput::Bytes(answer.len() as u64));
    let mut out = Vec::with_capacity(answer.len());
    group.bench_function("encode getAllProcessInfo of 100", |b| {
        b.iter(|| {
            out.clear();
            write_response(&mut out, black_box(&all));
        });
    });
    group.bench_function("decode getAllProcessInfo of 100", |b| b.iter(|| decode_response(black_box(&answer))));
    group.finish();
}

fn program() -> Rc<config::Process> {
    let (mut loader, path) = loader("[supervisord]\n[program:p]\ncommand=/bin/cat\nautorestart=true\nstartsecs=0\n");
    let config = loader.load(&SystemEnv).expect("valid");
    let _ = std::fs::remove_file(path);
    config.groups[0].processes[0].clone()
}

fn machines(c: &mut Criterion) {
    let mut group = c.benchmark_group("machines");
    let program = program();
    let mut process = Process::default();
    let (mut out, mut now) = (Vec::new(), NOW);
    process.step(Trigger::Start, &program, SupervisorState::Running, now, &mut out);
    process.step(Trigger::Spawned(Pid(1)), &program, SupervisorState::Running, now, &mut out);
    group.bench_function("process: from exit to the next run", |b| {
        b.iter(|| {
            // A second later, so that it counts as started and may start again at once.
            let mut step = |event, now| process.step(event, &program, SupervisorState::Running, now, &mut out);
            now.mono.0 += 1_000_000_000;
            step(Trigger::Deadline, now);
            step(Trigger::Exited(ExitStatus::Code(0)), now);
            step(Trigger::Deadline, now);
            step(Trigger::Spawned(Pid(1)), now);
            black_box(&out);
            out.clear();
        });
    });
    assert_eq!(process.pid(), Some(Pid(1)), "it went round");

    let listener = Listener {
        options: ListenerOptions::defaults().unwrap(),
        buffer_size: 10,
        events: vec!["PROCESS_LOG".to_string()],
        result_handler: ResultHandler::Default,
    };
    let (id, mut serials, mut effects) = (ProcId(1), Serials::default(), Vec::new());
    let mut pool = Pool::new("l", &listener);
    pool.add_member(id, "l");
    pool.output(id, b"READY\n", &mut effects);
    let subject = Subject { id: ProcId(2), name: "worker", group: "workers" };
    group.bench_function("event: to a listener and its answer", |b| {
        b.iter(|| {
            let event = Event::log(subject, Pid(77), Channel::Stdout, black_box(b"a line like any other\n"));
            pool.offer(Rc::new(event), serials.take(), &mut effects);
            assert_eq!(pool.next("supervisor", |_| true, &mut effects), Some(id), "the listener is ready");
            black_box(pool.envelope());
            pool.sent(&mut effects);
            pool.output(id, b"RESULT 2\nOKREADY\n", &mut effects);
            effects.clear();
        });
    });
    group.finish();
}

fn output(c: &mut Criterion) {
    let mut group = c.benchmark_group("output");
    let lines = "a line of a program that says what it does, and when\n".repeat(80);
    group.throughput(Throughput::Bytes(lines.len() as u64));
    let folder = std::env::temp_dir().join(format!("stheno-micro-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    for (name, maxbytes) in
        [("a write to a log", 0), ("a write to a log that rotates every 16th", 16 * lines.len() as u64)]
    {
        let path = folder.join("log").to_string_lossy().into_owned();
        let mut sink = Sink::open(&path, maxbytes, 3).expect("a log");
        let mut written = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                sink.write(black_box(lines.as_bytes()), true, stheno::clock::Mono(0)).expect("written");
                written += lines.len();
                // So that the log without a bound does not fill the disk.
                if maxbytes == 0 && written > 64 << 20 {
                    sink.clear().expect("cleared");
                    written = 0;
                }
            });
        });
    }
    let _ = std::fs::remove_dir_all(&folder);

    let told = format!("{lines}<!--XSUPERVISOR:BEGIN-->something<!--XSUPERVISOR:END-->");
    group.throughput(Throughput::Bytes(told.len() as u64));
    let mut capture = Capture::new(1 << 20);
    group.bench_function("output with a captured message", |b| {
        b.iter(|| {
            capture.feed(black_box(told.as_bytes()), &mut |piece: Piece<'_>| {
                black_box(piece);
            });
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    configuration(&mut criterion);
    calls(&mut criterion);
    machines(&mut criterion);
    output(&mut criterion);
    criterion.final_summary();
}
