//! What the applets' command lines have in common.

use crate::config::getopt::{Flag, FoundOption, getopt, help_lines};

/// Where mail goes unless told otherwise.
pub const SENDMAIL: &str = "/usr/sbin/sendmail -t -i";

/// Exit code of superlance's programs for a command line they do not understand.
const USAGE: i32 = 255;

/// An end of the program: what it still prints, and its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Exit {
    /// Something went wrong at work.
    pub fn failed(stderr: String) -> Exit {
        Exit { code: 1, stdout: String::new(), stderr }
    }

    /// The command line makes no sense; superlance prints its help on standard output then.
    pub fn usage(stdout: String) -> Exit {
        Exit { code: USAGE, stdout, stderr: String::new() }
    }
}

/// The help that an applet prints, and how it reads its options.
pub struct Manual {
    /// The line after `Usage: `.
    pub usage: &'static str,
    /// What it does and when, after the usage line.
    pub about: &'static str,
    pub flags: &'static [Flag],
}

impl Manual {
    /// What `--help` prints: usage, then a line for each option.
    pub fn help(&self) -> String {
        format!("Usage: {}\n\n{}\n\nOptions:\n{}", self.usage, self.about, help_lines(self.flags))
    }

    /// Options and positional words, as Python's getopt tells them apart; anything else is a usage error.
    pub fn read<'a>(&self, args: &'a [String]) -> Result<(Vec<FoundOption<'a>>, &'a [String]), Exit> {
        getopt(args, self.flags).map_err(|problem| self.refuse(&problem))
    }

    /// How an applet ends that was asked for its help: it is printed, and all is well.
    pub fn asked_for(&self) -> Exit {
        Exit { code: 0, stdout: self.help(), stderr: String::new() }
    }

    /// A usage error with its reason, which superlance keeps to itself where Python raised it.
    pub fn refuse(&self, problem: &str) -> Exit {
        Exit::usage(format!("{problem}\n{}", self.help()))
    }
}

/// A flag of a table.
pub const fn flag(short: char, long: &'static str, argument: Option<&'static str>, help: &'static str) -> Flag {
    Flag { short: Some(short), long: Some(long), argument, whole: false, help }
}
