//! Patterns that several shapes share. They are written for ECMAScript, and without what other dialects
//! lack, such as lookaheads.

pub(super) const REGION: &str = "[a-z]{2,4}(-[a-z]{2,4})?-(central|east|north|northeast|northwest|south|southeast|southwest|west)-[0-9]{1,2}";
pub(super) const UNIT: &str = "(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32})";

/// A character of a text of a request that stands for itself.
pub(super) const PLAIN: &str = r"[^\x00-\x1F\x7F-\x9F*?{}]";

/// What is written with braces in a text of a request.
pub(super) const BRACES: &str = r"\{\{|\}\}|\{account_id\}|\{region\}|\{partition\}";

/// The pattern of a text of a request that matches `plain`, or that has something else than plain characters.
pub(super) fn text_of_request(plain: &str) -> String {
    let any = format!("({PLAIN}|[*?]|{BRACES})*");
    format!("^({plain}|{any}([*?]|{BRACES}){any})$")
}

/// Like [`text_of_request`], without wildcards.
pub(super) fn text_without_wildcards(plain: &str) -> String {
    let any = format!("({PLAIN}|{BRACES})*");
    format!("^({plain}|{any}({BRACES}){any})$")
}
