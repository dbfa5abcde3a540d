//! The contracts in numbers: `ci/lab/budgets.toml`. Benches judge their figures by it, `docs/specification.md` shows it to people.

use std::fmt;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

const BUDGETS: &str = include_str!("../budgets.toml");

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bench {
    Boot,
    Size,
    Memory,
    Latency,
    Hardware,
}

impl fmt::Display for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boot => "boot",
            Self::Size => "size",
            Self::Memory => "memory",
            Self::Latency => "latency",
            Self::Hardware => "hardware",
        })
    }
}

/// What one figure may be.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    pub figure: String,
    pub bench: Bench,
    pub unit: String,
    /// Above this the bench fails.
    pub limit: f64,
    /// Other programs on the same processors spoil it: CI, which cannot have a quiet computer, only warns.
    #[serde(default)]
    pub quiet: bool,
    /// What we want, where that is another number: noise of the machines that run the tests, or not reached yet.
    pub aim: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    budget: Vec<Budget>,
}

/// What a bench measured. Units are the budget's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value }
    }
}

/// All budgets, in the file's order.
pub fn all() -> Result<Vec<Budget>> {
    let file: File = toml::from_str(BUDGETS).context("ci/lab/budgets.toml")?;
    Ok(file.budget)
}

/// How strictly a bench's figures are judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leniency {
    /// Not every figure of the bench was asked for.
    pub partly: bool,
    /// The computer does other things, too: a missed budget that needs a quiet one is only a warning.
    pub busy: bool,
}

/// Prints each figure of `bench` beside its budget. Errors: figures above their limits, a figure without a budget, a budget whose
/// figure was not measured.
pub fn judge(
    bench: Bench,
    figures: &[Figure],
    leniency: Leniency,
    say: &mut impl FnMut(String),
) -> Result<()> {
    judge_by(&all()?, bench, figures, leniency, say)
}

fn judge_by(
    budgets: &[Budget],
    bench: Bench,
    figures: &[Figure],
    leniency: Leniency,
    say: &mut impl FnMut(String),
) -> Result<()> {
    let mut wrong = Vec::new();
    for figure in figures {
        let Figure { name, value } = figure;
        let Some(budget) = budgets.iter().find(|budget| budget.bench == bench && budget.figure == *name)
        else {
            wrong.push(format!("{name} has no budget"));
            continue;
        };
        let Budget { limit, unit, aim, quiet, .. } = budget;
        // Not `value > limit`: what is no number must fail.
        let above = value.partial_cmp(limit).is_none_or(|order| order.is_gt());
        let forgiven = leniency.busy && *quiet;
        let standing = match aim {
            _ if above && forgiven => "WARN: above the limit, which is for a quiet computer",
            _ if above => "ABOVE THE LIMIT",
            Some(aim) if value > aim => "within, aim missed",
            _ => "within",
        };
        let aim = aim.map_or(String::new(), |aim| format!(", aim {aim} {unit}"));
        say(format!("  {name:<34} {value:>9.3} {unit:<4} {standing} (limit {limit} {unit}{aim})"));
        if above && !forgiven {
            wrong.push(format!("{name} is {value:.3} {unit}, its limit is {limit} {unit}"));
        }
    }
    let measured = |budget: &&Budget| figures.iter().any(|figure| figure.name == budget.figure);
    let missing =
        budgets.iter().filter(|budget| budget.bench == bench && !leniency.partly).filter(|b| !measured(b));
    wrong.extend(missing.map(|budget| format!("{} was not measured", budget.figure)));
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("scripts/bench {bench}: {} (ci/lab/budgets.toml, docs/specification.md)", wrong.join("; "));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIFICATION: &str = include_str!("../../../docs/specification.md");

    fn budget(figure: &str, limit: f64) -> Budget {
        Budget {
            figure: figure.into(),
            bench: Bench::Size,
            unit: "MiB".into(),
            limit,
            quiet: figure == "b",
            aim: None,
        }
    }

    fn verdict(figures: &[Figure]) -> Result<(), String> {
        let budgets = [budget("a", 2.0), budget("b", 3.0)];
        let strict = Leniency::default();
        judge_by(&budgets, Bench::Size, figures, strict, &mut |_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn on_a_busy_computer_only_what_needs_a_quiet_one_is_forgiven() {
        let budgets = [budget("a", 2.0), budget("b", 3.0)];
        let judged = |a: f64, b: f64, busy: bool| {
            let figures = [Figure::new("a", a), Figure::new("b", b)];
            let mut said = String::new();
            let leniency = Leniency { busy, partly: false };
            let verdict =
                judge_by(&budgets, Bench::Size, &figures, leniency, &mut |line| said += &line).is_ok();
            (verdict, said.contains("WARN"))
        };
        assert_eq!(judged(1.0, 9.0, false), (false, false));
        assert_eq!(judged(1.0, 9.0, true), (true, true));
        assert_eq!(judged(9.0, 1.0, true), (false, false));
    }

    #[test]
    fn a_figure_above_its_limit_or_without_one_or_not_measured_is_a_breach() {
        let (a, b) = (Figure::new("a", 2.0), Figure::new("b", 1.0));
        assert_eq!(verdict(&[a.clone(), b.clone()]), Ok(()));
        let breach = |figures: &[Figure], said: &str| {
            let error = verdict(figures).unwrap_err();
            assert!(error.contains(said), "{error}");
        };
        breach(&[Figure::new("a", 2.01), b.clone()], "a is 2.010 MiB, its limit is 2 MiB");
        breach(&[Figure::new("a", f64::NAN), b.clone()], "a is NaN");
        breach(std::slice::from_ref(&a), "b was not measured");
        breach(&[a, b, Figure::new("c", 0.0)], "c has no budget");
    }

    /// A row's cells, trimmed.
    fn cells(row: &str) -> Vec<&str> {
        row.trim().trim_matches('|').split('|').map(str::trim).collect()
    }

    #[test]
    fn the_specification_shows_every_budget_as_it_is_and_a_figure_of_today_within_it() {
        let rows: Vec<Vec<&str>> =
            SPECIFICATION.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
        let budgets = all().unwrap();
        for budget in &budgets {
            let Budget { figure, bench, unit, limit, aim, quiet } = budget;
            let name = format!("`{figure}`");
            let row = rows.iter().find(|row| row.first() == Some(&name.as_str()));
            let row = row.unwrap_or_else(|| panic!("docs/specification.md has no row for {name}"));
            let &[_, what, limits, today, command, test] = &row[..] else {
                panic!("{name}: a row has six cells, this one {row:?}");
            };
            let fails =
                if *quiet { "`scripts/test bench-smoke` warns" } else { "`scripts/test bench-smoke`" };
            // CI weighs no ARMv7 programs: that takes a build of its own.
            let fails = if figure.contains("armv7") { "`scripts/test --long bench-smoke`" } else { fails };
            assert!(!what.is_empty() && test == fails, "{row:?}");
            assert_eq!(command, format!("`scripts/bench {bench}`"), "{name}");
            let aim = aim.map_or(String::new(), |aim| format!("; aim {aim} {unit}"));
            assert_eq!(limits, format!("{limit} {unit}{aim}"), "{name}");
            let value = today.strip_suffix(unit.as_str()).and_then(|value| value.trim().parse::<f64>().ok());
            let value = value.unwrap_or_else(|| panic!("{name}: '{today}' is no number of {unit}"));
            assert!(value <= *limit, "{name}: {value} of today is above {limit}");
        }
        assert_eq!(rows.len(), budgets.len(), "a row of docs/specification.md has no budget");
    }

    #[test]
    fn no_figure_has_two_budgets() {
        let budgets = all().unwrap();
        for (index, budget) in budgets.iter().enumerate() {
            let twice = budgets[..index].iter().any(|other| other.figure == budget.figure);
            assert!(!twice, "{}", budget.figure);
            assert!(budget.aim.is_none_or(|aim| aim < budget.limit), "{}", budget.figure);
        }
    }
}
