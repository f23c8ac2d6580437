//! What to send where, checked before anything is sent.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderValue;

/// Requests a second that one driver may start: far above what one core sends.
const RPS_MAX: f64 = 10_000.0;
/// Seconds that a stream may be asked to last.
const STREAM_SECONDS_MAX: f64 = 600.0;
/// The port of a target that names none.
const HTTP_PORT: u16 = 80;

/// Why the driver refuses to start.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Not an address of this machine.
    #[error("target {0:?} is not http:// and a loopback address (127.0.0.0/8 or [::1])")]
    Target(String),
    /// Not a number and a unit.
    #[error("duration {0:?} is not a number with ms, s or m")]
    Duration(String),
    /// Not two numbers in order.
    #[error("range {0:?} is not FROM..TO in seconds, 0 < FROM <= TO <= 600")]
    Range(String),
    /// A number outside its range.
    #[error("{key} is {found}, expected {expected}")]
    Number {
        /// The option.
        key: &'static str,
        /// Its value.
        found: f64,
        /// Its range.
        expected: &'static str,
    },
    /// Not a header value.
    #[error("host {0:?} is not a host name")]
    Host(String),
    /// Not the path of a URL.
    #[error("path {0:?} is not an absolute path")]
    Path(String),
}

/// An address of this machine: the driver sends nothing elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target(SocketAddr);

impl Target {
    /// Accepts a loopback address.
    ///
    /// # Errors
    /// For any other address.
    pub fn new(address: SocketAddr) -> Result<Self, OptionsError> {
        match address.ip().is_loopback() {
            true => Ok(Self(address)),
            false => Err(OptionsError::Target(address.to_string())),
        }
    }

    /// The address.
    #[must_use]
    pub fn address(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for Target {
    type Err = OptionsError;

    /// Names are refused, also `localhost`: what they mean is decided elsewhere.
    fn from_str(text: &str) -> Result<Self, OptionsError> {
        let refused = || OptionsError::Target(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| refused())?;
        if uri.scheme_str() != Some("http") || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refused());
        }
        let authority = uri.authority().ok_or_else(refused)?;
        // A user name before the address would be dropped in silence.
        if authority.as_str().contains('@') {
            return Err(refused());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let ip: IpAddr = host.parse().map_err(|_| refused())?;
        let address = SocketAddr::new(ip, authority.port_u16().unwrap_or(HTTP_PORT));
        Self::new(address).map_err(|_| refused())
    }
}

/// Seconds that streams last, from shortest to longest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Shortest.
    pub from: f64,
    /// Longest.
    pub to: f64,
}

impl FromStr for Range {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Self, OptionsError> {
        let refused = || OptionsError::Range(text.to_owned());
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let from: f64 = from.parse().map_err(|_| refused())?;
        let to: f64 = to.parse().map_err(|_| refused())?;
        let legal = from > 0.0 && from <= to && to <= STREAM_SECONDS_MAX;
        if legal {
            Ok(Self { from, to })
        } else {
            Err(refused())
        }
    }
}

/// Reads `250ms`, `60s`, `1.5m`.
///
/// # Errors
/// When the number or the unit is missing, or the duration is longer than a day.
pub fn parse_duration(text: &str) -> Result<Duration, OptionsError> {
    let refused = || OptionsError::Duration(text.to_owned());
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0)];
    let (number, factor) = units
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .ok_or_else(refused)?;
    let seconds = number.parse::<f64>().map_err(|_| refused())? * factor;
    let legal = (0.0..=86_400.0).contains(&seconds);
    if legal {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(refused())
    }
}

/// One load.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to send.
    pub target: Target,
    /// The `Host` header, by which a gateway routes; without it, the target.
    pub host: Option<String>,
    /// Path of the requests.
    pub path: String,
    /// Requests a second, evenly spaced.
    pub rps: f64,
    /// Share of requests that ask for a stream.
    pub streams: f64,
    /// How long streams are asked to last.
    pub stream_seconds: Range,
    /// Pace of the model's streams: tokens to ask for are seconds times this.
    pub tokens_per_second: f64,
    /// The load ends after this at the latest.
    pub duration: Duration,
    /// Time between two report lines.
    pub report_every: Duration,
    /// Longest wait for the head of an answer, and for each next piece of a stream.
    pub silence_limit: Duration,
    /// Requests at once; one more is counted as failed without being sent.
    pub in_flight_max: u64,
    /// Decides which requests are streams and how long they are.
    pub seed: u64,
}

impl Options {
    /// The usual load on a target.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            host: None,
            path: "/v1/completions".to_owned(),
            rps: 50.0,
            streams: 0.3,
            stream_seconds: Range { from: 2.0, to: 5.0 },
            tokens_per_second: 20.0,
            duration: Duration::from_secs(30 * 60),
            report_every: Duration::from_secs(1),
            silence_limit: Duration::from_secs(10),
            in_flight_max: 10_000,
            seed: 1,
        }
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// Naming the option, its value and its range.
    pub fn check(&self) -> Result<(), OptionsError> {
        number("rps", self.rps, 0.01, RPS_MAX, "0.01 to 10000")?;
        number("streams", self.streams, 0.0, 1.0, "0 to 1")?;
        number(
            "tokens-per-second",
            self.tokens_per_second,
            0.1,
            1000.0,
            "0.1 to 1000",
        )?;
        let every = self.report_every.as_secs_f64();
        number("report-every in seconds", every, 0.05, 3600.0, "50ms to 60m")?;
        let limit = self.silence_limit.as_secs_f64();
        number("silence-limit in seconds", limit, 0.05, 3600.0, "50ms to 60m")?;
        if let Some(host) = self
            .host
            .as_ref()
            .filter(|host| HeaderValue::from_str(host).is_err())
        {
            return Err(OptionsError::Host(host.clone()));
        }
        let legal = self.path.starts_with('/') && self.path.parse::<Uri>().is_ok();
        if legal {
            Ok(())
        } else {
            Err(OptionsError::Path(self.path.clone()))
        }
    }
}

fn number(
    key: &'static str,
    found: f64,
    min: f64,
    max: f64,
    expected: &'static str,
) -> Result<(), OptionsError> {
    let legal = (min..=max).contains(&found);
    if legal {
        Ok(())
    } else {
        Err(OptionsError::Number { key, found, expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_targets() {
        for text in ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:80/"] {
            assert!(text.parse::<Target>().is_ok(), "{text}");
        }
        for text in [
            "http://10.0.0.1:80",
            "http://0.0.0.0:80",
            "http://[::]:80",
            "http://localhost:80",
            "http://127.0.0.1.example.org",
            "http://127.0.0.1@10.0.0.1/",
            "https://127.0.0.1",
            "127.0.0.1:80",
            "http://127.0.0.1/path",
            "http://[::ffff:10.0.0.1]:80",
            "",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(parse_duration("60s").unwrap(), Duration::from_secs(60));
        assert_eq!(parse_duration("1.5m").unwrap(), Duration::from_secs(90));
        for text in ["60", "s", "-1s", "NaNs", "infs", "9999999m", ""] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_are_in_order() {
        assert_eq!("2..5".parse::<Range>().unwrap(), Range { from: 2.0, to: 5.0 });
        assert_eq!("0.5".parse::<Range>().unwrap(), Range { from: 0.5, to: 0.5 });
        for text in ["5..2", "0..1", "a..b", "1..", "1..9999", "NaN..2", ""] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let target = "http://127.0.0.1:1".parse().unwrap();
        let good = Options::new(target);
        good.check().unwrap();
        let bad = Options {
            rps: f64::NAN,
            ..good.clone()
        };
        assert_eq!(
            bad.check().unwrap_err().to_string(),
            "rps is NaN, expected 0.01 to 10000"
        );
        let bad = Options {
            streams: 1.1,
            ..good.clone()
        };
        assert_eq!(
            bad.check().unwrap_err().to_string(),
            "streams is 1.1, expected 0 to 1"
        );
        assert!(
            Options {
                host: Some("a\nb".to_owned()),
                ..good.clone()
            }
            .check()
            .is_err()
        );
        assert!(
            Options {
                path: "inference".to_owned(),
                ..good
            }
            .check()
            .is_err()
        );
    }
}
