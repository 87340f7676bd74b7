// Types of client.mjs. /openapi.json makes those of every call.

/** One of them; pictures and sounds as base64. */
export interface Content {
  text?: string;
  image?: string;
  audio?: string;
}

export interface Event {
  kind: `EVENT_KIND_${"VIEW" | "CLICK" | "LIKE" | "PURCHASE" | "RATE" | "SKIP" | "DISLIKE" | "SEARCH" | "UPLOAD"}`;
  item_id?: string;
  content?: Content;
  /** Makes recording idempotent. */
  id?: string;
  /** That of the answer which the user acted on. */
  request_id?: string;
  /** RFC 3339; now, if it is not there. */
  time?: string;
}

export interface Result {
  item_id: string;
  score: number;
  rank: number;
  text: string;
  image_path: string;
  payload?: Record<string, unknown>;
}

export interface Answer {
  results: Result[];
  request_id: string;
  model: string;
  tier: string;
}

export interface Item {
  id: string;
  contents: Content[];
  payload?: Record<string, unknown>;
}

export interface Upserted {
  /** Its position among the items, a 64-bit number as a text. */
  index: string;
  item_id: string;
  outcome: "UPSERT_OUTCOME_STORED" | "UPSERT_OUTCOME_UNCHANGED" | "UPSERT_OUTCOME_REJECTED";
  problem?: { reason: string; message: string; remedy: string; field: string };
}

/** What the server says is wrong, and what to do about it. */
export class TriveniProblem extends Error {
  readonly status: number;
  readonly reason: string;
  readonly remedy: string;
  /** Seconds; not there where it would fail again. */
  readonly retryAfter?: number;
}

export class Triveni {
  /** @param seconds that a call may take; then the server stops working on it. */
  constructor(url: string, seconds?: number);
  search(text: string, limit?: number): Promise<Answer>;
  recommend(userId: string, history?: Event[], limit?: number): Promise<Answer>;
  record(userId: string, event: Event): Promise<{ recorded_count: number; duplicate_count: number; rejected: unknown[] }>;
  /** Adds and replaces items: what became of each comes as the server gets to it. */
  upsert(items: Iterable<Item>): AsyncGenerator<Upserted>;
}
