//! What a service manager is told of the daemon itself, as systemd's `Type=notify` has it (K-2.11). Without NOTIFY_SOCKET
//! there is nothing of this, and no wake-up.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::state::SupervisorState;

/// How often it is told within its time that we live: once may be late.
const PER_TIMEOUT: u32 = 2;

/// The service manager that has started us.
pub struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    told: Option<SupervisorState>,
    /// Time between two signs of life, and when the next one is due.
    life: Option<(Duration, Mono)>,
    has_failed: bool,
}

impl Manager {
    /// That of our environment, if there is one.
    pub fn inherited() -> Option<Manager> {
        let address = env::var("NOTIFY_SOCKET").ok().filter(|address| !address.is_empty())?;
        let is_ours = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        let usec = env::var("WATCHDOG_USEC").ok().filter(|_| is_ours).and_then(|usec| usec.parse().ok());
        match Manager::at(&address, usec.filter(|usec| *usec > 0).map(Duration::from_micros)) {
            Ok(manager) => Some(manager),
            Err(error) => {
                activity!(Warn, "cannot tell the service manager at {address} anything: {error}");
                None
            }
        }
    }

    fn at(address: &str, timeout: Option<Duration>) -> io::Result<Manager> {
        let address = match address.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let life = timeout.map(|timeout| (timeout / PER_TIMEOUT, Mono(0)));
        Ok(Manager { socket, address, told: None, life, has_failed: false })
    }

    /// When it is to be told something, whatever happens.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.life.map(|(_, at)| at)
    }

    /// Tells it what it does not know yet. What it does not take is told again by the next turn.
    pub(super) fn tell(&mut self, state: SupervisorState, is_starting: bool, now: Now) {
        if let Some((pause, at)) = self.life.filter(|(_, at)| *at <= now.mono) {
            debug_assert!(at <= now.mono);
            self.life = Some((pause, now.mono.after(pause)));
            self.send("WATCHDOG=1");
        }
        let message = match state {
            SupervisorState::Running if is_starting => return,
            SupervisorState::Running => "READY=1".to_string(),
            SupervisorState::Restarting => format!("RELOADING=1\nMONOTONIC_USEC={}", now.mono.0 / 1000),
            _ => "STOPPING=1".to_string(),
        };
        if self.told != Some(state) && self.send(&message) {
            self.told = Some(state);
        }
    }

    /// Whether it has taken it, or never will.
    fn send(&mut self, message: &str) -> bool {
        match self.socket.send_to_addr(message.as_bytes(), &self.address) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed, true) {
                    activity!(Warn, "cannot tell the service manager {}: {error}", message.replace('\n', " "));
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Wall;
    use crate::sys::scratch::Scratch;

    #[test]
    fn each_state_is_told_once_and_life_in_time() {
        let scratch = Scratch::new("manager");
        let path = scratch.path("socket");
        let server = UnixDatagram::bind(&path).unwrap();
        server.set_nonblocking(true).unwrap();
        let mut manager = Manager::at(&path, Some(Duration::from_secs(4))).unwrap();
        let second = 1_000_000_000;
        use SupervisorState::*;
        let rows: [(u64, SupervisorState, bool, &[&str]); 6] = [
            (1, Running, true, &["WATCHDOG=1"]),
            (2, Running, false, &["READY=1"]),
            (2, Running, false, &[]),
            (3, Running, false, &["WATCHDOG=1"]),
            (4, Restarting, false, &["RELOADING=1\nMONOTONIC_USEC=4000000"]),
            (5, Shutdown, false, &["WATCHDOG=1", "STOPPING=1"]),
        ];
        for (at, state, is_starting, expected) in rows {
            manager.tell(state, is_starting, Now { mono: Mono(at * second), wall: Wall(0) });
            let mut told = Vec::new();
            let mut buffer = [0; 256];
            while let Ok(count) = server.recv(&mut buffer) {
                told.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
            }
            assert_eq!(told, expected, "at {at}");
        }
        assert_eq!(manager.deadline(), Some(Mono(7 * second)));
    }
}
