//! `crashmailbatch` and `fatalmailbatch`: one mail for all failures of an interval.

use crate::config::getopt::{Flag, getopt};

use super::letter::{Letter, Server};
use super::listener::{Applet, Message};
use super::mail;
use super::options::{Exit, Manual};
use super::smtp;
use super::world::World;

/// Characters of a mail's body that are repeated in the log.
const DIGEST_CHARS: usize = 76;

/// Messages kept for a mail that cannot be sent before the interval ends. A system in which everything crashes
/// all the time should not make the listener grow; the oldest are dropped.
const MESSAGES_MAX: usize = 10_000;

/// Exit code of superlance's batch programs for a command line they do not understand (optparse's).
const USAGE: i32 = 2;

const FLAGS: &[Flag] = &[
    both('h', "help", None, "print this help and leave"),
    both('i', "interval", Some("MINUTES"), "send mail at most this often (1)"),
    both('t', "toEmail", Some("ADDRESSES"), "mail to these addresses, separated by commas; required"),
    both('f', "fromEmail", Some("ADDRESS"), "the sender of the mail; required"),
    both('s', "subject", Some("TEXT"), "subject of the mail"),
    both('H', "smtpHost", Some("HOST[:PORT]"), "the SMTP server (localhost)"),
    both('e', "tickEvent", Some("EVENT"), "the TICK event by which time passes (TICK_60)"),
    both('u', "userName", Some("NAME"), "log in to the SMTP server with this name"),
    both('p', "password", Some("PASSWORD"), "and this password"),
    Flag {
        short: None,
        long: Some("tls"),
        argument: None,
        whole: false,
        help: "refused with -u and -p: this build has no TLS, and the password would go out in clear",
    },
];

const fn both(short: char, long: &'static str, argument: Option<&'static str>, help: &'static str) -> Flag {
    super::options::flag(short, long, argument, help)
}

/// Which of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `crashmailbatch`: processes that exited unexpectedly.
    Crash,
    /// `fatalmailbatch`: processes that could not be started.
    Fatal,
}

impl Kind {
    fn manual(self) -> Manual {
        match self {
            Kind::Crash => Manual {
                usage: "crashmailbatch [options]",
                about: "An event listener for PROCESS_STATE_EXITED and TICK events: collects unexpected exits\n\
                        and mails them together.",
                flags: FLAGS,
            },
            Kind::Fatal => Manual {
                usage: "fatalmailbatch [options]",
                about: "An event listener for PROCESS_STATE_FATAL and TICK events: collects processes that could\n\
                        not be started and mails them together.",
                flags: FLAGS,
            },
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Crash => "crashmailbatch",
            Kind::Fatal => "fatalmailbatch",
        }
    }

    fn subject(self) -> &'static str {
        match self {
            Kind::Crash => "Crash alert from supervisord",
            Kind::Fatal => "Fatal start alert from supervisord",
        }
    }

    /// The sentence about an event, if it is one that counts.
    fn sentence(self, message: &Message) -> Option<String> {
        let (group, process) = (message.value("groupname"), message.value("processname"));
        match (self, message.event.as_str()) {
            (Kind::Crash, "PROCESS_STATE_EXITED") if message.value("expected") == "0" => {
                Some(format!("Process {group}:{process} (pid {}) died unexpectedly", message.value("pid")))
            }
            (Kind::Fatal, "PROCESS_STATE_FATAL") => {
                Some(format!("Process {group}:{process} failed to start too many times"))
            }
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    kind: Kind,
    interval_minutes: f64,
    to: Vec<String>,
    from: String,
    subject: String,
    server: Server,
    tick: String,
    /// Minutes between two of those events.
    tick_minutes: f64,
    /// Minutes since the last mail, by counting events.
    minutes: f64,
    messages: Vec<String>,
}

/// Reads the command line.
pub fn from_args(kind: Kind, args: &[String]) -> Result<Batch, Exit> {
    let manual = kind.manual();
    let refuse = |problem: String| {
        let (usage, name) = (manual.usage, kind.name());
        Exit { code: USAGE, stdout: String::new(), stderr: format!("Usage: {usage}\n\n{name}: error: {problem}\n") }
    };
    let (mut to, mut from, mut subject) = (String::new(), String::new(), kind.subject().to_string());
    let (mut interval_minutes, mut tick) = (1.0, "TICK_60".to_string());
    let (mut host, mut user, mut password, mut tls) = ("localhost".to_string(), String::new(), String::new(), false);
    let mut words = args;
    loop {
        let (found, rest) = getopt(words, FLAGS).map_err(|problem| refuse(in_words_of_optparse(&problem)))?;
        for option in found {
            let value = option.value.to_string();
            match FLAGS[option.flag].long {
                Some("help") => return Err(manual.asked_for()),
                Some("interval") => {
                    interval_minutes = value.trim().parse().map_err(|_| {
                        refuse(format!("option {}: invalid floating-point value: '{value}'", option.name))
                    })?;
                }
                Some("toEmail") => to = value,
                Some("fromEmail") => from = value,
                Some("subject") => subject = value,
                Some("smtpHost") => host = value,
                Some("tickEvent") => tick = value,
                Some("userName") => user = value,
                Some("password") => password = value,
                Some("tls") => tls = true,
                _ => {}
            }
        }
        // Options may stand behind other words, which mean nothing.
        match rest.split_first() {
            Some((_, rest)) => words = rest,
            None => break,
        }
    }
    if to.is_empty() || from.is_empty() {
        return Err(Exit { code: 1, stdout: manual.help(), stderr: String::new() });
    }
    let login = (!user.is_empty() && !password.is_empty()).then_some((user, password));
    if tls && login.is_some() {
        return Err(Exit::failed(format!("{}: --tls is not supported, not sending the password\n", kind.name())));
    }
    let server = Server::parse(&host, login).ok_or_else(|| refuse(format!("bad SMTP host: '{host}'")))?;
    let tick_minutes = tick_minutes(&tick).ok_or_else(|| Exit::failed(format!("Invalid TICK event name: {tick}\n")))?;
    let to = to.split(',').map(|address| address.trim().to_string()).filter(|address| !address.is_empty()).collect();
    Ok(Batch { kind, interval_minutes, to, from, subject, server, tick, tick_minutes, minutes: 0.0, messages: vec![] })
}

/// What is wrong with a command line, as optparse says it. The original of the other applets is getopt.
fn in_words_of_optparse(problem: &str) -> String {
    let Some((option, what)) = problem.strip_prefix("option ").and_then(|rest| rest.split_once(' ')) else {
        return problem.to_string();
    };
    match what {
        "not recognized" => format!("no such option: {option}"),
        "requires argument" => format!("{option} option requires 1 argument"),
        "must not have an argument" => format!("{option} option does not take a value"),
        "not a unique prefix" => {
            let word = option.trim_start_matches('-');
            let mut fitting: Vec<String> = FLAGS
                .iter()
                .filter_map(|flag| flag.long)
                .filter(|long| long.starts_with(word))
                .map(|long| format!("--{long}"))
                .collect();
            crate::sort::ascending(&mut fitting);
            format!("ambiguous option: {option} ({}?)", fitting.join(", "))
        }
        _ => problem.to_string(),
    }
}

/// `TICK_5` is a twelfth of a minute.
fn tick_minutes(event: &str) -> Option<f64> {
    let seconds: u32 = event.strip_prefix("TICK_")?.parse().ok()?;
    Some(f64::from(seconds) / 60.0)
}

impl Applet for Batch {
    fn handle(&mut self, message: &Message, world: &mut dyn World) -> Result<(), Exit> {
        if let Some(sentence) = self.kind.sentence(message) {
            let line = format!("{} -- {sentence}", mail::timestamp(world.now()));
            world.say(&format!("{line}\n"));
            if self.messages.len() == MESSAGES_MAX {
                self.messages.remove(0);
            }
            self.messages.push(line);
        } else if message.event == self.tick {
            self.minutes += self.tick_minutes;
            if self.minutes >= self.interval_minutes {
                self.minutes = 0.0;
                self.send(world);
            }
        }
        Ok(())
    }
}

impl Batch {
    /// Mails what has come together, if anything. What cannot be sent is not kept: it has been logged.
    fn send(&mut self, world: &mut dyn World) {
        if self.messages.is_empty() {
            return;
        }
        let body = std::mem::take(&mut self.messages).join("\n");
        let text = smtp::message(&self.from, &self.to, &self.subject, &body, world.now());
        let letter = Letter { server: &self.server, from: &self.from, to: &self.to, text: &text };
        if let Err(error) = world.submit(&letter) {
            world.say(&format!("Error sending email: {error}\n"));
        }
        let (to, from, subject) = (self.to.join(", "), &self.from, &self.subject);
        let digest = match body.char_indices().nth(DIGEST_CHARS) {
            Some((end, _)) => format!("{}...", &body[..end]),
            None => body,
        };
        world.say(&format!(
            "Sending notification email:\nTo: {to}\nFrom: {from}\nSubject: {subject}\nBody:\n{digest}\n"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applets::testing::{Fake, words};

    const MANDATORY: &str = "--toEmail=a@x,b@y --fromEmail me@z";

    fn event(name: &str, payload: &str) -> Message {
        Message { event: name.to_string(), payload: payload.to_string() }
    }

    fn exited(expected: u8) -> Message {
        let payload = format!("processname:foo groupname:g from_state:RUNNING expected:{expected} pid:58");
        event("PROCESS_STATE_EXITED", &payload)
    }

    /// The story with times cut out and mails cut down to their last line.
    fn story(kind: Kind, args: &str, messages: &[Message], world: &mut Fake) -> Vec<String> {
        let mut batch = from_args(kind, &words(&format!("{MANDATORY} {args}"))).unwrap();
        for message in messages {
            batch.handle(message, world).unwrap();
        }
        let time = mail::timestamp(world.now());
        let cut = |line: &String| match line.strip_prefix("submit ") {
            Some(_) => format!("{}: {}", line.split(':').next().unwrap_or_default(), line.lines().last().unwrap_or("")),
            None => line.clone(),
        };
        world.story.iter().map(|line| cut(line).replace(&time, "TIME")).collect()
    }

    #[test]
    fn collects_and_mails() {
        let tick = event("TICK_60", "when:60");
        let died = "TIME -- Process g:foo (pid 58) died unexpectedly";
        let say_died = format!("say {died}\n");
        let submit = format!("submit to a@x+b@y at localhost: {died}");
        let log = format!(
            "say Sending notification email:\nTo: a@x, b@y\nFrom: me@z\nSubject: Crash alert from supervisord\n\
             Body:\n{died}\n"
        );
        let only_said = std::slice::from_ref(&say_died);
        let mailed = [say_died.clone(), submit, log];
        let crash = |args, messages: &[Message]| story(Kind::Crash, args, messages, &mut Fake::default());
        assert_eq!(crash("", &[exited(0)]), only_said);
        assert_eq!(crash("", &[exited(1), tick.clone()]), [""; 0]);
        assert_eq!(crash("", &[exited(0), tick.clone(), tick.clone()]), mailed);
        assert_eq!(crash("-i 2", &[exited(0), tick.clone()]), only_said);
        assert_eq!(crash("-i 2", &[exited(0), tick.clone(), tick.clone()]), mailed);
        let five = event("TICK_5", "when:5");
        assert_eq!(crash("-e TICK_5 -i 0.1", &[exited(0), five.clone(), tick.clone()]), only_said);
        assert_eq!(crash("-e TICK_5 -i 0.1", &[exited(0), five.clone(), five]), mailed);
    }

    #[test]
    fn fatal_has_its_own_words_and_a_failure_is_told() {
        let fatal = event("PROCESS_STATE_FATAL", "processname:foo groupname:foo from_state:BACKOFF");
        let tick = event("TICK_60", "when:60");
        let mut world = Fake { submissions: [Err("gone".to_string())].into(), ..Fake::default() };
        let story = story(Kind::Fatal, "--subject Boo", &[exited(0), fatal.clone(), fatal, tick], &mut world);
        let failed = "TIME -- Process foo:foo failed to start too many times";
        let log = "say Sending notification email:\nTo: a@x, b@y\nFrom: me@z\nSubject: Boo\nBody:\n";
        // The first line takes 73 of the 76 characters; the second begins with the year.
        let expected = [
            format!("say {failed}\n"),
            format!("say {failed}\n"),
            format!("submit to a@x+b@y at localhost: {failed}"),
            "say Error sending email: gone\n".to_string(),
            format!("{log}{failed}\n20...\n"),
        ];
        assert_eq!(story, expected);
    }

    #[test]
    fn bad_command_lines() {
        let rows = [
            ("-h", 0, "Usage: crashmailbatch [options]"),
            ("", 1, "Usage: crashmailbatch [options]"),
            ("-t a@x", 1, "Usage: crashmailbatch [options]"),
            ("-f a@x word", 1, "Usage: crashmailbatch [options]"),
            ("-x", 2, "crashmailbatch: error: no such option: -x\n"),
            ("--x", 2, "crashmailbatch: error: no such option: --x\n"),
            ("-i", 2, "crashmailbatch: error: -i option requires 1 argument\n"),
            ("--tls=1", 2, "crashmailbatch: error: --tls option does not take a value\n"),
            ("--t", 2, "crashmailbatch: error: ambiguous option: --t (--tickEvent, --tls, --toEmail?)\n"),
            ("-i x", 2, "crashmailbatch: error: option -i: invalid floating-point value: 'x'\n"),
            ("word -t a -f b -e TACK_5", 1, "Invalid TICK event name: TACK_5\n"),
            ("-t a -f b -H h:x", 2, "crashmailbatch: error: bad SMTP host: 'h:x'\n"),
            (
                "-t a -f b --tls -u me -p secret",
                1,
                "crashmailbatch: --tls is not supported, not sending the password\n",
            ),
        ];
        for (args, code, text) in rows {
            let exit = from_args(Kind::Crash, &words(args)).unwrap_err();
            assert_eq!(exit.code, code, "{args}");
            assert!(exit.stdout.contains(text) || exit.stderr.contains(text), "{args}: {exit:?}");
        }
        assert_eq!(from_args(Kind::Crash, &words("-t a -f b --tls")).map(drop).map_err(|exit| exit.stderr), Ok(()));
    }
}
