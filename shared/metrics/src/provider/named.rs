//! Servers of metrics as the owner of a host names them: `NAME=KIND:WHERE`.
//!
//! A definition says what is asked, the host's owner says who may be asked. A pusher cannot make the host call an
//! address, and cannot see a key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use weir_app::Clock;

use super::http::{SetupError, base};
use super::{
    Authorization, CloudWatch, Datadog, DatadogVersion, Identity, Issuer, JsonApi, Prometheus, Provider,
    Secret, Tokens,
};

/// Servers by the name that definitions use.
pub type Servers = BTreeMap<String, Arc<dyn Provider>>;

/// A server with its name. No key is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    name: String,
    kind: Kind,
    text: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Prometheus { url: String },
    AmazonPrometheus { region: String, url: String },
    GooglePrometheus { believed: String, url: String },
    Datadog { url: String, version: DatadogVersion },
    CloudWatch { region: String },
    Json { hosts: Vec<String>, private: bool },
}

/// A text names no server.
#[derive(Debug, thiserror::Error)]
pub enum NamedError {
    /// There is no name, or one that a definition cannot use.
    #[error("expected NAME=KIND:WHERE, with a name of lower-case letters, digits and dashes")]
    Name,
    /// The kind is unknown, or what follows is not of that kind.
    #[error(
        "expected NAME=KIND:WHERE, where KIND:WHERE is prometheus:URL, prometheus-aws:REGION:URL, \
         prometheus-google:NUMBER/POOL/PROVIDER:URL, datadog:URL, datadog-v1:URL, cloudwatch:REGION, json:HOST,… or json-private:HOST,…"
    )]
    Kind,
    /// The address may not be called.
    #[error(transparent)]
    Address(SetupError),
}

/// The keys of a host's sources.
pub trait Keys {
    /// The key of the source with this name, if it has one.
    ///
    /// # Errors
    /// What stands there cannot be used, in words without the key.
    fn key(&self, source: &str) -> Result<Option<Secret>, String>;

    /// Where that key stands, in words that continue "set".
    fn place(&self, source: &str) -> String;

    /// Who the host is to AWS. Asked for its keys at each question, so that new ones are taken.
    fn role(&self) -> Option<SharedCredentialsProvider> {
        None
    }

    /// Tokens of Google for the host, from a provider as [`Named::believed_by`] has it.
    ///
    /// # Errors
    /// Google cannot know this host, or the provider is not one.
    fn google(&self, believed: &str) -> Result<Arc<dyn Tokens>, String> {
        Err(format!(
            "this host has nothing that provider {believed} would believe; expected one of Weir's functions on AWS. Name the \
             source prometheus:URL and give it a token"
        ))
    }
}

impl FromStr for Named {
    type Err = NamedError;

    fn from_str(text: &str) -> Result<Self, NamedError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let (name, place) = text.split_once('=').ok_or(NamedError::Name)?;
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(NamedError::Name);
        }
        Ok(Self {
            name: name.to_owned(),
            kind: Kind::read(place)?,
            text: text.to_owned(),
        })
    }
}

/// As it was written.
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Kind {
    fn read(place: &str) -> Result<Self, NamedError> {
        let (kind, rest) = place.split_once(':').ok_or(NamedError::Kind)?;
        Ok(match kind {
            "prometheus" => Self::Prometheus { url: address(rest)? },
            "prometheus-aws" => {
                let (region, url) = rest.split_once(':').ok_or(NamedError::Kind)?;
                Self::AmazonPrometheus {
                    region: checked(region)?,
                    url: address(url)?,
                }
            }
            "prometheus-google" => {
                let (believed, url) = rest.split_once(':').ok_or(NamedError::Kind)?;
                Self::GooglePrometheus {
                    believed: believed.to_owned(),
                    url: address(url)?,
                }
            }
            "datadog" | "datadog-v1" => Self::Datadog {
                url: address(rest)?,
                version: match kind {
                    "datadog" => DatadogVersion::V2,
                    _ => DatadogVersion::V1,
                },
            },
            "cloudwatch" => Self::CloudWatch {
                region: checked(rest)?,
            },
            "json" | "json-private" if rest.split(',').all(|host| !host.is_empty()) => Self::Json {
                hosts: rest.split(',').map(str::to_owned).collect(),
                private: kind == "json-private",
            },
            _ => return Err(NamedError::Kind),
        })
    }
}

fn address(text: &str) -> Result<String, NamedError> {
    base(text).map_err(NamedError::Address)?;
    Ok(text.to_owned())
}

/// A region becomes part of an address.
fn checked(region: &str) -> Result<String, NamedError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    match !region.is_empty() && region.bytes().all(plain) {
        true => Ok(region.to_owned()),
        false => Err(NamedError::Kind),
    }
}

impl Named {
    /// What definitions call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// By whom the host must be believed to ask it, as it was written: a provider of a workload identity pool.
    pub fn believed_by(&self) -> Option<&str> {
        match &self.kind {
            Kind::GooglePrometheus { believed, .. } => Some(believed),
            _ => None,
        }
    }

    /// A name that stands there twice.
    pub fn twice(all: &[Self]) -> Option<&str> {
        let mut known = BTreeSet::new();
        all.iter()
            .map(Self::name)
            .find(|name| !known.insert(name.to_owned()))
    }

    /// Makes its client. Nothing is sent yet.
    ///
    /// # Errors
    /// Which key is missing or cannot be used, and where to put it.
    pub fn server(&self, keys: &dyn Keys, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Provider>, String> {
        let key = keys.key(&self.name)?;
        let place = keys.place(&self.name);
        let needed = || key.clone().ok_or_else(|| format!("set {place} to its keys"));
        let signs = || {
            let credentials = credentials(key.as_ref(), keys.role(), &place)?;
            let clock = clock.clone();
            Ok::<_, String>(Identity { credentials, clock })
        };
        let setup = |error: SetupError| error.to_string();
        Ok(match &self.kind {
            Kind::Prometheus { url } => {
                let authorization = key.clone().map_or(Authorization::None, Authorization::Bearer);
                Arc::new(Prometheus::new(url, authorization).map_err(setup)?)
            }
            Kind::AmazonPrometheus { region, url } => {
                let authorization = Authorization::Aws(signs()?, region.clone());
                Arc::new(Prometheus::new(url, authorization).map_err(setup)?)
            }
            Kind::GooglePrometheus { believed, url } => {
                let authorization = Authorization::Tokens(Issuer(keys.google(believed)?));
                Arc::new(Prometheus::new(url, authorization).map_err(setup)?)
            }
            Kind::Datadog { url, version } => {
                Arc::new(Datadog::new(url, *version, &needed()?).map_err(setup)?)
            }
            Kind::CloudWatch { region } => Arc::new(CloudWatch::new(region, None, signs()?).map_err(setup)?),
            Kind::Json { hosts, private } => Arc::new(JsonApi::new(hosts.clone(), *private, key.clone())),
        })
    }
}

/// Keys of AWS, as `KEY:SECRET` or `KEY:SECRET:SESSION`, or those of the host's role.
fn credentials(
    key: Option<&Secret>,
    role: Option<SharedCredentialsProvider>,
    place: &str,
) -> Result<SharedCredentialsProvider, String> {
    let expected = || format!("set {place} to KEY:SECRET or KEY:SECRET:SESSION");
    let Some(given) = key else {
        return role.ok_or_else(expected);
    };
    let parts: Vec<&str> = given.expose().splitn(3, ':').collect();
    let [key, secret, rest @ ..] = parts.as_slice() else {
        return Err(expected());
    };
    let session = rest.first().map(|session| (*session).to_owned());
    let credentials = Credentials::new(*key, *secret, session, None, "weir");
    Ok(SharedCredentialsProvider::new(credentials))
}

#[cfg(test)]
#[path = "named_tests.rs"]
mod tests;
