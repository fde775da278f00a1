import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

export { Code };

/** One field of a request that is at fault. */
export interface FieldViolation {
  /** Its path in the request, `orders[1].limit_price`. */
  readonly field: string;
  /** The rule, and what was given. */
  readonly description: string;
}

/**
 * What went wrong with a call. Every method of the client rejects with it, and every stream throws it.
 *
 * A connection that cannot be made, or breaks, is `Code.Unavailable`. After an order, look for it before you send it
 * again.
 */
export class BezantError extends Error {
  override readonly name = "BezantError";

  private constructor(
    message: string,
    /** The gRPC status. */
    readonly code: Code,
    /** The reason in the server's table of errors, such as `CONTRACT_NOT_FOUND`; empty for an error without details. */
    readonly reason: string,
    /** What belongs to the reason, such as `head_cursor` of `CURSOR_EXPIRED`. */
    readonly metadata: Readonly<Record<string, string>>,
    /** The fields of the request that are at fault; empty when that is not what is wrong. */
    readonly fieldViolations: readonly FieldViolation[],
    /** When another try may succeed, in milliseconds from the answer; undefined when the server does not say. */
    readonly retryDelayMs: number | undefined,
    /** The id that the server's log has for the call; undefined when no answer came. */
    readonly requestId: string | undefined,
    cause: unknown,
  ) {
    super(message, { cause });
  }

  /**
   * The error that a transport has thrown, with its details.
   *
   * @param signal - the caller's, which tells a call that was given up from a connection that was lost
   */
  static from(error: unknown, signal?: AbortSignal): BezantError {
    if (error instanceof BezantError) {
      return error;
    }
    const status = ConnectError.from(error);
    const info = status.findDetails(ErrorInfoSchema)[0];
    const delay = status.findDetails(RetryInfoSchema)[0]?.retryDelay;
    return new BezantError(
      status.rawMessage,
      !signal?.aborted && isBroken(status) ? Code.Unavailable : status.code,
      info?.reason ?? "",
      info?.metadata ?? {},
      status
        .findDetails(BadRequestSchema)
        .flatMap((bad) => bad.fieldViolations)
        .map(({ field, description }) => ({ field, description })),
      delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6,
      status.metadata.get("x-request-id") ?? undefined,
      error,
    );
  }
}

/** Whether the connection is what failed. The transports have a code of their own for each way in which it can. */
function isBroken(status: ConnectError): boolean {
  const answered = !status.metadata.keys().next().done;
  if (answered) {
    return false;
  }
  switch (status.code) {
    case Code.Aborted:
    case Code.Canceled:
    case Code.Unknown:
      return true;
    case Code.Internal:
    case Code.InvalidArgument:
      // They stand for a stream that was cut short, too. What cannot be encoded or decoded is told by its text alone.
      return !/^(serialize|parse) /.test(status.rawMessage);
    default:
      return false;
  }
}
