//! Where a process is started: candidates, their loads, and the strategy (V-350 to V-355).

use crate::config::fleet::StartingStrategy;

/// Percent of a machine that may be taken.
const LOAD_MAX: i64 = 100;

/// An instance on which a process may be started, with what is expected of the processes that run there or are about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its place in the list of all instances.
    pub instance: usize,
    /// What its own processes are expected to take, in percent of the machine.
    pub load: i64,
    /// The load of its machine, over all instances there.
    pub node_load: i64,
}

/// The instance on which a process is started that is expected to take so much; `local` is the one that is asked.
/// `None`: there is no room anywhere.
pub fn choose(strategy: StartingStrategy, candidates: &[Candidate], expected: i64, local: usize) -> Option<usize> {
    let valid = || candidates.iter().filter(|one| expected == 0 || one.node_load + expected <= LOAD_MAX);
    let by_instance = |one: &&Candidate| (one.load, one.node_load);
    let by_node = |one: &&Candidate| (one.node_load, one.load);
    // Of equals the least is the first and the greatest the last, as of those that the original sorts.
    let found = match strategy {
        StartingStrategy::Config => valid().next(),
        StartingStrategy::LessLoaded => valid().min_by_key(by_instance),
        StartingStrategy::MostLoaded => valid().max_by_key(by_instance),
        StartingStrategy::LessLoadedNode => valid().min_by_key(by_node),
        StartingStrategy::MostLoadedNode => valid().max_by_key(by_node),
        StartingStrategy::Local => valid().find(|one| one.instance == local),
    };
    found.map(|one| one.instance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use StartingStrategy::*;

    /// Candidates 0 and 1 share a machine, 2 has one of its own.
    fn candidates(loads: [i64; 3]) -> Vec<Candidate> {
        let shared = loads[0] + loads[1];
        let nodes = [shared, shared, loads[2]];
        (0..3).map(|at| Candidate { instance: at, load: loads[at], node_load: nodes[at] }).collect()
    }

    #[test]
    fn strategies() {
        let rows = [
            (Config, [0, 0, 0], 10, Some(0)),
            (LessLoaded, [0, 0, 0], 10, Some(0)),
            (MostLoaded, [0, 0, 0], 10, Some(2)),
            (LessLoadedNode, [0, 0, 0], 10, Some(0)),
            (MostLoadedNode, [0, 0, 0], 10, Some(2)),
            (Local, [0, 0, 0], 10, Some(1)),
            (LessLoaded, [20, 10, 15], 10, Some(1)),
            (LessLoadedNode, [20, 10, 25], 10, Some(2)),
            (MostLoaded, [20, 10, 25], 10, Some(2)),
            (MostLoadedNode, [20, 10, 25], 10, Some(0)),
            // A machine that is full takes nothing more, but what takes nothing.
            (Config, [50, 50, 0], 10, Some(2)),
            (Config, [50, 50, 0], 0, Some(0)),
            (Config, [50, 40, 95], 10, Some(0)),
            (Config, [50, 40, 95], 11, None),
            (Local, [50, 50, 0], 1, None),
        ];
        for (strategy, loads, expected, found) in rows {
            assert_eq!(choose(strategy, &candidates(loads), expected, 1), found, "{strategy:?} {loads:?} {expected}");
        }
        assert_eq!(choose(Config, &[], 0, 0), None);
    }
}
