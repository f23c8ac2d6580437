//! GitHub's REST interface: files of a commit, relations of commits, statuses.
//!
//! Talks to one host alone: every address is built from the configured base, redirects are not followed, answers are
//! bounded in bytes and time. Trees and blobs are read instead of "contents", which would follow links.

mod answer;

use std::collections::HashMap;

use reqwest::{Method, RequestBuilder, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use answer::ApiError;

use crate::limits::{API_CONNECT_TIMEOUT, API_TIMEOUT, MAX_FILE_BYTES, MAX_LISTING_BYTES};
use crate::names::{CommitSha, RepositoryName};
use crate::source::{Budget, EntryKind, Relation, RepositoryPath, SourceError, SourceFile};
use crate::status::CommitStatus;
use weir_app::Secret;
use weir_outgoing::{Patience, Service};

/// The version of the interface that answers are read by.
const API_VERSION: &str = "2022-11-28";

const PATIENCE: Patience = Patience {
    connect: API_CONNECT_TIMEOUT,
    call: API_TIMEOUT,
};

const JSON: &str = "application/vnd.github+json";
const RAW: &str = "application/vnd.github.raw+json";

/// A client for one GitHub: github.com's `https://api.github.com`, or a server's `https://host/api/v3`.
#[derive(Debug, Clone)]
pub struct GitHubApi {
    service: Service,
    token: Option<Secret>,
}

#[derive(Deserialize)]
struct Tree {
    tree: Vec<TreeEntry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize, Clone)]
struct TreeEntry {
    path: String,
    mode: String,
    sha: String,
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct Comparison {
    status: String,
}

/// Trees of one commit that were already read, by folder; the root is the empty name.
type Trees = HashMap<String, Vec<TreeEntry>>;

impl GitHubApi {
    /// A client; connects to nothing. Plain `http` is accepted for this machine alone.
    pub fn new(base_url: &str, token: Option<Secret>) -> Result<Self, ApiError> {
        let service = Service::at(base_url, PATIENCE).ok_or(ApiError::BaseUrl)?;
        Ok(Self { service, token })
    }

    /// Prepares for the first call, which then takes no longer than every other.
    ///
    /// # Errors
    /// The system's roots cannot be used.
    pub fn prepare(&self) -> Result<(), ApiError> {
        self.service.client().map(drop).map_err(ApiError::Client)
    }

    /// The definition files `.weir/*.yaml` and `.weir/*.yml`, by name. Empty where the commit has no such folder.
    pub async fn definitions(
        &self,
        repository: &RepositoryName,
        commit: &CommitSha,
    ) -> Result<Vec<SourceFile>, SourceError> {
        let mut trees = Trees::new();
        let folder = RepositoryPath::definitions();
        match self.find(repository, commit, &folder, &mut trees).await? {
            None => return Ok(Vec::new()),
            Some(entry) => match EntryKind::from_mode(&entry.mode) {
                Some(EntryKind::Folder) => {}
                Some(EntryKind::Link) => return Err(SourceError::Link(folder)),
                _ => return Err(SourceError::NotAFile(folder)),
            },
        }
        let (mut budget, mut files) = (Budget::default(), Vec::new());
        for entry in self
            .folder(repository, commit, folder.as_str(), &mut trees)
            .await?
            .unwrap_or_default()
        {
            let path = folder.join(&entry.path).map_err(SourceError::Name)?;
            if path.is_yaml() && EntryKind::from_mode(&entry.mode) != Some(EntryKind::Folder) {
                files.push(self.blob(repository, path, &entry, &mut budget).await?);
            }
        }
        Ok(files)
    }

    /// The named files, in the order asked for.
    pub async fn files(
        &self,
        repository: &RepositoryName,
        commit: &CommitSha,
        paths: &[RepositoryPath],
    ) -> Result<Vec<SourceFile>, SourceError> {
        let (mut trees, mut budget, mut files) = (Trees::new(), Budget::default(), Vec::new());
        for path in paths {
            let found = self.find(repository, commit, path, &mut trees).await?;
            let entry = found.ok_or_else(|| SourceError::NoSuchFile(path.clone()))?;
            files.push(self.blob(repository, path.clone(), &entry, &mut budget).await?);
        }
        Ok(files)
    }

    /// How `head` lies to `base`.
    pub async fn relation(
        &self,
        repository: &RepositoryName,
        base: &CommitSha,
        head: &CommitSha,
    ) -> Result<Relation, ApiError> {
        let path = format!("repos/{repository}/compare/{base}...{head}?per_page=1");
        let comparison: Comparison = self.get(&path).await?;
        match comparison.status.as_str() {
            "identical" => Ok(Relation::Identical),
            "ahead" => Ok(Relation::Ahead),
            "behind" => Ok(Relation::Behind),
            "diverged" => Ok(Relation::Diverged),
            _ => Err(ApiError::Unexpected {
                what: "an unknown relation of commits",
            }),
        }
    }

    /// Puts a status on a commit. A repeat adds another with the same words, which changes nothing that is shown.
    pub async fn write_status(
        &self,
        repository: &RepositoryName,
        commit: &CommitSha,
        status: &CommitStatus,
    ) -> Result<(), ApiError> {
        let path = format!("repos/{repository}/statuses/{commit}");
        let request = self.request(Method::POST, &path, JSON)?.json(&status.to_json());
        answer::read(request, MAX_LISTING_BYTES).await.map(|_| ())
    }

    /// The entry under a path, walking folder by folder: a link on the way is not followed, the path is then not there.
    async fn find(
        &self,
        repository: &RepositoryName,
        commit: &CommitSha,
        path: &RepositoryPath,
        trees: &mut Trees,
    ) -> Result<Option<TreeEntry>, SourceError> {
        let (folder, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
        let entries = self.folder(repository, commit, folder, trees).await?;
        Ok(entries.and_then(|entries| entries.into_iter().find(|entry| entry.path == name)))
    }

    /// What a folder of the commit holds, `None` where there is no such folder.
    async fn folder(
        &self,
        repository: &RepositoryName,
        commit: &CommitSha,
        folder: &str,
        trees: &mut Trees,
    ) -> Result<Option<Vec<TreeEntry>>, SourceError> {
        if !trees.contains_key("") {
            let root = self.tree(repository, commit.as_str()).await;
            trees.insert(
                String::new(),
                root.map_err(|error| no_such_commit(error, commit))?,
            );
        }
        let mut at = String::new();
        for name in folder.split('/').filter(|name| !name.is_empty()) {
            let child = if at.is_empty() {
                name.to_owned()
            } else {
                format!("{at}/{name}")
            };
            if !trees.contains_key(&child) {
                let Some(entry) = trees[&at].iter().find(|entry| entry.path == name) else {
                    return Ok(None);
                };
                if EntryKind::from_mode(&entry.mode) != Some(EntryKind::Folder) {
                    return Ok(None);
                }
                let object = entry.sha.clone();
                let tree = self.tree(repository, &object).await.map_err(SourceError::Api)?;
                trees.insert(child.clone(), tree);
            }
            at = child;
        }
        Ok(trees.get(&at).cloned())
    }

    async fn tree(&self, repository: &RepositoryName, object: &str) -> Result<Vec<TreeEntry>, ApiError> {
        let object = CommitSha::parse(object).map_err(|_| ApiError::Unexpected {
            what: "an object without a name",
        })?;
        let tree: Tree = self
            .get(&format!("repos/{repository}/git/trees/{object}"))
            .await?;
        if tree.truncated {
            Err(ApiError::Unexpected {
                what: "a folder cut short",
            })
        } else {
            Ok(tree.tree)
        }
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        path: RepositoryPath,
        entry: &TreeEntry,
        budget: &mut Budget,
    ) -> Result<SourceFile, SourceError> {
        match EntryKind::from_mode(&entry.mode) {
            Some(kind) => kind.must_be_file(&path)?,
            None => return Err(SourceError::NotAFile(path)),
        }
        budget.take(&path, entry.size)?;
        let object = CommitSha::parse(&entry.sha).map_err(SourceError::Name)?;
        let request = self.request(
            Method::GET,
            &format!("repos/{repository}/git/blobs/{object}"),
            RAW,
        );
        let bytes = match request {
            Ok(request) => answer::read(request, MAX_FILE_BYTES).await,
            Err(error) => Err(error),
        };
        let text = String::from_utf8(bytes.map_err(SourceError::Api)?);
        match text {
            Ok(text) => Ok(SourceFile { path, text }),
            Err(_) => Err(SourceError::NotText(path)),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        let bytes = answer::read(self.request(Method::GET, path, JSON)?, MAX_LISTING_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(ApiError::Json)
    }

    fn request(&self, method: Method, path: &str, accept: &'static str) -> Result<RequestBuilder, ApiError> {
        // The parts of `path` were checked when they were parsed; the service holds the host once more.
        let url = self.service.url(path).ok_or(ApiError::BaseUrl)?;
        let client = self.service.client().map_err(ApiError::Client)?;
        let request = client.request(method, url).header(header::ACCEPT, accept);
        let request = request.header("x-github-api-version", API_VERSION);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        })
    }
}

fn no_such_commit(error: ApiError, commit: &CommitSha) -> SourceError {
    match error {
        ApiError::NotFound => SourceError::NoSuchCommit(commit.to_string()),
        other => SourceError::Api(other),
    }
}
