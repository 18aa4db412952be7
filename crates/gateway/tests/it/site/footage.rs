//! What was recorded beside what the camera sent, byte by byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use camera_sim::Prepared;
use gateway_core::recovery::number_of;
use media::nal::h264;
use model::{CameraId, EpochId, Timestamp};
use seal::grant::CameraKeys;
use seal::recording::{ChunkOpener, Recording};
use seal::roster::Roster;

use super::Site;
use super::hostile::open_grants;

/// The pictures that a camera plays over and over, as they stand in chunks.
pub(super) struct Film(Vec<Vec<u8>>);

impl Film {
    pub(super) fn of(prepared: &Prepared) -> Self {
        // Parameter sets stand in the recording's header.
        let is_kept = |unit: &&bytes::Bytes| {
            !matches!(h264::unit_type(unit), Some(h264::SPS | h264::PPS | h264::ACCESS_UNIT_DELIMITER))
        };
        let picture = |units: &Vec<bytes::Bytes>| {
            let prefixed = |unit: &bytes::Bytes| [&(unit.len() as u32).to_be_bytes(), &unit[..]].concat();
            units.iter().filter(is_kept).flat_map(prefixed).collect()
        };
        Film(prepared.pictures().iter().map(picture).collect())
    }

    fn follows(&self, last: Option<usize>, picture: &[u8]) -> Option<usize> {
        let next = last.map_or(0, |last| (last + 1) % self.0.len());
        if self.0[next] == picture {
            return Some(next);
        }
        self.0.iter().position(|known| known == picture)
    }
}

/// A recording on the disk, opened and compared.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) path: PathBuf,
    pub(super) camera: CameraId,
    pub(super) started_at: Timestamp,
    pub(super) ended_at: Timestamp,
    /// Where its first and last picture stand in the film.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) pictures: u64,
    /// Left out between two that are there.
    pub(super) holes: u64,
}

/// Opens every recording below a folder with the administrator's keys, and finds
/// each picture in the film. One that is not the film's is a failure, and so is
/// whatever needs repair. In the order in which they were begun.
pub(super) fn compare(site: &Site, film: &Film, since: Timestamp) -> Vec<Compared> {
    let keys: BTreeMap<EpochId, BTreeMap<CameraId, CameraKeys>> =
        open_grants(site).into_iter().map(|(grant, keys)| (grant.epoch, keys)).collect();
    let roster = site.administrator.roster();
    let mut files = files(&site.data().join("recordings"));
    files.sort_by_key(|path| number_of(&path.to_string_lossy()));
    let compared = files.into_iter().map(|path| compare_one(path, &roster, &keys, film));
    compared.filter(|recording| recording.started_at >= since).collect()
}

fn compare_one(
    path: PathBuf,
    roster: &Roster,
    keys: &BTreeMap<EpochId, BTreeMap<CameraId, CameraKeys>>,
    film: &Film,
) -> Compared {
    let bytes = std::fs::read(&path).unwrap();
    let recording = Recording::parse(&bytes).unwrap();
    recording.verify(roster).unwrap();
    let footer = recording.footer.as_ref().unwrap_or_else(|| panic!("{} is not whole", path.display()));
    let header = &recording.header.header;
    let opener = ChunkOpener::new(&recording.header, &keys[&header.epoch][&header.camera]).unwrap();
    let (mut first, mut last, mut pictures, mut holes) = (None, None, 0, 0);
    for chunk in &recording.chunks {
        let mut buffer = chunk.ciphertext.to_vec();
        let plaintext = opener.open(chunk.number, chunk.head_bytes, &mut buffer).unwrap();
        // After the presentation delta.
        let place = film.follows(last, &plaintext[4..]);
        let place =
            place.unwrap_or_else(|| panic!("{}: chunk {} is not the camera's", path.display(), chunk.number));
        let length = film.0.len();
        holes += last.map_or(0, |last| (place + length - last - 1) % length) as u64;
        (first, last, pictures) = (first.or(Some(place)), Some(place), pictures + 1);
    }
    let started_at = header.started_at;
    Compared {
        camera: header.camera,
        started_at,
        ended_at: started_at.plus_ms(footer.duration_ms),
        first: first.unwrap_or_else(|| panic!("{} holds no picture", path.display())),
        last: last.expect("there is a first"),
        pictures,
        holes,
        path,
    }
}

/// Recordings below a folder.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "lkr"))
        // Of what the gateway notices of a camera there may be some at any time.
        .filter(|path| !path.to_string_lossy().contains("/events/"))
        .collect();
    found.sort();
    found
}
