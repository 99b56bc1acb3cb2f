//! `-n -c FILE -- COMMAND`: the command as `[program:main]` beside the programs of the file (K-2.5).

use std::rc::Rc;

use crate::wire::ini::{Document, Entry};

use super::cmdline::Main;
use super::datatypes::{DependsOnFailure, RunType};
use super::dependency::{Condition, Dependency, DependsOn};
use super::error::ConfigError;
use super::types::Group;

/// The section that the command is.
pub(super) const SECTION: &str = "program:main";

/// Where errors about it say that it stands.
const PLACE: &str = "command line";

/// Higher than anybody's, so that it is started last and stopped first; the largest that clients can read.
const PRIORITY: &str = "2147483647";

/// Adds it to the files.
///
/// Errors: they have a section of that name.
pub(super) fn add(document: &mut Document, main: &Main) -> Result<(), ConfigError> {
    if let Some(section) = document.section(SECTION) {
        let message = "-- COMMAND is to be program:main, which is in the file already";
        return Err(ConfigError::new(message).at(&section.file, section.line).in_section(SECTION, &section.file));
    }
    let header = format!("[{SECTION}]\n");
    document.read(&header, PLACE).map_err(|error| ConfigError::new(error.to_string()))?;
    let Some(section) = document.section_mut(SECTION) else { return Ok(()) };
    let command = main.words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let options = [
        // Nothing in it is expanded.
        ("command", command.replace('%', "%%")),
        ("process_name", "main".to_string()),
        ("numprocs", "1".to_string()),
        ("priority", PRIORITY.to_string()),
        ("autostart", "true".to_string()),
        ("essential", "true".to_string()),
        ("autorestart", "false".to_string()),
        ("startsecs", "0".to_string()),
        ("redirect_stderr", "false".to_string()),
        ("stdout_logfile", "NONE".to_string()),
        ("stderr_logfile", "NONE".to_string()),
    ];
    for (key, value) in options {
        section.set(Entry { key: key.to_string(), value, file: PLACE.into(), line: 1 });
    }
    Ok(())
}

/// The error about a group of the file that has the name of the command's.
pub(super) fn same_name(document: &Document, groups: &[Rc<Group>]) -> Option<ConfigError> {
    let is_main = |group: &&Rc<Group>| group.processes.iter().any(|process| process.program.is_main);
    let own = groups.iter().find(is_main)?;
    groups.iter().find(|group| group.name == own.name && !is_main(group))?;
    let kinds = ["group", "eventlistener", "fcgi-program"].map(|kind| format!("{kind}:{}", own.name));
    let section = kinds.iter().find_map(|name| document.section(name))?;
    let message = format!("-- COMMAND is to be the group {}, which is in the file already", own.name);
    Some(ConfigError::new(message).at(&section.file, section.line).in_section(&section.name, &section.file))
}

/// One word as a command line has it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

/// Has it wait for all others that are started by themselves: until they are ready, or a oneshot has succeeded. One that
/// is given up is not waited for in vain: the command is given up with it, and that is the end of the daemon.
pub(super) fn wait_for_others(groups: &mut [Rc<Group>]) {
    let condition = |run_type| if run_type == RunType::Oneshot { Condition::Completed } else { Condition::Ready };
    let mut others = Vec::new();
    for group in groups.iter() {
        for process in group.processes.iter().filter(|process| process.program.autostart && !process.program.is_main) {
            let name = format!("{}:{}", group.name, process.name);
            others.push(Dependency { name, condition: condition(process.program.run_type) });
        }
    }
    let mains = groups.iter_mut().flat_map(|group| &mut Rc::make_mut(group).processes);
    for process in mains.filter(|process| process.program.is_main) {
        let process = Rc::make_mut(process);
        process.depends_on = DependsOn(others.clone());
        Rc::make_mut(&mut process.program).depends_on_failure = DependsOnFailure::Fatal;
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::super::{Autorestart, LogFile};
    use super::*;
    use crate::config::cmdline::CommandLine;
    use crate::wire::words;

    fn load(words: &[&str], waits_until_ready: bool, text: &str) -> Result<super::super::Config, String> {
        let words = words.iter().map(|word| word.to_string()).collect();
        let main = Some(Main { words, waits_until_ready });
        let line = CommandLine { configuration: Some("F".into()), nodaemon: true, main, ..CommandLine::default() };
        let mut env = Fake::new();
        env.write("F", text);
        super::super::Loader::new("sd", line, &env).load(&env).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_a_program_beside_the_files() {
        let odd = ["sh", "-c", "echo 'a  b' ; # %(x)s %s\n\"$HOME\" \\", "", "é"];
        let text = "[supervisord]\n[program:z]\ncommand=z\npriority=99999\n[program:o]\ncommand=o\ntype=oneshot\n\
                    [program:n]\ncommand=n\nautostart=false\n";
        let config = load(&odd, false, text).unwrap();
        let names: Vec<&str> = config.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["n", "o", "z", "main"]);
        let main = &config.groups[3].processes[0];
        assert_eq!(words::split(&main.command).unwrap(), odd);
        let program = &main.program;
        assert!(
            program.is_main && program.essential && program.autostart && !config.groups[0].processes[0].program.is_main
        );
        assert_eq!((program.startsecs, program.autorestart), (0, Autorestart::Never));
        assert_eq!((&main.stdout.logfile, &main.stderr.logfile), (&LogFile::None, &LogFile::None));
        assert!(main.depends_on.0.is_empty());

        let config = load(&["x"], true, text).unwrap();
        let main = &config.groups[3].processes[0];
        assert_eq!(main.depends_on.to_string(), "o:o=completed, z:z=ready");
        assert_eq!(main.program.depends_on_failure, DependsOnFailure::Fatal);
    }

    #[test]
    fn a_program_of_that_name_is_an_error() {
        for text in
            ["[group:main]\nprograms=y\n[program:y]\ncommand=y\n", "[eventlistener:main]\ncommand=y\nevents=TICK\n"]
        {
            let error = load(&["x"], false, &format!("[supervisord]\n{text}")).unwrap_err();
            let expected = "-- COMMAND is to be the group main, which is in the file already in section '";
            assert!(error.starts_with(expected) && error.contains(":main' (file: 'F', line 2)"), "{error}");
        }
        let config =
            load(&["x"], false, "[supervisord]\n[group:main]\nprograms=y,main\n[program:y]\ncommand=y\n").unwrap();
        assert_eq!((config.groups.len(), config.groups[0].processes.len()), (1, 2));
        let error = load(&["x"], false, "[supervisord]\n[program:main]\ncommand=y\n").unwrap_err();
        let expected = "-- COMMAND is to be program:main, which is in the file already in section 'program:main' (file: 'F', line 2)";
        assert!(error.starts_with(expected), "{error}");
    }
}
