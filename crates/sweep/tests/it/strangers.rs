//! How the sweep fares with what somebody wrote down who had not read its rules.

use std::collections::BTreeSet;
use std::ops::Range;

use fastrand::Rng;
use sweep::Rules;

use crate::found_untried;
use crate::planted::{self, Document, Score};
use crate::wraps::{self, WRAPS};

/// Files in the form of [`planted`], what is near to a secret and none, and the seeds.
pub(crate) struct Corpus {
    pub(crate) files: &'static [&'static str],
    pub(crate) near: &'static str,
    pub(crate) seeds: Range<u64>,
}

impl Corpus {
    fn documents(&self, rng: &mut Rng) -> Vec<Document> {
        let of = |(kind, text): (&'static str, &'static str)| planted::document(kind, text, rng);
        self.files.iter().flat_map(|file| planted::entries(file)).map(of).collect()
    }

    /// Of secrets as they stand, at least `recall` is found.
    pub(crate) fn plain(&self, recall: f64) {
        let rules = Rules::built_in();
        let mut score = Score::default();
        for seed in self.seeds.clone() {
            for document in self.documents(&mut Rng::with_seed(seed)) {
                score.add(&document, "plain", &found_untried(&rules, document.text.as_bytes()));
            }
        }
        score.check(recall);
    }

    /// And in each encoding, and in chains of three of them.
    pub(crate) fn encoded(&self, recall: f64) {
        let rules = Rules::built_in();
        let mut score = Score::default();
        let mut rng = Rng::with_seed(self.seeds.start + 10);
        for document in self.documents(&mut rng) {
            for (name, wrap) in WRAPS {
                let found = found_untried(&rules, &wrap(document.text.as_bytes(), &mut rng));
                score.add(&document, name, &found);
            }
            let (names, wrapped) = wraps::nested(document.text.as_bytes(), 3, &mut rng);
            score.add(&document, &names, &found_untried(&rules, &wrapped));
        }
        score.check(recall);
    }

    /// Masked values, placeholders, examples of handbooks, code, hashes of files, public keys.
    pub(crate) fn no_finding(&self) {
        let documents = |rng: &mut Rng| {
            planted::entries(self.near).map(|(kind, text)| planted::document(kind, text, rng)).collect()
        };
        no_finding(documents);
    }
}

/// In none of what is made of twenty seeds is anything found.
pub(crate) fn no_finding(documents: impl Fn(&mut Rng) -> Vec<Document>) {
    let rules = Rules::built_in();
    let mut wrong = BTreeSet::new();
    for seed in 0..20 {
        for near in documents(&mut Rng::with_seed(seed)) {
            for finding in found_untried(&rules, near.text.as_bytes()) {
                let secret = String::from_utf8_lossy(finding.secret.reveal()).into_owned();
                wrong.insert(format!("{}: {secret:?} by {} in {:?}", near.kind, finding.rule.id, near.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}
