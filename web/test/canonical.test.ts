// One spelling only: canonical JSON, base64, hex, envelopes; and the small parsers of the app.

import { describe, expect, it } from 'vitest';
import { splitCameraUrl } from '../src/lib/app/cameraUrl';
import { base32, fromBase64, fromHex, utf8 } from '../src/lib/seal/bytes';
import { readEnvelope } from '../src/lib/seal/dsse';
import { int, list, nullable, object, readCanonical, sorted, tagged, text } from '../src/lib/seal/shape';
import { A_LAW, g711, U_LAW } from '../src/worker/sound';

const shape = object({ a: int, b: nullable(text(5)), c: list(int, 3) });
const read = (json: string) => readCanonical(shape, utf8(json), 'it');

describe('canonical JSON', () => {
  it('reads the one spelling', () => {
    expect(read('{"a":1,"b":null,"c":[1,2]}')).toEqual({ a: 1, b: null, c: [1, 2] });
  });

  it.each([
    ['white space', '{"a":1, "b":null,"c":[]}'],
    ['another order', '{"b":null,"a":1,"c":[]}'],
    ['a repeated key', '{"a":1,"a":1,"b":null,"c":[]}'],
    ['a missing key', '{"a":1,"c":[]}'],
    ['an unknown key', '{"a":1,"b":null,"c":[],"d":1}'],
    ['__proto__', '{"a":1,"b":null,"c":[],"__proto__":{}}'],
    ['a float', '{"a":1.0,"b":null,"c":[]}'],
    ['an exponent', '{"a":1e0,"b":null,"c":[]}'],
    ['a negative number', '{"a":-1,"b":null,"c":[]}'],
    ['minus zero', '{"a":-0,"b":null,"c":[]}'],
    ['a number past 2^53', '{"a":9007199254740993,"b":null,"c":[]}'],
    ['an escape that needs none', '{"a":1,"b":"\\u0041","c":[]}'],
    ['an escaped slash', '{"a":1,"b":"\\/","c":[]}'],
    ['upper-case hex in an escape', '{"a":1,"b":"\\u001F","c":[]}'],
    ['a lone surrogate', '{"a":1,"b":"\\ud800","c":[]}'],
    ['a byte order mark', '\ufeff{"a":1,"b":null,"c":[]}'],
    ['deep nesting', '['.repeat(100_000)],
    ['too long a list', '{"a":1,"b":null,"c":[1,2,3,4]}'],
    ['nothing', ''],
  ])('refuses %s', (_, json) => {
    expect(() => read(json)).toThrow();
  });

  it('refuses what is not UTF-8', () => {
    expect(() => readCanonical(text(9), Uint8Array.of(0x22, 0xff, 0x22), 'it')).toThrow('UTF-8');
  });

  it('sorts by code points, not by UTF-16 units', () => {
    const names = sorted(text(9), (entry) => entry, 9);
    expect(names(['\uff5e', '\u{1f600}'], 'it')).toHaveLength(2);
    expect(() => names(['\u{1f600}', '\uff5e'], 'it')).toThrow('sorted');
    expect(() => names(['a', 'a'], 'it')).toThrow('twice');
  });

  it('takes only variants that it knows', () => {
    const kind = tagged('kind', { all: {}, one: { id: int } });
    expect(kind({ kind: 'one', id: 2 }, 'it')).toEqual({ kind: 'one', id: 2 });
    for (const value of [{ kind: 'constructor' }, { kind: 'all', id: 2 }, { id: 2, kind: 'one' }, null, []]) expect(() => kind(value, 'it')).toThrow();
  });
});

describe('spellings of bytes', () => {
  it('are unique', () => {
    expect(fromBase64('AAE=')).toEqual(Uint8Array.of(0, 1));
    for (const other of ['AAE', 'AAF=', ' AAE=', 'AA-_']) expect(() => fromBase64(other), other).toThrow();
    for (const other of ['0', '0G', 'AB']) expect(() => fromHex(other), other).toThrow();
    expect(base32(utf8('foobar'))).toBe('mzxw6ytboi');
  });
});

describe('envelopes', () => {
  const signature = { keyid: `dev_${'0'.repeat(32)}`, sig: btoa('\0'.repeat(64)) };
  const envelope = { payloadType: 'application/vnd.lenskeep.roster.v1+json', payload: 'e30=', signatures: [signature] };
  it('have 1 to 16 signatures of different keys', () => {
    expect(readEnvelope(envelope).payload).toBe('e30=');
    expect(() => readEnvelope({ ...envelope, signatures: [] })).toThrow();
    expect(() => readEnvelope({ ...envelope, signatures: [signature, signature] })).toThrow('twice');
    expect(() => readEnvelope({ ...envelope, signatures: Array.from({ length: 17 }, () => signature) })).toThrow();
    expect(() => readEnvelope({ ...envelope, payload: btoa('x'.repeat(256 * 1024 + 1)) })).toThrow();
  });
});

describe('the address of a camera', () => {
  it.each([
    ['rtsp://cam/1', 'rtsp://cam/1', null, null],
    ['rtsp://me:p%40ss@cam:554/1?x=1', 'rtsp://cam:554/1?x=1', 'me', 'p@ss'],
    ['RTSPS://me:p@ss@cam/1', 'rtsps://cam/1', 'me', 'p@ss'],
    [' rtsp://me@cam ', 'rtsp://cam', 'me', null],
  ])('%s is split', (pasted, url, username, password) => {
    expect(splitCameraUrl(pasted)).toEqual({ url, username, password });
  });
  it.each(['http://cam/', 'cam', 'rtsp://', 'rtsp://me@/1', 'rtsp://a b/'])('%s is refused', (pasted) => {
    expect(() => splitCameraUrl(pasted)).toThrow();
  });
});

describe('G.711', () => {
  it('has silence, full scale and symmetry', () => {
    expect([U_LAW[0xff], U_LAW[0x7f]].map(Math.abs as never)).toEqual([0, 0]);
    expect(U_LAW[0x80]! * 32_768).toBe(32_124);
    expect(A_LAW[0xaa]! * 32_768).toBe(32_256);
    expect(A_LAW[0xd5]! * 32_768).toBe(8);
    for (let code = 0; code < 128; code += 1) expect(U_LAW[code]! + U_LAW[code + 128]!).toBeCloseTo(0);
    expect(g711(Uint8Array.of(0xff, 0x80, 0xff, 0x80), 2, U_LAW)[1]).toEqual(Float32Array.of(32_124 / 32_768, 32_124 / 32_768));
  });
});
