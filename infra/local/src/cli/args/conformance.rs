//! `weir conformance`.

use std::path::PathBuf;

use clap::Args;

/// `weir conformance`.
#[derive(Args, Debug)]
pub struct Conformance {
    /// How the cluster is entered: by somebody who may make routes, Kubernetes Jobs, Services and pods in the namespace
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,
    /// A context of it; its current one if absent
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace of a service
    #[arg(long, value_name = "NAME")]
    pub namespace: String,
    /// Its HTTPRoute; only its gateways are used
    #[arg(long, value_name = "NAME")]
    pub route: String,
    /// Namespace of Plugin steps, to ask what may be done there
    #[arg(long, value_name = "NAME")]
    pub builds: Option<String>,
    /// Namespace of the gateway's pods, to ask what may be done there
    #[arg(long, value_name = "NAME")]
    pub gateways: Option<String>,
    /// An image with `sh` that the cluster can pull
    #[arg(long, value_name = "IMAGE", default_value = "busybox:1.37")]
    pub image: String,
    /// What answers HTTP on port 8080 in a pod of it, whose address is in POD_IP
    #[arg(
        long,
        value_name = "COMMAND",
        default_value = "mkdir -p /tmp/weir && httpd -f -p 8080 -h /tmp/weir"
    )]
    pub serve: String,
    /// Changes of weights that are measured
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub changes: u32,
    /// Kubernetes Jobs and pods that are measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub starts: u32,
}
