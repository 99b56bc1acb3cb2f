//! The map in `src/lib.rs` holds: arrows point down only, no files use each other in a circle, all unsafe code is in `src/sys`,
//! the time comes from above.
//!
//! The map is read from the comment that people read, so the two cannot part. Text is enough here: paths out of a
//! module are written `crate::…` in this crate, alone or as the head of a braced list.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "layers/circles.rs"]
mod circles;

/// Within a row only these look sideways: log files are opened, renamed and written through `sys`.
const SIDEWAYS: &[(&str, &str)] = &[("logs", "sys")];

/// The name of the row above all others.
const ROOF: &str = "ROOF";

/// Row of each module, from the map: 0 is the ground, the roof is one more than the highest number.
fn rows() -> BTreeMap<String, usize> {
    let lib = fs::read_to_string(source("lib.rs")).expect("src/lib.rs is readable");
    let rows = rows_of(&lib);
    assert!(rows.len() > 10, "the map in src/lib.rs is not found: {rows:?}");
    rows
}

fn rows_of(lib: &str) -> BTreeMap<String, usize> {
    let mut lines: Vec<(Option<usize>, Vec<String>)> = Vec::new();
    for line in lib.lines().filter_map(|line| line.strip_prefix("//! ")) {
        let Some((row, rest)) = line.split_once("  ") else { continue };
        // What follows a run of blanks is the description.
        let names = rest.trim_start().split("  ").next().unwrap_or_default();
        let names = names.split(' ').map(|name| name.trim_end_matches('/').to_string()).collect();
        match row.parse() {
            Ok(number) => lines.push((Some(number), names)),
            Err(_) if row == ROOF => lines.push((None, names)),
            Err(_) => {}
        }
    }
    let roof = lines.iter().filter_map(|(row, _)| *row).max().map_or(0, |highest| highest + 1);
    lines.into_iter().flat_map(|(row, names)| names.into_iter().map(move |name| (name, row.unwrap_or(roof)))).collect()
}

/// The modules that a file's text names in `crate::…` paths, with line numbers from 1.
fn arrows(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = code_of(line);
        for (at, head) in code.match_indices("crate::") {
            // `$crate::` in a macro names the macro's own row, and `mycrate::` is none of ours.
            if code[..at].ends_with(|c: char| c == '$' || c == '_' || c.is_alphanumeric()) {
                continue;
            }
            let rest = &code[at + head.len()..];
            match rest.strip_prefix('{') {
                // A list may run over several lines: everything up to the closing brace at the same depth counts.
                Some(_) => {
                    let start = text.lines().take(number).map(|line| line.len() + 1).sum::<usize>() + at + head.len();
                    found.extend(listed(&text[start + 1..]).into_iter().map(|name| (number + 1, name)));
                }
                None => found.push((number + 1, identifier(rest))),
            }
        }
    }
    found
}

/// The first names of the entries of a braced list; `text` starts behind its opening brace.
fn listed(text: &str) -> Vec<String> {
    let (mut names, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && (c == '_' || c.is_alphanumeric()) => {
                names.push(identifier(&text[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| *c == '_' || c.is_alphanumeric()).collect()
}

/// A line without its comment. A `//` inside a string cuts too much, which hides nothing that this test looks for.
fn code_of(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Whether the word `unsafe` stands in the code of a line; `unsafe_code` is another word.
fn is_unsafe(line: &str) -> bool {
    let code = code_of(line);
    code.match_indices("unsafe").any(|(at, word)| {
        let inside = |c: char| c == '_' || c.is_alphanumeric();
        !code[..at].ends_with(inside) && !code[at + word.len()..].starts_with(inside)
    })
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)
}

/// Every Rust file below `src`, as (path below `src`, text).
fn sources() -> Vec<(String, String)> {
    let (mut files, mut folders) = (Vec::new(), vec![source("")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of src is readable") {
            let path = entry.expect("an entry of src is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let name = path.strip_prefix(source("")).expect("below src").to_string_lossy().into_owned();
                files.push((name, fs::read_to_string(&path).expect("a source file is UTF-8")));
            }
        }
    }
    assert!(files.len() > 20, "only {} source files found", files.len());
    files.sort();
    files
}

/// The top module that a file belongs to; `lib.rs` belongs to none.
fn module_of(file: &str) -> Option<&str> {
    let first = file.split('/').next().unwrap_or_default();
    Some(first.trim_end_matches(".rs")).filter(|module| *module != "lib")
}

/// Exported macros, which stand at the root of the crate whatever module defines them: name and module.
fn macros(sources: &[(String, String)]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (file, text) in sources {
        let mut lines = text.lines().map(str::trim);
        while lines.by_ref().any(|line| line == "#[macro_export]") {
            let name = lines.next().and_then(|line| line.strip_prefix("macro_rules! ")).map(identifier);
            found.extend(name.zip(module_of(file).map(str::to_string)));
        }
    }
    found
}

/// What an arrow is reported as; `None` if it may stand.
fn objection(rows: &BTreeMap<String, usize>, from: &str, to: &str) -> Option<String> {
    let (Some(mine), Some(its)) = (rows.get(from), rows.get(to)) else {
        return Some(format!("{from} or {to} is missing in the map of src/lib.rs"));
    };
    let roof = rows.values().max().copied().unwrap_or_default();
    let level = from == to || SIDEWAYS.contains(&(from, to)) || mine == &0 || *mine == roof;
    let fine = its < mine || (its == mine && level);
    (!fine).then(|| format!("{from} (row {mine}) uses {to} (row {its})"))
}

#[test]
fn arrows_point_down() {
    let (rows, sources) = (rows(), sources());
    let macros = macros(&sources);
    let mut wrong = Vec::new();
    for (file, text) in &sources {
        let Some(from) = module_of(file) else { continue };
        for (line, to) in arrows(text) {
            let to = macros.get(&to).unwrap_or(&to);
            wrong.extend(objection(&rows, from, to).map(|why| format!("src/{file}:{line}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "arrows that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_stands_in_the_map() {
    let rows = rows();
    for (file, _) in sources() {
        let Some(module) = module_of(&file) else { continue };
        assert!(rows.contains_key(module), "src/{file}: {module} is missing in the map of src/lib.rs");
    }
}

#[test]
fn unsafe_code_is_in_sys_only() {
    let mut wrong = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| module_of(file) != Some("sys")) {
        let lines = text.lines().enumerate().filter(|(_, line)| is_unsafe(line));
        wrong.extend(lines.map(|(at, line)| format!("src/{file}:{}: {}", at + 1, line.trim())));
    }
    assert!(wrong.is_empty(), "unsafe code outside src/sys:\n{}", wrong.join("\n"));
}

/// Who may ask for the time: the reactor once per wake-up, start-up before there is one, the activity log for lines before
/// the first turn; and the clients, which are programs of their own.
const CLOCK_READERS: &[&str] = &["sys/time.rs", "reactor/", "boot/", "logs/activity.rs", "applets/", "ctl/"];

#[test]
fn nobody_below_the_reactor_asks_for_the_time() {
    let words = ["Instant::now", "SystemTime::now", "time::now(", "clock_gettime"];
    let asks = |line: &str| words.iter().any(|word| code_of(line).contains(word));
    let is_reader = |file: &str| CLOCK_READERS.iter().any(|reader| file.starts_with(reader));
    let wrong = lines_outside_tests(asks, is_reader);
    assert!(wrong.is_empty(), "the time is asked for below the reactor:\n{}", wrong.join("\n"));
}

#[test]
fn no_state_is_a_thread_local() {
    let wrong = lines_outside_tests(|line| code_of(line).contains("thread_local!"), |_| false);
    assert!(wrong.is_empty(), "state that cannot be written out:\n{}", wrong.join("\n"));
}

/// Whether a file of `src` is there for tests.
fn is_test(file: &str) -> bool {
    file.contains("tests") || file.contains("testing") || file.contains("fake")
}

/// The lines of `src` that `is_wanted`, but for tests and for files that `may`.
fn lines_outside_tests(is_wanted: impl Fn(&str) -> bool, may: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| !may(file) && !is_test(file)) {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines = code.lines().enumerate().filter(|(_, line)| is_wanted(line));
        found.extend(lines.map(|(at, line)| format!("src/{file}:{}: {}", at + 1, line.trim())));
    }
    found
}

#[test]
fn folders_between_ground_and_roof_forbid_unsafe_code() {
    let rows = rows();
    let roof = rows.values().max().copied().unwrap_or_default();
    let inner = rows.iter().filter(|(name, row)| **row > 0 && **row < roof && name.as_str() != "sys");
    for (name, _) in inner {
        let text = fs::read_to_string(source(&format!("{name}/mod.rs"))).expect("a folder has a mod.rs");
        assert!(text.contains("#![forbid(unsafe_code)]"), "src/{name}/mod.rs does not forbid unsafe code");
    }
}

#[test]
fn the_scanner_sees_what_it_must() {
    let rows: &[(&str, &[&str])] = &[
        ("use crate::wire::ini;", &["wire"]),
        ("use crate::{errno, signal};", &["errno", "signal"]),
        ("use crate::{\n    config::{self, Config},\n    wire,\n};", &["config", "wire"]),
        ("let x = crate::namespec::join(a, crate::id::B);", &["namespec", "id"]),
        ("// use crate::rpc;", &[]),
        ("let y = 1; // crate::rpc", &[]),
        ("log!(target: $crate::level::X)", &[]),
        ("use other_crate::rpc;", &[]),
        ("crate::activity!(Info, \"x\");", &["activity"]),
    ];
    for (text, expected) in rows {
        let found: Vec<String> = arrows(text).into_iter().map(|(_, name)| name).collect();
        assert_eq!(&found, expected, "{text}");
    }
    let rows: &[(&str, bool)] = &[
        ("unsafe { libc::getpid() }", true),
        ("pub unsafe fn f() {}", true),
        ("#![forbid(unsafe_code)]", false),
        ("// unsafe", false),
        ("let makes_unsafe = 1;", false),
    ];
    for (text, expected) in rows {
        assert_eq!(is_unsafe(text), *expected, "{text}");
    }
}

#[test]
fn an_arrow_up_is_an_objection() {
    let map = rows_of(
        "//! ROOF  bin/ boot/   start-up\n//! 2     rpc/ web/    the method table\n//! 1     sys/ logs/   calls\n//! 0     id clock   names\n",
    );
    let rows: &[(&str, &str, bool)] = &[
        ("rpc", "id", false),
        ("rpc", "rpc", false),
        ("rpc", "web", true),
        ("rpc", "boot", true),
        ("logs", "sys", false),
        ("sys", "logs", true),
        ("id", "clock", false),
        ("clock", "sys", true),
        ("boot", "bin", false),
        ("rpc", "nowhere", true),
    ];
    for (from, to, wrong) in rows {
        assert_eq!(objection(&map, from, to).is_some(), *wrong, "{from} -> {to}");
    }
}
