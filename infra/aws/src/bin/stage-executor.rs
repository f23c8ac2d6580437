//! stage-executor on Lambda: looks after stages, steps, approvals and turns in lanes.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), weir_lambda::Error> {
    let host = weir_lambda::start("stage-executor", &variable).await?;
    let ports = host.ports()?;
    let engine = weir_stage_executor::engine(ports.clone());
    let engine = &engine;
    let look = |run| async move { weir_stage_executor::handle(engine, &run).await };
    host.serve_queue(&ports, look).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where configuration is read, once"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
