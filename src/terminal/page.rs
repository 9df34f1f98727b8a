//! Lines of limited width, wrapped between words.

use anstyle::Style;
use unicode_width::UnicodeWidthChar as _;

use crate::printable::escape_control_characters;

/// Replaces what does not fit.
const ELLIPSIS: &str = "…";

/// The width if the output is not a terminal.
const DEFAULT_WIDTH: usize = 80;

/// The minimum width. The lines are longer than a terminal that is narrower.
const MIN_WIDTH: usize = 40;

/// The number of words from which on a message is shortened, and how many words at its ends are
/// kept.
const MAX_WORDS: usize = 80;
const WORDS_KEPT: (usize, usize) = (50, 25);

/// A text that is not broken into lines, with its style.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    text: String,
    style: Style,
}

impl Word {
    /// A word that may contain spaces. Characters that could control the terminal are escaped.
    pub(crate) fn new(text: &str) -> Self {
        Self { text: escape_control_characters(text), style: Style::new() }
    }

    pub(crate) fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }

    pub(crate) fn width(&self) -> usize {
        width(&self.text)
    }

    /// Shortens the word to this width.
    pub(crate) fn shortened(self, columns: usize) -> Self {
        Self { text: shorten(&self.text, columns), ..self }
    }

    /// Appends a text in the same style.
    pub(crate) fn followed_by(self, text: &str) -> Self {
        Self { text: self.text + text, ..self }
    }

    /// Fills the word up to this width with spaces on the right.
    pub(crate) fn left_aligned(self, columns: usize) -> Self {
        let padding = " ".repeat(columns.saturating_sub(self.width()));
        Self { text: self.text + &padding, ..self }
    }

    /// Fills the word up to this width with spaces on the left.
    pub(crate) fn right_aligned(self, columns: usize) -> Self {
        let padding = " ".repeat(columns.saturating_sub(self.width()));
        Self { text: padding + &self.text, ..self }
    }
}

/// The words of a text of our own.
pub(crate) fn words(text: &str) -> impl Iterator<Item = Word> {
    text.split_whitespace().map(Word::new)
}

/// The words of a message from outside. A long message loses words in its middle, because the
/// cause of an error is at its beginning or at its end.
pub(crate) fn message(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = words(text).collect();
    if words.len() > MAX_WORDS {
        let (first, last) = WORDS_KEPT;
        words.splice(first..words.len() - last, [Word::new(ELLIPSIS)]);
    }
    words
}

/// The words with a comma after each but the last.
pub(crate) fn separated_by_commas(words: Vec<Word>) -> impl Iterator<Item = Word> {
    let last = words.len().saturating_sub(1);
    let words = words.into_iter().enumerate();
    words.map(move |(index, word)| if index < last { word.followed_by(",") } else { word })
}

/// The text of the output.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    text: String,
    width: usize,
    has_color: bool,
    /// Whether the output is a terminal, which wraps lines that are longer than its width.
    is_terminal: bool,
    /// Whether words that are longer than a line are shortened.
    shortens_words: bool,
}

impl Page {
    /// A page for a terminal of `width` columns, or for an output that is not a terminal.
    pub(crate) fn for_terminal(width: Option<u16>, has_color: bool) -> Self {
        let columns = width.map_or(DEFAULT_WIDTH, usize::from).max(MIN_WIDTH);
        Self { is_terminal: width.is_some(), ..Self::new(columns, has_color) }
    }

    pub(crate) fn new(width: usize, has_color: bool) -> Self {
        Self { text: String::new(), width, has_color, is_terminal: true, shortens_words: true }
    }

    /// Keeps words that are longer than a line, such as ARNs, as they are. The terminal wraps them.
    pub(crate) fn with_whole_words(self) -> Self {
        Self { shortens_words: false, ..self }
    }

    /// The number of columns to the right of an indentation.
    pub(crate) fn columns(&self, indent: usize) -> usize {
        self.width.saturating_sub(indent)
    }

    /// Writes words with a space in between, wrapped between words. The first line is indented by
    /// `indent` columns, and the others by `hanging` columns more. A word that is longer than a
    /// line is shortened, unless the page has whole words.
    pub(crate) fn paragraph(&mut self, indent: usize, hanging: usize, words: impl IntoIterator<Item = Word>) {
        let (mut used, mut is_first) = (0, true);
        for word in words {
            let continues = !is_first && used + 1 + word.width() <= self.width;
            if continues {
                self.text.push(' ');
                used += 1;
            } else {
                let indent = if is_first { indent } else { indent + hanging };
                if !is_first {
                    self.end_line();
                }
                self.text += &" ".repeat(indent);
                used = indent;
            }
            let text = if self.shortens_words { shorten(&word.text, self.columns(used)) } else { word.text };
            used += width(&text);
            self.push(&text, word.style);
            is_first = false;
        }
        self.end_line();
    }

    /// Writes words on a single line, however long it is, so that it can be copied. The terminal wraps it.
    pub(crate) fn verbatim(&mut self, indent: usize, words: impl IntoIterator<Item = Word>) {
        self.text += &" ".repeat(indent);
        for (index, word) in words.into_iter().enumerate() {
            if index > 0 {
                self.text.push(' ');
            }
            self.push(&word.text, word.style);
        }
        self.end_line();
    }

    /// How many rows of the terminal the text takes, if it has no colours. A line of a file or a pipe is
    /// one row, however long it is.
    pub(crate) fn rows(&self) -> usize {
        let rows = |line| if self.is_terminal { width(line).div_ceil(self.width).max(1) } else { 1 };
        self.text.lines().map(rows).sum()
    }

    fn end_line(&mut self) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    /// Writes an empty line, unless there is nothing above.
    pub(crate) fn separate(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    fn push(&mut self, text: &str, style: Style) {
        let visible = text.trim();
        if !self.has_color || style.is_plain() || visible.is_empty() {
            self.text += text;
            return;
        }
        let indent = text.len() - text.trim_start().len();
        let (padding_left, padding_right) = (&text[..indent], &text[indent + visible.len()..]);
        let (start, end) = (style.render().to_string(), style.render_reset().to_string());
        self.text.extend([padding_left, &start, visible, &end, padding_right]);
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// The number of columns that the text takes up. The sum over the characters is what terminals
/// take, except for those that combine emojis and draw fewer columns.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

fn width_of(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// Shortens a text to this width. Both ends are kept, because names and ARNs differ in either.
pub(crate) fn shorten(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let available = columns.saturating_sub(width(ELLIPSIS));
    let tail_columns = available / 2;
    let head = fitting(text.chars(), available - tail_columns);
    let tail: String = fitting(text.chars().rev(), tail_columns).chars().rev().collect();
    format!("{head}{ELLIPSIS}{tail}")
}

/// The first characters that fit into this width.
fn fitting(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    let fits = |character: &char| {
        used += width_of(*character);
        used <= columns
    };
    characters.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paragraph(columns: usize, text: &str) -> String {
        let mut page = Page::new(columns, false);
        page.paragraph(2, 2, words(text));
        page.into_text()
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        assert_eq!(paragraph(12, "one two three"), "  one two\n    three\n");
        assert_eq!(paragraph(40, "one two three"), "  one two three\n");
        assert_eq!(paragraph(12, ""), "\n");
    }

    #[test]
    fn a_word_that_is_longer_than_a_line_keeps_both_ends() {
        assert_eq!(
            paragraph(16, "in arn:aws:iam::111122223333:role/x now"),
            "  in\n    arn:aw…ole/x\n    now\n"
        );
    }

    #[test]
    fn texts_are_shortened_by_columns_and_not_by_characters() {
        for (text, columns, expected) in [
            ("inventory", 9, "inventory"),
            ("inventory", 8, "inve…ory"),
            ("inventory", 1, "…"),
            ("日本語の名前", 12, "日本語の名前"),
            ("日本語の名前", 11, "日本…名前"),
            ("日本語の名前", 7, "日…前"),
        ] {
            let shortened = shorten(text, columns);
            assert_eq!(shortened, expected);
            assert!(width(&shortened) <= columns);
        }
    }

    #[test]
    fn a_long_message_loses_its_middle() {
        let text: Vec<String> = (0..100).map(|index| index.to_string()).collect();
        let shown: Vec<String> = message(&text.join(" ")).into_iter().map(|word| word.text).collect();
        assert_eq!(shown[48..53], ["48", "49", "…", "75", "76"]);
        assert_eq!(message(&text[..80].join(" ")).len(), 80);
    }

    #[test]
    fn what_is_copied_stays_on_one_line_and_takes_several_rows() {
        let mut page = Page::new(10, false);
        page.verbatim(2, [Word::new("run"), Word::new("aws iam x --name \u{1b}y")]);
        page.paragraph(0, 0, words("ten column"));
        page.separate();
        page.verbatim(0, [Word::new("日本語の名前")]);
        assert_eq!(page.rows(), 3 + 1 + 1 + 2);
        assert!(page.into_text().starts_with("  run aws iam x --name \\u{1b}y\nten column\n\n"));
    }

    #[test]
    fn a_line_is_one_row_unless_a_terminal_wraps_it() {
        for (width, rows) in [(Some(40), 3), (None, 1)] {
            let mut page = Page::for_terminal(width, false).with_whole_words();
            page.paragraph(0, 2, [Word::new(&"x".repeat(100))]);
            assert_eq!((page.rows(), page.into_text().len()), (rows, 101));
        }
    }

    #[test]
    fn only_styled_words_have_escape_codes_and_only_with_colours() {
        for (has_color, expected) in [(true, "a \u{1b}[1mb\u{1b}[0m\n"), (false, "a b\n")] {
            let mut page = Page::new(40, has_color);
            page.paragraph(0, 0, [Word::new("a"), Word::new("b").styled(Style::new().bold())]);
            assert_eq!(page.into_text(), expected);
        }
    }
}
