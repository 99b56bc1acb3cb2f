//! `httpok`: restarts processes when a URL does not answer as it should.

use std::time::Duration;

use crate::config::getopt::Flag;
use crate::state::ProcessState;
use crate::wire::pyrepr;
use crate::wire::value::Value;

use super::listener::{Applet, Message};
use super::mail;
use super::options::{Exit, Manual, SENDMAIL, flag};
use super::url::Url;
use super::world::{Answer, GetError, Process, World, processes};

/// Time between attempts while nobody listens; they end with the timeout.
const RETRY: Duration = Duration::from_secs(10);

const FLAGS: &[Flag] = &[
    flag('h', "help", None, "print this help and leave"),
    flag('p', "program", Some("NAME"), "restart this process (name or group:name); repeatable"),
    flag('a', "any", None, "restart all running processes, whatever -p says"),
    flag('t', "timeout", Some("SECONDS"), "wait this long for the answer (10)"),
    flag('c', "code", Some("STATUS"), "a status that is expected (200); repeatable"),
    flag('b', "body", Some("TEXT"), "a text that the body must contain"),
    flag('s', "sendmail_program", Some("COMMAND"), "reads the mail from its standard input (/usr/sbin/sendmail -t -i)"),
    flag('m', "email", Some("ADDRESS"), "mail to this address what was done; without it no mail is sent"),
    flag('g', "gcore", Some("COMMAND"), "writes a core file, given its name and a pid (/usr/bin/gcore -o)"),
    flag('d', "coredir", Some("DIRECTORY"), "write a core file of each process here before restarting it"),
    flag('e', "eager", None, "check the URL even if none of the processes is running (the default)"),
    flag('E', "not-eager", None, "check the URL only if one of the processes is running"),
    flag('n', "name", Some("NAME"), "name of this httpok in the subject of mail"),
];

const MANUAL: Manual = Manual {
    usage: "httpok [options] URL",
    about: "An event listener for TICK events: requests the URL (http:// only) at each, and restarts\n\
            the processes of -p or -a, as far as they are running, when the answer is not as expected.",
    flags: FLAGS,
};

/// What `httpok` was told to ask for, and what it does about a bad answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOk {
    url: Url,
    programs: Vec<String>,
    any: bool,
    timeout: Duration,
    statuses: Vec<u16>,
    body: Option<String>,
    sendmail: String,
    email: Option<String>,
    gcore: String,
    core_directory: Option<String>,
    eager: bool,
    name: Option<String>,
}

/// Reads the command line.
pub fn from_args(args: &[String]) -> Result<HttpOk, Exit> {
    let (found, rest) = MANUAL.read(args)?;
    if found.iter().any(|option| FLAGS[option.flag].long == Some("help")) {
        return Err(MANUAL.asked_for());
    }
    let [url] = rest else { return Err(MANUAL.refuse("one URL is required")) };
    let url = Url::parse(url).map_err(|problem| Exit::failed(format!("httpok: {problem}\n")))?;
    let mut applet = HttpOk {
        url,
        programs: vec![],
        any: false,
        timeout: Duration::from_secs(10),
        statuses: vec![],
        body: None,
        sendmail: SENDMAIL.to_string(),
        email: None,
        gcore: "/usr/bin/gcore -o".to_string(),
        core_directory: None,
        eager: true,
        name: None,
    };
    for option in found {
        let value = option.value.to_string();
        let bad = |_| MANUAL.refuse(&format!("Unparseable value {} for {}", pyrepr::text(option.value), option.name));
        match FLAGS[option.flag].long {
            Some("program") => applet.programs.push(value),
            Some("any") => applet.any = true,
            Some("timeout") => {
                let seconds: std::num::NonZeroU32 = value.trim().parse().map_err(bad)?;
                applet.timeout = Duration::from_secs(u64::from(seconds.get()));
            }
            Some("code") => applet.statuses.push(value.trim().parse().map_err(bad)?),
            Some("body") => applet.body = Some(value),
            Some("sendmail_program") => applet.sendmail = value,
            Some("email") => applet.email = Some(value).filter(|email| !email.is_empty()),
            Some("gcore") => applet.gcore = value,
            Some("coredir") => applet.core_directory = Some(value).filter(|directory| !directory.is_empty()),
            Some("eager") => applet.eager = true,
            Some("not-eager") => applet.eager = false,
            Some("name") => applet.name = Some(value),
            _ => {}
        }
    }
    if applet.statuses.is_empty() {
        applet.statuses.push(200);
    }
    Ok(applet)
}

impl Applet for HttpOk {
    fn handle(&mut self, message: &Message, world: &mut dyn World) -> Result<(), Exit> {
        if !message.event.starts_with("TICK") {
            return Ok(());
        }
        if !self.eager && !self.has_running(world)? {
            return Ok(());
        }
        if let Some((what, text)) = self.judge(self.fetch(world)) {
            let subject = mail::subject("httpok", self.name.as_deref(), &format!("{}: {what}", self.url.text));
            self.act(&subject, text, world);
        }
        Ok(())
    }
}

impl HttpOk {
    /// Whether one of the processes that would be restarted is running. The original looks at bare names of -p only.
    fn has_running(&self, world: &mut dyn World) -> Result<bool, Exit> {
        let all = processes(world).map_err(|error| Exit::failed(format!("{error}\n")))?;
        Ok(all.iter().any(|process| is_running(process) && (self.any || process.is_among(&self.programs))))
    }

    /// One request, and while nobody listens further ones within the timeout.
    fn fetch(&self, world: &mut dyn World) -> Result<Answer, GetError> {
        let retries = (self.timeout.as_secs() - 1) / RETRY.as_secs();
        for _ in 0..retries {
            match world.get(&self.url, self.timeout) {
                Err(error) if error.refused => world.pause(RETRY),
                other => return other,
            }
        }
        world.get(&self.url, self.timeout)
    }

    /// What is wrong with the answer, if anything: for the subject, and in full.
    fn judge(&self, answer: Result<Answer, GetError>) -> Option<(&'static str, String)> {
        let url = &self.url.text;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Some(("bad status returned", format!("error contacting {url}:\n\n {}", error.text))),
        };
        let text = format!("status contacting {url}: {} {}", answer.status, answer.reason);
        if !self.statuses.contains(&answer.status) {
            return Some(("bad status returned", text));
        }
        let wanted = self.body.as_deref().unwrap_or_default().as_bytes();
        let found = wanted.is_empty() || answer.body.windows(wanted.len()).any(|part| part == wanted);
        (!found).then_some(("bad body returned", text))
    }

    /// Restarts what is to be restarted, and reports.
    fn act(&self, subject: &str, text: String, world: &mut dyn World) {
        let mut report = Report { world, lines: vec![text] };
        let all = match processes(report.world) {
            Ok(all) => all,
            Err(error) => {
                report.write(format!("Exception retrieving process info {error}, not acting"));
                return;
            }
        };
        report.write(match self.any {
            true => "Restarting all running processes".to_string(),
            false => format!("Restarting selected processes {}", list(&self.programs)),
        });
        for process in all.iter().filter(|process| self.any || process.is_among(&self.programs)) {
            self.restart(process, &mut report);
        }
        let exists = |name: &String| all.iter().any(|process| process.is_among(std::slice::from_ref(name)));
        let missing: Vec<String> = self.programs.iter().filter(|name| !exists(name)).cloned().collect();
        if !missing.is_empty() {
            report.write(format!("Programs not restarted because they did not exist: {}", list(&missing)));
        }
        if let Some(email) = &self.email {
            let letter = mail::send(report.world, &self.sendmail, email, subject, &report.lines.join("\n"));
            report.world.say(&format!("Mailed:\n\n{letter}"));
        }
    }

    fn restart(&self, process: &Process, report: &mut Report<'_>) {
        let name = process.namespec();
        if !is_running(process) {
            report.write(format!("{name} not in RUNNING state, NOT restarting"));
            return;
        }
        if let Some(directory) = &self.core_directory {
            let core = shell_quoted(&format!("{}/{name}", directory.trim_end_matches('/')));
            let printed = report.world.shell(&format!("{} {core} {}", self.gcore, process.pid), "");
            report.write(format!("gcore output for {name}:\n\n {printed}"));
        }
        report.write(format!("{name} is in RUNNING state, restarting"));
        if let Err(error) = report.world.call("supervisor.stopProcess", &[Value::from(name.clone())]) {
            report.write(format!("Failed to stop process {name}: {error}"));
        }
        match report.world.call("supervisor.startProcess", &[Value::from(name.clone())]) {
            Ok(_) => report.write(format!("{name} restarted")),
            Err(error) => report.write(format!("Failed to start process {name}: {error}")),
        }
    }
}

/// Lines that go to standard error as they come, and into the mail at the end.
struct Report<'a> {
    world: &'a mut dyn World,
    lines: Vec<String>,
}

impl Report<'_> {
    fn write(&mut self, line: String) {
        self.world.say(&format!("{line}\n"));
        self.lines.push(line);
    }
}

fn is_running(process: &Process) -> bool {
    process.state == i64::from(ProcessState::Running.code())
}

/// A list as Python prints it.
fn list(names: &[String]) -> String {
    format!("[{}]", names.iter().map(|name| pyrepr::text(name)).collect::<Vec<_>>().join(", "))
}

/// One word for a shell.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applets::testing::{Fake, words};

    type Got = Result<Answer, GetError>;

    fn answer(status: u16, reason: &str, body: &str) -> Got {
        Ok(Answer { status, reason: reason.to_string(), body: body.as_bytes().to_vec() })
    }

    fn refused() -> Got {
        Err(GetError { refused: true, text: "[Errno 111] Connection refused".to_string() })
    }

    /// Three processes: foo and g:bar run, baz does not.
    fn world(answers: Vec<Got>) -> Fake {
        let processes = vec![("foo", "foo", 11, 20), ("bar", "g", 12, 20), ("baz", "baz", 0, 0)];
        Fake { processes: Some(processes), answers: answers.into(), printed: "core\n", ..Fake::default() }
    }

    fn story(args: &str, world: &mut Fake) -> Vec<String> {
        let tick = Message { event: "TICK_60".into(), payload: "when:60".into() };
        from_args(&words(args)).unwrap().handle(&tick, world).unwrap();
        std::mem::take(&mut world.story)
    }

    const GET: &str = "get h 80 / 10s";

    #[test]
    fn what_counts_as_an_answer() {
        let restarting = ["say Restarting selected processes []\n"];
        let rows: Vec<(&str, Vec<Got>, Vec<&str>)> = vec![
            ("http://h", vec![answer(200, "OK", "")], vec![GET]),
            ("http://h", vec![answer(201, "Created", "")], [&[GET][..], &restarting].concat()),
            ("-c 201 -c 202 http://h/", vec![answer(202, "", "")], vec![GET]),
            ("-c 201 http://h", vec![answer(200, "OK", "")], [&[GET][..], &restarting].concat()),
            ("-b ell http://h", vec![answer(200, "OK", "hello")], vec![GET]),
            ("-b elk http://h", vec![answer(200, "OK", "hello")], [&[GET][..], &restarting].concat()),
            ("http://h", vec![refused()], [&[GET][..], &restarting].concat()),
            ("-t 11 http://h:8/a?b#c", vec![refused(), answer(200, "OK", "")], {
                vec!["get h 8 /a?b 11s", "pause 10s", "get h 8 /a?b 11s"]
            }),
        ];
        for (args, answers, expected) in rows {
            assert_eq!(story(args, &mut world(answers)), expected, "{args}");
        }
    }

    #[test]
    fn restarts_and_reports() {
        let restart = |name: &str| {
            vec![
                format!("say {name} is in RUNNING state, restarting\n"),
                format!("call supervisor.stopProcess {name}"),
                format!("call supervisor.startProcess {name}"),
                format!("say {name} restarted\n"),
            ]
        };
        let line = |text: &str| vec![format!("say {text}\n")];
        let rows: Vec<(&str, Vec<Vec<String>>)> = vec![
            ("-p foo", vec![line("Restarting selected processes ['foo']"), restart("foo")]),
            ("-p g:bar", vec![line("Restarting selected processes ['g:bar']"), restart("g:bar")]),
            ("-p bar", vec![line("Restarting selected processes ['bar']"), restart("g:bar")]),
            (
                "-p baz -p no",
                vec![
                    line("Restarting selected processes ['baz', 'no']"),
                    line("baz not in RUNNING state, NOT restarting"),
                    line("Programs not restarted because they did not exist: ['no']"),
                ],
            ),
            (
                "-a",
                vec![
                    line("Restarting all running processes"),
                    restart("foo"),
                    restart("g:bar"),
                    line("baz not in RUNNING state, NOT restarting"),
                ],
            ),
            (
                "-p foo -d /cores/ -g gc",
                vec![
                    line("Restarting selected processes ['foo']"),
                    vec!["shell gc '/cores/foo' 11 <".into(), "say gcore output for foo:\n\n core\n\n".into()],
                    restart("foo"),
                ],
            ),
        ];
        for (args, expected) in rows {
            let story = story(&format!("{args} http://h"), &mut world(vec![answer(500, "Oops", "")]));
            assert_eq!(story[1..], expected.concat(), "{args}");
        }
    }

    #[test]
    fn mails_what_was_done() {
        let mut fake = world(vec![answer(500, "Oops", "")]);
        fake.faults = vec![("supervisor.stopProcess", 70, "NOT_RUNNING: foo")];
        let story = story("-p foo -m me@x -s sm -n web http://h/x", &mut fake);
        let letter = "To: me@x\nSubject: httpok [web]: http://h/x: bad status returned\n\n\
                      status contacting http://h/x: 500 Oops\n\
                      Restarting selected processes ['foo']\n\
                      foo is in RUNNING state, restarting\n\
                      Failed to stop process foo: <Fault 70: 'NOT_RUNNING: foo'>\n\
                      foo restarted";
        assert_eq!(story[story.len() - 2..], [format!("shell sm <{letter}"), format!("say Mailed:\n\n{letter}")]);
    }

    #[test]
    fn a_lazy_one_checks_only_what_runs() {
        for (args, checks) in [("-E -p foo", true), ("-E -p g:bar", true), ("-E -p baz", false), ("-E -a", true)] {
            let story = story(&format!("{args} http://h"), &mut world(vec![answer(200, "OK", "")]));
            assert_eq!(!story.is_empty(), checks, "{args}");
        }
    }

    #[test]
    fn does_nothing_without_process_info_nor_for_other_events() {
        let mut fake = Fake { processes: None, ..world(vec![answer(500, "Oops", "")]) };
        let expected = [GET, "say Exception retrieving process info no answer, not acting\n"];
        assert_eq!(story("-a -m me@x http://h", &mut fake), expected);
        let other = Message { event: "PROCESS_STATE_EXITED".into(), payload: String::new() };
        from_args(&words("-a http://h")).unwrap().handle(&other, &mut fake).unwrap();
        assert!(fake.story.is_empty());
    }

    #[test]
    fn bad_command_lines() {
        let rows = [
            ("-h", 0),
            ("--help http://h", 0),
            ("", 255),
            ("http://a http://b", 255),
            ("-x http://h", 255),
            ("-t x http://h", 255),
            ("-t 0 http://h", 255),
            ("-c x http://h", 255),
        ];
        for (args, code) in rows {
            let exit = from_args(&words(args)).unwrap_err();
            assert_eq!(exit.code, code, "{args}");
            assert!(exit.stdout.contains("Usage: httpok"), "{args}");
        }
        let exit = from_args(&words("https://h")).unwrap_err();
        assert_eq!((exit.code, exit.stderr.as_str()), (1, "httpok: https is not supported, only http: https://h\n"));
    }
}
