//! Native event listeners with superlance's names, options and wording: `httpok`, `memmon`, `crashmail`,
//! `crashmailbatch`, `fatalmailbatch`; and `supervisord-dependent-startup`, with that of the listener of this name.
//!
//! They are clients, like supervisorctl: run by the daemon as `[eventlistener:x]`, they read events from standard input
//! and call back through SUPERVISOR_SERVER_URL. Each one is a machine that handles a message through one seam,
//! [`World`](world::World), to everything outside; `system` is the real one.

#![forbid(unsafe_code)]

mod batch;
mod crashmail;
mod dependent;
mod httpok;
mod letter;
mod listener;
mod mail;
mod memmon;
mod options;
mod smtp;
mod system;
#[cfg(test)]
mod testing;
mod url;
mod world;

use std::io::Write;

use listener::Applet;
use options::Exit;

/// Makes an applet of a command line.
type Read = fn(&[String]) -> Result<Box<dyn Applet>, Exit>;

/// One of the programs.
struct Program {
    name: &'static str,
    /// Reads the command line.
    read: Read,
    /// What it says, and its exit code, when no daemon has started it. superlance's programs end so, but for its memmon,
    /// which has a traceback.
    outside: (&'static str, i32),
}

/// A new applet is a row here and a file.
const PROGRAMS: [Program; 6] = [
    Program {
        name: "httpok",
        read: |args| boxed(httpok::from_args(args)),
        outside: ("httpok must be run as a supervisor event listener", 0),
    },
    Program {
        name: "memmon",
        read: |args| boxed(memmon::from_args(args)),
        outside: ("memmon must be run as a supervisor event listener", 1),
    },
    Program {
        name: "crashmail",
        read: |args| boxed(crashmail::from_args(args)),
        outside: ("crashmail must be run as a supervisor event listener", 0),
    },
    Program {
        name: "crashmailbatch",
        read: |args| boxed(batch::from_args(batch::Kind::Crash, args)),
        outside: ("Must run as a supervisor event listener", 1),
    },
    Program {
        name: "fatalmailbatch",
        read: |args| boxed(batch::from_args(batch::Kind::Fatal, args)),
        outside: ("Must run as a supervisor event listener", 1),
    },
    Program {
        name: dependent::NAME,
        read: |args| boxed(dependent::from_args(args)),
        outside: ("supervisord-dependent-startup must be run as a supervisor event listener", dependent::FAILED),
    },
];

fn boxed<A: Applet + 'static>(applet: Result<A, Exit>) -> Result<Box<dyn Applet>, Exit> {
    Ok(Box::new(applet?))
}

/// Runs the applet of that name, if there is one, until its standard input ends; answers its exit code. `args` are those
/// after the name.
pub fn run(name: &str, args: &[String]) -> Option<i32> {
    let program = PROGRAMS.iter().find(|program| program.name == name)?;
    let ended = (program.read)(args).and_then(|mut applet| {
        let mut world = system::System::from_environment().ok_or_else(|| outside(program))?;
        listener::serve(&mut std::io::stdin().lock(), &mut std::io::stdout(), &mut *applet, &mut world)
    });
    Some(match ended {
        Ok(()) => 0,
        Err(exit) => {
            // Nobody is left to tell if these fail.
            let _ = std::io::stdout().write_all(exit.stdout.as_bytes());
            let _ = std::io::stderr().write_all(exit.stderr.as_bytes());
            exit.code
        }
    })
}

/// The end of an applet that no daemon has started.
fn outside(program: &Program) -> Exit {
    let (text, code) = program.outside;
    Exit { code, ..Exit::failed(format!("{text}\n")) }
}
