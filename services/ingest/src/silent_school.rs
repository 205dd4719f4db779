//! Schools from which registers do not come. Besides its messages the owner of the first partition of registers looks at every school
//! once a session is due by the policy's `[silent_school]`, and again while a school is silent; one process has that partition,
//! and its position row refuses every other.
//!
//! What was accepted before must be counted first: a look waits until the loop has passed all of it on and the records hold it; and some
//! minutes after schools could not be heard, so that they can send again what they were refused. How schools stand is committed
//! together with the alert changes, in an outbox of their own, and relayed in order. Nothing here stops registers from being read.

use crate::feed::Feed;
use crate::partition::{Partition, Shared, work_error};
use crate::roll::{Roll, row_urn};
use attendance::alert::Change;
use attendance::silence::{Came, Due, Standing, State, Watch};
use attendance::{Session, Upn, Urn};
use installation::InForce;
use prost::Message as _;
use proto::v1;
use service::clock::Mode;
use service::fault;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::outbox::{self, OutboxRow};
use store::school_watch::{self, StandingRow};
use store::{StoreError, position, pupil_school, register};
use transport::consumer::WorkError;
use transport::{AdminError, Outgoing, Topic};
use uuid::Uuid;

/// How often it is asked whether a look is due, in microseconds.
const ASK_EVERY: i64 = 500_000;
/// How often silent schools are looked at again.
const LOOK_AGAIN: i64 = 30_000_000;
/// How far schools may be apart where school time follows the registers.
const A_DAY: i64 = 86_400_000_000;
/// How long schools may take to send again what they were refused.
const SENT_AGAIN: i64 = 300_000_000;
/// How long a register may be on its way to Kafka.
const ON_ITS_WAY: i64 = 15_000_000;
/// The changes of one outbox row: a message stays far below a broker's limit of 1 MiB.
const CHANGES_A_ROW: usize = 500;
/// Rows relayed at once.
const ROWS: u32 = 100;

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    asked: i64,
    looked: i64,
    /// Since when schools can be heard: since this owner began, or Kafka came back.
    listening: i64,
    /// The session that was due at the last look.
    due: Option<Session>,
    /// Whether a school is silent.
    silent: bool,
    waits: Option<Waits>,
    /// Whether all that was put into the outbox was relayed.
    relayed: bool,
}

/// What a look waits for: offsets of topics.
#[derive(Debug)]
struct Waits {
    due: Session,
    /// Since when, by the wall.
    since: i64,
    registers: Vec<Ends>,
    /// Once the registers are passed on.
    events: Option<Ends>,
}

/// Where a topic ended at some moment, by partition.
#[derive(Debug)]
struct Ends {
    topic: String,
    offsets: Vec<i64>,
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
struct Look {
    due: Session,
    /// Whether nobody has looked at this session yet: then at all schools, else at those that are silent.
    is_new: bool,
    /// What was received before this moment is in the records.
    since: i64,
}

/// A change that a look has found.
struct Found {
    urn: Urn,
    session: Session,
    change: Change,
    standing: Standing,
    came: Came,
    sentence: String,
}

impl Partition {
    /// Looks at the schools where that is due, and relays what is known of them.
    pub(crate) async fn watch_schools(&mut self) -> Result<(), WorkError> {
        let now = self.shared.clock.wall_now().micros();
        if now - self.watching.asked < ASK_EVERY {
            return Ok(());
        }
        self.watching.asked = now;
        self.relay_schools().await?;
        let in_force = Arc::clone(&self.shared.in_force.borrow());
        let Some(watch) = &in_force.policy.watch else { return self.look_no_more(&in_force).await };
        let clock = &self.shared.clock;
        // Where school time follows the registers, the first of a session moves it on, and the others are still to come.
        let behind = if clock.mode() == Mode::Registers { A_DAY } else { 0 };
        let due = watch.due(clock.now().plus_micros(-behind));
        // The times may have been changed: what was looked at is not looked at again.
        let is_new = self.watching.due < Some(due);
        let is_again =
            self.watching.due == Some(due) && self.watching.silent && now - self.watching.looked >= LOOK_AGAIN;
        if self.watching.listening == 0 {
            self.watching.listening = now;
        }
        let can_wait = clock.mode() == Mode::Wall && now - self.watching.listening < SENT_AGAIN;
        if !(is_new || is_again) || can_wait || !self.is_counted(&in_force, due).await? {
            return Ok(());
        }
        let since = self.watching.waits.as_ref().map_or(now, |waits| waits.since);
        let found = self.look(&in_force, watch, Look { due, is_new, since }).await?;
        if !found.is_empty() {
            self.put(&in_force, &found).await?;
            self.relay_schools().await?;
        }
        (self.watching.due, self.watching.looked, self.watching.waits) = (Some(due), now, None);
        Ok(())
    }

    /// Whether all that was accepted when it was first asked is in the records. Kafka being away is an answer too: not now.
    async fn is_counted(&mut self, in_force: &InForce, due: Session) -> Result<bool, WorkError> {
        let shared = Arc::clone(&self.shared);
        // A register is stamped before Kafka has it.
        let on_its_way = if shared.clock.mode() == Mode::Wall { ON_ITS_WAY } else { 0 };
        let since = shared.clock.wall_now().micros() - on_its_way;
        let mut waits = match self.watching.waits.take().filter(|waits| waits.due == due) {
            Some(waits) => waits,
            None => match accepted(&shared, in_force).await {
                Ok(registers) => Waits { due, since, registers, events: None },
                Err(error) => return Ok(self.cannot_be_told(&error)),
            },
        };
        if waits.events.is_none() && are_past(&shared, &waits.registers, |row| row.next_offset).await? {
            match ends(&shared, &shared.events).await {
                Ok(events) => waits.events = Some(events),
                Err(error) => return Ok(self.cannot_be_told(&error)),
            }
        }
        let is_counted = match &waits.events {
            Some(events) => are_past(&shared, std::slice::from_ref(events), |row| row.checkpoint_offset).await?,
            None => false,
        };
        self.watching.waits = Some(waits);
        Ok(is_counted)
    }

    /// Kafka is away, and with it what schools would send.
    fn cannot_be_told(&mut self, error: &AdminError) -> bool {
        tracing::warn!(%error, "whether registers are missing cannot be told now");
        self.watching.listening = self.shared.clock.wall_now().micros();
        false
    }

    /// What has changed: of all schools where the session is new, else of those that are silent.
    async fn look(
        &mut self,
        in_force: &InForce,
        watch: &Watch,
        Look { due, is_new, since }: Look,
    ) -> Result<Vec<Found>, WorkError> {
        let shared = Arc::clone(&self.shared);
        let standings = standings(&shared).await.map_err(work_error)?;
        let is_silent = |urn: &Urn| standings.get(urn).is_some_and(|standing| standing.state != State::Heard);
        let schools = in_force.policy.schools.keys().chain(standings.keys()).copied().collect::<BTreeSet<_>>();
        // Most schools keep one calendar: what has come of a session is asked once.
        let mut heard: BTreeMap<Due, BTreeMap<i32, Option<i64>>> = BTreeMap::new();
        let (mut found, mut counts) = (Vec::new(), BTreeMap::new());
        for urn in schools.into_iter().filter(|urn| is_new || is_silent(urn)) {
            let of_school = Watch::of_school(due, in_force.policy.calendars.of(urn));
            let Some(of_school @ Due { session, before, heard_since }) = of_school else { continue };
            let heard = match heard.entry(of_school) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let rows = register::heard(&shared.store, heard_since.number(), session.number()).await;
                    unknown.insert(rows.map_err(work_error)?.into_iter().collect())
                }
            };
            let standing = standings.get(&urn).copied();
            let (mut state, came) = match heard.get(&row_urn(urn)) {
                // It takes no registers any more.
                _ if in_force.policy.school_on(urn, session.day()).is_none() => (State::Heard, Came::default()),
                // It does not send registers, or not yet.
                None if !is_silent(&urn) => continue,
                // It came a moment ago: the records may not hold it yet.
                Some(Some(received_at)) if *received_at >= since => {
                    *counts.entry(standing.map_or(State::Heard, |standing| standing.state)).or_insert(0) += 1;
                    continue;
                }
                Some(Some(_)) => {
                    let came = came(&shared, urn, session).await.map_err(work_error)?;
                    (watch.state(came), came)
                }
                Some(None) | None => (State::Silent, Came::default()),
            };
            // A silence that has lasted is over with two sessions: who never sends afternoons is one silence, not one a day.
            if let (State::Heard, Some(standing), Some(before)) = (state, standing, before)
                && came.registers
                && standing.state != State::Heard
                && standing.since < session
                && !self.is_whole(watch, urn, before).await?
            {
                state = standing.state;
            }
            *counts.entry(state).or_insert(0) += 1;
            if let Some((change, standing)) = Standing::after(standing, state, session) {
                let sentence = watch.sentence(&standing, session, came);
                found.push(Found { urn, session, change, standing, came, sentence });
            }
        }
        for state in [State::Incomplete, State::Silent] {
            let count = counts.get(&state).copied().unwrap_or(0);
            shared.metrics.schools_missing.with_label_values(&[state.text()]).set(count);
        }
        self.watching.silent = counts.keys().any(|state| *state != State::Heard);
        Ok(found)
    }

    /// Whether the registers of a session are all here by now.
    async fn is_whole(&self, watch: &Watch, urn: Urn, session: Session) -> Result<bool, WorkError> {
        let rows = register::list(&self.shared.store, row_urn(urn), session.number(), session.number()).await;
        if rows.map_err(work_error)?.is_empty() {
            return Ok(false);
        }
        Ok(watch.state(came(&self.shared, urn, session).await.map_err(work_error)?) == State::Heard)
    }

    /// What failed now is tried again after a while: registers come first.
    pub(crate) fn watch_later(&mut self) {
        self.watching.asked = self.shared.clock.wall_now().micros() + LOOK_AGAIN;
    }

    /// Nothing is known of schools any more: another process looks, or nobody.
    pub(crate) fn watch_no_more(&mut self) {
        for state in [State::Incomplete, State::Silent] {
            self.shared.metrics.schools_missing.with_label_values(&[state.text()]).set(0);
        }
        self.watching = Watching::default();
    }

    /// The policy watches no more: what was open ends.
    async fn look_no_more(&mut self, in_force: &InForce) -> Result<(), WorkError> {
        if self.watching.due.is_none() && self.watching.looked > 0 {
            return Ok(());
        }
        let session = Session::at(self.shared.clock.now());
        let silent = standings(&self.shared).await.map_err(work_error)?.into_iter();
        let found: Vec<Found> = silent
            .filter_map(|(urn, standing)| {
                let (change, standing) = Standing::after(Some(standing), State::Heard, session)?;
                let sentence = "Registers are watched no more".to_owned();
                Some(Found { urn, session, change, standing, came: Came::default(), sentence })
            })
            .collect();
        if !found.is_empty() {
            self.put(in_force, &found).await?;
            self.relay_schools().await?;
        }
        let now = self.shared.clock.wall_now().micros();
        let relayed = self.watching.relayed;
        self.watch_no_more();
        (self.watching.looked, self.watching.relayed) = (now, relayed);
        Ok(())
    }

    /// Commits how schools stand, with the changes that this is.
    async fn put(&mut self, in_force: &InForce, found: &[Found]) -> Result<(), WorkError> {
        let now = self.shared.clock.wall_now();
        let held = self.position()?.clone();
        let schools: Vec<_> = found.iter().map(|found| change(found, in_force, &self.shared.namespace)).collect();
        let rows = schools.chunks(CHANGES_A_ROW).zip(held.outbox_number + 1..).map(|(schools, number)| {
            let payload = v1::AlertBatch { schools: schools.to_vec(), ..v1::AlertBatch::default() }.encode_to_vec();
            OutboxRow { part: outbox::SCHOOLS, number, put_at: now.micros(), payload }
        });
        let rows: Vec<OutboxRow> = rows.collect();
        let number = rows.last().map_or(held.outbox_number, |row| row.number);
        let mut tx = self.shared.store.begin().await.map_err(work_error)?;
        if !position::advance(&mut tx, held.fence(), held.next_offset, number).await.map_err(work_error)? {
            return Err(self.fenced());
        }
        for Found { urn, standing, .. } in found {
            school_watch::put(&mut tx, &row(*urn, standing)).await.map_err(work_error)?;
        }
        for row in &rows {
            outbox::put(&mut tx, row).await.map_err(work_error)?;
        }
        fault::point("ingest.schools.before_commit");
        self.watching.relayed = false;
        self.finish(tx, held.next_offset, number).await?;
        fault::point("ingest.schools.after_commit");
        tracing::info!(schools = found.len(), "registers are missing, or have come, of schools");
        Ok(())
    }

    /// Sends what waits in the outbox, and deletes it after the acks.
    async fn relay_schools(&mut self) -> Result<(), WorkError> {
        while !self.watching.relayed {
            let rows = outbox::list(&self.shared.store, outbox::SCHOOLS, 0, ROWS).await.map_err(work_error)?;
            let Some(last) = rows.last().map(|row| row.number) else {
                self.watching.relayed = true;
                break;
            };
            // All with one key, so that they stay in order.
            let message = |row: OutboxRow| Outgoing::keyed(Topic::alerts(), "schools", row.payload);
            let sent = self.shared.producer.send_all(rows.into_iter().map(message).collect()).await;
            sent.map_err(|error| WorkError::Unavailable(error.into()))?;
            fault::point("ingest.schools.after_send");
            let held = self.position()?.clone();
            let mut tx = self.shared.store.begin().await.map_err(work_error)?;
            if !position::touch(&mut tx, held.fence()).await.map_err(work_error)? {
                return Err(self.fenced());
            }
            outbox::delete_through(&mut tx, outbox::SCHOOLS, last).await.map_err(work_error)?;
            self.finish(tx, held.next_offset, held.outbox_number).await?;
        }
        Ok(())
    }
}

/// Where the topics of registers end now.
async fn accepted(shared: &Shared, in_force: &InForce) -> Result<Vec<Ends>, AdminError> {
    let mut all = vec![ends(shared, Topic::registers().as_str()).await?];
    for topic in in_force.policy.suppliers.keys().filter_map(|name| Topic::supplier(name).ok()) {
        match ends(shared, topic.as_str()).await {
            Ok(ends) => all.push(ends),
            // It is not read either.
            Err(AdminError::NoTopic(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

async fn ends(shared: &Shared, topic: &str) -> Result<Ends, AdminError> {
    let offsets = shared.admin.watermarks(topic).await?.into_iter();
    // What retention has taken was read, or is reported elsewhere.
    let end = |marks: transport::Watermarks| if marks.low == marks.high { 0 } else { marks.high };
    Ok(Ends { topic: topic.to_owned(), offsets: offsets.map(end).collect() })
}

/// Whether the positions of topics have come to these ends.
async fn are_past(
    shared: &Shared,
    all: &[Ends],
    offset: impl Fn(&position::Position) -> i64 + Send + Sync,
) -> Result<bool, WorkError> {
    for Ends { topic, offsets } in all {
        let rows = position::list(&shared.store, topic).await.map_err(work_error)?;
        // A supplier's topic that nobody reads holds nothing up.
        if rows.is_empty() && *topic != *shared.events {
            continue;
        }
        let at = |part: i32| rows.iter().find(|row| row.part == part).map_or(0, &offset);
        if (0..).zip(offsets).any(|(part, end)| at(part) < *end) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What has come of a school's session, by the records.
async fn came(shared: &Shared, school: Urn, session: Session) -> Result<Came, StoreError> {
    let roll = Roll::read(&shared.store, school).await?;
    if roll.is_unknown() {
        return Ok(Came { registers: true, ..Came::default() });
    }
    let mut feed = Feed::new(school, &roll, [session]);
    let year = session.school_year();
    let urn = row_urn(school);
    for (upn, body) in pupil_school::records(&shared.store, urn, year.first_calendar_year()).await? {
        let upn = u64::try_from(upn).ok().and_then(Upn::from_number);
        // A stored row that does not decode is passed over: rules holds its pupil and says so.
        if let (Some(upn), Ok(record)) = (upn, proto::year_from_bytes(year, &body)) {
            feed.take(upn, &record);
        }
    }
    let on_roll = roll.pupils().filter(|upn| roll.holds(*upn, session.day())).count();
    let on_roll = u32::try_from(on_roll).unwrap_or(u32::MAX);
    let missing = feed.held().get(&session).map_or(on_roll, |held| held.on_roll_without_mark.count);
    Ok(Came { registers: true, on_roll, marked: on_roll.saturating_sub(missing) })
}

async fn standings(shared: &Shared) -> Result<BTreeMap<Urn, Standing>, StoreError> {
    let rows = school_watch::list(&shared.store).await?;
    let standing = |row: StandingRow| {
        let count = |number: i32| u32::try_from(number).ok();
        let state = u8::try_from(row.state).ok().and_then(State::from_number)?;
        let (episode, version) = (count(row.episode)?, count(row.version)?);
        Some((school(row.urn)?, Standing { state, since: Session::from_number(row.since), episode, version }))
    };
    Ok(rows.into_iter().filter_map(standing).collect())
}

fn row(urn: Urn, standing: &Standing) -> StandingRow {
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    StandingRow {
        urn: row_urn(urn),
        state: i16::from(standing.state.number()),
        since: standing.since.number(),
        episode: number(standing.episode),
        version: number(standing.version),
    }
}

fn change(found: &Found, in_force: &InForce, namespace: &Uuid) -> v1::SchoolChange {
    let Found { urn, session, change, standing, came, sentence } = found;
    // What it is about, so that a change that is decided again bears the same id.
    let about = format!("school/{urn}/{}", standing.episode);
    v1::SchoolChange {
        alert_id: Uuid::new_v5(namespace, about.as_bytes()).as_bytes().to_vec(),
        version: standing.version,
        school_urn: urn.number(),
        change: v1::Change::from(*change).into(),
        state: standing.state.number().into(),
        since: standing.since.number(),
        session: session.number(),
        on_roll: came.on_roll,
        marked: came.marked,
        sentence: sentence.clone(),
        rule_set: u64::try_from(in_force.version).unwrap_or_default(),
    }
}

fn school(urn: i32) -> Option<Urn> {
    u32::try_from(urn).ok().and_then(|urn| Urn::new(urn).ok())
}
