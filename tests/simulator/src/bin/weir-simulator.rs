//! One GPU pod: serves a model that behaves as its file says.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use weir_simulator::{Control, End, Model, Simulator};

/// Exit status after a second signal.
const STOPPED: i32 = 143;

#[derive(Parser)]
#[command(version, about = "An inference server that behaves as a model file says")]
struct Args {
    /// Address and port to bind; without it, the port on every address, as inference servers do
    #[arg(long, env = "LISTEN")]
    listen: Option<SocketAddr>,
    #[arg(long, env = "PORT", default_value_t = 8000)]
    port: u16,
    /// Model file (JSON)
    #[arg(long, env = "MODEL_PATH", required_unless_present = "model_json")]
    model: Option<PathBuf>,
    /// The model itself (JSON), instead of a file
    #[arg(long, env = "MODEL_JSON", conflicts_with = "model")]
    model_json: Option<String>,
    /// Seed of every random draw, instead of the model's
    #[arg(long, env = "SEED")]
    seed: Option<u64>,
}

impl Args {
    fn address(&self) -> SocketAddr {
        let port = SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port));
        self.listen.unwrap_or(port)
    }

    fn model(&self) -> Result<Model> {
        let mut model = match (&self.model, &self.model_json) {
            (Some(path), _) => Model::read(path)?,
            (None, Some(text)) => Model::parse(text.as_bytes()).context("in the model given as JSON")?,
            (None, None) => bail!("give --model or --model-json"),
        };
        model.seed = self.seed.unwrap_or(model.seed);
        Ok(model)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let (address, model) = (args.address(), args.model()?);
    let simulator = Simulator::bind(address, model)
        .await
        .with_context(|| format!("could not bind {address}"))?;
    // Before the first line, which tells a reader that signals are heeded.
    pass_signals(simulator.control())?;
    eprintln!("listening on http://{}", simulator.address()?);
    let status = match simulator.run().await {
        End::Drained => 0,
        End::Stopped => STOPPED,
        End::Crashed(crash) => {
            eprintln!("crashed: {}", crash.reason);
            crash.status
        }
    };
    // Not a return: that would let open connections finish, and a crash finishes nothing.
    std::process::exit(status)
}

fn pass_signals(control: Control) -> Result<()> {
    let mut term = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
            control.stop();
        }
    });
    Ok(())
}
