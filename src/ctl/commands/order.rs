//! deps, enable, disable, and what start, stop and restart do that goes by the order of programs (O-1, O-2, O-7, O-8).

use std::collections::{BTreeMap, BTreeSet};

use super::act::{print_results_of_start, print_results_of_stop, start_names, stop_names};
use super::flags::{Flags, refuse_unknown};
use super::names::{array, expand, namespec_of, number, text, texts};
use crate::ctl::error::Error;
use crate::ctl::session::Session;
use crate::fault::Code;
use crate::wire::value::Value;

/// Deepest line of a tree that is indented further; a chain of thousands is not wider than any terminal.
const DEPTH_MAX: usize = 40;

fn list(names: &[String]) -> Value {
    Value::Array(names.iter().cloned().map(Value::from).collect())
}

/// A call about names. One that is none is reported as the other commands do, and ends it.
fn call(session: &mut Session, method: &str, params: &[Value]) -> Result<Option<Value>, Error> {
    match session.call(method, params) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is(Code::BadName) => {
            let name = error.text();
            let name = name.strip_prefix("BAD_NAME: ").unwrap_or(&name).to_string();
            session.print(&format!("{name}: ERROR (no such process)"));
            session.status = 1;
            Ok(None)
        }
        Err(error) if error.is(Code::UnknownMethod) => {
            session.print("ERROR: this supervisord knows nothing of what depends on what");
            session.status = 1;
            Ok(None)
        }
        Err(error) if error.is(Code::Failed) || error.is(Code::IncorrectParameters) => {
            let text = error.text();
            let text = text.split_once(": ").map_or(text.as_str(), |(_, text)| text);
            session.print(&format!("ERROR ({text})"));
            session.status = 1;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Starts what is missing of what they depend on, too: `start --with-deps`.
pub(super) fn start_with_deps(session: &mut Session, names: &[String]) -> Result<(), Error> {
    match call(session, "stheno.startWithDependencies", &[list(names)])? {
        Some(results) => print_results_of_start(session, &array(results)?),
        None => Ok(()),
    }
}

/// Stops what depends on them first: `stop --with-dependents`.
pub(super) fn stop_with_dependents(session: &mut Session, names: &[String]) -> Result<(), Error> {
    match call(session, "stheno.stopWithDependents", &[list(names)])? {
        Some(results) => print_results_of_stop(session, &array(results)?),
        None => Ok(()),
    }
}

/// `restart --with-dependents`: down in reverse, up in order. Who depends on them and was down stays down, and who waits goes
/// on waiting: that may be for something else, which nobody starts here. For the same reason those that were up wait for each
/// other alone.
pub(super) fn restart_with_dependents(session: &mut Session, names: &[String]) -> Result<(), Error> {
    let params = [list(names), true.into(), false.into()];
    let Some(results) = call(session, "stheno.stopWithDependents", &params)? else { return Ok(()) };
    let results = array(results)?;
    print_results_of_stop(session, &results)?;
    let mut wanted = names.to_vec();
    // Up in order, and told in it.
    for result in results.iter().rev() {
        let name = namespec_of(result)?;
        if !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    match call(session, "stheno.startInOrder", &[list(&wanted), true.into(), true.into()])? {
        Some(results) => print_results_of_start(session, &array(results)?),
        None => Ok(()),
    }
}

/// `restart --only`: what depends on them takes no notice.
pub(super) fn restart_only(session: &mut Session, names: &[String]) -> Result<(), Error> {
    let Some(results) = call(session, "stheno.stopOnly", &[list(names)])? else { return Ok(()) };
    print_results_of_stop(session, &array(results)?)?;
    start_names(session, names)
}

/// Restarts some at a time: `restart --rolling`.
pub(super) fn restart_rolling(session: &mut Session, names: &[String], flags: &Flags) -> Result<(), Error> {
    let mut params = vec![list(names)];
    match (flags.max_unavailable, flags.timeout) {
        (None, None) => {}
        (number, timeout) => {
            // The number comes before the time; 0 leaves it to the programs.
            params.push(Value::Int(number.unwrap_or(0)));
            params.extend(timeout.map(Value::Double));
        }
    }
    let Some(results) = call(session, "stheno.restartRolling", &params)? else { return Ok(()) };
    for result in array(results)? {
        let name = namespec_of(&result)?;
        let code = number(&result, "status")?;
        let line = match Code::Success as i64 == code {
            true => format!("{name}: restarted"),
            false if Code::Failed as i64 == code => format!("{name}: not restarted"),
            false if Code::SpawnError as i64 == code => format!("{name}: ERROR (spawn error)"),
            false => format!("{name}: ERROR (abnormal termination)"),
        };
        session.print(&line);
        if code != Code::Success as i64 {
            session.status = 1;
        }
    }
    Ok(())
}

/// Programs start by themselves from now on: `enable NAME… [--now]`.
pub fn enable(session: &mut Session, arguments: &str) -> Result<(), Error> {
    set_autostart(session, arguments, true)
}

/// Programs do not start by themselves any more: `disable NAME… [--now]`.
pub fn disable(session: &mut Session, arguments: &str) -> Result<(), Error> {
    set_autostart(session, arguments, false)
}

fn set_autostart(session: &mut Session, arguments: &str, autostart: bool) -> Result<(), Error> {
    let verb = if autostart { "enable" } else { "disable" };
    let mut names: Vec<String> = arguments.split_whitespace().map(str::to_string).collect();
    let known = ["--now"];
    let flags = Flags::take(&mut names, &known)?;
    refuse_unknown(session, (verb, &known), &names, 1)?;
    if names.is_empty() {
        return Err(Error::usage(format!("Error: {verb} requires a process name"), 1));
    }
    let names = expand(session, names)?;
    let mut done = Vec::new();
    for name in names {
        match session.call("stheno.setAutostart", &[Value::from(name.clone()), Value::Bool(autostart)]) {
            Ok(_) => {
                session.print(&format!("{name}: {verb}d"));
                done.push(name);
            }
            Err(error) if error.is(Code::BadName) => {
                session.print(&format!("{name}: ERROR (no such process)"));
                session.status = 1;
            }
            Err(error) if error.is(Code::Failed) => {
                let text = error.text();
                let text = text.split_once(": ").map_or(text.as_str(), |(_, text)| text);
                session.print(&format!("{name}: ERROR ({text})"));
                session.status = 1;
            }
            Err(error) if error.is(Code::UnknownMethod) => {
                session.print("ERROR: this supervisord cannot do that");
                session.status = 1;
            }
            Err(error) => return Err(error),
        }
    }
    match (flags.now && !done.is_empty(), autostart) {
        (false, _) => Ok(()),
        (true, true) => start_names(session, &done),
        (true, false) => stop_names(session, &done),
    }
}

/// Prints what depends on what, or the order of stopping: `deps [--stop] [NAME…]`.
pub fn deps(session: &mut Session, arguments: &str) -> Result<(), Error> {
    let mut names: Vec<String> = arguments.split_whitespace().map(str::to_string).collect();
    let is_stop = names.iter().any(|name| name == "--stop");
    names.retain(|name| name != "--stop");
    refuse_unknown(session, ("deps", &["--stop"]), &names, 1)?;
    let names = expand(session, names)?;
    let Some(graph) = call(session, "stheno.getGraph", &[])? else { return Ok(()) };
    let tree = Tree::read(&graph)?;
    let lines = if is_stop { stops(&graph, &tree, &names)? } else { tree.lines(&names) };
    for line in lines {
        match line {
            Ok(line) => session.print(&line),
            Err(unknown) => {
                session.print(&format!("{unknown}: ERROR (no such process)"));
                session.status = 1;
            }
        }
    }
    Ok(())
}

/// A line to be printed, or a name that nothing has.
type Line = Result<String, String>;

/// The order of stopping: of all, or of these and what depends on them.
fn stops(graph: &Value, tree: &Tree, names: &[String]) -> Result<Vec<Line>, Error> {
    let mut lines: Vec<Line> = Vec::new();
    let mut found = Vec::new();
    for name in names {
        match tree.named(name) {
            none if none.is_empty() => lines.push(Err(name.clone())),
            some => found.extend(some),
        }
    }
    let concerned = tree.with_dependents(found);
    let mut at = 0;
    for step in array(graph.member("stops").cloned().unwrap_or(Value::Nil))? {
        let mut step = texts(Some(&step))?;
        step.retain(|name| names.is_empty() || concerned.contains(&**name));
        if !step.is_empty() {
            at += 1;
            lines.push(Ok(format!("{at}: {}", step.join(" "))));
        }
    }
    Ok(lines)
}

/// What depends on what, by names.
struct Tree {
    states: BTreeMap<String, String>,
    needs: BTreeMap<String, Vec<(String, String)>>,
    needed: BTreeSet<String>,
}

impl Tree {
    fn read(graph: &Value) -> Result<Tree, Error> {
        let mut tree = Tree { states: BTreeMap::new(), needs: BTreeMap::new(), needed: BTreeSet::new() };
        for node in array(graph.member("nodes").cloned().unwrap_or(Value::Nil))? {
            let is_waiting = matches!(node.member("waiting"), Some(Value::Bool(true)));
            let state = if is_waiting { "waiting" } else { text(&node, "state")? };
            tree.states.insert(text(&node, "name")?.to_string(), state.to_string());
        }
        for edge in array(graph.member("edges").cloned().unwrap_or(Value::Nil))? {
            let (from, to) = (text(&edge, "from")?, text(&edge, "to")?);
            let condition = text(&edge, "condition")?.to_string();
            tree.needs.entry(from.to_string()).or_default().push((to.to_string(), condition));
            tree.needed.insert(to.to_string());
        }
        Ok(tree)
    }

    /// The processes that a name means: one, or all of a group.
    fn named(&self, name: &str) -> Vec<&str> {
        let group = name.strip_suffix(":*").unwrap_or(name);
        let is_meant = |process: &&str| {
            *process == name || process.split_once(':').map_or(*process, |(of_group, _)| of_group) == group
        };
        self.states.keys().map(String::as_str).filter(is_meant).collect()
    }

    /// Processes and all that are to be stopped before them.
    fn with_dependents<'t>(&'t self, mut found: Vec<&'t str>) -> BTreeSet<&'t str> {
        let mut above: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (from, needs) in &self.needs {
            for (to, _) in needs
                .iter()
                .filter(|(_, condition)| matches!(&**condition, "running" | "ready" | "healthy" | "spawned"))
            {
                above.entry(to).or_default().push(from);
            }
        }
        let mut seen = BTreeSet::new();
        while let Some(name) = found.pop() {
            if seen.insert(name) {
                found.extend(above.get(name).into_iter().flatten());
            }
        }
        seen
    }

    /// The trees of these names, or of all on which nothing depends. What has been shown is not shown again.
    fn lines(&self, names: &[String]) -> Vec<Line> {
        let is_root = |name: &&String| self.needs.contains_key(*name) && !self.needed.contains(*name);
        let roots: Vec<&String> = match names.is_empty() {
            true => self.states.keys().filter(is_root).collect(),
            false => names.iter().collect(),
        };
        if names.is_empty() && self.needs.is_empty() {
            return vec![Ok("nothing depends on anything".to_string())];
        }
        let mut lines = Vec::new();
        let mut shown = BTreeSet::new();
        for root in roots {
            let Some(state) = self.states.get(root) else {
                lines.push(Err(root.clone()));
                continue;
            };
            lines.push(Ok(format!("{root} {state}")));
            shown.insert(root);
            let below = |name: &String| self.needs.get(name).into_iter().flatten().rev();
            let mut left: Vec<(usize, &(String, String))> = below(root).map(|need| (1, need)).collect();
            while let Some((depth, (name, condition))) = left.pop() {
                let state = self.states.get(name).map_or("removed", String::as_str);
                let is_new = shown.insert(name);
                let has_more = self.needs.contains_key(name);
                let again = if !is_new && has_more { " (see above)" } else { "" };
                let indent = "  ".repeat(depth.min(DEPTH_MAX));
                lines.push(Ok(format!("{indent}{name}={condition} {state}{again}")));
                if is_new {
                    left.extend(below(name).map(|need| (depth + 1, need)));
                }
            }
        }
        lines
    }
}

/// The two lines that `status --verbose` adds for a process.
pub(super) fn verbose_lines(more: &Value) -> Result<Vec<String>, Error> {
    let mut first = vec![(if text(more, "statename")? == "RUNNING" { "ready" } else { "not ready" }).to_string()];
    let (health, why) = match more.member("health") {
        Some(health) => (text(health, "state")?, text(health, "reason")?),
        None => ("unknown", ""),
    };
    first.push(if why.is_empty() { format!("health {health}") } else { format!("health {health} ({why})") });
    first.push(format!("restarts {}", number(more, "restarts")?));
    let reason = text(more, "reason")?;
    if !reason.is_empty() {
        first.push(format!("last exit {reason}"));
    }
    // What nobody has said is left out of the answer.
    for (member, who) in [("status_text", "says"), ("probe_text", "probe says")] {
        if let Ok(said) = text(more, member)
            && !said.is_empty()
        {
            first.push(format!("{who} {said}"));
        }
    }
    let names = |member: &str, second: &str, unless: &str| -> Result<Vec<String>, Error> {
        let items = array(more.member(member).cloned().unwrap_or(Value::Array(Vec::new())))?;
        let shown = |item: &Value| -> Result<String, Error> {
            let (name, word) = (text(item, "name")?, text(item, second)?);
            Ok(match word == unless {
                true => name.to_string(),
                false if second == "state" => format!("{name} ({word})"),
                false => format!("{name}={word}"),
            })
        };
        items.iter().map(shown).collect()
    };
    let depends = names("depends_on", "condition", "running")?;
    let waits = names("waiting_for", "state", "")?;
    let mut second = vec![match depends.is_empty() {
        true => "depends on nothing".to_string(),
        false => format!("depends on {}", depends.join(", ")),
    }];
    if !waits.is_empty() {
        second.push(format!("waits for {}", waits.join(", ")));
    }
    Ok(vec![format!("    {}", first.join(", ")), format!("    {}", second.join("; "))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(members: &[(&'static str, Value)]) -> Value {
        Value::Struct(members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }

    #[test]
    fn a_tree_shows_each_once() {
        let node = |name: &'static str, state: &'static str| {
            pairs(&[("name", name.into()), ("state", state.into()), ("waiting", Value::Bool(name == "web"))])
        };
        let edge = |from: &'static str, to: &'static str, condition: &'static str| {
            pairs(&[("from", from.into()), ("to", to.into()), ("condition", condition.into())])
        };
        let graph = pairs(&[
            (
                "nodes",
                Value::Array(vec![
                    node("db", "RUNNING"),
                    node("migrate", "EXITED"),
                    node("web", "STOPPED"),
                    node("x", "STOPPED"),
                ]),
            ),
            (
                "edges",
                Value::Array(vec![
                    edge("web", "migrate", "completed"),
                    edge("web", "db", "running"),
                    edge("migrate", "db", "ready"),
                ]),
            ),
        ]);
        let lines = Tree::read(&graph).unwrap().lines(&[]);
        let expected = ["web waiting", "  migrate=completed EXITED", "    db=ready RUNNING", "  db=running RUNNING"];
        assert_eq!(lines.into_iter().map(Result::unwrap).collect::<Vec<_>>(), expected);
        let lines = Tree::read(&graph).unwrap().lines(&["db".into(), "nope".into()]);
        assert_eq!(lines, [Ok("db RUNNING".to_string()), Err("nope".to_string())]);
    }

    #[test]
    fn flags_are_taken_and_names_stay() {
        let mut words: Vec<String> = ["a", "--rolling", "--max-unavailable=3", "-x"].map(str::to_string).to_vec();
        let flags = Flags::take(&mut words, &["--rolling", "--max-unavailable", "--timeout"]).unwrap();
        assert_eq!((words, flags.rolling, flags.max_unavailable), (vec!["a".to_string(), "-x".into()], true, Some(3)));
        for wrong in ["--timeout", "--timeout=x", "--max-unavailable=0", "--rolling=1"] {
            let known = ["--rolling", "--max-unavailable", "--timeout"];
            assert!(Flags::take(&mut vec![wrong.to_string()], &known).is_err(), "{wrong}");
        }
    }
}
