//! The man pages: `supervisord(8)`, `supervisord.conf(5)`, `supervisorctl(1)`, `pidproxy(1)`.

use super::configuration::{SECTIONS, default_of, is_new, rows_of, words};
use super::roff::Page;
use stheno::ctl::{COMMANDS, HELP, Owner};

/// What `supervisord --help` says, `supervisorctl --help` likewise.
const DAEMON_HELP: &str = include_str!("../../src/config/help.txt");

/// `supervisord(8)`.
pub fn supervisord() -> String {
    let mut page = Page::new("supervisord", 8, "run a set of programs and start them again when they end");
    page.section("Synopsis").as_it_is("supervisord [OPTIONS]\nsupervisord --check [FILE]");
    page.section("Description").paragraph(
        "supervisord reads a configuration file, starts the programs that it names, keeps what they print, starts them \
         again when they end, and is controlled by supervisorctl(1), a web page and XML-RPC. It is a drop-in replacement \
         for Supervisor 4.3.0. Without -c it looks for ../etc/supervisord.conf and ../supervisord.conf beside its own \
         directory, ./supervisord.conf, ./etc/supervisord.conf, /etc/supervisord.conf and \
         /etc/supervisor/supervisord.conf.",
    );
    page.section("Options");
    for (names, about) in options_of(DAEMON_HELP) {
        page.term(&names, &about);
    }
    page.section("Signals")
        .term("TERM, INT, QUIT", "Stop all programs and end.")
        .term("HUP", "Stop all programs, read the configuration again, start them.")
        .term("USR2", "Open all logs again, as logrotate wants it.");
    page.section("Exit status").paragraph(
        "0 after an orderly end, unless exit_code_from or a policy of a program says otherwise (supervisord.conf(5)); 2 \
         if the configuration or the command line is wrong.",
    );
    page.section("Example")
        .as_it_is("supervisord --check /etc/supervisord.conf\nsupervisord -n -c /etc/supervisord.conf");
    page.section("See also").paragraph("supervisorctl(1), supervisord.conf(5), pidproxy(1)");
    page.end()
}

/// `supervisord.conf(5)`.
pub fn supervisord_conf() -> String {
    let mut page = Page::new("supervisord.conf", 5, "configuration file of supervisord");
    page.section("Description").paragraph(
        "The file has sections in brackets and options as NAME=VALUE, a line each; an indented line goes on with the \
         value above it; a semicolon behind a blank, and a line that begins with one or with #, is a comment. (new) marks \
         what Supervisor 4.3.0 does not have, (policy) what supervisorctl update --minimal takes over without touching a \
         process. supervisord --check FILE says what is wrong with a file.",
    );
    for (heading, kind, about) in SECTIONS {
        let rows = rows_of(kind);
        if rows.is_empty() {
            continue;
        }
        page.section(heading).paragraph(&about.replace('`', ""));
        for (row, _) in rows {
            let new = if is_new(row) { " (new)" } else { "" };
            let policy = if row.policy { " (policy)" } else { "" };
            let value = format!("{}, default {}{new}{policy}.", row.kind, default_of(row));
            page.term(row.name, &format!("{} Value: {value}", words(row.doc)));
        }
    }
    page.section("Example")
        .as_it_is("[supervisord]\nnodaemon=true\n\n[program:web]\ncommand=/usr/bin/web --port 8080\nautorestart=true");
    page.section("See also").paragraph("supervisord(8), supervisorctl(1)");
    page.end()
}

/// `supervisorctl(1)`.
pub fn supervisorctl() -> String {
    let mut page = Page::new("supervisorctl", 1, "control programs that run under supervisord");
    page.section("Synopsis").as_it_is("supervisorctl [OPTIONS] [COMMAND [ARGUMENTS]]");
    page.section("Description").paragraph(
        "supervisorctl tells supervisord(8) what to do and shows what it does. Without a command it is a shell of its own, \
         with completion and history. A process is named PROCESS, or GROUP:PROCESS where the group has another name; \
         GROUP:* is all of a group.",
    );
    page.section("Options");
    for (names, about) in options_of(HELP) {
        page.term(&names, &about);
    }
    page.term(
        "--host NAME",
        "with several hosts: the command is for another instance than that of the server, by its identifier, nick or \
         stereotype; '*' are all",
    );
    page.section("Several hosts").paragraph(
        "Of several supervisord(8) that know each other, commands are for that of the server, unless --host names another \
         one, or a name is HOST:GROUP:PROCESS or HOST:GROUP:*, for clear, fg, hup, pid, restart, signal, start, status, \
         stop and tail. The instance is asked directly, at its address in supvisors_list, with the same user and password. \
         Lines then begin with the HOST of the name.",
    );
    page.section("Commands");
    for command in COMMANDS.iter().filter(|command| command.owner == Owner::Default) {
        page.term_with_lines(command.name, command.help);
    }
    page.section("Commands that Supervisor does not have");
    for command in COMMANDS.iter().filter(|command| command.owner == Owner::Unlisted) {
        page.term_with_lines(command.name, command.help);
    }
    page.section("Commands of extensions");
    for command in COMMANDS.iter().filter(|command| matches!(command.owner, Owner::Extension { .. })) {
        page.term_with_lines(command.name, command.help);
    }
    page.section("Exit status").paragraph(
        "0 if all went well; for status 3 if a process is not running and 4 if there is none of that name; 1 for other \
         errors, 2 for a wrong usage. With several hosts: 2 if there is no instance of that name, 3 if the server knows \
         none, 4 if the instance is neither RUNNING nor CHECKED or is lost while the command runs.",
    );
    page.section("Example").as_it_is(
        "supervisorctl status\nsupervisorctl restart web\nsupervisorctl tail -f web\n\
         supervisorctl --host n2 restart web\nsupervisorctl status \'*:shop:*\'",
    );
    page.section("See also").paragraph("supervisord(8), supervisord.conf(5)");
    page.end()
}

/// `pidproxy(1)`.
pub fn pidproxy() -> String {
    let mut page = Page::new("pidproxy", 1, "stand for a program that puts itself into the background");
    page.section("Synopsis").as_it_is("pidproxy PIDFILE COMMAND [ARGUMENTS]");
    page.section("Description").paragraph(
        "pidproxy runs COMMAND, waits as long as the process lives whose id is in PIDFILE, and passes TERM, HUP, INT, \
         USR1, USR2 and QUIT on to it, so that supervisord(8) can control a program that cannot stay in the foreground.",
    );
    page.section("Exit status").paragraph("0, or 1 for a wrong usage.");
    page.section("Example").as_it_is("[program:mysql]\ncommand=/usr/bin/pidproxy /run/mysqld.pid /usr/bin/mysqld_safe");
    page.section("See also").paragraph("supervisord(8)");
    page.end()
}

/// The options of a help text, `-x/--long ARGUMENT -- what it does`, with lines that go on from them.
fn options_of(help: &str) -> Vec<(String, String)> {
    let mut options: Vec<(String, String)> = Vec::new();
    for line in help.lines() {
        let is_option = line.starts_with('-');
        match (line.split_once(" -- "), options.last_mut()) {
            (Some((names, about)), _) if is_option => options.push((names.trim().into(), about.trim().into())),
            (_, Some((_, about))) if line.starts_with(' ') => {
                about.push(' ');
                about.push_str(line.trim());
            }
            _ => {}
        }
    }
    assert!(!options.is_empty(), "a help text without options");
    options
}
