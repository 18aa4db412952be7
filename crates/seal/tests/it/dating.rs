//! Between which times a recording was made; and what a cloud that lies, or
//! whoever hands on a proof, can make of it.

use model::{Hash, OrgId, Timestamp};
use seal::dating::{
    BATCH_MAX, BATCH_OPERATION, Batch, Before, Bound, CHECKPOINTS_MAX, Dated, Dating, DatingError, Published,
    Stored, Times,
};
use seal::keys::SigningKey;
use seal::tlog::{self, Checkpoint, LogKey, NoteError, Tile};

use crate::fixture::{T0, org};

/// A history that the test writes.
struct History {
    key: SigningKey,
    org: OrgId,
    entries: Vec<String>,
}

fn witness() -> (SigningKey, LogKey) {
    let key = SigningKey::from_seed([0x77; 32]);
    let public = LogKey { name: "witness.example".to_owned(), key: key.verifying_key() };
    (key, public)
}

impl History {
    fn of(org: OrgId, seed: u8) -> Self {
        History { key: SigningKey::from_seed([seed; 32]), org, entries: Vec::new() }
    }

    fn public(&self) -> LogKey {
        LogKey { name: format!("lenskeep/{}", self.org), key: self.key.verifying_key() }
    }

    /// As the cloud writes it; returns its number.
    fn write(&mut self, at: Timestamp, operation: &str, resource: &str) -> u64 {
        let seq = self.entries.len() as u64;
        // As text: in which order a map is written is decided by whoever builds with us.
        self.entries.push(format!(
            r#"{{"actor":{{"uid":"cloud"}},"api":{{"operation":"{operation}"}},"class_uid":6003,"resources":[{{"uid":"{resource}"}}],"time":{},"unmapped":{{"org":"{}","seq":{seq}}}}}"#,
            at.0, self.org
        ));
        seq
    }

    fn hashes(&self, size: u64) -> Vec<Hash> {
        self.entries[..size as usize].iter().map(|entry| tlog::leaf_hash(entry.as_bytes())).collect()
    }

    /// The checkpoint of so many entries, signed by a witness at that time.
    fn note(&self, size: u64, signed: Option<Timestamp>) -> String {
        let mut tree = seal::MerkleTree::new();
        self.entries[..size as usize].iter().for_each(|entry| tree.push(&[entry.as_bytes()]));
        let checkpoint = Checkpoint { origin: self.public().name, size, root: tree.root() };
        let line = signed.map(|at| tlog::sign_witnessed(&checkpoint, &witness().1.name, &witness().0, at));
        tlog::sign(&checkpoint, &self.key) + &line.unwrap_or_default()
    }

    fn proof(&self, seq: u64, size: u64) -> Vec<Hash> {
        let hashes = self.hashes(size);
        let root = |node: &tlog::Node| {
            let first = (node.index << node.level) as usize;
            Tile::root(&hashes[first..first + (1 << node.level)]).unwrap()
        };
        let parts = tlog::inclusion(seq, size).unwrap();
        parts.iter().map(|part| tlog::fold(&part.iter().map(root).collect::<Vec<_>>()).unwrap()).collect()
    }

    fn published(&self, seq: u64, size: u64, signed: Option<Timestamp>) -> Published {
        Published { note: self.note(size, signed), proof: self.proof(seq, size) }
    }
}

/// Ids and roots of the recordings of a batch.
fn recording(n: u8) -> (Hash, Hash) {
    (Hash([n; 32]), Hash([n ^ 0xff; 32]))
}

fn batch(count: u8) -> Batch {
    let mut batch = Batch::default();
    (0..count).map(recording).for_each(|(id, root)| batch.push(id, root));
    batch
}

fn stored(history: &History, seq: u64, batch: &Batch, index: u32, checkpoints: Vec<Published>) -> Stored {
    Stored {
        index,
        count: batch.leaves().len() as u32,
        path: batch.path(index as usize).unwrap(),
        seq,
        leaf: history.entries[seq as usize].clone(),
        checkpoints,
    }
}

const BEFORE: Timestamp = T0;
const IN_HEADER: Timestamp = Timestamp(T0.0 + 60_000);
const STORED: Timestamp = Timestamp(T0.0 + 120_000);
const AFTER: Timestamp = Timestamp(T0.0 + 150_000);

/// A recording whose header holds the checkpoint of 2 entries, in a batch of
/// entry 3; with its dating.
struct Honest {
    history: History,
    header: String,
    dating: Dating,
}

fn honest() -> Honest {
    let mut history = History::of(org(), 5);
    history.write(BEFORE, "sign_in", "ref_1");
    let before = history.write(BEFORE, BATCH_OPERATION, &batch(3).resource());
    let header = history.note(2, Some(IN_HEADER));
    history.write(STORED, "live", "cam_1");
    let seq = history.write(STORED, BATCH_OPERATION, &batch(5).resource());
    history.write(AFTER, "live", "cam_1");
    let checkpoints = vec![history.published(seq, 4, Some(AFTER)), history.published(seq, 5, None)];
    let dating = Dating {
        log: history.public().verifier_key(),
        before: Some(Before {
            seq: before,
            leaf: history.entries[1].clone(),
            proof: history.proof(before, 2),
        }),
        stored: Some(stored(&history, seq, &batch(5), 2, checkpoints)),
    };
    Honest { history, header, dating }
}

impl Honest {
    fn dated(&self) -> Dated<'_> {
        let (id, root) = recording(2);
        Dated { org: org(), id, root, checkpoint: Some(&self.header) }
    }

    fn verify(&self, dating: &Dating) -> Result<Times, DatingError> {
        dating.verify(self.dated(), &self.history.public(), &[witness().1])
    }

    fn with(&self, change: impl FnOnce(&mut Stored)) -> Result<Times, DatingError> {
        let mut dating = self.dating.clone();
        change(dating.stored.as_mut().unwrap());
        self.verify(&dating)
    }
}

#[test]
fn a_recording_is_dated_from_both_sides() {
    let honest = honest();
    let signed = |at: Timestamp| {
        vec![tlog::Cosignature { witness: "witness.example".to_owned(), at: Timestamp(at.0 / 1_000 * 1_000) }]
    };
    let expected = Times {
        not_before: Some(Bound { size: 2, said_by_log: Some(BEFORE), witnesses: signed(IN_HEADER) }),
        existed: Some(Bound { size: 4, said_by_log: Some(STORED), witnesses: signed(AFTER) }),
    };
    assert_eq!(honest.verify(&honest.dating), Ok(expected.clone()));
    // As a proof holds it, before what comes next.
    let bytes = [honest.dating.to_bytes().as_slice(), b"LKCLIP"].concat();
    let (read, rest) = Dating::parse(&bytes).unwrap().unwrap();
    assert_eq!((&read, rest), (&honest.dating, b"LKCLIP".as_slice()));
    assert_eq!(Dating::parse(b"LKCLIP"), Ok(None));
    // Whoever knows no witness has the log's word alone.
    let Times { not_before, existed } =
        honest.dating.verify(honest.dated(), &honest.history.public(), &[]).unwrap();
    assert!(not_before.unwrap().witnesses.is_empty() && existed.unwrap().witnesses.is_empty());
    // What is missing is not proven, and nothing else.
    let bare = Dating { before: None, stored: None, ..honest.dating.clone() };
    let Times { not_before, existed } = honest.verify(&bare).unwrap();
    assert_eq!((not_before.unwrap().said_by_log, existed), (None, None));
    let without = Dated { checkpoint: None, ..honest.dated() };
    let dating = Dating { before: None, ..honest.dating.clone() };
    let times = dating.verify(without, &honest.history.public(), &[witness().1]).unwrap();
    assert_eq!(times, Times { not_before: None, ..expected });
}

#[test]
fn every_recording_of_a_batch_has_its_path_and_no_other() {
    for count in [1, 2, 3, 5, 8, 100] {
        let (mut history, batch) = (History::of(org(), 5), batch(count));
        let seq = history.write(STORED, BATCH_OPERATION, &batch.resource());
        for index in 0..u32::from(count) {
            let published = history.published(seq, 1, None);
            let stored = stored(&history, seq, &batch, index, vec![published]);
            let dating = Dating { log: history.public().verifier_key(), before: None, stored: Some(stored) };
            let of = |n: u8| {
                let (id, root) = recording(n);
                dating.verify(Dated { org: org(), id, root, checkpoint: None }, &history.public(), &[])
            };
            assert!(of(index as u8).is_ok(), "{index} of {count}");
            assert_eq!(of(index as u8 + 1), Err(DatingError::OtherRecording));
        }
        assert_eq!(batch.path(usize::from(count)), None);
    }
}

/// Whatever a cloud puts in the place of what is true.
#[test]
fn no_lie_of_a_cloud_dates_a_recording() {
    let honest = honest();
    let other = recording(3);
    // Another recording's path; a path of another place; no path.
    let taken = Dated { id: other.0, ..honest.dated() };
    assert_eq!(
        honest.dating.verify(taken, &honest.history.public(), &[]),
        Err(DatingError::OtherRecording),
        "the header is another"
    );
    let taken = Dated { root: other.1, ..honest.dated() };
    assert_eq!(honest.dating.verify(taken, &honest.history.public(), &[]), Err(DatingError::OtherRecording));
    let moved = |stored: &mut Stored| stored.path = batch(5).path(3).unwrap();
    assert_eq!(honest.with(moved), Err(DatingError::OtherRecording));
    assert_eq!(honest.with(|stored| stored.path.clear()), Err(DatingError::OtherRecording));
    assert_eq!(honest.with(|stored| stored.index = 3), Err(DatingError::OtherRecording));
    let fewer = |stored: &mut Stored| stored.count = 4;
    assert!(matches!(honest.with(fewer), Err(DatingError::Entry("it names another number of recordings"))));

    // An entry that was never written; one that says something else; one of another place.
    let forged =
        |stored: &mut Stored| stored.leaf = stored.leaf.replace(&STORED.0.to_string(), &T0.0.to_string());
    assert_eq!(honest.with(forged), Err(DatingError::NotIncluded(4)));
    let earlier = |stored: &mut Stored| {
        stored.seq = 1;
        stored.leaf = honest.history.entries[1].clone();
    };
    assert!(matches!(honest.with(earlier), Err(DatingError::Entry(_) | DatingError::OtherRecording)));
    let other_kind = |stored: &mut Stored| {
        stored.seq = 2;
        stored.leaf = honest.history.entries[2].clone();
    };
    assert_eq!(honest.with(other_kind), Err(DatingError::Entry("its operation is another")));
    let elsewhere = |stored: &mut Stored| stored.seq = 4;
    let told = Err(DatingError::Entry("it is of another place or organisation"));
    assert_eq!(honest.with(elsewhere), told);
    assert_eq!(
        honest.with(|stored| stored.leaf = "no entry".to_owned()),
        Err(DatingError::Entry("it is no entry of a history"))
    );

    // A checkpoint of another log, of another tree, or of none at all.
    let mut another = History::of(org(), 6);
    another.entries = honest.history.entries.clone();
    let swapped = |stored: &mut Stored| stored.checkpoints[0] = another.published(3, 4, Some(AFTER));
    assert!(matches!(honest.with(swapped), Err(DatingError::Note(NoteError::Signature(_)))));
    let mut rewritten = History::of(org(), 5);
    rewritten.entries = vec!["{}".to_owned(); 4];
    let swapped = |stored: &mut Stored| stored.checkpoints[0].note = rewritten.note(4, Some(AFTER));
    assert_eq!(honest.with(swapped), Err(DatingError::NotIncluded(4)));
    let short = |stored: &mut Stored| stored.checkpoints[0].note = honest.history.note(3, Some(AFTER));
    assert_eq!(honest.with(short), Err(DatingError::NotIncluded(3)));
    assert_eq!(honest.with(|stored| stored.checkpoints.clear()), Err(DatingError::Unpublished));
    let crowd = |stored: &mut Stored| {
        stored.checkpoints = vec![stored.checkpoints[0].clone(); CHECKPOINTS_MAX + 1];
    };
    assert!(matches!(honest.with(crowd), Err(DatingError::Spelling(_))));

    // A signature of the witness on something else is none.
    let borrowed = |stored: &mut Stored| {
        let line = honest.header.lines().last().unwrap();
        stored.checkpoints = vec![Published {
            note: format!("{}{line}\n", honest.history.note(4, None)),
            proof: honest.history.proof(3, 4),
        }];
    };
    assert!(honest.with(borrowed).unwrap().existed.unwrap().witnesses.is_empty());
}

/// The header is its gateway's; what comes with it is not.
#[test]
fn no_lie_makes_a_recording_younger_than_its_header() {
    let honest = honest();
    let with = |change: &dyn Fn(&mut Before)| {
        let mut dating = honest.dating.clone();
        change(dating.before.as_mut().unwrap());
        honest.verify(&dating)
    };
    // An entry that came after the checkpoint.
    let later = |before: &mut Before| {
        *before =
            Before { seq: 3, leaf: honest.history.entries[3].clone(), proof: honest.history.proof(3, 4) };
    };
    assert_eq!(with(&later), Err(DatingError::NotIncluded(2)));
    let dated =
        |before: &mut Before| before.leaf = before.leaf.replace(&BEFORE.0.to_string(), "9999999999999");
    assert_eq!(with(&dated), Err(DatingError::NotIncluded(2)));
    let without = Dated { checkpoint: None, ..honest.dated() };
    assert_eq!(honest.dating.verify(without, &honest.history.public(), &[]), Err(DatingError::NoCheckpoint));
    // The gateway was shown another log, or a note that is none.
    for header in [History::of(org(), 6).note(0, None), "nothing".to_owned(), String::new()] {
        let of = Dated { checkpoint: Some(&header), ..honest.dated() };
        let told = honest.dating.verify(of, &honest.history.public(), &[]);
        assert!(matches!(told, Err(DatingError::Header(_))), "{told:?}");
    }
}

#[test]
fn a_dating_by_another_log_or_of_another_organisation_is_refused() {
    let honest = honest();
    let other = History::of(org(), 6).public();
    let told = honest.dating.verify(honest.dated(), &other, &[]);
    assert!(matches!(told, Err(DatingError::OtherLog(_))), "{told:?}");
    let theirs = OrgId::from_random([9; 16]);
    let of = Dated { org: theirs, ..honest.dated() };
    assert!(matches!(honest.dating.verify(of, &honest.history.public(), &[]), Err(DatingError::OtherLog(_))));
    let mut dating = honest.dating.clone();
    dating.log = other.verifier_key();
    assert!(matches!(honest.verify(&dating), Err(DatingError::OtherLog(_))));
}

#[test]
fn a_dating_has_one_spelling_and_bounds() {
    let bytes = honest().dating.to_bytes();
    for length in 8..bytes.len() {
        assert!(Dating::parse(&bytes[..length]).is_err(), "{length}");
    }
    let mut long = bytes.clone();
    long[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(Dating::parse(&long), Err(DatingError::Length));
    let text = String::from_utf8(bytes[12..].to_vec()).unwrap();
    for other in [text.replace("\"count\":5", "\"count\": 5"), text.replacen('{', "{\"more\":1,", 1)] {
        let bytes = [&bytes[..8], &(other.len() as u32).to_be_bytes(), other.as_bytes()].concat();
        assert!(matches!(Dating::parse(&bytes), Err(DatingError::Spelling(_))), "{other}");
    }
    let mut dating = honest().dating;
    dating.stored.as_mut().unwrap().path = vec![Hash([1; 32]); 65];
    assert!(matches!(Dating::parse(&dating.to_bytes()), Err(DatingError::Spelling(_))));
    const { assert!(BATCH_MAX <= u32::MAX as usize) };
}

/// The fuzzer's seed is a whole one, and stays readable.
#[test]
fn the_seed_of_the_fuzzer_is_a_dating() {
    let path = format!("{}/../../fuzz/corpus/dating/whole", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, honest().dating.to_bytes()).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    let (dating, _) = Dating::parse(&bytes).unwrap().unwrap();
    assert_eq!(dating, honest().dating, "the format changed; that is a new version");
}
