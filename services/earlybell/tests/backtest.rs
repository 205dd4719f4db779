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

/// Lines of alerts without what was foreseen.
fn what<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines.map(|line| line.split(',').take(8).collect::<Vec<_>>().join(",")).collect()
}

/// Probability, expected sessions and urgency of a line.
fn foreseen(line: &str) -> Vec<f64> {
    line.split(',').skip(8).map(|field| field.parse().unwrap()).collect()
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
        what(alerts.lines()),
        [
            "date,session,upn,school_urn,rule,level,change,rate",
            "2025-09-16,PM,R900001000001,900001,year-to-date,persistent,raised,0.100000",
            "2025-09-19,PM,R900001000001,900001,year-to-date,at-risk,reduced,0.076923",
        ]
    );
    let foreseen: Vec<Vec<f64>> = alerts.lines().skip(1).map(foreseen).collect();
    assert!(alerts.lines().next().unwrap().ends_with(",rate,probability,expected_missed,urgency"));
    let [raised, reduced] = &foreseen[..] else { panic!("{foreseen:?}") };
    assert!(
        raised[0] > reduced[0] && raised[1] > reduced[1],
        "days without absence make less of it likely: {foreseen:?}"
    );
    assert!(raised[0] < 1.0 && (10.0..60.0).contains(&raised[1]), "{raised:?}");
    assert_eq!(raised[2].to_bits(), raised[1].round().to_bits(), "the urgency is what is expected, whole");
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
    let of_run = what(alerts.lines().filter(|line| line.contains("unauthorised-run")));
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
    let of_run = what(alerts.lines().filter(|line| line.contains("unauthorised-run")).take(3));
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
    assert!(
        of_run.starts_with("2025-09-04,AM,R900001000001,900001,unauthorised-run,at-risk,raised,1.000000,"),
        "{of_run}"
    );
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
    let told = error(&run.file("header.csv", HEADER));
    assert!(told.contains("header.csv: there is no row below the header; export the registers once more"), "{told}");
    assert!(told.contains("there is no mark to judge: no file has a row below its header; export"), "{told}");
    let told = error(&run.file("refused.csv", &format!("{HEADER}900001,2025-09-03,AM,nobody,/,,\n")));
    assert!(told.contains("every row (1) was refused; --rejected OUT.csv tells why"), "{told}");
    assert!(error(&run.file("pupils.csv", "upn,name\n")).contains("the header lacks school_urn, date, session, code"));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(registers(&[2], "I").as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    for length in [5, packed.len() / 2, packed.len() - 4] {
        fs::write(run.path("cut.csv.gz"), &packed[..length]).unwrap();
        let told = error(&run.path("cut.csv.gz"));
        assert!(
            told.contains("cut.csv.gz: line ")
                && told.contains("are cut off, or something else follows them; copy or send them again"),
            "{told}"
        );
    }
    let wide: Vec<u8> = "\u{feff}".encode_utf16().chain(HEADER.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    fs::write(run.path("wide.csv"), wide).unwrap();
    let told = error(&run.path("wide.csv"));
    assert!(told.contains("wide.csv: the file is UTF-16; save it as CSV in UTF-8"), "{told}");
}

#[test]
fn a_mistyped_year_is_refused_and_decides_nothing() {
    let run = Run::new();
    let text = registers(&[], "/") + "900001,2199-09-03,AM,R900001000001,/,,\n";
    let rejected = run.path("rejected.csv");
    let file = run.file("registers.csv", &text);
    let (records, _, summary) = run.backtest(&file, &[Path::new("--rejected"), &rejected]);
    assert_eq!(
        (&summary["school_year"], &summary["rejected_by_reason"]),
        (&"2025/26".into(), &serde_json::json!({"future_date": 1}))
    );
    assert!(records.contains("R900001000001,30,0,"), "{records}");
    let written = fs::read_to_string(&rejected).unwrap();
    assert!(
        written.contains(",32,future_date,date,") && written.contains("correct the date, or name a later year"),
        "{written}"
    );
}

#[test]
fn the_year_judged_may_be_named_whether_past_or_ahead() {
    let run = Run::new();
    let ahead = "900001,2199-09-03,AM,R900001000001,/,,\n".repeat(2);
    let file = run.file("registers.csv", &(registers(&[0], "I") + "900001,2025-07-18,AM,R900001000001,/,,\n" + &ahead));
    let judged = |year: &str| run.backtest(&file, &[Path::new("--year"), Path::new(year)]).2;
    let summary = judged("2024/25");
    assert_eq!(
        (&summary["school_year"], &summary["marks"], &summary["rejected"]),
        (&"2024/25".into(), &1.into(), &32.into())
    );
    let summary = judged("2199/00");
    assert_eq!(
        (&summary["school_year"], &summary["rejected"], &summary["other_years"]),
        (&"2199/00".into(), &0.into(), &31.into())
    );
    let error = |year: &str| {
        let output = Run::earlybell(
            &["backtest", "--year", year, "--registers"].map(Path::new).into_iter().chain([&*file]).collect::<Vec<_>>(),
        );
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let told = error("2023/24");
    let years = "there are marks of 2024/25 (rows: 1), 2025/26 (rows: 30), 2199/00 (rows: 2): name one of these";
    assert!(told.contains("no mark to judge in 2023/24, which --year names; ") && told.contains(years), "{told}");
    let told = error("2025");
    assert!(told.contains("--year") && told.contains("\"2025\" is no school year; write it as 2025/26"), "{told}");
    let ahead = run.file("ahead.csv", &format!("{HEADER}{ahead}"));
    let output = Run::earlybell(&[Path::new("backtest"), Path::new("--registers"), &ahead]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("no mark to judge up to the present school year, but of 2199/00 (rows: 2): name one with --year"),
        "{told}"
    );
}

#[test]
fn marks_of_years_before_the_year_before_are_counted_and_told() {
    let run = Run::new();
    let old = "900001,2024-07-18,AM,R900001000001,O,,\n900001,2024-09-04,AM,R900001000001,O,,\n";
    let file = run.file("registers.csv", &(registers(&[], "/") + old));
    assert_eq!(run.backtest(&file, &[]).2["other_years"], 1);
    let told = |file: &Path| {
        let output = Run::earlybell(&[Path::new("backtest"), Path::new("--registers"), file]);
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(told(&file).contains("other years  1 (marks older than the year before; not judged)"));
    assert!(!told(&run.file("registers.csv", &registers(&[], "/"))).contains("other years"));
}

#[test]
fn an_output_that_would_destroy_an_input_is_refused_before_anything_is_written() {
    let run = Run::new();
    let text = registers(&[], "/");
    let file = run.file("registers.csv", &text);
    let same = run.path("../").join(run.folder.path().file_name().unwrap()).join("registers.csv");
    for option in ["--records", "--alerts", "--rejected"] {
        let [command, registers] = ["backtest", "--registers"].map(Path::new);
        let output = Run::earlybell(&[command, registers, &file, Path::new(option), &same]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && told.contains(option) && told.contains("same file as --registers"),
            "{told}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    let out = run.path("rules.toml");
    let [command, policy, registers, records, rejected] =
        ["backtest", "--policy", "--registers", "--records", "--rejected"].map(Path::new);
    let told = |more: &[&Path]| {
        String::from_utf8(Run::earlybell(&[&[command, registers, &file, rejected, &out], more].concat()).stderr)
            .unwrap()
    };
    assert!(told(&[records, &out]).contains("same file as --records") && !out.exists());
    assert!(told(&[policy, run.folder.path()]).contains("same file as --policy") && !out.exists());
}

#[test]
fn a_stray_quote_costs_its_own_row_and_no_other() {
    let run = Run::new();
    let text = registers(&[], "/").replacen("R900001000001,/", "\"R900001000001,/", 1);
    let rejected = run.path("rejected.csv");
    let file = run.file("registers.csv", &text);
    let (records, _, summary) = run.backtest(&file, &[Path::new("--rejected"), &rejected]);
    assert_eq!((&summary["rejected_by_reason"], &summary["registers"]), (&serde_json::json!({"form": 1}), &29.into()));
    assert!(records.contains("R900001000001,29,0,"), "{records}");
    let written = fs::read_to_string(&rejected).unwrap();
    assert!(
        written.contains(",2,form,form,") && written.contains("a quotation mark") && written.lines().count() == 2,
        "{written}"
    );
}

#[test]
fn of_two_marks_without_a_time_of_revision_that_of_the_later_file_counts() {
    let run = Run::new();
    let all = |code: &str| {
        let rows =
            school_days(15).iter().map(|day| format!("900001,{day},AM,R900001000001,{code},,\n")).collect::<Vec<_>>();
        HEADER.to_owned() + &rows.concat()
    };
    let (first, second) = (run.file("first.csv", &all("N")), run.file("second.csv", &(all("I"))));
    let absent = |one: &Path, other: &Path| {
        let (records, _, summary) = run.backtest(one, &[Path::new("--registers"), other]);
        assert_eq!(summary["superseded"], 0, "each came after that which it corrects");
        records.lines().nth(1).unwrap().to_owned()
    };
    assert!(absent(&first, &second).contains(",15,15,15,0,"));
    assert!(absent(&second, &first).contains(",15,15,0,15,"));
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

#[test]
fn what_a_flag_was_worth_is_told_by_rule() {
    let run = Run::new();
    // 2 of 20 is 10% on the tenth day; from the thirteenth day's morning on, 3 of 25, the rate stays at 10% or more.
    let missed = [2, 3, 24, 25, 26, 27, 28, 29];
    let other = registers(&[], "/").replace("R900001000001", "F900001000002");
    let file = run.file("registers.csv", &(registers(&missed, "I") + other.split_once('\n').unwrap().1));
    let summary = run.backtest(&file, &[]).2;
    let worth = |rule: serde_json::Value| {
        let all = summary["worth"].as_array().unwrap().iter();
        all.filter(|worth| worth["rule"] == rule && worth["phase"].is_null()).collect::<Vec<_>>()[0].clone()
    };
    let wanted = serde_json::json!({
        "rule": "year-to-date", "phase": null, "pupils": 2, "flagged": 1, "flagged_persistent": 1, "flagged_severe": 0,
        "persistent": 1, "severe": 0, "persistent_flagged_by": { "2025-09-23": 1 }, "lead_days": 3, "absence_to_come": 0.75,
        // One alert in four school weeks, rounded.
        "alerts": 1, "alerts_a_team_and_week": 0.3,
    });
    assert_eq!(worth("year-to-date".into()), wanted);
    assert_eq!(worth(serde_json::Value::Null)["flagged"], 1, "any rule");
    let silent = worth("twenty-days".into());
    assert_eq!(
        (&silent["flagged"], &silent["lead_days"], &silent["absence_to_come"]),
        (&0.into(), &serde_json::Value::Null, &0.0.into())
    );
    assert_eq!(silent["alerts"], serde_json::Value::Null, "it shares the alert of another");
    let output = Run::earlybell(&[Path::new("backtest"), Path::new("--registers"), &file]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("year-to-date") && told.contains("found 09-23") && told.contains("75%"), "{told}");
}

#[test]
fn two_files_of_rules_stand_side_by_side_and_each_is_read_with_care() {
    let run = Run::new();
    let rule = |id: &str, minimum: u32| {
        format!(
            "[[rule]]\nid = \"{id}\"\ntitle = \"A\"\nkind = \"rate\"\nwindow = \"term\"\nminimum = {minimum}\nlevels = {{ persistent = \"10%\" }}\n"
        )
    };
    let (own, other) = (run.file("own.toml", &rule("own", 20)), run.file("other.toml", &rule("other", 5)));
    let file = run.file("registers.csv", &registers(&[2, 3, 24, 25, 26, 27, 28, 29], "I"));
    let with = |compare: &Path| [Path::new("--rules"), &own, Path::new("--compare"), compare].map(Path::to_owned);
    let options = with(&other);
    let (_, alerts, summary) = run.backtest(&file, &options.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert!(alerts.contains(",own,persistent,raised,") && !alerts.contains(",other,"), "{alerts}");
    assert_eq!(
        (&summary["alerts"]["own"]["persistent"], &summary["compared"]["alerts"]["other"]["persistent"]),
        (&2.into(), &2.into())
    );
    let lead = |worth: &serde_json::Value| worth.as_array().unwrap()[0]["lead_days"].as_i64().unwrap();
    assert_eq!(
        (lead(&summary["worth"]), lead(&summary["compared"]["worth"])),
        (3, 10),
        "the earlier flag leads by more"
    );
    let told = |compare: &Path| {
        let all = [["backtest", "--registers"].map(PathBuf::from).to_vec(), vec![file.clone()], with(compare).to_vec()]
            .concat();
        Run::earlybell(&all.iter().map(PathBuf::as_path).collect::<Vec<_>>())
    };
    let table = String::from_utf8(told(&other).stdout).unwrap();
    assert!(table.contains("here | by ") && table.contains("100% | 100%") && table.contains("3 | 10"), "{table}");
    let wrong = String::from_utf8(told(&run.file("wrong.toml", "[[rule]]\nid = 5\n")).stderr).unwrap();
    assert!(wrong.contains("wrong.toml:\nrules.toml, rule 1, line 2, id: invalid type"), "{wrong}");
    let missing = String::from_utf8(told(&run.path("none.toml")).stderr).unwrap();
    assert!(missing.contains("cannot read") && missing.contains("none.toml"), "{missing}");
}
