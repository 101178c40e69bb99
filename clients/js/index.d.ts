/** Types of index.js. */

import { Bellwire as Client, BellwireOptions, EventType, User, UserReference } from "./client.js";

export * from "./client.js";

export interface HostUser {
  username?: string;
  display_name?: string;
  email?: string;
  role?: "user" | "admin";
  status?: "active" | "suspended";
  locale?: string;
  timezone?: string;
  metadata?: Record<string, unknown>;
}

export interface Upserted {
  created: number;
  changed: number;
  unchanged: number;
  items: User[];
}

/** Whom a notification is for: exactly one of these. */
export type Receivers =
  | { to: UserReference[]; topic?: never; conversation?: never; role?: never }
  | { topic: string; to?: never; conversation?: never; role?: never }
  | { conversation: number; to?: never; topic?: never; role?: never }
  | { role: string; to?: never; topic?: never; conversation?: never };

export type HostNotification = Receivers & {
  type: string;
  actor?: UserReference;
  values?: Record<string, unknown>;
  url?: string;
  dedupe?: string;
  not_before?: string;
  unless_read?: boolean;
};

export interface NotificationType {
  words: Record<string, { title: string; title_more?: string; body?: string }>;
  group_by?: string[];
  in_app?: boolean;
  email?: "off" | "instant" | "hourly" | "daily";
  push?: boolean;
  urgent?: boolean;
  url?: string;
}

/** An event of the whole log: one of `BellwireEvent`, or of a type that only backends read. */
export interface LoggedEvent {
  id: string;
  stream: string;
  type: EventType | (string & {});
  at: string;
  data: Record<string, any>;
}

/** `from` is a cursor, or "begin"; by default a webhook begins now. */
export interface NewWebhook {
  url: string;
  types?: string[];
  description?: string;
  from?: string;
}

export interface Admin {
  putUser(externalId: string, fields: HostUser): Promise<User>;
  upsertUsers(users: (HostUser & { external_id: string })[]): Promise<Upserted>;
  createToken(user: UserReference, options?: { label?: string; expires_in?: number }): Promise<{ token: string; expires_at: string | null }>;
  endTokens(user: UserReference): Promise<null>;
  deleteUser(user: UserReference, texts: "keep" | "erase"): Promise<{ job: number }>;
  notify(notification: HostNotification): Promise<{ event: string }>;
  putNotificationType(type: string, definition: NotificationType): Promise<NotificationType & { type: string }>;
  deleteNotificationType(type: string): Promise<null>;
  createWebhook(webhook: NewWebhook): Promise<{ id: number; secret: string; state: string; position: string }>;
  subscribe(topic: string, user: UserReference, isSubscribed?: boolean): Promise<null>;
  /** Each event's `id` is the cursor to go on from. */
  log(options?: {
    cursor?: string | null;
    types?: string[] | null;
    limit?: number | null;
    signal?: AbortSignal | null;
  }): AsyncGenerator<LoggedEvent, void, undefined>;
}

export class Bellwire extends Client {
  constructor(options?: BellwireOptions);
  readonly admin: Admin;
  /** A client whose calls an administrator makes as this user. */
  actingAs(user: UserReference): Bellwire;
}

export class WebhookVerificationError extends Error {}

export function verifyWebhook(
  body: string | Uint8Array,
  headers: Headers | Record<string, string | string[] | undefined>,
  secret: string,
): Promise<{ type: string; timestamp: string; data: LoggedEvent }>;
