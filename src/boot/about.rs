//! `supervisord --about`: what this program is and how it was built.

use crate::config::{cmdline, getopt};
use crate::rpc::{VERSION, features};

pub fn text() -> String {
    format!(
        "Stheno {VERSION}, compatible with Supervisor {}\nfeatures: {}\ntarget: {}-{}{}\n\nsupervisord [options] [-- COMMAND [ARG...]]\n{}",
        cmdline::VERSION,
        features().join(" "),
        std::env::consts::ARCH,
        std::env::consts::OS,
        if cfg!(target_feature = "crt-static") { ", static" } else { "" },
        getopt::help_lines(cmdline::FLAGS),
    )
}
