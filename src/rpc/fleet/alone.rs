//! An instance that is alone: ranks, and what depends on what beside them.

use std::time::Duration;

use crate::exit::ExitStatus;
use crate::fleet::Fleet;
use crate::id::Pid;
use crate::rpc::testing::{World, params};
use crate::state::SupervisorState;

/// What passes between two looks.
const STEP: Duration = Duration::from_millis(500);

struct Alone(World);

impl Alone {
    fn new(text: &str) -> Alone {
        let mut world = World::new(text);
        world.extensions.fleet = Fleet::new(world.now, &mut world.daemon, &mut world.host);
        let mut alone = Alone(world);
        alone.rest();
        alone
    }

    /// Lets some seconds pass, in which nothing is asked.
    fn rest(&mut self) {
        let World { host, daemon, extensions, now, .. } = &mut self.0;
        for _ in 0..60 {
            now.mono = now.mono.after(STEP);
            for _ in 0..4 {
                for pid in std::mem::take(&mut host.dying) {
                    host.children.remove(&pid);
                    daemon.exited(Pid(pid), ExitStatus::Signal { number: libc::SIGTERM, core: false }, *now, host);
                }
                daemon.deadlines(*now, host);
                extensions.fleet.as_mut().expect("a fleet").turn(daemon, *now, host);
                daemon.shutdown_step(*now, host);
            }
        }
    }

    fn states(&self) -> Vec<(&str, &str)> {
        let all = self.0.daemon.roster.processes();
        all.map(|(_, process)| (process.config.name.as_str(), process.machine.state().name())).collect()
    }
}

const FLEET: &str = "[inet_http_server]\nport=61000\n[rpcinterface:supvisors]\n\
    supervisor.rpcinterface_factory=supvisors.plugin:make_supvisors_rpcinterface\n";

/// A stop of an application was never over if one of its processes waited for another, which then started it.
#[test]
fn who_waits_for_another_is_stopped_with_its_application() {
    let mut alone = Alone::new(&format!(
        "{FLEET}[group:app]\nprograms=web,job\n[program:web]\ncommand=web\ndepends_on=db\n\
         [program:job]\ncommand=job\nstart_sequence=1\n[program:db]\ncommand=db\nautostart=false\n"
    ));
    assert_eq!(alone.states(), [("web", "STOPPED"), ("job", "RUNNING"), ("db", "STOPPED")]);
    alone.0.begin("supvisors.stop_application", params!["app".to_string(), false]).unwrap();
    alone.rest();
    assert_eq!(alone.0.extensions.fleet.as_ref().map(|fleet| fleet.jobs()), Some((false, false)));
    alone.0.begin("supervisor.startProcess", params!["db".to_string(), false]).unwrap();
    alone.rest();
    assert_eq!(alone.states(), [("web", "STOPPED"), ("job", "STOPPED"), ("db", "RUNNING")]);
}

/// The end never came where ranks stop first what others depend on.
#[test]
fn ranks_go_before_dependencies_at_the_end() {
    let mut alone = Alone::new(&format!(
        "{FLEET}[group:app]\nprograms=web,db\n[program:web]\ncommand=web\nstart_sequence=2\nstop_sequence=1\ndepends_on=db\n\
         [program:db]\ncommand=db\nstart_sequence=1\nstop_sequence=2\n[program:other]\ncommand=x\ndepends_on=db\n"
    ));
    assert_eq!(alone.states(), [("web", "RUNNING"), ("db", "RUNNING"), ("other", "RUNNING")]);
    alone.0.daemon.request_shutdown();
    alone.rest();
    assert!(alone.0.daemon.finished(), "{:?}", alone.states());
    assert_eq!(alone.0.daemon.state(), SupervisorState::Shutdown);
}

/// One that was given up because it did not exit in time went on for ever.
#[test]
fn who_was_given_up_and_runs_is_stopped_with_its_application() {
    let mut alone = Alone::new(&format!(
        "{FLEET}[group:app]\nprograms=job,web\n[program:job]\ncommand=job\nstart_sequence=1\nwait_exit=true\n\
         wait_exit_secs=5\n[program:web]\ncommand=web\nstart_sequence=2\n"
    ));
    assert_eq!(alone.states(), [("job", "RUNNING"), ("web", "RUNNING")]);
    alone.0.begin("supvisors.stop_application", params!["app".to_string(), false]).unwrap();
    alone.rest();
    assert_eq!(alone.states(), [("job", "STOPPED"), ("web", "STOPPED")]);
}

/// What was restarted by itself in the turn of its end never had the consequence of its strategy.
#[test]
fn a_failure_that_ends_everything_does_so_before_autorestart() {
    let mut alone = Alone::new(&format!(
        "{FLEET}[program:web]\ncommand=web\nstart_sequence=1\nautorestart=true\nrunning_failure_strategy=SHUTDOWN\n\
         exitcodes=7\n"
    ));
    assert_eq!(alone.states(), [("web", "RUNNING")]);
    let pids: Vec<i32> = alone.0.host.children.keys().copied().collect();
    alone.0.host.dying.extend(pids);
    alone.rest();
    assert_eq!(alone.0.daemon.state(), SupervisorState::Shutdown);
    assert_eq!(alone.states(), [("web", "STOPPED")]);
}
