//! One executable, several programs: it looks at the name it was called by, and at its first argument.

use std::ffi::OsString;
use std::path::Path;

use super::{pidproxy, sample_conf, start};

/// Runs the program that argv asks for, and answers its exit status.
///
/// `supervisord` called as `supervisorctl`, `pidproxy` or `echo_supervisord_conf` is that program; so is
/// `supervisord ctl …`, `supervisord pidproxy …` and so on.
pub fn main(args: Vec<OsString>) -> i32 {
    let called = args.first().map(base_name).unwrap_or_default();
    if let Some(status) = run_named(&called, &args) {
        return status;
    }
    if let Some(word) = args.get(1).map(|arg| arg.to_string_lossy().into_owned()) {
        // The program then sees the word as its own name.
        if let Some(status) = run_named(&word, &args[1..]) {
            return status;
        }
    }
    start::run(&args)
}

fn run_named(name: &str, args: &[OsString]) -> Option<i32> {
    Some(match name {
        #[cfg(feature = "ctl")]
        "supervisorctl" | "ctl" => crate::ctl::run(args.to_vec()),
        "pidproxy" => pidproxy::run(args),
        "echo_supervisord_conf" => sample_conf::run(),
        #[cfg(feature = "applets")]
        name if crate::applets::NAMES.contains(&name) => crate::applets::run(name, &texts(args)[1..]),
        _ => return None,
    })
}

fn base_name(arg: &OsString) -> String {
    Path::new(arg).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Arguments as text; what is not UTF-8 keeps its readable parts.
pub(super) fn texts(args: &[OsString]) -> Vec<String> {
    args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()
}
