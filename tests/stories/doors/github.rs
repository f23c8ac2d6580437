//! Deliveries in GitHub's name: who is let in, and what can be read.

use serde_json::{Value, json};
use weir_app::door::Request;
use weir_tests::{once, sample, samples};

use super::{JSON, answer, body, header, nobody_approves, push, ready};

/// What somebody does to a good delivery.
type Attack<'a> = &'a dyn Fn(&mut Request);

#[test]
fn what_is_not_signed_by_who_knows_the_secret_is_turned_away_unread() {
    once(async |world| {
        let world = ready(world);
        let signature = "X-Hub-Signature-256";
        let attacks: [(&str, Attack<'_>); 9] = [
            ("unsigned", &|r| r.headers.retain(|(name, _)| name != signature)),
            ("SHA-1 alone", &|r| {
                let (name, value) = r.headers.last_mut().unwrap();
                *name = "X-Hub-Signature".into();
                *value = "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6".into();
            }),
            ("another secret", &|r| {
                let secret = weir_github::Secret::new("another repository's").unwrap();
                *header(r, signature) = weir_github::signature::sign(&r.body, &secret);
            }),
            ("truncated signature", &|r| {
                let cut = header(r, signature);
                cut.truncate(cut.len() - 2);
            }),
            ("empty signature", &|r| header(r, signature).clear()),
            ("doubled signature", &|r| {
                let one = header(r, signature).clone();
                r.headers.push((signature.to_ascii_lowercase(), one));
            }),
            ("two in one header", &|r| {
                let one = header(r, signature).clone();
                *header(r, signature) = format!("{one},{one}");
            }),
            ("truncated body", &|r| r.body.truncate(r.body.len() / 2)),
            ("body written anew", &|r| {
                let value: Value = serde_json::from_slice(&r.body).unwrap();
                r.body = value.to_string().into_bytes();
            }),
        ];
        for (name, attack) in attacks {
            let mut request = push(&world);
            attack(&mut request);
            let answer = answer(&world, &request).await;
            assert_eq!(answer.status, 401, "{name}");
            assert_eq!(
                body(&answer),
                json!({"error": {"message": "unauthorized"}}),
                "{name}"
            );
        }
        assert!(world.runs().await.is_empty());
        world
    });
}

#[test]
fn a_door_without_a_secret_opens_to_nobody() {
    once(async |mut world| {
        world.doors.intake.keys.clear();
        let request = push(&world);
        assert_eq!(answer(&world, &request).await.status, 401);
        world
    });
}

#[test]
fn during_a_rotation_both_secrets_are_taken() {
    once(async |world| {
        let mut world = ready(world);
        let new = weir_github::Secret::new("the next secret").unwrap();
        world.doors.intake.keys.push(new.clone().into());
        let mut request = push(&world);
        assert_eq!(answer(&world, &request).await.status, 202);
        *header(&mut request, "X-Hub-Signature-256") = weir_github::signature::sign(&request.body, &new);
        assert_eq!(body(&answer(&world, &request).await)["runs"][0]["new"], false);
        nobody_approves(&world).await;
        world
    });
}

#[test]
fn the_secret_of_another_repository_is_turned_away() {
    once(async |world| {
        let mut world = ready(world);
        let theirs = weir_github::Secret::new("theirs").unwrap();
        let own = weir_github::Secret::new("its own").unwrap();
        let repository = repository(&push(&world));
        let keys = ["acme/other theirs".to_owned(), format!("{repository} its own")];
        world
            .doors
            .intake
            .keys
            .extend(keys.iter().filter_map(|key| weir_github::Key::parse(key)));
        let mut request = push(&world);
        // Everybody's counts no longer for a repository that has its own, and nobody else's ever did.
        assert_eq!(answer(&world, &request).await.status, 401);
        for (secret, status) in [(&theirs, 401), (&own, 202)] {
            *header(&mut request, "X-Hub-Signature-256") =
                weir_github::signature::sign(&request.body, secret);
            assert_eq!(answer(&world, &request).await.status, status);
        }
        assert_eq!(world.runs().await.len(), 1);
        nobody_approves(&world).await;
        world
    });
}

/// The repository that a push names.
fn repository(push: &Request) -> String {
    let payload: Value = serde_json::from_slice(&push.body).expect("a push is JSON");
    let name = payload["repository"]["full_name"].as_str();
    name.expect("a push names its repository").to_owned()
}

#[test]
fn what_cannot_be_read_is_refused_and_starts_nothing() {
    once(async |world| {
        let world = ready(world);
        for (kind, event) in [("github-push", "push"), ("github-ping", "ping")] {
            for (content_type, name, bytes) in samples(kind, "invalid") {
                let request = world.from_github(event, content_type, &bytes);
                let answer = answer(&world, &request).await;
                assert_eq!(answer.status, 400, "{kind} {name}: {}", answer.body);
            }
        }
        let large = vec![b' '; 25 * 1024 * 1024 + 1];
        assert_eq!(
            answer(&world, &world.from_github("push", JSON, &large))
                .await
                .status,
            413
        );
        let named = |event: &str, content_type: &str| world.from_github(event, content_type, b"{}");
        assert_eq!(answer(&world, &named("a b", JSON)).await.status, 400);
        assert_eq!(answer(&world, &named("push", "text/plain")).await.status, 400);
        assert!(world.runs().await.is_empty());
        world
    });
}

#[test]
fn no_cut_of_a_push_makes_the_door_panic_or_starts_a_run() {
    once(async |world| {
        let world = ready(world);
        let whole = sample("github-push", "valid/branch-models.json");
        for end in (0..whole.len() - 1).step_by(37) {
            let request = world.from_github("push", JSON, &whole[..end]);
            assert_eq!(answer(&world, &request).await.status, 400, "cut at {end}");
        }
        assert!(world.runs().await.is_empty());
        world
    });
}

#[test]
fn greetings_and_other_events_are_answered_and_start_nothing() {
    once(async |world| {
        for (content_type, name, bytes) in samples("github-ping", "valid") {
            let answer = answer(&world, &world.from_github("ping", content_type, &bytes)).await;
            assert_eq!(answer.status, 200, "{name}");
        }
        let other = world.from_github("workflow_run", JSON, b"\xff not read");
        let answer = answer(&world, &other).await;
        assert_eq!((answer.status, &body(&answer)["runs"]), (200, &json!([])));
        assert!(world.runs().await.is_empty());
        world
    });
}
