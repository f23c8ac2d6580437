//! What a cluster takes, measured on objects of its own.

use std::sync::Arc;

use weir_app::SystemClock;
use weir_cluster::conformance::{Measured, Probe, What, measure};
use weir_cluster::{Access, Fleet, Places};
use weir_domain::ids::ClusterName;
use weir_domain::time::Span;
use weir_live::World;

/// Longest that any of it may take on a machine that has other things to do.
const LONGEST: Span = Span::minutes(1);

#[tokio::test]
async fn a_cluster_is_measured_on_objects_of_its_own_and_nothing_of_them_is_left() {
    let world = World::new("measured").await;
    let before = world.asked().await;
    let access = Access::kubeconfig(&world.cluster.kubeconfig, None);
    let fleet = Fleet::new(Places::all(access), Arc::new(SystemClock));
    let probe = Probe {
        cluster: ClusterName::new("main"),
        namespace: world.namespace.clone(),
        route: "chat".into(),
        image: "busybox".into(),
        changes: 10,
        starts: 2,
    };
    // Twice: what is left of one does not hinder the next.
    for _ in 0..2 {
        let measured = measure(&fleet, &probe).await.unwrap();
        let what: Vec<What> = measured.iter().map(|measured| measured.what).collect();
        assert_eq!(what, [What::Answer, What::Observed, What::Job, What::Pod]);
        let times: Vec<usize> = measured.iter().map(|measured| measured.took.len()).collect();
        assert_eq!(times[1..], [10, 2, 2]);
        for measured in &measured {
            let (bound, median) = (measured.bound(), measured.median());
            eprintln!("{}: {bound}, half of them {median}", measured.what.words());
            assert!(median <= bound && bound < LONGEST, "{measured:?}");
        }
        let pods = |measured: &&Measured| measured.what == What::Pod;
        assert!(measured.iter().find(pods).unwrap().bound() > Span::ZERO);
    }
    assert_eq!(world.asked().await, before, "the service's route is not touched");
    for path in [
        world.path("gateway.networking.k8s.io/v1", "httproutes"),
        world.path("batch/v1", "jobs"),
        world.core("pods"),
    ] {
        let left = world.admin.get(&path).await.ok();
        let names = left["items"].as_array().into_iter().flatten();
        let ours = names.filter(|object| object["metadata"]["name"] == "weir-conformance");
        assert_eq!(ours.count(), 0, "{path}");
    }
}
