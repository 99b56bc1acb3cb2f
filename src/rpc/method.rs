//! A method as a row.

use super::{Context, Outcome};
use crate::fault::Fault;
use crate::wire::value::Value;

/// A method: what is said of it, and the function that carries it out.
pub struct Method {
    /// Its name within the namespace.
    pub name: &'static str,
    /// Type of the result, then of the parameters; empty where none is documented.
    pub signature: &'static [&'static str],
    /// How many of the last parameters may be left out.
    pub optional: usize,
    /// What it does, in a sentence or two. The `@param` and `@return` lines are made from the names below.
    pub help: &'static str,
    /// Names of the parameters, for the help.
    pub params: &'static [&'static str],
    /// What the result is called in the help.
    pub returns: &'static str,
    /// When it faults although the call is in order.
    pub guard: Guard,
    /// A call that went well is remembered for people: it changes something else than a state, which would tell of it.
    pub is_noted: bool,
    pub(crate) call: fn(&mut Context<'_>, &[Value]) -> Result<Outcome, Fault>,
}

impl Method {
    /// The same with another name for its result, as clients know it from the original.
    pub(super) const fn returning(mut self, returns: &'static str) -> Method {
        self.returns = returns;
        self
    }

    /// The same, whose calls are remembered.
    pub(super) const fn noted(mut self) -> Method {
        self.is_noted = true;
        self
    }
}

/// In which states of the daemon a method faults with SHUTDOWN_STATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It answers in all of them.
    Open,
    /// While restarting or shutting down.
    Running,
    /// While shutting down, but not while restarting.
    NotShutdown,
}

/// A row as most are: every parameter has to be given, and it is refused while the daemon restarts or shuts down.
pub(super) const fn row(
    name: &'static str,
    signature: &'static [&'static str],
    params: &'static [&'static str],
    help: &'static str,
    call: fn(&mut Context<'_>, &[Value]) -> Result<Outcome, Fault>,
) -> Method {
    let (returns, guard) = ("result", Guard::Running);
    Method { name, signature, optional: 0, help, params, returns, guard, is_noted: false, call }
}
