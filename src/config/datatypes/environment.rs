//! Kinds of text that say where a child's environment comes from (K-7).

use std::rc::Rc;

use super::{Datatype, Show, truth};
use crate::config::env::Env;
use crate::wire::envfile;
use crate::wire::pyrepr;
use crate::wire::value::Value;

/// Files of one `envFiles`.
const ENV_FILES_MAX: usize = 16;

/// Files of one `environment_from_file`, each of which is read at each start.
const SECRETS_MAX: usize = 64;

/// A file of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// The path of the file.
    pub path: String,
    /// Whether it may be missing.
    pub is_optional: bool,
}

/// `envFiles`: paths between commas, each with a `-` before it if the file may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFiles(pub Rc<[EnvFile]>);

impl Datatype for EnvFiles {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "list of files of variables";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let file = |word: &str| {
            let (path, is_optional) = word.strip_prefix('-').map_or((word, false), |path| (path.trim_start(), true));
            path_of(path, word, env).map(|path| EnvFile { path, is_optional })
        };
        let files = words(text).map(file).collect::<Result<Vec<_>, _>>()?;
        if files.len() > ENV_FILES_MAX {
            return Err(format!("more than {ENV_FILES_MAX} files"));
        }
        Ok(EnvFiles(files.into()))
    }
}

impl Show for EnvFiles {
    fn shown(&self) -> Value {
        let file = |file: &EnvFile| format!("{}{}", if file.is_optional { "-" } else { "" }, file.path);
        self.0.iter().map(file).collect::<Vec<_>>().join(",").into()
    }
}

/// `environment_from_file`: variables, each with the file that holds its value, `KEY:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets(pub Rc<[Secret]>);

/// A variable and the file that holds its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The name of the variable that is set.
    pub name: String,
    /// The file whose content it gets.
    pub path: String,
}

impl Datatype for Secrets {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "list of KEY:PATH";

    fn parse(text: &str, env: &dyn Env) -> Result<Self, String> {
        let secret = |word: &str| {
            let (name, path) =
                word.split_once(':').ok_or_else(|| format!("expected KEY:PATH, not {}", pyrepr::text(word)))?;
            let name = name.trim_end();
            if !envfile::is_name(name.as_bytes()) {
                return Err(format!("{} is no name of a variable", pyrepr::text(name)));
            }
            Ok(Secret { name: name.to_string(), path: path_of(path.trim_start(), word, env)? })
        };
        let secrets = words(text).map(secret).collect::<Result<Vec<_>, _>>()?;
        if secrets.len() > SECRETS_MAX {
            return Err(format!("more than {SECRETS_MAX} files"));
        }
        Ok(Secrets(secrets.into()))
    }
}

impl Show for Secrets {
    fn shown(&self) -> Value {
        self.0.iter().map(|Secret { name, path }| format!("{name}:{path}")).collect::<Vec<_>>().join(",").into()
    }
}

/// The words of a list; a comma at its end, as lists of several lines have it, begins none.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// A path as others are. Its directory need not be there: secrets may come after the daemon.
fn path_of(path: &str, word: &str, env: &dyn Env) -> Result<String, String> {
    match path {
        "" => Err(format!("no path in {}", pyrepr::text(word))),
        _ => Ok(env.expand_user(path)),
    }
}

/// `environment_inherit`: what a child gets of the environment in which the daemon was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inherit {
    /// A child inherits all of the daemon's environment.
    All,
    /// A child inherits none of the daemon's environment.
    Nothing,
    /// A child inherits the variables of these names.
    Names(Rc<[String]>),
}

impl Inherit {
    /// Whether a variable of that name is passed on.
    pub fn has(&self, name: &[u8]) -> bool {
        match self {
            Inherit::All => true,
            Inherit::Nothing => false,
            Inherit::Names(names) => names.iter().any(|known| known.as_bytes() == name),
        }
    }
}

impl Datatype for Inherit {
    const NAMES_OPTION: bool = true;
    const KIND: &'static str = "boolean, or list of variables";

    fn parse(text: &str, _: &dyn Env) -> Result<Self, String> {
        match truth(text.trim()) {
            Some(true) => return Ok(Inherit::All),
            Some(false) => return Ok(Inherit::Nothing),
            None => {}
        }
        let names: Vec<String> = words(text).map(str::to_string).collect();
        if let Some(wrong) = names.iter().find(|name| !envfile::is_name(name.as_bytes())) {
            return Err(format!("{} is no name of a variable", pyrepr::text(wrong)));
        }
        match names.is_empty() {
            true => Err(format!("expected true, false or names of variables, not {}", pyrepr::text(text))),
            false => Ok(Inherit::Names(names.into())),
        }
    }
}

impl Show for Inherit {
    fn shown(&self) -> Value {
        match self {
            Inherit::All => "true".into(),
            Inherit::Nothing => "false".into(),
            Inherit::Names(names) => names.join(",").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::Fake;
    use super::*;

    fn shown<T: Datatype + Show>(text: &str) -> Result<String, String> {
        let mut env = Fake::new();
        env.set_variable("HOME", "/home/me");
        T::parse(text, &env).map(|value| match value.shown() {
            Value::Str(text) => text.to_string(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn texts_and_values() {
        type Row = (fn(&str) -> Result<String, String>, &'static str, Result<&'static str, &'static str>);
        let rows: [Row; 16] = [
            (shown::<EnvFiles>, "", Ok("")),
            (shown::<EnvFiles>, "a.env, -b.env,\n- ~/c d.env,", Ok("a.env,-b.env,-/home/me/c d.env")),
            (shown::<EnvFiles>, "a,-", Err("no path in '-'")),
            (shown::<Secrets>, "", Ok("")),
            (shown::<Secrets>, "PW:/run/secrets/x, B : y:z", Ok("PW:/run/secrets/x,B:y:z")),
            (shown::<Secrets>, "/run/secrets/x", Err("expected KEY:PATH, not '/run/secrets/x'")),
            (shown::<Secrets>, "PW:", Err("no path in 'PW:'")),
            (shown::<Secrets>, ":/x", Err("'' is no name of a variable")),
            (shown::<Secrets>, "A=B:/x", Err("'A=B' is no name of a variable")),
            (shown::<Inherit>, "True", Ok("true")),
            (shown::<Inherit>, "off", Ok("false")),
            (shown::<Inherit>, "PATH, LANG,", Ok("PATH,LANG")),
            (shown::<Inherit>, "PATH,true", Ok("PATH,true")),
            (shown::<Inherit>, "", Err("expected true, false or names of variables, not ''")),
            (shown::<Inherit>, "A B", Err("'A B' is no name of a variable")),
            (shown::<Inherit>, "A=1", Err("'A=1' is no name of a variable")),
        ];
        for (read, text, expected) in rows {
            assert_eq!(read(text), expected.map(String::from).map_err(String::from), "{text:?}");
        }
        let many = |count: usize, word: &str| vec![word; count].join(",");
        assert!(shown::<EnvFiles>(&many(16, "a")).is_ok() && shown::<EnvFiles>(&many(17, "a")).is_err());
        assert!(shown::<Secrets>(&many(64, "A:a")).is_ok() && shown::<Secrets>(&many(65, "A:a")).is_err());
        assert!(Inherit::All.has(b"X") && !Inherit::Nothing.has(b"X"));
        assert!(
            Inherit::Names(["X".to_string()].into()).has(b"X") && !Inherit::Names(["XY".to_string()].into()).has(b"X")
        );
    }
}
