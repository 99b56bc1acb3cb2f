//! What people ask for on the pages of a fleet.

use super::waits::{Goal, Wait};
use super::{
    Code, Context, Fault, OPERATING, Outcome, STOPPING, StartingStrategy, Value, acting, application, control, fleet,
    gate, processes,
};
use crate::fleet::acts::Means;
use crate::fleet::asked::Target;
use crate::model::fleet::sequencer::Ticket;
use crate::rpc::deferred::Deferred;
use crate::wire::fleet::command::Verb;
use crate::wire::pyrepr;

/// Has something started, stopped or restarted. Nobody waits for the end of it.
pub fn act(context: &mut Context<'_>, verb: Verb, target: &Target) -> Result<Outcome, Fault> {
    match target {
        Target::Application(name) => {
            let id = application(context, name)?;
            if fleet(context)?.application(id).is_some_and(|one| one.rules.managed) {
                note(context, verb, "application", name);
                return in_sequence(context, verb, name);
            }
            act_on_all(context, verb, &format!("{name}:*"))
        }
        Target::Process { name, host: None } => act_on_all(context, verb, name),
        Target::Process { name, host: Some(nick) } => {
            let ids = processes(context, name)?;
            let [id] = ids[..] else { return Err(Code::BadName.with(name)) };
            let by = context.client.to_string();
            let fleet = context.extensions.fleet.as_deref_mut().ok_or_else(|| Code::UnknownMethod.bare())?;
            let peer = fleet.members().find(|(_, member)| member.who.nick == *nick).map(|(peer, _)| peer);
            let peer = peer.ok_or_else(|| Code::BadName.with(nick))?;
            let means = Means { daemon: context.daemon, now: context.now, host: context.host };
            match fleet.act(peer, (verb, id), &by, means) {
                Ok(None) => Ok(true.into()),
                Ok(Some(number)) => {
                    let wait = Wait { ticket: Ticket(0), goal: Goal::Answered(number), answer: true.into() };
                    Deferred::Fleet(Box::new(wait)).begin(context)
                }
                Err(why) => Err(Code::Failed.with(why)),
            }
        }
    }
}

/// The same of processes wherever they are, or have a place; more arguments stay as they are.
fn act_on_all(context: &mut Context<'_>, verb: Verb, name: &str) -> Result<Outcome, Fault> {
    gate(context, if verb == Verb::Stop { STOPPING } else { OPERATING })?;
    let mut ids = processes(context, name)?;
    note(context, verb, "process", name);
    let (fleet, means) = acting(context)?;
    if verb == Verb::Start {
        ids.retain(|id| !fleet.view().task(*id).is_some_and(|task| task.is_running()));
    }
    let begun = match verb {
        _ if ids.is_empty() => return Err(Code::AlreadyStarted.with(name)),
        Verb::Start => fleet.start_processes(&ids, StartingStrategy::Config, means),
        Verb::Stop => fleet.stop_processes(&ids, means),
        Verb::Restart => fleet.restart_processes(&ids, StartingStrategy::Config, means),
    };
    let nothing = || match verb {
        Verb::Stop => Code::NotRunning.with(format!("{name} already stopped")),
        _ => Code::AbnormalTermination.with(format!("failed to {} {name}", verb.name())),
    };
    control::answer(context, begun, Goal::End, false, nothing, true.into())
}

/// Says in the log who asks for what is done here.
fn note(context: &Context<'_>, verb: Verb, what: &str, name: &str) {
    activity!(Info, "{} {what} {}, asked for by {}", verb.name(), pyrepr::text(name), context.client);
}

/// The same of a managed application, by the strategy that is configured.
fn in_sequence(context: &mut Context<'_>, verb: Verb, name: &str) -> Result<Outcome, Fault> {
    let (name, strategy) = (Value::from(name.to_string()), Value::from(StartingStrategy::Config.name().to_string()));
    match verb {
        Verb::Start => control::start_application(context, &[strategy, name, false.into()]),
        Verb::Stop => control::stop_application(context, &[name, false.into()]),
        Verb::Restart => control::restart_application(context, &[strategy, name, false.into()]),
    }
}
