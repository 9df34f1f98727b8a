//! Looks up whether a target has managed nodes. One page is enough, because their number does not
//! matter.

use std::sync::Arc;

use aws_sdk_ssm::operation::describe_instance_information::DescribeInstanceInformationError;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::call_failure::call_failure;
use super::page::TakePage;
use crate::aws::{CachedCredentials, ObserveRequests, Session};
use crate::fleet::Target;
use crate::model::{Failure, Reason};

/// The smallest page size that AWS allows.
const PAGE_SIZE: i32 = 5;

/// The first page of the list of managed nodes. Nothing about a node is kept.
#[derive(Debug, Deserialize)]
struct NodePage {
    #[serde(rename = "InstanceInformationList")]
    nodes: Vec<IgnoredAny>,
    #[serde(default, rename = "NextToken")]
    next_token: Option<String>,
}

impl NodePage {
    /// # Errors
    /// The page is empty, and AWS has more pages.
    fn has_nodes(&self) -> Result<bool, Failure> {
        let is_empty = self.nodes.is_empty();
        if is_empty && self.next_token.as_ref().is_some_and(|token| !token.is_empty()) {
            let message = "the first page of DescribeInstanceInformation is empty and not the last one, so there may be managed nodes";
            return Err(Failure::new(Reason::Pagination, message));
        }
        Ok(!is_empty)
    }
}

/// Whether there are managed nodes in `target`, whatever their ping status.
pub(super) async fn are_present(
    session: &Session,
    credentials: &Arc<CachedCredentials>,
    target: &Target,
) -> Result<bool, Failure> {
    let config = session.ssm_region_config(&target.region).interceptor(
        ObserveRequests::new(&session.observer).with_error::<DescribeInstanceInformationError>(),
    );
    let take_page = TakePage::<NodePage>::default();
    let response = session
        .ssm_client(credentials)
        .describe_instance_information()
        .max_results(PAGE_SIZE)
        .customize()
        .config_override(config)
        .interceptor(take_page.clone())
        .send()
        .await;
    if let Err(error) = response {
        return Err(call_failure(&error, session, target, credentials).await);
    }
    let Some(page) = take_page.take() else {
        let message = "the response to DescribeInstanceInformation contains no list of managed nodes";
        return Err(Failure::new(Reason::InvalidResponse, message));
    };
    page.has_nodes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::page::parse;

    fn has_nodes(body: &str) -> Option<Result<bool, Reason>> {
        let page: NodePage = parse(body.as_bytes())?;
        Some(page.has_nodes().map_err(|failure| failure.reason))
    }

    #[test]
    fn a_page_with_an_item_of_any_form_has_nodes() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let broken = "\u{fffd}";
        for item in ["{}", "null", "5", "\"a\"", r#"{"InstanceId": []}"#, &deep, &format!("\"{broken}\"")] {
            for token in ["null", "\"\"", "\"abc\""] {
                let body =
                    format!(r#"{{"NextToken": {token}, "InstanceInformationList": [{item}, {item}]}}"#);
                assert_eq!(has_nodes(&body), Some(Ok(true)), "{token}");
            }
        }
    }

    #[test]
    fn an_empty_page_has_no_nodes_only_if_it_is_the_last() {
        assert_eq!(has_nodes(r#"{"InstanceInformationList": []}"#), Some(Ok(false)));
        assert_eq!(has_nodes(r#"{"InstanceInformationList": [], "NextToken": ""}"#), Some(Ok(false)));
        let more = r#"{"InstanceInformationList": [], "NextToken": "abc"}"#;
        assert_eq!(has_nodes(more), Some(Err(Reason::Pagination)));
    }

    #[test]
    fn anything_else_is_no_page() {
        for body in
            ["", "[]", "{}", r#"{"InstanceInformationList": null}"#, r#"{"InstanceInformationList": {}}"#]
        {
            assert_eq!(has_nodes(body), None, "{body}");
        }
    }
}
