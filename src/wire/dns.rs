//! Questions to name servers and their answers (RFC 1035): the addresses of a name, and what `/etc/hosts` and
//! `/etc/resolv.conf` say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of an answer at most: what a server may send to somebody who has said that he takes so many (EDNS).
pub const ANSWER_BYTES_MAX: usize = 4096;

/// Addresses of a name that are taken. A name has some; who has more instances than that lists several names.
pub const ADDRESSES_MAX: usize = 64;

/// Name servers that are asked, as in resolv.conf(5).
const SERVERS_MAX: usize = 3;

/// Domains in which a short name is looked for, as in resolv.conf(5) of old.
const DOMAINS_MAX: usize = 6;

/// Records of an answer that are looked at: chains of names, and addresses.
const RECORDS_MAX: usize = 256;

/// Jumps within one name. A name has 127 labels at most.
const JUMPS_MAX: usize = 127;

/// The port of name servers.
const PORT: u16 = 53;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Records of kind A.
    V4,
    /// Records of kind AAAA.
    V6,
}

impl Family {
    fn kind(self) -> u16 {
        match self {
            Family::V4 => 1,
            Family::V6 => 28,
        }
    }
}

/// What a name server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The name is known; it may have no address of this family.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    Unknown,
    /// The server does not know: another one may.
    Failed,
}

/// A question; `None` if that can be no name.
pub fn question(id: u16, name: &str, family: Family) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len() + 32);
    out.extend_from_slice(&id.to_be_bytes());
    // Recursion is wished for; one question, and one record more, which says how long an answer may be.
    out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    push_name(&mut out, name)?;
    out.extend_from_slice(&family.kind().to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out.extend_from_slice(&[0, 0, 41]);
    out.extend_from_slice(&(ANSWER_BYTES_MAX as u16).to_be_bytes());
    out.extend_from_slice(&[0; 6]);
    Some(out)
}

fn push_name(out: &mut Vec<u8>, name: &str) -> Option<()> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > 253 {
        return None;
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        out.push(length);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    Some(())
}

/// Reads the answer to a question; `None` if it is not one to that.
pub fn answer(bytes: &[u8], id: u16, name: &str, family: Family) -> Option<Answer> {
    let head: &[u8; 12] = bytes.first_chunk()?;
    let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let asked = question(id, name, family)?;
    let asked = asked.get(12..asked.len() - 11)?;
    let is_echo = bytes.get(12..12 + asked.len()).is_some_and(|echo| echo.eq_ignore_ascii_case(asked));
    if number(0) != id || head[2] & 0x80 == 0 || number(4) != 1 || !is_echo {
        return None;
    }
    match head[3] & 0x0f {
        0 => {}
        3 => return Some(Answer::Unknown),
        _ => return Some(Answer::Failed),
    }
    let mut at = 12 + asked.len();
    let mut addresses = Vec::new();
    // What is cut off, or makes no sense, ends it: what was read before counts.
    for _ in 0..usize::from(number(6)).min(RECORDS_MAX) {
        let Some((address, next)) = record(bytes, at, family) else { break };
        at = next;
        addresses.extend(address.filter(|one| !addresses.contains(one)));
        if addresses.len() == ADDRESSES_MAX {
            break;
        }
    }
    Some(Answer::Addresses(addresses))
}

/// A record: the address in it, if it has one of the family, and where the next begins.
fn record(bytes: &[u8], at: usize, family: Family) -> Option<(Option<IpAddr>, usize)> {
    let at = skip_name(bytes, at)?;
    let head: &[u8; 10] = bytes.get(at..)?.first_chunk()?;
    let (kind, class) = (u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]));
    let end = at + 10 + usize::from(u16::from_be_bytes([head[8], head[9]]));
    let data = bytes.get(at + 10..end)?;
    let address = match family {
        _ if kind != family.kind() || class != 1 => None,
        Family::V4 => <[u8; 4]>::try_from(data).ok().map(|octets| Ipv4Addr::from(octets).into()),
        Family::V6 => <[u8; 16]>::try_from(data).ok().map(|octets| Ipv6Addr::from(octets).into()),
    };
    Some((address, end))
}

/// Where a name that begins there ends. It may go on elsewhere, which is not followed.
fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..JUMPS_MAX {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length @ 1..64 => at += 1 + usize::from(length),
            192.. => return Some(at + 2),
            _ => return None,
        }
    }
    None
}

/// Whom to ask, and for which names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// Name servers, in the order in which they are asked.
    pub servers: Vec<SocketAddr>,
    domains: Vec<String>,
    /// Names with so many dots are tried as they are first.
    dots: usize,
}

impl Resolver {
    /// Reads `/etc/resolv.conf`. Without a server in it that is this host's own.
    pub fn read(text: &str) -> Resolver {
        let mut found = Resolver { servers: Vec::new(), domains: Vec::new(), dots: 1 };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if found.servers.len() < SERVERS_MAX => {
                    // A zone counts on one interface only, and is that of a router: those have another address, too.
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    found.servers.extend(address.map(|address| SocketAddr::new(address, PORT)));
                }
                Some("search" | "domain") => found.domains = words.take(DOMAINS_MAX).map(str::to_string).collect(),
                Some("options") => {
                    let dots = words.find_map(|word| word.strip_prefix("ndots:")?.parse::<usize>().ok());
                    found.dots = dots.unwrap_or(found.dots).min(15);
                }
                _ => {}
            }
        }
        if found.servers.is_empty() {
            found.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        }
        found
    }

    /// The names that a name may stand for, in the order in which they are asked for.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_string()];
        }
        let mut all: Vec<String> = self.domains.iter().map(|domain| format!("{name}.{domain}")).collect();
        let at = if name.matches('.').count() >= self.dots { 0 } else { all.len() };
        all.insert(at, name.to_string());
        all
    }
}

/// All addresses of a name in the text of `/etc/hosts`.
pub fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let address = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    hosts.lines().filter_map(address).take(ADDRESSES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with these records: name, kind, data.
    fn reply(id: u16, name: &str, family: Family, code: u8, records: &[(&[u8], u16, &[u8])]) -> Vec<u8> {
        let mut out = question(id, name, family).unwrap();
        out.truncate(out.len() - 11);
        (out[2], out[3], out[7], out[11]) = (0x81, 0x80 | code, records.len() as u8, 0);
        for (name, kind, data) in records {
            out.extend_from_slice(name);
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        }
        out
    }

    #[test]
    fn a_question_as_it_goes_out() {
        let expected = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x01a\x02bc\0\0\x1c\0\x01\0\0\x29\x10\0\0\0\0\0\0\0";
        assert_eq!(question(0x1234, "a.bc.", Family::V6).as_deref(), Some(&expected[..]));
        for wrong in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(128)] {
            assert_eq!(question(1, wrong, Family::V4), None, "{wrong}");
        }
    }

    #[test]
    fn answers() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let (four, alias): (&[u8], &[u8]) = (&[10, 0, 0, 7], b"\x01b\xc0\x0c");
        let pointer: &[u8] = b"\xc0\x0c";
        let of = |records: &[(&[u8], u16, &[u8])]| answer(&reply(7, "a", Family::V4, 0, records), 7, "A", Family::V4);
        let found = |list: &[&str]| Some(Answer::Addresses(list.iter().map(|text| address(text)).collect()));
        assert_eq!(of(&[]), found(&[]));
        let records: &[(&[u8], u16, &[u8])] =
            &[(pointer, 5, alias), (alias, 1, four), (alias, 1, four), (alias, 28, &[0; 16]), (alias, 1, &[1, 2])];
        assert_eq!(of(records), found(&["10.0.0.7"]));
        let six = reply(7, "a", Family::V6, 0, &[(pointer, 28, &[1; 16])]);
        let expected = Some(Answer::Addresses(vec![Ipv6Addr::from([1; 16]).into()]));
        assert_eq!(answer(&six, 7, "a", Family::V6), expected);
        let many: Vec<[u8; 4]> = (0..100).map(|at| [10, 0, 0, at]).collect();
        let many: Vec<(&[u8], u16, &[u8])> = many.iter().map(|one| (pointer, 1, &one[..])).collect();
        assert!(matches!(of(&many), Some(Answer::Addresses(all)) if all.len() == ADDRESSES_MAX));
        let code = |code| answer(&reply(7, "a", Family::V4, code, &[]), 7, "a", Family::V4);
        assert_eq!((code(3), code(2), code(5)), (Some(Answer::Unknown), Some(Answer::Failed), Some(Answer::Failed)));
    }

    #[test]
    fn what_answers_another_question_is_none() {
        let right = reply(7, "a.b", Family::V4, 0, &[(b"\xc0\x0c", 1, &[10, 0, 0, 7])]);
        let rows = [(8, "a.b", Family::V4), (7, "a.c", Family::V4), (7, "a.b.c", Family::V4), (7, "a.b", Family::V6)];
        for (id, name, family) in rows {
            assert_eq!(answer(&right, id, name, family), None, "{id} {name} {family:?}");
        }
        let question = question(7, "a.b", Family::V4).unwrap();
        assert_eq!(answer(&question, 7, "a.b", Family::V4), None);
        // Cut anywhere it is no answer, or one without the address.
        for length in 0..right.len() {
            let cut = answer(&right[..length], 7, "a.b", Family::V4);
            assert!(cut.is_none() || cut == Some(Answer::Addresses(Vec::new())), "{length}: {cut:?}");
        }
    }

    #[test]
    fn whom_to_ask_for_what() {
        let text = "# x\nnameserver 10.0.0.1 ; y\nnameserver fe80::1%eth0\nnameserver ::1\nsearch a.example  b.example\n\
                    options timeout:1 ndots:2\n";
        let resolver = Resolver::read(text);
        let servers: Vec<String> = resolver.servers.iter().map(SocketAddr::to_string).collect();
        assert_eq!(servers, ["10.0.0.1:53", "[::1]:53"]);
        assert_eq!(resolver.candidates("db"), ["db.a.example", "db.b.example", "db"]);
        assert_eq!(resolver.candidates("db.x.y"), ["db.x.y", "db.x.y.a.example", "db.x.y.b.example"]);
        assert_eq!(resolver.candidates("db."), ["db."]);
        assert_eq!(Resolver::read("").servers, ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn names_in_the_file_of_hosts() {
        let hosts = "127.0.0.1 localhost # me\n10.0.0.7 web Both\n10.0.0.8 both\n::9 both\nx both\n";
        let found = |name: &str| in_hosts(hosts, name).iter().map(IpAddr::to_string).collect::<Vec<_>>();
        assert_eq!((found("both"), found("me")), (["10.0.0.7", "10.0.0.8", "::9"].map(String::from).to_vec(), vec![]));
    }
}
