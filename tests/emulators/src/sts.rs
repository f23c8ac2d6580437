//! STS, as far as it is asked for JWTs: it proves who asks, and checks every field of what is asked for.

use std::collections::BTreeMap;

use crate::signature::verified;
use crate::{Heard, Played};

/// Somebody whom STS knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Proves who it is.
    pub secret_key: String,
    /// As whom for now; empty for a key that lasts.
    pub session_token: String,
}

/// A JWT that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// By whom.
    pub access_key: String,
    /// For whom.
    pub audience: String,
}

/// Serves STS of a region. Tokens are what `mint` makes.
///
/// # Panics
/// No port is free.
pub async fn sts(
    region: &str,
    callers: BTreeMap<String, Caller>,
    mint: impl Fn(&Wanted) -> String + Send + Sync + 'static,
) -> Played {
    let region = region.to_owned();
    Played::serve(move |request| match wanted(request, &region, &callers) {
        Ok(wanted) => (200, made(&mint(&wanted))),
        Err((code, why)) => (
            403,
            format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
                 <Message>{why}</Message></Error><RequestId>local</RequestId></ErrorResponse>"
            ),
        ),
    })
    .await
}

fn made(token: &str) -> String {
    format!(
        "<GetWebIdentityTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetWebIdentityTokenResult>\
         <WebIdentityToken>{token}</WebIdentityToken><Expiration>2030-01-01T00:00:00Z</Expiration></GetWebIdentityTokenResult>\
         <ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></GetWebIdentityTokenResponse>"
    )
}

fn wanted(
    request: &Heard,
    region: &str,
    callers: &BTreeMap<String, Caller>,
) -> Result<Wanted, (&'static str, String)> {
    let secret = |key: &str| callers.get(key).map(|caller| caller.secret_key.clone());
    let signed = verified(request, secret).map_err(|why| ("SignatureDoesNotMatch", why))?;
    if (signed.region.as_str(), signed.service.as_str()) != (region, "sts") {
        return Err((
            "SignatureDoesNotMatch",
            format!("signed for {} in {}", signed.service, signed.region),
        ));
    }
    if request.header("x-amz-security-token") != callers[&signed.access_key].session_token {
        return Err(("InvalidClientTokenId", "the session is another".to_owned()));
    }
    let content = request.header("content-type");
    if (request.method.as_str(), request.path.as_str(), content)
        != ("POST", "/", "application/x-www-form-urlencoded")
    {
        return Err((
            "InvalidAction",
            format!("{} {} of {content}", request.method, request.path),
        ));
    }
    let mut form = request.form();
    let audience = form.remove("Audience.member.1").unwrap_or_default();
    let expected = [
        ("Action", "GetWebIdentityToken"),
        ("Version", "2011-06-15"),
        ("SigningAlgorithm", "RS256"),
        ("DurationSeconds", "300"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    match form == BTreeMap::from(expected) && !audience.is_empty() {
        true => Ok(Wanted {
            access_key: signed.access_key,
            audience,
        }),
        false => Err(("ValidationError", format!("{form:?} for `{audience}`"))),
    }
}
