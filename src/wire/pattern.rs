//! Regular expressions that a rules file or a client brings.

use regex_lite::{Regex, RegexBuilder};

/// Bytes of an expression made ready, which is some two thousand states. Each letter of a name may meet each state: what is
/// larger could keep the loop for seconds with ten thousand names.
const BYTES_MAX: usize = 64 << 10;

/// Makes an expression ready. Errors: it is none, or too large.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(BYTES_MAX).build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_and_what_is_too_large() {
        let as_often = "a".repeat(500);
        for (text, found) in [("web_[0-9]+", "web_12"), ("^(a|b):.*$", "b:x"), ("", ""), ("a{500}", as_often.as_str())]
        {
            let found_in = |pattern: Regex| pattern.find(found).map(|it| it.as_str().to_string());
            assert_eq!(pattern(text).map(found_in).as_ref().map(Option::as_deref), Ok(Some(found)), "{text}");
        }
        let many = vec!["a_name"; 5_000].join("|");
        for text in ["(", "(a{100}){100}", "[a-z]{9000}", many.as_str()] {
            assert!(pattern(text).is_err(), "{text}");
        }
    }
}
