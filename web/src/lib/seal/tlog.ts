// The history's log (docs/format.md section 7): checkpoints that the server signed, and proofs that one is the beginning of the next
// (RFC 9162 section 2.1). Verifies; computes no proof.

import { base64, type Bytes, concat, equal, fromBase64, fromHex, hex, refuse, utf8, view } from './bytes';
import { sha256, verifies } from './crypto';
import type { Witness } from './statements';

const NOTE_CHARS_MAX = 16 * 1024;
const PROOF_MAX = 128;
const ED25519 = 1;
/** C2SP tlog-cosignature, v1. */
const COSIGNATURE = 4;
const MARK = '\u2014 ';

export interface Checkpoint {
  origin: string;
  size: number;
  root: string;
}

/** Reads a checkpoint that the key `name+hash+base64` signed, in the one spelling that there is. */
export async function openCheckpoint(note: string, verifierKey: string): Promise<Checkpoint> {
  if (note.length > NOTE_CHARS_MAX) refuse('the checkpoint is too long');
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n')) refuse('the checkpoint has no signature');
  const [body, lines] = [note.slice(0, end + 1), note.slice(end + 2, -1).split('\n')];
  const { name, id, key } = await readKey(verifierKey, ED25519, 'log');
  let signed = false;
  for (const line of lines) {
    const [mark, signer, signature] = line.split(' ');
    if (`${mark} ` !== MARK || signer !== name || signature === undefined) continue;
    const bytes = fromBase64(signature);
    if (!equal(bytes.slice(0, 4), id)) continue;
    // One that names the log's key and is not by it spoils the note (C2SP signed-note).
    signed = await verifies(key, bytes.slice(4), utf8(body));
    if (!signed) break;
  }
  return signed ? readBody(body, name) : refuse('the checkpoint is not signed by the log');
}

/** When this witness signed the note that the log signed, in milliseconds; null if it did not. */
export async function witnessedAt(note: string, witness: { name: string; key: Bytes }): Promise<number | null> {
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || note.length > NOTE_CHARS_MAX) return null;
  const [body, lines] = [note.slice(0, end + 1), note.slice(end + 2, -1).split('\n')];
  const id = (await sha256(concat(utf8(`${witness.name}\n`), Uint8Array.of(COSIGNATURE), witness.key))).slice(0, 4);
  for (const line of lines) {
    const [mark, signer, signature] = line.split(' ');
    if (`${mark} ` !== MARK || signer !== witness.name || signature === undefined) continue;
    const bytes = fromBase64(signature);
    if (bytes.length !== 4 + 8 + 64 || !equal(bytes.slice(0, 4), id)) continue;
    const seconds = view(bytes).getBigUint64(4);
    // Zero is no time, and what a signed number does not hold is none (C2SP tlog-cosignature).
    if (seconds === 0n || seconds >= 1n << 63n) continue;
    if (await verifies(witness.key, bytes.slice(12), utf8(`cosignature/v1\ntime ${seconds}\n${body}`))) return Number(seconds) * 1000;
  }
  return null;
}

/** Reads the key `name+hash+base64` of a witness. */
export async function readWitnessKey(text: string): Promise<Witness> {
  const { name, key } = await readKey(text, COSIGNATURE, 'witness');
  return { name, key: base64(key) };
}

/** The same for people to compare. */
export async function witnessKey({ name, key }: Witness): Promise<string> {
  const bytes = concat(Uint8Array.of(COSIGNATURE), fromBase64(key));
  return `${name}+${hex((await sha256(concat(utf8(`${name}\n`), bytes))).slice(0, 4))}+${base64(bytes)}`;
}

async function readKey(text: string, kind: number, of: 'log' | 'witness'): Promise<{ name: string; id: Bytes; key: Bytes }> {
  const [name, idText, ...rest] = text.split('+');
  const bytes = fromBase64(rest.join('+'));
  if (!name || /[\p{White_Space}\p{Cc}]/u.test(name) || bytes.length !== 33 || bytes[0] !== kind) return refuse(`this is not the key of a ${of}`);
  const id = (await sha256(concat(utf8(`${name}\n`), bytes))).slice(0, 4);
  if (hex(id) !== idText) refuse(`the key of the ${of} is damaged`);
  return { name, id, key: bytes.slice(1) };
}

function readBody(body: string, name: string): Checkpoint {
  const [origin, size, root, ...rest] = body.split('\n');
  if (origin !== name) refuse('the checkpoint is of another log');
  const count = Number(size);
  if (!Number.isSafeInteger(count) || String(count) !== size || rest.join('') !== '' || rest.length !== 1) refuse('the checkpoint is not spelled as it must be');
  const hash = fromBase64(root ?? '');
  if (hash.length !== 32 || base64(hash) !== root) refuse('the root of the checkpoint is no hash');
  return { origin: name, size: count, root: hex(hash) };
}

/** RFC 9162 section 2.1.4.2; hashes in hex. Sizes are below 2^53, so this counts with BigInt where bits matter. */
export async function isConsistent(old: Pick<Checkpoint, 'size' | 'root'>, next: Pick<Checkpoint, 'size' | 'root'>, proof: readonly string[]): Promise<boolean> {
  if (old.size > next.size || proof.length > PROOF_MAX) return false;
  if (old.size === 0) return proof.length === 0 && old.root === hex(await sha256(new Uint8Array(0)));
  if (old.size === next.size) return proof.length === 0 && old.root === next.root;
  const rest = proof.map(fromHex);
  const size = BigInt(old.size);
  const first = (size & (size - 1n)) === 0n ? fromHex(old.root) : rest.shift();
  if (!first) return false;
  let [at, last] = [size - 1n, BigInt(next.size) - 1n];
  while (at & 1n) [at, last] = [at >> 1n, last >> 1n];
  let [from, to] = [first, first];
  for (const other of rest) {
    if (last === 0n) return false;
    if (at & 1n || at === last) {
      [from, to] = [await node(other, from), await node(other, to)];
      while (!(at & 1n) && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    } else {
      to = await node(to, other);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  return last === 0n && hex(from) === old.root && hex(to) === next.root;
}

/** RFC 9162 section 2.1.3.2. */
export async function isIncluded(leaf: Bytes, index: number, { size, root }: Pick<Checkpoint, 'size' | 'root'>, proof: readonly string[]): Promise<boolean> {
  if (index < 0 || index >= size || proof.length > PROOF_MAX) return false;
  let [at, last] = [BigInt(index), BigInt(size) - 1n];
  let found = await sha256(concat(Uint8Array.of(0), leaf));
  for (const text of proof) {
    const other = fromHex(text);
    if (last === 0n) return false;
    if (at & 1n || at === last) {
      found = await node(other, found);
      while (!(at & 1n) && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    } else {
      found = await node(found, other);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  return last === 0n && hex(found) === root;
}

async function node(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(concat(Uint8Array.of(1), left, right));
}
