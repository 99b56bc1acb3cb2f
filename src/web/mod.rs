//! The status pages and the static files.

#![forbid(unsafe_code)]
