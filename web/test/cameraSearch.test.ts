// Cameras are found by words, also where there are ten thousand of them, which their roster has bound and this device verified.

import { beforeAll, describe, expect, it } from 'vitest';
import { findable, searched } from '../src/lib/app/cameraSearch';
import { base64, hex } from '../src/lib/seal/bytes';
import { random, type Signer, signer, signPublicKey } from '../src/lib/seal/crypto';
import { sign } from '../src/lib/seal/dsse';
import { kemPublicKey } from '../src/lib/seal/hpke';
import { DAY_MS } from '../src/lib/seal/limits';
import { Roster } from '../src/lib/seal/roster';
import type { Camera } from '../src/lib/seal/statements';

const T0 = 1_763_836_800_000;
const id = (prefix: string) => `${prefix}_${hex(random(16))}`;
const camera = (name: string, groups: string[] = []): Camera => ({ id: name, name, gateway: 'gw', groups }) as unknown as Camera;

describe('a search', () => {
  const cameras = findable([camera('Tür Hof', ['Außen']), camera('Gate 1', ['Yard', 'North']), camera('Gate 12', ['Yard'])]);

  it('finds by all words of names and groups, however they are written', () => {
    const names = (text: string) => [...(searched(cameras, text) ?? [])];
    expect(names('gate')).toEqual(['Gate 1', 'Gate 12']);
    expect(names('  YARD  12 ')).toEqual(['Gate 12']);
    expect(names('north gate')).toEqual(['Gate 1']);
    expect(names('tur')).toEqual(['Tür Hof']);
    expect(names('cellar')).toEqual([]);
    // What somebody types is no pattern.
    expect(names('.*')).toEqual([]);
    expect(searched(cameras, ' \t')).toBeNull();
  });

  it('finds no words that reach from a name into a group', () => {
    expect([...searched(cameras, 'hofaußen')!]).toEqual([]);
  });
});

/** `MEASURED=1 npx vitest run test/cameraSearch.test.ts` prints how long it takes. */
describe.skipIf(process.env.MEASURED === undefined)('ten thousand cameras', () => {
  const COUNT = 10_000;
  let roster: Roster;

  beforeAll(async () => {
    const kem = base64(await kemPublicKey(random(32)));
    const seed = random(32);
    const device = { id: id('dev'), person: id('usr'), name: 'Browser', kind: 'browser', kem, sign: base64(await signPublicKey(seed)), until: T0 + 90 * DAY_MS };
    const by: Signer = await signer(device.id, seed);
    const recovery = { id: id('dev'), kem, sign: device.sign };
    const statement = { type: 'genesis', name: 'Shop', device, recovery, administrators: { k: 1, devices: [device.id] } };
    const genesis = await sign('roster.v1+json', { org: id('org'), seq: 0, previous: null, at: T0, statement }, by);
    const made = await Roster.start(genesis, null, T0);
    const gateway = { id: id('gw'), name: 'Site', kem, sign: device.sign };
    await made.append(await made.next({ type: 'add_gateway', gateway }, T0, by), T0);
    const log = [];
    for (let n = 0; n < COUNT; n += 1) {
      const bound = { id: id('cam'), name: `Camera ${n}, floor ${n % 40}`, gateway: gateway.id, serial: null, certificate: null, groups: [`Building ${n % 97}`] };
      const envelope = await made.next({ type: 'bind_camera', camera: bound }, T0, by);
      await made.append(envelope, T0);
      log.push(envelope);
    }
    roster = made;
  }, 600_000);

  it('are searched while one types', () => {
    const begun = performance.now();
    const cameras = findable(roster.state.cameras);
    const prepared = performance.now() - begun;
    expect(cameras.length).toBe(COUNT);
    const waits: number[] = [];
    for (let n = 0; n < 500; n += 1) {
      const text = ['camera', `${n}`, `floor ${n % 40}`, `building ${n % 97} floor`, 'nowhere'][n % 5]!;
      const since = performance.now();
      const found = searched(cameras, text)!;
      waits.push(performance.now() - since);
      expect(found.size === 0).toBe(text === 'nowhere');
    }
    waits.sort((a, b) => a - b);
    const at = (part: number) => waits[Math.floor(waits.length * part)]!.toFixed(2);
    console.log(`${COUNT} cameras: prepared in ${prepared.toFixed(1)} ms; a search ${at(0.5)} ms (p50), ${at(0.95)} ms (p95) of ${waits.length}`);
  });
});
