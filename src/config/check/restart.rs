//! Options of `[supervisord]` that Supervisor does not have: they hold from one start to the next, whatever `reread` finds
//! (K-0.5).

use crate::wire::ini::Document;

use super::super::options::Supervisord;
use super::finding::{Finding, Severity};

/// The first option that is not the original's; those before it are, and it is known of them.
const FIRST_OF_OURS: &str = "envfiles";

/// One line for all that the file sets.
pub(super) fn look(document: &Document) -> Option<Finding> {
    let section = document.section("supervisord")?;
    let ours = Supervisord::ROWS.iter().skip_while(|row| row.name != FIRST_OF_OURS);
    let set: Vec<&str> = ours.map(|row| row.name).filter(|name| section.get(name).is_some()).collect();
    let (last, others) = set.split_last()?;
    let (names, verb) = match others {
        [] => (last.to_string(), "is"),
        others => (format!("{} and {last}", others.join(", ")), "are"),
    };
    let text = format!("{names} in [supervisord] {verb} read at start and at a restart, not by reread");
    Some(Finding::new(Severity::Warning, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_0_5_what_reread_does_not_read() {
        let after = "in [supervisord] are read at start and at a restart, not by reread";
        let rows = [
            ("[program:a]\ncommand=x\n", None),
            ("[supervisord]\nnodaemon=true\nenvironment=A=1\nunheard_of=1\n[program:a]\nenvfiles=x\n", None),
            (
                "[supervisord]\nSubReaper=true\n",
                Some("subreaper in [supervisord] is read at start and at a restart, not by reread".to_string()),
            ),
            (
                "[supervisord]\nwhen_done=halt\nenvFiles=-a\nlog_total_max=1MB\nminfds=10\n",
                Some(format!("envfiles, when_done and log_total_max {after}")),
            ),
        ];
        for (text, expected) in rows {
            let mut document = Document::default();
            document.read(text, "s.conf").unwrap();
            assert_eq!(look(&document).map(|finding| finding.text), expected, "{text}");
        }
        let ours = Supervisord::ROWS.iter().skip_while(|row| row.name != FIRST_OF_OURS);
        assert!(ours.clone().any(|row| row.name == "shutdown_timeout"));
        assert!(ours.clone().all(|row| row.name != "environment"));
    }
}
