//! Patterns of names in rules files, each with what is said where it matches (V-64, V-65).

use regex_lite::Regex;

use crate::wire::pattern::pattern;

/// Patterns of applications, and of programs of one application: each is looked for in each name.
pub(super) const PATTERNS_MAX: usize = 1_000;

/// Patterns in the order in which they were first written, each with its value.
#[derive(Clone, Debug)]
pub(super) struct Patterns<T>(Vec<(Pattern, T)>);

/// A pattern that is looked for anywhere in a name.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    regex: Regex,
}

impl<T> Default for Patterns<T> {
    fn default() -> Patterns<T> {
        Patterns(Vec::new())
    }
}

impl<T> Patterns<T> {
    /// A later pattern of the same text counts, in the place of the first (V-64). Errors: what is left out, and why.
    pub(super) fn put(&mut self, text: &str, value: T) -> Result<(), String> {
        let Patterns(all) = self;
        if let Some((_, known)) = all.iter_mut().find(|(known, _)| known.text == text) {
            *known = value;
            return Ok(());
        }
        if all.len() == PATTERNS_MAX {
            return Err(format!("pattern '{text}' is left out: there are {PATTERNS_MAX} before it"));
        }
        let regex = pattern(text).map_err(|error| format!("pattern '{text}' is left out: {error}"))?;
        all.push((Pattern { text: text.to_string(), regex }, value));
        Ok(())
    }

    /// What stands at the pattern that matches most of a name; of equals the first (V-65).
    pub(super) fn best(&self, name: &str) -> Option<&T> {
        let mut best: Option<(usize, &T)> = None;
        for (pattern, value) in &self.0 {
            let Some(found) = pattern.regex.find(name) else { continue };
            let length = name[found.range()].chars().count();
            if best.is_none_or(|(most, _)| length > most) {
                best = Some((length, value));
            }
        }
        best.map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_matches_most_and_of_one_text_the_last() {
        let mut patterns = Patterns::default();
        for (value, text) in ["x_", "x_l.*r", "_x", "x_"].into_iter().enumerate() {
            patterns.put(text, value).unwrap();
        }
        let rows = [
            ("x_named", Some(3)),
            ("x_longer", Some(1)),
            ("a_x", Some(2)),
            ("a_x_", Some(3)),
            ("none", None),
            ("", None),
        ];
        for (name, expected) in rows {
            assert_eq!(patterns.best(name).copied(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_left_out() {
        let mut patterns = Patterns::default();
        (0..PATTERNS_MAX).for_each(|at| patterns.put(&format!("p{at}"), at).unwrap());
        assert!(patterns.put("(", 0).is_err_and(|text| text.starts_with("pattern '(' is left out: there are 1000")));
        assert_eq!(patterns.put("p7", 0), Ok(()), "one that is there already");
        assert!(Patterns::default().put("(", 0).is_err_and(|text| text.starts_with("pattern '(' is left out: ")));
    }
}
