import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { type FollowOptions, type Following, followEvents } from "./follow.js";
import { ContractsService } from "./gen/bezant/v1/contracts_service_pb.js";
import { EventsService } from "./gen/bezant/v1/events_service_pb.js";
import { GatewayService } from "./gen/bezant/v1/gateway_service_pb.js";
import { HistoricalDataService } from "./gen/bezant/v1/historical_service_pb.js";
import { MarketDataService } from "./gen/bezant/v1/marketdata_service_pb.js";
import { OrdersService } from "./gen/bezant/v1/orders_service_pb.js";
import { PortfolioService } from "./gen/bezant/v1/portfolio_service_pb.js";
import { ScannerService } from "./gen/bezant/v1/scanner_service_pb.js";
import { SessionService } from "./gen/bezant/v1/session_service_pb.js";
import { TargetOrdersService } from "./gen/bezant/v1/targets_service_pb.js";
import { Calls, type CallSettings, withDeadlinesAndErrors } from "./transport.js";

/**
 * The services of a server. A method takes a plain object, and options such as `timeoutMs` and `signal`. A stream that
 * is left before its end needs a `signal` to be closed with.
 */
export interface Bezant {
  /** Whether you can trade, and if not, what to do about it. */
  readonly session: Client<typeof SessionService>;
  /** Accounts, positions, balances, profit and loss. */
  readonly portfolio: Client<typeof PortfolioService>;
  /** Places, previews, changes, cancels and finds orders. */
  readonly orders: Client<typeof OrdersService>;
  /** Quotes, bars and books of orders. */
  readonly marketData: Client<typeof MarketDataService>;
  /** Search, definitions, rules, chains, schedules. */
  readonly contracts: Client<typeof ContractsService>;
  /** What to scan for, and scans. */
  readonly scanner: Client<typeof ScannerService>;
  /** Historical data in Trader Workstation's words. */
  readonly historicalData: Client<typeof HistoricalDataService>;
  /** Stocks by target. */
  readonly targetOrders: Client<typeof TargetOrdersService>;
  /** What happens; see {@link Bezant.followEvents}. */
  readonly events: Client<typeof EventsService>;
  /** Any other path of the gateway. */
  readonly gateway: Client<typeof GatewayService>;

  /** Follows events across lost connections: see the function of that name. */
  followEvents(options: FollowOptions): Promise<Following>;

  /** Closes the connection. Calls and streams under way, and later ones, are `Code.Canceled`. */
  close(): void;
}

/**
 * The services over a transport of your own, which has interceptors but neither our errors nor our deadlines; `connect`
 * of `@bezant/client/node` and `@bezant/client/web` make one.
 *
 * @param closed - called once the client is closed
 */
export function servicesOver(
  inner: Transport,
  settings: Pick<CallSettings, "deadlineMs"> = {},
  closed?: () => void,
): Bezant {
  const calls = new Calls();
  const transport = withDeadlinesAndErrors(inner, calls, settings.deadlineMs);
  const events = createClient(EventsService, transport);
  return {
    session: createClient(SessionService, transport),
    portfolio: createClient(PortfolioService, transport),
    orders: createClient(OrdersService, transport),
    marketData: createClient(MarketDataService, transport),
    contracts: createClient(ContractsService, transport),
    scanner: createClient(ScannerService, transport),
    historicalData: createClient(HistoricalDataService, transport),
    targetOrders: createClient(TargetOrdersService, transport),
    events,
    gateway: createClient(GatewayService, transport),
    followEvents: (options) => followEvents(events, options),
    close() {
      calls.close();
      closed?.();
    },
  };
}
