//! Authentication of a request on its raw bytes and its time, before anything is parsed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::limits::{MAX_BODY_BYTES, MAX_CLOCK_DIFFERENCE_S};
use weir_app::Headers;
use weir_app::Secret;

/// Where the signature stands.
pub const SIGNATURE_HEADER: &str = "x-slack-signature";

/// Where the request's time stands.
pub const TIMESTAMP_HEADER: &str = "x-slack-request-timestamp";

const PREFIX: &str = "v0=";
const DIGEST_BYTES: usize = 32;

/// A body whose signature and time were right; the only thing that [`crate::interaction`] reads.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    body: &'a [u8],
}

impl<'a> Verified<'a> {
    /// The bytes that were signed.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }
}

/// Why a request was turned away unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// The receiver has no secret, so nothing can be authenticated.
    #[error("no signing secret is configured")]
    NoSecret,
    /// Signature or timestamp are missing.
    #[error("the request carries no signature or no timestamp")]
    Unsigned,
    /// A header is there more than once, or holds several values.
    #[error("the request carries more than one signature or timestamp")]
    SeveralSignatures,
    /// Not `v0=` and 64 hexadecimal digits, or no time in seconds.
    #[error("the signature is not v0= and 64 hexadecimal digits, or the timestamp no number of seconds")]
    Malformed,
    /// More than five minutes old, or ahead.
    #[error("the request is more than 5 minutes old or ahead; compare this machine's clock")]
    Stale,
    /// Nobody who knows one of the secrets signed these bytes at that time.
    #[error("the signature does not fit the body")]
    Wrong,
    /// More bytes than a button press needs.
    #[error("the body is larger than 1 MiB")]
    TooLarge,
}

/// Checks that the holder of one of `secrets` signed exactly these bytes within five minutes of `now_unix_s`.
///
/// The signature is checked in constant time and before the clock, so only somebody who knows a secret learns what time
/// it is here. Several secrets serve a rotation. A body that arrived as base64 must be decoded first
/// ([`crate::decode_body`]): Slack signed the decoded bytes.
pub fn verify<'a>(
    headers: &Headers,
    body: &'a [u8],
    secrets: &[Secret],
    now_unix_s: i64,
) -> Result<Verified<'a>, Refused> {
    if secrets.is_empty() {
        return Err(Refused::NoSecret);
    }
    if body.len() > MAX_BODY_BYTES {
        return Err(Refused::TooLarge);
    }
    let given = digits(single(&headers.all(SIGNATURE_HEADER))?)?;
    let timestamp = single(&headers.all(TIMESTAMP_HEADER))?;
    let at_unix_s = seconds(timestamp)?;
    let mut fits = false;
    for secret in secrets {
        // No early end: the time taken tells nothing about which secret fitted.
        fits |= bool::from(digest(secret, timestamp, body).ct_eq(&given));
    }
    if !fits {
        return Err(Refused::Wrong);
    }
    if now_unix_s.abs_diff(at_unix_s) > MAX_CLOCK_DIFFERENCE_S {
        return Err(Refused::Stale);
    }
    Ok(Verified { body })
}

/// The two header values that Slack would send with this body at this time. For tools that play Slack.
pub fn sign(body: &[u8], secret: &Secret, at_unix_s: i64) -> [(&'static str, String); 2] {
    let timestamp = at_unix_s.to_string();
    let hex: String = digest(secret, &timestamp, body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    [
        (SIGNATURE_HEADER, format!("{PREFIX}{hex}")),
        (TIMESTAMP_HEADER, timestamp),
    ]
}

/// The key is the secret's text as it is, not what its hexadecimal digits would stand for.
fn digest(secret: &Secret, timestamp: &str, body: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes a key of any length");
    for part in [b"v0:", timestamp.as_bytes(), b":", body] {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn single<'a>(values: &[&'a str]) -> Result<&'a str, Refused> {
    match values {
        [] => Err(Refused::Unsigned),
        // Front ends join a repeated header with commas.
        [one] if one.contains(',') => Err(Refused::SeveralSignatures),
        [one] => Ok(one.trim()),
        _ => Err(Refused::SeveralSignatures),
    }
}

fn seconds(text: &str) -> Result<i64, Refused> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refused::Malformed);
    }
    text.parse().map_err(|_| Refused::Malformed)
}

fn digits(value: &str) -> Result<[u8; DIGEST_BYTES], Refused> {
    let hex = value.strip_prefix(PREFIX).ok_or(Refused::Malformed)?;
    if hex.len() != 2 * DIGEST_BYTES || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Refused::Malformed);
    }
    let mut bytes = [0_u8; DIGEST_BYTES];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).map_err(|_| Refused::Malformed)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_531_420_618;
    const BODY: &[u8] = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F\
hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.8\
03a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn official() -> Vec<Secret> {
        secrets(&["8f742231b10e8888abcd99yyyzzz85a5"])
    }

    fn secrets(values: &[&str]) -> Vec<Secret> {
        values.iter().map(|v| Secret::new(*v).unwrap()).collect()
    }

    fn headers(signature: &str, timestamp: &str) -> Headers {
        Headers::from_pairs([
            ("X-Slack-Signature", signature),
            ("X-Slack-Request-Timestamp", timestamp),
        ])
    }

    fn check(signature: &str, timestamp: &str, body: &[u8], now: i64) -> Result<(), Refused> {
        verify(&headers(signature, timestamp), body, &official(), now).map(|_| ())
    }

    #[test]
    fn the_vector_in_slacks_documentation_is_accepted() {
        assert_eq!(check(SIGNATURE, "1531420618", BODY, AT), Ok(()));
        assert_eq!(sign(BODY, &official()[0], AT)[0].1, SIGNATURE);
    }

    #[test]
    fn five_minutes_either_way_are_accepted_and_not_a_second_more() {
        for off in [-300, -299, 0, 299, 300] {
            assert_eq!(check(SIGNATURE, "1531420618", BODY, AT + off), Ok(()), "{off}");
        }
        for off in [-301, 301, -86_400, i64::MAX - AT] {
            assert_eq!(
                check(SIGNATURE, "1531420618", BODY, AT + off),
                Err(Refused::Stale),
                "{off}"
            );
        }
    }

    #[test]
    fn a_new_timestamp_under_an_old_signature_is_refused() {
        assert_eq!(check(SIGNATURE, "1531420619", BODY, AT), Err(Refused::Wrong));
        assert_eq!(check(SIGNATURE, "01531420618", BODY, AT), Err(Refused::Wrong));
    }

    #[test]
    fn any_accepted_secret_suffices_during_a_rotation() {
        let rotating = secrets(&["new", "8f742231b10e8888abcd99yyyzzz85a5"]);
        assert!(verify(&headers(SIGNATURE, "1531420618"), BODY, &rotating, AT).is_ok());
        let answer = verify(&headers(SIGNATURE, "1531420618"), BODY, &secrets(&["new"]), AT);
        assert_eq!(answer.unwrap_err(), Refused::Wrong);
        let answer = verify(&headers(SIGNATURE, "1531420618"), BODY, &[], AT);
        assert_eq!(answer.unwrap_err(), Refused::NoSecret);
    }

    #[test]
    fn missing_malformed_and_doubled_headers_are_refused() {
        let none = Headers::from_pairs([("x-slack-signature", SIGNATURE)]);
        assert_eq!(
            verify(&none, BODY, &official(), AT).unwrap_err(),
            Refused::Unsigned
        );
        for end in 0..SIGNATURE.len() {
            assert_eq!(
                check(&SIGNATURE[..end], "1531420618", BODY, AT),
                Err(Refused::Malformed)
            );
        }
        for timestamp in [
            "",
            "-1531420618",
            "+1531420618",
            "1531420618.0",
            "now",
            "99999999999999999999",
        ] {
            assert_eq!(
                check(SIGNATURE, timestamp, BODY, AT),
                Err(Refused::Malformed),
                "{timestamp}"
            );
        }
        let twice = format!("{SIGNATURE}, {SIGNATURE}");
        assert_eq!(
            check(&twice, "1531420618", BODY, AT),
            Err(Refused::SeveralSignatures)
        );
        let multibyte = SIGNATURE.replace("a2114d", "é114d");
        assert_eq!(check(&multibyte, "1531420618", BODY, AT), Err(Refused::Malformed));
    }

    #[test]
    fn a_changed_or_oversized_body_is_refused() {
        assert_eq!(
            check(SIGNATURE, "1531420618", &BODY[1..], AT),
            Err(Refused::Wrong)
        );
        let large = vec![b'a'; MAX_BODY_BYTES + 1];
        assert_eq!(check(SIGNATURE, "1531420618", &large, AT), Err(Refused::TooLarge));
    }
}
