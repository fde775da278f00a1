import { type Client, Code } from "@connectrpc/connect";
import { BezantError } from "./errors.js";
import {
  type Event,
  type EventsService,
  type EventTopic,
  EventTopicSchema,
  type StreamEventsResponse,
  type TopicPosition,
} from "./gen/bezant/v1/events_service_pb.js";
import { backoff, pause } from "./pause.js";
import { Stream } from "./stream.js";

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 15_000;
const HEARTBEAT_SECS = 15;
/** Heartbeats that may stay away before a connection counts as dead. */
const MISSED_HEARTBEATS = 3;

/** A topic to follow. */
export interface TopicToFollow {
  /** The topic. */
  topic: EventTopic;
  /** The contract of the topic MARKETDATA. */
  conid?: bigint;
  /** Resume behind this cursor; 0n for the oldest held; from now on when absent. */
  afterCursor?: bigint;
}

/** What is followed, and how. */
export interface FollowOptions {
  /** The topics, 1 to 100; one that stands alone is followed from now on. */
  topics: readonly (EventTopic | TopicToFollow)[];
  /** Ends the following when it is aborted: the iteration throws its reason. */
  signal?: AbortSignal;
  /** Whether to give the gateway's frames, too. */
  includeRaw?: boolean;
  /** Of the topics LEDGER and ACCOUNT_SUMMARY: the accounts; those of the session when absent. */
  accountIds?: string[];
  /**
   * How often a quiet stream sends a heartbeat, in seconds: 1 to 300; 15 when absent or 0. A connection without
   * three is made anew.
   */
  heartbeatSecs?: number;
}

/** Something happened. */
export interface Happened {
  case: "event";
  event: Event;
}

/**
 * Events of a topic may have been missed: its cursor could not be served any more. Look at the state of things through
 * the other services; the following goes on from the oldest event that is held.
 */
export interface Missed {
  case: "missed";
  topic: EventTopic;
  conid: bigint;
  /** The last cursor that was known. */
  afterCursor: bigint;
  /** The cursor of the oldest event that is held: the next one to come. */
  headCursor: bigint;
  /** What the server said: `CURSOR_EXPIRED`. */
  error: BezantError;
}

/** What following gives. */
export type Followed = Happened | Missed;

/** Events as they are followed: an iterator to be read by one reader. Leaving the loop ends the stream. */
export type Following = AsyncIterableIterator<Followed, undefined>;

/**
 * Follows events of topics, each once and in the order of its topic, across lost connections and new servers.
 *
 * It resolves once the server follows the topics, so that what you do next will be seen. From then on cursors are
 * remembered and connections made anew, after pauses that grow to 15 seconds, for as long as you read.
 *
 * @throws BezantError for what another try would not mend, such as a topic that does not exist.
 */
export async function followEvents(events: Client<typeof EventsService>, options: FollowOptions): Promise<Following> {
  const follower = new Follower(events, options);
  await follower.open();
  return follower;
}

type Topic = Pick<Event, "topic" | "conid">;

class Follower implements Following {
  readonly #events: Client<typeof EventsService>;
  readonly #options: FollowOptions;
  readonly #topics: readonly Topic[];
  readonly #cursors = new Map<string, bigint>();
  readonly #given: Followed[] = [];
  readonly #end = new AbortController();
  #stream: Stream<StreamEventsResponse> | undefined;
  #started = false;
  #failures = 0;

  constructor(events: Client<typeof EventsService>, options: FollowOptions) {
    this.#events = events;
    this.#options = options;
    const topics = options.topics.map((each) => (typeof each === "object" ? each : { topic: each }));
    this.#topics = topics.map(({ topic, conid = 0n }) => ({ topic, conid }));
    for (const { topic, conid = 0n, afterCursor } of topics) {
      if (afterCursor !== undefined) {
        this.#cursors.set(keyOf({ topic, conid }), afterCursor);
      }
    }
    const { signal } = options;
    const stop = () => this.#end.abort(signal?.reason);
    if (signal?.aborted) {
      stop();
    } else {
      signal?.addEventListener("abort", stop, { once: true, signal: this.#end.signal });
    }
  }

  async open(): Promise<void> {
    while (!this.#started) {
      await this.#advance();
    }
  }

  async next(): Promise<IteratorResult<Followed, undefined>> {
    for (;;) {
      if (this.#end.signal.aborted && !this.#options.signal?.aborted) {
        return { done: true, value: undefined };
      }
      this.#options.signal?.throwIfAborted();
      const value = this.#given.shift();
      if (value !== undefined) {
        return { done: false, value };
      }
      await this.#advance();
    }
  }

  async return(): Promise<IteratorResult<Followed, undefined>> {
    this.#end.abort();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Reads one message, or makes good for one that could not be read. */
  async #advance(): Promise<void> {
    try {
      this.#stream ??= this.#connect();
      this.#take(await this.#stream.read());
    } catch (error) {
      this.#stream?.close();
      this.#stream = undefined;
      await this.#recover(BezantError.from(error));
    }
  }

  #connect(): Stream<StreamEventsResponse> {
    const { includeRaw = false, accountIds = [] } = this.#options;
    const heartbeatSecs = this.#options.heartbeatSecs || HEARTBEAT_SECS;
    const topics = this.#topics.map((each) => ({ ...each, afterCursor: this.#cursors.get(keyOf(each)) }));
    const request = { topics, includeRaw, accountIds, heartbeatSecs };
    const silenceMs = heartbeatSecs * MISSED_HEARTBEATS * 1000;
    return new Stream((signal) => this.#events.streamEvents(request, { signal }), silenceMs, this.#end.signal);
  }

  #take({ message }: StreamEventsResponse): void {
    switch (message.case) {
      case "started":
        this.#started = true;
        this.#remember(message.value.positions);
        break;
      case "heartbeat":
        this.#failures = 0;
        this.#remember(message.value.positions);
        break;
      case "end":
        this.#remember(message.value.positions);
        break;
      case "event": {
        const event = message.value;
        const key = keyOf(event);
        this.#failures = 0;
        if (event.cursor > (this.#cursors.get(key) ?? 0n)) {
          this.#cursors.set(key, event.cursor);
          this.#given.push({ case: "event", event });
        }
      }
    }
  }

  #remember(positions: readonly TopicPosition[]): void {
    for (const position of positions) {
      this.#cursors.set(keyOf(position), position.cursor);
    }
  }

  async #recover(error: BezantError): Promise<void> {
    this.#options.signal?.throwIfAborted();
    if (this.#end.signal.aborted) {
      return;
    }
    const missed = this.#missedBy(error);
    if (missed !== undefined) {
      this.#cursors.set(keyOf(missed), missed.headCursor - 1n);
      this.#given.push(missed);
    } else if (error.code === Code.Unavailable || error.reason === "SLOW_READER") {
      // The cursors that a SLOW_READER names count what is still on its way to us: ours are of what has arrived.
      await this.#pause(error.retryDelayMs);
    } else {
      this.#end.abort();
      throw error;
    }
  }

  async #pause(atLeastMs = 0): Promise<void> {
    this.#failures += 1;
    const milliseconds = Math.max(atLeastMs, backoff(this.#failures, FIRST_PAUSE_MS, LONGEST_PAUSE_MS));
    try {
      await pause(milliseconds, this.#end.signal);
    } catch {
      this.#options.signal?.throwIfAborted();
    }
  }

  /** What was missed, when an error says that a cursor has expired and where it can be gone on from. */
  #missedBy(error: BezantError): Missed | undefined {
    const [only, another] = this.#topics;
    const topic = another === undefined ? only : this.#topics.find((each) => isNamed(each, error.metadata));
    const head = error.metadata["head_cursor"];
    if (error.reason !== "CURSOR_EXPIRED" || topic === undefined || head === undefined) {
      return undefined;
    }
    const [afterCursor, headCursor] = [this.#cursors.get(keyOf(topic)) ?? 0n, BigInt(head)];
    // What is held has been asked for already: asking again would go on for ever.
    return afterCursor === headCursor - 1n ? undefined : { case: "missed", ...topic, afterCursor, headCursor, error };
  }
}

function isNamed({ topic, conid }: Topic, metadata: BezantError["metadata"]): boolean {
  return metadata["topic"] === EventTopicSchema.value[topic]?.name && metadata["conid"] === `${conid}`;
}

function keyOf({ topic, conid }: Topic): string {
  return `${topic}:${conid}`;
}
