//! Line plots as SVG, readable in light and dark.

use std::fmt::Write as _;

/// A named line.
pub(crate) struct Line {
    /// What it is.
    pub name: String,
    /// Points.
    pub points: Vec<(f64, f64)>,
}

const COLOURS: [&str; 5] = ["#0b7285", "#d9480f", "#868e96", "#862e9c", "#2b8a3e"];
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;

/// Draws lines over `0..x_max`, in percent.
pub(crate) fn percent_over_time(title: &str, x_name: &str, x_max: f64, lines: &[Line]) -> String {
    let (w, h) = (WIDTH - LEFT - 220.0, HEIGHT - TOP - 50.0);
    let at = |x: f64, y: f64| (LEFT + w * x / x_max, TOP + h * (1.0 - y));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\" fill=\"#212529\">{title}</text>\n"
    );
    for tick in 0..=4 {
        let part = f64::from(tick) / 4.0;
        let (x, y) = at(x_max * part, part);
        let (right, bottom) = (LEFT + w, TOP + h);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#dee2e6\"/><text x=\"{:.1}\" y=\"{:.1}\" fill=\"#495057\" \
             text-anchor=\"end\">{:.0} %</text><text x=\"{x:.1}\" y=\"{:.1}\" fill=\"#495057\" text-anchor=\"middle\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            part * 100.0,
            bottom + 18.0,
            x_max * part
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#495057\" text-anchor=\"middle\">{x_name}</text>",
        LEFT + w / 2.0,
        TOP + h + 38.0
    );
    for (i, line) in lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let path: Vec<String> = line
            .points
            .iter()
            .map(|(x, y)| at(*x, *y))
            .map(|(x, y)| format!("{x:.1} {y:.1}"))
            .collect();
        let y = TOP + 16.0 + 20.0 * i as f64;
        let _ = writeln!(
            out,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"/><path d=\"M{} {}h24\" \
             stroke=\"{colour}\" stroke-width=\"2.5\"/><text x=\"{}\" y=\"{y}\" fill=\"#212529\">{}</text>",
            path.join("L"),
            LEFT + w + 16.0,
            y - 4.0,
            LEFT + w + 46.0,
            line.name
        );
    }
    out + "</svg>\n"
}
