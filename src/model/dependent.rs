//! First starts by the states that others have reached once (`dependent_startup`, O-1): the machine of the listener
//! supervisord-dependent-startup, for the daemon and for whoever listens.
//!
//! A service is all processes of a program. It has reached a state when each of them has been in it once since the
//! beginning; what they are now does not matter. Each is handed out once, as soon as all that it waits for is reached.

use std::collections::BTreeMap;

use crate::config::dependent::Dependent;
use crate::state::ProcessState;

/// Who waits for which states, and what was reached. A process is a key of whoever asks.
#[derive(Clone, Debug)]
pub struct Dependents<K> {
    services: Vec<Entry<K>>,
    /// The services of a process.
    of: BTreeMap<K, Vec<usize>>,
}

#[derive(Clone, Debug)]
struct Entry<K> {
    service: Dependent,
    processes: Vec<K>,
    /// Which of its processes have been in a state.
    reached: BTreeMap<i32, Vec<K>>,
    /// Who waits for it.
    waiters: Vec<usize>,
    /// It was handed out, or started by somebody else.
    is_started: bool,
}

impl<K> Entry<K> {
    fn has_reached(&self, state: ProcessState) -> bool {
        self.reached.get(&state.code()).is_some_and(|reached| reached.len() == self.processes.len())
    }
}

impl<K: Clone + Ord> Dependents<K> {
    /// Services and their processes, as `processes_of` knows them.
    pub fn new(services: Vec<Dependent>, processes_of: impl Fn(&str) -> Vec<K>) -> Dependents<K> {
        let mut of: BTreeMap<K, Vec<usize>> = BTreeMap::new();
        let mut waiters = vec![Vec::new(); services.len()];
        for (index, service) in services.iter().enumerate() {
            for (on, _) in &service.waits {
                waiters[*on].push(index);
            }
        }
        let mut entries = Vec::with_capacity(services.len());
        for ((index, service), waiters) in services.into_iter().enumerate().zip(waiters) {
            let processes = processes_of(&service.name);
            for process in &processes {
                of.entry(process.clone()).or_default().push(index);
            }
            entries.push(Entry { service, processes, reached: BTreeMap::new(), waiters, is_started: false });
        }
        Dependents { services: entries, of }
    }

    /// The processes to be started at the beginning: of those services that wait for nothing.
    pub fn begin(&mut self) -> Vec<K> {
        let all = (0..self.services.len()).collect();
        self.hand_out(all)
    }

    /// A process has entered a state; the processes that are to be started now, in this order.
    pub fn entered(&mut self, process: K, state: ProcessState) -> Vec<K> {
        let Some(indices) = self.of.get(&process) else { return Vec::new() };
        let mut concerned = Vec::new();
        for index in indices {
            let entry = &mut self.services[*index];
            entry.is_started |= state == ProcessState::Starting;
            let reached = entry.reached.entry(state.code()).or_default();
            if reached.contains(&process) {
                continue;
            }
            reached.push(process.clone());
            if reached.len() == entry.processes.len() {
                concerned.extend(&entry.waiters);
            }
        }
        self.hand_out(concerned)
    }

    /// What one that is to be started waits for: each service of which no state has been reached, the states, and those of its
    /// processes that have been in none of them.
    pub fn obstacles(&self, process: &K) -> Vec<(&str, &[ProcessState], Vec<K>)> {
        let entries = self.of.get(process).into_iter().flatten().map(|index| &self.services[*index]);
        let waiting = entries.filter(|entry| entry.service.is_handled && !entry.is_started);
        let waits = waiting.flat_map(|entry| &entry.service.waits).map(|(on, states)| (&self.services[*on], states));
        let unmet = waits.filter(|(on, states)| !states.iter().any(|state| on.has_reached(*state)));
        let shown = unmet.map(|(on, states)| {
            let has_been = |process: &&K| {
                let mut reached = states.iter().filter_map(|state| on.reached.get(&state.code()));
                reached.any(|reached| reached.contains(process))
            };
            let missing = on.processes.iter().filter(|process| !has_been(process)).cloned().collect();
            (on.service.name.as_str(), states.as_slice(), missing)
        });
        shown.collect()
    }

    /// Whether all that were to be started are up, or were given up.
    #[cfg_attr(not(feature = "applets"), allow(dead_code))]
    pub fn are_up(&self) -> bool {
        self.services.iter().all(|entry| {
            let is_up = entry.has_reached(ProcessState::Running) || entry.has_reached(ProcessState::Fatal);
            !entry.service.is_handled || is_up
        })
    }

    /// Whether nobody is left to be started.
    pub fn is_done(&self) -> bool {
        self.services.iter().all(|entry| entry.is_started || !entry.service.is_handled)
    }

    fn hand_out(&mut self, mut indices: Vec<usize>) -> Vec<K> {
        crate::sort::by_key(&mut indices, |index| (self.services[*index].service.rank(), *index));
        indices.dedup();
        let mut processes = Vec::new();
        for index in indices {
            let entry = &self.services[index];
            let is_met = |(on, states): &(usize, Vec<ProcessState>)| {
                states.iter().any(|state| self.services[*on].has_reached(*state))
            };
            if entry.is_started || !entry.service.is_handled || !entry.service.waits.iter().all(is_met) {
                continue;
            }
            processes.extend_from_slice(&entry.processes);
            self.services[index].is_started = true;
        }
        processes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProcessState::*;

    fn service(name: &str, priority: i64, is_handled: bool, waits: &[(usize, &[ProcessState])]) -> Dependent {
        let waits = waits.iter().map(|(on, states)| (*on, states.to_vec())).collect();
        Dependent { name: name.to_string(), is_handled, priority, waits }
    }

    /// Processes are numbered: 10 and 11 of `a`, 20 of `b`, 30 of `x`, 40 of `y`.
    fn dependents() -> Dependents<u32> {
        let services = vec![
            service("a", 999, false, &[]),
            service("b", 999, true, &[]),
            service("x", 999, true, &[(0, &[Running]), (1, &[Exited, Fatal])]),
            service("y", 5, true, &[(1, &[Exited])]),
        ];
        Dependents::new(services, |name| match name {
            "a" => vec![10, 11],
            "b" => vec![20],
            "x" => vec![30],
            _ => vec![40],
        })
    }

    #[test]
    fn each_is_started_once_when_all_it_waits_for_was_reached() {
        let mut dependents = dependents();
        assert_eq!(dependents.begin(), [20]);
        assert_eq!(dependents.obstacles(&20), [], "it was handed out");
        let waits: [(&str, &[ProcessState], Vec<u32>); 2] =
            [("a", &[Running], vec![10, 11]), ("b", &[Exited, Fatal], vec![20])];
        assert_eq!(dependents.obstacles(&30), waits);
        let rows: [(u32, ProcessState, &[u32]); 8] = [
            (10, Running, &[]),
            (10, Exited, &[]),
            (11, Starting, &[]),
            (11, Running, &[]),
            // Both at once, and y has a priority.
            (20, Exited, &[40, 30]),
            (20, Starting, &[]),
            (20, Exited, &[]),
            (99, Running, &[]),
        ];
        for (process, state, expected) in rows {
            assert_eq!(dependents.entered(process, state), expected, "{process} {state:?}");
        }
        assert!(dependents.is_done());
    }

    #[test]
    fn one_that_somebody_started_is_left_alone() {
        let mut dependents = dependents();
        dependents.begin();
        assert_eq!(dependents.entered(40, Starting), [0; 0]);
        assert_eq!(dependents.entered(20, Exited), [0; 0]);
        assert!(!dependents.is_done());
    }
}
