//! Environment files, read anew for each child (K-7): nothing of them is kept, logged or shown.

use super::Daemon;
use super::host::{Errno, FromFiles, Host, Span};
use crate::config::{self, EnvFile, Secret};
use crate::errno;
use crate::id::ProcId;
use crate::wire::envfile::{self, FILE_BYTES_MAX, Variables};

/// Bytes of a value from a file of its own: as long as the kernel lets one be (K-7).
const VALUE_BYTES_MAX: usize = 128 * 1024;

impl Daemon {
    /// What the files of a process say, `[supervisord]`'s before its own; `None` if it has none. The error is the text of
    /// `spawnerr`.
    pub(super) fn read_environment(&self, id: ProcId, host: &mut dyn Host) -> Result<Option<FromFiles>, String> {
        let Some(process) = self.roster.process(id) else { return Ok(None) };
        let config::Process { env_files, environment_from_file, .. } = &*process.config;
        let (all, own, secrets) = (&self.config.supervisord.env_files.0, &env_files.0, &environment_from_file.0);
        if all.is_empty() && own.is_empty() && secrets.is_empty() {
            return Ok(None);
        }
        let mut variables = Variables::new();
        for file in all.iter().chain(own.iter()) {
            variables.extend(read_file(file, host).map_err(|reason| cannot(&file.path, &reason))?);
        }
        for Secret { name, path } in secrets.iter() {
            let value = read_value(path, host).map_err(|reason| cannot(path, &reason))?;
            variables.insert(name.clone().into_bytes(), value);
        }
        Ok(Some(FromFiles(variables)))
    }
}

/// The PATH that a child will have, if anything but the daemon's own environment gives it one.
pub(super) fn path_of(config: &config::Process, files: Option<&FromFiles>) -> Option<String> {
    let of_files = || String::from_utf8(files?.0.get(b"PATH".as_slice())?.clone()).ok();
    let own = config.own_environment.get("PATH").cloned();
    own.or_else(of_files).or_else(|| config.environment.get("PATH").cloned())
}

fn cannot(path: &str, reason: &str) -> String {
    format!("cannot read environment file {path}: {reason}")
}

fn read_file(file: &EnvFile, host: &mut dyn Host) -> Result<Variables, String> {
    match bytes(&file.path, FILE_BYTES_MAX, host) {
        Ok(bytes) => envfile::read(&bytes).map_err(|problem| problem.to_string()),
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) if file.is_optional => Ok(Variables::new()),
        Err(error) => Err(reason(error)),
    }
}

fn read_value(path: &str, host: &mut dyn Host) -> Result<Vec<u8>, String> {
    let mut value = bytes(path, VALUE_BYTES_MAX, host).map_err(reason)?;
    if value.len() > VALUE_BYTES_MAX {
        return Err("it is longer than 128 KiB".to_string());
    }
    if value.contains(&0) {
        return Err("a zero byte, which no variable can contain".to_string());
    }
    if value.last() == Some(&b'\n') {
        value.pop();
    }
    Ok(value)
}

/// A file, and a byte more than it may have if there are more.
fn bytes(path: &str, bytes_max: usize, host: &mut dyn Host) -> Result<Vec<u8>, Errno> {
    host.file_read(path, Span { offset: 0, length: bytes_max as u64 + 1 })
}

fn reason(error: Errno) -> String {
    match error.0 {
        // A pipe would have to be waited for.
        libc::ESPIPE => "it is no regular file".to_string(),
        number => errno::text(number).to_string(),
    }
}
