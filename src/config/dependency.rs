//! `depends_on` as it is written (O-1): items, each a name and what has to be true of the processes that it means.

use std::collections::HashSet;
use std::fmt;

use super::datatypes::Datatype;
use super::env::Env;

/// Items of one `depends_on`. More are a mistake of whoever made the file.
const ITEMS_MAX: usize = 1000;

/// What has to be true of a process that another one waits for (O-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// It is RUNNING, whether or not it says that it is ready.
    Running,
    /// It is RUNNING by its own `ready=`; a program without one is ready when it is RUNNING.
    Ready,
    /// It is RUNNING and its last liveness checks passed; a program without any is healthy when it is RUNNING.
    Healthy,
    /// Its last run since the daemon started ended as expected, and it does not run again.
    Completed,
    /// Its last run ended, however that was.
    Ended,
    /// It is STARTING or RUNNING.
    Spawned,
}

impl Condition {
    /// Its name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Running => "running",
            Condition::Ready => "ready",
            Condition::Healthy => "healthy",
            Condition::Completed => "completed",
            Condition::Ended => "ended",
            Condition::Spawned => "spawned",
        }
    }

    /// Whether somebody minds that it ceases to hold (`on_dependency_stop`).
    pub fn is_lasting(self) -> bool {
        matches!(self, Condition::Running | Condition::Ready | Condition::Healthy)
    }

    /// Whether it has a place in the order of stopping (O-2). What has ended needs no order.
    pub fn orders_stops(self) -> bool {
        !matches!(self, Condition::Completed | Condition::Ended)
    }

    /// The condition of that name, or what is wrong with it.
    pub(super) fn named(name: &str) -> Result<Condition, String> {
        Ok(match name {
            "running" => Condition::Running,
            "ready" => Condition::Ready,
            "healthy" | "service_healthy" => Condition::Healthy,
            "completed" | "service_completed_successfully" => Condition::Completed,
            "ended" => Condition::Ended,
            "spawned" | "service_started" => Condition::Spawned,
            "exited" | "done" => {
                return Err(format!("the condition '{name}' is ambiguous: say completed (it succeeded) or ended"));
            }
            "" => return Err("a condition must follow '='".to_string()),
            _ => {
                return Err(format!(
                    "unknown condition '{name}': it is one of running, ready, healthy, completed, ended, spawned"
                ));
            }
        })
    }
}

/// One item: a name, and what has to be true of every process it means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dependency {
    /// `group:process`, `group:*`, a program or a group.
    pub name: String,
    /// What has to be true.
    pub condition: Condition,
}

impl fmt::Display for Dependency {
    /// As in a file; `running` is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.condition {
            Condition::Running => f.write_str(&self.name),
            condition => write!(f, "{}={}", self.name, condition.name()),
        }
    }
}

/// The value of `depends_on`: `db=ready, migrate=completed, cache, workers:*=running`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DependsOn(pub Vec<Dependency>);

impl fmt::Display for DependsOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> = self.0.iter().map(Dependency::to_string).collect();
        f.write_str(&items.join(", "))
    }
}

impl Datatype for DependsOn {
    const KIND: &'static str = "names with conditions";

    fn parse(text: &str, _: &dyn Env) -> Result<DependsOn, String> {
        if text.trim().is_empty() {
            return Ok(DependsOn::default());
        }
        let mut items = Vec::new();
        let mut seen = HashSet::new();
        for (count, item) in text.split(',').map(str::trim).enumerate() {
            let (name, condition) = match item.split_once('=') {
                None => (item, Condition::Running),
                Some((name, condition)) => {
                    let condition = Condition::named(condition.trim());
                    (name.trim(), condition.map_err(|reason| format!("depends_on: '{item}': {reason}"))?)
                }
            };
            if name.is_empty() {
                return Err(format!("depends_on has an item without a name in '{text}'"));
            }
            if count == ITEMS_MAX {
                return Err(format!("depends_on has more than {ITEMS_MAX} items"));
            }
            let item = Dependency { name: name.to_string(), condition };
            if seen.insert(item.clone()) {
                items.push(item);
            }
        }
        Ok(DependsOn(items))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    fn parse(text: &str) -> Result<DependsOn, String> {
        DependsOn::parse(text, &Fake::new())
    }

    #[test]
    fn texts_and_items() {
        let rows = [
            ("", Ok("")),
            (" db ", Ok("db")),
            (
                "db=ready, migrate=completed, cache, workers:*=running",
                Ok("db=ready, migrate=completed, cache, workers:*"),
            ),
            (" d:d_0 , e = ended,d:* = spawned ", Ok("d:d_0, e=ended, d:*=spawned")),
            ("a=service_healthy,b=service_started", Ok("a=healthy, b=spawned")),
            ("a=service_completed_successfully", Ok("a=completed")),
            ("a,a,a=ready", Ok("a, a=ready")),
            ("b:exited", Ok("b:exited")),
            ("a=exited", Err("completed (it succeeded) or ended")),
            ("a=done", Err("completed (it succeeded) or ended")),
            ("a=happy", Err("unknown condition 'happy'")),
            ("a=", Err("a condition must follow '='")),
            ("a,,b", Err("an item without a name")),
            ("=ready", Err("an item without a name")),
        ];
        for (text, expected) in rows {
            match (parse(text), expected) {
                (Ok(items), Ok(shown)) => assert_eq!(items.to_string(), shown, "{text:?}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{text:?}: {error}"),
                (got, _) => panic!("{text:?}: {got:?}"),
            }
        }
        let many: Vec<String> = (0..=ITEMS_MAX).map(|n| format!("p{n}")).collect();
        assert!(parse(&many.join(",")).is_err());
        assert_eq!(parse(&many[1..].join(",")).map(|items| items.0.len()), Ok(ITEMS_MAX));
        assert!(parse(&vec!["p"; ITEMS_MAX + 1].join(",")).is_err(), "one name as often counts as often");
    }
}
