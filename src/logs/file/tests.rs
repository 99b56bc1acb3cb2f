//! Rotation by size, files that others have changed, disks that are full.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::sys::scratch::Scratch;

const NOW: Mono = Mono(0);

/// K-9: what cannot be written is kept, tried at most once a second, and what did not fit is counted; the line that
/// was cut off is closed.
#[test]
fn an_outage_costs_what_does_not_fit() {
    let scratch = Scratch::new("outage");
    let path = scratch.path("log");
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut log = RotatingFile::new(&path, full, 0, 0, 0);
    assert!(log.write(b"one\n", NOW).is_err());
    // Told once.
    log.write(b"two\n", NOW).unwrap();
    assert_eq!(log.unwritten(), 8);
    log.file = open_to_append(&path).unwrap();
    log.write(b"three\n", Mono(999_999_999)).unwrap();
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), log.take_restored()), ("", None), "too early");
    log.write(b"four\nfi", Mono(1_000_000_000)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\nfour\nfi");
    assert_eq!((log.take_restored(), log.take_restored(), log.unwritten()), (Some(0), None, 0));

    log.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert!(log.write(b"ve\n", NOW).is_err());
    let line = b"0123456789abcde\n";
    for _ in 0..10_000 {
        log.write(line, NOW).unwrap();
    }
    log.file = open_to_append(&path).unwrap();
    log.write(b"end\n", Mono(2_000_000_000)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let rest = text.strip_prefix("one\ntwo\nthree\nfour\nfi\n").unwrap();
    let lines: Vec<&str> = rest.lines().collect();
    assert!(lines[..lines.len() - 1].iter().all(|line| *line == "0123456789abcde") && lines.last() == Some(&"end"));
    assert_eq!(log.take_restored(), Some(3 + 160_000 + 4 - rest.len() as u64));
    assert!(rest.len() > 65_000, "{}", rest.len());
}

fn open(path: &str, maxbytes: u64, backups: u32) -> RotatingFile {
    let file = open_to_append(path).unwrap();
    let size = file.metadata().unwrap().len();
    RotatingFile::new(path, file, size, maxbytes, backups)
}

fn contents(scratch: &Scratch) -> Vec<(String, String)> {
    let mut all: Vec<_> = fs::read_dir(scratch.path(""))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn rotation_by_size() {
    // (bytes before, maxbytes, backups, chunks, files afterwards)
    type Row<'a> = (&'a str, u64, u32, &'a [&'a str], &'a [(&'a str, &'a str)]);
    let rows: &[Row] = &[
        ("", 0, 2, &["12345678", "9"], &[("log", "123456789")]),
        ("", 5, 2, &["1234"], &[("log", "1234")]),
        ("", 5, 2, &["1234", "5"], &[("log", ""), ("log.1", "12345")]),
        // A chunk is never split.
        ("", 5, 2, &["1234", "5678"], &[("log", ""), ("log.1", "12345678")]),
        ("", 5, 2, &["aaaaa", "bbbbb"], &[("log", ""), ("log.1", "bbbbb"), ("log.2", "aaaaa")]),
        ("", 5, 2, &["aaaaa", "bbbbb", "ccccc", "d"], &[("log", "d"), ("log.1", "ccccc"), ("log.2", "bbbbb")]),
        ("", 5, 1, &["aaaaa", "bbbbb"], &[("log", ""), ("log.1", "bbbbb")]),
        ("", 5, 0, &["aaaaa", "b"], &[("log", "b")]),
        ("", 5, 0, &["aaaaab"], &[("log", "")]),
        // What was there before counts.
        ("old", 5, 1, &["ab", "c"], &[("log", "c"), ("log.1", "oldab")]),
    ];
    for (before, maxbytes, backups, chunks, expected) in rows {
        let scratch = Scratch::new("rotation");
        if !before.is_empty() {
            fs::write(scratch.path("log"), before).unwrap();
        }
        let mut log = open(&scratch.path("log"), *maxbytes, *backups);
        for chunk in *chunks {
            log.write(chunk.as_bytes(), NOW).unwrap();
        }
        let expected: Vec<_> = expected.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        assert_eq!(contents(&scratch), expected, "{before:?} {maxbytes} {backups} {chunks:?}");
    }
}

#[test]
fn truncating_keeps_the_inode_and_renaming_keeps_the_mode() {
    let scratch = Scratch::new("inode");
    let path = scratch.path("log");
    let inode = || fs::metadata(&path).unwrap().ino();
    let mut log = open(&path, 3, 0);
    let first = inode();
    log.write(b"aaa", NOW).unwrap();
    assert_eq!((inode(), log.size()), (first, 0));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut log = open(&path, 3, 1);
    log.write(b"aaa", NOW).unwrap();
    assert_ne!(inode(), first);
    assert_eq!(fs::metadata(format!("{path}.1")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn what_was_private_stays_private() {
    for (mode, expected) in [(0o600, 0o600), (0o644, 0o666 & !umask()), (0o700, 0o600)] {
        let scratch = Scratch::new("private");
        let path = scratch.path("log");
        let mode_now = || fs::metadata(&path).unwrap().mode() & 0o777;
        let mut log = open(&path, 3, 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        log.write(b"aaa", NOW).unwrap();
        assert_eq!(mode_now(), expected, "rotated, {mode:o}");
        log.clear().unwrap();
        assert_eq!(mode_now(), expected, "cleared, {mode:o}");
    }
}

fn umask() -> u32 {
    let scratch = Scratch::new("umask");
    open_to_append(&scratch.path("x")).unwrap();
    0o666 & !fs::metadata(scratch.path("x")).unwrap().mode()
}

#[test]
fn a_file_truncated_by_others_is_not_rotated_early() {
    let scratch = Scratch::new("truncated");
    let path = scratch.path("log");
    let mut log = open(&path, 10, 1);
    log.write(b"12345678", NOW).unwrap();
    fs::write(&path, "").unwrap();
    log.write(b"abc", NOW).unwrap();
    assert_eq!(contents(&scratch), [("log".to_string(), "abc".to_string())]);
    assert_eq!(log.size(), 3);
}

#[test]
fn reopen_and_clear() {
    let scratch = Scratch::new("reopen");
    let path = scratch.path("log");
    let mut log = open(&path, 0, 0);
    log.write(b"one", NOW).unwrap();
    fs::rename(&path, scratch.path("moved")).unwrap();
    log.write(b" two", NOW).unwrap();
    log.reopen().unwrap();
    log.write(b"three", NOW).unwrap();
    let file = |name: &str, text: &str| (name.to_string(), text.to_string());
    assert_eq!(contents(&scratch), [file("log", "three"), file("moved", "one two")]);

    let before = fs::metadata(&path).unwrap().ino();
    let held = File::open(&path).unwrap();
    log.clear().unwrap();
    log.write(b"four", NOW).unwrap();
    assert_eq!(contents(&scratch)[0], file("log", "four"));
    assert_ne!(fs::metadata(&path).unwrap().ino(), before);
    drop(held);
    fs::remove_file(&path).unwrap();
    log.clear().unwrap();
    assert_eq!((contents(&scratch)[0].clone(), log.size()), (file("log", ""), 0));
}

#[test]
fn failures_leave_a_usable_log() {
    let scratch = Scratch::new("failures");
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut log = RotatingFile::new("/dev/full", full, 0, 0, 0);
    assert_eq!(log.write(b"x", NOW).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(log.size(), 0);

    // A directory in the place of a backup: the rotation fails, the log goes on.
    let path = scratch.path("log");
    fs::create_dir_all(format!("{path}.1/x")).unwrap();
    let mut log = open(&path, 3, 1);
    assert!(log.write(b"aaa", NOW).is_err());
    log.write(b"b", NOW).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "aaab");
    assert!(log.write(b"cc", NOW).is_err());
}
