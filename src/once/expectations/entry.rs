//! An expectation as an entry of the configuration.

use std::collections::BTreeMap;

use super::yaml::{MAX_WIDTH, comment, flow_list, scalar};
use crate::expectations::{
    AccountScope, ExpectedFlag, ExpectedSet, ExpectedText, ExpectedValue, Field, GeneratedExpectation,
    Presence, TextPattern,
};
use crate::fleet::AccountId;
use crate::model::ManagedBy;
use crate::once::{escape_control_characters, pluralize};

/// Up to how many accounts are listed below each other with their names.
const MAX_NAMED_ACCOUNTS: usize = 12;

/// The accounts with their names, and whether something is known of their syncs.
pub(super) struct AccountNames<'a>(pub(super) BTreeMap<&'a AccountId, (Option<&'a str>, bool)>);

impl AccountNames<'_> {
    /// What a person wants to know about an account in a list.
    fn remark(&self, id: &AccountId) -> Option<String> {
        let (name, is_known) = self.0.get(id)?;
        let name = name.map(escape_control_characters);
        let state = (!is_known).then(|| "not collected".to_owned());
        let parts: Vec<String> = name.into_iter().chain(state).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// The lines of the entry, indented as an entry of a list at the beginning of the line.
pub(super) fn lines(expectation: &GeneratedExpectation, names: &AccountNames<'_>) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.extend(comment(&about(expectation)));
    lines.push(format!("- name: {}", scalar(&expectation.name)));
    lines.extend(indented(accounts(&expectation.accounts, names)));
    if !expectation.regions.is_empty() {
        let regions = expectation.regions.iter().map(|region| scalar(region.as_str())).collect::<Vec<_>>();
        lines.extend(indented(flow_list("regions", &regions)));
    }
    if expectation.presence != Presence::Required {
        lines.push(format!("  presence: {}", expectation.presence.as_str()));
    }
    lines.push("  request:".to_owned());
    lines.extend(indented(indented(request(expectation))));
    lines
}

/// Says in how many targets the sync is like this, and what is not expected of it.
fn about(expectation: &GeneratedExpectation) -> String {
    let mut sentences = vec![format!("Met by {}.", pluralize(expectation.targets, "target"))];
    if expectation.managed_by == ManagedBy::LicenseManager {
        sentences.push(
            "License Manager deletes some of its syncs and creates them again under other names, so any of them \
             will do."
                .to_owned(),
        );
    }
    if expectation.presence == Presence::Allowed {
        sentences.push(
            "The targets that have the sync, or its values there, follow no pattern. So it does not have to be there, \
             but where it is, it has to be like this."
                .to_owned(),
        );
    }
    let parameters: Vec<&str> =
        expectation.differing.iter().filter_map(|field| field.request_parameter()).collect();
    if !parameters.is_empty() {
        sentences.push(format!("The targets have too many different values of {}.", parameters.join(", ")));
    }
    sentences.join(" ")
}

fn accounts(scope: &AccountScope, names: &AccountNames<'_>) -> Vec<String> {
    let (all, ids, prefix) = match scope {
        AccountScope::All => return Vec::new(),
        AccountScope::Only(ids) => (None, ids, ""),
        AccountScope::AllBut(ids) => (Some(("\"*\"".to_owned(), None)), ids, "!"),
    };
    let entries: Vec<(String, Option<String>)> =
        all.into_iter().chain(ids.iter().map(|id| (format!("\"{prefix}{id}\""), names.remark(id)))).collect();
    if ids.len() > MAX_NAMED_ACCOUNTS {
        let entries: Vec<String> = entries.into_iter().map(|(entry, _)| entry).collect();
        return flow_list("accounts", &entries);
    }
    let line = |(entry, remark): (String, Option<String>)| match remark {
        Some(remark) => format!("  - {entry}  # {remark}"),
        None => format!("  - {entry}"),
    };
    std::iter::once("accounts:".to_owned()).chain(entries.into_iter().map(line)).collect()
}

/// The parameters of the request, nested as in the API.
fn request(expectation: &GeneratedExpectation) -> Vec<String> {
    let request = &expectation.request;
    let mut lines = Vec::new();
    if !request.names.is_empty() {
        lines.extend(texts("SyncName", &request.names));
    }
    lines.push(format!("SyncType: {}", scalar(request.sync_type.as_str())));
    let mut open: Vec<&str> = Vec::new();
    for (field, value) in request.values() {
        let Some((parents, parameter)) = field.request_parameter().map(split_path) else { continue };
        let common = open.iter().zip(&parents).take_while(|(open, parent)| open == parent).count();
        for (depth, parent) in parents.iter().enumerate().skip(common) {
            lines.push(format!("{}{parent}:", indentation(depth)));
        }
        let indentation = indentation(parents.len());
        lines.extend(
            parameter_lines(field, parameter, value).into_iter().map(|line| format!("{indentation}{line}")),
        );
        open = parents;
    }
    lines
}

/// The keys around a parameter, and its own.
fn split_path(path: &'static str) -> (Vec<&'static str>, &'static str) {
    match path.rsplit_once('.') {
        Some((parents, parameter)) => (parents.split('.').collect(), parameter),
        None => (Vec::new(), path),
    }
}

fn parameter_lines(field: Field, parameter: &str, value: ExpectedValue<'_>) -> Vec<String> {
    match value {
        ExpectedValue::Text(ExpectedText::AnyOf(patterns)) => texts(parameter, patterns),
        ExpectedValue::Set(ExpectedSet::Exactly(patterns)) if field == Field::OrganizationalUnits => {
            let unit =
                |pattern: &TextPattern| format!("  - OrganizationalUnitId: {}", scalar(&pattern.to_string()));
            std::iter::once(format!("{parameter}:")).chain(patterns.iter().map(unit)).collect()
        }
        ExpectedValue::Set(ExpectedSet::Exactly(patterns)) => list(parameter, patterns),
        ExpectedValue::Flag(ExpectedFlag::Is(flag)) => vec![format!("{parameter}: {flag}")],
        ExpectedValue::Text(ExpectedText::Absent)
        | ExpectedValue::Set(ExpectedSet::Absent)
        | ExpectedValue::Flag(ExpectedFlag::Absent) => vec![format!("{parameter}: null")],
    }
}

/// A text, or a list of texts of which any will do.
fn texts(key: &str, patterns: &[TextPattern]) -> Vec<String> {
    match patterns {
        [pattern] => vec![format!("{key}: {}", scalar(&pattern.to_string()))],
        patterns => list(key, patterns),
    }
}

fn list(key: &str, patterns: &[TextPattern]) -> Vec<String> {
    let items: Vec<String> = patterns.iter().map(|pattern| scalar(&pattern.to_string())).collect();
    if items.iter().any(|item| item.len() > MAX_WIDTH / 2) {
        let item = |item: String| format!("  - {item}");
        return std::iter::once(format!("{key}:")).chain(items.into_iter().map(item)).collect();
    }
    flow_list(key, &items)
}

fn indented(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| format!("  {line}")).collect()
}

fn indentation(depth: usize) -> String {
    "  ".repeat(depth)
}
