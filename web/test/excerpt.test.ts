// Excerpts and datings as an export writes them: what they show, what they keep closed, and what is refused before it is written.

import { describe, expect, it } from 'vitest';
import { type Bytes, base64, concat, equal, hex, utf8 } from '../src/lib/seal/bytes';
import { random, sha256, signer, signPublicKey } from '../src/lib/seal/crypto';
import { type Dated, readDating, writeDating } from '../src/lib/seal/dating';
import { leafHash, rangeProof, rootOf } from '../src/lib/seal/merkle';

const node = (left: Bytes, right: Bytes) => sha256(Uint8Array.of(1), left, right);

/** As a verifier finds the root: from the stretch and what stands beside it. */
async function rootBy(total: number, first: number, end: number, stretch: Bytes[], proof: Bytes[]): Promise<Bytes> {
  if (first === 0 && end === total) return rootOf(stretch);
  if (end === 0 || first === total) return proof.shift()!;
  let split = 1;
  while (split * 2 < total) split *= 2;
  const inLeft = Math.min(end, split) - Math.min(first, split);
  const left = await rootBy(split, Math.min(first, split), Math.min(end, split), stretch.slice(0, inLeft), proof);
  return node(left, await rootBy(total - split, Math.max(first - split, 0), Math.max(end - split, 0), stretch.slice(inLeft), proof));
}

describe('a stretch of leaves', () => {
  it('has a proof that gives the root, wherever it lies', async () => {
    for (let total = 1; total <= 13; total += 1) {
      const leaves = await Promise.all(Array.from({ length: total }, (_, n) => leafHash(Uint8Array.of(n))));
      const root = await rootOf(leaves);
      for (let first = 0; first < total; first += 1) {
        for (let end = first + 1; end <= total; end += 1) {
          const proof = await rangeProof(leaves, first, end);
          expect(proof.length).toBeLessThanOrEqual(36);
          expect(equal(await rootBy(total, first, end, leaves.slice(first, end), proof), root), `${first} to ${end} of ${total}`).toBe(true);
          expect(proof).toHaveLength(0);
        }
      }
    }
  });
});

describe('a dating', async () => {
  const org = `org_${'a1'.repeat(16)}`;
  const [id, root] = ['11'.repeat(32), '22'.repeat(32)];
  const seed = random(32);
  const log = await signer('log', seed);
  const name = `lenskeep/${org}`;
  const typed = concat(Uint8Array.of(1), await signPublicKey(seed));
  const keyId = (await sha256(utf8(`${name}\n`), typed)).slice(0, 4);
  const key = `${name}+${hex(keyId)}+${base64(typed)}`;
  const note = async (size: number, top: Bytes) => {
    const body = `${name}\n${size}\n${base64(top)}\n`;
    return `${body}\n\u2014 ${name} ${base64(concat(keyId, await log.sign(utf8(body))))}\n`;
  };
  const entry = (seq: number, operation: string, uid: string, of = org) => JSON.stringify({ api: { operation }, resources: [{ uid }], time: 1_763_836_800_000, unmapped: { org: of, seq } });
  const batch = await leafHash(utf8(''));
  const own = await leafHash(concat(...[id, root].map((text) => Uint8Array.from(text.match(/../g)!, (pair) => Number.parseInt(pair, 16)))));
  const made = entry(1, 'store_recordings', `recordings/${hex(await node(own, batch))}/2`);
  const earlier = entry(0, 'anything', 'x');
  const [first, second] = [await leafHash(utf8(earlier)), await leafHash(utf8(made))];
  const of: Dated = { org, id, root, checkpoint: await note(1, first) };
  const good = {
    log: key,
    before: { seq: 0, leaf: earlier, proof: [] as string[] },
    stored: { index: 0, count: 2, path: [hex(batch)], seq: 1, leaf: made, checkpoints: [{ note: await note(2, await node(first, second)), proof: [hex(first)] }] },
  };

  it('is taken if every step of it holds, and written in its one spelling', async () => {
    const dating = await readDating(good, of, key);
    const bytes = writeDating(dating);
    expect(hex(bytes.slice(0, 8))).toBe('4c4b444154450001');
    expect(JSON.parse(new TextDecoder().decode(bytes.slice(12)))).toEqual(good);
  });

  it('may show nothing yet', async () => {
    await readDating({ log: key, before: null, stored: null }, { ...of, checkpoint: null }, key);
  });

  it('is refused with anything else in it', async () => {
    const { before, stored } = good;
    const other = { ...stored, leaf: entry(1, 'store_recordings', `recordings/${'00'.repeat(32)}/2`) };
    const wrong: [string, unknown][] = [
      ['another log', { ...good, log: `${key.slice(0, -8)}AAAAAAA=` }],
      ['an entry that is not before', { ...good, before: { ...before, leaf: made } }],
      ['another recording of the batch', { ...good, stored: { ...stored, index: 1 } }],
      ['another number', { ...good, stored: { ...stored, count: 3 } }],
      ['another batch', { ...good, stored: other }],
      ['another path', { ...good, stored: { ...stored, path: [hex(own)] } }],
      ['no checkpoint', { ...good, stored: { ...stored, checkpoints: [] } }],
      ['another place', { ...good, stored: { ...stored, seq: 0 } }],
      ['a proof of another tree', { ...good, stored: { ...stored, checkpoints: [{ note: await note(2, await node(second, first)), proof: [hex(first)] }] } }],
      ['another operation', { ...good, stored: { ...stored, leaf: made.replace('store_recordings', 'store_recording') } }],
      ['further keys', { ...good, more: 1 }],
    ];
    for (const [what, value] of wrong) await expect(readDating(value, of, key), what).rejects.toThrow();
    await expect(readDating(good, { ...of, root: id }, key)).rejects.toThrow('not in the batch');
    await expect(readDating(good, { ...of, checkpoint: null }, key)).rejects.toThrow();
    await expect(readDating(good, { ...of, org: `org_${'b2'.repeat(16)}` }, key)).rejects.toThrow('another log');
  });
});
