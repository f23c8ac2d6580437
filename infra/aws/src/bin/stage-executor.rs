//! stage-executor on Lambda: looks after stages, steps, approvals and turns in lanes.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), weir_lambda::Error> {
    let host = weir_lambda::start("stage-executor", &variable).await?;
    host.serve_queue(weir_stage_executor::engine, |engine, run| async move {
        weir_stage_executor::handle(&engine, &run).await
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
