//! Fields of containers in which anything may stand, and which no part comes out of: a
//! secret in them is found as it would be without the container around it.

use std::io::Write as _;

use sweep::Rules;

use crate::support::packed;
use crate::sweep;

const SECRET: &[u8] = b"rtsp://admin:Zebra77crossing@10.0.0.1/live\n";

fn crc(data: &[u8]) -> [u8; 4] {
    let mut sum = flate2::Crc::new();
    sum.update(data);
    sum.sum().to_le_bytes()
}

fn two(bytes: usize) -> [u8; 2] {
    (bytes as u16).to_le_bytes()
}

fn four(bytes: usize) -> [u8; 4] {
    (bytes as u32).to_le_bytes()
}

fn put(data: &mut [u8], at: usize, bytes: &[u8]) {
    data[at..at + bytes.len()].copy_from_slice(bytes);
}

/// RFC 1952: with an extra field, a name, a comment.
fn gzip(flag: u8) -> Vec<u8> {
    let text = b"root.Network.Share=cameras\n".repeat(20);
    let mut out = vec![0x1f, 0x8b, 8, flag, 0, 0, 0, 0, 0, 3];
    match flag {
        4 => out.extend([&two(SECRET.len() + 4)[..], b"XY", &two(SECRET.len()), SECRET].concat()),
        _ => out.extend([SECRET, &[0]].concat()),
    }
    let mut encoder = flate2::write::DeflateEncoder::new(&mut out, flate2::Compression::best());
    encoder.write_all(&text).expect("memory");
    encoder.finish().expect("memory");
    out.extend([crc(&text), four(text.len())].concat());
    out
}

/// Where a secret stands in a zip archive of one entry.
#[derive(Clone, Copy, PartialEq)]
enum Zip {
    Name,
    Extra,
    CentralExtra,
    Comment,
    End,
    Between,
    Packed,
}

fn zip(place: Zip) -> Vec<u8> {
    let field = |is: Zip| if place == is { SECRET } else { b"" };
    let body = b"root.Network.Share=cameras\n".repeat(20);
    let mut packed = Vec::new();
    let mut encoder = flate2::write::DeflateEncoder::new(&mut packed, flate2::Compression::best());
    encoder.write_all(&body).expect("memory");
    encoder.finish().expect("memory");
    // Behind the end of the stream, and counted to it.
    packed.extend(field(Zip::Packed));
    let extra = |is: Zip| match field(is) {
        b"" => Vec::new(),
        text => [b"XY", &two(text.len())[..], text].concat(),
    };
    let name = if place == Zip::Name { SECRET } else { b"param.txt" };
    let (own, central) = (extra(Zip::Extra), extra(Zip::CentralExtra));
    let fixed =
        [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0][..], &crc(&body), &four(packed.len()), &four(body.len())].concat();
    let local = [b"PK\x03\x04", &fixed[..], &two(name.len()), &two(own.len()), name, &own, &packed].concat();
    let before = [&local[..], field(Zip::Between)].concat();
    let comment = field(Zip::Comment);
    let entry = [
        b"PK\x01\x02\x14\0",
        &fixed[..],
        &two(9),
        &two(central.len()),
        &two(comment.len()),
        &[0; 12],
        b"param.txt",
        &central,
        comment,
    ]
    .concat();
    let sizes = [four(entry.len()), four(before.len())].concat();
    let end = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &sizes[..], &two(field(Zip::End).len()), field(Zip::End)]
        .concat();
    [before, entry, end].concat()
}

/// A cabinet of one file that is stored; the three areas that whoever makes one may use.
fn cabinet(area: usize) -> Vec<u8> {
    let body = b"root.Network.Share=cameras\n".repeat(20);
    let areas: Vec<Vec<u8>> =
        (0..3).map(|is| if is == area { SECRET.to_vec() } else { vec![0; 4] }).collect();
    let folder = 36 + 4 + areas[0].len();
    let files = folder + 8 + areas[1].len();
    let data = files + 16 + 10;
    let whole = data + 8 + areas[2].len() + body.len();
    let mut out =
        [b"MSCF\0\0\0\0", &four(whole)[..], &[0; 4], &four(files), &[0; 4], &[3, 1, 1, 0, 1, 0, 4, 0]]
            .concat();
    out.extend([0; 4]);
    out.extend([&two(areas[0].len())[..], &[areas[1].len() as u8, areas[2].len() as u8], &areas[0]].concat());
    out.extend([&four(data)[..], &two(1), &two(0), &areas[1]].concat());
    out.extend([&four(body.len())[..], &four(0), &[0; 8], b"param.txt\0"].concat());
    out.extend([&[0; 4][..], &two(body.len()), &two(body.len()), &areas[2], &body].concat());
    out
}

/// The header of a member of tar, with the right sum.
fn tar(name: &str, kind: u8, link: &[u8], data: &[u8], padding: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 512];
    put(&mut head, 0, name.as_bytes());
    put(&mut head, 100, b"0000644\0");
    put(&mut head, 124, format!("{:011o}\0", data.len()).as_bytes());
    put(&mut head, 156, &[kind]);
    put(&mut head, 157, link);
    put(&mut head, 257, b"ustar\x0000");
    put(&mut head, 148, b"        ");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut head, 148, format!("{sum:06o}\0 ").as_bytes());
    let mut out = [&head[..], data, padding].concat();
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn cpio(name: &str, mode: u32, data: &[u8]) -> Vec<u8> {
    let fields = [1, mode, 0, 0, 1, 0, data.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
    let mut out = b"070701".to_vec();
    out.extend(fields.map(|field| format!("{field:08x}")).concat().into_bytes());
    out.extend([name.as_bytes(), &[0]].concat());
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn ar(name: &str, data: &[u8]) -> Vec<u8> {
    let mut out = format!("{name:16}{:12}{:6}{:6}{:8}{:<10}`\n", 0, 0, 0, 644, data.len()).into_bytes();
    out.extend(data);
    out.resize(out.len().next_multiple_of(2), b'\n');
    out
}

/// A frame that decoders pass over.
fn skippable() -> Vec<u8> {
    [&[0x50, 0x2a, 0x4d, 0x18][..], &four(SECRET.len()), SECRET].concat()
}

/// The header of a block with padding, which is to be zeros (3.1.6 of the format).
fn xz(mut data: Vec<u8>) -> Vec<u8> {
    let bytes = (usize::from(data[12]) + 1) * 4;
    let mut head = data[12..12 + bytes - 4].to_vec();
    head.extend(SECRET);
    head.resize(head.len().next_multiple_of(4), 0);
    head[0] = (head.len() / 4) as u8;
    head.extend(crc(&head));
    data.splice(12..12 + bytes, head);
    data
}

/// Between what is packed and the header that tells of it.
fn seven(mut data: Vec<u8>) -> Vec<u8> {
    let offset = u64::from_le_bytes(data[12..20].try_into().expect("eight bytes"));
    let at = 32 + offset as usize;
    data.splice(at..at, SECRET.iter().copied());
    put(&mut data, 12, &(offset + SECRET.len() as u64).to_le_bytes());
    let sum = crc(&data[12..32]);
    put(&mut data, 8, &sum);
    data
}

/// A stored block behind an extra field (`lzop` 1.04, `f_header`).
fn lzop() -> Vec<u8> {
    let body = b"root.Network.Share=cameras\n".repeat(20);
    let mut out = b"\x89LZO\0\r\n\x1a\n\x10\x30\x20\xa0\x09\x40\x01\x05".to_vec();
    out.extend(0x40_u32.to_be_bytes());
    out.extend([0; 12]);
    out.push(0);
    out.extend([0; 4]);
    out.extend([&(SECRET.len() as u32).to_be_bytes()[..], SECRET, &[0; 4]].concat());
    let bytes = (body.len() as u32).to_be_bytes();
    out.extend([&bytes[..], &bytes, &body, &[0; 4]].concat());
    out
}

/// A device tree with an image in it, and a property that means nothing.
fn fit() -> Vec<u8> {
    let word = |number: usize| (number as u32).to_be_bytes();
    let padded = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let property =
        |name: usize, data: &[u8]| [&word(3)[..], &word(data.len()), &word(name), &padded(data)].concat();
    let body = b"root.Network.Share=cameras\n".repeat(20);
    let tree = [
        [&word(1)[..], &[0; 4]].concat(),
        [&word(1)[..], b"kernel\0\0"].concat(),
        property(0, &body),
        property(5, SECRET),
        [word(2), word(2), word(9)].concat(),
    ]
    .concat();
    let strings = b"data\0note\0";
    let whole = 40 + tree.len() + strings.len();
    let head =
        [0xd00d_feed, whole, 40, 40 + tree.len(), 0, 17, 16, 0, strings.len(), tree.len()].map(word).concat();
    [&head[..], &tree, strings].concat()
}

/// A sparse image of Android whose header is longer than anybody needs.
fn sparse() -> Vec<u8> {
    let own = (28 + SECRET.len()).next_multiple_of(4);
    let mut out = [
        &[0x3a, 0xff, 0x26, 0xed, 1, 0, 0, 0][..],
        &two(own),
        &two(12),
        &four(4096),
        &four(1),
        &four(1),
        &[0; 4],
    ]
    .concat();
    out.extend(SECRET);
    out.resize(own, 0);
    out.extend([&[0xc1, 0xca, 0, 0][..], &four(1), &four(12 + 4096)].concat());
    out.extend([7; 4096]);
    out
}

#[test]
fn nothing_hides_in_fields_of_containers() {
    let conf = "tree/etc/camera.conf";
    let plain = b"root.Network.Share=cameras\n";
    let file = tar("param.txt", b'0', b"", plain, b"");
    let end = vec![0; 1024];
    let with = |member: Vec<u8>| [file.clone(), member, file.clone(), end.clone()].concat();
    let zstd = packed(&format!("zstd -qc {conf} > out"));
    let lz4 = packed(&format!("lz4 -qc {conf} > out"));
    let mut iso = packed("genisoimage -quiet -o out tree/etc 2>/dev/null");
    put(&mut iso, 100, SECRET);
    let mut raw = vec![
        ("a gzip's extra field", gzip(4)),
        ("a gzip's name", gzip(8)),
        ("a gzip's comment", gzip(16)),
        ("what a zip calls an entry at the entry", zip(Zip::Name)),
        ("a zip's extra field", zip(Zip::Extra)),
        ("a zip's extra field in the directory", zip(Zip::CentralExtra)),
        ("a comment on an entry of a zip", zip(Zip::Comment)),
        ("a comment on a zip", zip(Zip::End)),
        ("between entry and directory of a zip", zip(Zip::Between)),
        ("behind the stream of an entry of a zip", zip(Zip::Packed)),
        ("a cabinet's area", cabinet(0)),
        ("the area of a cabinet's folder", cabinet(1)),
        ("the area of a cabinet's block", cabinet(2)),
        ("a tar's padding", with(tar("a", b'0', b"", b"x", SECRET))),
        ("the target of a link in a tar", with(tar("a", b'2', &[b"see ", SECRET].concat(), b"", b""))),
        ("a folder of a tar that has contents", with(tar("a", b'5', b"", SECRET, b""))),
        ("a device of a tar that has contents", with(tar("a", b'3', b"", SECRET, b""))),
        ("a pax header", with(tar("a", b'g', b"", &[b"54 comment=", SECRET].concat(), b""))),
        ("a cpio's trailer", [cpio("a", 0o100_644, plain), cpio("TRAILER!!!", 0, SECRET)].concat()),
        (
            "a link of a cpio",
            [cpio("a", 0o100_644, plain), cpio("b", 0o120_777, SECRET), cpio("TRAILER!!!", 0, b"")].concat(),
        ),
        (
            "a folder of a cpio",
            [cpio("a", 0o100_644, plain), cpio("b", 0o040_755, SECRET), cpio("TRAILER!!!", 0, b"")].concat(),
        ),
        ("an index of an ar", [b"!<arch>\n".to_vec(), ar("debian-binary", plain), ar("/", SECRET)].concat()),
        (
            "long names of an ar",
            [b"!<arch>\n".to_vec(), ar("debian-binary", plain), ar("//", SECRET)].concat(),
        ),
        ("a frame between those of zstd", [&zstd[..], &skippable(), &zstd].concat()),
        ("a frame before those of lz4", [&skippable()[..], &lz4].concat()),
        ("a frame between those of lz4", [&lz4[..], &skippable(), &lz4].concat()),
        ("the padding of a block of xz", xz(packed(&format!("xz -c {conf} > out")))),
        ("between streams of xz", [&packed(&format!("xz -c {conf} > out"))[..], SECRET].concat()),
        ("a gap in 7z", seven(packed(&format!("7zz a -bd o.7z {conf} >/dev/null; mv o.7z out")))),
        ("an extra field of lzop", lzop()),
        ("behind what compress made", [&packed(&format!("compress -cf {conf} > out"))[..], SECRET].concat()),
        ("a property of a device tree", fit()),
        ("the header of a sparse image", sparse()),
        ("the system area of an ISO image", iso),
    ];
    // In the midst of something, too.
    let shifted: Vec<_> =
        raw.iter().map(|(place, data)| (*place, [&[0x5a; 1000][..], data].concat())).collect();
    raw.extend(shifted);
    let rules = Rules::built_in();
    let mut missed = Vec::new();
    for (place, data) in raw {
        let (found, skipped) = sweep(&rules, &data);
        let revealed: Vec<_> = found.iter().map(|finding| finding.secret.reveal()).collect();
        if revealed != [b"Zebra77crossing"] {
            missed.push(format!("{place}: {} found, skipped {skipped:?}", revealed.len()));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// What came out as a part is told once, and in the part; an archive among members of
/// another is opened.
#[test]
fn what_lies_open_in_an_archive_is_told_once_and_where_it_is() {
    let inner = gzip(8);
    let rules = Rules::built_in();
    for data in [
        [tar("inner.gz", b'0', b"", &inner, b""), vec![0; 1024]].concat(),
        [tar("param.txt", b'0', b"", SECRET, b""), vec![0; 1024]].concat(),
        packed("printf 'rtsp://admin:Zebra77crossing@10.0.0.1/live\\n' > s; zip -q0 o.zip s; mv o.zip out"),
    ] {
        let (found, _) = sweep(&rules, &data);
        let [one] = &found[..] else { panic!("{} found", found.len()) };
        assert_eq!(one.location.chain.len(), 2, "{:?}", one.location.chain);
    }
    // A secret that is packed, in a folder of a tar, which has no contents.
    let packed = packed("printf 'rtsp://admin:Zebra77crossing@10.0.0.1/live\\n%0900d' 0 | gzip -nc > out");
    let data = [tar("a", b'0', b"", b"x", b""), tar("b", b'5', b"", &packed, b""), vec![0; 1024]].concat();
    assert_eq!(sweep(&rules, &data).0.len(), 1);
}
