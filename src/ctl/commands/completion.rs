//! Completion in the user's own shell: scripts to be read by bash, zsh and fish.

use crate::ctl::command::{Command, Completes, Owner};
use crate::ctl::error::Error;
use crate::ctl::session::Session;

/// The options, as the shells offer them, with what they do.
const OPTIONS: [(&str, &str, &str); 7] = [
    ("c", "configuration", "configuration file"),
    ("h", "help", "print the usage"),
    ("i", "interactive", "ask before shutdown and reload, and for credentials"),
    ("s", "serverurl", "URL of supervisord"),
    ("u", "username", "user name"),
    ("p", "password", "password"),
    ("r", "history_file", "history of the interactive shell"),
];

/// Prints the script for a shell, `completion bash|zsh|fish`.
pub fn completion(session: &mut Session, commands: &[Command], arguments: &str) -> Result<(), Error> {
    let words = Words::of(commands);
    let script = match arguments {
        "bash" => bash(&words),
        "zsh" => zsh(&words),
        "fish" => fish(&words),
        _ => {
            return Err(Error::usage("Error: completion requires bash, zsh or fish", 1));
        }
    };
    session.write(script.as_bytes());
    Ok(())
}

/// The commands that exist without a plugin's section, by what completes their words.
struct Words {
    all: Vec<&'static str>,
    groups: Vec<&'static str>,
    processes: Vec<&'static str>,
}

impl Words {
    fn of(commands: &[Command]) -> Words {
        let there =
            || commands.iter().filter(|command| !matches!(command.owner, Owner::Extension { always: false, .. }));
        let taking = |what| there().filter(|command| command.completes == what).map(|command| command.name).collect();
        let mut all: Vec<&str> = there().map(|command| command.name).collect();
        all.push("help");
        crate::sort::ascending(&mut all);
        Words { all, groups: taking(Completes::Groups), processes: taking(Completes::Processes) }
    }
}

/// How a script asks for names: with the options that the user has typed so far, so that the right daemon answers.
/// The first words of `status` are the processes; what stands before their colon are the groups.
fn bash(words: &Words) -> String {
    let short: String = OPTIONS.iter().map(|(short, ..)| format!("-{short} ")).collect();
    let long: String = OPTIONS.iter().map(|(_, long, _)| format!("--{long} ")).collect();
    format!(
        r#"# supervisorctl completion for bash: source <(supervisorctl completion bash)
_supervisorctl() {{
    local cur word words i=1 options=() command= names
    # Words as they were typed: readline breaks group:process at the colon.
    read -r -a words <<< "${{COMP_LINE:0:COMP_POINT}}"
    [[ ${{COMP_LINE:0:COMP_POINT}} == *[[:space:]] ]] && words+=("")
    cur=${{words[${{#words[@]}}-1]}}
    while (( i < ${{#words[@]}} - 1 )); do
        case ${{words[i]}} in
            -[csupr]|--configuration|--serverurl|--username|--password|--history_file)
                options+=("${{words[i]}}" "${{words[i+1]}}"); ((i += 2)) ;;
            -*) options+=("${{words[i]}}"); ((i++)) ;;
            *) command=${{words[i]}}; break ;;
        esac
    done
    case $command in
        "") case ${{words[${{#words[@]}}-2]}} in
                -c|--configuration|-r|--history_file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
                -s|-u|-p|--serverurl|--username|--password) return ;;
            esac
            case $cur in
                --*) names="{long}" ;;
                -*) names="{short}" ;;
                *) names="{all}" ;;
            esac ;;
        help) names="{all}" ;;
        completion) names="bash zsh fish" ;;
        {groups})
            names=$(supervisorctl "${{options[@]}}" status 2>/dev/null | awk '{{split($1, n, ":"); print n[1]}}' | sort -u) ;;
        {processes})
            names=$(supervisorctl "${{options[@]}}" status 2>/dev/null | awk '{{print $1; if (split($1, n, ":") > 1) print n[1] ":*"}}' | sort -u)
            names="all $names" ;;
        *) return ;;
    esac
    # Not compgen -W: it would expand what stands in a name.
    COMPREPLY=()
    while read -r word; do
        [[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("$word")
    done <<< "${{names//[[:space:]]/$'\n'}}"
    # What readline takes for the current word begins behind the last colon.
    if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
        local before=${{cur%"${{cur##*:}}"}}
        COMPREPLY=("${{COMPREPLY[@]#"$before"}}")
    fi
}}
complete -F _supervisorctl supervisorctl
"#,
        all = words.all.join(" "),
        groups = words.groups.join("|"),
        processes = words.processes.join("|"),
    )
}

fn zsh(words: &Words) -> String {
    let options: String = OPTIONS
        .iter()
        .map(|(short, long, what)| {
            let value = match *long {
                "help" | "interactive" => "",
                "configuration" | "history_file" => ":file:_files",
                _ => ": :",
            };
            format!("        '(-{short} --{long})'{{-{short},--{long}}}'[{what}]{value}' \\\n")
        })
        .collect();
    format!(
        r#"#compdef supervisorctl
# supervisorctl completion for zsh: supervisorctl completion zsh > "${{fpath[1]}}/_supervisorctl"
_supervisorctl_status() {{
    local -a options
    local key
    for key in -c --configuration -s --serverurl -u --username -p --password; do
        [[ -n ${{opt_args[$key]}} ]] && options+=($key ${{(Q)opt_args[$key]}})
    done
    supervisorctl $options status 2>/dev/null | awk '{{print $1}}'
}}
_supervisorctl() {{
    local state line
    local -A opt_args
    _arguments -S \
{options}        '1:command:({all})' \
        '*::argument:->argument'
    [[ $state == argument ]] || return
    local -a names
    case $line[1] in
        help) compadd {all} ;;
        completion) compadd bash zsh fish ;;
        {groups})
            names=(${{(f)"$(_supervisorctl_status)"}})
            compadd -- ${{(u)names%%:*}} ;;
        {processes})
            names=(${{(f)"$(_supervisorctl_status)"}})
            compadd -- all $names ${{(u)${{(M)names:#*:*}}%%:*}}':*' ;;
    esac
}}
if [[ $funcstack[1] == _supervisorctl ]]; then _supervisorctl "$@"; else compdef _supervisorctl supervisorctl; fi
"#,
        all = words.all.join(" "),
        groups = words.groups.join("|"),
        processes = words.processes.join("|"),
    )
}

fn fish(words: &Words) -> String {
    let mut script = String::from(
        r#"# supervisorctl completion for fish: supervisorctl completion fish > ~/.config/fish/completions/supervisorctl.fish
function __supervisorctl_status
    set -l words (commandline -opc)
    set -l options
    set -l i 2
    while test $i -le (count $words)
        switch $words[$i]
            case -c -s -u -p --configuration --serverurl --username --password
                set options $options $words[$i] $words[(math $i + 1)]
                set i (math $i + 2)
            case '*'
                break
        end
    end
    supervisorctl $options status 2>/dev/null | awk '{print $1}'
end
function __supervisorctl_groups
    __supervisorctl_status | string replace -r ':.*' '' | sort -u
end
function __supervisorctl_processes
    echo all
    set -l names (__supervisorctl_status)
    printf '%s\n' $names
    string match -r '^[^:]+:' -- $names | sort -u | string replace -r '$' '*'
end
complete -c supervisorctl -f
"#,
    );
    for (short, long, what) in OPTIONS {
        let value = match long {
            "help" | "interactive" => "",
            "configuration" | "history_file" => " -r -F",
            _ => " -r",
        };
        script += &format!("complete -c supervisorctl -s {short} -l {long} -d '{what}'{value}\n");
    }
    let seen = |names: &[&str]| format!("'__fish_seen_subcommand_from {}'", names.join(" "));
    let all = &words.all;
    script += &format!("complete -c supervisorctl -n 'not {}' -a '{}'\n", seen(all).trim_matches('\''), all.join(" "));
    script += &format!("complete -c supervisorctl -n {} -a '{}'\n", seen(&["help"]), all.join(" "));
    script += &format!("complete -c supervisorctl -n {} -a 'bash zsh fish'\n", seen(&["completion"]));
    script += &format!("complete -c supervisorctl -n {} -a '(__supervisorctl_groups)'\n", seen(&words.groups));
    script += &format!("complete -c supervisorctl -n {} -a '(__supervisorctl_processes)'\n", seen(&words.processes));
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_offered() {
        let words = Words::of(crate::ctl::commands::COMMANDS);
        for (shell, script) in [("bash", bash(&words)), ("zsh", zsh(&words)), ("fish", fish(&words))] {
            for name in &words.all {
                assert!(script.contains(name), "{shell}: {name}");
            }
            assert!(!script.contains("mstart"), "{shell}: a plugin's command");
        }
    }
}
