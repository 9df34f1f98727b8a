//! Managed nodes: the EC2 instances and other machines whose SSM Agent reports to an account and
//! region.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{World, aws_time, now};

/// The version of the agent that all nodes have.
const AGENT_VERSION: &str = "3.3.2746.0";

/// When the nodes that are not EC2 instances were registered, in seconds since the Unix epoch.
const REGISTRATION_DATE: f64 = 1_750_000_000.0;

/// The managed nodes of an account in a region.
#[derive(Clone, Debug)]
pub(crate) enum ManagedNodes {
    /// This many nodes, which are generated when they are listed.
    Generated(u32),
    /// Listed exactly as a test set them.
    Items(Arc<[Value]>),
}

impl Default for ManagedNodes {
    fn default() -> Self {
        Self::Generated(0)
    }
}

impl ManagedNodes {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Generated(number) => usize::try_from(*number).unwrap_or(usize::MAX),
            Self::Items(items) => items.len(),
        }
    }

    /// The items of a list with these nodes, in order.
    pub(crate) fn items(&self, account: &str, region: &str) -> impl Iterator<Item = Value> {
        let now = now();
        (0..self.len()).map(move |index| match self {
            Self::Generated(_) => generated(account, region, index, now),
            Self::Items(items) => items[index].clone(),
        })
    }
}

/// The managed nodes that were set for an account in a region.
#[derive(Debug)]
pub(super) struct NodesOfRegion {
    nodes: ManagedNodes,
    /// Since when there are none, in seconds since the Unix epoch.
    empty_since: Option<f64>,
}

impl World {
    /// Sets how many managed nodes an account has in a region, initially none, and replaces those that
    /// it had. The nodes are generated. The id of a node depends only on the account, the region and
    /// its position in the list, so a change of `number` keeps the first nodes. The first node is an EC2
    /// instance that is online. Some of the others run Windows, are not connected or are not EC2
    /// instances.
    pub fn set_managed_nodes(&self, account: &str, region: &str, number: u32) {
        self.replace_nodes(account, region, ManagedNodes::Generated(number));
    }

    /// Sets the managed nodes of an account in a region, which `DescribeInstanceInformation` lists
    /// exactly as `items`. They replace those that it had.
    pub fn set_managed_node_items(&self, account: &str, region: &str, items: Vec<Value>) {
        self.replace_nodes(account, region, ManagedNodes::Items(items.into()));
    }

    /// Sets how many managed nodes are generated for every account and region whose nodes are never
    /// set.
    pub fn set_default_managed_nodes(&self, number: u32) {
        self.lock().default_nodes = ManagedNodes::Generated(number);
    }

    fn replace_nodes(&self, account: &str, region: &str, nodes: ManagedNodes) {
        let mut inner = self.lock();
        let account = inner.accounts.entry(account.to_owned()).or_default();
        let before = account.nodes.get(region).and_then(|before| before.empty_since);
        let empty_since = (nodes.len() == 0).then(|| before.unwrap_or_else(now));
        account.nodes.insert(region.to_owned(), NodesOfRegion { nodes, empty_since });
    }

    /// Sets whether syncs that were created by calls run only while their account has managed nodes in
    /// the region, as in AWS, where a sync without managed nodes has nothing to copy. The first run,
    /// when the sync is created, always takes place. Off by default.
    pub fn set_runs_need_nodes(&self, need: bool) {
        self.lock().runs_need_nodes = need;
    }

    /// The time after which no created sync of an account runs in a region, because there are no managed
    /// nodes. Infinite if there are some.
    pub(crate) fn runs_until(&self, account: &str, region: &str) -> f64 {
        let inner = self.lock();
        let own = inner.accounts.get(account).and_then(|account| account.nodes.get(region));
        match own {
            _ if !inner.runs_need_nodes => f64::INFINITY,
            Some(own) => own.empty_since.unwrap_or(f64::INFINITY),
            None if inner.default_nodes.len() == 0 => f64::NEG_INFINITY,
            None => f64::INFINITY,
        }
    }

    pub(crate) fn managed_nodes(&self, account: &str, region: &str) -> ManagedNodes {
        let inner = self.lock();
        let own = inner.accounts.get(account).and_then(|account| account.nodes.get(region));
        own.map_or(&inner.default_nodes, |own| &own.nodes).clone()
    }
}

/// A node as an item of a list, with the fields that AWS reports for it.
fn generated(account: &str, region: &str, index: usize, now: f64) -> Value {
    let hash = fnv_1a(&format!("{account}/{region}/{index}"));
    let (is_instance, is_windows, is_connected) = (index % 5 != 4, index % 3 == 2, index % 4 != 3);
    // Agents ping every five minutes.
    let last_ping = now - if is_connected { 30.0 } else { 7.0 * 86400.0 };
    let last_run = (last_ping - 600.0).floor();
    let id = format!("{}-0{hash:016x}", if is_instance { "i" } else { "mi" });
    let (third, fourth) = (index / 250 % 250, index % 250 + 1);
    let (platform_type, platform_name, platform_version) = if is_windows {
        ("Windows", "Microsoft Windows Server 2022 Datacenter", "10.0.20348")
    } else {
        ("Linux", "Amazon Linux", "2023")
    };
    let mut node = json!({
        "InstanceId": id,
        "PingStatus": if is_connected { "Online" } else { "ConnectionLost" },
        "LastPingDateTime": aws_time(last_ping),
        "AgentVersion": AGENT_VERSION,
        "IsLatestVersion": true,
        "PlatformType": platform_type,
        "PlatformName": platform_name,
        "PlatformVersion": platform_version,
        "ResourceType": if is_instance { "EC2Instance" } else { "ManagedInstance" },
        "IPAddress": format!("10.0.{third}.{fourth}"),
        "ComputerName": format!("ip-10-0-{third}-{fourth}.{region}.compute.internal"),
        "AssociationStatus": "Success",
        "LastAssociationExecutionDate": aws_time(last_run),
        "LastSuccessfulAssociationExecutionDate": aws_time(last_run),
        "AssociationOverview": {
            "DetailedStatus": "Success",
            "InstanceAssociationStatusAggregatedCount": {"Success": 1},
        },
        "SourceId": id,
        "SourceType": if is_instance { "AWS::EC2::Instance" } else { "AWS::SSM::ManagedInstance" },
    });
    if !is_instance {
        node["ActivationId"] = format!("00000000-0000-4000-8000-{:012x}", hash >> 16).into();
        node["IamRole"] = "service-role/AmazonEC2RunCommandRoleForManagedInstances".into();
        node["RegistrationDate"] = aws_time(REGISTRATION_DATE);
        node["Name"] = format!("host-{index}").into();
        node["ComputerName"] = format!("host-{index}.example.com").into();
    }
    node
}

/// The 64-bit FNV-1a hash of a text. Unlike the hashes of the standard library, it never changes.
fn fnv_1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "the times are kept exactly")]
    fn syncs_stop_running_without_managed_nodes() {
        let world = World::new();
        let until = || world.runs_until("111122223333", "eu-west-1");
        assert_eq!(until(), f64::INFINITY);
        world.set_runs_need_nodes(true);
        assert_eq!(until(), f64::NEG_INFINITY);
        world.set_managed_nodes("111122223333", "eu-west-1", 1);
        assert_eq!(until(), f64::INFINITY);
        let before = now();
        world.set_managed_nodes("111122223333", "eu-west-1", 0);
        let gone = until();
        assert!(before <= gone && gone <= now(), "{before} {gone}");
        world.set_managed_node_items("111122223333", "eu-west-1", Vec::new());
        assert_eq!(until(), gone);
        world.set_managed_nodes("111122223333", "eu-west-1", 2);
        assert_eq!(until(), f64::INFINITY);
    }
}
