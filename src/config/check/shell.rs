//! Syntax of a shell in commands, which are run without one.

use super::finding::Severity::{self, Error, Warning};

/// What is found: how bad it is, and the text.
type Found = (Severity, String);

/// Words that only a shell knows, at the start of a command.
const BUILT_IN: &[&str] = &[
    "cd", "source", ".", "export", "ulimit", "set", "unset", "alias", "exec", "eval", "trap", "if", "for", "while",
    "until", "case", "function", "{", "(", "[[", "!",
];
/// Programs whose arguments are patterns, where signs mean something else.
const WITH_PATTERNS: &[&str] =
    &["grep", "egrep", "fgrep", "zgrep", "rg", "sed", "awk", "gawk", "mawk", "perl", "find", "jq"];
/// Programs that are given files and do nothing else with a `*`.
const WITH_FILES: &[&str] =
    &["cat", "tail", "head", "ls", "rm", "cp", "mv", "chmod", "chown", "touch", "gzip", "wc", "less"];
/// What runs a text as a script.
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"];

/// Whether that is the path of a shell.
pub(super) fn is_shell(word: &str) -> bool {
    SHELLS.contains(&base(word))
}

/// The last part of a path.
pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Syntax of a shell where there is no shell. `words` are those of the command.
pub(super) fn syntax(command: &str, words: &[String]) -> Option<Found> {
    let told = |severity, what: &str| {
        Some((severity, format!("{what} is for a shell, and there is none: use /bin/sh -c '...'")))
    };
    let first = words.first()?.as_str();
    if let Some((name, _)) = first.split_once('=')
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return told(Error, &format!("{name}= before the command"));
    }
    if BUILT_IN.contains(&first) {
        return told(Error, first);
    }
    if first.starts_with("~/") {
        return told(Error, "~");
    }
    let bare = bare(command, false);
    let signs = bare.iter().enumerate().find_map(|(at, word)| sign(word, at + 1 == bare.len()));
    if let Some((severity, sign)) = signs {
        return told(severity, &sign);
    }
    // From the text of `sh -c` on, it is the shell that reads.
    let script = words.iter().position(|word| is_shell(word)).unwrap_or(words.len());
    let has_patterns = words.iter().take(2).any(|word| WITH_PATTERNS.contains(&base(word)));
    let worst = if has_patterns || base(first) == "java" { Warning } else { Error };
    if let Some(name) = bare.iter().take(script).find_map(|word| variable(word)) {
        return told(worst, &name);
    }
    if !has_patterns && let Some(star) = bare.iter().take(script).skip(1).find_map(|word| files(word)) {
        let takes_files = WITH_FILES.contains(&base(first));
        // Java reads `lib/*` itself; options of others often want a pattern.
        if takes_files || base(first) != "java" && !star.is_empty() {
            return told(if takes_files { Error } else { Warning }, "*");
        }
    }
    if bare.iter().take(script).any(|word| word.starts_with("~/")) {
        return told(Warning, "~");
    }
    let in_quotes = self::bare(command, true);
    match in_quotes.iter().take(script).find_map(|word| variable(word)) {
        Some(name) if !has_patterns => told(Warning, &name),
        _ => None,
    }
}

/// The words of a command as they stand, quoted and escaped characters blotted out; with `keeps_double` those in double quotes
/// stay, for a shell would replace names in them.
pub(super) fn bare(command: &str, keeps_double: bool) -> Vec<String> {
    const BLOT: char = '\0';
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        let word = words.last_mut().expect("there is one at the start");
        match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                word.push(BLOT);
            }
            (Some(open), _) if c == open => quote = None,
            (None | Some('"'), '\\') => word.extend(chars.next().map(|_| BLOT)),
            (None, _) if c.is_whitespace() => words.push(String::new()),
            (Some('"'), _) if keeps_double => word.push(c),
            (None, _) => word.push(c),
            _ => word.push(BLOT),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A sign that joins commands or redirects, in a word without what is quoted.
fn sign(word: &str, is_last: bool) -> Option<Found> {
    if let "&&" | "||" | "|" | ";" | "&" = word {
        return Some((Error, word.to_string()));
    }
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = if rest.len() == word.len() { rest.strip_prefix('&').unwrap_or(rest) } else { rest };
    let after = rest.trim_start_matches(['<', '>']);
    // `<none>` and `>=1` are something else.
    if after.len() < rest.len() && !after.starts_with('=') && !(rest.starts_with('<') && after.contains('>')) {
        return Some((Error, word[..word.len() - after.len()].to_string()));
    }
    // Addresses, and what is made of `name=value;`, may hold them.
    if word.contains("://") {
        return None;
    }
    if let Some(sign) = ["&&", "||"].into_iter().find(|sign| word.contains(sign)) {
        return Some((Error, sign.to_string()));
    }
    if word.ends_with('&') && is_last {
        return Some((Error, "&".to_string()));
    }
    if word.len() > 1 && (word.starts_with('|') || word.ends_with('|')) {
        return Some((Warning, "|".to_string()));
    }
    let before = word.strip_suffix(';')?;
    let is_list = before.contains(['=', ';', ',']);
    (!is_list).then(|| (if is_last { Warning } else { Error }, ";".to_string()))
}

/// What a shell would replace by something: `$NAME`, `${`, `$(` or a backtick.
fn variable(word: &str) -> Option<String> {
    if word.matches('`').count() > 1 {
        return Some("`".to_string());
    }
    let (_, rest) = word.split_once('$')?;
    let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    match rest.chars().next()? {
        '(' | '{' => Some(format!("${}", &rest[..1])),
        c if c.is_ascii_alphabetic() || c == '_' => Some(format!("${name}")),
        _ => None,
    }
}

/// The name of files with a `*`, as `*.txt` or `/var/log/*`; not `*` alone, nor `*:80`.
fn files(word: &str) -> Option<&str> {
    let is_path = word.contains("/*") || word.contains("*/") || word.contains("*.");
    (is_path && !word.starts_with('-') && !word.contains("://") && !word.contains("*:")).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::words;

    #[test]
    fn what_only_a_shell_knows() {
        // (command, how bad, what is named)
        let rows = [
            ("/bin/x >/dev/null", Some((Error, "> is"))),
            ("/bin/x 2>/dev/null", Some((Error, "2> is"))),
            ("/bin/x &>/dev/null", Some((Error, "&> is"))),
            ("/bin/x >>/tmp/l 2>&1", Some((Error, ">> is"))),
            ("/bin/x </dev/null", Some((Error, "< is"))),
            ("/bin/x a; /bin/x", Some((Error, "; is"))),
            ("/bin/x a;", Some((Warning, "; is"))),
            ("/bin/sleep 100&", Some((Error, "& is"))),
            ("/bin/sleep 1||true", Some((Error, "|| is"))),
            ("/bin/x 1&&y", Some((Error, "&& is"))),
            ("/bin/x |tee y", Some((Warning, "| is"))),
            ("/bin/ls $HOME", Some((Error, "$HOME is"))),
            ("/bin/ls --dir=${HOME}/x", Some((Error, "${ is"))),
            ("/bin/echo $(date)", Some((Error, "$( is"))),
            ("/bin/echo `date`", Some((Error, "` is"))),
            ("/bin/cat *.txt", Some((Error, "* is"))),
            ("tail -F /var/log/*.log", Some((Error, "* is"))),
            ("rsync --exclude *.pyc a b", Some((Warning, "* is"))),
            ("~/bin/foo", Some((Error, "~ is"))),
            ("ssh -i ~/.ssh/key h", Some((Warning, "~ is"))),
            ("exec /bin/x", Some((Error, "exec is"))),
            ("if true; then x; fi", Some((Error, "if is"))),
            ("echo \"$HOME\"", Some((Warning, "$HOME is"))),
            ("java -jar x --url=${URL}", Some((Warning, "${ is"))),
            ("sh -c \"a\" >/dev/null", Some((Error, "> is"))),
            ("sh -c \"cd $HOME; cat *.txt > `date` && x &\"", None),
            ("tini -- bash -lc 'exec x \"$@\" $HOME'", None),
            ("bash script $HOME", None),
            ("echo '$HOME' '*.txt' 'a; b' \"a > b\"", None),
            ("echo \\$HOME a\\;", None),
            ("grep -E ^a|b$ /x", None),
            ("grep -r \"foo$bar\" *.txt", None),
            ("awk {print$1}", None),
            ("gunicorn --forwarded-allow-ips=* -b *:80 app", None),
            ("daphne --hosts *", None),
            ("java -cp lib/*:x.jar Main", None),
            ("java -cp lib/* Main", None),
            ("curl http://h/?a=1&b=2", None),
            ("x Server=h;Database=d;", None),
            ("x -s a;b", None),
            ("pip install x >=1", None),
            ("x <none>", None),
            ("find . -name x=y -exec rm {} \\;", None),
            ("x a&b", None),
            ("x cost$ 5$", None),
        ];
        for (command, expected) in rows {
            let words = words::split(command).expect(command);
            let found = syntax(command, &words);
            let is_so = match (&found, expected) {
                (Some((severity, text)), Some((wanted, start))) => *severity == wanted && text.starts_with(start),
                (None, None) => true,
                _ => false,
            };
            assert!(is_so, "{command:?}: {found:?}");
        }
    }
}
