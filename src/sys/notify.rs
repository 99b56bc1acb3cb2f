//! Sockets on which programs say how they are (O-3): datagrams with the sender's credentials.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;

use super::{cerr, cerr_size};
use crate::id::Pid;

/// Bytes for what comes beside a datagram: credentials, and as many descriptors as one message can carry (SCM_MAX_FD is
/// 253). With less room the kernel closes those that do not fit.
const CONTROL_BYTES: usize = 2048;

/// A socket's name in the file system, which goes with it.
pub struct BoundPath(String);

impl Drop for BoundPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A socket on which a child says how it is.
pub struct Socket {
    pub fd: OwnedFd,
    /// Where the child finds it, as NOTIFY_SOCKET has it.
    pub address: String,
    /// Its name, if it is no abstract one.
    pub name: Option<BoundPath>,
}

/// A socket of that name, or of an abstract one that the kernel chooses. What an earlier daemon left there is removed.
pub fn open(path: Option<&str>) -> io::Result<Socket> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes numbers.
    let fd = cerr(unsafe { libc::socket(libc::AF_UNIX, kind, 0) })?;
    // SAFETY: the call succeeded, so it is open and owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let on: libc::c_int = 1;
    // SAFETY: the pointer and size are those of one live int.
    cerr(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PASSCRED,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    // SAFETY: all zero is a valid address.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let family_bytes = size_of::<libc::sa_family_t>();
    // With the family alone the kernel chooses an abstract name.
    let mut bytes = family_bytes;
    if let Some(path) = path {
        if path.len() >= address.sun_path.len() {
            return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
        }
        for (place, byte) in address.sun_path.iter_mut().zip(path.bytes()) {
            *place = byte as libc::c_char;
        }
        bytes += path.len() + 1;
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            let _ = std::fs::remove_file(path);
        }
    }
    // SAFETY: the pointer is that of a live address, of which so many bytes are meant.
    cerr(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), bytes as libc::socklen_t) })?;
    if let Some(path) = path {
        return Ok(Socket { fd, address: path.to_string(), name: Some(BoundPath(path.to_string())) });
    }
    let mut size = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the pointer and size are those of one live address.
    cerr(unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut address).cast(), &raw mut size) })?;
    let name = address.sun_path.get(1..(size as usize).saturating_sub(family_bytes)).unwrap_or_default();
    let name: Vec<u8> = name.iter().map(|byte| *byte as u8).collect();
    Ok(Socket { fd, address: format!("@{}", String::from_utf8_lossy(&name)), name: None })
}

/// Takes one datagram: how many bytes it has, and who sent it; pid 0 if that is not visible from here. Descriptors that
/// came with it are closed, which is what BARRIER=1 waits for.
///
/// Errors: `WouldBlock` when there is none.
pub fn receive(fd: BorrowedFd, buffer: &mut [u8]) -> io::Result<(usize, Pid)> {
    #[repr(align(8))]
    struct Control([u8; CONTROL_BYTES]);
    let mut control = Control([0; CONTROL_BYTES]);
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zero is a valid header, filled in below.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    // SAFETY: the header describes live buffers.
    let bytes = cerr_size(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) })?;
    let mut sender = Pid(0);
    // SAFETY: the walk over the control messages that the kernel has written, as cmsg(3) has it; each is read within
    // its own length.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(&raw const header);
        while !message.is_null() {
            let data = libc::CMSG_DATA(message);
            let data_bytes = ((*message).cmsg_len as usize).saturating_sub(data as usize - message as usize);
            if (*message).cmsg_level == libc::SOL_SOCKET {
                match (*message).cmsg_type {
                    libc::SCM_CREDENTIALS if data_bytes >= size_of::<libc::ucred>() => {
                        sender = Pid(data.cast::<libc::ucred>().read_unaligned().pid);
                    }
                    libc::SCM_RIGHTS => {
                        for at in 0..data_bytes / size_of::<libc::c_int>() {
                            libc::close(data.cast::<libc::c_int>().add(at).read_unaligned());
                        }
                    }
                    _ => {}
                }
            }
            message = libc::CMSG_NXTHDR(&raw const header, message);
        }
    }
    Ok((bytes, sender))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn a_name_goes_with_its_socket_and_takes_nobody_elses_file() {
        let scratch = Scratch::new("notify");
        let path = scratch.path("x.notify");
        let socket = open(Some(&path)).unwrap();
        assert_eq!(socket.address, path);
        std::mem::forget(socket.name);
        let again = open(Some(&path)).unwrap();
        assert!(std::fs::exists(&path).unwrap());
        drop(again);
        assert!(!std::fs::exists(&path).unwrap());
        std::fs::write(&path, "mine").unwrap();
        assert!(open(Some(&path)).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        assert!(open(Some(&"x".repeat(108))).is_err());
    }

    #[test]
    fn datagrams_name_their_sender() {
        let Socket { fd, address: name, .. } = open(None).unwrap();
        assert_ne!(name, open(None).unwrap().address);
        let client = UnixDatagram::unbound().unwrap();
        let address = SocketAddr::from_abstract_name(name.strip_prefix('@').unwrap()).unwrap();
        client.send_to_addr(b"READY=1", &address).unwrap();
        let mut buffer = [0; 64];
        let me = Pid(i32::try_from(std::process::id()).unwrap());
        assert_eq!(receive(fd.as_fd(), &mut buffer).unwrap(), (7, me));
        assert_eq!(&buffer[..7], b"READY=1");
        assert_eq!(receive(fd.as_fd(), &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
