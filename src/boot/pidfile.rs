//! The pidfile (C-162 to C-164). What exists and is no regular file is not ours: it is written to never and removed
//! never. `pidfile=/dev/null` is how people say that they want none; 4.3.0, run by root, deletes the device at its end.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

/// Whatever the path has become since it was looked at: opening it neither waits for anybody nor gives us a terminal.
const UNWAITING: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

/// More than any process id and a line feed take; a longer file is somebody else's.
const TEXT_BYTES_MAX: u64 = 16;

/// A pidfile that this process wrote.
pub struct Pidfile {
    path: String,
}

impl Pidfile {
    /// Writes it; without one the daemon goes on (C-162). `None` also where there is something that is no file.
    pub fn write(path: &str) -> Option<Pidfile> {
        let pid = std::process::id();
        match put(path, &format!("{pid}\n")) {
            Ok(is_ours) => {
                activity!(Info, "supervisord started with pid {pid}");
                is_ours.then(|| Pidfile { path: path.to_string() })
            }
            Err(error) => {
                activity!(Critical, "could not write pidfile {path}");
                activity!(Debug, "{path}: {error}");
                None
            }
        }
    }

    /// Removes it, and what a reread has made the pidfile meanwhile (C-164): each only if it still holds our number, for
    /// otherwise another daemon has taken its place.
    pub fn remove(self, configured: &str) {
        for path in [self.path.as_str(), configured] {
            if holds_our_pid(path) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Whether it was written; false if there is something that is no file.
fn put(path: &str, text: &str) -> io::Result<bool> {
    if fs::metadata(path).is_ok_and(|metadata| is_special(&metadata)) {
        return Ok(false);
    }
    // Truncated only once it is known to be a file.
    let options = OpenOptions::new().write(true).create(true).truncate(false).custom_flags(UNWAITING).open(path);
    let mut file = match options {
        // A FIFO or socket that has come since.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Ok(false),
        opened => opened?,
    };
    if is_special(&file.metadata()?) {
        return Ok(false);
    }
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    Ok(true)
}

/// A directory is a mistake, which opening it says.
fn is_special(metadata: &Metadata) -> bool {
    !metadata.is_file() && !metadata.is_dir()
}

fn holds_our_pid(path: &str) -> bool {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        if fs::metadata(path)?.is_file() {
            let file = OpenOptions::new().read(true).custom_flags(UNWAITING).open(path)?;
            file.take(TEXT_BYTES_MAX).read_to_string(&mut text)?;
        }
        Ok(text)
    };
    read().is_ok_and(|text| text == format!("{}\n", std::process::id()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileTypeExt;

    use super::*;
    use crate::sys::scratch::Scratch;

    /// K-5: what is no regular file is neither written to, nor waited for, nor removed.
    #[test]
    fn only_files_are_written_and_only_ours_are_removed() {
        let scratch = Scratch::new("pidfile");
        let ours = format!("{}\n", std::process::id());
        let file = scratch.path("file");
        fs::write(&file, "something longer than a number\n").unwrap();
        let pidfile = Pidfile::write(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), ours);
        pidfile.remove(&file);
        assert!(fs::metadata(&file).is_err());

        for stranger in ["1\n".to_string(), String::new(), format!("{ours}{ours}")] {
            let pidfile = Pidfile::write(&file).unwrap();
            fs::write(&file, &stranger).unwrap();
            pidfile.remove(&file);
            assert_eq!(fs::read_to_string(&file).unwrap(), stranger);
        }

        let fifo = scratch.path("fifo");
        nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink(&fifo, scratch.path("link")).unwrap();
        for path in [fifo.as_str(), &scratch.path("link"), "/dev/null"] {
            assert!(Pidfile::write(path).is_none(), "{path}");
            // As if a reread had made it the pidfile.
            Pidfile::write(&file).unwrap().remove(path);
            assert!(fs::symlink_metadata(path).is_ok(), "{path}");
        }
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
        // C-162: what cannot be written is none.
        assert!(Pidfile::write(&scratch.path("")).is_none() && Pidfile::write(&scratch.path("no/such")).is_none());
    }
}
