//! A warm-up that generates: the startup probe asks the server for one answer, so that a pod that is Ready has generated.
//!
//! Kubernetes' own HTTP probes only GET, and nothing orders `postStart` before a pod is Ready. So a program of the image asks,
//! within the container: its failures are events of the pod, and nothing but the kubelet takes part.

use serde_json::{Value, json};
use weir_domain::time::Span;
use weir_domain::workload::WARM_UP;

use crate::definition::WarmUpDef;
use crate::diagnostic::{Diagnostic, Sink};
use crate::render::short;

/// How long an answer may take when nobody says otherwise: kernels may be compiled for it.
const DEFAULT_TIMEOUT: Span = Span::seconds(60);
/// The kubelet waits so much longer, so that what the program says is heard.
const BESIDE_TIMEOUT_S: u64 = 5;
/// Stands for the first model that the server names.
const MODEL: &str = "%model%";

/// Asks once, and says in one line why there was no answer. A server that does not listen, or says that it is not available,
/// still loads.
const SCRIPT: &str = r#"
import json, sys
from urllib import error, request
name, port, path, body, limit = sys.argv[1:6]
at = "http://127.0.0.1:" + port
client = request.build_opener(request.ProxyHandler({}))
def end(words):
    print(name + ": " + words)
    sys.exit(1)
try:
    if "%model%" in body:
        models = json.load(client.open(at + "/v1/models", timeout=5))
        body = body.replace("%model%", json.dumps(models["data"][0]["id"])[1:-1])
    headers = {"Content-Type": "application/json", "User-Agent": name}
    client.open(request.Request(at + path, body.encode(), headers), timeout=float(limit)).read()
except error.HTTPError as e:
    what = "HTTP %d %s" % (e.code, e.read(200).decode(errors="replace"))
    end("loads: " + what if e.code == 503 else "POST " + path + ": " + what)
except error.URLError as e:
    end("loads: %s" % e.reason if isinstance(e.reason, ConnectionError) else "POST " + path + ": %s" % e.reason)
except Exception as e:
    end("POST " + path + ": %s: %s" % (type(e).__name__, e))
"#;

/// Path and body by which a server is asked for a few tokens. Triton's path names a model, which nobody here knows.
fn preset(name: &str) -> (Option<&'static str>, &'static str) {
    match name {
        "sglang" => (
            Some("/generate"),
            r#"{"text": "Hello", "sampling_params": {"max_new_tokens": 8}}"#,
        ),
        "triton" => (None, r#"{"text_input": "Hello", "max_tokens": 8}"#),
        _ => (
            Some("/v1/completions"),
            r#"{"model": "%model%", "prompt": "Hello", "max_tokens": 8}"#,
        ),
    }
}

/// Makes the probe's question out of what is written of path and body, with the time it may take. Nothing if it cannot be asked, which is told.
pub(super) fn probe(
    asked: &WarmUpDef,
    port: u16,
    [path, body]: [Option<String>; 2],
    sink: &mut Sink,
) -> Option<Value> {
    let known = asked.preset.as_deref().map(preset);
    let path = path.or_else(|| known.and_then(|(path, _)| path).map(str::to_owned));
    let body = body.or_else(|| known.map(|(_, body)| body.to_owned()));
    let place = &asked.place;
    let (Some(path), Some(body)) = (path, body) else {
        let lacks = match (known, asked.preset.as_deref()) {
            (Some(_), Some(name)) => format!("`preset: {name}` without `path`"),
            _ => "a warm-up without a `preset` and without both `path` and `body`".to_owned(),
        };
        let help = "for example `path: /v2/models/NAME/generate` of Triton, or `preset: vllm`";
        let expected = "what to ask the server for";
        sink.push(Diagnostic::error(place, lacks).expected(expected).help(help));
        return None;
    };
    if !path.starts_with('/') {
        let found = format!("path `{}`", short(&path));
        sink.push(Diagnostic::error(place, found).expected("one that begins with `/`"));
        return None;
    }
    let timeout = asked.timeout.unwrap_or(DEFAULT_TIMEOUT).0.div_ceil(1_000).max(1);
    let command = match asked.tool.as_deref() {
        Some("curl") if body.contains(MODEL) => {
            let found = "curl, which cannot ask the server what its model is called".to_owned();
            let help = "write `body` with the name of the model, or let python3 ask";
            sink.push(Diagnostic::error(place, found).expected("a `body`").help(help));
            return None;
        }
        Some("curl") => json!([
            "curl",
            "-sSf",
            "-o",
            "/dev/null",
            "--noproxy",
            "*",
            "-m",
            timeout.to_string(),
            "-A",
            WARM_UP,
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
            format!("http://127.0.0.1:{port}{path}"),
        ]),
        _ => json!([
            "python3",
            "-c",
            SCRIPT,
            WARM_UP,
            port.to_string(),
            path,
            body,
            timeout.to_string()
        ]),
    };
    Some(json!({
        "exec": {"command": command},
        "timeoutSeconds": timeout + BESIDE_TIMEOUT_S,
    }))
}
