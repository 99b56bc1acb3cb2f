//! A message in the form of the internet's mail, and its way to an SMTP server (RFC 5321).

use std::io::{BufRead, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Wall;

use super::letter::Letter;
use super::mail;
use super::world::io_text;

/// Longest reply line taken; servers keep to 512.
const LINE_BYTES_MAX: u64 = 4096;
/// Most lines of one reply; servers list a dozen extensions.
const REPLY_LINES_MAX: usize = 100;
/// Bytes of a body that make a line of base64: 76 characters.
const BASE64_LINE_BYTES: usize = 57;

/// A message with its headers; plain text, in base64 if it is not ASCII.
pub fn message(from: &str, to: &[String], subject: &str, body: &str, now: Wall) -> String {
    let (charset, encoding, body) = match body.is_ascii() {
        true => ("us-ascii", "7bit", body.to_string()),
        false => {
            let lines: Vec<String> =
                body.as_bytes().chunks(BASE64_LINE_BYTES).map(|line| STANDARD.encode(line)).collect();
            ("utf-8", "base64", lines.join("\n"))
        }
    };
    let domain = from.rsplit('@').next().filter(|domain| !domain.is_empty()).unwrap_or("localhost");
    let mut text = format!(
        "Content-Type: text/plain; charset=\"{charset}\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: {encoding}\n"
    );
    if !subject.is_empty() {
        text += &format!("Subject: {}\n", header_text(subject));
    }
    text += &format!("From: {}\nTo: {}\n", header_text(from), header_text(&to.join(", ")));
    text += &format!("Date: {}\nMessage-ID: <{}.{}@{domain}>\n\n", mail::header_date(now), now.0, std::process::id());
    text + &body
}

/// A header's value in one line of ASCII.
fn header_text(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.is_ascii() { line } else { format!("=?utf-8?b?{}?=", STANDARD.encode(line)) }
}

/// Hands a letter over. A recipient that is refused does not keep the others from getting it.
///
/// Errors: what the server said, or that it said nothing sensible.
pub fn converse(
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    letter: &Letter<'_>,
    our_name: &str,
) -> Result<(), String> {
    let mut talk = Talk { input, output };
    talk.expect(2)?;
    let mut extensions = talk.ask(&format!("EHLO {our_name}"))?;
    if extensions.class() != 2 {
        extensions = talk.command(&format!("HELO {our_name}"), 2)?;
    }
    if let Some((user, password)) = &letter.server.login {
        talk.log_in(user, password, &extensions)?;
    }
    talk.command(&format!("MAIL FROM:<{}>", address(letter.from)), 2)?;
    let mut refusal = None;
    let mut accepted = 0;
    for to in letter.to {
        let reply = talk.ask(&format!("RCPT TO:<{}>", address(to)))?;
        if reply.class() == 2 {
            accepted += 1;
        } else {
            refusal = Some(reply.text());
        }
    }
    if accepted == 0 {
        return Err(refusal.unwrap_or_else(|| "there is no recipient".to_string()));
    }
    talk.command("DATA", 3)?;
    talk.write(&dotted(letter.text))?;
    talk.expect(2)?;
    // It has been accepted, whatever comes now.
    let _ = talk.ask("QUIT");
    Ok(())
}

/// The bare address of `Name <address>`, without what could end the command's line.
fn address(text: &str) -> String {
    let bare = text.rsplit_once('<').and_then(|(_, rest)| rest.split('>').next()).unwrap_or(text);
    bare.trim().chars().filter(|c| !c.is_control()).collect()
}

/// Lines ending in CRLF, a dot doubled where it starts one, and the line that ends it all.
fn dotted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.lines() {
        if line.starts_with('.') {
            out.push('.');
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    out + ".\r\n"
}

/// A reply, line by line, codes included.
struct Reply(Vec<String>);

impl Reply {
    /// 2 is yes, 3 go on, 4 and 5 no.
    fn class(&self) -> u32 {
        self.0.first().and_then(|line| line.chars().next()?.to_digit(10)).unwrap_or(0)
    }

    fn text(&self) -> String {
        self.0.join(" ")
    }

    fn offers(&self, mechanism: &str) -> bool {
        let offer = |line: &String| {
            let words = line.get(4..).unwrap_or_default().to_ascii_uppercase();
            let mut words = words.split([' ', '=']);
            words.next() == Some("AUTH") && words.any(|word| word == mechanism)
        };
        self.0.iter().any(offer)
    }
}

struct Talk<'a> {
    input: &'a mut dyn BufRead,
    output: &'a mut dyn Write,
}

impl Talk<'_> {
    fn write(&mut self, text: &str) -> Result<(), String> {
        self.output.write_all(text.as_bytes()).and_then(|()| self.output.flush()).map_err(|error| io_text(&error))
    }

    fn ask(&mut self, line: &str) -> Result<Reply, String> {
        self.write(&format!("{line}\r\n"))?;
        self.read()
    }

    fn command(&mut self, line: &str, class: u32) -> Result<Reply, String> {
        let reply = self.ask(line)?;
        if reply.class() == class { Ok(reply) } else { Err(reply.text()) }
    }

    fn expect(&mut self, class: u32) -> Result<(), String> {
        let reply = self.read()?;
        if reply.class() == class { Ok(()) } else { Err(reply.text()) }
    }

    /// PLAIN if the server offers it, else LOGIN.
    fn log_in(&mut self, user: &str, password: &str, extensions: &Reply) -> Result<(), String> {
        if extensions.offers("PLAIN") {
            return self
                .command(&format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{user}\0{password}"))), 2)
                .map(drop);
        }
        if !extensions.offers("LOGIN") {
            return Err("the server offers neither AUTH PLAIN nor AUTH LOGIN".to_string());
        }
        self.command(&format!("AUTH LOGIN {}", STANDARD.encode(user)), 3)?;
        self.command(&STANDARD.encode(password), 2).map(drop)
    }

    fn read(&mut self) -> Result<Reply, String> {
        let mut lines = Vec::new();
        while lines.len() < REPLY_LINES_MAX {
            let mut line = Vec::new();
            let read = Read::take(&mut *self.input, LINE_BYTES_MAX).read_until(b'\n', &mut line);
            match read {
                Err(error) => return Err(io_text(&error)),
                Ok(0) => return Err("Connection unexpectedly closed".to_string()),
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_string();
            let goes_on = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line);
            if !goes_on {
                return Ok(Reply(lines));
            }
        }
        Err("the server's reply does not end".to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::Server;
    use super::*;

    fn talk(server: &Server, replies: &str) -> (Result<(), String>, String) {
        let to = ["a@x".to_string(), "B <b@y>".to_string()];
        let letter = Letter { server, from: "me@z", to: &to, text: "Subject: s\n\n.dot\nend" };
        let mut said = Vec::new();
        let ended = converse(&mut replies.as_bytes(), &mut said, &letter, "host");
        (ended, String::from_utf8(said).unwrap().replace("\r\n", "|"))
    }

    #[test]
    fn conversations() {
        let plain = Server::parse("localhost", None).unwrap();
        let login = Server::parse("h:587", Some(("u".into(), "p".into()))).unwrap();
        let head = "EHLO host|MAIL FROM:<me@z>|RCPT TO:<a@x>|RCPT TO:<b@y>|";
        let data = "DATA|Subject: s||..dot|end|.|";
        let rows: Vec<(&Server, &str, Result<(), &str>, String)> = vec![
            (
                &plain,
                "220 hi\r\n250-h\r\n250 SIZE\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n221 bye\r\n",
                Ok(()),
                { format!("{head}{data}QUIT|") },
            ),
            (&plain, "220 hi\n250 h\n250 ok\n550 no a\n250 ok\n354 go\n250 ok\n", Ok(()), format!("{head}{data}QUIT|")),
            (&plain, "220 hi\n250 h\n250 ok\n550 no a\n550 no b\n", Err("550 no b"), head.to_string()),
            (
                &plain,
                "220 hi\n500 what\n250 h\n501 bad\n",
                Err("501 bad"),
                "EHLO host|HELO host|MAIL FROM:<me@z>|".into(),
            ),
            (&plain, "554 go away\n", Err("554 go away"), String::new()),
            (&plain, "220 hi\n", Err("Connection unexpectedly closed"), "EHLO host|".into()),
            (&plain, "220 hi\n250 h\n250 ok\n250 ok\n250 ok\n354 go\n552 too big\n", Err("552 too big"), {
                format!("{head}{data}")
            }),
            (
                &login,
                "220 hi\n250-h\n250 AUTH LOGIN PLAIN\n535 no\n",
                Err("535 no"),
                "EHLO host|AUTH PLAIN AHUAcA==|".into(),
            ),
            (
                &login,
                "220 hi\n250 AUTH=LOGIN\n334 VQ\n535 no\n",
                Err("535 no"),
                "EHLO host|AUTH LOGIN dQ==|cA==|".into(),
            ),
            (
                &login,
                "220 hi\n250 h\n",
                Err("the server offers neither AUTH PLAIN nor AUTH LOGIN"),
                "EHLO host|".into(),
            ),
        ];
        for (server, replies, expected, said) in rows {
            let (ended, words) = talk(server, replies);
            assert_eq!(ended, expected.map_err(str::to_string), "{replies:?}");
            assert_eq!(words, said, "{replies:?}");
        }
    }

    #[test]
    fn messages() {
        let now = Wall(1_795_252_507_042_000_000);
        let to = ["a@x".to_string(), "b@y".to_string()];
        let text = message("me@z", &to, "s\nt", "one\ntwo", now);
        let id = format!("Message-ID: <1795252507042000000.{}@z>\n", std::process::id());
        assert_eq!(
            text,
            format!(
                "Content-Type: text/plain; charset=\"us-ascii\"\nMIME-Version: 1.0\n\
                 Content-Transfer-Encoding: 7bit\nSubject: s t\nFrom: me@z\nTo: a@x, b@y\n\
                 Date: Sat, 21 Nov 2026 09:15:07 -0000\n{id}\none\ntwo"
            )
        );
        let text = message("me@z", &to, "ü", "ö", now);
        assert!(text.contains("charset=\"utf-8\"") && text.contains("Subject: =?utf-8?b?w7w=?=\n"), "{text}");
        assert!(text.ends_with("\n\nw7Y="), "{text}");
    }
}
