//! Git's part: hands out repositories over the network, because pods do not see this machine's folders.

use std::net::TcpListener;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Time until it takes connections.
const UP_LIMIT: Duration = Duration::from_secs(10);

/// Runs the server until the standard input is closed: also when its owner was killed.
const GUARD: &str = "\"$0\" \"$@\" </dev/null >/dev/null 2>&1 & cat >/dev/null; kill $!";

/// A read-only git server on a loopback port; it ends with its owner.
pub struct GitServer {
    port: u16,
    _lives_while_open: ChildStdin,
}

impl GitServer {
    /// Hands out every repository in a folder.
    ///
    /// # Errors
    /// `git-daemon`, which comes with git, cannot be started.
    pub async fn start(folder: &Path) -> Result<Self> {
        // Git's own front end would leave the server behind when it is ended.
        let programs = Command::new("git").arg("--exec-path").output()?;
        let programs = String::from_utf8(programs.stdout)?;
        // It prints no address, so it is given a port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut guard = Command::new("sh")
            .args(["-c", GUARD])
            .arg(Path::new(programs.trim()).join("git-daemon"))
            .args(["--export-all", "--reuseaddr", "--listen=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", folder.display()))
            .stdin(Stdio::piped())
            .spawn()
            .context("could not start git-daemon")?;
        let up = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(UP_LIMIT, up)
            .await
            .context("git-daemon takes no connection")?;
        Ok(Self {
            port,
            _lives_while_open: guard.stdin.take().context("its input is a pipe")?,
        })
    }

    /// Its port of this machine, to be exposed to pods.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a repository of the folder, as pods see it.
    pub fn url(&self, repository: &str) -> String {
        format!("git://host:{}/{repository}", self.port)
    }
}

/// Makes a repository of this folder with one commit, of `model.txt` with this text; the commit.
///
/// # Panics
/// Git does not do it.
pub fn commit_model(path: &Path, text: &str) -> String {
    std::fs::write(path.join("model.txt"), text).expect("the folder can be written to");
    let git = |args: &[&str]| {
        let names = ["-c", "user.name=ada", "-c", "user.email=ada@example.com"];
        let mut command = Command::new("git");
        let output = command.current_dir(path).args(names).args(args).output();
        let output = output.expect("git is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout)
            .expect("git writes text")
            .trim()
            .to_owned()
    };
    git(&["init", "--quiet", "--initial-branch", "main"]);
    git(&["add", "model.txt"]);
    git(&["commit", "--quiet", "--message", "a model"]);
    git(&["rev-parse", "HEAD"])
}
