//! Which run is meant.

use weir_app::{Store, StoreError, with_causes};
use weir_domain::ids::RunId;
use weir_domain::run::Run;

use crate::protocol::Answer;
use crate::store::SqliteStore;

/// Finds the run that a person names: `42`, `LLM-Model-Update#42`, or `run-9f2c…`.
///
/// # Errors
/// The answer for the person: there is none, or several.
pub(crate) async fn find(store: &SqliteStore, name: &str) -> Result<Run, Answer> {
    let name = name.trim();
    let mut found = candidates(store, name)
        .await
        .map_err(|error| Answer::Failed(with_causes(&error)))?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Answer::Failed(format!(
            "there is no run `{name}`; name it by number, PIPELINE#NUMBER or id, as `weir runs` lists them"
        ))),
        _ => Err(Answer::Failed(ambiguous(name, &found))),
    }
}

async fn candidates(store: &SqliteStore, name: &str) -> Result<Vec<Run>, StoreError> {
    let (pipeline, number) = match name.rsplit_once('#') {
        Some((pipeline, number)) => (pipeline.trim(), number),
        None => ("", name),
    };
    if let Ok(number) = number.trim().parse::<u64>() {
        let mut runs = store.numbered(number).await?;
        // Pipelines may differ in case alone; then only the exact name will do.
        let fits = |run: &Run, exact: bool| {
            let own = run.pipeline.name.as_str();
            pipeline.is_empty() || own == pipeline || (!exact && own.eq_ignore_ascii_case(pipeline))
        };
        runs.retain(|run| fits(run, false));
        if runs.len() > 1 {
            runs.retain(|run| fits(run, true));
        }
        return Ok(runs);
    }
    let loaded = store.load(&RunId::new(name)).await?;
    Ok(loaded.map(|loaded| loaded.state.run).into_iter().collect())
}

fn ambiguous(name: &str, runs: &[Run]) -> String {
    let list: Vec<String> = runs
        .iter()
        .map(|run| {
            let (pipeline, number) = (&run.pipeline.name, run.number);
            format!("'{pipeline}#{number}' ({})", run.status.word().replace('_', " "))
        })
        .collect();
    format!(
        "`{name}` is the number of several runs; say which: {}",
        list.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_contracts::sample::first;

    async fn store(dir: &tempfile::TempDir) -> SqliteStore {
        let store = SqliteStore::open(&dir.path().join("weir.db")).unwrap();
        for (id, pipeline) in [("a", "Build"), ("b", "Model Update")] {
            let mut commit = first(id);
            std::sync::Arc::make_mut(&mut commit.run.pipeline).name =
                weir_domain::ids::PipelineName::new(pipeline);
            commit.run.number = 7;
            store.commit(commit).await.unwrap();
        }
        store
    }

    #[tokio::test]
    async fn a_run_is_found_by_pipeline_and_number_or_by_id() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        for (name, id) in [
            ("build#7", "run-a"),
            ("Model Update #7", "run-b"),
            (" run-b ", "run-b"),
        ] {
            assert_eq!(find(&store, name).await.unwrap().id, RunId::new(id), "{name}");
        }
    }

    #[tokio::test]
    async fn a_number_of_several_runs_lists_them_and_one_of_none_says_how_to_name_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let table = [
            ("7", "'Build#7' (running), 'Model Update#7' (running)"),
            ("8", "there is no run `8`"),
            ("Other#7", "there is no run `Other#7`"),
            ("run-c", "there is no run `run-c`"),
        ];
        for (name, words) in table {
            let Err(Answer::Failed(told)) = find(&store, name).await else {
                panic!("{name} was found")
            };
            assert!(told.contains(words), "{told}");
        }
    }
}
