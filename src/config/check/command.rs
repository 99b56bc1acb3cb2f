//! Commands that cannot run, or that run otherwise than was meant.

use crate::wire::words;

use super::finding::Severity;
use super::shell;

/// What is wrong with a command, apart from whether its file exists, and how bad that is; `None` if nothing is.
pub(super) fn wrong(command: &str) -> Option<(Severity, String)> {
    let error = |text| (Severity::Error, text);
    unusable(command).map(error).or_else(|| {
        let words = words::split(command).ok()?;
        match shell::syntax(command, &words) {
            worst @ Some((Severity::Error, _)) => worst,
            syntax => background(&words, true).map(error).or(syntax),
        }
    })
}

/// Commands that are none.
fn unusable(command: &str) -> Option<String> {
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
    stays(
        &["nginx", "openresty"],
        &["daemon off", "-t", "-T", "-tq", "-v", "-V", "-h", "-?", "-s"],
        "-g 'daemon off;'",
    ),
    stays(&["php-fpm*"], &["-F", "--nodaemonize", "-t", "-i", "-m", "-v"], "-F"),
    stays(
        &["apache2", "httpd"],
        &["-DFOREGROUND", "-D FOREGROUND", "-DNO_DETACH", "-X", "-t", "-v", "-V", "-S", "-M", "-L"],
        "-DFOREGROUND",
    ),
    stays(&["apache2ctl", "apachectl"], &["-DFOREGROUND", "-D FOREGROUND", "configtest", "-t"], "-DFOREGROUND"),
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

/// What runs the command that it is given, with its options that have a value and the number of words before that command.
const WRAPPERS: &[(&[&str], &[&str], usize)] = &[
    (&["env"], &["-u", "-C"], 0),
    (&["nice"], &["-n"], 0),
    (&["ionice"], &["-c", "-n"], 0),
    (&["stdbuf"], &["-i", "-o", "-e"], 0),
    (&["sudo"], &["-u", "-g", "-h", "-p", "-C", "-D"], 0),
    (&["gosu", "su-exec", "setuidgid", "chroot"], &[], 1),
    (&["timeout"], &["-s", "-k"], 1),
    (&["tini", "dumb-init", "catatonit", "unbuffer", "exec"], &["-r", "-p"], 0),
];

/// What a wrapper runs; `None` if this is none.
fn wrapped(words: &[String]) -> Option<&[String]> {
    let name = shell::base(words.first()?);
    let &(_, with_value, mut before) = WRAPPERS.iter().find(|(names, ..)| names.contains(&name))?;
    let mut at = 1;
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "--" => {}
            option if with_value.contains(&option) => at += 1,
            option if option.starts_with('-') => {}
            pair if pair.contains('=') && name == "env" => {}
            _ if before > 0 => before -= 1,
            _ => break,
        }
        at += 1;
    }
    words.get(at..)
}

/// The last command of a script that a shell is given, if the script is a plain list of commands.
fn last_of_script(words: &[String]) -> Option<Vec<String>> {
    let is_script = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c');
    let at = words.iter().position(is_script).filter(|_| shell::is_shell(words.first().map_or("", String::as_str)))?;
    let script = words.get(at + 1)?.trim();
    let bare = shell::bare(script, false);
    // What is not a list is not looked into.
    if bare.iter().any(|word| matches!(word.as_str(), "if" | "for" | "while" | "until" | "case" | "|" | "{" | "("))
        || script.contains(['`', '\n'])
    {
        return None;
    }
    let words = words::split(script).ok()?;
    // Quoted words are as many in both.
    if words.len() != bare.len() {
        return None;
    }
    let is_end = |word: &String| matches!(word.as_str(), "&&" | "||" | "&") || word.ends_with(';');
    let from = bare.iter().take(bare.len().saturating_sub(1)).rposition(is_end).map_or(0, |at| at + 1);
    let mut last = words[from..].to_vec();
    if let Some(word) = last.last_mut().filter(|_| bare.last().is_some_and(|word| word.ends_with(';'))) {
        word.pop();
    }
    Some(last)
}

/// `is_outer`: this is the command itself, not a part of it, of which there could be more without end.
fn background(mut words: &[String], is_outer: bool) -> Option<String> {
    while let Some(rest) = wrapped(words) {
        words = rest;
    }
    if is_outer && let Some(last) = last_of_script(words) {
        return background(&last, false);
    }
    let (first, arguments) = words.split_first()?;
    let name = shell::base(first);
    let daemon = DAEMONS.iter().find(|daemon| daemon.names.iter().any(|known| matches(known, name)))?;
    // An option and its value, together in one word or in two.
    let has = |wanted: &&str| match wanted.split_once(' ') {
        Some(_) => arguments.join(" ").contains(*wanted),
        None if wanted.is_empty() => true,
        None => arguments.iter().any(|argument| matches(wanted, argument)),
    };
    let goes = match daemon.leaves {
        [] => !daemon.stays.iter().any(&has) && !arguments.iter().any(|word| word == "--version" || word == "--help"),
        leaves => leaves.iter().any(has),
    };
    if name == "nginx" && arguments.iter().any(|word| word == "daemon") {
        return Some("nginx takes one word behind -g: put it in quotes, -g 'daemon off;'".to_string());
    }
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
            ("$HOME/x", Some("$HOME is for a shell")),
            ("find . -name x=y", None),
            ("nginx -g daemon off;", Some("nginx takes one word behind -g")),
        ];
        for (command, expected) in rows {
            let found = wrong(command);
            assert_eq!(found.is_some(), expected.is_some(), "{command:?} {found:?}");
            assert!(found.is_none_or(|(_, text)| text.contains(expected.unwrap_or(""))), "{command:?}");
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
            ("nginx -t", "env A=1 -u B nginx"),
            ("/usr/sbin/nginx -V", "bash -c nginx"),
            ("sh -c \"nginx -g 'daemon off;'\"", "sh -c \"service nginx start\""),
            ("sh -c 'service x start && tail -f /y'", "sh -ec 'x; exec nginx'"),
            ("sh -c 'nginx; wait'", "/bin/sh -c 'nginx -t && nginx;'"),
            ("gosu nginx sleep 1", "gosu root nginx"),
            ("sudo -u nginx sleep 1", "sudo -u www nginx"),
            ("sh -c 'if x; then nginx; fi'", "tini -- nice -n 5 nginx"),
            ("env", "timeout 5 cron"),
            ("apachectl configtest", "dumb-init apachectl start"),
        ];
        for (stays, leaves) in rows {
            assert_eq!(wrong(stays), None, "{stays:?}");
            assert!(wrong(leaves).is_some_and(|(_, text)| text.contains("background")), "{leaves:?}");
        }
    }
}
