//! A kernel booted with it as its first process (K-2.8): the example of conf/initramfs, under qemu-system-x86_64, where that,
//! a kernel (`STHENO_KERNEL`, or Debian's below /boot) and a static busybox are installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::{Folder, is_original};

const EXAMPLE: &str = include_str!("../../conf/initramfs/supervisord.conf");

/// Emulated without help of the processor it takes some ten seconds, under load a minute.
const PATIENCE_SECS: &str = "180";

/// The kernel and the busybox to boot with; what is missing is said.
fn tools() -> Option<(PathBuf, PathBuf)> {
    let missing = |what: &str| {
        eprintln!("SKIPPED: no {what} here, so that no machine is booted");
        None
    };
    let on_path = |name: &str| {
        std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|file| file.exists())
    };
    if is_original() {
        return None;
    }
    if on_path("qemu-system-x86_64").is_none() {
        return missing("qemu-system-x86_64");
    }
    if on_path("python3").is_none() {
        return missing("python3");
    }
    let installed = std::fs::read_dir("/boot").into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let newest = installed.filter(|path| path.to_string_lossy().contains("/vmlinuz-")).max();
    let Some(kernel) = std::env::var_os("STHENO_KERNEL").map(PathBuf::from).or(newest) else {
        return missing("kernel below /boot or in STHENO_KERNEL");
    };
    let Some(busybox) = on_path("busybox") else { return missing("busybox") };
    Some((kernel, busybox))
}

/// What the console shows of a machine with this configuration, until it is off or begins anew.
fn boot(config: &str) -> Option<String> {
    let (kernel, busybox) = tools()?;
    let folder = Folder::new();
    folder.write("supervisord.conf", config);
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/initramfs/build");
    let packed = Command::new(build)
        .args([Path::new(env!("CARGO_BIN_EXE_supervisord")), &busybox])
        .args([folder.path("supervisord.conf"), folder.path("initrd")])
        .status();
    assert!(packed.expect("it is packed").success());
    let machine = Command::new("timeout")
        .args([PATIENCE_SECS, "qemu-system-x86_64", "-m", "512", "-nographic", "-no-reboot", "-nic", "none"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(folder.path("initrd"))
        .args(["-append", "console=ttyS0 panic=-1"])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("a machine");
    let console = String::from_utf8_lossy(&machine.stdout).into_owned();
    assert!(machine.status.success(), "{console}{}", String::from_utf8_lossy(&machine.stderr));
    assert!(!console.contains("Kernel panic"), "{console}");
    Some(console)
}

#[test]
fn k_2_8_a_machine_does_its_work_and_is_switched_off() {
    let Some(console) = boot(EXAMPLE) else { return };
    for line in [
        "Linux version ",
        "/dev/null",
        "mount                            EXITED ",
        "work                             RUNNING ",
        "the work is done",
        "essential: work exited (status 0), shutting down",
        "everything is stopped, poweroff follows",
        "reboot: Power down",
    ] {
        assert!(console.contains(line), "no {line:?} in {console}");
    }
}

/// What stays behind is ended and unmounted, and `supervisorctl shutdown --reboot` says how it ends. The board's watchdog is
/// a device that the kernel has not: a WARN line.
#[test]
fn k_2_8_a_machine_begins_anew() {
    let work = "echo the work is done";
    let other = "mkdir /mnt; mount -t tmpfs none /mnt; (trap '' TERM; sleep 1000 >/mnt/held) & \
                 supervisorctl shutdown --reboot; sleep 1000";
    let config = EXAMPLE.replace(work, other).replace(";hw_watchdog=", "hw_watchdog=");
    assert!(config.contains(other));
    let Some(console) = boot(&config.replace("shutdown_timeout=5", "shutdown_timeout=1")) else { return };
    for line in [
        "WARN hw_watchdog: ",
        "reboot, asked for by uid 0",
        "everything is stopped, reboot follows",
        "reboot: Restarting system",
    ] {
        assert!(console.contains(line), "no {line:?} in {console}");
    }
}

/// A file that does not load is said on the console, and a command rescues the machine.
#[test]
fn k_2_8_a_machine_with_a_broken_file_is_rescued() {
    let rescue = "/bin/sh -c \"mount -t proc proc /proc; echo rescued; kill -PWR 1; sleep 1000\"";
    let config = EXAMPLE.replace("rescue_command=/bin/sh", &format!("rescue_command={rescue}"));
    let Some(console) = boot(&config.replace("startsecs=0", "startsecs=soon")) else { return };
    for line in [
        "Error: startsecs: expected a whole number, not 'soon' in section 'program:work'",
        "rescued",
        "reboot: Power down",
    ] {
        assert!(console.contains(line), "no {line:?} in {console}");
    }
}
