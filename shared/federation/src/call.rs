//! One call, bounded in time and size.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use serde_json::Value;
use weir_app::Secret;
use weir_outgoing::{Patience, Service};

use crate::error::{CallError, said};

/// How long a call may take: a function that answers Slack has seconds for everything.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    call: Duration::from_secs(5),
};

/// Largest answer that is read: a token has a few KiB.
const ANSWER_LIMIT: usize = 256 * 1024;

/// A service at its fixed address, or at one that stands in for it.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    name: &'static str,
    service: Service,
}

impl Remote {
    /// Nothing where the address is not `https` and plain; `http` is accepted for this machine alone.
    pub(crate) fn at(name: &'static str, address: &str) -> Option<Self> {
        let service = Service::at(address, PATIENCE)?;
        Some(Self { name, service })
    }

    /// Another service, called by the same client; nothing as above, or where one address is of this machine and the other
    /// is not.
    pub(crate) fn beside(&self, name: &'static str, address: &str) -> Option<Self> {
        let service = self.service.beside(address)?;
        Some(Self { name, service })
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, CallError> {
        let service = self.name;
        let url = self.service.url(path).ok_or(CallError::Address { service })?;
        let made = self.service.client();
        let made = made.map_err(|source| CallError::Client { service, source })?;
        Ok(made.request(method, url))
    }

    /// A form is posted; the answer must hold `missing` as a type needs it.
    pub(crate) async fn form<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &[(&str, &str)],
        missing: &'static str,
    ) -> Result<T, CallError> {
        let body = serde_urlencoded::to_string(form).expect("texts make a form");
        let request = self
            .request(Method::POST, path)?
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        self.read(request, missing).await
    }

    /// JSON is posted by the owner of a token.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &Secret,
        body: &Value,
        missing: &'static str,
    ) -> Result<T, CallError> {
        let request = self.request(Method::POST, path)?;
        let request = request.header(AUTHORIZATION, self.bearer(token)?).json(body);
        self.read(request, missing).await
    }

    /// Something is read by the owner of a token.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &Secret,
        missing: &'static str,
    ) -> Result<T, CallError> {
        let request = self.request(Method::GET, path)?;
        let request = request.header(AUTHORIZATION, self.bearer(token)?);
        self.read(request, missing).await
    }

    fn bearer(&self, token: &Secret) -> Result<HeaderValue, CallError> {
        let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
        let mut value = value.map_err(|_| CallError::Unreadable {
            service: self.name,
            missing: "a token that fits in a header",
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn read<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        missing: &'static str,
    ) -> Result<T, CallError> {
        let service = self.name;
        let away = |error: reqwest::Error| CallError::Away {
            service,
            source: error.without_url(),
        };
        let mut response = request.send().await.map_err(away)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(away)? {
            if bytes.len() + chunk.len() > ANSWER_LIMIT {
                return Err(CallError::Unreadable { service, missing });
            }
            bytes.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(CallError::Refused {
                service,
                status: status.as_u16(),
                said: said(&bytes),
            });
        }
        serde_json::from_slice(&bytes).map_err(|_| CallError::Unreadable { service, missing })
    }
}
