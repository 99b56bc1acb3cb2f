//! `[inet_http_server]` and `[unix_http_server]` (C-95 to C-101).

use crate::wire::ini::Document;

use super::datatypes::{Datatype, InetAddress, Octal, shown_host};
use super::env::Env;
use super::error::ConfigError;
use super::options::{InetServerOptions, UnixFileOptions, UnixServerOptions};
use super::paths;
use super::reader::{Reader, Scope};
use super::types::{Credentials, Owner, Server, ServerAddress};

/// Mode of a unix socket for which none is given: its owner only.
const SOCKET_MODE: u32 = 0o700;

/// All servers, inet ones first (C-95). `scope` has `here`, which only `file` may use; `cwd` is for relative paths.
pub(super) fn servers(document: &Document, scope: Scope, env: &dyn Env, cwd: &str) -> Result<Vec<Server>, ConfigError> {
    let mut servers = Vec::new();
    let sections = |prefix| document.sections.iter().filter(move |section| section.name.starts_with(prefix));
    for section in sections("inet_http_server") {
        let reader = Reader { document, section, scope: Scope { here: None, ..scope }, env, stand_in: None };
        servers.push(inet(&reader)?);
    }
    for section in sections("unix_http_server") {
        servers.push(unix(&Reader { document, section, scope, env, stand_in: None }, cwd)?);
    }
    Ok(servers)
}

fn inet(reader: &Reader) -> Result<Server, ConfigError> {
    let section = &reader.section.name;
    let options = InetServerOptions::read(reader)?;
    let credentials = credentials(reader, options.username, options.password)?;
    let Some(port) = options.port else {
        return Err(reader.error("port", format!("section [{section}] has no port value")));
    };
    let InetAddress { host, port } =
        InetAddress::parse(&port, reader.env).map_err(|message| reader.error("port", message))?;
    Ok(Server { section: section.clone(), address: ServerAddress::Inet { host, port }, credentials })
}

fn unix(reader: &Reader, cwd: &str) -> Result<Server, ConfigError> {
    let section = &reader.section.name;
    let Some(file) = UnixFileOptions::read(reader)?.file else {
        return Err(reader.error("file", format!("section [{section}] has no file value")));
    };
    let path = paths::absolute(cwd, &reader.env.expand_user(file.trim()));
    let reader = Reader { scope: Scope { here: None, ..reader.scope }, ..*reader };
    let options = UnixServerOptions::read(&reader)?;
    let credentials = credentials(&reader, options.username, options.password)?;
    let owner = match options.chown {
        None => None,
        Some(text) => match Owner::parse(&text, reader.env) {
            Ok(owner) => Some(owner),
            Err(_) => return Err(reader.error("chown", format!("Invalid sockchown value {text}"))),
        },
    };
    let mode = match options.chmod {
        None => SOCKET_MODE,
        Some(text) => match Octal::parse(&text, reader.env) {
            Ok(Octal(mode)) => mode,
            Err(_) => return Err(reader.error("chmod", format!("Invalid chmod value {text}"))),
        },
    };
    Ok(Server { section: section.clone(), address: ServerAddress::Unix { path, mode, owner }, credentials })
}

/// Both or neither (C-98); an empty user name lets everybody in (C-100).
fn credentials(
    reader: &Reader,
    username: Option<String>,
    password: Option<String>,
) -> Result<Option<Credentials>, ConfigError> {
    match (username, password) {
        (None, None) => Ok(None),
        (Some(username), Some(_)) if username.is_empty() => Ok(None),
        (Some(username), Some(password)) => Ok(Some(Credentials { username, password })),
        (username, _) => Err(reader.error(
            if username.is_some() { "username" } else { "password" },
            format!(
                "Section [{}] contains incomplete authentication: If a username or a password is specified, both the \
                 username and password must be specified",
                reader.section.name
            ),
        )),
    }
}

/// What children find in SUPERVISOR_SERVER_URL: the first unix server, else the last inet one (C-101).
pub(super) fn default_url(servers: &[Server]) -> Option<String> {
    let unix = servers.iter().find_map(|server| match &server.address {
        ServerAddress::Unix { path, .. } => Some(format!("unix://{path}")),
        ServerAddress::Inet { .. } => None,
    });
    let inet = || {
        servers.iter().rev().find_map(|server| match &server.address {
            ServerAddress::Inet { host, port } if host.is_empty() || host == "::" => {
                Some(format!("http://localhost:{port}"))
            }
            ServerAddress::Inet { host, port } => Some(format!("http://{}:{port}", shown_host(host))),
            ServerAddress::Unix { .. } => None,
        })
    };
    unix.or_else(inet)
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    fn load(text: &str) -> Result<Vec<Server>, String> {
        let config = Fake::new().load(&format!("[supervisord]\n{text}"));
        config.map(|config| config.servers).map_err(|error| error.to_string())
    }

    #[test]
    fn inet_servers_come_first() {
        let servers = load(
            "[unix_http_server]\nfile=~nobody/s\nchmod=0777\nchown=nobody:daemon\n[inet_http_server]\nport=*:9001\n\
             username=u\npassword=p\n[inet_http_server:second]\nport=H:1\nusername=\npassword=p\n\
             [unix_http_server:rel]\nfile=%(here)s/../s\n",
        )
        .unwrap();
        let inet = |host: &str, port| ServerAddress::Inet { host: host.into(), port };
        let owner = Some(Owner { uid: 65534, gid: Some(1) });
        let credentials = Some(Credentials { username: "u".into(), password: "p".into() });
        let row = |section: &str, address, credentials| Server { section: section.into(), address, credentials };
        let expected = [
            row("inet_http_server", inet("", 9001), credentials),
            row("inet_http_server:second", inet("h", 1), None),
            row("unix_http_server", ServerAddress::Unix { path: "/nonexistent/s".into(), mode: 0o777, owner }, None),
            row("unix_http_server:rel", ServerAddress::Unix { path: "/s".into(), mode: 0o700, owner: None }, None),
        ];
        assert_eq!(servers, expected);
        assert_eq!(default_url(&servers).as_deref(), Some("unix:///nonexistent/s"));
        assert_eq!(default_url(&servers[..2]).as_deref(), Some("http://h:1"));
        assert_eq!(default_url(&servers[..1]).as_deref(), Some("http://localhost:9001"));
        assert_eq!(default_url(&[]), None);
        for (port, expected) in [("[::1]:9001", "http://[::1]:9001"), ("[::]:9001", "http://localhost:9001")] {
            let servers = load(&format!("[inet_http_server]\nport={port}\n")).unwrap();
            assert_eq!(default_url(&servers).as_deref(), Some(expected), "{port}");
        }
    }

    #[test]
    fn what_is_wrong() {
        let both = "contains incomplete authentication: If a username or a password is specified, both the username \
                    and password must be specified";
        let rows = [
            (
                "[unix_http_server]\nfile=/s\nusername=x\n",
                format!("Section [unix_http_server] {both} (file: 'F', line 4)"),
            ),
            (
                "[inet_http_server]\npassword=x\n",
                format!("Section [inet_http_server] {both} (file: 'F', line 3)"),
            ),
            ("[unix_http_server]\nfile=/s\nchmod=999\n", "Invalid chmod value 999 (file: 'F', line 4)".into()),
            ("[unix_http_server]\nfile=/s\nchown=nosuch\n", "Invalid sockchown value nosuch (file: 'F', line 4)".into()),
            ("[inet_http_server]\n", "section [inet_http_server] has no port value (file: 'F', line 2)".into()),
            ("[inet_http_server]\nport=x\n", "not a valid port number: 'x'  (file: 'F', line 3)".into()),
            (
                "[inet_http_server]\nport=[::g]:9001\n",
                "bad address '[::g]:9001': '::g' is not an IPv6 address (file: 'F', line 3)".into(),
            ),
            ("[inet_http_server]\nport=h:70000\n", "70000 is above upper bound (65535) (file: 'F', line 3)".into()),
            (
                "[unix_http_server:second]\nchmod=0700\n",
                "section [unix_http_server:second] has no file value (file: 'F', line 2)".into(),
            ),
            (
                "[inet_http_server]\nport=%(here)s\n",
                "Format string '%(here)s' for 'inet_http_server.port' contains names ('here') which cannot be expanded. \
                 Available names:  (file: 'F', line 3)"
                    .into(),
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(load(text), Err(expected), "{text:?}");
        }
    }
}
