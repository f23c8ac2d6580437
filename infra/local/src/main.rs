//! `weir`: the host, and the commands of people.

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use weir_local::cli::{self, Cli, Command, Exit, Failure, Format, Output};

fn main() -> ExitCode {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error, no_color),
    };
    let mut out = Output::new(cli.format, no_color);
    let answered = answer(&cli.command, &mut out);
    let exit = answered.unwrap_or_else(|failure| {
        out.failure(&failure);
        Exit::Malformed
    });
    ExitCode::from(exit.code())
}

fn answer(command: &Command, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(answered) = cli::offline(command, out) {
        return answered;
    }
    let mut runtime = match command {
        Command::Up(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the process could not start: {error}")))?;
    match command {
        Command::Up(args) => {
            log_to_stderr();
            runtime.block_on(weir_local::up(args, &variable, out))
        }
        command => runtime.block_on(cli::online(command, out)),
    }
}

#[expect(clippy::disallowed_methods, reason = "configuration is read here, once")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// `WEIR_LOG` says what is logged, in the usual directives: `debug`, `info,weir_cluster=debug`. Unless it does, all but the
/// Kubernetes client, which logs each request that fails as an error of its own; whoever asked says the same with the run
/// and what becomes of it.
fn log_to_stderr() {
    let usual = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("kube_client", LevelFilter::OFF);
    let wanted = variable("WEIR_LOG").map(|wanted| wanted.parse::<Targets>());
    let (logged, wrong) = match wanted {
        Some(Ok(wanted)) => (wanted, None),
        Some(Err(error)) => (usual, Some(error)),
        None => (usual, None),
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_max_level(LevelFilter::TRACE)
        .finish()
        .with(logged)
        .init();
    if let Some(error) = wrong {
        tracing::warn!(%error, "WEIR_LOG is not used: expected `debug`, or `info,weir_cluster=debug`");
    }
}

/// Help and version go to stdout and are answers; what is wrong with the arguments is told in the form that was asked.
fn usage(error: &clap::Error, no_color: bool) -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let json = arguments.iter().any(|a| a == "--format=json")
        || arguments.windows(2).any(|pair| pair == ["--format", "json"]);
    if json && error.use_stderr() {
        let text = error.to_string();
        let message = text.trim_start_matches("error: ").trim_end();
        Output::new(Format::Json, no_color).failure(&Failure::new(message));
        return ExitCode::from(Exit::Malformed.code());
    }
    error.exit()
}
