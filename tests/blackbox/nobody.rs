//! Nobody in particular, and nothing writable (K-5). Supervisor wants entries for all.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::unistd::{User, geteuid};

use crate::daemon::{Daemon, Folder, is_original, wait_for};

/// Whether there is nothing to be seen here: only root becomes anybody.
fn is_for_others() -> bool {
    is_original() || !geteuid().is_root()
}

/// A folder in which anybody may write.
fn open_folder() -> Folder {
    let folder = Folder::new();
    fs::set_permissions(folder.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

/// A program that tells what a shell writes for it and goes on.
fn telling(what: &str) -> String {
    format!(
        "command=/bin/sh -c \"({what}) > $DIR/%(program_name)s.tmp; mv $DIR/%(program_name)s.tmp \
         $DIR/%(program_name)s; exec sleep 1000\"\n"
    )
}

fn told(daemon: &Daemon, program: &str) -> Vec<String> {
    let text = wait_for(program, || Some(daemon.folder.read(program)).filter(|text| text.ends_with("end\n")));
    text.lines().filter(|line| *line != "end").map(str::to_string).collect()
}

#[test]
fn users_and_groups_need_no_entries() {
    if is_for_others() {
        return;
    }
    let nobody = User::from_name("nobody").unwrap().expect("nobody is known everywhere");
    let (uid, gid) = (nobody.uid.to_string(), nobody.gid.to_string());
    let own = nix::unistd::getegid().to_string();
    // User, group and all groups.
    let rows: &[(&str, [&str; 3])] = &[
        ("user=12345", ["12345", &own, &own]),
        ("user=12345:23456", ["12345", "23456", "23456"]),
        ("user=nobody:23456", [&uid, "23456", "23456"]),
        ("user=12345:daemon", ["12345", "1", "1"]),
        ("user=nobody", [&uid, &gid, &gid]),
        ("user=nobody\ngroups=daemon,77", [&uid, &gid, &format!("{gid} 1 77")]),
        ("user=12345\ngroups=", ["12345", &own, &own]),
        ("groups=77", ["0", "0", "0 77"]),
        ("user=0:0", ["0", "0", "0"]),
    ];
    let mut config = String::new();
    for (number, (lines, _)) in rows.iter().enumerate() {
        config.push_str(&format!("[program:p{number}]\n{}{lines}\n", telling("id -u; id -g; id -G; echo end")));
    }
    let daemon = Daemon::start_in(open_folder(), &config);
    for (number, (lines, expected)) in rows.iter().enumerate() {
        let mut got = told(&daemon, &format!("p{number}"));
        let mut groups: Vec<&str> = got[2].split(' ').collect();
        groups.sort_by_key(|group| group.parse().unwrap_or(0));
        let mut wanted: Vec<&str> = expected[2].split(' ').collect();
        wanted.sort_by_key(|group| group.parse().unwrap_or(0));
        assert_eq!(groups, wanted, "{lines}");
        got.truncate(2);
        assert_eq!(got, expected[..2], "{lines}");
    }
}

#[test]
fn the_daemon_becomes_a_user_without_an_entry() {
    if is_for_others() {
        return;
    }
    let folder = open_folder();
    let config = format!("[program:x]\n{}[supervisord]\nuser=12345:23456\n", telling("id -u; id -g; id -G; echo end"));
    let daemon = Daemon::start_in(folder, &config);
    assert_eq!(told(&daemon, "x"), ["12345", "23456", "23456"]);
    assert_eq!(daemon.log_lines("Set uid to user 12345 succeeded").len(), 1);
}

#[test]
fn a_login_gives_the_variables_of_its_entry() {
    if is_for_others() {
        return;
    }
    let show = telling("env | grep -E '^(HOME|USER|LOGNAME|SHELL|OWN)=' | sort; echo end");
    let config = format!(
        "[program:entry]\n{show}user=nobody\nlogin_env=true\n\
         [program:none]\n{show}user=12345\nlogin_env=true\nenvironment=OWN=\"1\",USER=\"me\"\n\
         [program:bare]\n{show}user=12345\nlogin_env=true\n[program:usual]\n{show}user=nobody\n"
    );
    let daemon = Daemon::start_with(open_folder(), &config, |command| {
        command.env("HOME", "/inherited").env("USER", "inherited").env("LOGNAME", "inherited");
    });
    let nobody = User::from_name("nobody").unwrap().expect("nobody is known everywhere");
    let (home, shell) = (nobody.dir.display(), nobody.shell.display());
    assert_eq!(
        told(&daemon, "entry"),
        [format!("HOME={home}"), "LOGNAME=nobody".into(), format!("SHELL={shell}"), "USER=nobody".into()]
    );
    assert_eq!(told(&daemon, "none"), ["HOME=/", "OWN=1", "USER=me"]);
    // A shell may set HOME and SHELL anew, never a name.
    assert_eq!(told(&daemon, "bare").iter().filter(|line| line.contains("inherited")).count(), 0);
    assert_eq!(told(&daemon, "usual"), ["HOME=/inherited", "LOGNAME=inherited", "USER=inherited"]);
    let warned = daemon.log_lines("login_env=true but user 12345 has no entry");
    assert_eq!(warned.len(), 2, "one a program: {warned:?}");
}

#[test]
fn auto_logs_that_cannot_be_made_are_one_line() {
    if is_original() || !geteuid().is_root() {
        return;
    }
    let folder = open_folder();
    fs::create_dir(folder.path("closed")).unwrap();
    for name in ["a-stdout---supervisor-x.log", "b-stdout---supervisor-y.log"] {
        folder.write(&format!("closed/{name}"), "");
    }
    fs::set_permissions(folder.path("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    let daemon = Daemon::start_in(
        folder,
        "[supervisord]\nuser=nobody\nchildlogdir=$DIR/closed\n[program:a]\ncommand=/bin/cat\n[program:b]\ncommand=/bin/cat\n\
         [program:c]\ncommand=/bin/cat\nredirect_stderr=true\n",
    );
    for name in ["a", "b", "c"] {
        daemon.wait_state(name, "RUNNING");
    }
    let directory = daemon.folder.path("closed");
    let directory = directory.display();
    let expected =
        format!("could not make 5 AUTO logs in {directory}: EACCES; what would be written there is not kept");
    assert_eq!(daemon.log_lines("AUTO log"), [expected]);
    let cleaned = format!("Failed to clean up 2 logs of earlier runs in {directory}");
    assert_eq!(daemon.log_lines("Failed to clean up"), [cleaned]);
}

#[test]
fn what_is_no_user_is_refused() {
    if is_original() {
        return;
    }
    let rows = [
        ("user=-1", "Invalid user id -1"),
        ("user=4294967295", "Invalid user id 4294967295"),
        ("user=no-such-user:0", "Invalid user name no-such-user"),
        ("user=0:no-such-group", "Invalid group name no-such-group"),
        ("user=0:-1", "Invalid group id -1"),
        ("groups=0,no-such-group", "groups: Invalid group name no-such-group"),
    ];
    for (line, expected) in rows {
        let folder = Folder::new();
        folder.configure(&format!("[program:x]\ncommand=/bin/cat\n{line}\n"));
        let ended = folder.supervisord(&["-n", "-c", "$DIR/supervisord.conf"]);
        let expected = format!("Error: {expected} in section 'program:x'");
        assert!(ended.status == 2 && ended.stderr.starts_with(&expected), "{line} {ended:?}");
    }
}
