//! Where output is coloured: on terminals whose user does not object.

use std::io::IsTerminal;

/// Whether standard output gets colours: only a terminal that can show them, and never where `NO_COLOR` is set
/// (to anything but nothing, as <https://no-color.org> has it).
pub fn wanted() -> bool {
    std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The colour of a line about a process in that state; none where all is as it should be.
pub fn of(state: &str) -> Option<&'static str> {
    match state {
        "STARTING" | "STOPPING" => Some("36"),
        "BACKOFF" => Some("33"),
        "FATAL" | "UNKNOWN" => Some("31"),
        _ => None,
    }
}
