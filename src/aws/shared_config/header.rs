//! The names of sections: how the AWS CLI reads them, how the SDK accepts them, and what is meant
//! by one that neither reads.

use super::ini::is_identifier;

/// Which of the two files a section is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Config,
    Credentials,
}

/// What a section is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    Profile {
        name: String,
        /// Whether it is `[profile default]`, which takes precedence over `[default]`.
        has_prefix: bool,
    },
    SsoSession(String),
    Services(String),
    /// Neither the AWS CLI nor the SDK reads the section as a profile.
    Other {
        /// The name of the profile that is probably meant.
        intended: Option<String>,
    },
}

impl Header {
    pub(super) fn parse(header: &str, kind: FileKind) -> Self {
        let other = |intended: Option<String>| Self::Other { intended };
        // The AWS CLI splits the name by the shell's rules, but only in the config file.
        let has_quotes = header.starts_with(['"', '\'']);
        let words = if kind == FileKind::Config || has_quotes {
            shlex::split(header)
        } else {
            Some(header.split_whitespace().map(ToOwned::to_owned).collect())
        };
        let Some(words) = words else {
            let name = header.strip_prefix("profile").unwrap_or(header).replace(['"', '\''], "");
            return other(Some(name.trim().to_owned()));
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let has_empty_name = words.last().is_none_or(|name| name.is_empty());
        match (kind, words.as_slice()) {
            _ if has_empty_name => other(None),
            (_, ["default"]) => Self::Profile { name: "default".to_owned(), has_prefix: false },
            (FileKind::Config, ["profile", name]) => {
                Self::Profile { name: (*name).to_owned(), has_prefix: true }
            }
            // The name of a session is a part of the name of its cache, so it cannot be encoded.
            (FileKind::Config, ["sso-session", name]) if is_identifier(name) => {
                Self::SsoSession((*name).to_owned())
            }
            (FileKind::Config, ["services", name]) => Self::Services((*name).to_owned()),
            (_, [prefix, name @ ..]) if prefix.eq_ignore_ascii_case("profile") && !name.is_empty() => {
                other(Some(name.join(" ")))
            }
            (FileKind::Config, [name]) => other(Some((*name).to_owned())),
            (FileKind::Config, _) | (FileKind::Credentials, ["sso-session" | "services", _]) => other(None),
            // Here, the whole text is the name.
            (FileKind::Credentials, words) => Self::Profile { name: words.join(" "), has_prefix: false },
        }
    }
}

/// The header of the profile `name` that the AWS CLI and the exporter read.
pub(super) fn right_header(name: &str, kind: FileKind) -> String {
    let name = match (is_identifier(name), kind) {
        (true, _) | (false, FileKind::Credentials) => name.to_owned(),
        (false, FileKind::Config) => format!("\"{name}\""),
    };
    match kind {
        FileKind::Config if name != "default" => format!("[profile {name}]"),
        _ => format!("[{name}]"),
    }
}

/// A name for the SDK, which accepts few characters. Usual names do not change.
pub(super) fn encode(name: &str) -> String {
    if is_identifier(name) && !name.contains('%') {
        return name.to_owned();
    }
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        let character = char::from(byte);
        if character != '%' && is_identifier(character.encode_utf8(&mut [0; 4])) {
            encoded.push(character);
        } else {
            encoded.extend(format!("%{byte:02x}").chars());
        }
    }
    encoded
}

/// The name that [`encode`] has encoded.
pub(super) fn decode(encoded: &str) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let code = after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(b'%'));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}
