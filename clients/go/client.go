package bezant

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/bezant/bezant-grpc/clients/go/bezantv1"
)

// Version is the version of this client.
const Version = "0.1.0"

const (
	maxMessageBytes = 26 << 20
	pingAfter       = 30 * time.Second
	pingTimeout     = 10 * time.Second
	connectTimeout  = 10 * time.Second
)

// Reconnecting begins at once and never takes long: a stream that is followed waits for it.
var reconnecting = backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second}

// Client is a connection to a server, with a field for each of its services but those that are there for REST alone. It
// may be used by many goroutines at once.
//
// Errors of all calls are an [*Error].
type Client struct {
	Contracts      bezantv1.ContractsServiceClient
	Events         bezantv1.EventsServiceClient
	Gateway        bezantv1.GatewayServiceClient
	HistoricalData bezantv1.HistoricalDataServiceClient
	MarketData     bezantv1.MarketDataServiceClient
	Orders         bezantv1.OrdersServiceClient
	Portfolio      bezantv1.PortfolioServiceClient
	Scanner        bezantv1.ScannerServiceClient
	Session        bezantv1.SessionServiceClient
	TargetOrders   bezantv1.TargetOrdersServiceClient

	conn *grpc.ClientConn
}

// Connect connects to the server at target, `host:port`, and returns when it has answered. From then on the client
// reconnects by itself.
//
// A server on this machine is spoken to in plain text and any other over TLS with the system's roots, unless an option
// says otherwise. ctx bounds the connecting alone, which without a deadline may take as long as a call ([WithTimeout]).
func Connect(ctx context.Context, target string, opts ...Option) (*Client, error) {
	settings := settings{timeout: defaultTimeout}
	for _, opt := range opts {
		opt(&settings)
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return nil, fmt.Errorf("bezant: target must be host:port: %w", err)
	}
	if err := settings.checkKey(); err != nil {
		return nil, fmt.Errorf("bezant: %w", err)
	}
	transport, err := settings.transport(host)
	if err != nil {
		return nil, fmt.Errorf("bezant: %w", err)
	}
	calls := calls{timeout: settings.timeout}
	dialOptions := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnecting, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)),
		grpc.WithDefaultServiceConfig(serviceConfig()),
		grpc.WithDisableServiceConfig(),
		grpc.WithUserAgent("bezant-go/" + Version),
		grpc.WithChainUnaryInterceptor(calls.unary),
		grpc.WithChainStreamInterceptor(calls.stream),
	}
	if settings.apiKey != "" {
		dialOptions = append(dialOptions, grpc.WithPerRPCCredentials(apiKey(settings.apiKey)))
	}
	conn, err := grpc.NewClient(target, append(dialOptions, settings.dialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("bezant: %w", err)
	}
	if _, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("bezant: connect to %s: %w", target, err)
	}
	return newClient(conn), nil
}

func newClient(conn *grpc.ClientConn) *Client {
	return &Client{
		Contracts:      bezantv1.NewContractsServiceClient(conn),
		Events:         bezantv1.NewEventsServiceClient(conn),
		Gateway:        bezantv1.NewGatewayServiceClient(conn),
		HistoricalData: bezantv1.NewHistoricalDataServiceClient(conn),
		MarketData:     bezantv1.NewMarketDataServiceClient(conn),
		Orders:         bezantv1.NewOrdersServiceClient(conn),
		Portfolio:      bezantv1.NewPortfolioServiceClient(conn),
		Scanner:        bezantv1.NewScannerServiceClient(conn),
		Session:        bezantv1.NewSessionServiceClient(conn),
		TargetOrders:   bezantv1.NewTargetOrdersServiceClient(conn),
		conn:           conn,
	}
}

// Conn is the connection itself, for services that have no field.
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

// Close ends the connection and every call that is under way.
func (c *Client) Close() error { return c.conn.Close() }
