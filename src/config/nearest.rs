//! What was meant by a name that nothing has.

/// The known name that the fewest changes of letters lead to, if they are few for its length.
pub(super) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = 1 + written.chars().count() / 4;
    known.map(|name| (distance(written, name), name)).filter(|(far, _)| *far <= allowed).min().map(|(_, name)| name)
}

/// Letters to insert, remove or replace on the way from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    /// Longest name that is compared; none that is known is longer, and the work grows with the square.
    const LETTERS_MAX: usize = 64;
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    if from.len() > LETTERS_MAX {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let rows =
            [("", "", 0), ("a", "", 1), ("startsec", "startsecs", 1), ("abc", "acb", 2), ("kitten", "sitting", 3)];
        for (from, to, expected) in rows {
            assert_eq!(distance(from, to), expected, "{from:?} {to:?}");
            assert_eq!(distance(to, from), expected, "{to:?} {from:?}");
        }
    }
}
