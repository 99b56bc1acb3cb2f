//! A place in the file system where whoever looks waits for ever.

use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A mounted file system that answers nothing, as of an NFS server that is gone.
pub struct Silent {
    /// Where.
    pub at: std::path::PathBuf,
    _device: std::fs::File,
}

impl Silent {
    /// In a directory of its own, for whoever tidies up a test's folder would wait for it. `None` where that is not
    /// permitted.
    pub fn mount() -> Option<Silent> {
        let at = std::env::temp_dir().join(format!("stheno-silent-{}", std::process::id()));
        std::fs::create_dir(&at).ok()?;
        let flags = nix::libc::O_CLOEXEC;
        let device = std::fs::OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/fuse").ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let kind = CString::new("fuse").ok()?;
        mount(Some("silent"), &at, Some(kind.as_c_str()), MsFlags::empty(), Some(options.as_str())).ok()?;
        Some(Silent { at, _device: device })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // Whoever waits there then gets an error.
        let _ = umount2(&self.at, MntFlags::MNT_FORCE);
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
        let _ = std::fs::remove_dir(&self.at);
    }
}
