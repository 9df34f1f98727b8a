//! Replaces the names in a recording by pseudonyms, and removes secrets.
//!
//! - [`tokens`](mod@tokens): which parts of a text are replaced
//! - [`vocabulary`]: the public words, which stay
//! - [`words`]: what they are replaced with
//! - [`encoding`]: texts within JSON, XML and forms
//! - [`json`], [`markup`], [`form`]: bodies of requests and responses
//! - [`configuration`]: the configuration
//! - [`managed_nodes`]: lists of managed nodes, of which only emptiness is kept
//!
//! Bodies are not parsed and written again. Only the parts that are replaced change, so that whatever
//! is wrong with a body is wrong with the recorded one, too.
//!
//! The same word is replaced alike wherever it occurs. A replay therefore sends the requests that the
//! recording has: a role's ARN in the recorded configuration becomes the one in the recorded request.

mod configuration;
mod encoding;
mod form;
mod json;
mod managed_nodes;
mod markup;
#[cfg(test)]
mod tests;
mod tokens;
mod vocabulary;
mod words;

use aws_lc_rs::error::Unspecified;

use super::super::credential_check::check_text;
use super::super::request_secrets::RECORDED_SECRET;
use encoding::{Decoded, Encoding, encode};
pub(super) use managed_nodes::without_nodes;
use tokens::{Context, Token, TokenKind, access_keys, tokens};
use vocabulary::{TextKind, Vocabulary};
use words::Words;

/// What secrets are replaced with.
const SECRET: &str = RECORDED_SECRET;

/// What secrets are replaced with that no header can carry. It has a space, so it is as unusable.
const UNUSABLE_SECRET: &str = "redacted and unusable";

/// The parameters and fields that contain secrets, in requests and responses of any service.
const SECRETS: [&str; 8] = [
    "SecretAccessKey",
    "SessionToken",
    "ExternalId",
    "WebIdentityToken",
    "SAMLAssertion",
    "Token",
    "accessToken",
    "refreshToken",
];

/// The fields with values that AWS defines, known to this version or not.
const ENUMS: [&str; 15] = [
    "LastStatus",
    "State",
    "Status",
    "SyncType",
    "SourceType",
    "OrganizationSourceType",
    "SyncFormat",
    "DestinationDataSharingType",
    "RegionOptStatus",
    "RegionOptStatusContains",
    "JoinedMethod",
    "__type",
    "code",
    "Code",
    "Type",
];

/// The domains of AWS's endpoints, in all partitions.
const AWS_DOMAINS: [&str; 10] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".api.aws",
    ".api.amazonwebservices.com.cn",
    ".api.amazonwebservices.eu",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
    ".cloud.adc-e.uk",
    ".csp.hci.ic.gov",
];

/// The pseudonyms of one recording.
#[derive(Debug)]
pub(super) struct Pseudonyms {
    words: Words,
    vocabulary: Vocabulary,
    /// Whether names stay. Secrets and access key ids are replaced nevertheless.
    keeps_names: bool,
}

impl Pseudonyms {
    /// Pseudonyms that no other recording has.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn new(keeps_names: bool) -> Result<Self, Unspecified> {
        Ok(Self { words: Words::new()?, vocabulary: Vocabulary::new(), keeps_names })
    }

    /// A name or an id.
    pub(super) fn name(&mut self, name: &str) -> String {
        self.replace(name, Encoding::Plain, TextKind::Name)
    }

    /// A message with pseudonyms in place of its names.
    pub(super) fn message(&mut self, message: &str) -> String {
        self.replace(message, Encoding::Plain, TextKind::Message)
    }

    /// The host and the port of an endpoint or a proxy, with or without further words. All words of a host
    /// that is not AWS's are names, also those that messages have.
    pub(super) fn host(&mut self, text: &str) -> String {
        let (host_and_port, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
        let host = host_and_port.rsplit_once(':').map_or(host_and_port, |(host, _port)| host);
        let is_of_aws = AWS_DOMAINS.iter().any(|domain| host.ends_with(domain));
        let host = if is_of_aws { self.message(host_and_port) } else { self.name(host_and_port) };
        host + &self.message(rest)
    }

    /// An access key id. It is replaced even if names stay.
    pub(super) fn access_key_id(&mut self, id: &str) -> String {
        self.replace_even_if_names_stay(id, Encoding::Plain)
    }

    /// The body of a request or a response, in whichever format it is.
    pub(super) fn body(&mut self, body: &str) -> String {
        match body.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').chars().next() {
            Some('{' | '[' | '"') => {
                // The names in a list come after messages that have them.
                self.json(body);
                self.json(body)
            }
            _ => self.markup(body),
        }
    }

    /// The value of a header of a response.
    pub(super) fn header(&mut self, name: &str, value: &str) -> String {
        let is_time = |byte: u8| byte.is_ascii_alphanumeric() || b" ,:".contains(&byte);
        match name {
            // A date such as `Fri, 27 Nov 2026 10:55:45 GMT`.
            "date" if value.len() == 29 && value.bytes().all(is_time) => value.to_owned(),
            _ => match value.split_once(':') {
                // The code may have the address of a document after it.
                Some((code, document)) if name == "x-amzn-errortype" && is_identifier(code) => {
                    format!("{code}:{}", self.message(document))
                }
                None if name == "x-amzn-errortype" && is_identifier(value) => value.to_owned(),
                _ => self.message(value),
            },
        }
    }

    /// The encoded text with pseudonyms in place of its names.
    fn replace(&mut self, encoded: &str, encoding: Encoding, kind: TextKind) -> String {
        let decoded = Decoded::new(encoded, encoding);
        let found = if self.keeps_names {
            access_keys(&decoded.text)
        } else {
            tokens(&decoded.text, self.context(kind))
        };
        self.apply(encoded, encoding, &decoded.text, found, |range| decoded.encoded(range))
    }

    fn replace_even_if_names_stay(&mut self, encoded: &str, encoding: Encoding) -> String {
        let decoded = Decoded::new(encoded, encoding);
        let found = tokens(&decoded.text, self.context(TextKind::Name));
        self.apply(encoded, encoding, &decoded.text, found, |range| decoded.encoded(range))
    }

    fn context(&self, kind: TextKind) -> Context<'_> {
        Context { vocabulary: &self.vocabulary, words: &self.words, kind }
    }

    fn apply(
        &mut self,
        encoded: &str,
        encoding: Encoding,
        decoded: &str,
        tokens: Vec<Token>,
        position: impl Fn(std::ops::Range<usize>) -> std::ops::Range<usize>,
    ) -> String {
        let (mut replaced, mut copied) = (String::with_capacity(encoded.len()), 0);
        for Token { range, kind } in tokens {
            let original = &decoded[range.clone()];
            let pseudonym = match kind {
                TokenKind::Word | TokenKind::AccessKey => {
                    let vocabulary = &self.vocabulary;
                    self.words.word(original, |pseudonym| vocabulary.reserves(pseudonym))
                }
                TokenKind::Uuid => self.words.hexadecimal(original),
                TokenKind::Ipv4 => self.words.ipv4(original),
            };
            let place = position(range);
            replaced.push_str(&encoded[copied..place.start]);
            replaced.push_str(&encode(&pseudonym, encoding));
            copied = place.end;
        }
        replaced.push_str(&encoded[copied..]);
        replaced
    }

    /// The value of a field or parameter called `name`.
    fn value(&mut self, name: &str, encoded: &str, encoding: Encoding) -> String {
        match name {
            _ if SECRETS.contains(&name) => secret(&Decoded::new(encoded, encoding).text).to_owned(),
            "AccessKeyId" => self.replace_even_if_names_stay(encoded, encoding),
            "Region" | "RegionName" | "SourceRegions" if is_region(encoded) => encoded.to_owned(),
            "Policy" => self.replace(encoded, encoding, TextKind::Definition),
            "message" | "Message" | "LastSyncStatusMessage" => {
                self.replace(encoded, encoding, TextKind::Message)
            }
            _ => self.replace(encoded, encoding, TextKind::Name),
        }
    }
}

/// What a secret is replaced with, which is usable if the secret is.
fn secret(secret: &str) -> &'static str {
    match secret.trim() {
        "" => "",
        trimmed if check_text("secret", trimmed, usize::MAX).is_ok() => SECRET,
        _ => UNUSABLE_SECRET,
    }
}

/// Whether a text may be a value of an enumeration, such as `ENABLED_BY_DEFAULT`.
fn is_identifier(text: &str) -> bool {
    const MAX_LENGTH: usize = 128;
    text.len() <= MAX_LENGTH
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.#".contains(&byte))
}

fn is_region(text: &str) -> bool {
    text.parse::<crate::fleet::RegionName>().is_ok()
}
