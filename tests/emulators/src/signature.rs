//! Signature Version 4 in headers, computed again from the request as it arrived, by the text of its specification.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::Heard;

/// What a signed request says of itself, once it is proven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// Whose key it is.
    pub access_key: String,
    /// Of which region.
    pub region: String,
    /// For which service.
    pub service: String,
    /// When, as `20231114T221320Z`.
    pub date: String,
    /// The headers that were signed.
    pub headers: Vec<String>,
}

/// Whoever signed a request, if it is unchanged. `secret` knows the secret of an access key.
///
/// # Errors
/// What is wrong.
pub fn verified(request: &Heard, secret: impl Fn(&str) -> Option<String>) -> Result<Signed, String> {
    let text = request.header("authorization");
    let rest = text.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("it is not signed")?;
    let part = |name: &str| {
        let mut parts = rest.split(',').map(str::trim);
        let found = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.ok_or(format!("no {name}"))
    };
    let (credential, names, given) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
    let scope: Vec<&str> = credential.split('/').collect();
    let [access_key, day, region, service, "aws4_request"] = scope[..] else {
        return Err(format!("the scope is {credential}"));
    };
    let date = request.header("x-amz-date");
    if !date.starts_with(day) {
        return Err(format!("signed on {day}, dated {date}"));
    }
    let names: Vec<&str> = names.split(';').collect();
    if !names.contains(&"host") || !names.is_sorted() {
        return Err(format!("the signed headers are {names:?}"));
    }
    let secret = secret(access_key).ok_or("nobody has this access key")?;
    let text = to_sign(
        request,
        &names,
        date,
        &format!("{day}/{region}/{service}/aws4_request"),
    );
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
    if hex(&hmac(&key, &text)) != given {
        return Err("the signature does not match".to_owned());
    }
    Ok(Signed {
        access_key: access_key.to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
        date: date.to_owned(),
        headers: names.iter().map(|name| (*name).to_owned()).collect(),
    })
}

fn to_sign(request: &Heard, names: &[&str], date: &str, scope: &str) -> String {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    let headers: String = names
        .iter()
        .map(|name| format!("{name}:{}\n", request.header(name)))
        .collect();
    let canonical = format!(
        "{}\n{path}\n{}\n{headers}\n{}\n{}",
        request.method,
        pairs.join("&"),
        names.join(";"),
        hex(&Sha256::digest(request.body.as_bytes()))
    );
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is one");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
