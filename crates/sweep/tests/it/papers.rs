//! Secrets in PDF, RTF, mails and workbooks, as people send them around.

use std::io::Write as _;

use sweep::Rules;

use crate::{ids, sweep};

const SECRET: &str = "t7Kq-Zw2x";

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn stream(number: u32, keys: &str, data: &[u8], is_packed: bool) -> Vec<u8> {
    let data = if is_packed { zlib(data) } else { data.to_vec() };
    let filter = if is_packed { "/Filter /FlateDecode" } else { "" };
    let head = format!("{number} 0 obj\n<< {keys} {filter} /Length {} >>\nstream\n", data.len());
    [head.as_bytes(), &data, b"\nendstream\nendobj\n"].concat()
}

fn pdf(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    [
        b"%PDF-1.7\n",
        objects.concat().as_slice(),
        format!("trailer << /Root 1 0 R {trailer} >>\n%%EOF\n").as_bytes(),
    ]
    .concat()
}

/// Fonts of a page, as objects of their own.
fn fonts(font: &str) -> Vec<u8> {
    let page = "3 0 obj\n<< /Type /Page /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>\nendobj\n";
    format!("{page}5 0 obj\n<< /Type /Font /BaseFont /Arial {font} >>\nendobj\n").into_bytes()
}

/// Codes that are no letters, and the table that says which they are.
fn coded(text: &str) -> (String, String) {
    let letters: Vec<char> = text.chars().collect();
    let codes = (1..).zip(&letters).map(|(code, _): (u32, _)| format!("{code:04x}")).collect::<String>();
    let lines = (1..)
        .zip(&letters)
        .map(|(code, letter): (u32, _)| format!("<{code:04x}> <{:04x}>\n", u32::from(*letter)));
    let table = lines.collect::<String>();
    (
        codes,
        format!(
            "begincmap 1 begincodespacerange <0000> <ffff> endcodespacerange 9 beginbfchar {table} endbfchar endcmap"
        ),
    )
}

fn finds_once(file: &[u8], what: &str) -> Vec<String> {
    let (found, skipped) = sweep(&Rules::built_in(), file);
    assert_eq!(found.len(), 1, "{what}: {:?}, {skipped:?}", ids(&found));
    assert_eq!(found[0].secret.reveal(), SECRET.as_bytes(), "{what}");
    skipped
}

#[test]
fn the_text_of_a_page_is_read() {
    let line = format!(
        "BT /F1 12 Tf 72 700 Td [(Pass) 12 (wort: ) -20 ({})-8({})] TJ ET",
        &SECRET[..4],
        &SECRET[4..]
    );
    for is_packed in [true, false] {
        let file = pdf(&[fonts("/Subtype /TrueType"), stream(4, "", line.as_bytes(), is_packed)], "");
        assert_eq!(finds_once(&file, "a simple font"), [""; 0]);
        let (codes, table) = coded(&format!("Passwort: {SECRET}"));
        let page = format!("BT /F1 12 Tf <{codes}> Tj ET");
        let parts = [
            fonts("/Subtype /Type0 /Encoding /Identity-H /ToUnicode 6 0 R"),
            stream(4, "", page.as_bytes(), is_packed),
            stream(6, "", table.as_bytes(), is_packed),
        ];
        assert_eq!(finds_once(&pdf(&parts, ""), "a font with codes"), [""; 0]);
        // Dictionaries in a stream of objects, as most programs write them now.
        let font = "<< /Type /Font /Subtype /Type0 /BaseFont /A /ToUnicode 6 0 R >>";
        let page = "<< /Type /Page /Resources << /Font << /F1 5 0 R >> >> >>";
        let numbers = format!("3 0 5 {} ", page.len());
        let held = format!("{numbers}{page}{font}");
        let keys = format!("/Type /ObjStm /N 2 /First {}", numbers.len());
        let parts = [stream(9, &keys, held.as_bytes(), is_packed), parts[1].clone(), parts[2].clone()];
        assert_eq!(finds_once(&pdf(&parts, ""), "a stream of objects"), [""; 0]);
    }
}

#[test]
fn text_of_a_page_that_cannot_be_read_is_told() {
    let codes = "BT /F1 12 Tf <00010002000300040005> Tj ET";
    let page = stream(4, "", codes.as_bytes(), true);
    let (_, skipped) =
        sweep(&Rules::built_in(), &pdf(&[fonts("/Subtype /Type0 /Encoding /Identity-H"), page], ""));
    assert!(skipped.iter().any(|told| told.contains("not all of the text of its pages")), "{skipped:?}");
    let noise: Vec<u8> =
        (0..4000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (_, skipped) = sweep(
        &Rules::built_in(),
        &pdf(&[stream(4, "/Filter /FlateDecode", &noise, false)], "/Encrypt 7 0 R"),
    );
    assert_eq!(skipped.iter().filter(|told| told.contains("encrypted (PDF)")).count(), 1, "{skipped:?}");
}

/// The attack: a file of nothing but what leads on, at which each search would begin anew.
#[test]
fn a_document_that_leads_everywhere_ends() {
    for piece in [
        " obj",
        "1 0 obj ",
        "stream\n",
        "1 0 obj<</F 1 0 R/BaseFont/ToUnicode 1 0 R>>",
        "endstream",
        "/Encrypt ",
        "BT (Tj",
    ] {
        let file = format!("%PDF-1.4\n{}", piece.repeat((1 << 20) / piece.len()));
        let _ = sweep(&Rules::built_in(), file.as_bytes());
    }
    let pairs = "1 0 2 60000 ".repeat(4000);
    let keys = format!("/ObjStm /First {}", pairs.len());
    let held = [pairs.into_bytes(), vec![b' '; 64 << 10]].concat();
    let _ = sweep(&Rules::built_in(), &pdf(&[stream(4, &keys, &held, true)], ""));
}

#[test]
fn rich_text_and_headers_of_mails_are_read_once() {
    for text in [
        format!("{{\\rtf1\\ansi {{\\b Passwort}}: {SECRET}\\par\nTor\\par}}"),
        format!("{{\\rtf1\\ansi\\trowd Passwort\\cell {SECRET}\\cell\\row}}"),
        format!("Subject: =?utf-8?Q?Zugang_Passwort=3A_{SECRET}?=\n\nx\n"),
        format!(
            "<cp:coreProperties><dc:title>Tor</dc:title><dc:description>Passwort: {SECRET}</dc:description></cp:coreProperties>"
        ),
    ] {
        finds_once(text.as_bytes(), &text);
    }
    let mail = "Kennwort: K=C3=A4sekuchen4=21\nPort: 5\n";
    let (found, _) = sweep(&Rules::built_in(), mail.as_bytes());
    let secrets: Vec<_> =
        found.iter().map(|one| String::from_utf8_lossy(one.secret.reveal()).into_owned()).collect();
    assert_eq!(secrets, ["Käsekuchen4!"]);
}
