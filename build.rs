//! Packs the files of the live page, so that the executable holds them compressed, as browsers take them.

#[cfg(feature = "page")]
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

/// The files, below this folder.
const FOLDER: &str = "src/web/page";

fn main() {
    println!("cargo::rerun-if-changed={FOLDER}");
    let out = env::var("OUT_DIR").expect("cargo names a folder");
    let mut table = String::from("&[\n");
    #[cfg(feature = "page")]
    pack_all(Path::new(&out), &mut table);
    table.push_str("]\n");
    fs::write(Path::new(&out).join("page.rs"), table).expect("the folder can be written");
}

/// The modules that become one file: packed together they take a fifth less, and a page is there after one question. None
/// uses a name of another one that it does not import, and each name is there once.
#[cfg(feature = "page")]
const MODULES: &[&str] = &["base.js", "daemon.js", "process.js", "list.js", "log.js", "views.js", "app.js"];

/// What is sent, of which files, and as what.
#[cfg(feature = "page")]
const SENT: &[(&str, &[&str], &str)] = &[
    ("app.js", MODULES, "text/javascript;charset=utf-8"),
    ("boot.js", &["boot.js"], "text/javascript;charset=utf-8"),
    ("page.css", &["page.css"], "text/css;charset=utf-8"),
    ("well.svg", &["well.svg"], "image/svg+xml"),
    ("bad.svg", &["bad.svg"], "image/svg+xml"),
];

/// Packs each file and enters it in the table.
#[cfg(feature = "page")]
fn pack_all(out: &Path, table: &mut String) {
    for (name, sources, content_type) in SENT {
        let read = |source: &&str| fs::read_to_string(Path::new(FOLDER).join(source)).expect("a source is readable");
        let text: String = sources.iter().map(|source| bare(&read(source))).collect();
        let sum = crc32(text.as_bytes());
        let packed = out.join(format!("{name}.gz"));
        fs::write(&packed, gzip(text.as_bytes(), sum)).expect("the folder can be written");
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

/// A source without what only its readers need: indentation, whole lines of comments, and what ties modules together. No
/// text in the sources goes over several lines.
#[cfg(feature = "page")]
fn bare(source: &str) -> String {
    let is_comment = |line: &str| line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"));
    let lines = source.lines().map(str::trim).filter(|line| !line.is_empty() && !is_comment(line));
    let lines = lines.filter(|line| !line.starts_with("import "));
    lines.map(|line| line.strip_prefix("export ").unwrap_or(line).to_string() + "\n").collect()
}

/// The bytes as gzip has them (RFC 1952), without a name and a time, so that they are the same each time.
#[cfg(feature = "page")]
fn gzip(bytes: &[u8], sum: u32) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    packed.extend(miniz_oxide::deflate::compress_to_vec(bytes, 10));
    packed.extend(sum.to_le_bytes());
    packed.extend(u32::try_from(bytes.len()).expect("a page is small").to_le_bytes());
    packed
}

#[cfg(feature = "page")]
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
