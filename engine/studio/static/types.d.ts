/** Messages of the wire contract and of `/studio/…` as the page sees them; what is at its default may be missing. */

export type Modality = 'MODALITY_TEXT' | 'MODALITY_IMAGE' | 'MODALITY_AUDIO';
export type Kind = 'text' | 'image' | 'audio';

export interface About {
  version: string;
  items: number;
  space: string;
  fingerprint: string;
  /** Those that any item has. */
  modalities: Kind[];
  media: boolean;
  max_bytes: number;
  /** The part of a reason from which on a modality is named in it. */
  notable: number;
  /** Of events: those that the settings declare. */
  kinds: { name: string; weight: number }[];
  address: string;
}

export interface Facet {
  field: string;
  kind: 'keyword' | 'integer' | 'float' | 'bool' | 'datetime' | 'geo';
  items: number;
  distinct: number;
  values: { value: string | boolean; count: number }[];
  least: number | null;
  most: number | null;
}

export interface Reason {
  kind?: string;
  index?: number;
  modality?: Modality;
  share?: number;
  event_id?: string;
  modality_shares?: number[];
  words_share?: number;
  words?: string[];
  /** Of an item with several parts of that modality, which one answered. */
  part?: { index?: number; path?: string; text?: string; passage?: number; start_seconds?: number; end_seconds?: number };
}

export interface Result {
  item_id: string;
  score?: number;
  rank?: number;
  payload?: Record<string, unknown>;
  reasons?: Reason[];
  image_path?: string;
  audio_path?: string;
  text?: string;
  propensity?: number;
  /** How sure it is that it fits the query, 0 to 1. */
  relevance?: number;
}

export interface Item {
  id: string;
  modalities?: Modality[];
  payload?: Record<string, unknown>;
  text?: string;
  image_path?: string;
  audio_path?: string;
  digest?: string;
  index_time?: string;
}

export interface Stage {
  name: string;
  count?: number;
  duration?: string;
}

/** Events that are alike, and are searched for together. */
export interface Interest {
  weight?: number;
  events?: Reason[];
  nearest_item_ids?: string[];
}

export interface Answer {
  results?: Result[];
  request_id?: string;
  fingerprint?: string;
  model?: string;
  tier?: string;
  /** Whether nothing fits the query, as sure as was asked. */
  no_match?: boolean;
  skipped?: { index?: number; reason?: string; event_id?: string }[];
  compared_model?: string;
  stages?: Stage[];
  interests?: Interest[];
}

export interface Event {
  kind: string;
  /** Of a kind that the deployment declares. */
  kind_name?: string;
  item_id?: string;
  content?: { text?: string; image?: string; audio?: string };
  time?: string;
  value?: number;
  id?: string;
}

export interface Model {
  version: string;
  serving?: boolean;
  create_time?: string;
  metrics?: Record<string, number>;
}

/** One second of the server; what did not happen is left out. Rates are per second, durations in seconds. */
export interface Point {
  time: number;
  calls: Record<string, Record<string, number>>;
  latency: Record<string, [number, number, number]>;
  stages: Record<string, number>;
  tiers: Record<string, number>;
  events: Record<string, number>;
  batches: Record<string, number>;
  queues: Record<string, number>;
  dropped: number;
  items: number | null;
  memory: number | null;
  versions: { serving?: string; candidate?: string };
}

export interface Card {
  version: string;
  created: string;
  kind: string;
  data_from?: string | null;
  data_until?: string | null;
  counts: Record<string, number>;
  metrics: Record<string, number>;
  baseline_metrics: Record<string, number>;
  intervals: Record<string, [number, number]>;
  seed: number;
  git_commit: string;
  parent: string;
  settings: { epochs?: Epoch[]; held_against?: string; learn?: Record<string, unknown> };
  gate?: { promote: boolean; reason: string; metric: string; cases: number; difference: number; low: number; high: number } | null;
}

export interface Versions {
  cards: Record<string, Card>;
  deleted: Record<string, number>;
  broken: { problem: string; remedy: string }[];
  serving: string;
  previous: string | null;
  candidate: string;
  share: number;
  /** That a trial begins with. */
  candidate_share: number;
}

export type Epoch = Record<string, number | null>;

export interface Training {
  id: string;
  state: string;
  progress?: number;
  stage?: string;
  start_time?: string;
  end_time?: string;
  model_version?: string;
  problem?: { message?: string; remedy?: string };
  time_left?: string;
}

export interface Interval { mean: number | null; low: number | null; high: number | null; count: number }

export interface Arm { version: string; lists: number; users: number; positions: number; rates: Record<string, Interval> }

export interface Trial { ours: Arm; theirs: Arm; since: string; until: string; nobody: number; both: number; apart: Record<string, Interval & { p_value: number | null }> }

export interface Tried { number: number; setting: Record<string, number>; figure: number | null; epochs: number; seconds: number; state: string; as_it_was: boolean }
