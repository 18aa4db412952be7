// Commands to a site that several administrators agree on: what they would do, and what their gateway said, in words.

import type { Proposal } from '../api/types';
import { readCommand, readResult, type SiteCommand } from '../seal/commands';
import { readEnvelope } from '../seal/dsse';
import type { Statement } from '../seal/statements';
import { bandwidthWords, forwardingWords } from './forwarding';
import { type Names, nameOf } from './history';
import { retentionWords } from './retention';

/** Names of cameras that are proposed beside their commands, by id. */
export type Coming = ReadonlyMap<string, string>;

export const comingCameras = (statements: readonly Statement[]): Coming =>
  new Map(statements.flatMap((statement) => (statement.type === 'bind_camera' ? [[statement.camera.id, statement.camera.name] as const] : [])));

export function commandWords({ target, command }: SiteCommand, names: Names, coming: Coming): string {
  const gateway = `the gateway “${nameOf(target, names)}”`;
  const camera = (id: string): string => {
    if (names.organisation.camera(id)) return `the camera “${nameOf(id, names)}”`;
    const name = coming.get(id);
    return name === undefined ? 'a camera that the roster has not named yet' : `the new camera “${name}”`;
  };
  switch (command.type) {
    case 'find_cameras':
      return `Have ${gateway} look for cameras in its networks`;
    case 'ask_camera':
      return `Have ${gateway} ask a camera what it offers`;
    case 'list_findings':
      return `Ask ${gateway} what leaked into its cameras`;
    case 'sweep_cameras':
      return command.camera === null ? `Have ${gateway} read its cameras for secrets that leaked` : `Have ${gateway} read ${camera(command.camera)} for secrets that leaked`;
    case 'stop_sweep':
      return `Have ${gateway} end the search for secrets that leaked`;
    case 'test_camera':
    case 'look_at_camera':
      return `Have ${gateway} try ${camera(command.camera)}`;
    case 'put_camera':
      return names.organisation.camera(command.camera) ? `Give ${gateway} an address and password for ${camera(command.camera)}, and record it` : `Have ${gateway} record ${camera(command.camera)}`;
    case 'remove_camera':
      return `Have ${gateway} forget ${camera(command.camera)} and record it no more`;
    case 'set_retention':
      return `Have ${gateway} keep ${retentionWords({ quiet: null, ...command })}; what is older or beyond that is deleted`;
    case 'set_forwarding':
      return `Have ${gateway} forward of ${camera(command.camera)}: ${forwardingWords(command.forwarding)}`;
    case 'set_bandwidth':
      return `Have ${gateway} send recordings ${bandwidthWords(command.bandwidth)}`;
  }
}

/** What became of a proposed command, as far as its gateway signed it. */
export async function outcomeWords({ state, result, envelope }: Proposal, names: Names): Promise<string | null> {
  if (state !== 'done' && state !== 'failed') return null;
  if (result === null) return 'carried out';
  const { organisation } = names;
  const { target, nonce } = await readCommand(readEnvelope(envelope));
  const gateway = organisation.gateway(target);
  if (!gateway) return 'its gateway was shut out since';
  const { ok, error } = await readResult(readEnvelope(result), organisation.org, gateway, nonce);
  return ok ? 'the gateway has carried it out' : `the gateway could not: ${error ?? 'it did not say why'}`;
}
