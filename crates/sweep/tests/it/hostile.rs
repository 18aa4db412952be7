//! Bombs, circles, lies and names that are commands: what somebody puts into a card
//! to stop or to cheat a sweep.

use std::ops::ControlFlow;

use sweep::unpack::{Format, Part, Skip, Visit, find, unpack};
use sweep::{Limits, Notice, Rules, Sweep};

use crate::support::{open, open_with, packed, within};

#[test]
fn bombs_end_at_the_ratio() {
    let limits = Limits { ratio: 20, ..Limits::default() };
    for (format, tool) in [
        (Format::Gzip, "gzip -9c"),
        (Format::Bzip2, "bzip2 -c"),
        (Format::Xz, "xz -c"),
        (Format::Zstd, "zstd -qc"),
        (Format::Lz4, "lz4 -qc"),
    ] {
        let bomb = packed(&format!("head -c 64M /dev/zero | {tool} > out"));
        let seen = open_with(format, &bomb, &limits);
        assert!(seen.skipped.iter().any(|(_, why)| *why == Skip::Ratio), "{format:?}: {:?}", seen.skipped);
        let most = (20 * bomb.len() as u64).max(10 << 20);
        assert_eq!(seen.bytes, most, "{format:?}");
    }
}

#[test]
fn many_small_bombs_have_one_account() {
    let line = "head -c 4M /dev/zero > z; for n in 1 2 3 4 5 6 7 8; do cp z tree/z$n; done; cd tree; zip -q ../o.zip z*; mv ../o.zip ../out";
    let limits = Limits { ratio: 20, ..Limits::default() };
    let seen = open_with(Format::Zip, &packed(line), &limits);
    assert!(seen.skipped.iter().any(|(_, why)| *why == Skip::Ratio));
    assert_eq!(seen.bytes, 10 << 20);
    let limits = Limits { total_bytes: 5 << 20, ..Limits::default() };
    let seen = open_with(Format::Zip, &packed(line), &limits);
    assert!(seen.skipped.iter().any(|(_, why)| *why == Skip::TooLarge));
    assert_eq!(seen.bytes, 5 << 20);
}

/// A window is memory: one that is larger than a part may be is not opened.
#[test]
fn windows_are_bounded() {
    let limits = Limits { part_bytes: 1 << 20, ..Limits::default() };
    for (format, line) in [
        (Format::Xz, "head -c 9M /dev/urandom | xz -9c > out"),
        (Format::Zstd, "head -c 9M /dev/urandom | zstd -qc --long=27 > out"),
        (Format::SevenZip, "head -c 9M /dev/urandom > z; 7zz a -bd -mx=9 o.7z z >/dev/null; mv o.7z out"),
    ] {
        let seen = open_with(format, &packed(line), &limits);
        assert!(seen.skipped.iter().any(|(_, why)| *why == Skip::TooLarge), "{format:?}: {:?}", seen.skipped);
        assert!(seen.bytes <= 1 << 20);
    }
}

/// A thousand entries in the directory, all of which are the same bytes.
#[test]
fn entries_that_overlap_are_refused() {
    let zip = packed("head -c 1M /dev/zero > z; zip -q o.zip z; mv o.zip out");
    let at = zip.windows(4).rposition(|four| four == b"PK\x01\x02").expect("a directory");
    let end = zip.windows(4).rposition(|four| four == b"PK\x05\x06").expect("an end");
    let (entry, count) = (&zip[at..end], 1000);
    let mut bomb = zip[..at].to_vec();
    bomb.extend(entry.repeat(count));
    let mut tail = zip[end..].to_vec();
    tail[8..12].copy_from_slice(&[0xe8, 3, 0xe8, 3]);
    tail[12..16].copy_from_slice(&((entry.len() * count) as u32).to_le_bytes());
    bomb.extend(tail);
    let seen = open(Format::Zip, &bomb);
    assert_eq!(seen.bytes, 1 << 20);
    assert_eq!(seen.why("z"), vec![Skip::Damaged("its bytes are those of another entry, too"); 999]);
}

/// Whoever opens what was unpacked again goes as deep as the limit, also where each
/// level holds itself.
struct Nested<'a> {
    limits: &'a Limits,
    depth: u32,
    deepest: &'a mut u32,
}

impl Visit for Nested<'_> {
    fn part(&mut self, part: Part<'_>) -> ControlFlow<()> {
        *self.deepest = (*self.deepest).max(self.depth);
        let mut data = Vec::new();
        if part.data.read_to_end(&mut data).is_ok() && self.depth < self.limits.depth {
            for (at, format) in find(&data) {
                let mut inner = Nested { limits: self.limits, depth: self.depth + 1, deepest: self.deepest };
                unpack(format, &data, at as u64, self.limits, &mut inner);
            }
        }
        ControlFlow::Continue(())
    }

    fn skipped(&mut self, _: &str, _: Skip) {}
}

#[test]
fn archives_in_archives_end_at_the_depth() {
    let line = "cp tree/etc/one f; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do tar -cf g f; gzip -c g > f; done; cp f out";
    let limits = Limits::default();
    let mut deepest = 0;
    let data = packed(line);
    unpack(Format::Gzip, &data, 0, &limits, &mut Nested { limits: &limits, depth: 1, deepest: &mut deepest });
    assert_eq!(deepest, 8);
}

/// Device trees inside device trees are unpacked in place, which has its depth as well.
#[test]
fn images_in_images_end_at_the_depth() {
    let line = "cp tree/noise.bin p; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do \
        mkimage -A arm -T kernel -C none -n l$n -d p q >/dev/null; mv q p; done; cp p out";
    let seen = open(Format::UImage, &packed(line));
    let names: Vec<&String> = seen.parts.keys().collect();
    assert_eq!(names, ["l12/l11/l10/l9/l8/l7/l6/l5/l4"]);
}

#[test]
fn names_are_text_and_never_paths() {
    let line = r#"python3 - <<'E'
import tarfile, io
t = tarfile.open("out", "w", format=tarfile.GNU_FORMAT)
for name in ["../../etc/passwd", "/etc/shadow", "a\x1b]0;owned\x07\x1b[2J", "b\u202egnp.exe", "c\nd"]:
    i = tarfile.TarInfo(name); i.size = 1; t.addfile(i, io.BytesIO(b"x"))
i = tarfile.TarInfo("e\udcff"); i.size = 1; t.addfile(i, io.BytesIO(b"x"))
t.close()
E"#;
    let seen = open(Format::Tar, &packed(line));
    let names: Vec<&str> = seen.parts.keys().map(String::as_str).collect();
    let expected = [
        "../../etc/passwd",
        "/etc/shadow",
        "a\\u{1b}]0;owned\\u{7}\\u{1b}[2J",
        "b\\u{202e}gnp.exe",
        "c\\u{a}d",
        "e\\xff",
    ];
    assert_eq!(names, expected);
}

/// A folder of ext that holds its own grandparent.
#[test]
fn circles_of_folders_end() {
    let line = "mke2fs -q -t ext2 -d tree out 8M; \
        debugfs -w -R 'ln <2> etc/deep/er/again' out 2>/dev/null";
    let seen = open(Format::Ext, &packed(line));
    assert_eq!(seen.why("etc/deep/er/again"), [Skip::Damaged("a circle of folders")]);
    assert!(seen.parts.contains_key("var/log/large.log"));
}

/// A chain of clusters that ends where it began.
#[test]
fn circles_of_clusters_end() {
    let mut data = packed(
        "truncate -s 20M out; mkfs.fat -F 16 -s 1 out >/dev/null; mcopy -i out tree/var/log/large.log ::; mmd -i out ::/d; mcopy -i out tree/noise.bin ::/d",
    );
    let table = usize::from(u16::from_le_bytes([data[14], data[15]])) * 512;
    // Every cluster says that it is followed by itself.
    for cluster in 2..4000_usize {
        data[table + cluster * 2..][..2].copy_from_slice(&(cluster as u16).to_le_bytes());
    }
    let seen = open(Format::Fat, &data);
    within(&seen, &data, "a circle of clusters");
    assert_eq!(seen.parts["large.log"].len(), 300_000);
    assert!(seen.why("d").contains(&Skip::Damaged("a circle of clusters")), "{:?}", seen.skipped);
}

/// Sizes and counts are claims: nothing is allocated for them, and nothing read again
/// and again.
#[test]
fn claims_of_four_thousand_million_cost_nothing() {
    let squashfs = packed("mksquashfs tree out -quiet -no-progress");
    let seven = packed("7zz a -bd o.7z tree >/dev/null; mv o.7z out");
    let sparse = packed("mke2fs -q -t ext4 -d tree fs 16M; img2simg fs out");
    let jffs2 = packed("mkfs.jffs2 -l -e 128 -d tree -o out");
    let ext = packed("mke2fs -q -t ext4 -d tree out 16M");
    for (format, data) in [
        (Format::Squashfs, squashfs),
        (Format::SevenZip, seven),
        (Format::AndroidSparse, sparse),
        (Format::Jffs2, jffs2),
        (Format::Ext, ext),
    ] {
        let from = if format == Format::Ext { 1024 } else { 4 };
        for at in (from..from + 96).step_by(4) {
            let mut lie = data.clone();
            lie[at..at + 4].fill(0xff);
            let seen = open_with(format, &lie, &Limits { total_bytes: 64 << 20, ..Limits::default() });
            assert!(seen.bytes <= 64 << 20);
            within(&seen, &lie, &format!("{format:?} with a lie at {at}"));
        }
    }
}

#[test]
fn a_million_entries_end_at_the_limit() {
    let limits = Limits { entries: 100, ..Limits::default() };
    let make = "for n in $(seq 300); do echo $n > tree/$n; done;";
    for (format, line) in [
        (Format::Tar, "tar -cf out tree"),
        (Format::Zip, "zip -qr o.zip tree; mv o.zip out"),
        (Format::SevenZip, "7zz a -bd o.7z tree >/dev/null; mv o.7z out"),
        (Format::Squashfs, "mksquashfs tree out -quiet -no-progress"),
        (Format::Ext, "mke2fs -q -t ext4 -d tree out 16M"),
        (Format::Cpio, "find tree | cpio -oH newc > out"),
        (Format::Jffs2, "mkfs.jffs2 -l -e 128 -d tree -o out"),
    ] {
        let seen = open_with(format, &packed(&format!("{make} {line}")), &limits);
        assert!(seen.skipped.iter().any(|(_, why)| *why == Skip::TooMany), "{format:?}: {:?}", seen.skipped);
        assert!(seen.parts.len() <= 100);
    }
}

/// Whoever breaks is told nothing more.
#[test]
fn whoever_has_enough_is_left_alone() {
    struct Once(u32);
    impl Visit for Once {
        fn part(&mut self, _: Part<'_>) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Break(())
        }
        fn skipped(&mut self, _: &str, _: Skip) {}
    }
    let mut once = Once(0);
    unpack(Format::Tar, &packed("tar -cf out tree"), 0, &Limits::default(), &mut once);
    assert_eq!(once.0, 1);
}

/// The attack: a stream that goes on for long and in which there is nothing to tell of.
#[test]
fn whoever_ends_a_sweep_is_heard_within_a_stream() {
    let packed = packed("head -c 200M /dev/zero | tr '\\0' 'a' | gzip -c > out");
    let rules = Rules::built_in();
    let sweep = Sweep { rules: &rules, limits: Limits::default(), now: 0 };
    let mut told = 0;
    let totals = sweep.input("stream", &packed, &mut |notice| {
        told += u32::from(matches!(notice, Notice::Read(_)));
        if told > 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(totals.unpacked < 20 << 20, "{totals:?}");
}

/// What the fuzzer begins with, and each of it cut short and with bytes turned.
#[test]
fn tables_that_mean_no_good_end() {
    let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/sweep_table"));
    let mut random = fastrand::Rng::with_seed(19);
    let mut count = 0;
    for seed in seeds.expect("a folder") {
        let seed = std::fs::read(seed.expect("a file").path()).expect("bytes");
        (0..=seed.len()).for_each(|len| sweep::fuzzing::table(&seed[..len]));
        for _ in 0..500 {
            let mut turned = seed.clone();
            let at = random.usize(2..turned.len());
            turned[at] = random.choice(*b"\",;\n|\t'a\\()").unwrap_or_default();
            sweep::fuzzing::table(&turned);
        }
        count += 1;
    }
    assert!(count >= 4);
}
