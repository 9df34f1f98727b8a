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
//! | bodies of more than 1 MiB | 4 at a time, the others wait |
//! | values in a JSON body | about 200,000 |
//! | headers, HTTP/1 | about 400 KiB and 100 headers (limits of `hyper`) |
//! | headers, HTTP/2 | 16 KiB (limit of `hyper`) |
//! | trailers and chunk extensions | 16 KiB each (limits of `hyper`), ignored |
//! | `Date` | hidden from the SDK, see [`clock_skew`] |
//! | an HTML page in place of an answer | becomes an error, see [`HtmlPage`] |
//! | `x-amz-retry-after` and `Retry-After` | hidden from the SDK, which uses its own back-off |
//!
//! The timeout of a call's attempt limits how long a response may take. All errors name the
//! [`Destination`] of the request.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, rustls_provider::CryptoMode};
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
use http::Uri;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::clock_skew::{self, SkewWarning};
use super::destination::{Destination, HtmlPage};
use super::endpoints;
use super::exchange::{NoResponseKind, ObserveExchanges, ObservedRequest};
use super::outbound::{CaBundle, OutboundSettings, Proxy};
use super::request_secrets::RequestSecrets;
use crate::error_chain::find_cause;

/// The maximum length of a response body in bytes. The largest genuine response, a page of
/// 50 syncs, is far smaller.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// The maximum length of a body in bytes that takes no permit of [`MAX_LARGE_BODIES`].
const MAX_SMALL_BODY: usize = 1024 * 1024;

/// How many larger bodies are in memory at the same time. Genuine responses are not that large, so
/// they do not wait for these.
const MAX_LARGE_BODIES: usize = 4;

/// The maximum number of values in a JSON body. The SDK makes several hundred bytes of each `{}`
/// in a list.
const MAX_JSON_VALUES: usize = 200_000;

/// Headers that make the SDK wait before it retries a call, for up to 20 seconds each time.
/// The collection would then time out, and its reason would not be that AWS throttled it.
const RETRY_AFTER_HEADERS: [&str; 2] = ["x-amz-retry-after", "retry-after"];

/// The body of a response is not passed to the SDK.
#[derive(Debug, thiserror::Error)]
enum UnusableBody {
    #[error("the body of the response is longer than the limit of {} MiB", MAX_BODY / 1024 / 1024)]
    TooLong,
    #[error("the body of the response has more than {MAX_JSON_VALUES} values, the limit of the exporter")]
    TooManyValues,
}

impl From<UnusableBody> for ConnectorError {
    fn from(unusable: UnusableBody) -> Self {
        // Not retried: the next response would be the same.
        Self::other(unusable.into(), None)
    }
}

/// The HTTP clients of all calls: one for each file of certificate authorities, usually one in all. By
/// default, the SDK creates a client for each service client, and ignores the proxy settings of the
/// environment.
#[derive(Debug)]
pub(super) struct HttpClients {
    outbound: Arc<OutboundSettings>,
    attempt_timeout: Duration,
    skew_warning: SkewWarning,
    large_bodies: Arc<Semaphore>,
    observer: Option<Arc<dyn ObserveExchanges>>,
    by_ca_bundle: Mutex<Vec<(Option<CaBundle>, SharedHttpClient)>>,
}

impl HttpClients {
    /// `endpoint_url` replaces the endpoints of AWS. `attempt_timeout` limits how long each request may
    /// take, its response included.
    pub(super) fn new(
        outbound: Arc<OutboundSettings>,
        endpoint_url: Option<&str>,
        attempt_timeout: Duration,
        observer: Option<Arc<dyn ObserveExchanges>>,
    ) -> Self {
        // An endpoint without TLS is not AWS but a local substitute, which an outbound
        // proxy usually cannot reach.
        let ignores_proxies = endpoint_url.is_some_and(endpoints::is_without_tls);
        Self {
            outbound: if ignores_proxies { Arc::default() } else { outbound },
            attempt_timeout,
            skew_warning: SkewWarning::default(),
            large_bodies: Arc::new(Semaphore::new(MAX_LARGE_BODIES)),
            observer,
            by_ca_bundle: Mutex::default(),
        }
    }

    /// The client that trusts the authorities of `ca_bundle`, or those of the system.
    pub(super) fn get(&self, ca_bundle: Option<&CaBundle>) -> SharedHttpClient {
        let mut clients = self.by_ca_bundle.lock();
        if let Some((_, client)) = clients.iter().find(|(bundle, _)| bundle.as_ref() == ca_bundle) {
            return client.clone();
        }
        let client = SharedHttpClient::new(self.create(ca_bundle));
        clients.push((ca_bundle.cloned(), client.clone()));
        client
    }

    fn create(&self, ca_bundle: Option<&CaBundle>) -> LimitingClient {
        let tls_context = ca_bundle.map(CaBundle::tls_context);
        let direct = client(ProxyConfig::disabled(), tls_context);
        #[cfg(fuzzing)]
        let direct = super::fuzzing::http_client().unwrap_or(direct);
        let through_proxies = self
            .outbound
            .proxies()
            .map(|proxy| (proxy.clone(), client(proxy.config(), tls_context)))
            .collect();
        LimitingClient {
            outbound: Arc::clone(&self.outbound),
            direct,
            through_proxies,
            attempt_timeout: self.attempt_timeout,
            skew_warning: self.skew_warning.clone(),
            large_bodies: Arc::clone(&self.large_bodies),
            observer: self.observer.clone(),
        }
    }
}

/// An HTTP client of the SDK, with a connection pool of its own.
fn client(proxy: ProxyConfig, tls_context: Option<&TlsContext>) -> SharedHttpClient {
    let tls_context = tls_context.cloned().unwrap_or_default();
    Builder::new().build_with_connector_fn(move |connector_settings, components| {
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        if let Some(connector_settings) = connector_settings {
            connector = connector.connector_settings(connector_settings.clone());
        }
        if let Some(sleep) = components.and_then(RuntimeComponents::sleep_impl) {
            connector = connector.sleep_impl(sleep);
        }
        let tls = connector.tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc));
        tls.tls_context(tls_context.clone()).build()
    })
}

/// Whether a response arrived that cannot be one of AWS: its body exceeds a limit, or it is
/// not HTTP. `error` is the error of a call, or one of its causes.
pub(super) fn is_invalid_response(error: &(dyn Error + 'static)) -> bool {
    find_cause::<UnusableBody>(error).is_some()
        || find_cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse)
}

fn kind_of(error: &ConnectorError) -> NoResponseKind {
    match error {
        error if is_invalid_response(error) => NoResponseKind::InvalidResponse,
        error if error.is_timeout() => NoResponseKind::Timeout,
        error if error.is_io() => NoResponseKind::Connection,
        _ => NoResponseKind::Other,
    }
}

/// Sends each request directly or through its proxy, and applies the limits of this module to the
/// responses.
///
/// Whenever the SDK constructs a service client, it checks its HTTP client by loading all
/// root certificates, which costs as much as a call. This wrapper skips the check, because it
/// leaves the validation methods of [`HttpClient`] at their default implementations, which do
/// nothing. TLS certificates of servers are verified as usual.
#[derive(Debug)]
struct LimitingClient {
    outbound: Arc<OutboundSettings>,
    direct: SharedHttpClient,
    through_proxies: Vec<(Proxy, SharedHttpClient)>,
    attempt_timeout: Duration,
    skew_warning: SkewWarning,
    large_bodies: Arc<Semaphore>,
    observer: Option<Arc<dyn ObserveExchanges>>,
}

impl HttpClient for LimitingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let through_proxies = self
            .through_proxies
            .iter()
            .map(|(proxy, client)| (proxy.clone(), client.http_connector(settings, components)))
            .collect();
        SharedHttpConnector::new(LimitingConnector {
            outbound: Arc::clone(&self.outbound),
            direct: self.direct.http_connector(settings, components),
            through_proxies,
            timeout: self.attempt_timeout,
            skew_warning: self.skew_warning.clone(),
            large_bodies: Arc::clone(&self.large_bodies),
            observer: self.observer.clone(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.direct.connector_metadata()
    }
}

#[derive(Debug)]
struct LimitingConnector {
    outbound: Arc<OutboundSettings>,
    direct: SharedHttpConnector,
    through_proxies: Vec<(Proxy, SharedHttpConnector)>,
    timeout: Duration,
    skew_warning: SkewWarning,
    large_bodies: Arc<Semaphore>,
    observer: Option<Arc<dyn ObserveExchanges>>,
}

impl LimitingConnector {
    /// The connector for a request to `url`, and the proxy that it uses.
    fn route(&self, url: &Uri) -> (&SharedHttpConnector, Option<&Proxy>) {
        let proxy = self.outbound.proxy_for(url);
        let route = self.through_proxies.iter().find(|(used, _)| Some(used) == proxy);
        route.map_or((&self.direct, None), |(proxy, connector)| (connector, Some(proxy)))
    }
}

impl HttpConnector for LimitingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (skew_warning, large_bodies) = (self.skew_warning.clone(), Arc::clone(&self.large_bodies));
        let url: Uri = request.uri().parse().unwrap_or_default();
        let (connector, proxy) = self.route(&url);
        let destination = Destination::of(&request, &url, proxy);
        let secrets = RequestSecrets::of(&request);
        let observed = self
            .observer
            .as_ref()
            .map(|observer| ObservedRequest::new(observer, &request, &url, &destination));
        let (response, timeout) = (connector.call(request), self.timeout);
        HttpConnectorFuture::new(async move {
            let exchange = async {
                let mut response = response.await?;
                let (body, permit) = read(response.take_body(), large_bodies).await?;
                if has_too_many_values(&body) {
                    return Err(UnusableBody::TooManyValues.into());
                }
                Ok((response, body, permit))
            };
            // The SDK's own timeout is slightly longer, and its error does not name the destination.
            let exchanged = match tokio::time::timeout(timeout, exchange).await {
                Ok(exchanged) => exchanged.map_err(|error| destination.clone().failed(error)),
                Err(_elapsed) => Err(destination.clone().timed_out(timeout)),
            };
            if let Some(observed) = observed {
                match &exchanged {
                    Ok((response, body, _)) => observed.answered(response, body),
                    Err(error) => observed.failed(kind_of(error), error),
                }
            }
            let (mut response, body, permit) = exchanged?;
            if let Some(page) = HtmlPage::of(&response, &body, &destination) {
                return Err(page.without(&secrets).into());
            }
            // Held until the SDK has parsed the body.
            if let Some(permit) = permit {
                response.add_extension(LargeBodyPermit(Arc::new(permit)));
            }
            if !response.status().is_success() {
                response.add_extension(secrets);
            }
            response.add_extension(destination);
            clock_skew::hide_unconfirmed_date(&mut response, &body, &skew_warning);
            for name in RETRY_AFTER_HEADERS {
                response.headers_mut().remove(name);
            }
            *response.body_mut() = SdkBody::from(body);
            Ok(response)
        })
    }
}

/// Admits one body of more than [`MAX_SMALL_BODY`].
#[derive(Clone, Debug)]
struct LargeBodyPermit(
    #[expect(dead_code, reason = "released when it is dropped")] Arc<OwnedSemaphorePermit>,
);

/// Reads a body into memory. The frames are copied, because each of them may be a single byte
/// that keeps a whole read buffer alive. Waits for a permit before it reads more than
/// [`MAX_SMALL_BODY`].
async fn read(
    mut body: SdkBody,
    large_bodies: Arc<Semaphore>,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), ConnectorError> {
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > MAX_BODY) {
        return Err(UnusableBody::TooLong.into());
    }
    let mut bytes = Vec::new();
    let mut permit = None;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(ConnectorError::io)?.into_data() {
            if data.len() > MAX_BODY - bytes.len() {
                return Err(UnusableBody::TooLong.into());
            }
            if permit.is_none() && data.len() + bytes.len() > MAX_SMALL_BODY {
                let acquired = Arc::clone(&large_bodies).acquire_owned().await;
                permit = Some(acquired.map_err(|closed| ConnectorError::other(closed.into(), None))?);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok((bytes, permit))
}

/// Whether `body` is JSON with more than [`MAX_JSON_VALUES`] values. Those in an object or array
/// are counted by its opening bracket and its commas.
fn has_too_many_values(body: &[u8]) -> bool {
    if !body.trim_ascii_start().starts_with(b"{") {
        return false;
    }
    let (mut values, mut in_string, mut is_escaped) = (0_usize, false, false);
    for &byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' | b',' if !in_string => values += 1,
            _ => {}
        }
    }
    values > MAX_JSON_VALUES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_may_have_the_maximum_length_and_no_more() {
        let permits = Arc::new(Semaphore::new(1));
        let read = |length| read(SdkBody::from(vec![b' '; length]), Arc::clone(&permits));
        assert_eq!(read(0).await.unwrap().0, b"");
        assert_eq!(read(MAX_BODY).await.unwrap().0.len(), MAX_BODY);
        let error = read(MAX_BODY + 1).await.unwrap_err();
        assert!(is_invalid_response(&error));
        assert_eq!(
            crate::error_chain::with_causes(&error),
            "other: the body of the response is longer than the limit of 8 MiB"
        );
        let readme = include_str!("../../config/README.md");
        assert!(readme.contains("| body of a response | 8 MiB |"), "the limit is documented");
    }

    #[tokio::test(start_paused = true)]
    async fn only_large_bodies_wait_for_each_other() {
        let permits = Arc::new(Semaphore::new(1));
        let read = |length| read(SdkBody::from(vec![b' '; length]), Arc::clone(&permits));
        let large = read(MAX_SMALL_BODY + 1).await.unwrap();
        assert!(read(MAX_SMALL_BODY).await.unwrap().1.is_none());
        let minute = std::time::Duration::from_mins(1);
        assert!(tokio::time::timeout(minute, read(MAX_SMALL_BODY + 1)).await.is_err());
        drop(large);
        assert!(read(MAX_SMALL_BODY + 1).await.unwrap().1.is_some());
    }

    #[test]
    fn the_values_of_a_json_body_are_limited() {
        let body = |item: &str, number: usize| format!(" {{\"a\":{}0", item.repeat(number)).into_bytes();
        for item in ["{},", "[[],", "[\"\\\"\","] {
            let per_item = item.bytes().filter(|byte| matches!(byte, b'{' | b'[' | b',')).count();
            assert!(!has_too_many_values(&body(item, (MAX_JSON_VALUES - 1) / per_item)), "{item}");
            assert!(has_too_many_values(&body(item, MAX_JSON_VALUES)), "{item}");
        }
        // Not in strings, and not in XML.
        let text = format!("{{\"a\": \"{}\"}}", "{[,\\\"".repeat(MAX_JSON_VALUES));
        assert!(!has_too_many_values(text.as_bytes()));
        assert!(!has_too_many_values(&[b"<a>".as_slice(), &body("{},", MAX_JSON_VALUES)].concat()));
    }
}
