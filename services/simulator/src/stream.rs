//! The registers of a year as schools send them, in the order of sending, a working day at a time.
//! Takes a county and its truth; keeps what is still to be sent. The newest revision of each mark is the truth, except for
//! sessions whose register never comes (`Stream::never_comes`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::calendar::{days_between, london};
use crate::county::County;
use crate::dice::{Dice, Purpose};
use crate::roster::{RosterRow, roster_day};
use crate::sending_plan::{Corrections, SendingPlan};
use crate::truth::{Cell, Truth};
use crate::types::{Mark, Occasion, Register, Sending};
use attendance::Half;

/// Working days after the last school day on which corrections and late registers still come; none is later.
const AFTERWARDS: usize = 8;

/// What happens on one working day.
#[derive(Clone, Debug)]
pub struct SchoolDay {
    /// The day.
    pub date: Date,
    /// Changes of the roster, before the first register of the day.
    pub roster: Vec<RosterRow>,
    /// Registers in the order in which they are sent.
    pub sendings: Vec<Sending>,
}

/// A correction of one mark: the session and the enrolment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    session: usize,
    enrolment: usize,
}

/// One school's part.
struct Sender {
    urn: u32,
    plan: SendingPlan,
    enrolments: Vec<usize>,
    /// Corrections by the day on which they are sent.
    due: BTreeMap<usize, Vec<Due>>,
    dice: Dice,
}

/// A year's sendings: an iterator of working days.
pub struct Stream<'a> {
    county: &'a County,
    truth: &'a Truth,
    days: Vec<Date>,
    next: usize,
    senders: Vec<Sender>,
    /// Held back, by day of sending.
    later: BTreeMap<usize, Vec<Sending>>,
}

impl<'a> Stream<'a> {
    /// From the first day on.
    pub fn new(county: &'a County, truth: &'a Truth) -> Self {
        let calendar = county.calendar();
        let school_days = calendar.days().len();
        let senders = (0..)
            .zip(county.schools())
            .map(|(index, school)| Sender {
                urn: school.urn,
                plan: SendingPlan::new(county.seed, calendar.start_year(), index, school_days),
                enrolments: Vec::new(),
                due: BTreeMap::new(),
                dice: Dice::new(county.seed, Purpose::Sending, calendar.start_year(), index | (1 << 31)),
            })
            .collect();
        let days = calendar.working_days(AFTERWARDS);
        let mut stream = Self { county, truth, days, next: 0, senders, later: BTreeMap::new() };
        stream.collect_corrections();
        stream
    }

    /// Whether nothing is ever sent about this school (an index into `County::schools`), school day and session.
    pub fn never_comes(&self, school: usize, day: usize, session: Half) -> bool {
        self.senders[school].plan.never(session_index(day, session))
    }

    fn collect_corrections(&mut self) {
        for (index, enrolment) in self.county.enrolments().iter().enumerate() {
            let sender = &mut self.senders[enrolment.school];
            sender.enrolments.push(index);
            for entry in self.truth.provisional(index) {
                if !sender.plan.never(entry.session) {
                    let day = entry.session / 2 + usize::from(entry.days);
                    sender.due.entry(day).or_default().push(Due { session: entry.session, enrolment: index });
                }
            }
        }
        for sender in &mut self.senders {
            sender.due.values_mut().for_each(|list| list.sort_unstable());
        }
    }

    fn play(&mut self, day: usize) -> Vec<Sending> {
        let mut out = Vec::new();
        let view = View { county: self.county, truth: self.truth, days: &self.days };
        for sender in &mut self.senders {
            if day < self.county.calendar().days().len() {
                sender.live(&view, day, &mut self.later);
            }
            sender.corrections(&view, day, &mut out);
            sender.week_again(&view, day, &mut out);
        }
        out.extend(self.later.remove(&day).unwrap_or_default());
        // Stable and complete: two runs, and two machines, send in the same order.
        out.sort_by_key(|sending| (sending.sent_at, sending.register.school_urn, sending.occasion));
        out
    }
}

impl Iterator for Stream<'_> {
    type Item = SchoolDay;

    fn next(&mut self) -> Option<SchoolDay> {
        let day = self.next;
        let date = *self.days.get(day)?;
        self.next += 1;
        let roster = roster_day(self.county, date, day == 0);
        Some(SchoolDay { date, roster, sendings: self.play(day) })
    }
}

/// What all senders read.
struct View<'a> {
    county: &'a County,
    truth: &'a Truth,
    days: &'a [Date],
}

impl Sender {
    /// Both registers of the day as first recorded; put by for the day of sending, today as a rule.
    fn live(&mut self, view: &View<'_>, day: usize, later: &mut BTreeMap<usize, Vec<Sending>>) {
        for (at, session) in [(0, Half::Am), (1, Half::Pm)] {
            let revised_at = self.moment(view, day, self.plan.usual[at], 600);
            let index = session_index(day, session);
            let marks = self.marks(view, index, day);
            if self.plan.never(index) || marks.is_empty() {
                continue;
            }
            let sent_on = self.plan.sent_on(day);
            let (occasion, sent_at) = if sent_on == day {
                (Occasion::Live, revised_at)
            } else {
                (Occasion::Late, self.moment(view, sent_on, 43_200, 3_600))
            };
            let register = Register { school_urn: self.urn, date: view.days[day], session, revised_at, marks };
            let sending = Sending { sent_at, occasion, register };
            if self.plan.twice(index) {
                let next = sent_on + usize::from(self.dice.chance(0.3));
                let again = self.moment(view, next, 54_000, 600);
                let copy =
                    Sending { sent_at: again, occasion: Occasion::Duplicate, register: sending.register.clone() };
                later.entry(next).or_default().push(copy);
            }
            later.entry(sent_on).or_default().push(sending);
        }
    }

    /// The reasons that became known today: a register for each session they belong to.
    fn corrections(&mut self, view: &View<'_>, day: usize, out: &mut Vec<Sending>) {
        let due = self.due.remove(&day).unwrap_or_default();
        for of_session in due.chunk_by(|a, b| a.session == b.session) {
            let session = of_session[0].session;
            let marks = match self.plan.corrections {
                Corrections::Whole => self.marks(view, session, day),
                Corrections::Changed => of_session
                    .iter()
                    .filter_map(|due| mark(view, due.enrolment, view.truth.known(due.enrolment, session, day)))
                    .collect(),
            };
            out.push(self.revised(view, (session, day), marks, Occasion::Correction));
        }
    }

    /// On the last school day of a week: the week's registers as they are known by then.
    fn week_again(&mut self, view: &View<'_>, day: usize, out: &mut Vec<Sending>) {
        let ends_week = view.days.get(day + 1).is_none_or(|next| days_between(view.days[day], *next) > 1);
        if !ends_week || day >= view.county.calendar().days().len() || !self.plan.week_again(day) {
            return;
        }
        let weekday = i32::from(view.days[day].weekday().to_monday_zero_offset());
        for earlier in
            (0..=day).rev().take_while(|earlier| days_between(view.days[*earlier], view.days[day]) <= weekday)
        {
            for session in [earlier * 2, earlier * 2 + 1] {
                let marks = self.marks(view, session, day);
                if !self.plan.never(session) && !marks.is_empty() {
                    out.push(self.revised(view, (session, day), marks, Occasion::WeekAgain));
                }
            }
        }
    }

    /// A register revised today, after the day's live ones: corrections first, then the week.
    fn revised(&mut self, view: &View<'_>, at: (usize, usize), marks: Vec<Mark>, occasion: Occasion) -> Sending {
        let (session, day) = at;
        let from = if occasion == Occasion::WeekAgain { 59_400 } else { 55_800 };
        let revised_at = self.moment(view, day, from, 1_800);
        let half = if session % 2 == 0 { Half::Am } else { Half::Pm };
        let register =
            Register { school_urn: self.urn, date: view.days[session / 2], session: half, revised_at, marks };
        Sending { sent_at: revised_at, occasion, register }
    }

    fn marks(&self, view: &View<'_>, session: usize, day: usize) -> Vec<Mark> {
        let one = |&index: &usize| mark(view, index, view.truth.known(index, session, day));
        self.enrolments.iter().filter_map(one).collect()
    }

    fn moment(&mut self, view: &View<'_>, day: usize, second: u32, within: u32) -> Timestamp {
        let day = view.days[day.min(view.days.len() - 1)];
        london(day, second + self.dice.below(within), self.dice.below(1_000_000))
    }
}

fn mark(view: &View<'_>, enrolment: usize, cell: Option<Cell>) -> Option<Mark> {
    let cell = cell?;
    let pupil = &view.county.pupils()[view.county.enrolments()[enrolment].pupil];
    Some(Mark { upn: pupil.upn, code: cell.code, minutes_late: (cell.minutes > 0).then_some(cell.minutes) })
}

fn session_index(day: usize, session: Half) -> usize {
    day * 2 + usize::from(session == Half::Pm)
}
