//! Decisions: groups, children, listeners, events, mutation, shutdown. No polled descriptor, no clock.
//!
//! [`Daemon`] is plain data. Its methods take the time and a [`Host`], perform what they decide at once, and feed the
//! answer back before they return, so a caller that starts a process knows of a failed fork. What changed in a turn
//! [`Daemon::recently_changed`] says, so that nobody has to look at all processes to find out.

#![forbid(unsafe_code)]

pub(crate) mod agenda;
mod apply;
mod audit;
pub(crate) mod bus;
pub(crate) mod care;
pub(crate) mod change;
mod children;
mod comeback;
mod dependent_startup;
pub(crate) mod dynamic;
pub(crate) mod edits;
mod ending;
mod environment;
mod events;
pub(crate) mod framing;
mod graph;
mod group_exit;
mod groups;
mod growth;
mod history;
pub mod host;
pub(crate) mod info;
mod leftovers;
pub(crate) mod loading;
pub(crate) mod logplace;
mod machine;
#[cfg(feature = "fleet")]
pub mod marks;
mod order;
mod ordered_stop;
pub(crate) mod output;
pub(crate) mod reshape;
pub(crate) mod roster;
mod shutdown;
mod sockets;
mod strangers;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod turnover;
mod vain;
mod validate;

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::clock::{Mono, Now, earliest};
use crate::config::{self, Config, Fcgi, FcgiAddress, GroupKind, Loader};
use crate::id::{Channel, ProcId};
use crate::model::event::Serials;
use crate::model::history::{Lately, Why};
use crate::model::pool;
use crate::model::process::Effect;
use crate::state::SupervisorState;

use agenda::Agenda;
use bus::Bus;
use dynamic::Dynamic;
pub use groups::{Group, OutputChannel, Proc};
pub use host::Host;
use loading::NextRun;
pub use roster::{Named, Roster};

/// The daemon's whole state.
pub struct Daemon {
    /// The configuration last read; its groups are the *configured* ones (P-110).
    pub config: Config,
    /// The groups and processes that are active.
    pub roster: Roster,
    /// Events, and who hears of them.
    pub bus: Bus,
    /// What was changed at run time, and the file that keeps it.
    pub dynamic: Dynamic,
    pub(crate) activity: Lately,
    loader: Loader,
    /// What the next run is made of, once a restart was asked for.
    next: Option<NextRun>,
    state: SupervisorState,
    agenda: Agenda,
    care: care::Care,
    /// Processes whose state changed since [`Daemon::roll_changed`].
    just_changed: Vec<ProcId>,
    /// Those that changed in the turn before, ascending, each once.
    recently_changed: Vec<ProcId>,
    shutdown: shutdown::Shutdown,
    ending: ending::Ending,
    machine: machine::Machine,
    order: order::Order,
    /// What a fleet is told of, if there is one.
    #[cfg(feature = "fleet")]
    news: Option<Box<marks::News>>,
    group_exits: group_exit::GroupExits,
    dependent_startup: Option<Box<dependent_startup::DependentStartup>>,
    remaining: leftovers::Remaining,
    strangers: strangers::Strangers,
    growing: growth::Growing,
    /// When beginnings of lines are let out that wait for their ends.
    line_deadlines: BTreeSet<(Mono, ProcId, Channel)>,
    /// Logs that are rotated by the clock.
    turnovers: turnover::Turnovers,
    /// A log in memory has changed since [`Daemon::take_ring_news`].
    has_ring_news: bool,
    /// How many AUTO logs could not be made, and why the first of them could not, until it is said.
    unkept_logs: Option<(usize, host::Errno)>,
    /// Reused by every step of a machine.
    effects: Vec<Effect>,
    /// The same for pools.
    pool_effects: Vec<pool::PoolEffect>,
}

impl Daemon {
    /// A daemon without groups; [`Daemon::begin`] brings them in. `loader` is what read the configuration, `serial`
    /// continues that of an earlier run (P-122).
    pub fn new(config: Config, loader: Loader, serial: Serials) -> Daemon {
        let mut dynamic = Dynamic::default();
        dynamic.adopt(&config);
        Daemon {
            shutdown: shutdown::Shutdown::new(&config),
            ending: ending::Ending::new(&config),
            machine: machine::Machine::new(&config),
            remaining: leftovers::Remaining::new(&config),
            strangers: strangers::Strangers::new(&config),
            config,
            dynamic,
            loader,
            next: None,
            state: SupervisorState::Running,
            roster: Roster::default(),
            bus: Bus::new(serial),
            activity: Lately::default(),
            agenda: Agenda::default(),
            care: care::Care::default(),
            just_changed: Vec::new(),
            recently_changed: Vec::new(),
            order: order::Order::default(),
            #[cfg(feature = "fleet")]
            news: None,
            group_exits: group_exit::GroupExits::default(),
            dependent_startup: None,
            growing: growth::Growing::default(),
            line_deadlines: BTreeSet::new(),
            turnovers: turnover::Turnovers::default(),
            has_ring_news: false,
            unkept_logs: None,
            effects: Vec::new(),
            pool_effects: Vec::new(),
        }
    }

    /// Activates all configured groups, in their order, and announces that the daemon runs (E-10, E-14).
    ///
    /// A FastCGI socket that cannot be made now, because its port is taken or its path may not be written, is that
    /// group's trouble and makes its starts fail; 4.3.0 ends there.
    ///
    /// Errors: such a socket has no directory to be in, which is a wrong setting (C-159); the run is not to be begun.
    pub fn begin(&mut self, now: Now, host: &mut dyn Host) -> Result<(), String> {
        let groups = self.config.groups.clone();
        self.check_settings(groups.iter(), host)?;
        self.begin_again(now, host);
        Ok(())
    }

    /// Looks at groups that are to come in for what a load of the files cannot see.
    ///
    /// Errors: a FastCGI socket has no directory to be in.
    pub fn check_settings<'g>(
        &self,
        mut groups: impl Iterator<Item = &'g Rc<config::Group>>,
        host: &mut dyn Host,
    ) -> Result<(), String> {
        let misplaced = groups.find(|group| !has_socket_directory(group, host));
        misplaced.map_or(Ok(()), |group| sockets::check(group, host))
    }

    /// The same at a restart, where a wrong setting too is only that group's trouble.
    pub fn begin_again(&mut self, now: Now, host: &mut dyn Host) {
        self.take_machine(host);
        self.refresh_dynamic(host);
        for group in self.config.groups.clone() {
            // Of two groups of one name the first one counts, as in the original.
            if self.roster.group_named(&group.name).is_some() {
                continue;
            }
            if let Err(text) = sockets::check(&group, host) {
                activity!(Critical, "{text}; group {} starts nothing before it can be made", group.name);
            }
            self.activate(group, now, host);
            self.grow_up(now, host);
        }
        self.tell_of_unkept_logs();
        // That all of them are new is no news.
        self.activity = Lately::default();
        self.activity.note(now.wall, "supervisord started", Why::Itself);
        self.refresh_order(now);
        self.begin_dependent_startup();
        self.announce_running();
    }

    /// Takes a configuration that was read anew; what is active stays as it is (P-110).
    pub fn set_config(&mut self, mut config: Config, host: &mut dyn Host) {
        // What `[supervisord]` has beyond the original's options holds from start to end of a run (K-0.5).
        config.supervisord.env_files = self.config.supervisord.env_files.clone();
        // One that was made without the files is of those that the one before it was read from.
        if config.looked.is_empty() {
            config.looked = std::mem::take(&mut self.config.looked);
        }
        self.dynamic.adopt(&config);
        self.config = config;
        self.refresh_dynamic(host);
    }

    /// Has the file of changes say the same after the files as they are now.
    fn refresh_dynamic(&mut self, host: &mut dyn Host) {
        if let Err(text) = self.dynamic.refresh(host) {
            activity!(Warn, "The file of changes at run time is as the other files were before: {text}");
        }
    }

    /// RUNNING, RESTARTING or SHUTDOWN.
    pub fn state(&self) -> SupervisorState {
        self.state
    }

    /// Lets [`Daemon::recently_changed`] name the processes whose state changed since the last call.
    pub fn roll_changed(&mut self) {
        self.recently_changed.clear();
        std::mem::swap(&mut self.recently_changed, &mut self.just_changed);
        self.recently_changed.sort_unstable();
        self.recently_changed.dedup();
    }

    /// The processes whose state changed in this turn, each once.
    pub fn recently_changed(&self) -> &[ProcId] {
        &self.recently_changed
    }

    /// Whether a process has changed since [`Daemon::roll_changed`].
    pub fn has_changed(&self) -> bool {
        !self.just_changed.is_empty()
    }

    /// When [`Daemon::deadlines`] or [`Daemon::shutdown_step`] has something to do again; `None` is never.
    pub fn next_deadline(&self, now: Now) -> Option<Mono> {
        earliest(&[
            self.is_growing().then_some(now.mono),
            self.agenda.next(now.mono),
            self.care.deadline(now.mono),
            self.order_deadline(now),
            self.dependent_deadline(now),
            self.remaining.deadline(now.mono),
            self.strangers.deadline(),
            self.idle_look(now),
            self.line_deadlines.first().map(|(at, ..)| *at),
            self.turnovers.deadline(now),
            self.bus.next_tick(now),
            self.bus.next_retry(),
            self.shutdown_deadline(),
        ])
    }

    /// Whether processes wait for their first start.
    pub fn is_starting(&self) -> bool {
        self.agenda.has_first_starts()
    }

    /// The configured group of that name.
    pub fn configured_group(&self, name: &str) -> Option<&Rc<config::Group>> {
        self.config.groups.iter().find(|group| group.name == name)
    }
}

/// Whether the file of a FastCGI group's socket has a directory to be in.
fn has_socket_directory(group: &config::Group, host: &mut dyn Host) -> bool {
    let GroupKind::Fcgi(Fcgi { socket, .. }) = &group.kind else { return true };
    let FcgiAddress::Unix { path, .. } = &socket.address else { return true };
    path.rsplit_once('/').is_none_or(|(directory, _)| directory.is_empty() || host.file_exists(directory))
}
