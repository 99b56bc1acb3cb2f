//! Log files whose names we make up: AUTO (L-40 to L-43).

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::id::Channel;
use crate::sys;
use crate::wire::pyrepr;

/// Of the random part of a name: 37 of them, so eight make 3.5 million million names.
const LETTERS: &[u8; 37] = b"abcdefghijklmnopqrstuvwxyz0123456789_";
const RANDOM_LETTERS: usize = 8;

/// Names tried before giving up; one is enough unless somebody has made all of them.
const ATTEMPTS_MAX: usize = 100;

/// Makes an empty file of mode 0600 and returns its path,
/// `<directory>/<process>-<stdout|stderr>---<identifier>-<8 of a-z0-9_>.log` (L-40).
pub fn create(directory: &str, process: &str, channel: Channel, identifier: &str) -> io::Result<String> {
    let channel = channel.name();
    for _ in 0..ATTEMPTS_MAX {
        let path = format!("{directory}/{process}-{channel}---{identifier}-{}.log", random_part()?);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

fn random_part() -> io::Result<String> {
    let mut bytes = [0; RANDOM_LETTERS];
    sys::random_bytes(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect())
}

/// Deletes the AUTO logs of earlier runs under the same identifier, with their backups (L-42). Troubles are logged; those
/// of a directory in which nothing may be written once for all files (K-5).
pub fn clean_up(directory: &str, identifier: &str) {
    let Ok(entries) = fs::read_dir(directory) else {
        activity!(Warn, "Could not clear childlog dir");
        return;
    };
    let mut closed = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| is_auto_log(name, identifier)) {
            continue;
        }
        match fs::remove_file(entry.path()) {
            Ok(()) => {}
            Err(error) if matches!(sys::errno_of(&error), libc::EROFS | libc::EACCES) => closed.push(entry.path()),
            Err(_) => failed(&entry.path()),
        }
    }
    match &closed[..] {
        [] => {}
        [path] => failed(path),
        paths => activity!(Warn, "Failed to clean up {} logs of earlier runs in {directory}", paths.len()),
    }
}

fn failed(path: &Path) {
    activity!(Warn, "Failed to clean up {}", pyrepr::text(&path.to_string_lossy()));
}

/// Whether a name begins like one of ours: something in one line, `---<identifier>-`, no blanks, `.log`. What follows is free, as
/// in the original; the identifier is taken literally, there it is part of a pattern.
fn is_auto_log(name: &str, identifier: &str) -> bool {
    let mark = format!("---{identifier}-");
    let start = name.split('\n').next().unwrap_or("");
    name.match_indices(&mark).filter(|(at, _)| (1..=start.len()).contains(at)).any(|(at, _)| {
        let rest = &name[at + mark.len()..];
        let word = rest.split(char::is_whitespace).next().unwrap_or("");
        word.rfind(".log").is_some_and(|at| at > 0)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn names_and_modes() {
        let scratch = Scratch::new("auto");
        let dir = scratch.path("");
        let first = create(&dir, "cat", Channel::Stdout, "supervisor").unwrap();
        let second = create(&dir, "cat", Channel::Stdout, "supervisor").unwrap();
        assert_ne!(first, second);
        let random = first.strip_prefix(&format!("{dir}/cat-stdout---supervisor-")).unwrap();
        let random = random.strip_suffix(".log").unwrap();
        assert!(random.len() == 8 && random.bytes().all(|byte| LETTERS.contains(&byte)), "{random}");
        assert_eq!(fs::metadata(&first).unwrap().mode() & 0o777, 0o600);
        assert!(is_auto_log(&first[dir.len() + 1..], "supervisor"));
        assert!(create(&scratch.path("none"), "cat", Channel::Stderr, "x").is_err());
    }

    #[test]
    fn names_that_are_cleaned_up() {
        let rows = [
            ("cat-stdout---sup-abcdefgh.log", true),
            ("cat-stdout---sup-abcdefgh.log.1", true),
            ("cat-stdout---sup-abcdefgh.log.1234", true),
            ("anything---sup-x.logrotated", true),
            ("a---sup-b---sup-x.log", true),
            ("cat-stdout---other-abcdefgh.log", false),
            ("cat-stdout---sup2-abcdefgh.log", false),
            ("---sup-abcdefgh.log", false),
            ("two\nlines---sup-abcdefgh.log", false),
            ("cat-stdout---sup-.log", false),
            ("cat-stdout---sup-a b.log", false),
            ("cat-stdout---sup-abcdefgh.txt", false),
            ("cat-stdout-sup-abcdefgh.log", false),
        ];
        let scratch = Scratch::new("cleanup");
        for (name, expected) in rows {
            assert_eq!(is_auto_log(name, "sup"), expected, "{name}");
            fs::write(scratch.path(name), "").unwrap();
        }
        clean_up(&scratch.path(""), "sup");
        for (name, gone) in rows {
            assert_eq!(!fs::exists(scratch.path(name)).unwrap(), gone, "{name}");
        }
        assert!(!is_auto_log("a---bxc-y.log", "b.c"));
        clean_up(&scratch.path("none"), "sup");
    }
}
