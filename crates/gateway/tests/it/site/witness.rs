//! What a gateway signs of the cloud's history, and what it does not.

use std::time::Duration;

use model::Timestamp;
use model::wire::{LogConflict, LogOffer, WitnessReport};
use seal::keys::SigningKey;
use seal::recording::SignedHeader;
use seal::tlog::{self, Checkpoint, Edge, LogKey, Tile};

use super::{Site, until};

/// What the newest recording on the disk holds in its header.
fn newest_checkpoint(site: &Site) -> Option<String> {
    let mut files = Vec::new();
    let mut folders = vec![site.data().join("recordings")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let headers = files.iter().filter_map(|file| {
        let bytes = std::fs::read(file).ok()?;
        Some(SignedHeader::parse(&bytes).ok()?.header)
    });
    headers.max_by_key(|header| header.started_at)?.checkpoint
}

/// A history that the test writes.
struct Log {
    key: SigningKey,
    org: model::OrgId,
    leaves: Vec<String>,
}

impl Log {
    fn public(&self) -> LogKey {
        LogKey { name: format!("lenskeep/{}", self.org), key: self.key.verifying_key() }
    }

    fn edge(&self, size: usize) -> Edge {
        let mut edge = Edge::default();
        for leaf in &self.leaves[..size] {
            edge.push(leaf.as_bytes());
        }
        edge
    }

    fn checkpoint(&self) -> Checkpoint {
        let edge = self.edge(self.leaves.len());
        Checkpoint { origin: self.public().name, size: edge.size(), root: edge.root() }
    }

    /// As the cloud shows it to somebody who has seen `old` entries.
    fn offer(&self, old: u64) -> LogOffer {
        let hashes: Vec<_> = self.leaves.iter().map(|leaf| tlog::leaf_hash(leaf.as_bytes())).collect();
        let part = |part: Vec<tlog::Node>| {
            let root = |node: tlog::Node| {
                let first = (node.index << node.level) as usize;
                Tile::root(&hashes[first..first + (1 << node.level)]).unwrap()
            };
            tlog::fold(&part.into_iter().map(root).collect::<Vec<_>>()).unwrap()
        };
        let parts = tlog::consistency(old, self.leaves.len() as u64).unwrap_or_default();
        LogOffer {
            key: self.public().verifier_key(),
            note: tlog::sign(&self.checkpoint(), &self.key),
            proof: parts.into_iter().map(part).collect(),
        }
    }
}

async fn witnessing() -> (Site, Log) {
    let site = Site::enrolled().await;
    let org = site.administrator.roster().org();
    let log = Log { key: SigningKey::from_seed([9; 32]), org, leaves: vec!["one".into(), "two".into()] };
    (site, log)
}

impl Site {
    fn show(&self, log: &Log) {
        let offers = (0..=log.leaves.len() as u64 + 8).map(|old| log.offer(old)).collect();
        self.cloud.script(|script| script.log = offers);
    }

    /// What the gateway says once it has looked at what is shown now; it may
    /// have been looking at what was shown before.
    async fn next_report(&self) -> WitnessReport {
        let before = self.cloud.witness_reports().len();
        let cloud = self.cloud.clone();
        until("the gateway looks at the log", || cloud.witness_reports().len() >= before + 2).await;
        self.cloud.witness_reports().pop().unwrap()
    }

    fn signed(&self, log: &Log, report: &WitnessReport) -> Option<u64> {
        let WitnessReport::Cosigned { note } = report else { return None };
        let keys = self.administrator.roster().state().gateways.values().next().unwrap().clone();
        let key = seal::keys::VerifyingKey::from_bytes(&keys.sign.0).unwrap();
        let witness = LogKey { name: keys.id.to_string(), key };
        let signed = Checkpoint::witnessed(note, &[witness]).unwrap();
        assert!(signed[0].at > Timestamp(0), "{note}");
        Some(Checkpoint::verify(note, &log.public()).unwrap().size)
    }
}

fn conflict(report: &WitnessReport) -> Option<LogConflict> {
    match report {
        WitnessReport::Conflict { conflict } => Some(*conflict),
        WitnessReport::Cosigned { .. } => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_signs_only_what_goes_on_from_what_it_signed() {
    let (mut site, mut log) = witnessing().await;
    site.show(&log);
    let first = site.next_report().await;
    assert_eq!(site.signed(&log, &first), Some(2));
    log.leaves.extend((3..=70).map(|number| format!("entry {number}")));
    site.show(&log);
    let grown = site.next_report().await;
    assert_eq!(site.signed(&log, &grown), Some(70));

    // Whatever a cloud does to its past, at once and after a restart.
    let mut rewritten = log.leaves.clone();
    rewritten[1] = "never".to_owned();
    rewritten.push("later".to_owned());
    let lies = [
        (log.leaves[..69].to_vec(), LogConflict::CutOff),
        (Vec::new(), LogConflict::CutOff),
        (rewritten.clone(), LogConflict::Rewritten),
        (rewritten[..70].to_vec(), LogConflict::Rewritten),
    ];
    for (leaves, expected) in &lies {
        let lie = Log { key: SigningKey::from_seed([9; 32]), org: log.org, leaves: leaves.clone() };
        if leaves.is_empty() {
            let nothing = LogOffer { note: String::new(), ..log.offer(0) };
            site.cloud.script(|script| script.log = vec![nothing; 100]);
        } else {
            site.show(&lie);
        }
        assert_eq!(conflict(&site.next_report().await), Some(*expected));
    }
    let other = Log { key: SigningKey::from_seed([8; 32]), org: log.org, leaves: log.leaves.clone() };
    site.show(&other);
    assert_eq!(conflict(&site.next_report().await), Some(LogConflict::Key));

    site.stop().await;
    site.start().await;
    site.show(&Log { key: SigningKey::from_seed([9; 32]), org: log.org, leaves: rewritten });
    assert_eq!(conflict(&site.next_report().await), Some(LogConflict::Rewritten));
    site.show(&log);
    let again = site.next_report().await;
    assert_eq!(site.signed(&log, &again), Some(70), "the true one is signed on");

    // The log of another organisation is none of its business.
    let theirs = Log { org: model::OrgId::from_random([3; 16]), ..other };
    site.show(&theirs);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let reports = site.cloud.witness_reports().len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(site.cloud.witness_reports().len(), reports);
}

/// It proves that the recording is not older, so nothing may stand there that the
/// gateway did not verify itself.
#[tokio::test(flavor = "multi_thread")]
async fn recordings_hold_the_newest_checkpoint_that_their_gateway_verified() {
    let mut site = Site::recording().await;
    let org = site.administrator.roster().org();
    let mut log = Log { key: SigningKey::from_seed([9; 32]), org, leaves: vec!["one".into()] };
    assert_eq!(newest_checkpoint(&site), None, "there is no log yet");
    let size = |site: &Site, log: &Log| {
        newest_checkpoint(site).map(|note| Checkpoint::verify(&note, &log.public()).unwrap().size)
    };
    site.show(&log);
    until("a recording begins after the checkpoint", || size(&site, &log) == Some(1)).await;
    log.leaves.push("two".into());
    site.show(&log);
    until("a recording begins after the next", || size(&site, &log) == Some(2)).await;

    // Another past, and a longer one, by the log's own key.
    let lie = Log { leaves: vec!["never".into(); 9], key: SigningKey::from_seed([9; 32]), org };
    site.show(&lie);
    assert_eq!(conflict(&site.next_report().await), Some(LogConflict::Rewritten));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(size(&site, &log), Some(2), "what was not verified stands nowhere");

    // Without the cloud, what was verified before a restart still counts.
    site.stop().await;
    std::fs::remove_dir_all(site.data().join("recordings")).unwrap();
    site.cloud.script(|script| script.is_down = true);
    site.start().await;
    until("a recording begins without the cloud", || size(&site, &log) == Some(2)).await;
}
