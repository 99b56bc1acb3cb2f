//! What is run and asked beside children: hooks, probes, and what children tell of themselves.

use stheno::config::{self, Probe, Ready};
use stheno::daemon::host::{Helpers, Launch, SpawnError};
use stheno::exit::ExitStatus;
use stheno::id::{Channel, Pid, ProcId};

use crate::agenda::{Agenda, Happening, MS, SECOND};
use crate::host::SimHost;
use crate::random::Random;

/// Probes that may be under way at a time (O-3).
const PROBES_MAX: usize = 16;

/// The text that makes a program ready whose log is looked at.
pub const READY_TEXT: &str = "now I am up";

/// A hook or a probe, alive or dead and not yet reaped.
pub struct Helper {
    /// The group and the name of the process that it runs for.
    pub names: (String, String),
    command: String,
    /// It has ended; its exit is being delivered.
    pub is_dead: bool,
    /// Nobody waits for it any more.
    pub is_killed: bool,
}

impl Helper {
    /// Whether it is a probe, by its command.
    pub fn is_probe(&self) -> bool {
        self.command.starts_with("/bin/probe")
    }

    /// Whether it is a hook, and not one of the commands that answer to a change of health.
    pub fn is_hook(&self) -> bool {
        self.command.starts_with("/bin/hook")
    }

    /// Whether something is still expected of it.
    pub fn counts(&self) -> bool {
        !self.is_dead && !self.is_killed
    }

    fn begin(&self, pid: i32, now: u64, random: &mut Random, agenda: &mut Agenda) {
        if random.one_in(2) {
            let bytes = random.pick(&["a word\n", "two\nlines", "\n"]).as_bytes().to_vec();
            agenda.put(now + random.below(300 * MS), Happening::HelperOutput { pid, bytes });
        }
        let code = match self.command.split(' ').nth(1).unwrap_or_default() {
            "good" => 0,
            "bad" => 1,
            "hanging" => return,
            _ => *random.pick(&[0, 0, 1, 7]),
        };
        let most = *random.pick(&[MS, 500 * MS, 500 * MS, 10 * SECOND]);
        let status = match code {
            7 => ExitStatus::Signal { number: libc::SIGSEGV, core: false },
            code => ExitStatus::Code(code),
        };
        agenda.put(now + random.below(most), Happening::Exit { pid, status });
    }

    /// Takes a signal, which is SIGKILL.
    pub fn take_signal(&mut self, pid: i32, signal: i32, now: u64, agenda: &mut Agenda) {
        assert_eq!(signal, libc::SIGKILL, "a helper is killed, or left alone");
        self.is_killed = true;
        agenda.put(now, Happening::Exit { pid, status: ExitStatus::Signal { number: signal, core: false } });
    }
}

impl Helpers for SimHost {
    fn spawn_helper(&mut self, launch: &Launch<'_>) -> Result<Pid, SpawnError> {
        self.changes += 1;
        if self.strikes(self.trouble.fork) {
            return Err(SpawnError::Fork(libc::EAGAIN));
        }
        let pid = self.new_pid();
        let names = (launch.group.to_string(), launch.config.name.clone());
        let helper = Helper { names, command: launch.argv.join(" "), is_dead: false, is_killed: false };
        if helper.is_hook() {
            let is_same = |other: &&Helper| other.is_hook() && other.counts() && other.names == helper.names;
            assert!(self.helpers.values().find(is_same).is_none(), "O-6: two hooks at a time for {:?}", helper.names);
        }
        helper.begin(pid, self.now, &mut self.random, &mut self.agenda);
        self.helpers.insert(pid, helper);
        self.check_probes();
        Ok(Pid(pid))
    }

    fn close_helper(&mut self, pid: Pid) {
        assert!(self.helpers.contains_key(&pid.0), "{pid:?} is closed and is no helper");
    }

    fn begin_probe(&mut self, process: ProcId, probe: &Probe) -> Option<Result<(), String>> {
        self.changes += 1;
        assert!(!matches!(probe, Probe::Command(_)), "a command is no question over the network");
        let result = match self.random.below(4) {
            0 | 1 => Ok(()),
            _ => Err("connection refused".to_string()),
        };
        if self.random.one_in(3) {
            if result.is_ok() {
                self.ready.insert(process);
            }
            return Some(result);
        }
        self.next_probe += 1;
        let before = self.probes.insert(process, self.next_probe);
        assert!(before.is_none(), "O-3: {process:?} is asked twice at a time");
        self.check_probes();
        // Some questions are never answered.
        if !self.random.one_in(5) {
            let at = self.now + self.random.below(2 * SECOND);
            self.agenda.put(at, Happening::Probed { process, number: self.next_probe, result });
        }
        None
    }

    fn end_probe(&mut self, process: ProcId) {
        self.changes += 1;
        assert!(self.probes.remove(&process).is_some(), "{process:?} is not being asked");
    }

    fn process_group(&mut self, pid: Pid) -> Option<Pid> {
        match pid.0 {
            0 => None,
            pid if self.children.contains_key(&pid) => Some(Pid(pid)),
            _ => self.random.one_in(2).then_some(Pid(1)),
        }
    }

    fn is_our_child(&mut self, _: Pid) -> bool {
        self.random.one_in(2)
    }

    fn memory(&mut self, _: Pid, _: bool) -> Option<u64> {
        *self.random.pick(&[None, Some(1000), Some(1000), Some(1 << 30)])
    }
}

impl SimHost {
    fn check_probes(&self) {
        let commands = self.helpers.values().filter(|helper| helper.is_probe() && helper.counts()).count();
        assert!(commands + self.probes.len() <= PROBES_MAX, "O-3: more than {PROBES_MAX} probes at a time");
    }

    /// What a child will tell of itself, by what its configuration asks for.
    pub fn plan_messages(&mut self, pid: i32, from: u64, config: &config::Process) {
        let (random, agenda) = (&mut self.random, &mut self.agenda);
        let most = *random.pick(&[0, MS, SECOND, 5 * SECOND, 40 * SECOND]);
        let at = from + random.below(most + 1);
        let says = |sender: i32, text: &str| Happening::Notified { pid, sender: Pid(sender), text: text.to_string() };
        match &config.ready {
            _ if random.one_in(6) => {}
            Ready::Notify => {
                if random.one_in(3) {
                    let more = random.word(&["EXTEND_TIMEOUT_USEC=3000000", "STATUS=nearly there", "ERRNO=2"]);
                    agenda.put(from, says(pid, more));
                }
                if random.one_in(4) {
                    agenda.put(from, says(*random.pick(&[0, 31, 32]), "READY=1"));
                }
                agenda.put(at, says(pid, random.word(&["READY=1", "STATUS=up\nREADY=1\n"])));
                if random.one_in(4) {
                    agenda.put(at + random.below(SECOND), says(pid, "READY=1\nRELOADING=1"));
                }
            }
            Ready::Fd(_) | Ready::FdIn(_) => agenda.put(at, Happening::ReadyLine { pid }),
            Ready::Log(_) => {
                let text = format!("{READY_TEXT}, says the program\nand goes on");
                let (first, last) = text.split_at(random.below(text.len() as u64) as usize);
                let channel = *random.pick(&[Channel::Stdout, Channel::Stderr]);
                for piece in [first, last] {
                    if !piece.is_empty() {
                        let output = Happening::output(pid, channel, piece.as_bytes().to_vec(), Vec::new());
                        agenda.put(at, output);
                    }
                }
            }
            Ready::Startsecs | Ready::Probe(_) => {}
        }
        if !config.program.watchdog_sec.0.is_zero() {
            let mut at = from;
            for _ in 0..random.below(30) {
                at += random.below(2 * SECOND);
                agenda.put(at, says(pid, "WATCHDOG=1"));
            }
            if random.one_in(8) {
                agenda.put(at, says(pid, "WATCHDOG=trigger"));
            }
        }
    }
}
