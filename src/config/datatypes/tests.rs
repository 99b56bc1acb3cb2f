//! Each kind of text: what it reads as, or what is said about it.

use super::super::fake::Fake;
use super::super::values::{Owner, User};
use super::*;
use std::fmt::Debug;

/// Each row is a text and what it reads as; a message stands for itself.
fn table<T: Datatype + PartialEq + Debug>(rows: &[(&str, Result<T, &str>)]) {
    let mut env = Fake::new();
    env.set_variable("HOME", "/tmp");
    for (text, expected) in rows {
        let got = T::parse(text, &env);
        assert_eq!(got.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e), "{text:?}");
    }
}

#[test]
fn integers() {
    table::<i64>(&[
        ("7", Ok(7)),
        (" 7\t", Ok(7)),
        ("-7", Ok(-7)),
        ("+7", Ok(7)),
        ("007", Ok(7)),
        ("1_000", Ok(1000)),
        ("99999999999999999999", Ok(i64::MAX)),
        ("-99999999999999999999", Ok(-i64::MAX)),
        ("1__0", Err("expected a whole number, not '1__0'")),
        ("_1", Err("expected a whole number, not '_1'")),
        ("1_", Err("expected a whole number, not '1_'")),
        ("- 1", Err("expected a whole number, not '- 1'")),
        ("1.5", Err("expected a whole number, not '1.5'")),
        ("0x1", Err("expected a whole number, not '0x1'")),
        ("", Err("expected a whole number, not ''")),
    ]);
}

#[test]
fn truths() {
    table::<bool>(&[
        ("TRUE", Ok(true)),
        ("yes", Ok(true)),
        ("On", Ok(true)),
        ("1", Ok(true)),
        ("false", Ok(false)),
        ("No", Ok(false)),
        ("off", Ok(false)),
        ("0", Ok(false)),
        ("maybe", Err("not a valid boolean value: 'maybe'")),
        (" true", Err("not a valid boolean value: ' true'")),
        ("", Err("not a valid boolean value: ''")),
    ]);
    table::<Autorestart>(&[
        ("Unexpected", Ok(Autorestart::Unexpected)),
        ("true", Ok(Autorestart::Always)),
        ("0", Ok(Autorestart::Never)),
        ("BAD", Err("invalid 'autorestart' value 'bad'")),
    ]);
}

#[test]
fn sizes() {
    let expected = "expected a number of bytes such as 1000, 50KB, 20MB or 1GB, not ";
    table::<ByteSize>(&[
        ("0", Ok(ByteSize(0))),
        (" 5 ", Ok(ByteSize(5))),
        ("2kb", Ok(ByteSize(2048))),
        ("3 Mb", Ok(ByteSize(3 << 20))),
        ("1GB", Ok(ByteSize(1 << 30))),
        ("-1", Ok(ByteSize(-1))),
        ("-2KB", Ok(ByteSize(-2048))),
        ("99999999999999GB", Ok(ByteSize(i64::MAX))),
        ("1K", Err(&format!("{expected}'1k'"))),
        ("1B", Err(&format!("{expected}'1b'"))),
        ("1.5MB", Err(&format!("{expected}'1.5mb'"))),
        ("MB", Err(&format!("{expected}'mb'"))),
    ]);
}

#[test]
fn octals() {
    table::<Octal>(&[
        ("022", Ok(Octal(0o22))),
        ("0o22", Ok(Octal(0o22))),
        ("0O_2_2", Ok(Octal(0o22))),
        ("7777", Ok(Octal(0o7777))),
        ("9", Err("9 can not be converted to an octal type")),
        ("", Err(" can not be converted to an octal type")),
        ("0o", Err("0o can not be converted to an octal type")),
    ]);
}

#[test]
fn lists() {
    let words = |words: &[&str]| Ok(Strings(words.iter().map(|w| w.to_string()).collect()));
    table::<Strings>(&[("", words(&[])), ("a", words(&["a"])), ("a, b,", words(&["a", "b", ""]))]);
    table::<ExitCodes>(&[
        ("", Ok(ExitCodes(vec![]))),
        ("0, 2", Ok(ExitCodes(vec![0, 2]))),
        ("255", Ok(ExitCodes(vec![255]))),
        ("0,", Err("not a valid list of exit codes: '0,'")),
        ("256", Err("not a valid list of exit codes: '256'")),
        ("-1", Err("not a valid list of exit codes: '-1'")),
    ]);
}

#[test]
fn files() {
    let path = |text: &str| LogFile::Path(text.to_string());
    table::<LogFile>(&[
        ("NONE", Ok(LogFile::None)),
        ("Off", Ok(LogFile::None)),
        ("", Ok(path(""))),
        ("Auto", Ok(LogFile::Auto)),
        ("SYSLOG", Ok(LogFile::Syslog)),
        ("x.log", Ok(path("x.log"))),
        ("~/x.log", Ok(path("/tmp/x.log"))),
        ("/no/x.log", Err("The directory named as part of the path /no/x.log does not exist")),
    ]);
    table::<Directory>(&[
        ("/tmp", Ok(Directory("/tmp".to_string()))),
        ("~", Ok(Directory("/tmp".to_string()))),
        ("/no", Err("/no is not an existing directory")),
        ("", Err(" is not an existing directory")),
    ]);
}

#[test]
fn addresses() {
    let at = |host: &str, port| Ok(InetAddress { host: host.to_string(), port });
    table::<InetAddress>(&[
        ("9001", at("", 9001)),
        (":9001", at("", 9001)),
        ("*:9001", at("", 9001)),
        ("LocalHost:80", at("localhost", 80)),
        ("[::1]:80", at("::1", 80)),
        ("[::]:80", at("::", 80)),
        ("[FE80::1%eth0]:80", at("fe80::1%eth0", 80)),
        ("127.1:80", at("127.1", 80)),
        ("[::1]", Err("bad address '[::1]': no port follows")),
        ("[::1:80", Err("bad address '[::1:80': a bracket is not closed")),
        ("[::g]:80", Err("bad address '[::g]:80': '::g' is not an IPv6 address")),
        ("[10.0.0.1]:80", Err("bad address '[10.0.0.1]:80': '10.0.0.1' is not an IPv6 address")),
        ("::1:80", Err("bad address '::1:80': an IPv6 address stands in brackets, [::1]:9001")),
        ("256.0.0.1:80", Err("bad address '256.0.0.1:80': '256.0.0.1' is not an IPv4 address")),
        ("http://h:80", Err("bad address 'http://h:80': 'http://h' is not the name of a host")),
        ("a b:80", Err("bad address 'a b:80': 'a b' is not the name of a host")),
        ("x", Err("not a valid port number: 'x' ")),
        ("0", Err("not a valid port number: '0' ")),
        ("", Err("not a valid port number: '' ")),
        ("a:", Err("no port number specified in ''")),
        ("a:0", Err("0 is below lower bound (1)")),
        ("a:65536", Err("65536 is above upper bound (65535)")),
        ("a:b", Err("expected a whole number, not 'b'")),
    ]);
}

#[test]
fn people() {
    let user = |text: &str, uid, gid| Ok(User { text: text.to_string(), uid, gid });
    table::<User>(&[
        ("nobody", user("nobody", 65534, None)),
        ("0", user("0", 0, None)),
        ("nosuch", Err("Invalid user name nosuch")),
        ("99", user("99", 99, None)),
        ("99:77", user("99:77", 99, Some(77))),
        ("nobody:daemon", user("nobody:daemon", 65534, Some(1))),
        ("nobody:", Err("Invalid group name ")),
        ("0:nosuch", Err("Invalid group name nosuch")),
        ("4294967295", Err("Invalid user id 4294967295")),
        ("-1", Err("Invalid user id -1")),
        ("99999999999", Err("Invalid user id 99999999999")),
    ]);
    table::<Owner>(&[
        ("nobody", Ok(Owner { uid: 65534, gid: None })),
        ("root:daemon", Ok(Owner { uid: 0, gid: Some(1) })),
        ("0:1", Ok(Owner { uid: 0, gid: Some(1) })),
        ("root:", Err("Invalid user:group definition root:")),
        ("root:99", Err("Invalid user:group definition root:99")),
        ("nosuch", Err("Invalid user:group definition nosuch")),
    ]);
}

#[test]
fn names_levels_and_urls() {
    table::<Name>(&[
        (" cat ", Ok(Name("cat".to_string()))),
        ("", Ok(Name(String::new()))),
        ("a b", Err("Invalid name: 'a b' because of character: ' '")),
        ("a:b/c", Err("Invalid name: 'a:b/c' because of character: ':'")),
        (" a/b", Err("Invalid name: ' a/b' because of character: '/'")),
    ]);
    table::<Level>(&[
        ("Critical", Ok(Level::Critical)),
        ("blather", Ok(Level::Blather)),
        ("warning", Err("bad logging level name 'warning'")),
        ("10", Err("bad logging level name '10'")),
    ]);
    let url = |text: &str| Ok(Url(text.to_string()));
    table::<Url>(&[
        ("unix:///tmp/s", url("unix:///tmp/s")),
        ("http://h:1", url("http://h:1")),
        ("http:x", url("http:x")),
        ("http://", Err("value 'http://' is not a URL")),
        ("http:", Err("value 'http:' is not a URL")),
        ("x", Err("value 'x' is not a URL")),
        ("1:x", Err("value '1:x' is not a URL")),
        ("", Err("value '' is not a URL")),
    ]);
}
