//! Values of options on their way into the file of changes: so that both we and Supervisor read the same again.

use std::borrow::Cow;

use crate::wire::expand::{self, Names, Var};

/// Expands to nothing. It stands where the dialect would take what follows for a comment, or drop blanks.
const NOTHING: &str = "%(here).0s";
/// What stands behind `%` in the text that Supervisor replaces in every included file before it looks at anything
/// else, even where the percent sign is itself one of a pair.
const HERE: &str = "(here)s";

/// A value so that the dialect gives it back: continued lines are indented, and [`NOTHING`] keeps comment signs from
/// following a blank, blanks from standing at an end, and `%%` from standing before `(here)s`. `None` if that is not
/// possible.
pub fn encode(value: &str) -> Option<Cow<'_, str>> {
    if value.contains('\r') {
        return None;
    }
    let value = part_here(value);
    if !value.contains('\n') {
        return Some(match value {
            Cow::Borrowed(value) => encode_line(value),
            Cow::Owned(value) => Cow::Owned(encode_line(&value).into_owned()),
        });
    }
    let mut lines = value.split('\n').map(encode_line);
    let mut out = lines.next()?.into_owned();
    for line in lines {
        out.push_str("\n\t");
        out.push_str(if line.is_empty() { NOTHING } else { &line });
    }
    Some(Cow::Owned(out))
}

/// Keeps `%%` and `(here)s` apart.
fn part_here(value: &str) -> Cow<'_, str> {
    if !value.contains("%%(here)s") {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len() + NOTHING.len());
    each_conversion(value, &mut out, |token, behind, out| {
        out.push_str(token);
        if token == "%%" && behind.starts_with(HERE) {
            out.push_str(NOTHING);
        }
    });
    Cow::Owned(out)
}

/// What Python takes for a blank: a comment may begin after it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn encode_line(line: &str) -> Cow<'_, str> {
    let is_end_safe = |c: Option<char>| c.is_none_or(|c| c.is_ascii_graphic() || c.is_alphanumeric());
    let mut before = None;
    let has_comment = line.chars().any(|c| {
        let is_comment = matches!(c, ';' | '#') && before.is_none_or(is_space);
        before = Some(c);
        is_comment
    });
    if !has_comment && is_end_safe(line.chars().next()) && is_end_safe(line.chars().next_back()) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len() + 2 * NOTHING.len());
    let mut before = ' ';
    for c in line.chars() {
        let guards = if out.is_empty() { !is_end_safe(Some(c)) } else { false };
        if guards || (matches!(c, ';' | '#') && is_space(before)) {
            out.push_str(NOTHING);
        }
        out.push(c);
        before = c;
    }
    if !is_end_safe(Some(before)) {
        out.push_str(NOTHING);
    }
    Cow::Owned(out)
}

/// Names that stand for themselves in a value, because they would mean something else where it is going to stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct EarlyNames<'a> {
    /// `program_name`, for a program whose section is called otherwise.
    pub program: Option<&'a str>,
    /// `here`: in an included file Supervisor takes it for that file's directory.
    pub here: Option<&'a str>,
}

impl EarlyNames<'_> {
    /// The value with these names replaced.
    pub fn replace_in(&self, value: &str) -> String {
        let mut out = String::with_capacity(value.len());
        each_conversion(value, &mut out, |token, _, out| {
            let is_ours = token.starts_with("%(program_name)") && self.program.is_some()
                || token.starts_with("%(here)") && self.here.is_some() && token != NOTHING;
            match is_ours.then(|| expand::expand(token, self)) {
                Some(Ok(text)) => out.push_str(&text.replace('%', "%%")),
                _ => out.push_str(token),
            }
        });
        out
    }
}

impl Names for EarlyNames<'_> {
    fn get(&self, name: &str) -> Option<Var<'_>> {
        match name {
            "program_name" => self.program.map(Var::Text),
            "here" => self.here.map(Var::Text),
            _ => None,
        }
    }

    fn all(&self) -> Vec<String> {
        ["here", "program_name"].map(String::from).into()
    }
}

/// Copies a value; each conversion is handed to `copy`, with what stands behind it.
fn each_conversion(value: &str, out: &mut String, copy: impl Fn(&str, &str, &mut String)) {
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (token, behind) = rest.split_at(conversion_length(rest));
        copy(token, behind, out);
        rest = behind;
    }
    out.push_str(rest);
}

/// Bytes of the conversion that a text begins with: `%%`, or `%(name)02d` up to the letter.
fn conversion_length(text: &str) -> usize {
    let Some(close) = text.starts_with("%(").then(|| text.find(')')).flatten() else {
        return text.chars().take(2).map(char::len_utf8).sum();
    };
    let letter = text[close..].char_indices().find(|(_, c)| c.is_alphabetic());
    letter.map_or(text.len(), |(at, c)| close + at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::super::super::reader::Scope;
    use super::*;

    #[test]
    fn names_stand_for_themselves() {
        let rows = [
            ("x", "x"),
            ("%(program_name)s", "a"),
            ("-%(program_name)-3s|%(program_name)s%%(program_name)s", "-a  |a%%(program_name)s"),
            ("%(process_num)02d %(ENV_program_name)s %%", "%(process_num)02d %(ENV_program_name)s %%"),
            ("%(program_name", "%(program_name"),
            ("%(program_name)", "%(program_name)"),
            ("é%", "é%"),
            ("%(here)s/x %%(here)s %%%(here)s %(here).0s", "/50%% off/x %%(here)s %%/50%% off %(here).0s"),
        ];
        let early = EarlyNames { program: Some("a"), here: Some("/50% off") };
        for (value, expected) in rows {
            assert_eq!(early.replace_in(value), expected, "{value:?}");
        }
        assert_eq!(EarlyNames::default().replace_in("%(here)s%(program_name)s"), "%(here)s%(program_name)s");
        assert_eq!(EarlyNames { program: Some("a%b"), here: None }.replace_in("%(program_name)s"), "a%%b");
    }

    /// What Supervisor's include does to a value, then both expand it.
    #[test]
    fn a_doubled_percent_sign_is_safe_from_the_include() {
        let rows = [
            ("%%(here)s", "%(here)s"),
            ("%%%%(here)s", "%%(here)s"),
            ("a%%(here)s%%(here)s;", "a%(here)s%(here)s;"),
            ("%%%(here)s", "%/dir"),
            ("%(here)s", "/dir"),
            ("%%(hero)s", "%(hero)s"),
        ];
        for (value, expected) in rows {
            let encoded = encode(value).unwrap();
            let scope = Scope { here: Some("/dir"), ..Scope::default() };
            assert_eq!(scope.expand(&encoded, String::new).unwrap(), expected, "{value:?}: {encoded}");
            let included = encoded.replace("%(here)s", "/dir");
            assert_eq!(scope.expand(&included, String::new).unwrap(), expected, "{value:?} included: {included}");
        }
    }
}
