//! Listening sockets: of the HTTP servers (C-155 to C-158) and of FastCGI groups (P-100 to P-103).
//!
//! A unix socket has its mode and owner before anybody can find it: it is bound under a temporary name, with its mode
//! set on the socket before, and appears under its own name complete, by a hard link, which fails if somebody else
//! was there first.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use super::resolve::resolve;
use super::{cerr, errno_of};
use crate::config::{FcgiAddress, FcgiSocket, Owner};
use crate::errno;

/// Connections that wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 1024;

/// For FastCGI sockets without `socket_backlog`: the SOMAXCONN of Linux.
const FCGI_BACKLOG: i32 = 4096;

/// A living server answers the probe of its socket at once; one that is stopped or busy for so long is alive, too.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a socket file is tried that has no room for another client.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// Each attempt removes one stale socket; several only if other daemons start, and die, at the same time.
const ATTEMPTS_MAX: usize = 5;

/// Why a server cannot listen. Displays as the original's message, without `Error: `. Nothing is left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenError {
    /// Somebody else does (C-155).
    InUse,
    /// The system refused, with this error number (C-156).
    System(i32),
    /// It is no address, and no name that is known here.
    UnknownHost,
    /// The socket file cannot be given to its owner (C-158).
    Chown {
        /// The path of the socket file, absolute.
        path: String,
        /// Whose it should be.
        owner: Owner,
    },
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenError::InUse => f.write_str(
                "Another program is already listening on a port that one of our HTTP servers is configured to use.  \
                 Shut this program down first before starting supervisord.",
            ),
            ListenError::System(libc::ENAMETOOLONG) => {
                f.write_str("Cannot open an HTTP server: socket.error reported AF_UNIX path too long")
            }
            ListenError::System(number) => {
                let name = errno::name(*number);
                write!(f, "Cannot open an HTTP server: socket.error reported errno.{name} ({number})")
            }
            // The number is that of EAI_NONAME, which getaddrinfo(3) answers.
            ListenError::UnknownHost => f.write_str("Cannot open an HTTP server: socket.error reported -2"),
            ListenError::Chown { path, owner } => {
                let gid = owner.gid.map_or(-1, i64::from);
                let user = super::users::by_uid(super::users::current_uid()).map_or(String::new(), |user| user.name);
                write!(
                    f,
                    "Not permitted to chown {path} to uid/gid ({}, {gid}); adjust \"sockchown\" value in config file \
                     or on command line to values that the current user ({user}) can successfully chown",
                    owner.uid
                )
            }
        }
    }
}

impl From<io::Error> for ListenError {
    fn from(error: io::Error) -> ListenError {
        match errno_of(&error) {
            libc::EADDRINUSE => ListenError::InUse,
            number => ListenError::System(number),
        }
    }
}

/// Listens on TCP, non-blocking; an empty host is every interface of IPv4.
pub fn listen_inet(host: &str, port: u16) -> Result<TcpListener, ListenError> {
    let address = resolve(host, port).ok_or(ListenError::UnknownHost)?;
    let listener = bind_inet(address, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether [`listen_inet`] would succeed now.
pub fn try_inet(host: &str, port: u16) -> Result<(), ListenError> {
    listen_inet(host, port).map(drop)
}

/// The standard library sets SO_REUSEADDR and its own backlog, which a second listen(2) replaces.
fn bind_inet(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listen(listener.as_raw_fd(), backlog)?;
    Ok(listener)
}

fn listen(fd: RawFd, backlog: i32) -> io::Result<()> {
    // SAFETY: takes numbers.
    cerr(unsafe { libc::listen(fd, backlog) })?;
    Ok(())
}

/// Listens on a socket file, non-blocking. A stale one in its place is removed, with a line on stderr (C-157).
pub fn listen_unix(path: &str, mode: u32, owner: Option<Owner>) -> Result<UnixListener, ListenError> {
    with_temporary(path, |temporary| {
        let socket = prepare(temporary, path, mode, owner)?;
        publish(temporary, path)?;
        let listener = UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        Ok(listener)
    })
}

/// Whether [`listen_unix`] would succeed now, or, if the file that is there `is_ours`, once that is gone. Whatever is there
/// stays.
pub fn try_unix(path: &str, mode: u32, owner: Option<Owner>, is_ours: bool) -> Result<(), ListenError> {
    with_temporary(path, |temporary| prepare(temporary, path, mode, owner).map(drop))?;
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(entry) if entry.is_dir() => Err(ListenError::System(libc::EISDIR)),
        Ok(_) if is_ours => Ok(()),
        // Whoever takes the connection lives; what it answers is not waited for.
        Ok(_) => match connect_unix(path, Duration::ZERO) {
            Ok(_) => Err(ListenError::InUse),
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(ListenError::InUse),
            Err(_) => Ok(()),
        },
    }
}

/// Lends a name beside the path, under which nothing is before or after.
fn with_temporary<T>(path: &str, make: impl FnOnce(&str) -> Result<T, ListenError>) -> Result<T, ListenError> {
    let temporary = format!("{path}.{}", std::process::id());
    let _ = std::fs::remove_file(&temporary);
    let made = make(&temporary);
    let _ = std::fs::remove_file(&temporary);
    made
}

/// A socket that listens under a temporary name.
fn prepare(temporary: &str, path: &str, mode: u32, owner: Option<Owner>) -> Result<OwnedFd, ListenError> {
    let socket = bind_unix(temporary, mode)?;
    if let Some(owner) = owner {
        chown(temporary, owner).map_err(|error| match errno_of(&error) {
            libc::EPERM => ListenError::Chown { path: path.to_string(), owner },
            number => ListenError::System(number),
        })?;
    }
    std::fs::set_permissions(temporary, std::fs::Permissions::from_mode(mode))?;
    listen(socket.as_raw_fd(), BACKLOG)?;
    Ok(socket)
}

/// Gives the complete socket its name, which nobody who is alive may have.
fn publish(temporary: &str, path: &str) -> Result<(), ListenError> {
    for _ in 0..ATTEMPTS_MAX {
        match std::fs::hard_link(temporary, path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if is_served(path) {
                    return Err(ListenError::InUse);
                }
                // A closed stderr is no reason not to start.
                let _ = writeln!(io::stderr(), "Unlinking stale socket {path}");
                std::fs::remove_file(path)?;
            }
            // A file system without hard links, as shared folders of virtual machines are. Nothing is there, or the
            // link would have said so; renaming could overwrite what came this very moment only.
            Err(_) if !std::fs::exists(path).unwrap_or(true) => return Ok(std::fs::rename(temporary, path)?),
            Err(error) => return Err(error.into()),
        }
    }
    Err(ListenError::InUse)
}

/// Connects to a socket file. While more wait there than the server has room for, the system would keep us waiting for
/// as long as the server likes: we wait for as long as we like.
pub fn connect_unix(path: &str, patience: Duration) -> io::Result<UnixStream> {
    let pauses = patience.as_millis() / FULL_PAUSE.as_millis();
    let mut paused = 0;
    loop {
        match mio::net::UnixStream::connect(path) {
            Ok(stream) => {
                let stream = UnixStream::from(OwnedFd::from(stream));
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if paused >= pauses => return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
            Err(_) => {
                std::thread::sleep(FULL_PAUSE);
                paused += 1;
            }
        }
    }
}

/// Whether something answers at a socket file (C-157).
fn is_served(path: &str) -> bool {
    let probe = || -> io::Result<()> {
        let mut stream = connect_unix(path, PROBE_TIMEOUT)?;
        stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
        stream.set_write_timeout(Some(PROBE_TIMEOUT))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        // Also the end of the connection is an answer.
        stream.read(&mut [0]).map(drop)
    };
    match probe() {
        Ok(()) => true,
        // It took the connection and is slow, or others are before us: alive.
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// A unix socket, bound, blocking and close-on-exec, whose file never had more permissions than `mode`.
fn bind_unix(path: &str, mode: u32) -> io::Result<OwnedFd> {
    // SAFETY: all zero is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    // The last byte stays zero.
    if path.len() >= address.sun_path.len() {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, from) in address.sun_path.iter_mut().zip(path.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: takes numbers.
    let fd = cerr(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: just made, and owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: takes numbers. The file of the socket is made with this mode less the umask; without the call it
    // would be open to all between bind and chmod.
    cerr(unsafe { libc::fchmod(fd, mode as libc::mode_t) })?;
    let size = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: `address` is complete and `size` is its size.
    cerr(unsafe { libc::bind(fd, (&raw const address).cast(), size) })?;
    Ok(socket)
}

fn chown(path: &str, owner: Owner) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(owner.uid), owner.gid)
}

/// Opens the listening socket of a FastCGI group: blocking, for its programs accept from it.
///
/// Errors: the reason, for `Could not create FastCGI socket <url>: <reason>`. A file that was there is gone (P-102).
pub fn listen_fcgi(socket: &FcgiSocket) -> Result<OwnedFd, String> {
    let backlog = socket.backlog.map_or(FCGI_BACKLOG, |backlog| i32::try_from(backlog).unwrap_or(i32::MAX));
    match &socket.address {
        FcgiAddress::Tcp { host, port } => {
            let address =
                resolve(host, *port).ok_or_else(|| format!("{host} is no address, and no name known here"))?;
            Ok(bind_inet(address, backlog).map_err(|error| reason(&error))?.into())
        }
        FcgiAddress::Unix { path, owner, mode } => {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(reason(&error)),
                _ => {}
            }
            let bound = bind_unix(path, *mode).map_err(|error| reason(&error))?;
            let ready = prepare_fcgi(&bound, path, *owner, *mode, backlog);
            if ready.is_err() {
                let _ = std::fs::remove_file(path);
            }
            ready.map(|()| bound)
        }
    }
}

fn prepare_fcgi(socket: &OwnedFd, path: &str, owner: Option<Owner>, mode: u32, backlog: i32) -> Result<(), String> {
    if let Some(owner) = owner {
        let told = |error| format!("Could not change ownership of socket file: {}", reason(&error));
        chown(path, owner).map_err(told)?;
    }
    let told = |error| format!("Could not change permissions of socket file: {}", reason(&error));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(told)?;
    listen(socket.as_raw_fd(), backlog).map_err(|error| reason(&error))
}

/// `[Errno 98] Address already in use`, as the original shows system errors.
fn reason(error: &io::Error) -> String {
    let number = errno_of(error);
    format!("[Errno {number}] {}", errno::text(number))
}

#[cfg(test)]
mod tests;
