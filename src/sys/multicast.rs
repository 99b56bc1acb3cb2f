//! Sockets for what is said to a group of hosts.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::cerr;

/// A socket that hears what is said to a group, and nothing else, and speaks to it at an interface; `UNSPECIFIED` leaves it to
/// the system which. Others on this host hear it, too, and may listen to the same group.
pub fn open(group: SocketAddrV4, interface: Ipv4Addr, ttl: u8) -> io::Result<UdpSocket> {
    // SAFETY: no pointers are passed.
    let fd =
        cerr(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) })?;
    // SAFETY: it was just opened, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    set(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, &1_i32)?;
    set(
        fd.as_raw_fd(),
        libc::IPPROTO_IP,
        libc::IP_MULTICAST_IF,
        &libc::in_addr { s_addr: interface.to_bits().to_be() },
    )?;
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: group.port().to_be(),
        sin_addr: libc::in_addr { s_addr: group.ip().to_bits().to_be() },
        sin_zero: [0; 8],
    };
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: an address of that length, which the call reads.
    cerr(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) })?;
    let socket = UdpSocket::from(fd);
    socket.join_multicast_v4(group.ip(), &interface)?;
    socket.set_multicast_ttl_v4(u32::from(ttl))?;
    socket.set_multicast_loop_v4(true)?;
    Ok(socket)
}

fn set<T>(fd: RawFd, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: a plain value of that length, which the call reads.
    cerr(unsafe { libc::setsockopt(fd, level, option, (&raw const *value).cast(), length) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hear_what_one_says() {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let group = SocketAddrV4::new(Ipv4Addr::new(239, 7, 7, 7), port);
        let sockets = [0, 1].map(|_| open(group, Ipv4Addr::LOCALHOST, 1).unwrap());
        sockets[0].send_to(b"here I am", group).unwrap();
        for socket in &sockets {
            socket.set_nonblocking(false).unwrap();
            socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
            let mut bytes = [0; 20];
            let (count, from) = socket.recv_from(&mut bytes).unwrap();
            assert_eq!((&bytes[..count], from.ip()), (&b"here I am"[..], Ipv4Addr::LOCALHOST.into()));
        }
    }
}
