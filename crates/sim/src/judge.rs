//! The reference model: every access unit that was accepted is in the store, on
//! the disk, or reported missing; nothing is there twice, or other than it was.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gateway_core::hours::GRACE_MS;
use gateway_core::uplink::State;
use media::{AudioChunk, VideoChunk};
use model::wire::{Gap, Recording as Report};
use model::{Hash, Timestamp};
use seal::grant::CameraKeys;
use seal::recording::{ChunkOpener, Recording};
use seal::roster::Roster;

use crate::camera::{Camera, VIDEO, number_of_picture, number_of_sound};
use crate::process::{Accepted, Keys};
use crate::world::World;

/// What one simulated site came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub accepted: u64,
    /// Accepted, not kept, and told.
    pub told_missing: u64,
    /// Of recordings that were to stay on the site alone, until retention.
    pub let_go: u64,
    pub recordings: u64,
    pub gaps: u64,
    pub violations: Vec<String>,
}

/// Looked at only this many: the first one is what matters.
const VIOLATIONS_MAX: usize = 20;

struct Judge<'a> {
    roster: &'a Roster,
    keys: &'a Keys,
    cameras: &'a [Camera],
    accepted: &'a Accepted,
    seen: BTreeMap<u64, Hash>,
    tally: Tally,
}

pub(crate) fn judge(
    world: &World,
    roster: &Roster,
    keys: &Keys,
    cameras: &[Camera],
    accepted: &Accepted,
) -> Tally {
    let tally = Tally {
        accepted: accepted.len() as u64,
        violations: world.cloud.violations.clone(),
        ..Tally::default()
    };
    let mut judge = Judge { roster, keys, cameras, accepted, seen: BTreeMap::new(), tally };
    let mut read = BTreeSet::new();
    for (name, bytes) in world.cloud.footage() {
        judge.recording(name, bytes, Some(name));
        read.insert(seal::sha256(bytes));
    }
    for row in world.index.recordings.values() {
        let bytes = world.disk.read(&row.path).ok().flatten();
        let genuine = bytes.filter(|bytes| seal::sha256(bytes) == row.report.sha256);
        match (genuine, row.state) {
            (Some(bytes), _) if read.insert(row.report.sha256) => judge.recording(&row.path, bytes, None),
            (Some(_), _) => {}
            (None, State::Damaged | State::Confirmed) => {}
            (None, state) => judge.wrong(format!("{} is {state:?} and not on the disk", row.path)),
        }
        if matches!(row.state, State::Kept | State::Uploaded) {
            judge.wrong(format!("{} was not forwarded in the end", row.path));
        }
    }
    for recording in world.cloud.recordings.values() {
        let stored = world.cloud.objects.get(&recording.name);
        if stored.is_none_or(|bytes| seal::sha256(bytes) != recording.sha256) {
            judge.wrong(format!("{} was reported and is not in the store", recording.name));
        }
    }
    let over_at = world.now().minus_ms(GRACE_MS + Timestamp::MINUTE);
    let rows = world.index.recordings.values();
    for what in world.index.hours.judge(world.cloud.hours(), rows, roster, over_at) {
        judge.wrong(what);
    }
    let gaps: Vec<Gap> = world
        .cloud
        .gaps
        .iter()
        .cloned()
        .chain(world.index.gaps(usize::MAX).into_iter().map(|(_, g)| g))
        .collect();
    judge.missing(&gaps, &world.index.let_go);
    judge.tally.gaps = gaps.len() as u64;
    judge.tally
}

impl Judge<'_> {
    fn wrong(&mut self, what: String) {
        if self.tally.violations.len() < VIOLATIONS_MAX {
            self.tally.violations.push(what);
        }
    }

    fn recording(&mut self, place: &str, bytes: &[u8], object: Option<&str>) {
        self.tally.recordings += 1;
        if let Err(what) = self.read(bytes, object) {
            self.wrong(format!("{place}: {what}"));
        }
    }

    fn read(&mut self, bytes: &[u8], object: Option<&str>) -> Result<(), String> {
        let recording = Recording::parse(bytes).map_err(|error| error.to_string())?;
        recording.verify(self.roster).map_err(|error| error.to_string())?;
        let footer = recording.footer.as_ref().ok_or("it is cut off")?;
        let header = &recording.header.header;
        if object.is_some_and(|name| !name.ends_with(&format!("-{}.lkr", footer.root))) {
            return Err("its name does not end in its root".to_owned());
        }
        let keys = self.keys.get(&(header.epoch, header.camera)).ok_or("an epoch without grants")?;
        let keys = CameraKeys { video: keys.video.clone(), audio: Some(keys.audio.clone()) };
        let opener = ChunkOpener::new(&recording.header, &keys).map_err(|error| error.to_string())?;
        let stream = self
            .cameras
            .iter()
            .position(|camera| (camera.id, camera.rendition) == (header.camera, header.rendition));
        for chunk in &recording.chunks {
            let mut buffer = chunk.ciphertext.to_vec();
            // What a power cut left half is told as a gap; it counts as missing.
            let Ok(plain) = opener.open(chunk.number, chunk.head_bytes, &mut buffer) else { continue };
            let plain = Bytes::copy_from_slice(plain);
            let numbers: Vec<Option<u64>> = if chunk.head.track == VIDEO {
                let picture = VideoChunk::decode(plain).map_err(|error| error.to_string())?;
                vec![number_of_picture(&picture.data)]
            } else {
                let sound = AudioChunk::decode(plain).map_err(|error| error.to_string())?;
                sound.frames.iter().map(|frame| number_of_sound(frame)).collect()
            };
            for number in numbers {
                let number = number.ok_or("a unit without its number")?;
                let of = self.accepted.get(&number).map(|(stream, _)| *stream);
                if of != stream {
                    return Err(format!("unit {number} is of stream {of:?}, not {stream:?}"));
                }
                // One recording may be closed twice, if a disk forgot its end.
                let before = self.seen.insert(number, recording.header.id);
                if before.is_some_and(|before| before != recording.header.id) {
                    return Err(format!("unit {number} is in another recording, too"));
                }
            }
        }
        Ok(())
    }

    /// Of each unit that is nowhere, a gap tells; or it was to stay on the site
    /// alone, and its time there is over.
    fn missing(&mut self, gaps: &[Gap], let_go: &[Report]) {
        let mut told = 0;
        let mut untold = Vec::new();
        for (number, (stream, at)) in self.accepted {
            if self.seen.contains_key(number) {
                continue;
            }
            let Camera { id, rendition, .. } = self.cameras[*stream];
            let tells = |gap: &Gap| {
                (gap.camera, gap.rendition) == (id, rendition)
                    && gap.from <= at.plus_ms(1)
                    && *at <= gap.to.plus_ms(1)
            };
            let held = |recording: &Report| {
                (recording.camera, recording.rendition) == (id, rendition)
                    && recording.started_at <= at.plus_ms(1)
                    && *at <= recording.started_at.plus_ms(recording.duration_ms + 1)
            };
            if gaps.iter().any(tells) {
                told += 1;
            } else if let_go.iter().any(held) {
                self.tally.let_go += 1;
            } else {
                untold.push(format!(
                    "unit {number} of stream {stream} at {} is nowhere, and no gap tells of it",
                    at.0
                ));
            }
        }
        self.tally.told_missing = told;
        untold.into_iter().for_each(|what| self.wrong(what));
    }
}
