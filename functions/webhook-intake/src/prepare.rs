//! From the definition at a commit to what is started.

use std::collections::BTreeMap;

use weir_app::{Source, SourceError, with_causes};
use weir_domain::Refused;
use weir_domain::ids::{Commit, PushKey};
use weir_domain::people::Group;
use weir_domain::pipeline::Pipeline;
use weir_domain::run::Repository;
use weir_github::{Answer, GitRef};
use weir_spec::{Definition, Diagnostic, ResourceFiles, Scope, Severity, SourceFile, Variables};

use crate::patience::{Patience, Trouble};

/// Names the run of a definition whose pipelines cannot be read.
pub const UNNAMED: &str = ".weir";

/// Complaints that a run shows; `weir validate` shows all.
const COMPLAINTS_SHOWN: usize = 10;

/// Characters kept of one complaint. Definitions are written by people, and a name in one may be a megabyte.
const COMPLAINT_CHARS: usize = 400;

/// A commit that pipelines are held against.
pub(crate) struct At<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) git_ref: &'a GitRef,
    pub(crate) commit: &'a Commit,
    pub(crate) push: &'a PushKey,
    /// What `${REGISTRY}` stands for where the definition does not say it.
    pub(crate) registry: Option<&'a str>,
}

/// What a commit starts.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The people that the definition knows.
    pub(crate) groups: Vec<Group>,
    /// Pipelines to start.
    pub(crate) chosen: Vec<Chosen>,
    /// Pipelines not to start, and why.
    pub(crate) ignored: Vec<(String, String)>,
}

/// One pipeline to start, or to fail at once.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) pipeline: Result<Pipeline, Refused>,
}

/// Reads the definition at a commit, lets `choose` answer for each pipeline, and resolves those that run. Nothing: the
/// commit has no definition.
///
/// A definition that does not validate fails every pipeline that would run. Whether one would cannot be known where its
/// name or its triggers cannot be read; and where the push itself changed the definition (`touched`), its author must
/// hear of the fault. In these cases one run, named [`UNNAMED`], fails in the place of all.
///
/// # Errors
/// The source host did not answer in time; what it said last.
pub(crate) async fn prepare(
    source: &dyn Source,
    patience: Patience,
    at: &At<'_>,
    choose: impl Fn(&Definition) -> Vec<(String, Answer)>,
    touched: bool,
) -> Result<Option<Prepared>, String> {
    let files = match read(source, patience, at, &[]).await {
        Ok(files) if files.is_empty() => return Ok(None),
        Ok(files) => files,
        Err(Trouble::Late(said)) => return Err(said),
        Err(Trouble::Lasting(error)) => {
            return Ok(Some(Prepared::unnamed(Vec::new(), at, with_causes(&error))));
        }
    };
    // References may point to manifests that were not fetched yet: with those, the whole is judged below.
    let first = weir_spec::load(&files, Scope::OneFile);
    let groups = first.definition.groups.clone();
    let answers = choose(&first.definition);
    let runs = answers.iter().any(|(_, answer)| answer.runs());
    if !runs && !touched && first.is_valid() {
        return Ok(Some(Prepared::ignored(groups, answers)));
    }
    let resources = match manifests(source, patience, at, &first.definition, &files).await {
        Ok(resources) => resources,
        Err(Trouble::Late(said)) => return Err(said),
        Err(Trouble::Lasting(error)) => {
            return Ok(Some(Prepared::refused(groups, answers, &with_causes(&error))));
        }
    };
    let loaded = weir_spec::load_with(&files, &resources, Scope::Whole);
    if loaded.is_valid() {
        let resolve = |name: &str| resolve(at, &loaded.definition, &resources, name);
        return Ok(Some(Prepared::sort(groups, answers, resolve)));
    }
    let why = complaints(&loaded.diagnostics);
    let prepared = if runs || !(touched || is_unreadable(&loaded.definition)) {
        Prepared::refused(groups, answers, &why)
    } else {
        Prepared::unnamed(groups, at, why)
    };
    Ok(Some(prepared))
}

impl Prepared {
    /// Sorts pipelines into those that run and those that do not.
    fn sort(
        groups: Vec<Group>,
        answers: Vec<(String, Answer)>,
        resolve: impl Fn(&str) -> Result<Pipeline, Refused>,
    ) -> Self {
        let mut prepared = Self {
            groups,
            ..Self::default()
        };
        for (name, answer) in answers {
            match answer {
                Answer::Run(reason) => {
                    let pipeline = resolve(&name);
                    prepared.chosen.push(Chosen {
                        name,
                        reason,
                        pipeline,
                    });
                }
                Answer::Ignore(reason) => prepared.ignored.push((name, reason)),
            }
        }
        prepared
    }

    /// Those that run fail, for one reason.
    fn refused(groups: Vec<Group>, answers: Vec<(String, Answer)>, why: &str) -> Self {
        Self::sort(groups, answers, |_| Err(Refused { why: why.to_owned() }))
    }

    /// None runs.
    fn ignored(groups: Vec<Group>, answers: Vec<(String, Answer)>) -> Self {
        Self::refused(groups, answers, "it was not to run")
    }

    /// One run fails in the place of all.
    fn unnamed(groups: Vec<Group>, at: &At<'_>, why: String) -> Self {
        let chosen = Chosen {
            name: UNNAMED.to_owned(),
            reason: format!("{} came to {}", at.commit, at.git_ref.short()),
            pipeline: Err(Refused { why }),
        };
        Self {
            groups,
            chosen: vec![chosen],
            ignored: Vec::new(),
        }
    }
}

/// Whether somebody's pipeline or trigger may be among what could not be read.
fn is_unreadable(definition: &Definition) -> bool {
    let pipelines = &definition.pipelines;
    pipelines.is_empty() || pipelines.iter().any(|pipeline| pipeline.triggers.is_empty())
}

/// The manifests that pipelines name, and the definition files, which may be manifests too.
async fn manifests(
    source: &dyn Source,
    patience: Patience,
    at: &At<'_>,
    definition: &Definition,
    files: &[SourceFile],
) -> Result<ResourceFiles, Trouble<SourceError>> {
    let names = definition
        .pipelines
        .iter()
        .map(|pipeline| pipeline.name.value.as_str());
    let mut paths: Vec<String> = names.flat_map(|name| definition.resource_paths(name)).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.retain(|path| {
        files
            .iter()
            .all(|file| file.path != path.trim_start_matches("./"))
    });
    let more = if paths.is_empty() {
        Vec::new()
    } else {
        read(source, patience, at, &paths).await?
    };
    let all = files.iter().cloned().chain(more);
    Ok(ResourceFiles::new(
        all.map(|file| (file.path, file.text)).collect::<BTreeMap<_, _>>(),
    ))
}

async fn read(
    source: &dyn Source,
    patience: Patience,
    at: &At<'_>,
    more: &[String],
) -> Result<Vec<SourceFile>, Trouble<SourceError>> {
    let files = patience
        .ask(|| source.files(at.repository, at.commit, more))
        .await?;
    Ok(files
        .into_iter()
        .map(|file| SourceFile::new(file.path, file.text))
        .collect())
}

fn resolve(
    at: &At<'_>,
    definition: &Definition,
    resources: &ResourceFiles,
    name: &str,
) -> Result<Pipeline, Refused> {
    let short = at.git_ref.short().to_owned();
    let (branch, tag) = match at.git_ref {
        GitRef::Tag(_) => (String::new(), Some(short)),
        GitRef::Branch(_) | GitRef::Other(_) => (short, None),
    };
    let variables = Variables {
        git_commit: at.commit.to_string(),
        branch,
        tag,
        run_id: weir_app::run_id(at.push, name).to_string(),
        registry: at.registry.map(str::to_owned),
    };
    weir_spec::resolve(definition, name, &variables, resources).map_err(|diagnostics| Refused {
        why: complaints(&diagnostics),
    })
}

/// Errors on one line, the first of them whole: a commit status shows no more.
fn complaints(diagnostics: &[Diagnostic]) -> String {
    let errors: Vec<&Diagnostic> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .collect();
    let mut words: Vec<String> = errors
        .iter()
        .take(COMPLAINTS_SHOWN)
        .map(|diagnostic| {
            let help = diagnostic.help.iter().map(|help| format!("; {help}"));
            let whole = format!("{}: {}", diagnostic.place, diagnostic.message());
            whole
                .chars()
                .chain(help.flat_map(|help| help.chars().collect::<Vec<_>>()))
                .take(COMPLAINT_CHARS)
                .collect()
        })
        .collect();
    if errors.len() > COMPLAINTS_SHOWN {
        words.push(format!("and {} more", errors.len() - COMPLAINTS_SHOWN));
    }
    words.join("\n")
}
