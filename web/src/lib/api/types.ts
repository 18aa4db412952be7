// What the server says, from the OpenAPI document of the server's own code (`npm run types`), with the words of docs/protocol.md section 3
// where the document says only "text". None of it is proof: pictures, gateways and people are believed by signatures alone (src/lib/seal).

import type { ServicePermission } from '../seal/action';
import type { Bandwidth, Forwarding } from '../seal/commands';
import type { Scope } from '../seal/statements';
import type { components } from './schema';

type Schemas = components['schemas'];
/** The server writes every key; what is absent is null. */
type Whole<K extends keyof Schemas> = Required<Schemas[K]>;
type Narrow<T, N> = Omit<T, keyof N> & N;

/** What has pictures. */
export type Rendition = 'main' | 'sub';
export type GapReason = 'camera_unreachable' | 'camera_refused' | 'stalled' | 'restarted' | 'disk_full' | 'disabled' | 'bad_stream' | 'damaged';

export type DemoCamera = Whole<'DemoCamera'>;
export type Status = Narrow<Whole<'Status'>, { demo_camera: DemoCamera | null }>;
export type Me = Whole<'Me'>;
export type Factors = Narrow<Whole<'Factors'>, { passkeys: Whole<'PasskeyListing'>[]; password: Whole<'PasswordListing'> | null; recovery: Whole<'RecoveryListing'> }>;
export type Changed = Whole<'Changed'>;
export type PasswordCeremony = Whole<'PasswordCeremony'>;
export type Recovery = Whole<'Recovery'>;
export type ServiceListing = Narrow<Whole<'ServiceListing'>, { scope: Scope; permissions: ServicePermission[] }>;
export type Ceremony = Narrow<Whole<'Ceremony'>, { options: unknown }>;
type AnyStatus<R> = Narrow<Whole<'StreamStatus'>, { rendition: R; state: 'connecting' | 'recording' | 'failed' }>;
export type StreamStatus = AnyStatus<Rendition>;
/** How it is with what a camera tells of what it sees. */
export type EventsStatus = AnyStatus<'events'>;
export type CameraListing = Narrow<Whole<'CameraListing'>, { streams: (StreamStatus | EventsStatus)[] }>;
/** `quiet` is left out where no difference is made. */
export type SiteSettings = Narrow<Whole<'SiteSettings'>, { bandwidth: Bandwidth; forwarding: Record<string, Forwarding>; quiet?: Whole<'Quiet'> | null }>;
export type GatewayListing = Narrow<Whole<'GatewayListing'>, { settings: SiteSettings | null }>;
export type RecordingListing = Narrow<Whole<'Recording'>, { rendition: Rendition | 'events' }>;
export type NoticeState = Narrow<Whole<'NoticeState'>, { subscription: Whole<'SubscriptionState'> | null }>;
export type Silence = Narrow<Whole<'Silence'>, { until: number | null }>;
export type Silences = { silences: Silence[] };
export type MailState = Narrow<Whole<'MailState'>, { address: string | null; concern: string | null }>;
/** Sealed; what it holds is read by seal. */
export type EventPage = Narrow<Whole<'EventPage'>, { recordings: RecordingListing[] }>;
export type Gap = Narrow<Whole<'Gap'>, { rendition: Rendition; reason: GapReason }>;
export type RecordingPage = Narrow<Whole<'RecordingPage'>, { recordings: RecordingListing[]; gaps: Gap[] }>;
export type TimelinePart = Whole<'TimelinePart'>;
export type Timeline = Narrow<Whole<'Timeline'>, { parts: TimelinePart[]; gaps: Gap[] }>;
/** What it holds is read by seal. */
export type PastEpoch = Narrow<Whole<'PastEpoch'>, { grant: unknown }>;
/** Tiles of cameras that are not the roster's are left out where they are shown. */
export type Share = Narrow<Whole<'Share'>, { openings: number | null }>;
export type WallListing = Narrow<Whole<'Wall'>, { tiles: Whole<'Tile'>[] }>;
export type HistoryEntry = Whole<'HistoryEntry'>;
export type SessionListing = Whole<'SessionListing'>;
export type PersonListing = Whole<'PersonListing'>;
export type LiveTicket = Whole<'LiveTicket'>;
export type LogHead = Whole<'LogHead'>;
export type Consistency = Whole<'Consistency'>;
/** Unknown until seal has read it, because it will be signed. */
export type DeviceRequest = Narrow<Whole<'DeviceRequest'>, { device: unknown; pairing: Whole<'PairingProof'> | null }>;
export type ProposalState = 'open' | 'approved' | 'done' | 'failed' | 'declined' | 'expired' | 'stale';
/** The envelope is read by seal, because it will be signed. */
export type Proposal = Narrow<Whole<'Proposal'>, { state: ProposalState; envelope: unknown; files: Record<string, unknown> | null; result: unknown }>;
export type ErrorBody = Whole<'Problem'>;
