//! Globbing by the rules of Python's glob module (C-43): `*`, `?`, `[...]`; `**` is `*`; wildcards do not match a
//! leading dot; the path keeps the spelling of the pattern.

use super::env::Env;
use super::paths;

/// Deepest pattern followed; a path cannot have more parts than this (PATH_MAX is 4096 bytes).
const DEPTH_MAX: usize = 2048;

/// What matches, in any order. A pattern without wildcards matches itself if it exists.
pub fn glob(env: &dyn Env, pattern: &str) -> Vec<String> {
    if pattern.matches('/').count() > DEPTH_MAX {
        return Vec::new();
    }
    expand(env, pattern)
}

fn expand(env: &dyn Env, pattern: &str) -> Vec<String> {
    let name = &pattern[pattern.rfind('/').map_or(0, |slash| slash + 1)..];
    let dir = paths::dirname(pattern);
    if !has_magic(pattern) {
        let there = if name.is_empty() { env.is_dir(dir) } else { env.exists(pattern) };
        return if there { vec![pattern.to_string()] } else { Vec::new() };
    }
    let dirs = if dir != pattern && has_magic(dir) { expand(env, dir) } else { vec![dir.to_string()] };
    let mut found = Vec::new();
    for dir in dirs {
        if has_magic(name) {
            let listed = env.list_dir(if dir.is_empty() { "." } else { &dir });
            let visible = listed.iter().filter(|entry| name.starts_with('.') || !entry.starts_with('.'));
            found.extend(visible.filter(|entry| matches(name, entry)).map(|entry| paths::join(&dir, entry)));
        } else {
            let path = paths::join(&dir, name);
            if if name.is_empty() { env.is_dir(&dir) } else { env.exists(&path) } {
                found.push(path);
            }
        }
    }
    found
}

fn has_magic(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// One step of a pattern.
enum Step {
    Any,
    Many,
    One(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

/// Whether a name matches a pattern. Linear in the product of their lengths: on a mismatch only the last `*`
/// takes one character more.
pub fn matches(pattern: &str, name: &str) -> bool {
    let steps = steps(pattern);
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut step) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match steps.get(step) {
            Some(Step::Many) => {
                star = Some((step, at));
                step += 1;
                continue;
            }
            Some(one) if one.takes(name[at]) => {
                at += 1;
                step += 1;
                continue;
            }
            _ => {}
        }
        let Some((star_step, star_at)) = star else { return false };
        star = Some((star_step, star_at + 1));
        step = star_step + 1;
        at = star_at + 1;
    }
    steps[step..].iter().all(|rest| matches!(rest, Step::Many))
}

impl Step {
    fn takes(&self, c: char) -> bool {
        match self {
            Step::Any => true,
            Step::Many => false,
            Step::One(wanted) => *wanted == c,
            Step::Set { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
        }
    }
}

fn steps(pattern: &str) -> Vec<Step> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut steps = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '*' => steps.push(Step::Many),
            '?' => steps.push(Step::Any),
            '[' => match set_end(&chars, at + 1) {
                Some(end) => {
                    steps.push(set(&chars[at + 1..end]));
                    at = end;
                }
                None => steps.push(Step::One('[')),
            },
            c => steps.push(Step::One(c)),
        }
        at += 1;
    }
    steps
}

/// Where the set that begins at `at` has its `]`; one that comes first, or after `!`, is an ordinary member.
fn set_end(chars: &[char], at: usize) -> Option<usize> {
    let first = if chars.get(at) == Some(&'!') { at + 1 } else { at };
    (first + 1..chars.len()).find(|&i| chars[i] == ']')
}

fn set(inside: &[char]) -> Step {
    let (negated, mut rest) = match inside {
        ['!', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    while let Some((&low, after)) = rest.split_first() {
        rest = match after {
            ['-', high, after @ ..] => {
                ranges.push((low, *high));
                after
            }
            _ => {
                ranges.push((low, low));
                after
            }
        };
    }
    Step::Set { negated, ranges }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn names() {
        let rows = [
            ("*", "anything", true),
            ("**", "anything", true),
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf~", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?", "é", true),
            ("?", "", false),
            ("", "", true),
            ("[abc]", "b", true),
            ("[!abc]", "b", false),
            ("[!abc]", "d", true),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[a-]", "-", true),
            ("[c-a]", "b", false),
            ("[a", "[a", true),
            ("[]", "[]", true),
            ("*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ];
        for (pattern, name, expected) in rows {
            assert_eq!(matches(pattern, name), expected, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn trees() {
        let mut env = Fake::new();
        for path in
            ["/e/a.conf", "/e/b.conf", "/e/.c.conf", "/e/d/x.conf", "/e/d/y.ini", "/e/f/x.conf", "/e/f/g/z.conf"]
        {
            env.write(path, "");
        }
        let rows: &[(&str, &[&str])] = &[
            ("/e/*.conf", &["/e/a.conf", "/e/b.conf"]),
            ("/e/.*.conf", &["/e/.c.conf"]),
            ("/e/*/x.conf", &["/e/d/x.conf", "/e/f/x.conf"]),
            ("/e/**/*.conf", &["/e/d/x.conf", "/e/f/x.conf"]),
            ("/e/a.conf", &["/e/a.conf"]),
            ("/e/no.conf", &[]),
            ("/e/*/", &["/e/d/", "/e/f/"]),
            ("/e/d/", &["/e/d/"]),
            ("/e/./[ab].conf", &["/e/./a.conf", "/e/./b.conf"]),
            ("/no/*", &[]),
        ];
        for (pattern, expected) in rows {
            let mut found = glob(&env, pattern);
            found.sort();
            assert_eq!(found, *expected, "{pattern:?}");
        }
        env.cwd = "/e".to_string();
        assert_eq!(glob(&env, "[a].conf"), ["a.conf"]);
    }
}
