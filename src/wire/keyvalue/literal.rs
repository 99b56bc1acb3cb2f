//! The last reading: pairs stand between commas, and a value without quotes is all that stands there.
//!
//! It is asked only for texts that 4.3.0 takes, dropping parts of them or making variables out of them. So it must find the
//! whole value, or say which variable is in doubt; the value itself may be a secret and is in no message.

use super::Pairs;

/// Reads a list; see [`super::parse`].
pub(super) fn read(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Pairs::default();
    let mut rest = skip(text);
    while !rest.is_empty() {
        let before = pairs.list.last().map(|(key, _)| key.as_str());
        let (key, after) = rest.split_once('=').ok_or_else(|| no_pair(before, "the end"))?;
        let key = key.trim_end();
        if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || super::WORD_PUNCTUATION.contains(c)) {
            return Err(no_pair(before, "a '='"));
        }
        let after = after.trim_start();
        let (value, after) = match after.chars().next() {
            Some(quote @ ('\'' | '"')) => quoted(key, &after[1..], quote)?,
            _ => bare(key, after)?,
        };
        pairs.put(key.to_string(), value);
        rest = skip(after);
    }
    Ok(pairs.list)
}

fn no_pair(before: Option<&str>, what: &str) -> String {
    match before {
        Some(key) => {
            format!("what stands between a comma and {what} belongs to {key}, or is no KEY=value: write {key}=\"...\"")
        }
        None => format!("what stands before {what} is no KEY=value"),
    }
}

/// Passes over blanks, commas and whole comments.
fn skip(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if !rest.starts_with('#') {
            return rest;
        }
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
}

/// A value from behind its opening quote on, and what follows it.
fn quoted<'a>(key: &str, text: &'a str, quote: char) -> Result<(String, &'a str), String> {
    let (value, after) = text.split_once(quote).ok_or("No closing quotation")?;
    let is_adjacent = !after.starts_with(char::is_whitespace);
    let rest = after.trim_start();
    let mut signs = rest.chars();
    match signs.next() {
        None | Some(',') => Ok((value.to_string(), rest)),
        Some('#') if is_adjacent && rest.lines().next().is_some_and(|line| line.contains('=')) => {
            Err(format!("a comment begins behind the quotes of {key} and hides what follows: write a blank before '#'"))
        }
        Some('#') => Ok((value.to_string(), rest)),
        // Any one sign may separate pairs.
        Some(sign) if !sign.is_alphanumeric() && names_a_variable(signs.as_str()) => {
            Ok((value.to_string(), signs.as_str()))
        }
        Some(_) => {
            let (more, after) = bare(key, rest)?;
            if more.contains(['=', '"', '\'']) {
                return Err(format!("there is more behind the quotes of {key} than a comma"));
            }
            Ok((format!("{value}{}{more}", if is_adjacent { "" } else { " " }), after))
        }
    }
}

/// A value without quotes, and what follows it: up to a comma, or a `#` behind a blank.
fn bare<'a>(key: &str, text: &'a str) -> Result<(String, &'a str), String> {
    let is_comment = |at: usize| text[..at].ends_with(char::is_whitespace);
    let end = text.match_indices([',', '#']).find(|(at, sign)| *sign == "," || is_comment(*at));
    let (value, after) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    let value = value.trim_end().trim_end_matches(';');
    if value.split(';').skip(1).any(names_a_variable) {
        return Err(format!(
            "the value of {key} has no quotes and may end at its ';': write {key}=\"...\", or a comma for the ';'"
        ));
    }
    if value.lines().skip(1).any(names_a_variable) {
        return Err(format!("there is no comma behind the value of {key}, and its line ends"));
    }
    Ok((value.lines().map(str::trim).collect::<Vec<_>>().join(" "), after))
}

/// Whether a text begins like `KEY=`.
fn names_a_variable(text: &str) -> bool {
    let is_name = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    text.split_once('=').is_some_and(|(key, _)| is_name(key.trim()))
}
