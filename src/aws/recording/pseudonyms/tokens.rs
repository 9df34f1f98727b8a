//! Finds the parts of a text that name something, by their form. Everything else stays: separators,
//! public words, times, ports, short numbers, and names that AWS gives.

use std::ops::Range;

use super::vocabulary::{TextKind, Vocabulary};
use super::words::Words;

/// A part of a text to replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) range: Range<usize>,
    pub(super) kind: TokenKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Letters and digits.
    Word,
    Uuid,
    Ipv4,
    /// An access key id, after the four letters that tell its type.
    AccessKey,
}

/// The length of an account id.
const ACCOUNT_ID: usize = 12;

/// The maximum length of a number that stays. Such numbers are counts, states of HTTP and the like.
const MAX_SHORT_NUMBER: usize = 3;

/// The shortest access key id that the IAM API reference allows.
const MIN_ACCESS_KEY: usize = 16;

/// The maximum length of an ARN.
const MAX_ARN: usize = 2048;

/// The maximum length of a word that is split by its public parts. The cause of a failed sync is told
/// from the beginning of its message, which is not longer either.
const MAX_SPLIT: usize = 2048;

/// Units of durations and sizes in error messages and configurations.
const UNITS: [&str; 9] = ["s", "ms", "us", "ns", "m", "h", "d", "kb", "mb"];

/// The services whose actions are in denials and in the messages of failed syncs.
const SERVICES: [&str; 7] = ["account", "iam", "kms", "organizations", "s3", "ssm", "sts"];

/// What the names of actions begin with.
const VERBS: [&str; 18] = [
    "Assume",
    "Batch",
    "Create",
    "Decrypt",
    "Delete",
    "Describe",
    "Encrypt",
    "Generate",
    "Get",
    "Head",
    "Invoke",
    "List",
    "Put",
    "ReEncrypt",
    "Send",
    "Start",
    "Tag",
    "Update",
];

/// What decides which words stay.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) words: &'a Words,
    pub(super) kind: TextKind,
}

impl Context<'_> {
    fn keeps(&self, word: &str) -> bool {
        self.vocabulary.keeps(word, self.kind, |word| self.words.has(word))
    }
}

pub(super) fn tokens(text: &str, context: Context<'_>) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut position = 0;
    let mut end_of_arn = 0;
    while let Some(start) = text[position..].find(is_word_character).map(|offset| position + offset) {
        let rest = &text[start..];
        position = start + rest.find(|character| !is_word_character(character)).unwrap_or(rest.len());
        // An ARN in a message is a name.
        let is_in_arn = start < end_of_arn;
        let kind = if is_in_arn { TextKind::Name } else { context.kind };
        let context = Context { kind, ..context };
        // Also a template, whose partition is a placeholder.
        if !is_in_arn && rest.starts_with("arn:") {
            let ends = |character: char| character.is_whitespace() || "\"'<>,;()".contains(character);
            let arn = beginning(rest, MAX_ARN);
            end_of_arn = start + arn.find(ends).unwrap_or(arn.len());
        }
        if let Some(length) = kept_form(rest, &text[..start], is_in_arn) {
            position = start + length;
        } else if let Some((length, kind)) = form(rest) {
            position = start + length;
            tokens.push(Token { range: start..position, kind });
        } else if !is_port(text, start..position) {
            split(text, start..position, context, &mut tokens);
        }
    }
    tokens
}

/// The access key ids in a text.
pub(super) fn access_keys(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut position = 0;
    while let Some(start) = text[position..].find(is_word_character).map(|offset| position + offset) {
        let rest = &text[start..];
        position = start + rest.find(|character| !is_word_character(character)).unwrap_or(rest.len());
        if is_access_key(&text[start..position]) {
            tokens.push(Token { range: start + 4..position, kind: TokenKind::AccessKey });
        }
    }
    tokens
}

/// Whether a character belongs to a word. All characters that are not ASCII do, except spaces,
/// punctuation and those without a meaning of their own.
pub(super) fn is_word_character(character: char) -> bool {
    match character {
        '\0'..='\x7f' => character.is_ascii_alphanumeric(),
        '\u{2000}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{10ff00}'.. => false,
        _ => !character.is_whitespace() && !character.is_control(),
    }
}

/// The length of a form at the beginning of `rest` that stays as it is.
fn kept_form(rest: &str, before: &str, is_in_arn: bool) -> Option<usize> {
    time(rest)
        .or_else(|| beginning_of_arn(rest))
        .or_else(|| is_in_arn.then(|| type_in_arn(rest, before))?)
        .or_else(|| action(rest, before))
        .or_else(|| given_name(rest))
        .or_else(|| placeholder(rest, before))
        .or_else(|| direction(rest, before))
}

/// What AWS and the exporter call their own.
fn given_name(rest: &str) -> Option<usize> {
    const NAMES: [&str; 5] = [
        "AWS-QuickSetup",
        "InspectorResourceDataSync-do-not-delete",
        "aws-reserved",
        "license-manager",
        "ssm-sync-exporter",
    ];
    let is_whole =
        |name: &&&str| rest.starts_with(**name) && !rest[name.len()..].starts_with(is_word_character);
    NAMES.iter().find(is_whole).map(|name| name.len())
}

/// A placeholder of the configuration, such as `{account_id}`.
fn placeholder(rest: &str, before: &str) -> Option<usize> {
    const NAMES: [&str; 3] = ["account_id", "region", "partition"];
    let is_written = |name: &&&str| rest[name.len()..].starts_with('}');
    let name = NAMES.iter().filter(|name| rest.starts_with(**name)).find(is_written)?;
    before.ends_with('{').then_some(name.len())
}

/// A direction in the name of a region, or in a pattern for some.
fn direction(rest: &str, before: &str) -> Option<usize> {
    const DIRECTIONS: [&str; 9] =
        ["central", "east", "northeast", "northwest", "north", "southeast", "southwest", "south", "west"];
    const BEFORE: [&str; 16] = [
        "us", "eu", "ap", "sa", "ca", "af", "me", "il", "mx", "cn", "eusc", "gov", "iso", "isob", "isoe",
        "isof",
    ];
    let is_whole =
        |name: &&&str| rest.starts_with(**name) && !rest[name.len()..].starts_with(is_word_character);
    let direction = DIRECTIONS.iter().find(is_whole)?;
    let before = before.strip_suffix('-')?;
    (BEFORE.contains(&last_word(before)) || before.ends_with('*')).then_some(direction.len())
}

/// The word at the end of a text.
fn last_word(text: &str) -> &str {
    text.rsplit(|character| !is_word_character(character)).next().unwrap_or_default()
}

/// The type of the resource in an ARN.
fn type_in_arn(rest: &str, before: &str) -> Option<usize> {
    const TYPES: [&str; 17] = [
        "account",
        "alias",
        "assumed-role",
        "federated-user",
        "instance-profile",
        "key",
        "oidc-provider",
        "organization",
        "ou",
        "parameter",
        "policy",
        "resource-data-sync",
        "role",
        "root",
        "saml-provider",
        "service_control_policy",
        "user",
    ];
    let is_whole = |name: &&&str| rest.starts_with(**name) && rest[name.len()..].starts_with(['/', ':']);
    let length = TYPES.iter().find(is_whole)?.len();
    before.ends_with([':', '/']).then_some(length)
}

/// The beginning of a text, so that the time to look at a long text does not grow with its square.
fn beginning(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

/// A time such as `2026-11-27T10:55:45.123Z` or `20261127T105545Z`.
fn time(rest: &str) -> Option<usize> {
    let matches = |pattern: &str| {
        let prefix = rest.as_bytes().get(..pattern.len())?;
        let fits = prefix.iter().zip(pattern.bytes()).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => *byte == form,
        });
        fits.then_some(pattern.len())
    };
    let mut length = matches("0000-00-00T00:00:00").or_else(|| matches("00000000T000000"))?;
    if let Some(fraction) = rest[length..].strip_prefix('.') {
        length += 1 + fraction.find(|character: char| !character.is_ascii_digit()).unwrap_or(fraction.len());
    }
    length += usize::from(rest[length..].starts_with('Z'));
    (!rest[length..].starts_with(is_word_character)).then_some(length)
}

/// `arn:PARTITION:SERVICE:REGION`.
fn beginning_of_arn(rest: &str) -> Option<usize> {
    /// The longest beginning is shorter.
    const MAX_LENGTH: usize = 80;
    rest.strip_prefix("arn:")?;
    let mut fields = beginning(rest, MAX_LENGTH).splitn(5, ':');
    let (arn, partition, service, region) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    fields.next()?;
    let is_simple = |field: &str, max: usize| {
        field.len() <= max
            && field.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let is_arn = arn == "arn"
        && partition.starts_with("aws")
        && is_simple(partition, "aws-us-gov".len())
        && !service.is_empty()
        && is_simple(service, 24)
        && is_simple(region, 24);
    is_arn.then(|| arn.len() + partition.len() + service.len() + region.len() + 3)
}

/// The name of an action after its service, such as `ListAccounts` in `organizations:ListAccounts`.
fn action(rest: &str, before: &str) -> Option<usize> {
    let service = before.strip_suffix(':')?;
    let is_service = SERVICES.contains(&last_word(service));
    let length = rest.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let name = &rest[..length];
    let verb = VERBS.iter().find_map(|verb| name.strip_prefix(verb))?;
    (is_service && verb.starts_with(|first: char| first.is_ascii_uppercase())).then_some(length)
}

/// A form of several words at the beginning of `rest`.
fn form(rest: &str) -> Option<(usize, TokenKind)> {
    uuid(rest)
        .map(|length| (length, TokenKind::Uuid))
        .or_else(|| ipv4(rest).map(|length| (length, TokenKind::Ipv4)))
}

fn uuid(rest: &str) -> Option<usize> {
    let text = rest.as_bytes().get(..36)?;
    let is_uuid = text.iter().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    (is_uuid && !rest[36..].starts_with(is_word_character)).then_some(36)
}

/// An address that says something about a network, as opposed to this host.
fn ipv4(rest: &str) -> Option<usize> {
    let start = beginning(rest, "255.255.255.255.".len());
    let length =
        start.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(start.len());
    let length = rest[..length].trim_end_matches('.').len();
    let address: std::net::Ipv4Addr = rest[..length].parse().ok()?;
    let is_public_knowledge = address.is_loopback() || address.is_link_local() || address.is_unspecified();
    (!is_public_knowledge && !rest[length..].starts_with(is_word_character)).then_some(length)
}

/// Whether a number is the port after a host.
fn is_port(text: &str, range: Range<usize>) -> bool {
    let number = &text[range.clone()];
    let host = text[..range.start].strip_suffix(':').unwrap_or_default();
    (4..=5).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && host.ends_with(|last| is_word_character(last) || last == ']')
        && !text[range.end..].starts_with(':')
}

fn is_access_key(word: &str) -> bool {
    (word.starts_with("AKIA") || word.starts_with("ASIA"))
        && word.len() >= MIN_ACCESS_KEY
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Adds the parts of a word that are replaced. Account ids within a word are replaced like others,
/// because templates such as `logs{account_id}` expand to them.
fn split(text: &str, range: Range<usize>, context: Context<'_>, tokens: &mut Vec<Token>) {
    let word = &text[range.clone()];
    if context.keeps(word) || is_quantity(word) {
        return;
    }
    if is_access_key(word) {
        tokens.push(Token { range: range.start + 4..range.end, kind: TokenKind::AccessKey });
        return;
    }
    let mut start = 0;
    let mut position = 0;
    while let Some(digits) = word[position..].find(|character: char| character.is_ascii_digit()) {
        let digits = position + digits;
        let end = word[digits..].find(|character: char| !character.is_ascii_digit()).map(|end| digits + end);
        position = end.unwrap_or(word.len());
        if position - digits == ACCOUNT_ID {
            split_by_vocabulary(text, range.start + start..range.start + digits, context, tokens);
            let account = range.start + digits..range.start + position;
            tokens.push(Token { range: account, kind: TokenKind::Word });
            start = position;
        }
    }
    split_by_vocabulary(text, range.start + start..range.end, context, tokens);
}

/// Adds the parts of a word that are not public.
fn split_by_vocabulary(text: &str, range: Range<usize>, context: Context<'_>, tokens: &mut Vec<Token>) {
    let word = &text[range.clone()];
    if stays(word, context) {
        return;
    }
    let part = (word.len() <= MAX_SPLIT).then(|| context.vocabulary.part_of(word)).flatten();
    let Some(part) = part else {
        tokens.push(Token { range, kind: TokenKind::Word });
        return;
    };
    let (start, end) = (range.start + part.range.start, range.start + part.range.end);
    split_by_vocabulary(text, range.start..start, context, tokens);
    if !part.is_public && !stays(&text[start..end], context) {
        tokens.push(Token { range: start..end, kind: TokenKind::Word });
    }
    split_by_vocabulary(text, end..range.end, context, tokens);
}

fn stays(word: &str, context: Context<'_>) -> bool {
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    word.len() <= 1 || is_number && word.len() <= MAX_SHORT_NUMBER || context.keeps(word)
}

/// A short number with a unit.
fn is_quantity(word: &str) -> bool {
    let unit = word.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = word.len() - unit.len();
    (1..=MAX_SHORT_NUMBER).contains(&digits) && UNITS.contains(&unit)
}
