//! The static files, embedded: paths as in the original's tree, contents our own.

use crate::wire::http::parse_date;

/// When the files were last changed, in seconds since the epoch; to be moved on with each change of one of them.
pub const MODIFIED_SECS: i64 = 1_796_000_000;

/// A file of the static tree of the original, built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticFile {
    /// Its path, without a slash in front.
    pub path: &'static str,
    /// The value of `Content-Type` that goes with it.
    pub content_type: &'static str,
    pub(crate) bytes: &'static [u8],
}

/// What is at a path of the static tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A file of the original, with its type.
    File(&'static StaticFile),
    /// A folder whose path lacks its slash: the reply is a redirection to `/<folder>/`.
    Folder(&'static str),
    /// Nothing, or a folder: folders are not listed.
    Nothing,
}

/// A file of the live page, as it is sent: packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFile {
    /// Its path, without a slash in front.
    pub path: &'static str,
    /// The value of `Content-Type` that goes with it.
    pub content_type: &'static str,
    /// Its `ETag`, which is another one when the contents are.
    pub etag: &'static str,
    /// Bytes before it was packed.
    pub raw_bytes: usize,
    /// Its contents, as gzip.
    pub packed: &'static [u8],
}

/// The files of the live page; none where it is not built in.
pub const PAGE_FILES: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Whether the live page is built in.
pub const HAS_PAGE: bool = cfg!(feature = "page");

/// The files of the pages of a fleet, which share the sheet of the live page.
const FLEET_FILES: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/fleet.rs"));

/// The file of the live page at an unquoted path; those of a fleet are there in one alone.
pub fn find_page_file(path: &str, is_in_fleet: bool) -> Option<&'static PageFile> {
    let path = path.strip_prefix('/')?;
    let of_fleet = if is_in_fleet { FLEET_FILES } else { &[] };
    PAGE_FILES.iter().chain(of_fleet).find(|file| file.path == path)
}

macro_rules! files {
    ($first:ident, $($path:literal $content_type:literal,)*) => {
        &[$first, $(StaticFile { path: $path, content_type: $content_type, bytes: include_bytes!(concat!("assets/", $path)) },)*]
    };
}

/// The sheet of the plain pages, without what only its readers need.
const SHEET: StaticFile = StaticFile {
    path: "stylesheets/supervisor.css",
    content_type: "text/css",
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/supervisor.css")),
};

const FILES: &[StaticFile] = files! {
    SHEET,
    "images/icon.png" "image/png",
    "images/supervisor.gif" "image/gif",
    "images/rule.gif" "image/gif",
    "images/state0.gif" "image/gif",
    "images/state1.gif" "image/gif",
    "images/state2.gif" "image/gif",
    "images/state3.gif" "image/gif",
};

const FOLDERS: &[&str] = &["images", "stylesheets"];

/// Looks up an unquoted path, of which `.`, `..` and empty parts are worked off as in the original. Only the files of
/// the table exist, so there is nothing that `..` could escape to.
pub fn find(path: &str) -> Found {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.trim_start_matches('/').split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            // The last part is empty if the path is that of a folder.
            "" if !path.ends_with('/') => {}
            _ => parts.push(part),
        }
    }
    let path = parts.join("/");
    if let Some(file) = FILES.iter().find(|file| file.path == path) {
        return Found::File(file);
    }
    FOLDERS.iter().find(|folder| **folder == path).map_or(Found::Nothing, |folder| Found::Folder(folder))
}

/// Whether the client's copy of a file is good: then the reply is 304. A date that cannot be read counts as none.
/// Clients of old times add the length of their copy: `…; length=5`.
pub fn is_unchanged(file: &StaticFile, if_modified_since: Option<&str>) -> bool {
    let Some((date, length)) = if_modified_since.map(|text| text.split_once(';').unwrap_or((text, ""))) else {
        return false;
    };
    let length = length.trim().strip_prefix("length=").and_then(|digits| digits.parse::<usize>().ok());
    parse_date(date).is_some_and(|since| since >= MODIFIED_SECS) && length.is_none_or(|it| it == file.bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let rows = [
            ("/stylesheets/supervisor.css", "text/css"),
            ("//images/icon.png", "image/png"),
            ("/images/supervisor.gif", "image/gif"),
            ("/images//icon.png", "image/png"),
            ("/images/./icon.png", "image/png"),
            ("/images/../images/icon.png", "image/png"),
            ("/../images/icon.png", "image/png"),
            ("/images", "to images"),
            ("/stylesheets", "to stylesheets"),
            ("/images/", "nothing"),
            ("/", "nothing"),
            ("", "nothing"),
            ("/nope", "nothing"),
            ("/images/../ui/status.html", "nothing"),
            ("/../../etc/passwd", "nothing"),
            ("/images/icon.png/", "nothing"),
            ("/images/icon.png\0", "nothing"),
        ];
        for (path, expected) in rows {
            let found = match find(path) {
                Found::File(file) => file.content_type.to_owned(),
                Found::Folder(folder) => format!("to {folder}"),
                Found::Nothing => "nothing".to_owned(),
            };
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn files_are_what_they_claim_to_be() {
        for file in FILES {
            let magic: &[u8] = match file.content_type {
                "image/png" => b"\x89PNG\r\n\x1a\n",
                "image/gif" => b"GIF89a",
                _ => b":root{",
            };
            assert!(file.bytes.starts_with(magic), "{}", file.path);
        }
    }

    #[test]
    fn the_live_page_is_small() {
        let raw: usize = PAGE_FILES.iter().map(|file| file.raw_bytes).sum();
        let packed: usize = PAGE_FILES.iter().map(|file| file.packed.len()).sum();
        let raw = raw + SHEET.bytes.len();
        assert!(raw <= 64 * 1024 && packed <= 22 * 1024, "{raw} bytes, packed {packed}");
        assert_eq!(HAS_PAGE, find_page_file("/page/app.js", false).is_some());
        assert_eq!(find_page_file("/page/", true), None);
        let of_fleet: usize = FLEET_FILES.iter().map(|file| file.raw_bytes).sum();
        assert!(of_fleet <= 56 * 1024, "{of_fleet} bytes");
        assert_eq!(find_page_file("/page/fleet.js", false), None);
        assert_eq!(find_page_file("/page/fleet.js", true).is_some(), HAS_PAGE && cfg!(feature = "fleet"));
        let mut etags: Vec<&str> = PAGE_FILES.iter().map(|file| file.etag).collect();
        etags.sort_unstable();
        etags.dedup();
        assert_eq!(etags.len(), PAGE_FILES.len());
    }

    #[test]
    fn copies_of_clients() {
        let file = &FILES[0];
        let with_length = format!("Fri, 01 Jan 2100 00:00:00 GMT; length={}", file.bytes.len());
        let rows = [
            (None, false),
            (Some(&*with_length), true),
            (Some("Fri, 01 Jan 2100 00:00:00 GMT; length=5"), false),
            (Some("Thu, 01 Jan 1970 00:00:00 GMT"), false),
            (Some("Fri, 01 Jan 2100 00:00:00 GMT"), true),
            (Some("nonsense"), false),
        ];
        for (since, expected) in rows {
            assert_eq!(is_unchanged(file, since), expected, "{since:?}");
        }
        assert!(is_unchanged(file, Some(&crate::wire::http::format_date(MODIFIED_SECS))));
    }
}
