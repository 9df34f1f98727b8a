//! One of the two files: what is in it, errors about it, and its content for the SDK.

use std::path::{Path, PathBuf};

use super::header::{self, FileKind, Header, right_header};
use super::ini::{self, Defect, Problem, Section};
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
    pub(super) sections: Vec<(Header, Section)>,
}

impl SharedFile {
    pub(super) fn read(
        kind: FileKind,
        (configured, setting): (Option<&Path>, &'static str),
        variable: &'static str,
        environment: &Environment,
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
            file::read(&path, file::MAX_CONFIGURATION)
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
        let sections = ini::parse(&text)
            .into_iter()
            .map(|section| {
                let header = section.header.as_deref();
                let parsed = header.map(|header| Header::parse(header, kind));
                (parsed.unwrap_or(Header::Other { intended: Some("default".to_owned()) }), section)
            })
            .collect();
        Self { kind, path, named_by, error, sections }
    }

    fn has_prefixed_default(&self) -> bool {
        let is_prefixed = |header: &Header| matches!(header, Header::Profile { name, has_prefix: true } if name == "default");
        self.sections.iter().any(|(header, section)| is_prefixed(header) && !section.is_unclosed())
    }

    /// The sections of a profile. `[default]` is ignored beside `[profile default]`.
    pub(super) fn sections_of(&self, name: &str) -> impl Iterator<Item = &Section> {
        let has_prefixed_default = self.has_prefixed_default();
        self.sections.iter().filter_map(move |(header, section)| match header {
            Header::Profile { name: found, has_prefix } if found == name => {
                let is_ignored = name == "default" && has_prefixed_default && !has_prefix;
                (!is_ignored && !section.is_unclosed()).then_some(section)
            }
            _ => None,
        })
    }

    pub(super) fn profile_names(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().filter_map(|(header, section)| match header {
            Header::Profile { name, .. } if !section.is_unclosed() => Some(name.as_str()),
            _ => None,
        })
    }

    /// A section that is probably meant to be the profile `name`, and how to write it.
    pub(super) fn describe_misspelt(&self, name: &str) -> Option<String> {
        let (_, section) = self.sections.iter().find(|(header, section)| match header {
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

    /// The content in the form that the SDK understands: without indented keys, comments and lines
    /// that cannot be read.
    pub(super) fn for_sdk(&self) -> String {
        let mut text = String::new();
        let has_prefixed_default = self.has_prefixed_default();
        for (header, section) in &self.sections {
            let name = match header {
                _ if section.is_unclosed() => continue,
                Header::Profile { name, has_prefix } if name == "default" => {
                    if has_prefixed_default && !has_prefix {
                        continue;
                    }
                    "default".to_owned()
                }
                Header::Profile { name, .. } => match self.kind {
                    FileKind::Config => format!("profile {}", header::encode(name)),
                    FileKind::Credentials => header::encode(name),
                },
                Header::SsoSession(name) => format!("sso-session {name}"),
                Header::Services(name) => format!("services {}", header::encode(name)),
                Header::Other { .. } => continue,
            };
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
