//! JSON, written.
