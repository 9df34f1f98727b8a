//! The configuration file with every key, as a file to begin with. It is written from the JSON Schema, so its
//! comments are the descriptions that editors show.

use std::collections::BTreeSet;

use serde_json::Value;

use super::schema::annotated_schema;
use super::shape::KEY_ORDER;

/// How many columns a line of a description has at most.
const WIDTH: usize = 90;

const HEADER: &str = "\
# The configuration of ssm-sync-exporter with every key. The keys that are not commented
# out have their defaults. The keys after `#` have no default, and show an example: remove
# the `# ` in front of a key and of everything below it to set it. Lines with `##`
# describe the key that follows.
#
# Reference: https://github.com/ssm-sync-exporter/ssm-sync-exporter/blob/main/config/README.md
";

/// The configuration file with every key in YAML. Keys with a default have it, and the others are commented
/// out with an example, so the file is equal to no file.
///
/// ```
/// let file = ssm_sync_exporter::config::defaults();
/// assert!(file.contains("\ninterval: 5m\n"));
/// ```
#[must_use]
pub fn defaults() -> String {
    let mut writer = Writer { text: HEADER.to_owned(), described: BTreeSet::new() };
    writer.keys(&annotated_schema(), Line::default());
    writer.text
}

/// Where a line of YAML begins.
#[derive(Clone, Copy, Default)]
struct Line {
    indent: usize,
    /// The indent of the `#` in front of the line, if it is commented out.
    comment: Option<usize>,
    /// The indent of the `#` in front of the line that is left after the first is removed.
    inner_comment: Option<usize>,
    /// Whether the line begins an entry of a list, two columns before the indent.
    is_entry: bool,
}

impl Line {
    /// The lines of the mapping or list below.
    fn below(self, indent: usize) -> Self {
        Self { indent: self.indent + indent, is_entry: false, ..self }
    }

    fn commented_out(self) -> Self {
        match (self.comment, self.inner_comment) {
            (None, _) => Self { comment: Some(self.indent), ..self },
            (Some(_), None) => Self { inner_comment: Some(self.indent), ..self },
            (Some(_), Some(_)) => self,
        }
    }

    /// What is in front of the text of the line.
    fn start(self) -> String {
        let mut start = String::new();
        let mut column = 0;
        for comment in [self.comment, self.inner_comment].into_iter().flatten() {
            start += &" ".repeat(comment - column);
            start += "# ";
            column = comment;
        }
        let indent = self.indent - column;
        if self.is_entry { start + &" ".repeat(indent - 2) + "- " } else { start + &" ".repeat(indent) }
    }
}

struct Writer {
    text: String,
    /// The titles of the mappings whose keys have been described.
    described: BTreeSet<String>,
}

impl Writer {
    /// Writes the keys of a mapping.
    fn keys(&mut self, schema: &Value, mut line: Line) {
        let alternatives = later_alternatives(schema);
        for key in strings(&schema[KEY_ORDER]) {
            let property = &schema["properties"][key];
            if line.indent == 0 {
                self.text.push('\n');
            }
            self.description(property, line);
            let is_alternative = alternatives.contains(key);
            self.key(key, property, if is_alternative { line.commented_out() } else { line });
            line.is_entry = false;
        }
    }

    fn description(&mut self, property: &Value, line: Line) {
        // In front of the `-` of an entry.
        let indent = if line.is_entry { line.indent - 2 } else { line.indent };
        let start = format!("{}## ", Line { indent, is_entry: false, ..line }.start());
        let mut row = start.clone();
        for word in property["description"].as_str().unwrap_or_default().split(' ') {
            if row.len() + word.len() > WIDTH && row != start {
                self.text += row.trim_end();
                self.text.push('\n');
                row.clone_from(&start);
            }
            row += word;
            row.push(' ');
        }
        self.text += row.trim_end();
        self.text.push('\n');
    }

    fn key(&mut self, key: &str, property: &Value, line: Line) {
        let entry = Some(&property["items"]).filter(|items| items["properties"].is_object());
        let title = entry.unwrap_or(property)["title"].as_str().unwrap_or_default();
        let is_new = title.is_empty() || self.described.insert(title.to_owned());
        let (default, example) = (property.get("default"), &property["examples"][0]);
        match (entry, default) {
            (Some(entry), _) if is_new => {
                let line = if line.comment.is_none() { line.commented_out() } else { line };
                self.line(line, &format!("{key}:"));
                self.keys(entry, Line { is_entry: true, ..line.below(4) });
            }
            (_, Some(default)) => self.line(line, &format!("{key}: {}", flow(default))),
            (None, None) if property["properties"].is_object() => {
                let may_be_null = strings(&property["type"]).any(|name| name == "null");
                let line = if may_be_null || line.comment.is_some() { line } else { line.commented_out() };
                self.line(line, &format!("{key}:"));
                self.keys(property, line.below(2));
            }
            _ => {
                let line = if line.comment.is_none() { line.commented_out() } else { line };
                self.line(line, &format!("{key}: {}", flow(&example_of(property, example))));
            }
        }
    }

    fn line(&mut self, line: Line, text: &str) {
        self.text += &line.start();
        self.text += text;
        self.text.push('\n');
    }
}

/// The keys that cannot be set beside another one, without the first of them.
fn later_alternatives(schema: &Value) -> BTreeSet<&str> {
    let exclusive = schema["oneOf"].as_array().into_iter().flatten();
    let exclusive = exclusive.flat_map(|alternative| strings(&alternative["required"])).skip(1);
    let dependent = schema["dependencies"].as_object().into_iter().flat_map(|keys| keys.keys());
    exclusive.chain(dependent.map(String::as_str).skip(1)).collect()
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// An example of a key that has no default.
fn example_of(property: &Value, example: &Value) -> Value {
    let items = &property["items"];
    match example {
        Value::Null if items.is_object() => Value::from(vec![example_of(items, &items["examples"][0])]),
        Value::Null => property["enum"][0].clone(),
        example => example.clone(),
    }
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(flow).collect::<Vec<_>>().join(", ")),
        value => value.to_string(),
    }
}

/// Whether a text needs no quotes: a word, a path or a duration.
fn is_plain(text: &str) -> bool {
    match text.as_bytes() {
        [b'a'..=b'z' | b'A'..=b'Z' | b'/', ..] => true,
        [b'0'..=b'9', .., last] => last.is_ascii_alphabetic(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
