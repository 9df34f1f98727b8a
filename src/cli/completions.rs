//! Completions for shells, as `clap_complete` writes them, with corrections.

use clap::{Arg, ValueEnum as _};
use clap_complete::Shell;

use super::texts::PROGRAM;
use super::{flags, tree};

/// The script that adds the completions to a shell.
#[must_use]
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut tree::program_for_completions(), PROGRAM, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => for_bash(&script),
        Shell::Fish => for_fish(&script),
        Shell::Zsh => for_zsh(&script),
        _ => script,
    }
}

fn for_bash(script: &str) -> String {
    // Of a program with a hyphen in its name, the script never recognizes the commands:
    // https://github.com/clap-rs/clap/issues/6421.
    let separated = |separator| PROGRAM.replace('-', separator);
    let script = script.replace(&separated("__subcmd__"), &separated("__"));
    // The equals sign of `--format=json` is a word of its own.
    let previous = "    prev=\"$3\"\n";
    let with_equals = "    prev=\"$3\"\n    \
         if [[ \"${cur}\" == \"=\" ]]; then\n        \
             cur=\"\"\n    \
         elif [[ \"${prev}\" == \"=\" && ${COMP_CWORD} -ge 2 ]]; then\n        \
             prev=\"${COMP_WORDS[COMP_CWORD-2]}\"\n    \
         fi\n";
    script.replacen(previous, with_equals, 1)
}

fn for_zsh(script: &str) -> String {
    // A colon separates the name of a value from how it is completed. That in `HOST:PORT` is not escaped.
    let parser = flags::parser();
    let names = parser.get_arguments().filter_map(Arg::get_value_names).flatten();
    let with_colon = names.filter(|name| name.contains(':'));
    with_colon.fold(script.to_owned(), |script, name| {
        script.replace(&format!(":{name}:"), &format!(":{}:", name.replace(':', "\\:")))
    })
}

fn for_fish(script: &str) -> String {
    let parser = flags::parser();
    let with_value = parser.get_arguments().filter(|flag| flag.get_action().takes_values());
    let with_value: Vec<String> =
        with_value.filter_map(Arg::get_long).map(|name| format!("--{name}")).collect();
    let shells: Vec<_> = Shell::value_variants().iter().map(flags::name).collect();
    let function = format!("__fish_{}", PROGRAM.replace('-', "_"));
    // The functions of the script use `argparse`, which rejects flags with dots.
    let rules = script.find("complete -c").and_then(|start| script.get(start..)).unwrap_or(script);
    format!(
        "# Succeeds if there is no command yet, and prints it otherwise.
function {function}_needs_command
    set -l words (commandline -opc)
    set -l is_value no
    for word in $words[2..]
        if test $is_value = yes
            set is_value no
            continue
        end
        switch $word
            case {}
                set is_value yes
            case '-*'
            case '*'
                echo $word
                return 1
        end
    end
    return 0
end

function {function}_using_subcommand
    set -l cmd ({function}_needs_command)
    test -z \"$cmd\"
    and return 1
    contains -- $cmd[1] $argv
end

{rules}complete -c {PROGRAM} -n \"{function}_using_subcommand completions\" -f -a \"{}\"
complete -c {PROGRAM} -n \"{function}_using_subcommand serve once doctor config man help\" -f
",
        with_value.join(" "),
        shells.join(" ")
    )
}
