//! The other instances of the fleet, and what is said to them and by them.
//!
//! Here is who can be reached and what has come; what is said, and what follows from it, is for others. Each frame that is
//! sent arrives whole and once, in the order of sending, or its stream ends: then [`PeerNews::Up`] tells when a new one is
//! there, or [`PeerNews::Down`] that the instance is gone.
//!
//! Each instance keeps a stream to each other one ([`streams`]), made by whoever comes first; beside them go datagrams
//! ([`datagrams`]), by which the membership finds out who is still there. Who stands in no list is found by [`discovery`].
//! A stream that ends is no proof that somebody is
//! gone: one probe has to be without an answer, too.

mod begin;
mod complaints;
mod datagrams;
mod discovery;
mod due;
mod meeting;
mod names;
mod streams;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::clock::Mono;
use crate::config::fleet::{Instance, Supvisors};
use crate::id::{ConnId, IdMap, PeerId};
use crate::model::fleet::membership::{Membership, Pace};
use crate::model::fleet::session::Me;
pub use crate::wire::fleet::Kind;
use crate::wire::fleet::datagram::Window;
pub use crate::wire::fleet::frame::BODY_BYTES_MAX;
use crate::wire::fleet::frame::frame_bytes;
use crate::wire::fleet::key::Key;
use complaints::Complaints;
use discovery::Discovery;
use names::Names;
use streams::Stream;

pub use streams::{PATH, PROTOCOL};

/// Bytes that wait for one instance: a snapshot of all that an instance knows of itself, with room for what comes after.
pub const QUEUE_BYTES_MAX: usize = 1024 * 1024 + 64 * 1024;

/// Runs of an instance that are remembered as over: nobody is restarted so often that an older one could still speak.
const DEAD_RUNS_MAX: usize = 8;

/// What happens to instances, and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerNews {
    /// An instance can be spoken to. It is told again without a `Down` between when it is reached anew: whatever was said
    /// before may have been lost, in both directions, so that reports begin with all that there is.
    Up {
        /// The instance that it is about.
        peer: PeerId,
        /// What distinguishes this run of it from others.
        boot: u64,
    },
    /// An instance is gone.
    Down {
        /// The instance that it is about.
        peer: PeerId,
    },
    /// An instance says something.
    Frame {
        /// The instance that it is about.
        peer: PeerId,
        /// Which reader the body is for.
        kind: Kind,
        /// What, not looked into.
        body: Vec<u8>,
    },
    /// There is one more instance, behind all others: it is in no list, and was found.
    Joined {
        /// The number that it has from here on.
        peer: PeerId,
        /// Who that is.
        who: Instance,
    },
    /// There is room again for an instance to which something was [`NotSent::Full`].
    Room {
        /// The instance that it is about.
        peer: PeerId,
    },
}

/// Why something was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The instance cannot be reached.
    NoStream,
    /// Too much waits for it. What was dropped of reports is made good by a snapshot when there is [`PeerNews::Room`]; for
    /// anything but a report the stream is ended, so that nobody believes that it was said.
    Full,
    /// It has more than [`BODY_BYTES_MAX`] bytes.
    TooLong,
}

/// How it stands with an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// It cannot be reached, and is tried again.
    #[default]
    None,
    /// It is being connected to, or proves who it is.
    Connecting,
    /// It can be spoken to.
    Up,
    /// Options that have to agree do not: it is not spoken to, by either side, until this one begins anew.
    Isolated,
}

/// What is known of one instance.
#[derive(Debug)]
struct Peer {
    /// As it is configured: `host:port`.
    identifier: String,
    /// Its short name, by which people call it.
    nick: String,
    /// What its address is looked up by, and the port it is reached at.
    host: String,
    port: u16,
    /// It stands in no list: its address is where it was found.
    is_found: bool,
    /// Nobody knows its host, which was told.
    is_unknown: bool,
    /// Where it is reached; `None` as long as nobody knows.
    address: Option<SocketAddr>,
    /// The stream that is spoken over.
    stream: Option<ConnId>,
    /// One that is being made by us.
    attempt: Option<ConnId>,
    /// When the next is made, if there is none by then.
    retry_at: Option<Mono>,
    /// How long the attempt after that is to wait.
    pause: Duration,
    /// Its run, once it has said which.
    boot: Option<u64>,
    /// Runs that a later one has taken the place of.
    dead: VecDeque<u64>,
    /// That it is there was told.
    is_up: bool,
    /// When it counts as gone, for its stream has ended, unless it is heard of.
    confirm_at: Option<Mono>,
    /// Its options differ from ours: nobody speaks to it any more (V-51).
    is_isolated: bool,
    /// Something had no room.
    lacks_room: bool,
    /// Keys of datagrams to its run and from it.
    keys: Option<(Key, Key)>,
    /// Its datagrams that have come.
    window: Window,
    /// Questions by datagram since the last answer by one.
    unanswered: u32,
    /// It was told of that datagrams do not get through.
    is_told: bool,
}

/// The network, once it is open.
#[derive(Debug)]
struct Net {
    me: Me,
    pace: Pace,
    membership: Membership,
    streams: IdMap<ConnId, Stream>,
    /// Streams that have something to be written, or are to be closed.
    dirty: Vec<ConnId>,
    /// Streams that are ended without writing what waits.
    doomed: Vec<ConnId>,
    /// The number of the next datagram.
    counter: u64,
    /// The state of the random numbers that pauses between two attempts are made of.
    chance: u64,
    complaints: Complaints,
    /// The port at which we are reached.
    port: u16,
    /// The port at which all are, if that is not what their identifiers say.
    shared_port: Option<u16>,
    /// Our datagrams are of IPv6.
    is_v6: bool,
    names: Names,
    /// Those who stand in no list are looked for.
    discovery: Option<Box<Discovery>>,
    /// When there is something to do.
    due: Option<Mono>,
}

/// The other instances. The list of all has a place for this one, too, which never has any news.
#[derive(Debug, Default)]
pub struct Peers {
    own: Option<PeerId>,
    all: Vec<Peer>,
    news: Vec<PeerNews>,
    net: Option<Box<Net>>,
    /// Without a network, what was sent, and how many bytes to whom.
    #[cfg(test)]
    double: testing::Double,
}

impl Peers {
    /// Those of a configuration; none for an instance that is alone.
    pub fn of(supvisors: Option<&Supvisors>) -> Peers {
        match supvisors.map(|one| &one.instances) {
            Some(instances) if instances.all.len() > 1 || supvisors.is_some_and(|one| one.network.discovers()) => {
                let names = instances.all.iter().map(|one| (one.identifier.clone(), one.nick.clone()));
                Peers::new(names, PeerId(instances.own as u32))
            }
            _ => Peers::default(),
        }
    }

    /// Instances of these names, of which this one is `own`.
    fn new(names: impl Iterator<Item = (String, String)>, own: PeerId) -> Peers {
        let all = names.map(|(identifier, nick)| Peer::new(identifier, nick)).collect();
        Peers { own: Some(own), all, ..Peers::default() }
    }

    /// This instance; `None` if it is alone.
    pub fn own(&self) -> Option<PeerId> {
        self.own
    }

    /// The other instances, reached or not, in the order of the list.
    pub fn others(&self) -> impl Iterator<Item = PeerId> {
        let own = self.own;
        (0..self.all.len() as u32).map(PeerId).filter(move |peer| Some(*peer) != own)
    }

    /// Says something to an instance. It leaves at the end of the turn.
    ///
    /// Errors: nothing was sent.
    pub fn send(&mut self, peer: PeerId, kind: Kind, body: &[u8]) -> Result<(), NotSent> {
        #[cfg(test)]
        if self.net.is_none() {
            return self.send_to_double(peer, kind, body);
        }
        let entry = self.all.get_mut(peer.0 as usize).ok_or(NotSent::NoStream)?;
        let (net, conn) = self.net.as_mut().zip(entry.stream).ok_or(NotSent::NoStream)?;
        let stream = net.streams.get_mut(&conn).ok_or(NotSent::NoStream)?;
        if body.len() > BODY_BYTES_MAX {
            return Err(NotSent::TooLong);
        }
        if stream.output.len() + frame_bytes(body.len()) > QUEUE_BYTES_MAX {
            match kind {
                Kind::Report => entry.lacks_room = true,
                // As if they had been datagrams; whom we know is told again.
                Kind::Gossip | Kind::Known => {}
                _ => {
                    net.doomed.push(conn);
                    net.due = Some(Mono(0));
                }
            }
            return Err(NotSent::Full);
        }
        if !stream.send(kind, body) {
            return Err(NotSent::NoStream);
        }
        net.dirty.push(conn);
        Ok(())
    }

    /// What has happened since the last call, in its order.
    pub fn take_news(&mut self) -> Vec<PeerNews> {
        std::mem::take(&mut self.news)
    }

    /// Says in the log what is wrong with what an instance says: seldom, however often that is.
    pub fn complain(&mut self, peer: PeerId, now: Mono, text: impl std::fmt::Display) {
        if let Some((net, entry)) = self.net.as_mut().zip(self.all.get(peer.0 as usize)) {
            net.complaints.tell(&entry.identifier, now, text);
        }
    }

    /// How it stands with an instance.
    pub fn state(&self, peer: PeerId) -> Link {
        #[cfg(test)]
        if self.net.is_none() {
            return self.link_of_double(peer);
        }
        match self.all.get(peer.0 as usize) {
            Some(entry) if entry.is_isolated => Link::Isolated,
            Some(entry) if entry.stream.is_some() => Link::Up,
            Some(entry) if entry.attempt.is_some() => Link::Connecting,
            _ => Link::None,
        }
    }

    /// Whether an instance is taken for being there, whatever its stream is about.
    pub fn is_there(&self, peer: PeerId) -> bool {
        self.all.get(peer.0 as usize).is_some_and(|entry| entry.is_up)
    }

    /// Whether datagrams do not get through to an instance, so that all goes by its stream.
    pub fn is_by_stream(&self, peer: PeerId) -> bool {
        self.all.get(peer.0 as usize).is_some_and(|entry| entry.stream.is_some() && entry.is_by_stream())
    }

    /// When there is something to do although nothing comes.
    pub fn deadline(&self) -> Option<Mono> {
        self.net.as_ref()?.due
    }
}

impl Peer {
    fn new(identifier: String, nick: String) -> Peer {
        Peer {
            identifier,
            nick,
            host: String::new(),
            port: 0,
            is_found: false,
            is_unknown: false,
            address: None,
            stream: None,
            attempt: None,
            retry_at: None,
            pause: streams::RECONNECT_LEAST,
            boot: None,
            dead: VecDeque::new(),
            is_up: false,
            confirm_at: None,
            is_isolated: false,
            lacks_room: false,
            keys: None,
            window: Window::default(),
            unanswered: 0,
            is_told: false,
        }
    }
}

/// Some instances that hear each other without any network.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// What stands for a network.
    #[derive(Debug, Default)]
    pub(super) struct Double {
        /// Who can be spoken to.
        up: BTreeSet<PeerId>,
        /// Bytes that wait for each.
        queued: BTreeMap<PeerId, usize>,
        sent: Vec<(PeerId, Kind, Vec<u8>)>,
    }

    impl Peers {
        pub(super) fn send_to_double(&mut self, peer: PeerId, kind: Kind, body: &[u8]) -> Result<(), NotSent> {
            if !self.double.up.contains(&peer) {
                return Err(NotSent::NoStream);
            }
            if body.len() > BODY_BYTES_MAX {
                return Err(NotSent::TooLong);
            }
            let queued = self.double.queued.entry(peer).or_default();
            if *queued + body.len() > QUEUE_BYTES_MAX {
                self.all[peer.0 as usize].lacks_room = true;
                return Err(NotSent::Full);
            }
            *queued += body.len();
            self.double.sent.push((peer, kind, body.to_vec()));
            Ok(())
        }

        pub(super) fn link_of_double(&self, peer: PeerId) -> Link {
            if self.double.up.contains(&peer) { Link::Up } else { Link::None }
        }
    }

    /// Each of them, in the order of the list.
    pub struct Mesh(pub Vec<Peers>);

    impl Mesh {
        /// So many that do not know of each other yet.
        pub fn new(count: usize) -> Mesh {
            let names = || (0..count).map(|at| (format!("n{at}:9001"), format!("n{at}")));
            Mesh((0..count).map(|own| Peers::new(names(), PeerId(own as u32))).collect())
        }

        /// Two of them can speak to each other from now on; the boot id of each is its place plus `run`.
        pub fn join(&mut self, one: usize, other: usize, run: u64) {
            for (here, there) in [(one, other), (other, one)] {
                let peer = PeerId(there as u32);
                self.0[here].double.up.insert(peer);
                self.0[here].double.queued.remove(&peer);
                self.0[here].news.push(PeerNews::Up { peer, boot: there as u64 + run });
            }
        }

        /// All of them hear each other.
        pub fn join_all(&mut self, run: u64) {
            let count = self.0.len();
            (0..count).for_each(|one| (0..one).for_each(|other| self.join(other, one, run)));
        }

        /// Two of them lose each other, and what was under way between them.
        pub fn cut(&mut self, one: usize, other: usize) {
            for (here, there) in [(one, other), (other, one)] {
                let peer = PeerId(there as u32);
                self.0[here].double.up.remove(&peer);
                self.0[here].double.sent.retain(|(to, ..)| *to != peer);
                self.0[here].news.push(PeerNews::Down { peer });
            }
        }

        /// Brings what was sent to where it belongs; says whether there was anything.
        pub fn deliver(&mut self) -> bool {
            let mut is_any = false;
            for from in 0..self.0.len() {
                for (to, kind, body) in std::mem::take(&mut self.0[from].double.sent) {
                    is_any = true;
                    let here = &mut self.0[from];
                    let queued = here.double.queued.entry(to).or_default();
                    *queued = queued.saturating_sub(body.len());
                    if *queued == 0 && std::mem::take(&mut here.all[to.0 as usize].lacks_room) {
                        here.news.push(PeerNews::Room { peer: to });
                    }
                    let peer = PeerId(from as u32);
                    self.0[to.0 as usize].news.push(PeerNews::Frame { peer, kind, body });
                }
            }
            is_any
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Mesh;
    use super::*;

    #[test]
    fn what_is_sent_arrives_in_order_and_only_where_somebody_is() {
        let mut mesh = Mesh::new(3);
        mesh.join(0, 1, 10);
        assert_eq!(mesh.0[0].take_news(), [PeerNews::Up { peer: PeerId(1), boot: 11 }]);
        assert_eq!(mesh.0[1].take_news(), [PeerNews::Up { peer: PeerId(0), boot: 10 }]);
        assert_eq!(mesh.0[0].send(PeerId(1), Kind::Report, b"a"), Ok(()));
        assert_eq!(mesh.0[0].send(PeerId(1), Kind::Command, b"b"), Ok(()));
        for nobody in [0, 2, 3] {
            assert_eq!(mesh.0[0].send(PeerId(nobody), Kind::Report, b"a"), Err(NotSent::NoStream), "{nobody}");
        }
        assert!(mesh.deliver());
        let frame = |kind, body: &[u8]| PeerNews::Frame { peer: PeerId(0), kind, body: body.to_vec() };
        assert_eq!(mesh.0[1].take_news(), [frame(Kind::Report, b"a"), frame(Kind::Command, b"b")]);
        mesh.cut(0, 1);
        assert_eq!(mesh.0[1].take_news(), [PeerNews::Down { peer: PeerId(0) }]);
        assert_eq!((mesh.0[0].state(PeerId(1)), mesh.0[0].own()), (Link::None, Some(PeerId(0))));
        assert_eq!(mesh.0[0].others().collect::<Vec<_>>(), [PeerId(1), PeerId(2)]);
    }

    #[test]
    fn queues_are_bounded_and_tell_when_there_is_room() {
        let mut mesh = Mesh::new(2);
        mesh.join_all(0);
        mesh.0[0].take_news();
        let half = vec![0; QUEUE_BYTES_MAX / 2];
        let sent: Vec<_> = (0..3).map(|_| mesh.0[0].send(PeerId(1), Kind::Report, &half)).collect();
        assert_eq!(sent, [Ok(()), Ok(()), Err(NotSent::Full)]);
        let long = vec![0; BODY_BYTES_MAX + 1];
        assert_eq!(mesh.0[0].send(PeerId(1), Kind::Report, &long), Err(NotSent::TooLong));
        mesh.deliver();
        assert_eq!(mesh.0[0].take_news(), [PeerNews::Room { peer: PeerId(1) }]);
    }
}
