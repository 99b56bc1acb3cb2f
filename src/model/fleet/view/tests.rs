//! What is shown of tasks, and what is kept beside them.

use super::*;
use ProcessState::*;

const HERE: PeerId = PeerId(0);
const THERE: PeerId = PeerId(1);

fn record(state: ProcessState) -> Record {
    Record { state, expected: true, ..Record::default() }
}

fn says(view: &mut View, peer: PeerId, state: ProcessState, said: Said) -> TaskId {
    view.set(peer, ("app", "web"), record(state), said, Mono(1)).unwrap()
}

#[test]
fn one_state_follows_from_several() {
    let rows: &[(&[ProcessState], ProcessState, usize)] = &[
        (&[Stopped, Stopped], Stopped, 0),
        (&[Running, Stopped], Running, 1),
        (&[Stopped, Running], Running, 1),
        (&[Starting, Running], Running, 2),
        (&[Starting, Backoff], Backoff, 2),
        (&[Stopping, Starting], Starting, 2),
        (&[Stopping, Stopped], Stopping, 1),
        (&[Exited, Fatal], Fatal, 0),
        (&[Fatal, Exited], Exited, 0),
    ];
    for (states, shown, count) in rows {
        let mut view = View::default();
        for (at, state) in states.iter().enumerate() {
            let id = says(&mut view, PeerId(at as u32), *state, Said::Event);
            view.set_rules(id, 0, true);
        }
        let task = view.task(view.task_named("app", "web").unwrap()).unwrap();
        assert_eq!((task.shown(), task.running().count()), (*shown, *count), "{states:?}");
        assert_eq!(view.twice().count(), usize::from(*count > 1), "{states:?}");
        view.set_rules(view.task_named("app", "web").unwrap(), 0, false);
        assert_eq!(view.twice().count(), 0, "{states:?}: it may run as often as it likes");
    }
}

#[test]
fn what_joins_and_does_nothing_changes_nothing() {
    let mut view = View::default();
    let id = says(&mut view, HERE, Exited, Said::Event);
    view.force(id, Forced { state: Fatal, reason: "no room".to_string(), at: Mono(2) });
    says(&mut view, THERE, Stopped, Said::Whole);
    assert_eq!((view.task(id).unwrap().shown(), view.task(id).unwrap().state()), (Fatal, Exited));
    // One that runs there is another matter, and so is an event.
    for (state, said) in [(Running, Said::Whole), (Stopped, Said::Event)] {
        let mut other = view.clone();
        says(&mut other, THERE, state, said);
        assert_eq!(other.task(id).unwrap().shown(), state, "{said:?}");
    }
}

#[test]
fn exits_are_expected_while_something_runs() {
    let mut view = View::default();
    let unexpected = Record { state: Exited, ..Record::default() };
    let id = view.set(HERE, ("app", "web"), unexpected, Said::Event, Mono(1)).unwrap();
    assert!(!view.task(id).unwrap().expected());
    says(&mut view, THERE, Running, Said::Event);
    assert!(view.task(id).unwrap().expected());
}

#[test]
fn a_lost_instance_gives_up_what_ran_there() {
    let mut view = View::default();
    for (name, here, there) in
        [("a", Stopped, Running), ("b", Running, Running), ("c", Stopped, Stopped), ("d", Stopped, Stopping)]
    {
        view.set(HERE, ("app", name), record(here), Said::Event, Mono(1));
        let id = view.set(THERE, ("app", name), record(there), Said::Event, Mono(1)).unwrap();
        view.set_rules(id, 0, true);
    }
    let of = |view: &View, name: &str| view.task_named("app", name).unwrap();
    let (a, b, c) = (of(&view, "a"), of(&view, "b"), of(&view, "c"));
    assert_eq!(view.twice().collect::<Vec<_>>(), [b]);
    assert_eq!(view.lose(THERE, "Supervisor n2 lost", Mono(5)), [a]);
    assert_eq!(view.twice().count(), 0);
    let task = view.task(a).unwrap();
    assert_eq!((task.shown(), task.expected(), task.last_change()), (Fatal, false, Mono(5)));
    assert_eq!(task.on(THERE).unwrap().record.spawnerr, "Supervisor n2 lost");
    assert_eq!((view.task(b).unwrap().shown(), view.task(c).unwrap().shown()), (Running, Stopped));
    assert_eq!(view.task(b).unwrap().running().collect::<Vec<_>>(), [HERE]);
    assert_eq!(view.lose(THERE, "again", Mono(6)), []);
}

#[test]
fn a_whole_report_leaves_nothing_of_before() {
    let mut view = View::default();
    for name in ["a", "b"] {
        view.set(THERE, ("app", name), record(Stopped), Said::Event, Mono(1));
    }
    view.set(HERE, ("app", "b"), record(Stopped), Said::Event, Mono(1));
    view.begin(THERE);
    view.set(THERE, ("new", "c"), record(Stopped), Said::Whole, Mono(2));
    let gone = view.complete(THERE);
    let names: Vec<String> = gone.iter().filter_map(|id| view.namespec(*id)).collect();
    assert_eq!(names, ["app:a", "app:b"]);
    let are_gone: Vec<bool> = gone.iter().map(|id| view.remove(THERE, *id)).collect();
    assert_eq!(are_gone, [true, false]);
    assert_eq!(view.apps().map(|(_, app)| app.tasks.len()).collect::<Vec<_>>(), [1, 1]);
    let c = view.task_named("new", "c").unwrap();
    assert!(view.remove(THERE, c) && view.app_named("new").is_none(), "an application without tasks is none");
}

#[test]
fn loads_are_those_of_what_runs() {
    let mut view = View::default();
    let id = says(&mut view, HERE, Running, Said::Event);
    view.set_rules(id, 30, false);
    let loads = |view: &View| (view.load(HERE), view.load(THERE));
    assert_eq!(loads(&view), (30, 0));
    says(&mut view, THERE, Starting, Said::Event);
    assert_eq!(loads(&view), (30, 30));
    view.set_rules(id, 20, false);
    assert_eq!(loads(&view), (20, 20));
    says(&mut view, HERE, Stopping, Said::Event);
    assert_eq!(loads(&view), (0, 20));
    view.lose(THERE, "lost", Mono(2));
    assert_eq!(loads(&view), (0, 0));
    // What changed unseen counts as well.
    assert!(view.amend(THERE, id, |record| record.state = Running));
    assert_eq!(loads(&view), (0, 20));
    says(&mut view, THERE, Running, Said::Event);
    view.remove(THERE, id);
    view.remove(HERE, id);
    assert_eq!(loads(&view), (0, 0));
}

#[test]
fn there_is_an_end_to_what_is_known() {
    let mut view = View::default();
    let mut add = |at: usize| view.set(HERE, ("app", &at.to_string()), record(Stopped), Said::Event, Mono(1));
    assert!((0..TASKS_MAX).all(|at| add(at).is_some()));
    assert_eq!((add(TASKS_MAX), add(7).is_some()), (None, true));
}

#[test]
fn names() {
    let mut view = View::default();
    for (group, name, namespec) in [("app", "web", "app:web"), ("solo", "solo", "solo")] {
        let id = view.set(HERE, (group, name), record(Stopped), Said::Event, Mono(1)).unwrap();
        assert_eq!(view.namespec(id).as_deref(), Some(namespec));
    }
}
