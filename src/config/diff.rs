//! What `reread` reports: which groups were added, changed, removed (P-110 to P-113).

use std::collections::HashMap;
use std::rc::Rc;

use super::types::Group;

/// Names of groups that differ between what is active and what is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Difference {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

/// Compares the groups that run with those just loaded. Added and changed ones stand in the order of `configured`,
/// removed ones in that of `active`.
pub fn difference<'a>(active: impl IntoIterator<Item = &'a Rc<Group>>, configured: &[Rc<Group>]) -> Difference {
    let active: Vec<&Rc<Group>> = active.into_iter().collect();
    let by_name: HashMap<&str, &Rc<Group>> = active.iter().map(|group| (group.name.as_str(), *group)).collect();
    let mut difference = Difference::default();
    for group in configured {
        match by_name.get(group.name.as_str()) {
            None => difference.added.push(group.name.clone()),
            Some(current) if Rc::ptr_eq(current, group) || current.same_as(group) => {}
            Some(_) => difference.changed.push(group.name.clone()),
        }
    }
    let names: HashMap<&str, ()> = configured.iter().map(|group| (group.name.as_str(), ())).collect();
    let gone = active.iter().filter(|group| !names.contains_key(group.name.as_str()));
    difference.removed = gone.map(|group| group.name.clone()).collect();
    difference
}
