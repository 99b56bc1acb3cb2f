//! Flags of commands that take names: a word with two dashes is a flag that the command knows, a name as ever, or a mistake.

use crate::ctl::closest::closest;
use crate::ctl::error::Error;
use crate::ctl::session::Session;
use crate::namespec;
use crate::wire::value::Value;

/// The flags that some command or other has.
const ALL: [&str; 18] = [
    "--with-deps",
    "--with-dependents",
    "--only",
    "--rolling",
    "--max-unavailable",
    "--timeout",
    "--now",
    "--stop",
    "--json",
    "--verbose",
    "--long",
    "--failed",
    "--watch",
    "--require",
    "--minimal",
    "--reboot",
    "--poweroff",
    "--halt",
];

/// Refuses words that look like flags and are none of the command's. With a command that Supervisor has, only those that are
/// nearly a flag, or another command's: it would be done without what was meant. All others are names to it, and may be.
pub(super) fn refuse_unknown(
    session: &mut Session,
    (command, known): (&str, &[&str]),
    words: &[String],
    status: i32,
) -> Result<(), Error> {
    let is_ours = matches!(command, "deps" | "enable" | "disable" | "hup");
    let flag = |word: &str| word.split('=').next().unwrap_or_default().to_string();
    let is_meant =
        |word: &&String| word.len() > 2 && word.starts_with("--") && (is_ours || !closest(&flag(word), ALL).is_empty());
    let Some(word) = words.iter().find(is_meant) else { return Ok(()) };
    if let Ok(Value::Array(infos)) = session.call_aside("supervisor.getAllProcessInfo", &[])
        && infos.iter().any(|info| is_called(info, word))
    {
        return Ok(());
    }
    let meant = closest(&flag(word), known.iter().copied());
    let hint = meant.first().map_or(String::new(), |meant| format!(", did you mean {meant}?"));
    Err(Error::usage(format!("Error: {command} has no option {word}{hint}"), status))
}

/// Whether a process, or its group, has that name.
fn is_called(info: &Value, word: &str) -> bool {
    let text = |member: &str| match info.member(member) {
        Some(Value::Str(text)) => text.as_ref(),
        _ => "",
    };
    let (group, name) = (text("group"), text("name"));
    word.strip_suffix(":*").unwrap_or(word) == group || word == namespec::join(group, name)
}

/// What a command is told beside names.
#[derive(Default)]
pub(super) struct Flags {
    pub with_deps: bool,
    pub with_dependents: bool,
    pub only: bool,
    pub rolling: bool,
    pub now: bool,
    pub max_unavailable: Option<i64>,
    pub timeout: Option<f64>,
}

impl Flags {
    /// Takes the flags that a command knows out of its words. Others stay: they are names, as ever.
    pub fn take(words: &mut Vec<String>, known: &[&str]) -> Result<Flags, Error> {
        let mut flags = Flags::default();
        let mut wrong = None;
        words.retain(|word| {
            let (flag, value) = word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value)));
            if !known.contains(&flag) {
                return true;
            }
            let number = value.and_then(|value| value.parse::<f64>().ok()).filter(|number| *number > 0.0);
            match (flag, value) {
                ("--with-deps", None) => flags.with_deps = true,
                ("--with-dependents", None) => flags.with_dependents = true,
                ("--only", None) => flags.only = true,
                ("--rolling", None) => flags.rolling = true,
                ("--now", None) => flags.now = true,
                ("--max-unavailable", Some(value)) => match value.parse::<i64>() {
                    Ok(number) if number > 0 => flags.max_unavailable = Some(number),
                    _ => wrong = Some(word.clone()),
                },
                ("--timeout", Some(_)) if number.is_some() => flags.timeout = number,
                _ => wrong = Some(word.clone()),
            }
            false
        });
        match wrong {
            Some(word) => Err(Error::usage(format!("Error: {word} needs a number, or none"), 1)),
            None => Ok(flags),
        }
    }
}
