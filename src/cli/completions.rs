//! Completions for shells.

use clap_complete::Shell;

use super::texts::PROGRAM;
use super::tree;

/// The script that adds the completions to a shell.
#[must_use]
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut tree::program(), PROGRAM, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
