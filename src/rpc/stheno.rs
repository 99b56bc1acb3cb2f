//! The rows of this namespace.

use super::Method;

/// The rows that are always there.
pub const METHODS: &[Method] = &[];

/// The rows with `[stheno] mutation=true`.
pub const MUTATING_METHODS: &[Method] = &[];
