//! Any server that answers JSON over HTTPS: `https://quality.example/score?revision=${revision}#/data/score`.
//!
//! What follows `#` is a JSON Pointer (RFC 6901) to the number. Which hosts may be asked is the choice of the host's
//! owner, not of a definition, and a name of a public host that leads into a private network is not followed.

use async_trait::async_trait;
use reqwest::Url;
use serde_json::Value;
use weir_domain::time::Span;

use super::http::{Caller, Reach, allowed, is_safe};
use super::{Answer, Fold, Pace, Provider, Secret, Window, finite, short};

/// Servers of JSON on an allow-list.
pub struct JsonApi {
    caller: Caller,
    hosts: Vec<String>,
    reach: Reach,
    token: Option<Secret>,
}

impl JsonApi {
    /// The hosts that may be asked, as `name` or `name:port`. `private`: they may be in a private network. The token is
    /// sent to all of them. Nothing is sent yet.
    pub fn new(hosts: Vec<String>, private: bool, token: Option<Secret>) -> Self {
        let reach = if private { Reach::Chosen } else { Reach::Public };
        Self {
            caller: Caller::new(reach),
            hosts,
            reach,
            token,
        }
    }

    fn address(&self, query: &str) -> Result<(Url, String), String> {
        let mut url = Url::parse(query).map_err(|_| format!("{}: not an address", short(query)))?;
        let pointer = url.fragment().unwrap_or_default().replace("%22", "\"");
        url.set_fragment(None);
        let host = url.host_str().unwrap_or_default();
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or(0));
        if !self
            .hosts
            .iter()
            .any(|known| known == host || *known == with_port)
        {
            return Err(format!("{}: not on this host's list of hosts", short(host)));
        }
        if !is_safe(&url) || !url.username().is_empty() || url.password().is_some() {
            return Err("the address is not a plain https address".into());
        }
        let literal = host.trim_matches(['[', ']']).parse();
        if literal.is_ok_and(|ip| !allowed(ip, self.reach)) {
            return Err("the address is in a private network".into());
        }
        Ok((url, pointer))
    }
}

fn read(body: &[u8], pointer: &str) -> Answer<f64> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Answer::Error("its answer is not JSON".into());
    };
    match value.pointer(pointer) {
        None => Answer::Error(format!("its answer has nothing at {}", short(pointer))),
        Some(Value::Null) => Answer::NoData("the value is null".into()),
        Some(Value::Number(number)) => number
            .as_f64()
            .map_or_else(|| Answer::NoData("the value is no finite number".into()), finite),
        Some(Value::String(text)) => match text.trim().parse::<f64>() {
            Ok(number) => finite(number),
            Err(_) => Answer::Error(format!("{}: not a number", short(text))),
        },
        Some(_) => Answer::Error(format!("what is at {} is not a number", short(pointer))),
    }
}

#[async_trait]
impl Provider for JsonApi {
    fn pace(&self) -> Pace {
        Pace {
            lag: Span::ZERO,
            step: Span::seconds(15),
        }
    }

    async fn number(&self, query: &str, _: Window, _: Fold) -> Answer<f64> {
        let found = self.address(query);
        let (client, (url, pointer)) = match found.and_then(|found| Ok((self.caller.client()?, found))) {
            Ok(found) => found,
            Err(why) => return Answer::Error(why),
        };
        let mut request = client.get(url).header("accept", "application/json");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        match Caller::call(request).await {
            Ok(reply) if reply.status == 200 => read(&reply.body, &pointer),
            Ok(reply) if reply.status == 204 => Answer::NoData("the answer is empty".into()),
            Ok(reply) => Answer::Error(format!("it answered {}", reply.status)),
            Err(why) => Answer::Error(why),
        }
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
