//! What applications are like, and their rules (V-220 to V-222).

use super::{
    AppId, Code, Context, FROM_DISTRIBUTION, Fault, Method, Outcome, Value, application, fleet, gate, parts, record,
    row, strings,
};
use crate::fleet::view::seconds;
use crate::rpc::text;

/// The rows about applications, in the order of the manual.
pub const METHODS: &[Method] = &[
    row("get_all_applications_info", &["list[dict[str, Any]]"], &[], "Give the state of all applications.", all_info),
    row(
        "get_application_info",
        &["dict[str, Any]", "str"],
        &["application"],
        "Give the state of an application.",
        info,
    ),
    row(
        "get_application_rules",
        &["dict[str, Any]", "str"],
        &["application"],
        "Give the rules of an application.",
        rules,
    ),
];

/// An application (V-205 P).
fn described(context: &mut Context<'_>, id: AppId) -> Result<Value, Fault> {
    let (fleet, _, now, _) = parts!(context);
    let name = fleet.view().app(id).map_or("", |app| &app.name);
    let is_managed = fleet.application(id).is_some_and(|application| application.rules.managed);
    let status = fleet.status(id).ok_or_else(|| Code::BadName.with(name))?;
    Ok(record([
        ("application_name", name.to_string().into()),
        ("managed", is_managed.into()),
        ("now_monotonic", Value::Double(seconds(now.mono))),
        ("statecode", status.state.code().into()),
        ("statename", status.state.name().into()),
        ("major_failure", status.major.into()),
        ("minor_failure", status.minor.into()),
    ]))
}

fn all_info(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    let ids: Vec<AppId> = fleet(context)?.view().apps().map(|(id, _)| id).collect();
    let all: Result<Vec<Value>, Fault> = ids.into_iter().map(|id| described(context, id)).collect();
    Ok(Value::Array(all?).into())
}

fn info(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    let id = application(context, text(params, 0)?)?;
    Ok(described(context, id)?.into())
}

/// The rules of an application (V-205 AR).
fn rules(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    gate(context, FROM_DISTRIBUTION)?;
    let name = text(params, 0)?;
    let id = application(context, name)?;
    let (fleet, ..) = parts!(context);
    let application = fleet.application(id).ok_or_else(|| Code::BadName.with(name))?;
    let rules = &application.rules;
    let name = Value::from(name.to_string());
    if !rules.managed {
        return Ok(record([("managed", false.into()), ("application_name", name)]).into());
    }
    let identifiers = fleet.identifiers_of(name.as_str().unwrap_or_default(), rules);
    Ok(record([
        ("managed", true.into()),
        ("distribution", rules.distribution.name().into()),
        ("identifiers", strings(&identifiers)),
        ("start_sequence", rules.start_sequence.into()),
        ("stop_sequence", rules.stop_sequence.into()),
        ("starting_strategy", rules.starting_strategy.name().into()),
        ("starting_failure_strategy", rules.starting_failure.name().into()),
        ("running_failure_strategy", rules.running_failure.name().into()),
        ("status_formula", rules.status_formula.clone().into()),
        ("application_name", name),
    ])
    .into())
}
