//! What to do about an unhealthy sync, a target that is down, a violated expectation, or a concern.
//!
//! - [`for_failures`]: why targets are down
//! - [`AccessCause`]: why the exporter cannot get to the syncs of accounts, and how to let it
//! - [`for_sync`]: problems of syncs, by health, cause and owner
//! - [`for_violation`]: syncs that are missing, forbidden, or not as an expectation describes them
//! - [`for_concern`]: quotas and costs
//!
//! The advice for a sync has the sync's own values, in commands for the AWS CLI and in policies. The
//! exporter itself changes nothing in AWS: an operator reads the commands and runs them. A sync that
//! an AWS service owns gets no command that deletes or changes it.
//!
//! The causes come from the AWS documentation and from reports of users of resource data
//! syncs.

mod access;
mod command;
mod concern;
mod policy;
mod reason;
mod request;
mod sync;
mod violation;

use std::borrow::Cow;

pub(crate) use access::{AccessAdvice, AccessCause, AccessExample};
pub(crate) use concern::for_concern;
pub(crate) use reason::for_failures;
pub(crate) use sync::for_sync;
pub(crate) use violation::for_violation;

use command::Command;

use super::{Alert, AssessedTarget, CauseGuide};
use crate::fleet::RegionName;
use crate::model::{DataSync, ManagedBy};

/// What to do about a problem or a concern. In texts, names between backticks are code. Texts have
/// no values from AWS, only details do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Names the problem in a few words, without a full stop.
    pub(crate) title: Cow<'static, str>,
    /// Says what is wrong, in full sentences.
    pub(crate) explanation: Option<&'static str>,
    /// Says what to do, in full sentences.
    pub(crate) remedy: &'static str,
    /// How to do it, in order.
    pub(crate) steps: Vec<Step>,
    /// The document of AWS that the advice comes from.
    pub(crate) source: Option<&'static str>,
    /// The section of the runbook about the problem.
    pub(crate) runbook_url: String,
}

/// A part of [`Advice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// A sentence.
    pub(crate) text: Cow<'static, str>,
    pub(crate) detail: Option<Detail>,
}

/// What a reader copies, or looks at, in a step. It may contain values from AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A command for a POSIX shell.
    Command {
        text: String,
        /// Whether the command deletes something.
        deletes: bool,
    },
    /// A command that was left out, because a value from AWS cannot safely be part of it.
    OmittedCommand,
    /// A policy, or a part of the configuration.
    Document(String),
    /// A list of names.
    List(Vec<String>),
}

impl Advice {
    fn new(title: impl Into<Cow<'static, str>>, remedy: &'static str, alert: Alert) -> Self {
        Self {
            title: title.into(),
            explanation: None,
            remedy,
            steps: Vec::new(),
            source: None,
            runbook_url: alert.runbook_url(),
        }
    }

    fn of_cause(guide: CauseGuide) -> Self {
        Self {
            title: guide.title.into(),
            explanation: Some(guide.explanation),
            remedy: guide.remedy,
            steps: Vec::new(),
            source: Some(guide.source),
            runbook_url: guide.runbook_url(),
        }
    }

    fn step(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.steps.push(Step { text: text.into(), detail: None });
        self
    }

    fn detail(mut self, text: impl Into<Cow<'static, str>>, detail: Detail) -> Self {
        self.steps.push(Step { text: text.into(), detail: Some(detail) });
        self
    }

    fn command(self, text: impl Into<Cow<'static, str>>, command: Command) -> Self {
        self.detail(text, command.finish())
    }

    fn document(self, text: impl Into<Cow<'static, str>>, document: &impl serde::Serialize) -> Self {
        match command::json(document) {
            Some(document) => self.detail(text, Detail::Document(document)),
            None => self,
        }
    }
}

/// A sync and its target, whose values the advice is about.
#[derive(Clone, Copy)]
struct SyncInTarget<'a> {
    target: &'a AssessedTarget,
    sync: &'a DataSync,
}

impl<'a> SyncInTarget<'a> {
    /// The id of the account, or a placeholder if it is not known yet.
    fn account(self) -> String {
        account_of(self.target)
    }

    fn region(self) -> &'a RegionName {
        &self.target.target().region
    }

    fn bucket(self) -> Option<&'a str> {
        self.sync.destination.as_ref()?.bucket_name.as_deref()
    }

    fn is_customers(self) -> bool {
        self.sync.managed_by() == ManagedBy::Customer
    }

    /// A command about the region of the sync.
    fn regional(self, text: &'static str) -> Command {
        Command::new(text).option("--region", self.region().as_str())
    }
}

fn account_of(target: &AssessedTarget) -> String {
    target.state().account.as_ref().map_or_else(|| "ACCOUNT_ID".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests;
