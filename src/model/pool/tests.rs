//! Stories of a pool: what is done to it, and everything that comes out, line by line.

use super::*;
use crate::config::ListenerOptions;
use crate::id::{Channel, Pid};
use crate::model::event::Subject;

/// A pool with its listeners and what they would see. Listener n is named `l<n>`.
struct Rig {
    pool: Pool,
    serials: Serials,
    running: Vec<u32>,
    broken: Vec<u32>,
    /// Everything that happened, in order.
    story: Vec<String>,
}

fn settings(events: &[&str], buffer_size: usize) -> Listener {
    Listener {
        options: ListenerOptions::defaults().unwrap(),
        buffer_size,
        events: events.iter().map(|name| name.to_string()).collect(),
        result_handler: ResultHandler::Default,
    }
}

fn holding(buffer_size: usize) -> Listener {
    let mut listener = settings(&["EVENT"], buffer_size);
    listener.options.buffer_hold_until_ready = true;
    listener
}

impl Rig {
    fn new(listener: &Listener, members: u32) -> Rig {
        let mut pool = Pool::new("p", listener);
        for id in 0..members {
            pool.add_member(ProcId(id), &format!("l{id}"));
        }
        Rig { pool, serials: Serials::default(), running: (0..members).collect(), broken: vec![], story: vec![] }
    }

    fn note(&mut self, effects: Vec<PoolEffect>) {
        for effect in effects {
            self.story.push(match effect {
                PoolEffect::Log(line) => format!("{} {line}", line.level().tag()),
                PoolEffect::WriteStdin { process, bytes } => {
                    format!("stdin of {}: {}", process.0, String::from_utf8_lossy(&bytes))
                }
                PoolEffect::Print(bytes) => format!("print {}", String::from_utf8_lossy(&bytes)),
                PoolEffect::EnteredUnknown(id) => format!("unknown {}", id.0),
            });
        }
        self.check();
    }

    /// What holds after every step.
    fn check(&self) {
        let ready = self.pool.members.iter().filter(|m| m.protocol.state() == ListenerState::Ready).count();
        assert_eq!(self.pool.ready, ready, "count of READY listeners");
        for member in &self.pool.members {
            let busy = member.protocol.state() == ListenerState::Busy;
            assert_eq!(busy, member.in_flight.is_some(), "{}: BUSY has an event in flight", member.name);
        }
        assert!(self.pool.queue.len() <= self.pool.events_max(), "the queue is bounded");
        let weight: usize = self.pool.queue.iter().map(|queued| queued.weight_if(self.pool.holding)).sum();
        assert_eq!(self.pool.held_bytes, weight, "weight of the queue");
        let is_ordinary = self.pool.queue.len() <= self.pool.events_max;
        assert!(is_ordinary || weight <= HOLD_BYTES_MAX, "what is held is bounded: {weight}");
    }

    fn offer(&mut self, event: Event) {
        let mut effects = Vec::new();
        let serial = self.serials.take();
        self.pool.offer(Rc::new(event), serial, &mut effects);
        self.note(effects);
    }

    /// Offers as many events as asked; their payloads are `type:t`, newline, 0, 1, 2 …
    fn remote(&mut self, count: usize) {
        for number in 0..count {
            self.offer(Event::remote("t", &number.to_string()));
        }
    }

    fn says(&mut self, id: u32, text: &str) {
        let mut effects = Vec::new();
        self.pool.output(ProcId(id), text.as_bytes(), &mut effects);
        self.note(effects);
    }

    fn dispatch(&mut self) {
        loop {
            let mut effects = Vec::new();
            let running = &self.running;
            let listener = self.pool.next("srv", |id| running.contains(&id.0), &mut effects);
            if let Some(id) = listener {
                if self.broken.contains(&id.0) {
                    self.pool.refused(&mut effects);
                } else {
                    let text = String::from_utf8_lossy(self.pool.envelope());
                    self.story.push(format!("to {}: {}", id.0, text.replace('\n', "|")));
                    self.pool.sent(&mut effects);
                }
            }
            self.note(effects);
            if listener.is_none() {
                return;
            }
        }
    }

    fn exits(&mut self, id: u32) {
        let mut effects = Vec::new();
        self.pool.exited(ProcId(id), &mut effects);
        self.note(effects);
    }

    /// What happened since the last time.
    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.story)
    }
}

const UNKNOWN_0: &str = "WARN l0: has entered the UNKNOWN state and will no longer receive events, this usually \
                         indicates the process violated the eventlistener protocol";

/// One listener, READY, that was sent event 0; the story so far is told.
fn busy(handler: ResultHandler, event: Event) -> Rig {
    let mut rig = Rig::new(&Listener { result_handler: handler, ..settings(&["EVENT"], 10) }, 1);
    rig.says(0, "READY\n");
    rig.offer(event);
    rig.dispatch();
    rig.told();
    rig
}

#[test]
fn an_event_goes_out_and_is_processed() {
    let mut rig = Rig::new(&settings(&["REMOTE_COMMUNICATION"], 10), 1);
    rig.says(0, "REA");
    rig.says(0, "DY\n");
    rig.remote(1);
    rig.dispatch();
    rig.says(0, "RESULT 2\nOKREADY\n");
    rig.dispatch();
    assert_eq!(
        rig.told(),
        [
            "DEBG l0: ACKNOWLEDGED -> READY",
            "to 0: ver:3.0 server:srv serial:0 pool:p poolserial:0 eventname:REMOTE_COMMUNICATION len:8|type:t|0",
            "DEBG event 0 sent to listener l0",
            "DEBG l0: event was processed",
            "DEBG l0: BUSY -> ACKNOWLEDGED",
            "DEBG l0: ACKNOWLEDGED -> READY",
        ]
    );
}

#[test]
fn results_and_handlers() {
    use ResultHandler::*;
    let remote = || Event::remote("t", "x");
    let cat = Subject { id: ProcId(42), name: "cat", group: "g" };
    let log = || Event::log(cat, Pid(1), Channel::Stdout, b"x");
    let rebuffering = "DEBG rebuffering event 0 for pool p (buf size=0, max=10)";
    let processed = ["DEBG l0: event was processed", "DEBG l0: BUSY -> ACKNOWLEDGED"];
    let rejected = ["WARN l0: event was rejected", "DEBG l0: BUSY -> ACKNOWLEDGED", rebuffering];
    let lost = ["DEBG l0: BUSY -> UNKNOWN", UNKNOWN_0, "unknown 0", rebuffering];
    let error = [&["WARN l0: event caused an error"][..], &lost].concat();
    let printed = "print cat stdout | a\ncat stdout | b\n";
    let chunk = "RESULT 39\nprocessname:cat channel:stdout pid:1\na\nb\n".replace("39", "40");
    let rows: Vec<(ResultHandler, Event, &str, Vec<&str>)> = vec![
        (Default, remote(), "RESULT 2\nOK", processed.to_vec()),
        (Default, remote(), "RESULT 4\nFAIL", rejected.to_vec()),
        (Default, remote(), "RESULT 3\nOK\n", rejected.to_vec()),
        (Default, remote(), "RESULT 0\n", rejected.to_vec()),
        (Default, remote(), "RESULT 2\nO", vec![]),
        (Default, remote(), "RESULT x\n", [&["WARN l0: bad result line: 'RESULT x'"][..], &lost].concat()),
        (StdinWrite, log(), "RESULT 8\nSTDIN:hi", [&["stdin of 42: hi"][..], &processed].concat()),
        (StdinWrite, log(), "RESULT 2\nOK", processed.to_vec()),
        (StdinWrite, log(), "RESULT 2\nNO", rejected.to_vec()),
        (StdinWrite, remote(), "RESULT 2\nOK", processed.to_vec()),
        (StdinWrite, remote(), "RESULT 8\nSTDIN:hi", error.clone()),
        (Stdout, log(), &chunk, [&[printed][..], &processed].concat()),
        (Stdout, log(), "RESULT 2\nOK", error),
    ];
    for (handler, event, said, story) in rows {
        let mut rig = busy(handler, event);
        rig.says(0, said);
        assert_eq!(rig.told(), story, "{handler:?} {said:?}");
    }
}

#[test]
fn an_undecodable_result_line_shows_as_bytes() {
    let mut rig = busy(ResultHandler::Default, Event::remote("t", "x"));
    let mut effects = Vec::new();
    rig.pool.output(ProcId(0), b"\xff\n", &mut effects);
    rig.note(effects);
    assert_eq!(rig.told()[0], "WARN l0: bad result line: 'Undecodable: b'\\xff''");
}

#[test]
fn a_rejected_event_is_redelivered_first_with_its_serials() {
    let mut rig = Rig::new(&settings(&["EVENT"], 10), 1);
    rig.says(0, "READY\n");
    rig.remote(2);
    rig.dispatch();
    rig.says(0, "RESULT 4\nFAIL");
    rig.dispatch();
    rig.told();
    rig.says(0, "READY\n");
    rig.dispatch();
    let story = rig.told();
    assert!(story[1].starts_with("to 0: ver:3.0 server:srv serial:0 pool:p poolserial:0 "), "{story:?}");
}

#[test]
fn nobody_is_written_to_before_it_is_running_and_ready() {
    let mut rig = Rig::new(&settings(&["EVENT"], 10), 2);
    rig.remote(1);
    rig.dispatch();
    assert!(rig.told().is_empty());
    rig.running = vec![1];
    rig.says(0, "READY\n");
    rig.dispatch();
    assert_eq!(rig.told(), ["DEBG l0: ACKNOWLEDGED -> READY"]);
    rig.says(1, "READY\n");
    rig.dispatch();
    assert_eq!(rig.told()[2], "DEBG event 0 sent to listener l1");
    assert_eq!(rig.pool.listener_state(ProcId(0)), Some(ListenerState::Ready));
    assert_eq!(rig.pool.listener_state(ProcId(1)), Some(ListenerState::Busy));
    assert_eq!(rig.pool.listener_state(ProcId(2)), None);
}

#[test]
fn events_go_to_the_first_fit_in_configured_order() {
    let mut rig = Rig::new(&settings(&["EVENT"], 10), 3);
    for id in [2, 0, 1] {
        rig.says(id, "READY\n");
    }
    rig.remote(4);
    rig.told();
    rig.dispatch();
    let sent: Vec<String> = rig.told().into_iter().filter(|line| line.starts_with("DEBG")).collect();
    assert_eq!(
        sent,
        [
            "DEBG event 0 sent to listener l0",
            "DEBG event 1 sent to listener l1",
            "DEBG event 2 sent to listener l2",
            "DEBG rebuffering event 3 for pool p (buf size=0, max=10)",
        ]
    );
}

#[test]
fn a_broken_pipe_makes_the_next_listener_a_candidate() {
    let mut rig = Rig::new(&settings(&["EVENT"], 10), 2);
    rig.says(0, "READY\n");
    rig.says(1, "READY\n");
    rig.broken = vec![0];
    rig.remote(2);
    rig.told();
    rig.dispatch();
    let epipe =
        |serial| format!("DEBG epipe occurred while sending event {serial} to listener l0, listener state unchanged");
    let logged: Vec<String> = rig.told().into_iter().filter(|line| line.starts_with("DEBG")).collect();
    assert_eq!(
        logged,
        [
            epipe(0),
            "DEBG event 0 sent to listener l1".into(),
            epipe(1),
            "DEBG rebuffering event 1 for pool p (buf size=0, max=10)".into(),
        ]
    );
    assert_eq!(rig.pool.listener_state(ProcId(0)), Some(ListenerState::Ready));
    rig.broken.clear();
    rig.dispatch();
    assert_eq!(rig.told()[1], "DEBG event 1 sent to listener l0");
}

#[test]
fn a_full_queue_loses_its_oldest() {
    let mut rig = Rig::new(&settings(&["EVENT"], 2), 1);
    rig.remote(4);
    assert_eq!(
        rig.told(),
        [
            "ERRO pool p event buffer overflowed, discarding event 0",
            "ERRO pool p event buffer overflowed, discarding event 1",
        ]
    );
    // An event put back into a full queue displaces the oldest one there.
    rig.says(0, "READY\n");
    rig.dispatch();
    rig.remote(1);
    rig.told();
    rig.says(0, "RESULT 2\nNO");
    assert_eq!(
        rig.told()[2..],
        [
            "DEBG rebuffering event 2 for pool p (buf size=2, max=2)",
            "ERRO pool p event buffer overflowed, discarding event 3",
        ]
    );
    rig.says(0, "READY\n");
    rig.dispatch();
    assert!(rig.told()[1].contains("serial:2 pool:p poolserial:2 "));
}

#[test]
fn room_is_made_only_by_listeners_at_work() {
    let mut rig = Rig::new(&settings(&["EVENT"], 2), 2);
    assert_eq!(rig.pool.room(Mono(0)), None, "nobody was READY");
    rig.says(1, "READY\n");
    assert_eq!(rig.pool.room(Mono(0)), Some(2), "READY");
    rig.remote(2);
    assert_eq!(rig.pool.room(Mono(0)), Some(0), "full");
    rig.dispatch();
    assert_eq!(rig.pool.room(Mono(0)), Some(1), "BUSY");
    rig.says(1, "RESULT 2\nOK");
    assert_eq!(rig.pool.room(Mono(0)), Some(1), "answered and not READY again yet");
    rig.exits(1);
    assert_eq!(rig.pool.room(Mono(0)), None, "ended");
    rig.says(1, "READY\nx");
    assert_eq!(rig.pool.room(Mono(0)), None, "UNKNOWN");
}

#[test]
fn a_full_queue_is_not_waited_for_when_nothing_moves() {
    let mut rig = Rig::new(&settings(&["EVENT"], 2), 1);
    rig.says(0, "READY\n");
    rig.remote(2);
    assert_eq!(rig.pool.room(Mono(u64::MAX)), Some(0), "the one that is READY will take an event");
    rig.dispatch();
    let (moved, last) = (Mono(1_000_000_000), STALL_TIME.as_nanos() as u64 - 1);
    rig.pool.moved(moved);
    assert_eq!(rig.pool.room(Mono(moved.0 + last + 1)), Some(1), "room needs no waiting");
    rig.remote(1);
    assert_eq!(rig.pool.room(Mono(moved.0 + last)), Some(0));
    assert_eq!(rig.pool.room(Mono(moved.0 + last + 1)), None);
}

#[test]
fn a_listener_that_exits_gives_its_event_back() {
    for partial in ["", "RESULT 2", "RESULT 2\nO"] {
        let mut rig = busy(ResultHandler::Default, Event::remote("t", "x"));
        rig.says(0, partial);
        rig.exits(0);
        assert_eq!(rig.told(), ["DEBG rebuffering event 0 for pool p (buf size=0, max=10)"], "{partial:?}");
        rig.exits(0);
        rig.says(0, "READY\n");
        rig.dispatch();
        assert!(rig.told()[1].contains("serial:0 pool:p poolserial:0 "), "{partial:?}");
    }
}

#[test]
fn a_listener_that_talks_out_of_turn_is_left_alone_until_it_is_spawned_anew() {
    let mut rig = Rig::new(&settings(&["EVENT"], 10), 1);
    rig.says(0, "READY\nx");
    assert_eq!(rig.told(), ["DEBG l0: ACKNOWLEDGED -> READY", "DEBG l0: READY -> UNKNOWN", UNKNOWN_0, "unknown 0"]);
    rig.says(0, "READY\n");
    rig.remote(1);
    rig.dispatch();
    assert!(rig.told().is_empty());
    rig.exits(0);
    rig.says(0, "READY\n");
    assert_eq!(rig.told(), ["DEBG l0: ACKNOWLEDGED -> READY"]);
}

#[test]
fn overlapping_names_deliver_once() {
    let pool = Pool::new("p", &settings(&["EVENT", "TICK", "TICK_5"], 10));
    assert!(pool.mask().wants(EventType::Tick5));
    assert!(pool.mask().wants(EventType::ProcessGroupAdded));
    // One mask, one `offer`: there is no second way in.
    let mut rig = Rig::new(&settings(&["EVENT", "TICK_5"], 10), 1);
    rig.offer(Event::tick(EventType::Tick5, 5));
    assert_eq!(rig.pool.queued(), 1);
}

#[test]
fn a_removed_listener_leaves_its_event_to_the_others() {
    let mut rig = Rig::new(&settings(&["EVENT"], 10), 2);
    rig.says(0, "READY\n");
    rig.remote(1);
    rig.dispatch();
    rig.says(1, "READY\n");
    rig.told();
    let mut effects = Vec::new();
    rig.pool.remove_member(ProcId(0), &mut effects);
    rig.note(effects);
    rig.dispatch();
    let story = rig.told();
    assert_eq!(story[0], "DEBG rebuffering event 0 for pool p (buf size=0, max=10)");
    assert_eq!(story[2], "DEBG event 0 sent to listener l1");
    assert_eq!(rig.pool.listener_state(ProcId(0)), None);
}

#[test]
fn a_held_queue_overflows_only_after_somebody_was_ready() {
    let hold = holding(2);
    let mut rig = Rig::new(&hold, 1);
    rig.remote(5);
    assert_eq!(rig.told(), [""; 0]);
    // All five are delivered, also when more come meanwhile.
    rig.says(0, "READY\n");
    for serial in 0..6 {
        rig.told();
        rig.dispatch();
        assert!(rig.told()[0].contains(&format!("serial:{serial} ")), "event {serial}");
        if serial == 0 {
            rig.remote(1);
        }
        rig.says(0, "RESULT 2\nOKREADY\n");
    }
    rig.told();
    rig.remote(3);
    assert_eq!(rig.told(), ["ERRO pool p event buffer overflowed, discarding event 6"]);
}

#[test]
fn a_held_queue_is_bounded_too() {
    let hold = holding(2);
    let mut rig = Rig::new(&hold, 1);
    rig.remote(HOLD_EVENTS_MAX);
    assert_eq!(rig.told(), [""; 0]);
    rig.remote(1);
    assert_eq!(rig.told(), ["ERRO pool p event buffer overflowed, discarding event 0"]);
}

#[test]
fn a_held_queue_is_bounded_in_bytes_beyond_buffer_size() {
    // (buffer_size, bytes of an event, events offered, events kept)
    let rows = [
        (2, 60_000, 1000, HOLD_BYTES_MAX / 60_200),
        (2, 3 * 1024 * 1024, 5, 2),
        (2, 100, 1000, 1000),
        (200, 60_000, 1000, 200),
    ];
    for (buffer_size, bytes, offered, kept) in rows {
        let hold = holding(buffer_size);
        let mut rig = Rig::new(&hold, 1);
        let data = "x".repeat(bytes);
        for _ in 0..offered {
            rig.offer(Event::remote("t", &data));
        }
        let queued = rig.pool.queued();
        assert!((kept..=kept + 1).contains(&queued), "{buffer_size}, {bytes}, {offered}: {queued} instead of {kept}");
        assert_eq!(rig.told().len(), offered - queued, "{buffer_size}, {bytes}: one line for each that is discarded");
        // The newest are kept, and all of them are delivered.
        rig.says(0, "READY\n");
        rig.dispatch();
        for _ in 0..queued {
            rig.says(0, "RESULT 2\nOKREADY\n");
            rig.dispatch();
        }
        let told = rig.told();
        let last = told.iter().rfind(|line| line.contains(" sent to listener")).expect("a delivery");
        assert_eq!(*last, format!("DEBG event {} sent to listener l0", offered - 1));
        assert!(!rig.pool.holding);
    }
}

#[test]
fn what_comes_from_a_stranger_is_ignored() {
    let mut rig = Rig::new(&settings(&["EVENT"], 10), 1);
    rig.says(9, "READY\n");
    rig.exits(9);
    assert_eq!(rig.told(), [""; 0]);
}

#[test]
fn a_pool_rests_longer_after_each_rejection() {
    const MS: u64 = 1_000_000;
    let mut rig = Rig::new(&settings(&["EVENT"], 10), 1);
    rig.remote(1);
    for (at, pause) in [(0, 20), (100, 40), (200, 80), (300, 160)] {
        rig.pool.moved(Mono(at * MS));
        rig.says(0, "READY\n");
        rig.dispatch();
        rig.says(0, "RESULT 4\nFAIL");
        let until = Mono((at + pause) * MS);
        assert_eq!(rig.pool.rests_until(), Some(until), "{at}");
        let mut wake = |at| rig.pool.wake(at, &mut Vec::new());
        assert!(!wake(Mono(until.0 - 1)) && wake(until), "{at}");
        assert_eq!(rig.pool.rests_until(), None, "{at}");
    }
    // An answer that is accepted ends it.
    rig.says(0, "READY\n");
    rig.dispatch();
    rig.says(0, "RESULT 2\nOK");
    rig.remote(1);
    rig.pool.moved(Mono(1000 * MS));
    rig.says(0, "READY\n");
    rig.dispatch();
    rig.says(0, "RESULT 4\nFAIL");
    assert_eq!(rig.pool.rests_until(), Some(Mono(1020 * MS)));
}

#[test]
fn a_listener_that_rejects_every_other_event_makes_a_line_a_second() {
    const MS: u64 = 1_000_000;
    let mut rig = Rig::new(&settings(&["EVENT"], 10), 1);
    let mut lines = Vec::new();
    for round in 0..=1000 {
        rig.remote(1);
        rig.pool.moved(Mono(round * 2 * MS));
        for answer in ["RESULT 4\nFAIL", "RESULT 2\nOK"] {
            rig.pool.wake(Mono((round + 20) * 2 * MS), &mut Vec::new());
            rig.says(0, "READY\n");
            rig.dispatch();
            rig.says(0, answer);
        }
        lines.extend(rig.told().into_iter().filter(|line| line.starts_with("WARN")));
    }
    assert!(lines.len() <= 3 && lines[0] == "WARN l0: event was rejected", "{lines:?}");
}

#[test]
fn rejections_that_no_line_has_named_are_named_a_second_later() {
    const MS: u64 = 1_000_000;
    let mut rig = Rig::new(&settings(&["EVENT"], 10), 1);
    rig.remote(1);
    for at in [0, 100, 200] {
        rig.pool.moved(Mono(at * MS));
        rig.pool.wake(Mono(at * MS), &mut Vec::new());
        rig.says(0, "READY\n");
        rig.dispatch();
        rig.says(0, "RESULT 4\nFAIL");
    }
    rig.pool.wake(Mono(500 * MS), &mut Vec::new());
    assert_eq!(rig.pool.wakes_at(), Some(Mono(1000 * MS)));
    let mut out = Vec::new();
    rig.pool.wake(Mono(1000 * MS), &mut out);
    assert_eq!(out, [PoolEffect::Log(PoolLine::Rejected { listener: "p".into(), count: 2 })]);
    assert_eq!(
        out.iter()
            .map(|effect| match effect {
                PoolEffect::Log(line) => line.to_string(),
                _ => String::new(),
            })
            .collect::<String>(),
        "p: event was rejected (2 times)"
    );
    assert_eq!(rig.pool.wakes_at(), None);
}
