//! The commands with their flags as a tree of clap, from which help, completions and the manual page are
//! made. Arguments are not parsed with it, because a flag of a command may come before the command.

use clap::builder::{EnumValueParser, Resettable, Styles};
use clap::{Arg, ArgAction};
use clap_complete::Shell;

use super::arguments::Request;
use super::command::{Command, WITH_FLAGS};
use super::flags;
use super::texts::{self, COMMANDS, CommandText, Example, PROGRAM};
use crate::build_info;
use crate::terminal::{Page, Word, words};

/// The width of help.
const WIDTH: usize = 80;

/// The program with its commands.
pub(super) fn program() -> clap::Command {
    program_with(flags())
}

/// The program with the flags of `serve`. zsh completes the flags of the program after commands, too.
pub(super) fn program_for_completions() -> clap::Command {
    program_with(flags().filter(|flag| flag.get_long().is_some_and(|flag| Command::Serve.has(flag))))
}

fn program_with(flags: impl Iterator<Item = Arg>) -> clap::Command {
    let described = texts::DESCRIPTION.join("\n\n");
    let mut program = clap::Command::new(PROGRAM)
        .disable_help_flag(true)
        .about(texts::ABOUT)
        .long_about(format!("{}\n\n{}", texts::ABOUT, described))
        .override_usage(format!("{PROGRAM} [COMMAND] [FLAGS]"))
        .after_help(format!("See {PROGRAM} --help for examples, environment variables and exit statuses."))
        .after_long_help(sections())
        .args(flags.chain(about_the_program(true)));
    let mut help = clap::Command::new("help").about("Print the help of a command");
    for text in COMMANDS {
        let (parent, name) = text.name.split_once(' ').unwrap_or(("", text.name));
        let command = subcommand(&text, name);
        let topic = clap::Command::new(name).about(text.about);
        let (in_program, in_help) = match parent {
            "" => (program.subcommand(command), help.subcommand(topic)),
            parent => (
                program.mut_subcommand(parent, |parent| parent.subcommand(command)),
                help.mut_subcommand(parent, |parent| parent.subcommand(topic)),
            ),
        };
        (program, help) = (in_program, in_help);
    }
    program.subcommand(help).disable_help_subcommand(true).disable_version_flag(true).term_width(WIDTH)
}

/// All flags, without the rules between them, which clap checks within each command.
fn flags() -> impl Iterator<Item = Arg> {
    let flags: Vec<Arg> =
        flags::parser().get_arguments().filter(|flag| !flag.is_positional()).cloned().collect();
    flags.into_iter().map(|flag| flag.requires(Resettable::Reset).conflicts_with(Resettable::Reset))
}

fn about_the_program(has_version: bool) -> impl Iterator<Item = Arg> {
    let flag = |name, short, help| {
        Arg::new(name).long(name).short(short).action(ArgAction::SetTrue).help(help).help_heading("Help")
    };
    let version = has_version.then(|| flag("version", 'V', "Print version, revision and compiler"));
    [flag("help", 'h', "Print help; -h prints a summary")].into_iter().chain(version)
}

fn subcommand(text: &CommandText, name: &'static str) -> clap::Command {
    let command = WITH_FLAGS.into_iter().find(|command| command.name() == text.name);
    let with_flags = flags()
        .filter_map(|flag| {
            let long = flag.get_long()?;
            command.filter(|command| command.has(long)).map(|command| of_command(flag.clone(), command))
        })
        .collect::<Vec<_>>();
    let usage = match text.name {
        "config" => "COMMAND",
        "completions" => "SHELL",
        _ if command.is_some() => "[FLAGS]",
        _ => "",
    };
    let paragraphs: Vec<&str> = [text.about].iter().chain(text.description).copied().collect();
    let mut subcommand = clap::Command::new(name)
        .about(text.about)
        .long_about(paragraphs.join("\n\n"))
        .override_usage(format!("{PROGRAM} {} {usage}", text.name).trim_end().to_owned())
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .args(with_flags.into_iter().chain(about_the_program(false)));
    if text.name == "completions" {
        subcommand =
            subcommand.arg(Arg::new("SHELL").required(true).value_parser(EnumValueParser::<Shell>::new()));
    }
    if !text.examples.is_empty() {
        let mut page = Page::new(WIDTH, true).with_whole_words();
        write_examples(&mut page, text.examples);
        subcommand = subcommand.after_long_help(page.into_text());
    }
    subcommand
}

/// The flag as the command has it.
fn of_command(flag: Arg, command: Command) -> Arg {
    // The headings of the program name the commands, which is of no use here.
    let heading = flags::HEADINGS.into_iter().find(|(heading, _)| flag.get_help_heading() == Some(*heading));
    let flag = match heading {
        Some((_, short)) => flag.help_heading(short),
        None => flag,
    };
    match (command, flag.get_long()) {
        (Command::Once, Some("format")) => flag.help("Format of the results [default: prometheus]"),
        (Command::Doctor, Some("format")) => {
            flag.help("Format of the results [default: table]").value_parser(["table", "json"])
        }
        (Command::Once, Some("fail-on")) => flag.help("What makes the exit status 1 [default: targets]"),
        (Command::Doctor, Some("log.level")) => flag.help("Lowest severity to log [default: error]"),
        (_, Some("log.level")) => flag.help("Lowest severity to log [default: info]"),
        _ => flag,
    }
}

/// The help of the command that `topic` names, or the version; none if there is no such command.
pub(super) fn print(topic: &[&str], request: Request) -> Option<String> {
    if request == Request::Version {
        return Some(format!("{PROGRAM} {}\n", build_info::LONG_VERSION));
    }
    let mut program = program();
    program.build();
    let mut command = &mut program;
    for word in topic {
        command = command.find_subcommand_mut(word)?;
    }
    let help = match request {
        Request::ShortHelp => command.render_help(),
        Request::Help | Request::Version => command.render_long_help(),
    };
    // clap ends lines between paragraphs with spaces.
    Some(help.ansi().to_string().trim_end().lines().flat_map(|line| [line.trim_end(), "\n"]).collect())
}

/// The end of the long help of the program.
fn sections() -> String {
    let has_flags = |text: &&CommandText| WITH_FLAGS.iter().any(|command| command.name() == text.name);
    let examples: Vec<Example> =
        COMMANDS.iter().filter(has_flags).filter_map(|text| text.examples.first().copied()).collect();
    let mut page = Page::new(WIDTH, true).with_whole_words();
    write_examples(&mut page, &examples);
    page.separate();
    page.paragraph(0, 0, [heading("Environment variables:")]);
    for (names, text) in texts::ENVIRONMENT {
        page.paragraph(2, 0, words(names));
        page.paragraph(6, 0, words(text));
    }
    page.separate();
    page.paragraph(0, 0, [heading("Exit status:")]);
    for (status, text) in texts::EXIT_STATUS {
        page.paragraph(2, 3, [Word::new(status).followed_by(" ")].into_iter().chain(words(text)));
    }
    page.separate();
    page.paragraph(0, 0, [heading("Documentation:"), Word::new(texts::DOCUMENTATION)]);
    page.into_text()
}

fn write_examples(page: &mut Page, examples: &[Example]) {
    page.paragraph(0, 0, [heading("Examples:")]);
    for (what, command) in examples {
        page.paragraph(2, 0, words(what));
        page.verbatim(4, words(command));
    }
}

fn heading(title: &str) -> Word {
    Word::new(title).styled(*Styles::styled().get_header())
}
