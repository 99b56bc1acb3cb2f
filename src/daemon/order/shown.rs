//! What is told of those that wait: for whom, and why that one is not as it has to be (O-8).

use super::first_delay;
use crate::config::dependency::Condition;
use crate::daemon::Daemon;
use crate::id::ProcId;
use crate::model::gates::Obstacle;
use crate::model::health::HealthState;
use crate::state::ProcessState;

/// Names of dependencies that a description has; the rest are counted.
const NAMES_SHOWN: usize = 3;

impl Daemon {
    /// `Waiting for db (STARTING), migrate (BACKOFF)`; `None` for one that does not wait.
    pub fn waiting_text(&self, id: ProcId) -> Option<String> {
        let wait = self.order.waits.get(&id)?;
        if !self.order.gates.is_open(id) {
            return Some(format!("Waiting for {}", self.obstacle_names(id, true)));
        }
        let process = self.roster.process(id)?;
        let secs = first_delay(process).as_secs_f64();
        wait.not_before?;
        Some(format!("Waiting {secs} s before the first start"))
    }

    /// Those that wait, in the order of their ids.
    pub fn waiting(&self) -> impl Iterator<Item = ProcId> {
        self.order.waits.keys().copied()
    }

    /// Each process that one waits for, what has failed first, by the first item that it stands in the way of; then items that
    /// nothing has.
    pub fn obstacles_of(&self, id: ProcId) -> Vec<(String, &'static str, &'static str)> {
        self.each_obstacle(id).collect()
    }

    fn each_obstacle(&self, id: ProcId) -> impl Iterator<Item = (String, &'static str, &'static str)> + '_ {
        let is_there = |name: &str| self.roster.group_named(name.strip_suffix(":*").unwrap_or(name)).is_some();
        let word = move |name: &str| if is_there(name) { "empty" } else { "removed" };
        let absent = self.order.gates.absent(id);
        let absent = absent.map(move |item| (item.name.clone(), item.condition.name(), word(&item.name)));
        // What has failed comes first: only some are shown.
        let gates = &self.order.gates;
        let either = [true, false].into_iter();
        let all = either.flat_map(move |fails| gates.distinct_obstacles(id).filter(move |one| one.fails == fails));
        let known = all.map(|obstacle| {
            let name = self.roster.namespec(obstacle.process).unwrap_or_default();
            (name, obstacle.item.condition.name(), self.word_for(&obstacle))
        });
        known.chain(absent)
    }

    /// Why a dependency is not as it has to be, in a word.
    fn word_for(&self, obstacle: &Obstacle<'_>) -> &'static str {
        let id = obstacle.process;
        let Some((group, process)) = self.roster.member(id) else { return "removed" };
        let state = self.facts(id).map_or(process.machine.state(), |facts| facts.state);
        let is_off = state == ProcessState::Stopped && !process.config.program.autostart;
        if obstacle.item.condition == Condition::Healthy && state == ProcessState::Running {
            let is_known = self.care_of(id).is_some_and(|known| known.health.state == HealthState::Unhealthy);
            return if is_known { "unhealthy" } else { "health unknown" };
        }
        // One that was added at run time has all its options from there, and may have been added so.
        let is_added = self.dynamic.journal().own(group.name(), &process.config.program.name).is_some();
        let is_disabled = match is_added {
            true => self.order.disabled.contains(&id),
            false => self.dynamic.overrides(&process.config.program.name, "autostart"),
        };
        if is_off && is_disabled { "disabled" } else { state.name() }
    }

    pub(super) fn obstacle_names(&self, id: ProcId, with_states: bool) -> String {
        // The others are only counted: they may be thousands, of each of hundreds that are told of in one turn.
        let shown: Vec<_> = self.each_obstacle(id).take(NAMES_SHOWN).map(|(name, _, state)| (name, state)).collect();
        let all = self.order.gates.distinct_obstacles(id).count() + self.order.gates.absent(id).count();
        listed(shown, all, with_states)
    }
}

/// The first names, with the state of each if that is wanted, and how many more of `all` there are.
pub(in crate::daemon) fn listed(obstacles: Vec<(String, &'static str)>, all: usize, with_states: bool) -> String {
    let more = all.saturating_sub(NAMES_SHOWN);
    let shown = obstacles.into_iter().take(NAMES_SHOWN);
    let names = shown.map(|(name, state)| if with_states { format!("{name} ({state})") } else { name });
    let names = names.collect::<Vec<_>>().join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O-1, section 11: three at most, with their states or without, and how many more.
    #[test]
    fn some_are_named_and_the_rest_counted() {
        let rows = [
            (0, 0, false, ""),
            (1, 1, true, "p0 (STARTING)"),
            (3, 3, true, "p0 (STARTING), p1 (STARTING), p2 (STARTING)"),
            (3, 8, true, "p0 (STARTING), p1 (STARTING), p2 (STARTING) and 5 more"),
            (3, 8, false, "p0, p1, p2 and 5 more"),
            // Whoever hands over more than are shown is told of them as of the others.
            (5, 5, false, "p0, p1, p2 and 2 more"),
        ];
        for (given, all, with_states, expected) in rows {
            let obstacles = (0..given).map(|n| (format!("p{n}"), "STARTING")).collect();
            assert_eq!(listed(obstacles, all, with_states), expected, "{given} of {all}");
        }
    }
}
