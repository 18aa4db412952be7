//! What fuzz targets may reach.

use std::ops::ControlFlow;

use crate::{Limits, Notice, Rules, Sweep};

/// Sweeps bytes with small limits and checks what is told.
pub fn sweep(rules: &Rules, bytes: &[u8]) {
    let limits = Limits { part_bytes: 1 << 20, total_bytes: 8 << 20, ..Limits::default() };
    let sweep = Sweep { rules, limits, now: 1_800_000_000 };
    // What a card would begin with, and what one would be as a whole.
    let _ = (crate::volume::media::of(bytes), crate::unpack::unknown(&bytes.to_vec()));
    let mut findings = 0;
    let totals = sweep.input("fuzz", &bytes.to_vec(), &mut |notice| {
        if let Notice::Volume(volume) = &notice {
            let footage = &volume.footage;
            assert!(footage.recordings + footage.pictures <= volume.files);
            assert!(footage.bytes <= volume.bytes && footage.since <= footage.until);
        }
        if let Notice::Found(finding) = notice {
            findings += 1;
            assert!(finding.location.offset <= 8 << 20, "within its part");
            assert!(!finding.secret.reveal().is_empty());
        }
        ControlFlow::Continue(())
    });
    assert_eq!(totals.findings, findings);
}

/// The list of a container.
pub fn listing(bytes: &[u8]) {
    if let Ok(page) = crate::listing::read(bytes) {
        assert!(page.blobs.len() <= 5000 && page.blobs.iter().all(|blob| !blob.name.is_empty()));
    }
}

/// A table whose column of passwords the first two bytes place.
pub fn table(bytes: &[u8]) {
    let Some(([low, high], table)) = bytes.split_first_chunk() else { return };
    let at = usize::from(u16::from_le_bytes([*low, *high])).min(table.len());
    let (mut rows, mut told) = (0, 0);
    let end = crate::table::rows(table, at, &mut |row| {
        assert!(row.place.end <= table.len() && row.bytes.starts_with(crate::table::COLUMN));
        rows += 1;
        told += row.place.len();
    });
    assert!(end <= table.len().max(at + 4) && rows <= 10_000 && told <= table.len());
}

/// A document, of which the first two bytes say where a name stands, and lines in one byte a
/// letter; and the same bytes as a sheet and as the texts of its cells.
pub fn document(bytes: &[u8]) {
    let Some(([low, high], document)) = bytes.split_first_chunk() else { return };
    let at = usize::from(u16::from_le_bytes([*low, *high]));
    let own = 0..document.len();
    for form in [crate::decode::markup, crate::decode::latin] {
        let Some(text) = (at < own.end).then(|| form(document, &own, at)).flatten() else { continue };
        assert!(text.place.end <= document.len() && text.bytes.len() <= 4 * document.len() + 64);
    }
    assert!(crate::decode::rtf(document).bytes.len() <= 6 * document.len() + 64);
    let codes = crate::decode::Codes::new(document, &mut 1000);
    for is_coded in [false, true] {
        let font = |_: &[u8], text: &[u8]| match is_coded && codes.knows(text) {
            true => crate::decode::Font::Coded(&codes),
            false => crate::decode::Font::Simple,
        };
        let (text, _) = crate::decode::page(document, &font);
        assert!(text.len() <= 32 * document.len() + 64);
    }
    let _ = (crate::decode::references(document), crate::decode::streams(document));
    let _ = crate::decode::names(document, document);
    let (strings, _) = crate::decode::strings(document);
    let (rows, _) = crate::decode::sheet(document, &strings);
    assert!(rows.text.len() <= (16 << 20) + (1 << 18));
}

/// A conversation, or datagrams of it, each with its length in a byte before it.
pub fn wire(bytes: &[u8]) {
    crate::unpack::fuzz_wire(bytes);
}

/// Reads a file of rules in any form, and sweeps the file with them.
pub fn rules(text: &str) {
    if let Ok(rules) = Rules::with_file(text) {
        sweep(&rules, text.as_bytes());
    }
}

/// One file of an image, called by the first byte as one of those that are read.
pub fn firmware(bytes: &[u8]) {
    crate::firmware::fuzz(bytes);
}

/// A file of advisories about components of all kinds.
pub fn advisories(json: &[u8]) {
    crate::firmware::fuzz_advisories(json);
}
