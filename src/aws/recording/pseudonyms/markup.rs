//! Replaces names in XML, in HTML and in any other text.

use super::Pseudonyms;
use super::encoding::Encoding;
use super::vocabulary::TextKind;

/// The elements of STS's answers that name something.
const NAMES: [&str; 8] = [
    "AccessKeyId",
    "Account",
    "Arn",
    "AssumedRoleId",
    "Audience",
    "Provider",
    "SubjectFromWebIdentityToken",
    "UserId",
];

impl Pseudonyms {
    pub(super) fn markup(&mut self, body: &str) -> String {
        let mut replaced = String::with_capacity(body.len());
        let mut element = "";
        let mut rest = body;
        while let Some(start) = rest.find('<') {
            replaced += &self.content(element, &rest[..start]);
            rest = &rest[start..];
            let end = rest.find('>').map_or(rest.len(), |end| end + 1);
            let (tag, after) = rest.split_at(end);
            element = opened_element(tag);
            replaced += &self.replace(tag, Encoding::Xml, TextKind::Definition);
            rest = after;
            if super::SECRETS.contains(&element) {
                // A secret ends with its element, even if it contains tags.
                let end = rest.find("</").unwrap_or(rest.len());
                let (secret, after) = rest.split_at(end);
                replaced += &self.content(element, secret);
                rest = after;
            }
        }
        replaced + &self.content(element, rest)
    }

    /// The text of an element, with the spaces around it.
    fn content(&mut self, element: &str, text: &str) -> String {
        let content = text.trim();
        if content.is_empty() {
            return text.to_owned();
        }
        let start = text.len() - text.trim_start().len();
        let (before, after) = (&text[..start], &text[start + content.len()..]);
        let content = match element {
            "Code" | "Type" if super::is_identifier(content) => content.to_owned(),
            _ if NAMES.contains(&element) || super::SECRETS.contains(&element) => {
                self.value(element, content, Encoding::Xml)
            }
            // The text of a page, or of an element that this version does not know.
            _ => self.replace(content, Encoding::Xml, TextKind::Message),
        };
        format!("{before}{content}{after}")
    }
}

/// The name of the element that a tag opens, without its namespace.
fn opened_element(tag: &str) -> &str {
    let name = tag.trim_start_matches('<').split(|c: char| c.is_whitespace() || "/>".contains(c)).next();
    let name = name.unwrap_or_default();
    name.rsplit_once(':').map_or(name, |(_, name)| name)
}
