// First run as a sequence of steps that can be tried again one by one. The page shows it; this does it.

import { open, post } from '../api/client';
import type { DemoCamera, Me } from '../api/types';
import { createPasskey, passkeysWork, type PasskeyAnswer } from '../device/passkey';
import type { Opener } from '../device/wrap';
import { fromHex, hex } from '../seal/bytes';
import { random } from '../seal/crypto';
import { peek, sign } from '../seal/dsse';
import { enrolmentOf } from '../seal/enrolment';
import { name } from '../seal/shape';
import { entryShape, type Recovery } from '../seal/statements';
import { acceptGateway, connected, enrolling } from './actions';
import { addDemoCamera } from './demo';
import { call } from './keeper';
import { session } from './session.svelte';
import { browserName } from './words';

export interface SetUpLink {
  token: string;
  gateway: string | null;
}

/** Reads `#token=…&gateway=…`. Null if the token is missing or the gateway's secret is broken. */
export function readSetUpLink(fragment: string): SetUpLink | null {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ''));
  const token = parameters.get('token');
  const gateway = parameters.get('gateway');
  if (!token || token.length > 512 || (gateway !== null && !/^[0-9a-f]{32}$/.test(gateway))) return null;
  return { token, gateway };
}

const GATEWAY_PATIENCE_MS = 30_000;

export class SetUp {
  step: 'names' | 'recovery' | 'passkey' | 'passphrase' | 'working' | 'done' = $state('names');
  organisationName = $state('');
  personName = $state('');
  words: string[] = $state.raw([]);
  progress: { text: string; done: boolean }[] = $state([]);
  demo: DemoCamera | null = $state.raw(null);
  private recovery: Recovery | null = null;
  private ceremony: { person: string; ceremony: string; answer: PasskeyAnswer } | null = null;
  private opener: Opener | null = null;
  private gateway: string | null = null;

  constructor(private readonly link: SetUpLink | null) {}

  async named(): Promise<void> {
    this.organisationName = name(this.organisationName.trim(), 'the name');
    this.personName = name(this.personName.trim(), 'your name');
    if (!passkeysWork()) throw new Error('This browser has no passkeys here. Open the link on http://localhost or over HTTPS, in a current browser.');
    const { words, recovery } = await call('newRecovery', null);
    this.words = words;
    this.recovery = recovery;
    this.step = 'recovery';
  }

  recoveryConfirmed(): void {
    this.words = [];
    this.step = 'passkey';
  }

  async passkey(): Promise<void> {
    const begun = await post<{ person: string; ceremony: string; options: unknown }>('/api/v1/setup/passkey', { token: this.link!.token, person_name: this.personName });
    const answer = await createPasskey(begun.options);
    this.ceremony = { person: begun.person, ceremony: begun.ceremony, answer };
    if (!answer.prf) {
      this.step = 'passphrase';
      return;
    }
    this.opener = { kind: 'passkey', credential: answer.id, prf: answer.prf };
    await this.finish();
  }

  async passphrase(passphrase: string): Promise<void> {
    this.opener = { kind: 'passphrase', passphrase };
    await this.finish();
  }

  /** Everything that is left; what was done is not done again. */
  async finish(): Promise<void> {
    this.step = 'working';
    try {
      if (!session.me) await this.doing('Making your keys and the organisation', () => this.found());
    } catch (error) {
      // A ceremony counts once, so a second attempt begins with the passkey.
      this.progress = [];
      this.step = 'passkey';
      throw error;
    }
    if (!session.organisation) await this.doing('Reading the roster back', () => session.enter());
    history.replaceState(null, '', '/setup');
    if (this.link!.gateway !== null) await this.doing('Letting the built-in gateway in', () => this.enrol(this.link!.gateway!));
    await session.refreshStatus();
    this.demo = this.gateway ? (session.status?.demo_camera ?? null) : null;
    this.step = 'done';
  }

  async addDemo(): Promise<void> {
    await addDemoCamera(session.organisation!, session.organisation!.gateway(this.gateway!)!, this.demo!);
  }

  private async found(): Promise<void> {
    const { person, ceremony, answer } = this.ceremony!;
    const org = `org_${hex(random(16))}`;
    const stored = await session.makeDevice({ org, person, name: browserName(), anchor: null, opener: this.opener! });
    const { device } = stored;
    const statement = { type: 'genesis', name: this.organisationName, device, recovery: this.recovery!, administrators: { k: 1, devices: [device.id] } };
    const entry = { org, seq: 0, previous: null, at: Date.now(), statement };
    const genesis = await sign('roster.v1+json', entry, { keyid: device.id, sign: (data) => call('sign', data) });
    const { hash } = await peek(genesis, 'roster.v1+json', entryShape);
    // Pinned before it is posted: from here on this browser believes in no other genesis.
    await session.pinAnchor(hex(hash));
    const passkey = { ceremony, credential: answer.credential };
    session.signedIn(await open<Me>('/api/v1/setup', { token: this.link!.token, person, person_name: this.personName, genesis, passkey }));
    this.opener = null;
  }

  private async enrol(secret: string): Promise<void> {
    const organisation = session.organisation!;
    const enrolment = await enrolmentOf(fromHex(secret));
    for (const end = Date.now() + GATEWAY_PATIENCE_MS; ; ) {
      const gateway = await enrolling(enrolment);
      if (gateway) {
        await acceptGateway(organisation, enrolment, gateway);
        await connected(gateway.id);
        this.gateway = gateway.id;
        return;
      }
      if (Date.now() > end) throw new Error('The built-in gateway did not come forward. Look at the output of lenskeep up, then try again.');
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  private async doing(text: string, act: () => Promise<void>): Promise<void> {
    this.progress = [...this.progress.filter((entry) => entry.text !== text), { text, done: false }];
    await act();
    this.progress = this.progress.map((entry) => (entry.text === text ? { text, done: true } : entry));
  }
}
