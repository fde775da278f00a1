/**
 * The client of bezant-grpc: connections, errors, decimals and events that are followed without a seam.
 *
 * <p>Begin with {@link io.bezant.client.BezantClient}. The messages and stubs are in {@code io.bezant.v1}; what each
 * call and field means stands in their comments.
 */
package io.bezant.client;
