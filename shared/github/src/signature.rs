//! Authentication of a webhook request on its raw bytes, before anything is parsed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

use crate::key::{Key, count_for};
use crate::limits::MAX_BODY_BYTES;
use crate::names::RepositoryName;
use weir_app::{Headers, Secret};

/// The one header that counts. The SHA-1 header of old is never read.
pub const HEADER: &str = "x-hub-signature-256";

const PREFIX: &str = "sha256=";
const DIGEST_BYTES: usize = 32;

/// A body whose signature was right; the only thing that [`crate::delivery`] reads.
#[derive(Debug, Clone)]
pub struct Verified<'a> {
    body: &'a [u8],
    fitted: Vec<&'a Key>,
    keys: &'a [Key],
}

impl<'a> Verified<'a> {
    /// The bytes that were signed.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Whether the signature counts for this repository: a secret may be one repository's alone.
    pub fn is_of(&self, repository: &RepositoryName) -> bool {
        count_for(&self.fitted, self.keys, repository)
    }
}

/// Why a request was turned away unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// The receiver has no secret, so nothing can be authenticated.
    #[error("no webhook secret is configured")]
    NoSecret,
    /// The header is missing; an SHA-1 signature alone is the same.
    #[error("the request carries no x-hub-signature-256 header")]
    Unsigned,
    /// The header is there more than once, or holds several values.
    #[error("the request carries more than one signature")]
    SeveralSignatures,
    /// Not `sha256=` and 64 hexadecimal digits.
    #[error("the signature is not sha256= and 64 hexadecimal digits")]
    Malformed,
    /// Nobody who knows one of the secrets signed these bytes.
    #[error("the signature does not fit the body")]
    Wrong,
    /// More bytes than GitHub ever sends.
    #[error("the body is larger than 25 MB")]
    TooLarge,
}

/// Checks that the holder of one of `keys` signed exactly these bytes.
///
/// Every key is tried in full, and digests are compared in constant time, so the answer's timing tells neither
/// which key fitted nor how much of the digest did. Several keys serve several repositories, and a rotation.
pub fn verify<'a>(headers: &Headers, body: &'a [u8], keys: &'a [Key]) -> Result<Verified<'a>, Refused> {
    if keys.is_empty() {
        return Err(Refused::NoSecret);
    }
    if body.len() > MAX_BODY_BYTES {
        return Err(Refused::TooLarge);
    }
    let given = single_digest(&headers.all(HEADER))?;
    let fits = |key: &&Key| -> bool {
        let fits: Choice = digest(&key.secret, body).ct_eq(&given);
        fits.into()
    };
    let fitted: Vec<&Key> = keys.iter().filter(fits).collect();
    match fitted.is_empty() {
        true => Err(Refused::Wrong),
        false => Ok(Verified { body, fitted, keys }),
    }
}

/// The header value that GitHub would send for this body. For tools that play GitHub: demos, tests, benchmarks.
pub fn sign(body: &[u8], secret: &Secret) -> String {
    let hex: String = digest(secret, body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{PREFIX}{hex}")
}

fn digest(secret: &Secret, body: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

fn single_digest(values: &[&str]) -> Result<[u8; DIGEST_BYTES], Refused> {
    let value = match values {
        [] => return Err(Refused::Unsigned),
        [one] => one.trim(),
        _ => return Err(Refused::SeveralSignatures),
    };
    // Front ends join a repeated header with commas.
    if value.contains(',') {
        return Err(Refused::SeveralSignatures);
    }
    let hex = value.strip_prefix(PREFIX).ok_or(Refused::Malformed)?;
    if hex.len() != 2 * DIGEST_BYTES {
        return Err(Refused::Malformed);
    }
    let mut bytes = [0_u8; DIGEST_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
    }
    Ok(bytes)
}

fn nibble(digit: u8) -> Result<u8, Refused> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(Refused::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn keys(values: &[&str]) -> Vec<Key> {
        values.iter().map(|v| Key::parse(v).unwrap()).collect()
    }

    fn official() -> Vec<Key> {
        keys(&["It's a Secret to Everybody"])
    }

    fn check(pairs: &[(&str, &str)], body: &[u8], keys: &[Key]) -> Result<(), Refused> {
        verify(&Headers::from_pairs(pairs.iter().copied()), body, keys).map(|_| ())
    }

    #[test]
    fn the_vector_in_githubs_documentation_is_accepted() {
        assert_eq!(
            check(&[("X-Hub-Signature-256", SIGNATURE)], BODY, &official()),
            Ok(())
        );
        assert_eq!(sign(BODY, &official()[0].secret), SIGNATURE);
    }

    #[test]
    fn during_a_rotation_both_secrets_are_accepted() {
        let rotating = keys(&["the new one", "It's a Secret to Everybody"]);
        assert_eq!(check(&[(HEADER, SIGNATURE)], BODY, &rotating), Ok(()));
    }

    #[test]
    fn a_missing_or_sha1_only_signature_is_refused() {
        assert_eq!(check(&[], BODY, &official()), Err(Refused::Unsigned));
        let sha1 = [("X-Hub-Signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59")];
        assert_eq!(check(&sha1, BODY, &official()), Err(Refused::Unsigned));
        let disguised = [(HEADER, "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59")];
        assert_eq!(check(&disguised, BODY, &official()), Err(Refused::Malformed));
    }

    #[test]
    fn a_truncated_or_lengthened_signature_is_refused() {
        for end in 0..SIGNATURE.len() {
            assert_eq!(
                check(&[(HEADER, &SIGNATURE[..end])], BODY, &official()),
                Err(Refused::Malformed)
            );
        }
        assert_eq!(
            check(&[(HEADER, &format!("{SIGNATURE}0"))], BODY, &official()),
            Err(Refused::Malformed)
        );
    }

    #[test]
    fn a_doubled_signature_is_refused_even_when_both_are_right() {
        let twice = [(HEADER, SIGNATURE), ("X-HUB-SIGNATURE-256", SIGNATURE)];
        assert_eq!(check(&twice, BODY, &official()), Err(Refused::SeveralSignatures));
        let joined = format!("{SIGNATURE},{SIGNATURE}");
        assert_eq!(
            check(&[(HEADER, &joined)], BODY, &official()),
            Err(Refused::SeveralSignatures)
        );
    }

    #[test]
    fn a_changed_byte_in_body_secret_or_signature_is_refused() {
        assert_eq!(
            check(&[(HEADER, SIGNATURE)], b"Hello, World", &official()),
            Err(Refused::Wrong)
        );
        assert_eq!(
            check(&[(HEADER, SIGNATURE)], BODY, &keys(&["other"])),
            Err(Refused::Wrong)
        );
        let flipped = SIGNATURE.replace("757107", "757108");
        assert_eq!(
            check(&[(HEADER, &flipped)], BODY, &official()),
            Err(Refused::Wrong)
        );
        let not_hex = SIGNATURE.replace("757107", "75710é");
        assert_eq!(
            check(&[(HEADER, &not_hex)], BODY, &official()),
            Err(Refused::Malformed)
        );
    }

    #[test]
    fn without_a_secret_nothing_is_accepted() {
        assert_eq!(check(&[(HEADER, SIGNATURE)], BODY, &[]), Err(Refused::NoSecret));
    }

    #[test]
    fn a_body_over_25_mb_is_refused_before_it_is_hashed() {
        let body = vec![b' '; MAX_BODY_BYTES + 1];
        assert_eq!(
            check(&[(HEADER, SIGNATURE)], &body, &official()),
            Err(Refused::TooLarge)
        );
    }
}
