//! Who of the fleet is there: SWIM with suspicion, by foca, without sockets and clocks.
//!
//! An instance is known by its name, its run (the boot id) and a *life* within the names' history: whoever was taken for
//! dead and is not goes on with a higher life, and a new run begins with one above all that the others know of its name.
//! Boot ids tell runs apart, lives tell which of two is the later. What must be known of lives others say first over a
//! new stream ([`Membership::life_for`], [`Membership::outlive`]).
//!
//! Besides what datagrams say, two things are known from streams: that somebody is there who has just proven who it is
//! ([`Membership::met`]), and that somebody is gone whose stream has ended and who does not answer ([`Membership::gone`]).

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU8, NonZeroUsize};
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BufMut};
use foca::{
    Codec, Config, Foca, Header, Identity, Member, Message, NoCustomBroadcast, Notification, PeriodicParams, Runtime,
    State, Timer,
};

use crate::clock::Mono;
use crate::wire::fleet::codec::{Malformed, Reader, push_text, push_varint};
use crate::wire::fleet::datagram::DATAGRAM_BODY_MAX;
use crate::wire::fleet::hello::NAME_BYTES_MAX;

/// Bytes of a message: a datagram, less a byte that says that it is one of these.
const MESSAGE_BYTES_MAX: usize = DATAGRAM_BODY_MAX - 1;

/// How fast it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time between two probes.
    pub probe: Duration,
    /// Time that an answer may take.
    pub answer: Duration,
    /// Time between suspicion and the end.
    pub suspicion: Duration,
}

impl Pace {
    /// Silence is noticed within four to six seconds.
    pub const NORMAL: Pace =
        Pace { probe: Duration::from_secs(1), answer: Duration::from_millis(500), suspicion: Duration::from_secs(3) };

    /// Within two, for networks that lose little.
    pub const FAST: Pace = Pace {
        probe: Duration::from_millis(500),
        answer: Duration::from_millis(150),
        suspicion: Duration::from_secs(1),
    };

    fn config(self) -> Config {
        let periodic = |millis, members| {
            let num_members = NonZeroUsize::new(members).unwrap_or(NonZeroUsize::MIN);
            Some(PeriodicParams { frequency: Duration::from_millis(millis), num_members })
        };
        Config {
            probe_period: self.probe,
            probe_rtt: self.answer,
            num_indirect_probes: NonZeroUsize::new(3).unwrap_or(NonZeroUsize::MIN),
            max_transmissions: NonZeroU8::new(10).unwrap_or(NonZeroU8::MIN),
            suspect_to_down_after: self.suspicion,
            // As long as somebody may still speak of it.
            remove_down_after: Some(Duration::from_secs(24 * 3600)),
            max_packet_size: NonZeroUsize::new(MESSAGE_BYTES_MAX).unwrap_or(NonZeroUsize::MIN),
            notify_down_members: true,
            periodic_announce: periodic(2_000, 2),
            periodic_announce_to_down_members: periodic(10_000, 1),
            periodic_gossip: periodic(200, 3),
        }
    }
}

/// An instance in one of its lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// As all configurations name it: `host:port`.
    pub name: Rc<str>,
    /// Which run of the daemon this is: another one each time it starts.
    pub boot: u64,
    /// Which life this is.
    pub life: u32,
}

impl Identity for Node {
    type Addr = Rc<str>;

    fn renew(&self) -> Option<Node> {
        Some(Node { life: self.life.checked_add(1)?, ..self.clone() })
    }

    fn addr(&self) -> Rc<str> {
        self.name.clone()
    }

    fn win_addr_conflict(&self, adversary: &Node) -> bool {
        (self.life, self.boot) > (adversary.life, adversary.boot)
    }
}

/// What the owner has to do, or to know, after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Something is to be sent to an instance.
    Send {
        /// The instance, in the life that we know of.
        to: Node,
        /// A message of foca, for the body of one datagram.
        bytes: Vec<u8>,
        /// Whether it is a question that only this one answers.
        is_question: bool,
    },
    /// An instance is there, in this run.
    Up(Node),
    /// It is not there any more.
    Down(Node),
    /// We live on in a higher life than the others believed.
    Renewed,
}

/// What foca says while it works.
#[derive(Default)]
struct Heard {
    now: Mono,
    effects: Vec<Effect>,
    timers: Vec<(Mono, Timer<Node>)>,
}

impl Runtime<Node> for &mut Heard {
    fn notify(&mut self, notification: Notification<'_, Node>) {
        match notification {
            Notification::MemberUp(node) => self.effects.push(Effect::Up(node.clone())),
            Notification::MemberDown(node) => self.effects.push(Effect::Down(node.clone())),
            // Of two that are both there the later run takes the place; the same run in a later life never went.
            Notification::Rename(before, after) if before.boot != after.boot => {
                self.effects.push(Effect::Down(before.clone()));
                self.effects.push(Effect::Up(after.clone()));
            }
            Notification::Rejoin(_) => self.effects.push(Effect::Renewed),
            Notification::Rename(..) | Notification::Active | Notification::Idle | Notification::Defunct => {}
        }
    }

    fn send_to(&mut self, to: Node, data: &[u8]) {
        let is_question = data.first() == Some(&TAG_PING);
        self.effects.push(Effect::Send { to, bytes: data.to_vec(), is_question });
    }

    fn submit_after(&mut self, event: Timer<Node>, after: Duration) {
        self.timers.push((self.now.after(after), event));
    }
}

/// A generator whose every number follows from its seed, so that a run can be repeated (SplitMix64).
struct Chance(u64);

impl rand::TryRng for Chance {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.try_next_u64().map(|number| (number >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ (mixed >> 31))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in out.chunks_mut(8) {
            let number = self.try_next_u64()?.to_be_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
        Ok(())
    }
}

/// Who is there, as this instance sees it.
pub struct Membership {
    foca: Foca<Node, Bodies, Chance, NoCustomBroadcast>,
    heard: Heard,
    /// All instances, this one among them.
    names: BTreeSet<Rc<str>>,
    /// In their order, one of a kind for a name; the number keeps those of one moment apart.
    timers: BTreeMap<(Mono, u64), Timer<Node>>,
    next_timer: u64,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.foca.iter_members()).finish()
    }
}

impl Membership {
    /// This instance of those names, alone for now. From the same seed and the same inputs the same follows.
    pub fn new<'a>(name: &str, names: impl Iterator<Item = &'a str>, boot: u64, pace: Pace, seed: u64) -> Membership {
        let own = Node { name: name.into(), boot, life: 1 };
        let foca = Foca::new(own, pace.config(), Chance(seed), Bodies);
        let names = names.map(Rc::from).collect();
        Membership { foca, heard: Heard::default(), names, timers: BTreeMap::new(), next_timer: 0 }
    }

    /// Has foca do something; what it cannot do changes nothing.
    fn have<R>(
        &mut self,
        now: Mono,
        work: impl FnOnce(&mut Foca<Node, Bodies, Chance, NoCustomBroadcast>, &mut Heard) -> R,
    ) {
        self.heard.now = now;
        work(&mut self.foca, &mut self.heard);
        for (at, timer) in std::mem::take(&mut self.heard.timers) {
            self.schedule(at, timer);
        }
        // foca 2.0 tells a suspect that it is taken for dead even where it has refuted that meanwhile. It would take up a
        // new life for nothing.
        let foca = &self.foca;
        let is_active = |node: &Node| foca.iter_members().any(|member| member.id() == node);
        self.heard.effects.retain(|effect| match effect {
            Effect::Send { to, bytes, .. } => bytes.first() != Some(&TAG_TURN_UNDEAD) || !is_active(to),
            _ => true,
        });
    }

    /// Keeps a timer. One that was set before of this kind for this name was for a life, a suspicion or a probe that is over,
    /// and would do nothing; kept, those that wait for a day would be as many as somebody makes of them.
    fn schedule(&mut self, at: Mono, timer: Timer<Node>) {
        let before = self.timers.iter().find(|(_, other)| are_alike(other, &timer));
        match before.map(|(key, other)| (*key, *other == timer)) {
            Some((_, true)) => return,
            Some((key, false)) => drop(self.timers.remove(&key)),
            None => {}
        }
        self.timers.insert((at, self.next_timer), timer);
        self.next_timer += 1;
    }

    /// There is one more instance, of which nothing is known yet.
    pub fn add(&mut self, name: &str) {
        self.names.insert(name.into());
    }

    /// What follows from all that was told since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.heard.effects)
    }

    /// When there is something to do.
    pub fn deadline(&self) -> Option<Mono> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Does what is due.
    pub fn turn(&mut self, now: Mono) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            let timer = entry.remove();
            self.have(now, |foca, heard| foca.handle_timer(timer, heard).is_ok());
        }
    }

    /// What another instance has sent, which has proven who it is. What it says of names that are not in the list is passed
    /// over: lists may differ for a while, and whatever is remembered is bounded by ours.
    pub fn receive(&mut self, bytes: &[u8], now: Mono) {
        let Some(bytes) = about_known(bytes, &self.names) else { return };
        self.have(now, |foca, heard| foca.handle_data(&bytes, heard).is_ok());
    }

    /// The life in which an instance with that boot id has to be at least to be believed.
    pub fn life_for(&self, name: &str, boot: u64) -> u32 {
        let known = self.foca.iter_membership_state().find(|member| &*member.id().name == name);
        known.map_or(0, |member| {
            let (node, is_over) = (member.id(), member.state() == State::Down);
            if is_over || node.boot != boot { node.life.saturating_add(1) } else { node.life }
        })
    }

    /// The life that this instance is in.
    pub fn own_life(&self) -> u32 {
        self.foca.identity().life
    }

    /// Others know of lives of ours up to this one, which is not over, or of an earlier run.
    pub fn outlive(&mut self, life: u32, now: Mono) {
        if self.own_life() < life {
            let next = Node { life, ..self.foca.identity().clone() };
            self.have(now, |foca, heard| foca.change_identity(next, heard).is_ok());
        }
    }

    /// An instance is there: it has just proven it.
    pub fn met(&mut self, name: &str, boot: u64, life: u32, now: Mono) {
        let node = Node { name: name.into(), boot, life };
        self.have(now, |foca, heard| foca.apply_many([Member::alive(node)].into_iter(), true, heard).is_ok());
    }

    /// A run of an instance is over: its stream has ended, and it does not answer.
    pub fn gone(&mut self, name: &str, boot: u64, now: Mono) {
        let known = self.foca.iter_members().find(|member| &*member.id().name == name && member.id().boot == boot);
        let Some(node) = known.map(|member| member.id().clone()) else { return };
        self.have(now, |foca, heard| foca.apply_many([Member::down(node)].into_iter(), true, heard).is_ok());
    }

    /// Whether a run of an instance is taken for being there.
    #[cfg(test)]
    pub fn is_there(&self, name: &str, boot: u64) -> bool {
        self.foca.iter_members().any(|member| &*member.id().name == name && member.id().boot == boot)
    }
}

/// Whether two timers are of one kind and for one name.
fn are_alike(one: &Timer<Node>, other: &Timer<Node>) -> bool {
    let name = |timer: &Timer<Node>| match timer {
        Timer::SendIndirectProbe { probed_id: node, .. }
        | Timer::ChangeSuspectToDown { member_id: node, .. }
        | Timer::RemoveDown(node) => Some(node.name.clone()),
        _ => None,
    };
    std::mem::discriminant(one) == std::mem::discriminant(other) && name(one) == name(other)
}

/// A message without what it says of others than these; `None` if it is from another, or none at all. Of what follows the
/// header there is a count and so many members.
fn about_known(bytes: &[u8], names: &BTreeSet<Rc<str>>) -> Option<Vec<u8>> {
    let mut rest = bytes;
    let header = Bodies.decode_header(&mut rest).ok().filter(|header| names.contains(&header.src.name))?;
    let (head, body) = bytes.split_at_checked(bytes.len() - rest.len())?;
    let Some((count, mut rest)) = body.split_first_chunk::<2>().filter(|_| header.message != Message::Broadcast) else {
        return Some(bytes.to_vec());
    };
    let (mut known, mut members) = (0_u16, Vec::with_capacity(body.len()));
    for _ in 0..u16::from_be_bytes(*count) {
        let before = rest;
        let member = Bodies.decode_member(&mut rest).ok()?;
        if names.contains(&member.id().name) {
            known += 1;
            members.extend_from_slice(before.get(..before.len() - rest.len())?);
        }
    }
    Some([head, &known.to_be_bytes(), &members, rest].concat())
}

/// Whether a message answers a question.
pub fn is_answer(bytes: &[u8]) -> bool {
    bytes.first() == Some(&TAG_ACK)
}

/// The messages of foca as bytes. The first is what a message is, so that a question can be told without reading it.
struct Bodies;

const TAG_PING: u8 = 0;
const TAG_ACK: u8 = 1;
const TAG_PING_REQ: u8 = 2;
const TAG_INDIRECT_PING: u8 = 3;
const TAG_INDIRECT_ACK: u8 = 4;
const TAG_FORWARDED_ACK: u8 = 5;
const TAG_ANNOUNCE: u8 = 6;
const TAG_FEED: u8 = 7;
const TAG_GOSSIP: u8 = 8;
const TAG_BROADCAST: u8 = 9;
const TAG_TURN_UNDEAD: u8 = 10;

/// Why a message of the membership is none.
#[derive(Debug)]
enum BadBody {
    Malformed,
    NoRoom,
}

impl std::fmt::Display for BadBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BadBody::Malformed => "malformed",
            BadBody::NoRoom => "no room",
        })
    }
}

impl std::error::Error for BadBody {}

impl From<Malformed> for BadBody {
    fn from(_: Malformed) -> BadBody {
        BadBody::Malformed
    }
}

fn push_node(out: &mut Vec<u8>, node: &Node) {
    push_text(out, &node.name);
    out.extend_from_slice(&node.boot.to_be_bytes());
    push_varint(out, u64::from(node.life));
}

fn read_node(reader: &mut Reader<'_>) -> Result<Node, Malformed> {
    Ok(Node { name: reader.text(NAME_BYTES_MAX)?.into(), boot: reader.fixed()?, life: reader.number()? })
}

/// Puts it whole, or not at all.
fn put(bytes: &[u8], mut buf: impl BufMut) -> Result<(), BadBody> {
    if buf.remaining_mut() < bytes.len() {
        return Err(BadBody::NoRoom);
    }
    buf.put_slice(bytes);
    Ok(())
}

/// Reads one thing off the front.
fn get<T>(mut buf: impl Buf, read: impl FnOnce(&mut Reader<'_>) -> Result<T, BadBody>) -> Result<T, BadBody> {
    let mut reader = Reader::new(buf.chunk());
    let value = read(&mut reader)?;
    let used = buf.chunk().len() - reader.rest().len();
    buf.advance(used);
    Ok(value)
}

impl Codec<Node> for Bodies {
    type Error = BadBody;

    fn encode_header(&mut self, header: &Header<Node>, buf: impl BufMut) -> Result<(), BadBody> {
        let (tag, number, about) = match &header.message {
            Message::Ping(number) => (TAG_PING, *number, None),
            Message::Ack(number) => (TAG_ACK, *number, None),
            Message::PingReq { target, probe_number } => (TAG_PING_REQ, *probe_number, Some(target)),
            Message::IndirectPing { origin, probe_number } => (TAG_INDIRECT_PING, *probe_number, Some(origin)),
            Message::IndirectAck { target, probe_number } => (TAG_INDIRECT_ACK, *probe_number, Some(target)),
            Message::ForwardedAck { origin, probe_number } => (TAG_FORWARDED_ACK, *probe_number, Some(origin)),
            Message::Announce => (TAG_ANNOUNCE, 0, None),
            Message::Feed => (TAG_FEED, 0, None),
            Message::Gossip => (TAG_GOSSIP, 0, None),
            Message::Broadcast => (TAG_BROADCAST, 0, None),
            Message::TurnUndead => (TAG_TURN_UNDEAD, 0, None),
        };
        let mut out = vec![tag, number];
        push_node(&mut out, &header.src);
        push_varint(&mut out, u64::from(header.src_incarnation));
        push_node(&mut out, &header.dst);
        about.into_iter().for_each(|node| push_node(&mut out, node));
        put(&out, buf)
    }

    fn decode_header(&mut self, buf: impl Buf) -> Result<Header<Node>, BadBody> {
        get(buf, |reader| {
            let (tag, probe_number) = (reader.byte()?, reader.byte()?);
            let (src, src_incarnation, dst) = (read_node(reader)?, reader.number()?, read_node(reader)?);
            let message = match tag {
                TAG_PING => Message::Ping(probe_number),
                TAG_ACK => Message::Ack(probe_number),
                TAG_PING_REQ => Message::PingReq { target: read_node(reader)?, probe_number },
                TAG_INDIRECT_PING => Message::IndirectPing { origin: read_node(reader)?, probe_number },
                TAG_INDIRECT_ACK => Message::IndirectAck { target: read_node(reader)?, probe_number },
                TAG_FORWARDED_ACK => Message::ForwardedAck { origin: read_node(reader)?, probe_number },
                TAG_ANNOUNCE => Message::Announce,
                TAG_FEED => Message::Feed,
                TAG_GOSSIP => Message::Gossip,
                TAG_BROADCAST => Message::Broadcast,
                TAG_TURN_UNDEAD => Message::TurnUndead,
                _ => return Err(BadBody::Malformed),
            };
            Ok(Header { src, src_incarnation, dst, message })
        })
    }

    fn encode_member(&mut self, member: &Member<Node>, buf: impl BufMut) -> Result<(), BadBody> {
        let mut out = vec![match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        }];
        push_node(&mut out, member.id());
        push_varint(&mut out, u64::from(member.incarnation()));
        put(&out, buf)
    }

    fn decode_member(&mut self, buf: impl Buf) -> Result<Member<Node>, BadBody> {
        get(buf, |reader| {
            let state = match reader.byte()? {
                0 => State::Alive,
                1 => State::Suspect,
                2 => State::Down,
                _ => return Err(BadBody::Malformed),
            };
            Ok(Member::new(read_node(reader)?, reader.number()?, state))
        })
    }
}

#[cfg(test)]
mod tests;
