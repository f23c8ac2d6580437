//! By whom Google believes a function: `NUMBER/POOL/PROVIDER`, what it is shown, and as whom the function goes on.

use weir_federation::Provider;

use super::Proof;
use super::options::Options;
use super::words::{is_host, is_name, is_number};

/// What every service account of a project ends in.
const ACCOUNT_DOMAIN: &str = ".iam.gserviceaccount.com";

/// Who believes a function, and by what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Believed {
    /// The provider that does.
    pub provider: Provider,
    /// By what.
    pub proof: Proof,
    /// The service account that it goes on as; as itself where there is none.
    pub account: Option<String>,
}

/// Reads `NUMBER/POOL/PROVIDER[;token=aws4][;as=ACCOUNT]`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn believed(text: &str) -> Result<Believed, String> {
    let mut parts = text.split(';');
    let said = parts.next().unwrap_or_default();
    let mut options = Options::read(parts)?;
    let read = Believed {
        provider: provider(said)?,
        proof: proof(&mut options)?,
        account: options
            .given("as")
            .map(|name| account(name).map(str::to_owned))
            .transpose()?,
    };
    match options.unknown() {
        Some(key) => Err(format!(
            "`{key}` is no option of a provider; options are token and as"
        )),
        None => Ok(read),
    }
}

pub(super) fn provider(said: &str) -> Result<Provider, String> {
    let parts: Vec<&str> = said.split('/').collect();
    match parts[..] {
        [project, pool, name] if is_number(project) && is_name(pool) && is_name(name) => Ok(Provider {
            project: project.to_owned(),
            pool: pool.to_owned(),
            name: name.to_owned(),
        }),
        _ => Err(format!(
            "`{said}`: expected NUMBER/POOL/PROVIDER, with the number of the project, not its id"
        )),
    }
}

pub(super) fn proof(options: &mut Options<'_>) -> Result<Proof, String> {
    match options.given("token") {
        None | Some("jwt") => Ok(Proof::Jwt),
        Some("aws4") => Ok(Proof::AwsRequest),
        Some(other) => Err(format!("token=`{other}`: expected jwt or aws4")),
    }
}

pub(super) fn account(text: &str) -> Result<&str, String> {
    let (user, domain) = text.split_once('@').unwrap_or((text, ""));
    match is_name(user) && is_host(domain) && domain.ends_with(ACCOUNT_DOMAIN) {
        true => Ok(text),
        false => Err(format!(
            "`{text}` is no service account; expected NAME@PROJECT{ACCOUNT_DOMAIN}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_believes_a_function_is_read() {
        let full =
            believed("123456789012/weir/aws;token=aws4;as=weir-reads@team.iam.gserviceaccount.com").unwrap();
        let provider = Provider {
            project: "123456789012".into(),
            pool: "weir".into(),
            name: "aws".into(),
        };
        assert_eq!((full.provider, full.proof), (provider, Proof::AwsRequest));
        assert_eq!(
            full.account.as_deref(),
            Some("weir-reads@team.iam.gserviceaccount.com")
        );
        let plain = believed("1/weir/aws").unwrap();
        assert_eq!((plain.proof, plain.account), (Proof::Jwt, None));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_is_expected() {
        let table = [
            ("team/weir/aws", "`team/weir/aws`: expected NUMBER/POOL/PROVIDER"),
            ("1/weir", "`1/weir`: expected NUMBER/POOL/PROVIDER"),
            ("1/weir/aws;token=aws5", "token=`aws5`: expected jwt or aws4"),
            (
                "1/weir/aws;as=ana@team.example",
                "`ana@team.example` is no service account",
            ),
            (
                "1/weir/aws;by=x",
                "`by` is no option of a provider; options are token and as",
            ),
            ("1/weir/aws;as", "`as` is no option; expected KEY=VALUE"),
        ];
        for (text, expected) in table {
            let error = believed(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
