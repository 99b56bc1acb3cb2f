//! What engines say to each other and what they keep, as bytes.

use noraft::{ClusterConfig, LogEntries, LogEntry, LogIndex, LogPosition, Message, Term};

use super::NodeId;
use crate::wire::fleet::codec::{Malformed, Reader, push_bytes, push_varint};

/// Bytes of what may be agreed on at a time.
pub const ENTRY_BYTES_MAX: usize = 4096;

/// Entries of one message or record: as many as a log has that could not be cut.
pub const ENTRIES_MAX: usize = 256;

/// Voters of a configuration: nobody has more than a few.
const VOTERS_MAX: usize = 64;

/// Bytes of what is made of all entries.
pub const SNAPSHOT_BYTES_MAX: usize = 512 * 1024;

/// What was proposed, by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Where it stands.
    pub position: LogPosition,
    /// What it is.
    pub bytes: Vec<u8>,
}

/// Where a log begins: what was made of all before, and who voted there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry that is in it.
    pub position: LogPosition,
    /// Who votes.
    pub config: ClusterConfig,
    /// What was made of all entries.
    pub bytes: Vec<u8>,
}

/// Something that one engine says to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The fleet that both belong to.
    pub fleet: u64,
    /// Whom it is for: whoever has been another one with its last file is not meant.
    pub to: NodeId,
    /// Who says it.
    pub from: NodeId,
    /// The term of who says it.
    pub term: u64,
    /// By its own clock, when who leads has said it; in an answer, what it answers.
    pub stamp: u64,
    /// What it is.
    pub what: What,
}

/// What a letter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A message of Raft, with what was proposed of its entries, and whether its sender may act.
    Raft(Message, Vec<Body>, bool),
    /// What was made of all entries so far.
    Snapshot(Snapshot),
    /// To one that does not vote: its sender leads, and may act.
    Leads,
}

/// Something that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Who this is, and the fleet that it belongs to. The first record.
    Own(NodeId, u64),
    /// The term, and for whom it has voted in it.
    Vote(u64, Option<NodeId>),
    /// Entries, in place of all that were behind the one that they follow.
    Entries(LogEntries, Vec<Body>),
    /// The log begins here.
    Snapshot(Snapshot),
}

fn push_position(out: &mut Vec<u8>, position: LogPosition) {
    push_varint(out, position.term.get());
    push_varint(out, position.index.get());
}

/// Half of all numbers are more than any log has, and what is counted on from them does not overflow.
fn read_number(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    reader.varint().ok().filter(|number| *number < u64::MAX / 2).ok_or(Malformed)
}

fn read_position(reader: &mut Reader<'_>) -> Result<LogPosition, Malformed> {
    let (term, index) = (read_number(reader)?, read_number(reader)?);
    Ok(LogPosition { term: Term::new(term), index: LogIndex::new(index) })
}

fn push_ids<'a>(out: &mut Vec<u8>, ids: impl ExactSizeIterator<Item = &'a noraft::NodeId>) {
    push_varint(out, ids.len() as u64);
    ids.for_each(|id| out.extend_from_slice(&id.get().to_be_bytes()));
}

fn push_config(out: &mut Vec<u8>, config: &ClusterConfig) {
    push_ids(out, config.voters.iter());
    push_ids(out, config.new_voters.iter());
}

fn read_config(reader: &mut Reader<'_>) -> Result<ClusterConfig, Malformed> {
    let mut config = ClusterConfig::new();
    let id = |reader: &mut Reader<'_>| reader.fixed().map(noraft::NodeId::new);
    config.voters.extend(reader.list(VOTERS_MAX, id)?);
    config.new_voters.extend(reader.list(VOTERS_MAX, id)?);
    Ok(config)
}

const ENTRY_COMMAND: u8 = 0;
const ENTRY_TERM: u8 = 1;
const ENTRY_CONFIG: u8 = 2;

fn push_entries(out: &mut Vec<u8>, entries: &LogEntries, bodies: &[Body]) {
    push_position(out, entries.prev_position());
    push_varint(out, entries.len() as u64);
    for (position, entry) in entries.iter_with_positions() {
        match entry {
            LogEntry::Command => {
                let body = bodies.iter().find(|body| body.position == position);
                out.push(ENTRY_COMMAND);
                push_bytes(out, body.map_or(&[][..], |body| &body.bytes));
            }
            LogEntry::Term(term) => {
                out.push(ENTRY_TERM);
                push_varint(out, term.get());
            }
            LogEntry::ClusterConfig(config) => {
                out.push(ENTRY_CONFIG);
                push_config(out, &config);
            }
        }
    }
}

fn read_entries(reader: &mut Reader<'_>) -> Result<(LogEntries, Vec<Body>), Malformed> {
    let mut entries = LogEntries::new(read_position(reader)?);
    let mut bodies = Vec::new();
    reader.list(ENTRIES_MAX, |reader| {
        match reader.byte()? {
            ENTRY_COMMAND => {
                let bytes = reader.bytes(ENTRY_BYTES_MAX)?.to_vec();
                entries.push(LogEntry::Command);
                bodies.push(Body { position: entries.last_position(), bytes });
            }
            ENTRY_TERM => {
                let term = Term::new(read_number(reader)?);
                // A log whose terms go back is none.
                if term < entries.last_position().term {
                    return Err(Malformed);
                }
                entries.push(LogEntry::Term(term));
            }
            ENTRY_CONFIG => entries.push(LogEntry::ClusterConfig(read_config(reader)?)),
            _ => return Err(Malformed),
        }
        Ok(())
    })?;
    Ok((entries, bodies))
}

fn push_snapshot(out: &mut Vec<u8>, snapshot: &Snapshot) {
    push_position(out, snapshot.position);
    push_config(out, &snapshot.config);
    push_bytes(out, &snapshot.bytes);
}

fn read_snapshot(reader: &mut Reader<'_>) -> Result<Snapshot, Malformed> {
    let (position, config) = (read_position(reader)?, read_config(reader)?);
    Ok(Snapshot { position, config, bytes: reader.bytes(SNAPSHOT_BYTES_MAX)?.to_vec() })
}

const TAG_VOTE_CALL: u8 = 0;
const TAG_VOTE_REPLY: u8 = 1;
const TAG_APPEND_CALL: u8 = 2;
const TAG_APPEND_REPLY: u8 = 3;
const TAG_SNAPSHOT: u8 = 4;
const TAG_LEADS: u8 = 5;

impl Letter {
    /// Its bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        [self.fleet, self.to, self.from].iter().for_each(|id| out.extend_from_slice(&id.to_be_bytes()));
        push_varint(&mut out, self.term);
        push_varint(&mut out, self.stamp);
        match &self.what {
            What::Raft(Message::RequestVoteCall { last_position, .. }, ..) => {
                out.push(TAG_VOTE_CALL);
                push_position(&mut out, *last_position);
            }
            What::Raft(Message::RequestVoteReply { vote_granted, .. }, ..) => {
                out.push(TAG_VOTE_REPLY);
                out.push(u8::from(*vote_granted));
            }
            What::Raft(Message::AppendEntriesCall { commit_index, entries, .. }, bodies, is_acting) => {
                out.push(TAG_APPEND_CALL);
                out.push(u8::from(*is_acting));
                push_varint(&mut out, commit_index.get());
                push_entries(&mut out, entries, bodies);
            }
            What::Raft(Message::AppendEntriesReply { last_position, .. }, ..) => {
                out.push(TAG_APPEND_REPLY);
                push_position(&mut out, *last_position);
            }
            What::Snapshot(snapshot) => {
                out.push(TAG_SNAPSHOT);
                push_snapshot(&mut out, snapshot);
            }
            What::Leads => out.push(TAG_LEADS),
        }
        out
    }

    /// Reads one; `None` if it is of a kind that is not known here.
    pub fn read(bytes: &[u8]) -> Result<Option<Letter>, Malformed> {
        let mut reader = Reader::new(bytes);
        let (fleet, to, from) = (reader.fixed()?, reader.fixed()?, reader.fixed()?);
        let (term, stamp) = (read_number(&mut reader)?, reader.varint()?);
        let (sender, its_term) = (noraft::NodeId::new(from), Term::new(term));
        let raft = |message, bodies, is_acting| What::Raft(message, bodies, is_acting);
        let what = match reader.byte()? {
            TAG_VOTE_CALL => {
                let last_position = read_position(&mut reader)?;
                raft(Message::RequestVoteCall { from: sender, term: its_term, last_position }, Vec::new(), false)
            }
            TAG_VOTE_REPLY => {
                let vote_granted = reader.byte()? != 0;
                raft(Message::RequestVoteReply { from: sender, term: its_term, vote_granted }, Vec::new(), false)
            }
            TAG_APPEND_CALL => {
                let (is_acting, commit) = (reader.byte()? != 0, read_number(&mut reader)?);
                let (entries, bodies) = read_entries(&mut reader)?;
                if entries.last_position().term > its_term {
                    return Err(Malformed);
                }
                let commit_index = LogIndex::new(commit);
                let message = Message::AppendEntriesCall { from: sender, term: its_term, commit_index, entries };
                raft(message, bodies, is_acting)
            }
            TAG_APPEND_REPLY => {
                let last_position = read_position(&mut reader)?;
                raft(Message::AppendEntriesReply { from: sender, term: its_term, last_position }, Vec::new(), false)
            }
            TAG_SNAPSHOT => What::Snapshot(read_snapshot(&mut reader)?),
            TAG_LEADS => What::Leads,
            _ => return Ok(None),
        };
        Ok(Some(Letter { fleet, to, from, term, stamp, what }))
    }
}

const RECORD_OWN: u8 = 1;
const RECORD_VOTE: u8 = 2;
const RECORD_ENTRIES: u8 = 3;
const RECORD_SNAPSHOT: u8 = 4;

impl Record {
    /// Its bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Record::Own(id, fleet) => {
                out.push(RECORD_OWN);
                [id, fleet].iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
            }
            Record::Vote(term, vote) => {
                out.push(RECORD_VOTE);
                push_varint(&mut out, *term);
                out.push(u8::from(vote.is_some()));
                out.extend_from_slice(&vote.unwrap_or(0).to_be_bytes());
            }
            Record::Entries(entries, bodies) => {
                out.push(RECORD_ENTRIES);
                push_entries(&mut out, entries, bodies);
            }
            Record::Snapshot(snapshot) => {
                out.push(RECORD_SNAPSHOT);
                push_snapshot(&mut out, snapshot);
            }
        }
        out
    }

    /// Reads one, all of it.
    pub fn read(bytes: &[u8]) -> Result<Record, Malformed> {
        let mut reader = Reader::new(bytes);
        let record = match reader.byte()? {
            RECORD_OWN => Record::Own(reader.fixed()?, reader.fixed()?),
            RECORD_VOTE => {
                let (term, has_voted, vote) = (read_number(&mut reader)?, reader.byte()? != 0, reader.fixed()?);
                Record::Vote(term, has_voted.then_some(vote))
            }
            RECORD_ENTRIES => {
                let (entries, bodies) = read_entries(&mut reader)?;
                Record::Entries(entries, bodies)
            }
            RECORD_SNAPSHOT => Record::Snapshot(read_snapshot(&mut reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(term: u64, index: u64) -> LogPosition {
        LogPosition { term: Term::new(term), index: LogIndex::new(index) }
    }

    fn entries() -> (LogEntries, Vec<Body>) {
        let mut config = ClusterConfig::new();
        config.voters.extend([1, u64::MAX].map(noraft::NodeId::new));
        config.new_voters.insert(noraft::NodeId::new(7));
        let all = [
            LogEntry::Term(Term::new(5)),
            LogEntry::Command,
            LogEntry::ClusterConfig(config),
            LogEntry::Command,
            LogEntry::Term(Term::new(9)),
        ];
        let body = |index, bytes: &[u8]| Body { position: position(5, index), bytes: bytes.to_vec() };
        (LogEntries::from_iter(position(3, 300), all), vec![body(302, b"one"), body(304, b"")])
    }

    fn snapshot() -> Snapshot {
        let mut config = ClusterConfig::new();
        config.voters.insert(noraft::NodeId::new(4));
        Snapshot { position: position(2, 1000), config, bytes: vec![7; 300] }
    }

    #[test]
    fn letters_come_back_and_none_is_half_one() {
        let (from, term) = (noraft::NodeId::new(11), Term::new(300));
        let raft = |message| What::Raft(message, Vec::new(), false);
        let (some, bodies) = entries();
        let rows = [
            raft(Message::RequestVoteCall { from, term, last_position: position(1, 200) }),
            raft(Message::RequestVoteReply { from, term, vote_granted: true }),
            raft(Message::AppendEntriesReply { from, term, last_position: position(0, 0) }),
            What::Raft(
                Message::AppendEntriesCall { from, term, commit_index: LogIndex::new(5), entries: some },
                bodies,
                true,
            ),
            What::Snapshot(snapshot()),
            What::Leads,
        ];
        for what in rows {
            let letter = Letter { fleet: 1, to: 2, from: 11, term: 300, stamp: u64::MAX, what };
            let bytes = letter.write();
            assert_eq!(Letter::read(&bytes), Ok(Some(letter.clone())));
            for end in 0..bytes.len() {
                assert_eq!(Letter::read(&bytes[..end]), Err(Malformed), "{letter:?} cut at {end}");
            }
        }
        let mut unknown = Letter { fleet: 1, to: 2, from: 3, term: 4, stamp: 5, what: What::Leads }.write();
        *unknown.last_mut().unwrap() = 200;
        assert_eq!(Letter::read(&unknown), Ok(None));
    }

    #[test]
    fn records_come_back_and_none_is_half_one() {
        let (some, bodies) = entries();
        let rows = [
            Record::Own(u64::MAX, 7),
            Record::Vote(u64::from(u32::MAX), None),
            Record::Vote(3, Some(0)),
            Record::Entries(some, bodies),
            Record::Snapshot(snapshot()),
        ];
        for record in rows {
            let mut bytes = record.write();
            assert_eq!(Record::read(&bytes), Ok(record.clone()));
            for end in 0..bytes.len() {
                assert_eq!(Record::read(&bytes[..end]), Err(Malformed), "{record:?} cut at {end}");
            }
            bytes.push(0);
            assert_eq!(Record::read(&bytes), Err(Malformed), "{record:?} and more");
        }
    }

    #[test]
    fn what_no_engine_says_is_refused() {
        let entries = |items: &[u8]| [&[RECORD_ENTRIES, 3, 1], items].concat();
        let rows: [(&str, Vec<u8>); 6] = [
            ("a kind that is not known", vec![9]),
            ("an entry that is not known", entries(&[1, 9])),
            ("terms that go back", entries(&[1, ENTRY_TERM, 2])),
            ("more entries than bytes", entries(&[5, 0, 0])),
            ("an index that would overflow", [&[RECORD_ENTRIES, 1][..], &[0xff; 9], &[1, 0]].concat()),
            ("a body longer than any", entries(&[1, ENTRY_COMMAND, 0x81, 0x20])),
        ];
        for (name, bytes) in rows {
            assert_eq!(Record::read(&bytes), Err(Malformed), "{name}");
        }
    }
}
