//! Sections that name a factory: `[rpcinterface:x]` here, `[ctlplugin:x]` for supervisorctl (C-118 to C-122).

use crate::wire::ini::Document;

use super::datatypes::{Datatype, Strings};
use super::env::Env;
use super::error::ConfigError;
use super::reader::{Reader, Scope};
use super::types::{Interface, InterfaceKind};

/// A section that names a factory, resolved by whoever knows the factories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The section's name.
    pub section: String,
    /// The part of it after the colon.
    pub name: String,
    /// The factory, `module:function`.
    pub factory: String,
    /// All its other options, expanded, `[DEFAULT]`'s among them (C-25).
    pub arguments: Vec<(String, String)>,
    place: (String, u32),
}

impl Plugin {
    /// That nobody knows this factory (C-118).
    pub fn unresolved(&self) -> ConfigError {
        let (file, line) = &self.place;
        ConfigError::new(format!("{} cannot be resolved within [{}]", self.factory, self.section)).at(file, *line)
    }
}

/// The factories of `[rpcinterface:x]` (C-119).
const INTERFACES: &[(&str, InterfaceKind)] = &[
    ("supervisor.rpcinterface:make_main_rpcinterface", InterfaceKind::Main),
    ("supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface", InterfaceKind::Twiddler),
    ("supervisor_loader.rpcinterface:make_loader_rpcinterface", InterfaceKind::Loader),
    ("supervisor_grace.rpcinterface:make_grace_rpcinterface", InterfaceKind::Grace),
    ("supervisor_cache.rpcinterface:make_cache_rpcinterface", InterfaceKind::Cache),
];

/// The sections whose name begins with `prefix` (`ctlplugin:`), in file order; `key` names the option that holds the
/// factory (`supervisor.ctl_factory`).
pub fn plugins(
    document: &Document,
    prefix: &str,
    key: &str,
    scope: Scope,
    env: &dyn Env,
) -> Result<Vec<Plugin>, ConfigError> {
    let mut plugins = Vec::new();
    for section in &document.sections {
        let Some(name) = section.name.strip_prefix(prefix) else { continue };
        let reader = Reader { document, section, scope, env };
        let Some(factory) = reader.option::<Option<String>>(key, None)? else {
            return Err(reader.error(key, format!("section [{}] does not specify a {key}", section.name)));
        };
        let mut arguments = Vec::new();
        for entry in document.options(section).filter(|entry| entry.key != key) {
            arguments.push((entry.key.clone(), reader.option(&entry.key, None)?));
        }
        let place = reader.entry(key).map_or((&section.file, section.line), |entry| (&entry.file, entry.line));
        plugins.push(Plugin {
            section: section.name.clone(),
            name: name.to_string(),
            factory,
            arguments,
            place: (place.0.to_string(), place.1),
        });
    }
    Ok(plugins)
}

/// `[rpcinterface:x]`, in file order.
pub(super) fn interfaces(document: &Document, scope: Scope, env: &dyn Env) -> Result<Vec<Interface>, ConfigError> {
    let plugins = plugins(document, "rpcinterface:", "supervisor.rpcinterface_factory", scope, env)?;
    plugins.into_iter().map(|plugin| interface(plugin, env)).collect()
}

fn interface(plugin: Plugin, env: &dyn Env) -> Result<Interface, ConfigError> {
    use InterfaceKind::*;
    let Some((_, kind)) = INTERFACES.iter().find(|(factory, _)| *factory == plugin.factory) else {
        return Err(plugin.unresolved());
    };
    let mut interface =
        Interface { namespace: plugin.name, kind: *kind, whitelist: Vec::new(), unexpected: Vec::new() };
    for (name, value) in plugin.arguments {
        match (kind, name.as_str()) {
            (Twiddler | Grace | Loader, "whitelist") => {
                let Strings(words) = Strings::parse(&value, env).map_err(ConfigError::new)?;
                interface.whitelist = words.into_iter().filter(|word| !word.is_empty()).collect();
            }
            (Cache | Loader, _) => {}
            (Main | Twiddler | Grace, _) => interface.unexpected.push(name),
        }
    }
    Ok(interface)
}

impl Interface {
    /// Why it cannot be made, if an option is not among those it takes (C-120). The daemon then logs the first text at
    /// WARN and ends with the second as a usage error.
    pub fn refusal(&self) -> Option<(String, String)> {
        let name = self.unexpected.first()?;
        let namespace = &self.namespace;
        Some((
            format!("[rpcinterface:{namespace}] has an option '{name}' that its factory does not know"),
            format!("Could not make {namespace} rpc interface"),
        ))
    }
}
