use clap::Arg;

use super::command::WITH_FLAGS;
use super::{Command, flags, names, texts, tree};
use crate::suggestion::squash;

fn long_flags(parser: &clap::Command) -> Vec<&Arg> {
    parser.get_arguments().filter(|flag| flag.get_long().is_some()).collect()
}

#[test]
fn every_flag_has_a_heading_and_a_command() {
    let parser = flags::parser();
    for flag in long_flags(&parser) {
        let name = flag.get_long().unwrap();
        assert!(flag.get_help_heading().is_some(), "{name}");
        assert!(WITH_FLAGS.iter().any(|command| command.has(name)), "{name}");
        assert!(![Command::Man, Command::ConfigSchema].iter().any(|command| command.accepts(name)), "{name}");
    }
}

/// The tree is built only for help. Otherwise clap would find contradictions in it when it parses.
#[test]
fn the_tree_of_commands_is_consistent() {
    tree::program().debug_assert();
    tree::program_for_completions().debug_assert();
    flags::parser().debug_assert();
}

#[test]
fn every_other_name_leads_to_a_flag_or_a_command() {
    let parser = flags::parser();
    for (flag, other) in names::OTHER_FLAGS {
        for name in other {
            assert_eq!(*name, squash(name));
            let same = names::same_flag(name, &parser);
            assert_eq!(same, Some(format!("--{flag}")), "{name}");
        }
        let is_known = long_flags(&parser).iter().any(|known| known.get_long() == Some(flag));
        assert!(is_known || flag == "version", "{flag}");
    }
    for (command, other) in names::OTHER_COMMANDS {
        assert!(texts::COMMANDS.iter().any(|text| text.name == command), "{command}");
        for name in other {
            assert_eq!(names::command_like(name), Some(command), "{name}");
        }
    }
}

/// In the manual page, an example is indented by 11 columns.
#[test]
fn examples_are_short_enough_for_80_columns() {
    for (what, command) in texts::COMMANDS.iter().flat_map(|text| text.examples) {
        assert!(what.ends_with(':') && what.len() <= 70, "{what}");
        assert!(command.len() <= 69, "{command}");
    }
}
