//! The audit of a firmware image: what a camera's vendor ships, seen without the
//! camera. One pass of the sweep unpacks the image; each part that comes out is looked
//! at by readers that know one thing: accounts, certificates, what is started, how
//! programs were built, what they are made of. [`Advisories`] say afterwards which of
//! that is known to be vulnerable.
//!
//! It states what is in the image. Whether a service runs, a password is asked for, or
//! a vulnerable function is called is not in there, and issues say so where it matters.

mod accounts;
mod advisories;
mod bom;
mod certificates;
mod compare;
mod components;
mod elf;
mod files;
mod found;
mod packages;
mod page;
mod report;
mod services;
mod signature;
mod text;
mod version;

use std::ops::ControlFlow;

use crate::finding::{Finding, Severity};
use crate::read::ReadAt;
use crate::rules::Kind;
use crate::scan::{Notice, Sweep};
use found::push;

pub use advisories::{ADVISORY_BYTES_MAX, Advisories, AdvisoryError, Imported};
pub use compare::Comparison;
pub use report::{
    Account, Binary, BinaryKind, Certificate, Component, Credential, FileEntry, Hardening, Image, Issue,
    Product, REPORT_BYTES_MAX, Relro, Report, ReportError, Service, Signature, Skipped, Source,
    Vulnerability,
};

/// Audits one image. `told` is asked after each stretch of it that was read, with the
/// bytes read so far, and may break, which ends the audit with what was found.
pub fn audit(
    sweep: &Sweep<'_>,
    (name, image): (&str, &dyn ReadAt),
    product: Product,
    mut told: impl FnMut(u64) -> ControlFlow<()>,
) -> Report {
    let mut files = files::Files::new(product);
    signature::of_image(image, &mut files.found);
    let mut read = 0;
    let totals = sweep.input(name, image, &mut |notice| {
        match notice {
            Notice::Part { chain, source, is_whole } => {
                files.part(chain, source, is_whole);
                return told(read);
            }
            Notice::Found(finding) => push(&mut files.found.report.credentials, credential(&finding)),
            Notice::Skipped { chain, why } => {
                let entry = Skipped { place: text::place(chain), why };
                push(&mut files.found.report.skipped, entry);
            }
            // Firmware is no card, and holds no footage.
            Notice::Volume(_) => {}
            Notice::Read(bytes) => {
                read = bytes;
                return told(read);
            }
        }
        ControlFlow::Continue(())
    });
    files.image(image);
    judge_reach(&mut files, image.len(), totals.unpacked);
    let mut report = files.finish(sweep.now);
    let sha256 = files::sha256(image);
    report.image = Image { name: name.to_owned(), bytes: image.len(), sha256, unpacked: totals.unpacked };
    report.issues.sort_by(|a, b| (b.severity, &a.id, &a.place).cmp(&(a.severity, &b.id, &b.place)));
    report
}

/// Noise has no magic number: what is encrypted is told by what did not come out.
fn judge_reach(files: &mut files::Files, bytes: u64, unpacked: u64) {
    let remedy = "It is encrypted, or of a form that this program does not know; ask the vendor for what can be read. \
                  That nothing was found in it says nothing.";
    let (severity, title) = match (files.found.report.files.is_empty(), unpacked < bytes / 2) {
        (true, _) => (Severity::High, "Nothing came out of the image".to_owned()),
        (_, true) => {
            (Severity::Medium, format!("Of {bytes} bytes no more than {unpacked} came out of the image"))
        }
        _ => return,
    };
    files.found.issue("image-not-read", severity, "", (title, remedy));
}

fn credential(finding: &Finding) -> Credential {
    let location = &finding.location;
    Credential {
        rule: finding.rule.id.clone(),
        title: match (&finding.permits, finding.rule.kind) {
            // Of a password that everybody knows.
            (Some(known), Kind::Hash) => format!("{}: {known}", finding.rule.title),
            _ => finding.rule.title.clone(),
        },
        severity: finding.severity,
        fingerprint: finding.fingerprint.as_str().to_owned(),
        redacted: finding.secret.redacted(finding.rule.kind),
        place: text::place(&location.chain),
        line: location.line,
        opens: finding.rule.opens.clone(),
        remedy: finding.rule.remedy.clone(),
    }
}

/// Any bytes are a program, a script, a list or none of it.
pub(crate) fn fuzz(bytes: &[u8]) {
    const NAMES: [&str; 9] = [
        "bin/program",
        "etc/passwd",
        "etc/shadow",
        "etc/init.d/s",
        "etc/sshd_config",
        "lib/dpkg/status",
        "apk/db/installed",
        "etc/os-release",
        "release.sig",
    ];
    let Some((first, bytes)) = bytes.split_first() else { return };
    let name = NAMES[usize::from(*first) % NAMES.len()].to_owned();
    let mut files = files::Files::new(Product::default());
    files.part(&["image".to_owned(), name], &bytes, true);
    signature::of_image(&bytes, &mut files.found);
    let report = files.finish(1_800_000_000);
    let read = Report::read(report.json().as_bytes()).expect("its own form");
    assert_eq!(read, report);
    let _ = (report.html(), report.text(), report.cyclonedx());
}

/// Any bytes are advisories or an error.
pub(crate) fn fuzz_advisories(json: &[u8]) {
    let component = |product: &str, version: &str| Component {
        name: product.to_owned(),
        vendor: String::new(),
        product: product.to_owned(),
        version: version.to_owned(),
        source: Source::Words,
        purl: None,
        place: String::new(),
        places: 1,
    };
    let components = vec![component("busybox", "1.30.1"), component("openssh", "7.7p1")];
    let mut report = Report { components, ..Report::default() };
    let mut advisories = Advisories::of(&mut report);
    let _ = advisories.read("fuzz.json", json);
    advisories.finish();
    assert!(report.vulnerabilities.iter().all(|found| !found.component.is_empty()));
}
