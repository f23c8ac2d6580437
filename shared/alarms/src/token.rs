//! Authentication of an alarm, before anything of it is parsed (invariant 11).

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use weir_app::{Headers, Secret};

/// Bytes of one request. Alertmanager groups alerts, each of a kilobyte or two.
pub const BODY_LIMIT: usize = 1 << 20;

/// What stands before the secret.
const SCHEME: &str = "Bearer ";

/// A body whose sender knew the secret, or who was let in by others; the only thing that [`crate::read`] reads.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a>(pub(crate) &'a [u8]);

/// Why a request was turned away unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The receiver has no secret, so nobody can prove anything.
    #[error("no secret for alarms is configured")]
    NoSecret,
    /// No such header, several of them, or another scheme.
    #[error("the request carries no single `Authorization: Bearer …`")]
    Unnamed,
    /// Not one of the secrets.
    #[error("the secret is not the right one")]
    Wrong,
    /// Larger than any group of alarms.
    #[error("the body is larger than 1 MiB")]
    TooLarge,
}

/// Takes the message of a sender whom others have let in: Lambda starts a function for nobody whom its policy does not name.
///
/// # Errors
/// [`Refused::TooLarge`]
pub fn vouched(message: &[u8]) -> Result<Verified<'_>, Refused> {
    match message.len() > BODY_LIMIT {
        true => Err(Refused::TooLarge),
        false => Ok(Verified(message)),
    }
}

/// Checks that the sender knows one of `secrets`.
///
/// Digests are compared instead of the values, every one of them and in constant time, so the answer's timing tells
/// neither the length nor a prefix of a secret. Several secrets serve a rotation.
///
/// # Errors
/// [`Refused`]
pub fn authenticate<'a>(
    headers: &Headers,
    body: &'a [u8],
    secrets: &[Secret],
) -> Result<Verified<'a>, Refused> {
    if secrets.is_empty() {
        return Err(Refused::NoSecret);
    }
    if body.len() > BODY_LIMIT {
        return Err(Refused::TooLarge);
    }
    let given = match headers.all("authorization").as_slice() {
        [one] => one.trim().strip_prefix(SCHEME).ok_or(Refused::Unnamed)?,
        _ => return Err(Refused::Unnamed),
    };
    let given = Sha256::digest(given.as_bytes());
    let fits = secrets.iter().fold(Choice::from(0), |found, secret| {
        found | Sha256::digest(secret.expose().as_bytes()).ct_eq(&given)
    });
    match bool::from(fits) {
        true => Ok(Verified(body)),
        false => Err(Refused::Wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn ask(pairs: Pairs<'_>, secrets: &[&str]) -> Result<(), Refused> {
        let headers = Headers::from_pairs(pairs.iter().copied());
        let secrets: Vec<Secret> = secrets.iter().filter_map(|secret| Secret::new(*secret)).collect();
        authenticate(&headers, b"{}", &secrets).map(|_| ())
    }

    #[test]
    fn who_knows_one_of_the_secrets_is_let_in_and_nobody_else() {
        let table: [(Pairs<'_>, &[&str], Result<(), Refused>); 9] = [
            (&[("Authorization", "Bearer two")], &["one", "two"], Ok(())),
            (&[("authorization", " Bearer one ")], &["one"], Ok(())),
            (&[("Authorization", "Bearer one")], &[], Err(Refused::NoSecret)),
            (&[], &["one"], Err(Refused::Unnamed)),
            (&[("Authorization", "one")], &["one"], Err(Refused::Unnamed)),
            (&[("Authorization", "Basic one")], &["one"], Err(Refused::Unnamed)),
            (&[("Authorization", "Bearer ")], &["one"], Err(Refused::Unnamed)),
            (&[("Authorization", "Bearer on")], &["one"], Err(Refused::Wrong)),
            (
                &[("Authorization", "Bearer one"), ("authorization", "Bearer two")],
                &["one"],
                Err(Refused::Unnamed),
            ),
        ];
        for (pairs, secrets, expected) in table {
            assert_eq!(ask(pairs, secrets), expected, "{pairs:?} {secrets:?}");
        }
    }

    #[test]
    fn a_body_that_no_sender_sends_is_refused() {
        let headers = Headers::from_pairs([("authorization", "Bearer one")]);
        let secrets: Vec<Secret> = Secret::new("one").into_iter().collect();
        let body = vec![b' '; BODY_LIMIT + 1];
        let refused = authenticate(&headers, &body, &secrets);
        assert_eq!(refused.map(|_| ()), Err(Refused::TooLarge));
        assert_eq!(vouched(&body).map(|_| ()), Err(Refused::TooLarge));
        assert!(vouched(b"{}").is_ok());
    }
}
