//! What supervisorctl takes from the file: `[supervisorctl]` and `[ctlplugin:x]` (C-118, C-130), of the main file
//! alone (C-40).

use std::collections::BTreeMap;

use super::env::Env;
use super::error::ConfigError;
use super::interfaces::{Plugin, PluginKind, plugins};
use super::options::{CtlOptions, CtlPathOptions};
use super::paths;
use super::reader::{Reader, Scope};
use super::search;
use super::sources::{MainFile, Sources};

/// Plug-ins of supervisorctl stand in sections `[ctlplugin:x]` (C-119).
const PLUGINS: PluginKind = PluginKind {
    prefix: "ctlplugin:",
    key: "supervisor.ctl_factory",
    factories: &[
        "supervisor_cache.controllerplugin:make_cache_controllerplugin",
        "supervisor_grace.controllerplugin:make_grace_controllerplugin",
        // Two more from the package index, each also by the name its author would give it today.
        "supervisorserialrestart.controllerplugin:make_serialrestart_controllerplugin",
        "supervisor_serialrestart.controllerplugin:make_serialrestart_controllerplugin",
        "supervisorwildcards.controllerplugin:make_wildcards_controllerplugin",
        "supervisor_wildcards.controllerplugin:make_wildcards_controllerplugin",
        #[cfg(feature = "fleet")]
        "supvisors.supvisorsctl:make_supvisors_controller_plugin",
    ],
};

/// `[supervisorctl]`, and the plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CtlFile {
    /// The server's URL; a unix path in it is absolute (S-9).
    pub serverurl: String,
    /// User name for the server.
    pub username: Option<String>,
    /// Password for the server, clear.
    pub password: Option<String>,
    /// What the shell prints before a line.
    pub prompt: String,
    /// Where the shell keeps its history; absolute.
    pub history_file: Option<String>,
    /// `[ctlplugin:x]`, in file order.
    pub plugins: Vec<Plugin>,
}

impl Default for CtlFile {
    fn default() -> CtlFile {
        CtlFile {
            serverurl: "http://localhost:9001".to_string(),
            username: None,
            password: None,
            prompt: "supervisor".to_string(),
            history_file: None,
            plugins: Vec::new(),
        }
    }
}

impl CtlFile {
    /// Reads the file named by `-c`, else the one found by the search of C-1; without any there are the defaults
    /// (C-5). `program` is `argv[0]`.
    pub fn load(program: &str, configuration: Option<&str>, env: &dyn Env) -> Result<CtlFile, ConfigError> {
        let cwd = env.cwd();
        let name = match configuration {
            // An empty name stands for no file, as `-c "$CONFIG"` of a script may have it.
            Some(name) => Some(name.to_string()).filter(|name| !name.is_empty()),
            None => search::find(program, &cwd, env),
        };
        let Some(name) = name else { return Ok(CtlFile::default()) };
        let main = MainFile::new(&name, &cwd);
        let document = Sources::read_main(&main, env)?.document;
        let Some(section) = document.section("supervisorctl") else {
            return Err(ConfigError::new(".ini file does not include supervisorctl section"));
        };
        let variables: BTreeMap<String, String> = env.variables().into_iter().collect();
        let scope = Scope { variables: Some(&variables), ..Scope::default() };
        let reader = Reader { document: &document, section, scope, env, stand_in: None };
        let located = Reader { scope: Scope { here: Some(&main.here), ..scope }, ..reader };
        let CtlPathOptions { serverurl, history_file } = CtlPathOptions::read(&located)?;
        let CtlOptions { prompt, username, password } = CtlOptions::read(&reader)?;
        let absolute = |path: &str| paths::absolute(&cwd, &env.expand_user(path));
        Ok(CtlFile {
            serverurl: match serverurl.strip_prefix("unix://") {
                Some(path) => format!("unix://{}", absolute(path)),
                None => serverurl,
            },
            username,
            password,
            prompt,
            history_file: history_file.filter(|path| !path.is_empty()).map(|path| absolute(&path)),
            plugins: plugins(&document, &PLUGINS, scope, env)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn the_file_and_its_defaults() {
        let mut env = Fake::new();
        assert_eq!(CtlFile::load("bin/supervisorctl", None, &env), Ok(CtlFile::default()));
        env.write("/base/supervisord.conf", "[supervisorctl]\n");
        assert_eq!(CtlFile::load("bin/supervisorctl", None, &env), Ok(CtlFile::default()));
        env.set_variable("PW", "p%w");
        env.write(
            "/etc/x.conf",
            "[include]\nfiles=nope\n[supervisorctl]\nserverurl=unix://%(here)s/../s.sock\nusername=u\n\
             password=%(ENV_PW)s\nprompt=me\nhistory_file=h\n[ctlplugin:c]\nsupervisor.ctl_factory=\
             supervisor_cache.controllerplugin:make_cache_controllerplugin\nKey=1\n",
        );
        assert_eq!(CtlFile::load("x", Some(""), &env), Ok(CtlFile::default()));
        let file = CtlFile::load("x", Some("/etc/x.conf"), &env).unwrap();
        assert_eq!(file.serverurl, "unix:///s.sock");
        assert_eq!(file.password.as_deref(), Some("p%w"));
        assert_eq!(file.history_file.as_deref(), Some("/base/h"));
        assert_eq!((file.prompt.as_str(), file.username.as_deref()), ("me", Some("u")));
        let plugin = &file.plugins[0];
        assert_eq!((plugin.name.as_str(), plugin.factory.as_str()), ("c", PLUGINS.factories[0]));
        assert_eq!(plugin.arguments, [("key".to_string(), "1".to_string())]);
    }

    #[test]
    fn what_is_wrong_with_it() {
        let rows = [
            ("[x]\n", ".ini file does not include supervisorctl section"),
            (
                "[supervisorctl]\nprompt=%(here)s\n",
                "Format string '%(here)s' for 'supervisorctl.prompt' contains names ('here') which cannot be expanded. \
                 Available names:  (file: 'F', line 2)",
            ),
            (
                "[supervisorctl]\n[ctlplugin:c]\n",
                "section [ctlplugin:c] does not specify a supervisor.ctl_factory (file: 'F', line 2)",
            ),
            (
                "[supervisorctl]\n[ctlplugin:c]\nsupervisor.ctl_factory=m:f\n",
                "m:f cannot be resolved within [ctlplugin:c] (file: 'F', line 3)",
            ),
            ("x\n", "File contains no section headers.\nfile: 'F', line: 1\n'x\\n'"),
        ];
        for (text, expected) in rows {
            let mut env = Fake::new();
            env.write("/base/F", text);
            let error = CtlFile::load("x", Some("F"), &env).unwrap_err();
            assert_eq!(error.to_string(), expected, "{text:?}");
        }
        let missing = CtlFile::load("x", Some("nope"), &Fake::new()).unwrap_err();
        assert_eq!(missing.to_string(), "could not find config file nope");
    }
}
