//! Starting supervisord, running it, and starting it over at a restart (C-150 to C-163, P-120, P-121).

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use super::pidfile::Pidfile;
use super::{about, alone, machine};
use crate::clock::Now;
use crate::config::cmdline::{self, CommandLine, Request};
use crate::config::{
    self, Config, Loader, OomScoreAdj, Server, ServerAddress, Supervisord, SystemEnv, check, usage_error,
};
use crate::daemon::loading;
use crate::level::Level;
use crate::logs::activity::{self, Destination, Settings};
use crate::logs::auto;
use crate::model::event::Serials;
use crate::reactor::{Manager, Reactor, Watchdog, cannot_listen};
use crate::serve::{Service, UNIX_SERVER_NAME};
use crate::state::SupervisorState;
use crate::sys::signals::{self, SignalPipe};
use crate::sys::sockets::ListenError;
use crate::sys::{daemonize, fd, init, limits, oom, process, resolve, time, users};

/// Exit status of every error at start (C-7).
const USAGE: i32 = 2;

/// That we run as root and nobody has said that this is meant (C-151).
const ROOT_STAYS: &str = "Supervisor is running as root.  Privileges were not dropped because no user is specified in the config file.  \
     If you intend to run as root, you can set user=root in the config file to avoid this message.";

/// Runs supervisord; answers its exit status. `texts` are its arguments as text.
pub fn run(args: &[OsString], texts: &[String]) -> i32 {
    let program = texts.first().map_or("supervisord", String::as_str);
    let request = match cmdline::parse(program, texts.get(1..).unwrap_or_default(), &SystemEnv) {
        Ok(request) => request,
        Err(error) => return refuse(program, &error.to_string()),
    };
    match request {
        Request::Print(text) => print(&text),
        Request::Help(text) if std::io::stdout().is_terminal() => print(&format!("{text}{}", cmdline::help_of_ours())),
        Request::Help(text) => print(&text),
        Request::Alone(alone) => alone::run(&alone, args.get(args.len() - alone.words..).unwrap_or_default()),
        Request::About => print(&about::text()),
        Request::Check { line, portable } => check(program, line, portable),
        Request::Run(line) => supervise(program, &line),
    }
}

fn print(text: &str) -> i32 {
    // A reader that is gone is no error of ours.
    let _ = std::io::stdout().write_all(text.as_bytes());
    0
}

/// `Error: …`, and what to do next (C-7).
fn refuse(program: &str, message: &str) -> i32 {
    let _ = std::io::stderr().write_all(usage_error(program, &message).as_bytes());
    USAGE
}

/// `--check`: everything that is wrong with the file, on stdout; 0 or 1.
fn check(program: &str, mut line: CommandLine, portable: bool) -> i32 {
    // A command beside the file is only ever run with -n, and nothing is run here.
    line.nodaemon |= line.main.is_some();
    let report = check::check(&mut Loader::new(program, line, &SystemEnv), &SystemEnv, portable);
    print(&report.text());
    i32::from(!report.is_clean())
}

/// What carries over from one run to the next.
struct Carried {
    loader: Loader,
    /// What was read and checked before the run before was stopped; at the first start the files are read only now.
    config: Option<Config>,
    signals: Option<SignalPipe>,
    watchdog: Option<Watchdog>,
    serial: Serials,
    is_first: bool,
}

/// What comes after a run.
enum AfterRun {
    Run(Box<Carried>),
    /// The end, with this exit status, and the end of the machine if that is to be.
    End(i32, Option<machine::End>, Option<Watchdog>),
}

/// Runs to the end; answers the exit status. PID 1 of a machine does not come back for an error: it waits to be rescued, and
/// tries again.
fn supervise(program: &str, line: &CommandLine) -> i32 {
    loop {
        let text = match run_all(program, line.clone()) {
            Ok(status) => return status,
            Err(text) => text,
        };
        let status = refuse(program, &text);
        let rescue =
            if process::is_init() { Loader::new(program, line.clone(), &SystemEnv).rescue(&SystemEnv) } else { None };
        if !rescue.is_some_and(|rescue| machine::rescue(&rescue, &usage_error(program, &text))) {
            return status;
        }
    }
}

/// Runs, and starts over as long as a restart is asked for. The error is the text of a usage error.
fn run_all(program: &str, line: CommandLine) -> Result<i32, String> {
    // Whatever whoever started us left open is not for the children (P-57).
    let _ = fd::mark_inherited_cloexec();
    if line.main.is_some() {
        init::ignore_background().map_err(|error| format!("cannot ignore signals: {error}"))?;
    }
    let loader = Loader::new(program, line, &SystemEnv);
    if loader.needs_root_warning(&SystemEnv) {
        let _ = writeln!(std::io::stderr(), "{}", crate::config::search::ROOT_WARNING);
    }
    let mut carried =
        Carried { loader, config: None, signals: None, watchdog: None, serial: Serials::default(), is_first: true };
    loop {
        match run_once(carried)? {
            AfterRun::Run(next) => carried = *next,
            AfterRun::End(status, end, watchdog) => {
                if let Some(end) = end {
                    activity::close();
                    machine::end(end, &mut machine::Real { watchdog });
                } else if let Some(watchdog) = watchdog {
                    watchdog.end();
                }
                return Ok(status);
            }
        }
    }
}

fn run_once(carried: Carried) -> Result<AfterRun, String> {
    let Carried { mut loader, config, signals, watchdog, serial, is_first } = carried;
    let mut config = match config {
        Some(config) => config,
        None => loader.load(&SystemEnv).map_err(|error| error.at_start())?,
    };
    config::wait_for_no_file();
    // Its parent would be PID 1, whose end is the end of everything.
    let stays = !config.supervisord.nodaemon && process::is_init();
    config.supervisord.nodaemon |= stays;
    let user = config.supervisord.account.clone();
    // More protection is root's to give; less of it a user can take back for its children, if it did it itself.
    let score = config.supervisord.oom_score_adj.map(|OomScoreAdj(score)| i32::from(score));
    let lowered = if oom::is_lower(score) { oom::set(score) } else { Ok(()) };
    // While we are root.
    let watchdog = watchdog.map_or_else(|| Watchdog::open(&config.supervisord), |open| Ok(Some(open)));
    if let Some(user) = &user {
        users::drop_privileges(user.uid, user.gid)?;
    }
    let scored = lowered.and_then(|()| oom::set(score));
    let Supervisord { minfds, minprocs, .. } = config.supervisord;
    let least = |number: i64| u64::try_from(number).unwrap_or(0);
    let raised = if is_first { limits::raise(least(minfds), least(minprocs))? } else { Vec::new() };
    let now = open_log(&config, is_first)?;
    if user.is_none() && users::current_uid() == 0 {
        activity!(Critical, "{ROOT_STAYS}");
    }
    for text in &config.warnings {
        activity!(Warn, "{text}");
    }
    if stays && is_first {
        activity!(Warn, "PID 1 does not become a daemon");
    }
    if let Err(error) = scored {
        activity!(Warn, "oom_score_adj of the daemon stays as it is: {error}");
    }
    let became = user.map(|user| format!("Set uid to user {} succeeded", user.uid));
    for text in config.infos.iter().chain(&became).chain(&raised) {
        activity!(Info, "{text}");
    }
    for interface in &config.interfaces {
        if let Some((line, error)) = interface.refusal() {
            activity!(Warn, "{line}");
            return Err(error);
        }
    }
    if !config.supervisord.nocleanup {
        auto::clean_up(config.supervisord.auto_log_directory(), &config.supervisord.identifier);
    }
    let watchdog = watchdog.unwrap_or_else(|text| {
        activity!(Warn, "{text}");
        None
    });
    run_service(config, loader, Kept { signals, watchdog, serial, is_first }, now)
}

/// What a run has from start-up and from the run before.
struct Kept {
    signals: Option<SignalPipe>,
    watchdog: Option<Watchdog>,
    serial: Serials,
    is_first: bool,
}

fn run_service(config: Config, loader: Loader, kept: Kept, now: Now) -> Result<AfterRun, String> {
    let Kept { signals, mut watchdog, serial, is_first } = kept;
    let servers = config.servers.clone();
    #[cfg(feature = "fleet")]
    let event_server = config.event_server().map(|(server, _)| server);
    #[cfg(feature = "fleet")]
    let fleet_server = config.fleet_server();
    let interfaces: Vec<String> = config.interfaces.iter().map(|interface| interface.namespace.clone()).collect();
    let options = config.supervisord.clone();
    let mut reactor = Reactor::new().map_err(|error| format!("cannot make the event loop: {error}"))?;
    let mut service = Service::new(config, loader, serial);
    service.limit_descriptors(limits::open_files());
    if let Some(max) = u64::try_from(options.log_total_max.0).ok().filter(|max| *max > 0) {
        let backups = u32::try_from(options.logfile_backups.max(0)).unwrap_or(u32::MAX);
        reactor.system().limit_logs(max, options.activity_log().map(|path| (path, backups)));
    }
    if is_first {
        service.daemon.begin(now, reactor.system())?;
    } else {
        service.daemon.begin_again(now, reactor.system());
    }
    #[cfg(feature = "fleet")]
    service.begin_fleet(now, reactor.system());
    let mut sockets = SocketFiles::default();
    open_servers(&mut reactor, &servers, &interfaces, now, is_first, &mut sockets)?;
    #[cfg(feature = "fleet")]
    for (name, server) in [("fleet_port", fleet_server), ("event_port", event_server)] {
        server.iter().for_each(|server| open_port(&mut reactor, name, server, now));
    }
    let cannot = |error: std::io::Error| format!("cannot catch signals: {error}");
    let signals = match signals {
        Some(signals) => signals,
        None => SignalPipe::install(signals::DAEMON).map_err(cannot)?,
    };
    signals.catch_too(&options.shutdown_signals.0).map_err(cannot)?;
    signals.catch_too(service.daemon.machine_signals()).map_err(cannot)?;
    reactor.catch_signals(signals).map_err(cannot)?;
    if is_first && !options.nodaemon {
        daemonize::daemonize(options.directory.as_ref().map(|directory| directory.0.as_str()), options.umask.0)
            .map_err(|error| format!("cannot daemonize: {error}"))?;
    }
    // After the fork, which does not inherit it. A restart may have turned it off.
    if (options.subreaper || !is_first)
        && let Err(error) = process::adopt_orphans(options.subreaper)
    {
        activity!(Warn, "subreaper: orphans of programs are not adopted: {error}");
    }
    if let Some(watchdog) = &mut watchdog {
        watchdog.begin(&options, now);
    }
    reactor.pet(watchdog);
    reactor.tell(Manager::inherited());
    let pidfile = Pidfile::write(&options.pidfile.0);
    let ended = reactor.run(&mut service).map_err(|error| format!("the event loop failed: {error}"));
    service.daemon.tell_last_strangers();
    if let Ok(ended) = &ended {
        sockets.0.extend(ended.late_sockets.iter().cloned());
    }
    drop(sockets);
    if let Some(pidfile) = pidfile {
        pidfile.remove(&service.daemon.config.supervisord.pidfile.0);
    }
    let ended = ended?;
    let serial = service.daemon.bus.serial();
    let next = service.daemon.take_next().map(|loading::NextRun { loader, config }| Carried {
        loader,
        config: Some(config),
        signals: ended.signals,
        watchdog: None,
        serial,
        is_first: false,
    });
    Ok(match next.filter(|_| ended.state != SupervisorState::Shutdown) {
        Some(next) => AfterRun::Run(Box::new(Carried { watchdog: ended.watchdog, ..next })),
        None => {
            let when_done = service.daemon.when_done();
            let end = machine::End::new(when_done, options.shutdown_timeout.0);
            if end.is_some() {
                activity!(Info, "everything is stopped, {} follows", when_done.word());
            }
            AfterRun::End(service.daemon.exit_status(), end, ended.watchdog)
        }
    })
}

/// Opens the activity log. From here on there is a log, and a time in it. At a restart there is one already, which stays if
/// the other cannot be opened.
fn open_log(config: &Config, is_first: bool) -> Result<Now, String> {
    let options = &config.supervisord;
    let target = match options.activity_log() {
        Some(path) => Destination::File {
            path: path.to_string(),
            maxbytes: u64::try_from(options.logfile_maxbytes.0).unwrap_or(0),
            backups: u32::try_from(options.logfile_backups.max(0)).unwrap_or(u32::MAX),
        },
        None => Destination::Syslog {
            address: options.syslog_address.clone(),
            facility: options.syslog_facility,
            tag: options.syslog_tag.0.clone(),
        },
    };
    let now = time::now();
    activity::set_now(now);
    let settings = Settings { target, level: options.loglevel, echo: options.nodaemon && !options.silent };
    if let Err(error) = activity::open(&settings) {
        let text = format!("could not open the log file {}: {error}", options.logfile.0);
        if is_first {
            return Err(text);
        }
        activity!(Critical, "{text}; the one before stays in use");
    }
    Ok(now)
}

/// Socket files to be removed at the end, also when the start fails half way.
#[derive(Default)]
struct SocketFiles(Vec<String>);

impl Drop for SocketFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Opens a port of a fleet. It is no administrator's way in: without it all else goes on.
#[cfg(feature = "fleet")]
fn open_port(reactor: &mut Reactor, name: &str, server: &Server, now: Now) {
    if let Err(error) = reactor.listen(server) {
        let text = cannot_listen(server, &error).replace('\n', " ");
        activity!(Error, "{name}: {text}; it is tried again");
        reactor.listen_later(server, now);
    }
}

fn open_servers(
    reactor: &mut Reactor,
    servers: &[Server],
    interfaces: &[String],
    now: Now,
    is_first: bool,
    files: &mut SocketFiles,
) -> Result<(), String> {
    let traces = activity::level() <= Level::Trace;
    for server in servers {
        if let Err(error) = reactor.listen(server) {
            // The original's sentence stands alone where somebody else does, for scripts know it; who that is, is said to
            // a person at a terminal.
            let is_known = error == ListenError::InUse && !std::io::stderr().is_terminal();
            if is_first {
                return Err(if is_known { error.to_string() } else { cannot_listen(server, &error) });
            }
            // It could a moment ago, before the programs were stopped, which now are to run.
            let text = cannot_listen(server, &error).replace('\n', " ");
            activity!(Critical, "{text}; it is tried again");
            reactor.listen_later(server, now);
            continue;
        }
        let (place, host, port) = match &server.address {
            ServerAddress::Inet { host, port } => {
                // The name may have to be looked up, which only those who see it should wait for.
                let name = if traces { resolve::server_name(host) } else { String::new() };
                (host.clone(), name, port.to_string())
            }
            ServerAddress::Unix { path, .. } => {
                files.0.push(path.clone());
                (path.clone(), UNIX_SERVER_NAME.to_string(), path.clone())
            }
        };
        let started = time::ctime(now.wall.secs());
        activity!(Trace, "{place}:Medusa (V1.12) started at {started}\n\tHostname: {host}\n\tPort:{port}");
        for namespace in interfaces {
            activity!(Info, "RPC interface '{namespace}' initialized");
        }
        if server.credentials.is_none() {
            activity!(Critical, "Server '{}' running without any HTTP authentication checking", server.section);
        }
    }
    Ok(())
}
