//! The daemon and its connections side by side: routing, authentication, replies that wait.

#![forbid(unsafe_code)]
