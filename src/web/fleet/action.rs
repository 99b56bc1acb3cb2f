//! What a form of these pages asks for: `action` of `app`, or of `process`, there on `host` alone if that is given.

use crate::fault::Fault;
use crate::fleet::asked::Target;
use crate::wire::fleet::command::Verb;
use crate::wire::form::{Form, quote};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What is to be done.
    pub verb: Verb,
    /// With what.
    pub target: Target,
}

impl Action {
    /// That of a form; `None` if it is none that there is.
    pub fn of(form: &Form) -> Option<Action> {
        let action = form.get("action")?;
        let verb = Verb::ALL.into_iter().find(|verb| verb.name() == action)?;
        let target = match (form.get("process"), form.get("app")) {
            (Some(name), _) => Target::Process { name: name.to_owned(), host: form.get("host").map(str::to_owned) },
            (_, Some(name)) => Target::Application(name.to_owned()),
            _ => return None,
        };
        Some(Action { verb, target })
    }

    /// Where the browser is sent then: to the view that it is about, which says what came of it.
    pub fn location(&self, fault: Option<&Fault>) -> String {
        let (view, what) = match &self.target {
            Target::Application(name) => (format!("app={}", quote(name)), name.clone()),
            Target::Process { name, host: Some(host) } => {
                (format!("host={}", quote(host)), format!("{name} on {host}"))
            }
            Target::Process { name, host: None } => {
                let app = name.split(':').next().unwrap_or_default();
                (format!("app={}", quote(app)), name.clone())
            }
        };
        let word = self.verb.name();
        let message = match fault {
            Some(fault) => format!("ERROR: {word} {what}: {}", fault.extra.as_deref().unwrap_or(fault.code.name())),
            None => format!("Asked to {word} {what}"),
        };
        format!("fleet.html?{view}&message={}", quote(&message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Code;

    #[test]
    fn forms_and_where_they_lead() {
        let fault = Code::Failed.with("it runs on n1");
        let rows = [
            ("action=start&app=my+shop", None, "fleet.html?app=my%20shop&message=Asked%20to%20start%20my%20shop"),
            ("action=stop&process=a:b", None, "fleet.html?app=a&message=Asked%20to%20stop%20a%3Ab"),
            (
                "action=restart&process=a&host=n2",
                Some(&fault),
                "fleet.html?host=n2&message=ERROR%3A%20restart%20a%20on%20n2%3A%20it%20runs%20on%20n1",
            ),
        ];
        for (body, fault, expected) in rows {
            let action = Action::of(&Form::parse("", body.as_bytes())).expect("an action");
            assert_eq!(action.location(fault), expected, "{body}");
        }
        for body in ["", "action=start", "action=kill&app=a", "app=a", "action=start&host=n1"] {
            assert_eq!(Action::of(&Form::parse("", body.as_bytes())), None, "{body}");
        }
    }
}
