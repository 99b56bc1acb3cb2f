//! One row per option: name, type, default, documentation, and where it is shown. The struct, its reading, the list of
//! known names, what `getAllConfigInfo` and `stheno.getProcessInfo` show and what `reread` compares follow from the row
//! ([`rows`](super::rows)); they serve a section of a file and the options of a remote call alike.
//!
//! The order of rows is the order of reading, and so decides which of several errors is reported: it is the original's.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::id::Channel;
use crate::level::Level;
use crate::wire::ini::{Document, Section};

use super::datatypes::*;
use super::dependency::DependsOn;
use super::env::Nowhere;
use super::error::ConfigError;
use super::reader::{Reader, Scope};
pub use super::row::Row;
use super::rows::{Field, Put, Walk};
use super::values::{Autorestart, Revision, ServerUrl, UnknownAction, User};

options! {
    /// `[supervisord]`, with the command line over it, and the user looked up (C-90, C-144).
    Supervisord(account: Option<User>) {
        /// Least number of file descriptors that must be available.
        minfds: i64 = "1024";
        /// Least number of processes that must be available.
        minprocs: i64 = "200";
        /// Directory to change to when becoming a daemon.
        directory: Option<Directory>;
        /// User to become when started as root.
        user: Option<String>;
        /// File mode creation mask of the daemon.
        umask: Octal = "022";
        /// The activity log; `syslog` sends it there.
        logfile: FilePath = "supervisord.log";
        /// Size at which the activity log is rotated; 0 never.
        logfile_maxbytes: ByteSize = "50MB";
        /// Rotated activity logs that are kept.
        logfile_backups: i64 = "10";
        /// Least severe level that is logged: critical, error, warn, info, debug, trace or blather.
        loglevel: Level = "info";
        /// Where the daemon writes its process id.
        pidfile: FilePath = "supervisord.pid";
        /// Name of this daemon, where several run.
        identifier: String = "supervisor";
        /// Stay in the foreground.
        nodaemon: bool = "false";
        /// In the foreground, do not repeat the log on stdout.
        silent: bool = "false";
        /// Where AUTO logs of programs are made; the system's temporary directory by default.
        childlogdir: Option<Directory>;
        /// Keep the AUTO logs of an earlier run.
        nocleanup: bool = "false";
        /// Remove ANSI sequences from what programs write.
        strip_ansi: bool = "false";
        /// Variables for every program: KEY="value",KEY2="value2".
        environment: String = "";
        /// Files of variables for every program, of KEY=VALUE lines, read at each start of one; a - before a path: it may be
        /// missing.
        env_files: EnvFiles = "" [.named("envfiles")];
        /// How readily the kernel ends the daemon when memory is short, -1000 to 1000; programs do not inherit it.
        oom_score_adj: Option<OomScoreAdj>;
        /// Whose end is the exit status of the daemon: none, first_failure, or a process; by default that of the process
        /// whose policy ended it.
        exit_code_from: ExitCodeFrom = "";
        /// End when every program that was started has ended and nothing is pending.
        shutdown_when_idle: bool = "false";
        /// Seconds for stopping everything; what is left then is killed. 0 for no such time.
        shutdown_timeout: ShutdownTime = "0";
        /// Tell groups of one priority together to stop.
        shutdown_parallel: bool = "false";
        /// Further signals that mean the end, such as PWR,RTMIN+3.
        shutdown_signals: ShutdownSignals = "";
        /// What becomes of the machine after the end, as its PID 1: exit, poweroff, reboot or halt.
        when_done: WhenDone = "exit";
        /// With when_done, a command that is run when the file does not load; without it nothing is done but wait.
        rescue_command: Option<HelperCommand>;
        /// The board's watchdog, such as /dev/watchdog: it resets the board if we do not get round to petting it.
        hw_watchdog: Option<DevicePath>;
        /// Seconds without petting after which it does that; the driver's by default.
        hw_watchdog_timeout: Option<WatchdogTime>;
        /// Stop it at a clean end, which resets the board otherwise.
        hw_watchdog_stop: bool = "false";
        /// The directory below which programs with killmode=cgroup get their cgroups; our own cgroup by default.
        cgroup_root: Option<CgroupRoot>;
        /// Adopt what programs leave behind, as PID 1 does, to reap it.
        subreaper: bool = "false";
        /// What is logged of reaped processes that are not ours: a line for each, a summary every ten seconds, or none.
        log_reaped: LogReaped = "each";
        /// Read what programs say for the listener supervisord-dependent-startup, and start them like it.
        dependent_startup: bool = "false";
        /// What each line in the logs of programs begins with that have no prefix of their own.
        childlog_prefix: Option<LinePrefix>;
        /// How lines in the logs of programs look: text or json.
        childlog_format: LogFormat = "text";
        /// Bytes of all logs together, with their backups and the daemon's own: the oldest backups are removed first. 0 is without
        /// limit.
        log_total_max: ByteSize = "0";
        /// Largest body of a request.
        http_body_max: BodyMax = "1MB";
        /// Connections of clients at one time, over all servers.
        http_connections_max: ConnectionsMax = "512";
        /// Who hears what is sent to syslog: unix:PATH or udp:ADDRESS:PORT.
        syslog_address: SyslogAddress = "unix:/dev/log";
        /// As what kind of program it comes: user, daemon, local0 and so on.
        syslog_facility: Facility = "user";
        /// The name that it comes under.
        syslog_tag: SyslogTag = "supervisord";
    }
}

options! {
    /// Which files are read besides, `[include]` (C-41, C-42).
    IncludeOptions {
        /// Files to read besides this one; blanks between them, wildcards allowed.
        files: Option<Unexpanded>;
    }
}

options! {
    /// The server for clients of the network, `[inet_http_server]` (C-97).
    InetServerOptions {
        /// User name that clients must give.
        username: Option<String>;
        /// Password that clients must give, clear or {SHA}.
        password: Option<String>;
        /// Where to listen: port, or address:port; *:port for every interface.
        port: Option<String>;
    }
}

options! {
    /// The path of `[unix_http_server]`, which knows one name more (C-66).
    UnixFileOptions {
        /// Path of the socket file.
        file: Option<String>;
    }
}

options! {
    /// `[unix_http_server]`, but for its path (C-96).
    UnixServerOptions {
        /// User name that clients must give.
        username: Option<String>;
        /// Password that clients must give, clear or {SHA}.
        password: Option<String>;
        /// Owner of the socket: user or user:group.
        chown: Option<String>;
        /// Mode of the socket; 0700 by default.
        chmod: Option<String>;
    }
}

options! {
    /// A program: the options of its section that hold for all its processes, which share it (C-105, C-66).
    Program(name: String, revision: Revision, is_main: bool) {
        /// Lower ones start first and stop last.
        priority: i64 = "999" [.listed_as(10, "process_prio")];
        /// Start with the daemon.
        autostart: bool = "true" [.listed(0)];
        /// Start again after an exit: always, never, or if the exit code is not among exitcodes.
        autorestart: Autorestart = "unexpected";
        /// Seconds it must stay up to count as started.
        startsecs: i64 = "1" [.listed(13)];
        /// Failed starts in a row before it is given up; inf never.
        startretries: Retries = "3" [.listed(12).policy()];
        /// What it is: simple stays up, oneshot does something and ends.
        run_type: RunType = "simple" [.named("type")];
        /// Seconds after which a oneshot is ended, as a failure; 0 never.
        run_timeout: Seconds = "0" [.policy()];
        /// Seconds after which it counts as failed to start if it is not ready; 0 never.
        ready_timeout: Seconds = "0";
        /// Seconds between two probes that ask whether it is ready.
        ready_interval: ProbeTime = "1";
        /// Seconds that such a probe may take.
        ready_probe_timeout: ProbeTime = "5";
        /// Whose messages count with ready=notify: main is its process alone, group its process group, all anybody.
        notify_access: NotifyAccess = "group";
        /// Directory for the socket of ready=notify, for a program with a network name space of its own.
        notify_dir: Option<Directory>;
        /// Seconds after RUNNING before the first liveness check.
        liveness_check_initial_delay: Seconds = "60" [.policy()];
        /// Seconds between two liveness checks.
        liveness_check_period: ProbeTime = "60" [.policy()];
        /// Seconds that a liveness check may take.
        liveness_check_timeout: ProbeTime = "30" [.policy()];
        /// Good liveness checks in a row until it is healthy.
        liveness_check_success_threshold: Threshold = "1" [.policy()];
        /// Bad liveness checks in a row until it is not.
        liveness_check_failure_threshold: Threshold = "3" [.policy()];
        /// Seconds within which it has to say WATCHDOG=1; 0 never.
        watchdog_sec: Seconds = "0";
        /// The signal for one that has not.
        watchdog_signal: SignalNumber = "ABRT" [.policy()];
        /// Resident memory that it may use; 0 is without limit.
        memory_limit: ByteSize = "0" [.policy()];
        /// Whose memory counts: its process alone, or the tree of those below.
        memory_limit_of: MemoryOf = "process" [.policy()];
        /// What is done with one that uses more: restart, stop or none.
        memory_limit_action: MemoryAction = "restart" [.policy()];
        /// Seconds between two looks at its memory.
        memory_limit_interval: ProbeTime = "10" [.policy()];
        /// Seconds that a hook may take.
        hook_timeout: ProbeTime = "30" [.policy()];
        /// Whether a hook of the start that fails makes the start fail.
        hook_failure: HookFailure = "ignore" [.policy()];
        /// The signal of supervisorctl hup.
        reloadsignal: SignalNumber = "HUP" [.policy()];
        /// The signal that stops it, or several, each with the seconds to wait: TERM INT:30 QUIT.
        stopsignal: StopSignals = "TERM" [.listed(20)];
        /// Seconds to wait for its end before SIGKILL.
        stopwaitsecs: i64 = "10" [.listed(21)];
        /// Send the stop signal to its whole process group.
        stopasgroup: bool = "false";
        /// Send SIGKILL to its whole process group; as stopasgroup by default.
        killasgroup: bool as stopasgroup [.listed(8)];
        /// Exit codes that are expected.
        exitcodes: ExitCodes = "0" [.listed(4)];
        /// Its stderr goes where its stdout goes.
        redirect_stderr: bool = "false" [.listed(11)];
        /// How many processes to run of it.
        numprocs: i64 = "1" [.makes()];
        /// The number of the first process.
        numprocs_start: i64 = "0" [.makes()];
        /// Variables for it: KEY="value",KEY2="value2".
        environment: Unexpanded = "" [.makes()];
        /// What it gets of the daemon's own environment: true, false, or the variables PATH,LANG.
        environment_inherit: Inherit = "true";
        /// What is done with its stdout.
        stdout: OutputOptions [of Stdout];
        /// What is done with its stderr.
        stderr: OutputOptions [of Stderr];
        /// URL that it finds in SUPERVISOR_SERVER_URL; AUTO takes that of our own server.
        serverurl: ServerUrl [.listed(28)];
        /// How lines of its logs look: as they are, or as JSON objects.
        logfile_format: Option<LogFormat>;
        /// Who hears its lines for syslog: unix:PATH or udp:ADDRESS:PORT; that of [supervisord] by default.
        syslog_address: Option<SyslogAddress>;
        /// As what kind of program they come; that of [supervisord] by default.
        syslog_facility: Option<Facility>;
        /// How important those of stdout are: emerg, alert, crit, err, warning, notice, info or debug.
        syslog_stdout_priority: Priority = "info";
        /// The same of stderr.
        syslog_stderr_priority: Priority = "info";
        /// How long the beginning of a line that gets a prefix waits for its end.
        prefix_flush: FlushTime = "1";
        /// What its giving up does to the daemon: ignore, or shutdown.
        on_fatal: Option<OnFatal> [.policy()];
        /// What its exit does to the daemon if no automatic restart follows: ignore, shutdown, or shutdown_unexpected.
        on_exit: Option<OnExit> [.policy()];
        /// Its end, or that it is given up, is the end of the daemon; autorestart is then false unless it is written.
        essential: bool = "false" [.policy()];
        /// Least time in seconds from the end of a run to the next automatic start.
        restartpause: Seconds = "0" [.policy()];
        /// Longest pause in seconds after failed starts in a row; 0 for none.
        backoff_max: Seconds = "0" [.policy()];
        /// By how many percent the pauses after failed starts are made longer or shorter at random.
        backoff_jitter: Percent = "0" [.policy()];
        /// Automatic starts within so many seconds, such as 5/60; one more, and it is given up.
        restart_limit: Option<RestartLimit> [.policy()];
        /// Seconds that it waits for what it depends on before it is given up; 0 without limit.
        depends_on_timeout: Seconds = "0" [.policy()];
        /// What becomes of it when what it waits for has failed: wait, or fatal.
        depends_on_failure: DependsOnFailure = "wait" [.policy()];
        /// What becomes of it when what it depends on ceases to be as it needs it: ignore, stop or restart.
        on_dependency_stop: OnDependencyStop = "ignore" [.policy()];
        /// Seconds that its first start waits.
        startdelay: Seconds = "0" [.policy()];
        /// Seconds between the first starts of its processes.
        start_stagger: Seconds = "0" [.policy()];
        /// How many descriptors it may have open: soft, or soft:hard; unlimited.
        rlimit_nofile: Option<ResourceLimit>;
        /// How many processes its user may have.
        rlimit_nproc: Option<ResourceLimit>;
        /// Bytes of a core file; 0 for none.
        rlimit_core: Option<ResourceLimit>;
        /// Bytes of its address space.
        rlimit_as: Option<ResourceLimit>;
        /// Bytes of its stack.
        rlimit_stack: Option<ResourceLimit>;
        /// Bytes of memory that it may lock.
        rlimit_memlock: Option<ResourceLimit>;
        /// Bytes of a file that it may write.
        rlimit_fsize: Option<ResourceLimit>;
        /// Seconds of processor time.
        rlimit_cpu: Option<ResourceLimit>;
        /// Bytes of its data.
        rlimit_data: Option<ResourceLimit>;
        /// Highest real-time priority that it may take.
        rlimit_rtprio: Option<ResourceLimit>;
        /// Its nice value, -20 to 19.
        nice: Option<Nice>;
        /// Its class of input and output, and level in it: realtime:0-7, best-effort:0-7 or idle.
        ionice: Option<IoNice>;
        /// How readily the kernel ends it when memory is short, -1000 to 1000.
        oom_score_adj: Option<OomScoreAdj>;
        /// What is written into files of a cgroup of its own: memory.max=64M,pids.max=100.
        cgroup_set: CgroupSet = "";
        /// No program that it executes may give it more rights than it has.
        no_new_privs: bool = "false";
        /// What is ended with it: process is its main process alone; group what is left of its process group then; tree
        /// also what left the group; cgroup all of a cgroup of its own.
        killmode: KillMode = "process" [.policy()];
        /// Seconds between the stop signal and SIGKILL for what is left of it.
        killwaitsecs: Seconds = "2" [.policy()];
        /// The signal that it gets when the daemon dies.
        deathsig: Option<SignalNumber>;
        /// Start it when others have reached some state, as supervisord-dependent-startup does.
        dependent_startup: Unexpanded = "" [.makes()];
        /// What it then waits for: program:state,state, separated by blanks.
        dependent_startup_wait_for: Unexpanded = "" [.makes()];
        /// Whether it is started by the least priority of what it waits for.
        dependent_startup_inherit_priority: Unexpanded = "" [.makes()];
        /// How many of its processes a rolling restart may take down at a time.
        rolling_max_unavailable: Threshold = "1" [.policy()];
        /// User to run it as: a name or a number, and a group behind a colon if wanted.
        user: Option<User> [.listed_as(2, "uid")];
        /// Groups that it is a member of, in place of its user's.
        groups: Option<Groups>;
        /// It finds HOME, USER, LOGNAME and SHELL of its user's entry.
        login_env: bool = "false";
        /// Its file mode creation mask.
        umask: Option<Octal>;
        /// Name of each process; needs %(process_num) with numprocs above 1.
        process_name: Name = "%(program_name)s" [.makes()];
    }
}

options! {
    /// The configuration of one process: its program, and the options that are expanded for each process (C-66).
    Process(name: String, number: i64, program: Rc<Program>, environment: Rc<BTreeMap<String, String>>,
        own_environment: Rc<BTreeMap<String, String>>) {
        /// Files of variables for it, of KEY=VALUE lines, read at each start; a - before a path: it may be missing.
        env_files: EnvFiles = "" [.named("envfiles")];
        /// Variables whose values are in files, read at each start: KEY:/run/secrets/key.
        environment_from_file: Secrets = "";
        /// Directory to change to before it starts.
        directory: Option<String> [.listed(1)];
        /// The log of its stdout.
        stdout: LogOptions [of Stdout];
        /// The log of its stderr.
        stderr: LogOptions [of Stderr];
        /// The name that its lines for syslog come under; that of [supervisord] by default.
        syslog_tag: Option<SyslogTag>;
        /// By what it is known to be ready, and RUNNING: startsecs, notify, fd:N, tcp:HOST:PORT, unix:PATH, http://URL,
        /// command:COMMAND or log:TEXT.
        ready: Ready = "startsecs";
        /// By what it is known to be well: http://URL, tcp://HOST:PORT or a command.
        liveness_check_script: Option<Probe> [.policy()];
        /// What is done when it is not: restart, stop, none or a command.
        liveness_check_failure_action: Cure = "restart" [.policy()];
        /// A command that is run when it is well again.
        liveness_check_success_action: Option<HelperCommand> [.policy()];
        /// A command that is run before each start.
        pre_start_hook: Option<HelperCommand> [.policy()];
        /// A command that is run when it is RUNNING.
        post_start_hook: Option<HelperCommand> [.policy()];
        /// A command that is run before it is stopped.
        pre_stop_hook: Option<HelperCommand> [.policy()];
        /// A command that is run after each of its ends.
        post_stop_hook: Option<HelperCommand> [.policy()];
        /// A command that stops it, in place of the first stop signal.
        stop_command: Option<HelperCommand> [.policy()];
        /// The command line; no shell is involved.
        command: String [.listed(3)];
        /// What must be up before it is started by itself: name[=condition], separated by commas. Conditions: running,
        /// ready, healthy, completed, ended, spawned.
        depends_on: DependsOn = "" [.policy()];
    }
}

channel_options! {
    /// What is done with what all processes of a program write.
    OutputOptions {
        /// Size of the buffer for what is captured; 0 turns capturing off.
        capture_maxbytes: ByteSize = "0" [.listed(14)];
        /// Emit PROCESS_LOG events for each piece of output.
        events_enabled: bool = "false" [.listed(15)];
        /// When the reader of a log that is a stream, such as /dev/stdout, does not keep up: drop lines, or let the
        /// program wait.
        logfile_full: WhenFull = "drop" [];
        /// When its log is rotated besides by its size: daily, hourly, or every so many seconds, by the clock on the wall.
        logfile_rotate: Option<RotateEvery> [];
        /// What is done with rotated logs: none, or gzip.
        logfile_compress: Compression = "none" [];
        /// What each line of its log begins with; may name %(program_name)s, %(group_name)s, %(process_name)s,
        /// %(process_num)d, %(stream)s, %(pid)d, %(asctime)s and %(iso)s. Empty: nothing, whatever childlog_prefix says.
        prefix: Option<LinePrefix> [];
    }
}

channel_options! {
    /// Where the output of one process is kept.
    LogOptions {
        /// Its log: a path, AUTO or NONE.
        logfile: LogFile = "AUTO" [.listed(LOGFILE_PLACE)];
        /// Rotated logs that are kept.
        logfile_backups: i64 = "10" [.listed(17)];
        /// Size at which the log is rotated; 0 never.
        logfile_maxbytes: ByteSize = "50MB" [.listed(18)];
        /// Send it to syslog, too.
        syslog: bool = "false" [.listed(19)];
        /// Where it is kept: in a file, or in memory, the newest bytes: as many as logfile_maxbytes says if that is
        /// written, else 64 KB.
        logfile_storage: Storage = "file" [];
    }
}

/// The place of `stdout_logfile` in `getAllConfigInfo`.
const LOGFILE_PLACE: usize = 16;

/// How many places behind those of stdout the options of stderr stand there.
const STDERR_PLACES: usize = 8;

/// The place of the log of a channel in `getAllConfigInfo`.
pub fn logfile_place(channel: Channel) -> usize {
    match channel {
        Channel::Stdout => LOGFILE_PLACE,
        Channel::Stderr => LOGFILE_PLACE + STDERR_PLACES,
    }
}

options! {
    /// What a section `[group:x]` says of all its programs (C-113).
    GroupOptions {
        /// Names of the programs that belong to it.
        programs: Strings = "" [.makes()];
        /// Lower ones start first and stop last.
        priority: i64 = "999" [.makes()];
        /// What must be up before any of its processes is started by itself, as for a program.
        depends_on: DependsOn = "";
        /// What becomes of the others when one ends unexpectedly or is given up: ignore, stop_group or restart_group.
        on_group_member_exit: OnGroupMemberExit = "ignore";
    }
}

options! {
    /// What `[eventlistener:x]` adds to a program (C-116).
    ListenerOptions {
        /// Lower ones start first and stop last.
        priority: i64 = "-1" [.makes()];
        /// Events that are kept while no listener is ready.
        buffer_size: i64 = "10" [.makes()];
        /// What judges a listener's results.
        result_handler: String = "supervisor.dispatchers:default_handler" [.makes()];
        /// Types of events it wants.
        events: Strings = "" [.makes()];
        /// Not allowed here: what a listener writes to its stdout is read by the daemon.
        redirect_stderr: bool = "false" [.makes()];
        /// Add exit status, signal and reason to the payloads of process states.
        extended_payload: bool = "false";
        /// Do not drop events before a listener was ready once.
        buffer_hold_until_ready: bool = "false";
        /// What is done about a listener that broke the protocol: restart, or ignore.
        unknown_action: UnknownAction = "ignore";
        /// What the length of a payload is counted in: characters, or bytes.
        length: Length = "characters";
    }
}

options! {
    /// What `[fcgi-program:x]` adds to a program, but for its socket (C-115).
    FcgiOptions {
        /// Lower ones start first and stop last.
        priority: i64 = "999" [.makes()];
        /// User to run it as.
        user: Option<User> [.makes()];
        /// Connections that may wait; the system's maximum by default.
        socket_backlog: Option<i64> [.makes()];
        /// Owner of a unix socket: user or user:group.
        socket_owner: Option<String> [.makes()];
        /// Mode of a unix socket; 0700 by default.
        socket_mode: Option<String> [.makes()];
    }
}

options! {
    /// The socket of `[fcgi-program:x]`, which knows one name more (C-66).
    FcgiSocketOptions {
        /// tcp://host:port or unix:///path; each process finds it as its stdin.
        socket: Option<String> [.makes()];
    }
}

options! {
    /// `[stheno]`, which Supervisor does not have.
    Stheno {
        /// Allow `stheno.*` methods that can bring in a new command.
        mutation: bool = "false";
        /// Where changes made at run time are kept, and read again at start.
        dynamic_conf: Option<String>;
        /// Give figures for Prometheus at /metrics.
        metrics: bool = "false";
        /// Let everybody read the events of a fleet on event_port, also where the server asks for a password.
        open_event_port: bool = "false";
        /// Further names under which browsers reach the web page, behind a proxy that passes them on.
        hosts: Strings = "";
        /// What all instances of a fleet know, so that nobody else gets in: 16 bytes or more.
        cluster_secret: Option<FleetSecret>;
        /// A file with that secret in its first line.
        cluster_secret_file: Option<String>;
        /// The address for datagrams between instances; that of the inet server by default.
        fleet_bind: Option<String>;
        /// The port at which instances reach each other, the same on all hosts; that of the inet server by default.
        fleet_port: Option<FleetPort>;
        /// HOST or HOST:PORT by which the others reach this instance, where that is not the address of its server.
        fleet_advertise: Option<FleetPlace>;
        /// Where others are asked who else there is: HOST, HOST:PORT or dns:NAME, separated by commas. Who is met so belongs
        /// to the fleet without being in supvisors_list.
        fleet_seeds: FleetSeeds = "";
        /// How soon a silent instance is taken for lost: normal, 4 to 6 seconds, or fast, 2.
        detection: Detection = "normal";
        /// What this node is called where the machine's id is shown.
        node_id: Option<String>;
    }
}

options! {
    /// The paths of `[supervisorctl]`, which know one name more (C-66, C-130).
    CtlPathOptions {
        /// The server to talk to: http://host:port or unix:///path.
        serverurl: String = "http://localhost:9001";
        /// Where the shell keeps its history.
        history_file: Option<String>;
    }
}

options! {
    /// `[supervisorctl]`, but for its paths (C-130).
    CtlOptions {
        /// What the shell prints before a line.
        prompt: String = "supervisor";
        /// User name for the server.
        username: Option<String>;
        /// Password for the server, clear.
        password: Option<String>;
    }
}

#[cfg(test)]
mod tests;
