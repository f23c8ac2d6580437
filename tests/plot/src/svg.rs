//! Panels of lines over one axis of time, as SVG that is readable in light and dark.

use std::fmt::Write as _;

/// A named line.
pub struct Line {
    /// What it is.
    pub name: String,
    /// Points.
    pub points: Vec<(f64, f64)>,
}

/// Lines over the same range.
pub struct Panel {
    /// Unit of its axis, after each number: ` %`, ` GPUs`.
    pub unit: &'static str,
    /// The greatest value that it shows; the least is 0.
    pub most: f64,
    /// Parts that its axis is divided into.
    pub parts: u32,
    /// Height in units of the picture.
    pub height: f64,
    /// The lines.
    pub lines: Vec<Line>,
}

const COLOURS: [&str; 5] = ["#0b7285", "#d9480f", "#868e96", "#862e9c", "#2b8a3e"];
const WIDTH: f64 = 760.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 220.0;
const TOP: f64 = 40.0;
/// Between two panels, and below the last for its axis.
const GAP: f64 = 18.0;
const BELOW: f64 = 50.0;
/// Parts of the axis of time.
const PARTS: u32 = 4;

/// Draws panels over `0..x_max`.
pub fn draw(title: &str, x_name: &str, x_max: f64, panels: &[Panel]) -> String {
    let width = WIDTH - LEFT - RIGHT;
    let inside: f64 = panels.iter().map(|panel| panel.height + GAP).sum();
    let height = TOP + inside - GAP + BELOW;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\" fill=\"#212529\">{title}</text>\n"
    );
    let (mut top, mut colour) = (TOP, 0);
    for panel in panels {
        draw_panel(&mut out, panel, top, x_max, &mut colour);
        top += panel.height + GAP;
    }
    let bottom = top - GAP;
    for tick in 0..=PARTS {
        let part = f64::from(tick) / f64::from(PARTS);
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#495057\" text-anchor=\"middle\">{}</text>",
            LEFT + width * part,
            bottom + 18.0,
            short(x_max * part)
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#495057\" text-anchor=\"middle\">{x_name}</text>",
        LEFT + width / 2.0,
        bottom + 38.0
    );
    out + "</svg>\n"
}

fn draw_panel(out: &mut String, panel: &Panel, top: f64, x_max: f64, colour: &mut usize) {
    let width = WIDTH - LEFT - RIGHT;
    let at = |x: f64, y: f64| {
        (
            LEFT + width * x / x_max,
            top + panel.height * (1.0 - y / panel.most),
        )
    };
    for tick in 0..=panel.parts {
        let value = panel.most * f64::from(tick) / f64::from(panel.parts);
        let (_, y) = at(0.0, value);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#dee2e6\"/><text x=\"{:.1}\" y=\"{:.1}\" fill=\"#495057\" \
             text-anchor=\"end\">{}{}</text>",
            LEFT + width,
            LEFT - 8.0,
            y + 4.0,
            short(value),
            panel.unit
        );
    }
    for (n, line) in panel.lines.iter().enumerate() {
        let stroke = COLOURS[*colour % COLOURS.len()];
        *colour += 1;
        let path: Vec<String> = line
            .points
            .iter()
            .map(|(x, y)| at(*x, *y))
            .map(|(x, y)| format!("{x:.1} {y:.1}"))
            .collect();
        let y = top + 16.0 + 20.0 * n as f64;
        let legend = LEFT + width + 16.0;
        let _ = writeln!(
            out,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2.5\"/><path d=\"M{legend} {}h24\" \
             stroke=\"{stroke}\" stroke-width=\"2.5\"/><text x=\"{}\" y=\"{y}\" fill=\"#212529\">{}</text>",
            path.join("L"),
            y - 4.0,
            legend + 30.0,
            line.name
        );
    }
}

/// A number with a decimal only where it needs one.
fn short(value: f64) -> String {
    match (value - value.round()).abs() < 1e-9 {
        true => format!("{value:.0}"),
        false => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_corner_to_corner_of_its_panel() {
        let line = Line {
            name: "all of it".to_owned(),
            points: vec![(0.0, 0.0), (10.0, 100.0)],
        };
        let panel = Panel {
            unit: " %",
            most: 100.0,
            parts: 4,
            height: 200.0,
            lines: vec![line],
        };
        let svg = draw("Title", "seconds", 10.0, &[panel]);
        assert!(svg.contains("M70.0 240.0L540.0 40.0"), "{svg}");
        assert!(
            svg.contains(">25 %<") && svg.contains(">2.5<") && svg.contains(">all of it<"),
            "{svg}"
        );
    }
}
