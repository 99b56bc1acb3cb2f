//! Rotated logs are compressed by a child of ours, one at a time, at the lowest priority (K-9).
//!
//! The child is this executable under another name: it reads the backup and writes beside it, both through descriptors
//! that it is given. Meanwhile the log may be rotated again, so names are found here, when it has ended: the backup is found
//! by what it is, and only then gets `.gz`. A file of half a log never has that name.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::exit::ExitStatus;
use crate::id::Pid;
use crate::logs::ChildLog;
use crate::logs::file::compressed;
use crate::sys::gzip;

/// Permissions that a compressed log has of its backup.
const PERMISSIONS: u32 = 0o777;

/// What is to be compressed, and what is on the way.
#[derive(Default)]
pub(super) struct Compressor {
    /// Paths of logs that have backups to be compressed, each once, with the number of their backups; as many as there are
    /// logs at most.
    waiting: VecDeque<(Box<str>, u32)>,
    job: Option<Job>,
}

/// A backup on its way.
struct Job {
    log: Box<str>,
    backups: u32,
    /// Device and inode of the backup.
    identity: (u64, u64),
    /// Where the child writes.
    unfinished: String,
    child: Child,
}

impl Compressor {
    /// A log was written to or rotated: if it has a backup to be compressed, that is begun, or waits for its turn.
    pub(super) fn mind(&mut self, log: &mut ChildLog) {
        let Some(backups) = log.take_backup() else { return };
        if !self.waiting.iter().any(|(path, _)| **path == *log.path()) {
            self.waiting.push_back((log.path().into(), backups));
        }
        self.begin_next();
    }

    /// A child has ended. Whether it was ours.
    pub(super) fn ended(&mut self, pid: Pid, status: ExitStatus) -> bool {
        let Some(job) = self.job.take_if(|job| i64::from(job.child.id()) == i64::from(pid.0)) else { return false };
        let done = match status.code() {
            0 => job.put_in_place().map_err(|error| error.to_string()),
            _ => Err(status.text()),
        };
        match done {
            // Others may have come meanwhile.
            Ok(()) => self.waiting.push_back((job.log.clone(), job.backups)),
            Err(why) => {
                let _ = fs::remove_file(&job.unfinished);
                activity!(Warn, "could not compress a backup of log {}: {why}; it stays as it is", job.log);
            }
        }
        self.begin_next();
        true
    }

    fn begin_next(&mut self) {
        while self.job.is_none()
            && let Some((log, backups)) = self.waiting.pop_front()
        {
            // The oldest first: it is the next to go.
            let Some(number) = (1..=backups).rev().find(|number| fs::metadata(backup(&log, *number)).is_ok()) else {
                continue;
            };
            match Job::begin(&log, backups, number) {
                Ok(job) => self.job = Some(job),
                Err(error) => {
                    activity!(Warn, "could not compress a backup of log {log}: {error}; it stays as it is");
                }
            }
        }
    }
}

impl Job {
    fn begin(log: &str, backups: u32, number: u32) -> io::Result<Job> {
        let source = File::open(backup(log, number))?;
        let metadata = source.metadata()?;
        let unfinished = format!("{log}.gz.unfinished");
        let _ = fs::remove_file(&unfinished);
        let mode = metadata.mode() & PERMISSIONS;
        let target = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished)?;
        let child = Command::new("/proc/self/exe")
            .arg0(gzip::NAME)
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(source)
            .stdout(target)
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => {
                let identity = (metadata.dev(), metadata.ino());
                Ok(Job { log: log.into(), backups, identity, unfinished, child })
            }
            Err(error) => {
                let _ = fs::remove_file(&unfinished);
                Err(error)
            }
        }
    }

    /// Puts the compressed file in the place of its backup, wherever that is by now.
    fn put_in_place(&self) -> io::Result<()> {
        let is_it = |number: &u32| {
            fs::metadata(backup(&self.log, *number)).is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
        };
        match (1..=self.backups).find(is_it) {
            Some(number) => {
                fs::rename(&self.unfinished, compressed(&self.log, number))?;
                fs::remove_file(backup(&self.log, number))
            }
            // It is gone, and so is what became of it.
            None => fs::remove_file(&self.unfinished),
        }
    }
}

impl Drop for Compressor {
    /// The daemon ends: the backup stays as it is.
    fn drop(&mut self) {
        if let Some(mut job) = self.job.take() {
            let _ = job.child.kill();
            let _ = job.child.wait();
            let _ = fs::remove_file(&job.unfinished);
        }
    }
}

fn backup(log: &str, number: u32) -> String {
    format!("{log}.{number}")
}
