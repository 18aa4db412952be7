// The address at which an OpenID provider sends people back.

export interface Returned {
  provider: string;
  /** None if the provider says why not. */
  code: string | null;
  state: string;
  iss: string | null;
  error: string | null;
}

/** None where the address is another. */
export function readReturn({ pathname, search }: { pathname: string; search: string }): Returned | null {
  const provider = /^\/sign-in\/([a-z0-9-]{1,40})$/.exec(pathname)?.[1];
  if (provider === undefined) return null;
  const answer = new URLSearchParams(search);
  return { provider, code: answer.get('code'), state: answer.get('state') ?? '', iss: answer.get('iss'), error: answer.get('error') };
}
