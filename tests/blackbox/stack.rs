//! A stack of real programs in order, broken in each place: what `conf/stack.conf` shows, with PostgreSQL and nginx where
//! they are installed (O-1 to O-5, K-1).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::{Daemon, Folder, free_port, is_original, wait_for};

const PROGRAMS: [&str; 4] = ["db", "web", "worker:worker_0", "worker:worker_1"];

/// Where the programs of the newest PostgreSQL are, as Debian has them.
fn postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let found = versions.flatten().map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    found.max()
}

fn stack(folder: &Folder, bin: &Path) -> String {
    let (database, web) = (free_port(), free_port());
    folder.write(
        "nginx.conf",
        &format!(
            "error_log $DIR/nginx.log;\nevents {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:{web}; }} }}\n"
        ),
    );
    let bin = bin.display();
    let sections = [
        "[program-default]\nstopwaitsecs=5\n".to_string(),
        format!("[program:initdb]\ntype=oneshot\nuser=postgres\n\
             command=sh -c 'test -s $DIR/pg/db/PG_VERSION || exec {bin}/initdb -A trust -D $DIR/pg/db'\n"),
        format!(
            "[program:db]\nuser=postgres\ncommand={bin}/postgres -D $DIR/pg/db -k $DIR/pg -p {database} -c listen_addresses=''\n\
             depends_on=initdb=completed\nready=command:{bin}/pg_isready -q -h $DIR/pg -p {database}\nready_interval=0.2\n\
             stopsignal=INT\n"
        ),
        format!(
            "[program:migrate]\ntype=oneshot\nuser=postgres\n\
             command=sh -c 'test ! -e $DIR/broken && psql -h $DIR/pg -p {database} -d postgres -c \"create table if not exists t (a int)\"'\n\
             depends_on=db=ready\nstartretries=0\n"
        ),
        format!(
            "[program:web]\ncommand=/usr/sbin/nginx -c $DIR/nginx.conf -g 'daemon off; pid $DIR/nginx.pid;'\n\
             depends_on=db=ready, migrate=completed\nready=tcp:127.0.0.1:{web}\nready_interval=0.2\nkillmode=group\n\
             on_dependency_stop=restart\n"
        ),
        "[program:worker]\ncommand=sleep 1000\nprocess_name=%(program_name)s_%(process_num)d\nnumprocs=2\nstartsecs=0\n\
         depends_on=db=ready, migrate=completed\nautorestart=true\n"
            .to_string(),
        "[program:sidecar]\ncommand=sleep 1000\nstartsecs=0\nessential=true\n".to_string(),
    ];
    sections.concat()
}

/// Kills a process; it and all others are RUNNING again, as a new child.
fn kill_and_wait(daemon: &Daemon, name: &str) {
    let pid = daemon.pid_of(name);
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
    wait_for("another child", || (![0, pid].contains(&daemon.pid_of(name))).then_some(()));
    for name in PROGRAMS {
        daemon.wait_state(name, "RUNNING");
    }
}

#[test]
fn a_real_stack_starts_in_order_and_heals() {
    let Some(bin) = postgres().filter(|_| !is_original() && nix::unistd::geteuid().is_root()) else {
        eprintln!("SKIPPED: needs root and PostgreSQL");
        return;
    };
    if !Path::new("/usr/sbin/nginx").exists() {
        eprintln!("SKIPPED: needs nginx");
        return;
    }
    let folder = Folder::new();
    fs::set_permissions(folder.path("."), fs::Permissions::from_mode(0o755)).expect("our own folder");
    fs::create_dir(folder.path("pg")).expect("a folder");
    let postgres = nix::unistd::User::from_name("postgres").expect("users are known").expect("the package makes it");
    nix::unistd::chown(&folder.path("pg"), Some(postgres.uid), Some(postgres.gid)).expect("we are root");
    let config = stack(&folder, &bin);
    let mut daemon = Daemon::start_in(folder, &config);

    for name in PROGRAMS {
        daemon.wait_state(name, "RUNNING");
    }
    assert_eq!([daemon.state("initdb"), daemon.state("migrate")], ["EXITED", "EXITED"]);
    let log = daemon.log();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text}: {log}"));
    let order =
        ["exited: initdb", "spawned: 'db'", "success: db", "spawned: 'migrate'", "exited: migrate", "spawned: 'web'"];
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{log}");
    assert_eq!(daemon.folder.ctl(&["check"]).stdout, "OK: 7 as configured\n");

    // The database dies: it recovers, and who asked for it is started again behind it.
    let web = daemon.pid_of("web");
    kill_and_wait(&daemon, "db");
    wait_for("the web server to be started again", || (![0, web].contains(&daemon.pid_of("web"))).then_some(()));
    daemon.wait_state("web", "RUNNING");
    // Of nginx's master the workers are left, which hold the port until they are gone.
    kill_and_wait(&daemon, "web");
    kill_and_wait(&daemon, "worker:worker_1");

    // A migration that fails: nobody starts behind it, who asked is told, and all goes on when it is repaired.
    daemon.folder.write("broken", "");
    daemon.folder.ctl(&["stop", "web", "worker:*"]);
    let failed = daemon.folder.ctl(&["start", "all"]);
    assert_eq!(failed.status, 7);
    for line in ["migrate: ERROR (abnormal termination)", "web: ERROR (waiting for migrate (FATAL))"] {
        assert!(failed.stdout.lines().any(|printed| printed == line), "{}", failed.stdout);
    }
    assert_eq!(daemon.info("web", "description").as_str(), Some("Waiting for migrate (FATAL)"));
    fs::remove_file(daemon.folder.path("broken")).expect("it is there");
    assert_eq!(daemon.folder.ctl(&["start", "migrate"]).stdout, "migrate: started\n");
    for name in PROGRAMS {
        daemon.wait_state(name, "RUNNING");
    }

    // Stopped in every order, it comes up in its own.
    let [a, b, c] = ["db", "web", "worker:*"];
    for order in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
        for name in order {
            daemon.folder.ctl(&["stop", name]);
        }
        let started = daemon.folder.ctl(&["start", "all"]);
        assert_eq!(started.status, 0, "{order:?}: {}", started.stdout);
        assert!(PROGRAMS.iter().all(|name| daemon.state(name) == "RUNNING"), "{order:?}");
    }

    // The end of the sidecar is the end of all: what depends is stopped before what it depends on.
    kill(Pid::from_raw(daemon.pid_of("sidecar")), Signal::SIGKILL).expect("it runs");
    assert_eq!(daemon.wait_end(), 137);
    let log = daemon.log();
    let last = |text: &str| log.rfind(text).unwrap_or_else(|| panic!("{text}: {log}"));
    assert!(last("stopped: web") < last("stopped: db") && last("stopped: worker_0") < last("stopped: db"), "{log}");
}
