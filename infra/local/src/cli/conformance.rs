//! `weir conformance --kubeconfig FILE --namespace NAME --route NAME`

use std::sync::Arc;

use weir_app::SystemClock;
use weir_cluster::conformance::{Lack, Measured, Probe, Report, Rights, measure, printed};
use weir_cluster::{Access, Fleet, Places};
use weir_domain::ids::ClusterName;

use super::args::Conformance;
use super::output::{Exit, Failure, Output};
use crate::view::text::clean;

/// Measures a cluster and prints what plans may count on.
pub(super) async fn conformance(args: &Conformance, out: &mut Output) -> Result<Exit, Failure> {
    let cluster = args.context.clone().unwrap_or_else(|| "current context".into());
    let access = Access::kubeconfig(&args.kubeconfig, args.context.clone());
    let fleet = Fleet::new(Places::all(access), Arc::new(SystemClock));
    let probe = Probe {
        cluster: ClusterName::new(&cluster),
        namespace: args.namespace.clone(),
        route: args.route.clone(),
        builds: args.builds.clone(),
        gateways: args.gateways.clone(),
        image: args.image.clone(),
        serve: args.serve.clone(),
        changes: args.changes,
        starts: args.starts,
    };
    let report = measure(&fleet, &probe).await.map_err(Failure::new)?;
    out.answer(&printed(&cluster, &report), || text(&report));
    Ok(Exit::Answered)
}

fn text(report: &Report) -> String {
    let mut lines = vec!["  bound      median     times".to_owned()];
    lines.extend(report.measured.iter().map(row));
    let reached = match &report.unreached {
        None => "a pod is reached through the API server's proxy".to_owned(),
        Some(why) => format!("no pod is reached through the API server's proxy: {why}"),
    };
    lines.extend(found(&reached, report.reach_fix()));
    let fence = match report.fence_holds {
        true => "the admission policy refuses a fence that falls",
        false => "a fence may fall: the admission policy is not installed",
    };
    lines.extend(found(fence, report.fence_fix()));
    lines.extend(rights(&report.rights));
    let lines: Vec<String> = lines.iter().map(|line| clean(line)).collect();
    lines.join("\n")
}

fn row(measured: &Measured) -> String {
    format!(
        "  {:<9}  {:<9}  {:<5}  {}",
        measured.bound().to_string(),
        measured.median().to_string(),
        measured.took.len(),
        measured.what.words()
    )
}

/// A finding, and on a line of its own what to do about it.
fn found(what: &str, fix: Option<&str>) -> Vec<String> {
    let fix = fix.map(|fix| format!("    {fix}"));
    std::iter::once(format!("  {what}")).chain(fix).collect()
}

fn rights(rights: &Rights) -> Vec<String> {
    let mut lines: Vec<String> = rights.lacks.iter().flat_map(lack).collect();
    if lines.is_empty() {
        lines.push("  no right of infra/cluster is missing".into());
    }
    if !rights.unasked.is_empty() {
        let unasked = rights.unasked.join(", ");
        lines.push(format!(
            "  not asked about: {unasked}; name their namespaces by --builds and --gateways"
        ));
    }
    lines
}

fn lack(lack: &Lack) -> Vec<String> {
    let (role, about, rights) = (lack.role, lack.about, lack.rights.join(", "));
    let place = lack.namespace.as_ref();
    let place = place.map_or_else(
        || "in the whole cluster".to_owned(),
        |name| format!("in namespace `{name}`"),
    );
    found(
        &format!("{role} ({about}) may not {rights} {place}"),
        Some(&lack.fix),
    )
}
