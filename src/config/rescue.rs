//! What a file that does not load says of the machine whose PID 1 we are (K-2.8): an exit would be its end.
//!
//! It is looked for without any of the care of a load, for something is wrong, and that may stand anywhere.

use crate::wire::words;

use super::datatypes::{Datatype, WhenDone};
use super::env::Env;
use super::load::Loader;
use super::paths;
use super::sources::MainFile;

/// What is done where the file does not load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescue {
    /// What a request for the end means.
    pub when_done: Option<WhenDone>,
    /// The words of the command that is run; none for waiting.
    pub command: Vec<String>,
}

impl Loader {
    /// What is to be done now that loading failed; `None` without a `when_done` other than `exit`.
    pub fn rescue(&mut self, env: &dyn Env) -> Option<Rescue> {
        let main = self.find_main(env).ok()?;
        let mut value = |name: &str| match self.sources(env) {
            Ok(sources) => sources.document.get("supervisord", name).map(|entry| entry.value.clone()),
            Err(_) => scanned(&main, name, env),
        };
        let (when_done, command) = (value("when_done")?, value("rescue_command"));
        let when_done = WhenDone::parse(when_done.trim(), env).ok();
        // A word that we do not know means something else than exit at any rate.
        if when_done == Some(WhenDone::Exit) {
            return None;
        }
        let command = command.map(|command| command.replace("%(here)s", &main.here).replace("%%", "%"));
        let command = command.and_then(|command| words::split(&command).ok()).unwrap_or_default();
        Some(Rescue { when_done, command })
    }
}

/// The value of an option of `[supervisord]` in the lines of a file that cannot be read as a whole.
fn scanned(main: &MainFile, name: &str, env: &dyn Env) -> Option<String> {
    let bytes = env.read_file(&paths::join("/", &main.path)).ok()?;
    let mut is_ours = false;
    let mut found = None;
    for line in String::from_utf8_lossy(&bytes).lines() {
        if line.starts_with('[') {
            is_ours = line.starts_with("[supervisord]");
        }
        let Some((key, value)) = line.split_once(['=', ':']).filter(|_| is_ours) else { continue };
        if key.trim().eq_ignore_ascii_case(name) {
            let value = value.split(" ;").next().unwrap_or_default();
            found = Some(value.trim().to_string());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::cmdline::CommandLine;
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn k_2_8_what_a_broken_file_says_of_rescue() {
        let rescue = |when_done, command: &[&str]| {
            Some(Rescue { when_done, command: command.iter().map(ToString::to_string).collect() })
        };
        let rows = [
            ("[supervisord]\n", None),
            ("[supervisord]\nwhen_done=exit\nrescue_command=/bin/sh\n", None),
            ("[supervisord]\nwhen_done=poweroff\n", rescue(Some(WhenDone::Poweroff), &[])),
            // One that is not understood is one of the reasons why a file does not load.
            ("[supervisord]\nwhen_done=of\n", rescue(None, &[])),
            (
                "[supervisord]\nwhen_done = reboot ; always\nrescue_command = %(here)s/sh -c 'a b'\n",
                rescue(Some(WhenDone::Reboot), &["/etc/sh", "-c", "a b"]),
            ),
            // No text of a configuration at all.
            (
                "[supervisord]\nwhen_done=halt ; x\nrescue_command=sh\n=\n[program:a\nwhen_done=exit\n",
                rescue(Some(WhenDone::Halt), &["sh"]),
            ),
            ("[program:a]\nwhen_done=halt\n\n]]\n", None),
        ];
        for (text, expected) in rows {
            let mut env = Fake::new();
            env.write("/etc/s.conf", text);
            let line = CommandLine { configuration: Some("/etc/s.conf".to_string()), ..CommandLine::default() };
            assert_eq!(Loader::new("supervisord", line, &env).rescue(&env), expected, "{text}");
        }
    }
}
