//! The socket that the processes of a FastCGI group share (P-100, P-101): made for the first of them that starts, closed
//! after the last.

use super::{Daemon, Host};
use crate::config::{self, Fcgi, FcgiSocket, GroupKind};
use crate::id::{ProcId, SocketId};

/// Makes a socket. The error is the text that stands for a failed start.
fn open(socket: &FcgiSocket, host: &mut dyn Host) -> Result<SocketId, String> {
    activity!(Info, "Creating socket {}", socket.url);
    host.fcgi_open(socket).map_err(|reason| format!("Could not create FastCGI socket {}: {reason}", socket.url))
}

fn close(group: &config::Group, made: SocketId, host: &mut dyn Host) {
    host.fcgi_close(made);
    if let GroupKind::Fcgi(Fcgi { socket, .. }) = &group.kind {
        activity!(Info, "Closing socket {}", socket.url);
    }
}

/// Makes and closes the socket of a FastCGI group once, so that a bad one is known at once.
pub(super) fn check(group: &config::Group, host: &mut dyn Host) -> Result<(), String> {
    let GroupKind::Fcgi(Fcgi { socket, .. }) = &group.kind else { return Ok(()) };
    let made = open(socket, host)?;
    close(group, made, host);
    Ok(())
}

impl Daemon {
    /// Takes a share in the group's FastCGI socket; the first one opens it (P-100, P-101).
    pub(super) fn acquire_socket(&mut self, id: ProcId, host: &mut dyn Host) -> Result<Option<SocketId>, String> {
        let Some((group, process)) = self.roster.member_mut(id) else { return Ok(None) };
        let config = group.config.clone();
        let GroupKind::Fcgi(Fcgi { socket, .. }) = &config.kind else { return Ok(None) };
        if group.socket.is_none() {
            group.socket = Some(open(socket, host)?);
        }
        group.socket_users += 1;
        process.uses_socket = true;
        Ok(group.socket)
    }

    /// Gives the share back; the last one closes it.
    pub(super) fn release_socket(&mut self, id: ProcId, host: &mut dyn Host) {
        let Some((group, process)) = self.roster.member_mut(id) else { return };
        if !std::mem::take(&mut process.uses_socket) {
            return;
        }
        group.socket_users = group.socket_users.saturating_sub(1);
        if group.socket_users == 0
            && let Some(socket) = group.socket.take()
        {
            close(&group.config, socket, host);
        }
    }
}
