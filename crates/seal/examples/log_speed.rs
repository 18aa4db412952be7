//! How fast a history's log is verified from its entries, beside the bare
//! hashing of the same bytes. `cargo xtask bench` runs it.

use std::time::Instant;

use seal::tlog::{Bundle, Edge};

const ENTRIES: u64 = 10_000_000;
const BUNDLE: u64 = 256;

/// As long as the cloud's entries are.
fn entry(n: u64) -> Vec<u8> {
    format!("{{\"seq\":{n:0>10},\"filler\":\"{}\"}}", "x".repeat(370)).into_bytes()
}

#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures, and says what")]
fn main() {
    let mut bundle = Vec::new();
    (0..BUNDLE).for_each(|n| Bundle::push(&mut bundle, &entry(n)));
    let rounds = ENTRIES / BUNDLE;

    let begun = Instant::now();
    let mut edge = Edge::default();
    for _ in 0..rounds {
        for entry in Bundle::entries(&bundle, BUNDLE as u16).expect("a whole bundle") {
            edge.push(entry);
        }
    }
    let root = edge.root();
    let verified = begun.elapsed().as_secs_f64();

    let begun = Instant::now();
    let digests = (0..rounds).map(|_| seal::sha256(&bundle)).filter(|digest| *digest != root).count();
    let bare = begun.elapsed().as_secs_f64();

    println!("{} entries of {} bytes, {digests} bundles", edge.size(), entry(0).len());
    println!("verified in {verified:.1} s, {:.0} entries/s on one core", edge.size() as f64 / verified);
    println!("SHA-256 of the same bytes alone: {bare:.1} s; ratio {:.1}", verified / bare);
}
