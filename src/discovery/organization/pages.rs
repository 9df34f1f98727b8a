//! Reads all pages of a list of Organizations.

use aws_sdk_organizations::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::aws::errors;
use crate::model::limits::{self, MAX_ORGANIZATION_PAGES, MAX_ORGANIZATIONS_TOKEN_CHARS};
use crate::model::{Failure, Reason};

pub(super) async fn for_each_page<P, E>(
    mut pages: PaginationStream<Result<P, SdkError<E, HttpResponse>>>,
    mut handle: impl FnMut(P) -> Result<(), Failure>,
) -> Result<(), Failure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    // The SDK's paginator returns an error if a page has the same token as the page before.
    // It does not detect longer cycles.
    for _ in 0..MAX_ORGANIZATION_PAGES {
        match pages.next().await {
            None => return Ok(()),
            Some(page) => handle(page.map_err(|error| errors::call_failure(&error))?)?,
        }
    }
    let message = format!("listing the organization did not end within {MAX_ORGANIZATION_PAGES} pages");
    Err(Failure::new(Reason::Pagination, message))
}

pub(super) fn check_token(token: Option<&str>) -> Result<(), Failure> {
    limits::check_length("the page token", token.unwrap_or_default(), MAX_ORGANIZATIONS_TOKEN_CHARS)
}
