//! What is remembered of the past, as calls answer it.

use super::{Context, Outcome, text};
use crate::clock::Wall;
use crate::fault::{Code, Fault};
use crate::model::history::{What, Why};
use crate::wire::value::Value;

/// The last changes of state of a process, the oldest first.
pub(super) fn of_process(context: &mut Context<'_>, params: &[Value]) -> Result<Outcome, Fault> {
    let name = text(params, 0)?;
    let roster = &context.daemon.roster;
    let process = roster.find_process(name).and_then(|id| roster.process(id));
    let process = process.ok_or_else(|| Code::BadName.with(name))?;
    let changes = process.history.changes().map(|entered| {
        let mut members = vec![at(entered.at), ("statename".into(), entered.state.name().into())];
        push_why(&mut members, &entered.why);
        Value::Struct(members)
    });
    Ok(Value::Array(changes.collect()).into())
}

/// What happened lately, the oldest first.
pub(super) fn of_all(context: &mut Context<'_>, _: &[Value]) -> Result<Outcome, Fault> {
    let moments = context.daemon.activity.all().map(|(_, moment)| {
        let name = moment.process.as_ref().map_or("", |(_, name)| name);
        let what = match &moment.what {
            What::State(state) => state.name(),
            What::Made => "added",
            What::Gone => "removed",
            What::Word(word) => word,
            What::Note(text) => text,
        };
        let mut members =
            vec![at(moment.at), ("name".into(), name.to_string().into()), ("what".into(), what.to_string().into())];
        push_why(&mut members, &moment.why);
        Value::Struct(members)
    });
    Ok(Value::Array(moments.collect()).into())
}

/// Seconds since the epoch, with their fractions: people ask what was first.
fn at(at: Wall) -> (std::borrow::Cow<'static, str>, Value) {
    ("at".into(), Value::Double(at.secs() as f64 + f64::from(at.millis()) / 1000.0))
}

fn push_why(members: &mut Vec<(std::borrow::Cow<'static, str>, Value)>, why: &Why) {
    let (cause, by, method) = match why {
        Why::Itself => (String::new(), "", ""),
        Why::Exit(exit) => (exit.text(), "", ""),
        Why::Text(text) => (text.to_string(), "", ""),
        Why::Asked(asker) => (String::new(), asker.client.as_str(), asker.method.as_str()),
    };
    members.extend([
        ("cause".into(), cause.into()),
        ("by".into(), by.to_string().into()),
        ("method".into(), method.to_string().into()),
    ]);
}
