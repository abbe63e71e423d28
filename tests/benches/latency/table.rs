//! What was measured, as one table.

use std::fmt;

/// Times or sizes of the same thing.
#[derive(Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Samples {
        Samples(samples.into_iter().collect())
    }
}

impl Samples {
    pub(crate) const fn new() -> Samples {
        Samples(Vec::new())
    }

    pub(crate) fn add(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// Those in the middle of the sorted ones, or elsewhere. Panics without any.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[(part * (sorted.len() - 1) as f64).round() as usize]
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// One line: nanova beside something else, or alone beside its goal.
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) nanova: f64,
    /// What it is beside, and that one's figure.
    pub(crate) beside: Option<(&'static str, f64)>,
    /// The most that the ratio should be, or the figure where nothing is beside it.
    pub(crate) goal: Option<f64>,
}

impl Line {
    /// The medians of both.
    pub(crate) fn of(what: impl Into<String>, nanova: &Samples, name: &'static str, other: &Samples) -> Line {
        let beside = Some((name, other.median()));
        Line { what: what.into(), unit: "us", nanova: nanova.median(), beside, goal: None }
    }

    /// Nanova's figure alone.
    pub(crate) fn alone(what: impl Into<String>, unit: &'static str, nanova: f64) -> Line {
        Line { what: what.into(), unit, nanova, beside: None, goal: None }
    }

    pub(crate) fn goal(self, goal: f64) -> Line {
        Line { goal: Some(goal), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.beside.map(|(_, figure)| self.nanova / figure)
    }

    /// Whether the goal is reached, if there is one.
    fn reached(&self) -> Option<bool> {
        self.goal.map(|goal| self.ratio().unwrap_or(self.nanova) <= goal)
    }

    /// The columns, as they are printed and shown.
    pub(crate) fn cells(&self) -> [String; 6] {
        let ratio = self.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let goal = self.goal.map(|goal| if self.beside.is_some() { format!("{goal:.2}") } else { number(goal) });
        let (name, figure) = self.beside.map(|(name, figure)| (name, number(figure))).unwrap_or_default();
        let mark = if self.reached() == Some(false) { " !" } else { "" };
        let nanova = format!("{} {}", number(self.nanova), self.unit);
        [self.what.clone(), nanova, figure, name.to_owned(), ratio, goal.unwrap_or_default() + mark]
    }
}

/// The columns' heads.
pub(crate) const HEADS: [&str; 6] = ["median", "nanova", "beside", "which is", "ratio", "goal"];

fn number(figure: f64) -> String {
    if figure < 1000.0 && figure.fract() != 0.0 { format!("{figure:.1}") } else { format!("{figure:.0}") }
}

/// All lines; "!" marks a goal that is not reached.
pub(crate) struct Table(pub(crate) Vec<Line>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = HEADS.map(str::to_owned);
        for [what, nanova, figure, name, ratio, goal] in std::iter::once(heads).chain(self.0.iter().map(Line::cells)) {
            writeln!(f, "{what:<52} {nanova:>12} {figure:>9} {name:<18} {ratio:>5} {goal:>8}")?;
        }
        Ok(())
    }
}
