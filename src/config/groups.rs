//! Sections become groups: `[group:x]` first, then programs, event listeners and FastCGI programs that are in none
//! (C-113 to C-117).

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::eventtype::EventType;
use crate::wire::ini::Section;

use super::datatypes::{self, Datatype, Name, Octal, port_number, shown_host};
use super::depends::Misordered;
use super::error::ConfigError;
use super::interfaces;
use super::main_program;
use super::options::{FcgiOptions, FcgiSocketOptions, GroupOptions, ListenerOptions, Process};
use super::paths;
use super::programs::{Common, count};
use super::reader::{Reader, Scope};
use super::types::{Fcgi, FcgiAddress, FcgiSocket, Group, GroupKind, Listener, Owner, ResultHandler};

/// Priority of a group for which none is given.
const DEFAULT_PRIORITY: i64 = 999;

/// Mode of a FastCGI socket for which none is given: its owner only.
const SOCKET_MODE: u32 = 0o700;

/// The result handlers that are known (C-119).
const RESULT_HANDLERS: &[(&str, ResultHandler)] = &[
    ("supervisor.dispatchers:default_handler", ResultHandler::Default),
    ("supervisor_twiddler.resulthandler:stdin_write_handler", ResultHandler::StdinWrite),
    ("supervisor_grace.resulthandler:stdin_write_handler", ResultHandler::StdinWrite),
    ("supervisor_stdout:event_handler", ResultHandler::Stdout),
];

impl<'a> Common<'a> {
    /// All groups, ascending by (priority, name) (C-117). Each section that fails is handed to `failed`, which decides
    /// whether to go on.
    pub(super) fn groups(
        &mut self,
        failed: &mut dyn FnMut(ConfigError) -> Result<(), ConfigError>,
    ) -> Result<Vec<Rc<Group>>, ConfigError> {
        let document = self.document;
        let mut members = HashSet::new();
        let mut groups = Vec::new();
        // One pass for each kind, as the original does: it decides which of several errors is reported.
        for kind in ["group:", "program:", "eventlistener:", "fcgi-program:"] {
            for section in &document.sections {
                let Some(written) = section.name.strip_prefix(kind) else { continue };
                if members.contains(section.name.as_str()) {
                    continue;
                }
                let group = match kind {
                    "group:" => self.group(section, written, &mut members),
                    "program:" => self.program_group(section, written),
                    "eventlistener:" => self.listener_group(section, written),
                    _ => self.fcgi_group(section, written),
                };
                match group {
                    Ok(group) => groups.push(Rc::new(group)),
                    Err(error) => failed(error)?,
                }
            }
        }
        crate::sort::by(&mut groups, |a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
        if let Some(error) = self.main.and_then(|_| main_program::same_name(document, &groups)) {
            failed(error)?;
        }
        if self.main.is_some_and(|main| main.waits_until_ready) {
            main_program::wait_for_others(&mut groups);
        }
        Ok(groups)
    }

    /// The error about what a process depends on, at its section's option.
    pub(super) fn misordered(&self, Misordered { process, group, text, meant }: Misordered) -> ConfigError {
        let name = group.as_ref().unwrap_or(&process.program.name);
        let kinds = if group.is_some() { &["group"][..] } else { &["program", "fcgi-program", "eventlistener"] };
        let mut sections = kinds.iter().filter_map(|kind| self.document.section(&format!("{kind}:{name}")));
        match sections.next() {
            Some(section) => {
                let reader = self.reader(section);
                let first = reader.entry("command").or_else(|| reader.entry("depends_on"));
                let file = first.map_or("", |entry| &entry.file);
                reader.error("depends_on", text).in_section(&section.name, file).with_hint(meant)
            }
            None => ConfigError::new(text).with_hint(meant),
        }
    }

    fn group(
        &mut self,
        section: &'a Section,
        written: &str,
        members: &mut HashSet<&'a str>,
    ) -> Result<Group, ConfigError> {
        let name = self.name(section, written)?;
        let reader = self.reader(section);
        let options = GroupOptions::read(&reader)?;
        let mut processes = Vec::new();
        for program in &options.programs.0 {
            let member = self.member(&reader, program)?;
            members.insert(&member.name);
            // A FastCGI program in a group runs as an ordinary one, without its socket (C-114).
            processes.extend(self.programs(member, &name)?);
        }
        let (kind, processes) = (GroupKind::Programs, unique(processes));
        let (revision, priority, options) = (self.revision, options.priority, Some(Rc::new(options)));
        Ok(Group { name, revision, priority, kind, options, processes })
    }

    /// The section of a program that a group names (C-113).
    fn member(&self, group: &Reader, program: &str) -> Result<&'a Section, ConfigError> {
        let found = |kind: &str| self.document.section(&format!("{kind}:{program}"));
        let section = &group.section.name;
        match (found("program"), found("fcgi-program")) {
            (Some(member), None) | (None, Some(member)) => Ok(member),
            (None, None) => {
                Err(group.error("programs", format!("[{section}] names unknown program or fcgi-program {program}")))
            }
            (Some(_), Some(_)) => Err(group.error(
                "programs",
                format!("[{section}] name {program} is ambiguous (exists as program and fcgi-program)"),
            )),
        }
    }

    fn program_group(&mut self, section: &'a Section, written: &str) -> Result<Group, ConfigError> {
        let name = self.name(section, written)?;
        // Read here, too, and first: so an error in it shows without its section (C-93).
        let priority = self.reader(section).value("priority").unwrap_or(Ok(DEFAULT_PRIORITY))?;
        let processes = unique(self.programs(section, &name)?);
        let (revision, kind) = (self.revision, GroupKind::Programs);
        Ok(Group { name, revision, priority, kind, options: None, processes })
    }

    fn listener_group(&mut self, section: &'a Section, written: &str) -> Result<Group, ConfigError> {
        let reader = self.reader(section);
        let options = ListenerOptions::read(&reader)?;
        let priority = options.priority;
        let listener = listener(&reader, options, interfaces::has_supvisors(self.document))?;
        let processes = unique(self.programs(section, written)?);
        let (name, kind) = (written.to_string(), GroupKind::Listener(listener));
        Ok(Group { name, revision: self.revision, priority, kind, options: None, processes })
    }

    fn fcgi_group(&mut self, section: &'a Section, written: &str) -> Result<Group, ConfigError> {
        let name = self.name(section, written)?;
        let reader = self.reader(section);
        let options = FcgiOptions::read(&reader)?;
        let socket = fcgi_socket(&reader, &options, &name)?;
        let processes = unique(self.programs(section, &name)?);
        let (revision, priority) = (self.revision, options.priority);
        let kind = GroupKind::Fcgi(Fcgi { options, socket });
        Ok(Group { name, revision, priority, kind, options: None, processes })
    }

    fn name(&self, section: &Section, written: &str) -> Result<String, ConfigError> {
        let name = Name::parse(written, self.env);
        name.map(|name| name.0).map_err(|message| ConfigError::new(message).at(&section.file, section.line))
    }

    fn reader(&self, section: &'a Section) -> Reader<'a> {
        let scope = Scope { here: Some(self.here), variables: self.variables, ..Scope::default() };
        Reader { document: self.document, section, scope, env: self.env, stand_in: None }
    }
}

/// Of processes with the same name the last one only, in the place of the first (C-111).
///
/// Processes of one section are ascending by name. Those of several sections are not sorted among each other: the main
/// loop starts them as the group lists them, while calls and the shutdown go by priority (P-10, P-75, P-80).
pub(super) fn unique(processes: Vec<Rc<Process>>) -> Vec<Rc<Process>> {
    let mut places: HashMap<String, usize> = HashMap::with_capacity(processes.len());
    let mut result: Vec<Rc<Process>> = Vec::with_capacity(processes.len());
    for process in processes {
        match places.get(&process.name) {
            Some(&at) => result[at] = process,
            None => {
                places.insert(process.name.clone(), result.len());
                result.push(process);
            }
        }
    }
    result
}

fn listener(reader: &Reader, options: ListenerOptions, is_in_fleet: bool) -> Result<Listener, ConfigError> {
    let section = &reader.section.name;
    let buffer_size = match usize::try_from(options.buffer_size) {
        Ok(size) if size > 0 => size,
        _ => {
            let message = format!("[{section}] section sets invalid buffer_size ({})", options.buffer_size);
            return Err(reader.error("buffer_size", message));
        }
    };
    let handler = &options.result_handler;
    let Some((_, result_handler)) = RESULT_HANDLERS.iter().find(|(name, _)| name == handler) else {
        return Err(reader.error("result_handler", format!("{handler} cannot be resolved within [{section}]")));
    };
    let mut events: Vec<String> = Vec::new();
    for name in options.events.0.iter().map(|name| name.to_uppercase()) {
        if EventType::parse(&name).is_none_or(|kind| kind.is_of_fleet() && !is_in_fleet) {
            return Err(reader.error("events", format!("Unknown event type {name} in [{section}] events")));
        }
        if !events.contains(&name) {
            events.push(name);
        }
    }
    if events.is_empty() {
        return Err(reader.error("events", format!("[{section}] section requires an \"events\" line")));
    }
    if options.redirect_stderr {
        let message = format!(
            "[{section}] section sets redirect_stderr=true but this is not allowed because it will interfere with \
             the eventlistener protocol"
        );
        return Err(reader.error("redirect_stderr", message));
    }
    Ok(Listener { buffer_size, events, result_handler: *result_handler, options })
}

/// The socket of a FastCGI program (C-115).
fn fcgi_socket(reader: &Reader, options: &FcgiOptions, name: &str) -> Result<FcgiSocket, ConfigError> {
    let section = &reader.section.name;
    let backlog = match options.socket_backlog {
        None => None,
        Some(backlog @ 1..=65535) => Some(count(backlog)),
        Some(backlog) => {
            return Err(reader.error("socket_backlog", format!("Invalid socket_backlog value {backlog}")));
        }
    };
    let owner = match &options.socket_owner {
        None => None,
        Some(text) => match Owner::parse(text, reader.env) {
            Ok(owner) => Some(owner),
            Err(_) => return Err(reader.error("socket_owner", format!("Invalid socket_owner value {text}"))),
        },
    };
    let mode = match &options.socket_mode {
        None => None,
        Some(text) => match Octal::parse(text, reader.env) {
            Ok(Octal(mode)) => Some(mode),
            Err(_) => return Err(reader.error("socket_mode", format!("Invalid socket_mode value {text}"))),
        },
    };
    let scope = Scope { program_name: Some(name), ..reader.scope };
    let url = FcgiSocketOptions::read(&Reader { scope, ..*reader })?.socket.unwrap_or_default();
    if url.is_empty() {
        return Err(reader.error("socket", format!("[{section}] section requires a \"socket\" line")));
    }
    let wrong = |message: String| reader.error("socket", format!("{message} in [{section}] socket"));
    if let Some(path) = url.strip_prefix("unix://") {
        if !path.starts_with('/') {
            return Err(wrong(format!("Unix socket path {path} is not an absolute path")));
        }
        let path = paths::normalise(path);
        let owner = owner.or_else(|| default_owner(reader, options));
        let mode = mode.unwrap_or(SOCKET_MODE);
        return Ok(FcgiSocket {
            url: format!("unix://{path}"),
            address: FcgiAddress::Unix { path, owner, mode },
            backlog,
        });
    }
    if owner.is_some() || mode.is_some() {
        let message = "socket_owner and socket_mode params should only be used with a Unix domain socket";
        return Err(wrong(message.to_string()));
    }
    let tcp = url.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':'));
    let is_host = |host: &str| !host.is_empty() && !host.contains(char::is_whitespace);
    let is_number = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match tcp {
        Some((host, port)) if is_host(host) && is_number(port) => {
            let host = datatypes::host(host).map_err(|reason| wrong(format!("Bad socket format {url}: {reason}")))?;
            let port = port_number(port, reader.env).map_err(wrong)?;
            let url = format!("tcp://{}:{port}", shown_host(&host));
            Ok(FcgiSocket { url, address: FcgiAddress::Tcp { host, port }, backlog })
        }
        _ => Err(wrong(format!("Bad socket format {url}"))),
    }
}

/// The program's user and its primary group, if that is not who we are.
fn default_owner(reader: &Reader, options: &FcgiOptions) -> Option<Owner> {
    let user = options.user.as_ref().filter(|user| user.uid != reader.env.uid())?;
    let of_entry = || reader.env.user_by_id(user.uid).map(|account| account.gid);
    Some(Owner { uid: user.uid, gid: user.gid.or_else(of_entry) })
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::super::types::UnknownAction;
    use super::*;

    fn load(text: &str) -> Result<Vec<Rc<Group>>, String> {
        let config = Fake::new().load(&format!("[supervisord]\n{text}"));
        config.map(|config| config.groups).map_err(|error| error.to_string())
    }

    fn shape(groups: &[Rc<Group>]) -> Vec<String> {
        let names = |group: &Group| group.processes.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(" ");
        groups.iter().map(|group| format!("{} {}: {}", group.name, group.priority, names(group))).collect()
    }

    #[test]
    fn who_is_in_which_group() {
        let groups = load(
            "[program:b]\ncommand=b\npriority=1\n[program:a]\ncommand=a\n[program:c]\ncommand=c\n\
             [fcgi-program:f]\ncommand=f\nsocket=bad\n[group:g]\nprograms=a, b,f\npriority=5\n[group:h]\nprograms=a\n\
             [group:empty]\n[program:z]\ncommand=z\npriority=5\n[eventlistener:l]\ncommand=l\nevents=TICK\n",
        )
        .unwrap();
        let expected = ["l -1: l", "g 5: a b f", "z 5: z", "c 999: c", "empty 999: ", "h 999: a"];
        assert_eq!(shape(&groups), expected);
        assert_eq!(groups[0].processes[0].program.priority, 999);
        // No socket for a FastCGI program in a group (C-114).
        assert_eq!(groups[1].kind, GroupKind::Programs);
        assert_eq!(groups[1].processes[1].program.name, "b");
    }

    #[test]
    fn of_two_processes_with_one_name_the_last_counts() {
        let groups = load(
            "[group:g]\nprograms=a,c,b\n[program:a]\ncommand=a\nprocess_name=x\npriority=1\n\
             [program:b]\ncommand=b\nprocess_name=x\n[program:c]\ncommand=c\n",
        )
        .unwrap();
        assert_eq!(shape(&groups), ["g 999: x c"]);
        assert_eq!(groups[0].processes[0].command, "b");
    }

    #[test]
    fn listeners() {
        let groups = load(
            "[eventlistener:l]\ncommand=x\nevents=tick_5, EVENT,Tick_5\nbuffer_size=3\nextended_payload=1\n\
             buffer_hold_until_ready=1\nunknown_action=restart\nlength=Bytes\n\
             result_handler=supervisor_grace.resulthandler:stdin_write_handler\n",
        )
        .unwrap();
        let GroupKind::Listener(listener) = &groups[0].kind else { panic!("{:?}", groups[0].kind) };
        assert_eq!((listener.buffer_size, listener.result_handler), (3, ResultHandler::StdinWrite));
        assert_eq!(listener.events, ["TICK_5", "EVENT"]);
        let options = &listener.options;
        assert!(options.extended_payload && options.buffer_hold_until_ready);
        assert_eq!((options.unknown_action, options.length), (UnknownAction::Restart, datatypes::Length::Bytes));
    }

    #[test]
    fn sockets() {
        let unix = |path: &str, owner, mode| FcgiAddress::Unix { path: path.into(), owner, mode };
        let tcp = FcgiAddress::Tcp { host: "h".into(), port: 9000 };
        let nobody = Some(Owner { uid: 65534, gid: Some(65534) });
        let daemon = Some(Owner { uid: 1, gid: None });
        let rows = [
            ("socket=tcp://H:9000\nsocket_backlog=7", "tcp://h:9000", tcp, Some(7)),
            ("socket=unix:///tmp/%(program_name)s", "unix:///tmp/f", unix("/tmp/f", None, 0o700), None),
            ("socket=unix:///a/../b\nuser=nobody", "unix:///b", unix("/b", nobody, 0o700), None),
            ("socket=unix:///b\nuser=root\nsocket_mode=0770", "unix:///b", unix("/b", None, 0o770), None),
            ("socket=unix:///b\nuser=nobody\nsocket_owner=daemon", "unix:///b", unix("/b", daemon, 0o700), None),
        ];
        for (lines, url, address, backlog) in rows {
            let groups = load(&format!("[fcgi-program:f]\ncommand=x\n{lines}\n")).unwrap();
            let GroupKind::Fcgi(Fcgi { socket, .. }) = &groups[0].kind else { panic!("{lines:?}") };
            assert_eq!((socket.url.as_str(), &socket.address, socket.backlog), (url, &address, backlog), "{lines:?}");
        }
    }

    #[test]
    fn what_is_wrong() {
        let incomplete = "[eventlistener:l]\ncommand=x\n";
        let fcgi = "[fcgi-program:f]\ncommand=x\n";
        let rows = [
            ("[group:g]\nprograms=nope\n", "[group:g] names unknown program or fcgi-program nope (file: 'F', line 3)"),
            (
                "[group:g]\nprograms=p,nope\n[program:p]\ncommand=x\n",
                "[group:g] names unknown program or fcgi-program nope (file: 'F', line 3)",
            ),
            (
                "[group:g]\nprograms=p\n[program:p]\ncommand=x\n[fcgi-program:p]\ncommand=x\n",
                "[group:g] name p is ambiguous (exists as program and fcgi-program) (file: 'F', line 3)",
            ),
            ("[group:a b]\n", "Invalid name: 'a b' because of character: ' ' (file: 'F', line 2)"),
            ("[group:g]\npriority=x\n", "priority: expected a whole number, not 'x' (file: 'F', line 3)"),
            ("[program:a:b]\n", "Invalid name: 'a:b' because of character: ':' (file: 'F', line 2)"),
            ("[program:p]\ncommand=x\npriority=x\n", "priority: expected a whole number, not 'x' (file: 'F', line 4)"),
            (
                "[eventlistener:a b]\nevents=TICK\n",
                "Invalid name: 'a b' because of character: ' ' in section 'eventlistener:a b' (file: 'F', line 2)",
            ),
            (incomplete, "[eventlistener:l] section requires an \"events\" line (file: 'F', line 2)"),
            (
                &format!("{incomplete}events=NOPE\n"),
                "Unknown event type NOPE in [eventlistener:l] events (file: 'F', line 4)",
            ),
            (
                &format!("{incomplete}events=TICK,\n"),
                "Unknown event type  in [eventlistener:l] events (file: 'F', line 4)",
            ),
            (
                &format!("{incomplete}buffer_size=0\n"),
                "[eventlistener:l] section sets invalid buffer_size (0) (file: 'F', line 4)",
            ),
            (
                &format!("{incomplete}events=TICK\nredirect_stderr=true\n"),
                "[eventlistener:l] section sets redirect_stderr=true but this is not allowed because it will interfere \
                 with the eventlistener protocol (file: 'F', line 5)",
            ),
            (
                &format!("{incomplete}result_handler=nope:nope\n"),
                "nope:nope cannot be resolved within [eventlistener:l] (file: 'F', line 4)",
            ),
            (
                "[eventlistener:l]\nevents=TICK\n",
                "program section eventlistener:l does not specify a command in section 'eventlistener:l' (file: 'F', \
                 line 2)",
            ),
            (
                &format!("{incomplete}events=TICK\nunknown_action=kill\n"),
                "unknown_action is ignore or restart, not 'kill' (file: 'F', line 5)",
            ),
            (
                &format!("{incomplete}events=TICK\nlength=words\n"),
                "length: expected characters or bytes, not 'words' (file: 'F', line 5)",
            ),
            (fcgi, "[fcgi-program:f] section requires a \"socket\" line (file: 'F', line 2)"),
            (&format!("{fcgi}socket=foo\n"), "Bad socket format foo in [fcgi-program:f] socket (file: 'F', line 4)"),
            (
                &format!("{fcgi}socket=tcp://h:70000\n"),
                "70000 is above upper bound (65535) in [fcgi-program:f] socket (file: 'F', line 4)",
            ),
            (
                &format!("{fcgi}socket=tcp://::1:9000\n"),
                "Bad socket format tcp://::1:9000: an IPv6 address stands in brackets, [::1]:9001 in [fcgi-program:f] \
                 socket (file: 'F', line 4)",
            ),
            (
                &format!("{fcgi}socket=unix://rel\n"),
                "Unix socket path rel is not an absolute path in [fcgi-program:f] socket (file: 'F', line 4)",
            ),
            (
                &format!("{fcgi}socket=tcp://h:1\nsocket_mode=0700\n"),
                "socket_owner and socket_mode params should only be used with a Unix domain socket in [fcgi-program:f] \
                 socket (file: 'F', line 4)",
            ),
            (&format!("{fcgi}socket_backlog=0\n"), "Invalid socket_backlog value 0 (file: 'F', line 4)"),
            (&format!("{fcgi}socket_owner=nosuch\n"), "Invalid socket_owner value nosuch (file: 'F', line 4)"),
            (&format!("{fcgi}socket_mode=9\n"), "Invalid socket_mode value 9 (file: 'F', line 4)"),
        ];
        for (text, expected) in rows {
            assert_eq!(load(text).map(|groups| shape(&groups)), Err(expected.to_string()), "{text:?}");
        }
    }
}
