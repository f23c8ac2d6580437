//! One GPU pod: serves a model that behaves as its file says, on the pod's own address.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
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
    /// Address and port to bind; without it, the pod's address and port
    #[arg(long, env = "LISTEN")]
    listen: Option<SocketAddr>,
    /// The pod's own address; without it, that of its host name, which Kubernetes writes into every pod
    #[arg(long, env = "POD_IP")]
    pod_ip: Option<IpAddr>,
    /// Port on the pod's own address
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
    fn address(&self) -> Result<SocketAddr> {
        let address = match (self.listen, self.pod_ip) {
            (Some(address), _) => address,
            (None, Some(ip)) => SocketAddr::new(ip, self.port),
            (None, None) => own_address(self.port)?,
        };
        // Many pods share a network namespace here, each with its own address: one that binds them all would
        // answer for the others.
        if address.ip().is_unspecified() {
            bail!("{address} would bind every address of the machine; give the pod's own");
        }
        Ok(address)
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

/// The address of this pod's host name.
fn own_address(port: u16) -> Result<SocketAddr> {
    let name = std::fs::read_to_string("/etc/hostname").context("give --listen or --pod-ip")?;
    let mut addresses = (name.trim(), port).to_socket_addrs().with_context(|| {
        format!(
            "host name {} has no address; give --listen or --pod-ip",
            name.trim()
        )
    })?;
    addresses.next().context("give --listen or --pod-ip")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let (address, model) = (args.address()?, args.model()?);
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
