//! The URL of the page about one sync.

use crate::fleet::RegionName;

/// The URL of the page about a sync, relative to a page in the same directory. `account` is the
/// account as in the label `aws_account_id`.
pub(super) fn sync_link(account: &str, region: &RegionName, sync_type: &str, name: &str) -> String {
    form_urlencoded::Serializer::for_suffix("./sync?".to_owned(), "./sync?".len())
        .append_pair("account", account)
        .append_pair("region", region.as_str())
        .append_pair("type", sync_type)
        .append_pair("name", name)
        .finish()
}
