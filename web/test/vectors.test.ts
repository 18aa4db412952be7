// The vectors that the Rust reader is held to as well (docs/format.md). If the folder is empty, that is a failure.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { seedsOf } from '../src/lib/device/recovery';
import { actionShape } from '../src/lib/seal/action';
import { base64, type FormatError, fromBase64, fromHex, fromUtf8, hex, utf8 } from '../src/lib/seal/bytes';
import { openChunk, readChunkHead, shownKey } from '../src/lib/seal/chunk';
import { openAnswer } from '../src/lib/seal/cameraAnswer';
import { commandAgreement, readCommand, stateAfter } from '../src/lib/seal/commands';
import { sha256, signer, signPublicKey } from '../src/lib/seal/crypto';
import { openSignedBy, readEnvelope, sign } from '../src/lib/seal/dsse';
import { acceptMac, enrolmentCode, enrolmentOf, readEnrolling } from '../src/lib/seal/enrolment';
import { ExcerptWriter } from '../src/lib/seal/excerpt';
import { type EpochKeys, handOn, openGrant, openPastGrant } from '../src/lib/seal/grants';
import { readHeader, recordingKeys } from '../src/lib/seal/header';
import { readEventBatch } from '../src/lib/seal/event';
import { hpkeOpen, kemPublicKey } from '../src/lib/seal/hpke';
import { answerTo } from '../src/lib/seal/local';
import { checkPairingMac, pairingCode, pairingProof, readPairing, writePairing } from '../src/lib/seal/pairing';
import { memorySource, Recording } from '../src/lib/seal/reader';
import { Roster } from '../src/lib/seal/roster';
import { bool, hash, id, int, list, literal, nullable, object, text, writeCanonical } from '../src/lib/seal/shape';
import { offeredDevice } from '../src/lib/seal/statements';
import { isConsistent, isIncluded, openCheckpoint, readWitnessKey, witnessedAt, witnessKey } from '../src/lib/seal/tlog';

const folder = fileURLToPath(new URL('../../crates/seal/tests/it/vectors/', import.meta.url));
const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
const load = (name: string): any => JSON.parse(readFileSync(`${folder}${name}.json`, 'utf8'));

describe('shared vectors', () => {
  it('are there, and each has a test', () => {
    expect(names.sort()).toEqual(['action.json', 'answer.json', 'bookmark.json', 'capsule.json', 'command-settings.json', 'command-several.json', 'command.json', 'enrolment.json', 'epoch-grant.json', 'hour.json', 'keys.json', 'local.json', 'notice.json', 'pairing.json', 'past-grant.json', 'ptz.json', 'recording-checkpoint.json', 'recording-events.json', 'recording.json', 'roster.json', 'service-account.json', 'tlog.json']);
  });

  it('keys: the same public keys, HPKE and recovery seeds', async () => {
    const vector = load('keys');
    expect(base64(await kemPublicKey(fromBase64(vector.kem_seed)))).toBe(vector.kem_public);
    expect(base64(await signPublicKey(fromBase64(vector.sign_seed)))).toBe(vector.sign_public);
    const { info, aad, plaintext, sealed } = vector.hpke;
    const opened = await hpkeOpen(fromBase64(vector.kem_seed), info, aad, fromBase64(sealed.enc), fromBase64(sealed.ciphertext));
    expect(fromUtf8(opened)).toBe(plaintext);
    const seeds = await seedsOf(fromBase64(vector.recovery.entropy));
    expect(base64(seeds.kem)).toBe(vector.recovery.kem_seed);
    expect(base64(seeds.sign)).toBe(vector.recovery.sign_seed);
  });

  const populated = async (): Promise<Roster> => {
    const vector = load('roster');
    const [genesis, ...rest] = vector.statements.map((statement: unknown) => readEnvelope(statement));
    const roster = await Roster.start(genesis, vector.anchor, vector.seen_at);
    for (const envelope of rest) await roster.append(envelope, vector.seen_at);
    return roster;
  };

  // Pages read none yet; whoever writes a reader is held to spelling, signature and name.
  it('hour: is signed by the gateway, and named by its hash', async () => {
    const { envelope, statement, object: name, hash: stated } = load('hour');
    const times = { rendition: literal('main', 'sub') };
    const recording = object({ ...times, started_at: int, duration_ms: int, bytes: int, id: hash, root: hash, stored: bool });
    const gap = object({ ...times, from: int, to: int, reason: text() });
    const shape = object({ org: id('org_'), gateway: id('gw_'), camera: id('cam_'), hour: int, number: int, previous: nullable(hash), made_at: int, recordings: list(recording, 500), gaps: list(gap, 500) });
    const opened = await openSignedBy(readEnvelope(envelope), 'hour.v1+json', shape, statement.gateway, fromBase64(load('keys').sign_public));
    expect(opened.document).toEqual(statement);
    expect(hex(opened.hash)).toBe(stated);
    const day = new Date(statement.hour).toISOString().slice(0, 10).replaceAll('-', '/');
    expect(name).toBe(`${statement.org}/${statement.camera}/hours/${day}/${statement.hour}-${stated}.json`);
  });

  it('roster: replays to the same state', async () => {
    const vector = load('roster');
    const roster = await populated();
    expect(roster.head).toEqual(vector.head);
    expect(roster.state).toEqual(vector.state);
    for (const { device, camera, at, answer } of vector.may_open) expect(roster.mayOpen(device, camera, at), `${device} ${camera} ${at}`).toBe(answer);
  });

  it.each<any>(load('roster').cases)('roster: $name', async ({ statements, now, seen, refused, head, state, pending }) => {
    const roster = await populated();
    const code = (error: unknown) => (error as FormatError).code;
    const refusals = [];
    for (const { envelope, seen_at } of statements) refusals.push(await (async () => roster.append(readEnvelope(envelope), seen_at))().then(() => null, code));
    if (now !== null) roster.settle(now);
    if (seen) refusals.push(await (async () => roster.checkSeen(seen))().then(() => null, code));
    // All but the last are good, and the last as the vector says.
    expect(refusals).toEqual([...refusals.slice(1).map(() => null), refused]);
    expect([roster.head, await roster.stateHash(), roster.facts.pending.length]).toEqual([head, state, pending]);
  });

  it.each(['action', 'service-account'])('%s: reads the same, and is signed by the same bytes', async (name) => {
    const vector = load(name);
    const envelope = readEnvelope(vector.envelope);
    const { keyid } = envelope.signatures[0]!;
    const opened = await openSignedBy(envelope, 'action.v1+json', actionShape, keyid, await signPublicKey(fromBase64(vector.sign_seed)));
    expect(opened.document).toEqual(vector.action);
    expect(hex(opened.hash)).toBe(vector.hash);
    expect(await sign('action.v1+json', opened.document, await signer(keyid, fromBase64(vector.sign_seed)))).toEqual(vector.envelope);
  });

  it('log: reads the checkpoint, and takes no proof but the right one', async () => {
    const vector = load('tlog');
    const checkpoint = await openCheckpoint(vector.note, vector.key);
    const witness = { name: vector.witness, key: fromBase64(vector.witness_key) };
    expect(await witnessedAt(vector.note, witness)).toBe(1_763_836_800_000);
    expect(await readWitnessKey(vector.witness_verifier_key)).toEqual({ name: vector.witness, key: vector.witness_key });
    expect(await witnessKey({ name: vector.witness, key: vector.witness_key })).toBe(vector.witness_verifier_key);
    await expect(readWitnessKey(vector.key)).rejects.toThrow('not the key of a witness');
    await expect(readWitnessKey(vector.witness_verifier_key.replace('gw', 'gv'))).rejects.toThrow('damaged');
    expect(await witnessedAt(vector.note, { ...witness, name: 'gw_2' })).toBeNull();
    expect(await witnessedAt(vector.note, { ...witness, key: fromBase64(vector.key.split('+').slice(2).join('+')).slice(1) })).toBeNull();
    expect(await witnessedAt(vector.note.replace('\n700\n', '\n701\n'), witness)).toBeNull();
    expect(checkpoint.size).toBe(vector.size);
    await expect(openCheckpoint(vector.note.replace('\n700\n', '\n701\n'), vector.key)).rejects.toThrow('not signed');
    await expect(openCheckpoint(vector.note, vector.key.replace('lenskeep', 'lenskeeq'))).rejects.toThrow('damaged');
    const next = { size: vector.size, root: vector.root };
    for (const { old, root, proof } of vector.consistency) {
      const head = { size: old, root };
      expect(await isConsistent(head, next, proof), `${old}`).toBe(true);
      expect(await isConsistent({ ...head, root: 'ab'.repeat(32) }, next, proof)).toBe(false);
      if (old < vector.size) {
        expect(await isConsistent(head, { ...next, root: 'ab'.repeat(32) }, proof)).toBe(false);
        expect(await isConsistent(next, head, proof)).toBe(false);
        expect(await isConsistent(head, next, proof.slice(1))).toBe(false);
      }
    }
    for (const { index, leaf, proof } of vector.inclusion) {
      expect(await isIncluded(fromBase64(leaf), index, next, proof), `${index}`).toBe(true);
      expect(await isIncluded(fromBase64(leaf), index + 1, next, proof)).toBe(false);
      expect(await isIncluded(fromBase64(base64(fromHex('00'))), index, next, proof)).toBe(false);
    }
  });

  it('epoch grant: opens to the same keys', async () => {
    const vector = load('epoch-grant');
    const { payload } = vector.envelope;
    const { org, epoch } = JSON.parse(fromUtf8(fromBase64(payload)));
    const expected = { org, gateway: vector.gateway, epoch, device: vector.device };
    const { cameras } = await openGrant(readEnvelope(vector.envelope), expected, fromBase64(vector.device_kem_seed));
    const keys = [...cameras].map(([camera, { video, audio }]) => ({ camera, video: base64(video), audio: audio && base64(audio) }));
    expect(keys).toEqual(vector.keys);
  });

  it('past grant: what another device handed on opens, and what this one hands on', async () => {
    const vector = load('past-grant');
    const { org, epoch } = JSON.parse(fromUtf8(fromBase64(vector.envelope.payload)));
    const expected = { org, gateway: vector.gateway, epoch, device: vector.device };
    const listed = (cameras: Map<string, EpochKeys>) => [...cameras].map(([camera, { video, audio }]) => ({ camera, video: base64(video), audio: audio && base64(audio) }));
    const seed = fromBase64(vector.device_kem_seed);
    const nobody = () => undefined;
    const given = await openPastGrant(readEnvelope(vector.envelope), expected, seed, nobody);
    expect([listed(given.cameras), given.isSigned]).toEqual([vector.keys, false]);
    await expect(openPastGrant(readEnvelope(vector.envelope), { ...expected, device: 'dev_' + '0'.repeat(32) }, seed, nobody)).rejects.toThrow('for another');
    // An author whom the roster names has to have signed it.
    await expect(openPastGrant(readEnvelope(vector.envelope), expected, seed, () => base64(new Uint8Array(32).fill(9)))).rejects.toThrow('does not hold');

    // This device was granted both cameras, and hands on the first to another.
    const own = load('epoch-grant');
    const opened = await openGrant(readEnvelope(own.envelope), { org, gateway: own.gateway, epoch, device: own.device }, fromBase64(own.device_kem_seed));
    const to = { ...load('pairing').device, id: 'dev_' + '5'.repeat(32), kem: base64(await kemPublicKey(new Uint8Array(32).fill(9))) };
    const me = await signer(own.device, new Uint8Array(32).fill(7));
    const first = vector.keys[0].camera;
    const mine = base64(await signPublicKey(new Uint8Array(32).fill(7)));
    const handed = async (audio: boolean) => {
      const grant = await handOn(opened, to, { cameras: new Set([first]), audio }, 'ab'.repeat(32), 1, me);
      return openPastGrant(grant!, { ...expected, device: to.id }, new Uint8Array(32).fill(9), (id) => (id === own.device ? mine : undefined));
    };
    const again = await handed(true);
    expect([listed(again.cameras), again.isSigned, again.grant.roster_head]).toEqual([vector.keys, true, 'ab'.repeat(32)]);
    expect(listed((await handed(false)).cameras)).toEqual([{ ...vector.keys[0], audio: null }]);
    expect(await handOn(opened, to, { cameras: new Set(), audio: true }, 'ab'.repeat(32), 1, me)).toBeNull();
  });

  it('recording: header, every chunk, index, footer and root', async () => {
    const vector = load('recording');
    const bytes = fromBase64(vector.file);
    expect(hex(await sha256(bytes))).toBe(vector.sha256);
    const { gateway } = load('enrolment');
    const recording = await Recording.open(memorySource(bytes), () => gateway);
    expect(recording.read.header).toEqual(vector.header);
    expect(recording.tail?.footer).toEqual(vector.footer);
    const keys = await recordingKeys(recording.read, { video: fromBase64(vector.video_key), audio: fromBase64(vector.audio_key) });
    const chunks = [];
    for await (const chunk of recording.chunks(recording.keyFrameBefore(0))) {
      const plaintext = base64((await openChunk(recording.read, keys, chunk))!);
      chunks.push({ track: chunk.track, flags: Number(chunk.keyFrame) + 2 * Number(chunk.discontinuity), time: chunk.time, plaintext });
    }
    expect(chunks).toEqual(vector.chunks);
    await recording.verify(keys);
    for (const entry of recording.tail!.index) {
      const head = readChunkHead(bytes.subarray(entry.offset));
      expect(head.keyFrame && head.time === entry.time).toBe(true);
    }
  });

  it('recording: an excerpt of it, byte by byte', async () => {
    const vector = load('recording');
    const { gateway } = load('enrolment');
    const recording = await Recording.open(memorySource(fromBase64(vector.file)), () => gateway);
    const keys = await recordingKeys(recording.read, { video: fromBase64(vector.video_key), audio: fromBase64(vector.audio_key) });
    // Chunks 3 to 8, of which the sound is withheld.
    const writer = new ExcerptWriter();
    for await (const chunk of recording.chunks(recording.keyFrameBefore(0))) {
      const isShown = chunk.track === 0 && chunk.number >= 3 && chunk.number < 9;
      await writer.push(chunk, isShown ? await shownKey(recording.read, keys, chunk) : null);
    }
    expect(base64(await writer.write(recording, 3, 9))).toBe(vector.excerpt);
  });

  it('recording of events: every batch, by the key of pictures', async () => {
    const vector = load('recording-events');
    const bytes = fromBase64(vector.file);
    const { gateway } = load('enrolment');
    const recording = await Recording.open(memorySource(bytes), () => gateway);
    expect(recording.read.header).toEqual(vector.header);
    expect(recording.tail?.footer).toEqual(vector.footer);
    const keys = await recordingKeys(recording.read, { video: fromBase64(vector.video_key), audio: null });
    const batches = [];
    for await (const chunk of recording.chunks(recording.keyFrameBefore(0))) batches.push(readEventBatch((await openChunk(recording.read, keys, chunk))!));
    expect(batches).toEqual(vector.batches);
    await recording.verify(keys);
    const event = batches[0]!.events[0]!;
    const batch = (change: object) => () => readEventBatch(writeCanonical({ events: [{ ...event, ...change }], left_out: 0 }));
    for (const source of ['onvif', 'vapix', 'frigate', 'gateway']) expect(batch({ source })).not.toThrow();
    // Bytes are counted, not letters.
    for (const change of [{ source: 'alien' }, { rule: 'é'.repeat(33) }, { topic: 'x'.repeat(129) }, { kind: 'alien' }, { at: -1 }, { at: 2 ** 53 - 1 }, { more: 1 }]) expect(batch(change)).toThrow();
  });

  it('recording: a checkpoint in the header, and none that is too long', async () => {
    const vector = load('recording-checkpoint');
    const bytes = fromBase64(vector.file);
    const { gateway } = load('enrolment');
    const recording = await Recording.open(memorySource(bytes), () => gateway);
    expect(recording.read.header).toEqual(vector.header);
    expect(recording.tail?.footer).toEqual(vector.footer);
    const { note, key, size } = load('tlog');
    expect(recording.read.header.checkpoint).toBe(note);
    expect((await openCheckpoint(recording.read.header.checkpoint!, key)).size).toBe(size);
    // Bytes are counted, not letters.
    const holding = (checkpoint: string) => {
      const json = utf8(JSON.stringify({ ...recording.read.header, checkpoint }));
      const out = new Uint8Array(12 + json.length + 64);
      out.set(bytes.subarray(0, 8));
      new DataView(out.buffer).setUint32(8, json.length);
      out.set(json, 12);
      return readHeader(out);
    };
    expect((await holding('é'.repeat(4096))).header.checkpoint).toHaveLength(4096);
    await expect(holding('é'.repeat(4097))).rejects.toThrow('a checkpoint of more than 8192 bytes');
  });

  it('enrolment: look-up value, both MACs, and the code', async () => {
    const vector = load('enrolment');
    const enrolment = await enrolmentOf(fromHex(vector.secret));
    expect(enrolment.lookup).toBe(vector.lookup);
    expect(await readEnrolling({ gateway: vector.gateway, mac: vector.gateway_mac }, enrolment)).toEqual(vector.gateway);
    expect(await acceptMac(enrolment, vector.anchor, vector.add_gateway)).toBe(vector.accept_mac);
    expect(enrolmentCode(enrolment.secret, vector.ca, vector.anchor)).toBe(vector.code);
    const other = { ...vector.gateway, name: 'Other' };
    await expect(readEnrolling({ gateway: other, mac: vector.gateway_mac }, enrolment)).rejects.toThrow('does not know the enrolment code');
  });

  it('local way: a gateway that proves itself gets this device’s proof, and nobody else does', async () => {
    const { org, gateway, device, sign_seed, challenge, certificate, answer, login } = load('local');
    const me = await signer(device, fromBase64(sign_seed));
    const expected = { org, gateways: [gateway], challenge, certificate };
    const found = await answerTo(readEnvelope(answer), expected, me);
    const { roster_seq, roster_head } = JSON.parse(fromUtf8(fromBase64(answer.payload)));
    expect([found.gateway.id, found.login, found.head]).toEqual([gateway.id, login, { seq: roster_seq, hash: roster_head }]);
    const other = 'cd'.repeat(32);
    await expect(answerTo(readEnvelope(answer), { ...expected, challenge: other }, me)).rejects.toThrow('an old one');
    await expect(answerTo(readEnvelope(answer), { ...expected, certificate: other }, me)).rejects.toThrow('somebody is in between');
    await expect(answerTo(readEnvelope(answer), { ...expected, gateways: [] }, me)).rejects.toThrow('no gateway of your organisation');
    const stranger = { ...gateway, sign: base64(await signPublicKey(new Uint8Array(32).fill(9))) };
    await expect(answerTo(readEnvelope(answer), { ...expected, gateways: [stranger] }, me)).rejects.toThrow('does not hold');
  });

  it('pairing: look-up value, proof of the keys, and the code', async () => {
    const vector = load('pairing');
    const device = offeredDevice(vector.device, 'the device');
    const pairing = readPairing(vector.text)!;
    expect(writePairing(pairing)).toBe(vector.text);
    expect(await pairingProof(pairing, vector.anchor, device)).toEqual({ lookup: vector.lookup, mac: vector.mac });
    expect(await pairingCode(pairing.commitment, vector.nonce, vector.anchor, device)).toBe(vector.code);
    await checkPairingMac(pairing, vector.anchor, device, vector.mac);
  });

  it('pairing: who changes keys, organisation or answer on the way is seen', async () => {
    const { text, anchor, mac, nonce, ...vector } = load('pairing');
    const device = offeredDevice(vector.device, 'the device');
    const pairing = readPairing(text)!;
    const [other, elsewhere] = [{ ...device, name: 'Other' }, 'b6'.repeat(32)];
    await expect(checkPairingMac(pairing, anchor, other, mac)).rejects.toThrow('not those that came with your link');
    await expect(checkPairingMac(pairing, elsewhere, device, mac)).rejects.toThrow('not those that came with your link');
    await expect(pairingCode(pairing.commitment, elsewhere, anchor, device)).rejects.toThrow('not of whoever made this link');
    // Whoever saw the link makes a proof for keys of their own; the code tells.
    expect(await pairingCode(pairing.commitment, nonce, anchor, other)).not.toBe(await pairingCode(pairing.commitment, nonce, anchor, device));
    for (const bad of ['', text.slice(2), `${text}00`, text.replace('7', 'g')]) expect(readPairing(bad)).toBeNull();
  });

  it('answer: what a gateway found out opens for the device that asked alone, of every kind', async () => {
    const vector = load('answer');
    const { org, target, nonce, command } = vector.command;
    expect(await readCommand(readEnvelope(vector.envelope))).toEqual(vector.command);
    const { enc, ciphertext } = command.sealed;
    const asked = await hpkeOpen(fromBase64(vector.gateway_kem_seed), 'lenskeep camera question v1', [org, target, nonce].join('|'), fromBase64(enc), fromBase64(ciphertext));
    expect(JSON.parse(fromUtf8(asked))).toEqual(vector.question);
    const to = { org, gateway: target, device: vector.device, nonce };
    const seed = fromBase64(vector.device_kem_seed);
    expect(vector.answers.length).toBe(6);
    for (const { answer, sealed } of vector.answers) {
      expect(await openAnswer(sealed, to, seed)).toEqual(answer);
      await expect(openAnswer(sealed, { ...to, nonce: 'f'.repeat(32) }, seed)).rejects.toThrow();
      await expect(openAnswer(sealed, { ...to, gateway: vector.device }, seed)).rejects.toThrow();
    }
  });

  it('command settings: orders without anything sealed read as they were written', async () => {
    const { orders } = load('command-settings');
    expect(orders.length).toBe(6);
    for (const { command, envelope } of orders) expect(await readCommand(readEnvelope(envelope))).toEqual(command);
  });

  it('command of several: counts the people who signed, and nobody else', async () => {
    const vector = load('command-several');
    const [genesis, ...rest] = vector.statements.map((statement: unknown) => readEnvelope(statement));
    const roster = await Roster.start(genesis, vector.anchor, vector.now);
    for (const envelope of rest) await roster.append(envelope, vector.now + 60_000);
    const { org, state } = roster;
    const found = await commandAgreement(readEnvelope(vector.envelope), org, state, vector.now);
    expect({ needed: found.needed, hash: found.hash }).toEqual({ needed: vector.needed, hash: vector.hash });
    expect([...found.agreed].sort()).toEqual([...vector.people].sort());
    expect(await stateAfter(found.command.previous_state, found.command.nonce)).toBe(vector.state_after);
    expect(await readCommand(readEnvelope(vector.envelope))).toEqual(found.command);
    for (const { why, envelope, agree } of vector.refused) {
      const judged = commandAgreement(readEnvelope(envelope), org, state, vector.now);
      if (agree === null) await expect(judged, why).rejects.toThrow();
      else expect((await judged).agreed.size, why).toBe(agree);
    }
    await expect(commandAgreement(readEnvelope(vector.envelope), org, state, vector.now + 72 * 3_600_000)).rejects.toThrow('expired');
  });

  it('command: the sealed camera access opens for the gateway alone', async () => {
    const vector = load('command');
    const { org, target, nonce, command } = vector.command;
    const associated = [org, target, command.camera, nonce].join('|');
    const { enc, ciphertext } = command.sealed;
    const open = (bound: string) => hpkeOpen(fromBase64(vector.gateway_kem_seed), 'lenskeep camera access v1', bound, fromBase64(enc), fromBase64(ciphertext));
    const access = JSON.parse(fromUtf8(await open(associated)));
    expect(Object.keys(access)).toEqual(['url', 'sub_url', 'username', 'password', 'certificate']);
    await expect(open(associated.replace(nonce, nonce.replace('0', '1')))).rejects.toThrow();
  });
});
