//! What an instance reports of itself: bodies of the frames for reports.
//!
//! A report is a row of [`Item`]s, each with its length, so that items that are not known here are passed over. All that an
//! instance knows of itself begins with [`Item::Begin`] and ends with [`Item::Complete`], over as many frames as it takes;
//! after that come changes.

use super::codec::{Malformed, Reader, TEXT_BYTES_MAX, push_flags, push_short_text, push_signed, push_varint};
use crate::state::ProcessState;

/// Instances that one may speak of; a fleet has no more.
const INSTANCES_MAX: usize = 1_000;

/// Interfaces of the network, names of one, labels: more than any host has.
const NAMES_MAX: usize = 256;

/// What one instance knows of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its state on that instance alone.
    pub state: ProcessState,
    /// Whether its last exit was expected.
    pub expected: bool,
    /// It has been RUNNING since its last start.
    pub came_up: bool,
    /// Nobody may start it there.
    pub is_disabled: bool,
    /// It has been given up, or has exited unexpectedly, since it is known.
    pub has_crashed: bool,
    /// Its output has a log.
    pub has_stdout: bool,
    /// Its errors have a log.
    pub has_stderr: bool,
    /// Its start or stop has been asked for and waits for others.
    pub is_pending: bool,
    /// Seconds since the epoch at its last start; 0 never.
    pub start: i64,
    /// The same for its last end.
    pub stop: i64,
    /// Nanoseconds of the instance's own clock at its last start; 0 never.
    pub started: u64,
    /// The same for what happened to it last.
    pub changed: u64,
    /// 0 without a child.
    pub pid: i32,
    /// Why its last start or run failed.
    pub spawnerr: String,
    /// Appended to its command line.
    pub extra_args: String,
    /// The program that it is of.
    pub program: String,
    /// Its place among those of its program.
    pub index: i64,
    /// Seconds after which it counts as started.
    pub startsecs: i64,
    /// Seconds that its stop may take.
    pub stopwaitsecs: i64,
}

/// An interface of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name on that host: `eth0`.
    pub name: String,
    /// The address with dots: `10.0.0.1`.
    pub address: String,
    /// The mask with dots: `255.255.255.0`.
    pub netmask: String,
    /// The names of its address.
    pub names: Vec<String>,
}

/// What does not change while an instance lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Which machine it is on.
    pub machine: String,
    /// The address of the hardware of that.
    pub hardware: String,
    /// The name of its host.
    pub hostname: String,
    /// Labels that it shares with others.
    pub stereotypes: Vec<String>,
    /// The interfaces of its host that have an address, but for the loopback.
    pub interfaces: Vec<Interface>,
    /// Options that have to be the same everywhere: name and value.
    pub checked: Vec<(String, String)>,
    /// Nanoseconds of its own clock when it began.
    pub began: u64,
    /// Seconds since the epoch when it began.
    pub began_wall: i64,
    /// Nanoseconds of its own clock when this was written.
    pub now: u64,
}

/// How an instance sees the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// The number of the state of the fleet.
    pub phase: u64,
    /// Something that was waited for is not there.
    pub is_degraded: bool,
    /// Instances find each other.
    pub discovers: bool,
    /// Something is being started there.
    pub is_starting: bool,
    /// Something is being stopped there.
    pub is_stopping: bool,
    /// What ends is to begin anew.
    pub restarts: bool,
    /// The identifier of its Master; empty for none.
    pub master: String,
    /// The instances, and the number of the state of each.
    pub instances: Vec<(String, u64)>,
}

/// A piece of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Item {
    /// All that is known comes from here on.
    Begin,
    /// What is not said by now is no more.
    Complete,
    About(Box<About>),
    Modes(Box<Modes>),
    Process {
        group: String,
        name: String,
        record: Box<Record>,
    },
    /// A process is no more.
    Gone {
        group: String,
        name: String,
    },
    /// A process is shown in another state than its own, until something happens to it.
    Forced {
        group: String,
        name: String,
        state: ProcessState,
        reason: String,
    },
    /// More arguments of a process, wherever it runs.
    Arguments {
        group: String,
        name: String,
        arguments: String,
    },
}

fn push_texts(out: &mut Vec<u8>, all: &[String]) {
    push_varint(out, all.len() as u64);
    all.iter().for_each(|one| push_short_text(out, one));
}

fn read_state(input: &mut Reader<'_>) -> Result<ProcessState, Malformed> {
    let code: u64 = input.number()?;
    let found = ProcessState::ALL.into_iter().find(|state| state.code() as u64 == code);
    Ok(found.unwrap_or(ProcessState::Unknown))
}

impl Record {
    fn write(&self, out: &mut Vec<u8>) {
        push_varint(out, self.state.code() as u64);
        let Record { expected, came_up, is_disabled, has_crashed, has_stdout, has_stderr, is_pending, .. } = *self;
        push_flags(out, [expected, came_up, is_disabled, has_crashed, has_stdout, has_stderr, is_pending]);
        push_signed(out, self.start);
        push_signed(out, self.stop);
        push_varint(out, self.started);
        push_varint(out, self.changed);
        push_signed(out, i64::from(self.pid));
        push_short_text(out, &self.spawnerr);
        push_short_text(out, &self.extra_args);
        push_short_text(out, &self.program);
        push_signed(out, self.index);
        push_signed(out, self.startsecs);
        push_signed(out, self.stopwaitsecs);
    }

    fn read(input: &mut Reader<'_>) -> Result<Record, Malformed> {
        let state = read_state(input)?;
        let [expected, came_up, is_disabled, has_crashed, has_stdout, has_stderr, is_pending] = input.flags()?;
        Ok(Record {
            state,
            expected,
            came_up,
            is_disabled,
            has_crashed,
            has_stdout,
            has_stderr,
            is_pending,
            start: input.signed()?,
            stop: input.signed()?,
            started: input.number()?,
            changed: input.number()?,
            pid: i32::try_from(input.signed()?).map_err(|_| Malformed)?,
            spawnerr: input.short_text()?,
            extra_args: input.short_text()?,
            program: input.short_text()?,
            index: input.signed()?,
            startsecs: input.signed()?,
            stopwaitsecs: input.signed()?,
        })
    }
}

impl Interface {
    fn write(&self, out: &mut Vec<u8>) {
        [&self.name, &self.address, &self.netmask].into_iter().for_each(|one| push_short_text(out, one));
        push_texts(out, &self.names);
    }

    fn read(input: &mut Reader<'_>) -> Result<Interface, Malformed> {
        let (name, address, netmask) = (input.short_text()?, input.short_text()?, input.short_text()?);
        Ok(Interface { name, address, netmask, names: input.list(NAMES_MAX, Reader::short_text)? })
    }
}

impl About {
    fn write(&self, out: &mut Vec<u8>) {
        push_short_text(out, &self.machine);
        push_short_text(out, &self.hardware);
        push_short_text(out, &self.hostname);
        push_texts(out, &self.stereotypes);
        push_varint(out, self.interfaces.len() as u64);
        self.interfaces.iter().for_each(|one| one.write(out));
        push_varint(out, self.checked.len() as u64);
        for (name, value) in &self.checked {
            push_short_text(out, name);
            push_short_text(out, value);
        }
        push_varint(out, self.began);
        push_signed(out, self.began_wall);
        push_varint(out, self.now);
    }

    fn read(input: &mut Reader<'_>) -> Result<About, Malformed> {
        Ok(About {
            machine: input.short_text()?,
            hardware: input.short_text()?,
            hostname: input.short_text()?,
            stereotypes: input.list(NAMES_MAX, Reader::short_text)?,
            interfaces: input.list(NAMES_MAX, Interface::read)?,
            checked: input.list(NAMES_MAX, |input| Ok((input.short_text()?, input.short_text()?)))?,
            began: input.number()?,
            began_wall: input.signed()?,
            now: input.number()?,
        })
    }
}

impl Modes {
    fn write(&self, out: &mut Vec<u8>) {
        push_varint(out, self.phase);
        push_flags(out, [self.is_degraded, self.discovers, self.is_starting, self.is_stopping, self.restarts]);
        push_short_text(out, &self.master);
        push_varint(out, self.instances.len() as u64);
        for (name, state) in &self.instances {
            push_short_text(out, name);
            push_varint(out, *state);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Modes, Malformed> {
        let phase = input.number()?;
        let [is_degraded, discovers, is_starting, is_stopping, restarts] = input.flags()?;
        let master = input.short_text()?;
        let instances = input.list(INSTANCES_MAX, |input| Ok((input.short_text()?, input.number()?)))?;
        Ok(Modes { phase, is_degraded, discovers, is_starting, is_stopping, restarts, master, instances })
    }
}

impl Item {
    /// Bytes that it may take in a frame, about.
    pub const BYTES_MAX: usize = 4 * TEXT_BYTES_MAX;

    /// Appends tag, length and body.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        let mut named = |group: &String, name: &String| {
            push_short_text(&mut body, group);
            push_short_text(&mut body, name);
        };
        let tag = match self {
            Item::Begin => 1,
            Item::Complete => 2,
            Item::About(about) => {
                about.write(&mut body);
                3
            }
            Item::Modes(modes) => {
                modes.write(&mut body);
                4
            }
            Item::Process { group, name, record } => {
                named(group, name);
                record.write(&mut body);
                5
            }
            Item::Gone { group, name } => {
                named(group, name);
                6
            }
            Item::Forced { group, name, state, reason } => {
                named(group, name);
                push_varint(&mut body, state.code() as u64);
                push_short_text(&mut body, reason);
                7
            }
            Item::Arguments { group, name, arguments } => {
                named(group, name);
                push_short_text(&mut body, arguments);
                8
            }
        };
        out.push(tag);
        push_varint(out, body.len() as u64);
        out.extend_from_slice(&body);
    }

    /// The next one; `None` for one that is not known here.
    fn read(input: &mut Reader<'_>) -> Result<Option<Item>, Malformed> {
        let tag = input.byte()?;
        let length = input.number()?;
        let mut body = Reader::new(input.take(length)?);
        let body = &mut body;
        Ok(Some(match tag {
            1 => Item::Begin,
            2 => Item::Complete,
            3 => Item::About(Box::new(About::read(body)?)),
            4 => Item::Modes(Box::new(Modes::read(body)?)),
            5 => {
                let (group, name) = (body.short_text()?, body.short_text()?);
                Item::Process { group, name, record: Box::new(Record::read(body)?) }
            }
            6 => Item::Gone { group: body.short_text()?, name: body.short_text()? },
            7 => {
                let (group, name, state) = (body.short_text()?, body.short_text()?, read_state(body)?);
                Item::Forced { group, name, state, reason: body.short_text()? }
            }
            8 => Item::Arguments { group: body.short_text()?, name: body.short_text()?, arguments: body.short_text()? },
            _ => return Ok(None),
        }))
    }

    /// All items of a report. What is not whole says nothing at all.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Item>, Malformed> {
        let mut input = Reader::new(bytes);
        let mut items = Vec::new();
        while !input.is_empty() {
            items.extend(Item::read(&mut input)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item> {
        let (group, name) = ("app".to_string(), "web_01".to_string());
        let record = Record {
            state: ProcessState::Backoff,
            expected: true,
            came_up: true,
            has_stderr: true,
            start: 1_790_000_000,
            stop: -3,
            started: u64::MAX,
            pid: 4711,
            spawnerr: "Exited too quickly".to_string(),
            program: "web".to_string(),
            index: 1,
            startsecs: -1,
            ..Record::default()
        };
        let interface = Interface {
            name: "eth0".to_string(),
            address: "192.0.2.11".to_string(),
            netmask: "255.255.255.0".to_string(),
            names: vec!["h1".to_string(), "h1.lan".to_string()],
        };
        let about = About {
            machine: "feed".to_string(),
            hardware: "02:00:00:00:01:0b".to_string(),
            hostname: "h1".to_string(),
            stereotypes: vec!["front".to_string()],
            interfaces: vec![interface],
            checked: vec![("auto_fence".to_string(), "true".to_string())],
            began: 7,
            began_wall: 1_790_000_000,
            now: 9,
        };
        let modes = Modes {
            phase: 4,
            discovers: true,
            is_stopping: true,
            restarts: true,
            master: "192.0.2.11:61000".to_string(),
            instances: vec![("192.0.2.11:61000".to_string(), 3), ("192.0.2.12:61000".to_string(), 0)],
            ..Modes::default()
        };
        let named = || (group.clone(), name.clone());
        let gone = named();
        let forced = named();
        let arguments = named();
        vec![
            Item::Begin,
            Item::About(Box::new(about)),
            Item::Modes(Box::new(modes)),
            Item::Process { group: group.clone(), name: name.clone(), record: Box::new(record) },
            Item::Gone { group: gone.0, name: gone.1 },
            Item::Forced { group: forced.0, name: forced.1, state: ProcessState::Fatal, reason: "no room".to_string() },
            Item::Arguments { group: arguments.0, name: arguments.1, arguments: "-v 'a b'".to_string() },
            Item::Complete,
        ]
    }

    #[test]
    fn reports_come_back_and_are_broken_at_each_other_length() {
        let items = items();
        let (mut whole, mut ends) = (Vec::new(), vec![0]);
        for item in &items {
            item.write(&mut whole);
            ends.push(whole.len());
        }
        assert_eq!(Item::read_all(&whole).as_ref(), Ok(&items));
        for end in 0..whole.len() {
            let expected = match ends.iter().position(|at| *at == end) {
                Some(count) => Ok(items[..count].to_vec()),
                None => Err(Malformed),
            };
            assert_eq!(Item::read_all(&whole[..end]), expected, "cut at {end}");
        }
    }

    #[test]
    fn what_newer_ones_say_is_passed_over() {
        let mut bytes = vec![99, 2, 1, 2];
        Item::Begin.write(&mut bytes);
        // A known item with more in it than is known here.
        bytes.extend([2, 3, 1, 2, 3]);
        assert_eq!(Item::read_all(&bytes), Ok(vec![Item::Begin, Item::Complete]));
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut whole = Vec::new();
        items().iter().for_each(|item| item.write(&mut whole));
        for at in 0..whole.len() {
            for other in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = other;
                // Nothing is put aside for what a length merely claims; that it returns is all there is to see.
                let read = Item::read_all(&bytes).map(|items| items.len());
                assert!(read.is_err() || read.is_ok_and(|count| count <= whole.len()), "byte {at} as {other}");
            }
        }
    }
}
