/**
 * What does not depend on where a program runs: errors, decimals, following, and every message of the API. `connect` is
 * in `@bezant/client/node` and `@bezant/client/web`, which have all of this, too.
 *
 * @packageDocumentation
 */
export { type Bezant, servicesOver } from "./client.js";
export { Decimal } from "./decimal.js";
export { BezantError, Code, type FieldViolation } from "./errors.js";
export {
  type Followed,
  type Following,
  followEvents,
  type FollowOptions,
  type Happened,
  type Missed,
  type TopicToFollow,
} from "./follow.js";
export { type CallSettings, interceptorsOf } from "./transport.js";

export * from "./gen/bezant/v1/contracts_service_pb.js";
export * from "./gen/bezant/v1/events_service_pb.js";
export * from "./gen/bezant/v1/gateway_service_pb.js";
export * from "./gen/bezant/v1/historical_service_pb.js";
export * from "./gen/bezant/v1/marketdata_service_pb.js";
export * from "./gen/bezant/v1/order_pb.js";
export * from "./gen/bezant/v1/orders_service_pb.js";
export * from "./gen/bezant/v1/portfolio_service_pb.js";
export * from "./gen/bezant/v1/quote_pb.js";
export * from "./gen/bezant/v1/scanner_service_pb.js";
export * from "./gen/bezant/v1/session_service_pb.js";
export * from "./gen/bezant/v1/targets_service_pb.js";
export * from "./gen/bezant/v1/types_pb.js";
