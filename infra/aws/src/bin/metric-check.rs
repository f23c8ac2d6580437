//! metric-check on Lambda: looks after rollouts that move.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), weir_lambda::Error> {
    let host = weir_lambda::start("metric-check", &variable).await?;
    host.serve_queue(weir_metric_check::engine, |engine, run| async move {
        weir_metric_check::handle(&engine, &run).await
    })
    .await
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where configuration is read, once"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
