//! What is ahead, as a user asks for it: the ranked list of a day, the report, and numbers of one's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

struct Run(TempDir);

impl Run {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn earlybell(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_earlybell")).current_dir(self.0.path()).args(arguments).output().unwrap()
    }

    fn good(&self, arguments: &[&str]) -> String {
        let output = self.earlybell(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.earlybell(arguments);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }
}

/// A county of so many pupils with its year before, as files.
fn county(run: &Run, pupils: &str) {
    let files =
        ["simulate", "year.csv", "--earlier", "before.csv", "--pupils-out", "pupils.csv", "--policy-out", "policy"];
    run.good(&[&files[..], &["--seed", "3", "--schools", "6", "--pupils", pupils]].concat());
}

#[test]
fn the_list_of_a_day_is_ranked_and_knows_nothing_of_what_came_later() {
    let run = Run::new();
    county(&run, "500");
    let list = |registers: &str, list: &str, more: &[&str]| {
        let fixed = ["backtest", "--registers", registers, "--registers", "before.csv", "--pupils", "pupils.csv"];
        let asked = ["--as-of", "2025-10-23", "--list", list];
        run.good(&[&fixed[..], &asked, more].concat());
        run.read(list)
    };
    let all = list("year.csv", "all.csv", &["--policy", "policy"]);
    // What was known that evening: rows revised until then.
    let known = |line: &&str| line.rsplit(',').next().is_some_and(|at| at < "2025-10-24" || at.starts_with("revised"));
    let until: Vec<&str> = Box::leak(run.read("year.csv").into_boxed_str()).lines().filter(known).collect();
    fs::write(run.path("until.csv"), until.join("\n") + "\n").unwrap();
    assert_eq!(list("until.csv", "until-list.csv", &["--policy", "policy"]), all, "nothing later changes it");
    let mut lines = all.lines();
    let columns =
        "upn,school_urn,possible,absent,rate,probability_persistent,probability_severe,expected_missed,urgency";
    assert_eq!(lines.next(), Some(columns));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert!(rows.len() > 450, "a line a pupil: {}", rows.len());
    let number = |row: &Vec<&str>, at: usize| -> f64 { row[at].parse().unwrap() };
    assert!(rows.windows(2).all(|pair| number(&pair[0], 7) >= number(&pair[1], 7)), "the most urgent first");
    for row in &rows {
        let (persistent, severe) = (number(row, 5), number(row, 6));
        assert!((0.0..=1.0).contains(&persistent) && severe <= persistent + 0.05, "{row:?}");
        assert!((number(row, 8) - number(row, 7)).abs() <= 0.55, "the urgency is what is expected, whole: {row:?}");
    }
    // Those at the top miss far more afterwards than those at the bottom.
    let records = || {
        let backtest = ["backtest", "--registers", "year.csv", "--policy", "policy", "--records", "records.csv"];
        run.good(&backtest);
        run.read("records.csv")
    };
    let records = records();
    let absent = |upn: &str| -> f64 {
        let line = records.lines().find(|line| line.starts_with(upn)).unwrap();
        line.split(',').nth(2).unwrap().parse().unwrap()
    };
    let later = |rows: &[Vec<&str>]| rows.iter().map(|row| absent(row[0]) - number(row, 3)).sum::<f64>();
    let (top, bottom) = (later(&rows[..50]), later(&rows[rows.len() - 50..]));
    assert!(top > 4.0 * bottom, "{top} {bottom}");
    // Without a policy the calendar is what was seen, and nothing of it that came later.
    let without = list("year.csv", "without.csv", &[]);
    assert_eq!(list("until.csv", "without-until.csv", &[]), without);
}

#[test]
fn a_list_needs_a_day_and_a_day_a_list() {
    let run = Run::new();
    fs::write(run.path("r.csv"), "school_urn,date,session,upn,code\n900001,2025-09-03,AM,R900001000001,/\n").unwrap();
    assert!(run.refused(&["backtest", "--registers", "r.csv", "--list", "l.csv"]).contains("--as-of"));
    assert!(run.refused(&["backtest", "--registers", "r.csv", "--as-of", "2025-10-23"]).contains("--list"));
    let told = run.refused(&["backtest", "--registers", "r.csv", "--as-of", "23 October", "--list", "l.csv"]);
    assert!(told.contains("23 October"), "{told}");
    let same = run.refused(&["backtest", "--registers", "r.csv", "--html", "r.csv"]);
    assert!(same.contains("--html r.csv is the same file as --registers r.csv"), "{same}");
}

#[test]
fn the_report_is_one_page_that_needs_nothing_else() {
    let run = Run::new();
    county(&run, "300");
    let files = ["backtest", "--registers", "year.csv", "--registers", "before.csv", "--pupils", "pupils.csv"];
    let told = run.good(&[&files[..], &["--policy", "policy", "--html", "report.html"]].concat());
    assert!(told.contains("forecast on the evening of"), "{told}");
    let page = run.read("report.html");
    for part in
        ["<svg", "What flags were worth", "Whether forecasts came true", "Phase: Primary", "expected", "in 2025"]
    {
        assert!(page.contains(part), "{part}");
    }
    for foreign in ["http://", "https://", "<script", "src=", "R900", "NaN", "inf%"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn numbers_of_ones_own_are_fitted_checked_and_used() {
    let run = Run::new();
    county(&run, "1250");
    let fit =
        ["fit", "--registers", "before.csv", "--registers", "year.csv", "--year", "2025/26", "--pupils", "pupils.csv"];
    let told = run.good(&[&fit[..], &["--policy", "policy", "--out", "policy/projection.toml"]].concat());
    assert!(told.contains("pupils of 2025/26") && told.contains("wrote policy/projection.toml"), "{told}");
    let written = run.read("policy/projection.toml");
    assert!(written.contains("source = \"earlybell fit: ") && written.contains("[[after]]"), "{written}");
    assert!(run.good(&["check", "policy"]).contains("sound"));
    let backtest = ["backtest", "--json", "--registers", "year.csv", "--registers", "before.csv", "--policy", "policy"];
    let errors = |more: &[&str]| -> f64 {
        let told: serde_json::Value = serde_json::from_str(&run.good(&[&backtest[..], more].concat())).unwrap();
        let evenings = told["calibration"].as_array().unwrap();
        assert_eq!(evenings.len(), 5);
        evenings.iter().map(|evening| evening["error"].as_f64().unwrap()).sum::<f64>() / 5.0
    };
    let own = errors(&[]);
    assert!(own < 0.04, "{own}");
    // A file that does not read is told with its place.
    fs::write(run.path("policy/projection.toml"), written.replacen("change = 0.", "change = 7.", 1)).unwrap();
    let wrong = run.refused(&["check", "policy"]);
    assert!(wrong.contains("projection.toml: the chance to change"), "{wrong}");
    fs::remove_file(run.path("policy/projection.toml")).unwrap();
    assert!(errors(&[]) < 0.08);
    let few = run.refused(&["fit", "--registers", "year.csv", "--year", "2024/25", "--out", "p.toml"]);
    assert!(few.contains("only 0 pupils have 100 possible sessions or more in 2024/25"), "{few}");
    assert!(!run.path("p.toml").exists());
    let lost = run.refused(&["fit", "--registers", "year.csv", "--out", "year.csv"]);
    assert!(lost.contains("--out year.csv is the same file as --registers year.csv"), "{lost}");
}

#[test]
fn the_year_before_is_of_the_same_children() {
    let run = Run::new();
    county(&run, "300");
    let pupils = |name: &str| -> std::collections::BTreeSet<String> {
        run.read(name).lines().skip(1).filter_map(|line| line.split(',').nth(3)).map(str::to_owned).collect()
    };
    let (before, year) = (pupils("before.csv"), pupils("year.csv"));
    let both = before.intersection(&year).count();
    assert!(both * 10 > year.len() * 7, "{both} of {}", year.len());
    assert!(run.read("before.csv").lines().nth(1).unwrap().contains(",2024-09-"));
    assert!(Path::new(&run.path("policy/rules.toml")).exists());
}
