//! Instances that stand in no list: they say to a group that they are there, are found by seeds, or are known to others.
//!
//! Whatever is heard of somebody is no more than a hint where to connect to; who is there says the handshake, and only then
//! it belongs to the list, which it never leaves (V-54). Where nobody asks for it nothing of this is done.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::names::{Found, choose};
use super::{Peer, PeerNews, Peers};
use crate::clock::{Mono, Now, earliest};
use crate::config::fleet::{Instance, Network};
use crate::daemon::Host;
use crate::id::{ConnId, PeerId};
use crate::wire::fleet::Kind;
use crate::wire::fleet::announce::{Announcement, is_ours};
use crate::wire::fleet::codec::{Reader, push_text, push_varint};
use crate::wire::fleet::hello::{Hello, NAME_BYTES_MAX};

/// Instances of a fleet.
pub(super) const INSTANCES_MAX: usize = 1024;

/// Time between two announcements, and the pauses before: who comes is heard of soon.
const ANNOUNCE_TIME: Duration = Duration::from_secs(5);
const FIRST_PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(2)];

/// Time between two attempts with all seeds.
const SEED_TIME: Duration = Duration::from_secs(10);

/// Time after which somebody is told anew whom we know, one after the other: after a cut nobody else may do it.
const KNOWN_TIME: Duration = Duration::from_secs(30);

/// Places that are tried at one time. The others are heard of again.
const HINTS_MAX: usize = 256;

/// Attempts with each, and the pause after the first, which doubles.
const TRIES_MAX: u32 = 4;
const TRY_PAUSE: Duration = Duration::from_millis(300);

/// Addresses that were found to be our own.
const OWN_MAX: usize = 16;

/// Other addresses than its own at which somebody was found, and those of one name that are tried at one time.
const WAYS_MAX: usize = 256;
const HINTS_OF_ONE_MAX: usize = 4;

/// Bytes of a frame that says whom we know.
const KNOWN_BYTES_MAX: usize = 256 * 1024;

/// Somebody may be there.
#[derive(Debug)]
struct Hint {
    address: SocketAddr,
    /// Who, if that was said.
    identifier: Option<String>,
    at: Mono,
    tries: u32,
    /// The attempt that is under way.
    conn: Option<ConnId>,
}

/// A place that is asked who else there is.
#[derive(Debug)]
struct Seed {
    host: String,
    port: u16,
}

/// What is known of those that are not known yet.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    announced: usize,
    announce_at: Option<Mono>,
    has_failed: bool,
    seeds: Vec<Seed>,
    seeds_at: Option<Mono>,
    hints: Vec<Hint>,
    /// Addresses at which nobody but we is.
    own: Vec<SocketAddr>,
    /// Who was found at an address: a seed may have others than those that it is known by.
    ways: Vec<(SocketAddr, PeerId)>,
    known_at: Option<Mono>,
    /// The place in the list of whom to tell next.
    told: usize,
}

impl Discovery {
    /// Begins, if a configuration asks for it.
    pub(super) fn begin(network: &Network, now: Mono, host: &mut dyn Host) -> Option<Box<Discovery>> {
        if !network.discovers() {
            return None;
        }
        let mut has_group = false;
        if let Some((group, interface, ttl)) = network.group {
            match host.join_group(group, interface, ttl) {
                Ok(()) => has_group = true,
                Err(error) => activity!(Error, "fleet: cannot listen to multicast_group {group}: {error}"),
            }
        }
        let seed = |place: &crate::config::datatypes::FleetPlace| Seed {
            host: place.host.clone(),
            port: place.port.unwrap_or(network.port),
        };
        Some(Box::new(Discovery {
            announce_at: has_group.then_some(now),
            seeds: network.seeds.iter().map(seed).collect(),
            seeds_at: (!network.seeds.is_empty()).then_some(now),
            known_at: Some(now.after(KNOWN_TIME)),
            ..Discovery::default()
        }))
    }

    /// Somebody may be there.
    fn hint(&mut self, address: SocketAddr, identifier: Option<&str>, at: Mono) {
        let is_known = self.own.contains(&address) || self.hints.iter().any(|hint| hint.address == address);
        let is_of_it = |hint: &&Hint| identifier.is_some() && hint.identifier.as_deref() == identifier;
        let has_room = self.hints.len() < HINTS_MAX && self.hints.iter().filter(is_of_it).count() < HINTS_OF_ONE_MAX;
        if !is_known && has_room {
            let identifier = identifier.map(str::to_string);
            self.hints.push(Hint { address, identifier, at, tries: 0, conn: None });
        }
    }

    fn deadline(&self) -> Option<Mono> {
        let hints = self.hints.iter().filter(|hint| hint.conn.is_none()).map(|hint| hint.at).min();
        earliest(&[self.announce_at, self.seeds_at, self.known_at, hints])
    }
}

impl Peers {
    /// When there is something to be done about those that are not known yet.
    pub(super) fn discovery_deadline(&self) -> Option<Mono> {
        self.net.as_ref()?.discovery.as_ref()?.deadline()
    }

    /// Somebody has said something to the group.
    pub fn told_group(&mut self, from: SocketAddr, bytes: &[u8], now: Now) {
        let Some(net) = &mut self.net else { return };
        let Some(discovery) = &mut net.discovery else { return };
        let Some(said) = Announcement::read(bytes, &net.me.key) else {
            let text = if is_ours(bytes) {
                "announces itself with another secret"
            } else {
                "says to multicast_group what no instance says"
            };
            return net.complaints.tell(&from.to_string(), now.mono, text);
        };
        // Ourselves.
        if said.boot == net.me.boot || said.identifier == net.me.identifier {
            return;
        }
        let address = match said.place.as_str() {
            "" => SocketAddr::new(from.ip(), said.port),
            place => place.parse().unwrap_or(SocketAddr::new(from.ip(), said.port)),
        };
        match self.all.iter_mut().find(|entry| entry.identifier == said.identifier) {
            // It may have another address than when it was seen last.
            Some(entry) => {
                let is_lost = entry.stream.is_none() && entry.attempt.is_none() && !entry.is_isolated;
                if is_lost && entry.is_found {
                    entry.address = Some(address);
                }
                if is_lost && entry.boot != Some(said.boot) && !entry.dead.contains(&said.boot) {
                    let soon = now.mono.after(super::streams::RECONNECT_LEAST);
                    entry.retry_at = Some(entry.retry_at.map_or(soon, |at| at.min(soon)));
                }
            }
            None => {
                // Who has the smaller name comes first, as with those of the list.
                let is_ours = net.me.identifier < said.identifier;
                let pause = if is_ours { Duration::ZERO } else { super::streams::COURTESY };
                discovery.hint(address, Some(&said.identifier), now.mono.after(pause));
            }
        }
        net.due = Some(Mono(0));
    }

    /// Addresses of a name were found: those of seeds are tried.
    pub(super) fn found_seeds(&mut self, (name, addresses): &Found, now: Now) {
        let Some(discovery) = self.net.as_mut().and_then(|net| net.discovery.as_mut()) else { return };
        let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']') == name;
        let all = &self.all;
        let is_open = |peer: PeerId| all.get(peer.0 as usize).is_some_and(|entry| entry.stream.is_some());
        let ports: Vec<u16> = discovery.seeds.iter().filter(|seed| bare(&seed.host)).map(|seed| seed.port).collect();
        for port in ports {
            for address in addresses.iter().map(|address| SocketAddr::new(*address, port)) {
                let is_known = self
                    .all
                    .iter()
                    .any(|entry| entry.address == Some(address) && (entry.stream.is_some() || entry.attempt.is_some()));
                let leads_to = discovery.ways.iter().find(|(at, _)| *at == address);
                if !is_known && !leads_to.is_some_and(|(_, peer)| is_open(*peer)) {
                    discovery.hint(address, None, now.mono);
                }
            }
        }
    }

    /// Addresses of a name were found: those whose host it is have them.
    pub(super) fn found(&mut self, (name, addresses): &Found) {
        let Some(net) = &mut self.net else { return };
        let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']') == name;
        for entry in self.all.iter_mut().filter(|entry| !entry.is_found && bare(&entry.host)) {
            match choose(addresses, net.is_v6) {
                Some(address) => entry.address = Some(SocketAddr::new(address, entry.port)),
                None if entry.address.is_none() && !std::mem::replace(&mut entry.is_unknown, true) => {
                    let who = &entry.identifier;
                    activity!(Warn, "fleet: {who} has no address that is known here; it has to come by itself");
                }
                None => {}
            }
        }
    }

    /// Does what is due.
    pub(super) fn discover(&mut self, now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        let Some(discovery) = &mut net.discovery else { return };
        let is_due = |at: Option<Mono>| at.is_some_and(|at| at <= now.mono);
        if is_due(discovery.announce_at) {
            let pause = FIRST_PAUSES.get(discovery.announced).copied().unwrap_or(ANNOUNCE_TIME);
            discovery.announced = discovery.announced.saturating_add(1);
            discovery.announce_at = Some(now.mono.after(pause));
            let said = Announcement {
                identifier: net.me.identifier.clone(),
                boot: net.me.boot,
                port: net.port,
                place: net.me.place.clone(),
            };
            match host.tell_group(&said.write(&net.me.key)) {
                Ok(()) => discovery.has_failed = false,
                Err(error) if !std::mem::replace(&mut discovery.has_failed, true) => {
                    activity!(Warn, "fleet: cannot say anything to multicast_group: {error}");
                }
                Err(_) => {}
            }
        }
        if is_due(discovery.seeds_at) {
            discovery.seeds_at = Some(now.mono.after(SEED_TIME));
            discovery.seeds.iter().for_each(|seed| net.names.want(&seed.host, now.mono));
        }
        let tells = is_due(discovery.known_at);
        if tells {
            discovery.known_at = Some(now.mono.after(KNOWN_TIME));
            discovery.told = (discovery.told + 1) % self.all.len().max(1);
        }
        let (first, count) = (discovery.told, self.all.len());
        self.follow_hints(now, host);
        if tells {
            let next = (0..count).map(|at| PeerId(((first + at) % count) as u32));
            if let Some(peer) = next.into_iter().find(|peer| self.all[peer.0 as usize].stream.is_some()) {
                self.tell_known(peer);
            }
        }
    }

    /// Connects to where somebody may be.
    fn follow_hints(&mut self, now: Now, host: &mut dyn Host) {
        let Some(net) = &mut self.net else { return };
        let Some(discovery) = &mut net.discovery else { return };
        let all = &self.all;
        let is_met = |hint: &Hint| {
            all.iter().any(|entry| {
                let is_it = hint.identifier.as_ref() == Some(&entry.identifier) || entry.address == Some(hint.address);
                is_it && (entry.stream.is_some() || entry.attempt.is_some() || entry.is_isolated)
            })
        };
        // Those that are not due yet are looked at then.
        let stays = |hint: &Hint| hint.at > now.mono || (hint.tries < TRIES_MAX && !is_met(hint));
        discovery.hints.retain(|hint| hint.conn.is_some() || stays(hint));
        let mut begun = Vec::new();
        for hint in discovery.hints.iter_mut().filter(|hint| hint.conn.is_none() && hint.at <= now.mono) {
            hint.tries += 1;
            hint.at = now.mono.after(TRY_PAUSE * 2_u32.pow(hint.tries.min(TRIES_MAX)));
            hint.conn = host.connect(hint.address).ok();
            begun.extend(hint.conn.map(|conn| (conn, hint.address)));
        }
        for (conn, address) in begun {
            net.connect(conn, address, None, now, host);
        }
    }

    /// An attempt is over.
    pub(super) fn hint_ended(&mut self, conn: ConnId, now: Now) {
        let Some(discovery) = self.net.as_mut().and_then(|net| net.discovery.as_mut()) else { return };
        if let Some(hint) = discovery.hints.iter_mut().find(|hint| hint.conn == Some(conn)) {
            hint.conn = None;
            hint.at = now.mono.after(TRY_PAUSE * 2_u32.pow(hint.tries.min(TRIES_MAX)));
        }
    }

    /// An attempt has led to somebody: where that was.
    pub(super) fn hint_met(&mut self, conn: ConnId) -> Option<SocketAddr> {
        let discovery = self.net.as_mut()?.discovery.as_mut()?;
        let at = discovery.hints.iter().position(|hint| hint.conn == Some(conn))?;
        Some(discovery.hints.swap_remove(at).address)
    }

    /// An attempt has led to ourselves.
    pub(super) fn hint_is_own(&mut self, conn: ConnId) {
        let Some(address) = self.hint_met(conn) else { return };
        if let Some(discovery) = self.net.as_mut().and_then(|net| net.discovery.as_mut())
            && discovery.own.len() < OWN_MAX
        {
            discovery.own.push(address);
        }
    }

    /// Who was found at an address, so that nobody is looked for there as long as that one is there.
    pub(super) fn remember_way(&mut self, at: Option<SocketAddr>, peer: PeerId) {
        let Some(ways) = self.net.as_mut().and_then(|net| net.discovery.as_mut()).map(|it| &mut it.ways) else {
            return;
        };
        let Some(at) = at else { return };
        match ways.iter().position(|(known, _)| *known == at) {
            Some(place) => ways[place].1 = peer,
            None if ways.len() < WAYS_MAX => ways.push((at, peer)),
            None => {}
        }
    }

    /// The place in the list of somebody who says who it is; it gets one, if others than those of the list may come.
    ///
    /// Errors: why it is not spoken to.
    pub(super) fn place_of(&mut self, hello: &Hello, at: Option<SocketAddr>, now: Now) -> Result<PeerId, String> {
        let place = self.all.iter().position(|entry| entry.identifier == hello.identifier);
        let Some(net) = &mut self.net else { return Err(String::new()) };
        if let Some(place) = place {
            let entry = &self.all[place];
            if !entry.nick.is_empty() && !hello.nick.is_empty() && entry.nick != hello.nick {
                let text = format_args!("calls itself {}, and is {} here", hello.nick, entry.nick);
                net.complaints.tell(&entry.identifier, now.mono, text);
            }
            return Ok(PeerId(place as u32));
        }
        if net.discovery.is_none() {
            return Err(format!("{} is not in supvisors_list", hello.identifier));
        }
        if let Some(other) = self.all.iter().find(|entry| entry.nick == hello.nick) {
            return Err(format!("{} has the nick {} of {}", hello.identifier, hello.nick, other.identifier));
        }
        if self.all.len() >= INSTANCES_MAX {
            return Err(format!("there are {INSTANCES_MAX} instances without {}", hello.identifier));
        }
        let Some(who) = Instance::named(&hello.identifier, &hello.nick) else {
            return Err("it has a name that no instance can have".to_string());
        };
        activity!(Info, "fleet: {} joins the list", who.identifier);
        let peer = PeerId(self.all.len() as u32);
        let port = net.shared_port.unwrap_or(who.port);
        let mut entry = Peer::new(who.identifier.clone(), who.nick.clone());
        (entry.host, entry.port, entry.is_found) = (who.host.clone(), port, true);
        entry.address = hello.place.parse().ok().or(at.map(|at| SocketAddr::new(at.ip(), port)));
        net.membership.add(&who.identifier);
        self.all.push(entry);
        self.news.push(PeerNews::Joined { peer, who });
        self.tell_of_newcomer(peer);
        Ok(peer)
    }

    /// Says to all that there is one more.
    fn tell_of_newcomer(&mut self, newcomer: PeerId) {
        let Some(body) = self.known([newcomer].into_iter()) else { return };
        let others: Vec<PeerId> = self.others().filter(|peer| *peer != newcomer).collect();
        for peer in others {
            // Who has no stream hears of it when it gets one.
            let _ = self.send(peer, Kind::Known, &body);
        }
    }

    /// Says to one whom we know.
    pub(super) fn tell_known(&mut self, peer: PeerId) {
        let all = self.others().filter(|other| *other != peer).collect::<Vec<_>>();
        if let Some(body) = self.known(all.into_iter()) {
            // Without room for it there is a next time.
            let _ = self.send(peer, Kind::Known, &body);
        }
    }

    /// A frame that says who and where some are; `None` where nobody wants to know.
    fn known(&self, peers: impl Iterator<Item = PeerId>) -> Option<Vec<u8>> {
        self.net.as_ref()?.discovery.as_ref()?;
        let entries = peers.filter_map(|peer| self.all.get(peer.0 as usize));
        let known: Vec<(&str, SocketAddr)> =
            entries.filter_map(|entry| Some((entry.identifier.as_str(), entry.address?))).collect();
        let mut body = Vec::new();
        push_varint(&mut body, known.len() as u64);
        for (identifier, address) in &known {
            push_text(&mut body, identifier);
            push_text(&mut body, &address.to_string());
        }
        (!known.is_empty() && body.len() <= KNOWN_BYTES_MAX).then_some(body)
    }

    /// Somebody says whom it knows.
    pub(super) fn hear_known(&mut self, body: &[u8], now: Now) {
        let Some(net) = &mut self.net else { return };
        let Some(discovery) = &mut net.discovery else { return };
        let mut reader = Reader::new(body);
        let Ok(count) = reader.number::<usize>() else { return };
        for _ in 0..count.min(INSTANCES_MAX) {
            if discovery.hints.len() >= HINTS_MAX {
                break;
            }
            let Ok((identifier, address)) =
                reader.text(NAME_BYTES_MAX).and_then(|name| Ok((name, reader.text(NAME_BYTES_MAX)?)))
            else {
                return;
            };
            let is_known =
                identifier == net.me.identifier || self.all.iter().any(|entry| entry.identifier == identifier);
            if let (false, Ok(address)) = (is_known, address.parse::<SocketAddr>()) {
                let pause =
                    if net.me.identifier.as_str() < identifier { Duration::ZERO } else { super::streams::COURTESY };
                discovery.hint(address, Some(identifier), now.mono.after(pause));
            }
        }
        net.due = Some(Mono(0));
    }
}

/// What we say of where we are reached; nothing where the others see that themselves.
pub(super) fn place_text(network: &Network) -> String {
    network.advertised.as_ref().map_or(String::new(), |place| {
        let is_number = place.host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
        // A name would have to be looked up by all.
        if is_number { format!("{}:{}", place.host, place.port.unwrap_or(network.port)) } else { String::new() }
    })
}
