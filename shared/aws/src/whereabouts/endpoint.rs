//! Where a cluster is, and by which certificate it is known.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What a client needs besides a token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// Address of the API server.
    pub url: String,
    /// The authorities that its certificate may be signed by, in DER. No other is trusted, the host's own neither.
    #[serde(with = "der")]
    pub authorities: Vec<Vec<u8>>,
}

impl Endpoint {
    /// Reads what a cloud says: an address, and certificates in PEM in base64.
    ///
    /// # Errors
    /// What is missing.
    pub fn read(address: Option<&str>, authority: Option<&str>) -> Result<Self, &'static str> {
        let url = address
            .filter(|address| address.starts_with("https://"))
            .ok_or("an https address")?;
        let pem = authority.and_then(|text| STANDARD.decode(text.trim()).ok());
        let pem = pem.and_then(|bytes| String::from_utf8(bytes).ok());
        let authorities = pem.as_deref().and_then(certificates).unwrap_or_default();
        match authorities.is_empty() {
            true => Err("a readable certificate authority"),
            false => Ok(Self {
                url: url.to_owned(),
                authorities,
            }),
        }
    }
}

/// Certificates in JSON: a list of texts in base64.
mod der {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(all: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(|one| STANDARD.encode(one)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let all = Vec::<String>::deserialize(from)?;
        let decoded = all.iter().map(|one| STANDARD.decode(one));
        decoded.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

/// The certificates of a PEM text in DER, all or none.
pub fn certificates(pem: &str) -> Option<Vec<Vec<u8>>> {
    let blocks = pem.split(BEGIN).skip(1);
    blocks
        .map(|block| {
            let (body, _) = block.split_once(END)?;
            let body: String = body.split_whitespace().collect();
            STANDARD.decode(body).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(bytes: &[u8]) -> String {
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(bytes))
    }

    #[test]
    fn every_certificate_is_read() {
        let text = STANDARD.encode(pem(b"one") + &pem(b"two"));
        let endpoint = Endpoint::read(Some("https://x.eks.amazonaws.com"), Some(&text)).unwrap();
        assert_eq!(endpoint.authorities, [b"one".to_vec(), b"two".to_vec()]);
        let kept = serde_json::to_string(&endpoint).unwrap();
        assert_eq!(serde_json::from_str::<Endpoint>(&kept).unwrap(), endpoint);
    }

    #[test]
    fn half_an_endpoint_is_none() {
        let good = STANDARD.encode(pem(b"one"));
        let cut = STANDARD.encode(&pem(b"one")[..30]);
        let url = Some("https://x");
        for authority in [
            None,
            Some(""),
            Some("?"),
            Some(&*STANDARD.encode("text")),
            Some(&*cut),
        ] {
            assert_eq!(
                Endpoint::read(url, authority),
                Err("a readable certificate authority")
            );
        }
        for address in [None, Some(""), Some("http://x")] {
            assert_eq!(Endpoint::read(address, Some(&good)), Err("an https address"));
        }
    }
}
