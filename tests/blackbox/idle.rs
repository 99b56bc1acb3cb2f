//! A daemon that has nothing to do does nothing.

use std::fs;
use std::process::Command;

use crate::daemon::{Daemon, is_original, wait_for};

/// 4.3.0 wakes up once a second.
#[test]
fn a_daemon_whose_programs_run_is_never_woken() {
    let daemon =
        Daemon::start("[program:a]\ncommand=sleep 1000\nstartsecs=1\nnumprocs=5\nprocess_name=%(process_num)d\n");
    for n in 0..5 {
        daemon.wait_state(&format!("a:{n}"), "RUNNING");
    }
    let switches = || {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("the daemon lives");
        let numbers = status.lines().filter_map(|line| line.split_once("voluntary_ctxt_switches:"));
        // Voluntary and not: asleep, it makes neither.
        numbers.map(|(_, number)| number.trim().parse::<u64>().expect("a number")).sum::<u64>()
    };
    let woken_in_a_rest = || {
        let before = switches();
        assert!(Command::new("sleep").arg("2.2").status().expect("sleep runs").success());
        switches() - before
    };
    if is_original() {
        assert!(woken_in_a_rest() >= 1, "once a second");
    } else {
        // The first rest may begin before the daemon has closed the connection of the last question. One that wakes up once a
        // second never has any.
        wait_for("a rest of two seconds without a wake-up", || (woken_in_a_rest() == 0).then_some(()));
    }
}
