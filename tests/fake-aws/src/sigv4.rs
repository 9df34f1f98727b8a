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

/// The account whose access key it is, as AWS's own access keys tell.
///
/// After four letters for its type, such a key goes on with eight characters of
/// base32 (RFC 4648), which stand for five bytes and these for a number: half
/// the account id, on top of 2^39. The next character is of the second half of
/// the alphabet if the id is odd.
pub(crate) fn account_of(access_key: &str) -> Option<String> {
    let mut digits = access_key.bytes().skip(4).map(|letter| match letter {
        b'A'..=b'Z' => Some(u64::from(letter - b'A')),
        b'2'..=b'7' => Some(u64::from(letter - b'2') + 26),
        _ => None,
    });
    let mut number = 0;
    for _ in 0..8 {
        number = number << 5 | digits.next()??;
    }
    let odd = u64::from(digits.next()?? >= 16);
    let half = number.checked_sub(1 << 39)?;
    Some(format!("{:012}", half * 2 + odd))
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

    #[test]
    fn reads_the_account_of_a_key() {
        // Made by moto.iam.utils.generate_access_key_id_from_account_id.
        for (key, account) in [
            ("ASIARTX3GSDSQOR23P5J", "111122223333"),
            ("AKIARTX3GSDSWWOVC2GE", "111122223333"),
            ("AKIATHPRDSKWHP7VXEV6", "222233334444"),
            ("ASIAQAAAAAAAZBDBZR3C", "000000000001"),
            ("ASIA6RVFFB774MTIIQMO", "999999999999"),
        ] {
            assert_eq!(account_of(key).as_deref(), Some(account), "{key}");
        }
        for key in ["", "AKIA", "AKIAWRONG", "AKIAAAAAAAAAAAAAAAAA", "AKIA111122223333FAKE", "AKIARTX3GSDS"] {
            assert_eq!(account_of(key), None, "{key}");
        }
    }
}
