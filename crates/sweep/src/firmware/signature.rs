//! By which a device could tell the vendor's firmware from somebody else's. Whether it
//! does so is not in the image.

use memchr::memmem;

use super::files::File;
use super::found::Found;
use super::report::Signature;
use crate::decode::base64;
use crate::finding::Severity;
use crate::read::ReadAt;

/// Looked at behind the image's end, in bytes.
const TAIL: u64 = 64 << 10;
/// More say nothing more.
const SIGNATURES_MAX: usize = 100;
/// Of the beginning of a part.
const HEAD: usize = 64 << 10;
/// Of an RSA or CMS signature in DER, for telling it from chance.
const CMS_OID: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// It says whether blocks are as they were, and by itself not who made them.
const VERITY: &str = "dm-verity (tree of digests)";

pub(super) fn of_image(image: &dyn ReadAt, found: &mut Found) {
    let start = image.len().saturating_sub(TAIL);
    let mut tail = vec![0; (image.len() - start) as usize];
    let mut read = 0;
    while let Some(rest) = tail.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match image.read_at(start + read as u64, rest) {
            Ok(0) | Err(_) => break,
            Ok(more) => read += more,
        }
    }
    let tail = &tail[..read];
    let mut add = |kind: &str| add(found, kind, "");
    // RAUC: a CMS signature, then its length in eight bytes, at the very end.
    if let Some((rest, length)) = tail.split_last_chunk::<8>()
        && let Ok(length) = usize::try_from(u64::from_be_bytes(*length))
        && let Some(cms) = rest.len().checked_sub(length).map(|at| &rest[at..])
        && cms.first() == Some(&0x30)
        && memmem::find(&cms[..cms.len().min(64)], CMS_OID).is_some()
    {
        add("RAUC bundle (CMS)");
    }
    // Android: a comment of the ZIP archive that ends with its own length.
    if let [.., 0xff, 0xff, _, _] = tail
        && memmem::find(tail, CMS_OID).is_some()
    {
        add("Android update (CMS in the archive's comment)");
    }
    if memmem::find(tail, b"-----BEGIN PKCS7-----").is_some()
        || memmem::find(tail, b"-----BEGIN CMS-----").is_some()
    {
        add("CMS in PEM at the end");
    }
    if memmem::find(tail, b"AVBf").is_some() {
        add("Android Verified Boot");
    }
}

pub(super) fn of_part(file: &File<'_>, found: &mut Found) {
    let head = &file.bytes[..file.bytes.len().min(HEAD)];
    let text = file.text.unwrap_or_default();
    // Within a system's root lie signatures of other things.
    let is_top = !file.path.contains('/');
    let kind = if file.is("sw-description.sig") {
        "SWUpdate (signed sw-description)"
    } else if file.is("manifest.sig") {
        "Mender artifact (signed manifest)"
    } else if file.name() == "_gpgorigin" {
        "Debian package (debsigs)"
    } else if is_top && is_signify(text) {
        "signify or minisign"
    } else if is_top && text.starts_with("-----BEGIN PGP SIGNATURE-----") {
        "OpenPGP"
    } else if head.starts_with(b"verity\0\0") {
        VERITY
    } else if is_fit_signature(file) {
        "FIT image (signed configuration)"
    } else if ["META-INF/CERT.RSA", "META-INF/CERT.EC"].iter().any(|name| file.is(name)) {
        "signed archive (JAR)"
    } else {
        return;
    };
    add(found, kind, file.place);
}

/// Two bytes of algorithm, eight of the key's number, 64 of Ed25519; keys have 42 in all.
fn is_signify(text: &str) -> bool {
    let mut lines = text.lines();
    let is_comment = lines.next().is_some_and(|line| line.starts_with("untrusted comment:"));
    let bytes = lines.next().and_then(|line| base64(line.trim().as_bytes()));
    is_comment
        && bytes.is_some_and(|bytes| bytes.len() == 74 && bytes.to_ascii_uppercase().starts_with(b"ED"))
}

/// U-Boot's signature node has `algo`, `key-name-hint` and `value` (U-Boot, `signature.txt`).
fn is_fit_signature(file: &File<'_>) -> bool {
    const FDT: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];
    let has = |name: &[u8]| memmem::find(file.bytes, name).is_some();
    file.bytes.starts_with(&FDT) && has(b"key-name-hint\0") && has(b"signature")
}

fn add(found: &mut Found, kind: &str, place: &str) {
    let signature = Signature { kind: kind.to_owned(), place: place.to_owned() };
    if found.report.signatures.len() < SIGNATURES_MAX && !found.report.signatures.contains(&signature) {
        found.report.signatures.push(signature);
    }
}

/// Once all was seen.
pub(super) fn judge(found: &mut Found) {
    if found.report.signatures.iter().all(|signature| signature.kind == VERITY) {
        let title =
            "No signature was found by which the camera could check where the image comes from".to_owned();
        let remedy = "Ask the vendor how the camera checks updates. Vendors have forms of their own, of which this \
                      program knows none.";
        found.issue("update-unsigned", Severity::Medium, "", (title, remedy));
    }
}
