//! What `weir judge` is asked: the file of `--config`.

use std::collections::BTreeMap;

use serde::Deserialize;
use weir_domain::json::read;
use weir_domain::judge::{Alpha, Asked, Promote, Question};

use crate::cli::output::Failure;

/// Metrics of one judgement: each is a question that the evidence is shared over.
const MAX_METRICS: usize = 64;
/// Requests to the candidate without which nothing is promoted, unless the configuration says otherwise.
const DEFAULT_SAMPLES: u64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    alpha: Option<f64>,
    min_samples: Option<u64>,
    promote: Option<Promote>,
    steps: Option<usize>,
    metrics: BTreeMap<String, MetricConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricConfig {
    limit: Option<f64>,
    margin: Option<f64>,
}

pub(super) fn question(text: &str) -> Result<Question, Failure> {
    let config: Config = read(text).map_err(|fault| Failure::unread("the configuration", &fault))?;
    let alpha = config.alpha.unwrap_or(Alpha::default().value());
    let alpha = Alpha::try_from(alpha).map_err(Failure::new)?;
    if config.metrics.is_empty() || config.metrics.len() > MAX_METRICS {
        let found = config.metrics.len();
        return Err(Failure::new(format!(
            "{found} metrics: expected 1 to {MAX_METRICS}"
        )));
    }
    if config.steps == Some(0) {
        return Err(Failure::new("steps 0: expected at least 1"));
    }
    let promote = config.promote.unwrap_or_default();
    let metrics = config.metrics.into_iter().map(|(name, metric)| {
        let asked = asked(&name, &metric, promote)?;
        Ok((name, asked))
    });
    Ok(Question {
        alpha,
        min_samples: config.min_samples.unwrap_or(DEFAULT_SAMPLES),
        promote,
        metrics: metrics.collect::<Result<_, Failure>>()?,
        steps: config.steps,
    })
}

fn asked(name: &str, metric: &MetricConfig, promote: Promote) -> Result<Asked, Failure> {
    let fault = |what: String| Err(Failure::new(format!("metric `{name}`: {what}")));
    if let Some(limit) = metric.limit.filter(|limit| !(*limit > 0.0 && *limit < 1.0)) {
        return fault(format!(
            "limit {limit}: expected a share between 0 and 1, for example 0.02"
        ));
    }
    if let Some(margin) = metric
        .margin
        .filter(|margin| !(*margin > 0.0 && margin.is_finite()))
    {
        return fault(format!(
            "margin {margin}: expected a ratio to stable, for example 1.25"
        ));
    }
    if promote == Promote::Proven && metric.limit.is_none() && metric.margin.is_none() {
        return fault("`promote: proven` has nothing to prove: give a `limit` or a `margin`".into());
    }
    Ok(Asked {
        limit: metric.limit,
        margin: metric.margin,
    })
}
