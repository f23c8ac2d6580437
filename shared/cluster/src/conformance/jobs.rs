//! Kubernetes Jobs that do nothing.

use serde_json::{Value, json};

use super::{Measured, NAME, Site, What};

impl Site<'_> {
    /// Starts one after another and waits for each to end.
    pub(super) async fn jobs(&self) -> Result<Measured, String> {
        let jobs = format!("/apis/batch/v1/namespaces/{}/jobs", self.probe.namespace);
        let path = format!("{jobs}/{NAME}");
        let pod = json!({"restartPolicy": "Never", "containers": [self.container("true")]});
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": NAME},
            "spec": {"backoffLimit": 0, "template": {"spec": pod}},
        });
        let ended = |job: &Value| job["status"]["succeeded"] == 1;
        let mut took = Vec::new();
        for _ in 0..self.probe.starts {
            self.made(&jobs, &path, &job).await?;
            let began = self.clock.now();
            let waited = self
                .until(&path, began, "at its end", &mut Vec::new(), ended)
                .await;
            self.removed(&path).await?;
            took.push(waited?);
        }
        Ok(Measured {
            what: What::Job,
            took,
        })
    }
}
