//! Changes at run time and the file that keeps them. Supervisor has nothing of it.

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use stheno::wire::value::Value;

use crate::daemon::{Daemon, Folder, is_original, wait_for};

const KEPT: &str = "[stheno]\nmutation=true\ndynamic_conf=$DIR/dynamic.conf\n";

fn quiet() -> Value {
    Value::Struct(vec![("command".into(), "sleep 1000".into()), ("autostart".into(), "false".into())])
}

fn groups(daemon: &Daemon) -> Vec<String> {
    let Value::Array(infos) = daemon.must("supervisor.getAllProcessInfo", &[]) else { panic!() };
    let group = |info: &Value| info.member("group").and_then(Value::as_str).unwrap_or_default().to_string();
    infos.iter().map(group).collect()
}

#[test]
fn a_link_to_the_file_of_changes_is_written_through() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    std::fs::create_dir(folder.path("var")).unwrap();
    std::os::unix::fs::symlink("var/changes.conf", folder.path("dynamic.conf")).unwrap();
    let mut daemon = Daemon::start_in(folder, KEPT);
    for group in ["one", "two"] {
        daemon.must("stheno.addGroup", &[group.into()]);
        daemon.must("stheno.addProgram", &[group.into(), "p".into(), quiet()]);
    }
    assert!(daemon.folder.read("var/changes.conf").contains("[group:two]\n"));
    assert!(std::fs::symlink_metadata(daemon.folder.path("dynamic.conf")).unwrap().is_symlink());
    // Nothing else is left beside it, also after the end that comes without warning.
    daemon.signal(Signal::SIGKILL);
    daemon.wait_end();
    let Daemon { folder, .. } = &daemon;
    assert_eq!(std::fs::read_dir(folder.path("var")).unwrap().count(), 1);
    std::fs::remove_file(folder.path("s.sock")).unwrap();
    let text = folder.read("var/changes.conf");
    drop(daemon);
    let folder = Folder::new();
    folder.write("dynamic.conf", &text);
    assert_eq!(groups(&Daemon::start_in(folder, KEPT)), ["one", "two"]);
}

#[test]
fn a_pipe_in_the_place_of_the_file_of_changes_is_not_waited_for() {
    if is_original() {
        return;
    }
    let folder = Folder::new();
    nix::unistd::mkfifo(&folder.path("dynamic.conf"), Mode::from_bits_truncate(0o600)).unwrap();
    let include = "[include]\nfiles=$DIR/dyn*.conf\n";
    let daemon = Daemon::start_in(folder, &format!("{KEPT}{include}[program:a]\ncommand=sleep 1000\n"));
    assert_eq!(groups(&daemon), ["a"]);
    let fault = daemon.call("stheno.addGroup", &["g".into()]).unwrap_err();
    assert!(fault.0 == 30 && fault.1.ends_with("it is no regular file"), "{fault:?}");
    assert_eq!(daemon.log_lines("it is no regular file").len(), 1);
}

#[test]
fn every_change_of_groups_leaves_its_line() {
    if is_original() {
        return;
    }
    let grace = "[rpcinterface:grace]\n\
                 supervisor.rpcinterface_factory=supervisor_grace.rpcinterface:make_grace_rpcinterface\n";
    let conf = |more: &str, numprocs: u32| {
        format!(
            "{grace}{more}[program:w]\ncommand=sleep 1000\nautostart=false\nnumprocs={numprocs}\n\
             process_name=w_%(process_num)d\n"
        )
    };
    for kept in ["", "[stheno]\n"] {
        let daemon = Daemon::start(&conf(kept, 2));
        daemon.must("supervisor.removeProcessGroup", &["w".into()]);
        daemon.must("supervisor.addProcessGroup", &["w".into()]);
        daemon.folder.configure(&conf(kept, 4));
        daemon.must("grace.UpdateNumprocs", &["w".into()]);
        let by = |method: &str| format!(", asked for by uid {} through {method}", nix::unistd::getuid());
        let lines = wait_for("the last line", || {
            let lines = daemon.log_lines("asked for by");
            lines.last().is_some_and(|line| line.contains("grace")).then_some(lines)
        });
        let added = format!("add process 'w_2', 'w_3' to group 'w'{}", by("grace.UpdateNumprocs"));
        let of_supervisor = [
            format!("remove group 'w'{}", by("supervisor.removeProcessGroup")),
            format!("add group 'w' (2 processes){}", by("supervisor.addProcessGroup")),
        ];
        // Without [stheno] the log is Supervisor's.
        let expected = if kept.is_empty() { vec![added] } else { [&of_supervisor[..], &[added]].concat() };
        assert_eq!(lines, expected, "{kept}");
    }
}
