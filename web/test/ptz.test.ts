// Moving a camera: what is signed, and when it is ordered again, stopped and begun anew.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { ApiError } from '../src/lib/api/client';
import type { Organisation } from '../src/lib/app/organisation.svelte';
import { AGAIN_MS, speedAt, Steering, WANTED_MS } from '../src/lib/app/steering.svelte';
import { base64, fromUtf8, fromBase64 } from '../src/lib/seal/bytes';
import { signer, signPublicKey } from '../src/lib/seal/crypto';
import { readEnvelope, sign } from '../src/lib/seal/dsse';
import { type Movement, readPtzSession, signPtzOrder } from '../src/lib/seal/ptz';
import type { Gateway } from '../src/lib/seal/statements';

const load = (name: string): any => JSON.parse(readFileSync(fileURLToPath(new URL(`../../crates/seal/tests/it/vectors/${name}.json`, import.meta.url)), 'utf8'));
const nobody = { keyid: 'dev_00000000000000000000000000000000', sign: async () => new Uint8Array(64) };

describe('the shared vector', () => {
  const { session, orders } = load('ptz');
  const { statement, envelope } = session;
  const gateway = { id: statement.gateway, sign: load('keys').sign_public } as Gateway;

  it('opens a session of its gateway, for this camera and request', async () => {
    const read = (gateway_: Gateway, camera: string, challenge: string) => readPtzSession(readEnvelope(envelope), statement.org, gateway_, camera, challenge);
    expect(await read(gateway, statement.camera, statement.challenge)).toEqual(statement);
    await expect(read(gateway, statement.camera, '00'.repeat(32))).rejects.toThrow('another request');
    await expect(read(gateway, `cam_${'0'.repeat(32)}`, statement.challenge)).rejects.toThrow('another request');
    await expect(read({ ...gateway, sign: base64(new Uint8Array(32).fill(9)) }, statement.camera, statement.challenge)).rejects.toThrow();
  });

  it('has orders that are written alike, byte for byte', async () => {
    for (const { order, envelope } of orders) {
      const written = await signPtzOrder(statement, order.number, order.elapsed_ms, order.movement, nobody);
      expect(fromUtf8(fromBase64(written.payload))).toBe(fromUtf8(fromBase64(envelope.payload)));
    }
  });

  it('has no minus zero', async () => {
    const { payload } = await signPtzOrder(statement, 1, 0, { type: 'move', pan: -0, tilt: -0, zoom: -0 }, nobody);
    expect(fromUtf8(fromBase64(payload))).toContain('"pan":0,"tilt":0,"zoom":0');
  });
});

it('is slow near the middle of the pad, fast at its edge, and still in the middle', () => {
  expect(speedAt(0.05, -0.05)).toEqual({ pan: 0, tilt: 0, zoom: 0 });
  expect(speedAt(1, 0)).toEqual({ pan: 1000, tilt: -0, zoom: 0 });
  expect(speedAt(0, -0.5)).toMatchObject({ pan: 0, tilt: 250 });
  expect(speedAt(30, 40)).toMatchObject({ pan: 600, tilt: -800 });
});

describe('somebody who holds the pad', () => {
  const [org, camera] = [`org_${'1'.repeat(32)}`, `cam_${'2'.repeat(32)}`];
  const clock = { ahead_ms: 0 };
  async function steering(answer: (movement: Movement, count: number) => void | Promise<void> = () => undefined, presets: { token: string; name: string }[] = []) {
    const own = await signer(`gw_${'3'.repeat(32)}`, new Uint8Array(32).fill(7));
    const gateway = { id: own.keyid, sign: base64(await signPublicKey(new Uint8Array(32).fill(7))) };
    const organisation = { org, camera: () => ({ gateway: gateway.id }), gateway: () => gateway, signer: nobody } as unknown as Organisation;
    const [orders, sessions]: [{ session: string; number: number; movement: Movement }[], string[]] = [[], []];
    const ask = async (path: string, body: any): Promise<any> => {
      if (path.endsWith('/ptz')) {
        sessions.push(sessions.length.toString(16).padStart(64, '0'));
        const opened = { org, gateway: gateway.id, camera, challenge: body.challenge, session: sessions.at(-1), pan_tilt: true, zoom: true, home: true, presets: structuredClone(presets) };
        return { envelope: await sign('ptz-session.v1+json', opened, own) };
      }
      const order = JSON.parse(fromUtf8(fromBase64(body.envelope.payload)));
      orders.push(order);
      await answer(order.movement, orders.length);
    };
    return { steering: new Steering(camera, organisation, () => performance.now() + clock.ahead_ms, ask), orders, sessions };
  }
  const kinds = (orders: { movement: Movement }[]) => orders.map(({ movement }) => movement.type);
  const right = { pan: 500, tilt: 0, zoom: 0 };

  it('moves it again and again, and stops it once when it is let go', async () => {
    const { steering: hand, orders, sessions } = await steering();
    hand.hold(right);
    await vi.waitFor(() => expect(orders.length).toBeGreaterThanOrEqual(3), { timeout: AGAIN_MS * 10 });
    hand.release();
    await vi.waitFor(() => expect(kinds(orders).at(-1)).toBe('stop'));
    expect(kinds(orders).filter((kind) => kind === 'stop')).toHaveLength(1);
    expect(orders.map(({ number }) => number)).toEqual(orders.map((_, at) => at + 1));
    expect(sessions).toHaveLength(1);
  });

  it('orders a change at once', async () => {
    const { steering: hand, orders } = await steering();
    hand.hold(right);
    await vi.waitFor(() => expect(orders).toHaveLength(1));
    hand.hold({ ...right, pan: -500 });
    await vi.waitFor(() => expect(orders).toHaveLength(2), { interval: 5 });
    expect(orders[1]!.movement).toMatchObject({ pan: -500 });
    hand.release();
  });

  it('goes on in another session when the old one is over, once', async () => {
    const over = new ApiError(409, 'ptz_over', 'over', 'again');
    const { steering: hand, orders, sessions } = await steering((_, count) => {
      if (count === 1) throw over;
    });
    expect(await hand.home()).toBe(true);
    expect(sessions).toHaveLength(2);
    expect(orders.map(({ session }) => session)).toEqual(sessions);
    const stubborn = await steering(() => {
      throw over;
    });
    expect(await stubborn.steering.home()).toBe(false);
    expect(stubborn.steering.problem).toContain('over');
    expect(stubborn.orders).toHaveLength(2);
  });

  it('is told what the camera refused, and holds nothing any more', async () => {
    const { steering: hand, orders } = await steering(() => {
      throw new ApiError(409, 'ptz_taken', 'Somebody else is moving this camera.', 'Wait.');
    });
    hand.hold(right);
    await vi.waitFor(() => expect(hand.problem).toContain('Somebody else'));
    expect([hand.speed, orders.length]).toEqual([null, 1]);
  });

  const late = () => new ApiError(409, 'ptz_late', 'The order came too late, or came before.', 'Open another session.');
  /** An answer that comes when the test says so. */
  const gate = () => {
    let open: () => void = () => undefined;
    return { waits: new Promise<void>((resolve) => (open = resolve)), open: () => open() };
  };

  it('signs no movement anew that came late once the pad was let go', async () => {
    const answers = gate();
    const { steering: hand, orders } = await steering(async ({ type }) => {
      if (type !== 'move') return;
      await answers.waits;
      throw late();
    });
    hand.hold(right);
    await vi.waitFor(() => expect(orders).toHaveLength(1));
    hand.release();
    answers.open();
    await vi.waitFor(() => expect(kinds(orders)).toEqual(['move', 'stop']));
    expect(hand.problem).toBeNull();
  });

  it('goes on moving in another session while it is held', async () => {
    const { steering: hand, orders, sessions } = await steering((_, count) => {
      if (count === 1) throw late();
    });
    hand.hold(right);
    await vi.waitFor(() => expect(orders.length).toBeGreaterThanOrEqual(2));
    hand.release();
    await vi.waitFor(() => expect(kinds(orders).at(-1)).toBe('stop'));
    expect(sessions).toHaveLength(2);
  });

  // The attack: who carries the order keeps it, says that it was late, and has two.
  it('signs what was pressed once, whatever it is told', async () => {
    const presets = [{ token: '1', name: 'Gate' }];
    for (const code of ['ptz_late', 'ptz_over']) {
      for (const press of [(hand: Steering) => hand.save('Wall'), (hand: Steering) => hand.remove(presets[0]!)]) {
        const { steering: hand, orders } = await steering(() => {
          throw new ApiError(409, code, 'so it says', 'again');
        }, presets);
        expect(await press(hand)).toBe(false);
        expect(orders).toHaveLength(1);
        expect(hand.problem).toContain('so it says');
      }
    }
    const { steering: hand, orders } = await steering(() => {
      throw late();
    });
    expect(await hand.home()).toBe(false);
    expect(kinds(orders)).toEqual(['home']);
  });

  it('orders nothing anew that nobody waits for any more', async () => {
    const { steering: hand, orders } = await steering(() => {
      clock.ahead_ms += WANTED_MS + 1;
      throw new ApiError(409, 'ptz_over', 'over', 'again');
    });
    expect(await hand.home()).toBe(false);
    expect(kinds(orders)).toEqual(['home']);
  });

  it('stops what was held before it goes home, not after', async () => {
    const { steering: hand, orders } = await steering();
    hand.hold(right);
    await vi.waitFor(() => expect(orders).toHaveLength(1));
    hand.release();
    expect(await hand.home()).toBe(true);
    expect(kinds(orders)).toEqual(['move', 'stop', 'home']);
    expect(orders.map(({ number }) => number)).toEqual([1, 2, 3]);
  });

  it('moves again for whoever holds it while it is being stopped', async () => {
    const answers = gate();
    const { steering: hand, orders } = await steering(({ type }) => (type === 'stop' ? answers.waits : undefined));
    hand.hold(right);
    await vi.waitFor(() => expect(orders).toHaveLength(1));
    hand.release();
    await vi.waitFor(() => expect(kinds(orders)).toContain('stop'));
    hand.hold(right);
    answers.open();
    await vi.waitFor(() => expect(kinds(orders).at(-1)).toBe('move'));
    hand.release();
    await vi.waitFor(() => expect(kinds(orders).at(-1)).toBe('stop'));
  });

  it('forgets the position that was chosen, not another one that has its word now', async () => {
    const presets = [{ token: '1', name: 'Gate' }];
    const { steering: hand, orders, sessions } = await steering(() => undefined, presets);
    await hand.open();
    const gatePreset = hand.session!.presets[0]!;
    presets[0] = { token: '1', name: 'Yard' };
    expect(await hand.remove(gatePreset)).toBe(false);
    expect([orders, hand.session!.presets]).toEqual([[], presets]);
    expect(hand.problem).toContain('changed meanwhile');
    expect(await hand.remove(presets[0])).toBe(true);
    expect(kinds(orders)).toEqual(['remove_preset']);
    clock.ahead_ms += 60_000;
    const before = sessions.length;
    await hand.refresh();
    await hand.refresh();
    expect(sessions).toHaveLength(before + 1);
  });
});
