//! What `reread` reports: which groups were added, changed, removed (P-110 to P-113).
//!
//! All options of a program and its processes are compared, row by row. The exceptions, which are the original's, stand
//! here: options that only say which processes are made, AUTO for a log, AUTO for the server's URL, the order of a
//! listener's events, and of a FastCGI socket all but its URL.

use std::collections::HashMap;
use std::rc::Rc;

use crate::id::Channel;

use super::datatypes::LogFile;
use super::options::{GroupOptions, Process, Program};
use super::types::{Autorestart, Fcgi, Group, Listener, ServerUrl};

/// Names of groups that differ between what is active and what is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Difference {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

/// Compares the groups that run with those just loaded. Added and changed ones stand in the order of `configured`,
/// removed ones in that of `active`.
pub fn difference<'a>(active: impl IntoIterator<Item = &'a Rc<Group>>, configured: &[Rc<Group>]) -> Difference {
    let active: Vec<&Rc<Group>> = active.into_iter().collect();
    let by_name: HashMap<&str, &Rc<Group>> = active.iter().map(|group| (group.name.as_str(), *group)).collect();
    let mut difference = Difference::default();
    for group in configured {
        match by_name.get(group.name.as_str()) {
            None => difference.added.push(group.name.clone()),
            Some(current) if Rc::ptr_eq(current, group) || current.same_as(group) => {}
            Some(_) => difference.changed.push(group.name.clone()),
        }
    }
    let names: HashMap<&str, ()> = configured.iter().map(|group| (group.name.as_str(), ())).collect();
    let gone = active.iter().filter(|group| !names.contains_key(group.name.as_str()));
    difference.removed = gone.map(|group| group.name.clone()).collect();
    difference
}

impl Group {
    /// Equality for `reread`, of an active group with a configured one (P-111).
    pub fn same_as(&self, other: &Group) -> bool {
        self.name == other.name
            && self.priority == other.priority
            && self.kind == other.kind
            && same_options(self.options.as_deref(), other.options.as_deref())
            && self.processes.len() == other.processes.len()
            && self.processes.iter().zip(&other.processes).all(|(a, b)| Rc::ptr_eq(a, b) || a.same_as(b))
    }
}

impl Process {
    /// Equality for `reread`, of an active process with a configured one: where the latter says AUTO, the log is not
    /// compared. An active AUTO has become a file, so that a path or NONE in its place is a change (P-111).
    pub fn same_as(&self, configured: &Process) -> bool {
        self.agrees(configured, |mine, other| mine == other)
    }

    /// Whether it differs from a configured one in policies at most, which can be taken over while it runs (K-0.6).
    pub fn same_but_for_policy(&self, configured: &Process) -> bool {
        self.agrees(configured, |mine, other| {
            let Process { name, number: _, program, environment, .. } = mine;
            *name == other.name
                && *environment == other.environment
                && (program.is_same(&other.program, |row| row.makes || row.policy)
                    || are_both_unwritten(program.autorestart, other.program.autorestart)
                        && program.is_same(&other.program, |row| row.makes || row.policy || row.name == "autorestart"))
                && mine.is_same(other, |row| row.makes || row.policy)
        })
    }

    /// Whether they are the same by a comparison that knows nothing of AUTO.
    fn agrees(&self, configured: &Process, are_same: impl Fn(&Process, &Process) -> bool) -> bool {
        // Nearly always so, and then nothing needs to be copied.
        if are_same(self, configured) {
            return true;
        }
        let channels = [Channel::Stdout, Channel::Stderr];
        if channels.iter().all(|channel| configured.log(*channel).logfile != LogFile::Auto) {
            return false;
        }
        let mut configured = configured.clone();
        for channel in channels {
            let theirs = &mut configured.log_mut(channel).logfile;
            if *theirs == LogFile::Auto {
                theirs.clone_from(&self.log(channel).logfile);
            }
        }
        are_same(self, &configured)
    }
}

/// Whether the one `autorestart` has become the other by `essential` alone, which is a policy and brings it along.
fn are_both_unwritten(one: Autorestart, other: Autorestart) -> bool {
    let is_default = |value| matches!(value, Autorestart::Essential | Autorestart::Unexpected);
    is_default(one) && is_default(other)
}

/// All that its child is made by.
impl PartialEq for Process {
    fn eq(&self, other: &Process) -> bool {
        self.name == other.name
            && self.environment == other.environment
            && (Rc::ptr_eq(&self.program, &other.program) || self.program == other.program)
            && self.is_same(other, |row| row.makes)
    }
}

/// Its options. The section's name is none (C-105), and how many processes there are shows in the processes.
impl PartialEq for Program {
    fn eq(&self, other: &Program) -> bool {
        self.is_same(other, |row| row.makes)
    }
}

/// What AUTO stands for is the servers' affair, not the program's.
impl PartialEq for ServerUrl {
    fn eq(&self, other: &ServerUrl) -> bool {
        self.is_auto == other.is_auto && (self.is_auto || self.url == other.url)
    }
}

/// The order of its events does not count (P-111).
impl PartialEq for Listener {
    fn eq(&self, other: &Listener) -> bool {
        // Taken apart, so that a new field is not forgotten here.
        let Listener { options, buffer_size, events, result_handler } = other;
        self.options.is_same(options, |row| row.makes)
            && self.buffer_size == *buffer_size
            && self.result_handler == *result_handler
            && self.events.len() == events.len()
            && self.events.iter().all(|event| events.contains(event))
    }
}

/// Of the socket only the URL counts (P-111).
impl PartialEq for Fcgi {
    fn eq(&self, other: &Fcgi) -> bool {
        self.options.is_same(&other.options, |row| row.makes) && self.socket.url == other.socket.url
    }
}

/// Whether the options of two groups are the same, where that has a section of its own or not.
fn same_options(one: Option<&GroupOptions>, other: Option<&GroupOptions>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.is_same(other, |row| row.makes),
        (Some(options), None) | (None, Some(options)) => {
            GroupOptions::defaults().is_ok_and(|defaults| options.is_same(&defaults, |row| row.makes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    fn groups(text: &str) -> Vec<Rc<Group>> {
        Fake::new().load(&format!("[supervisord]\n{text}")).unwrap().groups
    }

    fn program(name: &str, lines: &str) -> String {
        format!("[program:{name}]\ncommand=x\n{lines}\n")
    }

    #[test]
    fn which_groups_differ() {
        let old = groups(&(program("same", "") + &program("edited", "") + &program("gone", "")));
        let new = groups(&(program("new", "") + &program("same", "") + &program("edited", "startsecs=2")));
        let expected =
            Difference { added: vec!["new".into()], changed: vec!["edited".into()], removed: vec!["gone".into()] };
        assert_eq!(difference(&old, &new), expected);
        assert_eq!(difference(&old, &old), Difference::default());
    }

    #[test]
    fn which_changes_are_policies() {
        // K-0.6; the second: essential brings the default of autorestart along.
        let rows = [
            ("restartpause=1", "restartpause=2", true),
            ("", "essential=true", true),
            ("essential=true", "", true),
            ("autorestart=false", "essential=true", false),
            ("essential=true", "autorestart=true", false),
            ("autorestart=true\nessential=true", "autorestart=true", true),
            ("", "killmode=tree\nkillwaitsecs=5", true),
            ("", "deathsig=TERM", false),
            ("", "autorestart=true", false),
        ];
        for (old, new, expected) in rows {
            let process = |lines| groups(&program("p", lines))[0].processes[0].clone();
            assert_eq!(process(old).same_but_for_policy(&process(new)), expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn what_counts_as_a_change() {
        let listener = "[eventlistener:l]\ncommand=x\n";
        let fcgi = "[fcgi-program:f]\ncommand=x\nsocket=unix:///tmp/";
        let p = |lines: &str| program("p", lines);
        let rows = [
            (p(""), p(""), false),
            (p(""), p("unknown=1"), false),
            (p(""), p("priority=1"), true),
            (p(""), p("environment=A=1"), true),
            (p(""), p("serverurl=http://x"), true),
            (p("stopsignal=TERM"), p("stopsignal=15"), false),
            // An active AUTO is a file by now; a new AUTO is not compared (P-111).
            (p(""), p("stdout_logfile=/tmp/x"), true),
            (p(""), p("stderr_logfile=none"), true),
            (p("stderr_logfile=none"), p(""), false),
            (p("stderr_logfile=none"), p("stderr_logfile=/tmp/x"), true),
            (p("stdout_logfile=/tmp/x"), p("startsecs=2"), true),
            (p(""), format!("[supervisord]\nenvironment=A=1\n{}", p("")), true),
            (p(""), format!("[inet_http_server]\nport=1\n{}", p("")), false),
            (format!("{listener}events=TICK,EVENT"), format!("{listener}events=EVENT,TICK"), false),
            (format!("{listener}events=TICK,EVENT"), format!("{listener}events=TICK"), true),
            (format!("{listener}events=TICK"), format!("{listener}events=TICK\nbuffer_size=1"), true),
            (format!("{listener}events=TICK"), format!("{listener}events=TICK\nextended_payload=1"), true),
            (p(""), format!("{}[group:p]\nprograms=p\n", p("")), false),
            (format!("{fcgi}a"), format!("{fcgi}b"), true),
            (format!("{fcgi}a"), format!("{fcgi}a\nsocket_mode=0777\nsocket_backlog=1"), false),
        ];
        for (old, new, expected) in rows {
            let difference = difference(&groups(&old), &groups(&new));
            assert_eq!(!difference.changed.is_empty(), expected, "{old:?} {new:?}");
            assert!(difference.added.is_empty() && difference.removed.is_empty(), "{old:?} {new:?}");
        }
    }
}
