//! The commands of Supvisors (V-300 to V-348): their rows, and what they have in common. Each looks first whether the daemon
//! has the namespace.

mod act;
mod show;
mod table;

use crate::ctl::command::{Command, Completes, Owner, Run};
use crate::ctl::error::Error;
use crate::ctl::options::Kind;
use crate::ctl::session::Session;
use crate::fault::Code;
use crate::wire::value::Value;

/// The version of the interface that this program speaks.
const API_VERSION: &str = "0.19";

/// There without the section, too: the daemon of an URL may have the namespace.
const ALWAYS: Owner = Owner::Extension { kind: Kind::Supvisors, always: true };
/// Those whose names mean something else without the section.
const WITH_SECTION: Owner = Owner::Extension { kind: Kind::Supvisors, always: false };

/// The rows; help texts as in the original, tabs included.
#[rustfmt::skip]
pub const COMMANDS: &[Command] = &[
    row("all_start", Completes::Processes, act::all_start,
        "all_start <proc>\t\t\tStart the process named proc on all RUNNING Supvisors instances."),
    row("all_start_args", Completes::Processes, act::all_start_args,
        "all_start_args <proc> <arg_list>\t\tStart the process named proc on all RUNNING Supvisors instances with additional arguments arg_list."),
    row("application_info", Completes::Groups, show::application_info,
        "application_info <appli>\t\tGet the status of application named appli.\n\
         application_info <appli> <appli>\tGet the status for multiple named application\n\
         application_info\t\t\tGet the status of all applications."),
    row("application_rules", Completes::Groups, show::application_rules,
        "application_rules <appli>\t\t\tGet the rules of the application named appli.\n\
         application_rules <appli> <appli>\t\tGet the rules for multiple named applications\n\
         application_rules\t\t\t\tGet the rules of all applications."),
    row("conciliate", Completes::Nothing, act::conciliate,
        "conciliate <strategy>\t\t\tConciliate process conflicts using strategy"),
    row("conflicts", Completes::Nothing, show::conflicts,
        "conflicts\t\t\t\tGet the Supvisors conflicts."),
    Command { owner: WITH_SECTION, ..row("disable", Completes::Nothing, act::disable,
        "disable program_name\t\t\tDisable the program.") },
    row("disable_stats", Completes::Nothing, act::disable_stats,
        "disable_stats\t\t\tDisable host and process statistics collection\n\
         disable_stats all\t\tDisable host and process statistics collection\n\
         disable_stats host\t\tDisable host statistics collection\n\
         disable_stats process\t\tDisable process statistics collection\n\
         disable_stats host process\tDisable host and process statistics collection"),
    Command { owner: WITH_SECTION, ..row("enable", Completes::Nothing, act::enable,
        "enable program_name\t\t\tEnable the program.") },
    row("enable_stats", Completes::Nothing, act::enable_stats,
        "enable_stats\t\t\tEnable host and process statistics collection\n\
         enable_stats all\t\tEnable host and process statistics collection\n\
         enable_stats host\t\tEnable host statistics collection\n\
         enable_stats process\t\tEnable process statistics collection\n\
         enable_stats host process\tEnable host and process statistics collection"),
    row("end_sync", Completes::Nothing, act::end_sync,
        "end_sync\t\t\t\tEnd the Supvisors synchronization phase\n\
         end_sync master_identifier\t\tEnd the Supvisors synchronization phase and select this identifier as Supvisors Master instance "),
    row("instance_status", Completes::Nothing, show::instance_status,
        "instance_status <identifier>\t\t\tGet the status of the Supvisors instance.\n\
         instance_status <identifier> <identifier>\tGet the status for multiple Supvisors instances\n\
         instance_status\t\t\t\t\tGet the status of all Supvisors instances."),
    row("local_status", Completes::Processes, show::local_status,
        "local_status <proc>\t\t\tGet the local status of the process named proc.\n\
         local_status <appli>:*\t\t\tGet the local status of all processes in the application named appli.\n\
         local_status <proc> <proc>\t\tGet the local status for multiple named processes\n\
         local_status\t\t\t\tGet the local status of all processes."),
    row("lazy_update_numprocs", Completes::Nothing, act::lazy_update_numprocs,
        "lazy_update_numprocs program_name numprocs\t\tUpdate the program numprocs (lazy mode)."),
    row("loglevel", Completes::Nothing, act::loglevel,
        "loglevel lvl\t\t\t\tChange the level of local Supvisors' logger to lvl.\n\
         \t\t\t\t\tApplicable values are: dict_values(['critical', 'error', 'warn', 'info', 'debug', 'trace', 'blather'])."),
    row("master", Completes::Nothing, show::master,
        "master\t\t\t\tGet the Supvisors Master identification."),
    row("process_rules", Completes::Processes, show::process_rules,
        "process_rules <proc>\t\t\tGet the rules of the process named proc.\n\
         process_rules <appli>:*\t\t\tGet the rules of all processes in the application named appli.\n\
         process_rules <proc> <proc>\t\tGet the rules for multiple named processes\n\
         process_rules\t\t\t\tGet the rules of all processes."),
    row("restart_application", Completes::Groups, act::restart_application,
        "restart_application <strategy> <appli>\t\tRestart the managed application named appli with strategy.\n\
         restart_application <strategy> <appli> <appli>\tRestart multiple managed named applications with strategy\n\
         restart_application <strategy> \t\t\tRestart all managed applications with strategy."),
    row("restart_process", Completes::Processes, act::restart_process,
        "restart_process <strategy> <proc>\t\tRestart the process named proc using strategy.\n\
         restart_process <strategy> <proc> <proc>\tRestart multiple named processes using strategy.\n\
         restart_process <strategy> \t\t\tRestart all processes using strategy."),
    row("restart_sequence", Completes::Nothing, act::restart_sequence,
        "restart_sequence\t\t\t\t\tTrigger the whole start sequence"),
    row("sreload", Completes::Nothing, act::sreload,
        "sreload\t\t\t\t\tRestart Supvisors on all instances"),
    row("sshutdown", Completes::Nothing, act::sshutdown,
        "sshutdown\t\t\t\tShutdown Supvisors on all instances"),
    row("sstate", Completes::Nothing, show::sstate,
        "sstate\t\t\t\tGet the Supvisors state and modes.\n\
         sstate <identifier>\t\t\tGet the Supvisors instance state and modes.\n\
         sstate <identifier> <identifier>\tGet the state and modes for multiple Supvisors instances\n\
         sstate all\t\t\tGet the state and modes for all Supvisors instances"),
    row("sstatus", Completes::Processes, show::sstatus,
        "sstatus <proc>\t\t\t\tGet the status of the process named proc.\n\
         sstatus <appli>:*\t\t\tGet the process status of application named appli.\n\
         sstatus <proc> <proc>\t\t\tGet the status for multiple named processes\n\
         sstatus\t\t\t\t\tGet the status of all processes."),
    row("start_any_process", Completes::Nothing, act::start_any_process,
        "start_any_process <strategy> <regex>\t\t\tStart a process whose namespec matches the regular expression and with a starting strategy.\n\
         start_any_process <strategy> <regex> <regex>\t\tStart multiple processes whose namespec matches the regular expressions and with a starting strategy."),
    row("start_any_process_args", Completes::Nothing, act::start_any_process_args,
        "start_any_process_args <strategy> <regex> <arg_list>\tStart a process whose namespec matches the regular expression, using a starting strategy and additional arguments arg_list."),
    row("start_application", Completes::Groups, act::start_application,
        "start_application <strategy> <appli>\t\tStart the managed application named appli with strategy.\n\
         start_application <strategy> <appli> <appli>\tStart multiple managed named applications with strategy\n\
         start_application <strategy>\t\t\tStart all managed applications with strategy."),
    row("start_args", Completes::Processes, act::start_args,
        "start_args <proc> <arg_list>\t\t\tStart the local process named proc with additional arguments arg_list."),
    row("start_process", Completes::Processes, act::start_process,
        "start_process <strategy> <proc>\t\t\tStart the process named proc with strategy.\n\
         start_process <strategy> <proc> <proc>\t\tStart multiple named processes with strategy.\n\
         start_process <strategy>\t\t\tStart all processes with strategy."),
    row("start_process_args", Completes::Processes, act::start_process_args,
        "start_process <strategy> <proc> <arg_list>\tStart the process named proc with additional arguments arg_list."),
    row("stats_period", Completes::Nothing, act::stats_period,
        "stats_period period\t\tUpdate the host and process statistics collection period"),
    row("stats_status", Completes::Nothing, show::stats_status,
        "stats_status\t\t\tGet the Supvisors statistics collection status."),
    row("stop_application", Completes::Groups, act::stop_application,
        "stop_application <appli>\t\t\tStop the managed application named appli.\n\
         stop_application <appli> <appli>\t\tStop multiple managed named applications.\n\
         stop_application\t\t\t\tStop all managed applications."),
    row("stop_process", Completes::Processes, act::stop_process,
        "stop_process <proc>\t\tStop the process named proc.\n\
         stop_process <proc> <proc>\tStop multiple named processes.\n\
         stop_process\t\t\tStop all named processes."),
    row("strategies", Completes::Nothing, show::strategies,
        "strategies\t\t\tGet the Supvisors strategies."),
    row("sversion", Completes::Nothing, show::sversion,
        "sversion\t\t\tGet the API version of Supvisors."),
    row("test_start_application", Completes::Groups, act::test_start_application,
        "test_start_application <strategy> <appli>\t\tTest the starting of the managed application named appli with strategy.\n\
         test_start_application <strategy>\t\t\tTest the starting of all managed applications with strategy."),
    row("test_start_process", Completes::Processes, act::test_start_process,
        "test_start_process <strategy> <proc>\t\t\tStart the process named proc with strategy.\n\
         test_start_process <strategy>\t\t\tStart all processes with strategy."),
    row("update_numprocs", Completes::Nothing, act::update_numprocs,
        "update_numprocs program_name numprocs\t\tUpdate the program numprocs."),
];

const fn row(
    name: &'static str,
    completes: Completes,
    run: fn(&mut Session, &str) -> Result<(), Error>,
    help: &'static str,
) -> Command {
    Command { name, check: false, completes, owner: ALWAYS, run: Run::Words(run), help }
}

/// Looks whether the daemon has the namespace, in the version that is known here (V-301); else it has been said why not.
fn is_there(session: &mut Session) -> Result<bool, Error> {
    let error = match session.call("supvisors.get_api_version", &[]) {
        Ok(version) if version.as_str() == Some(API_VERSION) => return Ok(true),
        Ok(version) => {
            let theirs = version.as_str().unwrap_or("unknown");
            session.print(&format!(
                "ERROR: this version of supvisorsctl expects to talk to a server with API version {API_VERSION}, but the \
                 remote version is {theirs}."
            ));
            session.status = 5;
            return Ok(false);
        }
        Err(error) => error,
    };
    if error.is(Code::UnknownMethod) {
        session.print(
            "ERROR: supervisord responded but did not recognize the supvisors namespace commands that supervisorctl uses to \
             control it. Please check that the [rpcinterface:supvisors] section is enabled in the configuration file.",
        );
        session.status = 3;
        return Ok(false);
    }
    match session.connection_trouble(&error) {
        Some(trouble) => {
            session.print(&format!("ERROR: {trouble}"));
            session.status = if error.errno() == Some(libc::ENOENT) { 7 } else { 4 };
            Ok(false)
        }
        None => Err(error),
    }
}

/// Calls a method of the namespace; a fault is printed, behind a name if one is given (V-302).
fn ask(session: &mut Session, method: &str, params: &[Value], name: Option<&str>) -> Result<Option<Value>, Error> {
    match session.call(&format!("supvisors.{method}"), params) {
        Ok(value) => Ok(Some(value)),
        Err(Error::Fault { text, .. }) => {
            let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
            session.print(&format!("{name}ERROR ({text})"));
            session.status = 1;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The words of a line.
fn words(arguments: &str) -> Vec<String> {
    arguments.split_whitespace().map(str::to_string).collect()
}

/// Whether all are meant (V-303).
fn means_all(words: &[String]) -> bool {
    words.is_empty() || words.iter().any(|word| word == "all")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands of V-310 to V-342, in their order.
    #[rustfmt::skip]
    const NAMES: [&str; 39] = [
        "sversion", "sstate", "master", "strategies", "stats_status", "instance_status", "application_info",
        "application_rules", "sstatus", "local_status", "process_rules", "conflicts", "start_application",
        "stop_application", "restart_application", "test_start_application", "start_process", "test_start_process",
        "start_any_process", "start_args", "start_process_args", "start_any_process_args", "all_start",
        "all_start_args", "stop_process", "restart_process", "update_numprocs", "lazy_update_numprocs", "enable",
        "disable", "conciliate", "restart_sequence", "sreload", "sshutdown", "end_sync", "loglevel", "enable_stats",
        "disable_stats", "stats_period",
    ];

    #[test]
    fn each_command_has_its_row() {
        let mut expected = NAMES.to_vec();
        expected.sort_unstable();
        let mut rows: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
        rows.sort_unstable();
        assert_eq!(rows, expected);
        for command in COMMANDS {
            // The original's slip, which is kept (V-348).
            let named = if command.name == "start_process_args" { "start_process" } else { command.name };
            for line in command.help.lines().filter(|line| !line.starts_with('\t')) {
                assert!(line.starts_with(named) && line.contains('\t'), "{}: {line}", command.name);
            }
        }
    }
}
