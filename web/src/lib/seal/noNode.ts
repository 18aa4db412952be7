// Stands where libraries would ask Node for its cryptography; a browser never gets there.
export const webcrypto = globalThis.crypto;
