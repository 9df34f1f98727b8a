//! The HTTP client that all calls share. Every response passes through it: those of AWS's
//! services, and those of the credential endpoints that the SDK calls itself (IMDS, ECS, SSO
//! and STS).
//!
//! It reads each response completely before the SDK sees it, and limits what a response can
//! do:
//!
//! | part of a response | limit |
//! | --- | --- |
//! | body | 8 MiB, with or without a declared length |
//! | headers, HTTP/1 | about 400 KiB and 100 headers (limits of `hyper`) |
//! | headers, HTTP/2 | 16 KiB (limit of `hyper`) |
//! | trailers and chunk extensions | 16 KiB each (limits of `hyper`), ignored |
//! | `Date` | hidden from the SDK, see [`clock_skew`] |
//! | `x-amz-retry-after` and `Retry-After` | hidden from the SDK, which uses its own back-off |
//!
//! The timeout of a call's attempt limits how long a response may take.

use std::error::Error;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use super::clock_skew::{self, SkewWarning};
use crate::error_chain::find_cause;

/// The maximum length of a response body in bytes. The largest genuine response, a page of
/// 50 syncs, is far smaller.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// Headers that make the SDK wait before it retries a call, for up to 20 seconds each time.
/// The collection would then time out, and its reason would not be that AWS throttled it.
const RETRY_AFTER_HEADERS: [&str; 2] = ["x-amz-retry-after", "retry-after"];

/// The body of a response exceeds [`MAX_BODY`].
#[derive(Debug, thiserror::Error)]
#[error("the body of the response is longer than the limit of {} MiB", MAX_BODY / 1024 / 1024)]
struct BodyTooLong;

/// The HTTP client, with one connection pool for all calls. By default, the SDK
/// creates a pool for each service client and ignores the proxy settings of the
/// environment. `endpoint_url` replaces the endpoints of AWS.
pub(super) fn http_client(endpoint_url: Option<&str>) -> SharedHttpClient {
    // An endpoint without TLS is not AWS but a local substitute, which an outbound
    // proxy usually cannot reach.
    let is_local = endpoint_url.is_some_and(|url| url.starts_with("http://"));
    let client = Builder::new().build_with_connector_fn(move |connector_settings, components| {
        let proxy = if is_local { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
        let mut connector = Connector::builder().proxy_config(proxy);
        if let Some(connector_settings) = connector_settings {
            connector = connector.connector_settings(connector_settings.clone());
        }
        if let Some(sleep) = components.and_then(RuntimeComponents::sleep_impl) {
            connector = connector.sleep_impl(sleep);
        }
        connector.tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc)).build()
    });
    #[cfg(fuzzing)]
    let client = super::fuzzing::http_client().unwrap_or(client);
    SharedHttpClient::new(LimitingClient { client, skew_warning: SkewWarning::default() })
}

/// Whether a response arrived that cannot be one of AWS: its body is too long, or it is not
/// HTTP. `error` is the error of a call, or one of its causes.
pub(super) fn is_invalid_response(error: &(dyn Error + 'static)) -> bool {
    find_cause::<BodyTooLong>(error).is_some()
        || find_cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse)
}

/// Applies the limits of this module to the responses of `client`.
///
/// Whenever the SDK constructs a service client, it checks its HTTP client by loading all
/// root certificates, which costs as much as a call. This wrapper skips the check, because it
/// leaves the validation methods of [`HttpClient`] at their default implementations, which do
/// nothing. TLS certificates of servers are verified as usual.
#[derive(Debug)]
struct LimitingClient {
    client: SharedHttpClient,
    skew_warning: SkewWarning,
}

impl HttpClient for LimitingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(LimitingConnector {
            connector: self.client.http_connector(settings, components),
            skew_warning: self.skew_warning.clone(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.client.connector_metadata()
    }
}

#[derive(Debug)]
struct LimitingConnector {
    connector: SharedHttpConnector,
    skew_warning: SkewWarning,
}

impl HttpConnector for LimitingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let skew_warning = self.skew_warning.clone();
        let response = self.connector.call(request);
        HttpConnectorFuture::new(async move {
            let mut response = response.await?;
            let body = read(response.take_body()).await?;
            clock_skew::hide_unconfirmed_date(&mut response, &body, &skew_warning);
            for name in RETRY_AFTER_HEADERS {
                response.headers_mut().remove(name);
            }
            *response.body_mut() = SdkBody::from(body);
            Ok(response)
        })
    }
}

/// Reads a body into memory. The frames are copied, because each of them may be a single byte
/// that keeps a whole read buffer alive.
async fn read(mut body: SdkBody) -> Result<Vec<u8>, ConnectorError> {
    // Not retried: the next response would be as long.
    let too_long = || ConnectorError::other(BodyTooLong.into(), None);
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > MAX_BODY) {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(ConnectorError::io)?.into_data() {
            if data.len() > MAX_BODY - bytes.len() {
                return Err(too_long());
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_may_have_the_maximum_length_and_no_more() {
        let body = |length| SdkBody::from(vec![b' '; length]);
        assert_eq!(read(body(0)).await.unwrap(), b"");
        assert_eq!(read(body(MAX_BODY)).await.unwrap().len(), MAX_BODY);
        let error = read(body(MAX_BODY + 1)).await.unwrap_err();
        assert!(is_invalid_response(&error));
        assert_eq!(
            crate::error_chain::with_causes(&error),
            "other: the body of the response is longer than the limit of 8 MiB"
        );
        let readme = include_str!("../../config/README.md");
        assert!(readme.contains("| body of a response | 8 MiB |"), "the limit is documented");
    }
}
