//! The machines and tables of the fleet: values and the time in, values out.
//!
//! [`status`] says how an application is, [`placement`] where a process would be started, [`sequencer`] what is started and
//! stopped next, [`failure`] what follows from a process that has failed, and [`phase`] which calls are answered meanwhile.
//! [`view`] keeps what all instances say of their processes, [`instance`] how it stands with each of them.

pub mod failure;
pub mod instance;
pub mod membership;
pub mod phase;
pub mod placement;
pub mod rate;
pub mod sequencer;
pub mod session;
pub mod status;
pub mod view;
