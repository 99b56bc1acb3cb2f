//! Paths as text, without a look at the system, by the rules of Python's posixpath: whether `a/../b` touches `a` matters to nobody here.

/// Everything before the last slash, without trailing slashes unless there is nothing else.
pub fn dirname(path: &str) -> &str {
    let head = &path[..path.rfind('/').map_or(0, |slash| slash + 1)];
    match head.trim_end_matches('/') {
        "" => head,
        trimmed => trimmed,
    }
}

/// `path` seen from `base`; an absolute path stays as it is.
pub fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') || base.is_empty() {
        path.to_string()
    } else if base.ends_with('/') {
        format!("{base}{path}")
    } else {
        format!("{base}/{path}")
    }
}

/// The shortest spelling: no `.`, no `..` that can be folded, no double slashes (but exactly two leading ones stay,
/// as POSIX allows them a meaning).
pub fn normalise(path: &str) -> String {
    let leading = match path.len() - path.trim_start_matches('/').len() {
        2 => "//",
        0 => "",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if !leading.is_empty() => {}
            _ => parts.push(part),
        }
    }
    let text = format!("{leading}{}", parts.join("/"));
    if text.is_empty() { ".".to_string() } else { text }
}

/// Absolute and in its shortest spelling, seen from `cwd`.
pub fn absolute(cwd: &str, path: &str) -> String {
    normalise(&join(cwd, path))
}

/// The descriptor that a path means: `/dev/stdout` is 1, `/dev/fd/7` and `/proc/self/fd/7` are 7. For us these names mean it
/// also where /dev or /proc is not mounted (K-2.7).
pub fn descriptor(path: &str) -> Option<i32> {
    match path {
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        _ => ["/dev/fd/", "/proc/self/fd/"].iter().find_map(|prefix| path.strip_prefix(prefix)?.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors() {
        let rows = [
            ("/dev/stdin", Some(0)),
            ("/dev/stdout", Some(1)),
            ("/dev/stderr", Some(2)),
            ("/dev/fd/7", Some(7)),
            ("/proc/self/fd/12", Some(12)),
            ("/dev/fd/", None),
            ("/dev/fd/x", None),
            ("/dev/null", None),
            ("dev/stdout", None),
        ];
        for (path, expected) in rows {
            assert_eq!(descriptor(path), expected, "{path}");
        }
    }

    #[test]
    fn dirnames() {
        let rows =
            [("/a/b", "/a"), ("a", ""), ("a/", "a"), ("/", "/"), ("//", "//"), ("/a", "/"), ("", ""), ("a//b", "a")];
        for (path, expected) in rows {
            assert_eq!(dirname(path), expected, "{path:?}");
        }
    }

    #[test]
    fn joins() {
        let rows = [("/a", "b", "/a/b"), ("/a/", "b", "/a/b"), ("/a", "/b", "/b"), ("", "b", "b"), ("/a", "", "/a/")];
        for (base, path, expected) in rows {
            assert_eq!(join(base, path), expected, "{base:?} {path:?}");
        }
    }

    #[test]
    fn normal_forms() {
        let rows = [
            ("", "."),
            (".", "."),
            ("/", "/"),
            ("//", "//"),
            ("///", "/"),
            ("//a", "//a"),
            ("/a/./b/../c", "/a/c"),
            ("/../a", "/a"),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("a/", "a"),
        ];
        for (path, expected) in rows {
            assert_eq!(normalise(path), expected, "{path:?}");
        }
        assert_eq!(absolute("/w", "x/../y"), "/w/y");
    }
}
