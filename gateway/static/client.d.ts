/** Types of client.js. The objects are those of the API's document, /api/v1/openapi.json, which has all others, too. */

export type Transport = "poll" | "sse" | "ws";
export type Priority = "normal" | "important" | "urgent";
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** An account. `bot` is there for a program's, `external_id` what another product calls the user. */
export interface User {
  id: number;
  external_id: string | null;
  username: string;
  display_name: string;
  role: "user" | "admin";
  status: "pending" | "active" | "suspended";
  bot?: boolean;
}

export type Day = "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";

/** Quiet hours, in which mail and push wait: the days on which they begin, and times such as "22:00". */
export interface Quiet {
  days: Day[];
  from: string;
  to: string;
}

/** The caller's account. The balance is a decimal string. */
export interface MyAccount extends User {
  email: string | null;
  profile: { timezone: string; locale: string };
  quiet: Quiet | null;
  wallet: { currency: string; balance: string };
}

/**
 * A file of a message or post. `type` is what its bytes are. Of a picture that is "pending", the size and the thumbnail come
 * with `message.updated` or `post.updated`; one that "failed" has none.
 */
export interface StoredFile {
  id: number;
  name: string;
  type: string;
  bytes: number;
  width: number | null;
  height: number | null;
  thumbnail: boolean;
  state: "ready" | "pending" | "failed";
  created_at: string;
}

/** A message. `sender` and `conversation` are ids; a deleted message has an empty body. Times are RFC 3339 in UTC. */
export interface Message {
  id: number;
  conversation: number;
  sender: number;
  body: string;
  priority: Priority;
  reply_to: number | null;
  client_id: string | null;
  created_at: string;
  edited_at: string | null;
  deleted_at: string | null;
  reactions: Record<string, number[]>;
  /** The members whom its body names by `@username`, in ascending order; `mentions_all`: an owner wrote `@all`. */
  mentions: number[];
  mentions_all: boolean;
  files: StoredFile[];
}

/** A message after an edit, with the mentions that it did not have before, or when a picture of it is ready. They are absent once it is deleted. */
export interface EditedMessage extends Message {
  mentions_added?: number[];
  mentions_all_added?: boolean;
}

/** A member of a conversation. `read` is the last message that they have read. */
export interface Member {
  user: User;
  role: "owner" | "member";
  read: number | null;
}

/** Which messages of a conversation the caller is notified of: all, those that mention them, or none. */
export type Level = "all" | "mentions" | "none";

/**
 * A conversation. With more than 50 members, `members` has the first 50 and `members_count` is the number of all. `read`
 * is the last message that the caller has read, `presence` which of the others are online. `mentions_unread` is the number of
 * unread messages that mention the caller, or all; `level` is the caller's, and `level_until` the time when it ends, if it does.
 */
export interface Conversation {
  id: number;
  kind: "direct" | "group";
  title: string | null;
  created_at: string;
  members: Member[];
  unread: number;
  mentions_unread: number;
  level: Level;
  level_until?: string | null;
  members_count?: number;
  read?: number | null;
  presence?: Record<string, boolean> | null;
  last_message: Message | null;
}

/** A notification of the caller. `count` is the number of events that it stands for. */
export interface Notification {
  id: number;
  type: string;
  title: string;
  body: string;
  data: Record<string, unknown>;
  count: number;
  created_at: string;
  read_at: string | null;
  url?: string;
}

/** A post of the community. `liked` and `bookmarked` are about the caller, and absent from events. */
export interface Post {
  id: number;
  author: User;
  group: number | null;
  body: string;
  created_at: string;
  likes_count: number;
  comments_count: number;
  files: StoredFile[];
  liked?: boolean;
  bookmarked?: boolean;
}

/** A comment on a post. */
export interface Comment {
  id: number;
  post: number;
  author: User;
  body: string;
  reply_to: number | null;
  created_at: string;
}

/** A group of the community. `joined` is about the caller, and absent from events. */
export interface Group {
  id: number;
  name: string;
  owner: number;
  members_count: number;
  joined?: boolean;
}

/**
 * What a client starts from: events continue after `cursor`. `presence` maps the ids of users, `blocked` are those whom the caller
 * blocks; `unread_total` is the number of unread messages in these conversations, without those whose level is `none`.
 */
export interface State {
  cursor: string;
  me: MyAccount;
  conversations: Conversation[];
  presence: Record<string, boolean>;
  unread_total: number;
  blocked: number[];
  notifications_unread: number;
  notifications_unread_messages: number;
}

/** The data of each type of event. */
export interface EventData {
  "message.created": Message;
  "message.updated": EditedMessage;
  "message.deleted": Message;
  "message.reacted": { message: number; conversation: number; user: number; emoji: string; added: boolean };
  "conversation.created": Conversation;
  "conversation.updated": { id: number; title: string | null; by?: User };
  "member.joined": { conversation: number; user: User; by?: User };
  "member.left": { conversation: number; user: User; by?: User };
  "block.added": { user: number };
  "block.removed": { user: number };
  "read.updated": { conversation: number; user: number; message: number; unread?: number; mentions_unread?: number };
  "level.updated": { conversation: number; level: Level; until: string | null };
  "history.imported": { conversation: number; messages: number; first: number; last: number };
  "notification.created": Notification;
  "notification.updated": Notification;
  "notification.read": { ids?: number[]; all?: boolean; unread: number };
  "account.updated": User;
  "user.updated": User;
  "post.created": Post;
  "post.updated": Post;
  "post.deleted": Post;
  "comment.created": Comment;
  "comment.deleted": Comment;
  "group.joined": { group: Group; user: User };
  "group.left": { group: Group; user: User };
  "typing": { conversation: number; user: number; typing: boolean };
  "presence": { user: number; online: boolean };
}

export type EventType = keyof EventData;

/** An event. `id` is its cursor, null for typing and presence. Its type decides on its data: `switch (event.type)`. */
export type BellwireEvent = {
  [Type in EventType]: { id: string | null; type: Type; at: string; data: EventData[Type] };
}[EventType];

/** The present state, in place of all earlier events. */
export interface StateEvent {
  id: string;
  type: "state";
  data: State;
}

export interface EventsOptions {
  /** Where to go on: the id of the last event that was handled. Without it, the state comes first. */
  cursor?: string | null;
  types?: EventType[] | null;
  follow?: "posts" | null;
  /** One stream for all tabs of a browser. */
  shared?: boolean;
  signal?: AbortSignal;
}

export interface Batch {
  events: BellwireEvent[];
  cursor: string;
  state?: State;
}

export interface CallOptions {
  query?: Record<string, string | number | boolean | null | undefined>;
  signal?: AbortSignal | null;
  /** Whether the call may be repeated after a failure; by default all but POST are. */
  retry?: boolean;
  /** How often it is made then. */
  attempts?: number;
  timeoutS?: number;
  /** Beside those of each call. A body that is a text or a Blob is sent as it is. */
  headers?: Record<string, string>;
  /** Makes the result of a successful answer; by default its JSON. */
  decode?: (answer: Response) => unknown;
}

export interface UploadOptions {
  /** Its name, if the Blob has none. */
  name?: string;
  onprogress?: (progress: { sent: number; total: number }) => void;
  signal?: AbortSignal | null;
  /** How often it is sent if it breaks off. */
  attempts?: number;
}

/** A user's id, or "ext:" and their external id. In paths it is percent-encoded. */
export type UserReference = number | `ext:${string}`;

export interface NewMessage {
  to?: UserReference;
  conversation?: number;
  body?: string;
  priority?: Priority;
  reply_to?: number | null;
  client_id?: string;
  /** The ids of up to 10 files that were uploaded and not sent yet. `body` may be empty then. */
  files?: number[];
}

/** A refusal of the server. */
export class BellwireError extends Error {
  readonly status: number;
  /** The stable name of the reason, such as "not-found"; empty if the answer came from a proxy. */
  readonly slug: string;
  readonly detail?: string;
  readonly fields: Record<string, string>;
  /** In seconds, 0 if the server did not say. */
  readonly retryAfter: number;
  readonly problem: Record<string, unknown>;
}

/** A token, with the time at which it ends if it is no JWT, which says that itself. */
export type GivenToken = string | { token: string; expires_at?: string | null };

export interface BellwireOptions {
  /** The server, if it is another origin. */
  url?: string;
  /** A token, or a function that returns one: it is called again before the token ends, and when it is refused. */
  token?: string | null | (() => GivenToken | Promise<GivenToken>);
  transport?: Transport;
  attempts?: number;
  /** Those of each call. */
  headers?: Record<string, string>;
}

/** Dispatches "offline", "online" and "signedout". */
export class Bellwire extends EventTarget {
  /** Throws TypeError when `url` is wrong, or missing outside a browser, and for a transport that is not there. */
  constructor(options?: BellwireOptions);

  readonly url: string;
  readonly transport: Transport;
  readonly attempts: number;
  readonly headers: Record<string, string>;
  /** The token of a login, to keep for the next run; null with a session cookie. */
  readonly token: string | null;
  /** The caller, after a login or a state. */
  user: User | null;
  online: boolean;

  login(credentials: { login: string; password: string } | { email: string; code: string; new_password?: string }): Promise<User>;
  signup(account: {
    email: string;
    username: string;
    password: string;
    display_name?: string;
  }): Promise<{ username: string; otp: { expires_in: number } }>;
  verify(account: { email: string; code: string }): Promise<User>;
  requestCode(email: string): Promise<unknown>;
  logout(): Promise<void>;

  /** Make any call: `path` is below /api/v1. Throws BellwireError, TypeError without a connection, and DOMException. */
  call<Answer = any>(method: Method, path: string, body?: unknown, options?: CallOptions): Promise<Answer>;
  state(options?: CallOptions): Promise<State>;
  send(message: NewMessage, options?: { signal?: AbortSignal | null }): Promise<Message>;
  /** Upload a file, to be sent with `files: [id]` within a day. */
  upload(file: Blob | ArrayBuffer | Uint8Array, options?: UploadOptions): Promise<StoredFile>;
  events(options?: EventsOptions): AsyncGenerator<BellwireEvent | StateEvent, void, undefined>;
  batches(options?: EventsOptions): AsyncGenerator<Batch, void, undefined>;

  pause(seconds: number, signal?: AbortSignal | null): Promise<void>;
  /** End all waiting, so that it starts anew. */
  wake(): void;
  /** End the event streams, and the timers and listeners that a client has. */
  close(): void;
}

export function uniqueId(): string;
export function backoffS(failures: number, retryAfter?: number): number;
