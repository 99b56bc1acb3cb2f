//! Ends that will not be as they are written: a status that nobody sees, programs that have less time than they say (K-1).

use std::collections::BTreeSet;

use super::super::datatypes::ExitCodeFrom;
use super::super::loaded::Config;
use super::finding::{Finding, Severity};

/// Looks at the end of the daemon.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let supervisord = &config.supervisord;
    if !matches!(supervisord.exit_code_from, ExitCodeFrom::Policy | ExitCodeFrom::Nobody) && !supervisord.nodaemon {
        let text = "exit_code_from in [supervisord] is of no use without nodaemon=true (-n): a daemon shows its exit status to nobody";
        found.push(Finding::new(Severity::Warning, text));
    }
    let timeout = supervisord.shutdown_timeout.0;
    if timeout.is_zero() {
        return found;
    }
    let processes = config.groups.iter().flat_map(|group| &group.processes);
    let mut seen = BTreeSet::new();
    for program in processes.map(|process| &process.program) {
        let wait = u64::try_from(program.stopwaitsecs).unwrap_or(0);
        if wait as f64 >= timeout.as_secs_f64() && seen.insert(program.name.as_str()) {
            let text = format!(
                "{} may be killed before its stopwaitsecs={wait} are over, for shutdown_timeout={} is all the time there is",
                program.name,
                timeout.as_secs_f64()
            );
            found.push(Finding::new(Severity::Warning, text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::Fake;
    use super::*;

    #[test]
    fn k_1_what_check_says_of_ends() {
        let rows: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("exit_code_from=p", &["exit_code_from in [supervisord] is of no use without"]),
            ("exit_code_from=none", &[]),
            ("exit_code_from=p\nnodaemon=true", &[]),
            ("shutdown_timeout=10.5", &[]),
            ("shutdown_timeout=10", &["p may be killed before its stopwaitsecs=10 are over, for shutdown_timeout=10 "]),
            ("shutdown_timeout=1.5", &["p may be killed", "q may be killed before its stopwaitsecs=2 "]),
        ];
        for (lines, expected) in rows {
            let programs = "[program:p]\ncommand=x\n[program:q]\ncommand=x\nstopwaitsecs=2\n";
            let config = Fake::new().load(&format!("[supervisord]\n{lines}\n{programs}")).unwrap();
            let found = look(&config);
            assert_eq!(found.len(), expected.len(), "{lines}: {found:?}");
            for (finding, begin) in found.iter().zip(expected) {
                assert!(finding.text.starts_with(begin), "{lines}: {}", finding.text);
            }
        }
    }
}
