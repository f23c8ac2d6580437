//! One rule at a time, on one node.

use super::*;

/// Why a node takes no replica, in words; nothing if it takes one.
fn refused(node: Node, pods: Vec<Pod>, ask: &Ask) -> Option<String> {
    let answer = fit(&cluster(vec![node], pods), ask, 1);
    assert_eq!(answer.reasons.len(), 1);
    (answer.fits == Fits::No).then(|| answer.reasons[0].reason.to_string())
}

fn taint(effect: Effect) -> Taint {
    Taint {
        key: "team".into(),
        value: "x".into(),
        effect,
    }
}

#[test]
fn an_empty_node_takes_what_it_offers() {
    let answer = fit(&cluster(vec![node("n", "a")], Vec::new()), &ask(4), 2);
    assert_eq!((answer.fits, answer.max_replicas), (Fits::Yes, 2));
    assert_eq!(
        answer.placements,
        [Placement {
            node: "n".into(),
            replicas: 2
        }]
    );
    assert_eq!(
        answer.reasons,
        [Counted {
            reason: Reason::Room(2),
            nodes: 1
        }]
    );
}

#[test]
fn states_and_taints_keep_a_replica_off() {
    let table: [(Node, &str); 5] = [
        (
            Node {
                ready: false,
                ..node("n", "a")
            },
            "not ready",
        ),
        (
            Node {
                cordoned: true,
                ..node("n", "a")
            },
            "cordoned",
        ),
        (
            Node {
                taints: vec![taint(Effect::NoSchedule)],
                ..node("n", "a")
            },
            "taint team=x not tolerated",
        ),
        (
            Node {
                taints: vec![taint(Effect::NoExecute)],
                ..node("n", "a")
            },
            "taint team=x:NoExecute not tolerated",
        ),
        (
            Node {
                ready: false,
                taints: vec![taint(Effect::NoSchedule)],
                ..node("n", "a")
            },
            "not ready",
        ),
    ];
    for (node, why) in table {
        assert_eq!(refused(node, Vec::new(), &ask(1)).as_deref(), Some(why));
    }
    let wish = Node {
        taints: vec![taint(Effect::PreferNoSchedule)],
        ..node("n", "a")
    };
    assert_eq!(refused(wish, Vec::new(), &ask(1)), None);
}

#[test]
fn a_toleration_covers_by_key_value_and_effect() {
    let tolerates = |key: Option<&str>, value: Option<&str>, effect| {
        let toleration = Toleration {
            key: key.map(Into::into),
            value: value.map(Into::into),
            effect,
        };
        let ask = Ask {
            tolerations: vec![toleration],
            ..ask(1)
        };
        refused(
            Node {
                taints: vec![taint(Effect::NoSchedule)],
                ..node("n", "a")
            },
            Vec::new(),
            &ask,
        )
        .is_none()
    };
    assert!(tolerates(Some("team"), Some("x"), Some(Effect::NoSchedule)));
    assert!(tolerates(Some("team"), None, None));
    assert!(tolerates(None, None, None));
    assert!(!tolerates(Some("team"), Some("y"), None));
    assert!(!tolerates(Some("team"), Some(""), None));
    assert!(!tolerates(Some("other"), None, None));
    assert!(!tolerates(Some("team"), Some("x"), Some(Effect::NoExecute)));
}

#[test]
fn what_pods_hold_is_not_free_leaving_or_not() {
    let leaving = Pod {
        hold: Hold::Terminating { by: "soon".into() },
        ..held("old", "n", 6)
    };
    let why = refused(node("n", "a"), vec![leaving], &ask(4));
    assert_eq!(why.as_deref(), Some("2 of 8 nvidia.com/gpu free, 4 needed"));
    let elsewhere = held("old", "m", 8);
    assert_eq!(refused(node("n", "a"), vec![elsewhere], &ask(4)), None);
}

#[test]
fn a_promise_counts_unless_its_pod_is_less_important() {
    let promised = |priority| Pod {
        hold: Hold::Nominated,
        priority,
        ..held("next", "n", 8)
    };
    assert!(refused(node("n", "a"), vec![promised(0)], &ask(1)).is_some());
    assert!(refused(node("n", "a"), vec![promised(7)], &ask(1)).is_some());
    assert!(refused(node("n", "a"), vec![promised(-1)], &ask(1)).is_none());
}

#[test]
fn every_resource_can_be_what_is_short() {
    let without_gpus = Node {
        allocatable: Resources::from_iter([("cpu", 500), ("memory", 1 << 30), ("pods", 0)]),
        ..node("n", "a")
    };
    let mut asks = Vec::new();
    for (name, amount) in [
        ("nvidia.com/gpu", 1),
        ("cpu", 1_500),
        ("memory", 3 << 30),
        ("ephemeral-storage", 1 << 30),
    ] {
        let requests = Resources::from_iter([(name, amount)]);
        asks.push(Ask { requests, ..ask(0) });
    }
    asks.push(Ask {
        requests: Resources::default(),
        ..ask(0)
    });
    let words: Vec<String> = asks
        .iter()
        .map(|ask| refused(without_gpus.clone(), Vec::new(), ask).unwrap())
        .collect();
    assert_eq!(
        words,
        [
            "no nvidia.com/gpu",
            "at most 500m of 500m cpu free, 1500m needed",
            "at most 1 GiB of 1 GiB memory free, 3 GiB needed",
            "at most 0 GiB of 0 GiB ephemeral-storage free, 1 GiB needed",
            "as many pods as it may have",
        ]
    );
}

#[test]
fn gpus_of_too_little_memory_are_told_where_labels_say_it() {
    let mut small = node("n", "a");
    small.labels.insert("nvidia.com/gpu.memory".into(), "4864".into());
    small.labels.insert(
        "nvidia.com/gpu.product".into(),
        "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb".into(),
    );
    small
        .labels
        .insert("nvidia.com/mig.strategy".into(), "single".into());
    let needs = Ask {
        gpu_memory_mib: Some(40_960),
        ..ask(1)
    };
    let why = refused(small.clone(), Vec::new(), &needs);
    assert_eq!(why.as_deref(), Some("GPUs have 4864 MiB, 40960 MiB needed"));
    assert_eq!(refused(small.clone(), Vec::new(), &ask(1)), None);
    let told = notes(&cluster(vec![small], Vec::new()), &ask(1));
    assert!(told[0].contains("MIG slice on 1 nodes"), "{told:?}");
}

#[test]
fn mps_gives_a_pod_one_share() {
    let mut shared = node("n", "a");
    shared
        .labels
        .insert("nvidia.com/gpu.sharing-strategy".into(), "mps".into());
    assert_eq!(refused(shared.clone(), Vec::new(), &ask(1)), None);
    assert!(refused(shared, Vec::new(), &ask(2)).unwrap().contains("MPS"));
}

#[test]
fn host_ports_collide_by_port_protocol_and_address() {
    let port = |ip: &str, protocol: &str, port| HostPort {
        ip: ip.into(),
        protocol: protocol.into(),
        port,
    };
    let table = [
        (port("0.0.0.0", "TCP", 80), port("0.0.0.0", "TCP", 80), true),
        (port("0.0.0.0", "TCP", 80), port("10.0.0.1", "TCP", 80), true),
        (port("10.0.0.1", "TCP", 80), port("10.0.0.2", "TCP", 80), false),
        (port("0.0.0.0", "TCP", 80), port("0.0.0.0", "UDP", 80), false),
        (port("0.0.0.0", "TCP", 80), port("0.0.0.0", "TCP", 81), false),
    ];
    for (theirs, ours, collide) in table {
        let pod = Pod {
            ports: vec![theirs],
            ..held("p", "n", 0)
        };
        let ask = Ask {
            ports: vec![ours],
            ..ask(1)
        };
        let answer = fit(&cluster(vec![node("n", "a")], vec![pod]), &ask, 1);
        assert_eq!(answer.fits == Fits::No, collide, "{ask:?}");
        // Two replicas never share a port.
        assert_eq!(answer.max_replicas, u64::from(!collide));
    }
}

#[test]
fn keeping_apart_works_in_both_directions() {
    let nodes = || vec![node("n1", "a"), node("n2", "a"), node("n3", "b")];
    let shy = Pod {
        anti_affinity: vec![near("zone", web())],
        ..held("db", "n1", 0)
    };
    let answer = fit(&cluster(nodes(), vec![shy]), &ask(8), 1);
    assert_eq!(
        (answer.max_replicas, answer.placements[0].node.as_str()),
        (1, "n3")
    );

    let apart = Ask {
        anti_affinity: vec![near("zone", web())],
        ..ask(1)
    };
    let answer = fit(&cluster(nodes(), Vec::new()), &apart, 3);
    assert_eq!((answer.fits, answer.max_replicas), (Fits::No, 2), "one a zone");

    let apart = Ask {
        anti_affinity: vec![near("host", web())],
        ..ask(1)
    };
    assert_eq!(
        fit(&cluster(nodes(), Vec::new()), &apart, 3).max_replicas,
        3,
        "one a node"
    );
}

#[test]
fn pods_that_must_be_near_are_asked_by_domain() {
    let cache = Selector(vec![Requirement {
        key: "app".into(),
        test: Test::In(vec!["cache".into()]),
    }]);
    let ask = Ask {
        affinity: vec![near("zone", cache)],
        ..ask(8)
    };
    let nodes = || vec![node("n1", "a"), node("n2", "a"), node("n3", "b")];
    assert_eq!(fit(&cluster(nodes(), Vec::new()), &ask, 1).max_replicas, 0);
    let there = cluster(nodes(), vec![held("cache", "n1", 0)]);
    assert_eq!(fit(&there, &ask, 1).max_replicas, 2);
}

#[test]
fn the_first_of_a_group_that_stays_together_chooses_for_all() {
    let ask = Ask {
        affinity: vec![near("zone", web())],
        ..ask(8)
    };
    let nodes = vec![node("n1", "a"), node("n2", "a"), node("n3", "b")];
    let there = cluster(nodes, Vec::new());
    let verdicts: Vec<Fits> = (1..=3).map(|n| fit(&there, &ask, n).fits).collect();
    assert_eq!(verdicts, [Fits::Yes, Fits::DependsOnOrder, Fits::No]);
}

#[test]
fn spreading_stops_at_the_fullest_domain_that_cannot_be_followed() {
    let ask = Ask {
        spread: vec![spread("zone", 1)],
        ..ask(4)
    };
    let nodes = vec![node("n1", "a"), node("n2", "a"), node("n3", "b")];
    let full = cluster(nodes.clone(), vec![held("x", "n3", 4)]);
    let answer = fit(&full, &ask, 9);
    assert_eq!(answer.max_replicas, 3, "b takes one, so a takes two");
    let lonely = Ask {
        spread: vec![Spread {
            min_domains: 3,
            ..spread("zone", 1)
        }],
        ..ask
    };
    assert_eq!(
        fit(&cluster(nodes, Vec::new()), &lonely, 9).max_replicas,
        2,
        "a third zone counts as empty"
    );
}

#[test]
fn a_quota_is_told_on_the_nodes_that_had_room() {
    let mut there = cluster(vec![node("n1", "a"), node("n2", "a")], Vec::new());
    there.nodes[1].ready = false;
    there.quotas.push(Quota {
        namespace: "prod".into(),
        name: "gpus".into(),
        limits: [("requests.nvidia.com/gpu".to_owned(), (6, 4))].into(),
        scope: QuotaScope::default(),
    });
    let answer = fit(&there, &ask(1), 3);
    assert_eq!((answer.fits, answer.max_replicas), (Fits::No, 2));
    let words: Vec<String> = answer
        .reasons
        .iter()
        .map(|group| group.reason.to_string())
        .collect();
    assert_eq!(
        words,
        [
            "not ready",
            "quota gpus leaves 2 of requests.nvidia.com/gpu, 1 needed"
        ]
    );
    let other = Ask {
        namespace: "test".into(),
        ..ask(1)
    };
    assert_eq!(fit(&there, &other, 3).fits, Fits::Yes);
}
