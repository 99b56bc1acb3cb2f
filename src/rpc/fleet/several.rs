//! Several instances that hear each other without any network, driven by calls: what each shows, what they do for each other,
//! and what follows when one is lost.

mod told;

use std::time::Duration;

use crate::fleet::Fleet;
use crate::fleet::peers::testing::Mesh;
use crate::rpc::Outcome;
use crate::rpc::deferred::Deferred;
use crate::rpc::testing::{World, params};
use crate::state::SupervisorState;
use crate::wire::value::Value;

/// What passes between two looks at all of them.
const STEP: Duration = Duration::from_millis(30);

struct Several {
    worlds: Vec<World>,
    mesh: Mesh,
    runs: u64,
}

const LIST: [&str; 3] = ["box:61000", "box:61002", "box:61004"];

/// The configuration of one of them; `$N` in what is added is its number.
fn text(at: usize, more: &str) -> String {
    let list: Vec<String> = (1..).zip(LIST).map(|(nick, name)| format!("<n{nick}>{name}")).collect();
    let (list, port) = (list.join(","), &LIST[at][4..]);
    format!(
        "[inet_http_server]\nport=*:{port}\n[rpcinterface:supvisors]\n\
         supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\nsupvisors_list={list}\n{}",
        more.replace("$N", &(at + 1).to_string())
    )
}

impl Several {
    fn new(more: &str) -> Several {
        Several::of((0..LIST.len()).map(|at| World::new(&text(at, more))).collect())
    }

    fn of(mut worlds: Vec<World>) -> Several {
        for world in &mut worlds {
            world.extensions.fleet = Fleet::new(world.now, &mut world.daemon, &mut world.host);
        }
        Several { worlds, mesh: Mesh::new(LIST.len()), runs: 0 }
    }

    /// All hear each other and have these rules; the first two share a machine.
    fn ruled(rules: &str, options: &str, programs: &[&str], groups: &str) -> Several {
        let programs: Vec<String> = programs
            .iter()
            .map(|name| format!("[program:{name}]\ncommand=/bin/{name}\nautostart=false\nstartsecs=0\n"))
            .collect();
        let more = format!("rules_files=/rules.xml\n{options}\n{}\n{groups}", programs.concat());
        let rules = format!("<root>{rules}</root>");
        let world = |at: usize| {
            let machine = if at < 2 { "one" } else { "other" };
            World::with_files(&text(at, &more), &[("/rules.xml", &rules), ("/etc/machine-id", machine)])
        };
        let mut all = Several::of((0..LIST.len()).map(world).collect());
        all.mesh.join_all(1);
        all.rest();
        all
    }

    /// All hear each other, and have come to rest.
    fn joined(more: &str) -> Several {
        let mut all = Several::new(more);
        all.mesh.join_all(1);
        all.rest();
        all
    }

    /// One turn of each of them, in which nothing waits but the network.
    fn turn(&mut self) {
        // One that ends is led on by what is not here.
        for world in self.worlds.iter_mut().filter(|world| world.daemon.state() == SupervisorState::Running) {
            world.pass(STEP);
        }
        self.with_mesh(|all| {
            for world in &mut all.worlds {
                if let Some(fleet) = &mut world.extensions.fleet {
                    fleet.turn(&mut world.daemon, world.now, &mut world.host);
                }
            }
        });
        self.mesh.deliver();
    }

    /// What is done with the fleets having the mesh's ends.
    fn with_mesh<R>(&mut self, work: impl FnOnce(&mut Several) -> R) -> R {
        self.swap();
        let result = work(self);
        self.swap();
        result
    }

    fn swap(&mut self) {
        for (world, peers) in self.worlds.iter_mut().zip(&mut self.mesh.0) {
            if let Some(fleet) = &mut world.extensions.fleet {
                std::mem::swap(&mut fleet.peers, peers);
            }
        }
    }

    fn rest(&mut self) {
        (0..20).for_each(|_| self.turn());
    }

    /// Two of them lose each other, or find each other again.
    fn cut(&mut self, one: usize, other: usize) {
        self.mesh.cut(one, other);
    }

    fn cut_off(&mut self, one: usize) {
        (0..LIST.len()).filter(|other| *other != one).for_each(|other| self.cut(one, other));
        self.rest();
    }

    fn rejoin(&mut self, one: usize) {
        self.runs += 10;
        let runs = self.runs;
        (0..LIST.len()).filter(|other| *other != one).for_each(|other| self.mesh.join(one, other, runs));
        self.rest();
    }

    fn begin(&mut self, at: usize, method: &str, params: &[Value]) -> Result<Outcome, String> {
        self.with_mesh(|all| all.worlds[at].begin(method, params))
    }

    fn poll(&mut self, at: usize, deferred: &mut Deferred, method: &str) -> Option<Result<Value, String>> {
        self.with_mesh(|all| all.worlds[at].poll(deferred, method))
    }

    /// A call of one of them, answered within ten minutes.
    fn call(&mut self, at: usize, method: &str, params: &[Value]) -> Result<Value, String> {
        let method = format!("supvisors.{method}");
        let mut deferred = match self.begin(at, &method, params)? {
            Outcome::Now(crate::rpc::Answer::Value(value)) => return Ok(value),
            Outcome::Now(_) => panic!("{method} answers something else"),
            Outcome::Deferred(deferred) => deferred,
        };
        for _ in 0..20_000 {
            self.turn();
            if let Some(done) = self.poll(at, &mut deferred, &method) {
                return done;
            }
        }
        panic!("{method} is never answered");
    }

    fn ok(&mut self, at: usize, method: &str, params: &[Value]) -> Value {
        let answer = self.call(at, method, params);
        self.rest();
        answer.unwrap_or_else(|fault| panic!("{method}{params:?}: {fault}"))
    }

    fn member(&mut self, at: usize, method: &str, params: &[Value], name: &str) -> Value {
        let value = self.ok(at, method, params);
        let value = if let Value::Array(mut all) = value { all.swap_remove(0) } else { value };
        value.member(name).cloned().unwrap_or(Value::Nil)
    }

    /// The state of the fleet and the Master, as each sees it.
    fn phases(&mut self) -> Vec<String> {
        (0..LIST.len()).map(|at| self.phase(at)).collect()
    }

    fn phase(&mut self, at: usize) -> String {
        let state = self.ok(at, "get_supvisors_state", &[]);
        let of = |name: &str| state.member(name).and_then(Value::as_str).unwrap_or_default().to_string();
        format!("{} {}", of("fsm_statename"), of("master_identifier")).trim_end().to_string()
    }

    /// The states of all instances as one sees them.
    fn seen_by(&mut self, at: usize) -> Vec<String> {
        let Value::Struct(states) = self.member(at, "get_supvisors_state", &[], "instance_states") else {
            panic!("no struct")
        };
        states.iter().map(|(_, state)| state.as_str().unwrap_or_default().to_string()).collect()
    }

    /// The state of a process and where it runs, as each sees it: the same everywhere.
    fn whereabouts(&mut self, name: &str) -> String {
        let all: Vec<String> = (0..LIST.len()).map(|at| self.whereabouts_by(at, name)).collect();
        assert!(all.iter().all(|one| *one == all[0]), "{name} is seen differently: {all:?}");
        all[0].clone()
    }

    fn whereabouts_by(&mut self, at: usize, name: &str) -> String {
        let state = self.member(at, "get_process_info", params![name.to_string()], "statename");
        let Value::Array(on) = self.member(at, "get_process_info", params![name.to_string()], "identifiers") else {
            panic!("no array")
        };
        let place = |one: &Value| LIST.iter().position(|name| Some(*name) == one.as_str()).map_or(0, |at| at + 1);
        let on: String = on.iter().map(|one| format!(" n{}", place(one))).collect();
        format!("{}{on}", state.as_str().unwrap_or_default())
    }
}

const PLAIN: &str = "[program:a]\ncommand=/bin/a\nautostart=false\nstartsecs=0\n\
    [program:b]\ncommand=/bin/b\nautostart=false\nstartsecs=1\nexpected_loading=60\n";

#[test]
fn instances_that_meet_have_one_master_and_one_view() {
    let mut all = Several::new(PLAIN);
    all.rest();
    assert_eq!(all.phases(), ["SYNCHRONIZATION"; 3]);
    all.mesh.join(0, 1, 1);
    all.rest();
    assert_eq!(all.seen_by(0), ["RUNNING", "RUNNING", "STOPPED"]);
    assert_eq!(all.phases(), ["SYNCHRONIZATION"; 3], "all of the list are waited for");
    all.mesh.join(0, 2, 1);
    all.mesh.join(1, 2, 1);
    all.rest();
    assert_eq!(all.phases(), ["OPERATION box:61000"; 3]);
    for at in 0..3 {
        assert_eq!(all.seen_by(at), ["RUNNING"; 3]);
    }
    assert_eq!(all.whereabouts("a"), "STOPPED");
}

#[test]
fn who_is_late_is_not_waited_for_and_joins() {
    let mut all = Several::new(PLAIN);
    all.mesh.join(1, 2, 1);
    (0..520).for_each(|_| all.turn());
    assert_eq!((all.phase(1), all.phase(2)), ("OPERATION box:61002".to_string(), "OPERATION box:61002".to_string()));
    assert_eq!(all.phase(0), "OPERATION box:61000", "for itself it is a fleet as well");
    assert_eq!(all.member(1, "get_supvisors_state", &[], "degraded_mode"), Value::Bool(true));
    all.mesh.join(0, 1, 1);
    all.mesh.join(0, 2, 1);
    all.rest();
    assert_eq!(all.phases(), ["OPERATION box:61000"; 3], "of two Masters one is left");
    assert_eq!(all.member(1, "get_supvisors_state", &[], "degraded_mode"), Value::Bool(false));
}

#[test]
fn processes_start_and_stop_wherever_they_have_a_place() {
    let mut all = Several::joined(PLAIN);
    let start = |strategy: &str, name: &str| params![strategy.to_string(), name.to_string()].to_vec();
    assert_eq!(all.call(0, "start_process", &start("MOST_LOADED", "a")), Ok(Value::Bool(true)));
    all.rest();
    assert_eq!(all.whereabouts("a"), "RUNNING n3", "of equals the last");
    assert_eq!(all.call(1, "start_process", &start("CONFIG", "a")), Err("ALREADY_STARTED: a".to_string()));
    all.ok(1, "stop_process", params!["a".to_string()]);
    assert_eq!(all.whereabouts("a"), "STOPPED");
    all.ok(2, "start_process", &start("CONFIG", "b"));
    assert_eq!(all.whereabouts("b"), "RUNNING n1");
    all.ok(1, "restart_process", &start("LOCAL", "b"));
    assert_eq!(all.whereabouts("b"), "RUNNING n2");
    let loading =
        |all: &mut Several, nick: &str| all.member(0, "get_instance_info", params![nick.to_string()], "loading");
    assert_eq!((loading(&mut all, "n1"), loading(&mut all, "n2")), (Value::Int(0), Value::Int(60)));
    let more = params!["LOCAL".to_string(), "a".to_string(), "-v 1".to_string()];
    all.ok(1, "start_process", more);
    for at in 0..3 {
        let arguments = all.member(at, "get_process_info", params!["a".to_string()], "extra_args");
        assert_eq!(arguments.as_str(), Some("-v 1"), "{at}");
    }
    assert!(all.worlds[1].host.children.values().any(|line| line == "/bin/a -v 1"));
}

#[test]
fn what_only_one_has_is_started_there() {
    let mut all = Several::joined("[program:own$N]\ncommand=/bin/own\nautostart=false\nstartsecs=0\n");
    let wanted = |strategy: &str| params![strategy.to_string(), "own2".to_string()].to_vec();
    assert_eq!(
        all.call(0, "start_process", &wanted("LOCAL")),
        Err("ABNORMAL_TERMINATION: failed to start own2".to_string())
    );
    all.rest();
    assert_eq!(all.whereabouts("own2"), "FATAL", "all see that there was no place");
    all.ok(0, "start_process", &wanted("CONFIG"));
    assert_eq!(all.whereabouts("own2"), "RUNNING n2");
    all.ok(2, "stop_process", params!["own2".to_string()]);
    assert_eq!(all.whereabouts("own2"), "STOPPED");
}

const MANAGED: &str = "[program:move]\ncommand=/bin/move\nautostart=false\nstartsecs=0\nstart_sequence=1\n\
    running_failure_strategy=RESTART_PROCESS\n\
    [program:stay]\ncommand=/bin/stay\nautostart=false\nstartsecs=0\nstop_sequence=1\n\
    [group:app]\nprograms=move,stay\n";

#[test]
fn what_is_lost_with_an_instance_is_started_elsewhere() {
    let mut all = Several::joined(MANAGED);
    assert_eq!(all.whereabouts("app:move"), "RUNNING n1", "started with the fleet");
    let stay = params!["LOCAL".to_string(), "app:stay".to_string()];
    all.ok(0, "start_process", stay);
    all.cut_off(0);
    assert_eq!(all.seen_by(1), ["STOPPED", "RUNNING", "RUNNING"]);
    assert_eq!((all.phase(1), all.phase(2)), ("OPERATION box:61002".to_string(), "OPERATION box:61002".to_string()));
    for at in 1..3 {
        assert_eq!(all.whereabouts_by(at, "app:move"), "RUNNING n2");
        assert_eq!(all.whereabouts_by(at, "app:stay"), "FATAL");
    }
    let reason = params!["n1".to_string(), "app:stay".to_string()];
    let reason = all.member(1, "get_inner_process_info", reason, "spawnerr");
    assert_eq!(reason.as_str(), Some("Supervisor box:61000 lost"));
    // Back, it brings what it never stopped, and that is a conflict.
    all.rejoin(0);
    assert_eq!(all.whereabouts("app:move"), "RUNNING n1 n2");
    assert!(all.phases().iter().all(|phase| phase.starts_with("CONCILIATION ")), "{:?}", all.phases());
    let Value::Array(conflicts) = all.ok(2, "get_conflicts", &[]) else { panic!("no array") };
    assert_eq!(conflicts.len(), 1);
    assert_eq!(all.call(2, "conciliate", params!["USER".to_string()]), Ok(Value::Bool(false)));
    all.ok(2, "conciliate", params!["INFANTICIDE".to_string()]);
    assert_eq!(all.whereabouts("app:move"), "RUNNING n1");
    assert!(all.phases().iter().all(|phase| phase.starts_with("OPERATION ")), "{:?}", all.phases());
}

#[test]
fn a_start_ends_with_the_instance_that_was_told() {
    let mut all = Several::joined("[program:slow]\ncommand=/bin/slow\nautostart=false\nstartsecs=100\n");
    let wanted = params!["MOST_LOADED".to_string(), "slow".to_string()];
    let Ok(Outcome::Deferred(mut deferred)) = all.begin(0, "supvisors.start_process", wanted) else {
        panic!("it is answered at once")
    };
    all.rest();
    assert_eq!(all.whereabouts("slow"), "STARTING n3");
    assert_eq!(all.poll(0, &mut deferred, "supvisors.start_process"), None);
    all.cut_off(2);
    let answer = all.poll(0, &mut deferred, "supvisors.start_process");
    assert_eq!(answer, Some(Err("NOT_RUNNING: processes=['slow']".to_string())));
}

#[test]
fn options_that_contradict_keep_instances_apart() {
    let more = |at: usize| if at == 2 { "auto_fence=true\n" } else { "" };
    let mut all = Several::of((0..3).map(|at| World::new(&text(at, more(at)))).collect());
    all.mesh.join_all(1);
    all.rest();
    assert_eq!(all.seen_by(0), ["RUNNING", "RUNNING", "ISOLATED"]);
    assert_eq!(all.seen_by(2), ["ISOLATED", "ISOLATED", "RUNNING"]);
}

#[test]
fn nothing_is_taken_in_of_one_that_is_kept_apart() {
    let more = |at: usize| format!("{}{MANAGED}", if at == 2 { "auto_fence=true\n" } else { "" });
    let mut all = Several::of((0..3).map(|at| World::new(&text(at, &more(at)))).collect());
    // Both sides have started it by themselves before they hear of each other.
    (0..520).for_each(|_| all.turn());
    all.mesh.join_all(1);
    all.rest();
    all.rest();
    assert_eq!(all.seen_by(0), ["RUNNING", "RUNNING", "ISOLATED"]);
    let here = all.whereabouts_by(0, "app:move");
    assert!(here.starts_with("RUNNING n") && !here.contains("n3"), "{here}");
    assert_eq!(all.whereabouts_by(2, "app:move"), "RUNNING n3");
    assert_eq!(all.phase(2), "OPERATION box:61004");
}

#[test]
fn what_an_instance_has_no_more_is_forgotten() {
    const COUNT: usize = 300;
    let many =
        format!("[program:own$N]\ncommand=/bin/own\nautostart=false\nnumprocs={COUNT}\nprocess_name=%(process_num)d\n");
    let mut all = Several::joined(&many);
    let count = |all: &mut Several| all.worlds[0].extensions.fleet.as_ref().unwrap().view().tasks().count();
    assert_eq!(count(&mut all), 3 * COUNT);
    all.cut_off(1);
    let mut other = World::new(&text(1, PLAIN));
    other.extensions.fleet = Fleet::new(other.now, &mut other.daemon, &mut other.host);
    all.worlds[1] = other;
    all.rejoin(1);
    assert_eq!(count(&mut all), 2 * COUNT + 2);
    assert_eq!(all.whereabouts_by(0, "a"), "STOPPED");
}

#[test]
fn the_end_of_all_is_asked_of_any() {
    let mut all = Several::joined(MANAGED);
    all.ok(2, "restart", &[]);
    for at in 0..3 {
        let state = all.worlds[at].daemon.state();
        assert_eq!(state, SupervisorState::Restarting, "{at}");
        assert!(all.worlds[at].host.children.is_empty(), "{at}");
    }
}

/// Where a dry run says that processes would be, `-` for nowhere.
fn predicted(all: &mut Several, at: usize, method: &str, strategy: &str, name: &str) -> Vec<String> {
    let params = params![strategy.to_string(), name.to_string()];
    let Value::Array(found) = all.ok(at, method, params) else { panic!("no array") };
    let on = |one: &Value| match one.member("running_identifiers") {
        Some(Value::Array(on)) => on.first().and_then(Value::as_str).unwrap_or("-").to_string(),
        _ => String::new(),
    };
    let nick = |identifier: String| {
        LIST.iter().position(|one| *one == identifier).map_or(identifier, |at| format!("n{}", at + 1))
    };
    found.iter().map(|one| nick(on(one))).collect()
}

const LOADS: &str = "<application name=\"load\"><programs>
    <program name=\"u20\"><expected_loading>20</expected_loading></program>
    <program name=\"u45\"><expected_loading>45</expected_loading></program>
    <program name=\"u60\"><expected_loading>60</expected_loading></program>
    <program name=\"x10\"><expected_loading>10</expected_loading></program>
    <program name=\"x80\"><expected_loading>80</expected_loading></program>
    <program name=\"x0\"/></programs></application>";

#[test]
fn strategies_count_what_runs_and_what_shares_a_machine() {
    let names = ["u20", "u45", "u60", "x10", "x80", "x0"];
    let groups = format!("[group:load]\nprograms={}\n", names.join(","));
    let mut all = Several::ruled(LOADS, "", &names, &groups);
    // n1 20 and n2 45, together 65; n3 60.
    for (at, name) in names.iter().take(3).enumerate() {
        all.ok(at, "start_process", params!["LOCAL".to_string(), format!("load:{name}")]);
    }
    let rows = [
        ("CONFIG", "x10", "n1"),
        ("LESS_LOADED", "x10", "n1"),
        ("MOST_LOADED", "x10", "n3"),
        ("LOCAL", "x10", "n1"),
        ("LESS_LOADED_NODE", "x10", "n3"),
        ("MOST_LOADED_NODE", "x10", "n2"),
        ("CONFIG", "x80", "-"),
        ("LOCAL", "x80", "-"),
        ("MOST_LOADED_NODE", "x0", "n2"),
    ];
    for (strategy, name, place) in rows {
        let found = predicted(&mut all, 0, "test_start_process", strategy, &format!("load:{name}"));
        assert_eq!(found, [place], "{strategy} {name}");
    }
}

#[test]
fn applications_may_stay_together() {
    let programs = "<programs><program name=\"s1\"><start_sequence>1</start_sequence><expected_loading>30</expected_loading></program>
        <program name=\"s2\"><start_sequence>2</start_sequence><expected_loading>40</expected_loading></program></programs>";
    let single = |kind: &str| {
        format!("{LOADS}<application name=\"app\"><distribution>{kind}</distribution>{programs}</application>")
    };
    let groups = "[group:load]\nprograms=u45,u20\n[group:app]\nprograms=s1,s2\n";
    let rows = [("SINGLE_INSTANCE", "LESS_LOADED", ["n3", "n3"]), ("SINGLE_NODE", "CONFIG", ["n3", "n3"])];
    for (kind, strategy, places) in rows {
        let mut all = Several::ruled(&single(kind), "", &["s1", "s2", "u45", "u20"], groups);
        all.ok(0, "start_process", params!["LOCAL".to_string(), "load:u45".to_string()]);
        let dry = predicted(&mut all, 0, "test_start_application", strategy, "app");
        assert_eq!(dry, places, "{kind}");
        all.ok(0, "start_application", params![strategy.to_string(), "app".to_string()]);
        assert_eq!((all.whereabouts("app:s1"), all.whereabouts("app:s2")), ("RUNNING n3".into(), "RUNNING n3".into()));
    }
    // On one machine its instances share the work.
    let mut all = Several::ruled(&single("SINGLE_NODE"), "", &["s1", "s2", "u45", "u20"], groups);
    assert_eq!(predicted(&mut all, 0, "test_start_application", "LESS_LOADED", "app"), ["n1", "n2"]);
}

#[test]
fn processes_of_a_program_are_spread() {
    let rules = "<application name=\"app\"><programs>
        <program pattern=\"h\"><identifiers>#,n3,n1</identifiers><start_sequence>1</start_sequence></program>
        <program pattern=\"k\"><identifiers>@,n1,n3</identifiers><start_sequence>1</start_sequence></program>
        </programs></application>";
    let groups = "[program:h]\ncommand=/bin/h\nautostart=false\nstartsecs=0\nnumprocs=3\nprocess_name=h%(process_num)d\n\
        [program:k]\ncommand=/bin/k\nautostart=false\nstartsecs=0\nnumprocs=3\nprocess_name=k%(process_num)d\n\
        [group:app]\nprograms=h,k\n";
    let mut all = Several::ruled(rules, "", &[], groups);
    let places = ["n3", "n1", "n3", "n1", "n3", "-"];
    assert_eq!(predicted(&mut all, 1, "test_start_application", "CONFIG", "app"), places);
    all.ok(1, "start_application", params!["CONFIG".to_string(), "app".to_string()]);
    let names = ["h0", "h1", "h2", "k0", "k1"];
    let found: Vec<String> = names.iter().map(|name| all.whereabouts(&format!("app:{name}"))).collect();
    assert_eq!(found, ["RUNNING n3", "RUNNING n1", "RUNNING n3", "RUNNING n1", "RUNNING n3"]);
    assert_eq!(all.whereabouts("app:k2"), "FATAL");
}

#[test]
fn conflicts_are_resolved_as_it_is_asked() {
    let rules = "<application name=\"app\"><programs><program name=\"a\"/>
        <program name=\"b\"><running_failure_strategy>STOP_APPLICATION</running_failure_strategy></program>
        <program name=\"c\"/></programs></application>";
    let groups = "[group:app]\nprograms=a,b,c\n";
    let conflict = |name: &str, options: &str| {
        let mut all = Several::ruled(rules, options, &["a", "b", "c"], groups);
        all.ok(0, "start_process", params!["CONFIG".to_string(), "app:c".to_string()]);
        for at in [1, 0, 2] {
            all.ok(at, "start_args", params![format!("app:{name}"), String::new()]);
        }
        all
    };
    let rows = [
        ("SENICIDE", "a", "RUNNING n3", "RUNNING n1"),
        ("INFANTICIDE", "a", "RUNNING n2", "RUNNING n1"),
        ("STOP", "a", "STOPPED", "RUNNING n1"),
        ("RESTART", "a", "RUNNING n1", "RUNNING n1"),
        ("RUNNING_FAILURE", "a", "STOPPED", "RUNNING n1"),
        ("RUNNING_FAILURE", "b", "STOPPED", "STOPPED"),
    ];
    for (strategy, name, expected, other) in rows {
        let mut all = conflict(name, "");
        assert_eq!(all.whereabouts(&format!("app:{name}")), "RUNNING n1 n2 n3");
        assert!(all.phases().iter().all(|phase| phase.starts_with("CONCILIATION ")), "{:?}", all.phases());
        // Asked of one that does not lead.
        all.ok(1, "conciliate", params![strategy.to_string()]);
        (0..3).for_each(|_| all.rest());
        assert_eq!(all.whereabouts(&format!("app:{name}")), expected, "{strategy}");
        assert_eq!(all.whereabouts("app:c"), other, "{strategy}");
        assert!(all.phases().iter().all(|phase| phase.starts_with("OPERATION ")), "{strategy} {:?}", all.phases());
    }
    let mut all = conflict("a", "conciliation_strategy=STOP");
    assert_eq!(all.whereabouts("app:a"), "RUNNING n3", "each conflict is resolved at once, and the last start is none");
    // What nobody manages may run as often as it likes.
    let mut all = Several::joined(PLAIN);
    for at in 0..3 {
        all.ok(at, "start_args", params!["a".to_string(), String::new()]);
    }
    assert_eq!((all.whereabouts("a").as_str(), all.phase(0).as_str()), ("RUNNING n1 n2 n3", "OPERATION box:61000"));
}

#[test]
fn a_user_ends_the_synchronisation_and_names_the_master() {
    let mut all = Several::new("synchro_options=USER\n");
    all.mesh.join(0, 1, 1);
    all.rest();
    assert_eq!(all.phase(0), "SYNCHRONIZATION");
    let refused = |all: &mut Several, name: &str| all.call(0, "end_sync", params![name.to_string()]).unwrap_err();
    assert_eq!(refused(&mut all, "n3"), "NOT_RUNNING: Supvisors instance=box:61004 is not RUNNING (STOPPED)");
    assert_eq!(refused(&mut all, "nowhere"), "BAD_NAME: unknown Supvisors identifier=nowhere");
    all.ok(0, "end_sync", params!["n2".to_string()]);
    assert_eq!((all.phase(0).as_str(), all.phase(1).as_str()), ("OPERATION box:61002", "OPERATION box:61002"));
    assert_eq!(all.phase(2), "SYNCHRONIZATION", "nobody has told it");
}

#[test]
fn core_instances_are_enough_and_lead() {
    let mut all = Several::new("synchro_options=CORE\ncore_identifiers=n2,n3\n");
    all.mesh.join(1, 2, 1);
    all.rest();
    assert_eq!((all.phase(1).as_str(), all.phase(2).as_str()), ("OPERATION box:61002", "OPERATION box:61002"));
    assert_eq!(all.phase(0), "SYNCHRONIZATION");
    all.mesh.join(0, 1, 1);
    all.mesh.join(0, 2, 1);
    all.rest();
    assert_eq!(all.phases(), ["OPERATION box:61002"; 3], "who joins changes nothing");
}

#[test]
fn what_follows_when_those_are_missing_that_were_waited_for() {
    let rows = [("CONTINUE", "OPERATION box:61000"), ("RESYNC", "SYNCHRONIZATION")];
    for (strategy, expected) in rows {
        let options = format!("synchro_options=STRICT\nsupvisors_failure_strategy={strategy}\n");
        let mut all = Several::joined(&options);
        assert_eq!(all.phases(), ["OPERATION box:61000"; 3]);
        all.cut_off(2);
        assert_eq!(all.phase(0), expected, "{strategy}");
    }
    let mut all = Several::joined("synchro_options=STRICT\nsupvisors_failure_strategy=SHUTDOWN\n");
    all.cut_off(2);
    assert_eq!(all.worlds[0].daemon.state(), SupervisorState::Shutdown);
}

#[test]
fn one_that_is_fenced_stays_away() {
    let mut all = Several::joined("auto_fence=true\n");
    all.cut_off(2);
    assert_eq!(all.seen_by(0), ["RUNNING", "RUNNING", "ISOLATED"]);
    all.rejoin(2);
    assert_eq!(all.seen_by(0), ["RUNNING", "RUNNING", "ISOLATED"]);
}
