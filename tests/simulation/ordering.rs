//! Options of order, readiness, health and hooks for random configurations.

use crate::helpers::READY_TEXT;
use crate::random::Random;

/// Conditions, some of them by another name.
const CONDITIONS: &[&str] =
    &["", "", "=running", "=ready", "=healthy", "=completed", "=service_completed_successfully", "=ended", "=spawned"];

/// How somebody names processes of a group.
#[derive(Clone, Copy, Debug)]
enum Form {
    Name,
    All,
    First,
}

/// Something that a program or a group depends on.
#[derive(Clone, Debug)]
pub struct Need {
    pub group: &'static str,
    form: Form,
    condition: &'static str,
}

impl Need {
    /// Some of what comes before, so that there is no circle.
    pub fn some(before: &[&'static str], random: &mut Random) -> Vec<Need> {
        if before.is_empty() || random.one_in(3) {
            return Vec::new();
        }
        let need = |random: &mut Random| Need {
            group: random.word(before),
            form: *random.pick(&[Form::Name, Form::Name, Form::All, Form::First]),
            condition: random.word(CONDITIONS),
        };
        (0..random.between(1, 3)).map(|_| need(random)).collect()
    }

    /// As it stands in a file; `is_numbered` says that the processes of the group have numbers.
    pub fn text(&self, is_numbered: bool) -> String {
        let (group, condition) = (self.group, self.condition);
        match self.form {
            Form::Name => format!("{group}{condition}"),
            Form::All => format!("{group}:*{condition}"),
            Form::First if is_numbered => format!("{group}:{group}_0{condition}"),
            Form::First => format!("{group}:{group}{condition}"),
        }
    }
}

/// Replaces an option, or adds it.
fn set(list: &mut Vec<(String, String)>, key: &str, value: &str) {
    list.retain(|(other, _)| other != key);
    list.push((key.to_string(), value.to_string()));
}

/// Adds to the options of a program what it does in an orderly configuration.
pub fn add_options(list: &mut Vec<(String, String)>, is_listener: bool, random: &mut Random) {
    set(list, "depends_on_timeout", random.word(&["0", "0", "0", "3", "20.5"]));
    set(list, "depends_on_failure", random.word(&["wait", "wait", "fatal"]));
    set(list, "on_dependency_stop", random.word(&["ignore", "stop", "restart", "stop", "restart"]));
    if random.one_in(6) {
        set(list, "startdelay", random.word(&["0.5", "1", "7"]));
    }
    if random.one_in(8) {
        set(list, "start_stagger", random.word(&["0.3", "2"]));
    }
    if random.one_in(6) {
        set(list, "stopsignal", random.word(&["INT:1 TERM", "USR1:0 TERM:2 QUIT", "HUP, TERM"]));
    }
    if random.one_in(8) {
        set(list, "restart_limit", random.word(&["2/10", "5/60"]));
    }
    if random.one_in(8) {
        set(list, "restartpause", random.word(&["0.5", "3"]));
    }
    if random.one_in(3) {
        for hook in ["pre_start_hook", "post_start_hook", "pre_stop_hook", "post_stop_hook", "stop_command"] {
            if random.one_in(3) {
                let how = random.word(&["good", "good", "moody", "moody", "bad", "hanging"]);
                set(list, hook, &format!("/bin/hook {how}"));
            }
        }
        set(list, "hook_timeout", random.word(&["0.5", "3", "30"]));
        set(list, "hook_failure", random.word(&["ignore", "fail"]));
    }
    if is_listener {
        return;
    }
    match random.below(6) {
        0 => {
            set(list, "type", "oneshot");
            set(list, "autorestart", "false");
            set(list, "startsecs", "0");
            set(list, "run_timeout", random.word(&["0", "0", "2", "30"]));
        }
        1..4 => {
            let log = format!("log:{READY_TEXT}");
            let ready = *random.pick(&[
                "notify",
                "notify",
                "fd:7",
                "fd:env:READY",
                "tcp:127.0.0.1:80",
                "unix:/run/x",
                "http://localhost/up",
                "command:/bin/probe moody",
                "command:/bin/probe hanging",
                &log,
            ]);
            set(list, "ready", ready);
            set(list, "ready_timeout", random.word(&["0", "2", "15"]));
            set(list, "ready_interval", random.word(&["0.1", "1", "3"]));
            set(list, "ready_probe_timeout", random.word(&["0.2", "1", "5"]));
        }
        _ => {}
    }
    if random.one_in(4) {
        let check =
            random.word(&["tcp://127.0.0.1:80", "/bin/probe moody", "/bin/probe hanging", "http://localhost:8080/"]);
        set(list, "liveness_check_script", check);
        set(list, "liveness_check_initial_delay", random.word(&["0", "1", "5"]));
        set(list, "liveness_check_period", random.word(&["0.5", "1", "3"]));
        set(list, "liveness_check_timeout", random.word(&["0.5", "2"]));
        set(list, "liveness_check_success_threshold", random.word(&["1", "2"]));
        set(list, "liveness_check_failure_threshold", random.word(&["1", "3"]));
        let action = random.word(&["restart", "stop", "none", "/bin/action good", "/bin/action hanging"]);
        set(list, "liveness_check_failure_action", action);
        if random.one_in(3) {
            set(list, "liveness_check_success_action", "/bin/action moody");
        }
    }
    if random.one_in(6) {
        set(list, "watchdog_sec", random.word(&["1", "5"]));
        set(list, "notify_access", random.word(&["main", "group", "all"]));
    }
    if random.one_in(8) {
        set(list, "memory_limit", "1MB");
        set(list, "memory_limit_interval", random.word(&["1", "10"]));
        set(list, "memory_limit_action", random.word(&["restart", "stop", "none"]));
    }
}
