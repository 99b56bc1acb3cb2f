//! System calls. All unsafe code of the crate is here.

pub mod terminal;
