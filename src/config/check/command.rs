//! Commands that cannot run, or that run otherwise than was meant.

use crate::wire::words;

/// What is wrong with a command, apart from whether its file exists; `None` if nothing is.
pub(super) fn wrong(command: &str) -> Option<String> {
    if command.trim().is_empty() {
        return Some("the command is empty".to_string());
    }
    let words = match words::split(command) {
        Ok(words) => words,
        Err(error) => return Some(format!("the command cannot be split into words: {error}")),
    };
    let Some((first, arguments)) = words.split_first() else { return Some("the command is empty".to_string()) };
    if arguments.is_empty() && first.contains(char::is_whitespace) && command.trim_start().starts_with(['"', '\'']) {
        return Some(
            "the command is in quotes as a whole, and so is the name of one file with blanks in it".to_string(),
        );
    }
    shell_syntax(command, first, arguments).or_else(|| background(first, arguments))
}

/// Words that mean something to a shell only.
const SHELL_WORDS: &[&str] = &["&&", "||", "|", ">", ">>", "<", "2>&1", "2>", "&", ";", "&>", "1>&2", ">&2"];

/// Syntax of a shell where there is no shell.
fn shell_syntax(command: &str, first: &str, arguments: &[String]) -> Option<String> {
    let told = |what: &str| Some(format!("{what} is for a shell, and there is none: use /bin/sh -c '...'"));
    // Words as they stand, quotes and all: a quoted sign is meant.
    if let Some(sign) = command.split_whitespace().find(|word| SHELL_WORDS.contains(word)) {
        let is_quoted = command.contains(['\'', '"']) && !arguments.iter().any(|word| word == sign);
        if !is_quoted {
            return told(sign);
        }
    }
    if let Some((name, _)) = first.split_once('=')
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return told(&format!("{name}= before the command"));
    }
    if matches!(first, "cd" | "source" | "." | "export" | "ulimit" | "set" | "alias") {
        return told(first);
    }
    if first.starts_with('$') || first.starts_with('`') {
        return told(first);
    }
    None
}

/// A program that leaves for the background, where nothing is left to supervise.
struct Daemon {
    /// What its executable may be called.
    names: &'static [&'static str],
    /// Arguments that keep it in the foreground; if empty it stays there unless one of `leaves` is given. An option and its
    /// value are one text, with a blank.
    stays: &'static [&'static str],
    /// Arguments that send it to the background.
    leaves: &'static [&'static str],
    cure: &'static str,
}

const fn stays(names: &'static [&'static str], stays: &'static [&'static str], cure: &'static str) -> Daemon {
    Daemon { names, stays, leaves: &[], cure }
}

const fn leaves(names: &'static [&'static str], leaves: &'static [&'static str], cure: &'static str) -> Daemon {
    Daemon { names, stays: &[], leaves, cure }
}

/// Programs that are known for it. Those whose own file may keep them in the foreground are told of as well: the file is not
/// read.
const DAEMONS: &[Daemon] = &[
    stays(&["nginx", "openresty"], &["daemon off"], "-g 'daemon off;'"),
    stays(&["php-fpm*"], &["-F", "--nodaemonize", "-t", "-i", "-m", "-v"], "-F"),
    stays(&["apache2", "httpd"], &["-DFOREGROUND", "-D FOREGROUND", "-DNO_DETACH", "-X"], "-DFOREGROUND"),
    stays(&["apache2ctl", "apachectl"], &["-DFOREGROUND", "-D FOREGROUND"], "-DFOREGROUND"),
    stays(&["sshd"], &["-D*", "-d", "-dd", "-ddd", "-i", "-t", "-T"], "-D"),
    stays(&["cron"], &["-f", "-l"], "-f"),
    stays(&["crond"], &["-n", "-f", "-d", "-x"], "-n (cronie) or -f (busybox)"),
    stays(&["rsyslogd"], &["-n", "-N*"], "-n"),
    stays(&["syslog-ng"], &["-F", "--foreground"], "-F"),
    stays(&["dbus-daemon"], &["--nofork"], "--nofork"),
    stays(&["vsftpd"], &["-obackground=NO", "background=NO"], "-obackground=NO"),
    stays(&["dnsmasq"], &["-k", "--keep-in-foreground", "-d", "--no-daemon"], "-k"),
    stays(&["ntpd"], &["-n", "-d", "-q"], "-n"),
    stays(&["chronyd"], &["-d", "-n"], "-d"),
    stays(&["named"], &["-f", "-g"], "-f"),
    stays(&["slapd"], &["-d*"], "-d 0"),
    stays(&["smbd", "nmbd", "winbindd"], &["-F", "-i", "--foreground"], "--foreground"),
    stays(&["varnishd"], &["-F", "-d"], "-F"),
    stays(&["proftpd"], &["-n", "--nodaemon"], "-n"),
    stays(&["postfix"], &["start-fg"], "start-fg"),
    stays(&["exim", "exim4"], &["-bdf"], "-bdf"),
    stays(&["supervisord"], &["-n", "--nodaemon", "-*n"], "-n"),
    leaves(&["redis-server", "valkey-server", "redis-sentinel"], &["--daemonize yes"], "--daemonize no"),
    leaves(&["haproxy"], &["-D"], "-W or -db"),
    leaves(&["gunicorn"], &["--daemon", "-D"], "no --daemon"),
    leaves(&["uwsgi"], &["--daemonize*", "-d"], "no --daemonize"),
    leaves(&["celery"], &["multi", "--detach", "-D"], "celery worker"),
    leaves(&["memcached"], &["-d"], "no -d"),
    leaves(&["mongod", "mongos"], &["--fork"], "no --fork"),
    leaves(&["mysqld", "mariadbd"], &["--daemonize", "-D"], "no --daemonize"),
    leaves(&["pg_ctl", "pg_ctlcluster"], &["start", "restart"], "postgres -D DIR"),
    leaves(&["service", "systemctl", "rc-service"], &["*"], "the program itself"),
    leaves(&["screen"], &["-d", "-dm*", "-dmS"], "-D -m"),
    leaves(&["tmux"], &["-d", "new-session -d"], "the program itself"),
    leaves(
        &["nohup", "setsid", "daemonize", "start-stop-daemon"],
        &["&", "-b", "--background", "-f", "--fork"],
        "the program itself",
    ),
    leaves(&["docker", "podman"], &["run -d", "-d", "--detach"], "no -d"),
    leaves(&["rabbitmq-server"], &["-detached"], "no -detached"),
    leaves(&["stunnel", "stunnel4"], &["-d"], "foreground = yes in its file"),
    leaves(&["mysqld_safe"], &["*", ""], "mysqld: signals do not reach the server through mysqld_safe"),
];

fn background(first: &str, arguments: &[String]) -> Option<String> {
    let name = first.rsplit('/').next().unwrap_or(first);
    let daemon = DAEMONS.iter().find(|daemon| daemon.names.iter().any(|known| matches(known, name)))?;
    let has = |wanted: &&str| match wanted.split_once(' ') {
        // An option and its value, together in one word or in two.
        Some(_) => arguments.join(" ").contains(*wanted),
        None if wanted.is_empty() => true,
        None => arguments.iter().any(|argument| matches(wanted, argument)),
    };
    let goes = match daemon.leaves {
        [] => !daemon.stays.iter().any(&has),
        leaves => leaves.iter().any(has),
    };
    goes.then(|| {
        format!("{name} puts itself into the background like this, where it is not supervised: use {}", daemon.cure)
    })
}

/// Whether a word is the pattern, which may end in `*`.
fn matches(pattern: &str, word: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == word,
        Some((start, end)) => word.len() >= pattern.len() - 1 && word.starts_with(start) && word.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_commands() {
        let rows = [
            ("/bin/sleep 1", None),
            ("", Some("empty")),
            ("it's", Some("No closing quotation")),
            ("\"/bin/sleep 100\"", Some("in quotes as a whole")),
            ("\"/opt/my app/run\" -x", None),
            ("a && b", Some("&& is for a shell")),
            ("a | b", Some("| is for a shell")),
            ("a > /tmp/x 2>&1", Some("> is for a shell")),
            ("sh -c 'a && b'", None),
            ("sh -c \"a > b\"", None),
            ("A=1 b", Some("A= before the command is for a shell")),
            ("cd /x", Some("cd is for a shell")),
            ("$HOME/x", Some("$HOME/x is for a shell")),
            ("find . -name x=y", None),
        ];
        for (command, expected) in rows {
            let found = wrong(command);
            assert_eq!(found.is_some(), expected.is_some(), "{command:?} {found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or("")), "{command:?}");
        }
    }

    #[test]
    fn who_leaves_for_the_background() {
        // (stays in the foreground, leaves for the background)
        let rows = [
            ("nginx -g 'daemon off;'", "/usr/sbin/nginx -c x"),
            ("php-fpm8.2 -F", "php-fpm7.4 -c x"),
            ("apache2ctl -D FOREGROUND", "apachectl start"),
            ("httpd -DFOREGROUND", "httpd"),
            ("/usr/sbin/sshd -D", "/usr/sbin/sshd"),
            ("sshd -De", "sshd -e"),
            ("cron -f", "cron"),
            ("crond -n", "crond"),
            ("rsyslogd -n", "rsyslogd"),
            ("dbus-daemon --system --nofork", "dbus-daemon --system"),
            ("dnsmasq -k", "dnsmasq"),
            ("named -f", "named"),
            ("postfix start-fg", "postfix start"),
            ("supervisord -n", "supervisord -c x"),
            ("redis-server --daemonize no", "redis-server /x --daemonize yes"),
            ("haproxy -W", "haproxy -D"),
            ("gunicorn app", "gunicorn app --daemon"),
            ("uwsgi --ini x", "uwsgi --daemonize=/x"),
            ("celery worker", "celery multi start"),
            ("memcached -m 64", "memcached -d"),
            ("mongod", "mongod --fork"),
            ("postgres -D /x", "pg_ctl -D /x start"),
            ("mysqld", "mysqld_safe"),
            ("docker run x", "docker run -d x"),
            ("sleep 1", "service nginx start"),
        ];
        for (stays, leaves) in rows {
            assert_eq!(wrong(stays), None, "{stays:?}");
            assert!(wrong(leaves).is_some_and(|text| text.contains("background")), "{leaves:?}");
        }
    }
}
