//! Names with `*`, `?` and `[...]`.

/// Whether a name has a character that makes it a pattern.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// Whether the whole of `text` matches: `*` any run (colons too), `?` one character, `[a-z]` one of a set,
/// `[!a-z]` one outside it. A `[` that is never closed stands for itself.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // The last star seen and the text it is taken to end at: one level of backing up is enough, since a later
    // star can swallow whatever an earlier one could.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some(next) = one(&pattern, p, text[t]) {
            p = next;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            star = Some((star_p, star_t + 1));
            p = star_p + 1;
            t = star_t + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Matches one character against the item at `p`; the position of the next item if it does.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match *pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => match set(pattern, p, c) {
            Some((is_in, next)) => is_in.then_some(next),
            None => (c == '[').then_some(p + 1),
        },
        literal => (literal == c).then_some(p + 1),
    }
}

/// Reads the set that opens at `p`: whether `c` is in it, and where it ends. `None` if it is never closed.
fn set(pattern: &[char], p: usize, c: char) -> Option<(bool, usize)> {
    let mut i = p + 1;
    let negated = pattern.get(i) == Some(&'!');
    if negated {
        i += 1;
    }
    // A `]` in the first place is a member.
    let end = i + 1 + pattern.get(i + 1..)?.iter().position(|&c| c == ']')?;
    let members = &pattern[i..end];
    let mut found = false;
    let mut m = 0;
    while m < members.len() {
        if m + 2 < members.len() && members[m + 1] == '-' {
            found |= (members[m]..=members[m + 2]).contains(&c);
            m += 3;
        } else {
            found |= members[m] == c;
            m += 1;
        }
    }
    Some((found != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let rows = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "web:a", true),
            ("web*", "web:a", true),
            ("*a", "web:a", true),
            ("*:a", "web:a", true),
            ("a*b*c", "axxbxxbc", true),
            ("a*b*c", "axxbxx", false),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("worker_[0-3]", "worker_2", true),
            ("worker_[0-3]", "worker_4", false),
            ("worker_[!0-3]", "worker_4", true),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("[]", "[]", true),
            ("[a-]", "-", true),
            ("é*", "éa", true),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }
}
