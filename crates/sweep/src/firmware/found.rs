//! The report while it grows. Images are foreign and may hold a hundred thousand of
//! anything, so what is in a list already is known by a digest or a name, and never
//! searched for.

use std::collections::{HashMap, HashSet};

use super::report::{Certificate, Component, Issue, Product, Report, Service, Source, VERSION};
use crate::finding::Severity;

/// Of each list of a report.
const ENTRIES_MAX: usize = 100_000;

#[derive(Default)]
pub(super) struct Found {
    pub(super) report: Report,
    /// Issues by kind, place and title.
    issues: HashSet<(String, String, String)>,
    /// Where components are in their list.
    components: HashMap<(Source, String, String, String), usize>,
    certificates: HashSet<String>,
    /// Services by name and place.
    services: HashSet<(String, String)>,
}

impl Found {
    pub(super) fn new(product: Product) -> Self {
        Found { report: Report { version: VERSION, product, ..Report::default() }, ..Found::default() }
    }

    /// Once for each place.
    pub(super) fn issue(
        &mut self,
        id: &str,
        severity: Severity,
        place: &str,
        (title, remedy): (String, &str),
    ) {
        let is_full = self.report.issues.len() >= ENTRIES_MAX;
        if is_full || !self.issues.insert((id.to_owned(), place.to_owned(), title.clone())) {
            return;
        }
        let (id, place, remedy) = (id.to_owned(), place.to_owned(), remedy.to_owned());
        self.report.issues.push(Issue { id, severity, title, place, remedy });
    }

    /// Once for each version, wherever it is.
    pub(super) fn component(&mut self, component: Component) {
        let Component { name, product, version, source, .. } = &component;
        let key = (*source, product.clone(), version.clone(), name.clone());
        match self.components.get(&key) {
            Some(number) => {
                let known = &mut self.report.components[*number];
                known.places = known.places.saturating_add(1);
            }
            None if self.report.components.len() < ENTRIES_MAX => {
                self.components.insert(key, self.report.components.len());
                self.report.components.push(component);
            }
            None => {}
        }
    }

    /// Once, wherever it is.
    pub(super) fn certificate(&mut self, certificate: Certificate) {
        if self.certificates.insert(certificate.sha256.clone()) {
            push(&mut self.report.certificates, certificate);
        }
    }

    /// Whatever was left out because a list was full is worth more than its last entry.
    pub(super) fn judge_room(&mut self) {
        let report = &self.report;
        let lists = [
            ("files", report.files.len()),
            ("issues", report.issues.len()),
            ("credentials", report.credentials.len()),
            ("accounts", report.accounts.len()),
            ("services", report.services.len()),
            ("certificates", report.certificates.len()),
            ("programs", report.binaries.len()),
            ("components", report.components.len()),
        ];
        let remedy =
            "No camera has so many: somebody may want something not to be seen. Look into the image by hand.";
        for (name, _) in lists.into_iter().filter(|(_, count)| *count >= ENTRIES_MAX) {
            self.report.issues.push(Issue {
                id: "report-full".to_owned(),
                severity: Severity::High,
                title: format!("There are {ENTRIES_MAX} {name} and more: the rest was left out"),
                place: String::new(),
                remedy: remedy.to_owned(),
            });
        }
    }

    /// Once for each file; whether it was not known.
    pub(super) fn service(&mut self, service: Service) -> bool {
        let is_new = self.services.insert((service.name.clone(), service.place.clone()));
        if is_new {
            push(&mut self.report.services, service);
        }
        is_new
    }
}

/// Adds to a list of the report, as long as it has room.
pub(super) fn push<T>(list: &mut Vec<T>, entry: T) {
    if list.len() < ENTRIES_MAX {
        list.push(entry);
    }
}
