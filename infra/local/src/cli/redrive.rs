//! `weir redrive FROM TO`

use super::args::Redrive;
use super::output::{Exit, Failure, Output};

/// Moves dead letters, and says how many there were for each reason.
#[cfg(feature = "aws")]
pub(super) async fn redrive(args: &Redrive, out: &mut Output) -> Result<Exit, Failure> {
    use serde_json::json;
    use weir_aws::queue::DeadLetters;

    use weir_app::with_causes;

    let client = aws_sdk_sqs::Client::new(&weir_aws::config::load().await);
    let letters = DeadLetters::new(client, args.from.as_str());
    let redriven = letters.redrive(&args.to, args.limit).await;
    let redriven = redriven.map_err(|error| Failure::new(with_causes(&error)))?;
    let answer = json!({ "moved": redriven.moved, "reasons": redriven.reasons });
    out.answer(&answer, || {
        let reasons = redriven.reasons.iter();
        let reasons = reasons.map(|(reason, count)| format!("\n{count:>6}  {reason}"));
        format!("{} moved{}", redriven.moved, reasons.collect::<String>())
    });
    Ok(Exit::Answered)
}

/// This program brings no AWS along.
#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "it has the form of the one that asks AWS")]
pub(super) async fn redrive(args: &Redrive, _: &mut Output) -> Result<Exit, Failure> {
    Err(Failure::new(format!(
        "this weir was built without AWS, so {} cannot be reached: build it with `--features aws`",
        args.from
    )))
}
