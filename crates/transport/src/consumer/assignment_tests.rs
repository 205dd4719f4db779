//! Tests of `assignment`: single stories, and random schedules that must keep its rules.

use proptest::prelude::*;

use super::*;

const DRAIN: Duration = Duration::from_secs(5);

fn at(partition: u32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn event(number: u64, change: Change, partitions: &[u32]) -> Event {
    Event { number, change, partitions: partitions.iter().copied().map(at).collect() }
}

fn employed(orders: &[Order]) -> Vec<Tenure> {
    let tenure = |order: &Order| match order {
        Order::Employ(_, tenure) => Some(*tenure),
        Order::Dismiss(..) => None,
    };
    orders.iter().filter_map(tenure).collect()
}

/// An assignment with one partition that a worker reads from offset 7.
fn working(now: Instant) -> (Assignment, Tenure) {
    let mut assignment = Assignment::new(DRAIN);
    let tenure = employed(&assignment.heard(event(1, Change::Gained, &[0]), now))[0];
    assignment.claimed(&at(0), tenure, Start::At(7));
    assert_eq!(assignment.answer(now, Lost::No), Some(Answer::Assign(vec![(at(0), Some(Start::At(7)))])));
    (assignment, tenure)
}

#[test]
fn a_gain_is_answered_when_all_have_claimed_with_their_positions() {
    let now = Instant::now();
    let mut assignment = Assignment::new(DRAIN);
    let tenures = employed(&assignment.heard(event(1, Change::Gained, &[0, 1]), now));
    assignment.claimed(&at(0), tenures[0], Start::At(7));
    assert_eq!(assignment.answer(now, Lost::No), None);
    assignment.claimed(&at(1), tenures[1], Start::Beginning);
    let starts = vec![(at(0), Some(Start::At(7))), (at(1), Some(Start::Beginning))];
    assert_eq!(assignment.answer(now, Lost::No), Some(Answer::Assign(starts)));
    assert_eq!(assignment.answer(now, Lost::No), None, "an event is answered once");
}

#[test]
fn a_slow_claim_does_not_hold_the_group_and_is_placed_later() {
    let now = Instant::now();
    let mut assignment = Assignment::new(DRAIN);
    let tenure = employed(&assignment.heard(event(1, Change::Gained, &[0]), now))[0];
    assert_eq!(assignment.next_due(), Some(now + DRAIN));
    assert_eq!(assignment.answer(now + DRAIN, Lost::No), Some(Answer::Assign(vec![(at(0), None)])));
    assert_eq!(assignment.unattended().collect::<Vec<_>>(), [&at(0)]);
    assert_eq!(assignment.to_place(), []);
    assignment.claimed(&at(0), tenure, Start::At(3));
    assert_eq!(assignment.to_place(), [(at(0), tenure, Start::At(3))]);
    assignment.placed(&at(0), tenure);
    assert_eq!(assignment.to_place(), []);
    assert_eq!(assignment.unattended().count(), 0);
}

#[test]
fn a_gain_that_is_lost_before_its_answer_is_never_answered() {
    let now = Instant::now();
    let mut assignment = Assignment::new(DRAIN);
    let tenure = employed(&assignment.heard(event(1, Change::Gained, &[0]), now))[0];
    assignment.claimed(&at(0), tenure, Start::At(7));
    assert_eq!(assignment.answer(now, Lost::Yes), None);
    let orders = assignment.heard(event(2, Change::Lost, &[0]), now);
    assert_eq!(orders, [Order::Dismiss(at(0), tenure, Release::Lost)]);
    assert_eq!(assignment.answer(now, Lost::Yes), Some(Answer::Unassign(vec![at(0)])));
    assert_eq!(assignment.heard(event(1, Change::Gained, &[0]), now), [], "an older event is no news");
}

#[test]
fn a_gain_whose_event_was_superseded_is_read_all_the_same() {
    let now = Instant::now();
    let mut assignment = Assignment::new(DRAIN);
    let tenure = employed(&assignment.heard(event(1, Change::Gained, &[0]), now))[0];
    assignment.heard(event(2, Change::Taken, &[]), now);
    assert_eq!(assignment.answer(now, Lost::No), Some(Answer::Unassign(Vec::new())));
    assert_eq!(assignment.answer(now, Lost::No), None);
    assignment.claimed(&at(0), tenure, Start::At(7));
    assert!(assignment.owes_answer());
    assert_eq!(assignment.answer(now, Lost::No), Some(Answer::Assign(vec![(at(0), Some(Start::At(7)))])));
}

#[test]
fn a_taken_partition_is_given_up_when_its_worker_has_let_go() {
    let now = Instant::now();
    let (mut assignment, tenure) = working(now);
    let orders = assignment.heard(event(2, Change::Taken, &[0]), now);
    assert_eq!(orders, [Order::Dismiss(at(0), tenure, Release::Orderly)]);
    assert_eq!(assignment.answer(now, Lost::No), None);
    assignment.released(&at(0), tenure);
    assert_eq!(assignment.answer(now, Lost::No), Some(Answer::Unassign(vec![at(0)])));
}

#[test]
fn the_group_does_not_wait_longer_than_the_drain_time_for_a_worker() {
    let now = Instant::now();
    let (mut assignment, tenure) = working(now);
    assignment.heard(event(2, Change::Taken, &[0]), now);
    assert_eq!(assignment.answer(now + DRAIN, Lost::No), Some(Answer::Unassign(vec![at(0)])));
    assert!(!assignment.holds(&at(0), tenure), "what the straggler reports no longer counts");
}

#[test]
fn a_refused_worker_has_a_successor_after_a_growing_pause() {
    let mut now = Instant::now();
    let (mut assignment, mut tenure) = working(now);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        assignment.fenced(&at(0), tenure, now);
        let due = assignment.next_due().expect("a successor is due");
        pauses.push((due - now).as_millis());
        assert_eq!(assignment.rested(due - Duration::from_millis(1)), []);
        tenure = employed(&assignment.rested(due))[0];
        now = due;
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    assignment.claimed(&at(0), tenure, Start::At(9));
    assert_eq!(assignment.to_place(), [(at(0), tenure, Start::At(9))]);
    assignment.placed(&at(0), tenure);
    assignment.progressed(&at(0), tenure);
    assignment.fenced(&at(0), tenure, now);
    assert_eq!(assignment.next_due(), Some(now + Duration::from_millis(100)));
}

#[test]
fn closing_dismisses_all_and_answers_what_is_open() {
    let now = Instant::now();
    let (mut assignment, tenure) = working(now);
    assignment.heard(event(2, Change::Gained, &[1]), now);
    let (orders, answer) = assignment.close();
    assert_eq!(orders[0], Order::Dismiss(at(0), tenure, Release::Closing));
    assert_eq!(orders.len(), 2);
    assert_eq!(answer, Some(Answer::Assign(Vec::new())));
}

#[derive(Clone, Debug)]
enum Step {
    Event(Change, Vec<u32>),
    Claim(usize),
    Fence(usize),
    Release(usize),
    Answer(Lost),
    Place,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let change = prop_oneof![Just(Change::Gained), Just(Change::Taken), Just(Change::Lost)];
    let lost = prop_oneof![4 => Just(Lost::No), 1 => Just(Lost::Yes)];
    prop_oneof![
        2 => (change, proptest::sample::subsequence(vec![0, 1, 2, 3], 0..=4)).prop_map(|(c, p)| Step::Event(c, p)),
        3 => any::<prop::sample::Index>().prop_map(|i| Step::Claim(i.index(64))),
        1 => any::<prop::sample::Index>().prop_map(|i| Step::Fence(i.index(64))),
        2 => any::<prop::sample::Index>().prop_map(|i| Step::Release(i.index(64))),
        4 => lost.prop_map(Step::Answer),
        2 => Just(Step::Place),
        1 => (0_u64..8_000).prop_map(Step::Wait),
    ]
}

/// The world around an assignment: every tenure ever ordered, and what the group says is ours.
struct World {
    assignment: Assignment,
    now: Instant,
    number: u64,
    unanswered: bool,
    ours: BTreeSet<TopicPartition>,
    employed: Vec<(TopicPartition, Tenure)>,
    claimed: BTreeSet<Tenure>,
}

impl World {
    fn new() -> Self {
        Self {
            assignment: Assignment::new(DRAIN),
            now: Instant::now(),
            number: 0,
            unanswered: false,
            ours: BTreeSet::new(),
            employed: Vec::new(),
            claimed: BTreeSet::new(),
        }
    }

    fn obey(&mut self, orders: Vec<Order>) {
        for order in orders {
            if let Order::Employ(at, tenure) = order {
                assert!(self.employed.iter().all(|(_, earlier)| *earlier < tenure), "tenures only grow");
                self.employed.push((at, tenure));
            }
        }
    }

    fn pick(&self, index: usize) -> Option<(TopicPartition, Tenure)> {
        let from = self.employed.len().saturating_sub(6);
        let recent = &self.employed[from..];
        (!recent.is_empty()).then(|| recent[index % recent.len()].clone())
    }

    fn claim(&mut self, at: &TopicPartition, tenure: Tenure) {
        if self.assignment.holds(at, tenure) {
            self.claimed.insert(tenure);
        }
        self.assignment.claimed(at, tenure, Start::At(1));
    }

    /// A worker lets go only when told, so only a leaving slot may vanish.
    fn release(&mut self, at: &TopicPartition, tenure: Tenure) {
        if self.assignment.slots.get(at).is_some_and(|slot| slot.state == State::Leaving) {
            self.assignment.released(at, tenure);
        }
    }

    fn answer(&mut self, lost: Lost) {
        let Some(answer) = self.assignment.answer(self.now, lost) else { return };
        let first = std::mem::take(&mut self.unanswered);
        assert!(first || matches!(answer, Answer::Assign(_)), "answered twice: {answer:?}");
        if let Answer::Assign(starts) = answer {
            for (at, start) in starts {
                assert!(self.ours.contains(&at), "{at} is not ours");
                let (_, tenure) = self.employed.iter().rfind(|(a, _)| *a == at).expect("somebody was employed");
                assert!(start.is_none() || self.claimed.contains(tenure), "{at} starts without a claim");
            }
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Event(change, partitions) => {
                self.number += 1;
                self.unanswered = true;
                let event = event(self.number, change, &partitions);
                for at in &event.partitions {
                    if change == Change::Gained {
                        self.ours.insert(at.clone())
                    } else {
                        self.ours.remove(at)
                    };
                }
                let orders = self.assignment.heard(event, self.now);
                self.obey(orders);
            }
            Step::Claim(index) => {
                let Some((at, tenure)) = self.pick(index) else { return };
                self.claim(&at, tenure);
            }
            Step::Fence(index) => {
                let Some((at, tenure)) = self.pick(index) else { return };
                self.assignment.fenced(&at, tenure, self.now);
            }
            Step::Release(index) => {
                let Some((at, tenure)) = self.pick(index) else { return };
                self.release(&at, tenure);
            }
            Step::Answer(lost) => self.answer(lost),
            Step::Place => {
                for (at, tenure, _) in self.assignment.to_place() {
                    assert!(self.claimed.contains(&tenure), "{at} is placed without a claim");
                    self.assignment.placed(&at, tenure);
                }
            }
            Step::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                let orders = self.assignment.rested(self.now);
                self.obey(orders);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_schedule_keeps_the_rules_and_ends_with_all_of_ours_at_work(
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        // Left in peace, with workers that answer, everything that is ours is worked on and nothing else is.
        for _ in 0..40 {
            world.take(Step::Wait(11_000));
            for (at, tenure) in world.employed.clone() {
                world.release(&at, tenure);
                world.claim(&at, tenure);
            }
            world.take(Step::Answer(Lost::No));
            world.take(Step::Place);
        }
        prop_assert!(!world.assignment.owes_answer());
        prop_assert_eq!(world.assignment.partitions(), world.ours);
        prop_assert!(world.assignment.slots.values().all(|slot| slot.state == State::Working));
    }
}
