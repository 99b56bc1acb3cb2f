//! `help`: the commands in columns, or what one of them is for.

use super::columns;
use super::command::Owner;
use super::commands::COMMANDS;
use super::session::Session;

/// What `help help` prints.
const HELP_ON_HELP: &str = "help\t\tPrint a list of available actions\nhelp <action>\tPrint help for <action>";
/// What is beside commands, with several hosts.
#[cfg(feature = "fleet")]
const OF_FLEETS: &str = "  supervisorctl --host NAME ..., and HOST:GROUP:PROCESS as a name
      The same on another host of the fleet: its identifier, nick or stereotype, or * for all
";
/// The width of `help`'s columns (S-65): 80 less one for terminals that break a full line.
const LISTING_WIDTH: usize = 79;

/// `help`, `help <name>` (S-65, S-66).
///
/// Every plugin answers in turn, so with an extension's plugin a name that only one of them knows also gets a
/// `*** No help on` line from each other. That is what the original prints and what its users' outputs hold.
pub fn help(session: &mut Session, arguments: &str) {
    if arguments == "help" {
        session.print_text(HELP_ON_HELP);
        return;
    }
    let plugins = session.options.plugins.clone();
    // Where a plugin has a command of the same name, that is the one which is carried out.
    let is_of_plugin = |owner: Owner| match owner {
        Owner::Extension { kind, .. } => plugins.iter().any(|plugin| plugin.kind == kind),
        Owner::Default | Owner::Unlisted => false,
    };
    let is_taken = COMMANDS.iter().any(|command| command.name == arguments && is_of_plugin(command.owner));
    help_of(session, "default", arguments, |owner| match owner {
        Owner::Default => Answers::Lists,
        Owner::Unlisted if is_taken => Answers::Nothing,
        Owner::Unlisted => Answers::Knows,
        Owner::Extension { kind, always } if always && !plugins.iter().any(|plugin| plugin.kind == kind) => {
            Answers::Knows
        }
        Owner::Extension { .. } => Answers::Nothing,
    });
    for plugin in &plugins {
        help_of(session, &plugin.label, arguments, |owner| match owner {
            Owner::Extension { kind, .. } if kind == plugin.kind => Answers::Lists,
            _ => Answers::Nothing,
        });
    }
    if arguments.is_empty() && session.is_on_terminal {
        session.print_text(&news());
    }
}

/// What there is beside the original's commands, for the end of a listing that others do not read.
pub fn news() -> String {
    let mut text = "New, beside what Supervisor has:\n".to_string();
    for command in COMMANDS.iter().filter(|command| command.owner == Owner::Unlisted) {
        let first = command.help.lines().next().unwrap_or_default();
        let (words, what) = first.split_once('\t').unwrap_or((first, ""));
        // A synopsis that fills its line has what it is for on the next.
        let what = if what.trim().is_empty() { command.help.lines().nth(1).unwrap_or_default() } else { what };
        text += &format!("  {words}\n      {}\n", what.trim());
    }
    #[cfg(feature = "fleet")]
    text.push_str(OF_FLEETS);
    text += "  supervisord --check, supervisord --about\n      What is wrong with a configuration file; what this build is\n";
    text
}

/// What a plugin says about a command.
#[derive(PartialEq, Eq)]
enum Answers {
    Lists,
    Knows,
    Nothing,
}

fn help_of(session: &mut Session, label: &str, topic: &str, answers: impl Fn(Owner) -> Answers) {
    if topic.is_empty() {
        let names: Vec<&str> =
            COMMANDS.iter().filter(|c| answers(c.owner) == Answers::Lists).map(|command| command.name).collect();
        let title = format!("{label} commands (type help <topic>):");
        session.print("");
        session.print(&title);
        session.print(&"=".repeat(title.chars().count()));
        for line in columns::columns(&names, LISTING_WIDTH) {
            session.print(&line);
        }
        session.print("");
        return;
    }
    match COMMANDS.iter().find(|command| command.name == topic && answers(command.owner) != Answers::Nothing) {
        Some(command) => session.print_text(command.help),
        None => session.print(&format!("*** No help on {topic}")),
    }
}
