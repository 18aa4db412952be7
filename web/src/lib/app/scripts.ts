// Trusted Types: the scripts that this page may start beside itself, and no others.

import workerUrl from '../../worker/main.ts?worker&url';

export const SERVICE_WORKER = '/service-worker.js';
const ALLOWED: readonly string[] = [workerUrl, SERVICE_WORKER];

interface Policy {
  createScriptURL(url: string): URL;
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): Policy;
}

let policy: Policy | null = null;

export const worker = (): string | URL => trusted(workerUrl);
export const serviceWorker = (): string | URL => trusted(SERVICE_WORKER);

function trusted(url: string): string | URL {
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  if (!types) return url;
  policy ??= types.createPolicy('lenskeep-worker', {
    createScriptURL: (asked) => {
      if (!ALLOWED.includes(asked)) throw new TypeError('not a script of Lenskeep');
      return asked;
    },
  });
  return policy.createScriptURL(url);
}
