//! The URL of the page of one sync.

use crate::fleet::RegionName;
use crate::model::{DataSync, SyncType};

/// The URL of the page of one sync, relative to the status page. `account` is the id as the page
/// shows it, see [`crate::fleet::Account::display_id`].
pub(super) fn sync_link(account: &str, region: &RegionName, sync: &DataSync) -> String {
    named_sync_link(account, region, &sync.sync_type, &sync.name)
}

/// The URL of the page of a sync that need not exist.
pub(super) fn named_sync_link(
    account: &str,
    region: &RegionName,
    sync_type: &SyncType,
    name: &str,
) -> String {
    let mut link = form_urlencoded::Serializer::for_suffix("./sync?".to_owned(), "./sync?".len());
    link.append_pair("account", account)
        .append_pair("region", region.as_str())
        .append_pair("type", sync_type.as_str())
        .append_pair("name", name);
    link.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::tests::sync;

    #[test]
    fn every_part_of_the_link_is_percent_encoded() {
        let hostile = DataSync {
            sync_type: SyncType::Unknown("a type".to_owned()),
            ..sync("\"><b>&name=é/../#\u{202e}", None)
        };
        assert_eq!(
            sync_link("unknown (profile a&b)", &"eu-west-1".parse().unwrap(), &hostile),
            "./sync?account=unknown+%28profile+a%26b%29&region=eu-west-1&type=a+type\
             &name=%22%3E%3Cb%3E%26name%3D%C3%A9%2F..%2F%23%E2%80%AE"
        );
        assert_eq!(
            sync_link("111122223333", &"eu-west-1".parse().unwrap(), &sync("inventory", None)),
            "./sync?account=111122223333&region=eu-west-1&type=SyncToDestination&name=inventory"
        );
    }
}
