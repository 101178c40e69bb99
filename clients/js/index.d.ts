/** Types of index.js. The objects are those of the API's document, /api/v1/openapi.json. */

import {
  Bellwire as Client,
  BellwireEvent,
  BellwireOptions,
  Conversation,
  EventType,
  Level,
  Member,
  Message,
  MyAccount,
  Notification,
  User,
  UserReference,
} from "./client.js";

export * from "./client.js";

/** An account as administrators see it. `metadata` is what your product keeps about the user. */
export interface Account extends User {
  email: string | null;
  metadata: Record<string, unknown> | null;
}

export interface NewAccount {
  username: string;
  email: string;
  display_name?: string;
  role?: "user" | "admin";
  password?: string;
  bot?: boolean;
  timezone?: string;
  locale?: string;
}

export interface HostUser {
  username?: string;
  display_name?: string;
  email?: string | null;
  role?: "user" | "admin";
  status?: "active" | "suspended";
  locale?: string;
  timezone?: string;
  metadata?: Record<string, unknown> | null;
}

export interface UserChanges {
  username?: string;
  display_name?: string;
  email?: string | null;
  external_id?: string | null;
  role?: "user" | "admin";
}

export interface Upserted {
  created: number;
  changed: number;
  unchanged: number;
  items: Account[];
}

/** The ids of the accounts whose status was changed, those that had it already, and the users who are not there. */
export interface Outcome {
  changed: number[];
  unchanged: number[];
  missing: UserReference[];
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

/** A definition of one of your types of notifications: words are templates, by locale. */
export interface NewNotificationType {
  words: Record<string, { title: string; title_more?: string; body?: string }>;
  group_by?: string[] | null;
  in_app?: boolean;
  email?: "off" | "instant" | "hourly" | "daily";
  push?: boolean | null;
  urgent?: boolean;
  url?: string | null;
}

export interface Block {
  user: User;
  since: string;
}

export interface NotificationType {
  type: string;
  words: Record<string, { title: string; title_more?: string; body?: string }>;
  group_by: string[] | null;
  in_app: boolean;
  email: "off" | "instant" | "hourly" | "daily";
  push: boolean | null;
  urgent: boolean;
  url: string | null;
  created_at: string;
  updated_at: string;
}

/** An announcement to the users of a role, or to up to 10,000 users. `type` is one of Bellwire's own, such as "system". */
export interface NewAnnouncement {
  type: string;
  title: string;
  body: string;
  role?: "user" | "admin";
  user_ids?: UserReference[];
  data?: Record<string, unknown>;
}

export interface NewWebhook {
  url: string;
  /** Such as "message.*"; without them, all. */
  types?: string[];
  description?: string;
  /** Where it begins: a cursor, or "begin"; by default now. */
  from?: string | null;
}

export interface WebhookChanges {
  url?: string;
  types?: string[];
  description?: string;
  state?: "active" | "paused" | "disabled";
}

/** `position` is the cursor up to which all is delivered, `lag_s` the age of the oldest event that is not. */
export interface Webhook {
  id: number;
  url: string;
  types: string[];
  description: string;
  state: "active" | "paused" | "disabled";
  position: string;
  lag_s: number;
  last_status: number | null;
  last_error: string | null;
  failures: number;
  next_attempt_at: string | null;
  created_by: number;
  created_at: string;
}

/** An incoming hook, whose messages are those of the user `bot`. */
export interface Evidence {
  body?: string;
  created_at?: string | null;
  edited_at?: string | null;
  conversation?: number | null;
  group?: number | null;
  /** The names of its files. */
  files?: string[];
}

export interface Report {
  id: number;
  state: "open" | "closed";
  message: number | null;
  post: number | null;
  reporter: User;
  author: User;
  reason: string;
  evidence: Evidence;
  kind: string | null;
  title: string | null;
  deleted: boolean;
  open_reports: number;
  created_at: string;
  closed_at: string | null;
  closed_by: User | null;
  action: string | null;
  note: string | null;
}

export interface IncomingHook {
  id: number;
  conversation: number;
  title: string | null;
  bot: number;
  label: string;
  created_by: number;
  created_at: string;
}

/** Times are RFC 3339. */
export type ImportLine =
  | { user: HostUser & { external_id: string } }
  | { conversation: { key: string; kind: "direct" | "group"; members: UserReference[]; title?: string; created_at?: string } }
  | { message: ImportedMessage };

export interface ImportedMessage {
  key: string;
  conversation: string;
  sender: UserReference;
  body: string;
  at: string;
  edited_at?: string;
  reply_to?: string;
  read_by?: UserReference[];
}

export interface ImportCounts {
  created: number;
  changed: number;
  unchanged: number;
}

/** A line that was not imported, by its number from 1 on. `field` is empty if the line itself is wrong. */
export interface RefusedLine {
  line: number;
  field: string;
  message: string;
}

export interface Imported {
  users: ImportCounts;
  conversations: ImportCounts;
  messages: ImportCounts;
  refused: RefusedLine[];
}

export interface NewActivity {
  action: string;
  user?: UserReference;
  description?: string;
  metadata?: Record<string, unknown>;
  site?: string;
}

/** A message that a search has found. `marks` are the places of the words in its body: [start, length] in code points. */
export interface Found extends Message {
  marks: number[][];
}

/** An event of the whole log: one of `BellwireEvent`, or of a type that only backends read. */
export interface LoggedEvent {
  id: string;
  stream: string;
  type: EventType | (string & {});
  at: string;
  data: Record<string, any>;
}

type List<Item> = AsyncGenerator<Item, void, undefined>;

export interface Admin {
  accounts(filters?: { q?: string; status?: User["status"] | "deleted"; role?: User["role"] }): List<Account>;
  createAccounts(users: NewAccount[]): Promise<User[]>;
  putUser(externalId: string, fields: HostUser): Promise<Account>;
  upsertUsers(users: (HostUser & { external_id: string })[]): Promise<Upserted>;
  changeUser(user: UserReference, fields: UserChanges): Promise<Account>;
  /** Returns the job. */
  deleteUser(user: UserReference, texts: "keep" | "erase"): Promise<number>;
  /** The body of the answer is a zip, to be read as it arrives. */
  exportUser(user: UserReference): Promise<Response>;
  activate(users: UserReference[], reason?: string): Promise<Outcome>;
  suspend(users: UserReference[], reason?: string): Promise<Outcome>;
  createToken(user: UserReference, options?: { label?: string; expires_in?: number }): Promise<{ token: string; expires_at: string | null }>;
  revokeTokens(user: UserReference): Promise<null>;

  notify(notification: HostNotification): Promise<{ event: string }>;
  notificationTypes(): List<NotificationType>;
  getNotificationType(type: string): Promise<NotificationType>;
  putNotificationType(type: string, definition: NewNotificationType): Promise<NotificationType>;
  deleteNotificationType(type: string): Promise<null>;
  subscribe(topic: string, user: UserReference, isSubscribed?: boolean): Promise<null>;
  topicMembers(topic: string): List<User>;
  /** Returns the job. */
  announce(announcement: NewAnnouncement): Promise<number>;
  explain(query: { event?: string; message?: number; notification?: number; user?: UserReference }): Promise<Record<string, any>>;

  webhooks(): List<Webhook>;
  getWebhook(webhook: number): Promise<Webhook>;
  createWebhook(definition: NewWebhook): Promise<Webhook & { secret: string }>;
  changeWebhook(webhook: number, changes: WebhookChanges): Promise<Webhook>;
  rotateWebhook(webhook: number): Promise<Webhook & { secret: string }>;
  testWebhook(webhook: number): Promise<object>;
  rewindWebhook(webhook: number, place: { cursor: string } | { time: string }): Promise<Webhook>;
  deleteWebhook(webhook: number): Promise<null>;
  allIncomingHooks(): List<IncomingHook>;
  incomingHooks(conversation: number): List<IncomingHook>;
  createIncomingHook(conversation: number, label: string): Promise<IncomingHook & { url: string }>;
  rotateIncomingHook(conversation: number, hook: number): Promise<IncomingHook & { url: string }>;
  deleteIncomingHook(conversation: number, hook: number): Promise<null>;

  importHistory(lines: Iterable<ImportLine>, options?: { source?: string | null }): Promise<Imported>;
  reportActivity(activity: NewActivity): Promise<object>;
  reports(state?: "open" | "closed" | null): List<Report>;
  closeReport(report: number, action: "dismiss" | "delete" | "suspend", note?: string | null): Promise<Report>;
  jobs(): Promise<Record<string, any>>;
  retryJob(dead: number): Promise<object>;
  /** Each event's `id` is the cursor to go on from. */
  log(options?: {
    cursor?: string | null;
    types?: string[] | null;
    limit?: number | null;
    signal?: AbortSignal | null;
  }): List<LoggedEvent>;
}

export class Bellwire extends Client {
  constructor(options?: BellwireOptions);
  readonly admin: Admin;
  /** A client whose calls an administrator makes as this user. */
  actingAs(user: UserReference): Bellwire;

  me(): Promise<MyAccount>;
  /** The body of the answer is a zip, to be read as it arrives. */
  export(): Promise<Response>;
  users(q?: string): List<User>;
  getUser(user: UserReference): Promise<User>;
  block(user: UserReference): Promise<null>;
  unblock(user: UserReference): Promise<null>;
  blocks(): List<Block>;

  conversations(q?: string): List<Conversation>;
  getConversation(conversation: number): Promise<Conversation>;
  openConversation(members: UserReference[], title?: string | null): Promise<Conversation>;
  rename(conversation: number, title: string): Promise<Conversation>;
  members(conversation: number, q?: string): List<Member>;
  addMember(conversation: number, user: UserReference): Promise<null>;
  removeMember(conversation: number, user: UserReference): Promise<null>;
  changes(conversation: number): List<BellwireEvent>;
  typing(conversation: number, isTyping?: boolean): Promise<null>;
  mentionCandidates(conversation: number, prefix: string, limit?: number): Promise<Member[]>;
  setLevel(
    conversation: number,
    level: Level | null,
    options?: { until?: Date | string | null },
  ): Promise<{ level: Level; until: string | null }>;
  markRead(conversation: number, message: number): Promise<number>;
  markUnread(conversation: number, message: number): Promise<number>;

  /** The bytes of a file, as they arrive. */
  file(id: number): Promise<Response>;
  thumbnail(id: number): Promise<Response>;
  /** An address that needs no token for an hour. */
  fileLink(id: number): Promise<{ url: string; expires_at: string }>;
  getMessage(message: number): Promise<Message>;
  edit(message: number, body: string): Promise<Message>;
  delete(message: number): Promise<null>;
  report(message: number, reason: string): Promise<Record<string, never>>;
  react(message: number, emoji: string, isAdded?: boolean): Promise<null>;
  history(conversation: number, options?: { around?: number | null }): List<Message>;
  search(q: string, filters?: { from?: UserReference; conversation?: number; before?: number }): List<Found>;
  /** `address` is the `url` of an incoming hook; a `key` that was used before makes no second message. */
  writeByHook(address: string, text: string, options?: { key?: string }): Promise<Message>;

  notifications(filters?: { unread?: boolean; type?: string }): List<Notification>;
  markNotificationsRead(ids?: number[] | null): Promise<number>;
}

export class WebhookVerificationError extends Error {}

export function verifyWebhook(
  body: string | Uint8Array,
  headers: Headers | Record<string, string | string[] | undefined>,
  secret: string,
): Promise<{ type: string; timestamp: string; data: LoggedEvent }>;
