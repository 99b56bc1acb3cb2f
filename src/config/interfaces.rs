//! Sections that name a factory: `[rpcinterface:x]` here, `[ctlplugin:x]` for supervisorctl (C-118 to C-122).

use crate::wire::ini::{Document, Section};

use super::datatypes::{Datatype, Strings};
use super::env::Env;
use super::error::ConfigError;
use super::reader::{Reader, Scope};
use super::types::{Interface, InterfaceKind};

/// A kind of section that names a factory.
#[derive(Clone, Copy, Debug)]
pub struct PluginKind {
    /// What the section's name begins with, `ctlplugin:`.
    pub prefix: &'static str,
    /// The option that holds the factory, `supervisor.ctl_factory`.
    pub key: &'static str,
    /// The factories that are known.
    pub factories: &'static [&'static str],
}

/// A section that names a factory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The part of the section's name after the colon.
    pub name: String,
    /// The factory, `module:function`, one of those known.
    pub factory: String,
    /// All its other options, expanded, `[DEFAULT]`'s among them (C-25).
    pub arguments: Vec<(String, String)>,
}

/// `[rpcinterface:x]` (C-119). The order is that of [`INTERFACES`].
const RPC: PluginKind = PluginKind {
    prefix: "rpcinterface:",
    key: "supervisor.rpcinterface_factory",
    factories: &[
        "supervisor.rpcinterface:make_main_rpcinterface",
        "supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface",
        "supervisor_loader.rpcinterface:make_loader_rpcinterface",
        "supervisor_grace.rpcinterface:make_grace_rpcinterface",
        "supervisor_cache.rpcinterface:make_cache_rpcinterface",
        #[cfg(feature = "fleet")]
        SUPVISORS,
    ],
};

/// The factory of Supvisors (V-10).
const SUPVISORS: &str = "supvisors.plugin:make_supvisors_rpcinterface";

/// What the factories of [`RPC`] make.
const INTERFACES: &[InterfaceKind] = &[
    InterfaceKind::Main,
    InterfaceKind::Twiddler,
    InterfaceKind::Loader,
    InterfaceKind::Grace,
    InterfaceKind::Cache,
    #[cfg(feature = "fleet")]
    InterfaceKind::Supvisors,
];

/// Whether a section asks for Supvisors, in a build that has it.
pub(super) fn is_supvisors(document: &Document, section: &Section) -> bool {
    let factory = || section.get(RPC.key).or_else(|| document.defaults.get(RPC.key));
    cfg!(feature = "fleet")
        && section.name.starts_with(RPC.prefix)
        && factory().is_some_and(|entry| entry.value == SUPVISORS)
}

/// Whether Supvisors is asked for: its methods change programs at run time, and its types of events have names.
pub(super) fn has_supvisors(document: &Document) -> bool {
    document.sections.iter().any(|section| is_supvisors(document, section))
}

/// The names for the values of a section: not all, but for Supvisors (V-13).
fn scope_of<'s>(document: &Document, section: &Section, scope: Scope<'s>) -> Scope<'s> {
    if is_supvisors(document, section) { scope } else { Scope { here: None, host_node_name: None, ..scope } }
}

/// The sections of a kind, in file order.
pub fn plugins(
    document: &Document,
    kind: &PluginKind,
    scope: Scope,
    env: &dyn Env,
) -> Result<Vec<Plugin>, ConfigError> {
    let mut plugins = Vec::new();
    for section in &document.sections {
        let Some(name) = section.name.strip_prefix(kind.prefix) else { continue };
        let reader = Reader { document, section, scope: scope_of(document, section, scope), env, stand_in: None };
        let Some(factory) = reader.value::<String>(kind.key).transpose()? else {
            let message = format!("section [{}] does not specify a {}", section.name, kind.key);
            return Err(reader.error(kind.key, message));
        };
        if !kind.factories.contains(&factory.as_str()) {
            return Err(reader.error(kind.key, format!("{factory} cannot be resolved within [{}]", section.name)));
        }
        let mut arguments = Vec::new();
        for entry in document.options(section).filter(|entry| entry.key != kind.key) {
            if let Some(argument) = reader.value(&entry.key) {
                arguments.push((entry.key.clone(), argument?));
            }
        }
        plugins.push(Plugin { name: name.to_string(), factory, arguments });
    }
    Ok(plugins)
}

/// `[rpcinterface:x]`, in file order.
pub(super) fn interfaces(document: &Document, scope: Scope, env: &dyn Env) -> Result<Vec<Interface>, ConfigError> {
    plugins(document, &RPC, scope, env)?.into_iter().map(|plugin| interface(plugin, env)).collect()
}

fn interface(plugin: Plugin, env: &dyn Env) -> Result<Interface, ConfigError> {
    use InterfaceKind::*;
    let made = RPC.factories.iter().zip(INTERFACES.iter().copied()).find(|(factory, _)| **factory == plugin.factory);
    let kind = made.map_or(Main, |(_, kind)| kind);
    let mut interface = Interface { namespace: plugin.name, kind, whitelist: Vec::new(), unexpected: Vec::new() };
    for (name, value) in plugin.arguments {
        match (kind, name.as_str()) {
            (Twiddler | Grace | Loader, "whitelist") => {
                let Strings(words) = Strings::parse(&value, env).map_err(ConfigError::new)?;
                interface.whitelist = words.into_iter().filter(|word| !word.is_empty()).collect();
            }
            (Cache | Loader, _) => {}
            // Unknown ones are ignored (V-12).
            #[cfg(feature = "fleet")]
            (Supvisors, _) => {}
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
