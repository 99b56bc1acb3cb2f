//! What the documents and the comments say of each other is true: numbers that are cited stand in the reference,
//! links lead somewhere, and the tests and places that `docs/invariants.md` names exist.
//!
//! A number is a letter of [`PREFIXES`], a hyphen and digits: `P-20`. Numbered statements begin a list item or
//! a row of a table of `docs/reference`, where the head `| V- |` stands for the letter; K and O stand in headings, and `K-2.3`
//! is item 3 below the heading `K-2`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The letters of the reference, as its README lists them.
const PREFIXES: &[char] = &['C', 'P', 'L', 'E', 'X', 'S', 'K', 'O', 'V'];

/// Where numbers are cited, below the project's folder.
const CITING: &[&str] = &["src", "tests", "docs", "benches", "fuzz/targets", "conf"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below a folder whose names end like one of `endings`, as (path below the project, text).
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project is readable") {
            let path = entry.expect("an entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                found.push((below_root(&path), fs::read_to_string(&path).expect("a text is UTF-8")));
            }
        }
    }
    found.sort();
    found
}

fn below_root(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the project").to_string_lossy().into_owned()
}

/// The Markdown files beside Cargo.toml and below `docs`.
fn documents() -> Vec<(String, String)> {
    let top = fs::read_dir(root()).expect("the project is readable");
    let top = top.map(|entry| entry.expect("an entry is readable").path());
    let top = top.filter(|path| path.extension().is_some_and(|ext| ext == "md"));
    let top = top.map(|path| (below_root(&path), fs::read_to_string(&path).expect("a document is UTF-8")));
    top.chain(files("docs", &[".md"])).collect()
}

/// The numbers in a text, with their lines from 1. `UTF-8` and `x86-64` are none: a letter stands alone before the hyphen.
fn numbers(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for (hyphen, _) in line.match_indices('-') {
            let Some(letter) = line[..hyphen].chars().next_back().filter(|c| PREFIXES.contains(c)) else { continue };
            if line[..hyphen - 1].ends_with(|c: char| c.is_alphanumeric() || "_-.".contains(c)) {
                continue;
            }
            let digits = digits(&line[hyphen + 1..]);
            let rest = &line[hyphen + 1 + digits.len()..];
            if digits.is_empty() || rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let item = rest.strip_prefix('.').map(self::digits).filter(|item| !item.is_empty());
            found.push((
                at + 1,
                [&format!("{letter}-{digits}"), item.unwrap_or_default()].join(if item.is_some() { "." } else { "" }),
            ));
        }
    }
    found
}

fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

/// The numbers that a page of the reference states, in order.
fn stated(text: &str) -> Vec<String> {
    let (mut found, mut section, mut table) = (Vec::new(), None, None);
    for line in text.lines() {
        let (heading, item) = (line.strip_prefix("## "), line.trim_start().strip_prefix("- "));
        let cell = line.strip_prefix("| ").and_then(|rest| rest.split_once(" |")).map(|(cell, _)| cell);
        // Of the letter in the head of a table the rows have the digits alone.
        let letter = cell.and_then(|cell| cell.strip_suffix('-')).filter(|head| head.len() == 1);
        table = if line.starts_with('|') { letter.or(table) } else { None };
        let row = cell.zip(table).filter(|(cell, _)| !cell.is_empty() && digits(cell) == *cell);
        let first =
            |line: &str| numbers(line).into_iter().map(|(_, number)| number).find(|n| line.starts_with(n.as_str()));
        if let Some(heading) = heading {
            section = first(heading);
            found.extend(section.clone());
        } else if let Some(number) = item.or(cell).and_then(first) {
            found.push(number);
        } else if let Some((digits, letter)) = row {
            found.push(format!("{letter}-{digits}"));
        } else if let Some(section) = &section {
            let digits = digits(line);
            if !digits.is_empty() && line[digits.len()..].starts_with(". ") {
                found.push(format!("{section}.{digits}"));
            }
        }
    }
    found
}

fn reference() -> Vec<(String, String)> {
    files("docs/reference", &[".md"])
}

#[test]
fn each_cited_number_stands_in_the_reference() {
    let known: BTreeSet<String> = reference().iter().flat_map(|(_, text)| stated(text)).collect();
    assert!(known.len() > 400, "only {} statements found", known.len());
    let mut wrong = Vec::new();
    let folders = CITING.iter().flat_map(|folder| files(folder, &[".rs", ".md", ".py", ".c", ".conf"]));
    for (file, text) in folders.chain(documents()).filter(|(file, _)| file != "tests/documents.rs") {
        let missing = numbers(&text).into_iter().filter(|(_, number)| !known.contains(number));
        wrong.extend(missing.map(|(line, number)| format!("{file}:{line}: {number}")));
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "numbers that the reference does not have:\n{}", wrong.join("\n"));
}

#[test]
fn no_number_is_stated_twice() {
    let mut seen = BTreeSet::new();
    for (file, text) in reference() {
        for number in stated(&text) {
            assert!(seen.insert(number.clone()), "{file}: {number} is stated a second time");
        }
    }
}

/// The targets of the links in a Markdown text that name files: `[text](target)`, without what follows a `#`.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let targets = targets.map(|target| target.split('#').next().unwrap_or_default());
    targets.filter(|target| !target.is_empty() && !target.contains(':')).map(str::to_string).collect()
}

#[test]
fn links_lead_to_files() {
    let mut followed = 0;
    for (file, text) in documents() {
        let folder = root().join(&file).parent().map(Path::to_path_buf).unwrap_or_default();
        for target in links(&text) {
            assert!(folder.join(&target).exists(), "{file}: {target} does not exist");
            followed += 1;
        }
    }
    assert!(followed > 20, "only {followed} links found");
}

/// The names of all tests: of functions behind `#[test]`.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, text) in files("src", &[".rs"]).into_iter().chain(files("tests", &[".rs"])) {
        let mut lines = text.lines().map(str::trim);
        while lines.by_ref().any(|line| line == "#[test]") {
            let function = lines.by_ref().find_map(|line| line.strip_prefix("fn ")).unwrap_or_default();
            names.extend(function.split('(').next().map(str::to_string));
        }
    }
    names
}

/// What stands in backquotes in a cell of a table.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn each_invariant_names_a_place_and_a_test_that_exist() {
    let text = fs::read_to_string(root().join("docs/invariants.md")).expect("docs/invariants.md is readable");
    let (tests, mut rows) = (tests(), 0);
    for line in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| invariant")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [_, places, names] = cells[..] else { panic!("three columns: {line}") };
        assert!(quoted(places).next().is_some() && quoted(names).next().is_some(), "places and tests: {line}");
        for place in quoted(places) {
            assert!(root().join("src").join(place).exists(), "src/{place} does not exist: {line}");
        }
        for name in quoted(names).filter(|name| !name.starts_with("make ")) {
            assert!(tests.contains(name), "no test is called {name}: {line}");
        }
        rows += 1;
    }
    assert!(rows > 20, "only {rows} invariants found");
}

/// README.md has each feature of Cargo.toml, and `supervisord --about` tells it.
#[test]
fn each_feature_is_told() {
    let text = |path: &str| fs::read_to_string(root().join(path)).expect("a text of the project");
    let (cargo, readme, about) = (text("Cargo.toml"), text("README.md"), text("src/rpc/stheno.rs"));
    let features = cargo.split_once("default = [").and_then(|(_, rest)| rest.split_once(']')).expect("the features").0;
    for feature in features.split('"').skip(1).step_by(2) {
        assert!(readme.contains(&format!("\n| `{feature}` | yes | ")), "README.md: {feature}");
        assert!(about.contains(&format!("(\"{feature}\", cfg!(feature = \"{feature}\"))")), "--about: {feature}");
    }
}

#[test]
fn the_scanner_sees_what_it_must() {
    let rows: &[(&str, &[&str])] = &[
        ("as in P-20.", &["P-20"]),
        ("(C-1, X-85) and K-2.3; O-11.", &["C-1", "X-85", "K-2.3", "O-11"]),
        ("P-62–P-66", &["P-62", "P-66"]),
        ("UTF-8, x86-64, SHA-1, ISO-S-1, C-ares, P-2x, -C-5", &[]),
    ];
    for (text, expected) in rows {
        let found: Vec<String> = numbers(text).into_iter().map(|(_, number)| number).collect();
        assert_eq!(&found, expected, "{text}");
    }
    let page = "# A (K-)\n## K-2 Being\n1. one\n2. two, see K-9\n### Below\n3. three\n## 3. Other\n1. none\n- P-4 a\n  - P-5 (!) b\n- see P-6\n\n| V- | x |\n|---|---|\n| 7 | y |\n\n| V-8 z | x |\n\n| 9 | x |\n";
    assert_eq!(stated(page), ["K-2", "K-2.1", "K-2.2", "K-2.3", "P-4", "P-5", "V-7", "V-8"]);
    assert_eq!(links("[a](b.md#c) [d](https://e) ![f](g.svg)"), ["b.md", "g.svg"]);
}
