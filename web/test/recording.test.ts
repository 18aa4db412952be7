// Recordings made here by the words of docs/format.md, and every way to alter them.

import { beforeAll, describe, expect, it } from 'vitest';
import { type Bytes, concat, hex, u32 } from '../src/lib/seal/bytes';
import { openChunk, readAccessUnit, readAudioFrames, readChunkHead } from '../src/lib/seal/chunk';
import { random } from '../src/lib/seal/crypto';
import { recordingKeys } from '../src/lib/seal/header';
import { readLiveFrame, readNotice } from '../src/lib/seal/live';
import { MerkleTree } from '../src/lib/seal/merkle';
import { memorySource, Recording } from '../src/lib/seal/reader';
import type { Gateway } from '../src/lib/seal/statements';
import { id, makeRecording } from './support/recordings';

const epochKeys = { video: random(32), audio: random(32) };
let gateway: Gateway;
let file: Bytes;
let head: Bytes;
let chunks: Bytes[];

beforeAll(async () => void ({ gateway, file, head, chunks } = await makeRecording({ keys: epochKeys })));

const open = (bytes: Bytes) => Recording.open(memorySource(bytes), (wanted) => (wanted === gateway.id ? gateway : (() => { throw new Error('unknown gateway'); })()));

async function readAll(bytes: Bytes): Promise<number> {
  const recording = await open(bytes);
  const keys = await recordingKeys(recording.read, epochKeys);
  await recording.verify(keys);
  let count = 0;
  for await (const chunk of recording.chunks(recording.keyFrameBefore(0))) {
    await openChunk(recording.read, keys, chunk);
    count += 1;
  }
  return count;
}

function flipped(bytes: Bytes, at: number): Bytes {
  const copy = bytes.slice();
  copy[at]! ^= 1;
  return copy;
}

describe('a recording', () => {
  it('opens as a whole', async () => {
    expect(await readAll(file)).toBe(20);
  });

  it('is refused with any byte of it altered', async () => {
    for (let at = 0; at < file.length; at += 1) {
      // Past the trailer's magic a file counts as cut off, which readers play; it then still opens every chunk.
      if (at >= file.length - 8) continue;
      await expect(readAll(flipped(file, at)), `byte ${at}`).rejects.toThrow();
    }
  });

  it('plays to its last whole chunk when it was cut off anywhere', async () => {
    const first = head.length;
    const last = first + chunks.reduce((sum, { length }) => sum + length, 0);
    for (let size = first; size < last; size += 7) {
      const whole = chunks.filter((_, i) => first + chunks.slice(0, i + 1).reduce((sum, { length }) => sum + length, 0) <= size).length;
      expect(await readAll(file.slice(0, size)), `${size} bytes`).toBe(whole);
    }
  });

  it('is refused when it was cut off inside its header', async () => {
    for (let size = 0; size < head.length; size += 5) await expect(open(file.slice(0, size))).rejects.toThrow();
  });

  it('is refused from a gateway that the roster does not know, or under other keys', async () => {
    const read = await open(file);
    await expect(recordingKeys(read.read, { ...epochKeys, video: random(32) })).rejects.toThrow('another key');
    await expect(Recording.open(memorySource(file), () => ({ ...gateway, id: id('gw').replace('a', 'b') }))).rejects.toThrow('another gateway');
  });

  it('chunks do not open at another number', async () => {
    const recording = await open(file);
    const keys = await recordingKeys(recording.read, epochKeys);
    for await (const chunk of recording.chunks(recording.keyFrameBefore(0))) {
      await expect(openChunk(recording.read, keys, { ...chunk, number: chunk.number + 1 })).rejects.toThrow('does not open');
    }
  });

  it('finds the key frame before a time', async () => {
    const recording = await open(file);
    expect([0, 319, 320, 10_000].map((ticks) => recording.keyFrameBefore(ticks).chunk)).toEqual([0, 0, 8, 16]);
  });

  it('reads from one key frame to another', async () => {
    const recording = await open(file);
    expect(recording.keyFrames.map(({ chunk }) => chunk)).toEqual([0, 8, 16]);
    const numbers: number[] = [];
    for await (const { number } of recording.chunks(recording.keyFrames[1]!, undefined, recording.keyFrames[2]!.offset)) numbers.push(number);
    expect(numbers).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
  });

  it('keeps sound from a device that was not given its key', async () => {
    const recording = await open(file);
    const keys = await recordingKeys(recording.read, { ...epochKeys, audio: null });
    const opened = [];
    for await (const chunk of recording.chunks(recording.keyFrameBefore(0))) opened.push((await openChunk(recording.read, keys, chunk)) !== null);
    expect(opened.filter(Boolean)).toHaveLength(15);
  });
});

describe('hostile bytes', () => {
  it('random files are refused without hanging', async () => {
    for (let i = 0; i < 200; i += 1) await expect(open(concat(file.slice(0, i % 13), random(i * 3)))).rejects.toThrow();
  });

  it('chunk heads, access units and audio frames are bounded', () => {
    expect(() => readChunkHead(concat(u32(0xffff_ffff), new Uint8Array(8)))).toThrow();
    expect(() => readChunkHead(concat(u32(20), Uint8Array.of(0, 4, 0, 0), u32(0)))).toThrow('flags');
    expect(() => readChunkHead(concat(u32(20), Uint8Array.of(9, 0, 0, 0), u32(0)))).toThrow('track');
    expect(() => readAccessUnit(new Uint8Array(4))).toThrow();
    expect(() => readAudioFrames(Uint8Array.of(0, 9, 1))).toThrow();
    expect(() => readAudioFrames(new Uint8Array(2 * 5000))).toThrow();
  });
});

describe('live frames', () => {
  it('carry header and chunks', async () => {
    const first = await readLiveFrame(concat(Uint8Array.of(1), head));
    expect(first.kind).toBe('header');
    const second = await readLiveFrame(concat(Uint8Array.of(2), u32(0), chunks[0]!));
    expect(second.kind === 'chunk' && second.chunk.keyFrame).toBe(true);
  });

  it('are refused when they are anything else', async () => {
    for (const bytes of [new Uint8Array(), Uint8Array.of(3, 0, 0, 0, 0), concat(Uint8Array.of(1), head, Uint8Array.of(0)), concat(Uint8Array.of(2), u32(0), chunks[0]!.slice(0, -1)) as Bytes]) {
      await expect(readLiveFrame(bytes as Bytes)).rejects.toThrow();
    }
    expect(() => readNotice('{')).toThrow();
    expect(readNotice('{"type":"later"}')).toBeNull();
    expect(readNotice('{"type":"skipped","chunks":3}')).toEqual({ type: 'skipped', chunks: 3 });
  });
});

describe('the Merkle tree', () => {
  it('has the roots of RFC 9162 for its example leaves', async () => {
    // The leaves of RFC 6962's test data (d0 to d7), whose tree hash RFC 9162 kept.
    const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
    const roots = ['6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d', 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125', 'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77'];
    const tree = new MerkleTree();
    for (const [i, leaf] of leaves.entries()) {
      await tree.push(Uint8Array.from(leaf.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)));
      if (roots[i]) expect(hex(await tree.root())).toBe(roots[i]);
    }
    expect(hex(await tree.root())).toBe('5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328');
  });
});
