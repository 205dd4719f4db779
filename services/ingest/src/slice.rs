//! Cutting events by the partition of their pupils: a message a partition and at most so many bytes, in order.

use proto::{Event, MarksPart};
use std::collections::BTreeMap;
use std::sync::Arc;
use transport::{Outgoing, partition_of};

/// Bytes of a slice, roughly at most.
const SLICE_BYTES: usize = 512 * 1024;
/// Bytes of an event beside its marks, roughly at most.
const EVENT_BYTES: usize = 512;
/// Bytes of a mark, at most: a packed UPN, a code, minutes.
const MARK_BYTES: usize = 11;

/// The messages for `events` of `partitions` partitions.
pub(crate) fn cut(events: Vec<Event>, partitions: u32, topic: &Arc<str>) -> Vec<Outgoing> {
    let mut slices: BTreeMap<u32, Vec<Vec<Event>>> = BTreeMap::new();
    let mut bytes: BTreeMap<u32, usize> = BTreeMap::new();
    for (partition, event) in events.into_iter().flat_map(|event| by_partition(event, partitions)) {
        let size = match &event {
            Event::Marks(part) => EVENT_BYTES + part.marks.len() * MARK_BYTES,
            // A supplier's texts may be of any length.
            event => Event::to_slice(std::slice::from_ref(event)).len(),
        };
        let (slices, bytes) = (slices.entry(partition).or_default(), bytes.entry(partition).or_default());
        match slices.last_mut() {
            Some(last) if *bytes + size <= SLICE_BYTES => {
                last.push(event);
                *bytes += size;
            }
            _ => {
                slices.push(vec![event]);
                *bytes = size;
            }
        }
    }
    let message = |partition, events: &Vec<Event>| Outgoing {
        partition: Some(partition),
        ..Outgoing::keyed(Arc::clone(topic), Vec::new(), Event::to_slice(events))
    };
    slices.iter().flat_map(|(partition, slices)| slices.iter().map(move |events| message(*partition, events))).collect()
}

fn by_partition(event: Event, partitions: u32) -> Vec<(u32, Event)> {
    let of = |upn: attendance::Upn| partition_of(upn.text().as_bytes(), partitions);
    match event {
        Event::Marks(part) => {
            let mut parts: BTreeMap<u32, Vec<_>> = BTreeMap::new();
            for mark in &part.marks {
                parts.entry(of(mark.0)).or_default().push(*mark);
            }
            let event = |(partition, marks)| (partition, Event::Marks(MarksPart { marks, ..part.clone() }));
            parts.into_iter().map(event).collect()
        }
        Event::Enrolment(upn, _) | Event::Erasure(upn) | Event::Replay(upn, _) => vec![(of(upn), event)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attendance::mark::Revision;
    use attendance::{Code, Session, Timestamp, Upn, Urn};

    #[test]
    fn every_mark_is_in_the_slice_of_its_pupils_partition_once() {
        let upn = |number: u32| Upn::parse(&format!("A900001{number:06}")).unwrap();
        let revision = Revision { revised_at: Timestamp::from_micros(1), code: Code::Present, minutes_late: None };
        let register = |session| {
            Event::Marks(MarksPart {
                register: [1; 16],
                received_at: Timestamp::from_micros(1),
                school: Urn::new(900_001).unwrap(),
                session: Session::from_number(session),
                origin: proto::Origin::Live,
                marks: (0..1_000).map(|number| (upn(number), revision)).collect(),
            })
        };
        let messages = cut((0..300).map(register).collect(), 3, &"events".into());
        assert!(messages.len() > 3, "a slice has a limit");
        let mut marks = 0;
        let mut newest = BTreeMap::new();
        for message in &messages {
            assert!(message.payload.len() <= SLICE_BYTES);
            for event in Event::of_slice(&message.payload).unwrap() {
                let Event::Marks(part) = event else { panic!("marks went in") };
                marks += part.marks.len();
                assert!(
                    part.marks.iter().all(|(upn, _)| Some(partition_of(upn.text().as_bytes(), 3)) == message.partition)
                );
                let before = newest.insert(message.partition, part.session);
                assert!(before.is_none_or(|before| before < part.session), "in order");
            }
        }
        assert_eq!(marks, 300_000);
    }
}
