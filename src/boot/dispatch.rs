//! One executable, several programs: it looks at the name it was called by, and at its first argument.

use std::ffi::OsString;
use std::path::Path;

use super::{pidproxy, sample_conf, start};

/// Runs the program that argv asks for, and answers its exit status.
///
/// `supervisord` called as `supervisorctl`, `supvisorsctl`, `pidproxy` or `echo_supervisord_conf` is that program; so is
/// `supervisord ctl …`, `supervisord pidproxy …` and so on.
pub fn main(args: Vec<OsString>) -> i32 {
    // What is not UTF-8 keeps its readable parts; only a command that is run needs more.
    let texts: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let called = args.first().map(base_name).unwrap_or_default();
    // The program that its first argument names sees that word as its own name.
    let word = texts.get(1).cloned().unwrap_or_default();
    for (at, name) in [called, word].into_iter().enumerate() {
        if let Some(status) = run_named(&name, args.get(at..).unwrap_or_default(), texts.get(at..).unwrap_or_default())
        {
            return status;
        }
    }
    start::run(&args, &texts)
}

/// A new program is an arm here.
#[cfg_attr(not(feature = "applets"), expect(unused_variables, reason = "only applets take their arguments as text"))]
fn run_named(name: &str, args: &[OsString], texts: &[String]) -> Option<i32> {
    match name {
        #[cfg(feature = "ctl")]
        "supervisorctl" | "ctl" => Some(crate::ctl::run(args.to_vec())),
        #[cfg(all(feature = "ctl", feature = "fleet"))]
        crate::ctl::OF_SUPVISORS => Some(crate::ctl::run(args.to_vec())),
        "pidproxy" => Some(pidproxy::run(args)),
        "echo_supervisord_conf" => Some(sample_conf::run()),
        #[cfg(feature = "gzip")]
        crate::sys::gzip::NAME => Some(crate::sys::gzip::run()),
        #[cfg(feature = "applets")]
        name => crate::applets::run(name, texts.get(1..).unwrap_or_default()),
        #[cfg(not(feature = "applets"))]
        _ => None,
    }
}

fn base_name(arg: &OsString) -> String {
    Path::new(arg).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
