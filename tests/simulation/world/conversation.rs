//! Clients: what they ask, and whether what they are told can be.

use std::collections::BTreeSet;

use stheno::id::ConnId;
use stheno::serve::Input;
use stheno::state::SupervisorState;
use stheno::wire::value::Value;
use stheno::wire::xmlrpc::decode_response;

use super::World;
use crate::agenda::{Happening, MS, SECOND};
use crate::answers::{self, Outcome};
use crate::clients::{self, Asked, Client};
use crate::observer::Observer;

/// Bytes that wait for a reader of the event stream; then it loses events.
const STREAM_BYTES_MAX: usize = 256 * 1024;

/// A client's call and what came of it.
type Answered = (usize, clients::Call, Outcome);

/// How often a full socket's reader is served in one turn, as in the reactor.
const FLUSH_ROUNDS: usize = 4;

impl World {
    /// A client does its next thing, and plans the one after it.
    pub(super) fn client_acts(&mut self, index: usize) {
        let most = *self.random.pick(&[10 * MS, SECOND, 5 * SECOND]);
        let next = self.now + 1 + self.random.below(most);
        if next < self.end_at + 30 * SECOND {
            self.host.agenda.put(next, Happening::Client(index));
        }
        let Some(conn) = self.clients[index].conn else { return self.connect(index) };
        let client = &mut self.clients[index];
        if client.has_hung_up {
            return;
        }
        if self.random.one_in(12) && !client.requests.is_empty() || self.random.one_in(60) {
            client.has_hung_up = true;
            client.is_gone = self.random.one_in(2);
            self.say(|| format!("client {index} hangs up"));
            return self.hang_up(index, conn);
        }
        if !client.outbox.is_empty() {
            return;
        }
        if client.stream.is_none() {
            let pipelines = self.random.one_in(4);
            let may_ask = client.requests.is_empty() || pipelines;
            let is_last = |request: &clients::Request| request.asked.is_last();
            if may_ask && client.keeps_alive && !client.requests.iter().any(is_last) {
                for _ in 0..self.random.between(1, 3) {
                    self.ask(index);
                    let client = &self.clients[index];
                    if !pipelines || !client.keeps_alive || client.requests.back().is_some_and(is_last) {
                        break;
                    }
                }
            }
        }
        self.client_sends(index);
    }

    /// A client sends the next piece of what it has to say.
    pub(super) fn client_sends(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(conn) = client.conn.filter(|_| !client.has_hung_up) else { return };
        let bytes = client.send(self.now);
        if !client.outbox.is_empty() {
            self.host.agenda.put(self.now + self.random.below(100 * MS), Happening::Sends(index));
        }
        if !bytes.is_empty() {
            let input = Input::Received { conn, bytes: &bytes };
            self.step(|service, now, host| service.handle(input, now, host));
        }
    }

    pub(super) fn ask(&mut self, index: usize) {
        let names: Vec<String> = self
            .service
            .daemon
            .roster
            .processes_by_name()
            .filter_map(|(id, ..)| self.service.daemon.roster.namespec(id))
            .collect();
        let (asked, target, body) = clients::request(&names, self.host.file.sequences.as_ref(), &mut self.random);
        // Only the second server wants a password.
        let server = self.clients[index].server;
        if matches!(asked, Asked::Unauthorized) && server == 0 {
            return;
        }
        self.say(|| format!("client {index} asks {asked:?} {target}"));
        self.clients[index].ask(asked, &target, body, &mut self.random);
    }

    pub(super) fn connect(&mut self, index: usize) {
        // Ids of connections are never used again.
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        self.clients[index].conn = Some(conn);
        self.by_conn.insert(conn, index);
        let input = Input::Accepted { conn, server: self.clients[index].server, client: "127.0.0.1:4711".to_string() };
        self.step(|service, now, host| service.handle(input, now, host));
    }

    pub(super) fn hang_up(&mut self, index: usize, conn: ConnId) {
        self.step(|service, now, host| service.handle(Input::Hangup { conn }, now, host));
        if !self.service.has_connection(conn) {
            self.disconnect(index, conn);
        }
    }

    pub(super) fn disconnect(&mut self, index: usize, conn: ConnId) {
        self.note_gone();
        // What it asked for goes on, and nobody sees what comes of it.
        let client = &self.clients[index];
        self.is_uncertain |= client.is_uncertain() || client.changing().is_some();
        self.clients[index].disconnected();
        self.by_conn.remove(&conn);
        self.dirty.remove(&conn);
        self.observers.remove(&conn);
    }

    /// Reads what is new on the connections. Of calls of several clients that are answered in one step nobody tells which was
    /// the first.
    pub(super) fn read_answers(&mut self) {
        let uncertain = self.is_uncertain();
        let mut answered = Vec::new();
        for conn in std::mem::take(&mut self.fresh) {
            self.dirty.insert(conn);
            let Some(index) = self.by_conn.get(&conn).copied() else { continue };
            let client = &mut self.clients[index];
            let Some(output) = self.service.output(conn) else { continue };
            client.inbox.extend_from_slice(&output[client.seen..]);
            client.seen = output.len();
            if output.len() >= STREAM_BYTES_MAX
                && let Some(observer) = self.observers.get_mut(&conn)
            {
                observer.forget();
            }
            self.understand(index, conn, &mut answered);
        }
        let moved: Vec<(usize, String)> = if uncertain { Vec::new() } else { self.groups_in_motion(&answered) };
        for (index, call, outcome) in answered {
            let others = moved.iter().filter(|(client, _)| *client != index).map(|(_, group)| group.clone()).collect();
            self.check_call(&call, &outcome, (!uncertain).then_some(&others));
        }
        if uncertain {
            self.model.trust(&self.service.daemon);
        }
    }

    /// The groups that clients are changing, by calls that were answered just now or are under way.
    fn groups_in_motion(&self, answered: &[Answered]) -> Vec<(usize, String)> {
        let done = answered.iter().map(|(index, call, _)| (*index, call));
        let clients = self.clients.iter().enumerate();
        let under_way = clients.filter_map(|(index, client)| Some((index, client.changing()?)));
        done.chain(under_way).filter_map(|(index, call)| Some((index, call.group()?.to_string()))).collect()
    }

    pub(super) fn is_uncertain(&self) -> bool {
        self.is_uncertain || self.clients.iter().any(Client::is_uncertain)
    }

    /// Reads what has come of one connection; answers of calls are left to `answered`.
    pub(super) fn understand(&mut self, index: usize, conn: ConnId, answered: &mut Vec<Answered>) {
        loop {
            let client = &mut self.clients[index];
            if let Some(chunked) = client.stream {
                let piece = match chunked {
                    true => clients::take_chunk(&mut client.inbox),
                    false => Some(std::mem::take(&mut client.inbox)).filter(|piece| !piece.is_empty()),
                };
                let Some(piece) = piece else { return };
                if let Some(observer) = self.observers.get_mut(&conn) {
                    observer.is_plain = self.model.is_plain;
                    observer.take(&piece);
                }
                continue;
            }
            let Some(answer) = clients::take_answer(&mut client.inbox) else { return };
            let Some(request) = client.requests.pop_front() else { panic!("an answer without a request: {answer:?}") };
            // Who may not ask need not have said all.
            let is_early = matches!(request.asked, Asked::Unauthorized);
            assert!(request.unsent == 0 || is_early, "an answer before the request was whole: {answer:?}");
            if is_early {
                client.outbox.clear();
            }
            match request.asked {
                Asked::Call(call) => {
                    let outcome = outcome(&answer);
                    answered.push((index, call, outcome));
                }
                Asked::Multicall(calls) => self.check_multicall(&calls, &outcome(&answer)),
                Asked::Page(statuses) => assert!(statuses.contains(&answer.status), "{answer:?}, not {statuses:?}"),
                Asked::Unauthorized => {
                    assert_eq!(answer.status, 401, "{answer:?}");
                    self.clients[index].keeps_alive = false;
                }
                Asked::Stream { is_events } => match answer.is_stream {
                    true => {
                        let client = &mut self.clients[index];
                        client.stream = Some(answer.header("Transfer-Encoding") == Some("chunked"));
                        if is_events {
                            self.observers.insert(conn, Observer::default());
                        }
                    }
                    false => assert_eq!(answer.status, 404, "{answer:?}"),
                },
            }
        }
    }

    /// Checks an answer; `others` are the groups that other clients were changing, `None` if nobody knows.
    pub(super) fn check_call(&mut self, call: &clients::Call, outcome: &Outcome, others: Option<&BTreeSet<String>>) {
        self.say(|| format!("{} {:?}: {}", call.method, call.params, short(outcome)));
        let running = self.was_running && self.service.daemon.state() == SupervisorState::Running;
        answers::check(call, outcome, running);
        let is_of_fleet = matches!(outcome, Err((101.., _)));
        assert!(
            !is_of_fleet || self.host.file.sequences.is_some(),
            "{} answers {outcome:?} without a fleet",
            call.method
        );
        self.note_wish(call, outcome);
        self.note_change(call, outcome);
        let Some(others) = others else { return };
        self.model.note(call, outcome, &self.service.daemon, others);
        if let ("supervisor.getAllProcessInfo", Ok(value)) = (call.method, outcome) {
            self.model.check_infos(value, others);
        }
    }

    /// Whether an answer says that the set of groups was changed, or what is kept of it.
    pub(super) fn note_change(&mut self, call: &clients::Call, outcome: &Outcome) {
        self.is_changed |= outcome.is_ok() && call.changes_groups();
        // Processes may go whenever they stop by themselves.
        self.is_uncertain |= call.method == "supvisors.update_numprocs";
        if self.host.file.is_dynamic {
            self.kept.note(call, outcome, &self.service.daemon);
        }
    }

    pub(super) fn check_multicall(&mut self, calls: &[clients::Call], outcome: &Outcome) {
        self.say(|| format!("multicall {calls:?}: {}", short(outcome)));
        let Ok(Value::Array(results)) = outcome else { panic!("a multicall answers {outcome:?}") };
        assert_eq!(results.len(), calls.len(), "results of a multicall");
        for (call, result) in calls.iter().zip(results) {
            let outcome = match (result.member("faultCode"), result.member("faultString")) {
                (Some(Value::Int(code)), Some(text)) => Err((*code, text.as_str().unwrap_or_default().to_string())),
                _ => Ok(result.clone()),
            };
            answers::check(call, &outcome, false);
            self.note_change(call, &outcome);
        }
    }

    /// Writes to the clients, as the reactor does.
    pub(super) fn write_all(&mut self) {
        for _ in 0..FLUSH_ROUNDS {
            let dirty = std::mem::take(&mut self.dirty);
            if dirty.is_empty() {
                break;
            }
            for conn in dirty {
                self.write(conn);
            }
        }
    }

    pub(super) fn write(&mut self, conn: ConnId) {
        let Some(index) = self.by_conn.get(&conn).copied() else { return };
        let Some(output) = self.service.output(conn) else { return self.disconnect(index, conn) };
        let client = &mut self.clients[index];
        if !output.is_empty() && client.is_gone {
            self.step(|service, now, host| service.drop_connection(conn, now, host));
            return self.disconnect(index, conn);
        }
        let room = if client.is_deaf {
            0
        } else if client.is_slow {
            self.random.between(1, 2000) as usize
        } else {
            usize::MAX
        };
        let written = output.len().min(room);
        assert!(client.seen == output.len(), "there is output that nobody was told of");
        output.drain(..written);
        client.seen -= written;
        if !output.is_empty() {
            let at = self.now + 1 + self.random.below(SECOND);
            return self.host.agenda.put(at, Happening::Reads(index));
        }
        if self.service.closes(conn) {
            let client = &self.clients[index];
            let all_answered = client.requests.iter().all(|request| request.unsent > 0);
            assert!(all_answered || client.has_hung_up, "closed with requests unanswered: {:?}", client.requests);
            self.step(|service, now, host| service.drop_connection(conn, now, host));
            return self.disconnect(index, conn);
        }
        self.step(|service, now, host| service.handle(Input::Drained { conn }, now, host));
    }
}

/// What an answer says.
fn outcome(answer: &clients::Answer) -> Outcome {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.starts_with(b"<?xml version='1.0'?>\n<methodResponse>\n"), "{answer:?}");
    assert!(answer.body.ends_with(b"</methodResponse>\n"), "{answer:?}");
    decode_response(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn short(outcome: &Outcome) -> String {
    let text = format!("{outcome:?}");
    text.chars().take(200).collect()
}
