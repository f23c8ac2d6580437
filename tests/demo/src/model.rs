//! Models: safetensors files, small ones, whose metadata say how the simulator behaves.

use serde_json::{Value, json};

/// Bytes of weights: enough to have a digest of their own.
const WEIGHTS: usize = 64;

/// A model that behaves well: two seconds to load, answers begin within some hundred milliseconds.
pub fn good() -> Value {
    json!({
        "name": "ai-service",
        "load_seconds": 2.0,
        "warm_up_generations": 2,
        "latency_ms": {"p50": 60.0, "p99": 250.0},
        "tokens": {"min": 8, "max": 40, "per_second": 20.0},
    })
}

/// A model that fails four of ten requests as soon as it has more than a smoke test to answer.
pub fn errs_under_load() -> Value {
    let mut settings = good();
    settings["error_ratio_above_rps"] = json!({"rps": 1.0, "ratio": 0.4});
    settings
}

/// A model that crashes at its thirtieth request.
pub fn crashes_while_serving() -> Value {
    crashes_after(30)
}

/// A model that crashes at this request.
pub fn crashes_after(requests: u64) -> Value {
    let mut settings = good();
    settings["crash_after_requests"] = json!(requests);
    settings
}

/// The file of a model: eight bytes of length, JSON, then the tensors. `seed` makes its weights its own.
pub fn file(settings: &Value, seed: u8) -> Vec<u8> {
    let header = json!({
        "__metadata__": {"settings": settings.to_string()},
        "layers.0.weight": {"dtype": "U8", "shape": [WEIGHTS], "data_offsets": [0, WEIGHTS]},
    })
    .to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend((0..WEIGHTS).map(|n| {
        u8::try_from(n)
            .unwrap_or_default()
            .wrapping_mul(31)
            .wrapping_add(seed)
    }));
    file
}
