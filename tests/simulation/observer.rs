//! A client of the event stream that checks every change of state it hears of (P-1 to P-5).

use std::collections::BTreeMap;

/// From which states a state may be entered.
const ALLOWED: &[(&str, &[&str])] = &[
    ("STARTING", &["STOPPED", "BACKOFF", "EXITED", "FATAL"]),
    ("RUNNING", &["STARTING"]),
    // From RUNNING: a listener that broke the protocol under unknown_action=restart. From EXITED: a one-shot that has
    // failed, or the pause before the next run.
    ("BACKOFF", &["STARTING", "RUNNING", "EXITED"]),
    ("STOPPING", &["STARTING", "RUNNING"]),
    // From STARTING: it still waited for what the last run left behind.
    ("STOPPED", &["STARTING", "STOPPING", "BACKOFF"]),
    ("EXITED", &["RUNNING", "UNKNOWN"]),
    // From STOPPED and EXITED: what it waits for has failed, or it was restarted too often.
    ("FATAL", &["BACKOFF", "STOPPED", "EXITED"]),
    ("UNKNOWN", &["STARTING", "RUNNING", "STOPPING"]),
];

/// What one connection to the event stream has heard.
#[derive(Default)]
pub struct Observer {
    text: String,
    serial: Option<u64>,
    /// No processes are removed from their groups.
    pub is_plain: bool,
    /// The state of each process, by group and process, where it has been heard of.
    pub states: BTreeMap<(String, String), String>,
}

impl Observer {
    /// Takes a piece of the stream.
    pub fn take(&mut self, piece: &[u8]) {
        self.text.push_str(std::str::from_utf8(piece).expect("the stream is UTF-8"));
        while let Some(end) = self.text.find("\n\n") {
            let block: String = self.text.drain(..end + 2).collect();
            self.event(&block);
        }
    }

    /// It may have missed something.
    pub fn forget(&mut self) {
        self.serial = None;
        self.states.clear();
    }

    fn event(&mut self, block: &str) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_string();
        let (kind, data) = (field("event: "), field("data: "));
        if kind == "dropped" {
            return self.forget();
        }
        let serial: u64 = field("id: ").parse().unwrap_or_else(|_| panic!("an event without a serial: {block:?}"));
        // It subscribes to everything, so every event of the daemon is here.
        if let Some(before) = self.serial.replace(serial) {
            assert_eq!(serial, before + 1, "serials of the event stream");
        }
        let value = |key: &str| {
            let found = data.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix(':'));
            found.unwrap_or_default().to_string()
        };
        let group = value("groupname");
        if kind.starts_with("PROCESS_GROUP_") {
            self.states.retain(|(other, _), _| *other != group);
        }
        if let Some(to) = kind.strip_prefix("PROCESS_STATE_") {
            let (process, from) = (value("processname"), value("from_state"));
            let allowed = ALLOWED.iter().find(|(state, _)| *state == to).map(|(_, from)| *from).unwrap_or_default();
            assert!(allowed.contains(&from.as_str()), "{group}:{process} went from {from} to {to}");
            let before = self.states.insert((group.clone(), process.clone()), to.to_string());
            // One that was removed and added again begins anew, and no event tells of it.
            let is_new = from == "STOPPED" && !self.is_plain;
            if let Some(before) = before.filter(|_| !is_new) {
                assert_eq!(from, before, "{group}:{process} was {before} and went from {from} to {to}");
            }
        }
    }
}
