//! `crashmail`: mail when a process exits unexpectedly.

use crate::config::getopt::Flag;
use crate::namespec;

use super::listener::{Applet, Message};
use super::mail;
use super::options::{Exit, Manual, SENDMAIL, flag};
use super::world::World;

const FLAGS: &[Flag] = &[
    flag('h', "help", None, "print this help and leave"),
    flag('p', "program", Some("NAME"), "watch this process (name or group:name) instead of all; repeatable"),
    flag('a', "any", None, "watch all processes, whatever -p says"),
    flag('o', "optionalheader", Some("TEXT"), "put this before the subject"),
    flag('s', "sendmail_program", Some("COMMAND"), "reads the mail from its standard input (/usr/sbin/sendmail -t -i)"),
    flag('m', "email", Some("ADDRESS"), "send mail to this address; without it none is sent"),
];

const MANUAL: Manual = Manual {
    usage: "crashmail [options]",
    about: "An event listener for PROCESS_STATE_EXITED: sends mail when a process ends\n\
            with an exit code that is not expected, or by a signal.",
    flags: FLAGS,
};

/// What `crashmail` was told to watch for, and where to send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashMail {
    /// Watched processes; empty for all. The original takes the option and watches all regardless.
    programs: Vec<String>,
    email: Option<String>,
    sendmail: String,
    optional_header: Option<String>,
}

/// Reads the command line.
pub fn from_args(args: &[String]) -> Result<CrashMail, Exit> {
    let (found, _) = MANUAL.read(args)?;
    let mut applet = CrashMail { programs: vec![], email: None, sendmail: SENDMAIL.to_string(), optional_header: None };
    let mut any = false;
    for option in found {
        let value = option.value.to_string();
        match FLAGS[option.flag].long {
            Some("help") => return Err(MANUAL.asked_for()),
            Some("program") => applet.programs.push(value),
            Some("any") => any = true,
            Some("optionalheader") => applet.optional_header = Some(value).filter(|text| !text.is_empty()),
            Some("sendmail_program") => applet.sendmail = value,
            Some("email") => applet.email = Some(value),
            _ => {}
        }
    }
    if any {
        applet.programs.clear();
    }
    Ok(applet)
}

impl CrashMail {
    fn watches(&self, message: &Message) -> bool {
        let (process, group) = (message.value("processname"), message.value("groupname"));
        let full = namespec::join(group, process);
        self.programs.is_empty() || self.programs.iter().any(|name| *name == process || *name == full)
    }
}

impl Applet for CrashMail {
    fn handle(&mut self, message: &Message, world: &mut dyn World) -> Result<(), Exit> {
        if message.event != "PROCESS_STATE_EXITED" || message.value("expected") != "0" || !self.watches(message) {
            return Ok(());
        }
        let Some(email) = &self.email else {
            world.say("unexpected exit, no address to mail to\n");
            return Ok(());
        };
        let process = message.value("processname");
        let text = format!(
            "Process {process} in group {} exited unexpectedly (pid {}) from state {}",
            message.value("groupname"),
            message.value("pid"),
            message.value("from_state")
        );
        let mut subject = format!(" {process} crashed at {}", mail::timestamp(world.now()));
        if let Some(header) = &self.optional_header {
            subject = format!("{header}:{subject}");
        }
        world.say("unexpected exit, mailing\n");
        let letter = mail::send(world, &self.sendmail, email, &subject, &text);
        world.say(&format!("Mailed:\n\n{letter}"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applets::testing::{Fake, words};

    fn event(name: &str, process: &str, expected: u8) -> Message {
        let payload = format!("processname:{process} groupname:g from_state:RUNNING expected:{expected} pid:58597");
        Message { event: name.to_string(), payload }
    }

    #[test]
    fn who_is_mailed_about_what() {
        let exited = "PROCESS_STATE_EXITED";
        let story = |subject: &str| {
            let letter = format!(
                "To: me@x\nSubject: {subject} crashed at TIME\n\n\
                 Process foo in group g exited unexpectedly (pid 58597) from state RUNNING"
            );
            vec![
                "say unexpected exit, mailing\n".to_string(),
                format!("shell sm <{letter}"),
                format!("say Mailed:\n\n{letter}"),
            ]
        };
        let rows: Vec<(&str, Message, Vec<String>)> = vec![
            ("-m me@x -s sm", event(exited, "foo", 0), story(" foo")),
            ("-m me@x -s sm", event(exited, "foo", 1), vec![]),
            ("-m me@x -s sm", event("PROCESS_STATE_STOPPED", "foo", 0), vec![]),
            ("-m me@x -s sm -o host", event(exited, "foo", 0), story("host: foo")),
            ("--email=me@x --sendmail=sm --prog bar", event(exited, "foo", 0), vec![]),
            ("--email=me@x --sendmail=sm --prog foo", event(exited, "foo", 0), story(" foo")),
            ("-m me@x -s sm -p g:foo", event(exited, "foo", 0), story(" foo")),
            ("-m me@x -s sm -p bar -a", event(exited, "foo", 0), story(" foo")),
            ("-s sm", event(exited, "foo", 0), vec!["say unexpected exit, no address to mail to\n".into()]),
        ];
        for (args, message, expected) in rows {
            let mut world = Fake::default();
            let mut applet = from_args(&words(args)).unwrap();
            applet.handle(&message, &mut world).unwrap();
            let time = mail::timestamp(world.now());
            let story: Vec<String> = world.story.iter().map(|line| line.replace(&time, "TIME")).collect();
            assert_eq!(story, expected, "{args} {message:?}");
        }
    }

    #[test]
    fn bad_command_lines() {
        for (args, code) in [("-h", 0), ("--help", 0), ("-x", 255), ("-m", 255), ("--any=1", 255)] {
            let exit = from_args(&words(args)).unwrap_err();
            assert_eq!(exit.code, code, "{args}");
            assert!(exit.stdout.contains("Usage: crashmail"), "{args}: {exit:?}");
        }
    }
}
