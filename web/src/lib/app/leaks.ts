// What leaked into cameras, sorted for those who have to do something about it.

import type { Leak, SweptCamera } from '../seal/cameraAnswer';
import { compareText } from '../seal/bytes';

export type Severity = Leak['severity'];

/** The gravest first. */
export const SEVERITIES: readonly Severity[] = ['critical', 'high', 'medium', 'low', 'info'];

export const SEVERITY_WORDS: Record<Severity, { text: string; tone: 'bad' | 'busy' | 'idle' }> = {
  critical: { text: 'Critical', tone: 'bad' },
  high: { text: 'High', tone: 'bad' },
  medium: { text: 'Medium', tone: 'busy' },
  low: { text: 'Low', tone: 'idle' },
  info: { text: 'For information', tone: 'idle' },
};

/** One secret, and each place where it lies open. */
export interface Secret {
  key: string;
  leak: Leak;
  places: { camera: string; leak: Leak }[];
}

const grave = (a: Leak, b: Leak): number => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity);

/** Of what a machine made the fingerprint says that it is the same; of what a person chose it does not. */
const isSure = ({ fingerprint }: Leak): boolean => fingerprint.length === 32;

/** Each secret once, the gravest first, and of those the ones in most places. */
export function bySecret(cameras: readonly SweptCamera[]): Secret[] {
  const secrets = new Map<string, Secret>();
  for (const { camera, findings } of cameras) {
    for (const leak of findings) {
      const key = isSure(leak) ? leak.fingerprint : [leak.fingerprint, leak.rule, camera].join(' ');
      const known = secrets.get(key);
      if (!known) secrets.set(key, { key, leak, places: [{ camera, leak }] });
      else {
        known.places.push({ camera, leak });
        if (grave(leak, known.leak) < 0) known.leak = leak;
      }
    }
  }
  return [...secrets.values()].sort((a, b) => grave(a.leak, b.leak) || b.places.length - a.places.length || compareText(a.key, b.key));
}

/** Cameras in which something lies open, the gravest first. */
export const openCameras = (cameras: readonly SweptCamera[]): SweptCamera[] =>
  cameras.filter(({ findings }) => findings.length > 0).sort((a, b) => grave(a.findings[0]!, b.findings[0]!) || b.findings.length - a.findings.length);

/** How many of them there are of what needs somebody now, and of the rest. */
export function counted(cameras: readonly SweptCamera[]): { grave: number; others: number } {
  const secrets = bySecret(cameras);
  const bad = secrets.filter(({ leak }) => SEVERITY_WORDS[leak.severity].tone === 'bad').length;
  return { grave: bad, others: secrets.length - bad };
}
