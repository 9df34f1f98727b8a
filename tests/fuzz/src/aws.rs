//! An HTTP client that responds instead of AWS.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::body::SdkBody;
use http::{HeaderName, HeaderValue};

/// A call that the exporter makes.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Call {
    AssumeRole,
    DescribeInstanceInformation,
    GetCallerIdentity,
    ListAccounts,
    ListRegions,
    ListResourceDataSync,
}

impl Call {
    pub const ALL: [Self; 6] = [
        Self::AssumeRole,
        Self::DescribeInstanceInformation,
        Self::GetCallerIdentity,
        Self::ListAccounts,
        Self::ListRegions,
        Self::ListResourceDataSync,
    ];

    /// The call with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| format!("{call:?}") == name)
    }

    fn of(request: &HttpRequest) -> Option<Self> {
        if request.uri().ends_with("/listRegions") {
            return Some(Self::ListRegions);
        }
        if let Some(target) = request.headers().get("x-amz-target") {
            return Self::from_name(target.split('.').nth(1)?);
        }
        let body = std::str::from_utf8(request.body().bytes()?).ok()?;
        Self::from_name(body.strip_prefix("Action=")?.split('&').next()?)
    }

    /// The response where an input has no more of its own.
    fn default_answer(self) -> Answer {
        Answer::ok(match self {
            Self::AssumeRole => {
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAFUZZ</AccessKeyId>\
                 <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
                 <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
            }
            Self::GetCallerIdentity => {
                "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>222233334444</Account>\
                 </GetCallerIdentityResult></GetCallerIdentityResponse>"
            }
            Self::DescribeInstanceInformation => r#"{"InstanceInformationList": []}"#,
            Self::ListAccounts => r#"{"Accounts": [{"Id": "333344445555", "Name": "member"}]}"#,
            Self::ListRegions => r#"{"Regions": [{"RegionName": "eu-west-1"}, {"RegionName": "us-east-1"}]}"#,
            Self::ListResourceDataSync => r#"{"ResourceDataSyncItems": []}"#,
        })
    }
}

/// A response to a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Without a valid status, the connection fails.
    pub status: u16,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into() }
    }

    fn into_response(self) -> Result<http::Response<SdkBody>, ConnectorError> {
        let status =
            http::StatusCode::from_u16(self.status).map_err(|error| ConnectorError::io(Box::new(error)))?;
        let mut response = http::Response::new(SdkBody::from(self.body));
        *response.status_mut() = status;
        for (name, value) in self.headers {
            // hyper rejects other headers.
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&name), HeaderValue::from_bytes(&value)) {
                response.headers_mut().append(name, value);
            }
        }
        Ok(response)
    }
}

/// Responds to each call with the answers that it has for it, in order, then with a valid one.
#[derive(Clone, Debug)]
pub struct FakeAws(Arc<Mutex<HashMap<Call, VecDeque<Answer>>>>);

impl FakeAws {
    pub fn new(answers: impl IntoIterator<Item = (Call, Answer)>) -> Self {
        let mut by_call = HashMap::<_, VecDeque<_>>::new();
        for (call, answer) in answers {
            by_call.entry(call).or_default().push_back(answer);
        }
        Self(Arc::new(Mutex::new(by_call)))
    }

    pub fn http_client(self) -> SharedHttpClient {
        SharedHttpClient::new(self)
    }
}

impl HttpClient for FakeAws {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for FakeAws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = Call::of(&request).unwrap_or_else(|| panic!("unexpected request: {request:?}"));
        let answer = self.0.lock().unwrap().get_mut(&call).and_then(VecDeque::pop_front);
        let response = answer.unwrap_or_else(|| call.default_answer()).into_response();
        HttpConnectorFuture::ready(response.and_then(|response| {
            Response::try_from(response).map_err(|error| ConnectorError::io(error.into()))
        }))
    }
}
