//! Answers that servers of JSON give, and addresses that a definition may try.

use super::*;
use crate::provider::stand_in::{Said, StandIn};
use weir_domain::time::Timestamp;

const WINDOW: Window = Window {
    from: Timestamp(0),
    to: Timestamp(60_000),
};

async fn ask(said: Said, private: bool) -> (StandIn, Answer<f64>) {
    let stand_in = StandIn::saying(vec![said]).await;
    let host = stand_in.address.trim_start_matches("http://").to_owned();
    let api = JsonApi::new(vec![host], private, Secret::new("t0k"));
    let query = format!("{}/score?revision=w-1#/data/0/score", stand_in.address);
    let answer = api.number(&query, WINDOW, Fold::Mean).await;
    (stand_in, answer)
}

#[tokio::test]
async fn the_pointer_finds_the_number() {
    let (stand_in, answer) = ask(Said::json(r#"{"data":[{"score":0.93}]}"#), true).await;
    assert_eq!(answer, Answer::Value(0.93));
    let (path, headers, _) = stand_in.heard().remove(0);
    assert_eq!(path, "/score?revision=w-1");
    assert_eq!(headers["authorization"], "Bearer t0k");
    assert_eq!(
        ask(Said::json(r#"{"data":[{"score":"7"}]}"#), true).await.1,
        Answer::Value(7.0)
    );
}

#[tokio::test]
async fn null_is_no_data_and_nonsense_is_an_error() {
    for none in [r#"{"data":[{"score":null}]}"#, r#"{"data":[{"score":"NaN"}]}"#] {
        assert!(
            matches!(ask(Said::json(none), true).await.1, Answer::NoData(_)),
            "{none}"
        );
    }
    for wrong in [
        r#"{"data":[]}"#,
        r#"{"data":[{"score":[1]}]}"#,
        r#"{"data":[{"score":"good"}]}"#,
        "not json",
    ] {
        assert!(
            matches!(ask(Said::json(wrong), true).await.1, Answer::Error(_)),
            "{wrong}"
        );
    }
    assert!(matches!(
        ask(Said::status(500, "{}"), true).await.1,
        Answer::Error(_)
    ));
    let elsewhere = Said {
        status: 307,
        headers: vec![("location", "http://10.0.0.1/".into())],
        ..Said::default()
    };
    let Answer::Error(why) = ask(elsewhere, true).await.1 else {
        panic!("it leads elsewhere")
    };
    assert!(why.contains("redirects are not followed"), "{why}");
}

#[tokio::test]
async fn a_definition_cannot_choose_where_to_look() {
    let (stand_in, answer) = ask(Said::json("{}"), false).await;
    let Answer::Error(why) = answer else {
        panic!("this machine is private")
    };
    assert!(why.contains("private network"), "{why}");
    assert!(stand_in.heard().is_empty());
    let api = JsonApi::new(vec!["quality.example".into(), "127.0.0.1".into()], false, None);
    for (address, expected) in [
        ("https://evil.example/x#/a", "not on this host's list"),
        (
            "https://quality.example@evil.example/#/a",
            "not on this host's list",
        ),
        ("https://u:p@quality.example/#/a", "not a plain https address"),
        ("http://quality.example/#/a", "not a plain https address"),
        ("ftp://quality.example/#/a", "not a plain https address"),
        ("http://127.0.0.1/#/a", "private network"),
        ("quality.example", "not an address"),
    ] {
        let Answer::Error(why) = api.number(address, WINDOW, Fold::Mean).await else {
            panic!("{address}")
        };
        assert!(why.contains(expected), "{address}: {why}");
    }
}

#[tokio::test]
async fn a_public_name_that_leads_inside_is_not_followed() {
    // Every machine has this name, and it leads to the machine itself.
    let api = JsonApi::new(vec!["localhost".into()], false, None);
    let Answer::Error(why) = api.number("http://localhost:9/#/a", WINDOW, Fold::Mean).await else {
        panic!("localhost is inside")
    };
    assert!(why.contains("no address that may be called"), "{why}");
}
