//! `make local-aws`: what `infra/aws/template.yaml` makes, without its programs, until Ctrl-C: the table, the queues, the
//! secret and a door to them that asks for the rights of each role. Whoever works on a function runs it by hand, with the
//! environment that Lambda would give it: a file for each, which `cargo lambda watch --env-file` reads.

#![allow(
    clippy::print_stdout,
    reason = "whoever runs it is told on the standard output what to do next"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use weir_lambda_host::{Given, Stack, Template};

/// The functions, as the template names them, and their programs.
const FUNCTIONS: [(&str, &str); 4] = [
    ("WebhookIntake", "webhook-intake"),
    ("ApprovalCallback", "approval-callback"),
    ("StageExecutor", "stage-executor"),
    ("MetricCheck", "metric-check"),
];

/// What pushes and buttons must be signed with. Everyone knows it, and it opens nothing else.
const SECRET: &str = r#"{"github_secrets": ["local"], "slack_signing_secrets": ["local"]}"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("target/local-aws");
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let parameters = [
        text(
            "SecretArn",
            "arn:aws:secretsmanager:eu-central-1:000000000000:secret:weir-abcdef",
        ),
        text("Clusters", "local=eu-central-1/none"),
        text(
            "ClusterArns",
            "arn:aws:eks:eu-central-1:000000000000:cluster/none",
        ),
    ];
    let given = Given {
        parameters: parameters.into(),
        programs: FUNCTIONS
            .map(|(_, program)| (program.to_owned(), program.into()))
            .into(),
        secret: SECRET.to_owned(),
        ..Given::default()
    };
    let template = Template::read(include_str!("../../../../infra/aws/template.yaml"))?;
    let stack = Stack::make(template, given).await?;
    std::fs::create_dir_all(folder)?;
    for (id, program) in FUNCTIONS {
        let variables: BTreeMap<_, _> = stack.function(id).variables().iter().cloned().collect();
        let lines: String = variables
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\"\n"))
            .collect();
        std::fs::write(folder.join(format!("{program}.env")), lines)?;
    }
    println!("the table and the queues are there until Ctrl-C; in another terminal:");
    for (_, program) in FUNCTIONS {
        println!(
            "  cargo lambda watch --bin {program} --env-file {}/{program}.env",
            folder.display()
        );
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}
