//! The names and the outcome of one process in the answer of a call about several.

use crate::fault::{Code, Fault};
use crate::wire::value::Value;

/// Whose outcome it is.
#[derive(Clone, Debug)]
pub struct ProcessRef {
    pub name: String,
    pub group: String,
}

impl ProcessRef {
    /// The names of an outcome.
    pub fn new(group: &str, name: &str) -> ProcessRef {
        ProcessRef { name: name.to_string(), group: group.to_string() }
    }

    /// `{name, group, status, description}`.
    pub fn outcome(&self, result: Result<(), Fault>) -> Value {
        let (status, description) = match result {
            Ok(()) => (Code::Success as i32, "OK".to_string()),
            Err(fault) => (fault.code as i32, fault.to_string()),
        };
        Value::Struct(vec![
            ("name".into(), self.name.clone().into()),
            ("group".into(), self.group.clone().into()),
            ("status".into(), status.into()),
            ("description".into(), description.into()),
        ])
    }
}
