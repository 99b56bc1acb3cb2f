//! `[rpcinterface:supvisors]`, rules files and plain options as a whole.

use super::values::{StatsOf, Whole};
use super::words::{EventLink, SupvisorsFailure};
use super::*;
use crate::config::fake::Fake;

const HEAD: &str = "[supervisord]\nidentifier=n1\n[inet_http_server]\nport=127.0.0.1:61000\n\
                    [rpcinterface:supvisors]\nsupervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n";

fn fleet(env: &mut Fake, text: &str) -> Result<Option<Rc<Fleet>>, String> {
    env.load(text).map(|config| config.fleet).map_err(|error| error.to_string())
}

fn supvisors(options: &str) -> (Rc<Fleet>, Vec<String>) {
    let fleet = fleet(&mut Fake::new(), &format!("{HEAD}{options}")).unwrap().unwrap();
    let texts = fleet.problems.iter().map(|problem| problem.text.clone()).collect();
    (fleet, texts)
}

#[test]
fn nothing_asked_for_is_nothing_there() {
    let text = "[supervisord]\n[inet_http_server]\nport=127.0.0.1:61000\n[program:a]\ncommand=a\n";
    assert!(fleet(&mut Fake::new(), text).unwrap().is_none());
}

#[test]
fn wrong_values_take_their_defaults() {
    let (fleet, problems) = supvisors(
        "synchro_timeout=3\nauto_fence=maybe\nevent_link=SMOKE\nevent_port=0\nsynchro_options=STRICT,FOO\n\
         starting_strategy=BEST\nstats_enabled=sometimes\nstats_periods=5,x\nmulticast_ttl=300\n\
         multicast_group=10.0.0.1:1\ncore_identifiers=,\nnonsense=12\n",
    );
    let options = &fleet.supvisors.as_ref().unwrap().options;
    assert_eq!(options.synchro_timeout, Whole(15));
    assert_eq!((options.auto_fence, options.event_link), (false, EventLink::None));
    assert_eq!(options.starting_strategy, StartingStrategy::Config);
    assert_eq!(options.stats_enabled, StatsOf { host: true, processes: true });
    assert_eq!(options.multicast_group, None);
    // Without a list STRICT has no meaning, and without core_identifiers CORE.
    assert_eq!(options.synchro_options.0, [Synchro::Timeout]);
    assert_eq!(problems.iter().filter(|text| text.ends_with("its default counts")).count(), 10, "{problems:?}");
    assert!(
        problems
            .iter()
            .any(|text| text.contains("expected 15 to 1200, not '3'") && text.contains("(file: 'F', line 7)")),
        "{problems:?}"
    );
}

#[test]
fn good_values() {
    let (fleet, problems) = supvisors(
        "supvisors_list=<n1>127.0.0.1:61000\nauto_fence=On\nsynchro_options=USER, TIMEOUT,STRICT\n\
         supvisors_failure_strategy=RESYNC\nstarting_strategy=most_loaded_node\nstats_enabled=PROCESS\n\
         stats_collecting_period=7\nstereotypes=b, a ,b\n",
    );
    let found = fleet.supvisors.as_ref().unwrap();
    let options = &found.options;
    assert_eq!((options.auto_fence, options.starting_strategy), (true, StartingStrategy::MostLoadedNode));
    assert_eq!(options.supvisors_failure_strategy, SupvisorsFailure::Continue);
    assert_eq!(options.stereotypes.0, ["b", "a"]);
    assert_eq!(options.stats_collecting_period, Some(Period(7.0)));
    assert_eq!(found.instances.own().map(|own| own.nick.as_str()), Some("n1"));
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn starts_that_are_refused() {
    let unix = HEAD.replace("[inet_http_server]\nport=127.0.0.1:61000", "[unix_http_server]\nfile=/tmp/s");
    let rows = [
        (unix, "Supervisor MUST be configured using inet_http_server: F (file: 'F', line 5)"),
        (format!("{HEAD}synchro_options=CORE\n"), "synchro_options shall not be empty (file: 'F', line 7)"),
        (
            format!("{HEAD}supvisors_list=<n9>10.9.9.9:61000\n"),
            "could not find the Supvisors in supvisors_list (file: 'F', line 7)",
        ),
        (format!("{HEAD}loglevel=loud\n"), "bad logging level name 'loud' (file: 'F', line 7)"),
    ];
    for (text, expected) in rows {
        let found = fleet(&mut Fake::new(), &text).map(|_| ()).unwrap_err();
        assert_eq!(found, expected, "{text}");
    }
    let none = HEAD.replace("[inet_http_server]\nport=127.0.0.1:61000\n", "");
    assert!(fleet(&mut Fake::new(), &none).unwrap().is_none());
}

#[test]
fn rules_files_are_sorted_and_may_name_here_in_both_ways() {
    let mut env = Fake::new();
    env.write(
        "/base/rules/r1.xml",
        "<root><application name='app'><start_sequence>4</start_sequence></application></root>",
    );
    env.write(
        "/base/rules/r2.xml",
        "<root><application name='app'><start_sequence>5</start_sequence></application></root>",
    );
    env.write("/base/more.xml", "<root>\n<application name='b'><expected>1</expected></application></root>");
    let programs = "[program:a]\ncommand=a\n[group:app]\nprograms=a\n[program:b]\ncommand=b\n";
    for here in ["%(here)s", "%%(here)s"] {
        let text = format!("{HEAD}rules_files=%(here)s/rules/r*.xml {here}/more.xml none*.xml\n{programs}");
        let found = fleet(&mut env, &text).unwrap().unwrap();
        let rules = |name| found.rules.application(name, &[], StartingStrategy::Config, &mut |_| {});
        assert_eq!((rules("app").start_sequence, rules("b").managed), (4, true), "{here}");
        let problems: Vec<&str> = found.problems.iter().map(|problem| problem.text.as_str()).collect();
        assert_eq!(problems, ["<expected> is not known in <application> (file: '/base/more.xml', line 2)"]);
    }
}

#[test]
fn a_file_that_is_no_xml_is_the_end_of_all_rules() {
    let mut env = Fake::new();
    env.write("/base/a.xml", "<root><application name='app'/></root>");
    env.write("/base/b.xml", "<root>\n<application name='app'>");
    let found = fleet(&mut env, &format!("{HEAD}rules_files=a.xml b.xml\n")).unwrap().unwrap();
    assert!(!found.rules.application("app", &[], StartingStrategy::Config, &mut |_| {}).managed);
    let problem = &found.problems[0];
    assert!(
        problem.is_error && problem.text.contains("none of the rules_files counts (file: '/base/b.xml', line 2)"),
        "{}",
        problem.text
    );
}

#[test]
fn rules_files_and_what_is_told_of_them_have_an_end() {
    let mut env = Fake::new();
    env.write("/base/a.xml", format!("<root>{}</root>", "<x/>".repeat(PROBLEMS_MAX + 5)));
    let found = fleet(&mut env, &format!("{HEAD}rules_files=a.xml\n")).unwrap().unwrap();
    assert_eq!(found.problems.len(), PROBLEMS_MAX + 1);
    env.write("/base/a.xml", format!("<root>{}</root>", " ".repeat(RULES_BYTES_MAX)));
    let found = fleet(&mut env, &format!("{HEAD}rules_files=a.xml\n")).unwrap().unwrap();
    assert!(found.problems[0].text.contains("more than 16 MiB together"), "{}", found.problems[0].text);
}

#[test]
fn plain_options() {
    let text = "[supervisord]\n[program:a]\ncommand=a\nstart_sequence=1\nrequired=true\nwait_exit_secs=5\n\
                [program:b]\ncommand=b\n[group:g]\nprograms=a,b\nrunning_failure_strategy=restart_application\n";
    let found = fleet(&mut Fake::new(), text).unwrap().unwrap();
    assert!(found.supvisors.is_none());
    let application = found.rules.application("g", &["a", "b"], StartingStrategy::Config, &mut |_| {});
    assert_eq!((application.managed, application.start_sequence), (true, 1));
    let of =
        |process| found.rules.process(Named { application: "g", process, program: process }, &application, &mut |_| {});
    assert_eq!((of("a").required, of("a").start_sequence, of("a").wait_exit_secs), (true, 1, 5));
    assert_eq!(of("b").running_failure, RunningFailure::RestartApplication);
    let wrong = text.replace("start_sequence=1", "start_sequence=128");
    assert_eq!(
        fleet(&mut Fake::new(), &wrong).map(|_| ()).unwrap_err(),
        "start_sequence: expected 0 to 127, not '128' (file: 'F', line 4)"
    );
}

#[test]
fn names_in_the_hosts_file() {
    let hosts = "127.0.0.1 localhost\n10.0.0.1 box box.example # me\n10.0.0.1 again\n";
    assert_eq!(names_of(hosts, Ipv4Addr::new(10, 0, 0, 1)), ["box", "box.example", "again"]);
    assert!(names_of(hosts, Ipv4Addr::new(10, 0, 0, 2)).is_empty());
}
