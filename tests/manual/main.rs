//! The manual that is made of the rows of the program: `docs/configuration.md`, `docs/xmlrpc.md` and the pages of
//! `docs/man`. The test compares; `make docs` writes them anew, which is this test with `STHENO_WRITE_MANUAL` set.

mod configuration;
mod pages;
mod roff;
mod xmlrpc;

use std::fs;
use std::path::Path;

/// What is said at the head of a file that nobody is to edit.
const ORIGIN: &str = "Made by `make docs` of the rows in the source; what is edited here is lost.";

/// Each file of the manual, and its text.
fn manual() -> Vec<(&'static str, String)> {
    vec![
        ("docs/configuration.md", configuration::document()),
        ("docs/xmlrpc.md", xmlrpc::document()),
        ("docs/man/supervisord.8", pages::supervisord()),
        ("docs/man/supervisord.conf.5", pages::supervisord_conf()),
        ("docs/man/supervisorctl.1", pages::supervisorctl()),
        ("docs/man/pidproxy.1", pages::pidproxy()),
    ]
}

#[test]
fn the_manual_is_made_of_the_rows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_written = std::env::var_os("STHENO_WRITE_MANUAL").is_some();
    for (name, text) in manual() {
        let path = root.join(name);
        if is_written {
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder can be made");
            fs::write(&path, &text).expect("the page can be written");
            continue;
        }
        let stands = fs::read_to_string(&path).unwrap_or_default();
        let line = stands.lines().zip(text.lines()).position(|(old, new)| old != new);
        let line = line.unwrap_or(stands.lines().count().min(text.lines().count()));
        assert!(stands == text, "{name} is not what the rows say, from line {} on: make docs", line + 1);
    }
}
