//! What of readiness, health and hooks is written and has no effect, or another than it looks (O-3 to O-6).

use crate::wire::ini::{Document, Entry, Section};

use super::finding::{Finding, Severity};

/// Options that do nothing without one of others.
const IDLE: &[(&[&str], &[&str])] = &[
    (&["ready_timeout"], &["ready"]),
    (&["notify_access", "notify_dir"], &["ready", "watchdog_sec"]),
    (&["watchdog_signal"], &["watchdog_sec"]),
    (&["memory_limit_of", "memory_limit_action", "memory_limit_interval"], &["memory_limit"]),
    (
        &[
            "liveness_check_initial_delay",
            "liveness_check_period",
            "liveness_check_timeout",
            "liveness_check_success_threshold",
            "liveness_check_failure_threshold",
            "liveness_check_failure_action",
            "liveness_check_success_action",
        ],
        &["liveness_check_script"],
    ),
    (&["hook_timeout"], &["pre_start_hook", "post_start_hook", "pre_stop_hook", "post_stop_hook", "stop_command"]),
    (&["hook_failure"], &["pre_start_hook", "post_start_hook"]),
];

/// What `ready=` begins with where somebody asks; it is these that the two options are for.
const ASKED: &[&str] = &["tcp:", "unix:", "http:", "command:"];
const FOR_ASKING: &[&str] = &["ready_interval", "ready_probe_timeout"];

/// Looks at the programs of a document.
pub(super) fn look(document: &Document) -> Vec<Finding> {
    let mut look = Look { document, found: Vec::new() };
    for section in &document.sections {
        if section.name.starts_with("program:") || section.name.starts_with("fcgi-program:") {
            look.program(section);
        }
        if let Some(entry) = look.entry(section, "depends_on") {
            look.healthy(section, entry);
        }
    }
    look.found
}

struct Look<'a> {
    document: &'a Document,
    found: Vec<Finding>,
}

impl<'a> Look<'a> {
    fn entry(&self, section: &'a Section, key: &str) -> Option<&'a Entry> {
        section.get(key).or_else(|| self.document.defaults.get(key))
    }

    fn value(&self, section: &'a Section, key: &str) -> Option<&'a str> {
        self.entry(section, key).map(|entry| entry.value.trim())
    }

    fn warn(&mut self, text: String, entry: &Entry) {
        self.found.push(Finding::at(Severity::Warning, text, &entry.file, entry.line));
    }

    fn program(&mut self, section: &'a Section) {
        let name = &section.name;
        for (idle, needed) in IDLE {
            if needed.iter().any(|key| self.entry(section, key).is_some()) {
                continue;
            }
            for entry in idle.iter().filter_map(|key| section.get(key)) {
                let text = format!("{} in [{name}] has no effect without {}", entry.key, needed.join(" or "));
                self.warn(text, entry);
            }
        }
        let ready = self.value(section, "ready").filter(|ready| *ready != "startsecs");
        let is_asked = ready.is_some_and(|ready| ASKED.iter().any(|kind| ready.starts_with(kind)));
        for entry in FOR_ASKING.iter().filter_map(|key| section.get(key)).filter(|_| !is_asked) {
            let text = format!("{} in [{name}] is for ready=tcp:, unix:, http: or command:", entry.key);
            self.warn(text, entry);
        }
        if let Some(entry) = section.get("run_timeout").filter(|_| self.value(section, "type") != Some("oneshot")) {
            self.warn(format!("run_timeout in [{name}] has no effect without type=oneshot"), entry);
        }
        let Some(ready) = ready else { return };
        if let Some(entry) = section.get("startsecs") {
            let text = format!(
                "startsecs in [{name}] is not waited for, ready={ready} says when it is up: an exit sooner is a failed start"
            );
            self.warn(text, entry);
        }
        if ready.starts_with("tcp:")
            && self.value(section, "killmode").is_none_or(|mode| mode == "process")
            && let Some(entry) = self.entry(section, "ready")
        {
            let text = format!(
                "what killmode=process leaves of an earlier run of [{name}] may answer in its place: with ready=tcp: use \
                 killmode=group"
            );
            self.warn(text, entry);
        }
    }

    /// Without a check `healthy` says nothing.
    fn healthy(&mut self, section: &Section, entry: &Entry) {
        for item in entry.value.split([',', '\n']) {
            let Some((name, condition)) = item.split_once('=') else { continue };
            let (name, condition) = (name.trim(), condition.trim());
            if !matches!(condition, "healthy" | "service_healthy") {
                continue;
            }
            let header = |kind: &str| format!("{kind}:{name}");
            let other =
                self.document.section(&header("program")).or_else(|| self.document.section(&header("fcgi-program")));
            let Some(other) = other else { continue };
            let by = &section.name;
            if self.entry(other, "liveness_check_script").is_none() {
                let text =
                    format!("[{by}] waits for {name} to be healthy, which has no liveness check: that means ready");
                self.warn(text, entry);
            }
        }
    }
}
