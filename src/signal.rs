//! Signals by name and number (C-75, P-15).

/// Whether the processor is a mips, which numbers signals its own way and has twice as many.
const IS_MIPS: bool =
    cfg!(any(target_arch = "mips", target_arch = "mips32r6", target_arch = "mips64", target_arch = "mips64r6"));

/// The highest number of a signal.
pub const LAST: i32 = if IS_MIPS { 127 } else { 64 };

/// Names as they are printed, without aliases; 29 prints as SIGPOLL.
const NAMES: &[(&str, i32)] = &[
    ("SIGHUP", libc::SIGHUP),
    ("SIGINT", libc::SIGINT),
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGILL", libc::SIGILL),
    ("SIGTRAP", libc::SIGTRAP),
    ("SIGABRT", libc::SIGABRT),
    ("SIGBUS", libc::SIGBUS),
    ("SIGFPE", libc::SIGFPE),
    ("SIGKILL", libc::SIGKILL),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGSEGV", libc::SIGSEGV),
    ("SIGUSR2", libc::SIGUSR2),
    ("SIGPIPE", libc::SIGPIPE),
    ("SIGALRM", libc::SIGALRM),
    ("SIGTERM", libc::SIGTERM),
    #[cfg(not(any(
        target_arch = "mips",
        target_arch = "mips32r6",
        target_arch = "mips64",
        target_arch = "mips64r6"
    )))]
    ("SIGSTKFLT", libc::SIGSTKFLT),
    ("SIGCHLD", libc::SIGCHLD),
    ("SIGCONT", libc::SIGCONT),
    ("SIGSTOP", libc::SIGSTOP),
    ("SIGTSTP", libc::SIGTSTP),
    ("SIGTTIN", libc::SIGTTIN),
    ("SIGTTOU", libc::SIGTTOU),
    ("SIGURG", libc::SIGURG),
    ("SIGXCPU", libc::SIGXCPU),
    ("SIGXFSZ", libc::SIGXFSZ),
    ("SIGVTALRM", libc::SIGVTALRM),
    ("SIGPROF", libc::SIGPROF),
    ("SIGWINCH", libc::SIGWINCH),
    ("SIGPOLL", libc::SIGPOLL),
    ("SIGPWR", libc::SIGPWR),
    ("SIGSYS", libc::SIGSYS),
    ("SIGRTMIN", 34),
    ("SIGRTMAX", LAST),
];

/// Further names that are accepted.
const ALIASES: &[(&str, i32)] = &[("SIGCLD", libc::SIGCHLD), ("SIGIO", libc::SIGIO), ("SIGIOT", libc::SIGABRT)];

/// The canonical name, `SIGTERM`; numbers without one print as `signal 35` (P-15).
pub fn name(number: i32) -> String {
    match NAMES.iter().find(|(_, n)| *n == number) {
        Some((name, _)) => (*name).to_string(),
        None => format!("signal {number}"),
    }
}

/// Reads a signal: a number that has a name (or 0), or a name in any case, `SIG` optional (C-75).
///
/// Errors: `value 'FOO' is not a valid signal name`, `value '99' is not a valid signal number`.
pub fn parse(text: &str) -> Result<i32, String> {
    let word = text.trim();
    if let Some(number) = number(word) {
        return match i32::try_from(number) {
            Ok(n) if n == 0 || NAMES.iter().any(|(_, known)| *known == n) => Ok(n),
            _ => Err(format!("value '{text}' is not a valid signal number")),
        };
    }
    let upper = word.to_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    match NAMES.iter().chain(ALIASES).find(|(name, _)| *name == full) {
        Some((_, number)) => Ok(*number),
        None => Err(format!("value '{text}' is not a valid signal name")),
    }
}

/// A decimal number; `_` may stand between digits, as in all numbers of the configuration.
fn number(text: &str) -> Option<i64> {
    let between = |text: &str| !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    let digits = text.trim_start_matches(['+', '-']);
    if between(digits) { text.replace('_', "").parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_numbers() {
        let rows: &[(&str, Option<i32>)] = &[
            ("TERM", Some(15)),
            ("sigterm", Some(15)),
            (" hup ", Some(1)),
            ("15", Some(15)),
            ("1_5", Some(15)),
            ("1_", None),
            ("999999999999999999999", None),
            ("0", Some(0)),
            ("CLD", Some(17)),
            ("IOT", Some(6)),
            ("POLL", Some(29)),
            ("RTMIN", Some(34)),
            ("64", Some(64)),
            ("32", None),
            ("35", None),
            ("99", None),
            ("-1", None),
            ("FOO", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text).ok(), *expected, "{text:?}");
        }
        assert_eq!(parse("FOO").unwrap_err(), "value 'FOO' is not a valid signal name");
        assert_eq!(parse("99").unwrap_err(), "value '99' is not a valid signal number");
    }

    #[test]
    fn prints_canonical_names() {
        for (number, expected) in [(17, "SIGCHLD"), (6, "SIGABRT"), (29, "SIGPOLL"), (35, "signal 35")] {
            assert_eq!(name(number), expected);
        }
    }
}
