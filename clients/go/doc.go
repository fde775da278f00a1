// Package bezant is the Go client of bezant-grpc, which serves one Interactive Brokers session as typed gRPC.
//
// [Connect] gives a [Client] with one field for each service. Their messages are in package bezantv1, generated from the
// protos, whose comments are the reference. This package adds what a program needs around them:
//
//   - a connection with TLS where it is due, an API key, a deadline for every unary call, and pings that notice a dead peer;
//   - retries of reads, and of reads alone: an order is never sent twice;
//   - [Error], which has the reason, the metadata and the fields at fault of what went wrong;
//   - [ParseDecimal] and [FormatDecimal], because prices and quantities are exact decimals in strings;
//   - [Client.Follow], which follows events through lost connections without losing or repeating one.
package bezant
