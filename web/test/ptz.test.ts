// Moving a camera: what is signed, and when it is ordered again, stopped and begun anew.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { ApiError } from '../src/lib/api/client';
import type { Organisation } from '../src/lib/app/organisation.svelte';
import { AGAIN_MS, speedAt, Steering } from '../src/lib/app/steering.svelte';
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
  async function steering(answer: (movement: Movement, count: number) => void = () => undefined) {
    const own = await signer(`gw_${'3'.repeat(32)}`, new Uint8Array(32).fill(7));
    const gateway = { id: own.keyid, sign: base64(await signPublicKey(new Uint8Array(32).fill(7))) };
    const organisation = { org, camera: () => ({ gateway: gateway.id }), gateway: () => gateway, signer: nobody } as unknown as Organisation;
    const [orders, sessions]: [{ session: string; number: number; movement: Movement }[], string[]] = [[], []];
    const ask = async (path: string, body: any): Promise<any> => {
      if (path.endsWith('/ptz')) {
        sessions.push(sessions.length.toString(16).padStart(64, '0'));
        const opened = { org, gateway: gateway.id, camera, challenge: body.challenge, session: sessions.at(-1), pan_tilt: true, zoom: true, home: true, presets: [] };
        return { envelope: await sign('ptz-session.v1+json', opened, own) };
      }
      const order = JSON.parse(fromUtf8(fromBase64(body.envelope.payload)));
      orders.push(order);
      answer(order.movement, orders.length);
    };
    return { steering: new Steering(camera, organisation, undefined, ask), orders, sessions };
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
});
