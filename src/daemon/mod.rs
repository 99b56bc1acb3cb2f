//! Decisions: groups, children, listeners, events, mutation, shutdown. No polled descriptor, no clock.

#![forbid(unsafe_code)]
