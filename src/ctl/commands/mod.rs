//! The commands, as one table: dispatch, `help`, completion and the connection check all read it. A new command is a row
//! here and its function in one of the files below.

use super::command::{Command, Completes, Owner, Run};
use super::options::{Kind, Plugin};

mod act;
mod completion;
mod control;
mod daemon;
mod extensions;
mod flags;
#[cfg(feature = "fleet")]
mod fleet;
mod foreground;
mod groups;
mod logs;
mod names;
mod order;
mod status;
mod stopping;
mod watch;
mod wildcards;

/// The help texts are those of the original where it has the command, tabs included: people's documentation and the
/// output of other tools quote them.
#[rustfmt::skip]
const OWN: &[Command] = &[
    Command { name: "add", check: false, completes: Completes::Groups, owner: Owner::Default, run: Run::Words(groups::add),
        help: "add <name> [...]\tActivates any updates in config for process/group" },
    Command { name: "avail", check: false, completes: Completes::Nothing, owner: Owner::Default, run: Run::Words(status::avail),
        help: "avail\t\t\tDisplay all configured processes" },
    Command { name: "clear", check: true, completes: Completes::Processes, owner: Owner::Default, run: Run::Words(control::clear),
        help: "clear <name>\t\tClear a process' log files.\n\
               clear <name> <name>\tClear multiple process' log files\n\
               clear all\t\tClear all process' log files" },
    Command { name: "exit", check: false, completes: Completes::Nothing, owner: Owner::Default, run: Run::Leave,
        help: "exit\tExit the supervisor shell." },
    Command { name: "fg", check: true, completes: Completes::Processes, owner: Owner::Default, run: Run::Words(foreground::fg),
        help: "fg <process>\tConnect to a process in foreground mode\n\t\tCtrl-C to exit" },
    Command { name: "maintail", check: true, completes: Completes::Nothing, owner: Owner::Default, run: Run::Words(logs::maintail),
        help: "maintail -f \tContinuous tail of supervisor main log file (Ctrl-C to exit)\n\
               maintail -100\tlast 100 *bytes* of supervisord main log file\n\
               maintail\tlast 1600 *bytes* of supervisor main log file\n" },
    Command { name: "open", check: false, completes: Completes::Nothing, owner: Owner::Default, run: Run::Words(daemon::open),
        help: "open <url>\tConnect to a remote supervisord process.\n\
               \t\t(for UNIX domain socket, use unix:///socket/path)" },
    Command { name: "pid", check: true, completes: Completes::Processes, owner: Owner::Default, run: Run::Words(status::pid),
        help: "pid\t\t\tGet the PID of supervisord.\n\
               pid <name>\t\tGet the PID of a single child process by name.\n\
               pid all\t\t\tGet the PID of every child process, one per line." },
    Command { name: "quit", check: false, completes: Completes::Nothing, owner: Owner::Default, run: Run::Leave,
        help: "quit\tExit the supervisor shell." },
    Command { name: "reload", check: false, completes: Completes::Nothing, owner: Owner::Default, run: Run::Words(daemon::reload),
        help: "reload \t\tRestart the remote supervisord." },
    Command { name: "remove", check: false, completes: Completes::Groups, owner: Owner::Default, run: Run::Words(groups::remove),
        help: "remove <name> [...]\tRemoves process/group from active config" },
    Command { name: "reread", check: false, completes: Completes::Nothing, owner: Owner::Default, run: Run::Words(groups::reread),
        help: "reread \t\t\tReload the daemon's configuration files without add/remove" },
    Command { name: "restart", check: true, completes: Completes::Processes, owner: Owner::Default, run: Run::Words(control::restart),
        help: "restart <name>\t\tRestart a process\n\
               restart <gname>:*\tRestart all processes in a group\n\
               restart <name> <name>\tRestart multiple processes or groups\n\
               restart all\t\tRestart all processes\n\
               Note: restart does not reread config files. For that, see reread and update." },
    Command { name: "shutdown", check: false, completes: Completes::Nothing, owner: Owner::Default, run: Run::Words(daemon::shutdown),
        help: "shutdown \tShut the remote supervisord down." },
    Command { name: "signal", check: true, completes: Completes::Processes, owner: Owner::Default, run: Run::Words(control::signal),
        help: "signal <signal name> <name>\t\tSignal a process\n\
               signal <signal name> <gname>:*\t\tSignal all processes in a group\n\
               signal <signal name> <name> <name>\tSignal multiple processes or groups\n\
               signal <signal name> all\t\tSignal all processes" },
    Command { name: "start", check: true, completes: Completes::Processes, owner: Owner::Default, run: Run::Words(control::start),
        help: "start <name>\t\tStart a process\n\
               start <gname>:*\t\tStart all processes in a group\n\
               start <name> <name>\tStart multiple processes or groups\n\
               start all\t\tStart all processes" },
    // status turns a failed check into its own exit status, version looks at its arguments first: both check themselves.
    Command { name: "status", check: false, completes: Completes::Processes, owner: Owner::Default, run: Run::Words(status::status),
        help: "status <name>\t\tGet status for a single process\n\
               status <gname>:*\tGet status for all processes in a group\n\
               status <name> <name>\tGet status for multiple named processes\n\
               status\t\t\tGet all process status info" },
    Command { name: "stop", check: true, completes: Completes::Processes, owner: Owner::Default, run: Run::Words(control::stop),
        help: "stop <name>\t\tStop a process\n\
               stop <gname>:*\t\tStop all processes in a group\n\
               stop <name> <name>\tStop multiple processes or groups\n\
               stop all\t\tStop all processes" },
    Command { name: "tail", check: true, completes: Completes::Processes, owner: Owner::Default, run: Run::Words(logs::tail),
        help: "tail [-f] <name> [stdout|stderr] (default stdout)\n\
               Ex:\n\
               tail -f <name>\t\tContinuous tail of named process stdout\n\
               \t\t\tCtrl-C to exit.\n\
               tail -100 <name>\tlast 100 *bytes* of process stdout\n\
               tail <name> stderr\tlast 1600 *bytes* of process stderr" },
    Command { name: "update", check: false, completes: Completes::Groups, owner: Owner::Default, run: Run::Words(groups::update),
        help: "update\t\t\tReload config and add/remove as necessary, and will restart affected programs\n\
               update all\t\tReload config and add/remove as necessary, and will restart affected programs\n\
               update <gname> [...]\tUpdate specific groups" },
    Command { name: "version", check: false, completes: Completes::Nothing, owner: Owner::Default, run: Run::Words(daemon::version),
        help: "version\t\t\tShow the version of the remote supervisord process" },

    // Not in the original, and so not in the listing, which others parse.
    Command { name: "check", check: false, completes: Completes::Processes, owner: Owner::Unlisted, run: Run::Words(status::check),
        help: "check [<name> ...] [--require as-configured|running|not-fatal]\n\
               \t\t\tOne line and exit status 0 if all is well, else 1; for health checks\n\
               as-configured\t\tevery process is RUNNING, has ended as expected, or is not to be started by itself (default)\n\
               running\t\t\tevery process is RUNNING\n\
               not-fatal\t\tno process is FATAL or UNKNOWN" },
    Command { name: "completion", check: false, completes: Completes::Nothing, owner: Owner::Unlisted, run: Run::Table(completion::completion),
        help: "completion bash|zsh|fish\tPrint a script that completes supervisorctl's words in that shell" },
    Command { name: "deps", check: true, completes: Completes::Processes, owner: Owner::Unlisted, run: Run::Words(order::deps),
        help: "deps [<name> ...]\tShow what depends on what, and how that is\n\
               deps --stop\t\tShow in which order everything is told to stop" },
    Command { name: "disable", check: true, completes: Completes::Processes, owner: Owner::Unlisted, run: Run::Words(order::disable),
        help: "disable <name> [...] [--now]\tLet programs not start by themselves any more; with --now, stop them, too" },
    Command { name: "dynamic", check: false, completes: Completes::Nothing, owner: Owner::Unlisted, run: Run::Words(extensions::dynamic),
        help: "dynamic\t\t\tShow what was added or removed beside the configuration file" },
    Command { name: "enable", check: true, completes: Completes::Processes, owner: Owner::Unlisted, run: Run::Words(order::enable),
        help: "enable <name> [...] [--now]\tLet programs start by themselves again; with --now, start them, too" },
    Command { name: "hup", check: true, completes: Completes::Processes, owner: Owner::Unlisted, run: Run::Words(control::hup),
        help: "hup <name> [...]\tHave processes reload: each gets the signal of its reloadsignal option" },
    Command { name: "logs", check: true, completes: Completes::Processes, owner: Owner::Unlisted, run: Run::Words(logs::logs),
        help: "logs [-f] [-n LINES] <name> [...]\tLast lines of stdout and stderr of several processes, prefixed\n\
               logs -f <name> [...]\t\t\tThe same, and what they print from now on (Ctrl-C to exit)" },
    Command { name: "rotate", check: true, completes: Completes::Processes, owner: Owner::Unlisted, run: Run::Words(logs::rotate),
        help: "rotate [<name> ...]\tBegin new log files of processes or groups, keeping the old ones as backups\n\
               rotate\t\t\tThe same of all processes, and of supervisord's own log" },

    // The extensions' plugins.
    Command { name: "cache_clear", check: false, completes: Completes::Nothing, owner: CACHE, run: Run::Words(extensions::cache_clear),
        help: "cache_clear\tClear all items from the cache." },
    Command { name: "cache_count", check: false, completes: Completes::Nothing, owner: CACHE, run: Run::Words(extensions::cache_count),
        help: "cache_count\tGet a count of all items in the cache." },
    Command { name: "cache_delete", check: false, completes: Completes::Nothing, owner: CACHE, run: Run::Words(extensions::cache_delete),
        help: "cache_delete <key>\tDelete the item cached at <key>." },
    Command { name: "cache_fetch", check: false, completes: Completes::Nothing, owner: CACHE, run: Run::Words(extensions::cache_fetch),
        help: "cache_fetch <key>\tFetch the item cached at <key>." },
    Command { name: "cache_keys", check: false, completes: Completes::Nothing, owner: CACHE, run: Run::Words(extensions::cache_keys),
        help: "cache_keys\tList the keys of all items in the cache." },
    Command { name: "cache_store", check: false, completes: Completes::Nothing, owner: CACHE, run: Run::Words(extensions::cache_store),
        help: "cache_store <key> <value>\tStore <value> in the cache at <key>." },
    Command { name: "grace_update", check: false, completes: Completes::Groups, owner: GRACE, run: Run::Words(extensions::grace_update),
        help: "grace_update <group>\tFollow a changed numprocs without restarting the other processes" },
    Command { name: "mrestart", check: false, completes: Completes::Processes, owner: WILDCARDS, run: Run::Words(wildcards::mrestart),
        help: "The same as restart, for every process whose name matches a wildcard expression.\n\
               mrestart a* - restarts all processes whose names begin with \"a\"." },
    Command { name: "mstart", check: false, completes: Completes::Processes, owner: WILDCARDS, run: Run::Words(wildcards::mstart),
        help: "The same as start, for every process whose name matches a wildcard expression.\n\
               mstart a* - starts all processes whose names begin with \"a\"." },
    Command { name: "mstop", check: false, completes: Completes::Processes, owner: WILDCARDS, run: Run::Words(wildcards::mstop),
        help: "The same as stop, for every process whose name matches a wildcard expression.\n\
               mstop a* - stops all processes whose names begin with \"a\"." },
    Command { name: "serialrestart", check: true, completes: Completes::Processes, owner: SERIAL_RESTART, run: Run::Words(wildcards::serialrestart),
        help: "serialrestart <name>\t\tRestart a process\n\
               serialrestart <gname>:*\t\tRestart all processes in a group\n\
               serialrestart <name> <name>\tRestart multiple processes or groups\n\
               serialrestart all\t\tRestart all processes\n\
               Note: each process is started again before the next one is stopped.\n\
               Note: names may be wildcard expressions: serialrestart a* restarts all whose names begin with \"a\"." },
];

/// All commands. Supvisors' come first: with its section two of them have the names of others.
#[cfg(feature = "fleet")]
pub const COMMANDS: &[Command] = &{
    let mut all = [OWN[0]; OWN.len() + fleet::COMMANDS.len()];
    let mut at = 0;
    while at < all.len() {
        let own = at.checked_sub(fleet::COMMANDS.len());
        all[at] = match own {
            Some(own) => OWN[own],
            None => fleet::COMMANDS[at],
        };
        at += 1;
    }
    all
};

/// The rows of all commands.
#[cfg(not(feature = "fleet"))]
pub const COMMANDS: &[Command] = OWN;

const CACHE: Owner = Owner::Extension { kind: Kind::Cache, always: true };
const GRACE: Owner = Owner::Extension { kind: Kind::Grace, always: true };
const WILDCARDS: Owner = Owner::Extension { kind: Kind::Wildcards, always: false };
const SERIAL_RESTART: Owner = Owner::Extension { kind: Kind::SerialRestart, always: false };

/// The command of that name, if it exists under this configuration.
pub fn find(name: &str, plugins: &[Plugin]) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| {
        command.name == name
            && match command.owner {
                Owner::Default | Owner::Unlisted => true,
                Owner::Extension { kind, always } => always || plugins.iter().any(|plugin| plugin.kind == kind),
            }
    })
}
