//! Where the configuration file is (C-1 to C-6).

use super::env::Env;
use super::error::ConfigError;
use super::paths;

/// What supervisord says on stderr when root starts it without `-c` (C-4).
///
/// It has the shape of Python's warnings, two lines and the category, because those who collect what the original says on
/// stderr filter for that.
pub const ROOT_WARNING: &str = "UserWarning: supervisord runs as root and looks for its configuration file in its \
     default places, the current directory among them.\n  Whoever can write there decides what root runs: better name \
     the file with -c and its absolute path.";

/// The places that are tried without `-c`, in order (C-1). `program` is `argv[0]`: its directory's parent comes first,
/// and is empty, that is the working directory, if `argv[0]` has no slash (C-2).
pub fn places(program: &str) -> [String; 6] {
    let prefix = paths::dirname(paths::dirname(program));
    [
        paths::join(prefix, "etc/supervisord.conf"),
        paths::join(prefix, "supervisord.conf"),
        "supervisord.conf".to_string(),
        "etc/supervisord.conf".to_string(),
        "/etc/supervisord.conf".to_string(),
        "/etc/supervisor/supervisord.conf".to_string(),
    ]
}

/// The first of the places that exists, seen from `cwd`; `None` suits supervisorctl, which then carries on with
/// defaults (C-5).
pub fn find(program: &str, cwd: &str, env: &dyn Env) -> Option<String> {
    places(program).into_iter().find(|place| env.exists(&paths::join(cwd, place)))
}

/// That none of the places exists, as supervisord says it (C-3).
pub fn not_found(program: &str) -> ConfigError {
    ConfigError::new(format!(
        "No config file found at default paths ({}); use the -c option to specify a config file at a different path",
        places(program).join(", ")
    ))
}

/// That the main file is not there (C-6).
pub fn missing(path: &str) -> ConfigError {
    ConfigError::new(format!("could not find config file {path}"))
}

/// That the main file is there and cannot be read (C-6).
pub fn unreadable(path: &str) -> ConfigError {
    ConfigError::new(format!("could not read config file {path}"))
}

/// That a file cannot be read without waiting for somebody, perhaps for ever.
pub fn not_regular(path: &str) -> ConfigError {
    ConfigError::new(format!("could not read config file {path}: it is no regular file"))
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn the_first_place_that_exists() {
        let rows = [
            ("/opt/sd/bin/supervisord", "/opt/sd/etc/supervisord.conf"),
            ("./bin/supervisord", "./etc/supervisord.conf"),
            ("bin/supervisord", "etc/supervisord.conf"),
            ("supervisord", "etc/supervisord.conf"),
        ];
        for (program, first) in rows {
            assert_eq!(places(program)[0], first, "{program:?}");
        }
        let mut env = Fake::new();
        assert_eq!(find("/opt/bin/sd", "/base", &env), None);
        env.write("/etc/supervisord.conf", "");
        assert_eq!(find("/opt/bin/sd", "/base", &env).as_deref(), Some("/etc/supervisord.conf"));
        env.write("/base/etc/supervisord.conf", "");
        assert_eq!(find("/opt/bin/sd", "/base", &env).as_deref(), Some("etc/supervisord.conf"));
        env.write("/opt/supervisord.conf", "");
        assert_eq!(find("/opt/bin/sd", "/base", &env).as_deref(), Some("/opt/supervisord.conf"));
    }

    #[test]
    fn what_is_said_when_it_is_not_there() {
        let text = not_found("sd").to_string();
        assert!(text.starts_with("No config file found at default paths (etc/supervisord.conf, supervisord.conf, "));
        assert!(text.ends_with("conf); use the -c option to specify a config file at a different path"));
    }
}
