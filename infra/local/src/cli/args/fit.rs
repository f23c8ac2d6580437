//! `weir fit` and `weir plan`.

use std::path::PathBuf;

use clap::Args;

/// `weir fit`.
#[derive(Args, Debug)]
pub struct Fit {
    #[command(flatten)]
    pub(crate) question: Question,
    /// The workload: a Deployment, a Pod or a pod template; `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub workload: PathBuf,
}

/// What `fit` and `plan` ask alike.
#[derive(Args, Debug)]
pub(crate) struct Question {
    /// The output of `kubectl get nodes,pods -A -o json`, with more kinds if they matter; `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub cluster: PathBuf,
    /// Replicas to add; those of the workload if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub replicas: Option<u32>,
    /// Namespace of the workload, if not its own
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Memory that each GPU must have, for example 40Gi; else the annotation weir.dev/gpu-memory
    #[arg(long, value_name = "QUANTITY")]
    pub gpu_memory: Option<String>,
    /// Percent of the stable replicas' capacity that is in use; 70 is assumed
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub load: Option<u8>,
}

/// `weir plan`.
#[derive(Args, Debug)]
pub struct Plan {
    #[command(flatten)]
    pub(crate) question: Question,
    /// The workload; else the one that the pipeline's step names
    #[arg(long, value_name = "FILE")]
    pub workload: Option<PathBuf>,
    /// Definition file, or the folder that holds .weir
    #[arg(long, value_name = "PATH")]
    pub pipeline: PathBuf,
    /// The pipeline; may be left out if there is one
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The step that rolls out; the last one if absent
    #[arg(long, value_name = "NAME")]
    pub step: Option<String>,
    /// Replicas of stable; else those in the cluster. 0 is a first release
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub stable: Option<u32>,
    /// What `weir conformance --format json` printed for the cluster; else 2 s from weights to their effect are assumed
    #[arg(long, value_name = "FILE")]
    pub bounds: Option<PathBuf>,
    /// Seconds until a new replica is warm; else an assumption that is told
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=604_800))]
    pub warm: Option<u32>,
}
