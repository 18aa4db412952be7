// What this browser keeps: its wrapped device key, the pinned anchor and the highest roster head it has seen (IndexedDB).
// No secret is stored in the clear: the seeds are sealed by wrap.ts, under a key that is derived anew at each unlock.

import type { Bytes } from '../seal/bytes';
import type { EventKind } from '../seal/event';
import type { KnownGateway } from '../seal/local';
import type { Head } from '../seal/roster';
import type { Device } from '../seal/statements';

export type Wrap =
  | { kind: 'passkey'; credential: string; salt: Bytes }
  | { kind: 'passphrase'; salt: Bytes; memory_kib: number; passes: number };

export interface StoredDevice {
  version: 1;
  org: string;
  device: Device;
  /** Hash of the genesis, pinned at enrolment and never replaced; null until this browser's person has compared it. */
  anchor: string | null;
  /** What the link by which it came promised: with it, the code that people compare is worked out. */
  commitment?: string;
  wrap: Wrap;
  nonce: Bytes;
  sealed: Bytes;
}

export interface RosterMemory {
  head: Head;
  /** Statement `from` and those after it were first seen at `at`, up to the next entry. Recovery waits count from there. */
  seen: { from: number; at: number }[];
  /** Whom the roster names as gateways: without the cloud, they prove themselves by these keys. */
  gateways?: KnownGateway[];
}

/** What the browser signs its requests with while it is signed in; the private half cannot be read. */
export interface SessionKey {
  privateKey: CryptoKey;
  jwk: Pick<JsonWebKey, 'crv' | 'kty' | 'x' | 'y'>;
}

/** What this browser was asked to tell, and the keys by which it reads what it is told while nobody has unlocked it. They open notices of this
 * device and nothing else. */
export interface NoticeMemory {
  org: string;
  device: string;
  choice: NoticeChoice;
  /** By gateway, the newest first: notices of orders before may still be on their way. */
  keys: Record<string, NoticeKey[]>;
  /** What the cameras are called, for a notification. */
  names: Record<string, string>;
  /** What the gateways are called. Not there in what a page of before kept. */
  gateways?: Record<string, string>;
  /** When the server had the orders; 0 if it never did. */
  placedAt: number;
  /** What the newest orders say of themselves: each is later than the one before, whatever the clock does. */
  issuedAt: number;
  /** Events that were shown, the newest last. */
  shown: string[];
}

export interface NoticeKey {
  key: CryptoKey;
  /** Null while its order is in force. */
  until: number | null;
}

export interface NoticeChoice {
  /** Null: all of them, also those that are added. */
  cameras: string[] | null;
  kinds: EventKind[];
  /** Minutes since midnight in this browser's zone, each night from one to the other. */
  quiet: { from: number; to: number } | null;
  pause_minutes: number;
  /** With a picture of the moment, where the camera gives one. */
  pictures: boolean;
  snoozed_until: number;
}

const STORE = 'kept';

/** The history's log as this browser has seen it: whose key signs it, and the highest checkpoint. */
export interface LogMemory {
  key: string;
  size: number;
  root: string;
}

export const loadSessionKey = (): Promise<SessionKey | null> => load<SessionKey>('session');
export const saveSessionKey = (key: SessionKey): Promise<void> => save('session', key);
export const loadLogMemory = (): Promise<LogMemory | null> => load<LogMemory>('log');
export const saveLogMemory = (memory: LogMemory): Promise<void> => save('log', memory);
export const loadDevice = (): Promise<StoredDevice | null> => load<StoredDevice>('device');
export const saveDevice = (device: StoredDevice): Promise<void> => save('device', device);
export const loadRosterMemory = (): Promise<RosterMemory | null> => load<RosterMemory>('roster');
/** Never goes back: another page of this browser may have kept a higher head meanwhile. */
export async function keepRosterMemory(memory: RosterMemory): Promise<void> {
  await transact('readwrite', (store) => {
    const request = store.get('roster') as IDBRequest<RosterMemory | undefined>;
    request.onsuccess = () => {
      if ((request.result?.head.seq ?? -1) <= memory.head.seq) store.put(memory, 'roster');
    };
    return request;
  });
}

export const loadNotices = (): Promise<NoticeMemory | null> => load<NoticeMemory>('notices');
export const forgetNotices = async (): Promise<void> => void (await transact('readwrite', (store) => store.delete('notices')));
/** In one step: another page, or the service worker, may change it meanwhile. */
export async function changeNotices(change: (before: NoticeMemory | null) => NoticeMemory | null): Promise<NoticeMemory | null> {
  let after: NoticeMemory | null = null;
  await transact('readwrite', (store) => {
    const request = store.get('notices') as IDBRequest<NoticeMemory | undefined>;
    request.onsuccess = () => {
      after = change(request.result ?? null);
      if (after) store.put(after, 'notices');
    };
    return request;
  });
  return after;
}

/** Nobody reaches this browser by a push service any more. */
export async function endPush(): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration('/');
  await (await registration?.pushManager?.getSubscription())?.unsubscribe();
}

/** After how many minutes without use this browser locks itself. */
export const loadLockAfter = (): Promise<number | null> => load<number>('lockAfter');
export const saveLockAfter = (minutes: number): Promise<void> => save('lockAfter', minutes);

/** In which language the page speaks: so do notifications, which come while there is none. */
export const loadLanguage = (): Promise<string | null> => load<string>('language');
export const saveLanguage = (language: string): Promise<void> => save('language', language);

/** Where a gateway of this network answered last. */
export const loadSite = (): Promise<string | null> => load<string>('site');
export const saveSite = (address: string): Promise<void> => save('site', address);

/** Names of people whom this browser's administrator invited. The roster knows them by id alone, and the server's word is no proof. */
export const loadPeople = async (): Promise<Record<string, string>> => (await load<Record<string, string>>('people')) ?? {};
export const savePeople = (people: Record<string, string>): Promise<void> => save('people', people);

/** Forgets key, anchor and heads; being signed in is another matter. Footage stays readable for other devices only. */
export async function forgetDevice(): Promise<void> {
  await endPush().catch(() => undefined);
  const session = await loadSessionKey();
  await transact('readwrite', (store) => (store.clear(), store.put(session, 'session')));
}

async function load<T>(key: string): Promise<T | null> {
  return ((await transact('readonly', (store) => store.get(key))) as T | undefined) ?? null;
}

async function save(key: string, value: unknown): Promise<void> {
  await transact('readwrite', (store) => store.put(value, key));
}

async function transact(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: 'strict' });
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(storageError(transaction.error));
      transaction.onerror = () => reject(storageError(transaction.error));
    });
  } finally {
    database.close();
  }
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('lenskeep', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(storageError(request.error));
    request.onblocked = () => reject(storageError(null));
  });
}

function storageError(cause: unknown): Error {
  return new Error('This browser did not let Lenskeep keep its device key. Leave private browsing, or allow this site to store data.', { cause });
}
