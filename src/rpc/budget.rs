//! How much is done for clients in one turn. What goes beyond it goes on in the next turn, so that no client holds up
//! the restart of a process.
//!
//! Work is estimated, not measured: nothing below the reactor asks for the time, and the simulation stays repeatable.

/// Microseconds of work for clients in one turn. A restart takes about as long, and so waits for little more than one
/// turn; what a turn costs beside it, some microseconds, stays small against it.
const TURN_US: u32 = 1000;

/// What every call costs, at least.
pub const CALL_US: u32 = 5;

/// What emptying the logs of a process costs: files are removed and made.
pub const CLEAR_US: u32 = 200;

/// What starting a process costs.
pub const START_US: u32 = 200;

/// What telling a process to stop, or another signal, costs.
pub const SIGNAL_US: u32 = 20;

/// What reading the configuration anew costs, at least: once in a turn is enough.
pub const LOAD_US: u32 = TURN_US;

/// Bytes that are read, encoded and written in a microsecond: each is moved some five times until the system has it.
const BYTES_PER_US: usize = 256;

/// What is left of a turn's work.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left_us: u32,
}

impl Default for Budget {
    /// That of a new turn.
    fn default() -> Budget {
        Budget { left_us: TURN_US }
    }
}

impl Budget {
    /// So much work is done.
    pub fn spend(&mut self, us: u32) {
        self.left_us = self.left_us.saturating_sub(us);
    }

    /// So many bytes are moved.
    pub fn spend_bytes(&mut self, bytes: usize) {
        self.spend(u32::try_from(bytes / BYTES_PER_US).unwrap_or(u32::MAX));
    }

    /// Whether the rest has to wait for the next turn.
    pub fn is_spent(&self) -> bool {
        self.left_us == 0
    }
}
