//! Log files, rotation, streams as log targets, the activity log, syslog.

#![forbid(unsafe_code)]
