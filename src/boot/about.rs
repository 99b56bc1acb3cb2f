//! `supervisord --about`: what this program is and how it was built.

use crate::config::cmdline;

/// Our own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The text.
pub fn text() -> String {
    format!(
        "Stheno {VERSION}, compatible with Supervisor {}\nfeatures: {}\ntarget: {}-{}{}\n\nsupervisord [options]\n{}",
        cmdline::VERSION,
        features().join(" "),
        std::env::consts::ARCH,
        std::env::consts::OS,
        if cfg!(target_feature = "crt-static") { ", static" } else { "" },
        cmdline::help_lines(cmdline::FLAGS),
    )
}

/// The build features that are in.
pub fn features() -> Vec<&'static str> {
    let all = [("line-editing", cfg!(feature = "line-editing")), ("applets", cfg!(feature = "applets"))];
    all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
}
