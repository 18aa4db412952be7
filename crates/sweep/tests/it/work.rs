//! What looks like a container in thousands of places, and what lies at any offset: the
//! search finds all of it, and reads nothing again and again.

use std::io::Write as _;

use sweep::unpack::{Format, Skip, find};
use sweep::{Limits, Rules, Totals};

use crate::made::base64;
use crate::support::{files, open, packed};
use crate::{ids, sweep, totals};

fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..bytes).map(|_| random.u8(..)).collect()
}

fn secret() -> Vec<u8> {
    let key: Vec<u8> = (0..64_u8).map(|n| n.wrapping_mul(37)).collect();
    format!("DefaultEndpointsProtocol=https;AccountName=cam;AccountKey={}\n", base64(&key)).into_bytes()
}

/// What the engine of the sweep allows itself.
fn allowed(totals: &Totals) -> u64 {
    64 * (totals.read + totals.unpacked) + (257 << 20)
}

#[test]
fn containers_are_found_at_any_offset() {
    let small = [
        (Format::Gzip, packed("gzip -c tree/etc/camera.conf > out")),
        (Format::Gzip, packed("gzip -nc tree/etc/camera.conf > out")),
        (Format::Zlib, zlib(&files()["etc/camera.conf"], 1)),
        (Format::Zlib, zlib(&files()["etc/camera.conf"], 9)),
        (Format::Zlib, zlib(&files()["noise.bin"][..3000], 6)),
        (Format::Zlib, zlib(b"pw", 6)),
        (Format::Bzip2, packed("bzip2 -c tree/etc/camera.conf > out")),
        (Format::Xz, packed("xz -c tree/etc/camera.conf > out")),
        (Format::Lzma, packed("xz -c --format=lzma tree/etc/camera.conf > out")),
        (Format::Zstd, packed("zstd -qc tree/etc/camera.conf > out")),
        (Format::Lz4, packed("lz4 -qc tree/etc/camera.conf > out")),
        (Format::Tar, packed("cd tree; tar -cf ../out etc")),
        (Format::Cpio, packed("cd tree; find etc | cpio -oH newc > ../out")),
        (Format::Zip, packed("zip -qr o.zip tree/etc; mv o.zip out")),
        (Format::SevenZip, packed("7zz a -bd o.7z tree/etc >/dev/null; mv o.7z out")),
        (Format::Squashfs, packed("mksquashfs tree/etc out -quiet -no-progress")),
        (Format::Jffs2, packed("mkfs.jffs2 -l -e 64 -d tree/etc -o out")),
        (Format::Jffs2, packed("mkfs.jffs2 -b -e 64 -d tree/etc -o out")),
        (Format::Ext, packed("mke2fs -q -t ext2 -b 1024 -d tree/etc out 1M")),
        (Format::Fat, packed("truncate -s 1M out; mkfs.fat out >/dev/null")),
        (Format::Iso9660, packed("genisoimage -quiet -o out tree/etc 2>/dev/null")),
    ];
    for before in [noise(64, 1), b"of a text ".repeat(7), vec![0; 64], vec![0x78; 64]] {
        for offset in 0..=17 {
            for (format, data) in &small {
                let whole = [&before[..offset], &data[..], &before[..]].concat();
                assert!(find(&whole).contains(&(offset, *format)), "{format:?} at {offset} of {before:?}");
            }
        }
    }
}

fn zlib(data: &[u8], level: u32) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(level));
    out.write_all(data).expect("to memory");
    out.finish().expect("to memory")
}

/// A window ends every 8 MiB.
#[test]
fn what_crosses_windows_is_found() {
    let rules = Rules::built_in();
    let inner = zlib(&[vec![b' '; 5000], secret()].concat(), 6);
    for start in [(8 << 20) - 1, (8 << 20) - 2, (8 << 20) - 40, 8 << 20] {
        let mut data = vec![b'.'; 9 << 20];
        data[start..start + inner.len()].copy_from_slice(&inner);
        assert_eq!(ids(&sweep(&rules, &data).0), ["azure-storage-connection-string"], "{start}");
    }
}

#[test]
fn noise_is_searched_without_reading_it_again() {
    let rules = Rules::built_in();
    let (_, _, totals) = totals(&rules, &noise(16 << 20, 7), Limits::default());
    assert!(totals.worked < totals.read, "{totals:?}");
}

/// Every node of JFFS2 and every block of UBI begins with a magic number.
#[test]
fn a_file_system_is_walked_once() {
    let rules = Rules::built_in();
    for line in [
        "for n in $(seq 400); do cp tree/etc/camera.conf tree/$n; done; mkfs.jffs2 -l -e 64 -d tree -o out",
        "mkfs.ubifs -m 2048 -e 126976 -c 200 -r tree -o fs; \
            printf '[a]\\nmode=ubi\\nimage=fs\\nvol_id=0\\nvol_type=dynamic\\nvol_name=a\\nvol_size=8MiB\\n' > ini; \
            ubinize -m 2048 -p 128KiB -o out ini",
    ] {
        let data = packed(line);
        let (_, _, totals) = totals(&rules, &data, Limits::default());
        assert!(totals.worked <= 6 * (totals.read + totals.unpacked), "{line}: {totals:?}");
    }
}

/// A partition is unpacked with its disk, and an archive on it with its file system: both
/// are told once.
#[test]
fn a_partition_is_told_once() {
    let rules = Rules::built_in();
    let folder = crate::support::tree();
    std::fs::write(folder.path().join("tree/secret"), secret()).expect("a file");
    crate::support::sh(
        folder.path(),
        "gzip -n tree/secret; \
        truncate -s 20M fs; mkfs.fat -F 16 fs >/dev/null; mcopy -i fs tree/secret.gz ::; truncate -s 24M out; \
        printf 'label: dos\\nstart=2048,size=40960,type=6\\n' | sfdisk -q out; \
        dd if=fs of=out seek=2048 conv=notrunc status=none",
    );
    let data = std::fs::read(folder.path().join("out")).expect("an image");
    let (found, _) = sweep(&rules, &data);
    assert_eq!(ids(&found), ["azure-storage-connection-string"], "{:?}", found[0].location);
    assert!(found[0].location.chain.join("/").contains("partition 1/secret.gz"), "{:?}", found[0].location);
}

/// Beginnings of archives and captures of which nothing comes, each of which would be
/// searched to its end.
#[test]
fn a_flood_of_beginnings_ends() {
    let rules = Rules::built_in();
    let zip = [&b"PK\x03\x04\x14\0\0\0\0\0"[..], &[0; 20], b"/"].concat();
    // The first packet leads over the next beginning, and so on.
    let mut capture = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    capture.extend([0; 8]);
    capture.extend([0, 0, 1, 0, 1, 0, 0, 0]);
    capture.extend([0, 0, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 24, 0, 0, 0]);
    let cpio = b"0707010000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000A00000000a/b/c/d/e\0".to_vec();
    for flood in [zip, capture, cpio, b"UBI#\x01".to_vec(), b"BZh91AY&SY".to_vec(), vec![0x78, 0x9c, 0x63]] {
        let data = [flood.repeat((1 << 20) / flood.len()), secret()].concat();
        let limits = Limits { ratio: 20, ..Limits::default() };
        let (found, _, totals) = totals(&rules, &data, limits);
        assert!(totals.worked <= allowed(&totals), "{flood:?}: {totals:?}");
        assert!(ids(&found).contains(&"azure-storage-connection-string"), "{flood:?}: {found:?}");
    }
}

/// Sixteen archives in each of sixteen archives, eight deep: four thousand million files.
#[test]
fn archives_that_branch_end_at_the_limit() {
    let rules = Rules::built_in();
    let layers = "cp tree/etc/one f; for n in 1 2 3 4 5 6 7 8; do mkdir d; for m in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do \
        cp f d/$m; done; (cd d; zip -qr ../g.zip .); rm -r d; mv g.zip f; done; mv f out";
    let limits = Limits { entries: 2000, ..Limits::default() };
    let (_, skipped, totals) = totals(&rules, &packed(layers), limits);
    assert!(totals.parts <= 2002, "{totals:?}");
    assert!(skipped.iter().any(|why| why.ends_with("more entries than the limit")), "{skipped:?}");
}

/// Contents come out, and that they are not what was packed is told.
#[test]
fn sums_that_are_wrong_are_told() {
    let wrong = [Skip::Damaged("its sum is not right")];
    for (format, line) in [
        (Format::Zip, "zip -q0 o.zip tree/etc/camera.conf; mv o.zip out"),
        (Format::SevenZip, "7zz a -bd -m0=Copy o.7z tree/etc/camera.conf >/dev/null; mv o.7z out"),
    ] {
        let mut data = packed(line);
        let at = data.windows(8).position(|eight| eight == b"line 1: ").expect("stored");
        data[at] ^= 1;
        let seen = open(format, &data);
        assert_eq!(seen.why("tree/etc/camera.conf").len() + seen.why("camera.conf").len(), 1, "{format:?}");
        assert_eq!(seen.skipped[0].1, wrong[0], "{format:?}");
        let part = seen.parts.values().next().expect("what came out");
        assert_eq!(part.len(), files()["etc/camera.conf"].len());
    }
}

/// After an error of one file, the others of the same stream are damaged, too, and the
/// decoder, which would never come back, is not asked again.
#[test]
fn a_damaged_stream_of_seven_zip_ends() {
    for method in ["LZMA", "LZMA2", "BZip2", "Deflate"] {
        let data = packed(&format!("7zz a -bd -ms=on -m0={method} o.7z tree >/dev/null; mv o.7z out"));
        for at in (40..2000).step_by(97) {
            let mut damaged = data.clone();
            damaged[at..at + 8].fill(0xff);
            let seen = open(Format::SevenZip, &damaged);
            assert!(seen.skipped.iter().any(|(_, why)| matches!(why, Skip::Damaged(_))), "{method} at {at}");
        }
    }
}

/// Written to a pipe, an archive knows sizes only behind the contents; its directory is
/// lost, and one of its files is such an archive.
#[test]
fn stored_entries_without_a_size_are_read() {
    let line = r#"python3 - <<'E'
import io, zipfile
class Pipe(io.RawIOBase):
    def __init__(self): self.data = b""
    def writable(self): return True
    def write(self, data): self.data += bytes(data); return len(data)
def pack(files):
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files: archive.writestr(name, data)
    return pipe.data
conf = open("tree/etc/camera.conf", "rb").read()
inner = pack([("inner", conf), ("other", b"x")])
open("out", "wb").write(pack([("first", conf), ("archive", inner), ("last", conf)]))
E"#;
    let data = packed(line);
    let conf = &files()["etc/camera.conf"];
    let whole = open(Format::Zip, &data);
    assert_eq!((whole.parts.len(), &whole.parts["last"]), (3, conf));
    // The last 22 bytes say where the directory begins.
    let directory = u32::from_le_bytes(data[data.len() - 6..data.len() - 2].try_into().expect("four bytes"));
    let lost = open(Format::Zip, &data[..directory as usize]);
    assert_eq!(&lost.parts["first"], conf);
    assert_eq!(lost.parts["archive"], whole.parts["archive"]);
    assert_eq!(&lost.parts["last"], conf);
    assert_eq!(lost.skipped, [(String::new(), Skip::Damaged("the directory of a zip archive is missing"))]);
}

/// Secrets that are decoded have the line in which their encoding begins, also behind
/// a container that was decoded in between.
#[test]
fn lines_of_what_is_decoded_are_right() {
    let setting = |number: usize| format!("root.SMTP.Password=Nq7vY2xLw{number}\nroot.Network.Name=camera\n");
    let packed = zlib(setting(0).repeat(3).as_bytes(), 9);
    let text = format!(
        "one\n{}\nthree\nfour {}\n{}\nsix {}\n",
        base64(setting(1).as_bytes()),
        base64(setting(2).as_bytes()),
        base64(&packed),
        base64(setting(3).as_bytes())
    );
    let (found, _) = sweep(&Rules::built_in(), text.as_bytes());
    let line = |secret: &str| {
        let of = found.iter().find(|finding| finding.secret.reveal() == secret.as_bytes());
        of.unwrap_or_else(|| panic!("no {secret}")).location.line
    };
    assert_eq!([line("Nq7vY2xLw1"), line("Nq7vY2xLw2"), line("Nq7vY2xLw3")], [Some(2), Some(4), Some(6)]);
}
