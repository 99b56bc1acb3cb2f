//! The fleet as a whole: its sequence, its end, its switches (V-252 to V-258).

use super::control::answer;
use super::waits::Goal;
use super::{
    Code, Context, FROM_DISTRIBUTION, Fault, Method, OPERATING, Outcome, Value, acting, class, conciliation_strategy,
    fleet, gate, list, parts, row,
};
use crate::config::fleet::{ConciliationStrategy, Period, Synchro};
use crate::level::Level;
use crate::model::fleet::instance::InstanceState;
use crate::model::fleet::phase::{Phase, Wish};
use crate::rpc::{text, wait};
use crate::wire::pyrepr;

/// The rows about the fleet as a whole, in the order of the manual.
pub const METHODS: &[Method] = &[
    row(
        "conciliate",
        &["bool", "ConciliationStrategies"],
        &["strategy"],
        "Resolve the conflicts there are. False if that is left to the user.",
        conciliate,
    ),
    Method {
        optional: 1,
        ..row(
            "restart_sequence",
            &["bool", "bool"],
            &["wait"],
            "Start the applications that were never started or have failed, in their sequence.",
            restart_sequence,
        )
    },
    row("restart", &["bool"], &[], "Stop all applications in their sequence, and begin anew.", |context, _| {
        end(context, Wish::Restart)
    }),
    row("shutdown", &["bool"], &[], "Stop all applications in their sequence, and end.", |context, _| {
        end(context, Wish::Shutdown)
    }),
    Method {
        optional: 1,
        ..row(
            "end_sync",
            &["bool", "str"],
            &["master"],
            "End the synchronisation, with this Master if one is named.",
            end_sync,
        )
    },
    row(
        "change_log_level",
        &["bool", "str"],
        &["level"],
        "Accepted: everything is in the activity log, whose level is that of [supervisord].",
        change_log_level,
    ),
    row(
        "enable_host_statistics",
        &["bool", "bool"],
        &["enabled"],
        "Say whether statistics of the host are collected.",
        |context, params| {
            fleet(context)?.stats.host = truth(params)?;
            Ok(true.into())
        },
    ),
    row(
        "enable_process_statistics",
        &["bool", "bool"],
        &["enabled"],
        "Say whether statistics of processes are collected.",
        |context, params| {
            fleet(context)?.stats.processes = truth(params)?;
            Ok(true.into())
        },
    ),
    row(
        "update_collecting_period",
        &["bool", "float"],
        &["period"],
        "Set the seconds between two samples, 1 to 3600.",
        update_collecting_period,
    ),
];

/// A truth value, as Python takes one.
fn truth(params: &[Value]) -> Result<bool, Fault> {
    Ok(wait(params, 0))
}

fn conciliate(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, &[Phase::Conciliation])?;
    let strategy = conciliation_strategy(params.first())?;
    let (fleet, daemon, now, host) = parts!(context);
    fleet.conciliate(strategy, daemon, now);
    fleet.go_on(daemon, now, host);
    Ok((strategy != ConciliationStrategy::User).into())
}

fn restart_sequence(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, OPERATING)?;
    let (fleet, means) = acting(context)?;
    let (starting, stopping) = fleet.busy_members();
    if !starting.is_empty() || !stopping.is_empty() {
        return Err(Code::BadSupvisorsState.with("jobs in progress"));
    }
    let begun = fleet.start_sequence(means);
    let failed = || Code::AbnormalTermination.with("failed to trigger start sequence");
    answer(context, begun, Goal::End, wait(params, 0), failed, true.into())
}

fn end(context: &mut Context<'_>, wish: Wish) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    let (fleet, daemon, ..) = parts!(context);
    match fleet.ask(wish, daemon) {
        true => Ok(true.into()),
        false => Err(Code::BadSupvisorsState.with("no Supvisors Master")),
    }
}

fn end_sync(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, &[Phase::Synchronization])?;
    let master = if params.is_empty() { "" } else { text(params, 0)? };
    let (fleet, ..) = parts!(context);
    let allows = fleet.supvisors().is_some_and(|one| one.options.synchro_options.0.contains(&Synchro::User));
    if !allows {
        return Err(Code::NotApplicable.with("USER expected in synchro_options"));
    }
    if fleet.master().is_some() {
        return Err(Code::BadSupvisorsState.with("Supvisors synchronization ending"));
    }
    let mut named = None;
    if !master.is_empty() {
        let found: Vec<_> =
            fleet.called(master).into_iter().filter_map(|peer| Some((peer, fleet.member(peer)?))).collect();
        match found[..] {
            [] => return Err(Code::BadName.with(format!("unknown Supvisors identifier={master}"))),
            [(peer, member)] if member.state == InstanceState::Running => named = Some(peer),
            [(_, member)] => {
                let (name, state) = (&member.who.identifier, member.state.name());
                return Err(Code::NotRunning.with(format!("Supvisors instance={name} is not RUNNING ({state})")));
            }
            _ => {
                let names = list(found.iter().map(|(_, member)| member.who.identifier.as_str()));
                let text = format!("multiple identifiers={names} found for Supvisors master={master}");
                return Err(Code::IncorrectParameters.with(text));
            }
        }
    }
    fleet.end_synchronisation(named);
    Ok(true.into())
}

/// Levels in the order in which they are told, the most severe first.
fn levels() -> Vec<Level> {
    let mut levels = Level::ALL.to_vec();
    crate::sort::by_key(&mut levels, |level| std::cmp::Reverse(*level as i64));
    levels
}

fn change_log_level(_: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let wrong = |text: String| Code::IncorrectParameters.with(format!("invalid logger value={text}"));
    match params.first() {
        Some(Value::Str(name)) if levels().iter().any(|level| level.config_name() == name.to_lowercase()) => {}
        Some(Value::Str(name)) => {
            let names = list(levels().into_iter().map(Level::config_name));
            return Err(wrong(format!("{name} - string expected in {names}")));
        }
        Some(Value::Int(number)) if levels().iter().any(|level| *level as i64 == *number) => {}
        Some(Value::Int(number)) => {
            let numbers: Vec<String> = levels().iter().map(|level| (*level as i64).to_string()).collect();
            return Err(wrong(format!("{number} - integer expected in [{}]", numbers.join(", "))));
        }
        other => {
            let text = other.map_or("None".to_string(), pyrepr::value);
            return Err(wrong(format!("{text} type=<class '{}'> - type string or integer expected", class(other))));
        }
    }
    Ok(true.into())
}

fn update_collecting_period(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let (secs, is_exact) = match params.first() {
        Some(Value::Double(secs)) => (*secs, true),
        Some(Value::Int(secs)) => (*secs as f64, false),
        _ => return Err(Code::IncorrectParameters.bare()),
    };
    if !Period::allows(secs) {
        return Err(Code::IncorrectParameters.with(format!("period={} - 1 to 3600 expected", pyrepr::float(secs))));
    }
    let stats = &mut fleet(context)?.stats;
    (stats.period, stats.is_exact) = (secs, is_exact);
    Ok(true.into())
}
