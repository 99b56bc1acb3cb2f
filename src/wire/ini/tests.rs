//! What the reader makes of each rule of the dialect.

use super::*;

type Options<'a> = &'a [(&'a str, &'a str)];

fn document(text: &str) -> Document {
    let mut document = Document::default();
    document.read(text, "f").unwrap_or_else(|error| panic!("{text:?}: {error}"));
    document
}

fn dump(section: &Section) -> Vec<(&str, &str)> {
    section.options.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect()
}

/// The message about a text that cannot be read, from the file `f`.
fn error(text: &str) -> String {
    Document::default().read(text, "f").map(|()| "none".to_string()).unwrap_or_else(|error| error.to_string())
}

#[test]
fn options() {
    let rows: &[(&str, Options)] = &[
        ("", &[]),
        ("x=1\ny = 2\nz: 3\nw : 4", &[("x", "1"), ("y", "2"), ("z", "3"), ("w", "4")]),
        ("x=", &[("x", "")]),
        ("x=1\r\ny=2\rz=3", &[("x", "1"), ("y", "2"), ("z", "3")]),
        ("x=a\x0bb\x0cc\u{85}d\u{2028}e", &[("x", "a\x0bb\x0cc\u{85}d\u{2028}e")]),
        ("Foo Bar =1", &[("foo bar", "1")]),
        ("ÄÖΣ=1", &[("äöς", "1")]),
        ("y = a:b\nz : a=b", &[("y", "a:b"), ("z", "a=b")]),
        ("x='a'\ny=\"b\"", &[("x", "'a'"), ("y", "\"b\"")]),
        ("x=%(y)s %\ny=2", &[("x", "%(y)s %"), ("y", "2")]),
        ("x=1\\\ny=2", &[("x", "1\\"), ("y", "2")]),
        ("rem x=1", &[("rem x", "1")]),
        ("x=1\nX=2\ny=3\nx=4", &[("x", "4"), ("y", "3")]),
        ("\u{a0}x\u{a0}=\u{a0}1\x1f", &[("x", "1")]),
    ];
    for (text, expected) in rows {
        let text = format!("[s]\n{text}");
        assert_eq!(dump(&document(&text).sections[0]), *expected, "{text:?}");
    }
}

#[test]
fn comments() {
    let rows: &[(&str, Options)] = &[
        ("# c\n;c\n  # c\n\t; c\nx=1", &[("x", "1")]),
        ("x=a ;c", &[("x", "a")]),
        ("x=a\t# c", &[("x", "a")]),
        ("x=a\u{a0}#c", &[("x", "a")]),
        ("x=b;c\ny=b#c\nz=b;c ;d", &[("x", "b;c"), ("y", "b#c"), ("z", "b;c")]),
        ("x=; foo\ny= ;foo", &[("x", "; foo"), ("y", "")]),
        ("x=sh -c \"echo a # b\"", &[("x", "sh -c \"echo a")]),
        ("x=a #b ;c\ny=a ;b #c", &[("x", "a"), ("y", "a")]),
        // The search meets the second hash before the second semicolon.
        ("a=x;y ;c #d", &[("a", "x;y ;c")]),
        ("a=x;y #d ;c", &[("a", "x;y")]),
        ("a=x;;;y ;c", &[("a", "x;;;y")]),
    ];
    for (text, expected) in rows {
        let text = format!("[s]\n{text}");
        assert_eq!(dump(&document(&text).sections[0]), *expected, "{text:?}");
    }
}

#[test]
fn continuations() {
    let rows: &[(&str, Options)] = &[
        ("x=1\n 2\n\t3", &[("x", "1\n2\n3")]),
        ("x=1\n y=2", &[("x", "1\ny=2")]),
        ("x=1\n [b]\n z=3", &[("x", "1\n[b]\nz=3")]),
        ("  x=1\n  y=2\n   3\n z=4", &[("x", "1"), ("y", "2\n3"), ("z", "4")]),
        ("x=1\n\n  4", &[("x", "1\n\n4")]),
        ("x=1\n \t \n  4\n\n\ny=5\n\n", &[("x", "1\n\n4"), ("y", "5")]),
        ("x=1\n# c\n  4\n ;c\n  5 ;c\n", &[("x", "1\n4\n5")]),
        ("x=1\n\n# c\n\n  4", &[("x", "1\n\n\n4")]),
        ("x=\n  a\n  b", &[("x", "\na\nb")]),
        ("x=\n\n", &[("x", "")]),
        // Indentation counts characters, a tab is one.
        ("\u{3000}x=1\n\t2=3\n\t 4", &[("x", "1"), ("2", "3\n4")]),
    ];
    for (text, expected) in rows {
        let text = format!("[s]\n{text}");
        assert_eq!(dump(&document(&text).sections[0]), *expected, "{text:?}");
    }
}

#[test]
fn headers() {
    let rows: &[(&str, &[&str])] = &[
        ("[a]", &["a"]),
        ("[ a ]", &[" a "]),
        ("[a] junk", &["a"]),
        ("[a]b]", &["a]b"]),
        ("[a] # c]", &["a"]),
        ("[]]", &["]"]),
        ("[a=b]", &["a=b"]),
        ("  [a]\nx=1\n[b]\n  [c]\n[a]\n[A]", &["a", "b", "c", "A"]),
        ("[DEFAULT]\nx=1", &[]),
        ("[a]\nx=1\n[program:a ;b]\ny=2\n[default]", &["a", "default"]),
    ];
    for (text, expected) in rows {
        let names: Vec<_> = document(text).sections.into_iter().map(|section| section.name).collect();
        assert_eq!(names, *expected, "{text:?}");
    }
    // What looks like a header with a comment in it is an option of the section above (C-16).
    let joined = document("[a]\nx=1\n[program:a ;b]\ny=2");
    assert_eq!(dump(&joined.sections[0]), [("x", "1"), ("[program", "a"), ("y", "2")]);
}

#[test]
fn errors() {
    let rows: &[(&str, &str)] = &[
        ("x=1", "File contains no section headers.\nfile: 'f', line: 1\n'x=1'"),
        ("\n# c\n[]\n", "File contains no section headers.\nfile: 'f', line: 3\n'[]\\n'"),
        ("[a ;b]\n", "File contains no section headers.\nfile: 'f', line: 1\n'[a ;b]\\n'"),
        ("\u{feff}[supervisord]\n", "File contains no section headers.\nfile: 'f', line: 1\n'\\ufeff[supervisord]\\n'"),
        ("[a]\nx ;=1\n y=2", "Source contains parsing errors: 'f'\n\t[line  2]: 'x ;=1\\n'"),
        (
            "[a]\r\nfoo\r\n=3 ;it's\n : \n\n  deeper\nx=1\nbar\n  baz",
            "Source contains parsing errors: 'f'\n\t[line  2]: 'foo\\n'\n\t[line  3]: \"=3 ;it's\\n\"\
             \n\t[line  4]: ' : \\n'\n\t[line  6]: '  deeper\\n'\n\t[line  8]: 'bar\\n'",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(error(text), *expected, "{text:?}");
    }
}

#[test]
fn files_and_lines() {
    let mut document = Document::default();
    assert_eq!(document.read("[a]\nx=1\n\n[b]\ny=2\n", "one"), Ok(()));
    assert_eq!(document.read("[c]\n[a]\ny=4\nx=3\n 5", "two"), Ok(()));
    let place = |entry: &Entry| (entry.value.clone(), entry.file.to_string(), entry.line);
    assert_eq!(document.get("a", "x").map(place), Some(("3\n5".into(), "two".into(), 4)));
    assert_eq!(document.get("b", "y").map(place), Some(("2".into(), "one".into(), 5)));
    assert_eq!(document.get("b", "x"), None);
    assert_eq!(document.get("no", "x"), None);
    let sections: Vec<_> = document.sections.iter().map(|s| (s.name.as_str(), &*s.file, s.line)).collect();
    assert_eq!(sections, [("a", "one", 1), ("b", "one", 4), ("c", "two", 1)]);
}

#[test]
fn each_file_begins_afresh() {
    let mut document = document("[a]\nx=1\n\n");
    assert_eq!(document.read("\n[a]\n  y=2", "g"), Ok(()));
    assert_eq!(dump(&document.sections[0]), [("x", "1"), ("y", "2")]);
    assert!(matches!(document.read("  z=2", "h"), Err(IniError::NoHeader { line: 1, .. })));
}

#[test]
fn defaults() {
    let document = document("[a]\nx=1\n[DEFAULT]\nx=8\ny=9\n[b]\n[DEFAULT]\nz=7");
    let options = |name: &str| -> Vec<_> {
        let section = document.section(name).expect("the section");
        document.options(section).map(|entry| format!("{}={}", entry.key, entry.value)).collect()
    };
    assert_eq!(options("a"), ["x=1", "y=9", "z=7"]);
    assert_eq!(options("b"), ["x=8", "y=9", "z=7"]);
    assert_eq!(document.get("b", "x").map(|entry| entry.line), Some(4));
    assert!(document.section("DEFAULT").is_none());
    assert!(document.get("DEFAULT", "x").is_none());
    assert_eq!((document.defaults.name.as_str(), document.defaults.line), ("DEFAULT", 3));
}

#[test]
fn here_is_the_directory_of_each_file() {
    let mut document = document("[DEFAULT]\nd=%(here)s/d\n[a]\nx=%(here)s:%(here)s\n[b]\nd=own\n");
    document.expand_here("/main");
    assert_eq!(document.read("[c]\nx=%(here)s\n[a]\ny=%(here)s\nz=%(here)r", "two"), Ok(()));
    document.expand_here("/%(here)s");
    let value = |section: &str, key: &str| document.get(section, key).map(|entry| entry.value.as_str());
    let rows = [
        ("a", "x", "/main:/main"),
        ("a", "y", "/%(here)s"),
        ("a", "z", "%(here)r"),
        ("a", "d", "/main/d"),
        ("b", "d", "own"),
        ("c", "x", "/%(here)s"),
        ("c", "d", "/%(here)s/d"),
    ];
    for (section, key, expected) in rows {
        assert_eq!(value(section, key), Some(expected), "{section}.{key}");
    }
    assert_eq!(document.defaults.options[0].value, "%(here)s/d");
}

#[test]
fn many_options_are_found() {
    let mut text = "[s]\n".to_string();
    for at in 0..1000 {
        text += &format!("k{at}={at}\n");
    }
    text += "k3=three\nk998=late\n";
    let document = document(&text);
    assert_eq!(document.sections[0].options.len(), 1000);
    for (key, expected) in [("k0", Some("0")), ("k3", Some("three")), ("k998", Some("late")), ("k1000", None)] {
        assert_eq!(document.get("s", key).map(|entry| entry.value.as_str()), expected, "{key}");
    }
}

#[test]
fn invalid_utf8() {
    let rows: &[(&[u8], &str)] = &[
        (b"[supervisord]\nx\xff", "byte 0xff in position 15: invalid start byte"),
        (b"\x80", "byte 0x80 in position 0: invalid start byte"),
        (b"\xc0\xaf", "byte 0xc0 in position 0: invalid start byte"),
        (b"a\xc3(", "byte 0xc3 in position 1: invalid continuation byte"),
        (b"\xed\xa0\x80", "byte 0xed in position 0: invalid continuation byte"),
        (b"\xf5", "byte 0xf5 in position 0: invalid start byte"),
        (b"a\xe2\x82x", "bytes in position 1-2: invalid continuation byte"),
        (b"a\xe2", "byte 0xe2 in position 1: unexpected end of data"),
        (b"a\xf0\x9f\x98", "bytes in position 1-3: unexpected end of data"),
    ];
    for (bytes, expected) in rows {
        assert_eq!(decode(bytes), Err(format!("'utf-8' codec can't decode {expected}")), "{bytes:?}");
    }
    assert_eq!(decode("grün".as_bytes()), Ok("grün"));
}
