//! What goes wrong while the story is told, at AWS and on the way to the API server, and when nothing does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use weir_demo::cluster::Cluster;
use weir_lambda_host::Stack;
use weir_live::{Fault, Gate};

/// About one request to the API server of so many goes wrong: of those that read, and of those that write, which are few.
const READS: u64 = 40;
const WRITES: u64 = 5;

/// Opens a gate before the API server in its name, through which requests fare badly.
pub(crate) async fn gate(cluster: &Cluster, state: &Path) -> Result<Gate> {
    let gate = Gate::in_its_name(&cluster.kubeconfig, &state.join("cluster/pki")).await?;
    gate.trouble_every(READS, WRITES, &Fault::WITH_TOKENS);
    Ok(gate)
}

/// The first steps of a run have begun by then.
const BEFORE_IT_IS_AWAY: Duration = Duration::from_secs(15);

/// The weather over the stack and over the way to the cluster.
#[derive(Clone)]
pub(crate) struct Weather {
    pub(crate) stack: Arc<Stack>,
    pub(crate) gate: Option<Arc<Gate>>,
}

impl Weather {
    /// From now on nothing goes wrong by chance, and nothing is swept; or all of it again.
    pub(crate) fn calm(&self, calm: bool) {
        self.stack.calm(calm);
        if let Some(gate) = &self.gate {
            gate.calm(calm);
        }
    }

    /// The API server is away for this long, once, after the run of a push has begun.
    pub(crate) fn away_in_between(&self, time: Duration) -> JoinHandle<()> {
        let gate = self.gate.clone();
        tokio::spawn(async move {
            if let Some(gate) = gate {
                sleep(BEFORE_IT_IS_AWAY).await;
                gate.away_for(time);
            }
        })
    }

    /// Prints what was met, a line for each place; whether everything was, where anything was to be.
    pub(crate) fn told(&self) -> bool {
        let aws = self.stack.met();
        let aws = aws.iter().map(|(fault, times)| (fault.words(), *times));
        let gate = self.gate.as_ref().map(|gate| gate.met()).unwrap_or_default();
        let gate = gate.iter().map(|(fault, times)| (fault.words(), *times));
        // Both, whatever the first comes to.
        line("AWS", &aws.collect::<Vec<_>>()) & line("API server", &gate.collect::<Vec<_>>())
    }
}

fn line(place: &str, met: &[(&'static str, u64)]) -> bool {
    if !met.is_empty() {
        let each: Vec<String> = met
            .iter()
            .map(|(words, times)| format!("{words} {times}"))
            .collect();
        println!("faults met, {place}: {}", each.join(", "));
    }
    met.iter().all(|(_, times)| *times > 0)
}
