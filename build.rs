//! Packs the files of the live page, so that the executable holds them compressed, as browsers take them.

#[cfg(feature = "page")]
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

/// The files, below this folder.
#[cfg(feature = "page")]
const FOLDER: &str = "src/web/page";

/// The sheet of the pages for browsers without JavaScript, which is sent as it is.
const PLAIN_SHEET: &str = "src/web/assets/stylesheets/supervisor.css";

fn main() {
    println!("cargo::rerun-if-changed=src/web/page");
    println!("cargo::rerun-if-changed={PLAIN_SHEET}");
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").expect("cargo names a folder");
    let sheet = fs::read_to_string(PLAIN_SHEET).expect("a source is readable");
    fs::write(Path::new(&out).join("supervisor.css"), tidy("supervisor.css", &bare(&sheet)))
        .expect("the folder can be written");
    for (name, sent) in [("page.rs", PAGE), ("fleet.rs", FLEET)] {
        let mut table = String::from("&[\n");
        #[cfg(feature = "page")]
        pack_all(Path::new(&out), sent, &mut table);
        #[cfg(not(feature = "page"))]
        let _ = sent;
        table.push_str("]\n");
        fs::write(Path::new(&out).join(name), table).expect("the folder can be written");
    }
}

/// The modules that become one file: packed together they take a fifth less, and a page is there after one question. None
/// uses a name of another one that it does not import, and each name is there once.
const MODULES: &[&str] = &["base.js", "daemon.js", "process.js", "list.js", "log.js", "forms.js", "views.js", "app.js"];

/// A file that is sent: its name, the sources that it is made of, and its type.
type Sent = (&'static str, &'static [&'static str], &'static str);

/// What is sent for the live page.
const PAGE: &[Sent] = &[
    ("app.js", MODULES, "text/javascript;charset=utf-8"),
    ("boot.js", &["boot.js"], "text/javascript;charset=utf-8"),
    ("page.css", &["page.css"], "text/css;charset=utf-8"),
    ("bad.svg", &["bad.svg"], "image/svg+xml"),
];

/// What is sent for the pages of a fleet, which begin with what both share.
#[cfg(feature = "fleet")]
const FLEET: &[Sent] = &[
    (
        "fleet.js",
        &["base.js", "fleet/hosts.js", "fleet/matrix.js", "fleet/views.js", "fleet/fleet.js"],
        "text/javascript;charset=utf-8",
    ),
    ("fleet-boot.js", &["fleet/boot.js"], "text/javascript;charset=utf-8"),
    ("fleet.css", &["fleet/fleet.css"], "text/css;charset=utf-8"),
];
#[cfg(not(feature = "fleet"))]
const FLEET: &[Sent] = &[];

/// Packs each file and enters it in the table.
#[cfg(feature = "page")]
fn pack_all(out: &Path, sent: &[Sent], table: &mut String) {
    for (name, sources, content_type) in sent {
        let read = |source: &&str| fs::read_to_string(Path::new(FOLDER).join(source)).expect("a source is readable");
        let text = tidy(name, &sources.iter().map(|source| bare(&read(source))).collect::<String>());
        let gzip = gzip(text.as_bytes());
        // Its end is the sum of what is packed, and its length.
        let [sum @ .., _, _, _, _] = *gzip.last_chunk::<8>().expect("gzip has an end");
        let sum = u32::from_le_bytes(sum);
        let packed = out.join(format!("{name}.gz"));
        fs::write(&packed, &gzip).expect("the folder can be written");
        writeln!(
            table,
            "PageFile {{ path: \"page/{name}\", content_type: \"{content_type}\", etag: \"\\\"{sum:08x}\\\"\", \
             raw_bytes: {}, packed: include_bytes!({:?}) }},",
            text.len(),
            packed.display().to_string(),
        )
        .expect("a string takes it");
    }
}

/// Sources as they are sent, by the kind of their file.
fn tidy(name: &str, text: &str) -> String {
    if name.ends_with(".svg") {
        return text.to_string();
    }
    let is_script = name.ends_with(".js");
    let signs = if is_script { "=<>&|?:;,(){}[]*!" } else { "{};:,>" };
    let lines: Vec<String> = text.lines().map(|line| tight(line, signs)).collect();
    let mut sent = String::with_capacity(text.len());
    for (at, line) in lines.iter().enumerate() {
        let next = lines.get(at + 1).map_or("", |next| next);
        // What never changes may do so where it is sent, and no number needs its zero: that is shorter.
        let line = match line.strip_prefix("const ") {
            Some(rest) if is_script => format!("let {rest}"),
            _ if is_script => line.clone(),
            _ => line.replace(" 0.", " .").replace(":0.", ":."),
        };
        sent.push_str(if next.starts_with('}') { line.trim_end_matches(';') } else { &line });
        // In a sheet no line needs one.
        if is_script && needs_end(&line, next) {
            sent.push('\n');
        }
    }
    sent
}

/// A source without what only its readers need: indentation, whole lines of comments, and what ties modules together. No
/// text in the sources goes over several lines.
fn bare(source: &str) -> String {
    let is_comment = |line: &str| line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"));
    let lines = source.lines().map(str::trim).filter(|line| !line.is_empty() && !is_comment(line));
    let lines = lines.filter(|line| !line.starts_with("import "));
    lines.map(|line| line.strip_prefix("export ").unwrap_or(line).to_string() + "\n").collect()
}

/// Whether the end of a line may be what ends a statement: not where the line goes on, nor before what ends a block.
fn needs_end(line: &str, next: &str) -> bool {
    !line.ends_with([';', '{', ',', '(']) && !next.starts_with(['}', ')', ']'])
}

/// A line of a script or a sheet without the blanks around its signs. What stands in quotes, in templates and in patterns stays; a
/// slash begins a pattern where no value stands before it.
fn tight(line: &str, signs: &str) -> String {
    let mut out = String::with_capacity(line.len());
    // What has to end before signs are signs again: quotes, and what stands in templates, which may have templates in it.
    let mut open: Vec<char> = Vec::new();
    let mut in_class = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if let Some(end) = open.last().copied() {
            out.push(c);
            match c {
                '\\' => out.extend(chars.next()),
                '{' if end == '}' || (end == '`' && out.ends_with("${")) => open.push('}'),
                '"' | '\'' | '`' if end == '}' => open.push(c),
                '[' if end == '/' => in_class = true,
                ']' => in_class = false,
                c if c == end && !in_class => drop(open.pop()),
                _ => {}
            }
            continue;
        }
        let last = out.chars().last().unwrap_or(';');
        match c {
            '(' if !last.is_alphanumeric() && !")]".contains(last) => {
                let rest: String = chars.clone().collect();
                // The one parameter of a function.
                if let Some((name, _)) = rest.split_once(") =>")
                    && !name.is_empty()
                    && name.chars().all(char::is_alphanumeric)
                {
                    out.push_str(name);
                    chars.nth(name.len());
                    continue;
                }
            }
            ' ' if signs.contains(last) || chars.peek().is_some_and(|next| signs.contains(*next)) => continue,
            '"' | '\'' | '`' => open.push(c),
            '/' if signs.contains(last) && !")]}".contains(last) => open.push(c),
            _ => {}
        }
        out.push(c);
    }
    out
}

/// The bytes as gzip has them, packed as tightly as it allows; without a name and a time, so that they are the same each time.
#[cfg(feature = "page")]
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, bytes, &mut packed).expect("a vector takes it");
    packed
}
