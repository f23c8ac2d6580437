//! A service outside that Weir calls: at one address, without redirects, within a time.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::{Client, Url, redirect};

/// How long a call may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Until the connection stands.
    pub connect: Duration,
    /// The whole call, answer included.
    pub call: Duration,
}

/// A service at one address.
#[derive(Clone, Debug)]
pub struct Service {
    base: Url,
    patience: Patience,
    client: Arc<OnceLock<Client>>,
}

impl Service {
    /// The service at this address, under which its paths lie; nothing where the address is not `https` and plain.
    /// Plain `http` is accepted for this machine alone. Connects to nothing.
    pub fn at(address: &str, patience: Patience) -> Option<Self> {
        let mut base = Url::parse(address).ok()?;
        let scheme_is_fine = base.scheme() == "https" || (is_local(&base) && base.scheme() == "http");
        let extras = base.query().is_some() || base.fragment().is_some() || !base.username().is_empty();
        if !scheme_is_fine || extras || base.password().is_some() {
            return None;
        }
        // Joining needs a folder; without the slash the last part would be replaced.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Some(Self {
            base,
            patience,
            client: Arc::default(),
        })
    }

    /// Another service, called by the same client: a client is costly to make. Nothing where the address is none, or where one
    /// is of this machine and the other is not.
    pub fn beside(&self, address: &str) -> Option<Self> {
        let other = Self::at(address, self.patience)?;
        let alike = is_local(&other.base) == is_local(&self.base);
        alike.then(|| Self {
            client: self.client.clone(),
            ..other
        })
    }

    /// The address of a path; nothing where it would lead to another host.
    pub fn url(&self, path: &str) -> Option<Url> {
        let url = self.base.join(path).ok()?;
        (url.origin() == self.base.origin()).then_some(url)
    }

    /// What calls it, also at other addresses that were checked. It is made at the first call, because it reads every
    /// root that the system trusts, and most starts of a function call nobody. Whoever will have no time for that when it
    /// calls, calls this before.
    ///
    /// # Errors
    /// The system's roots cannot be used.
    pub fn client(&self) -> Result<&Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let mut builder = Client::builder()
            // GitHub refuses requests without one.
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(self.patience.connect)
            .timeout(self.patience.call);
        if is_local(&self.base) {
            builder = builder.no_proxy();
        }
        let made = builder.build().map_err(reqwest::Error::without_url)?;
        Ok(self.client.get_or_init(|| made))
    }
}

fn is_local(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        connect: Duration::from_secs(1),
        call: Duration::from_secs(1),
    };

    #[test]
    fn an_address_is_https_and_plain_or_of_this_machine() {
        let table = [
            ("https://api.github.com", true),
            ("https://github.example/api/v3/", true),
            ("http://127.0.0.1:9", true),
            ("http://[::1]:9/api", true),
            ("http://api.github.com", false),
            ("https://user@api.github.com", false),
            ("https://api.github.com?x=1", false),
            ("ftp://localhost", false),
            ("api.github.com", false),
        ];
        for (address, fine) in table {
            assert_eq!(Service::at(address, PATIENCE).is_some(), fine, "{address}");
        }
    }

    #[test]
    fn services_beside_each_other_share_a_client() {
        let first = Service::at("https://one.example", PATIENCE).unwrap();
        let second = first.beside("https://two.example").unwrap();
        assert!(Arc::ptr_eq(&first.client, &second.client));
        assert_eq!(second.url("x").unwrap().as_str(), "https://two.example/x");
        for address in ["http://two.example", "http://127.0.0.1:9"] {
            assert!(first.beside(address).is_none(), "{address}");
        }
    }

    #[test]
    fn paths_lie_under_the_address_and_lead_nowhere_else() {
        let service = Service::at("https://github.example/api/v3", PATIENCE).unwrap();
        let url = service.url("repos/a/b").unwrap();
        assert_eq!(url.as_str(), "https://github.example/api/v3/repos/a/b");
        for path in [
            "https://elsewhere.example/x",
            "//elsewhere.example/x",
            "http://github.example/x",
        ] {
            assert_eq!(service.url(path), None, "{path}");
        }
    }
}
