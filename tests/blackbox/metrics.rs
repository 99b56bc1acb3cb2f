//! Figures for machines.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::client::{Answer, request};
use crate::daemon::{Daemon, is_original, wait_for};

const PROGRAMS: &str = "[program:a]\ncommand=sleep 1000\nstartsecs=0\n[program:gone]\ncommand=/no/such/file\nstartretries=0\n\
                        [eventlistener:l]\ncommand=cat\nevents=TICK_3600\n";

fn get(daemon: &Daemon, headers: &[(&str, &str)]) -> Answer {
    request(&daemon.folder.path("s.sock"), "GET", "/metrics", headers, None).expect("an answer")
}

/// What promtool has against a text; nothing where there is no promtool.
fn complaints(text: &str) -> String {
    let promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut promtool) = promtool else { return String::new() };
    promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_being_asked_for_there_are_no_figures() {
    let daemon = Daemon::start(PROGRAMS);
    assert_eq!(get(&daemon, &[]).head.status, 404);
}

#[test]
fn figures_of_processes_pools_and_the_daemon() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(&format!("[stheno]\nmetrics=true\n{PROGRAMS}"));
    daemon.wait_state("a", "RUNNING");
    daemon.wait_state("gone", "FATAL");
    let text = wait_for("a first turn", || {
        let answer = get(&daemon, &[]);
        assert_eq!(answer.head.status, 200);
        assert_eq!(answer.head.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        // The connection of the question before may be closed only a turn later.
        let is_alone = |text: &String| text.contains("\nstheno_connections 1\n");
        Some(answer.text()).filter(|text| !text.contains("stheno_turn_seconds_count 0")).filter(is_alone)
    });
    for line in [
        "node_supervisord_up{name=\"a\",group=\"a\"} 1",
        "node_supervisord_up{name=\"gone\",group=\"gone\"} 0",
        "node_supervisord_state{name=\"gone\",group=\"gone\"} 200",
        "stheno_process_restarts_total{name=\"a\",group=\"a\"} 0",
        "stheno_event_queue_depth{pool=\"l\"} 0",
        "stheno_connections 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    assert_eq!(complaints(&text), "", "{text}");
    let open = get(&daemon, &[("Accept", "application/openmetrics-text; version=1.0.0")]);
    assert_eq!(open.head.header("Content-Type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.text().ends_with("# EOF\n"));
    assert_eq!(get(&daemon, &[("Sec-Fetch-Site", "cross-site")]).head.status, 403);
}

#[test]
fn hundreds_of_processes_are_looked_at_over_several_turns() {
    if is_original() {
        return;
    }
    let daemon = Daemon::start(
        "[stheno]\nmetrics=true\n[program:p]\ncommand=true\nautostart=false\nnumprocs=250\nprocess_name=p%(process_num)d\n",
    );
    let text = get(&daemon, &[]).text();
    assert_eq!(text.matches("node_supervisord_up{").count(), 250, "{text}");
}
