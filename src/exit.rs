//! How a child ended, and the exit codes of our own programs.

use crate::signal;

/// How a child ended, from its wait status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It called exit with this code, 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The signal's number, as the kernel reported it: 9 for SIGKILL.
        number: i32,
        /// Whether a core was written.
        core: bool,
    },
}

impl ExitStatus {
    /// What `exitstatus` shows: the code, or -1 for a signal (P-64).
    pub fn code(self) -> i32 {
        match self {
            ExitStatus::Code(code) => code,
            ExitStatus::Signal { .. } => -1,
        }
    }

    /// `exit status 3`, `terminated by SIGKILL`, `terminated by SIGSEGV (core dumped)` (P-61).
    pub fn text(self) -> String {
        match self {
            ExitStatus::Code(code) => format!("exit status {code}"),
            ExitStatus::Signal { number, core } => {
                format!("terminated by {}{}", signal::name(number), if core { " (core dumped)" } else { "" })
            }
        }
    }
}
