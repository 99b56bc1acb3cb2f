//! Finding the file to execute for the first word of a command (P-31, P-33).

use std::ffi::CString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::wire::pyrepr;

/// Searched when neither the program nor the daemon has a PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin:/usr/local/bin";

/// Why a command cannot be run. Displays as the original's text (P-31). Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandProblem {
    /// Nothing there, under that path, or for that word anywhere in PATH.
    NotFound(String),
    /// It is a directory.
    Directory(String),
    /// It has no x bit at all.
    NotExecutable(String),
    /// It has x bits, but not for us.
    NoPermission(String),
    /// There is no word in it.
    Empty,
    /// It cannot be split into words: the command, and why.
    Unparsable(String, String),
}

impl fmt::Display for CommandProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandProblem::NotFound(word) => write!(f, "can't find command {}", pyrepr::text(word)),
            CommandProblem::Directory(path) => write!(f, "command at {} is a directory", pyrepr::text(path)),
            CommandProblem::NotExecutable(path) => write!(f, "command at {} is not executable", pyrepr::text(path)),
            CommandProblem::Empty => f.write_str("command is empty"),
            CommandProblem::Unparsable(command, error) => {
                write!(f, "can't parse command {}: {error}", pyrepr::text(command))
            }
            CommandProblem::NoPermission(path) => write!(f, "no permission to run command {}", pyrepr::text(path)),
        }
    }
}

/// The file to execute for `word` (P-33).
///
/// A word with a slash is taken as it is, relative to the daemon's directory. Others are looked for in `search`, the
/// value of PATH that applies, or [`DEFAULT_PATH`]; the first entry that exists is taken even when it cannot be run.
pub fn find(word: &str, search: Option<&str>) -> Result<CString, CommandProblem> {
    let candidate = if word.contains('/') {
        Some(PathBuf::from(word))
    } else {
        // An empty part of PATH is the current directory.
        search.unwrap_or(DEFAULT_PATH).split(':').map(|part| Path::new(part).join(word)).find(|path| path.exists())
    };
    let not_found = || CommandProblem::NotFound(word.to_string());
    let path = candidate.ok_or_else(not_found)?;
    let metadata = path.metadata().map_err(|_| not_found())?;
    let shown = || path.to_string_lossy().into_owned();
    if metadata.is_dir() {
        Err(CommandProblem::Directory(shown()))
    } else if metadata.permissions().mode() & 0o111 == 0 {
        Err(CommandProblem::NotExecutable(shown()))
    } else if access(&path, AccessFlags::X_OK).is_err() {
        Err(CommandProblem::NoPermission(shown()))
    } else {
        // A path with a zero byte cannot exist, so the lookup above has failed for it.
        CString::new(path.as_os_str().as_bytes()).map_err(|_| not_found())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn commands_that_are_none() {
        let rows = [
            (CommandProblem::Empty, "command is empty"),
            (
                CommandProblem::Unparsable("cat \"x".into(), "No closing quotation".into()),
                "can't parse command 'cat \"x': No closing quotation",
            ),
        ];
        for (problem, text) in rows {
            assert_eq!(problem.to_string(), text);
        }
    }

    #[test]
    fn commands_are_found_or_refused() {
        let scratch = Scratch::new("command");
        let dir = scratch.path("");
        let (first, second) = (scratch.path("first"), scratch.path("second"));
        fs::create_dir_all(format!("{first}/tool")).unwrap();
        fs::create_dir(&second).unwrap();
        for (name, mode) in [("tool", 0o755), ("data", 0o644), ("odd", 0o100)] {
            let path = format!("{second}/{name}");
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
        let both = format!("{first}:{second}");
        let rows: &[(String, Option<&str>, Result<String, String>)] = &[
            ("tool".into(), Some(&second), Ok(format!("{second}/tool"))),
            ("tool".into(), Some(&format!("/nonexistent:{second}")), Ok(format!("{second}/tool"))),
            // The first entry that exists wins, whatever it is.
            ("tool".into(), Some(&both), Err(format!("command at '{first}/tool' is a directory"))),
            ("data".into(), Some(&both), Err(format!("command at '{second}/data' is not executable"))),
            ("odd".into(), Some(&both), Ok(format!("{second}/odd"))),
            ("nope".into(), Some(&both), Err("can't find command 'nope'".into())),
            ("nope".into(), Some(""), Err("can't find command 'nope'".into())),
            ("it's".into(), None, Err("can't find command \"it's\"".into())),
            ("sh".into(), None, Ok("/bin/sh".into())),
            (format!("{second}/tool"), None, Ok(format!("{second}/tool"))),
            (format!("{second}/nope"), None, Err(format!("can't find command '{second}/nope'"))),
            (dir.clone(), None, Err(format!("command at '{dir}' is a directory"))),
            ("/bin/sh\0".into(), None, Err("can't find command '/bin/sh\\x00'".into())),
        ];
        for (word, search, expected) in rows {
            let found = find(word, *search).map(|path| path.into_string().unwrap()).map_err(|error| error.to_string());
            assert_eq!(&found, expected, "{word:?} in {search:?}");
        }
    }
}
