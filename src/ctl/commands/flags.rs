//! Flags of start, stop, restart, enable and disable.

use crate::ctl::error::Error;

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
