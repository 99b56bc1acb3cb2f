//! Files that must never be seen half written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Symbolic links on the way to a file; as many as Linux follows.
const LINKS_MAX: usize = 40;

/// Replaces the content of `path` whole: after a crash there is the old content or the new. The file gets `mode`
/// less the umask. A symbolic link stays, and what it points to is replaced or made. The directory of that file must
/// allow a second one beside it, `<file>.tmp`: always the same, so that what a crash leaves is gone with the next call.
/// That means that nobody else may be replacing the file.
///
/// Errors: the old content stands, unless the directory could not be synchronised: then either may.
pub fn replace(path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let path = behind_links(path)?;
    let mut temporary = path.clone().into_os_string();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let result = write_and_rename(&temporary, &path, content, mode);
    if result.is_err() {
        // Left over from us; if it was renamed already there is nothing of that name.
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// The file that a path means; it need not be there.
fn behind_links(path: &str) -> io::Result<PathBuf> {
    let mut path = PathBuf::from(path);
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            // No link, or nothing at all; what else is wrong with it the writing will say.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

fn write_and_rename(temporary: &Path, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    // A leftover of a crash. It is not opened, for it could be a link by now.
    let _ = fs::remove_file(temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
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

        // What a crash has left goes.
        fs::write(scratch.path("file.tmp"), "torn").unwrap();
        replace(&path, b"four", 0o600).unwrap();
        assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 1);

        assert!(replace(&scratch.path("no/file"), b"x", 0o600).is_err());
        fs::create_dir_all(scratch.path("dir/x")).unwrap();
        assert!(replace(&scratch.path("dir"), b"x", 0o600).is_err());
        assert_eq!(fs::read_dir(scratch.path("")).unwrap().count(), 2);
    }

    #[test]
    fn links_are_written_through() {
        let scratch = Scratch::new("links");
        let link = scratch.path("link");
        fs::create_dir(scratch.path("real")).unwrap();
        fs::create_dir(scratch.path("etc")).unwrap();
        std::os::unix::fs::symlink("etc/second", &link).unwrap();
        std::os::unix::fs::symlink("../real/file", scratch.path("etc/second")).unwrap();
        // At first it points to nothing.
        for content in ["one", "two"] {
            replace(&link, content.as_bytes(), 0o600).unwrap();
            assert_eq!(fs::read_to_string(scratch.path("real/file")).unwrap(), content);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert!(fs::symlink_metadata(scratch.path("etc/second")).unwrap().is_symlink());
        }
        std::os::unix::fs::symlink("ring", scratch.path("ring")).unwrap();
        assert_eq!(replace(&scratch.path("ring"), b"x", 0o600).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
}
