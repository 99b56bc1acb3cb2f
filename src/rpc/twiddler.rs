//! The rows of this namespace.

use super::Method;

/// The rows.
pub const METHODS: &[Method] = &[];
