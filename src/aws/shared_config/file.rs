//! One of the two files: what is in it, errors about it, and its content for the SDK.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::Mutex;

use super::header::{self, FileKind, Header, right_header};
use super::ini::{self, Defect, Entry, Problem, Section};
use crate::aws::environment::Environment;
use crate::file;
use crate::printable::excerpt;

#[derive(Debug)]
pub(super) struct SharedFile {
    kind: FileKind,
    pub(super) path: PathBuf,
    /// The setting that names the file, unless it is the default one.
    pub(super) named_by: Option<&'static str>,
    /// Why the file cannot be read.
    error: Option<String>,
    sections: Arc<Sections>,
}

/// What is in a file.
#[derive(Debug)]
struct Sections {
    all: Vec<(Header, Section)>,
    /// The positions in `all` of the sections of each profile. `[default]` is ignored beside
    /// `[profile default]`.
    by_profile: HashMap<String, Vec<usize>>,
}

/// What was in a file when it was last read. A file with a thousand profiles is read for each of them, and
/// parsing is what takes long.
#[derive(Debug, Default)]
pub(super) struct ParsedFile(Mutex<Option<(Vec<u8>, Arc<Sections>)>>);

impl ParsedFile {
    fn parse(&self, kind: FileKind, text: &str) -> Arc<Sections> {
        let hash = digest(&SHA256, text.as_bytes());
        // While it is locked, others wait for the result instead of parsing the same text.
        let mut last = self.0.lock();
        if let Some((last_hash, sections)) = &*last
            && last_hash == hash.as_ref()
        {
            return Arc::clone(sections);
        }
        let sections = Arc::new(Sections::parse(kind, text));
        *last = Some((hash.as_ref().to_vec(), Arc::clone(&sections)));
        sections
    }
}

impl Sections {
    fn parse(kind: FileKind, text: &str) -> Self {
        let all: Vec<_> = ini::parse(text)
            .into_iter()
            .map(|section| {
                let header = section.header.as_deref();
                let parsed = header.map(|header| Header::parse(header, kind));
                (parsed.unwrap_or(Header::Other { intended: Some("default".to_owned()) }), section)
            })
            .collect();
        let mut by_profile: HashMap<String, Vec<usize>> = HashMap::new();
        let mut has_prefixed_default = false;
        for (index, (header, section)) in all.iter().enumerate() {
            let Header::Profile { name, has_prefix } = header else { continue };
            if section.is_unclosed() || (name == "default" && has_prefixed_default && !has_prefix) {
                continue;
            }
            let sections = by_profile.entry(name.clone()).or_default();
            if name == "default" && *has_prefix && !has_prefixed_default {
                has_prefixed_default = true;
                sections.clear();
            }
            sections.push(index);
        }
        Self { all, by_profile }
    }
}

impl SharedFile {
    pub(super) fn read(
        kind: FileKind,
        (configured, setting): (Option<&Path>, &'static str),
        variable: &'static str,
        environment: &Environment,
        parsed: &ParsedFile,
    ) -> Self {
        let (path, named_by) = match (configured, environment.get(variable)) {
            (Some(path), _) => (path.to_owned(), Some(setting)),
            (None, Some(path)) => (environment.expand_home(&path), Some(variable)),
            (None, None) => {
                let path = match kind {
                    FileKind::Config => "~/.aws/config",
                    FileKind::Credentials => "~/.aws/credentials",
                };
                (environment.expand_home(path), None)
            }
        };
        let is_lost = named_by.is_none() && environment.home().is_none();
        let text = if is_lost {
            Err(std::io::Error::other("HOME is not set"))
        } else {
            file::read(&path, file::MAX_LARGE)
        };
        let text = text
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is not UTF-8")));
        let (text, error) = match text {
            Ok(text) => (text, None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named_by.is_none() => {
                (String::new(), None)
            }
            Err(error) => (String::new(), Some(error.to_string())),
        };
        let sections = parsed.parse(kind, &text);
        Self { kind, path, named_by, error, sections }
    }

    /// All sections, in order.
    pub(super) fn sections(&self) -> impl Iterator<Item = &(Header, Section)> {
        self.sections.all.iter()
    }

    /// The sections of a profile.
    pub(super) fn sections_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Section> + use<'a> {
        let positions = self.sections.by_profile.get(name).map_or(&[][..], Vec::as_slice);
        positions.iter().filter_map(|&position| self.sections.all.get(position).map(|(_, section)| section))
    }

    pub(super) fn profile_names(&self) -> impl Iterator<Item = &str> {
        self.sections.by_profile.keys().map(String::as_str)
    }

    /// The last entry of a profile with this key, which is the one that applies.
    pub(super) fn entry(&self, profile: &str, key: &str) -> Option<&Entry> {
        let entries = self.sections_of(profile).flat_map(|section| &section.entries);
        entries.filter(|entry| entry.key == key).last()
    }

    /// A section that is probably meant to be the profile `name`, and how to write it.
    pub(super) fn describe_misspelt(&self, name: &str) -> Option<String> {
        let (_, section) = self.sections().find(|(header, section)| match header {
            Header::Other { intended } => {
                intended.as_deref() == Some(name) && (section.header.is_some() || !section.defects.is_empty())
            }
            Header::Profile { name: found, .. } => found == name && section.is_unclosed(),
            Header::SsoSession(_) | Header::Services(_) => false,
        })?;
        let right = right_header(name, self.kind);
        Some(match &section.header {
            None => self.describe(section.defects.first()?),
            Some(header) => format!(
                "{}:{}: `[{}` is not a profile; write `{right}`",
                self.path.display(),
                section.line,
                if section.is_unclosed() { excerpt(header) } else { format!("{}]", excerpt(header)) }
            ),
        })
    }

    pub(super) fn describe(&self, defect: &Defect) -> String {
        format!("{}:{}: {}", self.path.display(), defect.line, defect.problem)
    }

    pub(super) fn describe_error(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        let named_by = self.named_by.map(|name| format!(", which {name} names,")).unwrap_or_default();
        Some(format!("the file {}{named_by} cannot be read: {error}", self.path.display()))
    }

    /// The `profiles`, and all sections other than profiles, in the form that the SDK understands: without
    /// indented keys, comments and lines that cannot be read.
    pub(super) fn for_sdk(&self, profiles: &[&str]) -> String {
        let of_profile = |&profile: &&str| {
            let name = match self.kind {
                _ if profile == "default" => "default".to_owned(),
                FileKind::Config => format!("profile {}", header::encode(profile)),
                FileKind::Credentials => header::encode(profile),
            };
            self.sections_of(profile).map(move |section| (name.clone(), section))
        };
        let others = self.sections().filter_map(|(header, section)| match header {
            _ if section.is_unclosed() => None,
            Header::SsoSession(name) => Some((format!("sso-session {name}"), section)),
            Header::Services(name) => Some((format!("services {}", header::encode(name)), section)),
            Header::Profile { .. } | Header::Other { .. } => None,
        });
        let mut text = String::new();
        for (name, section) in profiles.iter().flat_map(of_profile).chain(others) {
            text.extend(["[", &name, "]\n"]);
            for entry in section.entries.iter().filter(|entry| entry.has_valid_key()) {
                // These are names of sections.
                let value = match entry.key.as_str() {
                    "source_profile" | "services" => header::encode(&entry.value),
                    _ => entry.value.clone(),
                };
                text.extend([&entry.key, "=", &value, "\n"]);
                for line in &entry.continuation {
                    text.extend(["  ", line, "\n"]);
                }
            }
        }
        text
    }
}

impl Section {
    pub(super) fn is_unclosed(&self) -> bool {
        self.defects.iter().any(|defect| defect.problem == Problem::Unclosed)
    }
}
