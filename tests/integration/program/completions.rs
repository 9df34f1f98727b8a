//! Tests of the completions, with real shells.

use std::path::{Path, PathBuf};
use std::process::Command;

use pretty_assertions::assert_eq;

use super::help::printed;
use crate::deploy::place;
use crate::tools::{self, written};

/// What follows the name of the program on a command line, and how it continues. The line ends with the
/// word to complete, and the completions are in the order of the alphabet.
const LINES: [(&str, &[&str]); 20] = [
    // Flags with dots.
    ("--web.l", &["--web.listen-address"]),
    ("once --shard.f", &["--shard.from-hostname"]),
    // Flags of the command, and no others.
    ("config check --w", &["--web.config.file"]),
    ("once --web.l", &[]),
    ("doctor --r", &["--region", "--replay"]),
    // Commands, also after flags and their values.
    ("c", &["completions", "config"]),
    ("config ", &["check", "defaults", "schema"]),
    ("--config.file x once --o", &["--output"]),
    ("--config.file=x on", &["once"]),
    ("--web.listen-address :1 on", &["once"]),
    ("help ", &["completions", "config", "doctor", "man", "once", "serve"]),
    // Values.
    ("once --format ", &["expectations", "json", "openmetrics", "prometheus", "table"]),
    ("doctor --format ", &["json", "table"]),
    ("once --format=j", &["json"]),
    ("--log.level w", &["warn"]),
    ("completions ", &["bash", "elvish", "fish", "powershell", "zsh"]),
    // Files.
    ("--config.file co", &["config.json", "config.yaml"]),
    ("once --output=co", &["config.json", "config.yaml"]),
    ("once --config.file x --record co", &["config.json", "config.yaml"]),
    // The path of the metrics is no file.
    ("--web.telemetry-path co", &[]),
];

/// A directory with some files, and the script for a shell.
struct Completions {
    directory: tempfile::TempDir,
    script: PathBuf,
}

impl Completions {
    fn of(shell: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for file in ["config.yaml", "config.json", "other"] {
            std::fs::write(directory.path().join(file), "").unwrap();
        }
        // Beside the directory, in which no other file may be found.
        let script = directory.path().join(".completions");
        std::fs::write(&script, printed(&format!("completions {shell}"))).unwrap();
        Self { directory, script }
    }

    /// Compares all lines with what a terminal of `shell` makes of them.
    fn compare_on_a_terminal(&self, kind: &str, shell: &Command) {
        let mut complete = tools::python();
        complete.arg(place("tests/python/complete.py")).arg(kind).arg(path_of(shell)).arg(&self.script);
        let lines = LINES.map(|(line, _)| format!("ssm-sync-exporter {line}"));
        let output = complete.args(&lines).current_dir(self.directory.path()).output().unwrap();
        assert!(output.status.success(), "{}", written(&output));
        let completed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(completed.lines().count(), LINES.len(), "{completed}");
        for ((line, expected), completed) in
            lines.iter().zip(LINES).map(|(line, (_, e))| (line, e)).zip(completed.lines())
        {
            let (before, word) = line.rsplit_once(' ').unwrap();
            let completed = completed.strip_prefix(before).unwrap_or_else(|| panic!("{kind}: {completed}"));
            let mut found: Vec<&str> = completed.split_whitespace().map(without_flag).collect();
            found.sort_unstable();
            // bash has flags beside the words of a command, and what cannot be completed stays.
            found.retain(|found| word.starts_with('-') || !found.starts_with('-'));
            found.retain(|found| !expected.is_empty() || *found != without_flag(word));
            assert_eq!(found, expected, "{kind}: {line}");
        }
    }
}

/// A word without the flag whose value it is: zsh repeats it for every value.
fn without_flag(word: &str) -> &str {
    match word.split_once('=') {
        Some((flag, "")) => flag,
        Some((_, value)) => value,
        None => word,
    }
}

/// The path of a program, which may be a name in `PATH`.
fn path_of(program: &Command) -> PathBuf {
    let name = Path::new(program.get_program());
    let paths = std::env::var_os("PATH").unwrap();
    let found =
        std::env::split_paths(&paths).map(|directory| directory.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{} is not in PATH", name.display()))
}

/// Regression test: the script did not recognize commands, because the name of the program has hyphens.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn bash_completes_commands_flags_and_values() {
    Completions::of("bash").compare_on_a_terminal("bash", &Command::new("bash"));
}

/// Regression test: nothing was completed after `--web.listen-address`, because its value is called
/// `HOST:PORT`.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn zsh_completes_commands_flags_and_values() {
    Completions::of("zsh").compare_on_a_terminal("zsh", &tools::zsh());
}

/// Regression test: nothing was completed, because `argparse` rejects flags with dots.
#[test]
#[ignore = "needs tools that `tests/run` installs"]
fn fish_completes_commands_flags_and_values() {
    let completions = Completions::of("fish");
    for (line, expected) in LINES {
        let script = "source $argv[1]; complete -C \"ssm-sync-exporter $argv[2]\"";
        let mut fish = tools::fish();
        fish.args(["--no-config", "-c", script]).arg(&completions.script).arg(line);
        let output = fish.current_dir(completions.directory.path()).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", written(&output));
        let found = String::from_utf8(output.stdout).unwrap();
        let found = found.lines().map(|line| without_flag(line.split('\t').next().unwrap()));
        let mut found: Vec<&str> = found.collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{line}");
    }
}

/// These shells are not run here, so the scripts are only looked at.
#[test]
fn the_scripts_of_other_shells_have_the_flags() {
    for shell in ["elvish", "powershell"] {
        let script = printed(&format!("completions {shell}"));
        for word in ["--web.listen-address", "--record.raw", "defaults", "doctor"] {
            assert!(script.contains(word), "{shell}: {script}");
        }
    }
}
