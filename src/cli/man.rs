//! The manual page.

use clap::Arg;
use roff::{Inline, Roff, bold, italic, roman};

use super::texts::{self, COMMANDS, PROGRAM};
use super::tree;
use crate::build_info;

/// The manual page in the format of `man`.
#[must_use]
pub fn man_page() -> String {
    let mut program = tree::program();
    program.build();
    let mut page = Page(Roff::new());
    let source = format!("{PROGRAM} {}", build_info::VERSION);
    page.0.control("TH", [&*PROGRAM.to_uppercase(), "1", texts::DATE, &source, "User Commands"]);
    page.section("NAME");
    page.0.text([roman(format!("{PROGRAM} - {}", texts::ABOUT))]);
    page.section("SYNOPSIS");
    page.0.text([bold(PROGRAM), roman(" ["), italic("COMMAND"), roman("] ["), italic("FLAGS"), roman("]")]);
    page.section("DESCRIPTION");
    page.paragraphs(texts::DESCRIPTION);
    page.section("COMMANDS");
    for text in COMMANDS.iter().filter(|text| text.name != "config") {
        let shell = if text.name == "completions" { vec![roman(" "), italic("SHELL")] } else { Vec::new() };
        page.term([bold(text.name)].into_iter().chain(shell));
        page.text(&format!("{}.", text.about));
        for paragraph in text.description {
            page.0.control("IP", []);
            page.text(paragraph);
        }
    }
    page.section("OPTIONS");
    let mut last = None;
    for flag in program.get_arguments() {
        let heading = flag.get_help_heading().unwrap_or("Help");
        if last != Some(heading) {
            page.0.control("SS", [heading]);
            last = Some(heading);
        }
        page.flag(flag);
    }
    page.section("EXAMPLES");
    for (index, (what, command)) in COMMANDS.iter().flat_map(|text| text.examples).enumerate() {
        if index > 0 {
            page.0.control("PP", []);
        }
        page.text(what);
        page.0.control("PP", []);
        page.0.control("RS", ["4"]);
        page.0.control("nf", []);
        page.0.text([roman(*command)]);
        page.0.control("fi", []);
        page.0.control("RE", []);
    }
    for (title, definitions) in
        [("ENVIRONMENT", texts::ENVIRONMENT), ("FILES", texts::FILES), ("EXIT STATUS", texts::EXIT_STATUS)]
    {
        page.section(title);
        for (name, text) in definitions {
            page.term([bold(*name)]);
            page.text(text);
        }
    }
    page.section("SEE ALSO");
    page.text("`systemctl`(1), `aws`(1)");
    page.0.control("PP", []);
    page.text(texts::DOCUMENTATION);
    page.0.render()
}

struct Page(Roff);

impl Page {
    fn section(&mut self, title: &str) {
        self.0.control("SH", [title]);
    }

    fn paragraphs(&mut self, paragraphs: &[&str]) {
        for (index, paragraph) in paragraphs.iter().enumerate() {
            if index > 0 {
                self.0.control("PP", []);
            }
            self.text(paragraph);
        }
    }

    /// What the following text is about.
    fn term(&mut self, term: impl IntoIterator<Item = Inline>) {
        self.0.control("TP", []);
        self.0.text(term.into_iter().collect::<Vec<_>>());
    }

    /// A text with code between backticks.
    fn text(&mut self, text: &str) {
        let parts = text.split('`').enumerate();
        let inlines = parts.map(|(index, part)| if index % 2 == 1 { bold(part) } else { roman(part) });
        self.0.text(inlines.collect::<Vec<_>>());
    }

    fn flag(&mut self, flag: &Arg) {
        let short = flag.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
        let mut term = vec![bold(format!("{short}--{}", flag.get_long().unwrap_or_default()))];
        if flag.get_action().takes_values() {
            for name in flag.get_value_names().unwrap_or_default() {
                term.extend([roman(" "), italic(name.as_str())]);
            }
        }
        self.term(term);
        let help = flag.get_long_help().or(flag.get_help()).map(ToString::to_string).unwrap_or_default();
        for (index, paragraph) in help.split("\n\n").enumerate() {
            if index > 0 {
                self.0.control("IP", []);
            }
            self.text(paragraph);
        }
        let defaults = flag.get_default_values().iter().map(|value| value.to_string_lossy());
        let defaults: Vec<_> = defaults.collect();
        if flag.get_action().takes_values() && !defaults.is_empty() {
            self.text(&format!("[default: {}]", defaults.join(", ")));
        }
        if flag.get_action().takes_values() {
            for value in flag.get_possible_values() {
                self.0.control("IP", []);
                let help = value.get_help().map(|help| format!(": {help}")).unwrap_or_default();
                self.text(&format!("`{}`{help}", value.get_name()));
            }
        }
    }
}
