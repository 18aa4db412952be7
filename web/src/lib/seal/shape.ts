// Shapes of JSON, and the one spelling in which signed JSON is written (docs/format.md, section 1.1).
// `readCanonical` refuses any document that it would not write byte for byte the same: unknown keys, repeated keys,
// another order, white space, floats. It knows nothing about what the documents mean.

import { type Bytes, compareText, FormatError, fromBase64, fromUtf8, refuse, utf8 } from './bytes';

export interface Shape<T> {
  (value: unknown, at: string): T;
}

export type Of<S> = S extends Shape<infer T> ? T : never;

export const INTEGER_MAX = Number.MAX_SAFE_INTEGER;

export const int: Shape<number> = (value, at) => {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > INTEGER_MAX || Object.is(value, -0)) {
    return refuse(`${at} is not an integer between 0 and 2^53 - 1`);
  }
  return value;
};

export const bool: Shape<boolean> = (value, at) => (typeof value === 'boolean' ? value : refuse(`${at} is not true or false`));

export function text(max = 1024, min = 0): Shape<string> {
  return (value, at) => {
    if (typeof value !== 'string') return refuse(`${at} is not text`);
    if (value.length > max || value.length < min) return refuse(`${at} must have ${min} to ${max} characters`);
    // A lone surrogate has no UTF-8; other readers cannot even represent it.
    if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)) return refuse(`${at} is not Unicode text`);
    return value;
  };
}

/** 1 to 200 characters that print: what people see must be what was signed. */
export const name: Shape<string> = (value, at) => {
  const found = text(400, 1)(value, at);
  return [...found].length <= 200 && !/\p{Cc}/u.test(found) ? found : refuse(`${at} must have 1 to 200 printable characters`);
};

export function id(prefix: 'org_' | 'usr_' | 'dev_' | 'gw_' | 'cam_' | 'ep_' | 'svc_' | 'ev_' | 'shr_' | 'bm_'): Shape<string> {
  return pattern(new RegExp(`^${prefix}[0-9a-f]{32}$`), `an id that starts with ${prefix}`);
}

export function pattern(expression: RegExp, what: string): Shape<string> {
  return (value, at) => (typeof value === 'string' && expression.test(value) ? value : refuse(`${at} is not ${what}`));
}

export const nodeId = pattern(/^(dev|gw)_[0-9a-f]{32}$/, 'the id of a device or gateway');
export const hash = pattern(/^[0-9a-f]{64}$/, 'a SHA-256 in hex');

/** Base64 of `min` to `max` bytes, kept as text because it is written again. */
export function b64(min: number, max = min): Shape<string> {
  return (value, at) => {
    if (typeof value !== 'string' || value.length > Math.ceil(max / 3) * 4) return refuse(`${at} is not base64 of at most ${max} bytes`);
    const { length } = fromBase64(value);
    return length >= min && length <= max ? value : refuse(`${at} has ${length} bytes instead of ${min} to ${max}`);
  };
}

export function literal<const T extends readonly string[]>(...values: T): Shape<T[number]> {
  return (value, at) => (values.includes(value as string) ? (value as T[number]) : refuse(`${at} is not one of ${values.join(', ')}`));
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value, at) => (value === null ? null : shape(value, at));
}

export function list<T>(shape: Shape<T>, max: number, min = 0): Shape<T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) return refuse(`${at} is not a list`);
    if (value.length > max || value.length < min) return refuse(`${at} must have ${min} to ${max} entries`);
    return value.map((entry, i) => shape(entry, `${at}[${i}]`));
  };
}

/** A list in strictly rising order, so that no entry stands twice. */
export function sorted<T>(shape: Shape<T>, key: (entry: T) => string, max: number): Shape<T[]> {
  const inner = list(shape, max);
  return (value, at) => {
    const entries = inner(value, at);
    for (let i = 1; i < entries.length; i += 1) {
      if (compareText(key(entries[i - 1]!), key(entries[i]!)) >= 0) refuse(`${at} is not sorted, or has an entry twice`);
    }
    return entries;
  };
}

type Fields = Record<string, Shape<unknown>>;
type Object_<F extends Fields> = { [K in keyof F]: Of<F[K]> };

/** An object with exactly these keys in exactly this order. */
export function object<F extends Fields>(fields: F): Shape<Object_<F>> {
  const names = Object.keys(fields);
  return (value, at) => {
    const entries = record(value, at);
    const found = Object.keys(entries);
    if (found.length !== names.length || found.some((name, i) => name !== names[i])) {
      return refuse(`${at} must have the keys ${names.join(', ')}, in this order`);
    }
    return fieldsOf(fields, entries, at);
  };
}

/** For what is not signed: the keys must be there, in any order, and others are ignored. */
export function loose<F extends Fields>(fields: F): Shape<Object_<F>> {
  return (value, at) => fieldsOf(fields, record(value, at), at);
}

/** An object whose key `tag`, always the first, decides about the rest. */
export function tagged<const Tag extends string, V extends Record<string, Fields>>(
  tag: Tag,
  variants: V,
): Shape<{ [K in keyof V]: { [T in Tag]: K } & Object_<V[K]> }[keyof V]> {
  const shapes = new Map(Object.entries(variants).map(([name, fields]) => [name, object({ [tag]: literal(name), ...fields })]));
  return (value, at) => {
    const name = record(value, at)[tag];
    const shape = typeof name === 'string' ? shapes.get(name) : undefined;
    return (shape ? shape(value, at) : refuse(`${at}.${tag} is not one of ${[...shapes.keys()].join(', ')}`)) as never;
  };
}

function record(value: unknown, at: string): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : refuse(`${at} is not an object`);
}

function fieldsOf<F extends Fields>(fields: F, entries: Record<string, unknown>, at: string): Object_<F> {
  const out: Record<string, unknown> = {};
  for (const [name, shape] of Object.entries(fields)) out[name] = shape(entries[name], `${at}.${name}`);
  return out as Object_<F>;
}

export function writeCanonical(value: unknown): Bytes {
  return utf8(JSON.stringify(value));
}

export function readCanonical<T>(shape: Shape<T>, bytes: Uint8Array, what: string, bytesMax = 256 * 1024): T {
  if (bytes.length > bytesMax) refuse(`${what} is larger than ${bytesMax} bytes`);
  const spelling = fromUtf8(bytes);
  let value: unknown;
  let again: string;
  try {
    value = JSON.parse(spelling);
    again = JSON.stringify(value);
  } catch {
    return refuse(`${what} is not JSON`);
  }
  const parsed = shape(value, what);
  if (again !== spelling) refuse(`${what} is not spelled canonically`);
  return parsed;
}

/** For callers that must tell a broken document from a broken program. */
export function isFormatError(error: unknown): error is FormatError {
  return error instanceof FormatError;
}
