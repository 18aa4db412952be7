//! The transparency log: tree, proofs, tiles and checkpoints, each against the
//! definition or with something changed.

use std::collections::HashMap;

use base64::Engine as _;
use model::{Hash, Timestamp};
use proptest::prelude::*;
use seal::MerkleTree;
use seal::keys::SigningKey;
use seal::tlog::{
    Bundle, Checkpoint, Edge, LogKey, Node, NoteError, Part, Refusal, Submission, Tile, consistency, fold,
    inclusion, leaf_hash, sign, sign_witnessed, verify_consistency, verify_inclusion,
};

/// A log, and all tiles that were ever written for it.
pub(crate) struct Log {
    pub(crate) edge: Edge,
    tiles: HashMap<String, Vec<u8>>,
    roots: Vec<Hash>,
}

pub(crate) fn leaf(n: u64) -> Vec<u8> {
    format!("entry {n}").into_bytes()
}

impl Log {
    pub(crate) fn of(size: u64) -> Self {
        let (edge, roots) = (Edge::default(), vec![MerkleTree::new().root()]);
        let mut log = Log { edge, tiles: HashMap::new(), roots };
        let mut tree = MerkleTree::new();
        for n in 0..size {
            let full = log.edge.push(&leaf(n));
            log.keep(full);
            tree.push(&[&leaf(n)]);
            log.roots.push(tree.root());
            assert_eq!(log.edge.root(), tree.root(), "{n}");
        }
        let partials = log.edge.partials();
        log.keep(partials);
        log
    }

    fn keep(&mut self, tiles: Vec<(Tile, Vec<u8>)>) {
        for (tile, bytes) in tiles {
            assert_eq!(Tile::parse(&tile.path()), Ok(tile));
            assert!(self.tiles.insert(tile.path(), bytes).is_none(), "{} twice", tile.path());
        }
    }

    fn node(&self, node: Node) -> Hash {
        let (tile, range) = Tile::of(node, self.edge.size());
        let hashes = tile.hashes(&self.tiles[&tile.path()]).unwrap();
        Tile::root(&hashes[range]).unwrap()
    }

    pub(crate) fn proof(&self, parts: Vec<Part>) -> Vec<Hash> {
        let part = |nodes: Part| fold(&nodes.into_iter().map(|node| self.node(node)).collect::<Vec<_>>());
        parts.into_iter().map(|nodes| part(nodes).unwrap()).collect()
    }
}

/// Across the first full tile, and the first of the level above.
const SIZES: [u64; 9] = [1, 2, 3, 7, 255, 256, 257, 700, 66_000];

#[test]
fn every_leaf_is_proven_from_the_tiles() {
    for size in SIZES {
        let log = Log::of(size);
        let root = log.edge.root();
        for index in (0..size).step_by(1 + size as usize / 40).chain([size - 1]) {
            let proof = log.proof(inclusion(index, size).unwrap());
            let holds = |leaf, index, proof: &[Hash]| verify_inclusion(leaf, index, size, proof, root);
            assert!(holds(leaf_hash(&leaf(index)), index, &proof), "{index} of {size}");
            assert!(!holds(leaf_hash(b"another"), index, &proof));
            assert!(!holds(leaf_hash(&leaf(index)), index + 1, &proof));
            assert!(size == 1 || !holds(leaf_hash(&leaf(index)), index, &proof[1..]));
        }
        assert_eq!(inclusion(size, size), None);
    }
}

#[test]
fn every_head_is_the_beginning_of_the_next() {
    for size in SIZES {
        let log = Log::of(size);
        let new = (size, log.edge.root());
        for old in (1..=size).step_by(1 + size as usize / 40) {
            let proof = log.proof(consistency(old, size).unwrap());
            let head = (old, log.roots[old as usize]);
            assert!(verify_consistency(head, new, &proof), "{old} to {size}");
            let forked = (old, leaf_hash(b"another past"));
            assert!(!verify_consistency(forked, new, &proof));
            if old < size {
                assert!(!verify_consistency(head, (size, leaf_hash(b"another present")), &proof));
                assert!(!verify_consistency(new, head, &proof), "backwards");
            }
        }
    }
    let empty = (0, MerkleTree::new().root());
    assert!(verify_consistency(empty, (3, Log::of(3).edge.root()), &[]));
    assert!(!verify_consistency((0, Hash([1; 32])), (3, Log::of(3).edge.root()), &[]));
}

#[test]
fn an_edge_is_read_back_from_its_tiles() {
    for size in SIZES {
        let log = Log::of(size);
        let parts: Vec<Vec<u8>> =
            Edge::tiles(size).iter().map(|tile| log.tiles[&tile.path()].clone()).collect();
        let mut again = Edge::read(size, &parts).unwrap();
        assert_eq!(again.root(), log.edge.root());
        let mut edge = log.edge.clone();
        assert_eq!(again.push(b"next"), edge.push(b"next"));
        assert_eq!(again.root(), edge.root());
        if let Some((_, rest)) = parts.split_first() {
            assert!(Edge::read(size, rest).is_err());
        }
    }
}

#[test]
fn paths_have_one_spelling() {
    let tile = |level, index, width| Tile { level, index, width };
    assert_eq!(tile(Some(0), 0, 256).path(), "tile/0/000");
    assert_eq!(tile(Some(1), 1_234_067, 256).path(), "tile/1/x001/x234/067");
    assert_eq!(tile(None, 5, 7).path(), "tile/entries/005.p/7");
    for bad in [
        "tile/0/0",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/300",
        "tile/0/000.p/07",
        "tile/8/000",
        "tile/-1/000",
        "tile/entries",
        "tile/0/../000",
        "tile/00/000",
        "tile/0/x99999999999999999999/000",
        "",
        "tile/0/001/002",
    ] {
        assert!(Tile::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn bundles_are_read_whole_or_not() {
    let mut bytes = Vec::new();
    for entry in [b"a".as_slice(), b"", &[7; 300]] {
        Bundle::push(&mut bytes, entry);
    }
    assert_eq!(Bundle::entries(&bytes, 3).unwrap().len(), 3);
    assert!(Bundle::entries(&bytes, 2).is_err());
    assert!(Bundle::entries(&bytes, 4).is_err());
    for length in 0..bytes.len() {
        assert!(Bundle::entries(&bytes[..length], 3).is_err(), "{length}");
    }
}

fn key(seed: u8, name: &str) -> (SigningKey, LogKey) {
    let key = SigningKey::from_seed([seed; 32]);
    let public = LogKey { name: name.to_owned(), key: key.verifying_key() };
    (key, public)
}

pub(crate) fn note() -> (String, LogKey, LogKey) {
    let checkpoint = Checkpoint { origin: "lenskeep/org_1".to_owned(), size: 700, root: Hash([7; 32]) };
    let ((secret, log), (witness_secret, witness)) = (key(1, "lenskeep/org_1"), key(2, "gw_1"));
    let line = sign_witnessed(&checkpoint, "gw_1", &witness_secret, Timestamp(1_763_836_800_999));
    (sign(&checkpoint, &secret) + &line, log, witness)
}

#[test]
fn notes_of_one_checkpoint_are_joined_and_others_are_not() {
    let (note, log, witness) = note();
    let ((secret, _), (other_secret, other)) = (key(1, "lenskeep/org_1"), key(3, "gw_2"));
    let checkpoint = Checkpoint::verify(&note, &log).unwrap();
    let bare = sign(&checkpoint, &secret);
    let by_other = bare.clone() + &sign_witnessed(&checkpoint, "gw_2", &other_secret, Timestamp(5_000));
    let both = seal::tlog::join(&note, &by_other);
    assert_eq!(Checkpoint::verify(&both, &log), Ok(checkpoint.clone()));
    assert_eq!(Checkpoint::witnessed(&both, &[witness, other]).unwrap().len(), 2);
    assert_eq!(seal::tlog::join(&both, &note), both, "nothing stands twice");
    let later = sign(&Checkpoint { size: 701, ..checkpoint.clone() }, &secret);
    assert_eq!(seal::tlog::join(&note, &later), note, "that is of another checkpoint");
    let crowd = (0..64).fold(bare, |note, n| {
        note + &sign_witnessed(&checkpoint, &format!("w{n}"), &other_secret, Timestamp(5_000))
    });
    assert_eq!(seal::tlog::join(&note, &crowd), note, "nobody reads so many signatures");
}

#[test]
fn a_key_has_one_spelling() {
    let (_, log, _) = note();
    let text = log.verifier_key();
    assert_eq!(LogKey::parse(&text), Ok(log));
    let (_, of_one) = key(1, "x");
    let (name, rest) = text.split_once('+').unwrap();
    let (_, key) = rest.split_once('+').unwrap();
    for bad in
        [format!("{name}+00000000+{key}"), format!("x{text}"), name.to_owned(), String::new(), text + "="]
    {
        assert!(LogKey::parse(&bad).is_err(), "{bad}");
    }
    for name in ["", "two words", "bell\u{7}"] {
        let bad = LogKey { name: name.to_owned(), key: of_one.key };
        assert!(LogKey::parse(&bad.verifier_key()).is_err(), "{name}");
    }
}

#[test]
fn a_witness_has_a_key_of_its_own_kind() {
    let (_, log, witness) = note();
    let text = witness.cosigner_key();
    assert_eq!(LogKey::parse_cosigner(&text), Ok(witness.clone()));
    // What signs for a log does not sign for a witness.
    assert!(LogKey::parse(&text).is_err());
    assert!(LogKey::parse_cosigner(&log.verifier_key()).is_err());
    assert!(LogKey::parse_cosigner(&witness.verifier_key()).is_err());
}

/// The log of `size` entries, handed in to somebody who has signed `old`.
fn submission(log: &Log, old: u64, size: u64) -> Submission {
    let (secret, _) = key(1, "lenskeep/org_1");
    let checkpoint = Checkpoint { origin: "lenskeep/org_1".to_owned(), size, root: log.roots[size as usize] };
    let proof = consistency(old, size).map_or_else(Vec::new, |parts| Log::of(size).proof(parts));
    Submission { old, proof, note: sign(&checkpoint, &secret) }
}

#[test]
fn a_witness_signs_what_goes_on_from_what_it_signed() {
    let log = Log::of(300);
    let (_, trusted) = key(1, "lenskeep/org_1");
    let at = |size: u64| Some((size, log.roots[size as usize]));
    let judged = |old, size, last| submission(&log, old, size).judge(&trusted, last).map(|c| c.size);
    assert_eq!(judged(0, 7, None), Ok(7));
    assert_eq!(judged(7, 300, at(7)), Ok(300));
    assert_eq!(judged(256, 300, at(256)), Ok(300));
    assert_eq!(judged(300, 300, at(300)), Ok(300), "the same again");

    assert_eq!(judged(0, 300, at(7)), Err(Refusal::Elsewhere(7)));
    assert_eq!(judged(7, 300, None), Err(Refusal::Elsewhere(0)));
    // Put back: nothing smaller is signed, whatever the log says it was.
    assert_eq!(judged(7, 9, at(300)), Err(Refusal::Elsewhere(300)));
    assert_eq!(judged(300, 9, at(300)), Err(Refusal::Larger));
    // Rewritten, as long as before and longer.
    let other = Some((7, leaf_hash(b"another past")));
    assert_eq!(judged(7, 7, other), Err(Refusal::Inconsistent));
    assert_eq!(judged(7, 300, other), Err(Refusal::Inconsistent));
    // A proof where none is due, and none where one is.
    let mut padded = submission(&log, 0, 7);
    padded.proof.push(Hash([1; 32]));
    assert_eq!(padded.judge(&trusted, None), Err(Refusal::Inconsistent));
    let mut bare = submission(&log, 7, 300);
    bare.proof.clear();
    assert_eq!(bare.judge(&trusted, at(7)), Err(Refusal::Inconsistent));
    // Of no entries there is one root; and no reader counts to 2^53.
    let (secret, _) = key(1, "lenskeep/org_1");
    let of = |size, root| {
        let checkpoint = Checkpoint { origin: "lenskeep/org_1".to_owned(), size, root };
        Submission { old: 0, proof: Vec::new(), note: sign(&checkpoint, &secret) }.judge(&trusted, None)
    };
    assert!(of(0, MerkleTree::new().root()).is_ok());
    assert_eq!(of(0, Hash([1; 32])), Err(Refusal::Inconsistent));
    assert!(of((1 << 53) - 1, Hash([1; 32])).is_ok());
    assert!(matches!(of(1 << 53, Hash([1; 32])), Err(Refusal::Unsigned(NoteError::Shape(_)))));
    // Somebody else's, in its name.
    let (_, other) = key(3, "lenskeep/org_1");
    assert!(matches!(submission(&log, 0, 7).judge(&other, None), Err(Refusal::Unsigned(_))));
}

#[test]
fn a_submission_has_one_spelling() {
    let log = Log::of(300);
    let whole = submission(&log, 7, 300);
    let text = whole.to_text();
    assert_eq!(Submission::parse(&text), Ok(whole.clone()));
    assert_eq!(whole.origin(), "lenskeep/org_1");
    let many = Submission { proof: vec![Hash([1; 32]); 64], ..whole }.to_text();
    for bad in [
        text.replace("old 7", "old 07"),
        text.replace("old 7", "old +7"),
        text.replace("old 7", "old -7"),
        text.replace("old 7", "new 7"),
        text.replace("old 7\n", "old 7\nnot a hash\n"),
        text.replace("\n\n", "\n"),
        many,
        "x".repeat(30_000),
        String::new(),
    ] {
        assert!(Submission::parse(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_checkpoint_is_the_logs_and_nobody_elses() {
    let (note, log, witness) = note();
    assert_eq!(Checkpoint::verify(&note, &log).unwrap().size, 700);
    let seen = Checkpoint::witnessed(&note, std::slice::from_ref(&witness)).unwrap();
    assert_eq!(seen[0].at, Timestamp(1_763_836_800_000), "whole seconds");

    let (_, other) = key(3, "lenskeep/org_1");
    assert!(matches!(Checkpoint::verify(&note, &other), Err(NoteError::Signature(_))));
    assert!(Checkpoint::witnessed(&note, &[LogKey { name: "gw_1".to_owned(), ..other }]).unwrap().is_empty());
    let renamed = LogKey { name: "lenskeep/org_2".to_owned(), ..log.clone() };
    assert!(matches!(Checkpoint::verify(&note, &renamed), Err(NoteError::Origin(_))));
    // A witness's signature is not the log's, and the other way round.
    let as_witness = LogKey { name: witness.name.clone(), key: log.key };
    assert!(Checkpoint::witnessed(&note, &[as_witness]).unwrap().is_empty());

    // A line in the log's name that is not by its key spoils the note.
    let (forger, _) = key(9, "x");
    let body = note.split("\n\n").next().unwrap().to_owned() + "\n";
    let id = &note.lines().nth(4).unwrap()["\u{2014} lenskeep/org_1 ".len()..];
    let id = base64::engine::general_purpose::STANDARD.decode(id).unwrap()[..4].to_vec();
    let line = [id, forger.sign(body.as_bytes()).to_vec()].concat();
    let line = base64::engine::general_purpose::STANDARD.encode(line);
    let spoiled = format!("{note}\u{2014} lenskeep/org_1 {line}\n");
    assert!(matches!(Checkpoint::verify(&spoiled, &log), Err(NoteError::Signature(_))));

    // A cosignature of no time is none.
    let checkpoint = Checkpoint::verify(&note, &log).unwrap();
    let (secret, never) = key(2, "gw_1");
    let timeless = sign(&checkpoint, &key(1, "lenskeep/org_1").0)
        + &sign_witnessed(&checkpoint, "gw_1", &secret, Timestamp(999));
    assert!(Checkpoint::witnessed(&timeless, &[never]).unwrap().is_empty());

    let grown = note.replace("\n700\n", "\n701\n");
    assert!(matches!(Checkpoint::verify(&grown, &log), Err(NoteError::Signature(_))));
    assert!(Checkpoint::witnessed(&grown, &[witness]).unwrap().is_empty());
    for bad in [
        note.replace("\n700\n", "\n0700\n"),
        note.replace("\n700\n", "\n-1\n"),
        note.trim_end().to_owned(),
        note.replace('\u{2014}', "-"),
        "x".repeat(20_000),
        String::new(),
    ] {
        assert!(Checkpoint::verify(&bad, &log).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_not_a_checkpoint_is_an_error(text in "\\PC{0,200}", at in 0usize..200, byte: u8) {
        let (note, log, witness) = note();
        let _ = Checkpoint::verify(&text, &log);
        let mut bytes = note.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= byte;
        let Ok(changed) = String::from_utf8(bytes) else { return Ok(()) };
        if let Ok(checkpoint) = Checkpoint::verify(&changed, &log) {
            prop_assert_eq!(checkpoint.size, 700);
        }
        let _ = Checkpoint::witnessed(&changed, &[witness]);
        for text in [text, format!("old 7\n\n{changed}")] {
            if let Ok(submission) = Submission::parse(&text) {
                prop_assert_eq!(submission.to_text(), text);
                let _ = submission.judge(&log, None);
            }
        }
    }
}
