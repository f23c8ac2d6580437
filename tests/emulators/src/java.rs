//! One emulator.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// An emulator that does not listen by then never will. It takes 2 to 5 s alone.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Pause between two looks at its port.
const PAUSE: Duration = Duration::from_millis(50);

/// Ends Java when the pipe that is its input closes, and tells how Java ended if it does so first.
const GUARD: &str = r#"java "$@" & java=$!
( cat >/dev/null; kill -9 $java 2>/dev/null ) <&3 3<&- &
exec 3<&-; wait $java"#;

/// What an emulator costs: little memory, a quick start rather than fast code.
const FLAGS: [&str; 3] = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// A running emulator. It ends when it is dropped, and when the process that started it does.
pub struct Emulator {
    port: u16,
    child: Child,
    _dir: TempDir,
}

impl Emulator {
    /// Starts Java on a free port with what `arguments` says for the port and a folder of its own.
    pub(crate) fn start(
        jars: &Path,
        arguments: impl FnOnce(u16, &Path) -> io::Result<Vec<String>>,
    ) -> io::Result<Self> {
        let dir = TempDir::new()?;
        let port = free_port()?;
        let log = std::fs::File::create(dir.path().join("log"))?;
        let child = Command::new("sh")
            .args(["-c", &format!("exec 3<&0; {GUARD}"), "emulator"])
            .args(FLAGS)
            .arg("-cp")
            .arg(jars.join("*"))
            .args(arguments(port, dir.path())?)
            .current_dir(dir.path())
            .env("DDB_LOCAL_TELEMETRY", "0")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut emulator = Self {
            port,
            child,
            _dir: dir,
        };
        emulator.until_it_listens()?;
        Ok(emulator)
    }

    fn until_it_listens(&mut self) -> io::Result<()> {
        let mut waited = Duration::ZERO;
        while TcpStream::connect(self.address()).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || waited > START_LIMIT {
                let log = std::fs::read_to_string(self._dir.path().join("log")).unwrap_or_default();
                return Err(io::Error::other(format!(
                    "the emulator did not start ({ended:?}): {log}"
                )));
            }
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        }
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The address for a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Closing the pipe is what ends it; waiting leaves no zombie.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on now.
fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
