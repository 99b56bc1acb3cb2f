//! Names of hosts are looked up without anybody waiting for it: in `/etc/hosts`, and then by questions to name servers,
//! whose answers come like other datagrams.
//!
//! For each name both kinds of addresses are asked for at one time, of one server after the other; if no server knows the
//! name it is looked for in the domains of `/etc/resolv.conf`.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::clock::{Mono, earliest};
use crate::daemon::Host;
use crate::wire::dns::{self, Answer, Family, Resolver};

/// Time that a server has for both answers.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Rounds in which each server is asked about a name.
const ROUNDS: usize = 2;

/// A name that was looked up is not looked up again before: what comes of it holds for so long at least.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Names about which servers are asked at one time; the others wait.
const ASKED_MAX: usize = 16;

/// Names that are remembered: those of all instances, and seeds.
const NAMES_MAX: usize = 2048;

/// A name, and how far looking it up is.
#[derive(Debug)]
struct Name {
    name: String,
    /// When looking it up was over.
    known_at: Option<Mono>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nobody asks for its addresses.
    Idle,
    /// It is to be asked about.
    Waits,
    /// A server is asked.
    Asked(Question),
}

#[derive(Debug)]
struct Question {
    resolver: Resolver,
    /// What the name may stand for, the one that is asked about first.
    candidates: VecDeque<String>,
    /// How many questions about it went without an answer.
    tried: usize,
    /// The numbers of the two questions, and what was answered.
    asked: [(Family, u16, Option<Vec<IpAddr>>); 2],
    until: Mono,
}

/// What has come of it: a name and all its addresses, of which there may be none.
pub(super) type Found = (String, Vec<IpAddr>);

/// The names that are looked up, and what has come of it.
#[derive(Debug, Default)]
pub(super) struct Names {
    all: Vec<Name>,
    found: Vec<Found>,
    /// The place of the one that is looked at first: those before it had their turn.
    next: usize,
}

impl Names {
    /// Somebody wants to know the addresses of a host. Those of a number are told at once; those of a name are found in a
    /// later turn, or not, unless that was done just now.
    pub(super) fn want(&mut self, host: &str, now: Mono) {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse() {
            return self.found.push((host.to_string(), vec![address]));
        }
        let at = self.all.iter().position(|one| one.name == host).or_else(|| {
            let name = Name { name: host.to_string(), known_at: None, state: State::Idle };
            (self.all.len() < NAMES_MAX).then(|| self.all.push(name)).map(|()| self.all.len() - 1)
        });
        let Some(one) = at.and_then(|at| self.all.get_mut(at)) else { return };
        let is_known = one.known_at.is_some_and(|at| now.since(at) < AGAIN_AFTER);
        if matches!(one.state, State::Idle) && !is_known {
            one.state = State::Waits;
        }
    }

    /// Goes on with what is due, and says what was found.
    pub(super) fn turn(&mut self, now: Mono, host: &mut dyn Host) -> Vec<Found> {
        let mut places = None;
        let (first, count) = (self.next, self.all.len());
        // One that the hosts file knows takes a place as well: so much is looked up in one turn.
        let mut room = ASKED_MAX.saturating_sub(self.asked());
        for at in (0..count).map(|step| (first + step) % count) {
            match &self.all[at].state {
                State::Waits if room > 0 => {
                    room -= 1;
                    self.next = at + 1;
                    let (hosts, resolver) = places.get_or_insert_with(|| {
                        let mut text = |path| {
                            let bytes = host.env().read_file(path).unwrap_or_default();
                            String::from_utf8_lossy(&bytes).into_owned()
                        };
                        (text("/etc/hosts"), Resolver::read(&text("/etc/resolv.conf")))
                    });
                    let addresses = dns::in_hosts(hosts, &self.all[at].name);
                    if !addresses.is_empty() {
                        self.end(at, addresses, now);
                        continue;
                    }
                    let resolver = resolver.clone();
                    let candidates = resolver.candidates(&self.all[at].name).into();
                    let none = [(Family::V4, 0, None), (Family::V6, 0, None)];
                    let question = Question { resolver, candidates, tried: 0, asked: none, until: now };
                    self.all[at].state = State::Asked(question);
                    self.ask(at, now, host);
                }
                State::Asked(question) if question.until <= now => self.unanswered(at, now, host),
                _ => {}
            }
        }
        std::mem::take(&mut self.found)
    }

    /// When that is to be called although nothing comes.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let has_room = self.asked() < ASKED_MAX;
        let of_name = |one: &Name| match &one.state {
            State::Asked(question) => Some(question.until),
            State::Waits if has_room => Some(Mono(0)),
            State::Waits | State::Idle => None,
        };
        let found = (!self.found.is_empty()).then_some(Mono(0));
        earliest(&[self.all.iter().filter_map(of_name).min(), found])
    }

    fn asked(&self) -> usize {
        self.all.iter().filter(|one| matches!(one.state, State::Asked(_))).count()
    }

    /// Looking a name up is over.
    fn end(&mut self, at: usize, addresses: Vec<IpAddr>, now: Mono) {
        let one = &mut self.all[at];
        (one.known_at, one.state) = (Some(now), State::Idle);
        self.found.push((one.name.clone(), addresses));
    }

    /// Asks the server whose turn it is; there is nothing to be found where nobody is left.
    fn ask(&mut self, at: usize, now: Mono, host: &mut dyn Host) {
        let State::Asked(question) = &mut self.all[at].state else { return };
        let servers = &question.resolver.servers;
        let server =
            servers.get(question.tried % servers.len().max(1)).filter(|_| question.tried < ROUNDS * servers.len());
        let Some((server, name)) = server.zip(question.candidates.front()) else {
            return self.end(at, Vec::new(), now);
        };
        let random = host.random();
        for (place, (family, id, answer)) in question.asked.iter_mut().enumerate() {
            *id = u16::from_be_bytes([random[2 * place], random[2 * place + 1]]);
            *answer = None;
            // What can be no name has no addresses.
            match dns::question(*id, name, *family) {
                Some(bytes) => host.ask_name_server(*server, &bytes),
                None => *answer = Some(Vec::new()),
            }
        }
        question.until = now.after(ANSWER_TIME);
        self.go_on(at, now, host);
    }

    /// A server does not answer, or not usefully.
    fn unanswered(&mut self, at: usize, now: Mono, host: &mut dyn Host) {
        let State::Asked(question) = &mut self.all[at].state else { return };
        question.tried += 1;
        // One kind of addresses is better than none.
        let known: Vec<IpAddr> = question.asked.iter().filter_map(|(.., answer)| answer.clone()).flatten().collect();
        if known.is_empty() { self.ask(at, now, host) } else { self.end(at, known, now) }
    }

    /// Both answers may be there.
    fn go_on(&mut self, at: usize, now: Mono, host: &mut dyn Host) {
        let State::Asked(question) = &mut self.all[at].state else { return };
        if question.asked.iter().any(|(.., answer)| answer.is_none()) {
            return;
        }
        let known: Vec<IpAddr> = question.asked.iter().filter_map(|(.., answer)| answer.clone()).flatten().collect();
        if !known.is_empty() {
            return self.end(at, known, now);
        }
        question.candidates.pop_front();
        question.tried = 0;
        self.ask(at, now, host);
    }

    /// A name server answers, or somebody who would like to be one.
    pub(super) fn answered(&mut self, from: SocketAddr, bytes: &[u8], now: Mono, host: &mut dyn Host) {
        for at in 0..self.all.len() {
            let State::Asked(question) = &mut self.all[at].state else { continue };
            let servers = &question.resolver.servers;
            let server = servers.get(question.tried % servers.len().max(1));
            let Some(name) = question.candidates.front().filter(|_| server == Some(&from)) else { continue };
            let said = question.asked.iter_mut().filter(|(.., answer)| answer.is_none());
            let mut said =
                said.filter_map(|(family, id, answer)| Some((dns::answer(bytes, *id, name, *family)?, answer)));
            match said.next().map(|(said, answer)| (answer, said)) {
                None => continue,
                Some((answer, Answer::Addresses(addresses))) => *answer = Some(addresses),
                Some((answer, Answer::Unknown)) => *answer = Some(Vec::new()),
                Some((_, Answer::Failed)) => return self.unanswered(at, now, host),
            }
            return self.go_on(at, now, host);
        }
    }
}

/// One of the addresses: of the kind that our own is of, if there is one.
pub(super) fn choose(addresses: &[IpAddr], is_v6: bool) -> Option<IpAddr> {
    addresses.iter().copied().min_by_key(|address| address.is_ipv6() != is_v6)
}
