//! A definition, a push and the manifests of its commit to the pipeline that a run keeps.
//!
//! The same code checks a definition: it is resolved with sample values, and what it complains about is what a run
//! would be refused for.

mod answers;
mod approval;
mod manifest;
mod place;
mod plugin;
mod pod;
mod proof;
mod releases;
mod replicas;
mod rollout;
mod rules;
mod stages;
mod strategy;
mod template;
mod variants;
mod warm_up;

use std::collections::BTreeMap;

use weir_domain::ids::{ClusterName, Namespace, PipelineName};
use weir_domain::pipeline::{Builds, Pipeline};

pub(crate) use approval::check_need;
pub(crate) use manifest::check_manifest;

use crate::definition::{Definition, PipelineDef};
use crate::diagnostic::{Class, Diagnostic, Severity, Sink};
use crate::source::Place;
use crate::variables::Variables;

/// Where Plugin steps run when nobody says so.
const BUILD_NAMESPACE: &str = "weir-builds";
/// Fetches the pushed commit when nobody says otherwise.
const FETCH_IMAGE: &str = "docker.io/alpine/git:2.49.1";

/// Manifests of the pushed commit, by path from its root.
#[derive(Clone, Debug, Default)]
pub struct ResourceFiles {
    files: BTreeMap<String, String>,
    /// Whether a file that is not here may exist nevertheless.
    incomplete: bool,
}

impl ResourceFiles {
    /// All files of the commit that a pipeline may read.
    pub fn new(files: BTreeMap<String, String>) -> Self {
        Self {
            files,
            incomplete: false,
        }
    }

    /// Files for a check without a commit: one that is missing is a reference that cannot be followed.
    pub fn partial(files: BTreeMap<String, String>) -> Self {
        Self {
            files,
            incomplete: true,
        }
    }

    fn get(&self, path: &str) -> Option<&str> {
        let path = path.strip_prefix("./").unwrap_or(path);
        self.files.get(path).map(String::as_str)
    }
}

/// Resolves one pipeline.
///
/// # Errors
/// Everything that is wrong with it, errors first. References that cannot be followed are errors here.
pub fn resolve(
    definition: &Definition,
    pipeline: &str,
    variables: &Variables,
    files: &ResourceFiles,
) -> Result<Pipeline, Vec<Diagnostic>> {
    let mut sink = Sink::default();
    let Some(wanted) = definition.pipeline(pipeline) else {
        let names = definition.pipelines.iter().map(|p| p.name.value.as_str());
        let found = format!("no pipeline `{pipeline}` in the definition");
        return Err(vec![
            Diagnostic::error(&Place::start_of(""), found).nearest(pipeline, names),
        ]);
    };
    let resolved = resolve_into(definition, wanted, variables, files, &mut sink);
    let complaints = sink.sorted();
    match resolved {
        Some(mut pipeline) if complaints.iter().all(|d| d.severity == Severity::Warning) => {
            let said = complaints.iter().map(|d| format!("{}: {}", d.place, d.message()));
            pipeline.warnings.extend(said);
            Ok(pipeline)
        }
        _ => Err(complaints
            .into_iter()
            .filter(|d| d.severity == Severity::Error)
            .collect()),
    }
}

/// Resolves every pipeline and service with sample values, and keeps the complaints.
pub(crate) fn rehearse(definition: &Definition, files: &ResourceFiles, sink: &mut Sink) {
    for pipeline in &definition.pipelines {
        resolve_into(definition, pipeline, &Variables::sample(), files, sink);
    }
    template::rehearse_services(definition, sink);
}

fn resolve_into(
    definition: &Definition,
    pipeline: &PipelineDef,
    variables: &Variables,
    files: &ResourceFiles,
    sink: &mut Sink,
) -> Option<Pipeline> {
    let run = variables.all(definition.builds.registry.as_deref());
    let mut resolver = Resolver {
        definition,
        pipeline,
        run,
        commit: &variables.git_commit,
        files,
        outputs: BTreeMap::new(),
        slugs: BTreeMap::new(),
        sink,
    };
    let start = resolver.sink.len();
    let stages = resolver.stages();
    let builds = resolver.builds();
    if resolver.sink.failed_since(start) {
        return None;
    }
    Some(Pipeline {
        name: PipelineName::new(&pipeline.name.value),
        digest: definition.digest.clone(),
        stages,
        on_new_push: pipeline.on_new_push,
        groups: definition.groups.clone(),
        builds,
        outputs: BTreeMap::new(),
        warnings: definition.warnings.clone(),
    })
}

/// One resolution: what it reads, and what has been seen so far.
struct Resolver<'a> {
    definition: &'a Definition,
    pipeline: &'a PipelineDef,
    run: BTreeMap<String, String>,
    commit: &'a str,
    files: &'a ResourceFiles,
    /// Outputs of the steps that are over when the next one starts, by slug.
    outputs: BTreeMap<String, Vec<String>>,
    /// How often a slug was taken.
    slugs: BTreeMap<String, usize>,
    sink: &'a mut Sink,
}

impl Resolver<'_> {
    /// A slug that no step before has.
    fn slug(&mut self, name: &str) -> String {
        let slug = crate::slug::slug(name);
        let taken = self.slugs.entry(slug.clone()).or_insert(0);
        *taken += 1;
        match *taken {
            1 => slug,
            n => format!("{}-{n}", &slug[..slug.len().min(58)]),
        }
    }

    fn builds(&mut self) -> Builds {
        let builds = &self.definition.builds;
        let cluster = self.build_cluster();
        if cluster.is_none() && self.has_plugin() {
            let found = "no cluster for the Plugin steps";
            self.sink.push(
                Diagnostic::reference(&self.pipeline.name.place, found)
                    .expected("`cluster` in the `builds` section, or an environment"),
            );
        }
        Builds {
            cluster: ClusterName::new(cluster.unwrap_or_default()),
            namespace: Namespace::new(builds.namespace.as_deref().unwrap_or(BUILD_NAMESPACE)),
            fetch_image: builds.fetch_image.clone().unwrap_or_else(|| FETCH_IMAGE.into()),
        }
    }

    /// Where commands run: as written, else in the first cluster.
    fn build_cluster(&self) -> Option<String> {
        let written = self.definition.builds.cluster.as_ref();
        written
            .map(|cluster| cluster.value.clone())
            .or_else(|| self.first_cluster())
    }

    /// The cluster of the first environment that the pipeline reaches, else of the first that there is.
    fn first_cluster(&self) -> Option<String> {
        let steps = self.pipeline.stages.iter().flat_map(|stage| &stage.steps);
        let reached = steps.filter_map(|step| place::environment(self.definition, step).ok());
        reached
            .chain(&self.definition.environments)
            .next()
            .map(|environment| environment.cluster.value.clone())
    }

    fn has_plugin(&self) -> bool {
        let mut steps = self.pipeline.stages.iter().flat_map(|stage| &stage.steps);
        steps.any(|step| matches!(step.work, crate::definition::StepDefWork::Plugin(_)))
    }
}

/// A complaint that another file may cure, when files may be missing.
fn missing(place: &Place, found: String, incomplete: bool) -> Diagnostic {
    let class = if incomplete {
        Class::Reference
    } else {
        Class::Fault
    };
    Diagnostic {
        class,
        ..Diagnostic::error(place, found)
    }
}
