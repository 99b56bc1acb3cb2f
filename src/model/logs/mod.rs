//! Machines of logs: bytes in, bytes out. They open nothing and know no time but what they are told.

pub mod arrival;
pub mod kept;
pub mod queue;
pub mod ring;
pub mod turnover;
