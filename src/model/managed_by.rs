//! Who manages a sync, judging by its name.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// The sync that Quick Setup creates for the unified console of Systems Manager. `ListNodes` takes its name as
/// a parameter.
pub(crate) const UNIFIED_CONSOLE_SYNC: &str = "AWS-QuickSetup-ManagedNode";

/// The AWS service that created a sync and manages it, or the customer. In snake case, each
/// is a value of the `managed_by` label, so renaming a variant breaks users' queries.
#[derive(Clone, Copy, Debug, EnumString, IntoStaticStr, VariantArray, PartialEq, Eq)]
#[strum(serialize_all = "snake_case")]
pub enum ManagedBy {
    /// Amazon Inspector.
    Inspector,
    /// AWS License Manager, which deletes and recreates some of its syncs.
    LicenseManager,
    /// Systems Manager Quick Setup, which creates syncs for Systems Manager Explorer.
    QuickSetup,
    /// The customer, or an AWS service that this version does not know.
    Customer,
}

impl ManagedBy {
    /// Recognizes the documented name prefixes of syncs that AWS services create.
    pub(crate) fn from_sync_name(name: &str) -> Self {
        if name.starts_with("InspectorResourceDataSync") {
            Self::Inspector
        } else if name.starts_with("license-manager-") {
            Self::LicenseManager
        } else if name.starts_with("AWS-QuickSetup-") {
            Self::QuickSetup
        } else {
            Self::Customer
        }
    }

    /// The label value.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_is_derived_from_the_prefix_of_the_sync_name() {
        for (name, managed_by) in [
            ("InspectorResourceDataSync-do-not-delete", "inspector"),
            ("license-manager-1234-ssm", "license_manager"),
            ("AWS-QuickSetup-SSM-abcd", "quick_setup"),
            ("inventory", "customer"),
            ("my-license-manager-sync", "customer"),
        ] {
            assert_eq!(ManagedBy::from_sync_name(name).as_str(), managed_by, "{name}");
        }
    }
}
