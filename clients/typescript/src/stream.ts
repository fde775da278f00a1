import { Code, ConnectError } from "@connectrpc/connect";

/** How long the first message may take: the server may have to subscribe a topic at the gateway. */
const START_MS = 45_000;

/** One call that gives messages, and counts as lost when they stay away. */
export class Stream<T> {
  readonly #messages: AsyncIterator<T>;
  readonly #end = new AbortController();
  readonly #silenceMs: number;
  #patienceMs = START_MS;

  /**
   * @param silenceMs - how long the next message may take, once the first has come
   * @param signal - ends the call
   */
  constructor(call: (signal: AbortSignal) => AsyncIterable<T>, silenceMs: number, signal: AbortSignal) {
    signal.addEventListener("abort", () => this.close(), { once: true, signal: this.#end.signal });
    if (signal.aborted) {
      this.close();
    }
    this.#messages = call(this.#end.signal)[Symbol.asyncIterator]();
    this.#silenceMs = silenceMs;
  }

  /**
   * The next message.
   *
   * @throws ConnectError with `Code.Unavailable` when the stream has ended or fallen silent.
   */
  async read(): Promise<T> {
    const silence = new Error("the stream has fallen silent");
    const timer = setTimeout(() => this.#end.abort(silence), this.#patienceMs);
    try {
      const { done, value } = await this.#messages.next();
      if (done) {
        throw lost("the stream has ended");
      }
      this.#patienceMs = this.#silenceMs;
      return value;
    } catch (error) {
      throw this.#end.signal.reason === silence ? lost(silence.message) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the call. */
  close(): void {
    this.#end.abort();
  }
}

function lost(message: string): ConnectError {
  return new ConnectError(message, Code.Unavailable);
}
