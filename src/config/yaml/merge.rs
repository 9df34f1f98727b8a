//! Merge keys: `<<: *defaults` adds the keys of another mapping to a mapping. YAML 1.2 has no merge
//! keys, but most programs for YAML do, and so have many files that people share among programs.

use std::collections::HashSet;

use saphyr::{MarkedYamlOwned, ScalarStyle, YamlDataOwned};

use super::{SyntaxError, scalar_text};

pub(super) const MERGE_KEY: &str = "<<";

const EXPECTED: &str = "`<<` merges other mappings; expected an alias of a mapping, such as `<<: *name`, or a list of such aliases";

/// Replaces the merge keys in `node` and below. A key that a mapping has itself is kept. Of a list of
/// mappings, the first that has a key determines its value. Merged values keep the positions
/// where they are written.
pub(super) fn resolve(node: &mut MarkedYamlOwned) -> Result<(), SyntaxError> {
    match &mut node.data {
        YamlDataOwned::Tagged(_, inner) => resolve(inner),
        YamlDataOwned::Sequence(items) => items.iter_mut().try_for_each(resolve),
        YamlDataOwned::Mapping(entries) => {
            entries.values_mut().try_for_each(resolve)?;
            if !entries.keys().any(is_merge_key) {
                return Ok(());
            }
            let mut merged = Vec::new();
            let mut all = std::mem::take(entries);
            for (key, value) in all.drain() {
                if is_merge_key(&key) {
                    collect(value, &mut merged)?;
                } else {
                    entries.insert(key, value);
                }
            }
            let mut names: HashSet<String> =
                entries.keys().filter_map(scalar_text).map(str::to_owned).collect();
            for (key, value) in merged {
                if scalar_text(&key).is_some_and(|name| names.insert(name.to_owned())) {
                    entries.insert(key, value);
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether the key is `<<`. In quotes, it is a key like any other.
fn is_merge_key(key: &MarkedYamlOwned) -> bool {
    matches!(&key.data, YamlDataOwned::Representation(text, ScalarStyle::Plain, _) if text == MERGE_KEY)
}

/// Adds the entries of the mappings in the value of a merge key.
fn collect(
    value: MarkedYamlOwned,
    merged: &mut Vec<(MarkedYamlOwned, MarkedYamlOwned)>,
) -> Result<(), SyntaxError> {
    let start = value.span.start;
    match value.data {
        YamlDataOwned::Mapping(entries) => merged.extend(entries),
        YamlDataOwned::Sequence(items) => {
            for item in items {
                let start = item.span.start;
                let YamlDataOwned::Mapping(entries) = item.data else {
                    return Err(SyntaxError::new(&start, EXPECTED));
                };
                merged.extend(entries);
            }
        }
        _ => return Err(SyntaxError::new(&start, EXPECTED)),
    }
    Ok(())
}
