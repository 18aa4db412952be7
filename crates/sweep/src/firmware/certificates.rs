//! Certificates that the image brings (RFC 5280), in PEM and DER. Their private keys are
//! found by the credential sweep.

use std::collections::HashMap;

use memchr::memmem;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::files::{File, hex};
use super::found::Found;
use super::report::Certificate;
use super::text;
use crate::decode::base64;
use crate::finding::Severity;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";
/// Of one certificate, in bytes.
const BYTES_MAX: usize = 64 << 10;
/// Of one file. A bundle of authorities has some 150.
const IN_FILE_MAX: usize = 1000;
/// A file with more is a bundle of authorities: that some have ended is no issue.
const BUNDLE: usize = 8;
/// Below this, RSA is broken or nearly so (NIST SP 800-131A).
const RSA_BITS_MIN: u32 = 2048;

pub(super) fn read(file: &File<'_>, found: &mut Found) {
    let mut here = Vec::new();
    if let Some(certificate) = whole(file) {
        here.push(certificate);
    }
    let mut rest = file.bytes;
    for _ in 0..IN_FILE_MAX {
        let Some(at) = memmem::find(rest, BEGIN) else { break };
        rest = &rest[at + BEGIN.len()..];
        let body = &rest[..rest.len().min(BYTES_MAX)];
        let Some(end) = memmem::find(body, END) else { continue };
        let digits: Vec<u8> =
            body[..end].iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        here.extend(base64(&digits).and_then(|der| certificate(file, &der)));
    }
    let is_bundle = here.len() > BUNDLE;
    for certificate in here {
        if !is_bundle {
            weaknesses(&certificate, found);
        }
        found.certificate(certificate);
    }
}

/// A file that is one certificate in DER.
fn whole(file: &File<'_>) -> Option<Certificate> {
    // A sequence with two bytes of length.
    let is_der = file.bytes.len() <= BYTES_MAX && file.bytes.starts_with(&[0x30, 0x82]);
    is_der.then(|| certificate(file, file.bytes))?
}

fn certificate(file: &File<'_>, der: &[u8]) -> Option<Certificate> {
    let (rest, parsed) = X509Certificate::from_der(der).ok()?;
    let der = &der[..der.len() - rest.len()];
    let key_bits = match parsed.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => u32::try_from(key.key_size()).ok(),
        Ok(PublicKey::EC(point)) => u32::try_from(point.key_size()).ok(),
        _ => None,
    };
    Some(Certificate {
        place: file.place.to_owned(),
        subject: text::short(&parsed.subject().to_string(), 200),
        issuer: text::short(&parsed.issuer().to_string(), 200),
        not_after: parsed.validity().not_after.timestamp(),
        is_authority: parsed.is_ca(),
        is_self_signed: parsed.subject().as_raw() == parsed.issuer().as_raw(),
        key_bits,
        signature: signature(&parsed.signature_algorithm.algorithm.to_id_string()),
        sha256: hex(&Sha256::digest(der)),
    })
}

/// By the identifier of the algorithm; unknown ones keep their numbers.
fn signature(oid: &str) -> String {
    const NAMES: [(&str, &str); 10] = [
        ("1.2.840.113549.1.1.4", "MD5 with RSA"),
        ("1.2.840.113549.1.1.5", "SHA-1 with RSA"),
        ("1.2.840.113549.1.1.10", "RSA-PSS"),
        ("1.2.840.113549.1.1.11", "SHA-256 with RSA"),
        ("1.2.840.113549.1.1.12", "SHA-384 with RSA"),
        ("1.2.840.113549.1.1.13", "SHA-512 with RSA"),
        ("1.2.840.10045.4.1", "SHA-1 with ECDSA"),
        ("1.2.840.10045.4.3.2", "SHA-256 with ECDSA"),
        ("1.2.840.10045.4.3.3", "SHA-384 with ECDSA"),
        ("1.3.101.112", "Ed25519"),
    ];
    NAMES
        .iter()
        .find(|(number, _)| *number == oid)
        .map_or_else(|| oid.to_owned(), |(_, name)| (*name).to_owned())
}

fn weaknesses(certificate: &Certificate, found: &mut Found) {
    let Certificate { subject, place, .. } = certificate;
    let mut tell = |id: &str, severity, what: String| {
        let remedy =
            "Give the camera a certificate of your own, and ask the vendor to ship none that is shared.";
        found.issue(id, severity, place, (format!("Certificate of {subject} {what}"), remedy));
    };
    let is_rsa = certificate.signature.contains("RSA");
    if let Some(bits) = certificate.key_bits.filter(|bits| is_rsa && *bits < RSA_BITS_MIN) {
        tell("certificate-weak-key", Severity::Medium, format!("has a key of {bits} bits"));
    }
    // Nobody checks the signature of one that signed itself.
    if ["MD5", "SHA-1"].iter().any(|hash| certificate.signature.starts_with(hash))
        && !certificate.is_self_signed
    {
        tell(
            "certificate-weak-signature",
            Severity::Medium,
            format!("is signed by {}", certificate.signature),
        );
    }
}

/// What has ended by `now`, in seconds since 1970, once all were seen.
pub(super) fn judge(now: i64, found: &mut Found) {
    let certificates = std::mem::take(&mut found.report.certificates);
    let mut in_files: HashMap<&str, usize> = HashMap::new();
    for certificate in &certificates {
        *in_files.entry(&certificate.place).or_default() += 1;
    }
    for certificate in &certificates {
        if in_files[certificate.place.as_str()] <= BUNDLE && certificate.not_after < now {
            let title = format!("Certificate of {} has ended", certificate.subject);
            let remedy = "What checks it fails, or does not check. Ask the vendor which of the two.";
            found.issue("certificate-ended", Severity::Low, &certificate.place, (title, remedy));
        }
    }
    found.report.certificates = certificates;
}
