//! Prints the JSON Schema of a definition, or with `reference` the reference page's table of keys.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let text = if std::env::args().nth(1).as_deref() == Some("reference") {
        weir_spec::reference()
    } else {
        format!("{:#}\n", weir_spec::schema())
    };
    std::io::stdout().write_all(text.as_bytes())
}
