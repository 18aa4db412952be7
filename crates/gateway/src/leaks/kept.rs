//! What was found, on the disk and in pages.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use model::{CameraAccess, CameraId, Timestamp};
use seal::findings::{Findings, Leak, SweptCamera};
use serde::{Deserialize, Serialize};

use super::reading::Outcome;
use crate::data::{read_whole, write_whole};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Kept(BTreeMap<CameraId, Tried>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Tried {
    /// With or without success, so that a wrong password is tried once in a while.
    at: Timestamp,
    swept: SweptCamera,
}

impl Kept {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(read_whole(path)?.unwrap_or_default())
    }

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        write_whole(path, &serde_json::to_vec(self)?)
    }

    pub(super) fn tried_at(&self, camera: CameraId) -> Option<Timestamp> {
        self.0.get(&camera).map(|tried| tried.at)
    }

    pub(super) fn retain(&mut self, cameras: &BTreeMap<CameraId, CameraAccess>) {
        self.0.retain(|camera, _| cameras.contains_key(camera));
    }

    /// It is about to be read.
    pub(super) fn begin(&mut self, camera: CameraId, now: Timestamp) {
        self.0.entry(camera).or_insert_with(|| Tried { at: now, swept: never(camera) }).at = now;
    }

    /// What stands in documents that could not be read this time, or not all of them,
    /// is still there, for all we know.
    pub(super) fn take(&mut self, camera: CameraId, outcome: Outcome, now: Timestamp) {
        let before = self.0.remove(&camera).map(|tried| tried.swept).unwrap_or_else(|| never(camera));
        let Outcome { found, left_out, documents, read, error } = outcome;
        let mut findings: Vec<Leak> = Vec::new();
        for mut leak in found {
            if let Some(known) = before.findings.iter().find(|known| is_same(known, &leak)) {
                leak.first_at = known.first_at;
            }
            if !findings.iter().any(|other| is_same(other, &leak)) {
                findings.push(leak);
            }
        }
        let is_read = |leak: &Leak| documents.iter().any(|name| is_of(leak, name));
        let old = before.findings.iter().filter(|leak| !is_read(leak));
        let missing: Vec<Leak> =
            old.filter(|old| !findings.iter().any(|leak| is_same(leak, old))).cloned().collect();
        findings.extend(missing);
        findings.sort_by_key(|leak| Reverse(leak.severity));
        let more =
            u32::try_from(findings.len().saturating_sub(SweptCamera::FINDINGS_MAX)).unwrap_or(u32::MAX);
        findings.truncate(SweptCamera::FINDINGS_MAX);
        let is_new = read > 0 || !documents.is_empty();
        let swept_at = if is_new { Some(now) } else { before.swept_at };
        let read = if is_new { read } else { before.read };
        let left_out =
            if is_new { left_out.saturating_add(more) } else { before.left_out.saturating_add(more) };
        let swept = SweptCamera { camera, swept_at, read, error, findings, left_out };
        self.0.insert(camera, Tried { at: now, swept });
    }

    /// Cameras of the site, whether they were read or not, and after which of them
    /// the next page begins.
    pub(super) fn page<'a>(
        &self,
        cameras: impl Iterator<Item = &'a CameraId>,
        after: Option<CameraId>,
    ) -> (Vec<SweptCamera>, Option<CameraId>) {
        let (mut page, mut size) = (Vec::<SweptCamera>::new(), 0);
        for camera in cameras.filter(|camera| after.is_none_or(|after| **camera > after)) {
            let swept = self.0.get(camera).map_or_else(|| never(*camera), |tried| tried.swept.clone());
            size += 1 + swept.findings.len();
            if size > Findings::PAGE_MAX {
                return (page.clone(), page.last().map(|last| last.camera));
            }
            page.push(swept);
        }
        (page, None)
    }
}

fn never(camera: CameraId) -> SweptCamera {
    SweptCamera { camera, swept_at: None, read: 0, error: None, findings: Vec::new(), left_out: 0 }
}

fn is_same(one: &Leak, other: &Leak) -> bool {
    let of = |leak: &Leak| {
        (leak.fingerprint.clone(), leak.rule.clone(), leak.place.clone(), leak.parameter.clone())
    };
    of(one) == of(other)
}

fn is_of(leak: &Leak, document: &str) -> bool {
    leak.place
        .strip_prefix(document)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(super::reading::INSIDE))
}

#[cfg(test)]
mod tests {
    use seal::findings::LeakSeverity;

    use super::*;

    const AT: Timestamp = Timestamp(1_700_000_000_000);

    fn camera(n: u8) -> CameraId {
        CameraId::from_random([n; 16])
    }

    fn leak(fingerprint: &str, place: &str, severity: LeakSeverity) -> Leak {
        let text = String::new;
        Leak {
            fingerprint: fingerprint.into(),
            rule: text(),
            title: text(),
            opens: text(),
            remedy: text(),
            severity,
            place: place.into(),
            parameter: None,
            line: None,
            redacted: text(),
            ends_at: None,
            first_at: AT,
        }
    }

    fn outcome(found: Vec<Leak>, documents: &[&'static str]) -> Outcome {
        let read = 7 * documents.len() as u64;
        Outcome { found, left_out: 0, documents: documents.to_vec(), read, error: None }
    }

    fn names(kept: &Kept) -> Vec<String> {
        let all = [camera(1)];
        let (page, _) = kept.page(all.iter(), None);
        page[0].findings.iter().map(|leak| leak.fingerprint.clone()).collect()
    }

    #[test]
    fn what_could_not_be_read_again_is_not_forgotten() {
        let mut kept = Kept::default();
        let [low, high] = [LeakSeverity::Low, LeakSeverity::High];
        let first = vec![leak("a", "parameters", low), leak("b", "system log › x.gz", high)];
        let both = ["parameters", "system log"];
        kept.take(camera(1), outcome(first, &both), AT);
        assert_eq!(names(&kept), ["b", "a"], "the gravest first");

        let later = AT.plus_ms(1_000);
        let again = Leak { first_at: later, ..leak("a", "parameters", low) };
        kept.take(camera(1), outcome(vec![again.clone(), again], &["parameters"]), later);
        assert_eq!(names(&kept), ["b", "a"]);
        let (page, _) = kept.page([camera(1)].iter(), None);
        assert!(page[0].findings.iter().all(|leak| leak.first_at == AT), "they are as old as they are");

        // The camera was away: nothing is known anew.
        kept.take(camera(1), outcome(Vec::new(), &[]), later);
        assert_eq!(names(&kept), ["b", "a"]);
        // All was read, and it is gone.
        kept.take(camera(1), outcome(Vec::new(), &both), later);
        assert!(names(&kept).is_empty());
    }

    #[test]
    fn pages_have_every_camera_once() {
        let mut kept = Kept::default();
        let cameras: Vec<CameraId> = (0..40).map(camera).collect();
        for (n, camera) in cameras.iter().enumerate() {
            let found = (0..n * 3).map(|n| leak(&n.to_string(), "", LeakSeverity::Low)).collect();
            kept.take(*camera, outcome(found, &["parameters"]), AT);
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = kept.page(cameras.iter(), after);
            let size: usize = page.iter().map(|swept| 1 + swept.findings.len()).sum();
            assert!(size <= Findings::PAGE_MAX && !page.is_empty());
            seen.extend(page.iter().map(|swept| swept.camera));
            if next.is_none() {
                break;
            }
            after = next;
        }
        assert_eq!(seen, cameras);
    }
}
