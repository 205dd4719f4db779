//! `make earliness`: the figures of docs/earliness.md and docs/projection.md, as the tables that stand there.

use anyhow::{Context, Result};
use attendance::forecast::{Model, fit};
use clap::Parser;
use earliness::cohort::Cohort;
use earliness::judged::{DAYS, Judged, judge};
use earliness::kinds::{self, KINDS};
use earliness::{county, regression};
use std::fs;
use std::path::PathBuf;

/// The kinds whose pupils the numbers that ship are fitted on: the spells of the others lie between theirs.
const FITTED_ON: [&str; 3] = ["county", "short spells", "long spells"];

#[derive(Debug, Parser)]
struct Arguments {
    /// Pupils of each kind; half of them are learnt from, the others judged.
    #[arg(long, default_value_t = 12_000)]
    pupils: usize,
    /// Writes the numbers of the forecast here: what ships as `deploy/policy/projection.toml`.
    #[arg(long)]
    projection: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut cohorts = vec![county::cohort(1, arguments.pupils)?];
    cohorts.extend(KINDS.iter().zip(10..).map(|(kind, seed)| kinds::cohort(kind, seed, arguments.pupils)));
    let halves: Vec<(Cohort, Cohort)> = cohorts.into_iter().map(Cohort::halves).collect();
    let (mut children, mut pupils) = (Vec::new(), Vec::new());
    for (learn, _) in halves.iter().filter(|(learn, _)| FITTED_ON.contains(&learn.name)) {
        children.extend(learn.children());
        pupils.push(learn);
    }
    let source = format!(
        "make earliness: {} invented pupils of the kinds {} (docs/earliness.md); use `earlybell fit` on your own registers",
        children.len(),
        FITTED_ON.join(", ")
    );
    let model = fit(&children, source)?;
    if let Some(path) = &arguments.projection {
        let text = policy::write_projection(&model);
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let other = other_model(&pupils, &model);
    let mut all = Vec::new();
    for (learn, test) in &halves {
        eprintln!("{} …", test.name);
        let own = fit(&learn.children(), test.name.to_owned())?;
        all.push(judge(learn, test, (&model, &own), &other));
    }
    tables(&all);
    println!("\nThe regression's coefficients, by school day:\n");
    println!("| figure | {} |", DAYS.map(|day| day.to_string()).join(" | "));
    println!("|---|{}", "---:|".repeat(DAYS.len()));
    for (place, figure) in regression::FIGURES.iter().enumerate() {
        let row: Vec<String> = other.iter().map(|coefficients| format!("{:.2}", coefficients[place])).collect();
        println!("| {figure} | {} |", row.join(" | "));
    }
    Ok(())
}

/// The regression, fitted on the same pupils for each of the days.
fn other_model(cohorts: &[&Cohort], model: &Model) -> [[f64; regression::FIGURES.len()]; DAYS.len()] {
    let seen: Vec<_> = cohorts.iter().map(|cohort| earliness::judged::seen(cohort, model)).collect();
    DAYS.map(|day| {
        let (mut rows, mut ended) = (Vec::new(), Vec::new());
        for (cohort, seen) in cohorts.iter().zip(&seen) {
            for (pupil, evenings) in cohort.pupils.iter().zip(seen) {
                rows.push(regression::figures(pupil, &evenings[day - 1]));
                ended.push(pupil.is_persistent());
            }
        }
        regression::fit(&rows, &ended)
    })
}

fn tables(all: &[Judged]) {
    let mark = |name: &str| if FITTED_ON.contains(&name) { format!("{name} *") } else { name.to_owned() };
    println!("\nWho ends the year persistently absent, by school day. * fitted on other pupils of this kind.\n");
    println!(
        "| kind | day | AUC: rate so far | rate and spells | regression | ours | boosted | recall at the rate rule's precision: rate | \
         ours | boosted | calibration error | after `fit` on the kind | regression's |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for judged in all {
        for day in &judged.days {
            println!(
                "| {} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.0}% | {:.0}% | {:.0}% | {:.3} | {:.3} | {:.3} |",
                mark(judged.name),
                day.day,
                day.auc_rate,
                day.auc_spells,
                day.auc_regression,
                day.auc,
                day.auc_limit,
                day.recall_rate * 100.0,
                day.recall * 100.0,
                day.recall_limit * 100.0,
                day.calibration,
                day.calibration_own,
                day.calibration_regression,
            );
        }
    }
    println!("\nAbsence still to come when 20% of pupils are flagged over the year, of all absence.\n");
    println!(
        "| kind | list at Christmas | list at October half term | 2 days in September | daily rate | rate and spells | ours | \
         without the year before | boosted | perfect foresight |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for judged in all {
        let shares: Vec<String> = judged.to_come.iter().map(|share| format!("{:.1}%", share * 100.0)).collect();
        println!("| {} | {} |", mark(judged.name), shares.join(" | "));
    }
    println!(
        "\nBreaking off: school days, the median, from the break to the flag, and the share flagged of those who end below 10%.\n"
    );
    println!(
        "| kind | who broke off | \"rate at least 10%\": days | flagged of the others | change: days at the same share | at 6% |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for judged in all {
        let Some(broke) = &judged.break_offs else { continue };
        println!(
            "| {} | {} | {} | {:.0}% | {} (at {:.0} points) | {} (at {:.0} points) |",
            mark(judged.name),
            broke.pupils,
            broke.rate_days,
            broke.false_share * 100.0,
            broke.same.0,
            broke.same.1,
            broke.few.0,
            broke.few.1,
        );
    }
}
