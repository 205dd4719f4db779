//! `earlybell backtest` as a user runs it: files in, files and a summary out.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

struct Run {
    folder: TempDir,
}

impl Run {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn earlybell(arguments: &[&Path]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_earlybell")).args(arguments).output().unwrap()
    }

    /// Runs a backtest of one file and gives records, alerts and what was printed.
    fn backtest(&self, registers: &Path, more: &[&Path]) -> (String, String, serde_json::Value) {
        let (records, alerts) = (self.path("records.csv"), self.path("alerts.csv"));
        let options = ["backtest", "--json", "--registers", "--records", "--alerts"].map(Path::new);
        let [command, json, registers_option, records_option, alerts_option] = options;
        let fixed = [command, json, registers_option, registers, records_option, &records, alerts_option, &alerts];
        let output = Self::earlybell(&[&fixed, more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        (read(&records), read(&alerts), serde_json::from_slice(&output.stdout).unwrap())
    }
}

const HEADER: &str = "school_urn,date,session,upn,code,minutes_late,revised_at\n";

/// The school days from Wednesday 3 September 2025 on.
fn school_days(count: usize) -> Vec<String> {
    let all = (3..=30).map(|day| (day, format!("2025-09-{day:02}")));
    let weekday = |day: &u32| !matches!(day % 7, 6 | 0);
    all.filter(|(day, _)| weekday(day)).map(|(_, text)| text).take(count).collect()
}

/// A fortnight and more of one pupil: code `missed` in the sessions given, present else.
fn registers(missed: &[usize], code: &str) -> String {
    let mut text = HEADER.to_owned();
    for (number, day) in school_days(15).iter().enumerate() {
        for (half, session) in ["AM", "PM"].iter().enumerate() {
            let hour = 8 + half * 4;
            let code = if missed.contains(&(number * 2 + half)) { code } else { "/" };
            text += &format!("900001,{day},{session},R900001000001,{code},,{day}T{hour:02}:15:00Z\n");
        }
    }
    text
}

#[test]
fn an_alert_is_raised_at_the_session_that_reaches_the_level_and_reduced_below_the_margin() {
    let run = Run::new();
    // 20 possible sessions are reached on the tenth day; 2 of 20 is 10%. 2 of 26 is 7.7%, below 10% less 2%.
    let file = run.file("registers.csv", &registers(&[2, 3], "I"));
    let (records, alerts, summary) = run.backtest(&file, &[]);
    assert_eq!(
        records,
        "upn,possible,absent,authorised,unauthorised,rate,status\nR900001000001,30,2,2,0,0.066667,at-risk\n"
    );
    assert_eq!(
        alerts,
        "date,session,upn,school_urn,rule,level,change,rate\n\
         2025-09-16,PM,R900001000001,900001,year-to-date,persistent,raised,0.100000\n\
         2025-09-19,PM,R900001000001,900001,year-to-date,at-risk,reduced,0.076923\n"
    );
    assert_eq!(summary["alerts"]["year-to-date"]["persistent"], 1);
    assert_eq!(summary["status"]["at-risk"], 1);
    assert_eq!(summary["registers"], 30);
}

#[test]
fn a_correction_withdraws_what_it_disproves_at_the_newest_session_known() {
    let run = Run::new();
    let run_of_five: Vec<usize> = (0..10).collect();
    let mut text = registers(&run_of_five, "O");
    // On the afternoon of 15 September the school learns that 4 September was spent in school.
    text += "900001,2025-09-04,AM,R900001000001,/,,2025-09-15T12:30:00Z\n";
    let (_, alerts, _) = run.backtest(&run.file("registers.csv", &text), &[]);
    let of_run: Vec<&str> = alerts.lines().filter(|line| line.contains("unauthorised-run")).collect();
    assert_eq!(
        of_run,
        [
            "2025-09-09,AM,R900001000001,900001,unauthorised-run,at-risk,raised,1.000000",
            "2025-09-10,AM,R900001000001,900001,unauthorised-run,at-risk,cleared,0.909091",
        ],
        "it had ended before the correction came"
    );
    let mut text = registers(&(0..30).collect::<Vec<_>>(), "O");
    text += "900001,2025-09-04,AM,R900001000001,/,,2025-09-10T11:00:00Z\n";
    let (_, alerts, _) = run.backtest(&run.file("registers.csv", &text), &[]);
    let of_run: Vec<&str> = alerts.lines().filter(|line| line.contains("unauthorised-run")).take(3).collect();
    assert_eq!(
        of_run,
        [
            "2025-09-09,AM,R900001000001,900001,unauthorised-run,at-risk,raised,1.000000",
            "2025-09-10,AM,R900001000001,900001,unauthorised-run,at-risk,withdrawn,0.909091",
            "2025-09-11,AM,R900001000001,900001,unauthorised-run,at-risk,raised,0.923077",
        ]
    );
}

#[test]
fn neither_the_order_of_rows_nor_repetition_nor_compression_changes_anything() {
    let run = Run::new();
    let text = registers(&[2, 3, 8, 9, 10], "N") + "900001,2025-09-09,AM,R900001000001,I,,2025-09-11T09:00:00Z\n";
    let expected = run.backtest(&run.file("registers.csv", &text), &[]);
    let mut rows: Vec<&str> = text.lines().skip(1).collect();
    rows.reverse();
    let shuffled = format!("{HEADER}{0}\n{0}\n", rows.join("\n"));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(shuffled.as_bytes()).unwrap();
    fs::write(run.path("registers.csv.gz"), packed.finish().unwrap()).unwrap();
    let (records, alerts, summary) = run.backtest(&run.path("registers.csv.gz"), &[]);
    assert_eq!((records, alerts), (expected.0, expected.1));
    assert_eq!(summary["superseded"], 31 + expected.2["superseded"].as_u64().unwrap());
}

#[test]
fn refused_rows_are_counted_by_reason_and_written_with_their_place() {
    let run = Run::new();
    let text = registers(&[], "/") + "900001,2025-09-03,AM,R900001000001,H,,\n900001,2025-09-03,AM,nobody,/,,\n";
    let rejected = run.path("rejected.csv");
    let file = run.file("registers.csv", &text);
    let (_, _, summary) = run.backtest(&file, &[Path::new("--rejected"), &rejected]);
    assert_eq!(summary["rejected_by_reason"], serde_json::json!({"retired_code": 1, "upn": 1}));
    let written = fs::read_to_string(&rejected).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    assert!(lines[1].contains(",32,retired_code,code,") && lines[1].contains("retired in August 2024"), "{written}");
    assert!(
        lines[2].contains(",33,upn,upn,") && lines[2].ends_with("\"900001,2025-09-03,AM,nobody,/,,\""),
        "{written}"
    );
}

#[test]
fn the_year_before_is_history_and_a_run_reaches_across_the_summer() {
    let run = Run::new();
    let mut before = HEADER.to_owned();
    for day in ["2025-07-17", "2025-07-18", "2025-07-21"] {
        for session in ["AM", "PM"] {
            before += &format!("900001,{day},{session},R900001000001,O,,\n");
        }
    }
    let before = run.file("before.csv", &before);
    let file = run.file("registers.csv", &registers(&[0, 1, 2], "O"));
    let (records, alerts, _) = run.backtest(&file, &[Path::new("--registers"), &before]);
    assert!(records.contains("R900001000001,30,3,"), "the year before is not in the year's figures: {records}");
    let of_run = alerts.lines().find(|line| line.contains("unauthorised-run")).unwrap();
    assert_eq!(of_run, "2025-09-04,AM,R900001000001,900001,unauthorised-run,at-risk,raised,1.000000");
}

#[test]
fn what_cannot_be_read_ends_with_a_clear_error() {
    let run = Run::new();
    let error = |file: &Path| {
        let output = Run::earlybell(&[Path::new("backtest"), Path::new("--registers"), file]);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(error(&run.path("nowhere.csv")).contains("cannot read"));
    assert!(error(&run.file("empty.csv", "")).contains("the file is empty"));
    assert!(error(&run.file("header.csv", HEADER)).contains("there is no mark to judge"));
    assert!(error(&run.file("pupils.csv", "upn,name\n")).contains("the header lacks school_urn, date, session, code"));
    let cut = [0x1F, 0x8B, 8, 0, 0];
    fs::write(run.path("cut.csv.gz"), cut).unwrap();
    assert!(error(&run.path("cut.csv.gz")).contains("cut.csv.gz"));
}

#[test]
fn a_policy_brings_its_rules_schools_and_localities() {
    let run = Run::new();
    run.file(
        "authority.toml",
        "name = \"Invented\"\ncode = 900\nlocalities = [\"North\"]\n[retired_codes]\nH = \"C\"\n\
         [calendar]\nterm = [{ name = \"autumn\", first = \"2025-09-01\", last = \"2025-12-19\" }]\n",
    );
    run.file(
        "rules.toml",
        "[[rule]]\nid = \"any\"\ntitle = \"Any\"\nkind = \"rate\"\nwindow = \"term\"\nminimum = 30\nlevels = { severe = \"3.33%\" }\n",
    );
    run.file("schools.csv", "URN,EstablishmentName\n900001,Hill School\n");
    run.file("localities.csv", "URN,locality\n900001,North\n");
    let text = registers(&[2], "H") + "900009,2025-09-03,AM,R900001000001,/,,\n";
    let file = run.file("registers.csv", &text);
    let (records, alerts, summary) = run.backtest(&file, &[Path::new("--policy"), run.folder.path()]);
    assert!(records.contains("R900001000001,30,1,1,0,0.033333,good"), "{records}");
    assert!(alerts.contains("2025-09-23,PM,R900001000001,900001,any,severe,raised,0.033333"), "{alerts}");
    assert_eq!(summary["alerts_by_locality"]["North"]["severe"], 1);
    assert_eq!(summary["rejected_by_reason"]["unknown_school"], 1);
    run.file("rules.toml", "[[rule]]\nid = \"any\"\n");
    let output = Run::earlybell(&[Path::new("check"), run.folder.path()]);
    assert!(
        String::from_utf8(output.stderr).unwrap().contains("has 1 problem:\nrules.toml"),
        "a wrong policy is refused"
    );
}
