//! REST (V-560 to V-564): which request over HTTP is which call.
//!
//! There is no table of paths beside the methods': a route is made of the row of its method. The parameters follow each other in
//! the path, but for those that may be left out and are options rather than names, which are fields of the query or the body. What
//! changes nothing is asked for by GET, under `/supvisors` without its `get_`; everything else is a POST. Requests and the
//! [`openapi`] document see the same routes, those of the methods that the configuration has.

pub mod openapi;

use super::{Method, Registry, fleet, supervisor, system};
use crate::config::fleet::{ConciliationStrategy, StartingStrategy};
use crate::wire::form::path_parts;
use crate::wire::value::Value;

/// Parts of a path that are looked at: no route has as many.
const PARTS_MAX: usize = 8;

/// Methods of Supervisor that are others under an old name, and have no path.
const OLD_NAMES: &[&str] = &["getVersion", "readMainLog", "readProcessLog", "tailProcessLog", "clearProcessLog"];

/// Names in paths with which the last parameter of a method is said: path, method, parameter.
const WITH_LAST: &[(&str, &str, bool)] = &[
    ("enable_host_statistics", "enable_host_statistics", true),
    ("disable_host_statistics", "enable_host_statistics", false),
    ("enable_process_statistics", "enable_process_statistics", true),
    ("disable_process_statistics", "enable_process_statistics", false),
    ("update_numprocs", "update_numprocs", false),
    ("lazy_update_numprocs", "update_numprocs", true),
];

/// Parameters that are fields of the query or the body.
const FIELDS: &[&str] = &["wait", "extra_args"];

/// A path, and the call that it is.
pub struct Route {
    /// Its first part, which is the namespace of the method.
    pub namespace: &'static str,
    /// Its second part.
    pub name: &'static str,
    /// Whether it is asked for by GET; else it is a POST.
    pub is_read: bool,
    /// The method that is called.
    pub method: &'static Method,
    /// Its parameters, in their order.
    pub params: Vec<Param>,
}

/// A parameter of a route.
pub struct Param {
    /// Its name, as the method has it.
    pub name: &'static str,
    /// What its text has to be.
    pub kind: Kind,
    /// Where it stands.
    pub place: Place,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The next part of the path; the last one may be missing if that is said.
    Path {
        /// Whether the path may end before it.
        may_lack: bool,
    },
    /// A field of the query or the body, which may be missing.
    Field,
    /// The name of the route says it.
    Said(bool),
}

/// What the text of a parameter has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// An integer of 64 bits.
    Integer,
    /// A number, with a point or without.
    Number,
    /// True or false.
    Truth,
    /// The name of a starting strategy.
    Starting,
    /// The name of a conciliation strategy.
    Conciliation,
}

impl Kind {
    /// The kind that a signature calls so; unknown ones are texts, of which the method says what it thinks of them.
    fn of(signature: &str) -> Kind {
        match signature {
            "int" => Kind::Integer,
            "float" => Kind::Number,
            "boolean" | "bool" => Kind::Truth,
            "StartingStrategies" => Kind::Starting,
            "ConciliationStrategies" => Kind::Conciliation,
            _ => Kind::Text,
        }
    }

    /// The names that it is one of; none if it is anything else.
    fn names(self) -> Vec<&'static str> {
        match self {
            Kind::Starting => StartingStrategy::ALL.iter().map(|one| one.name()).collect(),
            Kind::Conciliation => ConciliationStrategy::ALL.iter().map(|one| one.name()).collect(),
            _ => Vec::new(),
        }
    }

    /// The value that a text of this kind stands for. Truth is what Flask takes for it, in any case of letters.
    pub fn read(self, text: &str) -> Option<Value> {
        match self {
            Kind::Text => Some(Value::from(text.to_string())),
            Kind::Integer => (!text.starts_with('+')).then(|| text.parse().ok().map(Value::Int))?,
            Kind::Number => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Double),
            Kind::Truth => match &*text.to_ascii_lowercase() {
                "true" | "1" | "on" => Some(Value::Bool(true)),
                "false" | "0" | "" => Some(Value::Bool(false)),
                _ => None,
            },
            Kind::Starting | Kind::Conciliation => self.names().into_iter().find(|name| *name == text).map(Value::str),
        }
    }

    /// What a field is that is missing.
    pub fn default(self) -> Value {
        if self == Kind::Truth { Value::Bool(true) } else { Value::str("") }
    }
}

impl Route {
    /// The routes of a row.
    fn of(namespace: &'static str, method: &'static Method) -> Vec<Route> {
        let is_none = match namespace {
            "system" => method.name == "multicall",
            _ => OLD_NAMES.contains(&method.name),
        };
        if is_none {
            return Vec::new();
        }
        let mut said: Vec<(&'static str, Option<bool>)> = WITH_LAST
            .iter()
            .filter(|(_, name, _)| namespace == "supvisors" && *name == method.name)
            .map(|(path, _, last)| (*path, Some(*last)))
            .collect();
        let shown = method.name.strip_prefix("get_").unwrap_or(method.name);
        if said.is_empty() {
            said.push((shown, None));
        }
        let is_read =
            namespace == "system" || ["get", "read", "tail"].iter().any(|begin| method.name.starts_with(begin));
        said.into_iter()
            .map(|(name, last)| Route { namespace, name, is_read, method, params: params(method, last) })
            .collect()
    }

    /// The name of its method, in full.
    pub fn call(&self) -> String {
        format!("{}.{}", self.namespace, self.method.name)
    }

    /// Whether some of it is said in fields.
    pub fn has_fields(&self) -> bool {
        self.params.iter().any(|param| param.place == Place::Field)
    }

    /// The parameters that stand in the path.
    fn in_path(&self) -> impl Iterator<Item = &Param> {
        self.params.iter().filter(|param| matches!(param.place, Place::Path { .. }))
    }

    /// The values that these parts of a path stand for, in their order; nothing if this is not the path of the route.
    fn read(&self, parts: &[String]) -> Option<Vec<Value>> {
        let mut parts = parts.iter();
        let mut values = Vec::new();
        for param in self.in_path() {
            match (parts.next(), param.place) {
                (Some(part), _) if !part.is_empty() => values.push(param.kind.read(part)?),
                (None, Place::Path { may_lack: true }) => break,
                _ => return None,
            }
        }
        parts.next().is_none().then_some(values)
    }
}

/// The parameters of a method, of which the last may be said already.
fn params(method: &'static Method, last: Option<bool>) -> Vec<Param> {
    let count = method.params.len();
    let kinds = method.signature.iter().skip(1).map(|name| Kind::of(name));
    let all = method.params.iter().zip(kinds).enumerate().map(|(at, (name, kind))| {
        let place = match last {
            Some(said) if at + 1 == count => Place::Said(said),
            _ if FIELDS.contains(name) => Place::Field,
            _ => Place::Path { may_lack: at + method.optional >= count && last.is_none() },
        };
        Param { name, kind, place }
    });
    all.collect()
}

/// All rows that there may be, with their namespaces.
fn rows() -> impl Iterator<Item = (&'static str, &'static Method)> {
    let supvisors = fleet::METHODS.iter().map(|methods| ("supvisors", *methods));
    let all = [("system", system::METHODS), ("supervisor", supervisor::METHODS)].into_iter().chain(supvisors);
    all.flat_map(|(namespace, methods)| methods.iter().map(move |method| (namespace, method)))
}

/// All routes of a configuration.
pub fn routes(registry: &Registry) -> Vec<Route> {
    let routes = rows().flat_map(|(namespace, method)| Route::of(namespace, method));
    routes.filter(|route| registry.find(&route.call()).is_some()).collect()
}

/// The route of a path, still quoted, and the values that stand in it.
pub fn find(registry: &Registry, path: &str) -> Option<(Route, Vec<Value>)> {
    let parts: Vec<String> = path_parts(path).take(PARTS_MAX).collect();
    let [namespace, name, rest @ ..] = &*parts else { return None };
    let of_namespace = rows().filter(|(found, _)| found == namespace);
    let mut routes = of_namespace.flat_map(|(namespace, method)| Route::of(namespace, method));
    let route = routes.find(|route| route.name == name).filter(|route| registry.find(&route.call()).is_some())?;
    let values = route.read(rest)?;
    Some((route, values))
}

#[cfg(test)]
mod tests;
