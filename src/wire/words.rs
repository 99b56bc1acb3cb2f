//! Splitting a command line as a POSIX shell would (P-30).
