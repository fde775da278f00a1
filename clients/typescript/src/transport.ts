import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createLinkedAbortController } from "@connectrpc/connect/protocol";
import { BezantError } from "./errors.js";
import { apiKeyOf, retriesOfReads } from "./interceptors.js";

const DEADLINE_MS = 30_000;

/** What `connect` takes wherever it runs. */
export interface CallSettings {
  /** The API key, of `bezant keys add NAME`; sent with every call. */
  apiKey?: string;
  /** The deadline of a unary call that names none (`timeoutMs`), in milliseconds; 30 seconds when absent. */
  deadlineMs?: number;
  /** Interceptors of your own. They see a call before ours, so once, however often a read is tried. */
  interceptors?: Interceptor[];
}

/** The interceptors that the settings ask for, the outermost first. */
export function interceptorsOf(settings: CallSettings): Interceptor[] {
  const key = settings.apiKey === undefined ? [] : [apiKeyOf(settings.apiKey)];
  return [...(settings.interceptors ?? []), ...key, retriesOfReads()];
}

/** The calls of a client that are under way, to be ended together. */
export class Calls {
  readonly #open = new Set<AbortController>();
  #closed: ConnectError | undefined;

  /** Counts a call in until its controller is aborted, which the caller's signal does, too. */
  begin(signal: AbortSignal | undefined): AbortController {
    const call = createLinkedAbortController(signal);
    this.#open.add(call);
    call.signal.addEventListener("abort", () => this.#open.delete(call), { once: true });
    if (this.#closed !== undefined) {
      call.abort(this.#closed);
    }
    return call;
  }

  /** Ends those that are under way, and from now on each one that begins. */
  close(): void {
    this.#closed = new ConnectError("the client is closed", Code.Canceled);
    for (const call of this.#open) {
      call.abort(this.#closed);
    }
  }
}

/** The transport, with a deadline for unary calls that name none, and with {@link BezantError} for whatever fails. */
export function withDeadlinesAndErrors(transport: Transport, calls: Calls, deadlineMs = DEADLINE_MS): Transport {
  return {
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      const call = calls.begin(signal);
      try {
        return await transport.unary(method, call.signal, timeoutMs ?? deadlineMs, header, input, contextValues);
      } catch (error) {
        throw BezantError.from(error, call.signal);
      } finally {
        call.abort();
      }
    },
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      const call = calls.begin(signal);
      try {
        const answer = await transport.stream(method, call.signal, timeoutMs, header, input, contextValues);
        return { ...answer, message: translated(answer.message, call) };
      } catch (error) {
        const translation = BezantError.from(error, call.signal);
        call.abort();
        throw translation;
      }
    },
  };
}

async function* translated<T>(messages: AsyncIterable<T>, call: AbortController): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw BezantError.from(error, call.signal);
  } finally {
    call.abort();
  }
}
