//! `memmon`: restarts processes that use too much memory.

use std::collections::BTreeMap;

use crate::config::getopt::Flag;
use crate::wire::pyrepr;
use crate::wire::value::Value;

use super::listener::{Applet, Message};
use super::mail;
use super::options::{Exit, Manual, SENDMAIL, flag};
use super::world::{CallError, Memory, Process, World, integer, processes};

const FLAGS: &[Flag] = &[
    flag('h', "help", None, "print this help and leave"),
    flag('c', "cumulative", None, "count the descendants of a process too"),
    flag('p', "program", Some("NAME=SIZE"), "limit for this process (name or group:name); repeatable"),
    flag('g', "group", Some("NAME=SIZE"), "limit for each process of this group; repeatable"),
    flag('a', "any", Some("SIZE"), "limit for every process"),
    flag('s', "sendmail_program", Some("COMMAND"), "reads the mail from its standard input (/usr/sbin/sendmail -t -i)"),
    flag('m', "email", Some("ADDRESS"), "mail to this address what was restarted; without it no mail is sent"),
    flag('u', "uptime", Some("TIME"), "send mail only if the process was up no longer than this: 90, 5m, 2h, 1d"),
    flag('n', "name", Some("NAME"), "name in the subject of mail instead of that of the last -p or -g"),
];

const MANUAL: Manual = Manual {
    usage: "memmon [options]",
    about: "An event listener for TICK events: at each, restarts the processes whose resident set is\n\
            larger than a limit. Sizes are bytes, or take a suffix: KB, MB, GB.",
    flags: FLAGS,
};

/// `memmon`, configured. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memmon {
    cumulative: bool,
    programs: BTreeMap<String, i64>,
    groups: BTreeMap<String, i64>,
    any: Option<i64>,
    sendmail: String,
    email: Option<String>,
    /// Seconds that a restarted process may have been up for its restart to be mailed.
    uptime_max: i64,
    /// What stands in the subject of mail.
    name: Option<String>,
}

/// Reads the command line.
pub fn from_args(args: &[String]) -> Result<Memmon, Exit> {
    if args.is_empty() {
        return Err(Exit::usage(MANUAL.help()));
    }
    let (found, _) = MANUAL.read(args)?;
    let mut applet = Memmon {
        cumulative: false,
        programs: BTreeMap::new(),
        groups: BTreeMap::new(),
        any: None,
        sendmail: SENDMAIL.to_string(),
        email: None,
        uptime_max: i64::MAX,
        name: None,
    };
    let mut last_limit = None;
    for option in found {
        let value = option.value.to_string();
        match FLAGS[option.flag].long {
            Some("help") => return Err(MANUAL.asked_for()),
            Some("cumulative") => applet.cumulative = true,
            Some("program") => {
                let (name, bytes) = named_size(&option.name, &value)?;
                last_limit = Some(name.clone());
                applet.programs.insert(name, bytes);
            }
            Some("group") => {
                let (name, bytes) = named_size(&option.name, &value)?;
                last_limit = Some(name.clone());
                applet.groups.insert(name, bytes);
            }
            Some("any") => applet.any = Some(size(&option.name, &value)?),
            Some("sendmail_program") => applet.sendmail = value,
            Some("email") => applet.email = Some(value).filter(|email| !email.is_empty()),
            Some("uptime") => applet.uptime_max = seconds(&option.name, &value)?,
            Some("name") => applet.name = Some(value),
            _ => {}
        }
    }
    // Without -n the subjects of superlance have the name of the last -p or -g, and people's filters know it.
    applet.name = applet.name.or(last_limit);
    Ok(applet)
}

fn named_size(option: &str, value: &str) -> Result<(String, i64), Exit> {
    match value.split_once('=') {
        Some((name, text)) if !text.contains('=') => Ok((name.to_string(), size(option, text)?)),
        _ => Err(MANUAL.refuse(&format!("Unparseable value {} for {}", pyrepr::text(value), pyrepr::text(option)))),
    }
}

fn size(option: &str, value: &str) -> Result<i64, Exit> {
    let units = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30)];
    with_suffix(value, &units).ok_or_else(|| {
        MANUAL.refuse(&format!("Unparseable byte_size in {} for {}", pyrepr::text(value), pyrepr::text(option)))
    })
}

fn seconds(option: &str, value: &str) -> Result<i64, Exit> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    with_suffix(value, &units)
        .ok_or_else(|| MANUAL.refuse(&format!("Unparseable value for time in {} for {option}", pyrepr::text(value))))
}

/// A number with at most one of the suffixes, in any case.
fn with_suffix(value: &str, units: &[(&str, i64)]) -> Option<i64> {
    let lower = value.to_lowercase();
    let (digits, unit) =
        units.iter().find_map(|(suffix, unit)| Some((lower.strip_suffix(suffix)?, *unit))).unwrap_or((&lower, 1));
    digits.trim().parse::<i64>().ok()?.checked_mul(unit)
}

impl Applet for Memmon {
    fn handle(&mut self, message: &Message, world: &mut dyn World) -> Result<(), Exit> {
        if !message.event.starts_with("TICK") {
            return Ok(());
        }
        world.say(&(self.limits().join("\n") + "\n"));
        let all = processes(world).map_err(|error| Exit::failed(format!("{error}\n")))?;
        // One look at the system serves all processes.
        let system = if self.cumulative { world.memory(None) } else { vec![] };
        for process in all.iter().filter(|process| process.pid != 0) {
            let rss = match self.cumulative {
                true => with_descendants(process.pid, &system),
                false => world.memory(Some(process.pid)).first().map(|memory| memory.rss_bytes),
            };
            // It has gone since.
            let Some(rss) = rss else { continue };
            self.check(process, rss, world)?;
        }
        Ok(())
    }
}

impl Memmon {
    /// What is looked for, a line for each kind of limit.
    fn limits(&self) -> Vec<String> {
        let list = |limits: &BTreeMap<String, i64>| {
            limits.iter().map(|(name, bytes)| format!("{name}={bytes}")).collect::<Vec<_>>().join(", ")
        };
        let programs = (!self.programs.is_empty()).then(|| format!("Checking programs {}", list(&self.programs)));
        let groups = (!self.groups.is_empty()).then(|| format!("Checking groups {}", list(&self.groups)));
        [programs, groups, self.any.map(|bytes| format!("Checking any={bytes}"))].into_iter().flatten().collect()
    }

    /// Compares one process with each limit that applies, until one is exceeded: once restarted, the size measured
    /// before says nothing any more. The original goes on, and may restart it again.
    fn check(&self, process: &Process, rss: u64, world: &mut dyn World) -> Result<(), Exit> {
        let name = format!("{}:{}", process.group, process.name);
        let limits = [
            self.programs.get(&process.name),
            self.programs.get(&name),
            self.groups.get(&process.group),
            self.any.as_ref(),
        ];
        for limit in limits.into_iter().flatten() {
            world.say(&format!("RSS of {name} is {rss}\n"));
            if i64::try_from(rss).unwrap_or(i64::MAX) > *limit {
                return self.restart(&name, rss, world);
            }
        }
        Ok(())
    }

    fn restart(&self, name: &str, rss: u64, world: &mut dyn World) -> Result<(), Exit> {
        let process = [Value::from(name.to_string())];
        let lost = |error: CallError| Exit::failed(format!("{error}\n"));
        let info = world.call("supervisor.getProcessInfo", &process).map_err(lost)?;
        let uptime = integer(&info, "now").unwrap_or(0) - integer(&info, "start").unwrap_or(0);
        world.say(&format!("Restarting {name}\n"));
        if let Err(error) = world.call("supervisor.stopProcess", &process) {
            let text = format!("Failed to stop process {name} (RSS {rss}), exiting: {error}");
            return Err(self.give_up(&format!("failed to stop process {name}, exiting"), &text, world));
        }
        if let Err(error) = world.call("supervisor.startProcess", &process) {
            let text = format!("Failed to start process {name} after stopping it, exiting: {error}");
            return Err(self.give_up(&format!("failed to start process {name}, exiting"), &text, world));
        }
        if uptime <= self.uptime_max {
            let text = format!(
                "memmon.py restarted the process named {name} at {} because it was consuming too much memory \
                 ({rss} bytes RSS)",
                mail::moment(world.now())
            );
            self.mail(&format!("process {name} restarted"), &text, world);
        }
        Ok(())
    }

    /// A process that cannot be restarted ends memmon, so that somebody notices.
    fn give_up(&self, what: &str, text: &str, world: &mut dyn World) -> Exit {
        self.mail(what, text, world);
        Exit::failed(format!("{text}\n"))
    }

    fn mail(&self, what: &str, text: &str, world: &mut dyn World) {
        if let Some(email) = &self.email {
            let subject = mail::subject("memmon", self.name.as_deref(), what);
            mail::send(world, &self.sendmail, email, &subject, text);
        }
    }
}

/// The resident sets of a process and all its descendants; `None` if there is no such process.
fn with_descendants(pid: i64, system: &[Memory]) -> Option<u64> {
    let mut family: Vec<&Memory> = vec![system.iter().find(|one| one.pid == pid)?];
    let mut next = 0;
    while let Some(parent) = family.get(next).map(|one| one.pid) {
        next += 1;
        // The table is read while processes come and go: ids may have been reused into a circle.
        let is_new = |one: &&Memory| one.parent == parent && !family.iter().any(|known| known.pid == one.pid);
        let children: Vec<&Memory> = system.iter().filter(is_new).collect();
        family.extend(children);
    }
    Some(family.iter().map(|one| one.rss_bytes).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applets::testing::{Fake, words};

    /// foo:foo uses 2000 bytes, its child 500; g:bar uses 900; baz does not run, gone has just exited.
    fn world() -> Fake {
        let memory = |pid, parent, rss_bytes| Memory { pid, parent, rss_bytes };
        Fake {
            processes: Some(vec![
                ("foo", "foo", 11, 20),
                ("bar", "g", 12, 20),
                ("baz", "baz", 0, 0),
                ("gone", "g", 99, 20),
            ]),
            memory: vec![memory(1, 0, 5), memory(11, 1, 2000), memory(12, 1, 900), memory(21, 11, 500)],
            ..Fake::default()
        }
    }

    fn run(args: &str, world: &mut Fake) -> (Vec<String>, Option<Exit>) {
        let tick = Message { event: "TICK_60".into(), payload: "when:60".into() };
        let ended = from_args(&words(args)).unwrap().handle(&tick, world);
        (std::mem::take(&mut world.story), ended.err())
    }

    #[test]
    fn compares_and_restarts() {
        let restart = |name: &str| {
            vec![
                format!("call supervisor.getProcessInfo {name}"),
                format!("say Restarting {name}\n"),
                format!("call supervisor.stopProcess {name}"),
                format!("call supervisor.startProcess {name}"),
            ]
        };
        let line = |text: &str| vec![format!("say {text}\n")];
        let foo = "RSS of foo:foo is 2000";
        let bar = "RSS of g:bar is 900";
        let rows: Vec<(&str, Vec<Vec<String>>)> = vec![
            ("-p foo=2000", vec![line("Checking programs foo=2000"), line(foo)]),
            ("-p foo=1999", vec![line("Checking programs foo=1999"), line(foo), restart("foo:foo")]),
            ("-p g:bar=1 -p a=1", vec![line("Checking programs a=1, g:bar=1"), line(bar), restart("g:bar")]),
            ("-g g=899", vec![line("Checking groups g=899"), line(bar), restart("g:bar")]),
            ("-a 1KB", vec![line("Checking any=1024"), line(foo), restart("foo:foo"), line(bar)]),
            // One limit is enough.
            (
                "-p foo=1 -a 1MB",
                vec![line("Checking programs foo=1\nChecking any=1048576"), line(foo), restart("foo:foo"), line(bar)],
            ),
            (
                "-p foo=1MB -a 1",
                vec![
                    line("Checking programs foo=1048576\nChecking any=1"),
                    line(foo),
                    line(foo),
                    restart("foo:foo"),
                    line(bar),
                    restart("g:bar"),
                ],
            ),
            (
                "-c -a 2400",
                vec![line("Checking any=2400"), line("RSS of foo:foo is 2500"), restart("foo:foo"), line(bar)],
            ),
            ("-c", vec![line("")]),
        ];
        for (args, expected) in rows {
            assert_eq!(run(args, &mut world()), (expected.concat(), None), "{args}");
        }
    }

    #[test]
    fn mails() {
        let at = mail::moment(world().now());
        let restarted = |subject: &str| {
            format!(
                "shell sm <To: me@x\nSubject: {subject}: process foo:foo restarted\n\nmemmon.py restarted the process \
                 named foo:foo at {at} because it was consuming too much memory (2000 bytes RSS)"
            )
        };
        // The process was up for 600 seconds.
        let rows = [
            ("-p foo=1 -s sm -m me@x", Some(restarted("memmon [foo]"))),
            ("-p foo=1 -g g=1MB -s sm -m me@x", Some(restarted("memmon [g]"))),
            ("-a 1000 -s sm -m me@x", Some(restarted("memmon"))),
            ("-p foo=1 -s sm -m me@x -n Two", Some(restarted("memmon [Two]"))),
            ("-n Two -p foo=1 -s sm -m me@x", Some(restarted("memmon [Two]"))),
            ("-p foo=1 -s sm -m me@x -u 10m", Some(restarted("memmon [foo]"))),
            ("-p foo=1 -s sm -m me@x -u 9M", None),
            ("-p foo=1 -s sm", None),
        ];
        for (args, expected) in rows {
            let (story, _) = run(args, &mut world());
            assert_eq!(story.iter().find(|line| line.starts_with("shell")), expected.as_ref(), "{args}");
        }
    }

    #[test]
    fn a_failed_restart_ends_it() {
        let rows = [
            ("stopProcess", "Failed to stop process foo:foo (RSS 2000), exiting: <Fault 6: 'SHUTDOWN_STATE'>", "stop"),
            (
                "startProcess",
                "Failed to start process foo:foo after stopping it, exiting: <Fault 6: 'SHUTDOWN_STATE'>",
                "start",
            ),
        ];
        for (method, text, verb) in rows {
            let method = if method == "stopProcess" { "supervisor.stopProcess" } else { "supervisor.startProcess" };
            let mut fake = Fake { faults: vec![(method, 6, "SHUTDOWN_STATE")], ..world() };
            let (story, exit) = run("-p foo=1 -s sm -m me@x", &mut fake);
            let letter =
                format!("To: me@x\nSubject: memmon [foo]: failed to {verb} process foo:foo, exiting\n\n{text}");
            assert_eq!(story.last(), Some(&format!("shell sm <{letter}")), "{method}");
            assert_eq!(exit, Some(Exit::failed(format!("{text}\n"))), "{method}");
        }
    }

    #[test]
    fn descendants() {
        let memory = |pid, parent| Memory { pid, parent, rss_bytes: 1 << pid };
        let tree = [memory(1, 0), memory(2, 1), memory(3, 2), memory(4, 3), memory(5, 1)];
        let circle = [memory(1, 2), memory(2, 1)];
        for (pid, system, expected) in [
            (2, &tree[..], Some(0b11100)),
            (5, &tree, Some(0b100000)),
            (6, &tree, None),
            (1, &circle, Some(0b110)),
            (1, &[], None),
        ] {
            assert_eq!(with_descendants(pid, system), expected, "{pid} {system:?}");
        }
    }

    #[test]
    fn bad_command_lines() {
        let rows = [
            ("-h", 0, ""),
            ("", 255, ""),
            ("-x", 255, "option -x not recognized\n"),
            ("-p foo", 255, "Unparseable value 'foo' for '-p'\n"),
            ("--program foo=1=2", 255, "Unparseable value 'foo=1=2' for '--program'\n"),
            ("-p foo=xMB", 255, "Unparseable byte_size in 'xMB' for '-p'\n"),
            ("-a 1TB", 255, "Unparseable byte_size in '1TB' for '-a'\n"),
            ("-u 5w", 255, "Unparseable value for time in '5w' for -u\n"),
        ];
        for (args, code, text) in rows {
            let exit = from_args(&words(args)).unwrap_err();
            assert_eq!(exit.code, code, "{args}");
            assert_eq!(exit.stdout, format!("{text}{}", MANUAL.help()), "{args}");
        }
    }
}
