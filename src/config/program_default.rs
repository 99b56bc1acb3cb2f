//! `[program-default]`: options that stand in for those that a `[program:x]` does not have (K-7). [`Reader`] looks them up,
//! before it expands anything; listeners, FastCGI programs, groups and programs added at run time get none of them.
//!
//! [`Reader`]: super::reader::Reader

use crate::wire::ini::{Document, OddKind, Oddity};

use super::error::ConfigError;

/// The section whose options stand in for those that a program does not have (K-7).
pub(super) const PROGRAM_DEFAULT: &str = "program-default";

/// What is wrong with the section of stand-ins, apart from its values, which are read for each program.
pub(super) fn check(document: &Document) -> Result<(), ConfigError> {
    let Some(section) = document.section(PROGRAM_DEFAULT) else { return Ok(()) };
    let error = |message: String, file: &str, line| {
        Err(ConfigError::new(message).at(file, line).in_section(PROGRAM_DEFAULT, &section.file))
    };
    let is_again = |odd: &&Oddity| odd.section == PROGRAM_DEFAULT && odd.key.is_empty();
    if let Some(Oddity { file, line, kind: OddKind::Again { .. }, .. }) = document.oddities.iter().find(is_again) {
        let message = format!("a second [{PROGRAM_DEFAULT}] stands in \"{file}\", line {line}");
        return error(message, &section.file, section.line);
    }
    for name in ["command", "process_name"] {
        if let Some(entry) = section.get(name) {
            return error(format!("{name} is each program's own"), &entry.file, entry.line);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::datatypes::LogFile;
    use super::super::fake::Fake;
    use super::super::types::Autorestart;

    const HEAD: &str = "[supervisord]\n[DEFAULT]\nstartsecs=5\nstopwaitsecs=6\n";

    #[test]
    fn stands_in_before_expansion_for_programs_alone() {
        let text = format!(
            "{HEAD}[program-default]\npriority=7\nstopwaitsecs=8\nstdout_logfile=%(here)s/%(program_name)s.%(process_num)d\n\
             autorestart=true\nessential=true\nenvironment=A=%(program_name)s\n[program:a]\ncommand=x\n\
             [program:b]\ncommand=x\npriority=8\n[group:g]\nprograms=b\n[eventlistener:l]\ncommand=x\nevents=TICK\n\
             [fcgi-program:f]\ncommand=x\nsocket=unix:///tmp/s\n"
        );
        let mut loader = Fake::new();
        let config = loader.load(&text).unwrap();
        let process =
            |group: &str| config.groups.iter().find(|found| found.name == group).unwrap().processes[0].clone();
        let (a, b, l, f) = (process("a"), process("g"), process("l"), process("f"));
        let of = |process: &super::super::Process| (process.program.priority, process.program.stopwaitsecs);
        assert_eq!([of(&a), of(&b)], [(7, 8), (8, 8)], "before [DEFAULT], behind the program's own");
        assert_eq!([l.program.stopwaitsecs, f.program.stopwaitsecs], [6, 6], "not for the others");
        assert_eq!((a.program.startsecs, &a.stdout.logfile), (5, &LogFile::Path("/base/a.0".into())));
        // What stands there counts as written.
        assert_eq!((a.program.autorestart, a.program.essential), (Autorestart::Always, true));
        assert_eq!(a.environment["A"], "a");
    }

    #[test]
    fn here_is_its_own_file() {
        let mut env = Fake::new();
        env.write("/etc/x/d.conf", "[program-default]\nstdout_logfile=%(here)s/log\n");
        let config = env.load("[supervisord]\n[include]\nfiles=/etc/x/*\n[program:a]\ncommand=x\n").unwrap();
        assert_eq!(config.groups[0].processes[0].stdout.logfile, LogFile::Path("/etc/x/log".into()));
    }

    #[test]
    fn programs_of_calls_do_not_get_it() {
        let mut env = Fake::new();
        let mut loader = env.loader(&format!("{HEAD}[program-default]\npriority=7\n"));
        loader.load(&env).unwrap();
        let made = loader.programs_from_options(&env, "g", "p", &[("command".into(), "x".into())]).unwrap();
        assert_eq!(made[0].program.priority, 999);
    }

    #[test]
    fn errors_name_its_lines() {
        let rows = [
            ("command=/bin/cat", "command is each program's own in section 'program-default' (file: 'F', line 2)"),
            ("process_name=y", "process_name is each program's own in section 'program-default' (file: 'F', line 2)"),
            (
                "[program-default]",
                "a second [program-default] stands in \"F\", line 2 in section 'program-default' (file: 'F', line 1)",
            ),
            (
                "startsecs=soon",
                "startsecs: expected a whole number, not 'soon' in section 'program-default' (file: 'F', line 2)",
            ),
        ];
        for (line, expected) in rows {
            let text = format!("[program-default]\n{line}\n[supervisord]\n[program:a]\ncommand=x\n");
            assert_eq!(Fake::new().load(&text).unwrap_err().to_string(), expected, "{line}");
        }
    }
}
