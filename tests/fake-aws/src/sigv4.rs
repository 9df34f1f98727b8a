//! Who calls and where, told from the header of a signature (version 4).

/// The credential scope of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scope<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

impl<'a> Scope<'a> {
    /// Reads `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...`.
    pub(crate) fn parse(authorization: &'a str) -> Option<Self> {
        let credential = authorization
            .strip_prefix("AWS4-HMAC-SHA256 ")?
            .split(',')
            .find_map(|part| part.trim().strip_prefix("Credential="))?;
        let mut parts = credential.split('/');
        let scope = Self { access_key: parts.next()?, region: parts.nth(1)?, service: parts.next()? };
        (parts.next() == Some("aws4_request") && parts.next().is_none()).then_some(scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_scope() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261122/eu-west-1/ssm/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=00";
        let scope = Scope::parse(header).unwrap();
        assert_eq!(scope, Scope { access_key: "AKIAEXAMPLE", region: "eu-west-1", service: "ssm" });
        assert_eq!(Scope::parse("Basic Zm9vOmJhcg=="), None);
        assert_eq!(Scope::parse("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261122, Signature=00"), None);
    }
}
