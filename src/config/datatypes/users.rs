//! Users and groups, by name or by number.

use std::rc::Rc;

use super::{Datatype, Show, integer};
use crate::config::env::Env;
use crate::config::values::{Owner, User};
use crate::wire::value::Value;

/// A user by a name that exists (C-86), or by a number; a group may follow a colon (K-5).
impl Datatype for User {
    const KIND: &'static str = "user, or user:group";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let uid = match integer(user) {
            Some(number) => id(number).ok_or_else(|| format!("Invalid user id {user}"))?,
            None => env.user_by_name(user).ok_or_else(|| format!("Invalid user name {user}"))?.uid,
        };
        let gid = group.map(|group| group_id(group, env)).transpose()?;
        Ok(User { text: text.to_string(), uid, gid })
    }
}

/// The number of a user or a group; the highest one stands for none.
fn id(number: i64) -> Option<u32> {
    u32::try_from(number).ok().filter(|id| *id != u32::MAX)
}

fn group_id(group: &str, env: &dyn Env) -> Result<u32, String> {
    match integer(group) {
        Some(number) => id(number).ok_or_else(|| format!("Invalid group id {group}")),
        None => env.group_by_name(group).ok_or_else(|| format!("Invalid group name {group}")),
    }
}

/// `groups`: those that a child is a member of besides its own (K-5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    text: String,
    /// The numbers of these groups.
    pub ids: Rc<[u32]>,
}

/// As many groups as a process can have with every kernel of today, and more than anybody has.
const GROUPS_MAX: usize = 256;

impl Datatype for Groups {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "list of groups";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let ids = names.map(|name| group_id(name, env)).collect::<Result<Vec<_>, _>>()?;
        if ids.len() > GROUPS_MAX {
            return Err(format!("more than {GROUPS_MAX} groups"));
        }
        Ok(Groups { text: text.to_string(), ids: ids.into() })
    }
}

impl Show for Groups {
    fn shown(&self) -> Value {
        self.text.clone().into()
    }
}

/// `user` or `user:group`, by names or numbers that exist (C-85).
impl Datatype for Owner {
    const KIND: &'static str = "user or user:group";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let found = || {
            let uid = match integer(user) {
                Some(number) => u32::try_from(number).ok().filter(|uid| env.user_by_id(*uid).is_some())?,
                None => env.user_by_name(user)?.uid,
            };
            let Some(group) = group else { return Some(Owner { uid, gid: None }) };
            let gid = match integer(group) {
                Some(number) => u32::try_from(number).ok().filter(|gid| env.group_exists(*gid))?,
                None => env.group_by_name(group)?,
            };
            Some(Owner { uid, gid: Some(gid) })
        };
        found().ok_or_else(|| format!("Invalid user:group definition {text}"))
    }
}
