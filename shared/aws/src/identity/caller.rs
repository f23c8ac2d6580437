//! `GetCallerIdentity`, signed here and sent by Google, to hear who signed it.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as sign_request};
use aws_sigv4::sign::v4;
use serde_json::{Value, json};
use weir_app::Secret;
use weir_domain::time::Timestamp;

use super::{sts_host, system_time};
use crate::eks::SignError;

/// The header by which a request is bound to one provider of a pool.
const RESOURCE_HEADER: &str = "x-goog-cloud-target-resource";

/// The request as Google reads it: JSON of URL, method and headers, encoded as a part of a URL.
pub(super) fn sign(
    credentials: Credentials,
    region: &str,
    resource: &str,
    now: Timestamp,
) -> Result<Secret, SignError> {
    let host = sts_host(region);
    let url = format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15");
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(system_time(now))
        .settings(SigningSettings::default())
        .build()
        .expect("everything is given")
        .into();
    let header = [(RESOURCE_HEADER, resource)].into_iter();
    let request = SignableRequest::new("POST", &url, header, SignableBody::Bytes(&[]));
    let signed = request.and_then(|request| sign_request(request, &params));
    let (instructions, _) = signed.map_err(SignError::Request)?.into_parts();
    let mut headers = vec![
        json!({ "key": "host", "value": host }),
        json!({ "key": RESOURCE_HEADER, "value": resource }),
    ];
    headers.extend(
        instructions
            .headers()
            .map(|(key, value)| json!({ "key": key, "value": value })),
    );
    let request: Value = json!({ "url": url, "method": "POST", "headers": headers });
    let text = encoded(&request.to_string());
    Ok(Secret::new(text).expect("a request is not empty"))
}

/// Everything but what a URL always has as it is.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
