use proptest::prelude::*;

use super::*;

fn chunk(n: u32) -> Bytes {
    Bytes::copy_from_slice(&n.to_be_bytes())
}

fn drain(stream: &Stream, cursor: &mut Cursor) -> Vec<Item> {
    std::iter::from_fn(|| stream.poll(cursor)).collect()
}

fn item(n: u32) -> Item {
    Item::Chunk { number: n, bytes: chunk(n) }
}

#[test]
fn a_newcomer_starts_at_the_current_key_frame() {
    let mut stream = Stream::new(Limits::default());
    let header = Bytes::from_static(b"header");
    stream.push_header(header.clone());
    for n in 0..7 {
        stream.push_chunk(n, chunk(n), n % 3 == 0);
    }
    let mut cursor = Cursor::default();
    assert_eq!(drain(&stream, &mut cursor), [Item::Header(header), item(6)]);
    stream.push_chunk(7, chunk(7), false);
    assert_eq!(drain(&stream, &mut cursor), [item(7)]);
}

#[test]
fn a_new_recording_brings_its_header() {
    let mut stream = Stream::new(Limits::default());
    stream.push_header(Bytes::from_static(b"one"));
    stream.push_chunk(0, chunk(0), true);
    let mut cursor = Cursor::default();
    assert_eq!(drain(&stream, &mut cursor).len(), 2);
    stream.push_header(Bytes::from_static(b"two"));
    stream.push_chunk(0, chunk(0), true);
    assert_eq!(drain(&stream, &mut cursor), [Item::Header(Bytes::from_static(b"two")), item(0)]);
}

#[test]
fn a_slow_viewer_goes_on_at_the_newest_key_frame() {
    let mut stream = Stream::new(Limits { gops_max: 2, bytes_max: 1 << 20 });
    stream.push_header(Bytes::from_static(b"h"));
    stream.push_chunk(0, chunk(0), true);
    let mut cursor = Cursor::default();
    drain(&stream, &mut cursor);
    for n in 1..10 {
        stream.push_chunk(n, chunk(n), n % 3 == 0);
    }
    assert_eq!(drain(&stream, &mut cursor), [Item::Skipped { chunks: 8 }, item(9)]);
}

#[test]
fn a_gop_too_large_to_keep_is_dropped_and_the_stream_recovers() {
    let mut stream = Stream::new(Limits { gops_max: 2, bytes_max: 8 });
    stream.push_header(Bytes::from_static(b"h"));
    for n in 0..5 {
        stream.push_chunk(n, chunk(n), n == 0);
    }
    assert_eq!(stream.bytes(), 0);
    let mut cursor = Cursor::default();
    assert_eq!(drain(&stream, &mut cursor), []);
    stream.push_chunk(5, chunk(5), true);
    assert_eq!(drain(&stream, &mut cursor), [Item::Header(Bytes::from_static(b"h")), item(5)]);
}

#[derive(Clone, Debug)]
enum Step {
    Header,
    Chunk { key_frame: bool, size: usize },
    Poll { viewer: usize, items: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Header),
        8 => (prop::bool::weighted(0.2), 0_usize..40).prop_map(|(key_frame, size)| Step::Chunk { key_frame, size }),
        6 => (0_usize..3, 0_usize..12).prop_map(|(viewer, items)| Step::Poll { viewer, items }),
    ]
}

proptest! {
    /// Whatever the speeds: memory stays bounded, chunks come in order and
    /// under their own header, and after a hole the next chunk is a key frame.
    #[test]
    fn viewers_get_whole_gops_in_order(steps in prop::collection::vec(step(), 1..400)) {
        let limits = Limits { gops_max: 3, bytes_max: 120 };
        let mut stream = Stream::new(limits);
        let mut cursors = [Cursor::default(), Cursor::default(), Cursor::default()];
        let mut last: [Option<u32>; 3] = [None; 3];
        // Since the last chunk: a viewer may be told of holes more than once.
        let mut skipped = [0_u64; 3];
        let mut header_seen: [Option<Bytes>; 3] = [None, None, None];
        let mut sent: Vec<(bool, u32)> = Vec::new();
        let mut headers = 0_u32;
        for step in steps {
            match step {
                Step::Header => {
                    headers += 1;
                    stream.push_header(chunk(headers));
                }
                Step::Chunk { key_frame, size } => {
                    let number = sent.len() as u32;
                    sent.push((key_frame, headers));
                    if headers == 0 {
                        sent.pop();
                    }
                    stream.push_chunk(number, Bytes::from(vec![0; size]), key_frame);
                }
                Step::Poll { viewer, items } => {
                    for _ in 0..items {
                        match stream.poll(&mut cursors[viewer]) {
                            None => break,
                            Some(Item::Header(bytes)) => header_seen[viewer] = Some(bytes),
                            Some(Item::Skipped { chunks }) => {
                                prop_assert!(chunks > 0);
                                skipped[viewer] += chunks;
                            }
                            Some(Item::Chunk { number, .. }) => {
                                let (key_frame, header) = sent[number as usize];
                                prop_assert_eq!(header_seen[viewer].clone(), Some(chunk(header)));
                                match last[viewer] {
                                    None => prop_assert!(key_frame),
                                    Some(before) => {
                                        prop_assert!(number > before);
                                        prop_assert!(key_frame || number == before + 1);
                                        prop_assert_eq!(skipped[viewer], u64::from(number - before - 1));
                                    }
                                }
                                last[viewer] = Some(number);
                                skipped[viewer] = 0;
                            }
                        }
                    }
                }
            }
            prop_assert!(stream.bytes() <= limits.bytes_max);
        }
    }
}
