//! Limits of this machine, or of this container, that keep the daemon from starting (C-153, K-8).

use super::super::env::{Env, Scarce};
use super::super::loaded::Config;
use super::finding::{Finding, Severity};

/// Looks at what `[supervisord]` asks for, and says which number would do.
pub(super) fn look(config: &Config, env: &dyn Env) -> Vec<Finding> {
    let supervisord = &config.supervisord;
    let rows = [
        ("minfds", supervisord.minfds, Scarce::Descriptors, "open files"),
        ("minprocs", supervisord.minprocs, Scarce::Processes, "processes"),
    ];
    let mut found = Vec::new();
    for (option, number, what, things) in rows {
        if let Ok(wanted) = u64::try_from(number)
            && let Some(most) = env.too_many(what, wanted)
        {
            let text = format!(
                "{option} is {number}, and only {most} {things} are allowed here, so that the daemon does not start: \
                 {option}={most} would do"
            );
            found.push(Finding::new(Severity::Here, text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::Fake;
    use super::*;

    #[test]
    fn a_number_that_would_do_is_named() {
        let mut env = Fake::new();
        let config = env.load("[supervisord]\nminfds=600\n").unwrap();
        assert!(look(&config, &env).is_empty());
        env.most = 600;
        assert!(look(&config, &env).is_empty());
        env.most = 512;
        let found: Vec<String> = look(&config, &env).iter().map(|finding| finding.to_string()).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with(
            "minfds is 600, and only 512 open files are allowed here, so that the daemon does not start: minfds=512 \
             would do"
        ));
    }
}
