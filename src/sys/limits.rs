//! Resource limits (C-153).

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

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
        let Ok((soft, hard)) = getrlimit(resource) else { continue };
        if soft >= minimum || soft == RLIM_INFINITY {
            continue;
        }
        // Only root may raise the hard limit.
        match setrlimit(resource, minimum, hard.max(minimum)) {
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
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test: limits belong to the whole process.
    #[test]
    fn limits_are_raised_and_never_lowered() {
        let before = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raise(1, 1), Ok(vec![]));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), before);
        if before.0 > 64 && before.0 != RLIM_INFINITY && before.0 == before.1 {
            setrlimit(Resource::RLIMIT_NOFILE, before.0 - 1, before.1).unwrap();
        }
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        if soft < hard {
            assert_eq!(raise(soft + 1, 1), Ok(vec![format!("Increased RLIMIT_NOFILE limit to {}", soft + 1)]));
            assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (soft + 1, hard));
        }
        // Above what the kernel gives to anybody (fs.nr_open).
        let error = raise(1 << 40, 1).unwrap_err();
        assert!(error.contains("1099511627776") && error.contains("\"minfds\""), "{error}");
        setrlimit(Resource::RLIMIT_NOFILE, before.0, before.1).unwrap();
    }
}
