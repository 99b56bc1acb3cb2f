//! Limits of resources that are raised or set for the daemon and its children (C-153).

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// What stands for no limit, whatever the width that the C library gives to limits: 32 bits on some processors.
const UNLIMITED: u64 = u64::MAX;

fn wide(limit: libc::rlim_t) -> u64 {
    #[allow(clippy::unnecessary_cast, reason = "it has 32 bits on some processors")]
    if limit == RLIM_INFINITY { UNLIMITED } else { limit as u64 }
}

fn narrow(limit: u64) -> libc::rlim_t {
    if limit >= wide(RLIM_INFINITY - 1) { RLIM_INFINITY } else { limit as libc::rlim_t }
}

/// The soft and the hard limit.
fn get(resource: Resource) -> nix::Result<(u64, u64)> {
    getrlimit(resource).map(|(soft, hard)| (wide(soft), wide(hard)))
}

fn set(resource: Resource, soft: u64, hard: u64) -> nix::Result<()> {
    setrlimit(resource, narrow(soft), narrow(hard))
}

/// Raises the soft limits of open files and processes that are lower than the configuration asks for, and the hard
/// ones with them where needed. Nothing is ever lowered. Children inherit the result (P-59).
///
/// Answers with the messages for the log, INFO `Increased RLIMIT_NOFILE limit to 1024`.
///
/// Errors: the text of the usage error; a limit before it may have been raised.
pub fn raise(minfds: u64, minprocs: u64) -> Result<Vec<String>, String> {
    let rows = [
        (Resource::RLIMIT_NOFILE, "RLIMIT_NOFILE", minfds, "minfds", "open files"),
        (Resource::RLIMIT_NPROC, "RLIMIT_NPROC", minprocs, "minprocs", "processes"),
    ];
    let mut infos = Vec::new();
    for (resource, name, minimum, option, things) in rows {
        let Ok((soft, hard)) = get(resource) else { continue };
        if soft >= minimum {
            continue;
        }
        // Only root may raise the hard limit.
        match set(resource, minimum, hard.max(minimum)) {
            Ok(()) => infos.push(format!("Increased {name} limit to {minimum}")),
            Err(_) => {
                return Err(format!(
                    "At least {minimum} {things} are needed according to the \"{option}\" command-line argument or \
                     config file setting, but this environment allows {hard} only.  Either raise the limit of \
                     {things} in your environment or lower the {option} setting in the config file to let the \
                     process start."
                ));
            }
        }
    }
    Ok(infos)
}

/// How many descriptors this process may have open at one time; `u64::MAX` without a limit.
pub fn open_files() -> u64 {
    get(Resource::RLIMIT_NOFILE).map_or(UNLIMITED, |(soft, _)| soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test: limits belong to the whole process.
    #[test]
    fn limits_are_raised_and_never_lowered() {
        let before = get(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raise(1, 1), Ok(vec![]));
        assert_eq!(get(Resource::RLIMIT_NOFILE).unwrap(), before);
        if before.0 > 64 && before.0 != UNLIMITED && before.0 == before.1 {
            set(Resource::RLIMIT_NOFILE, before.0 - 1, before.1).unwrap();
        }
        let (soft, hard) = get(Resource::RLIMIT_NOFILE).unwrap();
        if soft < hard {
            assert_eq!(raise(soft + 1, 1), Ok(vec![format!("Increased RLIMIT_NOFILE limit to {}", soft + 1)]));
            assert_eq!(get(Resource::RLIMIT_NOFILE).unwrap(), (soft + 1, hard));
        }
        // Above what the kernel gives to anybody (fs.nr_open).
        let error = raise(1 << 40, 1).unwrap_err();
        assert!(error.contains("1099511627776") && error.contains("\"minfds\""), "{error}");
        set(Resource::RLIMIT_NOFILE, before.0, before.1).unwrap();
    }
}
