//! `group:process` names.

/// A name as clients give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespec<'a> {
    /// The part before the colon, or all of it where there is none: a group then has the name of its process.
    pub group: &'a str,
    /// The process; `None` is the whole group (`group:*`, `group:`).
    pub process: Option<&'a str>,
}

/// Splits at the first colon; a bare name is both group and process.
pub fn split(name: &str) -> Namespec<'_> {
    match name.split_once(':') {
        None => Namespec { group: name, process: Some(name) },
        Some((group, "" | "*")) => Namespec { group, process: None },
        Some((group, process)) => Namespec { group, process: Some(process) },
    }
}

/// `process` when it equals the group's name, else `group:process`.
pub fn join(group: &str, process: &str) -> String {
    if group == process { process.to_string() } else { format!("{group}:{process}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_joins() {
        let rows = [
            ("cat", "cat", Some("cat")),
            ("g:p", "g", Some("p")),
            ("g:*", "g", None),
            ("g:", "g", None),
            ("g:a:b", "g", Some("a:b")),
            ("", "", Some("")),
        ];
        for (name, group, process) in rows {
            assert_eq!(split(name), Namespec { group, process }, "{name:?}");
        }
        assert_eq!(join("a", "a"), "a");
        assert_eq!(join("a", "b"), "a:b");
    }
}
