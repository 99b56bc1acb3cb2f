//! Children, hooks and probes: what they are started with.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::rc::Rc;

use crate::config::{self, FcgiSocket, Probe, Ready};
use crate::daemon::host::{self, CommandProblem, Errno, FromFiles, Launch, SetUp, SpawnError, StdinProblem, Usage};
use crate::id::{Pid, ProcId, SocketId};
use crate::reactor::children::Children;
use crate::sys::environment::{CStrings, Pair, ZeroByte};
use crate::sys::spawn::{self, How, Pipes, Plan, Setting, Stdin};
use crate::sys::users::{self, Login, RunAs, Switch};
use crate::sys::{cgroup, command, errno_of, fd, notify, peer, process, sockets, standard};

use super::System;

/// The variables of `login_env`.
const OF_LOGIN: [&[u8]; 4] = [b"HOME", b"USER", b"LOGNAME", b"SHELL"];

impl System {
    fn plan<'a>(&mut self, launch: &Launch<'_>, stdin: Stdin<'a>) -> Result<Plan<'a>, &'static str> {
        let config::Process { program, directory, .. } = launch.config;
        let (user, groups) = (program.user.as_ref(), program.groups.as_ref().map(|groups| Rc::clone(&groups.ids)));
        let switch = match (user, &groups) {
            (None, None) => Switch::Keep,
            _ => {
                let (uid, gid) = (user.map(|user| user.uid), user.and_then(|user| user.gid));
                let target = RunAs { uid, gid, groups };
                self.switches.entry(target).or_insert_with_key(Switch::to).clone()
            }
        };
        let directory = directory.as_deref().map(CString::new).transpose();
        let mut settings = spawn::settings(program);
        if let Some(cgroup) = launch.cgroup {
            settings.insert(0, in_cgroup(cgroup).map_err(|_| "cgroup")?);
        }
        Ok(Plan {
            path: CString::new(launch.path).map_err(|_| "command")?,
            argv: CStrings::from_words(launch.argv).map_err(|_| "command")?,
            environment: self.environment_of(launch).map_err(|_| "environment")?,
            stdin,
            redirect_stderr: program.redirect_stderr,
            settings,
            switch,
            no_new_privs: program.no_new_privs,
            deathsig: None,
            directory: directory.map_err(|_| "directory")?,
            umask: program.umask.map(|umask| umask.0),
            extra: None,
            names_pid: false,
        })
    }

    /// The whole environment of a child (P-58). With environment files, ours is the last word (K-7).
    fn environment_of(&mut self, launch: &Launch<'_>) -> Result<CStrings, ZeroByte> {
        fn text<'a>((key, value): (&'a str, &'a str)) -> Pair<'a> {
            (key.as_bytes(), value.as_bytes())
        }
        let config::Process { name, program, environment, own_environment, .. } = launch.config;
        let url = program.serverurl.url.as_deref().filter(|url| !url.is_empty());
        let mut ours: Vec<Pair> = vec![text(("SUPERVISOR_ENABLED", "1"))];
        ours.extend(url.map(|url| text(("SUPERVISOR_SERVER_URL", url))));
        ours.push(text(("SUPERVISOR_PROCESS_NAME", name)));
        ours.push(text(("SUPERVISOR_GROUP_NAME", launch.group)));
        ours.extend(launch.variables.iter().map(|(key, value)| text((key, value))));
        let configured = environment.iter().map(|(key, value)| text((key, value)));
        let pairs: Vec<Pair> = match launch.from_files {
            None => ours.into_iter().chain(configured).collect(),
            Some(FromFiles(files)) => {
                let files = files.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
                let own = own_environment.iter().map(|(key, value)| text((key, value)));
                configured.chain(files).chain(own).chain(ours).collect()
            }
        };
        let is_inherited = |key: &[u8]| program.environment_inherit.has(key);
        if !program.login_env {
            return self.environment.overlaid(is_inherited, &pairs);
        }
        let uid = program.user.as_ref().map_or_else(users::current_uid, |user| user.uid);
        let login = self.logins.entry(uid).or_insert_with(|| users::login(uid));
        // Whoever has no entry finds no name of somebody else, either.
        let of_login: Vec<(&str, &str)> = match login {
            Some(Login { name, home, shell }) => {
                vec![("HOME", home), ("USER", name), ("LOGNAME", name), ("SHELL", shell)]
            }
            None => vec![("HOME", "/")],
        };
        let pairs: Vec<Pair> = of_login.into_iter().map(text).chain(pairs).collect();
        self.environment.overlaid(|key| is_inherited(key) && !OF_LOGIN.contains(&key), &pairs)
    }

    /// The notify socket of a child to be, and its address.
    fn open_notify(&self, launch: &Launch<'_>) -> std::io::Result<Option<notify::Socket>> {
        let program = &launch.config.program;
        if launch.config.ready != Ready::Notify && program.watchdog_sec.0.is_zero() {
            return Ok(None);
        }
        let name = format!("{}-{}.notify", launch.group, launch.config.name).replace('/', "_");
        let path = program.notify_dir.as_ref().map(|directory| format!("{}/{name}", directory.0));
        let made = notify::open(path.as_deref())?;
        if let Some((path, user)) = path.zip(program.user.as_ref()) {
            std::os::unix::fs::chown(path, Some(user.uid), None)?;
        }
        Ok(Some(made))
    }
}

impl host::Children for System {
    fn find_command(&mut self, word: &str, path: Option<&str>) -> Result<String, CommandProblem> {
        let own = self.environment.get("PATH").and_then(|path| path.to_str());
        let found = command::find(word, path.or(own))?;
        Ok(found.to_string_lossy().into_owned())
    }

    fn spawn(&mut self, id: ProcId, launch: &Launch<'_>) -> Result<Pid, SpawnError> {
        let socket = launch.socket.and_then(|socket| self.sockets.get(&socket)).map(|fd| fd.try_clone());
        let shared = socket.transpose().map_err(|error| SpawnError::Pipe(errno_of(&error)))?;
        let stdin = match &shared {
            Some(fd) => Stdin::Shared(fd.as_fd()),
            None if launch.config.program.is_main => Stdin::Ours,
            None => Stdin::Pipe,
        };
        let pipe = |error: std::io::Error| SpawnError::Pipe(errno_of(&error));
        let notify = self.open_notify(launch).map_err(pipe)?;
        let descriptor = launch.config.ready.descriptor();
        let ready = descriptor.map(|number| Ok((fd::pipe()?, number))).transpose().map_err(pipe)?;
        let launch = &with_variables(launch, notify.as_ref().map(|socket| socket.address.as_str()));
        let mut plan = self.plan(launch, stdin).map_err(SpawnError::ZeroByte)?;
        plan.extra = ready.as_ref().map(|(pipe, number)| (pipe.write.as_fd(), *number));
        plan.deathsig = launch.config.program.deathsig.map(|signal| signal.0);
        plan.names_pid = !launch.config.program.watchdog_sec.0.is_zero();
        let pipes = Pipes::open(&plan)?;
        let watched = Children::watch(id, &pipes, &mut self.watched);
        let tokens = watched.map_err(|error| SpawnError::Pipe(errno_of(&error)))?;
        let spawned = match spawn::spawn(&plan, pipes) {
            Ok(spawned) => spawned,
            Err(error) => {
                tokens.forget(&mut self.watched);
                return Err(error);
            }
        };
        let pid = spawned.pid;
        self.children.add(id, spawned, tokens);
        if let Some(socket) = notify {
            let added = self.helpers.add_notify(id, socket, &mut self.watched);
            added.unwrap_or_else(|error| activity!(Error, "cannot hear of {}: {error}", launch.config.name));
        }
        if let Some((pipe, _)) = ready {
            let added =
                fd::set_nonblocking(&pipe.read).and_then(|()| self.helpers.add_ready(id, pipe.read, &mut self.watched));
            added.unwrap_or_else(|error| activity!(Error, "cannot hear of {}: {error}", launch.config.name));
        }
        Ok(pid)
    }

    fn set_up(&mut self, id: ProcId) -> SetUp {
        self.children.set_up(id, &mut self.patience, &mut self.watched)
    }

    fn make_room(&mut self, descriptors: usize) -> bool {
        let gone = self.clients.make_room(descriptors, &mut self.watched);
        let made = !gone.is_empty();
        if made {
            activity!(Warn, "too many open files: {} connections were closed to make room for a child", gone.len());
        }
        self.gone.extend(gone);
        made
    }

    fn kill(&mut self, pid: Pid, signal: i32, group: bool) -> Result<(), Errno> {
        let sent = if group { process::kill_group(pid, signal) } else { process::kill(pid, signal) };
        sent.map_err(Errno)
    }

    fn write_stdin(&mut self, process: ProcId, bytes: &[u8]) -> Result<(), StdinProblem> {
        self.moved_bytes += bytes.len();
        self.children.write(process, bytes, &mut self.watched)
    }

    fn close_child(&mut self, process: ProcId) {
        self.children.remove(process, &mut self.watched);
        self.helpers.close_child(process, &mut self.watched);
    }

    fn usage(&mut self, pid: Pid) -> Option<Usage> {
        peer::usage(pid)
    }

    fn fcgi_open(&mut self, socket: &FcgiSocket) -> Result<SocketId, String> {
        let fd = sockets::listen_fcgi(socket)?;
        let id = SocketId(self.next_socket);
        self.next_socket += 1;
        self.sockets.insert(id, fd);
        Ok(id)
    }

    fn fcgi_close(&mut self, socket: SocketId) {
        self.sockets.remove(&socket);
    }
}

/// The first thing that a child does is to move into its cgroup.
fn in_cgroup(path: &str) -> Result<Setting, std::ffi::NulError> {
    let path = CString::new(format!("{path}/{}", cgroup::PROCESSES))?;
    Ok(Setting { option: "killmode", how: How::Write { path, text: b"0".to_vec() } })
}

/// What a child finds about its readiness and its watchdog.
fn with_variables<'a>(launch: &Launch<'a>, notify: Option<&str>) -> Launch<'a> {
    let config = launch.config;
    let mut variables = launch.variables.clone();
    variables.extend(notify.map(|address| ("NOTIFY_SOCKET", address.to_string())));
    let period = config.program.watchdog_sec.0;
    if !period.is_zero() {
        variables.push(("WATCHDOG_USEC", period.as_micros().to_string()));
    }
    if let (Ready::FdIn(name), Some(number)) = (&config.ready, config.ready.descriptor()) {
        variables.push((name, number.to_string()));
    }
    Launch { variables, ..*launch }
}

impl host::Helpers for System {
    fn spawn_helper(&mut self, launch: &Launch<'_>) -> Result<Pid, SpawnError> {
        let pipe = |error: std::io::Error| SpawnError::Pipe(errno_of(&error));
        let null = standard::null().map_err(pipe)?;
        let null = fd::duplicate(null.as_fd()).map_err(pipe)?;
        let mut plan = self.plan(launch, Stdin::Shared(null.as_fd())).map_err(SpawnError::ZeroByte)?;
        plan.redirect_stderr = true;
        let pipes = Pipes::open(&plan)?;
        let spawned = spawn::spawn(&plan, pipes)?;
        if let Err(error) = self.helpers.add_output(spawned.pid, spawned.stdout, &mut self.watched) {
            activity!(Error, "cannot read what a hook or probe writes: {error}");
        }
        Ok(spawned.pid)
    }

    fn close_helper(&mut self, pid: Pid) {
        self.helpers.close_output(pid, &mut self.watched);
    }

    fn begin_probe(&mut self, process: ProcId, probe: &Probe) -> Option<Result<(), String>> {
        self.helpers.begin_probe(process, probe, &mut self.watched)
    }

    fn end_probe(&mut self, process: ProcId) {
        self.helpers.end_probe(process, &mut self.watched);
    }

    fn process_group(&mut self, pid: Pid) -> Option<Pid> {
        process::group_of(pid)
    }

    fn is_our_child(&mut self, pid: Pid) -> bool {
        peer::parent(pid) == i32::try_from(std::process::id()).ok().map(Pid)
    }

    fn memory(&mut self, pid: Pid, tree: bool) -> Option<u64> {
        if tree { peer::tree_memory(pid) } else { peer::usage(pid).map(|usage| usage.rss_bytes) }
    }
}
