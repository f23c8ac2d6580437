//! `weir conformance --kubeconfig FILE --namespace NAME --route NAME`

use std::sync::Arc;

use serde_json::{Map, Value, json};
use weir_app::SystemClock;
use weir_cluster::conformance::{Measured, Probe, measure};
use weir_cluster::{Access, Fleet, Places};
use weir_domain::ids::ClusterName;

use super::args::Conformance;
use super::output::{Exit, Failure, Output};

/// Measures a cluster and prints what plans may count on.
pub(super) async fn conformance(args: &Conformance, out: &mut Output) -> Result<Exit, Failure> {
    let cluster = args.context.clone().unwrap_or_else(|| "current context".into());
    let access = Access::kubeconfig(&args.kubeconfig, args.context.clone());
    let fleet = Fleet::new(Places::all(access), Arc::new(SystemClock));
    let probe = Probe {
        cluster: ClusterName::new(&cluster),
        namespace: args.namespace.clone(),
        route: args.route.clone(),
        image: args.image.clone(),
        changes: args.changes,
        starts: args.starts,
    };
    let measured = measure(&fleet, &probe).await.map_err(Failure::new)?;
    out.answer(&answer(&cluster, &measured), || text(&measured));
    Ok(Exit::Answered)
}

/// What `weir plan --bounds` reads.
fn answer(cluster: &str, measured: &[Measured]) -> Value {
    let one = |measured: &Measured| {
        let what = measured.what.as_str().to_owned();
        let (bound, median) = (measured.bound().0, measured.median().0);
        let said = json!({"bound_ms": bound, "median_ms": median, "times": measured.took.len()});
        (what, said)
    };
    let bounds: Map<String, Value> = measured.iter().map(one).collect();
    json!({"cluster": cluster, "bounds": bounds})
}

fn text(measured: &[Measured]) -> String {
    let mut lines = vec!["  bound      median     times".to_owned()];
    lines.extend(measured.iter().map(|measured| {
        format!(
            "  {:<9}  {:<9}  {:<5}  {}",
            measured.bound().to_string(),
            measured.median().to_string(),
            measured.took.len(),
            measured.what.words()
        )
    }));
    lines.join("\n")
}
