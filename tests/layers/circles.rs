//! No circles: of two files each can be read without the other, or one of them can.
//!
//! What a file names in paths it uses, and what its parent shows on for another file (`pub use`) is that other file's; methods
//! of a type that several files add to are not seen. By design
//! a module and those within it know each other: a parent lists its children, and they are parts of what it defines. Tests
//! may name whom they like.

use std::collections::{BTreeMap, BTreeSet};

use super::{code_of, identifier, is_test, sources};

/// Names from the root of the crate on.
type Path = Vec<String>;

/// The code of each module, without comments and tests.
fn modules(files: &[(String, String)]) -> BTreeMap<Path, String> {
    let of_file = |(file, text): &(String, String)| {
        let file = file.trim_end_matches(".rs").trim_end_matches("/mod");
        let path = file.split('/').filter(|name| *name != "lib").map(str::to_string).collect();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        (path, code.lines().map(code_of).collect::<Vec<_>>().join("\n"))
    };
    files.iter().filter(|(file, _)| !is_test(file)).map(of_file).collect()
}

/// The paths of a `use`: `a::{b, c::{d, e}}` is `a::b`, `a::c::d`, `a::c::e`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.split(" as ").next().unwrap_or_default().trim();
    let Some((head, list)) = tree.split_once('{') else { return vec![tree.to_string()] };
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in list.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => parts.push(String::new()),
            c => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                parts.last_mut().expect("there is one from the beginning on").push(c);
            }
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| expand(part)).map(|path| format!("{head}{path}")).collect()
}

/// The paths that code names, and whether each is shown on to others.
fn paths(code: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for statement in code.split(';') {
        let at = statement.rfind("use ").filter(|at| {
            let before = statement[..*at].lines().last().unwrap_or_default().trim();
            before.is_empty() || before.starts_with("pub")
        });
        let (rest, tree) = at.map_or((statement, ""), |at| (&statement[..at], &statement[at + 4..]));
        let is_shown = rest.lines().last().is_some_and(|line| line.trim().starts_with("pub"));
        found.extend(expand(tree).into_iter().map(|path| (path, at.is_some() && is_shown)));
        for head in ["crate::", "super::", "self::"] {
            let begins = |at: usize| !rest[..at].ends_with(|c: char| "$_:".contains(c) || c.is_alphanumeric());
            for (at, _) in rest.match_indices(head).filter(|(at, _)| begins(*at)) {
                let path = rest[at..].chars().take_while(|c| "_:".contains(*c) || c.is_alphanumeric());
                found.push((path.collect(), false));
            }
        }
    }
    found
}

/// A path as a module means it, from the root on; `None` for what is not of this crate.
fn from_root(module: &[String], path: &str, modules: &BTreeMap<Path, String>) -> Option<Path> {
    let mut names = path.split("::").map(|name| identifier(name.trim())).peekable();
    let mut root = match names.peek()?.as_str() {
        "crate" => Path::new(),
        "self" | "super" => module.to_vec(),
        child => Some([module, &[child.to_string()]].concat())
            .filter(|path| modules.contains_key(path))
            .map(|_| module.to_vec())?,
    };
    while let Some(name) = names.next_if(|name| ["crate", "self", "super"].contains(&name.as_str())) {
        root.truncate(root.len() - usize::from(name == "super"));
    }
    root.extend(names);
    Some(root)
}

/// Whose what a path names is: what is shown on is followed to where it comes from.
fn owner(path: &[String], modules: &BTreeMap<Path, String>, shown: &BTreeMap<Path, Path>) -> Path {
    let depth = (0..=path.len()).rev().find(|depth| modules.contains_key(&path[..*depth])).unwrap_or(0);
    match shown.get(&path[..path.len().min(depth + 1)]) {
        Some(source) if depth < path.len() => owner(source, modules, shown),
        _ => path[..depth].to_vec(),
    }
}

/// The arrows that are left when all are taken away that lead out of circles or into them.
fn circles(files: &[(String, String)]) -> Vec<String> {
    let modules = modules(files);
    let (mut named, mut shown) = (Vec::new(), BTreeMap::new());
    for (module, code) in &modules {
        for (path, is_shown) in paths(code) {
            let Some(path) = from_root(module, &path, &modules) else { continue };
            if let Some(name) = path.last().filter(|_| is_shown) {
                shown.insert([module.as_slice(), std::slice::from_ref(name)].concat(), path.clone());
            }
            named.push((module, path));
        }
    }
    let arrows = named.into_iter().map(|(module, path)| (module.clone(), owner(&path, &modules, &shown)));
    let mut arrows: BTreeSet<(Path, Path)> =
        arrows.filter(|(from, to)| !from.starts_with(to) && !to.starts_with(from)).collect();
    loop {
        let from: BTreeSet<Path> = arrows.iter().map(|(from, _)| from.clone()).collect();
        let to: BTreeSet<Path> = arrows.iter().map(|(_, to)| to.clone()).collect();
        let before = arrows.len();
        arrows.retain(|arrow| to.contains(&arrow.0) && from.contains(&arrow.1));
        if arrows.len() == before {
            return arrows.iter().map(|(from, to)| format!("{} -> {}", from.join("/"), to.join("/"))).collect();
        }
    }
}

#[test]
fn no_file_is_in_a_circle() {
    let found = circles(&sources());
    assert!(found.is_empty(), "these arrows make circles, or lead from one to another:\n{}", found.join("\n"));
}

#[test]
fn circles_are_found() {
    type Files = &'static [(&'static str, &'static str)];
    let rows: &[(&str, Files, &[&str])] = &[
        ("none", &[("a/b.rs", "use super::c::C;"), ("a/c.rs", "use crate::d;"), ("d.rs", "")], &[]),
        (
            "two files",
            &[("a/b.rs", "use super::c::C;"), ("a/c.rs", "fn f() { super::b::g() }")],
            &["a/b -> a/c", "a/c -> a/b"],
        ),
        ("parent and child", &[("a/mod.rs", "mod b;\npub use b::B;"), ("a/b.rs", "use super::A;")], &[]),
        (
            "by what a parent shows on",
            &[
                ("a/mod.rs", "mod b;\nmod c;\npub(crate) use b::{B, D};"),
                ("a/b.rs", "use super::c::C;"),
                ("a/c.rs", "use crate::{\n    a::{self, B as X},\n    d,\n};"),
                ("d.rs", "use crate::a::B;"),
            ],
            &["a/b -> a/c", "a/c -> a/b"],
        ),
        (
            "tests",
            &[("a/b.rs", "use super::c::C;"), ("a/c.rs", "#[cfg(test)]\nmod tests {\n    use super::super::b::B;\n}")],
            &[],
        ),
        ("in words", &[("a/b.rs", "use super::c::C; // super::c"), ("a/c.rs", "//! See [`super::b`].")], &[]),
    ];
    for (name, files, expected) in rows {
        let files: Vec<_> = files.iter().map(|(file, text)| (file.to_string(), text.to_string())).collect();
        assert_eq!(circles(&files), *expected, "{name}");
    }
}
