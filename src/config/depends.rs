//! `depends_on` (O-1): what a program waits for before it is started.
//!
//! [`resolve`] finds the processes that each item means and refuses names that nothing has, and circles. It looks at processes, not at programs: `db:db_%(process_num)d` pairs them. All of it is
//! iterative, so that no depth of a chain matters.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use super::dependency::{Condition, Dependency};
use super::nearest::nearest;
use super::options::Process;
use super::types::Group;
use crate::namespec;

/// A process, as far as names and dependencies go.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    pub(crate) group: &'a str,
    /// Its name within the group.
    pub name: &'a str,
    /// The section it comes from.
    pub program: &'a str,
    pub(crate) depends_on: &'a [Dependency],
    /// Those of its group, which hold towards everything outside of it.
    pub group_depends_on: &'a [Dependency],
}

/// Why dependencies cannot be met; about the process at that index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// Index of the process whose items are wrong.
    pub node: usize,
    /// What is wrong, in words for the user.
    pub text: String,
    /// The name that nothing has, if it is that.
    pub unknown: Option<String>,
}

/// What all items mean. Plain data: processes and sets are indices.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Resolved {
    /// Sets of processes, each ascending. One for each name, however many wait for it: ten thousand that wait for a
    /// group of ten thousand are no hundred million pairs.
    pub sets: Vec<Vec<usize>>,
    /// Of each set, whether nothing has the name.
    pub absent: Vec<bool>,
    /// What each process waits for, in the order of its items.
    pub needs: Vec<Vec<Need>>,
}

/// One item of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub(crate) item: Dependency,
    /// Which of the sets it means.
    pub set: usize,
    /// It is a group's, and its set lacks the members of that group.
    pub is_partial: bool,
}

/// Finds what the items of each process mean.
///
/// Errors: a name that nothing has, a process that waits for itself, a circle with its whole path.
pub fn resolve(nodes: &[Node<'_>]) -> Result<Resolved, Unresolved> {
    resolve_but_for(nodes, |_, _| false)
}

/// The same where some names may be of what is not there: `may_miss` says so of a process and a name.
pub fn resolve_but_for(nodes: &[Node<'_>], may_miss: impl Fn(usize, &str) -> bool) -> Result<Resolved, Unresolved> {
    let resolved = look_up(nodes);
    for (node, needs) in resolved.needs.iter().enumerate() {
        let is_wrong = |need: &&Need| resolved.absent.get(need.set) == Some(&true) && !may_miss(node, &need.item.name);
        if let Some(need) = needs.iter().find(is_wrong) {
            let unknown = need.item.name.clone();
            let text = format!("depends_on names '{unknown}', which is no program or group");
            return Err(Unresolved { node, text, unknown: Some(unknown) });
        }
    }
    match circle(&resolved) {
        None => Ok(resolved),
        Some(path) => {
            let names: Vec<String> = path.iter().map(|index| nodes[*index].full_name()).collect();
            let text = format!("depends_on goes in a circle: {}", names.join(" -> "));
            Err(Unresolved { node: path.first().copied().unwrap_or_default(), text, unknown: None })
        }
    }
}

/// The same where names may be of what has been removed: their sets are empty.
pub fn look_up(nodes: &[Node<'_>]) -> Resolved {
    let names = Names::of(nodes);
    let mut known: HashMap<(&str, Option<&str>), usize> = HashMap::new();
    let mut resolved = Resolved { sets: Vec::new(), absent: Vec::new(), needs: Vec::with_capacity(nodes.len()) };
    for node in nodes {
        let own = node.depends_on.iter().map(|item| (item, None));
        let of_group = node.group_depends_on.iter().map(|item| (item, Some(node.group)));
        let mut needs: Vec<Need> = Vec::new();
        let mut seen: HashSet<&Dependency> = HashSet::new();
        for (item, without) in own.chain(of_group) {
            if !seen.insert(item) {
                continue;
            }
            // Where none of the group is meant, its set is everybody's: a thousand groups behind one make one set.
            let without = without.filter(|group| names.means_one_of(&item.name, group));
            let set = match known.get(&(item.name.as_str(), without)) {
                Some(set) => *set,
                None => {
                    let found = names.find(&item.name);
                    resolved.absent.push(found.is_none());
                    let is_meant = |other: &usize| without.is_none_or(|group| nodes[*other].group != group);
                    resolved.sets.push(found.into_iter().flatten().filter(is_meant).collect());
                    known.insert((&item.name, without), resolved.sets.len() - 1);
                    resolved.sets.len() - 1
                }
            };
            needs.push(Need { item: item.clone(), set, is_partial: without.is_some() });
        }
        resolved.needs.push(needs);
    }
    resolved
}

impl Node<'_> {
    fn full_name(&self) -> String {
        namespec::join(self.group, self.name)
    }
}

/// Whether anything in a group depends on something.
fn is_used(group: &Rc<Group>) -> bool {
    let of_group = group.options.as_ref().is_some_and(|options| !options.depends_on.0.is_empty());
    of_group || group.processes.iter().any(|process| !process.depends_on.0.is_empty())
}

/// The processes of groups, and what each of them depends on.
pub fn nodes(groups: &[Rc<Group>]) -> Vec<(Node<'_>, &Rc<Process>)> {
    let members = groups.iter().flat_map(|group| {
        let items = group.options.as_ref().map_or(&[][..], |options| &options.depends_on.0);
        group.processes.iter().map(move |process| (group, items, process))
    });
    let with_node = members.map(|(group, items, process)| {
        let node = Node {
            group: &group.name,
            name: &process.name,
            program: &process.program.name,
            depends_on: &process.depends_on.0,
            group_depends_on: items,
        };
        (node, process)
    });
    with_node.collect()
}

/// What is wrong with what a process depends on.
#[derive(Clone, Debug)]
pub struct Misordered {
    pub(crate) process: Rc<Process>,
    /// Its group, if what is wrong stands there.
    pub group: Option<String>,
    pub(crate) text: String,
    /// The known name that may have been meant.
    pub meant: Option<String>,
}

/// Sees that everything that groups depend on is there, and that nothing goes in a circle. Does nothing where nothing
/// depends on anything. These count as there: the name of a group without processes, which may get some; one that stands among
/// `others`, for it was removed at run time; and one that `may_miss`.
///
/// Errors: what is wrong, about that process.
pub fn check(groups: &[Rc<Group>], others: &[Rc<Group>], may_miss: impl Fn(&str) -> bool) -> Result<(), Misordered> {
    if !groups.iter().any(is_used) {
        return Ok(());
    }
    let members = nodes(groups);
    let nodes: Vec<Node<'_>> = members.iter().map(|(node, _)| *node).collect();
    let removed: Vec<Node<'_>> = self::nodes(others).into_iter().map(|(node, _)| node).collect();
    let removed = Names::of(&removed);
    let empty: HashSet<&str> =
        groups.iter().filter(|group| group.processes.is_empty()).map(|group| &*group.name).collect();
    let is_empty = |name: &str| empty.contains(name.strip_suffix(":*").unwrap_or(name));
    let may_miss = |name: &str| is_empty(name) || removed.find(name).is_some() || may_miss(name);
    let Err(wrong) = resolve_but_for(&nodes, |_, name| may_miss(name)) else {
        return Ok(());
    };
    let Some((_, process)) = members.get(wrong.node) else { return Ok(()) };
    let is_own = |unknown: &String| process.depends_on.0.iter().any(|item| item.name == *unknown);
    let of_group = wrong.unknown.as_ref().is_some_and(|unknown| !is_own(unknown));
    let group = nodes.get(wrong.node).filter(|_| of_group).map(|node| node.group.to_string());
    let meant = wrong.unknown.and_then(|unknown| {
        let names = nodes.iter().flat_map(|node| [node.program, node.group]);
        // In dependent_startup_wait_for the state stands behind a colon.
        if let Some((name, condition)) = unknown.split_once(':')
            && Condition::named(condition).is_ok()
            && names.clone().any(|known| known == name)
        {
            return Some(format!("{name}={condition}"));
        }
        nearest(&unknown, names).map(str::to_string)
    });
    Err(Misordered { process: Rc::clone(process), group, text: wrong.text, meant })
}

struct Names<'a> {
    groups: BTreeMap<&'a str, Vec<usize>>,
    programs: HashMap<&'a str, Vec<usize>>,
    /// Which groups a program is in.
    homes: HashSet<(&'a str, &'a str)>,
    processes: HashMap<(&'a str, &'a str), usize>,
}

impl<'a> Names<'a> {
    fn of(nodes: &[Node<'a>]) -> Names<'a> {
        let mut names = Names {
            groups: BTreeMap::new(),
            programs: HashMap::new(),
            homes: HashSet::new(),
            processes: HashMap::new(),
        };
        for (index, node) in nodes.iter().enumerate() {
            names.groups.entry(node.group).or_default().push(index);
            names.programs.entry(node.program).or_default().push(index);
            names.homes.insert((node.program, node.group));
            names.processes.insert((node.group, node.name), index);
        }
        names
    }

    /// Whether a name means a process of that group.
    fn means_one_of(&self, name: &str, group: &str) -> bool {
        match name.split_once(':') {
            Some((named, _)) => named == group,
            None if self.programs.contains_key(name) => self.homes.contains(&(name, group)),
            None => name == group,
        }
    }

    fn find(&self, name: &str) -> Option<Vec<usize>> {
        let group = |group: &str| self.groups.get(group).cloned();
        match name.split_once(':') {
            Some((name, "*" | "")) => group(name),
            Some(pair) => self.processes.get(&pair).map(|index| vec![*index]),
            None => self.programs.get(name).cloned().or_else(|| group(name)),
        }
    }
}

/// How far the search for circles has come with a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Fresh,
    Open,
    Done,
}

/// A circle, if there is one: the processes on it, the first one again at the end.
///
/// Walks depth first with a stack of its own. Sets are places of their own, entered once each, so that the walk takes as
/// long as there are items, not pairs.
fn circle(resolved: &Resolved) -> Option<Vec<usize>> {
    let Resolved { sets, needs, .. } = resolved;
    let next = |place: usize, step: usize| match place.checked_sub(needs.len()) {
        None => needs[place].get(step).map(|need| needs.len() + need.set),
        Some(set) => sets[set].get(step).copied(),
    };
    let mut marks = vec![Mark::Fresh; needs.len() + sets.len()];
    for start in 0..needs.len() {
        if marks[start] != Mark::Fresh {
            continue;
        }
        marks[start] = Mark::Open;
        let mut path = vec![(start, 0)];
        while let Some((place, step)) = path.last_mut() {
            let Some(to) = next(*place, *step) else {
                marks[*place] = Mark::Done;
                path.pop();
                continue;
            };
            *step += 1;
            match marks[to] {
                Mark::Done => {}
                Mark::Fresh => {
                    marks[to] = Mark::Open;
                    path.push((to, 0));
                }
                Mark::Open => {
                    let begin = path.iter().position(|(place, _)| *place == to)?;
                    let on_it = path[begin..].iter().map(|(place, _)| *place).filter(|place| *place < needs.len());
                    let mut circle: Vec<usize> = on_it.collect();
                    circle.extend(circle.first().copied());
                    return Some(circle);
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::datatypes::Datatype;
    use super::super::dependency::DependsOn;
    use super::super::fake::Fake;
    use super::*;

    fn parse(text: &str) -> Result<DependsOn, String> {
        DependsOn::parse(text, &Fake::new())
    }

    /// `group:name/program`, its items, those of its group.
    type Row<'a> = (&'a str, &'a str, &'a str);

    /// The items of each, and what they mean.
    #[expect(clippy::type_complexity)]
    fn resolved(rows: &[Row<'_>]) -> Result<Vec<Vec<(String, Vec<usize>)>>, String> {
        let items: Vec<(DependsOn, DependsOn)> =
            rows.iter().map(|(_, own, group)| (parse(own).unwrap(), parse(group).unwrap())).collect();
        let nodes: Vec<Node> = rows
            .iter()
            .zip(&items)
            .map(|((name, ..), (own, group))| {
                let (group_name, rest) = name.split_once(':').unwrap_or((name, name));
                let (name, program) = rest.split_once('/').unwrap_or((rest, rest));
                Node { group: group_name, name, program, depends_on: &own.0, group_depends_on: &group.0 }
            })
            .collect();
        let Resolved { sets, needs, .. } = resolve(&nodes).map_err(|error| error.text)?;
        let shown = |need: &Need| (need.item.to_string(), sets[need.set].clone());
        Ok(needs.iter().map(|needs| needs.iter().map(shown).collect()).collect())
    }

    #[test]
    fn what_names_mean() {
        let rows = [
            ("d:d_0/d", "", ""),
            ("d:d_1/d", "", ""),
            ("g:m", "", "d=ready, g"),
            ("g:n", "g:m", "d=ready, g"),
            ("x", "d:d_1, d:*=spawned, d, g, g:m", ""),
        ];
        let all = resolved(&rows).unwrap();
        // Of a group's items its own members are left out.
        assert_eq!(all[2], [("d=ready".into(), vec![0, 1]), ("g".into(), vec![])]);
        assert_eq!(all[3], [("g:m".into(), vec![2]), ("d=ready".into(), vec![0, 1]), ("g".into(), vec![])]);
        let x: Vec<Vec<usize>> = all[4].iter().map(|(_, processes)| processes.clone()).collect();
        assert_eq!(x, [vec![1], vec![0, 1], vec![0, 1], vec![2, 3], vec![2]]);
    }

    #[test]
    fn what_cannot_be_met() {
        let rows: [(&[Row<'_>], &str); 7] = [
            (&[("a", "nope", "")], "depends_on names 'nope', which is no program or group"),
            (&[("a", "b:x", ""), ("b", "", "")], "depends_on names 'b:x', which is no program or group"),
            (&[("a", "a", "")], "depends_on goes in a circle: a -> a"),
            (&[("a", "b", ""), ("b", "c", ""), ("c", "a", "")], "depends_on goes in a circle: a -> b -> c -> a"),
            (&[("z", "a", ""), ("a", "b", ""), ("b", "a", "")], "depends_on goes in a circle: a -> b -> a"),
            (&[("g:a", "b", ""), ("b", "g", "")], "depends_on goes in a circle: g:a -> b -> g:a"),
            (&[("g:a", "g:*", ""), ("g:b", "", "")], "depends_on goes in a circle: g:a -> g:a"),
        ];
        for (nodes, expected) in rows {
            assert_eq!(resolved(nodes).unwrap_err(), expected, "{nodes:?}");
        }
    }

    /// Groups behind one share its set, unless their own members are among those that are meant.
    #[test]
    fn groups_share_what_they_depend_on() {
        let items = parse("db:*, web").unwrap();
        let node =
            |group, name, program, on_group| Node { group, name, program, depends_on: &[], group_depends_on: on_group };
        let nodes = [
            node("db", "db", "db", &[][..]),
            node("one", "web", "web", &items.0),
            node("two", "web", "web", &items.0),
            node("three", "x", "x", &items.0),
        ];
        let resolved = look_up(&nodes);
        let of =
            |node: usize| resolved.needs[node].iter().map(|need| (resolved.sets[need.set].clone(), need.is_partial));
        let of = |node: usize| of(node).collect::<Vec<_>>();
        assert_eq!(of(1), [(vec![0], false), (vec![2], true)]);
        assert_eq!(of(2), [(vec![0], false), (vec![1], true)]);
        assert_eq!(of(3), [(vec![0], false), (vec![1, 2], false)]);
        assert_eq!(resolved.sets.len(), 4);
    }

    #[test]
    fn depth_and_width_do_not_matter() {
        let names: Vec<String> = (0..50_000).map(|n| format!("p{n}")).collect();
        let before = |n: usize| if n == 0 { "" } else { &names[n - 1] };
        let items: Vec<DependsOn> = (0..names.len()).map(|n| parse(before(n)).unwrap()).collect();
        let chain: Vec<Node> = names
            .iter()
            .zip(&items)
            .map(|(name, items)| Node { group: "g", name, program: name, depends_on: &items.0, group_depends_on: &[] })
            .collect();
        assert_eq!(resolve(&chain).unwrap().sets.len(), names.len() - 1);
        // Each of one half waits for the whole other half.
        let items = parse("h").unwrap();
        let halves: Vec<Node> = chain
            .iter()
            .enumerate()
            .map(|(n, node)| match n % 2 {
                0 => Node { group: "h", depends_on: &[], ..*node },
                _ => Node { depends_on: &items.0, ..*node },
            })
            .collect();
        let resolved = resolve(&halves).unwrap();
        assert_eq!(resolved.sets.len(), 1);
        assert_eq!(resolved.sets[0].len(), names.len() / 2);
    }
}
