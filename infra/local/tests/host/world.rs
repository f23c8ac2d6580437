//! A host with a repository to push from, and a cluster that is away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_github::{Secret, signature};

/// Signs what is posted.
pub(crate) const SECRET: &str = "it's a secret";
/// The repository's name.
pub(crate) const REPOSITORY: &str = "acme/model";
/// Anything on this machine takes less, unless it is broken.
const DEADLINE: Duration = Duration::from_secs(30);

/// Folders of one test.
pub(crate) struct World {
    dir: tempfile::TempDir,
}

/// A running host.
pub(crate) struct Host<'a> {
    pub(crate) world: &'a World,
    process: Child,
    pub(crate) address: String,
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl World {
    /// A repository whose pipeline asks the person with this user id, then runs a step on the cluster.
    pub(crate) fn with_approver(uid: u32) -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir_all(world.path("repository/.weir")).unwrap();
        let definition = include_str!("pipeline.yaml").replace("UID", &uid.to_string());
        std::fs::write(world.path("repository/.weir/pipeline.yaml"), definition).unwrap();
        // Nobody listens on port 1.
        std::fs::write(world.path("kubeconfig"), include_str!("kubeconfig.yaml")).unwrap();
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world.git(&["add", "--all"]);
        world.git(&["commit", "--quiet", "--message", "The first model"]);
        world
    }

    /// The same, asking the person who runs the test.
    pub(crate) fn new() -> Self {
        Self::with_approver(own_uid())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.path("repository"));
        git.args(["-c", "user.name=Ada", "-c", "user.email=ada@acme.example"]);
        let output = git.args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What GitHub sends when the head of `main` was pushed.
    pub(crate) fn push(&self) -> Vec<u8> {
        let head = self.git(&["rev-parse", "HEAD"]);
        let push = json!({
            "ref": "refs/heads/main",
            "before": "0".repeat(40),
            "after": head,
            "created": true,
            "commits": [{"added": [".weir/pipeline.yaml"]}],
            "head_commit": {"id": head, "message": "The first model", "author": {"name": "Ada"}},
            "repository": {"full_name": REPOSITORY, "clone_url": "https://github.com/acme/model.git", "default_branch": "main"},
            "pusher": {"name": "ada-example"},
            "sender": {"login": "ada-example"},
        });
        push.to_string().into_bytes()
    }

    /// A command of `weir` on this world's state folder.
    pub(crate) fn weir(&self, arguments: &[&str]) -> Command {
        let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
        weir.args(arguments)
            .env("WEIR_STATE", self.path("state"))
            .env("TZ", "UTC");
        for name in [
            "WEIR_GITHUB_SECRET",
            "WEIR_GITHUB_TOKEN",
            "WEIR_SLACK_TOKEN",
            "WEIR_SLACK_SIGNING_SECRET",
            "WEIR_ALARM_SECRET",
            "WEIR_LOG",
        ] {
            weir.env_remove(name);
        }
        weir
    }

    /// `weir up`, not started yet.
    pub(crate) fn up(&self) -> Command {
        self.up_on("127.0.0.1:0")
    }

    /// The same, on an address.
    pub(crate) fn up_on(&self, address: &str) -> Command {
        let repository = format!("{REPOSITORY}={}", self.path("repository").display());
        let kubeconfig = self.path("kubeconfig").display().to_string();
        let mut up = self.weir(&["up", "--format", "json", "--listen", address]);
        up.args(["--check-every", "200ms", "--kubeconfig", &kubeconfig]);
        up.args(["--repository", &repository]);
        up
    }

    /// A host that knows the webhook's secret.
    pub(crate) fn host(&self) -> Host<'_> {
        self.start(self.up().env("WEIR_GITHUB_SECRET", SECRET))
    }

    /// Starts a host and waits until it says where it is.
    pub(crate) fn start(&self, up: &mut Command) -> Host<'_> {
        let log = std::fs::File::create(self.path("host.log")).unwrap();
        let mut process = up.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!(
                "{line}{}",
                std::fs::read_to_string(self.path("host.log")).unwrap()
            )
        });
        let address = told["listen"]
            .as_str()
            .unwrap()
            .trim_start_matches("http://")
            .to_owned();
        Host {
            world: self,
            process,
            address,
        }
    }
}

impl Host<'_> {
    /// Posts a body with the signature that belongs to it.
    pub(crate) fn post_signed(&self, body: &[u8]) -> Reply {
        let signed = signature::sign(body, &Secret::new(SECRET).unwrap());
        self.post("/webhooks/github", body, &[("x-hub-signature-256", &signed)])
    }

    /// Posts a body as a push event.
    pub(crate) fn post(&self, path: &str, body: &[u8], more: &[(&str, &str)]) -> Reply {
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-type: application/json\r\n\
             x-github-event: push\r\nx-github-delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in more {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.send(format!("{head}\r\n").as_bytes(), body)
    }

    /// Sends bytes and reads the answer. Whatever is refused may be refused before all of it was taken.
    pub(crate) fn send(&self, head: &[u8], body: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(head).unwrap();
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Reply {
            status: status.unwrap_or_else(|| panic!("no answer: {answer:?}")),
            body: body.to_owned(),
        }
    }

    /// Pushes, and names the run that came of it.
    pub(crate) fn pushed(&self) -> String {
        let reply = self.post_signed(&self.world.push());
        assert_eq!(reply.status, 202, "{reply:?}");
        let told: Value = serde_json::from_str(&reply.body).unwrap();
        told["runs"][0]["run"].as_str().unwrap().to_owned()
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.world.weir(arguments).output().unwrap()
    }

    /// What a command says to programs.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--format", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    /// Looks at a run until it is as wanted.
    pub(crate) fn until(&self, run: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = now();
        loop {
            let shown = self.json(&["show", run]);
            if wanted(&shown["run"]) {
                return shown;
            }
            assert!(began.elapsed() < DEADLINE, "{shown}");
        }
    }

    /// Ends the process at once, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks the process to end, as an operator does; its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let began = now();
        while began.elapsed() < DEADLINE {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            std::thread::yield_now();
        }
        panic!("the host did not stop");
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        // A test that failed leaves no process behind; one that ended it is not harmed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the step waits because its cluster is away.
pub(crate) fn waits_for_cluster(run: &Value) -> bool {
    let words = run["stages"][1]["steps"][0]["waits_for"].as_str();
    words.is_some_and(|words| words.contains("does not answer"))
}

/// Who runs the test.
pub(crate) fn own_uid() -> u32 {
    tempfile::tempfile().unwrap().metadata().unwrap().uid()
}

/// stdout as text.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a deadline of a test is about real time"
)]
fn now() -> Instant {
    Instant::now()
}
