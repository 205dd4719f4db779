//! Schools from which registers do not come: none of a session by a set time, or marks of too few of the pupils on roll.
//!
//! Takes what has come of a session that is due and how the school stood before; gives how it stands now, and the change that this
//! is. One alert lasts as long as the silence does, over sessions and days: a team hears once.

use crate::alert::Change;
use crate::calendar::Calendar;
use crate::rate::Share;
use crate::rule::{Level, Severity};
use crate::{Half, Session, Timestamp};

/// The name of the rule, as routes and messages carry it.
pub const RULE: &str = "silent-school";

/// Who has sent a register within so many open days is watched.
const HEARD_WITHIN: usize = 20;

/// Days that a summer and the weeks before it take.
const A_HOLIDAY: i32 = 70;

/// What is due of a school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// The newest session that is.
    pub session: Session,
    /// The one before it.
    pub before: Option<Session>,
    /// Who has sent a register of this session or a later one sends registers.
    pub heard_since: Session,
}

/// When a session's registers are due, and what is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// What it is called in messages.
    pub title: String,
    /// By when a morning's registers must be here: minutes after midnight in London.
    pub morning: u16,
    /// See `morning`.
    pub afternoon: u16,
    /// The share of the pupils on roll whose marks must be here.
    pub min_share: Share,
    /// How much hurry it is in.
    pub severity: Severity,
}

impl Watch {
    /// The newest session whose registers must be here at a moment, on any day of the week.
    pub fn due(&self, now: Timestamp) -> Session {
        let today = now.day_in_london();
        let last = Session::new(today, Half::Pm);
        let newest = (0..4).map(|back| Session::from_number(last.number() - back));
        newest.into_iter().find(|session| self.due_at(*session) <= now).unwrap_or(last)
    }

    /// The newest session of a school that is due, by its calendar; nothing where that has no open day yet.
    pub fn of_school(due: Session, calendar: &Calendar) -> Option<Due> {
        let open = calendar.open_days();
        let newest = open.partition_point(|day| *day <= due.day()).checked_sub(1)?;
        let day = *open.get(newest)?;
        let session = if day == due.day() { due } else { Session::new(day, Half::Pm) };
        let before = newest.checked_sub(1).and_then(|before| open.get(before));
        let before = match session.half() {
            Half::Pm => Some(Session::new(day, Half::Am)),
            Half::Am => before.map(|day| Session::new(*day, Half::Pm)),
        };
        // Where the calendar does not reach back so far, over the holiday before it.
        let first = newest.checked_sub(HEARD_WITHIN).and_then(|first| open.get(first)).copied();
        let first = first.or_else(|| open.first().map(|first| first.plus(-A_HOLIDAY)))?;
        Some(Due { session, before, heard_since: Session::new(first, Half::Am) })
    }

    /// When a session's registers must be here.
    pub fn due_at(&self, session: Session) -> Timestamp {
        let minutes = self.minutes(session);
        Timestamp::in_london(session.day(), 0).plus_micros(i64::from(minutes) * 60_000_000)
    }

    fn minutes(&self, session: Session) -> u16 {
        if session.half() == Half::Am { self.morning } else { self.afternoon }
    }

    /// How a school stands by what has come of a session.
    pub fn state(&self, came: Came) -> State {
        let Came { registers, on_roll, marked } = came;
        let enough = u64::from(marked) * 10_000 >= u64::from(on_roll) * u64::from(self.min_share.hundredths());
        match registers {
            false => State::Silent,
            true if on_roll > 0 && !enough => State::Incomplete,
            true => State::Heard,
        }
    }

    /// What is to be said of a school: "No register has come of the morning of 26 November by 10:30".
    pub fn sentence(&self, standing: &Standing, session: Session, came: Came) -> String {
        let (of, Came { on_roll, marked, .. }) = (spoken(session), came);
        let minutes = self.minutes(session);
        let by = format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let since = match standing.since {
            since if since == session => String::new(),
            since => format!("; registers are missing since {}", spoken(since)),
        };
        match standing.state {
            State::Silent => format!("No register of {of} had come by {by}{since}"),
            State::Incomplete => {
                format!("The registers of {of} have marks of {marked} of {on_roll} pupils on roll{since}")
            }
            State::Heard => format!("The registers of {of} are here"),
        }
    }
}

/// "the morning of 26 November".
fn spoken(session: Session) -> String {
    let half = if session.half() == Half::Am { "morning" } else { "afternoon" };
    format!("the {half} of {}", session.day().spoken())
}

/// What has come of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// Whether any register has.
    pub registers: bool,
    /// Pupils on roll; 0 where no roster tells.
    pub on_roll: u32,
    /// Of these so many have a mark.
    pub marked: u32,
}

/// How a school stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Its registers are here.
    Heard,
    /// Marks of too few pupils are here.
    Incomplete,
    /// No register is here.
    Silent,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Heard, Self::Incomplete, Self::Silent];

    /// As tables and messages number it.
    pub const fn number(self) -> u8 {
        match self {
            Self::Heard => 1,
            Self::Incomplete => 2,
            Self::Silent => 3,
        }
    }

    /// The state of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// As the API names it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Incomplete => "incomplete",
            Self::Silent => "silent",
        }
    }

    /// The level by which routes may tell them apart.
    pub const fn level(self) -> Level {
        match self {
            Self::Heard | Self::Incomplete => Level::AtRisk,
            Self::Silent => Level::Persistent,
        }
    }
}

/// How a school stands, and the alert that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How.
    pub state: State,
    /// The first session of the silence, or of the last one.
    pub since: Session,
    /// The how manieth silence it is.
    pub episode: u32,
    /// Changes of this one so far.
    pub version: u32,
}

impl Standing {
    /// How a school stands after a session that is due, and the change; nothing where it stands as before, or where what is due was so
    /// before the silence began: the times may have been changed.
    pub fn after(before: Option<Self>, state: State, session: Session) -> Option<(Change, Self)> {
        if before.is_some_and(|before| session < before.since) {
            return None;
        }
        let was = before.map_or(State::Heard, |before| before.state);
        let change = match (was, state) {
            (State::Heard, State::Incomplete | State::Silent) => Change::Raised,
            (State::Incomplete | State::Silent, State::Heard) => Change::Cleared,
            (State::Incomplete, State::Silent) => Change::Escalated,
            (State::Silent, State::Incomplete) => Change::Reduced,
            _ => return None,
        };
        let after = match before {
            Some(before) if change != Change::Raised => Self { state, version: before.version + 1, ..before },
            before => {
                let episode = before.map_or(1, |before| before.episode + 1);
                Self { state, since: session, episode, version: 1 }
            }
        };
        Some((change, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Day;

    fn watch() -> Watch {
        Watch {
            title: "No registers".into(),
            morning: 10 * 60 + 30,
            afternoon: 14 * 60 + 30,
            min_share: Share::percent(80),
            severity: Severity::Normal,
        }
    }

    fn session(day: &str, half: Half) -> Session {
        Session::new(Day::parse(day).unwrap(), half)
    }

    #[test]
    fn a_session_is_due_at_its_time_in_london() {
        let due = |text: &str| watch().due(Timestamp::parse(text).unwrap()).to_string();
        assert_eq!(due("2025-12-03T10:29:59Z"), "2025-12-02 PM");
        assert_eq!(due("2025-12-03T10:30:00Z"), "2025-12-03 AM");
        assert_eq!(due("2025-12-03T14:30:00Z"), "2025-12-03 PM");
        assert_eq!(due("2025-09-03T09:30:00Z"), "2025-09-03 AM", "summer time");
        assert_eq!(due("2025-12-04T00:10:00Z"), "2025-12-03 PM");
    }

    #[test]
    fn over_weekends_and_holidays_the_last_open_session_is_the_one() {
        let days = (0..60).map(|days| Day::parse("2025-07-01").unwrap().plus(days));
        let summer = |day: &Day| !("2025-07-22".."2025-08-25").contains(&day.to_string().as_str());
        let calendar = Calendar::new([], days.filter(|day| day.weekday() < 5).filter(summer));
        let of = |day: &str, half| {
            let Due { session, before, heard_since } = Watch::of_school(session(day, half), &calendar)?;
            Some([
                session.to_string(),
                before.map(|before| before.to_string()).unwrap_or_default(),
                heard_since.to_string(),
            ])
        };
        let told = |due: &str, before: &str, since: &str| Some([due, before, since].map(str::to_owned));
        let early = "2025-04-22 AM";
        assert_eq!(of("2025-07-01", Half::Am), told("2025-07-01 AM", "", early));
        assert_eq!(of("2025-07-04", Half::Am), told("2025-07-04 AM", "2025-07-03 PM", early));
        assert_eq!(of("2025-07-05", Half::Am), told("2025-07-04 PM", "2025-07-04 AM", early), "a Saturday");
        assert_eq!(of("2025-08-01", Half::Pm), told("2025-07-21 PM", "2025-07-21 AM", early), "a holiday");
        assert_eq!(of("2025-08-29", Half::Am), told("2025-08-29 AM", "2025-08-28 PM", early));
        assert_eq!(of("2025-06-30", Half::Am), None);
        let whole = Calendar::new([], (0..30).map(|days| Day::parse("2025-09-01").unwrap().plus(days)));
        let due = Watch::of_school(session("2025-09-30", Half::Pm), &whole).unwrap();
        assert_eq!(due.heard_since.to_string(), "2025-09-10 AM", "twenty open days before");
    }

    #[test]
    fn of_the_pupils_on_roll_a_share_must_have_marks() {
        let state = |registers, on_roll, marked| watch().state(Came { registers, on_roll, marked });
        assert_eq!(state(false, 0, 0), State::Silent);
        assert_eq!(state(false, 100, 100), State::Silent, "what nobody has sent is not here");
        assert_eq!(state(true, 100, 79), State::Incomplete);
        assert_eq!(state(true, 100, 80), State::Heard);
        assert_eq!(state(true, 0, 0), State::Heard, "no roster tells who is missing");
        assert_eq!(state(true, 3, 2), State::Incomplete);
    }

    #[test]
    fn a_silence_is_one_alert_however_long_it_lasts() {
        let days = ["2025-12-01", "2025-12-02", "2025-12-03", "2025-12-04", "2025-12-05", "2025-12-08"];
        let [heard, incomplete, silent] = State::ALL;
        let states = [silent, silent, incomplete, silent, heard, incomplete];
        let (mut standing, mut changes) = (None, Vec::new());
        for (day, state) in days.into_iter().zip(states) {
            if let Some((change, after)) = Standing::after(standing, state, session(day, Half::Am)) {
                changes.push((change, after.since.day().to_string(), after.episode, after.version));
                standing = Some(after);
            }
        }
        let first = |change, version| (change, "2025-12-01".to_owned(), 1, version);
        let expected = [
            first(Change::Raised, 1),
            first(Change::Reduced, 2),
            first(Change::Escalated, 3),
            first(Change::Cleared, 4),
            (Change::Raised, "2025-12-08".to_owned(), 2, 1),
        ];
        assert_eq!(changes, expected);
        assert_eq!(Standing::after(None, heard, session("2025-12-01", Half::Am)), None);
        assert_eq!(Standing::after(standing, heard, session("2025-12-05", Half::Pm)), None, "due before it began");
    }

    #[test]
    fn it_says_of_which_session_and_since_when() {
        let at = |state, since: &str| Standing { state, since: session(since, Half::Am), episode: 1, version: 1 };
        let now = session("2025-12-03", Half::Pm);
        let said = |standing: Standing, marked| {
            watch().sentence(&standing, now, Came { registers: true, on_roll: 90, marked })
        };
        assert_eq!(
            said(at(State::Silent, "2025-12-01"), 0),
            "No register of the afternoon of 3 December had come by 14:30; registers are missing since the morning of 1 December"
        );
        let here = Standing { since: now, ..at(State::Incomplete, "2025-12-01") };
        assert_eq!(
            said(here, 12),
            "The registers of the afternoon of 3 December have marks of 12 of 90 pupils on roll"
        );
        for state in State::ALL {
            assert_eq!(State::from_number(state.number()), Some(state));
        }
    }
}
