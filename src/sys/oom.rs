//! How readily the kernel ends the daemon when memory is short, and its children in its place (K-8).
//!
//! Children inherit the number, and one that was lowered for the daemon would protect what it is to be protected from. So
//! what the daemon was started with is kept, for the whole of its life, and each child gets it back.

use std::io;
use std::sync::{Mutex, PoisonError};

const OWN: &str = "/proc/self/oom_score_adj";

/// What the daemon was started with, once it was given another.
static STARTED_WITH: Mutex<Option<i32>> = Mutex::new(None);

/// Whether `wanted` asks for more protection than there is, which has to be done while we are root.
pub fn is_lower(wanted: Option<i32>) -> bool {
    wanted.or_else(to_give_back).is_some_and(|wanted| read().is_ok_and(|own| wanted < own))
}

/// Gives the daemon a number, or that of its start again.
pub fn set(wanted: Option<i32>) -> io::Result<()> {
    let mut kept = STARTED_WITH.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(target) = wanted.or(*kept) else { return Ok(()) };
    let own = read()?;
    if own != target {
        write(target)?;
    }
    kept.get_or_insert(own);
    Ok(())
}

/// What a child has to be given so that it does not have the daemon's.
pub fn to_give_back() -> Option<i32> {
    *STARTED_WITH.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read() -> io::Result<i32> {
    let text = std::fs::read_to_string(OWN)?;
    text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

fn write(score: i32) -> io::Result<()> {
    match std::fs::write(OWN, score.to_string()) {
        // Our files in /proc are root's once we are not.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let before = make_dumpable(1);
            let done = std::fs::write(OWN, score.to_string());
            make_dumpable(before);
            done
        }
        done => done,
    }
}

/// Whether our files in /proc are our own user's and not root's; answers what it was.
fn make_dumpable(value: libc::c_int) -> libc::c_int {
    // SAFETY: plain numbers.
    unsafe {
        let before = libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0);
        libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(value == 1), 0, 0, 0);
        before
    }
}
