//! Files that must never be seen half written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Replaces the content of `path` whole: after a crash there is the old content or the new. The file gets `mode`
/// less the umask. The directory must allow a second file beside it, `<path>.<pid>.tmp`.
///
/// Errors: the old content stands, unless the directory could not be synchronised: then either may.
pub fn replace(path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = format!("{path}.{}.tmp", std::process::id());
    let result = write_and_rename(&temporary, path, content, mode);
    if result.is_err() {
        // Left over from us; if it was renamed already there is nothing of that name.
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn write_and_rename(temporary: &str, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    // A leftover of a process that had our pid.
    let _ = fs::remove_file(temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    let directory = Path::new(path).parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn content_is_replaced_whole() {
        let scratch = Scratch::new("replace");
        let path = scratch.path("file");
        for content in ["one", "", "three\n"] {
            replace(&path, content.as_bytes(), 0o600).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 1);

        assert!(replace(&scratch.path("no/file"), b"x", 0o600).is_err());
        fs::create_dir_all(scratch.path("dir/x")).unwrap();
        assert!(replace(&scratch.path("dir"), b"x", 0o600).is_err());
        assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 2);
    }
}
