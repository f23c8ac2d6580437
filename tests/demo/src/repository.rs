//! The sample repository: a local git repository that grows by one commit a push.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::model;
use crate::process::output;

/// Its name at the source host.
pub const NAME: &str = "acme/llm-service";

/// Where the model lies in it.
pub const MODEL: &str = "models/model.safetensors";

/// A repository on this machine.
pub struct Repository {
    /// Its folder.
    pub path: PathBuf,
    commits: u8,
}

/// A push: where the branch was and where it is.
pub struct Push {
    /// The branch's commit before it; zeros if there was none.
    pub before: String,
    /// The branch's commit after it.
    pub after: String,
    /// The commit's message.
    pub message: String,
    /// The file that it changed.
    pub changed: String,
}

impl Repository {
    /// Makes the repository from the sample. `uid`: who may approve at the terminal.
    pub async fn create(sample: &Path, path: &Path, uid: u32) -> Result<Self> {
        copy(sample, path)?;
        let world = path.join(".weir/world.yaml");
        let text = std::fs::read_to_string(&world)?.replace("uid: UID", &format!("uid: {uid}"));
        std::fs::write(&world, text)?;
        let repository = Self {
            path: path.to_owned(),
            commits: 0,
        };
        repository
            .git(&["init", "--quiet", "--initial-branch=main"])
            .await?;
        Ok(repository)
    }

    /// Name of its folder.
    pub fn name(&self) -> &str {
        self.path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
    }

    /// Commits a model.
    pub async fn commit(&mut self, settings: &Value, message: &str) -> Result<Push> {
        let model = self.path.join(MODEL);
        std::fs::create_dir_all(model.parent().context("a model lies in a folder")?)?;
        std::fs::write(&model, model::file(settings, self.commits + 1))?;
        self.commit_all(MODEL, message).await
    }

    /// Commits what is in a folder, of which this file is told.
    pub async fn commit_folder(&mut self, folder: &Path, changed: &str, message: &str) -> Result<Push> {
        copy(folder, &self.path)?;
        self.commit_all(changed, message).await
    }

    async fn commit_all(&mut self, changed: &str, message: &str) -> Result<Push> {
        let before = match self.commits {
            0 => "0".repeat(40),
            _ => self.head().await?,
        };
        self.commits += 1;
        self.git(&["add", "--all"]).await?;
        let author = ["-c", "user.name=Ben Example", "-c", "user.email=ben@acme.example"];
        self.git(&[&author[..], &["commit", "--quiet", "--message", message]].concat())
            .await?;
        Ok(Push {
            before,
            after: self.head().await?,
            message: message.to_owned(),
            changed: changed.to_owned(),
        })
    }

    /// Changes a file of it; the next commit has it.
    pub fn rewrite(&self, file: &str, change: impl FnOnce(&str) -> Result<String>) -> Result<()> {
        let path = self.path.join(file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("no {file} in the repository"))?;
        Ok(std::fs::write(&path, change(&text)?)?)
    }

    async fn head(&self) -> Result<String> {
        Ok(self.git(&["rev-parse", "HEAD"]).await?.trim().to_owned())
    }

    async fn git(&self, arguments: &[&str]) -> Result<String> {
        output(Command::new("git").arg("-C").arg(&self.path).args(arguments)).await
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("no sample in {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
