//! In which order everything ends, and what hurries it.

use std::time::Duration;

use crate::daemon::testing::World;
use crate::state::SupervisorState::{self, Restarting, Running, Shutdown};

/// Three programs of two priorities, then a group of two.
const FIVE: &str = "[program:a]\ncommand=a\nstartsecs=0\npriority=1\n\
    [program:b]\ncommand=b\nstartsecs=0\npriority=2\n[program:c]\ncommand=c\nstartsecs=0\npriority=2\n\
    [group:g]\nprograms=x,y\npriority=3\n[program:x]\ncommand=x\nstartsecs=0\npriority=7\n\
    [program:y]\ncommand=y\nstartsecs=0\npriority=5\n";

#[test]
fn who_is_told_in_which_turn() {
    let rows: &[(&str, &[&str])] = &[
        ("", &["x TERM y TERM", "c TERM", "b TERM", "a TERM"]),
        ("shutdown_parallel=true\n", &["x TERM y TERM", "c TERM b TERM", "a TERM"]),
    ];
    for (options, expected) in rows {
        let mut world = World::new(&format!("{options}{FIVE}"));
        world.daemon.request_shutdown();
        let mut turns = Vec::new();
        while !world.daemon.finished() {
            assert!(turns.len() < 9, "{options:?} does not end: {turns:?}");
            world.turn();
            turns.push(world.signals());
        }
        // In the last turn the last ones have ended.
        assert_eq!(
            turns.split_last(),
            Some((&String::new(), &expected.iter().map(|turn| turn.to_string()).collect::<Vec<_>>()[..])),
            "{options:?}"
        );
    }
}

#[test]
fn what_does_not_end_is_killed_when_its_time_is_over() {
    // Options of all, of the program; when a second signal comes; seconds until it is killed.
    let rows = [
        ("", "", None, 10),
        ("", "stopwaitsecs=4\n", None, 4),
        ("shutdown_timeout=3\n", "", None, 3),
        ("shutdown_timeout=30\n", "stopwaitsecs=20\n", None, 20),
        ("shutdown_timeout=30\n", "stopwaitsecs=20\n", Some(2), 2),
        // Without a time for all nobody is hurried.
        ("", "stopwaitsecs=20\n", Some(2), 20),
    ];
    for (of_all, of_one, second, expected) in rows {
        let text = format!("{of_all}[program:a]\ncommand=a\nstartsecs=0\n{of_one}");
        let mut world = World::new(&text);
        world.host.is_stubborn = true;
        let mut killed = None;
        for secs in 0..40 {
            if secs == 0 || second == Some(secs) {
                world.daemon.signal_shutdown(world.now, &mut world.host);
            }
            world.turn();
            if world.signals().contains("a KILL") {
                killed.get_or_insert(secs);
            }
            world.pass(Duration::from_secs(1));
        }
        assert_eq!(killed, Some(expected), "{text} {second:?}");
        assert!(world.daemon.finished(), "{text}");
    }
}

#[test]
fn which_wish_wins() {
    // The file is wrong; then what is asked for; the state after it.
    let rows: &[(bool, &str, SupervisorState)] = &[
        (false, "end", Shutdown),
        (false, "restart", Restarting),
        (false, "restart end", Shutdown),
        (false, "end restart", Shutdown),
        (true, "restart", Running),
        (true, "end", Shutdown),
    ];
    for (is_wrong, wishes, expected) in rows {
        let mut world = World::new("[program:a]\ncommand=a\n");
        if *is_wrong {
            world.host.env.write("F", "[program:a]\n");
        }
        for wish in wishes.split(' ') {
            match wish {
                "end" => world.daemon.request_shutdown(),
                _ => assert_eq!(world.daemon.request_restart(&mut world.host).is_err(), *is_wrong, "{wishes}"),
            }
        }
        assert_eq!(world.daemon.state(), *expected, "{is_wrong} {wishes}");
    }
}
