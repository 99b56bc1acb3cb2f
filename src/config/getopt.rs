//! Command lines as Python's getopt reads them, by a table of flags: of supervisord, supervisorctl and the built-in listeners.

/// One option of a command line.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// The letter after a single dash.
    pub short: Option<char>,
    /// The word after two dashes. Unique prefixes of it are accepted.
    pub long: Option<&'static str>,
    /// What its argument is called in the help; `None` if it has none.
    pub argument: Option<&'static str>,
    /// Whether only the whole word counts. For words that the original does not have: a prefix that is unique there
    /// must stay so.
    pub whole: bool,
    /// What it does, in one line.
    pub help: &'static str,
}

/// One option found by [`getopt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundOption<'a> {
    /// As messages show it: `-c`, `--configuration`.
    pub name: String,
    /// Its index in the table.
    pub flag: usize,
    /// Its argument; empty if it takes none.
    pub value: &'a str,
}

/// Splits arguments into options and the words after them, as Python's getopt does: it stops at the first word that
/// is no option, short ones may be bundled, `--` ends the options.
///
/// Errors: the message alone, `option -z requires argument` (C-141).
#[cfg(any(feature = "ctl", feature = "applets", test))]
pub fn getopt<'a>(args: &'a [String], flags: &[Flag]) -> Result<(Vec<FoundOption<'a>>, &'a [String]), String> {
    split(args, flags).map(|(found, rest, _)| (found, rest))
}

/// The same, and whether it was `--` that ended the options.
pub(super) fn split<'a>(
    args: &'a [String],
    flags: &[Flag],
) -> Result<(Vec<FoundOption<'a>>, &'a [String], bool), String> {
    let mut found = Vec::new();
    let mut rest = args;
    while let Some((arg, after)) = rest.split_first() {
        if !arg.starts_with('-') || arg == "-" {
            break;
        }
        rest = after;
        if arg == "--" {
            return Ok((found, rest, true));
        }
        if let Some(word) = arg.strip_prefix("--") {
            found.push(long_option(word, &mut rest, flags)?);
        } else {
            short_options(&arg[1..], &mut rest, flags, &mut found)?;
        }
    }
    Ok((found, rest, false))
}

fn long_option<'a>(word: &'a str, rest: &mut &'a [String], flags: &[Flag]) -> Result<FoundOption<'a>, String> {
    let (word, attached) = match word.split_once('=') {
        Some((word, value)) => (word, Some(value)),
        None => (word, None),
    };
    let named = |long: &str, whole: bool| long == word || (!whole && long.starts_with(word));
    let candidates: Vec<usize> =
        (0..flags.len()).filter(|&i| flags[i].long.is_some_and(|long| named(long, flags[i].whole))).collect();
    let flag = match candidates.iter().find(|&&i| flags[i].long == Some(word)) {
        Some(&exact) => exact,
        None => match candidates[..] {
            [] => return Err(format!("option --{word} not recognized")),
            [one] => one,
            _ => return Err(format!("option --{word} not a unique prefix")),
        },
    };
    let name = format!("--{}", flags[flag].long.unwrap_or(word));
    let value = match (flags[flag].argument, attached) {
        (None, None) => "",
        (None, Some(_)) => return Err(format!("option {name} must not have an argument")),
        (Some(_), Some(value)) => value,
        (Some(_), None) => next(rest).ok_or_else(|| format!("option {name} requires argument"))?,
    };
    Ok(FoundOption { name, flag, value })
}

fn short_options<'a>(
    mut letters: &'a str,
    rest: &mut &'a [String],
    flags: &[Flag],
    found: &mut Vec<FoundOption<'a>>,
) -> Result<(), String> {
    while let Some(letter) = letters.chars().next() {
        letters = &letters[letter.len_utf8()..];
        let name = format!("-{letter}");
        let flag = flags.iter().position(|flag| flag.short == Some(letter));
        let flag = flag.ok_or_else(|| format!("option {name} not recognized"))?;
        let mut value = "";
        if flags[flag].argument.is_some() {
            // What follows in the same word is the argument, else the next word.
            value = std::mem::take(&mut letters);
            if value.is_empty() {
                value = next(rest).ok_or_else(|| format!("option {name} requires argument"))?;
            }
        }
        found.push(FoundOption { name, flag, value });
    }
    Ok(())
}

fn next<'a>(rest: &mut &'a [String]) -> Option<&'a str> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(first)
}

/// The help of a table of flags: a line each, the options left, what they do right.
pub fn help_lines(flags: &[Flag]) -> String {
    let left = |flag: &Flag| {
        let names = [flag.short.map(|short| format!("-{short}")), flag.long.map(|long| format!("--{long}"))];
        let names = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
        flag.argument.map_or(names.clone(), |argument| format!("{names} {argument}"))
    };
    let width = flags.iter().map(|flag| left(flag).len()).max().unwrap_or(0);
    flags.iter().map(|flag| format!("  {:width$}  {}\n", left(flag), flag.help)).collect()
}
