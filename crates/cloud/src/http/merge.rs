//! One list of what the store has and of what is on the gateway alone.

use std::collections::BTreeSet;

use model::Timestamp;
use model::wire::Recording;

use crate::hub::Listed;

/// Recordings in order of time, each once, and whether it is on the gateway
/// alone; and where to go on. At most `most`, and none from there on: `indexed`
/// ends with one more if the index has more, and the gateway's list with one
/// that begins the next page.
pub(super) fn merge(
    mut indexed: Vec<Recording>,
    Listed { recordings: mut on_site, more }: Listed,
    most: usize,
) -> (Vec<(Recording, bool)>, Option<Timestamp>) {
    let order = |recording: &Recording| (recording.started_at, recording.id);
    on_site.sort_by_key(order);
    let known: BTreeSet<_> = indexed.iter().map(|recording| recording.id).collect();
    let more_on_site = if more { on_site.pop().map(|last| last.started_at) } else { None };
    let more_indexed = indexed.get(most).map(|next| next.started_at);
    let mut more_from = more_indexed.into_iter().chain(more_on_site).min();
    indexed.truncate(most);

    on_site.retain(|recording| !known.contains(&recording.id));
    on_site.dedup_by_key(|recording| recording.id);
    let mut all: Vec<_> = indexed.into_iter().map(|recording| (recording, false)).collect();
    all.extend(on_site.into_iter().map(|recording| (recording, true)));
    all.sort_by_key(|(recording, _)| order(recording));
    if let Some((next, _)) = all.get(most) {
        more_from = more_from.into_iter().chain([next.started_at]).min();
    }
    if let Some(end) = more_from {
        all.retain(|(recording, _)| recording.started_at < end);
    }
    (all, more_from)
}

#[cfg(test)]
mod tests {
    use model::{CameraId, EpochId, Hash, Rendition};

    use super::*;

    fn recording(at: u64) -> Recording {
        let mut id = [0; 32];
        id[24..].copy_from_slice(&at.to_be_bytes());
        Recording {
            name: String::new(),
            id: Hash(id),
            camera: CameraId::from_random([1; 16]),
            rendition: Rendition::Main,
            epoch: EpochId::from_random([2; 16]),
            started_at: Timestamp(at),
            duration_ms: 1,
            bytes: 1,
            sha256: Hash::default(),
            key_frames: 1,
            root: Hash::default(),
            previous_root: None,
            has_audio: false,
            codec: String::new(),
        }
    }

    fn listed(times: &[u64], more: bool) -> Listed {
        Listed { recordings: times.iter().map(|at| recording(*at)).collect(), more }
    }

    /// Asks page after page, as clients do.
    fn pages(indexed: &[u64], on_site: &[u64], most: usize, listed_max: usize) -> Vec<(u64, bool)> {
        let (mut from, mut found) = (0, Vec::new());
        loop {
            let later = |times: &[u64]| times.iter().copied().filter(|at| *at >= from).collect::<Vec<_>>();
            let rows = later(indexed).into_iter().take(most + 1).map(recording).collect();
            let site = later(on_site);
            let cut = &site[..site.len().min(listed_max)];
            let (page, more) = merge(rows, listed(cut, site.len() > listed_max), most);
            assert!(page.len() <= most);
            found.extend(page.into_iter().map(|(recording, on_site)| (recording.started_at.0, on_site)));
            match more {
                Some(more) if more.0 > from => from = more.0,
                _ => return found,
            }
        }
    }

    #[test]
    fn every_recording_is_on_one_page_and_once() {
        let both: Vec<u64> = (0..100).collect();
        for (most, listed_max) in [(7, 3), (3, 7), (100, 2), (2, 100), (200, 200)] {
            for every in [1, 2, 3, 10] {
                let here = |at: &u64| at.is_multiple_of(every);
                let on_site: Vec<u64> = both.iter().copied().filter(here).collect();
                // What was forwarded meanwhile is in both.
                let indexed: Vec<u64> = both.iter().copied().filter(|at| !here(at) || at % 5 == 0).collect();
                let expected: Vec<_> =
                    both.iter().map(|at| (*at, here(at) && !indexed.contains(at))).collect();
                assert_eq!(
                    pages(&indexed, &on_site, most, listed_max),
                    expected,
                    "{most} {listed_max} {every}"
                );
            }
        }
    }

    #[test]
    fn what_a_gateway_lists_twice_or_in_disorder_is_listed_once_in_order() {
        let (all, more) = merge(vec![recording(2)], listed(&[3, 1, 3, 2], false), 10);
        let times: Vec<_> =
            all.iter().map(|(recording, on_site)| (recording.started_at.0, *on_site)).collect();
        assert_eq!((times, more), (vec![(1, true), (2, false), (3, true)], None));
        // A list that says that there is more and names nothing changes nothing.
        let (all, more) = merge(vec![recording(2)], listed(&[], true), 10);
        assert_eq!((all.len(), more), (1, None));
    }
}
