//! TCP ports that nobody else takes between their choice and the moment in which a daemon listens there.

use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};

use nix::sys::socket::sockopt::ReuseAddr;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket};

/// Below those that Linux chooses from by itself, for connections and for sockets of datagrams.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port that is ours from now on. It is bound as long as this process lives, without anybody listening there: who asks to
/// share an address, as servers do, may listen; a connection is refused until then; and another test that looks for a port, in
/// this process or in another, finds it taken.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let at = (own + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % u32::from(COUNT);
        let port = FIRST + at as u16;
        let held = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
        let [a, b, c, d] = Ipv4Addr::UNSPECIFIED.octets();
        if bind(held.as_raw_fd(), &SockaddrIn::new(a, b, c, d, port)).is_ok() {
            // Only now, so that nobody who looks for a port shares it.
            setsockopt(&held, ReuseAddr, &true).expect("an option");
            std::mem::forget(held);
            return port;
        }
    }
    panic!("no port is free");
}
