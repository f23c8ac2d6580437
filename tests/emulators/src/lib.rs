//! DynamoDB Local and ElasticMQ as processes of a test: each on a free port, any number side by side, and gone when
//! the test is, however it ends. Services of which only a part matters are played by the test itself.
//!
//! They are Java programs that `fetch.sh` gets once. An emulator is started by a shell that holds the other end of a
//! pipe to the test: when the pipe closes, the shell ends what it started. So a test that is killed leaves nothing.

mod canned;
mod heard;
mod java;
mod lossy;
mod signature;
mod sts;

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub use canned::Canned;
pub use heard::{Heard, Played, decoded};
pub use java::Emulator;
pub use lossy::Lossy;
pub use signature::{Signed, verified};
pub use sts::{Caller, Wanted, sts};

/// DynamoDB Local, in memory.
///
/// # Errors
/// It could not be fetched or started.
pub fn dynamodb() -> io::Result<Emulator> {
    let jars = fetched()?.join("dynamodb");
    let library = format!("-Djava.library.path={}", jars.display());
    let main = "software.amazon.dynamodb.services.local.main.ServerRunner";
    Emulator::start(&jars, |port, _| {
        let arguments = [
            library.as_str(),
            main,
            "-inMemory",
            // One set of tables, whoever signs.
            "-sharedDb",
            "-disableTelemetry",
            "-port",
            &port.to_string(),
        ];
        Ok(arguments.map(str::to_owned).to_vec())
    })
}

/// ElasticMQ, in memory, on the loopback interface only.
///
/// # Errors
/// It could not be fetched or started.
pub fn elasticmq() -> io::Result<Emulator> {
    let jars = fetched()?.join("elasticmq");
    Emulator::start(&jars, |port, dir| {
        let file = dir.join("elasticmq.conf");
        let config = format!(
            "include classpath(\"application.conf\")\n\
             node-address {{ host = localhost, port = {port} }}\n\
             rest-sqs {{ bind-hostname = \"127.0.0.1\", bind-port = {port} }}\n\
             rest-stats {{ enabled = false }}\n"
        );
        std::fs::write(&file, config)?;
        Ok(vec![
            format!("-Dconfig.file={}", file.display()),
            "org.elasticmq.server.Main".to_owned(),
        ])
    })
}

/// The folder with both.
fn fetched() -> io::Result<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/fetch.sh");
    let output = Command::new(script)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    match output.status.success() {
        true => Ok(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )),
        false => Err(io::Error::other("the emulators could not be fetched, see above")),
    }
}
