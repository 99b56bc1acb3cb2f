use super::*;
use std::collections::BTreeSet;

/// Some instances on one clock, and a network between them.
struct Network {
    nodes: Vec<Membership>,
    now: Mono,
    /// What is on its way: when it arrives, from whom, to whom.
    ways: BTreeMap<(Mono, u64), (usize, usize, Vec<u8>)>,
    sent: u64,
    /// Those that neither send nor hear.
    silent: BTreeSet<usize>,
    /// Of a hundred datagrams, so many are lost.
    loss: u64,
    chance: Chance,
    /// What happened: at which instance, to which other.
    news: Vec<(Mono, usize, String)>,
}

const DELAY: Duration = Duration::from_millis(2);

impl Network {
    fn new(count: usize, pace: Pace) -> Network {
        let nodes = (0..count).map(|at| node(at, count, 100 + at as u64, pace)).collect();
        let (silent, news) = (BTreeSet::new(), Vec::new());
        let ways = BTreeMap::new();
        Network { nodes, now: Mono(0), ways, sent: 0, silent, loss: 0, chance: Chance(1), news }
    }

    /// Two of them open a stream to each other.
    fn meet(&mut self, one: usize, other: usize) {
        let boots = [one, other].map(|at| self.nodes[at].foca.identity().boot);
        let lives =
            [self.nodes[other].life_for(&name(one), boots[0]), self.nodes[one].life_for(&name(other), boots[1])];
        self.nodes[one].outlive(lives[0], self.now);
        self.nodes[other].outlive(lives[1], self.now);
        let lives = [one, other].map(|at| self.nodes[at].own_life());
        self.nodes[one].met(&name(other), boots[1], lives[1], self.now);
        self.nodes[other].met(&name(one), boots[0], lives[0], self.now);
    }

    fn collect(&mut self) {
        for at in 0..self.nodes.len() {
            for effect in self.nodes[at].take_effects() {
                match effect {
                    Effect::Send { to, bytes, .. } => {
                        let is_lost = rand::Rng::next_u64(&mut self.chance) % 100 < self.loss;
                        let place = (0..self.nodes.len()).find(|at| *name(*at) == *to.name).unwrap();
                        self.sent += 1;
                        if !is_lost && !self.silent.contains(&at) && !self.silent.contains(&place) {
                            self.ways.insert((self.now.after(DELAY), self.sent), (at, place, bytes));
                        }
                    }
                    Effect::Up(node) => self.news.push((self.now, at, format!("up {} {}", node.name, node.boot))),
                    Effect::Down(node) => self.news.push((self.now, at, format!("down {} {}", node.name, node.boot))),
                    Effect::Renewed => self.news.push((self.now, at, "renewed".to_string())),
                }
            }
        }
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now.after(time);
        loop {
            self.collect();
            let due = (0..self.nodes.len()).filter_map(|at| self.nodes[at].deadline()).min();
            let way = self.ways.first_key_value().map(|((at, _), _)| *at);
            let next = crate::clock::earliest(&[due, way]).filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            while let Some(entry) = self.ways.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (_, to, bytes) = entry.remove();
                self.nodes[to].receive(&bytes, self.now);
            }
            for node in &mut self.nodes {
                node.turn(self.now);
            }
        }
        self.now = end;
    }

    fn take_news(&mut self) -> Vec<String> {
        self.collect();
        std::mem::take(&mut self.news).into_iter().map(|(_, at, text)| format!("{at} {text}")).collect()
    }
}

/// One of so many.
fn node(at: usize, count: usize, boot: u64, pace: Pace) -> Membership {
    let names: Vec<String> = (0..count).map(name).collect();
    Membership::new(&name(at), names.iter().map(String::as_str), boot, pace, at as u64)
}

fn name(at: usize) -> String {
    format!("n{at}:9001")
}

fn seconds(number: f64) -> Duration {
    Duration::from_secs_f64(number)
}

fn trio(pace: Pace) -> Network {
    let mut network = Network::new(3, pace);
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        network.meet(one, other);
    }
    let mut news = network.take_news();
    news.sort();
    assert_eq!(
        news,
        [
            "0 up n1:9001 101",
            "0 up n2:9001 102",
            "1 up n0:9001 100",
            "1 up n2:9001 102",
            "2 up n0:9001 100",
            "2 up n1:9001 101"
        ]
    );
    network
}

#[test]
fn who_has_met_one_hears_of_all() {
    let mut network = Network::new(4, Pace::NORMAL);
    (1..4).for_each(|at| network.meet(0, at));
    network.run(seconds(3.0));
    for at in 0..4 {
        let others = (0..4).filter(|other| *other != at);
        assert!(others.into_iter().all(|other| network.nodes[at].is_there(&name(other), 100 + other as u64)), "{at}");
    }
}

#[test]
fn silence_is_noticed_in_time() {
    for (pace, least, most) in [(Pace::NORMAL, 3.0, 6.5), (Pace::FAST, 1.0, 3.0)] {
        let mut network = trio(pace);
        network.run(seconds(5.0));
        network.silent.insert(2);
        let since = network.now;
        assert_eq!(network.take_news(), Vec::<String>::new(), "nobody is lost before");
        network.run(seconds(10.0));
        for at in [0, 1] {
            let lost = network.news.iter().find(|(_, who, text)| *who == at && text == "down n2:9001 102");
            let after = lost.unwrap().0.since(since);
            assert!(after >= seconds(least) && after <= seconds(most), "{at} after {after:?} with {pace:?}");
        }
    }
}

#[test]
fn who_is_known_to_be_gone_is_gone_everywhere_at_once() {
    let mut network = trio(Pace::NORMAL);
    network.run(seconds(2.0));
    network.silent.insert(2);
    network.nodes[0].gone(&name(2), 102, network.now);
    // Another run of it is not meant.
    network.nodes[0].gone(&name(1), 999, network.now);
    network.run(seconds(0.5));
    assert_eq!(network.take_news()[..2], ["0 down n2:9001 102", "1 down n2:9001 102"]);
}

#[test]
fn who_was_taken_for_dead_lives_on() {
    let mut network = trio(Pace::NORMAL);
    network.run(seconds(2.0));
    network.take_news();
    // It was wrong: it is there all the time.
    network.nodes[0].gone(&name(2), 102, network.now);
    network.run(seconds(3.0));
    let news = network.take_news();
    assert!(news.contains(&"2 renewed".to_string()), "{news:?}");
    for at in [0, 1] {
        assert!(network.nodes[at].is_there(&name(2), 102), "{at}: {news:?}");
    }
}

#[test]
fn a_new_run_takes_the_place_of_the_one_before() {
    let mut network = trio(Pace::NORMAL);
    network.run(seconds(2.0));
    // Its life was prolonged before, so that a newcomer that begins with the first would lose.
    network.nodes[2].outlive(9, network.now);
    network.run(seconds(2.0));
    network.take_news();
    network.nodes[2] = node(2, 3, 202, Pace::NORMAL);
    network.meet(2, 0);
    assert!(network.nodes[2].own_life() > 9);
    network.run(seconds(2.0));
    let news = network.take_news();
    for at in [0, 1] {
        assert!(network.nodes[at].is_there(&name(2), 202) && !network.nodes[at].is_there(&name(2), 102), "{news:?}");
        let of_it = |text: &str| news.iter().position(|one| *one == format!("{at} {text}"));
        assert!(of_it("down n2:9001 102") < of_it("up n2:9001 202") && of_it("down n2:9001 102").is_some(), "{news:?}");
    }
    // What was said by or about the earlier run changes nothing any more.
    network.run(seconds(5.0));
    assert_eq!(network.take_news(), Vec::<String>::new());
}

#[test]
fn loss_of_one_in_twenty_loses_nobody() {
    let mut network = trio(Pace::NORMAL);
    network.loss = 5;
    network.run(seconds(600.0));
    assert_eq!(network.take_news(), Vec::<String>::new());
}

#[test]
fn ten_speak_little() {
    let mut network = Network::new(10, Pace::NORMAL);
    (0..10).for_each(|one| (0..one).for_each(|other| network.meet(one, other)));
    network.run(seconds(10.0));
    network.sent = 0;
    network.run(seconds(10.0));
    assert!(network.sent <= 10 * 10 * 6, "{} datagrams in ten seconds", network.sent);
}

#[test]
fn nonsense_changes_nothing() {
    let mut network = trio(Pace::NORMAL);
    let mut chance = Chance(3);
    for length in 0..300 {
        let bytes: Vec<u8> = (0..length).map(|_| (rand::Rng::next_u64(&mut chance) % 12) as u8).collect();
        network.nodes[0].receive(&bytes, network.now);
    }
    network.run(seconds(1.0));
    assert_eq!(network.take_news(), Vec::<String>::new());
}

/// What `n1` says to `n0` of some members.
fn gossip(network: &Network, members: &[Member<Node>]) -> Vec<u8> {
    let [src, dst] = [1, 0].map(|at: usize| network.nodes[at].foca.identity().clone());
    let mut bytes = Vec::new();
    let header = Header { src, src_incarnation: 0, dst, message: Message::Gossip };
    Bodies.encode_header(&header, &mut bytes).unwrap();
    bytes.put_u16(members.len() as u16);
    members.iter().for_each(|member| Bodies.encode_member(member, &mut bytes).unwrap());
    bytes
}

#[test]
fn what_one_gone_mad_tells_is_not_remembered_without_end() {
    let mut network = trio(Pace::NORMAL);
    let timers = network.nodes[0].timers.len();
    for number in 0..1000 {
        // Instances that nobody has, ever another life and run of one that there is, and that one suspected again and again.
        let strange = Node { name: format!("x{number}:9001").into(), boot: number, life: 1 };
        let of = |at: usize, boot, life| Node { name: name(at).into(), boot, life };
        let members = [
            Member::alive(strange.clone()),
            Member::down(of(2, 102 + number, number as u32 + 2)),
            Member::alive(of(2, 102 + number, number as u32 + 3)),
            Member::down(Node { life: 2, ..strange }),
            Member::down(of(0, 100, number as u32 + 1)),
        ];
        let bytes = gossip(&network, &members);
        network.nodes[0].receive(&bytes, network.now);
        network.nodes[0].take_effects();
    }
    let node = &network.nodes[0];
    let of_two = node.foca.iter_membership_state().find(|member| *member.id().name == name(2));
    assert_eq!(of_two.map(|member| member.id().life), Some(1002), "what is known is taken in");
    let (members, backlog) = (node.foca.iter_membership_state().len(), node.foca.updates_backlog());
    assert!(
        members <= 3 && backlog <= 3 && node.timers.len() <= timers + 6,
        "{members} {backlog} {}",
        node.timers.len()
    );
}

#[test]
fn lists_that_differ_do_not_keep_two_from_hearing_each_other() {
    let mut network = trio(Pace::NORMAL);
    // Of these two only the others know the third.
    network.nodes[0] = node(0, 2, 300, Pace::NORMAL);
    network.meet(0, 1);
    network.run(seconds(60.0));
    assert!(network.nodes[0].is_there(&name(1), 101) && network.nodes[1].is_there(&name(0), 300));
    assert!(!network.nodes[0].is_there(&name(2), 102) && network.nodes[1].is_there(&name(2), 102));
}
