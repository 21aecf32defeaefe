//! Plots as SVG: bars in groups, points with a line, curves over time.

use std::fmt::Write as _;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 340.0;
/// Room around the axes: left, right, top, below.
const MARGIN: [f64; 4] = [60.0, 20.0, 40.0, 70.0];
/// Colours that can be told apart by everybody (Okabe and Ito).
const COLORS: [&str; 8] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#666666"];

/// Text as XML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A plot being drawn: where its coordinates are.
struct Canvas {
    svg: String,
    x: [f64; 2],
    y: [f64; 2],
}

impl Canvas {
    fn new(title: &str, x: [f64; 2], y: [f64; 2]) -> Canvas {
        // An axis without extent has no middle.
        let wide = |[low, high]: [f64; 2]| if high > low { [low, high] } else { [low, low + 1.0] };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"11\"><rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>"
        );
        let _ = write!(svg, "<text x=\"{}\" y=\"16\" font-size=\"13\">{}</text>", MARGIN[0], escaped(title));
        Canvas { svg, x: wide(x), y: wide(y) }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let share = |value: f64, [low, high]: [f64; 2]| ((value - low) / (high - low)).clamp(-0.05, 1.05);
        let (right, bottom) = (WIDTH - MARGIN[1], HEIGHT - MARGIN[3]);
        (MARGIN[0] + share(x, self.x) * (right - MARGIN[0]), bottom - share(y, self.y) * (bottom - MARGIN[2]))
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        let ((x1, y1), (x2, y2)) = (self.at(from.0, from.1), self.at(to.0, to.1));
        let _ =
            write!(self.svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" style=\"{style}\"/>");
    }

    fn text(&mut self, (x, y): (f64, f64), attributes: &str, text: &str) {
        let _ = write!(self.svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{}</text>", escaped(text));
    }

    /// Lines across at round numbers, and what the axes are.
    fn grid(&mut self, y_label: &str, x_label: &str) {
        let step = round_step((self.y[1] - self.y[0]) / 5.0);
        let mut value = (self.y[0] / step).ceil() * step;
        while value <= self.y[1] + step * 1e-6 {
            self.line((self.x[0], value), (self.x[1], value), "stroke:#ddd");
            let at = self.at(self.x[0], value);
            let digits = usize::try_from((-step.log10().floor()).max(0.0) as i64).unwrap_or(0);
            self.text((at.0 - 6.0, at.1 + 4.0), "text-anchor=\"end\"", &format!("{value:.digits$}"));
            value += step;
        }
        self.text((8.0, MARGIN[2] - 8.0), "", y_label);
        self.text((WIDTH - MARGIN[1], HEIGHT - 6.0), "text-anchor=\"end\"", x_label);
    }

    fn legend(&mut self, names: &[&str]) {
        let mut x = MARGIN[0] + 120.0;
        for (index, name) in names.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let _ = write!(self.svg, "<rect x=\"{x:.1}\" y=\"24\" width=\"10\" height=\"10\" fill=\"{color}\"/>");
            self.text((x + 14.0, 33.0), "", name);
            x += 30.0 + 6.5 * name.len() as f64;
        }
    }

    fn finish(mut self) -> String {
        self.svg.push_str("</svg>\n");
        self.svg
    }
}

/// 1, 2 or 5 times a power of ten, at least as large.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|&round| round >= step * 0.999).unwrap_or(step)
}

/// A bar, and how far its value may be off.
pub type Bar = Option<(f64, f64)>;

/// Bars in groups: a group for each name, a bar in it for each series. There is a line at 1.
pub fn bars(title: &str, y_label: &str, groups: &[String], series: &[(&str, Vec<Bar>)]) -> String {
    // A bar that is much higher than the others is cut.
    let mut heights: Vec<f64> = series.iter().flat_map(|(_, bars)| bars.iter().flatten().map(|bar| bar.0)).collect();
    heights.sort_by(f64::total_cmp);
    let most = heights.get(heights.len().saturating_sub(1) * 95 / 100).copied().unwrap_or(1.0);
    let mut canvas = Canvas::new(title, [0.0, groups.len() as f64], [0.0, (most * 1.15).max(1.1)]);
    canvas.grid(y_label, "");
    let width = 0.8 / series.len().max(1) as f64;
    for (number, (_, bars)) in series.iter().enumerate() {
        for (group, bar) in bars.iter().enumerate() {
            let Some((value, spread)) = *bar else { continue };
            let left = group as f64 + 0.1 + number as f64 * width;
            let ((x1, y1), (x2, y2)) = (canvas.at(left, value), canvas.at(left + width * 0.92, 0.0));
            let _ = write!(
                canvas.svg,
                "<rect x=\"{x1:.1}\" y=\"{y1:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"><title>{value:.3}</title></rect>",
                x2 - x1,
                (y2 - y1).max(0.0),
                COLORS[number % COLORS.len()]
            );
            if spread > 0.0 {
                let middle = left + width * 0.46;
                canvas.line((middle, value - spread), (middle, value + spread), "stroke:black");
            }
        }
    }
    canvas.line((0.0, 1.0), (groups.len() as f64, 1.0), "stroke:black;stroke-dasharray:4");
    for (group, name) in groups.iter().enumerate() {
        let (x, y) = canvas.at(group as f64 + 0.5, 0.0);
        let turned = format!("text-anchor=\"end\" transform=\"rotate(-35 {x:.1} {:.1})\"", y + 12.0);
        canvas.text((x, y + 12.0), &turned, name);
    }
    let names: Vec<&str> = series.iter().map(|(name, _)| *name).collect();
    canvas.legend(&names);
    canvas.finish()
}

/// Points, and the line from `line.0` up by `line.1`.
pub fn scatter(title: &str, labels: (&str, &str), points: &[(f64, f64)], line: (f64, f64)) -> String {
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let (x, y) = (most(&mut points.iter().map(|p| p.0)) * 1.05, most(&mut points.iter().map(|p| p.1)) * 1.1);
    let mut canvas = Canvas::new(title, [0.0, x], [0.0, y]);
    canvas.grid(labels.1, labels.0);
    canvas.line((0.0, line.0), (x, line.0 + line.1 * x), "stroke:#0072b2;stroke-width:1.5");
    for &(x, y) in points {
        let (x, y) = canvas.at(x, y);
        let _ = write!(canvas.svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\"/>");
    }
    canvas.finish()
}

/// A curve: its name, its points, and places on the horizontal axis to be marked, with what they are.
pub type Curve<'a> = (&'a str, Vec<(f64, f64)>, Vec<(f64, u8)>);

/// Curves over time. Marks of tier 1 stand at the bottom, those of tier 2 above.
pub fn curves(title: &str, labels: (&str, &str), curves: &[Curve<'_>]) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.1);
    let (x, y) = (points().map(|p| p.0).fold(0.0, f64::max), points().map(|p| p.1).fold(0.0, f64::max));
    let mut canvas = Canvas::new(title, [0.0, x], [0.0, y * 1.1]);
    canvas.grid(labels.1, labels.0);
    for (number, (_, points, marks)) in curves.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        for &(at, tier) in marks.iter().filter(|mark| mark.0 <= x) {
            let (low, high) = if tier == 1 { (0.0, y * 0.03) } else { (y * 0.04, y * 0.07) };
            canvas.line((at, low), (at, high), &format!("stroke:{color}"));
        }
        for pair in points.windows(2) {
            canvas.line(pair[0], pair[1], &format!("stroke:{color};stroke-width:1.5"));
        }
        for &(x, y) in points {
            let (x, y) = canvas.at(x, y);
            let _ = write!(canvas.svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{color}\"/>");
        }
    }
    let names: Vec<&str> = curves.iter().map(|curve| curve.0).collect();
    canvas.legend(&names);
    canvas.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_drawn_where_there_are_values() {
        let groups = ["a".to_owned(), "b<c".to_owned()];
        let svg = bars("t", "y", &groups, &[("one", vec![Some((0.5, 0.1)), None]), ("two", vec![Some((2.0, 0.0)); 2])]);
        assert_eq!(svg.matches("<title>").count(), 3);
        assert!(svg.contains("b&lt;c") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn plots_of_nothing_are_plots() {
        for svg in [bars("t", "y", &[], &[]), scatter("t", ("x", "y"), &[], (0.0, 0.0)), curves("t", ("x", "y"), &[])] {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        }
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([0.03, 0.2, 0.7, 1.0, 30.0].map(round_step), [0.05, 0.2, 1.0, 1.0, 50.0]);
    }
}
