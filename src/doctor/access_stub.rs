//! Stands in for `health::remedy::access` until it is there.

use crate::failure_log::without_details;
use crate::fleet::RoleArn;
use crate::health::remedy::for_reason;
use crate::model::{Failure, Reason};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)]
pub(crate) enum CheckedStep<'a> {
    Credentials,
    AssumeRole { role_arn: &'a RoleArn, external_id_configured: bool },
    ListAccounts,
    ListUnits,
    ListRegions,
    ListSyncs,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AccessCause {
    reason: Reason,
    text: String,
}

#[derive(Clone, Debug)]
#[allow(dead_code)]
pub(crate) struct AccessExample {
    pub(crate) account: String,
    pub(crate) region: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct AccessAdvice {
    pub(crate) title: String,
    pub(crate) explanation: String,
    pub(crate) remedy: String,
    pub(crate) statement: Option<String>,
    pub(crate) command: Option<String>,
    pub(crate) deployment_parameter: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) runbook_url: String,
}

impl AccessCause {
    pub(crate) fn of(failure: &Failure, _step: CheckedStep<'_>) -> Self {
        Self { reason: failure.reason, text: without_details(&failure.message, &[]) }
    }

    pub(crate) fn advice(&self, _examples: &[AccessExample]) -> AccessAdvice {
        let explanation = for_reason(self.reason);
        AccessAdvice {
            title: explanation.title.to_owned(),
            explanation: self.text.clone(),
            remedy: explanation.remedy.to_owned(),
            runbook_url: crate::health::Alert::SsmSyncTargetDown.runbook_url(),
            ..AccessAdvice::default()
        }
    }
}
