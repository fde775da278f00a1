import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, type Interceptor } from "@connectrpc/connect";
import { BezantError } from "./errors.js";
import { backoff, pause } from "./pause.js";

const TRIES = 4;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 3_000;

/**
 * Sends an API key with every call.
 *
 * @throws TypeError when it is no key; fetch would say so with every call, and say the key.
 */
export function apiKeyOf(key: string): Interceptor {
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new TypeError("apiKey must be ASCII without spaces or line ends");
  }
  return (next) => (request) => {
    request.header.set("x-api-key", key);
    return next(request);
  };
}

/**
 * Tries a read again when the server cannot be reached: at most four times in all, within the call's deadline.
 *
 * A read is an RPC whose proto says `idempotency_level = NO_SIDE_EFFECTS`. Nothing else is ever sent twice: an order
 * may have arrived although its answer did not.
 */
export function retriesOfReads(): Interceptor {
  return (next) => async (request) => {
    if (request.stream || request.method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) {
      return next(request);
    }
    for (let tries = 1; ; tries++) {
      try {
        return await next(request);
      } catch (error) {
        const { code, retryDelayMs } = BezantError.from(error, request.signal);
        if (code !== Code.Unavailable || tries === TRIES) {
          throw error;
        }
        const milliseconds = Math.max(retryDelayMs ?? 0, backoff(tries, FIRST_PAUSE_MS, LONGEST_PAUSE_MS));
        await pause(milliseconds, request.signal);
      }
    }
  };
}
