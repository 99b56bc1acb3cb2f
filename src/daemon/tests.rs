//! Tables of the daemon's rooms, each over a system made of tables ([`super::testing`]).

mod care;
mod changes;
mod children;
mod edits;
mod leftovers;
mod shutdown;
