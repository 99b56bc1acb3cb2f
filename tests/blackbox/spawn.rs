//! Children that are held up on the way to their program: nobody else notices, and they obey.

use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use stheno::wire::value::Value;

use crate::daemon::{Daemon, Folder, is_original, wait_for};

/// A mounted file system that answers nothing, as of an NFS server that is gone.
struct Silent {
    at: std::path::PathBuf,
    _device: std::fs::File,
}

impl Silent {
    /// In a directory of its own, for whoever tidies up a test's folder would wait for it. `None` where that is not
    /// permitted.
    fn mount() -> Option<Silent> {
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

#[test]
fn a_directory_that_never_answers_holds_up_its_program_alone() {
    if is_original() {
        return; // There the child waits as well, but counts as RUNNING.
    }
    let folder = Folder::new();
    let Some(silent) = Silent::mount() else { return };
    let below = silent.at.join("below");
    let below = below.display();
    let daemon = Daemon::start_in(
        folder,
        &format!(
            "[program:held]\ncommand=/bin/cat\ndirectory={below}\nstartsecs=0\nautostart=false\n\
             [program:held_long]\ncommand=/bin/cat\ndirectory={below}\nstartsecs=1\nautostart=false\n\
             [program:other]\ncommand=/bin/cat\nautostart=false\n"
        ),
    );
    for name in ["held", "held_long"] {
        assert_eq!(daemon.must("supervisor.startProcess", &[name.into(), Value::Bool(false)]), Value::Bool(true));
    }
    // The others notice nothing, and time passes: `other` has to stay up for as long as `held_long`.
    assert_eq!(daemon.folder.ctl(&["start", "other"]).stdout, "other: started\n");
    let member = |name: &str| match daemon.info("other", name) {
        Value::Int(seconds) => seconds,
        other => panic!("{name} is a number, not {other:?}"),
    };
    wait_for("the time of held_long to be over", || (member("now") - member("start") >= 3).then_some(()));
    for name in ["held", "held_long"] {
        assert_eq!(daemon.state(name), "STARTING", "{name}");
        assert_eq!(daemon.folder.ctl(&["stop", name]).stdout, format!("{name}: stopped\n"));
        assert_eq!(daemon.state(name), "STOPPED", "{name}");
    }
}

#[test]
fn a_directory_longer_than_a_pipe_is_an_error_like_others() {
    let long = "x".repeat(70_000);
    let daemon = Daemon::start(&format!(
        "[program:long]\ncommand=/bin/cat\ndirectory=/{long}\nstartretries=0\nstderr_logfile=$DIR/err\n\
         [program:other]\ncommand=/bin/cat\n"
    ));
    wait_for("long to be given up", || (daemon.state("long") == "FATAL").then_some(()));
    wait_for("other to run", || (daemon.state("other") == "RUNNING").then_some(()));
    let told = daemon.folder.read("err");
    assert!(told.starts_with("supervisor: couldn't chdir to /xxx"), "{told}");
    assert!(told.ends_with(": ENAMETOOLONG\nsupervisor: child process was not spawned\n"), "{told}");
}
