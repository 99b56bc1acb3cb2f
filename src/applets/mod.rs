//! Native event listeners with superlance's names, options and wording: `httpok`, `memmon`, `crashmail`,
//! `crashmailbatch`, `fatalmailbatch`.
//!
//! They are clients, like supervisorctl: run by the daemon as `[eventlistener:x]`, they read events from standard input
//! and call back through SUPERVISOR_SERVER_URL. Each one is a machine that handles a message through one seam,
//! [`World`](world::World), to everything outside; `system` is the real one.

#![forbid(unsafe_code)]

mod batch;
mod crashmail;
mod httpok;
mod listener;
mod mail;
mod memmon;
mod options;
mod smtp;
mod system;
#[cfg(test)]
mod testing;
mod world;

use std::io::Write;

use listener::Applet;
use options::Exit;

/// The names that [`run`] knows.
pub const NAMES: [&str; 5] = ["httpok", "memmon", "crashmail", "crashmailbatch", "fatalmailbatch"];

/// Runs an applet until its standard input ends; returns the exit code. `args` are those after the name.
pub fn run(name: &str, args: &[String]) -> i32 {
    let parsed = match name {
        "httpok" => httpok::from_args(args).map(|applet| Box::new(applet) as Box<dyn Applet>),
        "memmon" => memmon::from_args(args).map(|applet| Box::new(applet) as Box<dyn Applet>),
        "crashmail" => crashmail::from_args(args).map(|applet| Box::new(applet) as Box<dyn Applet>),
        "crashmailbatch" => {
            batch::from_args(batch::Kind::Crash, args).map(|applet| Box::new(applet) as Box<dyn Applet>)
        }
        "fatalmailbatch" => {
            batch::from_args(batch::Kind::Fatal, args).map(|applet| Box::new(applet) as Box<dyn Applet>)
        }
        _ => Err(Exit::usage(format!("no applet is called {name}; there are {}\n", NAMES.join(", ")))),
    };
    let ended = parsed.and_then(|mut applet| {
        let mut world = system::System::from_environment().ok_or_else(|| outside(name))?;
        listener::serve(&mut std::io::stdin().lock(), &mut std::io::stdout(), &mut *applet, &mut world)
    });
    match ended {
        Ok(()) => 0,
        Err(exit) => {
            // Nobody is left to tell if these fail.
            let _ = std::io::stdout().write_all(exit.stdout.as_bytes());
            let _ = std::io::stderr().write_all(exit.stderr.as_bytes());
            exit.code
        }
    }
}

/// The end of an applet that no daemon has started, as superlance's programs end then; its memmon has a traceback.
fn outside(name: &str) -> Exit {
    let text = match name {
        "crashmailbatch" | "fatalmailbatch" => "Must run as a supervisor event listener\n".to_string(),
        _ => format!("{name} must be run as a supervisor event listener\n"),
    };
    let code = if matches!(name, "httpok" | "crashmail") { 0 } else { 1 };
    Exit { code, ..Exit::failed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_the_daemon_each_ends_as_the_original_does() {
        for (name, code) in
            [("httpok", 0), ("crashmail", 0), ("memmon", 1), ("crashmailbatch", 1), ("fatalmailbatch", 1)]
        {
            let exit = outside(name);
            assert_eq!(exit.code, code, "{name}");
            assert!(exit.stderr.ends_with("a supervisor event listener\n"), "{name}: {exit:?}");
        }
    }
}
