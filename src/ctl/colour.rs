//! Colour on terminals.

use std::io::IsTerminal;

/// Whether standard output gets colours: only a terminal that can show them, and never where `NO_COLOR` is set
/// (to anything but nothing, as <https://no-color.org> has it).
pub fn wanted() -> bool {
    std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A text about a process in that state, in the state's colour.
pub fn state(name: &str, text: &str) -> String {
    let code = match name {
        "RUNNING" => "32",
        "STARTING" | "STOPPING" => "36",
        "BACKOFF" => "33",
        "FATAL" | "UNKNOWN" => "31",
        _ => return text.to_string(),
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}
