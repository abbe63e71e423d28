//! Plots as SVG files, legible on light and on dark pages, whose text is text.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use plotters::coord::Shift;
pub(crate) use plotters::prelude::SeriesLabelPosition;
use plotters::prelude::{
    ChartBuilder, Color, DrawingArea, IntoDrawingArea, IntoFont, LineSeries, PathElement, RGBColor, Rectangle,
    SVGBackend, TRANSPARENT, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What is drawn on.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A colour for light pages, and what a dark page has in its place.
struct Pair(RGBColor, &'static str);

const PAPER: Pair = Pair(RGBColor(0xff, 0xff, 0xff), "#0d1117");
const INK: Pair = Pair(RGBColor(0x1f, 0x23, 0x28), "#e6edf3");
const GRID: Pair = Pair(RGBColor(0xd8, 0xde, 0xe4), "#30363d");
const LINES: [Pair; 4] = [
    Pair(RGBColor(0x09, 0x69, 0xda), "#58a6ff"),
    Pair(RGBColor(0x6e, 0x77, 0x81), "#8b949e"),
    Pair(RGBColor(0xbc, 0x4c, 0x00), "#f0883e"),
    Pair(RGBColor(0x1a, 0x7f, 0x37), "#3fb950"),
];

/// Makes a file of this size, in pixels.
pub(crate) fn draw(path: &Path, size: (u32, u32), body: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<()> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&PAPER.0)?;
        body(&area)?;
        area.present()?;
    }
    let (head, rest) = text.split_once(">\n").context("plotters wrote no SVG")?;
    Ok(std::fs::write(path, format!("{head}>\n{}{rest}", style()))?)
}

/// Dark pages: a colour is exchanged wherever an attribute has it.
fn style() -> String {
    let rule = |Pair(light, dark): &Pair| {
        let light = format!("#{:02X}{:02X}{:02X}", light.0, light.1, light.2);
        format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}\n")
    };
    let rules: String = [PAPER, INK, GRID].iter().chain(&LINES).map(rule).collect();
    format!("<style>@media (prefers-color-scheme: dark) {{\n{rules}}}</style>\n")
}

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK.0)
}

fn at(size: u32, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    font(size).pos(Pos::new(horizontal, vertical))
}

/// One line of a chart.
pub(crate) struct Curve<'a> {
    pub(crate) name: &'a str,
    /// Which of the colours.
    pub(crate) colour: usize,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A chart's words: what it shows, and what its axes have, with units.
pub(crate) struct Words<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
}

/// Lines over two axes; their names stand to the right, at the bottom or in the middle.
pub(crate) fn lines(
    area: &Area<'_>,
    words: &Words<'_>,
    (x, y): (Range<f64>, Range<f64>),
    curves: &[Curve<'_>],
    names: SeriesLabelPosition,
) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .caption(words.title, font(17))
        .margin(12)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc(words.x)
        .y_desc(words.y)
        .x_label_formatter(&|x| short(*x))
        .y_label_formatter(&|y| short(*y))
        .axis_desc_style(font(14))
        .label_style(font(13))
        .axis_style(INK.0)
        .bold_line_style(GRID.0)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for curve in curves {
        let style = LINES[curve.colour].0.stroke_width(2);
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), style))?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(names)
        .label_font(font(14))
        .background_style(PAPER.0)
        .border_style(GRID.0)
        .draw()?;
    Ok(())
}

/// One bar.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) colour: usize,
    pub(crate) figure: f64,
    /// What stands behind it.
    pub(crate) text: String,
}

/// Bars from the left, below each other, over decades or from zero; `room` is for their names, in pixels.
pub(crate) fn bars(area: &Area<'_>, words: &Words<'_>, decades: bool, room: u32, bars: &[Bar]) -> Result<()> {
    let place_of = |figure: f64| if decades { figure.log10() } else { figure };
    let places = || bars.iter().map(|bar| place_of(bar.figure));
    let (least, most) = (places().fold(f64::MAX, f64::min), places().fold(f64::MIN, f64::max));
    let range = if decades { (least - 0.3).floor()..most.ceil() } else { 0.0..most * 1.05 };
    let mut chart = ChartBuilder::on(area)
        .caption(words.title, font(17))
        .margin(12)
        .margin_right(70)
        .x_label_area_size(44)
        .y_label_area_size(room)
        .build_cartesian_2d(range.clone(), bars.len() as f64..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_desc(words.x)
        .x_labels(if decades { (range.end - range.start) as usize + 1 } else { 6 })
        .x_label_formatter(&|place| short(if decades { 10_f64.powf(*place) } else { *place }))
        .axis_desc_style(font(14))
        .label_style(font(13))
        .axis_style(INK.0)
        .bold_line_style(GRID.0)
        .light_line_style(TRANSPARENT)
        .draw()?;
    let (dx, dy) = area.get_base_pixel();
    for (row, bar) in bars.iter().enumerate() {
        let (row, end) = (row as f64, place_of(bar.figure));
        let corners = [(range.start, row + 0.15), (end, row + 0.85)];
        chart.draw_series([Rectangle::new(corners, LINES[bar.colour].0.filled())])?;
        let (left, middle) = chart.backend_coord(&(range.start, row + 0.5));
        let right = chart.backend_coord(&(end, row + 0.5)).0;
        area.draw_text(&bar.name, &at(13, HPos::Right, VPos::Center), (left - 6 - dx, middle - dy))?;
        area.draw_text(&bar.text, &at(13, HPos::Left, VPos::Center), (right + 5 - dx, middle - dy))?;
    }
    Ok(())
}

/// Thousands and millions by their letter.
pub(crate) fn short(figure: f64) -> String {
    match figure {
        figure if figure >= 1e6 => format!("{} M", digits(figure / 1e6)),
        figure if figure >= 1e4 => format!("{} k", digits(figure / 1e3)),
        figure => digits(figure),
    }
}

/// Two significant ones, or all before the point.
fn digits(figure: f64) -> String {
    let places = if figure >= 10.0 || figure.fract() == 0.0 {
        0
    } else if figure >= 0.995 {
        1
    } else {
        2
    };
    format!("{figure:.places$}")
}
