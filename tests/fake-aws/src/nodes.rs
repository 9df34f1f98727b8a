//! `DescribeInstanceInformation`, which lists managed nodes.

use serde_json::Value;

use crate::fault::Fault;
use crate::paging::Page;
use crate::reply::ApiError;
use crate::validate::Violations;
use crate::world::World;

const MIN_PAGE_SIZE: usize = 5;
const MAX_PAGE_SIZE: usize = 50;
const DEFAULT_PAGE_SIZE: usize = 10;

/// Maximum number of values of a filter.
const MAX_VALUES: usize = 100;

/// The keys of filters, with the field of a node that each compares. The API model of 2014-11-06
/// documents `PlatformType`, but AWS accepts `PlatformTypes` only.
const KEYS: [(&str, &str); 10] = [
    ("InstanceIds", "InstanceId"),
    ("AgentVersion", "AgentVersion"),
    ("PingStatus", "PingStatus"),
    ("PlatformTypes", "PlatformType"),
    ("ActivationIds", "ActivationId"),
    ("IamRole", "IamRole"),
    ("ResourceType", "ResourceType"),
    ("AssociationStatus", "AssociationStatus"),
    ("SourceIds", "SourceId"),
    ("SourceTypes", "SourceType"),
];

/// The number of [`KEYS`] that the older `InstanceInformationFilterList` accepts.
const OLDER_KEYS: usize = 8;

/// The keys whose values are a closed list, with their valid values.
const VALUES: [(&str, &[&str]); 5] = [
    ("PingStatus", &["Online", "ConnectionLost", "Inactive"]),
    ("PlatformTypes", &["Windows", "Linux", "MacOS"]),
    ("ResourceType", &["EC2Instance", "ManagedInstance"]),
    ("AssociationStatus", &["Success", "Pending", "Failed"]),
    ("SourceTypes", &["AWS::EC2::Instance", "AWS::SSM::ManagedInstance", "AWS::IoT::Thing"]),
];

/// Lists the managed nodes of an account in a region. `faults` may affect the paging.
pub(crate) fn describe(
    world: &World,
    account: &str,
    region: &str,
    request: &Value,
    faults: &[Fault],
) -> Result<String, ApiError> {
    let mut violations = Violations::default();
    let size = violations.page_size(request, MIN_PAGE_SIZE..=MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE);
    let filters = filters(request, &mut violations);
    violations.check()?;
    let filters = filters?;
    check_filters(&filters)?;
    let page = Page::new("DescribeInstanceInformation", size, request, faults)
        .ok_or_else(|| ApiError::new("InvalidNextToken", "The specified token is not valid."))?;

    let nodes = world.managed_nodes(account, region);
    let all = nodes.items(account, region);
    let (items, total): (Vec<_>, _) = if filters.is_empty() {
        (page.of(all).collect(), nodes.len())
    } else {
        let matching: Vec<_> = all.filter(|node| filters.iter().all(|filter| filter.matches(node))).collect();
        let total = matching.len();
        (page.of(matching).collect(), total)
    };
    let next = page.next(total).map(|next| format!(",\"NextToken\":{}", Value::from(next)));
    Ok(format!("{{\"InstanceInformationList\":{}{}}}", Value::from(items), next.unwrap_or_default()))
}

struct Filter<'a> {
    key: &'a str,
    values: Vec<&'a str>,
}

impl Filter<'_> {
    fn is_of_tags(&self) -> bool {
        self.key == "tag-key" || self.key.starts_with("tag:")
    }

    /// Whether one of the values is that of the node. The fake's nodes have no tags, so a filter by
    /// tag matches none.
    fn matches(&self, node: &Value) -> bool {
        let field = KEYS.iter().find(|(key, _)| *key == self.key);
        let value = field.and_then(|(_, field)| node.get(field)?.as_str());
        value.is_some_and(|value| self.values.contains(&value))
    }
}

/// The filters of a request, from the list that it has. Adds a violation for each filter that is invalid
/// by the API model.
fn filters<'a>(request: &'a Value, violations: &mut Violations) -> Result<Vec<Filter<'a>>, ApiError> {
    let list = |name: &str| request.get(name).and_then(Value::as_array).filter(|list| !list.is_empty());
    let (older, newer) = (list("InstanceInformationFilterList"), list("Filters"));
    let (list, path, key, values) = match (older, newer) {
        (None, None) => return Ok(Vec::new()),
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                "ValidationException",
                "Filters and InstanceInformationFilterList cannot be used together.",
            ));
        }
        (Some(list), None) => (list, "/InstanceInformationFilterList", "key", "valueSet"),
        (None, Some(list)) => (list, "/Filters", "Key", "Values"),
    };
    let mut filters = Vec::new();
    for (index, filter) in list.iter().enumerate() {
        let key_path = format!("{path}/{index}/{key}");
        let key = violations.text(request, &key_path, usize::MAX, true);
        if older.is_some() {
            let keys = KEYS[..OLDER_KEYS].iter().map(|(key, _)| *key).collect::<Vec<_>>();
            violations.one_of(request, &key_path, &keys);
        }
        let values_path = format!("{path}/{index}/{values}");
        let number = filter.get(values).and_then(Value::as_array).map(Vec::len);
        match number {
            None => violations.add("null", &values_path, "Member must not be null"),
            Some(1..=MAX_VALUES) => {}
            Some(_) => {
                let constraint = format!("Member must have length between 1 and {MAX_VALUES}");
                violations.add("'[...]'", &values_path, &constraint);
            }
        }
        let paths = (0..number.unwrap_or_default()).map(|index| format!("{values_path}/{index}"));
        let values = paths.filter_map(|path| violations.text(request, &path, usize::MAX, true)).collect();
        filters.extend(key.map(|key| Filter { key, values }));
    }
    Ok(filters)
}

/// # Errors
/// A filter has a key or a value that AWS does not accept, or a filter by tag is combined with others.
fn check_filters(filters: &[Filter<'_>]) -> Result<(), ApiError> {
    for filter in filters {
        if !filter.is_of_tags() && !KEYS.iter().any(|(key, _)| *key == filter.key) {
            return Err(ApiError::new("InvalidFilterKey", ""));
        }
        check_values(filter)?;
    }
    if filters.len() > 1 && filters.iter().any(Filter::is_of_tags) {
        return Err(ApiError::new(
            "ValidationException",
            "Cannot mix tag or inventory filter with any other filter.",
        ));
    }
    Ok(())
}

fn check_values(filter: &Filter<'_>) -> Result<(), ApiError> {
    let invalid = |message| Err(ApiError::new("InvalidInstanceInformationFilterValue", message));
    let key = filter.key;
    if key == "ResourceType" && filter.values.len() > 1 {
        return invalid(format!("{key} filter may contain only one value."));
    }
    let allowed = VALUES.iter().find(|(of, _)| *of == key);
    if let Some((_, allowed)) = allowed
        && !filter.values.iter().all(|value| allowed.contains(value))
    {
        return invalid(format!("{key} filter is invalid, valid values are {}", allowed.join(", ")));
    }
    // The id of a node that does not exist is accepted.
    if key == "InstanceIds" && !filter.values.iter().all(|id| is_node_id(id)) {
        return Err(ApiError::new("InvalidInstanceId", ""));
    }
    Ok(())
}

/// Whether a text has the form of a node's id, such as `i-02573cafcfEXAMPLE`.
fn is_node_id(text: &str) -> bool {
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    text.strip_prefix("mi-")
        .map(|id| (id, &[17][..]))
        .or_else(|| text.strip_prefix("i-").map(|id| (id, &[8, 17][..])))
        .is_some_and(|(id, lengths)| is_word(id) && lengths.contains(&id.len()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::fault::Fault;

    const ACCOUNT: &str = "111122223333";
    const REGION: &str = "eu-west-1";

    fn world(nodes: u32) -> Arc<World> {
        let world = World::new();
        world.add_account(ACCOUNT);
        world.set_managed_nodes(ACCOUNT, REGION, nodes);
        world
    }

    /// The nodes on a page, and the token of the next one.
    fn page(world: &World, request: &Value, faults: &[Fault]) -> (Vec<Value>, Option<Value>) {
        let text = describe(world, ACCOUNT, REGION, request, faults).unwrap();
        let mut page: Value = serde_json::from_str(&text).unwrap();
        let nodes = page["InstanceInformationList"].as_array().unwrap().clone();
        (nodes, page.get_mut("NextToken").map(Value::take))
    }

    /// The nodes on all pages.
    fn nodes(world: &World, mut request: Value) -> Vec<Value> {
        let (mut all, mut next) = page(world, &request, &[]);
        while let Some(token) = next {
            request["NextToken"] = token;
            let (more, after) = page(world, &request, &[]);
            all.extend(more);
            next = after;
        }
        all
    }

    fn ids(nodes: &[Value]) -> Vec<&str> {
        nodes.iter().map(|node| node["InstanceId"].as_str().unwrap()).collect()
    }

    fn error(request: &Value) -> (String, String) {
        let error = describe(&world(1), ACCOUNT, REGION, request, &[]).unwrap_err();
        (error.code.into_owned(), error.message)
    }

    fn filter(key: &str, values: &[&str]) -> Value {
        json!({"Filters": [{"Key": key, "Values": values}]})
    }

    #[test]
    fn an_account_has_no_nodes_until_they_are_set() {
        let world = World::new();
        world.add_account(ACCOUNT);
        assert_eq!(page(&world, &json!({}), &[]), (vec![], None));
        world.set_default_managed_nodes(2);
        assert_eq!(nodes(&world, json!({})).len(), 2);
        world.set_managed_nodes(ACCOUNT, REGION, 0);
        assert_eq!(page(&world, &json!({"MaxResults": 5}), &[]), (vec![], None));
        let items = vec![json!({"InstanceId": "i-00000000", "Unknown": 1})];
        world.set_managed_node_items(ACCOUNT, REGION, items.clone());
        assert_eq!(nodes(&world, json!({})), items);
    }

    #[test]
    fn the_nodes_that_stay_keep_their_ids() {
        let three = nodes(&world(3), json!({}));
        let twelve = nodes(&world(12), json!({}));
        assert_eq!(ids(&twelve)[..3], ids(&three));
        let elsewhere = World::new();
        elsewhere.set_managed_nodes("444455556666", REGION, 1);
        let text = describe(&elsewhere, "444455556666", REGION, &json!({}), &[]).unwrap();
        assert!(!text.contains(ids(&three)[0]), "{text}");
        assert!(ids(&twelve).iter().all(|id| is_node_id(id)), "{twelve:?}");
    }

    #[test]
    fn pages_have_ten_nodes_by_default() {
        let world = world(12);
        let (first, next) = page(&world, &json!({}), &[]);
        assert_eq!((first.len(), next), (10, Some(json!("fake:DescribeInstanceInformation:10"))));
        let all = nodes(&world, json!({"MaxResults": 5}));
        assert_eq!(ids(&all), ids(&nodes(&world, json!({"MaxResults": 50}))));
        assert_eq!(page(&world, &json!({"MaxResults": 5}), &[Fault::PageSize(1)]).0.len(), 1);
        let (none, next) = page(&self::world(0), &json!({}), &[Fault::RepeatToken]);
        assert!(none.is_empty() && next.is_some(), "{none:?}");
    }

    #[test]
    fn filters_select_nodes() {
        let world = world(20);
        let all = nodes(&world, json!({}));
        for (key, field) in KEYS {
            let value = all.iter().find_map(|node| node[field].as_str()).unwrap();
            let expected: Vec<_> = all.iter().filter(|node| node[field] == value).collect();
            let selected = nodes(&world, filter(key, &[value]));
            assert_eq!(ids(&selected).len(), expected.len(), "{key}");
            assert!(selected.iter().all(|node| node[field] == value), "{key}: {selected:?}");
        }
        let both = json!({"Filters": [
            {"Key": "PlatformTypes", "Values": ["Windows", "MacOS"]},
            {"Key": "PingStatus", "Values": ["ConnectionLost"]},
        ]});
        let older = json!({"InstanceInformationFilterList": [
            {"key": "PlatformTypes", "valueSet": ["Windows"]}, {"key": "PingStatus", "valueSet": ["ConnectionLost"]},
        ]});
        assert_eq!(ids(&nodes(&world, both)), [ids(&all)[11]]);
        assert_eq!(ids(&nodes(&world, older)), [ids(&all)[11]]);
        assert!(nodes(&world, filter("InstanceIds", &["i-0123456789abcdef0", "i-01234567"])).is_empty());
        assert!(nodes(&world, filter("tag:Environment", &["production"])).is_empty());
    }

    #[test]
    fn invalid_requests_are_rejected() {
        let older = |key: &str| json!({"InstanceInformationFilterList": [{"key": key, "valueSet": ["a"]}]});
        let mut both = older("IamRole");
        both["Filters"] = filter("IamRole", &["a"])["Filters"].take();
        let mixed =
            json!({"Filters": [{"Key": "tag:A", "Values": ["a"]}, {"Key": "IamRole", "Values": ["a"]}]});
        let violation = |text: &str| format!("1 validation error detected: Value {text}");
        for (request, code, message) in [
            (
                json!({"MaxResults": 4}),
                "ValidationException",
                violation(
                    "'4' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 5",
                ),
            ),
            (
                json!({"MaxResults": 51}),
                "ValidationException",
                violation(
                    "'51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50",
                ),
            ),
            (
                json!({"NextToken": "wrong"}),
                "InvalidNextToken",
                "The specified token is not valid.".to_owned(),
            ),
            (filter("Color", &["a"]), "InvalidFilterKey", String::new()),
            (filter("PlatformType", &["Linux"]), "InvalidFilterKey", String::new()),
            (filter("InstanceIds", &["i-1"]), "InvalidInstanceId", String::new()),
            (
                filter("ResourceType", &["Document"]),
                "InvalidInstanceInformationFilterValue",
                "ResourceType filter is invalid, valid values are EC2Instance, ManagedInstance".to_owned(),
            ),
            (
                filter("ResourceType", &["EC2Instance", "ManagedInstance"]),
                "InvalidInstanceInformationFilterValue",
                "ResourceType filter may contain only one value.".to_owned(),
            ),
            (
                mixed,
                "ValidationException",
                "Cannot mix tag or inventory filter with any other filter.".to_owned(),
            ),
            (
                both,
                "ValidationException",
                "Filters and InstanceInformationFilterList cannot be used together.".to_owned(),
            ),
            (
                json!({"Filters": [{"Key": "IamRole"}]}),
                "ValidationException",
                violation("null at 'filters.0.values' failed to satisfy constraint: Member must not be null"),
            ),
            (
                filter("IamRole", &["a"; 101]),
                "ValidationException",
                violation(
                    "'[...]' at 'filters.0.values' failed to satisfy constraint: Member must have length between 1 and 100",
                ),
            ),
        ] {
            assert_eq!(error(&request), (code.to_owned(), message), "{request}");
        }
        let (code, message) = error(&older("SourceIds"));
        assert_eq!(code, "ValidationException");
        assert!(message.contains("'SourceIds' at 'instanceInformationFilterList.0.key'"), "{message}");
    }
}
