// A hostile cloud answers with another recording than was asked for.

import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import type { RecordingListing } from '../src/lib/api/types';
import { type Bytes, fromBase64 } from '../src/lib/seal/bytes';
import { type ReadHeader, recordingKeys } from '../src/lib/seal/header';
import { memorySource } from '../src/lib/seal/reader';
import { EventReader } from '../src/worker/events';
import type { Keyring } from '../src/worker/keyring';

const load = (name: string): any => JSON.parse(readFileSync(new URL(`../../crates/seal/tests/it/vectors/${name}.json`, import.meta.url), 'utf8'));
let served: Bytes;
vi.mock('../src/worker/catalogue', () => ({ wholeSource: async () => memorySource(served) }));

const [events, pictures, { gateway }] = [load('recording-events'), load('recording'), load('enrolment')];
/** Opens everything: what is refused here is refused before any key is asked for. */
const keyring = {
  gateway: () => gateway,
  keysOf: (read: ReadHeader, camera: string) => {
    if (read.header.camera !== camera) throw new Error('the recording belongs to another camera');
    return recordingKeys(read, { video: fromBase64(events.video_key), audio: null });
  },
} as unknown as Keyring;
const listing = (change: object = {}) => ({ id: events.footer.header, camera: events.header.camera, bytes: fromBase64(events.file).length, ...change }) as RecordingListing;
const read = async (bytes: Bytes, asked: RecordingListing) => {
  served = bytes;
  return (await new EventReader(keyring).read([asked]))[0]!;
};

it('events are those of the recording that was asked for, or none', async () => {
  const good = await read(fromBase64(events.file), listing());
  expect([good.problem, good.events.length]).toEqual([null, events.batches.flatMap((batch: { events: object[] }) => batch.events).length]);
  for (const [bytes, asked, why] of [
    [events.file, listing({ id: 'ab'.repeat(32) }), 'another recording'],
    [pictures.file, listing(), 'another recording'],
    [pictures.file, listing({ id: pictures.footer.header }), 'another recording'],
    [events.file, listing({ camera: `cam_${'9'.repeat(32)}` }), 'another camera'],
    [events.file, listing({ bytes: 5 * 1024 * 1024 }), 'of 5242880 bytes'],
  ] as const) {
    const read_ = await read(fromBase64(bytes), asked);
    expect(read_.problem, why).toContain(why);
    expect(read_.events).toEqual([]);
  }
  const altered = fromBase64(events.file);
  altered[altered.length - 200]! ^= 1;
  expect((await read(altered, listing())).events).toEqual([]);
});
