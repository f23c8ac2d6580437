//! Who is asked, and the floor that no pipeline goes under.

use weir_domain::pipeline::{ApprovalRule, Pipeline, StageWork};
use weir_domain::time::Span;

use super::{pipeline, refused, resolved, stage};

fn approval(pipeline: &Pipeline) -> &ApprovalRule {
    let found = pipeline.stages.iter().find_map(|stage| match &stage.work {
        StageWork::Approval(rule) => Some(rule),
        StageWork::Steps { .. } => None,
    });
    found.expect("an approval")
}

#[test]
fn an_approval_without_approvers_asks_whom_the_policy_names() {
    let policy = "policy:\n  approvals:\n    Test: none\n    Production: {needs: [{group: ml, people: 2}, ops], timeout: 2h}\n";
    let stages = format!(
        "{}    - stage: Ask\n      type: Approval\n{}",
        stage("A", "Kubernetes", "{namespace: test}"),
        stage("B", "Kubernetes", "{namespace: prod}")
    );
    let pipeline = resolved(&format!("{policy}{}", pipeline(&stages)));
    let rule = approval(&pipeline);
    let needs: Vec<_> = rule
        .needs
        .iter()
        .map(|need| (need.group.as_str(), need.people))
        .collect();
    assert_eq!(needs, [("ml", 2), ("ops", 1)]);
    assert_eq!(
        (rule.timeout, rule.opens.as_slice()),
        (Span::hours(2), ["Production".to_owned()].as_slice())
    );
}

#[test]
fn a_policy_is_a_floor_that_no_pipeline_goes_under() {
    let policy = "policy:\n  approvals:\n    Production: {needs: [ml, ops]}\n";
    let production = stage("B", "Kubernetes", "{namespace: prod}");
    let ask = |who: &str| format!("    - stage: Ask\n      type: Manual\n      approvers: [{who}]\n");
    let said = refused(&format!("{policy}{}", pipeline(&production)));
    assert!(
        said.iter()
            .any(|m| m.contains("moves Production without the approval of one person by `ml`")),
        "{said:?}"
    );
    let said = refused(&format!(
        "{policy}{}",
        pipeline(&format!("{}{production}", ask("ml")))
    ));
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("by `ops`"), "{said:?}");
    let pipeline = resolved(&format!(
        "{policy}{}",
        pipeline(&format!("{}{production}", ask("ml, ops")))
    ));
    assert_eq!(approval(&pipeline).timeout, Span::hours(24));
}

#[test]
fn pushers_may_approve_their_own_change_only_outside_of_production_or_when_allowed() {
    let text = |policy: &str, namespace: &str| {
        let stages = format!(
            "    - stage: Ask\n      type: Manual\n      approvers: [ml]\n{}",
            stage("A", "Kubernetes", &format!("{{namespace: {namespace}}}"))
        );
        format!("{policy}\n{}", pipeline(&stages))
    };
    let allowed =
        |policy: &str, namespace: &str| approval(&resolved(&text(policy, namespace))).pusher_may_approve;
    assert!(allowed("", "test"));
    assert!(!allowed("", "prod"));
    assert!(allowed("policy: {pusher_may_approve: true}", "prod"));
    assert!(allowed(
        "policy: {approvals: {Production: {needs: [ml], pusher_may_approve: true}}}",
        "prod"
    ));
    assert!(!allowed(
        "policy: {approvals: {Test: {needs: [ml], pusher_may_approve: false}}}",
        "test"
    ));
    let last = format!(
        "{}    - stage: Ask\n      type: Manual\n      approvers: [ml]\n",
        stage("A", "Kubernetes", "{namespace: test}")
    );
    assert!(!approval(&resolved(&pipeline(&last))).pusher_may_approve);
}

#[test]
fn a_quorum_larger_than_its_group_is_an_error() {
    let stages = format!(
        "    - stage: Ask\n      type: Manual\n      approvers: [{{group: ops, people: 2}}]\n{}",
        stage("A", "Kubernetes", "{namespace: prod}")
    );
    assert!(refused(&pipeline(&stages))[0].contains("group `ops` has one person: expected at least 2"));
}
