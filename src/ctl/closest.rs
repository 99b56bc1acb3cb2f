//! What was meant by a word that is none.

/// The longest word that is compared: the table grows with its square.
const WORD_CHARS_MAX: usize = 64;

/// The candidates that the word may have meant, nearest first in the order given: as many slips of the finger away as
/// any other, at most a third of the word's length.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let word: Vec<char> = word.chars().take(WORD_CHARS_MAX).collect();
    let mut nearest = (word.len() / 3).max(1);
    let mut found = Vec::new();
    for candidate in candidates {
        let slips = slips(&word, &candidate.chars().take(WORD_CHARS_MAX).collect::<Vec<char>>());
        if slips < nearest {
            nearest = slips;
            found.clear();
        }
        if slips == nearest && !found.contains(&candidate) {
            found.push(candidate);
        }
    }
    found
}

/// How many characters are to be inserted, removed, replaced, or swapped with their neighbour to make one of the other.
fn slips(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for at in 0..=a.len() {
        for bt in 0..=b.len() {
            rows[at][bt] = match (at, bt) {
                (0, count) | (count, 0) => count,
                _ => {
                    let replaced = rows[at - 1][bt - 1] + usize::from(a[at - 1] != b[bt - 1]);
                    let mut best = replaced.min(rows[at - 1][bt] + 1).min(rows[at][bt - 1] + 1);
                    if at > 1 && bt > 1 && a[at - 1] == b[bt - 2] && a[at - 2] == b[bt - 1] {
                        best = best.min(rows[at - 2][bt - 2] + 1);
                    }
                    best
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let known = ["start", "status", "stop", "restart", "tail", "web:a"];
        let rows: [(&str, &[&str]); 7] = [
            ("strat", &["start"]),
            ("statsu", &["status"]),
            ("sotp", &["stop"]),
            ("tial", &["tail"]),
            ("web:b", &["web:a"]),
            ("x", &[]),
            ("frobnicate", &[]),
        ];
        for (word, expected) in rows {
            assert_eq!(closest(word, known), expected, "{word}");
        }
    }
}
