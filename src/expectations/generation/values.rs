//! The values of the fields of a sync as patterns that hold in as many targets as possible.

use std::collections::{BTreeMap, BTreeSet};

use super::KnownTarget;
use super::reported::Reported;
use crate::expectations::{ExpectedFlag, ExpectedSet, ExpectedSync, ExpectedText, Field, TextPattern};
use crate::model::DataSync;

/// The values of the fields of a sync. A field that AWS does not report has none.
pub(super) type Values = BTreeMap<Field, Value>;

/// A value as it is written in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// Patterns of which any will do.
    Text(Vec<String>),
    List(Vec<String>),
    Flag(bool),
}

/// Which properties of a target are written as placeholders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placeholders {
    account_id: bool,
    region: bool,
    partition: bool,
}

impl Placeholders {
    const NONE: Self = Self { account_id: false, region: false, partition: false };
    pub(super) const ALL: Self = Self { account_id: true, region: true, partition: true };

    /// All combinations, those with fewer placeholders first.
    const COMBINATIONS: [Self; 8] = [
        Self::NONE,
        Self { account_id: true, ..Self::NONE },
        Self { region: true, ..Self::NONE },
        Self { partition: true, ..Self::NONE },
        Self { partition: false, ..Self::ALL },
        Self { region: false, ..Self::ALL },
        Self { account_id: false, ..Self::ALL },
        Self::ALL,
    ];

    /// The pattern that matches `text` in the target.
    pub(super) fn insert_into(self, text: &str, target: &KnownTarget<'_>) -> String {
        let mut pattern = TextPattern::literal(text).to_string();
        if self.account_id {
            pattern = pattern.replace(target.account_id.as_str(), "{account_id}");
        }
        if self.region {
            pattern = pattern.replace(target.target.region.as_str(), "{region}");
        }
        // The names of partitions are so short that they occur in other texts by chance.
        if self.partition {
            let partition = target.target.partition();
            if let Some(rest) = pattern.strip_prefix(&format!("arn:{partition}:")) {
                pattern = format!("arn:{{partition}}:{rest}");
            }
        }
        pattern
    }

    fn value(self, reported: &Reported<'_>, target: &KnownTarget<'_>) -> Value {
        match reported {
            Reported::Text(text) => Value::Text(vec![self.insert_into(text, target)]),
            Reported::List(items) => {
                let patterns: BTreeSet<String> =
                    items.iter().map(|item| self.insert_into(item, target)).collect();
                Value::List(patterns.into_iter().collect())
            }
            Reported::Flag(flag) => Value::Flag(*flag),
        }
    }
}

/// The values of each sync, with the placeholders that make the values of most syncs equal.
pub(super) fn of_syncs(syncs: &[(&DataSync, &KnownTarget<'_>)]) -> Vec<Values> {
    let mut values = vec![Values::new(); syncs.len()];
    for field in Field::ALL {
        let reported: Vec<Option<Reported<'_>>> =
            syncs.iter().map(|(sync, target)| Reported::new(sync, *field, target)).collect();
        for (values, value) in values.iter_mut().zip(patterns(&reported, syncs)) {
            values.extend(value.map(|value| (*field, value)));
        }
    }
    values
}

fn patterns(
    reported: &[Option<Reported<'_>>],
    syncs: &[(&DataSync, &KnownTarget<'_>)],
) -> Vec<Option<Value>> {
    let with = |placeholders: Placeholders| -> Vec<Option<Value>> {
        let value = |(reported, (_, target)): (&Option<Reported<'_>>, &(_, &KnownTarget<'_>))| {
            reported.as_ref().map(|reported| placeholders.value(reported, target))
        };
        reported.iter().zip(syncs).map(value).collect()
    };
    let mut best = with(Placeholders::NONE);
    let mut best_number = number_of_values(&best);
    for placeholders in &Placeholders::COMBINATIONS[1..] {
        if best_number <= 1 {
            break;
        }
        let patterns = with(*placeholders);
        let number = number_of_values(&patterns);
        if number < best_number {
            (best, best_number) = (patterns, number);
        }
    }
    best
}

fn number_of_values(values: &[Option<Value>]) -> usize {
    values.iter().flatten().collect::<BTreeSet<_>>().len()
}

/// A text with a wildcard that matches the values of a field of all syncs. `None` if they have too
/// little in common, or if the field is not a text.
pub(super) fn common_text(syncs: &[(&DataSync, &KnownTarget<'_>)], field: Field) -> Option<Value> {
    const MIN_COMMON_LEN: usize = 4;
    let mut texts = syncs.iter().filter_map(|(sync, target)| match Reported::new(sync, field, target) {
        Some(Reported::Text(text)) => Some(text),
        _ => None,
    });
    let first = texts.next()?;
    let (mut prefix, mut suffix) = (first, first);
    let mut shortest = first.len();
    for text in texts {
        let is_common = |(end, _): &(usize, char)| text.starts_with(&prefix[..*end]);
        let ends = prefix.char_indices().chain([(prefix.len(), ' ')]);
        let end = ends.take_while(is_common).last().map_or(0, |(end, _)| end);
        prefix = &prefix[..end];
        let start =
            suffix.char_indices().map(|(start, _)| start).find(|start| text.ends_with(&suffix[*start..]));
        suffix = &suffix[start.unwrap_or(suffix.len())..];
        shortest = shortest.min(text.len());
    }
    // The two must not overlap in the shortest text.
    let overlap = (prefix.len() + suffix.len()).saturating_sub(shortest);
    let suffix = suffix.get(overlap..).unwrap_or_default();
    let pattern = format!("{}*{}", TextPattern::literal(prefix), TextPattern::literal(suffix));
    (prefix.len() + suffix.len() >= MIN_COMMON_LEN).then(|| Value::Text(vec![pattern]))
}

/// The request with these values. A source without its regions is left out, because every source has
/// some.
pub(super) fn request(mut request: ExpectedSync, values: &Values) -> ExpectedSync {
    let patterns = |texts: &[String]| texts.iter().filter_map(|text| TextPattern::parse(text).ok()).collect();
    let text = |field| match values.get(&field) {
        Some(Value::Text(texts)) => Some(ExpectedText::AnyOf(patterns(texts))),
        _ => None,
    };
    let set = |field| match values.get(&field) {
        Some(Value::List(items)) => Some(ExpectedSet::Exactly(patterns(items))),
        _ => None,
    };
    let flag = |field| match values.get(&field) {
        Some(Value::Flag(flag)) => Some(ExpectedFlag::Is(*flag)),
        _ => None,
    };
    request.bucket_name = text(Field::BucketName);
    request.bucket_prefix = text(Field::BucketPrefix);
    request.bucket_region = text(Field::BucketRegion);
    request.sync_format = text(Field::SyncFormat);
    request.kms_key_arn = text(Field::KmsKeyArn);
    request.sharing_type = text(Field::SharingType);
    if !values.contains_key(&Field::SourceRegions) {
        return request;
    }
    request.source_type = text(Field::SourceType);
    request.organization_source_type = text(Field::OrganizationSourceType);
    request.organizational_units = set(Field::OrganizationalUnits);
    request.source_regions = set(Field::SourceRegions);
    request.include_future_regions = flag(Field::IncludeFutureRegions);
    request.enable_all_ops_data_sources = flag(Field::EnableAllOpsDataSources);
    request
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{bucket_sync, target};
    use super::*;

    fn common(buckets: &[&str]) -> Option<String> {
        let target = target("111122223333", "eu-west-1");
        let account_id = target.account.id.as_ref().unwrap();
        let known = KnownTarget { target: &target, account_id, syncs: &[] };
        let syncs: Vec<DataSync> = buckets.iter().map(|bucket| bucket_sync("a", bucket)).collect();
        let syncs: Vec<_> = syncs.iter().map(|sync| (sync, &known)).collect();
        match common_text(&syncs, Field::BucketName)? {
            Value::Text(texts) => Some(texts.concat()),
            _ => None,
        }
    }

    #[test]
    fn different_texts_have_a_common_beginning_and_end() {
        for (buckets, pattern) in [
            (&["inv-abc-eu", "inv-xyz-eu"][..], Some("inv-*-eu")),
            (&["inventory-1", "inventory-2", "inventory"], Some("inventory*")),
            (&["aabaa", "aabaabaa"], Some("aabaa*")),
            (&["a{b}c-1", "a{b}c-2"], Some("a{{b}}c-*")),
            (&["éa-ü", "éb-ü"], Some("é*-ü")),
            (&["abc", "xyz"], None),
            (&["ab1", "ab2"], None),
            (&[], None),
        ] {
            assert_eq!(common(buckets).as_deref(), pattern, "{buckets:?}");
        }
    }
}
