//! How fast pictures are sealed and opened, beside the bare cipher and hash of
//! the same bytes. `cargo xtask bench --only seal` runs it.

use std::time::Instant;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use model::{CameraId, EpochId, GatewayId, Hash, OrgId, Rendition, Timestamp};
use seal::grant::{CameraKeys, EpochKey};
use seal::keys::SigningKey;
use seal::recording::{
    Algorithm, ChunkOpener, Clock, Ended, Header, Recording, RecordingWriter, Track, TrackKind, flags,
};

/// A minute of 25 pictures a second.
const PICTURES: u32 = 1_500;
const ROUNDS: u32 = 60;
/// A picture of 2 Mbit/s, and one of 16 Mbit/s.
const SIZES: [usize; 2] = [10_000, 80_000];

fn header(video: &EpochKey, audio: &EpochKey) -> Header {
    Header {
        algorithm: Algorithm::A256GCM,
        org: OrgId::from_random([1; 16]),
        camera: CameraId::from_random([2; 16]),
        rendition: Rendition::Main,
        gateway: GatewayId::from_random([3; 16]),
        epoch: EpochId::from_random([4; 16]),
        commitment_video: video.commitment(),
        commitment_audio: audio.commitment(),
        salt: [5; 32].into(),
        roster_head: Hash([6; 32]),
        checkpoint: None,
        started_at: Timestamp(1_790_000_000_000),
        clock: Clock::Unknown,
        starts_with_key_frame: true,
        tracks: vec![Track {
            id: 0,
            kind: TrackKind::Video,
            codec: "avc1.64001f".to_owned(),
            timescale: 90_000,
            description: None,
            width: 1_280,
            height: 720,
            sample_rate: 0,
            channels: 0,
        }],
    }
}

#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures, and says what")]
fn main() {
    let (video, audio) = (EpochKey::from_random([7; 32]), EpochKey::from_random([8; 32]));
    let signer = SigningKey::from_seed([9; 32]);
    let keys = CameraKeys { video: video.clone(), audio: None };
    for size in SIZES {
        let picture = vec![0xa5; size];
        let pictures = PICTURES.min((48_000_000 / size) as u32);
        let gigabytes = |seconds: f64| f64::from(ROUNDS * pictures) * size as f64 / 1e9 / seconds;

        let mut file = Vec::new();
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            file.clear();
            let mut writer =
                RecordingWriter::begin(header(&video, &audio), &video, &audio, &signer, &mut file);
            for number in 0..pictures {
                let flag = if number.is_multiple_of(25) { flags::KEY_FRAME } else { 0 };
                writer.seal(0, flag, number * 3_600, &[&[0; 4], &picture], &mut file).expect("it has room");
            }
            writer.finish(Ended::Closed, 60_000, None, &signer, &mut file);
        }
        let sealed = begun.elapsed().as_secs_f64();

        let begun = Instant::now();
        let mut buffer = Vec::new();
        for _ in 0..ROUNDS {
            let recording = Recording::parse(&file).expect("it was just made");
            let opener = ChunkOpener::new(&recording.header, &keys).expect("the right keys");
            for chunk in &recording.chunks {
                buffer.clear();
                buffer.extend_from_slice(chunk.ciphertext);
                opener.open(chunk.number, chunk.head_bytes, &mut buffer).expect("it opens");
            }
        }
        let opened = begun.elapsed().as_secs_f64();

        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[1; 32]).expect("32 bytes"));
        let nonce = || Nonce::assume_unique_for_key([0; NONCE_LEN]);
        buffer.resize(size, 0);
        let begun = Instant::now();
        for _ in 0..ROUNDS * pictures {
            let tag = key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut buffer);
            let _ = std::hint::black_box(tag.expect("it seals"));
        }
        let cipher = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        for _ in 0..ROUNDS * pictures {
            std::hint::black_box(seal::sha256(&buffer));
        }
        let hash = begun.elapsed().as_secs_f64();

        println!(
            "pictures of {size} bytes: sealed {:.2} GB/s, parsed, verified and opened {:.2} GB/s on one core",
            gigabytes(sealed),
            gigabytes(opened)
        );
        println!(
            "  AES-256-GCM alone {:.2} GB/s, SHA-256 alone {:.2} GB/s, one after the other {:.2} GB/s: {:.0} % of it sealed",
            gigabytes(cipher),
            gigabytes(hash),
            gigabytes(cipher + hash),
            (cipher + hash) / sealed * 100.0
        );
    }
}
