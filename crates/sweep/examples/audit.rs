use std::ops::ControlFlow;
use sweep::{Limits, Rules, Sweep, firmware::{audit, Product}, read::FileSource};
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let image = FileSource::new(std::fs::File::open(&path).unwrap()).unwrap();
    let rules = Rules::built_in();
    let sweep = Sweep { rules: &rules, limits: Limits::default(), now: 1_795_824_000 };
    let r = audit(&sweep, (&path, &image), Product::default(), |_| ControlFlow::Continue(()));
    match std::env::args().nth(2).as_deref() { Some("html") => print!("{}", r.html()), Some("bom") => print!("{:#}", r.cyclonedx()), Some("json")=>print!("{}", r.json()), _ => print!("{}", r.text()) }
}
