// A gateway for tests of pages: seals by the words of docs/format.md with the app's own primitives, and keeps nothing.
// Recordings of the last half hour exist as soon as they are asked for; four minutes of them are missing.

import { randomBytes } from 'node:crypto';
import { film, FPS, SECONDS } from './film.mjs';

const RECORDING_MS = SECONDS * 1000;
const BACK_MS = 30 * 60_000;
const ON_SITE_MS = 3 * 60_000;
const GAP = { from: 12 * 60_000, to: 8 * 60_000 };

export async function makeSite(seal) {
  const { base64, concat, hex, u32, utf8, fromBase64, signer, signPublicKey, random, sha256, hkdf, aesKey, aesSeal, keyCommitment, labelled } = seal;
  const [kemSeed, signSeed] = [random(32), random(32)];
  const id = `gw_${hex(random(16))}`;
  const own = await signer(id, signSeed);
  const gateway = { id, name: 'This computer', kem: base64(await seal.kemPublicKey(kemSeed)), sign: base64(await signPublicKey(signSeed)) };
  const epoch = `ep_${hex(random(16))}`;
  const films = { main: film(1280, 720), sub: film(640, 360) };
  const cameras = new Map();
  const made = new Map();
  const startedAt = Date.now();
  let state = hex(random(32));
  let rosterHead = '0'.repeat(64);

  async function seal_(camera, rendition, at, salt, from) {
    const { keys } = cameras.get(camera);
    const { codec, avcC, width, height, units } = films[rendition];
    const track = { id: 0, kind: 'video', codec, timescale: 1000, description: base64(avcC), width, height, sample_rate: 0, channels: 0 };
    const json = seal.writeCanonical({
      algorithm: 'A256GCM', org: cameras.get(camera).org, camera, rendition, gateway: id, epoch,
      commitment_video: hex(await keyCommitment(keys.video)), commitment_audio: hex(await keyCommitment(keys.audio)),
      salt: base64(salt), roster_head: rosterHead, checkpoint: null, started_at: at, clock: 'synchronised', starts_with_key_frame: true, tracks: [track],
    });
    const hash = await sha256(json);
    const head = concat(Uint8Array.of(0x4c, 0x4b, 0x52, 0x45, 0x43, 0, 0, 3), u32(json.length), json, await own.sign(seal.signedBytes('recording-header.v1+json', json)));
    const secret = await hkdf(keys.video, salt, labelled('lenskeep recording v3', hash));
    const chunk = async (n) => {
      const unit = units[(from + n) % units.length];
      const plain = concat(u32(0), unit.bytes);
      const key = await aesKey(await hkdf(secret, new Uint8Array(0), labelled('lenskeep chunk v1', u32(n))));
      const framing = concat(u32(plain.length + 16), Uint8Array.of(0, unit.key ? 1 : 0, 0, 0), u32(Math.round((n * 1000) / FPS)));
      return concat(framing, await aesSeal(key, concat(new Uint8Array(8), u32(n)), concat(hash, u32(n), framing), plain));
    };
    return { head, hash, chunk, isKey: (n) => units[(from + n) % units.length].key };
  }

  async function recording(camera, rendition, at) {
    const name = `${camera}/${rendition}/${at}`;
    if (made.has(name)) return made.get(name);
    const { head, hash, chunk, isKey } = await seal_(camera, rendition, at, await sha256(utf8(name), signSeed), 0);
    const [chunks, entries, tree] = [[], [], new seal.MerkleTree()];
    let offset = head.length;
    for (let n = 0; n < SECONDS * FPS; n += 1) {
      if (isKey(n)) entries.push(concat(u32(offset), u32(n), u32(Math.round((n * 1000) / FPS))));
      chunks.push(await chunk(n));
      await tree.push(concat(chunks.at(-1).subarray(0, 12), await sha256(chunks.at(-1).subarray(12))));
      offset += chunks.at(-1).length;
    }
    const index = concat(...entries);
    const root = hex(await tree.root());
    const footer = seal.writeCanonical({
      header: hex(hash), chunks: chunks.length, bytes: offset - head.length, duration_ms: RECORDING_MS, key_frames: entries.length,
      index: hex(await sha256(index)), root, previous_root: null, ended: 'closed',
    });
    const signed = concat(footer, await own.sign(seal.signedBytes('recording-footer.v1+json', footer)));
    const tail = concat(u32(index.length), Uint8Array.of(0xff, 0, 0, 0), u32(0), index);
    const bytes = concat(head, ...chunks, tail, u32(signed.length), Uint8Array.of(0xfe, 0, 0, 0), u32(0), signed, u32(offset), u32(offset + tail.length), utf8('LKRECEND'));
    const listing = {
      name, id: hex(hash), camera, rendition, epoch, started_at: at, duration_ms: RECORDING_MS, bytes: bytes.length, sha256: '0'.repeat(64),
      key_frames: entries.length, root, previous_root: null, has_audio: false, codec: films[rendition].codec, available: true,
      // The newest have not been forwarded.
      on_site: at > startedAt - ON_SITE_MS,
    };
    made.set(name, { listing, bytes });
    return made.get(name);
  }

  const inGap = (at) => at >= startedAt - GAP.from && at < startedAt - GAP.to;

  return {
    gateway,
    /** The roster has grown. */
    learn: (head) => (rosterHead = head),
    get state() {
      return state;
    },
    async enrol(secret) {
      const enrolment = await seal.enrolmentOf(secret);
      const mac = await seal.hmac(await hkdf(secret, new Uint8Array(), utf8('lenskeep enrolment mac v1')), labelled('gateway', seal.writeCanonical(gateway)));
      return { lookup: enrolment.lookup, answer: { gateway, mac: hex(mac) } };
    },
    async command(envelope, devices) {
      const { org, nonce, command } = JSON.parse(Buffer.from(envelope.payload, 'base64'));
      let [ok, error, report, told] = [true, null, null, null];
      if (command.sealed) {
        const associated = [org, id, command.camera, nonce].join('|');
        const plain = await seal.hpkeOpen(kemSeed, 'lenskeep camera access v1', associated, fromBase64(command.sealed.enc), fromBase64(command.sealed.ciphertext));
        const access = JSON.parse(Buffer.from(plain));
        const stream = ({ codec, width, height }) => ({ video_codec: codec, width, height, audio_codec: null, key_frame_after_ms: 420 });
        const seen = (film) => ({ stream: stream(film), bits_per_second: 640_000, frames_per_second: 10, key_frame_every_ms: 2000, for_ms: 2000 });
        if (command.type === 'look_at_camera') {
          if (access.url.includes('nobody')) told = { type: 'refused', cause: 'no_rtsp', error: 'nothing answers at this address' };
          else if (access.url.startsWith('rtsps:') && access.certificate === null) told = { type: 'look', main: null, sub: null, certificate: 'ab'.repeat(32), picture: null };
          else told = { type: 'look', main: seen(films.main), sub: access.sub_url ? seen(films.sub) : null, certificate: access.certificate, picture: null };
        } else if (access.url.includes('nobody')) [ok, error] = [false, 'nothing answers at this address. Check the address, and that the camera is on and in the gateway’s network'];
        else if (command.type === 'test_camera' && access.url.startsWith('rtsps:') && access.certificate === null) report = { main: null, sub: null, certificate: 'ab'.repeat(32) };
        else if (command.type === 'test_camera') report = { main: stream(films.main), sub: access.sub_url ? stream(films.sub) : null, certificate: access.certificate };
        else cameras.set(command.camera, { org, sub: access.sub_url !== null, keys: { video: random(32), audio: random(32) }, since: Date.now() });
      } else if (command.type === 'remove_camera') cameras.delete(command.camera);
      // Nobody answers here but the demonstration camera, which has an offer of its own.
      else if (command.type === 'find_cameras') told = { type: 'found', cameras: [], asked: 1, left_out: 0, more: false };
      if (ok && told === null && command.type !== 'test_camera') state = hex(random(32));
      return seal.sign('command-result.v1+json', { org, gateway: id, nonce, at: Date.now(), ok, error, report, ...(told && { answer: await sealedAnswer(told, envelope.signatures[0].keyid) }) }, own);

      async function sealedAnswer(answer, asker) {
        const { kem } = devices.find(({ id: device }) => device === asker);
        const { enc, ciphertext } = await seal.hpkeSeal(fromBase64(kem), 'lenskeep command answer v1', [org, id, asker, nonce].join('|'), seal.writeCanonical(answer));
        return { enc: base64(enc), ciphertext: base64(ciphertext) };
      }
    },
    async grant(org, device) {
      const entries = [...cameras].sort(([a], [b]) => (a < b ? -1 : 1));
      const inner = seal.writeCanonical({ cameras: entries.map(([camera, { keys }]) => ({ camera, video: base64(keys.video), audio: null })) });
      const outer = await Promise.all(entries.map(async ([camera, { keys }]) => ({ camera, video: hex(await keyCommitment(keys.video)), audio: hex(await keyCommitment(keys.audio)) })));
      const { enc, ciphertext } = await seal.hpkeSeal(fromBase64(device.kem), 'lenskeep epoch grant v1', [org, id, epoch, device.id].join('|'), inner);
      return seal.sign('epoch-grant.v1+json', { org, gateway: id, epoch, device: device.id, roster_head: rosterHead, created_at: Date.now(), cameras: outer, enc: base64(enc), ciphertext: base64(ciphertext) }, own);
    },
    streams(camera) {
      const found = cameras.get(camera);
      const status = (rendition) => ({ camera, rendition, state: 'recording', since: found.since, reason: null, bits_per_second: 640_000, codec: films[rendition].codec, width: films[rendition].width, height: films[rendition].height, has_audio: false });
      return !found ? [] : found.sub ? [status('main'), status('sub')] : [status('main')];
    },
    async recordings(camera, rendition, from, to) {
      // It tells of nothing that happens.
      if (!films[rendition]) return { recordings: [], gaps: [], more_from: null, site_unreachable: false };
      const [first, last] = [Math.max(from, startedAt - BACK_MS), Math.min(to, Date.now() - RECORDING_MS)];
      const found = [];
      for (let at = Math.floor(first / RECORDING_MS) * RECORDING_MS; at <= last; at += RECORDING_MS) {
        if (!inGap(at) && cameras.has(camera)) found.push((await recording(camera, rendition, at)).listing);
      }
      const gaps = [{ camera, rendition, from: startedAt - GAP.from, to: startedAt - GAP.to, reason: 'camera_unreachable' }];
      return { recordings: found, gaps: gaps.filter((gap) => gap.to > from && gap.from < to), more_from: null, site_unreachable: false };
    },
    async timeline(camera, rendition, from, to, parts) {
      const part_ms = Math.max(1000, Math.ceil((to - from) / parts));
      const { recordings, gaps } = await this.recordings(camera, rendition, from - RECORDING_MS, to);
      const shared = new Map();
      for (const { started_at, duration_ms, bytes } of recordings) {
        const end = started_at + duration_ms;
        for (let at = Math.max(from, started_at); at < Math.min(end, to); ) {
          const part = Math.floor((at - from) / part_ms);
          const ms = Math.min(end, from + (part + 1) * part_ms) - at;
          const sum = shared.get(part) ?? { part, recorded_ms: 0, bytes: 0 };
          shared.set(part, { part, recorded_ms: sum.recorded_ms + ms, bytes: sum.bytes + Math.floor((bytes * ms) / duration_ms) });
          at += ms;
        }
      }
      return { part_ms, parts: [...shared.values()], gaps: gaps.filter((gap) => gap.to - gap.from >= part_ms), site_unreachable: false };
    },
    bytesOf: (recordingId) => [...made.values()].find(({ listing }) => listing.id === recordingId)?.bytes ?? null,
    /** Sends a live stream until `send` says that nobody listens any more. */
    async live(camera, rendition, send) {
      if (!cameras.has(camera)) return void send(JSON.stringify({ type: 'waiting' }));
      const { head, chunk } = await seal_(camera, rendition, Date.now(), randomBytes(32), 0);
      if (!send(concat(Uint8Array.of(1), head))) return;
      let n = 0;
      const timer = setInterval(async () => {
        const number = n++;
        if (!send(concat(Uint8Array.of(2), u32(number), await chunk(number)))) clearInterval(timer);
      }, 1000 / FPS);
    },
  };
}
